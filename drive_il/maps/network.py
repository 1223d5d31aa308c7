"""A road network as frozen arrays, and what one asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from drive_il.datatypes import Floats, Ints, Records


class LaneType(IntEnum):
    """Lane types of OpenDRIVE that the towns use; the others count as BORDER."""

    DRIVING = 1
    SHOULDER = 2
    SIDEWALK = 3
    PARKING = 4
    BIKING = 5
    BORDER = 6
    MEDIAN = 7
    RESTRICTED = 8


class MarkType(IntEnum):
    """Lane marking types, as carla.LaneMarkingType."""

    NONE = 0
    SOLID = 1
    BROKEN = 2
    SOLID_SOLID = 3
    SOLID_BROKEN = 4
    BROKEN_SOLID = 5
    BROKEN_BROKEN = 6
    BOTTS_DOTS = 7
    GRASS = 8
    CURB = 9


class MarkColor(IntEnum):
    """Lane marking colours."""

    WHITE = 0
    YELLOW = 1
    BLUE = 2
    GREEN = 3
    RED = 4


class SignalKind(IntEnum):
    """What a signal tells the driver."""

    LIGHT = 1
    STOP = 2
    YIELD = 3
    SPEED = 4
    OTHER = 5


LANE = np.dtype(
    [
        ("road", "i4"),  # OpenDRIVE ids of road, section and lane
        ("section", "i4"),
        ("lane", "i4"),
        ("type", "i4"),  # LaneType
        ("junction", "i4"),  # OpenDRIVE id, -1 outside junctions
        ("first", "i4"),  # its points: points[first : first + count]
        ("count", "i4"),
        ("length", "f8"),  # [m]
        ("left", "i4"),  # adjacent lane to the left / right as one drives, -1 none
        ("right", "i4"),
        ("left_same_way", "?"),  # the neighbour runs the same way
        ("right_same_way", "?"),
        ("successor_first", "i4"),  # successors[successor_first : + successor_count]
        ("successor_count", "i4"),
        ("predecessor_first", "i4"),
        ("predecessor_count", "i4"),
        ("conflict_first", "i4"),  # conflicts[conflict_first : + conflict_count]
        ("conflict_count", "i4"),
    ]
)
"""One lane of one lane section; its points run in the direction of travel."""

LANE_POINT = np.dtype(
    [
        ("x", "f8"),  # [m] lane centre
        ("y", "f8"),
        ("z", "f8"),
        ("heading", "f8"),  # [rad] direction of travel
        ("s", "f8"),  # [m] from the start of the lane
        ("curvature", "f8"),  # [1/m] left positive
        ("width", "f8"),  # [m]
        ("speed_limit", "f8"),  # [m/s]
        ("left_mark", "u1"),  # MarkType, as one drives
        ("right_mark", "u1"),
        ("left_color", "u1"),  # MarkColor
        ("right_color", "u1"),
        ("left_mark_width", "f4"),  # [m] of one line
        ("right_mark_width", "f4"),
        ("may_change_left", "?"),
        ("may_change_right", "?"),
    ]
)
"""One point of a lane centreline; neighbours are at most 0.5 m apart."""

CONFLICT = np.dtype(
    [
        ("lane", "i4"),  # the other lane
        ("begin", "f8"),  # [m] on this lane, where the two surfaces start to overlap
        ("end", "f8"),
    ]
)
"""Where another lane of the same junction crosses or merges with this one."""

SIGNAL = np.dtype(
    [
        ("id", "i4"),  # OpenDRIVE id
        ("kind", "i4"),  # SignalKind
        ("value", "f8"),  # speed limit [m/s] for SPEED, else 0
        ("x", "f8"),  # [m]
        ("y", "f8"),
        ("z", "f8"),
        ("heading", "f8"),  # [rad] direction of travel of those it addresses
        ("controller", "i4"),  # OpenDRIVE id of its controller, -1 none
        ("junction", "i4"),  # OpenDRIVE id of its junction, -1 none
    ]
)
"""One traffic light or sign."""

STOP_LINE = np.dtype(
    [
        ("signal", "i4"),  # index into signals
        ("lane", "i4"),  # index into lanes
        ("s", "f8"),  # [m] on that lane
        ("x0", "f8"),  # [m] left end
        ("y0", "f8"),
        ("x1", "f8"),  # [m] right end
        ("y1", "f8"),
    ]
)
"""Where one signal makes the drivers of one lane stop."""


@dataclass(frozen=True, eq=False)
class RoadNetwork:
    """One map. All arrays are read-only; a network is equal only to itself, and a cache key.

    Attributes:
        name: of the map, e.g. "Town01" or "alder".
        hash: of the OpenDRIVE text; part of what decides an episode.
        lanes: (L,) LANE, of every type.
        points: (P,) LANE_POINT, lane after lane.
        successors: lane indices, (S,) int32.
        predecessors: lane indices, (S,) int32.
        conflicts: (X,) CONFLICT.
        signals: (N,) SIGNAL.
        stop_lines: (M,) STOP_LINE.
        crosswalks: corners of all crosswalk polygons, (C, 3) [m].
        crosswalk_first: first corner of each crosswalk, then C, (W + 1,) int32.
        geo_reference: latitude and longitude of the origin [deg].
        grid: index "which lanes touch this cell": see `LaneGrid`.
    """

    name: str
    hash: str
    lanes: Records
    points: Records
    successors: Ints
    predecessors: Ints
    conflicts: Records
    signals: Records
    stop_lines: Records
    crosswalks: Floats
    crosswalk_first: Ints
    geo_reference: tuple[float, float]
    grid: LaneGrid


@dataclass(frozen=True)
class LaneGrid:
    """Square cells that list the lane segments touching them.

    Attributes:
        x0: west edge [m].
        y0: south edge [m].
        cell: edge length [m].
        first: first entry of each cell, then the total, (rows * columns + 1,) int32.
        columns: cells from west to east.
        rows: cells from south to north.
        segment: index of the segment's first point in `points`, (E,) int32.
        lane: index of its lane, (E,) int32.
    """

    x0: float
    y0: float
    cell: float
    columns: int
    rows: int
    first: Ints
    segment: Ints
    lane: Ints


GRID_TYPES = (LaneType.DRIVING, LaneType.BIKING, LaneType.PARKING)
"""Lane types whose surface a vehicle may drive on; the grid lists these."""
_GRID_CELL = 4.0  # [m]


def build_grid(lanes: Records, points: Records, cell: float = _GRID_CELL) -> LaneGrid:
    """Indexes the drivable lane segments by the square cells their surface may touch.

    A segment is listed in every cell that its bounding box, widened by half the lane's
    width, meets; that is a superset of the cells it touches, and never misses one.

    Args:
        lanes: (L,) LANE.
        points: (P,) LANE_POINT.
        cell: edge of a cell [m].
    """
    listed = np.isin(lanes["type"], [int(kind) for kind in GRID_TYPES])
    owner = np.repeat(np.arange(len(lanes)), lanes["count"])
    is_last = np.zeros(len(points), bool)
    is_last[lanes["first"] + lanes["count"] - 1] = True
    segment = np.flatnonzero(listed[owner] & ~is_last)
    if len(segment) == 0:
        raise ValueError("the map has no driving lane; expected at least one")
    a, b = points[segment], points[segment + 1]
    half = 0.5 * np.maximum(a["width"], b["width"])
    low_x = np.minimum(a["x"], b["x"]) - half
    low_y = np.minimum(a["y"], b["y"]) - half
    high_x = np.maximum(a["x"], b["x"]) + half
    high_y = np.maximum(a["y"], b["y"]) + half
    x0, y0 = float(low_x.min()) - cell, float(low_y.min()) - cell
    columns = int((high_x.max() - x0) / cell) + 2
    rows = int((high_y.max() - y0) / cell) + 2
    i0, i1 = ((low_x - x0) / cell).astype(int), ((high_x - x0) / cell).astype(int)
    j0, j1 = ((low_y - y0) / cell).astype(int), ((high_y - y0) / cell).astype(int)
    cells, entries = [], []
    for di in range(int((i1 - i0).max()) + 1):
        for dj in range(int((j1 - j0).max()) + 1):
            inside = (i0 + di <= i1) & (j0 + dj <= j1)
            cells.append((j0 + dj)[inside] * columns + (i0 + di)[inside])
            entries.append(segment[inside])
    where, what = np.concatenate(cells), np.concatenate(entries)
    order = np.lexsort((what, where))
    first = np.zeros(rows * columns + 1, np.int32)
    np.cumsum(np.bincount(where, minlength=rows * columns), out=first[1:])
    what = what[order].astype(np.int32)
    return LaneGrid(x0, y0, cell, columns, rows, first, what, owner[what].astype(np.int32))
