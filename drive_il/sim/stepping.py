"""The world's kernels: step and place a range of rows."""

from __future__ import annotations

import math

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import EVENTS
from drive_il.datatypes import CONTROL, PROGRESS, VEHICLE, WEATHER, Bools, Ints, Records
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
        kernels.record(EVENTS)[::1],
        kernels.record(VEHICLE)[:, ::1],
        nt.uint8[:, ::1],
        nt.boolean[::1],
        ROUTES,
        GROUND,
        nt.float64,
    )
)
def step_worlds(
    first_world: int,
    last_world: int,
    control: Records,
    egos: Records,
    progresses: Records,
    weathers: Records,
    step: Ints,
    events: Records,
    vehicles: Records,
    lights: Ints,
    signals: Bools,
    routes: RouteArrays,
    ground: Ground,
    dt: float,
) -> None:
    """Drives worlds by one step: egos, lanes, progress, weather, counter; all in place.

    Args:
        first_world: of the range.
        last_world: one past it.
        control: (B,) CONTROL, valid.
        egos: (B,) VEHICLE.
        progresses: (B,) PROGRESS.
        weathers: (B,) WEATHER.
        step: (B,).
        events: (B,) EVENTS.
        vehicles: (W, V) VEHICLE, the egos first.
        lights: (W, S) LightState.
        signals: (W,) whether lights and signs bind the egos.
        routes: what the rows' progress points into.
        ground: of the map.
        dt: [s].
    """
    n_egos = len(egos) // len(vehicles)
    for world in range(first_world, last_world):
        for slot in range(n_egos):
            row = world * n_egos + slot
            ego = egos[row]
            c = control[row]
            vehicle.drive(ego, c.throttle, c.brake, c.steer, dt)
            lane_queries.settle(ground, ego)
            vehicles[world, slot] = ego
            _follow(row, egos, progresses, events, routes, lights[world], signals[world], dt)
            keyed_weather(routes, progresses[row], weathers[row])
            step[row] += 1


@kernels.device
def _follow(
    row: int,
    egos: Records,
    progresses: Records,
    events: Records,
    routes: RouteArrays,
    lights: Ints,
    binding: bool,
    dt: float,
) -> None:
    """Brings the progress of one ego up to date."""
    ego, progress_ = egos[row], progresses[row]
    route = progress_.route
    progress.advance(ego, progress_, routes[0], routes[1][route], routes[2][route], dt)
    count = routes[9][route] if binding else 0
    progress.meet_stops(ego, progress_, events[row], routes[7], routes[8][route], count, lights)


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
        route = placement.route
        progress.begin_stops(ego, at, routes[7], routes[8][route], routes[9][route])
        keyed_weather(routes, at, weathers[placement.row])


def placements(rows: Ints) -> Records:
    """Returns placements of these rows, to be filled, (N,) PLACEMENT."""
    new = np.zeros(len(rows), PLACEMENT)
    new["row"] = rows
    for name in ("x", "y", "z"):
        new[name] = np.nan
    return new
