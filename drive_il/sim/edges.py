"""Which markings an ego's sides cross in a step, and whether a wheel goes up a kerb.

CARLA's lane invasion sensor reports a marking when a corner of the vehicle's box passes over it;
so it is here, and the kerb of a sidewalk is one when a wheel passes it upwards. Both look at
the ego's pose before and after the step and at the map, and at nothing else.

An ego within its lane is nowhere near either: each lane point knows how much of the ground
beside it is free of both.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import Struck
from drive_il.datatypes import Floats, Ints, Records
from drive_il.maps import lane_queries
from drive_il.maps.ground import Ground, ground
from drive_il.maps.kept import kept
from drive_il.maps.network import LaneType, MarkType, RoadNetwork
from drive_il.sim.obstacles import FIELD

_CELL = 4.0  # [m]
_WINDOW = 6.0  # [m] along the lane for which a point vouches
_POINTS = 13  # so many points lie within the window on either side, at half a metre
_HEIGHTS = 3.0  # [m] markings further above or below are of another road
_STATIC = int(Struck.STATIC)

MARK_LINE = np.dtype(
    [("x0", "f8"), ("y0", "f8"), ("x1", "f8"), ("y1", "f8"), ("z", "f8"), ("type", "u1")]
)
"""A piece of a lane marking [m] and its MarkType."""

MARGIN = np.dtype(
    [
        ("x", "f8"),  # [m] middle of the lane
        ("y", "f8"),
        ("nx", "f8"),  # unit vector to its left
        ("ny", "f8"),
        ("free", "f4"),  # [m] beside the middle, free of markings and kerbs within the window
        ("bend", "f4"),  # [1/m] sharpest curvature within the window
    ]
)
"""What one lane point knows of the ground around it."""


class Edges(NamedTuple):
    """What the kernels take; see `edges_of`.

    Attributes:
        field: the grid, (1,) FIELD.
        line_first: first line of each cell, then their number.
        lines: the MARK_LINEs of each cell, cell after cell.
        walk_first: first sidewalk segment of each cell, then their number.
        walks: first point of each sidewalk segment, cell after cell.
        margins: (P,) MARGIN, one per lane point.
        longest: length of the longest line, (1,) [m].
    """

    field: Records
    line_first: Ints
    lines: Records
    walk_first: Ints
    walks: Ints
    margins: Records
    longest: Floats


EDGES = nt.NamedTuple(
    (
        kernels.record(FIELD)[::1],
        nt.int32[::1],
        kernels.record(MARK_LINE)[::1],
        nt.int32[::1],
        nt.int32[::1],
        kernels.record(MARGIN)[::1],
        nt.float64[::1],
    ),
    Edges,
)
"""Numba type of `Edges`."""


@lru_cache(maxsize=8)
def edges_of(network: RoadNetwork) -> Edges:
    """Returns the markings and kerbs of a map (remembered, and kept in the cache folder)."""
    return Edges(**kept("edges", network, __file__, lambda: _build(network)._asdict()))


def _build(network: RoadNetwork) -> Edges:
    sections = ground(network)[3]
    owner = np.repeat(network.lanes["type"], network.lanes["count"])
    begins = np.ones(len(sections), bool)  # a segment to the next point begins here
    begins[network.lanes["first"] + network.lanes["count"] - 1] = False
    lines = _lines(network, sections, begins)
    walks = np.flatnonzero(begins & (owner == LaneType.SIDEWALK))
    corners = _corners(sections, walks)
    field = _field(lines, corners)
    x, y = (np.stack([lines[f"{axis}0"], lines[f"{axis}1"]], axis=1) for axis in "xy")
    line_first, line = _by_cell(field[0], x, y)
    walk_first, walk = _by_cell(field[0], corners[..., 0], corners[..., 1])
    seen = np.concatenate([np.stack([lines["x0"], lines["y0"]], 1), corners.reshape(-1, 2)])
    margins = _margins(network, seen)
    walks = walks.astype(np.int32)
    lengths = np.hypot(lines["x1"] - lines["x0"], lines["y1"] - lines["y0"])
    longest = np.array([lengths.max(initial=0.0)])
    return Edges(field, line_first, lines[line], walk_first, walks[walk], margins, longest)


def _lines(network: RoadNetwork, sections: Records, begins: Any) -> Records:
    found = []
    for side in ("left", "right"):
        here = np.flatnonzero(begins & (network.points[f"{side}_mark"] != MarkType.NONE))
        lines = np.zeros(len(here), MARK_LINE)
        for axis in "xy":
            lines[f"{axis}0"] = sections[f"{side}_{axis}"][here]
            lines[f"{axis}1"] = sections[f"{side}_{axis}"][here + 1]
        lines["z"], lines["type"] = sections["z"][here], network.points[f"{side}_mark"][here]
        found.append(lines)
    return np.concatenate(found)


def _corners(sections: Records, segments: Ints) -> Floats:
    """The quadrilaterals of lane segments, (N, 4, 2) [m]."""
    return np.stack(
        [
            np.stack([sections[f"{side}_x"][rows], sections[f"{side}_y"][rows]], axis=1)
            for side, rows in (
                ("left", segments),
                ("right", segments),
                ("left", segments + 1),
                ("right", segments + 1),
            )
        ],
        axis=1,
    )


def _field(lines: Records, corners: Floats) -> Records:
    field = np.zeros(1, FIELD)
    x = np.concatenate([lines["x0"], lines["x1"], corners[..., 0].ravel()])
    y = np.concatenate([lines["y0"], lines["y1"], corners[..., 1].ravel()])
    if len(x):
        columns, rows = (int(np.ptp(axis) / _CELL) + 1 for axis in (x, y))
        field[0] = (x.min(), y.min(), _CELL, columns, rows)
    else:
        field[0] = (0.0, 0.0, _CELL, 0, 0)
    return field


def _by_cell(field: Any, x: Floats, y: Floats) -> tuple[Ints, Ints]:
    """Lists things in the cells that the boxes around their corners, (N, K) [m], touch."""
    n_cells = int(field["columns"] * field["rows"])
    if not len(x):
        return np.zeros(n_cells + 1, np.int32), np.zeros(0, np.int64)
    i0, i1 = (((f(x, axis=1) - field["x0"]) / _CELL).astype(int) for f in (np.min, np.max))
    j0, j1 = (((f(y, axis=1) - field["y0"]) / _CELL).astype(int) for f in (np.min, np.max))
    cells, listed = [], []
    for di in range(int((i1 - i0).max()) + 1):
        for dj in range(int((j1 - j0).max()) + 1):
            inside = np.flatnonzero((i0 + di <= i1) & (j0 + dj <= j1))
            cells.append((j0[inside] + dj) * field["columns"] + i0[inside] + di)
            listed.append(inside)
    cell, which = np.concatenate(cells), np.concatenate(listed)
    order = np.argsort(cell, kind="stable")
    first = np.searchsorted(cell[order], np.arange(n_cells + 1)).astype(np.int32)
    return first, which[order]


def _margins(network: RoadNetwork, seen: Floats) -> Records:
    """How far from each lane point the nearest marking or kerb is, along its window."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d  # slow to load
    from scipy.spatial import cKDTree

    lanes, points = network.lanes, network.points
    margins = np.zeros(len(points), MARGIN)
    margins["x"], margins["y"] = points["x"], points["y"]
    margins["nx"], margins["ny"] = -np.sin(points["heading"]), np.cos(points["heading"])
    away = np.full(len(points), 1e3)
    if len(seen):
        xy = np.stack([points["x"], points["y"]], axis=1)
        away = np.minimum(cKDTree(seen).query(xy, distance_upper_bound=20.0)[0], 1e3)
    # Both are sampled every half metre, so that either may be a quarter off.
    away, bend = np.sqrt(np.maximum(away**2 - 0.13, 0.0)), np.abs(points["curvature"])
    ends: dict[int, tuple[float, float, float, float]] = {}
    for number, lane in enumerate(lanes):
        rows = slice(lane["first"], lane["first"] + lane["count"])
        low, sharp = away[rows], bend[rows]
        margins["free"][rows] = minimum_filter1d(low, 2 * _POINTS + 1, mode="nearest")
        margins["bend"][rows] = maximum_filter1d(sharp, 2 * _POINTS + 1, mode="nearest")
        k = _POINTS
        ends[number] = (low[:k].min(), sharp[:k].max(), low[-k:].min(), sharp[-k:].max())
    for lane in lanes:
        mine = margins[lane["first"] : lane["first"] + lane["count"]]
        n = min(_POINTS, len(mine))
        for other in _linked(network.successors, lane, "successor"):
            _worsen(mine[-n:], ends[other][0], ends[other][1])
        for other in _linked(network.predecessors, lane, "predecessor"):
            _worsen(mine[:n], ends[other][2], ends[other][3])
        if lane["length"] < _WINDOW:
            mine["free"] = 0.0  # its window would reach beyond its neighbours
        if not lane["successor_count"]:
            mine["free"][-n:] = 0.0
        if not lane["predecessor_count"]:
            mine["free"][:n] = 0.0
    return margins


