"""A network as traffic sees it: lanes to follow, whom to yield to, where to stop.

Everything that can be decided from the map alone is decided here, once: which movements of a
junction conflict and who of the two has the right of way, how fast each place of a lane can be
driven, which lane a driver may change into. The kernels only look it up.

Right of way, in this order: a stop sign yields to a yield sign, that to no sign. Between equals
a left turn yields to the oncoming traffic it crosses; where no light rules the junction, who
comes from the right goes first (a movement without any sign opposite signs has priority).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Bools, Floats, Ints, Records
from drive_il.geometry import in_polygon, wrap_angle
from drive_il.maps.kept import kept
from drive_il.maps.lane_graph import LEFT, RIGHT, LaneGraph
from drive_il.maps.network import RoadNetwork, SignalKind

LATERAL_ACCELERATION = 2.2
"""in bends [m/s^2]"""
BRAKING = 2.0
"""towards bends [m/s^2]"""
STOP_BEFORE = 1.0
"""a junction without a stop line is waited for this far before it [m]"""
_CLEAR = 2.6  # [m] two ways from one lane are apart once their centres are
_SAME_PLACE = 0.7  # [m] ways nearer than this at their beginning come from one lane
_SPLIT = 10.0  # [m] further along another way than this none begins with it
_HALF_BODY = 1.35  # [m] that a wide vehicle needs on both sides of its way
_BODY = 6.0  # [m] its length; the few that are longer keep off tight bends where they can
_FAR_APART = 5.0  # [m] vehicles on ways further apart do not touch
_AXLE = 0.3  # share of the length between the centre and either axle
_ASLANT = np.radians(15.0)  # ways that differ less in direction run side by side
_SPACING = 0.6  # [m] a place is beside the nearest point of a way, or before or behind all
_SAME_LEVEL = 3.0  # [m] ways further apart in height do not meet
_TIGHT = 4.7  # [m/s] a bend that permits no more is left to short vehicles where possible
_STRAIGHT = np.radians(30.0)  # a movement that turns less goes straight on
_FREE_ROAD, _EQUAL, _YIELDS, _STOPS = 0, 1, 2, 3

ROAD = np.dtype(
    [
        ("first", "i4"),  # its points
        ("count", "i4"),
        ("length", "f8"),  # [m]
        ("per_metre", "f8"),  # points per metre
        ("junction", "i4"),  # OpenDRIVE id, -1 outside
        ("driving", "?"),
        ("left", "i4"),  # lane one may change into, -1 none, from s_left0 to s_left1
        ("right", "i4"),
        ("left_from", "f8"),  # [m]
        ("left_to", "f8"),
        ("right_from", "f8"),
        ("right_to", "f8"),
        ("way_first", "i4"),  # driving successors: ways[way_first : + way_count]
        ("way_count", "i4"),
        ("before_first", "i4"),  # driving predecessors: befores[...]
        ("before_count", "i4"),
        ("rival_first", "i4"),  # rivals[rival_first : + rival_count]
        ("rival_count", "i4"),
        ("stop_s", "f8"),  # [m] where to wait for the junction ahead; the lane's end if none
        ("light", "i4"),  # signal at that line, -1 none
        ("must_halt", "?"),  # a stop sign stands there
        ("rank", "i4"),  # of a junction lane: how far back it is in the right of way
        ("fast", "?"),  # a road that bicycles keep away from
        ("pace", "f4"),  # [m/s] that all of it can be driven at
        ("tight", "?"),  # a bend that long vehicles keep away from
        ("crossing_first", "i4"),  # crossings[crossing_first : + crossing_count]
        ("crossing_count", "i4"),
    ]
)
"""One lane, parallel to RoadNetwork.lanes."""

WAYPOINT = np.dtype(
    [
        ("x", "f8"),  # [m]
        ("y", "f8"),
        ("z", "f8"),
        ("heading", "f8"),  # [rad]
        ("limit", "f4"),  # [m/s] speed limit
        ("safe", "f4"),  # [m/s] speed that the bends from here to the lane's end permit
        ("half_width", "f4"),  # [m]
        ("slope", "f4"),  # rise per metre
    ]
)
"""One lane point, parallel to RoadNetwork.points."""

RIVAL = np.dtype(
    [
        ("lane", "i4"),  # the other junction lane
        ("sibling", "?"),  # both begin at one place: from `begin` to where they part, `end`
        ("yields", "?"),  # this one gives way to the other
        ("begin", "f8"),  # [m] on this lane, where the surfaces meet
        ("end", "f8"),
        ("other_begin", "f8"),  # [m] the same on the other
        ("other_end", "f8"),
    ]
)
"""Another movement of the same junction that meets this one."""

CROSSING = np.dtype(
    [
        ("crosswalk", "i4"),  # index of the crosswalk
        ("begin", "f8"),  # [m] on the lane
        ("end", "f8"),
    ]
)
"""Where a lane runs over a crosswalk."""


class Roads(NamedTuple):
    """What the kernels take; see `roads_of`.

    Attributes:
        lanes: (L,) ROAD.
        points: (P,) WAYPOINT.
        ways: driving successors, lane after lane.
        befores: driving predecessors, lane after lane.
        rivals: RIVALs, lane after lane.
        crossings: CROSSINGs, lane after lane.
        places: lane of each place where a vehicle may be put, (N,).
        place_s: where on it, (N,) [m].
    """

    lanes: Records
    points: Records
    ways: Ints
    befores: Ints
    rivals: Records
    crossings: Records
    places: Ints
    place_s: Floats


ROADS = nt.NamedTuple(
    (
        kernels.record(ROAD)[::1],
        kernels.record(WAYPOINT)[::1],
        nt.int32[::1],
        nt.int32[::1],
        kernels.record(RIVAL)[::1],
        kernels.record(CROSSING)[::1],
        nt.int32[::1],
        nt.float64[::1],
    ),
    Roads,
)
"""Numba type of `Roads`."""


@lru_cache(maxsize=8)
def roads_of(network: RoadNetwork) -> Roads:
    """Returns a network's tables for traffic (remembered, and kept in the cache folder)."""
    return Roads(**kept("roads", network, __file__, lambda: _build(network)._asdict()))


