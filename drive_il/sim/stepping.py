"""The world's kernels: step and place a range of rows."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import typed
from numba import types as nt

from drive_il import kernels
from drive_il.actors import EVENTS, WALKER
from drive_il.datatypes import CONTROL, PROGRESS, VEHICLE, WEATHER, Bools, Ints, Records
from drive_il.maps import lane_queries, progress, route_geometry
from drive_il.maps.ground import GROUND, Ground
from drive_il.sim import vehicle
from drive_il.sim.drivers import DRIVER, Street, note_ego
from drive_il.sim.driving import drive_and_meet, drive_others
from drive_il.sim.edges import EDGES, Edges
from drive_il.sim.grip import UNLIMITED, care, grip_in
from drive_il.sim.lights import CYCLE, PHASES, Phases, start_lights, step_lights
from drive_il.sim.models import MODEL
from drive_il.sim.obstacles import OBSTACLES, Obstacles
from drive_il.sim.pavements import PAVEMENTS, Pavements
from drive_il.sim.programs import PROGRAMS, ROLE_STATE, SCRIPT_STATE, ProgramArrays
from drive_il.sim.roads import ROADS, Roads
from drive_il.sim.routes import ROUTES, RouteArrays, keyed_weather
from drive_il.sim.scripts import play
from drive_il.sim.traffic import step_traffic
from drive_il.sim.walker_gaps import PASSAGE_STATE, WALK
from drive_il.sim.walkers import step_walkers

_EGO = kernels.record(VEHICLE)[::1]
_PROGRESS = kernels.record(PROGRESS)[::1]
_WEATHER = kernels.record(WEATHER)[::1]
_CONTROL = nt.Array(kernels.record(CONTROL), 1, "C", readonly=True)


class Egos(NamedTuple):
    """What there is once per row, (B,) each."""

    ego: Records
    progress: Records
    weather: Records
    step: Ints
    seed: Ints
    events: Records


EGOS = nt.NamedTuple(
    (
        _EGO,
        _PROGRESS,
        _WEATHER,
        nt.int64[::1],
        nt.uint64[::1],
        kernels.record(EVENTS)[::1],
    ),
    Egos,
)
"""Numba type of `Egos`."""


class Surroundings(NamedTuple):
    """What there is once per world.

    Attributes:
        vehicles: (W, V) VEHICLE, the egos first.
        drivers: (W, V) DRIVER.
        controls: (W, V) CONTROL of vehicles that are driven from outside, the egos' unused.
        contacts: (W, V) EVENTS of the same, what they met in the last step.
        walkers: (W, P) WALKER.
        walks: (W, P) WALK.
        lights: (W, S) LightState.
        cycles: (W, J) CYCLE.
        busy: whether people claim each crosswalk, (W, C) uint8.
        waits: (W, C) PASSAGE_STATE.
        signals: whether lights run and signs bind the egos, (W,).
        slippery: whether the weather changes the grip, (W,).
        scripts: (W, K) SCRIPT_STATE.
        roles: (W, R) ROLE_STATE.
        seats: slots of the scenarios' vehicles, first and one past the last, and of their
            walkers, (W, 4).
        next_id: of the next actor, (W,).
    """

    vehicles: Records
    drivers: Records
    controls: Records
    contacts: Records
    walkers: Records
    walks: Records
    lights: Ints
    cycles: Records
    busy: Ints
    waits: Records
    signals: Bools
    slippery: Bools
    scripts: Records
    roles: Records
    seats: Ints
    next_id: Ints


SURROUNDINGS = nt.NamedTuple(
    (
        kernels.record(VEHICLE)[:, ::1],
        kernels.record(DRIVER)[:, ::1],
        kernels.record(CONTROL)[:, ::1],
        kernels.record(EVENTS)[:, ::1],
        kernels.record(WALKER)[:, ::1],
        kernels.record(WALK)[:, ::1],
        nt.uint8[:, ::1],
        kernels.record(CYCLE)[:, ::1],
        nt.uint8[:, ::1],
        kernels.record(PASSAGE_STATE)[:, ::1],
        nt.boolean[::1],
        nt.boolean[::1],
        kernels.record(SCRIPT_STATE)[:, ::1],
        kernels.record(ROLE_STATE)[:, ::1],
        nt.int32[:, ::1],
        nt.int64[::1],
    ),
    Surroundings,
)
"""Numba type of `Surroundings`."""


class Map(NamedTuple):
    """What does not change while a world runs."""

    routes: RouteArrays
    ground: Ground
    roads: Roads
    phases: Phases
    models: Records
    pavements: Pavements
    obstacles: Obstacles
    edges: Edges
    paints: Ints
    programs: ProgramArrays


MAP = nt.NamedTuple(
    (
        ROUTES,
        GROUND,
        ROADS,
        PHASES,
        kernels.record(MODEL)[::1],
        PAVEMENTS,
        OBSTACLES,
        EDGES,
        nt.uint8[:, ::1],
        PROGRAMS,
    ),
    Map,
)
"""Numba type of `Map`."""


class Arrays(NamedTuple):
    """All that a step reads and writes."""

    egos: Egos
    around: Surroundings
    map: Map


ARRAYS = nt.NamedTuple((EGOS, SURROUNDINGS, MAP), Arrays)
"""Numba type of `Arrays`."""
HELD = nt.ListType(ARRAYS)
"""A list of one `Arrays`: a call hands over one pointer, where 73 arrays take 15 us."""

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
        fine = -1.0 <= c.throttle <= 1.0 and 0.0 <= c.brake <= 1.0 and -1.0 <= c.steer <= 1.0
        if not fine:
            return row
    return -1


@kernels.kernel(HELD(ARRAYS))
def hold(arrays: Arrays) -> Any:
    """Puts arrays where kernels find them without being handed each."""
    held = typed.List()
    held.append(arrays)
    return held


@kernels.kernel(nt.void(nt.int64, nt.int64, _CONTROL, HELD, nt.float64))
def step_worlds(first_world: int, last_world: int, control: Records, held: Any, dt: float) -> None:
    """Drives worlds by one step, in place.

    Scenarios, traffic and lights act on the state that the step begins with; people walk, and
    then the egos move, among what those have become.

    Args:
        first_world: of the range.
        last_world: one past it.
        control: (B,) CONTROL, valid.
        held: see `hold`.
        dt: [s].
    """
    egos, around, map_ = held[0]
    n_egos = len(egos.ego) // len(around.vehicles)
    n_lanes, n_slots = len(map_.roads.lanes), around.vehicles.shape[1]
    crowded = n_slots > n_egos
    # Scratch, clean between worlds.
    head = np.full(n_lanes if crowded else 1, -1, np.int32)
    want_head = np.full(n_lanes if crowded else 1, -1, np.int32)
    link, want_link = np.empty(2 * n_slots, np.int32), np.empty(2 * n_slots, np.int32)
    foreign, n_foreign = np.empty(n_slots, np.int32), np.zeros(1, np.int32)
    for world in range(first_world, last_world):
        row = world * n_egos
        pedals, steer = 0.0, 0.0
        if map_.programs.routes[egos.progress[row].route].script_count > 0:
            pedals, steer = play(egos, row, around, world, map_, dt)
        grip = grip_in(egos.weather[row]) if around.slippery[world] else UNLIMITED
        if crowded:
            vehicles, drivers = around.vehicles[world], around.drivers[world]
            lists = (head, link, want_head, want_link, foreign, n_foreign)
            street = Street(vehicles, drivers, *lists, grip, care(grip))
            for slot in range(n_egos):
                _note(drivers[slot], egos, row + slot, map_)
            walkers, lights = around.walkers[world], around.lights[world]
            busy, seed, step = around.busy[world], egos.seed[row], egos.step[row]
            step_traffic(street, map_.roads, walkers, lights, busy, seed, step, dt)
            controls, contacts = around.controls[world], around.contacts[world]
            drive_others(vehicles, walkers, n_egos, controls, contacts, map_, grip, dt)
        if around.signals[world]:
            step_lights(map_.phases, around.cycles[world], around.lights[world], dt)
        if around.walkers.shape[1] > 0:
            _walk(world, egos.seed[row], egos.step[row], around, map_, dt)
        for slot in range(n_egos):
            shaken = (pedals, steer) if slot == 0 else (0.0, 0.0)
            _step_ego(row + slot, slot, world, control, shaken, egos, around, map_, grip, dt)


@kernels.device
def _note(driver: Any, egos: Any, row: int, map_: Any) -> None:
    at, routes = egos.progress[row], map_.routes
    first, count = routes[1][at.route], routes[2][at.route]
    note_ego(driver, egos.ego[row], at, routes[0], first, count, map_.roads.lanes)


@kernels.device
def _walk(world: int, seed: Any, step: int, around: Any, map_: Any, dt: float) -> None:
    step_walkers(
        around.walkers[world],
        around.walks[world],
        around.vehicles[world],
        around.drivers[world],
        around.busy[world],
        around.waits[world],
        around.lights[world],
        map_.pavements,
        map_.roads,
        seed,
        step,
        dt,
    )


@kernels.device
def _step_ego(
    row: int,
    slot: int,
    world: int,
    control: Records,
    shaken: tuple[float, float],
    egos: Any,
    around: Any,
    map_: Any,
    grip: float,
    dt: float,
) -> None:
    """Drives one ego: motion, contacts, lane, progress, weather, counter."""
    ego, at, c = egos.ego[row], egos.progress[row], control[row]
    events, routes = egos.events[row], map_.routes
    throttle, steer = c.throttle, c.steer
    if shaken[0] != 0.0 or shaken[1] != 0.0:  # a scenario shakes its controls
        throttle = min(max(throttle + shaken[0], min(throttle, 0.0)), 1.0)
        steer = min(max(steer + shaken[1], -1.0), 1.0)
    before = around.vehicles[world, slot]  # not yet told of this step
    pedals = (throttle, c.brake, steer)
    vehicles, walkers = around.vehicles[world], around.walkers[world]
    drive_and_meet(ego, slot, before, pedals, events, vehicles, walkers, map_, grip, dt)
    around.vehicles[world, slot] = ego
    route = at.route
    progress.advance(ego, at, routes[0], routes[1][route], routes[2][route], dt)
    count = routes[9][route] if around.signals[world] else 0
    lights = around.lights[world]
    progress.meet_stops(ego, at, events, routes[7], routes[8][route], count, lights)
    keyed_weather(routes, at, egos.weather[row])
    egos.step[row] += 1


@kernels.kernel(nt.void(nt.int64, nt.int64, nt.int64[::1], HELD, nt.uint64[::1], nt.boolean[::1]))
def start_worlds(first: int, last: int, index: Ints, held: Any, seed: Ints, signals: Bools) -> None:
    """Starts the lights of worlds.

    Args:
        first: of the range of `index`.
        last: one past it.
        index: which worlds, (N,).
        held: see `hold`.
        seed: of their episodes, (N,).
        signals: whether their lights run, (N,).
    """
    _, around, map_ = held[0]
    for k in range(first, last):
        world = index[k]
        around.signals[world] = signals[k]
        start_lights(map_.phases, around.cycles[world], around.lights[world], seed[k], signals[k])


@kernels.kernel(nt.void(nt.int64, nt.int64, nt.int64[::1], HELD))
def start_scenarios(first: int, last: int, index: Ints, held: Any) -> None:
    """Puts what the scenarios of worlds have there from the beginning.

    Args:
        first: of the range of `index`.
        last: one past it.
        index: which worlds, (N,).
        held: see `hold`.
    """
    egos, around, map_ = held[0]
    n_egos = len(egos.ego) // len(around.vehicles)
    for k in range(first, last):
        play(egos, index[k] * n_egos, around, index[k], map_, 0.0)


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
        ego.heading = route_geometry.wrap(placement.heading)
        near = _nearest_point(points, low, count, placement)
        ego.z = placement.z if placement.z == placement.z else points[near].z
        return float(points[near].s)
    x, y, z, heading = route_geometry.pose_at(
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
        ego.lane = points[route_geometry.segment_at(points, low, n, s)].lane
        vehicle.settle(ego, ego.steering_angle)
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
