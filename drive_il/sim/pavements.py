"""Where people walk: sidewalks and crossings as a graph of paths.

A path runs along the middle of a sidewalk, over a crosswalk, or straight across a street where
only jaywalkers go; it may be walked both ways. Sidewalks are cut where a crossing meets them,
so that paths meet only at nodes. On a map without sidewalks people walk on the shoulders of its
slower roads, and nobody crosses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Floats, Ints, Records
from drive_il.geometry import arc_length, wrap_angle
from drive_il.maps.kept import kept
from drive_il.maps.network import LaneType, RoadNetwork
from drive_il.sim.roads import Roads, roads_of

SIDEWALK, CROSSWALK, ACROSS = range(3)
"""kinds of path: along a street, over a crosswalk, over a street where there is none"""
_SPACING = 1.0  # [m] between the points of a path
_JOINED = 1.0  # [m] ends of sidewalks nearer than this are one place
_FROM_EDGE = 0.45  # [m] that a walker's middle keeps from the edge of its path
_REACH = 8.0  # [m] from the end of a crosswalk to the middle of its sidewalk, at most
_NARROW = 1.0  # [m] a shoulder that is narrower is none to walk on
_SLOW = 20.0  # [m/s] nor one beside a faster road
_ACROSS_EVERY = 30.0  # [m]
_ACROSS_CLEAR = 15.0  # [m] from the ends of a sidewalk
_WIDEST = 25.0  # [m] street that jaywalkers cross
_CORNER = 0.45  # [m] further from the kerb where long vehicles cut the corner
_AT_END = 1.0  # [m] a crossing so near a sidewalk's end meets it there
_STRAIGHT = np.radians(30.0)

PATH = np.dtype(
    [
        ("first", "i4"),  # its points
        ("count", "i4"),
        ("length", "f8"),  # [m]
        ("per_metre", "f8"),  # points per metre
        ("kind", "i4"),
        ("crosswalk", "i4"),  # index of the crosswalk, -1 none
        ("room", "f8"),  # [m] that a walker may be beside the middle
        ("kerb", "f8"),  # [m] from the beginning to the road; only where it crosses one
        ("far_kerb", "f8"),  # [m] where the road ends
        ("node", "i4"),  # at the beginning
        ("far_node", "i4"),
    ]
)
"""One path between two nodes."""

STEP = np.dtype([("x", "f8"), ("y", "f8"), ("z", "f8"), ("tx", "f8"), ("ty", "f8")])
"""One point of a path [m] and the direction from it to the next."""

NODE = np.dtype([("first", "i4"), ("count", "i4")])
"""Where paths meet: links[first : first + count] are 2 * path, + 1 for those that end there."""

PASSAGE = np.dtype(
    [
        ("path", "i4"),  # over the crosswalk, -1 when none leads to sidewalks
        ("x", "f8"),  # [m] its middle
        ("y", "f8"),
        ("signal_first", "i4"),  # lights of those who drive over it straight ahead
        ("signal_count", "i4"),
    ]
)
"""One crosswalk, parallel to the network's."""


class Pavements(NamedTuple):
    """What the kernels take; see `pavements_of`.

    Attributes:
        paths: PATHs, sidewalks first.
        points: STEPs, path after path.
        nodes: NODEs.
        links: of the nodes.
        passages: (C,) PASSAGE.
        signals: of the passages, by index into RoadNetwork.signals.
        reach: length of all sidewalks up to the end of each, (number of sidewalks,) [m].
    """

    paths: Records
    points: Records
    nodes: Records
    links: Ints
    passages: Records
    signals: Ints
    reach: Floats


PAVEMENTS = nt.NamedTuple(
    (
        kernels.record(PATH)[::1],
        kernels.record(STEP)[::1],
        kernels.record(NODE)[::1],
        nt.int32[::1],
        kernels.record(PASSAGE)[::1],
        nt.int32[::1],
        nt.float64[::1],
    ),
    Pavements,
)
"""Numba type of `Pavements`."""


@dataclass
class _Crossing:
    """A way over a street between two places on sidewalks, each a lane and s [m]."""

    kind: int
    crosswalk: int
    room: float
    ends: tuple[tuple[int, float], tuple[int, float]]
    middle: Floats  # corners between the two places, (K, 3)


@dataclass
class _Plan:
    """The graph while it is built."""

    cuts: dict[int, list[float]]  # lane -> where it is cut, its ends included
    nodes: dict[tuple[int, float], int]  # (lane, s) -> node
    paths: list[tuple[Floats, dict[str, float]]] = field(default_factory=list)


@lru_cache(maxsize=8)
def pavements_of(network: RoadNetwork) -> Pavements:
    """Returns a network's paths for people (remembered, and kept in the cache folder)."""
    return Pavements(**kept("pavements", network, __file__, lambda: _build(network)._asdict()))


