"""Every map that can be named: the shipped towns and the user's own."""

from __future__ import annotations

import difflib
import gzip
import re
from functools import lru_cache
from pathlib import Path

from drive_il.folders import data_folder, write_whole
from drive_il.maps import store
from drive_il.maps.network import LaneType, RoadNetwork

_SHIPPED = Path(__file__).parent / "data"


def folder() -> Path:
    """Where imported maps are kept."""
    return data_folder() / "maps"


def shipped() -> list[str]:
    """Names of the towns that come with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.npz"))


def imported() -> list[str]:
    """Names of the user's own maps."""
    return sorted(path.stem for path in folder().glob("*.npz"))


def names() -> list[str]:
    """All names, the shipped towns first."""
    return [*shipped(), *(name for name in imported() if name not in shipped())]


def load(name: str | Path) -> RoadNetwork:
    """Loads a map by name, or from an .xodr file.

    Raises:
        ValueError: there is no such map; the message lists those there are.
    """
    if str(name).endswith(".xodr"):
        from drive_il.maps import opendrive

        return opendrive.read(name)
    return _load(str(_arrays(str(name))))


@lru_cache(maxsize=8)
def _load(path: str) -> RoadNetwork:
    return store.load(Path(path))


def opendrive_text(name: str) -> str:
    """Returns the OpenDRIVE text of a map.

    Raises:
        ValueError: there is no such map.
    """
    path = _arrays(name).with_suffix(".xodr.gz")
    try:
        return gzip.decompress(path.read_bytes()).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}; import the map again") from None


def import_map(path: str | Path) -> str:
    """Takes in an OpenDRIVE file under its stem, replacing an older one of that name.

    Returns:
        The name by which `load` finds it.

    Raises:
        ValueError: the file is no usable map, or its name is that of a shipped town.
        ImportError: the carla wheel is not installed.
    """
    from drive_il.maps import opendrive
    from drive_il.maps.opendrive_xml import text_of

    path = Path(path)
    name = path.name.removesuffix(".xodr")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(
            f"{path.name} cannot name a map: use letters, digits, - and _ before .xodr"
        )
    if name in shipped():
        raise ValueError(f"{name} is a shipped town; rename {path.name} before importing it")
    text = text_of(path)
    network = opendrive.build(text, name, str(path))
    write_whole(folder() / f"{name}.xodr.gz", gzip.compress(text.encode(), mtime=0))
    store.save(network, folder() / f"{name}.npz")
    _load.cache_clear()
    return name


def facts(name: str) -> tuple[str, int, float, int, int]:
    """Returns origin, lanes, driving lanes [km], junctions and signals of a map."""
    network = load(name)
    driving = network.lanes[network.lanes["type"] == LaneType.DRIVING]
    junctions = set(network.lanes["junction"].tolist()) - {-1}
    origin = "shipped" if name in shipped() else "imported"
    kilometres = round(float(driving["length"].sum()) / 1000.0, 1)
    return origin, len(network.lanes), kilometres, len(junctions), len(network.signals)


def _arrays(name: str) -> Path:
    for place in (_SHIPPED, folder()):
        path = place / f"{name}.npz"
        if path.exists() and Path(name).name == name:
            return path
    known = names()
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else "."
    raise ValueError(
        f"there is no map {name!r}{hint} Known: {', '.join(known)}. "
        "`drive-il maps import FILE.xodr` adds one."
    )
