"""The seeded town generator: (style, seed) -> OpenDRIVE text.

Four styles, each with one shipped town:

    urban    alder  a grid of streets with lights, signs, crosswalks and two avenues
    suburb   birch  winding streets round a roundabout, gently hilly
    ring     cedar  a dual carriageway ring with interchanges, ramps and lane changes
    country  dell   one winding road without markings, and a loop to turn at each end
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

from drive_il.maps import town_country, town_ring, town_suburb, town_urban
from drive_il.maps.town_checks import check
from drive_il.maps.town_roads import Misfit, Town
from drive_il.maps.town_writer import write
from drive_il.randomness import purpose_key

_STYLES: dict[str, Callable[[Town, np.random.Generator], None]] = {
    "urban": town_urban.build,
    "suburb": town_suburb.build,
    "ring": town_ring.build,
    "country": town_country.build,
}
_SHIPPED = {
    "alder": ("urban", 2),
    "birch": ("suburb", 1),
    "cedar": ("ring", 1),
    "dell": ("country", 1),
}
_MAX_SEED = 2**32 - 1
_ATTEMPTS = 30


def styles() -> list[str]:
    """Returns the styles that can be generated."""
    return list(_STYLES)


def generate(style: str, seed: int) -> str:
    """Makes a town; the same style and seed give the same bytes.

    Args:
        style: urban, suburb, ring or country.
        seed: which one, in [0, 2**32).

    Returns:
        OpenDRIVE 1.4 text, flat frame in metres, right-hand traffic.

    Raises:
        ValueError: if there is no such style or the seed is out of range.
    """
    if style not in _STYLES:
        raise ValueError(f"style must be one of {', '.join(_STYLES)}, got {style!r}")
    if not 0 <= seed <= _MAX_SEED:
        raise ValueError(f"the seed of a town must be in [0, 2**32), got {seed}")
    for attempt in range(_ATTEMPTS):
        town = Town(f"{style}-{seed}")
        rng = np.random.default_rng([purpose_key(style), seed, attempt])
        try:
            _STYLES[style](town, rng)
            check(town)
        except Misfit:
            continue
        return write(town)
    raise AssertionError(f"no {style} town came of seed {seed} in {_ATTEMPTS} attempts")


def shipped() -> dict[str, tuple[str, int]]:
    """Returns the (style, seed) behind each shipped town."""
    return dict(_SHIPPED)


def data_folder() -> Path:
    """Where the shipped towns lie."""
    return Path(__file__).parent / "data"


def ship() -> list[Path]:
    """Writes every shipped town again as data/NAME.xodr.gz; the same bytes each time."""
    paths = []
    data_folder().mkdir(exist_ok=True)
    for name, (style, seed) in shipped().items():
        path = data_folder() / f"{name}.xodr.gz"
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(gzip.compress(generate(style, seed).encode(), 9, mtime=0))
        temporary.replace(path)
        paths.append(path)
    return paths


if __name__ == "__main__":
    for written in ship():
        print(f"wrote {written}")
