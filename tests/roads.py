"""Road networks made from arrays alone, for tests that need no map file."""

import hashlib
import math

import numpy as np

from drive_il.datatypes import Records
from drive_il.maps.network import (
    CONFLICT,
    LANE,
    LANE_POINT,
    SIGNAL,
    STOP_LINE,
    LaneType,
    MarkColor,
    MarkType,
    RoadNetwork,
    build_grid,
)

_SPACING = 0.5


def _lane_points(
    reference: np.ndarray, offset: float, width: float, speed_limit: float, forward: bool
) -> Records:
    """Points of one lane beside a reference line of rows x, y, heading, curvature, s."""
    x, y, heading, curvature, s = reference
    points = np.zeros(len(x), LANE_POINT)
    points["x"] = x - offset * np.sin(heading)
    points["y"] = y + offset * np.cos(heading)
    stretch = 1.0 - offset * curvature
    points["heading"] = heading
    points["curvature"] = curvature / stretch
    points["s"] = s * stretch
    points["width"] = width
    points["speed_limit"] = speed_limit
    if not forward:
        points = points[::-1].copy()
        points["heading"] += math.pi
        points["curvature"] *= -1.0
        points["s"] = points["s"][0] - points["s"]
    points["heading"] = (points["heading"] + math.pi) % (2.0 * math.pi) - math.pi
    return points


def _mark(points: Records, side: str, kind: MarkType, color: MarkColor) -> None:
    points[f"{side}_mark"] = kind
    points[f"{side}_color"] = color
    points[f"{side}_mark_width"] = 0.12


def _network(name: str, parts: list[tuple[int, LaneType, Records]], closed: bool) -> RoadNetwork:
    lanes = np.zeros(len(parts), LANE)
    lanes["junction"] = -1
    first = 0
    for index, (lane_id, kind, points) in enumerate(parts):
        lanes[index]["lane"] = lane_id
        lanes[index]["type"] = kind
        lanes[index]["first"] = first
        lanes[index]["count"] = len(points)
        lanes[index]["length"] = points["s"][-1]
        first += len(points)
    ids = lanes["lane"].tolist()
    for lane in lanes:
        # Ids run ..., 2, 1, -1, -2, ... from left to right along the reference line.
        step = 1 if lane["lane"] < 0 else -1
        left, right = lane["lane"] + step, lane["lane"] - step
        left = left if left != 0 else step
        lane["left"] = ids.index(left) if left in ids else -1
        lane["right"] = ids.index(right) if right in ids else -1
        lane["left_same_way"] = left in ids and (left < 0) == (lane["lane"] < 0)
        lane["right_same_way"] = right in ids
    successors = np.arange(len(parts) if closed else 0, dtype=np.int32)
    if closed:
        for field in ("successor", "predecessor"):
            lanes[f"{field}_first"] = successors
            lanes[f"{field}_count"] = 1
    points = np.concatenate([part[2] for part in parts])
    return RoadNetwork(
        name=name,
        hash=hashlib.sha256(lanes.tobytes() + points.tobytes()).hexdigest(),
        lanes=lanes,
        points=points,
        successors=successors,
        predecessors=successors.copy(),
        conflicts=np.zeros(0, CONFLICT),
        signals=np.zeros(0, SIGNAL),
        stop_lines=np.zeros(0, STOP_LINE),
        crosswalks=np.zeros((0, 3)),
        crosswalk_first=np.zeros(1, np.int32),
        geo_reference=(0.0, 0.0),
        grid=build_grid(lanes, points),
    )


def _cross_section(
    reference: np.ndarray, lanes_per_way: int, two_way: bool, width: float, speed_limit: float
) -> list[tuple[int, LaneType, Records]]:
    """Driving lanes, then a 1 m shoulder and a 2 m sidewalk on either side."""
    parts = []
    for way in (-1, 1) if two_way else (-1,):
        forward = way < 0
        for number in range(1, lanes_per_way + 1):
            offset = way * (number - 0.5) * width
            points = _lane_points(reference, offset, width, speed_limit, forward)
            inner, outer = number == 1, number == lanes_per_way
            if inner:
                kind = MarkType.BROKEN if two_way else MarkType.SOLID
                color = MarkColor.YELLOW if two_way else MarkColor.WHITE
            else:
                kind, color = MarkType.BROKEN, MarkColor.WHITE
            _mark(points, "left", kind, color)
            points["may_change_left"] = not inner
            _mark(points, "right", MarkType.SOLID if outer else MarkType.BROKEN, MarkColor.WHITE)
            points["may_change_right"] = not outer
            parts.append((way * number, LaneType.DRIVING, points))
        edge = lanes_per_way * width
        shoulder = _lane_points(reference, way * (edge + 0.5), 1.0, speed_limit, forward)
        _mark(shoulder, "right", MarkType.CURB, MarkColor.WHITE)
        parts.append((way * (lanes_per_way + 1), LaneType.SHOULDER, shoulder))
        sidewalk = _lane_points(reference, way * (edge + 2.0), 2.0, speed_limit, forward)
        parts.append((way * (lanes_per_way + 2), LaneType.SIDEWALK, sidewalk))
    return parts


def straight_road(
    length: float = 500.0,
    lanes_per_way: int = 1,
    two_way: bool = True,
    lane_width: float = 3.5,
    speed_limit: float = 13.9,
    heading: float = 0.0,
) -> RoadNetwork:
    """A straight road from the origin; lane 0 (id -1) runs along `heading`, right of the line."""
    s = np.linspace(0.0, length, round(length / _SPACING) + 1)
    reference = np.stack(
        [s * math.cos(heading), s * math.sin(heading), np.full_like(s, heading), 0.0 * s, s]
    )
    parts = _cross_section(reference, lanes_per_way, two_way, lane_width, speed_limit)
    return _network("straight", parts, closed=False)


def ring_road(
    radius: float = 50.0,
    lanes_per_way: int = 1,
    two_way: bool = True,
    lane_width: float = 3.5,
    speed_limit: float = 13.9,
) -> RoadNetwork:
    """A counter-clockwise circle about the origin; every lane is its own successor.

    The reference line has this radius; lane 0 (id -1) runs outside of it.
    """
    n = math.ceil(2.0 * math.pi * (radius + 8.0) / _SPACING) + 1
    angle = np.linspace(0.0, 2.0 * math.pi, n)
    reference = np.stack(
        [
            radius * np.cos(angle),
            radius * np.sin(angle),
            angle + 0.5 * math.pi,
            np.full(n, 1.0 / radius),
            radius * angle,
        ]
    )
    parts = _cross_section(reference, lanes_per_way, two_way, lane_width, speed_limit)
    return _network("ring", parts, closed=True)