def _linked(table: Ints, lane: Any, name: str) -> list[int]:
    first = int(lane[f"{name}_first"])
    return [int(one) for one in table[first : first + int(lane[f"{name}_count"])]]


def _worsen(margins: Records, free: float, bend: float) -> None:
    margins["free"] = np.minimum(margins["free"], free)
    margins["bend"] = np.maximum(margins["bend"], bend)


@kernels.inner
def _spare(ego: Any, before: Any, margin: Any, cos: float, sin: float) -> tuple[float, float]:
    """How far both sides of an ego at least were and are from all that can be crossed [m].

    Args:
        ego: VEHICLE record after the step.
        before: VEHICLE record before it.
        margin: MARGIN record of the lane point below.
        cos: of the ego's heading.
        sin: of it.

    Returns:
        Of its left and its right side; negative where that is not known.
    """
    mx, my = ego.x - before.x, ego.y - before.y
    half_length, half_width = 0.5 * ego.length, 0.5 * ego.width
    reach = half_length + abs(mx) + abs(my) + 0.5
    turned = abs(ego.heading - before.heading)
    if reach > _WINDOW or turned > 1.0:
        return -1.0, -1.0
    now = (ego.x - margin.x) * margin.nx + (ego.y - margin.y) * margin.ny
    then = now - mx * margin.nx - my * margin.ny
    # Of the angle to the lane now; what was turned in the step comes on top.
    aslant = abs(cos * margin.nx + sin * margin.ny) + turned
    out = half_width + half_length * aslant + 0.5 * margin.bend * reach * reach + 0.02
    left, right = margin.free - out - max(now, then), margin.free - out + min(now, then)
    along = cos * margin.ny - sin * margin.nx
    # Aslant, a side also reaches over to where the other one is.
    over = ego.width * max(abs(along) - turned, 0.0)
    left, right = min(left, right + over), min(right, left + over)
    return (left, right) if along >= 0.0 else (right, left)


