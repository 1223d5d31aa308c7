"""What never moves in Roach's bird's-eye view: lanes and their markings, as quadrilaterals.

Runs of lane that are straight enough are joined, so that a picture is drawn from a few
hundred pieces; a grid lists the pieces by place.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Floats, Ints, Records
from drive_il.maps.network import LaneType, MarkType, RoadNetwork, SignalKind

ROAD, BROKEN, SOLID = 0, 1, 2
"""kinds of pieces"""
ROAD_BORDER = 0.4
"""Roach draws its lanes with a border of 5 pixels, 2 of them outside [m]"""
MARK_HALF_WIDTH = 0.2
"""Roach's markings are lines of one pixel, blurred by turning: 1 to 3, here 2 [m]"""
_MARK_GAP = 0.5  # [m] between the two lines of a double marking
_LONGEST = 16.0  # [m]
_FLAT = 0.02  # [m] joined runs keep their edges to this
CELL = 16.0
"""edge of a grid cell [m]; no piece reaches further than this from its middle"""
_LINES: dict[MarkType, tuple[int, ...]] = {
    # the line beside the lane, and the one beyond
    MarkType.SOLID: (SOLID,),
    MarkType.BROKEN: (BROKEN,),
    MarkType.BOTTS_DOTS: (BROKEN,),
    MarkType.SOLID_SOLID: (SOLID, SOLID),
    MarkType.SOLID_BROKEN: (BROKEN, SOLID),
    MarkType.BROKEN_SOLID: (SOLID, BROKEN),
    MarkType.BROKEN_BROKEN: (BROKEN, BROKEN),
}

PIECE = np.dtype(
    [
        ("x0", "f8"),  # [m] corners in order
        ("y0", "f8"),
        ("x1", "f8"),
        ("y1", "f8"),
        ("x2", "f8"),
        ("y2", "f8"),
        ("x3", "f8"),
        ("y3", "f8"),
        ("kind", "i8"),
    ]
)
"""One quadrilateral of road or marking."""


class RoachMap(NamedTuple):
    """The map as the kernel takes it.

    Attributes:
        pieces: (N,) PIECE, cell after cell.
        first: first piece of each cell, then N, (rows * columns + 1,) int32.
        origin: south-west corner of the grid, (2,) float64 [m].
        size: columns and rows, (2,) int64.
        lines: x0 y0 x1 y1 of the stop line of each traffic light and lane, (M, 4) [m].
        line_signal: index of its signal, (M,) int32.
        sign_boxes: x, y, heading and half size of the square at each signal's stop line, as
            Roach draws stop signs, (S, 4) [m, rad]; half size 0 where there is no line.
    """

    pieces: Records
    first: Ints
    origin: Floats
    size: Ints
    lines: Floats
    line_signal: Ints
    sign_boxes: Floats


ROACH_MAP = nt.NamedTuple(
    (
        kernels.record(PIECE)[::1],
        nt.int32[::1],
        nt.float64[::1],
        nt.int64[::1],
        nt.float64[:, ::1],
        nt.int32[::1],
        nt.float64[:, ::1],
    ),
    RoachMap,
)
"""Numba type of a RoachMap."""


def _runs(network: RoadNetwork, lane: np.void) -> list[tuple[int, int]]:
    """Cuts a lane into runs of points with straight edges and equal markings: (first, last)."""
    first, count = int(lane["first"]), int(lane["count"])
    points = network.points[first : first + count]
    normal = np.stack((-np.sin(points["heading"]), np.cos(points["heading"])), axis=1)
    middle = np.stack((points["x"], points["y"]), axis=1)
    half = points["width"][:, None] / 2
    edges = np.concatenate((middle + normal * half, middle - normal * half), axis=1)
    marks = points["left_mark"].astype(np.int64) * 256 + points["right_mark"]
    runs, begin = [], 0
    while begin < count - 1:
        end = begin + 1
        # A segment has the markings of its first point.
        while end + 1 < count and marks[end] == marks[begin]:
            too_long = points["s"][end + 1] - points["s"][begin] > _LONGEST
            if too_long or not _is_straight(edges[begin : end + 2]):
                break
            end += 1
        runs.append((first + begin, first + end))
        begin = end
    return runs


