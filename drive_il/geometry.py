"""Plane geometry shared by all rooms: angles, frames, polylines.

Right-handed, x forward, y left, angles counter-clockwise in radians.
"""

from __future__ import annotations

from typing import overload

import numpy as np

from drive_il.datatypes import Bools, Floats, Ints

_TWO_PI = 2.0 * np.pi


@overload
def wrap_angle(angle: float) -> float: ...


@overload
def wrap_angle(angle: Floats) -> Floats: ...


def wrap_angle(angle: float | Floats) -> float | Floats:
    """Brings angles into [-pi, pi).

    Args:
        angle: any angle, scalar or array [rad].

    Returns:
        The same direction, scalar for a scalar [rad].
    """
    wrapped = np.mod(np.asarray(angle, float) + np.pi, _TWO_PI) - np.pi
    # A tiny negative number plus a turn rounds to the turn itself.
    wrapped = np.where(wrapped >= np.pi, -np.pi, wrapped)
    return float(wrapped) if wrapped.ndim == 0 else wrapped


def _rotate(xy: Floats, angle: float | Floats) -> Floats:
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = xy[..., 0], xy[..., 1]
    return np.stack((cos * x - sin * y, sin * x + cos * y), axis=-1)


def to_ego(xy_world: Floats, ego_xy: Floats, ego_heading: float | Floats) -> Floats:
    """Expresses world points in the ego frame.

    Args:
        xy_world: (..., 2) [m].
        ego_xy: position of the ego, broadcast against `xy_world`, (..., 2) [m].
        ego_heading: broadcast against the points, (...) [rad].

    Returns:
        xy_ego: x forward, y left, (..., 2) [m].
    """
    return _rotate(np.asarray(xy_world, float) - ego_xy, -np.asarray(ego_heading))


def to_world(xy_ego: Floats, ego_xy: Floats, ego_heading: float | Floats) -> Floats:
    """Expresses points of the ego frame in the world frame; the inverse of `to_ego`.

    Args:
        xy_ego: (..., 2) [m].
        ego_xy: position of the ego, (..., 2) [m].
        ego_heading: (...) [rad].

    Returns:
        xy_world: (..., 2) [m].
    """
    return _rotate(np.asarray(xy_ego, float), ego_heading) + ego_xy


def arc_length(polyline: Floats) -> Floats:
    """Returns the arc length at each vertex of a polyline, (K,) [m], from (K, 2 or 3) [m]."""
    steps = np.linalg.norm(np.diff(polyline, axis=0), axis=1)
    return np.concatenate((np.zeros(1), np.cumsum(steps)))


def project(xy: Floats, polyline: Floats) -> tuple[Floats, Floats, Ints]:
    """Finds the nearest place on a polyline.

    Ties go to the earlier segment; beyond the ends the end points are nearest. Memory is
    N * K, so this is for preparing data, not for a control loop.

    Args:
        xy: points, (N, 2) [m].
        polyline: K >= 2 vertices, (K, 2) [m].

    Returns:
        s: arc length along the polyline, (N,) [m].
        offset: distance, left of the segment positive, (N,) [m].
        segment: index of the nearest segment's first vertex, (N,).

    Raises:
        ValueError: if `polyline` has fewer than two vertices.
    """
    if polyline.ndim != 2 or polyline.shape[0] < 2 or polyline.shape[1] != 2:
        raise ValueError(f"a polyline must have shape (K >= 2, 2), got {polyline.shape}")
    xy = np.atleast_2d(np.asarray(xy, float))
    start, step = polyline[:-1], np.diff(polyline, axis=0)
    length_squared = (step**2).sum(axis=1)
    away = xy[:, None] - start[None]  # (N, K-1, 2)
    along = (away * step).sum(axis=2) / np.where(length_squared > 0.0, length_squared, 1.0)
    along = np.clip(along, 0.0, 1.0)
    gap = away - along[..., None] * step
    distance_squared = (gap**2).sum(axis=2)
    segment = distance_squared.argmin(axis=1)
    rows = np.arange(len(xy))
    chosen, chosen_step = away[rows, segment], step[segment]
    side = chosen_step[:, 0] * chosen[:, 1] - chosen_step[:, 1] * chosen[:, 0]
    at = along[rows, segment]
    s = arc_length(polyline)[segment] + at * np.sqrt(length_squared[segment])
    distance = np.sqrt(distance_squared[rows, segment])
    return s, np.where(side < 0.0, -distance, distance), segment


def in_polygon(xy: Floats, corners: Floats) -> Bools:
    """Tells which points lie in a polygon: an odd number of its edges lies to their right.

    Args:
        xy: points, (N, 2) [m].
        corners: of the polygon, in order, (K, 2 or 3) [m]; heights are not looked at.

    Returns:
        (N,) bool.
    """
    x, y = xy[:, :1], xy[:, 1:2]
    x0, y0 = corners[:, 0], corners[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    spans = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    odd: Bools = (spans & (at > x)).sum(axis=1) % 2 == 1
    return odd