def _build(network: RoadNetwork) -> Roads:
    graph = LaneGraph(network)
    lanes = _lanes(network, graph)
    points = _points(network, lanes)
    ways = _packed(lanes, "way", graph.successors)
    befores = _packed(lanes, "before", _reversed(graph.successors))
    _stops(network, lanes, graph)
    _ranks(lanes, graph)
    rivals = _rivals(network, lanes, graph)
    crossings = _crossings(network, lanes)
    places, place_s = _places(lanes)
    return Roads(lanes, points, ways, befores, rivals, crossings, places, place_s)


def _lanes(network: RoadNetwork, graph: LaneGraph) -> Records:
    lanes = np.zeros(len(network.lanes), ROAD)
    for name in ("first", "count", "length", "junction"):
        lanes[name] = network.lanes[name]
    lanes["per_metre"] = (lanes["count"] - 1) / np.maximum(lanes["length"], 1e-6)
    lanes["driving"] = graph.driving
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        lanes[name] = -1
        for lane in range(len(lanes)):
            if (lane, side) in graph.neighbour:
                lanes[name][lane] = graph.neighbour[lane, side]
                low, high = graph.run[lane, side]
                lanes[f"{name}_from"][lane] = low * lanes["length"][lane]
                lanes[f"{name}_to"][lane] = high * lanes["length"][lane]
    limits = network.points["speed_limit"][np.minimum(lanes["first"], len(network.points) - 1)]
    lanes["fast"] = limits > 17.0
    return lanes


def _points(network: RoadNetwork, lanes: Records) -> Records:
    given = _evenly(network)
    points = np.zeros(len(given), WAYPOINT)
    for name in ("x", "y", "z", "heading"):
        points[name] = given[name]
    points["limit"] = given["speed_limit"]
    points["half_width"] = 0.5 * given["width"]
    bend = np.abs(given["curvature"]).astype(np.float64)
    allowed = np.minimum(given["speed_limit"] ** 2, LATERAL_ACCELERATION / np.maximum(bend, 1e-6))
    for lane in np.flatnonzero(lanes["driving"]):
        rows = slice(lanes["first"][lane], lanes["first"][lane] + lanes["count"][lane])
        # The fastest square of speed from which braking evenly still meets every later bound.
        slack = 2.0 * BRAKING * given["s"][rows]
        later = np.minimum.accumulate((allowed[rows] + slack)[::-1])[::-1]
        points["safe"][rows] = np.sqrt(later - slack)
        lanes["pace"][lane] = points["safe"][rows].min()
        lanes["tight"][lane] = lanes["pace"][lane] < _TIGHT
        points["slope"][rows] = np.gradient(given["z"][rows], np.maximum(given["s"][rows], 0.0))
    return points