@kernels.device
def cross_edges(
    ego: Any, before: Any, segment: int, edges: Any, ground: Ground, events: Any
) -> None:
    """Reports the markings that an ego's sides crossed in a step, and the kerb it went up.

    Args:
        ego: VEHICLE record after the step.
        before: VEHICLE record before it.
        segment: first point of the lane segment below the ego.
        edges: see Edges.
        ground: of the map.
        events: EVENTS record, cleared.
    """
    cos, sin = math.cos(ego.heading), math.sin(ego.heading)
    left, right = -1.0, -1.0
    if segment >= 0:
        left, right = _spare(ego, before, edges.margins[segment], cos, sin)
    if left > 0.0 and right > 0.0:
        return
    old = (math.cos(before.heading), math.sin(before.heading))
    if left <= 0.0:
        events.left_mark = _cross_side(1.0, ego, before, (cos, sin), old, edges, ground, events)
    if right <= 0.0:
        events.right_mark = _cross_side(-1.0, ego, before, (cos, sin), old, edges, ground, events)


@kernels.device
def _cross_side(
    side: float,
    ego: Any,
    before: Any,
    new: tuple[float, float],
    old: tuple[float, float],
    edges: Any,
    ground: Ground,
    events: Any,
) -> int:
    """Returns the MarkType that one side crossed, the left is 1, and reports a kerb it climbed.

    `new` and `old` are cosine and sine of the heading now and before.
    """
    v, found = side * 0.5 * ego.width, 0
    for end in range(2):
        u = 0.5 * ego.length if end == 0 else -0.5 * ego.length
        if found == 0:
            found = _mark_between(_place(before, old, u, v), _place(ego, new, u, v), ego.z, edges)
        u = ego.rear_wheelbase if end == 0 else -ego.rear_wheelbase
        _climb(ego, _place(before, old, u, v), _place(ego, new, u, v), edges, ground, events)
    return found