def _build(network: RoadNetwork) -> Pavements:
    lanes = _walked(network)
    crossings = _crosswalks(network, lanes) + _across(network, lanes)
    plan = _cut(network, lanes, crossings)
    for lane in lanes:
        _add_sidewalk(network, plan, lane)
    n_sidewalks = len(plan.paths)
    for crossing in crossings:
        _add_crossing(network, plan, crossing)
    paths, points = _packed(plan)
    nodes, links = _meetings(paths, max(plan.nodes.values(), default=-1) + 1)
    passages, signals = _passages(network, paths)
    return Pavements(
        paths, points, nodes, links, passages, signals, np.cumsum(paths["length"][:n_sidewalks])
    )


def _line(network: RoadNetwork, lane: int) -> Records:
    record = network.lanes[lane]
    return network.points[record["first"] : record["first"] + record["count"]]


def _xyz(points: Records) -> Floats:
    return np.stack([points["x"], points["y"], points["z"]], axis=1).astype(np.float64)


def _walked(network: RoadNetwork) -> list[int]:
    """The lanes that people walk along."""
    lanes = network.lanes
    long = (lanes["count"] >= 2) & (lanes["length"] > 0.3)
    sidewalks: list[int] = np.flatnonzero(long & (lanes["type"] == LaneType.SIDEWALK)).tolist()
    if sidewalks:
        return sidewalks
    shoulders: list[int] = np.flatnonzero(long & (lanes["type"] == LaneType.SHOULDER)).tolist()
    return [
        lane
        for lane in shoulders
        if _line(network, lane)["width"].min() >= _NARROW
        and _line(network, lane)["speed_limit"].max() < _SLOW
    ]


def _crosswalks(network: RoadNetwork, lanes: list[int]) -> list[_Crossing]:
    """Ways over the crosswalks that have a sidewalk at both ends."""
    from scipy.spatial import cKDTree  # slow to load

    if not lanes:
        return []
    owner = np.concatenate([np.full(network.lanes["count"][lane], lane) for lane in lanes])
    points = np.concatenate([_line(network, lane) for lane in lanes])
    tree = cKDTree(np.stack([points["x"], points["y"]], axis=1))
    found = []
    first = network.crosswalk_first
    for number, (a, b) in enumerate(zip(first[:-1], first[1:], strict=True)):
        ends, depth = _ends(network, network.crosswalks[a:b])
        middle, places = ends.mean(axis=0), []
        for end in ends:
            near = np.array(tree.query_ball_point(end[:2], _REACH), np.int64)
            outward = end[:2] - middle[:2]
            beyond = tree.data[near] @ outward > end[:2] @ outward - 0.5
            near = near[beyond & (np.abs(points["z"][near] - end[2]) < 3.0)]
            if len(near):
                best = near[np.argmin(np.hypot(*(tree.data[near] - end[:2]).T))]
                places.append((int(owner[best]), float(points["s"][best])))
        if len(places) == 2 and places[0][0] != places[1][0]:
            room = max(0.5 * depth - _FROM_EDGE, 0.1)
            found.append(_Crossing(CROSSWALK, number, room, (places[0], places[1]), ends))
    return found


def _ends(network: RoadNetwork, corners: Floats) -> tuple[Floats, float]:
    """Middles of a crosswalk's two ends at the kerbs, (2, 3) [m], and its depth [m]."""
    if np.allclose(corners[0], corners[-1]):
        corners = corners[:-1]
    middle = corners.mean(axis=0)
    points = network.points
    owner = np.repeat(network.lanes["type"], network.lanes["count"]) == LaneType.DRIVING
    away = np.where(owner, np.hypot(points["x"] - middle[0], points["y"] - middle[1]), np.inf)
    heading = points["heading"][int(np.argmin(away))]
    across = np.array([-np.sin(heading), np.cos(heading)])
    if len(corners) == 4:
        sides = [0.5 * (corners[k] + corners[(k + 1) % 4]) for k in range(4)]
        pairs = [np.array([sides[k], sides[k + 2]]) for k in range(2)]
        ways = [abs(float((pair[1] - pair[0])[:2] @ across)) for pair in pairs]
        best = int(np.argmax(ways))
        return pairs[best], float(np.linalg.norm(pairs[1 - best][1] - pairs[1 - best][0]))
    along = (corners - middle)[:, :2]
    reach, depth = along @ across, along @ np.array([across[1], -across[0]])
    ends = np.repeat(middle[None], 2, axis=0)
    ends[:, :2] += np.array([reach.min(), reach.max()])[:, None] * across
    return ends, float(np.ptp(depth))


