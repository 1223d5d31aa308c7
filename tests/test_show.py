"""drive-il show."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from drive_il import cli
from drive_il.cli.show import _spec
from drive_il.maps import library


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as clip:
        return [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]


def test_a_clip_of_so_many_seconds_that_repeats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again = tmp_path / "a.mp4", tmp_path / "b.mp4"
    for path in (first, again):
        words = ["show", "--town", "dell", "--density", "0.5", "--seconds", "1", "--seed", "3"]
        cli.main([*words, "--width", "331", "--out", str(path)])
    assert "1.0 s, 328x80" in capsys.readouterr().out
    left, right = pictures(first), pictures(again)
    assert len(left) == len(right) == 20
    assert left[0].shape == (80, 328, 3)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (left[0] != left[-1]).any()


def test_what_is_asked_of_the_world() -> None:
    spec = _spec(library.load("alder"), 1.0, None, 0, "HardRainNight")
    assert (spec.traffic.vehicles, spec.traffic.walkers, spec.traffic.signals) == (91, 45, True)
    assert spec.route.weathers["sun_altitude_angle"].tolist() == [-90.0]
    empty = _spec(library.load("alder"), 0.0, None, 0, "ClearNoon")
    assert empty.traffic.is_empty
    assert not empty.traffic.signals
    assert _spec(library.load("alder"), 1.0, 5, 0, "ClearNoon").traffic.walkers == 5


def test_bad_wishes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--seconds", "0"], "--seconds must be in [0.1, 3600], got 0.0"),
        (["--width", "10"], "--width must be in [160, 7680] pixels, got 10"),
        (["--density", "-1"], "density must be a number >= 0, got -1.0"),
        (["--out", str(tmp_path / "clip.txt")], "a clip must end in .mp4 or .gif, got 'clip.txt'"),
        (["--town", "atlantis"], "there is no map 'atlantis'"),
        (["--weather", "Fog"], "there is no weather 'Fog'; known: ClearNight, ClearNoon"),
    ):
        with pytest.raises(SystemExit) as stop:
            cli.main(["show", *words])
        assert stop.value.code == 1
        assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_it_loads_no_torch() -> None:
    code = (
        "import sys; from drive_il.cli.show import _spec; from drive_il.maps import library;"
        "import drive_il.experts.planner, drive_il.rollout, drive_il.video, drive_il.gates;"
        "print([name for name in ('torch', 'pygame') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
