"""Where an ego is along its route: the one place that derives PROGRESS.

The route is a chain of points about 1 m apart. A point p lies in segment i when it is past
the normal through point i and not yet past the normal through point i + 1; tangents at the
points are central differences, so the normals of neighbouring segments coincide and the
arc length is continuous, also beside a bend. The search walks from the last index, one
segment at a time: a route that crosses itself, or runs beside itself, is followed in order.

The lateral error refers to the arc through the points, not to the chord: the chord's sagitta
(2 cm in a bend of 6 m radius) is added back from the curvature.

The target point is the next far waypoint as agents of the CARLA leaderboard meet it after
its down-sampling: the first point at least 7.5 m ahead at which the command changes, at most
50 m ahead, or the end of the route.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import LightState
from drive_il.datatypes import PROGRESS, ROUTE_POINT, VEHICLE, Floats, Ints, Records, RouteTable
from drive_il.maps.network import SignalKind

_STANDING_SPEED = 0.1  # [m/s] below this the ego stands, as in the leaderboard's blocked test
_TARGET_MIN = 7.5  # [m] nearer waypoints count as reached, as agents of the leaderboard do
_TARGET_MAX = 50.0  # [m] the leaderboard keeps a waypoint at least this often
_GOAL_RADIUS = 10.0  # [m] from the goal, to complete the route
_GOAL_FRACTION = 0.99  # of the route length, to complete the route
_GOAL_DISTANCE = 1.0  # [m] before the end, to complete a route shorter than 100 m
_NO_STOP = 1000.0  # [m] distance of the next stop line where there is none
_TAIL = 0.8  # share of the half length behind the centre that must be past a stop line
_SERVED_FROM = 4.0  # [m] from the front to the line: a halt nearer than this serves a stop sign
_SERVED_TO = -2.0  # [m] so far may the front stand beyond the line then
_LIGHT, _STOP_SIGN = int(SignalKind.LIGHT), int(SignalKind.STOP)
_RED, _OFF = int(LightState.RED), int(LightState.OFF)
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
def _sagitta(points: Records, i: int, t: float) -> float:
    """How far right of the chord the arc lies at fraction t of segment i [m]."""
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
    offset = lateral_error - _sagitta(points, i, t)
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


@kernels.device
def _aim(progress: np.record, points: Records, i: int, high: int) -> None:
    """Sets the target point: see the module docstring."""
    s = progress.s
    j = i + 1
    while j < high:
        ahead = points[j].s - s
        if ahead >= _TARGET_MAX:
            break
        if ahead >= _TARGET_MIN and points[j].command != points[j - 1].command:
            break
        j += 1
    progress.target_x = points[j].x
    progress.target_y = points[j].y
    progress.next_command = points[j].command


@kernels.device
def advance(
    ego: np.record, progress: np.record, points: Records, first: int, count: int, dt: float
) -> None:
    """Brings one PROGRESS record up to date with its VEHICLE.

    Args:
        ego: VEHICLE record.
        progress: PROGRESS record, changed in place.
        points: all ROUTE_POINTs.
        first: first point of this row's route.
        count: number of its points.
        dt: time since the last call; 0 to look without letting time pass [s].
    """
    high = first + count - 1
    i = min(max(first + progress.index, first), high - 1)
    i = find_segment(points, first, high, i, ego.x, ego.y)
    t = find_fraction(points, first, high, i, ego.x, ego.y)
    a, b = points[i], points[i + 1]
    nx, ny = normal(points, first, high, i, t)
    away_x = ego.x - (a.x + t * (b.x - a.x))
    away_y = ego.y - (a.y + t * (b.y - a.y))
    progress.index = i - first
    progress.s = a.s + t * (b.s - a.s)
    progress.s_max = max(progress.s_max, progress.s)
    progress.lateral_error = away_x * nx + away_y * ny + _sagitta(points, i, t)
    progress.heading_error = wrap(ego.heading - heading_at(points, i, t))
    progress.curvature = a.curvature + t * (b.curvature - a.curvature)
    progress.lane_width = a.lane_width + t * (b.lane_width - a.lane_width)
    progress.speed_limit = a.speed_limit + t * (b.speed_limit - a.speed_limit)
    progress.command = a.command
    _aim(progress, points, i, high)
    progress.standing = progress.standing + dt if ego.speed < _STANDING_SPEED else 0.0
    length = points[high].s
    if progress.s >= min(_GOAL_FRACTION * length, length - _GOAL_DISTANCE):
        goal_x, goal_y = ego.x - points[high].x, ego.y - points[high].y
        if goal_x * goal_x + goal_y * goal_y < _GOAL_RADIUS * _GOAL_RADIUS:
            progress.completed = True


@kernels.device
def begin(
    ego: np.record,
    progress: np.record,
    points: Records,
    route: int,
    first: int,
    count: int,
    s: float,
) -> None:
    """Starts a PROGRESS record afresh at arc length s of a route.

    Args:
        ego: VEHICLE record, already placed (see `pose_at`).
        progress: PROGRESS record, every field set.
        points: all ROUTE_POINTs.
        route: index of the route in its RouteTable.
        first: first point of the route.
        count: number of its points.
        s: where to look for the ego [m].
    """
    progress.route = route
    progress.index = segment_at(points, first, count, s) - first
    progress.s_max = 0.0
    progress.route_length = points[first + count - 1].s
    progress.standing = 0.0
    progress.completed = False
    progress.oncoming = False
    progress.emergency = 0
    progress.stop = 0
    progress.stop_distance = _NO_STOP
    progress.stop_kind = 0
    progress.stop_signal = -1
    progress.stop_light = _OFF
    progress.stop_served = False
    advance(ego, progress, points, first, count, 0.0)
    progress.s_max = progress.s


@kernels.device
def meet_stops(
    ego: np.record,
    progress: np.record,
    events: np.record,
    stops: Records,
    first: int,
    count: int,
    lights: Ints,
) -> None:
    """Brings the stop line ahead up to date, and says whether one was run in this step.

    A line is passed when the tail of the ego is (0.8 of its half length behind its centre,
    as the leaderboard has it); what the light shows then counts.

    Args:
        ego: VEHICLE record.
        progress: PROGRESS record, up to date but for its stop line.
        events: EVENTS record, `red_light` and `stop_sign` are set.
        stops: all ROUTE_STOPs.
        first: first stop of this row's route.
        count: number of its stops; 0 where signals do not bind.
        lights: LightState of each signal, (S,) uint8.
    """
    events.red_light = -1
    events.stop_sign = -1
    tail = progress.s - _TAIL * 0.5 * ego.length
    front = progress.s + 0.5 * ego.length
    while progress.stop < count and stops[first + progress.stop].s < tail:
        line = stops[first + progress.stop]
        if line.kind == _LIGHT and lights[line.signal] == _RED:
            events.red_light = line.signal
        elif line.kind == _STOP_SIGN and not progress.stop_served:
            events.stop_sign = line.signal
        progress.stop += 1
        progress.stop_served = False
    progress.stop_distance = _NO_STOP
    progress.stop_kind = 0
    progress.stop_signal = -1
    progress.stop_light = _OFF
    if progress.stop < count:
        line = stops[first + progress.stop]
        progress.stop_distance = line.s - front
        progress.stop_kind = line.kind
        progress.stop_signal = line.signal
        if line.kind == _LIGHT:
            progress.stop_light = lights[line.signal]
        ahead = float(line.s) - front
        if ego.speed < _STANDING_SPEED and _SERVED_TO < ahead < _SERVED_FROM:
            progress.stop_served = True


@kernels.device
def begin_stops(
    ego: np.record, progress: np.record, stops: Records, first: int, count: int
) -> None:
    """Starts the stop lines afresh: those behind the ego's front count as passed.

    Args:
        ego: VEHICLE record.
        progress: PROGRESS record, begun.
        stops: all ROUTE_STOPs.
        first: first stop of this row's route.
        count: number of its stops.
    """
    front = progress.s + 0.5 * ego.length
    progress.stop = 0
    progress.stop_served = False
    while progress.stop < count and stops[first + progress.stop].s < front:
        progress.stop += 1


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(VEHICLE)[::1],
        kernels.record(PROGRESS)[::1],
        kernels.record(ROUTE_POINT)[::1],
        nt.int32[::1],
        nt.int32[::1],
        nt.float64,
    )
)
def _update_rows(
    first_row: int,
    last_row: int,
    ego: Records,
    progress: Records,
    points: Records,
    first: Ints,
    count: Ints,
    dt: float,
) -> None:
    for row in range(first_row, last_row):
        route = progress[row].route
        advance(ego[row], progress[row], points, first[route], count[route], dt)


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(VEHICLE)[::1],
        kernels.record(PROGRESS)[::1],
        kernels.record(ROUTE_POINT)[::1],
        nt.int32[::1],
        nt.int32[::1],
        nt.float64[::1],
    )
)
def _begin_rows(
    first_row: int,
    last_row: int,
    ego: Records,
    progress: Records,
    points: Records,
    first: Ints,
    count: Ints,
    s: Floats,
) -> None:
    for row in range(first_row, last_row):
        route = progress[row].route
        begin(ego[row], progress[row], points, route, first[route], count[route], s[row])


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


def update(ego: Records, progress: Records, routes: RouteTable, dt: float) -> None:
    """Brings every row's PROGRESS up to date with its VEHICLE, in place.

    Args:
        ego: (B,) VEHICLE.
        progress: (B,) PROGRESS.
        routes: what `progress["route"]` points into.
        dt: time since the last update; 0 to look without letting time pass [s].
    """
    kernels.run(
        _update_rows,
        len(ego),
        ego,
        progress,
        routes.points,
        routes.first,
        routes.count,
        dt,
        min_rows=4096,
    )


def start(ego: Records, progress: Records, routes: RouteTable, s: Floats) -> None:
    """Starts every row's PROGRESS afresh, in place.

    Args:
        ego: (B,) VEHICLE, already placed (see `poses`).
        progress: (B,) PROGRESS; `route` is kept, all else is set.
        routes: what `progress["route"]` points into.
        s: where along its route to look for each ego, (B,) [m].
    """
    s = np.ascontiguousarray(s, np.float64)
    _begin_rows(0, len(ego), ego, progress, routes.points, routes.first, routes.count, s)


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
