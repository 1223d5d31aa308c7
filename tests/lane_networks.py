"""Small road networks with junctions and parallel lanes, made lane by lane."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from drive_il.datatypes import Floats
from drive_il.maps.network import (
    CONFLICT,
    LANE,
    LANE_POINT,
    SIGNAL,
    STOP_LINE,
    LaneType,
    RoadNetwork,
    build_grid,
)


@dataclass
class Lane:
    """A driving lane: its centreline and what it joins."""

    xy: Floats
    successors: list[int] = field(default_factory=list)
    left: int = -1
    right: int = -1
    junction: int = -1
    may_change: bool = True
    speed_limit: float = 13.9


def line(x0: float, y0: float, x1: float, y1: float) -> Floats:
    n = max(2, math.ceil(math.hypot(x1 - x0, y1 - y0) / 0.5) + 1)
    return np.linspace([x0, y0], [x1, y1], n)


def turn(x: float, y: float, heading: float, radius: float, angle: float) -> Floats:
    """An arc from a place along a heading, by an angle (left positive)."""
    n = max(2, math.ceil(abs(angle) * radius / 0.5) + 1)
    side = math.copysign(1.0, angle)
    centre = np.array(
        [x - side * radius * math.sin(heading), y + side * radius * math.cos(heading)]
    )
    at = heading - side * math.pi / 2 + np.linspace(0.0, angle, n)
    return centre + radius * np.stack((np.cos(at), np.sin(at)), axis=1)


def network(lanes: list[Lane], name: str = "made") -> RoadNetwork:
    records = np.zeros(len(lanes), LANE)
    points, successors = [], []
    for index, lane in enumerate(lanes):
        step = np.hypot(*np.diff(lane.xy, axis=0).T)
        part = np.zeros(len(lane.xy), LANE_POINT)
        part["x"], part["y"] = lane.xy.T
        part["s"] = np.concatenate(([0.0], np.cumsum(step)))
        segment = np.unwrap(np.arctan2(*np.diff(lane.xy, axis=0).T[::-1]))
        middle = (segment[1:] + segment[:-1]) / 2
        bend = (np.diff(segment) / step[1:])[[0, -1]] if len(segment) > 1 else np.zeros(2)
        ends = segment[[0, -1]] + np.array([-0.5, 0.5]) * bend * step[[0, -1]]
        heading = np.concatenate((ends[:1], middle, ends[1:]))
        part["heading"] = (heading + np.pi) % (2 * np.pi) - np.pi
        part["curvature"] = np.gradient(heading, part["s"])
        part["width"], part["speed_limit"] = 3.5, lane.speed_limit
        part["may_change_left"] = part["may_change_right"] = lane.may_change
        points.append(part)
        record = records[index]
        record["road"], record["lane"], record["type"] = index, -1, LaneType.DRIVING
        record["junction"] = lane.junction
        record["count"], record["length"] = len(part), part["s"][-1]
        record["left"], record["right"] = lane.left, lane.right
        record["left_same_way"], record["right_same_way"] = lane.left >= 0, lane.right >= 0
        record["successor_first"] = len(successors)
        record["successor_count"] = len(lane.successors)
        successors += lane.successors
    records["first"] = np.cumsum(records["count"]) - records["count"]
    all_points = np.concatenate(points)
    return RoadNetwork(
        name=name,
        hash=name,
        lanes=records,
        points=all_points,
        successors=np.array(successors, np.int32),
        predecessors=np.zeros(0, np.int32),
        conflicts=np.zeros(0, CONFLICT),
        signals=np.zeros(0, SIGNAL),
        stop_lines=np.zeros(0, STOP_LINE),
        crosswalks=np.zeros((0, 3)),
        crosswalk_first=np.zeros(1, np.int32),
        geo_reference=(0.0, 0.0),
        grid=build_grid(records, all_points),
    )


def multi_lane_road(sections: int = 2, n_lanes: int = 3, may_change: bool = True) -> RoadNetwork:
    """A straight road of 200 m sections; lane k of each runs at y = 3.5 k."""
    lanes = []
    for section in range(sections):
        for k in range(n_lanes):
            own = section * n_lanes + k
            lanes.append(
                Lane(
                    line(200.0 * section, 3.5 * k, 200.0 * (section + 1), 3.5 * k),
                    [own + n_lanes] if section + 1 < sections else [],
                    left=own + 1 if k + 1 < n_lanes else -1,
                    right=own - 1 if k > 0 else -1,
                    may_change=may_change,
                )
            )
    return network(lanes)


def crossing(angle: float = math.pi / 2) -> RoadNetwork:
    """From the west one may turn left by `angle`, go straight on, or turn right by `angle`.

    Lane 0 comes in along x to the origin; lanes 1, 2, 3 are the ways through the junction
    (left, straight, right) and 4, 5, 6 the roads behind them.
    """
    lanes = [Lane(line(-100.0, 0.0, 0.0, 0.0), [1, 2, 3])]
    ways = [
        turn(0.0, 0.0, 0.0, 10.0, angle),
        line(0.0, 0.0, 20.0, 0.0),
        turn(0.0, 0.0, 0.0, 10.0, -angle),
    ]
    lanes += [Lane(xy, [4 + i], junction=1) for i, xy in enumerate(ways)]
    for xy, heading in zip(ways, (angle, 0.0, -angle), strict=True):
        x, y = xy[-1]
        end = (x + 100.0 * math.cos(heading), y + 100.0 * math.sin(heading))
        lanes.append(Lane(line(float(x), float(y), *end)))
    return network(lanes)


def one_way_grid(seed: int, n: int = 5, block: float = 60.0) -> RoadNetwork:
    """Streets between n x n corners, each one-way in a random direction."""
    rng = np.random.default_rng(seed)
    ends: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for i in range(n):
        for j in range(n):
            for other in ((i + 1, j), (i, j + 1)):
                if max(other) < n:
                    street = ((i, j), other)
                    ends.append(street if rng.uniform() < 0.5 else street[::-1])
    lanes = []
    for begin, end in ends:
        following = [k for k, (start, _) in enumerate(ends) if start == end]
        lanes.append(Lane(line(*(block * np.array([*begin, *end], float))), following))
    return network(lanes, "grid")