def _evenly(network: RoadNetwork) -> Records:
    """Returns the points of a network, moved along their lanes to equal distances.

    Drivers find the point at s without a search; where a lane's own points lie closer here than
    there they would be metres beside it, and faster than they are.
    """
    points = network.points.copy()
    for lane in network.lanes:
        rows = slice(lane["first"], lane["first"] + lane["count"])
        old = network.points[rows]
        if lane["count"] < 2 or not lane["length"] > 0.0:
            continue
        s = np.linspace(0.0, lane["length"], lane["count"])
        for name in ("x", "y", "z", "width", "curvature"):
            points[name][rows] = np.interp(s, old["s"], old[name])
        heading = np.interp(s, old["s"], np.unwrap(old["heading"].astype(np.float64)))
        points["heading"][rows] = wrap_angle(heading)
        before = np.clip(np.searchsorted(old["s"], s + 1e-6) - 1, 0, len(old) - 1)
        points["speed_limit"][rows] = old["speed_limit"][before]
        points["s"][rows] = s
    return points


def _packed(lanes: Records, name: str, lists: list[list[int]]) -> Ints:
    counts = np.array([len(one) for one in lists], np.int32)
    lanes[f"{name}_count"] = counts
    lanes[f"{name}_first"] = np.cumsum(counts) - counts
    return np.array([lane for one in lists for lane in one], np.int32)


def _reversed(successors: list[list[int]]) -> list[list[int]]:
    before: list[list[int]] = [[] for _ in successors]
    for lane, following in enumerate(successors):
        for other in following:
            before[other].append(lane)
    return before


def _stops(network: RoadNetwork, lanes: Records, graph: LaneGraph) -> None:
    lanes["light"] = -1
    lanes["stop_s"] = lanes["length"]
    for lane, following in enumerate(graph.successors):
        if any(lanes["junction"][other] >= 0 for other in following):
            lanes["stop_s"][lane] = max(0.5 * lanes["length"][lane], lanes["length"][lane] - 1.0)
    for line in network.stop_lines:
        lane, kind = int(line["lane"]), int(network.signals["kind"][line["signal"]])
        lanes["stop_s"][lane] = min(lanes["stop_s"][lane], line["s"])
        if kind == SignalKind.LIGHT:
            lanes["light"][lane] = line["signal"]
        lanes["must_halt"][lane] |= kind == SignalKind.STOP
        rank = {SignalKind.STOP: _STOPS, SignalKind.YIELD: _YIELDS}.get(SignalKind(kind), 0)
        for other in graph.successors[lane]:
            lanes["rank"][other] = max(int(lanes["rank"][other]), rank)


def _ranks(lanes: Records, graph: LaneGraph) -> None:
    """Between movements without a sign, those of a junction that has no signs are equals."""
    inside = (lanes["junction"] >= 0) & lanes["driving"]
    for junction in np.unique(lanes["junction"][inside]):
        members = inside & (lanes["junction"] == junction)
        if not (lanes["rank"][members] >= _YIELDS).any():
            lanes["rank"][members] = _EQUAL


def _rivals(network: RoadNetwork, lanes: Records, graph: LaneGraph) -> Records:
    before = _reversed(graph.successors)
    zones = _zones(network, lanes, before)
    lit = _lit_junctions(lanes, graph)
    lists: list[list[tuple[int, bool, bool, float, float, float, float]]] = [[] for _ in lanes]
    for (lane, other), (begin, end) in zones.items():
        begins = _begin_together(_way(network, lane), _way(network, other))
        if begins is None:
            gives_way = _gives_way(network, lanes, lane, other, lit)
            lists[lane].append((other, False, gives_way, begin, end, *zones[other, lane]))
        else:
            lists[lane].append(_sibling(network, lane, other, begins))
    for lane in np.flatnonzero((lanes["junction"] >= 0) & lanes["driving"]).tolist():
        for other in {o for b in before[lane] for o in graph.successors[b]} - {lane}:
            lists[lane].append(_sibling(network, lane, other, (0.0, 0.0)))
    counts = np.array([len(one) for one in lists], np.int32)
    lanes["rival_count"] = counts
    lanes["rival_first"] = np.cumsum(counts) - counts
    rivals = np.zeros(int(counts.sum()), RIVAL)
    for row, entry in enumerate(entry for one in lists for entry in one):
        rivals[row] = entry
    return rivals


