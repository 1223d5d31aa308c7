"""A map's drivable lanes cut into short polylines, for observations without pixels."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types as nt

from drive_il.datatypes import Array, Floats, Ints
from drive_il.maps.network import LaneType, MarkType, RoadNetwork, SignalKind
from drive_il.vector_layouts import LANE

LANE_NAMES = tuple(LANE)
"""Attributes of one point of a lane, in order."""
FIXED = LANE_NAMES.index("width")
"""first of the attributes that neither move nor change"""
CHANGING = LANE_NAMES.index("red")
"""first of those that change; those before, from FIXED, are a map's own"""
_LONGEST = 20.0  # [m]
_BEFORE_LINE = 50.0  # [m] so far before its stop line a lane shows what the light shows
_BROKEN = (MarkType.BROKEN, MarkType.BROKEN_BROKEN, MarkType.BOTTS_DOTS)
_UNMARKED = (MarkType.NONE, MarkType.GRASS)
_TYPES = (LaneType.DRIVING, LaneType.BIKING, LaneType.PARKING)


class LanePieces(NamedTuple):
    """Pieces of lanes, each K points from its begin to its end, evenly spaced.

    Attributes:
        poses: x, y [m], heading [rad] of each point, (N, K, 3).
        fixed: attributes FIXED to CHANGING of each point, (N, K, CHANGING - FIXED) float32.
        circles: x, y and radius of a circle around each piece, (N, 3) [m].
        lane: index of the lane of each piece, (N,) int32.
        light: index of the signal that holds it up, -1 none, (N,) int32.
        sign: 1 where a stop sign does, (N,) float32.
    """

    poses: Floats
    fixed: Floats
    circles: Floats
    lane: Ints
    light: Ints
    sign: Floats


LANE_PIECES = nt.NamedTuple(
    (
        nt.float64[:, :, ::1],
        nt.float32[:, :, ::1],
        nt.float64[:, ::1],
        nt.int32[::1],
        nt.int32[::1],
        nt.float32[::1],
    ),
    LanePieces,
)
"""Numba type of LanePieces."""


def _points(network: RoadNetwork, lane: np.void, n_points: int) -> tuple[Floats, Floats, Ints]:
    """Cuts one lane: poses (M, K, 3), ends of the pieces (M, 2) [m], nearest points (M, K)."""
    points = network.points[lane["first"] : lane["first"] + lane["count"]]
    s, length = points["s"], float(lane["length"])
    n_pieces = max(1, int(np.ceil(length / _LONGEST - 1e-6)))
    edges = np.linspace(0.0, length, n_pieces + 1)
    ends = np.stack((edges[:-1], edges[1:]), axis=1)
    at = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * np.linspace(0.0, 1.0, n_points)
    heading = np.interp(at, s, np.unwrap(points["heading"]))
    poses = np.stack((np.interp(at, s, points["x"]), np.interp(at, s, points["y"]), heading), 2)
    nearest = np.clip(np.searchsorted(s, at, side="right") - 1, 0, len(points) - 2)
    return poses, ends, nearest + int(lane["first"])


def _fixed(network: RoadNetwork, lane: np.void, nearest: Ints) -> Array:
    points = network.points[nearest]
    columns = [points["width"], points["speed_limit"]]
    for side in ("left", "right"):
        mark = points[f"{side}_mark"]
        broken = np.isin(mark, _BROKEN)
        columns += [broken, ~broken & ~np.isin(mark, _UNMARKED)]
    flags = [lane["type"] == kind for kind in _TYPES] + [lane["junction"] >= 0]
    columns += [np.full(nearest.shape, flag) for flag in flags]
    return np.stack(columns, axis=2).astype(np.float32)


def _bound(network: RoadNetwork, index: int, ends: Floats) -> tuple[Ints, Floats]:
    """Which signal holds up each piece of a lane, and whether a stop sign does."""
    light = np.full(len(ends), -1, np.int32)
    sign = np.zeros(len(ends), np.float32)
    for line in network.stop_lines[network.stop_lines["lane"] == index]:
        before = (ends[:, 0] <= line["s"]) & (ends[:, 1] >= line["s"] - _BEFORE_LINE)
        kind = network.signals["kind"][line["signal"]]
        if kind == SignalKind.LIGHT:
            light[before] = line["signal"]
        elif kind == SignalKind.STOP:
            sign[before] = 1.0
    return light, sign


def _build(network: RoadNetwork, n_points: int) -> LanePieces:
    parts: list[tuple[Array, ...]] = []
    for index in np.flatnonzero(np.isin(network.lanes["type"], _TYPES)):
        lane = network.lanes[index]
        poses, ends, nearest = _points(network, lane, n_points)
        light, sign = _bound(network, int(index), ends)
        number = np.full(len(ends), index, np.int32)
        parts.append((poses, _fixed(network, lane, nearest), number, light, sign))
    poses, fixed, number, light, sign = (
        np.ascontiguousarray(np.concatenate([part[k] for part in parts])) for k in range(5)
    )
    middle = 0.5 * (poses[:, :, :2].min(axis=1) + poses[:, :, :2].max(axis=1))
    radius = np.linalg.norm(poses[:, :, :2] - middle[:, None], axis=2).max(axis=1)
    circles = np.concatenate((middle, radius[:, None]), axis=1)
    return LanePieces(poses, fixed, np.ascontiguousarray(circles), number, light, sign)


@lru_cache(maxsize=8)
def lane_pieces(network: RoadNetwork, n_points: int) -> LanePieces:
    """Returns a map's lanes in pieces of at most 20 m with so many points each (remembered)."""
    return _build(network, n_points)
