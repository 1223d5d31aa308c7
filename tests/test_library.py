"""Maps by name."""

from pathlib import Path

import pytest

from drive_il.maps import library


def test_the_four_towns_are_shipped_and_small() -> None:
    assert set(library.shipped()) == {"alder", "birch", "cedar", "dell"}
    folder = Path(library.__file__).parent / "data"
    for name in library.shipped():
        size = sum((folder / f"{name}{end}").stat().st_size for end in (".npz", ".xodr.gz"))
        assert size < 1_000_000


def test_shipped_towns_load_and_have_their_text() -> None:
    for name in library.shipped():
        network = library.load(name)
        assert network.name == name
        assert "<OpenDRIVE" in library.opendrive_text(name)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="did you mean alder") as caught:
        library.load("aldr")
    assert "birch" in str(caught.value)
    with pytest.raises(ValueError, match="no map"):
        library.load("../alder")


def test_import_makes_a_map_that_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("carla", reason="importing needs the carla wheel")
    monkeypatch.setenv("DRIVE_IL_DATA", str(tmp_path / "data"))
    path = tmp_path / "mine.xodr"
    path.write_text(library.opendrive_text("dell"))
    assert library.import_map(path) == "mine"
    assert "mine" in library.names()
    assert library.load("mine").points.tobytes() == library.load("dell").points.tobytes()
    assert library.opendrive_text("mine") == library.opendrive_text("dell")


def test_import_refuses_names_that_clash_or_cannot_be_typed(tmp_path: Path) -> None:
    for name, message in (("alder", "shipped town"), ("my town", "cannot name a map")):
        path = tmp_path / f"{name}.xodr"
        path.write_text("<OpenDRIVE/>")
        with pytest.raises(ValueError, match=message):
            library.import_map(path)