def _across(network: RoadNetwork, lanes: list[int]) -> list[_Crossing]:
    """Ways straight over streets between the sidewalks on both sides."""
    found, records = [], network.lanes
    for lane in lanes:
        one = records[lane]
        if one["type"] != LaneType.SIDEWALK or one["junction"] >= 0 or one["lane"] > 0:
            continue
        same = (records["road"] == one["road"]) & (records["section"] == one["section"])
        facing = [other for other in lanes if same[other] and records["lane"][other] > 0]
        if not facing or one["length"] < 2.0 * _ACROSS_CLEAR:
            continue
        mine, theirs = _line(network, lane), _line(network, facing[0])
        for s in np.arange(_ACROSS_CLEAR, one["length"] - _ACROSS_CLEAR, _ACROSS_EVERY):
            here = mine[int(np.argmin(np.abs(mine["s"] - s)))]
            away = np.hypot(theirs["x"] - here["x"], theirs["y"] - here["y"])
            there = theirs[int(np.argmin(away))]
            if away.min() < _WIDEST and 2.0 < there["s"] < theirs["s"][-1] - 2.0:
                ends = ((lane, float(here["s"])), (facing[0], float(there["s"])))
                found.append(_Crossing(ACROSS, -1, 0.3, ends, np.zeros((0, 3))))
    return found


def _cut(network: RoadNetwork, lanes: list[int], crossings: list[_Crossing]) -> _Plan:
    """Decides where sidewalks are cut, and numbers the nodes."""
    from scipy.sparse import coo_array  # slow to load
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    length = network.lanes["length"]
    plan = _Plan({lane: [0.0, float(length[lane])] for lane in lanes}, {})
    if not lanes:
        return plan
    ends = np.concatenate([_xyz(_line(network, lane))[[0, -1]] for lane in lanes])
    pairs = cKDTree(ends).query_pairs(_JOINED, output_type="ndarray")
    joined = coo_array((np.ones(len(pairs)), pairs.T), (len(ends), len(ends)))
    n_nodes, label = connected_components(joined, directed=False)
    for k, lane in enumerate(lanes):
        plan.nodes[lane, 0.0] = int(label[2 * k])
        plan.nodes[lane, plan.cuts[lane][1]] = int(label[2 * k + 1])
    for crossing in crossings:
        places = []
        for lane, s in crossing.ends:
            near = [cut for cut in plan.cuts[lane] if abs(cut - s) < _AT_END]
            if near:
                s = near[0]
            else:
                plan.cuts[lane].append(s)
                plan.nodes[lane, s] = n_nodes
                n_nodes += 1
            places.append((lane, s))
        crossing.ends = (places[0], places[1])
    return plan


def _at(network: RoadNetwork, lane: int, s: Floats) -> Floats:
    """Places on the middle of a lane, (N, 3) [m]."""
    points = _line(network, lane)
    return np.stack([np.interp(s, points["s"], axis) for axis in _xyz(points).T], axis=1)


def _middle(network: RoadNetwork, lane: int, s: Floats) -> Floats:
    """Where people walk along a sidewalk: its middle, at corners further from the kerb."""
    line = _at(network, lane, s)
    record, points = network.lanes[lane], _line(network, lane)
    if record["junction"] < 0 or (record["left"] < 0) == (record["right"] < 0):
        return line
    out = -1.0 if record["left"] >= 0 else 1.0
    shift = out * np.minimum(_CORNER, 0.3 * np.minimum(s, record["length"] - s).clip(0.0))
    heading = np.interp(s, points["s"], np.unwrap(points["heading"]))
    line[:, 0] -= np.sin(heading) * shift
    line[:, 1] += np.cos(heading) * shift
    return line


def _half_width(network: RoadNetwork, lane: int) -> float:
    return 0.5 * float(_line(network, lane)["width"].min())


def _room(network: RoadNetwork, lane: int) -> float:
    room = _half_width(network, lane) - _FROM_EDGE
    if network.lanes["junction"][lane] >= 0:
        room -= _CORNER
    return max(room, 0.05)


def _add_sidewalk(network: RoadNetwork, plan: _Plan, lane: int) -> None:
    """Adds the pieces of one sidewalk."""
    cuts = sorted(plan.cuts[lane])
    for begin, end in zip(cuts[:-1], cuts[1:], strict=True):
        n = max(int(np.ceil((end - begin) / _SPACING)), 1) + 1
        about = {
            "kind": SIDEWALK,
            "crosswalk": -1,
            "room": _room(network, lane),
            "node": plan.nodes[lane, begin],
            "far_node": plan.nodes[lane, end],
        }
        plan.paths.append((_middle(network, lane, np.linspace(begin, end, n)), about))


