"""Geometry of a route: places beside it as arc length and offset, and back.

The route is a chain of points about 1 m apart. A point p lies in segment i when it is past
the normal through point i and not yet past the normal through point i + 1; tangents at the
points are central differences, so the normals of neighbouring segments coincide and the
arc length is continuous, also beside a bend. The search walks from the last index, one
segment at a time: a route that crosses itself, or runs beside itself, is followed in order.

The lateral error refers to the arc through the points, not to the chord: the chord's sagitta
(2 cm in a bend of 6 m radius) is added back from the curvature.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import ROUTE_POINT, Floats, Ints, Records, RouteTable

_TWO_PI = 2.0 * math.pi


@kernels.device
def wrap(angle: float) -> float:
    """Brings an angle into [-pi, pi) [rad]."""
    if -math.pi <= angle < math.pi:  # a hair below pi would round over it
        return angle
    wrapped = angle - _TWO_PI * math.floor((angle + math.pi) / _TWO_PI)
    return wrapped if -math.pi <= wrapped < math.pi else -math.pi


@kernels.device
def tangent(points: Records, low: int, high: int, i: int) -> tuple[float, float]:
    """Returns the direction of the route at point i, not normalised (2 segments long).

    Args:
        points: ROUTE_POINT array.
        low: first point of the route.
        high: last point of the route.
        i: which point.
    """
    before = max(i - 1, low)
    after = min(i + 1, high)
    return points[after].x - points[before].x, points[after].y - points[before].y


@kernels.device
def _past(points: Records, low: int, high: int, i: int, x: float, y: float) -> bool:
    dx, dy = tangent(points, low, high, i)
    return bool((x - points[i].x) * dx + (y - points[i].y) * dy >= 0.0)


@kernels.device
def find_segment(points: Records, low: int, high: int, i: int, x: float, y: float) -> int:
    """Walks from segment i to the segment that (x, y) lies beside.

    Returns:
        Index of the segment's first point, in [low, high - 1].
    """
    moved = False
    while i < high - 1 and _past(points, low, high, i + 1, x, y):
        i += 1
        moved = True
    if not moved:
        while i > low and not _past(points, low, high, i, x, y):
            i -= 1
    return i


@kernels.device
def find_fraction(points: Records, low: int, high: int, i: int, x: float, y: float) -> float:
    """Returns where along segment i the normal through (x, y) stands, in [0, 1].

    Solves (p - a - t d) . (u + t w) = 0 with the tangent running from u to u + w.
    """
    ux, uy = tangent(points, low, high, i)
    vx, vy = tangent(points, low, high, i + 1)
    # Equal lengths, so that the direction turns evenly.
    scale = math.sqrt((ux * ux + uy * uy) / max(vx * vx + vy * vy, 1e-12))
    wx, wy = vx * scale - ux, vy * scale - uy
    dx, dy = points[i + 1].x - points[i].x, points[i + 1].y - points[i].y
    px, py = x - points[i].x, y - points[i].y
    c = px * ux + py * uy
    b = px * wx + py * wy - dx * ux - dy * uy
    a = -(dx * wx + dy * wy)
    # The root that is continuous at a = 0, in the form that does not cancel.
    root = -b + math.sqrt(max(b * b - 4.0 * a * c, 0.0))
    if root <= 0.0:  # beyond the centre of the bend: every normal passes behind
        return 0.0 if c < 0.0 else 1.0
    return float(min(max(2.0 * c / root, 0.0), 1.0))


@kernels.device
def normal(points: Records, low: int, high: int, i: int, t: float) -> tuple[float, float]:
    """Returns the unit vector to the left of the route at fraction t of segment i."""
    ux, uy = tangent(points, low, high, i)
    vx, vy = tangent(points, low, high, i + 1)
    scale = math.sqrt((ux * ux + uy * uy) / max(vx * vx + vy * vy, 1e-12))
    tx, ty = ux + t * (vx * scale - ux), uy + t * (vy * scale - uy)
    length = math.sqrt(tx * tx + ty * ty)
    return -ty / length, tx / length


@kernels.device
def sagitta(points: Records, i: int, t: float) -> float:
    """Returns how far right of the chord the arc lies at fraction t of segment i [m]."""
    length = points[i + 1].s - points[i].s
    curvature = points[i].curvature + t * (points[i + 1].curvature - points[i].curvature)
    return float(0.5 * curvature * length * length * t * (1.0 - t))


@kernels.device
def heading_at(points: Records, i: int, t: float) -> float:
    """Returns the heading of the route at fraction t of segment i [rad]."""
    turn = wrap(points[i + 1].heading - points[i].heading)
    return wrap(points[i].heading + t * turn)


@kernels.device
def pose_at(
    points: Records, first: int, count: int, s: float, lateral_error: float, heading_error: float
) -> tuple[float, float, float, float]:
    """Returns the pose (x, y, z, heading) at a place on or beside a route.

    Args:
        points: all ROUTE_POINTs.
        first: first point of the route.
        count: number of its points.
        s: arc length along the route, clipped to it [m].
        lateral_error: left positive [m].
        heading_error: [rad].
    """
    high = first + count - 1
    i = segment_at(points, first, count, s)
    length = points[i + 1].s - points[i].s
    t = min(max((s - points[i].s) / length, 0.0), 1.0)
    nx, ny = normal(points, first, high, i, t)
    offset = lateral_error - sagitta(points, i, t)
    x = points[i].x + t * (points[i + 1].x - points[i].x) + nx * offset
    y = points[i].y + t * (points[i + 1].y - points[i].y) + ny * offset
    z = points[i].z + t * (points[i + 1].z - points[i].z)
    return x, y, z, wrap(heading_at(points, i, t) + heading_error)


@kernels.device
def segment_at(points: Records, first: int, count: int, s: float) -> int:
    """Returns the first point of the segment that holds arc length s (bisection)."""
    low, high = first, first + count - 2
    while low < high:
        middle = (low + high + 1) // 2
        if points[middle].s <= s:
            low = middle
        else:
            high = middle - 1
    return low


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(ROUTE_POINT)[::1],
        nt.int32[::1],
        nt.int32[::1],
        nt.int64[::1],
        nt.float64[:, ::1],
        nt.float64[:, ::1],
    )
)
def _pose_rows(
    first_row: int,
    last_row: int,
    points: Records,
    first: Ints,
    count: Ints,
    route: Ints,
    place: Floats,
    pose: Floats,
) -> None:
    for row in range(first_row, last_row):
        r = route[row]
        x, y, z, heading = pose_at(
            points, first[r], count[r], place[row, 0], place[row, 1], place[row, 2]
        )
        pose[row, 0] = x
        pose[row, 1] = y
        pose[row, 2] = z
        pose[row, 3] = heading


def poses(
    routes: RouteTable, route: Ints, s: Floats, lateral_error: Floats, heading_error: Floats
) -> Floats:
    """Returns poses on or beside routes.

    Args:
        routes: the routes.
        route: index of each row's route, (B,).
        s: arc length, clipped to the route, (B,) [m].
        lateral_error: left positive, (B,) [m].
        heading_error: (B,) [rad].

    Returns:
        x, y, z [m] and heading [rad], (B, 4).
    """
    place = np.stack(
        np.broadcast_arrays(
            np.asarray(s, np.float64), np.asarray(lateral_error), np.asarray(heading_error)
        ),
        axis=1,
    )
    pose = np.zeros((len(place), 4))
    index = np.ascontiguousarray(route, np.int64)
    _pose_rows(
        0,
        len(place),
        routes.points,
        routes.first,
        routes.count,
        index,
        np.ascontiguousarray(place),
        pose,
    )
    return pose