@kernels.inner
def _place(vehicle: Any, way: tuple[float, float], u: float, v: float) -> tuple[float, float]:
    """The world's x, y of a place on a vehicle, u ahead and v to the left of its middle [m]."""
    return vehicle.x + way[0] * u - way[1] * v, vehicle.y + way[1] * u + way[0] * v


@kernels.inner
def _side(line: Any, x: float, y: float) -> bool:
    return (line.x1 - line.x0) * (y - line.y0) - (line.y1 - line.y0) * (x - line.x0) >= 0.0


@kernels.device
def _mark_between(
    begin: tuple[float, float], end: tuple[float, float], z: float, edges: Any
) -> int:
    """Returns the MarkType of a marking between two places, 0 when there is none."""
    field = edges.field[0]
    i0 = max(int(math.floor((min(begin[0], end[0]) - field.x0) / field.cell)), 0)
    i1 = min(int(math.floor((max(begin[0], end[0]) - field.x0) / field.cell)), field.columns - 1)
    j0 = max(int(math.floor((min(begin[1], end[1]) - field.y0) / field.cell)), 0)
    j1 = min(int(math.floor((max(begin[1], end[1]) - field.y0) / field.cell)), field.rows - 1)
    dx, dy = end[0] - begin[0], end[1] - begin[1]
    far = abs(dx) + abs(dy) + edges.longest[0]
    for j in range(j0, j1 + 1):
        for i in range(i0, i1 + 1):
            cell = j * field.columns + i
            for k in range(edges.line_first[cell], edges.line_first[cell + 1]):
                line = edges.lines[k]
                if abs(line.x0 - begin[0]) > far or abs(line.y0 - begin[1]) > far:
                    continue
                if abs(line.z - z) > _HEIGHTS:
                    continue
                if _side(line, begin[0], begin[1]) == _side(line, end[0], end[1]):
                    continue
                first = dx * (line.y0 - begin[1]) - dy * (line.x0 - begin[0]) >= 0.0
                last = dx * (line.y1 - begin[1]) - dy * (line.x1 - begin[0]) >= 0.0
                if first != last:
                    return int(line.type)
    return 0


@kernels.device
def _sidewalk_at(x: float, y: float, z: float, edges: Any, sections: Records) -> int:
    """Returns the first point of the sidewalk segment below a place, -1 when there is none."""
    field = edges.field[0]
    i = int(math.floor((x - field.x0) / field.cell))
    j = int(math.floor((y - field.y0) / field.cell))
    if not (0 <= i < field.columns and 0 <= j < field.rows):
        return -1
    cell = j * field.columns + i
    for k in range(edges.walk_first[cell], edges.walk_first[cell + 1]):
        segment = edges.walks[k]
        a = sections[segment]
        if abs(a.z - z) < _HEIGHTS and lane_queries.holds(a, sections[segment + 1], x, y):
            return int(segment)
    return -1


@kernels.device
def _climb(
    ego: Any,
    begin: tuple[float, float],
    end: tuple[float, float],
    edges: Any,
    ground: Ground,
    events: Any,
) -> None:
    """Reports a contact when a wheel went up a sidewalk between two places."""
    sections = ground[3]
    segment = _sidewalk_at(end[0], end[1], ego.z, edges, sections)
    if segment < 0 or _sidewalk_at(begin[0], begin[1], ego.z, edges, sections) >= 0:
        return
    if lane_queries.find(ground, end[0], end[1], ego.z, -1)[3] == 0.0:
        return  # a driveway over the sidewalk
    a, b = sections[segment], sections[segment + 1]
    dx, dy = b.left_x - a.left_x, b.left_y - a.left_y
    length = max(math.sqrt(dx * dx + dy * dy), 1e-9)
    course = ego.heading + ego.slip
    closing = abs(math.cos(course) * dy - math.sin(course) * dx) / length * ego.speed
    if events.struck == 0 or closing > events.struck_speed:
        events.struck, events.struck_id = _STATIC, 0
        events.struck_x, events.struck_y = end[0], end[1]
        events.struck_speed = closing
        events.impulse_x = events.impulse_y = 0.0