def _zones(
    network: RoadNetwork, lanes: Records, before: list[list[int]]
) -> dict[tuple[int, int], tuple[float, float]]:
    """Where vehicles on two movements of a junction would come too near each other.

    Returns:
        (lane, other) -> first and last such place on the lane [m], for movements that do not
        begin on one lane.
    """
    inside = np.flatnonzero((lanes["junction"] >= 0) & lanes["driving"])
    zones = {}
    for junction in np.unique(lanes["junction"][inside]):
        members = inside[lanes["junction"][inside] == junction].tolist()
        for a in members:
            for b in members:
                if a < b and not set(before[a]) & set(before[b]):
                    zone = _meeting(_way(network, a), _way(network, b))
                    if zone is not None:
                        zones[a, b], zones[b, a] = zone
    return zones


def _way(network: RoadNetwork, lane: int) -> Records:
    record = network.lanes[lane]
    return network.points[record["first"] : record["first"] + record["count"]]


def _meeting(a: Records, b: Records) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """First and last places on both ways where vehicles on them would touch."""
    near = np.hypot(a["x"][:, None] - b["x"], a["y"][:, None] - b["y"]) < _FAR_APART
    a, b = a[near.any(axis=1)], b[near.any(axis=0)]
    if not len(a):
        return None
    on_a, b_met = _swept(a, b)
    on_b, a_met = _swept(b, a)
    on_a, on_b = a["s"][on_a | a_met], b["s"][on_b | b_met]
    if not len(on_a):
        return None
    return (float(on_a[0]), float(on_a[-1])), (float(on_b[0]), float(on_b[-1]))


def _sides(way: Records) -> tuple[Floats, Floats]:
    """How far a vehicle reaches to the left and the right of a way, at each point [m].

    With both axles on the way, its middle is inside of a bend and its corners are outside.
    """
    bend = np.asarray(way["curvature"], np.float64)
    inside = 0.5 * (_AXLE * _BODY) ** 2 * np.abs(bend)
    outside = 0.5 * (0.25 - _AXLE**2) * _BODY**2 * np.abs(bend)
    left = _HALF_BODY + np.where(bend > 0.0, inside, outside)
    right = _HALF_BODY + np.where(bend > 0.0, outside, inside)
    return left, right


def _swept(way: Records, other: Records) -> tuple[Bools, Bools]:
    """Compares the strip that vehicles on a way need with that of those on another.

    Returns:
        Which points of the way have some of their cross-section in the other's strip, and which
        points of the other are nearest to that.
    """
    left, right = _sides(way)
    share = np.linspace(0.0, 1.0, 7)
    beside = left[:, None] * share - right[:, None] * (1.0 - share)  # (N, 7)
    x = way["x"][:, None] - np.sin(way["heading"])[:, None] * beside
    y = way["y"][:, None] + np.cos(way["heading"])[:, None] * beside
    dx, dy = x[..., None] - other["x"], y[..., None] - other["y"]  # (N, 7, M)
    near = np.argmin(dx * dx + dy * dy, axis=2)
    dx, dy = x - other["x"][near], y - other["y"][near]
    cos, sin = np.cos(other["heading"])[near], np.sin(other["heading"])[near]
    on, off = cos * dx + sin * dy, cos * dy - sin * dx
    other_left, other_right = _sides(other)
    hit = (off < other_left[near]) & (off > -other_right[near]) & (np.abs(on) < _SPACING)
    hit &= np.abs(way["z"][:, None] - other["z"][near]) < _SAME_LEVEL
    met = np.zeros(len(other), bool)
    met[near[hit]] = True
    return hit.any(axis=1), met


def _lit_junctions(lanes: Records, graph: LaneGraph) -> set[int]:
    return {
        int(lanes["junction"][other])
        for lane in np.flatnonzero(lanes["light"] >= 0).tolist()
        for other in graph.successors[lane]
    }


def _ends(network: RoadNetwork, lane: int) -> tuple[float, float]:
    """Headings at both ends of a lane [rad]."""
    record = network.lanes[lane]
    heading = network.points["heading"]
    last = record["first"] + record["count"] - 1
    return float(heading[record["first"]]), float(heading[last])


