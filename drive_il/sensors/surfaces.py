"""What is painted on the ground: lane surfaces, kerbs, markings, crosswalks, stop lines.

Everything is a convex quadrilateral with a class, in painting order: later ones cover
earlier ones. The ground is flat, so where one road crosses over another both are painted.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from drive_il.datatypes import Bools, Floats, Ints, Records
from drive_il.maps.junction_gaps import gaps
from drive_il.maps.network import LaneType, MarkColor, MarkType, RoadNetwork


class Ground(IntEnum):
    """Classes of the ground; the first eight are surfaces, the rest is paint on them."""

    GRASS = 0
    ROAD = 1
    SHOULDER = 2
    SIDEWALK = 3
    PARKING = 4
    VERGE = 5
    BIKING = 6
    KERB = 7
    WHITE = 8
    YELLOW = 9
    BLUE = 10
    GREEN = 11
    RED = 12


N_SURFACES = 8
"""classes below this are surfaces, the others paint"""
KERB_WIDTH = 0.15
"""[m]"""
DASH, GAP = 3.0, 6.0
"""painted and empty length of a broken line [m]"""
_DOT, _DOT_GAP = 0.2, 1.0
_MARK_WIDTH = 0.12
_STOP_LINE_WIDTH = 0.4
_STRIPE = 0.5

_CLASS_OF_LANE = {
    LaneType.DRIVING: Ground.ROAD,
    LaneType.SHOULDER: Ground.SHOULDER,
    LaneType.SIDEWALK: Ground.SIDEWALK,
    LaneType.PARKING: Ground.PARKING,
    LaneType.BIKING: Ground.BIKING,
    LaneType.BORDER: Ground.VERGE,
    LaneType.MEDIAN: Ground.VERGE,
    LaneType.RESTRICTED: Ground.VERGE,
}
_CLASS_OF_COLOR = {
    MarkColor.WHITE: Ground.WHITE,
    MarkColor.YELLOW: Ground.YELLOW,
    MarkColor.BLUE: Ground.BLUE,
    MarkColor.GREEN: Ground.GREEN,
    MarkColor.RED: Ground.RED,
}
# Drivable surfaces cover the sidewalks of other roads that cross them in a junction.
_ORDER = (
    Ground.VERGE,
    Ground.SHOULDER,
    Ground.SIDEWALK,
    Ground.KERB,
    Ground.PARKING,
    Ground.BIKING,
    Ground.ROAD,
    Ground.WHITE,
    Ground.YELLOW,
    Ground.BLUE,
    Ground.GREEN,
    Ground.RED,
)

Painted = tuple[Floats, Ints]
"""Corners counter-clockwise, (N, 4, 2) [m], and class of each, (N,) uint8 of `Ground`."""


class _Segments:
    """Every centreline segment of a network and the cross-sections at its two ends."""

    def __init__(self, network: RoadNetwork) -> None:
        lanes, points = network.lanes, network.points
        owner = np.full(len(points), -1, np.int64)
        is_start = np.zeros(len(points), bool)
        for index, lane in enumerate(lanes):
            first, count = int(lane["first"]), int(lane["count"])
            owner[first : first + count] = index
            is_start[first : first + count - 1] = True
        self.start = np.flatnonzero(is_start)
        self.lane = owner[self.start]
        self.xy = np.stack((points["x"], points["y"]), axis=1).astype(np.float64)
        heading = points["heading"].astype(np.float64)
        self.left = np.stack((-np.sin(heading), np.cos(heading)), axis=1)
        self.half_width = points["width"].astype(np.float64) / 2
        self.s = points["s"].astype(np.float64)

    def strip(self, of: Ints, right: Floats, left: Floats, u0: Floats, u1: Floats) -> Floats:
        """Returns quads along segments, (N, 4, 2) [m].

        Args:
            of: indices into the segments, (N,).
            right: lateral positions of the right edge at both ends, left +, (N, 2) [m].
            left: of the left edge, (N, 2) [m].
            u0: where along the segment the quad begins, (N,) in [0, 1].
            u1: where it ends, (N,) in [0, 1].
        """
        i = self.start[of]
        corners = []
        for offset in (right, left):
            a = self.xy[i] + self.left[i] * offset[:, :1]
            b = self.xy[i + 1] + self.left[i + 1] * offset[:, 1:]
            corners.append([a + (b - a) * u[:, None] for u in (u0, u1)])
        return np.stack((corners[0][0], corners[0][1], corners[1][1], corners[1][0]), axis=1)


def _whole(n: int) -> tuple[Floats, Floats]:
    return np.zeros(n), np.ones(n)


def _lane_surfaces(network: RoadNetwork, segments: _Segments) -> Painted:
    half = np.stack(
        (segments.half_width[segments.start], segments.half_width[segments.start + 1]), axis=1
    )
    keep = np.flatnonzero(half.max(axis=1) > 0.01)
    class_of = np.zeros(max(LaneType) + 1, np.uint8)
    for lane_type, ground in _CLASS_OF_LANE.items():
        class_of[lane_type] = ground
    quads = segments.strip(keep, -half[keep], half[keep], *_whole(len(keep)))
    return quads, class_of[network.lanes["type"][segments.lane[keep]]]


def _junction_gaps(network: RoadNetwork) -> Painted:
    quads = gaps(network)
    return quads, np.full(len(quads), Ground.ROAD, np.uint8)


def _kerbs(network: RoadNetwork, segments: _Segments) -> Painted:
    """A kerb along every edge of a sidewalk that borders a road (or nothing known)."""
    lanes = network.lanes
    is_walk = lanes["type"] == LaneType.SIDEWALK
    quads: list[Floats] = []
    for side, sign in (("left", 1.0), ("right", -1.0)):
        neighbour = lanes[side]
        alone = (lanes["left"] < 0) & (lanes["right"] < 0)
        borders_road = (neighbour >= 0) & ~is_walk[neighbour] | alone
        of = np.flatnonzero((is_walk & borders_road)[segments.lane])
        i = segments.start[of]
        edge = sign * np.stack((segments.half_width[i], segments.half_width[i + 1]), axis=1)
        inner = edge - sign * np.minimum(KERB_WIDTH, 2 * np.abs(edge))
        quads.append(
            segments.strip(of, np.minimum(edge, inner), np.maximum(edge, inner), *_whole(len(of)))
        )
    corners = np.concatenate(quads)
    return corners, np.full(len(corners), Ground.KERB, np.uint8)


def _owned_marks(lanes: Records, side: str) -> Bools:
    """Which lanes paint the marking of this side: a line between two lanes has one owner."""
    neighbour = lanes[side]
    index = np.arange(len(lanes))
    same_way = lanes[f"{side}_same_way"]
    if side == "left":
        # The left neighbour of the same direction owns it as its right marking.
        return (neighbour < 0) | (~same_way & (index < neighbour))
    return (neighbour < 0) | same_way | (index < neighbour)


_LINES: dict[MarkType, tuple[tuple[float, bool], ...]] = {
    # position in line widths from the middle, left positive; broken?
    MarkType.SOLID: ((0.0, False),),
    MarkType.BROKEN: ((0.0, True),),
    MarkType.BOTTS_DOTS: ((0.0, True),),
    MarkType.SOLID_SOLID: ((1.0, False), (-1.0, False)),
    MarkType.SOLID_BROKEN: ((1.0, False), (-1.0, True)),
    MarkType.BROKEN_SOLID: ((1.0, True), (-1.0, False)),
    MarkType.BROKEN_BROKEN: ((1.0, True), (-1.0, True)),
    MarkType.CURB: ((0.0, False),),
}


def _dashes(s0: Floats, s1: Floats, dash: float, gap: float) -> tuple[Ints, Floats, Floats]:
    """Which part of each interval of s is painted: (index, u0, u1), u in [0, 1]."""
    period = dash + gap
    number = np.floor(s0 / period)
    index, begin, end = [], [], []
    for k in (0, 1):
        low = np.maximum(s0, (number + k) * period)
        high = np.minimum(s1, (number + k) * period + dash)
        found = np.flatnonzero(high - low > 1e-6)
        length = s1[found] - s0[found]
        index.append(found)
        begin.append((low[found] - s0[found]) / length)
        end.append((high[found] - s0[found]) / length)
    return np.concatenate(index), np.concatenate(begin), np.concatenate(end)


def _marks(network: RoadNetwork, segments: _Segments) -> Painted:
    lanes, points = network.lanes, network.points
    color_of = np.full(256, Ground.WHITE, np.uint8)
    for color, ground in _CLASS_OF_COLOR.items():
        color_of[color] = ground
    quads: list[Floats] = [np.zeros((0, 4, 2))]
    classes = [np.zeros(0, np.uint8)]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        of_side = np.flatnonzero(_owned_marks(lanes, side)[segments.lane])
        kind = points[f"{side}_mark"][segments.start[of_side]]
        for mark, lines in _LINES.items():
            of_mark = of_side[kind == mark]
            if not len(of_mark):
                continue
            for position, broken in lines:
                of, u0, u1 = of_mark, *_whole(len(of_mark))
                if broken:
                    dash, gap = (_DOT, _DOT_GAP) if mark == MarkType.BOTTS_DOTS else (DASH, GAP)
                    i = segments.start[of_mark]
                    index, u0, u1 = _dashes(segments.s[i], segments.s[i + 1], dash, gap)
                    of = of_mark[index]
                i = segments.start[of]
                width = points[f"{side}_mark_width"][i].astype(np.float64)
                width = np.where(width > 0.0, width, _MARK_WIDTH)
                if mark == MarkType.CURB:
                    width = np.full(len(of), KERB_WIDTH)
                edge = np.stack((segments.half_width[i], segments.half_width[i + 1]), axis=1)
                middle = sign * edge + (position * width)[:, None]
                half = (width / 2)[:, None]
                quads.append(segments.strip(of, middle - half, middle + half, u0, u1))
                color = color_of[points[f"{side}_color"][i]]
                classes.append(np.where(mark == MarkType.CURB, Ground.KERB, color).astype(np.uint8))
                hidden = _inside_other_lanes(network, segments, of, quads[-1].mean(axis=1))
                quads[-1], classes[-1] = quads[-1][~hidden], classes[-1][~hidden]
    return np.concatenate(quads), np.concatenate(classes)


def _inside_other_lanes(
    network: RoadNetwork, segments: _Segments, of: Ints, middle: Floats
) -> Bools:
    """Which markings of junction lanes lie well inside another lane of a junction.

    Connecting roads carry edge lines that would otherwise cross the whole junction.
    """
    from scipy.spatial import cKDTree  # slow to load

    lanes = network.lanes
    hidden = np.zeros(len(of), bool)
    in_junction = (lanes["junction"] >= 0) & (lanes["type"] == LaneType.DRIVING)
    asked = np.flatnonzero((lanes["junction"] >= 0)[segments.lane[of]])
    others = np.flatnonzero(in_junction[segments.lane])
    if not len(asked) or not len(others):
        return hidden
    i = segments.start[others]
    tree = cKDTree(segments.xy[i])
    reach = float(segments.half_width[i].max())
    near = tree.query_ball_point(middle[asked], reach)
    for row, found in zip(asked, near, strict=True):
        other = others[np.asarray(found, np.int64)]
        other = other[segments.lane[other] != segments.lane[of[row]]]
        if not len(other):
            continue
        k = segments.start[other]
        gap = middle[row] - segments.xy[k]
        across = np.abs((gap * segments.left[k]).sum(axis=1))
        along = np.abs(gap[:, 0] * segments.left[k, 1] - gap[:, 1] * segments.left[k, 0])
        hidden[row] = bool(((across < segments.half_width[k] - 0.3) & (along < 0.6)).any())
    return hidden


def _stop_lines(network: RoadNetwork) -> Painted:
    """A bar across the lane, just before the line where the driver must stop."""
    lines = network.stop_lines
    a = np.stack((lines["x0"], lines["y0"]), axis=1).astype(np.float64)
    b = np.stack((lines["x1"], lines["y1"]), axis=1).astype(np.float64)
    across = b - a
    length = np.linalg.norm(across, axis=1)
    keep = length > 0.1
    a, b, across, length = a[keep], b[keep], across[keep], length[keep]
    # Left end to right end is -90 degrees from the direction of travel.
    forward = np.stack((-across[:, 1], across[:, 0]), axis=1) / length[:, None]
    back = forward * _STOP_LINE_WIDTH
    quads = np.stack((b - back, b, a, a - back), axis=1)
    return quads, np.full(len(quads), Ground.WHITE, np.uint8)


def _clip(polygon: Floats, normal: Floats, offset: float) -> Floats:
    """Keeps the part of a convex polygon where normal . p >= offset, (K, 2)."""
    side = polygon @ normal - offset
    kept = []
    for k in range(len(polygon)):
        following = (k + 1) % len(polygon)
        if side[k] >= 0:
            kept.append(polygon[k])
        if (side[k] >= 0) != (side[following] >= 0):
            u = side[k] / (side[k] - side[following])
            kept.append(polygon[k] + u * (polygon[following] - polygon[k]))
    return np.array(kept).reshape(-1, 2)


def _crosswalks(network: RoadNetwork) -> Painted:
    """Stripes along the traffic, side by side along the longest edge of each polygon."""
    quads: list[Floats] = []
    for first, last in zip(network.crosswalk_first[:-1], network.crosswalk_first[1:], strict=True):
        corners = network.crosswalks[first:last, :2].astype(np.float64)
        if len(corners) > 1 and np.allclose(corners[0], corners[-1]):
            corners = corners[:-1]
        if len(corners) < 3:
            continue
        edges = np.roll(corners, -1, axis=0) - corners
        if (corners[:, 0] * edges[:, 1] - corners[:, 1] * edges[:, 0]).sum() < 0:
            corners = corners[::-1]
        longest = edges[np.linalg.norm(edges, axis=1).argmax()]
        along = longest / np.linalg.norm(longest)
        across = np.array((-along[1], along[0]))
        low, high = (corners @ along).min(), (corners @ along).max()
        n_stripes = max(1, int((high - low + _STRIPE) / (2 * _STRIPE)))
        begin = (low + high) / 2 - (n_stripes - 0.5) * _STRIPE
        for k in range(n_stripes):
            stripe = _clip(corners, along, begin + 2 * k * _STRIPE)
            stripe = _clip(stripe, -along, -(begin + (2 * k + 1) * _STRIPE))
            if len(stripe) < 3:
                continue
            t, n = stripe @ along, stripe @ across
            box = [(t.min(), n.min()), (t.max(), n.min()), (t.max(), n.max()), (t.min(), n.max())]
            quads.append(np.array([u * along + v * across for u, v in box]))
    corners = np.array(quads, np.float64).reshape(-1, 4, 2)
    return corners, np.full(len(corners), Ground.WHITE, np.uint8)


def painted(network: RoadNetwork) -> Painted:
    """Returns all that is painted on the ground of a map, in painting order.

    Args:
        network: the map.

    Returns:
        Corners counter-clockwise, (N, 4, 2) [m]; class of each, (N,) uint8 of `Ground`.
    """
    segments = _Segments(network)
    parts = [
        _junction_gaps(network),
        _lane_surfaces(network, segments),
        _kerbs(network, segments),
        _crosswalks(network),
        _stop_lines(network),
        _marks(network, segments),
    ]
    quads = np.concatenate([part[0] for part in parts])
    classes = np.concatenate([part[1] for part in parts])
    rank = np.zeros(256, np.int64)
    rank[list(_ORDER)] = np.arange(len(_ORDER))
    order = np.argsort(rank[classes], kind="stable")
    return np.ascontiguousarray(quads[order]), classes[order]
