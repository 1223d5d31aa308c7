"""Outside the lanes, or in one that runs the other way: how much of the route was driven so."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from drive_il.datatypes import Bools, Floats, Ints, Records
from drive_il.evaluation.protocol import Protocol
from drive_il.evaluation.sight import Sight
from drive_il.geometry import wrap_angle
from drive_il.maps.network import LaneType, RoadNetwork

LANES = np.dtype(
    [
        ("lane", "i8"),  # driving lane the ego was on last, -1 none yet
        ("wrong", "?"),  # that lane runs the other way
        ("total", "f8"),  # [m] of the route driven
        ("out", "f8"),  # [m] of it outside the lanes or in a wrong one
    ]
)
"""Memory of `keeps_lanes`."""
_FLIP = math.radians(150.0)  # two lanes that differ by more run against each other
_AGAINST = math.radians(120.0)  # an ego that differs by more drives against its lane
_DRIVEN = (int(LaneType.DRIVING), int(LaneType.PARKING))


@lru_cache(maxsize=8)
def _centres(network: RoadNetwork) -> tuple[cKDTree, Floats]:
    """Returns every point of driving and parking lanes, and half the width there."""
    owner = np.repeat(np.arange(len(network.lanes)), network.lanes["count"])
    points = network.points[np.isin(network.lanes["type"][owner], _DRIVEN)]
    xyz = np.stack((points["x"], points["y"], points["z"]), axis=1)
    return cKDTree(xyz), 0.5 * points["width"]


def is_outside(network: RoadNetwork, xyz: Floats, margin: float) -> Bools:
    """Whether points are further than a margin from the edge of the nearest lane to drive on.

    The nearest is the driving or parking lane with the nearest centre, as in CARLA. Biking
    lanes, which the world takes for drivable, are none.

    Args:
        network: the map.
        xyz: (N, 3) [m].
        margin: [m].
    """
    tree, half_width = _centres(network)
    distance, nearest = tree.query(xyz)
    outside: Bools = distance > half_width[nearest] + margin
    return outside


def keeps_lanes(
    network: RoadNetwork, rules: Protocol, sight: Sight, memory: Records, advanced: Floats
) -> None:
    """Adds what this step came along the route, and whether outside of the lanes.

    A lane is wrong when the ego changed to it from one that runs the other way, or left a
    junction into it against its direction; in junctions none is, nor in protocols with
    scenarios while one of them leaves no way but the oncoming lane.

    With `upstream_bugs` a next lane that runs on clears a wrong one, as in CARLA: whoever drives
    on against the traffic to the next road is no longer charged.

    Args:
        network: the map.
        rules: the margin, and the above.
        sight: the state.
        memory: LANES.
        advanced: along the route in this step, (N,) [m].
    """
    lane = sight.scene.ego["lane"]
    for row in np.flatnonzero((lane >= 0) & (lane != memory["lane"])):
        _enter(network, sight, memory[int(row)], int(row), rules.upstream_bugs)
    bad = memory["wrong"].copy()
    if rules.scenarios:
        bad &= ~sight.scene.progress["oncoming"]
    off: Ints = np.flatnonzero(lane < 0)
    if len(off):
        ego = sight.scene.ego[off]
        xyz = np.stack((ego["x"], ego["y"], ego["z"]), axis=1)
        bad[off] |= is_outside(network, xyz, rules.lane_margin)
    memory["total"] += advanced
    memory["out"] += np.where(bad, advanced, 0.0)


def _enter(
    network: RoadNetwork, sight: Sight, mine: np.void, row: int, upstream_bugs: bool
) -> None:
    """Takes note of a new lane."""
    ego = sight.scene.ego[row]
    new, old = int(ego["lane"]), int(mine["lane"])
    mine["lane"] = new
    now = network.lanes[new]
    if now["junction"] >= 0:
        mine["wrong"] = False
        return
    if old < 0:
        return
    before = network.lanes[old]
    if now["road"] == before["road"] and now["lane"] == before["lane"]:
        return
    heading = _heading(network, new, ego)
    if before["junction"] >= 0:
        mine["wrong"] = abs(wrap_angle(float(ego["heading"]) - heading)) > _AGAINST
    elif abs(wrap_angle(_heading(network, old, ego) - heading)) > _FLIP:
        mine["wrong"] = not mine["wrong"]
    elif upstream_bugs:
        mine["wrong"] = False


def _heading(network: RoadNetwork, lane: int, ego: np.void) -> float:
    """Returns the direction of a lane where it is nearest to an ego [rad]."""
    first, count = int(network.lanes["first"][lane]), int(network.lanes["count"][lane])
    points = network.points[first : first + count]
    square = (points["x"] - ego["x"]) ** 2 + (points["y"] - ego["y"]) ** 2
    return float(points["heading"][int(np.argmin(square))])


def outside_share(mine: np.void) -> float:
    """Returns how much of the driven route was outside the lanes [%]."""
    total = float(mine["total"])
    return round(100.0 * float(mine["out"]) / total, 2) if total > 0.0 else 0.0
