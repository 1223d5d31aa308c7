"""What stands beside the road as something to run into: the scenery's boxes in a grid.

Houses, poles and trunks count, the crowns of trees and what hangs above the road do not. Each
cell lists all that an ego in it could touch, so that one look is enough.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Ints, Records
from drive_il.maps.kept import kept
from drive_il.maps.land import PrismKind
from drive_il.maps.network import RoadNetwork
from drive_il.maps.scenery import scenery

REACH = 6.5
"""half the diagonal of the largest ego [m]"""
_CELL = 8.0  # [m]
_OVERHEAD = 1.5  # [m] what begins higher than this is passed under

OBSTACLE = np.dtype(
    [
        ("x", "f8"),  # [m] centre
        ("y", "f8"),
        ("heading", "f8"),  # [rad]
        ("length", "f8"),  # [m]
        ("width", "f8"),
        ("radius", "f8"),  # [m] of the circle around it
    ]
)
"""One box that stands there."""

FIELD = np.dtype([("x0", "f8"), ("y0", "f8"), ("cell", "f8"), ("columns", "i8"), ("rows", "i8")])
"""A grid: south-west corner and size of a cell [m], number of cells."""


class Obstacles(NamedTuple):
    """What the kernels take; see `obstacles_of`.

    Attributes:
        field: the grid, (1,) FIELD.
        first: first entry of each cell, then their number.
        boxes: the OBSTACLEs of each cell, cell after cell.
    """

    field: Records
    first: Ints
    boxes: Records


OBSTACLES = nt.NamedTuple(
    (kernels.record(FIELD)[::1], nt.int32[::1], kernels.record(OBSTACLE)[::1]), Obstacles
)
"""Numba type of `Obstacles`."""


@lru_cache(maxsize=8)
def obstacles_of(network: RoadNetwork) -> Obstacles:
    """Returns what stands beside the roads of a map (remembered, kept in the cache folder)."""
    return Obstacles(**kept("obstacles", network, __file__, lambda: _build(network)._asdict()))


def _build(network: RoadNetwork) -> Obstacles:
    prisms = scenery(network)
    low = prisms["z"] < _OVERHEAD
    prisms = prisms[low & (prisms["kind"] != PrismKind.CROWN)]
    boxes = np.zeros(len(prisms), OBSTACLE)
    for name in ("x", "y", "heading", "length", "width"):
        boxes[name] = prisms[name]
    boxes["radius"] = 0.5 * np.hypot(boxes["length"], boxes["width"])
    return in_grid(boxes)


def in_grid(boxes: Records) -> Obstacles:
    """Lists boxes, (N,) OBSTACLE, in the cells from which an ego could touch them."""
    field = np.zeros(1, FIELD)
    if not len(boxes):
        field[0] = (0.0, 0.0, _CELL, 0, 0)
        return Obstacles(field, np.zeros(1, np.int32), boxes)
    reach = boxes["radius"] + REACH
    x0, y0 = float((boxes["x"] - reach).min()), float((boxes["y"] - reach).min())
    columns = int(((boxes["x"] + reach).max() - x0) / _CELL) + 1
    rows = int(((boxes["y"] + reach).max() - y0) / _CELL) + 1
    field[0] = (x0, y0, _CELL, columns, rows)
    cells, listed = [], []
    for number, (box, far) in enumerate(zip(boxes, reach, strict=True)):
        low_i, high_i = (int((box["x"] + side * far - x0) / _CELL) for side in (-1, 1))
        low_j, high_j = (int((box["y"] + side * far - y0) / _CELL) for side in (-1, 1))
        i, j = np.meshgrid(np.arange(low_i, high_i + 1), np.arange(low_j, high_j + 1))
        # From the centre to the nearest place of each cell.
        away_x = np.maximum(np.abs(x0 + (i + 0.5) * _CELL - box["x"]) - 0.5 * _CELL, 0.0)
        away_y = np.maximum(np.abs(y0 + (j + 0.5) * _CELL - box["y"]) - 0.5 * _CELL, 0.0)
        near = np.hypot(away_x, away_y) <= far
        cells.append((j * columns + i)[near])
        listed.append(np.full(int(near.sum()), number))
    cell, which = np.concatenate(cells), np.concatenate(listed)
    order = np.argsort(cell, kind="stable")
    first = np.searchsorted(cell[order], np.arange(columns * rows + 1)).astype(np.int32)
    return Obstacles(field, first, boxes[which[order]])