def _add_crossing(network: RoadNetwork, plan: _Plan, crossing: _Crossing) -> None:
    """Adds the way over a street, from the middle of one sidewalk to that of the other."""
    (lane, s), (far_lane, far_s) = crossing.ends
    begin, end = _at(network, lane, np.array([s])), _at(network, far_lane, np.array([far_s]))
    corners = np.concatenate([begin, crossing.middle, end])
    at = arc_length(corners)
    n = int(np.ceil(at[-1] / _SPACING)) + 1
    line = np.stack([np.interp(np.linspace(0.0, at[-1], n), at, axis) for axis in corners.T], 1)
    about = {
        "kind": crossing.kind,
        "crosswalk": crossing.crosswalk,
        "room": crossing.room,
        "kerb": _half_width(network, lane),
        "far_kerb": at[-1] - _half_width(network, far_lane),
        "node": plan.nodes[lane, s],
        "far_node": plan.nodes[far_lane, far_s],
    }
    plan.paths.append((line, about))


def _packed(plan: _Plan) -> tuple[Records, Records]:
    paths = np.zeros(len(plan.paths), PATH)
    counts = np.array([len(line) for line, _ in plan.paths], np.int32)
    paths["count"], paths["first"] = counts, np.cumsum(counts) - counts
    points = np.zeros(int(counts.sum()), STEP)
    for path, (line, about) in zip(paths, plan.paths, strict=True):
        for name, value in about.items():
            path[name] = value
        ahead = np.diff(line[:, :2], axis=0)
        ahead /= np.maximum(np.linalg.norm(ahead, axis=1), 1e-9)[:, None]
        rows = points[path["first"] : path["first"] + path["count"]]
        rows["x"], rows["y"], rows["z"] = line.T
        rows["tx"], rows["ty"] = np.concatenate([ahead, ahead[-1:]]).T
        path["length"] = arc_length(line[:, :2])[-1]
        path["per_metre"] = (len(line) - 1) / path["length"]
    return paths, points


def _meetings(paths: Records, n_nodes: int) -> tuple[Records, Ints]:
    lists: list[list[int]] = [[] for _ in range(n_nodes)]
    for number, path in enumerate(paths):
        lists[path["node"]].append(2 * number)
        lists[path["far_node"]].append(2 * number + 1)
    nodes = np.zeros(n_nodes, NODE)
    nodes["count"] = [len(one) for one in lists]
    nodes["first"] = np.cumsum(nodes["count"]) - nodes["count"]
    return nodes, np.array([link for one in lists for link in one], np.int32)


def _passages(network: RoadNetwork, paths: Records) -> tuple[Records, Ints]:
    """The crosswalks: their paths, and the lights of those who drive over them."""
    first = network.crosswalk_first
    passages = np.zeros(len(first) - 1, PASSAGE)
    passages["path"] = -1
    over = np.flatnonzero(paths["kind"] == CROSSWALK)
    passages["path"][paths["crosswalk"][over]] = over
    lights = _lights(network, roads_of(network))
    signals: list[int] = []
    for number, (a, b) in enumerate(zip(first[:-1], first[1:], strict=True)):
        passages["x"][number], passages["y"][number] = network.crosswalks[a:b, :2].mean(axis=0)
        mine = sorted(lights.get(number, ()))
        passages["signal_first"][number], passages["signal_count"][number] = len(signals), len(mine)
        signals += mine
    return passages, np.array(signals, np.int32)


def _lights(network: RoadNetwork, roads: Roads) -> dict[int, set[int]]:
    """Crosswalk -> lights of the movements that go over it without turning."""
    found: dict[int, set[int]] = {}
    lanes, points = roads.lanes, roads.points

    def before(lane: int) -> list[int]:
        at = lanes["before_first"][lane]
        return [int(other) for other in roads.befores[at : at + lanes["before_count"][lane]]]

    def turn(lane: int) -> float:
        at = lanes["first"][lane]
        ends = points["heading"][[at, at + lanes["count"][lane] - 1]]
        return abs(float(wrap_angle(float(ends[1] - ends[0]))))

    for lane in np.flatnonzero(lanes["crossing_count"]).tolist():
        own = [lane]
        if lanes["junction"][lane] < 0:
            straight = [o for o in before(lane) if lanes["junction"][o] >= 0]
            own += [o for one in straight if turn(one) < _STRAIGHT for o in before(one)]
        else:
            own += before(lane)
        lights = {int(lanes["light"][one]) for one in own} - {-1}
        at = lanes["crossing_first"][lane]
        for crossing in roads.crossings[at : at + lanes["crossing_count"][lane]]:
            found.setdefault(int(crossing["crosswalk"]), set()).update(lights)
    return found
