"""The world's kernels: step and place a range of rows."""

from __future__ import annotations

import math

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import CONTROL, PROGRESS, VEHICLE, WEATHER, Ints, Records
from drive_il.maps import lane_queries, progress
from drive_il.maps.ground import GROUND, Ground
from drive_il.sim import vehicle
from drive_il.sim.routes import ROUTES, RouteArrays, keyed_weather

_EGO = kernels.record(VEHICLE)[::1]
_PROGRESS = kernels.record(PROGRESS)[::1]
_WEATHER = kernels.record(WEATHER)[::1]
_CONTROL = nt.Array(kernels.record(CONTROL), 1, "C", readonly=True)

PLACEMENT = np.dtype(
    [
        ("row", "i8"),
        ("route", "i4"),  # index into the route table
        ("s", "f8"),  # [m] along the route
        ("lateral_error", "f8"),  # [m]
        ("heading_error", "f8"),  # [rad]
        ("x", "f8"),  # [m] world frame; NaN: relative to the route
        ("y", "f8"),
        ("z", "f8"),  # [m] NaN: the route's
        ("heading", "f8"),  # [rad]
        ("speed", "f8"),  # [m/s]
    ]
)
"""Where to put the ego of one row."""


@kernels.kernel(nt.int64(nt.int64, nt.int64, _CONTROL))
def first_invalid(first_row: int, last_row: int, control: Records) -> int:
    """Returns the first row whose CONTROL no vehicle can execute, -1 when there is none."""
    for row in range(first_row, last_row):
        c = control[row]
        fine = 0.0 <= c.throttle <= 1.0 and 0.0 <= c.brake <= 1.0 and -1.0 <= c.steer <= 1.0
        if not fine:
            return row
    return -1


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        _CONTROL,
        _EGO,
        _PROGRESS,
        _WEATHER,
        nt.int64[::1],
        ROUTES,
        GROUND,
        nt.float64,
    )
)
def step_rows(
    first_row: int,
    last_row: int,
    control: Records,
    egos: Records,
    progresses: Records,
    weathers: Records,
    step: Ints,
    routes: RouteArrays,
    ground: Ground,
    dt: float,
) -> None:
    """Drives rows by one step: vehicle, lane, progress, weather, counter; all in place.

    Args:
        first_row: of the range.
        last_row: one past it.
        control: (B,) CONTROL, valid.
        egos: (B,) VEHICLE.
        progresses: (B,) PROGRESS.
        weathers: (B,) WEATHER.
        step: (B,).
        routes: what the rows' progress points into.
        ground: of the map.
        dt: [s].
    """
    points, first, count = routes[0], routes[1], routes[2]
    for row in range(first_row, last_row):
        ego = egos[row]
        c = control[row]
        vehicle.drive(ego, c.throttle, c.brake, c.steer, dt)
        lane_queries.settle(ground, ego)
        route = progresses[row].route
        progress.advance(ego, progresses[row], points, first[route], count[route], dt)
        keyed_weather(routes, progresses[row], weathers[row])
        step[row] += 1


@kernels.device
def _nearest_point(points: Records, low: int, count: int, placement: np.record) -> int:
    """The route point nearest to a world pose; those that point the other way count last."""
    best, found = math.inf, low
    for i in range(low, low + count):
        point = points[i]
        dx, dy = placement.x - point.x, placement.y - point.y
        away = dx * dx + dy * dy
        if math.cos(placement.heading - point.heading) < 0.0:
            away += 1e6
        if abs(placement.z - point.z) > lane_queries.HEIGHT_LIMIT:  # false for NaN
            away += 1e6
        if away < best:
            best, found = away, i
    return found


@kernels.device
def _pose(placement: np.record, points: Records, low: int, count: int, ego: np.record) -> float:
    """Sets position and heading of a vehicle; returns where on the route to look for it [m]."""
    if placement.x == placement.x:
        ego.x = placement.x
        ego.y = placement.y
        ego.heading = progress.wrap(placement.heading)
        near = _nearest_point(points, low, count, placement)
        ego.z = placement.z if placement.z == placement.z else points[near].z
        return float(points[near].s)
    x, y, z, heading = progress.pose_at(
        points, low, count, placement.s, placement.lateral_error, placement.heading_error
    )
    ego.x = x
    ego.y = y
    ego.z = z
    ego.heading = heading
    return float(placement.s)


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(PLACEMENT)[::1],
        _EGO,
        _PROGRESS,
        _WEATHER,
        ROUTES,
        GROUND,
    )
)
def place_rows(
    first_row: int,
    last_row: int,
    placements: Records,
    egos: Records,
    progresses: Records,
    weathers: Records,
    routes: RouteArrays,
    ground: Ground,
) -> None:
    """Puts vehicles somewhere and starts their progress afresh.

    Args:
        first_row: of the range of placements.
        last_row: one past it.
        placements: (N,) PLACEMENT.
        egos: (B,) VEHICLE.
        progresses: (B,) PROGRESS.
        weathers: (B,) WEATHER.
        routes: what the placements point into.
        ground: of the map.
    """
    points, first, count = routes[0], routes[1], routes[2]
    for k in range(first_row, last_row):
        placement = placements[k]
        ego = egos[placement.row]
        low, n = first[placement.route], count[placement.route]
        s = _pose(placement, points, low, n, ego)
        ego.speed = placement.speed
        ego.acceleration = 0.0
        ego.throttle = 0.0
        ego.brake = 0.0
        ego.steer = 0.0
        ego.steering_angle = 0.0
        ego.lane = points[progress.segment_at(points, low, n, s)].lane
        vehicle.settle(ego)
        lane_queries.settle(ground, ego)
        at = progresses[placement.row]
        progress.begin(ego, at, points, placement.route, low, n, s)
        keyed_weather(routes, at, weathers[placement.row])


def placements(rows: Ints) -> Records:
    """Returns placements of these rows, to be filled, (N,) PLACEMENT."""
    new = np.zeros(len(rows), PLACEMENT)
    new["row"] = rows
    for name in ("x", "y", "z"):
        new[name] = np.nan
    return new
