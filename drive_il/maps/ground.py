"""A road network's drivable surface as kernels take it.

The surface of a lane is the chain of quadrilaterals between its cross-sections (centre
point, plus and minus half the width across the heading).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Bools, Floats, Ints, Records
from drive_il.maps.network import LANE, RoadNetwork

CROSS_SECTION = np.dtype(
    [
        ("left_x", "f8"),  # [m] left edge of the lane at one of its points
        ("left_y", "f8"),
        ("right_x", "f8"),  # [m] right edge
        ("right_y", "f8"),
        ("z", "f8"),  # [m]
        ("middle_x", "f8"),  # [m] circle around the quadrilateral to the next cross-section
        ("middle_y", "f8"),
        ("radius", "f8"),  # [m]
    ]
)
"""One lane point, as the search needs it; parallel to RoadNetwork.points."""

_GRID = np.dtype([("x0", "f8"), ("y0", "f8"), ("cell", "f8"), ("columns", "i8"), ("rows", "i8")])

Ground: TypeAlias = tuple[Records, Records, Ints, Records, Floats, Ints, Ints, Ints, Ints]
"""What the device functions take; `ground` makes it."""

GROUND = nt.Tuple(  # type: ignore[no-untyped-call]
    (
        kernels.record(_GRID)[::1],
        kernels.record(LANE)[::1],
        nt.int32[::1],  # successors
        kernels.record(CROSS_SECTION)[::1],
        nt.float64[:, ::1],  # x, y [m], s [m] of every lane point
        nt.int32[::1],  # first entry of each cell
        nt.int32[::1],  # segment of each entry
        nt.int32[::1],  # lane of each entry
        nt.int32[::1],  # rings around each cell in which every cell is empty
    )
)
"""Numba type of a `Ground`, for a kernel's signature."""


@lru_cache(maxsize=8)
def ground(network: RoadNetwork) -> Ground:
    """Returns a network's arrays as the device functions take them (remembered)."""
    grid = network.grid
    head = np.zeros(1, _GRID)
    head[0] = (grid.x0, grid.y0, grid.cell, grid.columns, grid.rows)
    return (
        head,
        np.array(network.lanes),
        _whole(network.successors),
        _cross_sections(network),
        np.stack([network.points[name] for name in ("x", "y", "s")], axis=1).astype(np.float64),
        _whole(grid.first),
        _whole(grid.segment),
        _whole(grid.lane),
        _empty_rings(np.diff(grid.first).reshape(grid.rows, grid.columns) > 0),
    )


def _whole(numbers: Ints) -> Ints:
    return np.array(numbers, dtype=np.int32)


def _empty_rings(filled: Bools) -> Ints:
    """Returns how many rings of empty cells lie around each cell, itself the first, flat."""
    n_rows, n_columns = filled.shape
    rings = np.where(filled, 0, n_rows + n_columns)
    column = np.arange(n_columns)
    for order in (range(n_rows), range(n_rows - 1, -1, -1)):
        before = np.full(n_columns, n_rows + n_columns)
        for row in order:
            line = np.minimum(rings[row], before + 1)
            line[1:] = np.minimum(line[1:], before[:-1] + 1)
            line[:-1] = np.minimum(line[:-1], before[1:] + 1)
            line = np.minimum.accumulate(line - column) + column
            line = (np.minimum.accumulate((line + column)[::-1])[::-1]) - column
            rings[row] = before = line
    return _whole(rings.reshape(-1))


def _cross_sections(network: RoadNetwork) -> Records:
    points = network.points
    sections = np.zeros(len(points), CROSS_SECTION)
    across = points["heading"] + np.pi / 2
    x, y = np.cos(across) * points["width"] / 2, np.sin(across) * points["width"] / 2
    sections["left_x"], sections["left_y"] = points["x"] + x, points["y"] + y
    sections["right_x"], sections["right_y"] = points["x"] - x, points["y"] - y
    sections["z"] = points["z"]
    # The last point of a lane gets a circle too; no grid entry refers to it.
    following = np.minimum(np.arange(len(points)) + 1, len(points) - 1)
    for axis in ("x", "y"):
        sections[f"middle_{axis}"] = 0.5 * (points[axis] + points[axis][following])
    for side in ("left", "right"):
        for end in (sections, sections[following]):
            away = np.hypot(
                end[f"{side}_x"] - sections["middle_x"], end[f"{side}_y"] - sections["middle_y"]
            )
            sections["radius"] = np.maximum(sections["radius"], away)
    return sections
