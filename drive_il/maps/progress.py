"""Where an ego is along its route: the one place that derives PROGRESS.

Where a place lies on the route is `route_geometry`'s; the search goes on from the last index.

The target point is the next far waypoint as agents of the CARLA leaderboard meet it after
its down-sampling: the first point at least 7.5 m ahead at which the command changes, at most
50 m ahead, or the end of the route.
"""

from __future__ import annotations

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import LightState
from drive_il.datatypes import PROGRESS, ROUTE_POINT, VEHICLE, Floats, Ints, Records, RouteTable
from drive_il.maps.network import SignalKind
from drive_il.maps.route_geometry import (
    find_fraction,
    find_segment,
    heading_at,
    normal,
    sagitta,
    segment_at,
    wrap,
)

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
    progress.lateral_error = away_x * nx + away_y * ny + sagitta(points, i, t)
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
        ego: VEHICLE record, already placed (see `route_geometry.pose_at`).
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
        ego: (B,) VEHICLE, already placed (see `route_geometry.poses`).
        progress: (B,) PROGRESS; `route` is kept, all else is set.
        routes: what `progress["route"]` points into.
        s: where along its route to look for each ego, (B,) [m].
    """
    s = np.ascontiguousarray(s, np.float64)
    _begin_rows(0, len(ego), ego, progress, routes.points, routes.first, routes.count, s)