def _is_straight(edges: Floats) -> bool:
    """Whether the points of both edges, (K, 4) [m], lie on the lines between their ends."""
    for side in (edges[:, :2], edges[:, 2:]):
        across = side[-1] - side[0]
        away = side[1:-1] - side[0]
        gap = across[0] * away[:, 1] - across[1] * away[:, 0]
        if (np.abs(gap) > _FLAT * math.hypot(*across)).any():
            return False
    return True


def _strip(
    network: RoadNetwork, run: tuple[int, int], low: Floats, high: Floats, kind: int
) -> Records:
    """Returns the piece between two lateral positions at both ends of a run, left + [m]."""
    points = network.points[list(run)]
    piece = np.zeros(1, PIECE)
    piece["kind"] = kind
    for axis, normal in (("x", -np.sin(points["heading"])), ("y", np.cos(points["heading"]))):
        right, left = points[axis] + normal * low, points[axis] + normal * high
        for corner, at in enumerate((right[0], right[1], left[1], left[0])):
            piece[f"{axis}{corner}"] = at
    return piece


def _pieces(network: RoadNetwork) -> Records:
    """Cuts driving lanes, and the markings of those outside junctions as Roach has them."""
    found: list[Records] = []
    for lane in network.lanes[network.lanes["type"] == LaneType.DRIVING]:
        for run in _runs(network, lane):
            half = network.points["width"][list(run)] / 2
            edge = half + ROAD_BORDER
            found.append(_strip(network, run, -edge, edge, ROAD))
            if lane["junction"] >= 0:
                continue
            for side, sign in (("left", 1.0), ("right", -1.0)):
                mark = MarkType(int(network.points[f"{side}_mark"][run[0]]))
                for number, kind in enumerate(_LINES.get(mark, ())):
                    middle = sign * (half + number * _MARK_GAP)
                    low, high = middle - MARK_HALF_WIDTH, middle + MARK_HALF_WIDTH
                    found.append(_strip(network, run, low, high, kind))
    return np.concatenate(found) if found else np.zeros(0, PIECE)


def light_lines(network: RoadNetwork) -> tuple[Floats, Ints]:
    """Returns the ends of the stop lines of lights, x0 y0 x1 y1 (M, 4) [m], and their signals."""
    is_light = network.signals["kind"][network.stop_lines["signal"]] == SignalKind.LIGHT
    lines = network.stop_lines[is_light]
    ends = np.stack([lines[name] for name in ("x0", "y0", "x1", "y1")], axis=1)
    return np.ascontiguousarray(ends, np.float64), lines["signal"].astype(np.int32)


def sign_boxes(network: RoadNetwork) -> Floats:
    """Returns the square at each signal's stop line; see `RoachMap.sign_boxes`."""
    boxes = np.zeros((len(network.signals), 4))
    for line in network.stop_lines:
        across = math.hypot(line["x1"] - line["x0"], line["y1"] - line["y0"])
        x, y = (line["x0"] + line["x1"]) / 2, (line["y0"] + line["y1"]) / 2
        heading = math.atan2(line["x0"] - line["x1"], line["y1"] - line["y0"])
        boxes[line["signal"]] = (x, y, heading, across / 2)
    return boxes


def _build(network: RoadNetwork) -> RoachMap:
    pieces = _pieces(network)
    middle = np.stack(
        [sum(pieces[f"{axis}{k}"] for k in range(4)) / 4 for axis in ("x", "y")], axis=1
    )
    origin = middle.min(axis=0) if len(pieces) else np.zeros(2)
    place = ((middle - origin) / CELL).astype(np.int64)
    columns, rows = (place.max(axis=0) + 1).tolist() if len(pieces) else (1, 1)
    cell = place[:, 1] * columns + place[:, 0]
    first = np.zeros(rows * columns + 1, np.int32)
    np.cumsum(np.bincount(cell, minlength=rows * columns), out=first[1:])
    return RoachMap(
        pieces[np.argsort(cell, kind="stable")],
        first,
        origin.astype(np.float64),
        np.array((columns, rows), np.int64),
        *light_lines(network),
        sign_boxes(network),
    )


@lru_cache(maxsize=8)
def roach_map(network: RoadNetwork) -> RoachMap:
    """Returns what Roach's view draws of a map (remembered)."""
    return _build(network)