def _gives_way(network: RoadNetwork, lanes: Records, lane: int, other: int, lit: set[int]) -> bool:
    """Whether traffic on a junction lane yields to that on another."""
    begin, end = _ends(network, lane)
    other_begin, other_end = _ends(network, other)
    angle = float(wrap_angle(other_begin - begin))
    turn, other_turn = float(wrap_angle(end - begin)), float(wrap_angle(other_end - other_begin))
    rank, other_rank = int(lanes["rank"][lane]), int(lanes["rank"][other])
    is_lit = int(lanes["junction"][lane]) in lit
    if not is_lit and rank != other_rank:
        return rank > other_rank
    if abs(angle) > np.radians(120.0):  # face to face: the left turn waits
        return turn > _STRAIGHT and other_turn < _STRAIGHT
    if is_lit:
        return False  # the light keeps the two apart
    if abs(angle) < np.radians(30.0):  # side by side into one lane: who turns less goes first
        return abs(turn) > abs(other_turn) + 0.02
    return angle > 0.0  # the other comes from the right, so that it heads to the left


def _begin_together(a: Records, b: Records) -> tuple[float, float] | None:
    """Where two ways that were one before begin to be two, on both; None for any others.

    A map may split the lane before a junction into pieces within it, so that ways from one
    lane do not begin at quite the same place.
    """
    for way, other, swap in ((a, b, False), (b, a, True)):
        away = np.hypot(other["x"] - way["x"][0], other["y"] - way["y"][0])
        near = int(np.argmin(away))
        turn = abs(float(wrap_angle(other["heading"][near] - way["heading"][0])))
        level = abs(float(other["z"][near] - way["z"][0])) < _SAME_LEVEL
        if away[near] < _SAME_PLACE and turn < _ASLANT and level and other["s"][near] < _SPLIT:
            s = float(other["s"][near])
            return (s, 0.0) if swap else (0.0, s)
    return None


def _sibling(
    network: RoadNetwork, lane: int, other: int, begins: tuple[float, float]
) -> tuple[int, bool, bool, float, float, float, float]:
    """The entry of a way from the same lane: from where both begin to where they part [m]."""
    a, b = _way(network, lane), _way(network, other)
    return other, True, False, begins[0], _parting(a, b), begins[1], _parting(b, a)


def _parting(way: Records, other: Records) -> float:
    """How far from its beginning a way stays within reach of another [m]."""
    apart = np.hypot(way["x"][:, None] - other["x"], way["y"][:, None] - other["y"]).min(axis=1)
    clear = np.flatnonzero(apart >= _CLEAR)
    return float(way["s"][clear[0] if len(clear) else -1])


def _crossings(network: RoadNetwork, lanes: Records) -> Records:
    found: list[list[tuple[int, float, float]]] = [[] for _ in lanes]
    points = network.points
    owner = np.repeat(np.arange(len(lanes)), lanes["count"])
    driving = np.asarray(lanes["driving"])[owner]
    first = network.crosswalk_first
    for number, (a, b) in enumerate(zip(first[:-1], first[1:], strict=True)):
        corners = network.crosswalks[a:b, :2]
        low, high = corners.min(axis=0), corners.max(axis=0)
        near = np.flatnonzero(
            driving
            & (points["x"] >= low[0])
            & (points["x"] <= high[0])
            & (points["y"] >= low[1])
            & (points["y"] <= high[1])
        )
        places = np.stack((points["x"][near], points["y"][near]), axis=1)
        hit = near[in_polygon(places, corners)]
        for lane in np.unique(owner[hit]).tolist():
            s = points["s"][hit[owner[hit] == lane]]
            found[lane].append((number, float(s.min()), float(s.max())))
    counts = np.array([len(one) for one in found], np.int32)
    lanes["crossing_count"] = counts
    lanes["crossing_first"] = np.cumsum(counts) - counts
    crossings = np.zeros(int(counts.sum()), CROSSING)
    for row, entry in enumerate(entry for one in found for entry in one):
        crossings[row] = entry
    return crossings


def _places(lanes: Records) -> tuple[Ints, Floats]:
    """Places for vehicles: every 4 m of the lanes outside junctions, ends left free."""
    found_lanes, found_s = [], []
    for lane in np.flatnonzero(lanes["driving"] & (lanes["junction"] < 0)):
        s = np.arange(5.0, lanes["stop_s"][lane] - 4.0, 4.0)
        found_lanes.append(np.full(len(s), lane, np.int32))
        found_s.append(s)
    if not found_lanes:
        return np.zeros(0, np.int32), np.zeros(0)
    return np.concatenate(found_lanes), np.concatenate(found_s)
