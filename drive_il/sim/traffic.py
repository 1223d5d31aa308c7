"""Vehicles that follow the rules of the road: one step of a whole world.

All decide on the state that the step begins with, then all move. A vehicle runs with both its
axles on the middle of its lane.
"""

from __future__ import annotations

import math
from typing import Any

from drive_il import kernels
from drive_il.actors import ActorKind, VehicleLight
from drive_il.datatypes import Ints, Records
from drive_il.keyed_noise import noise_key, uniform_at
from drive_il.maps.route_geometry import wrap
from drive_il.randomness import purpose_key
from drive_il.sim.drivers import (
    BEHIND,
    CLEAR,
    N_PATH,
    NO_ROOM,
    TRAFFIC,
    WALKER_AHEAD,
    YIELDING,
    clear,
    enter,
    left_of,
    locate,
    path_lane,
)
from drive_il.sim.following import (
    FAR,
    HARDEST,
    idm,
    leader,
    leave_room,
    stranger,
    walker_ahead,
    wanted_speed,
)
from drive_il.sim.junctions import ask, blocked_zone, keep_grant, line_gap, merging_leader
from drive_il.sim.lane_changes import DURATION, consider

_WAY = purpose_key("traffic way")
_BICYCLE = int(ActorKind.BICYCLE)
_DETOUR = 30.0  # [s] of waiting for room behind a junction until another way is taken
_LONG = 7.0  # [m]
_AXLE = 0.3  # share of the length between the centre and either axle
_LOOK_EVERY = 20  # steps between two thoughts of changing lane
_STANDS = 0.1  # [m/s]
_NOTICE = 60.0  # [m] within which one who comes the wrong way is seen however slow one is
_BRAKE_LAMPS = -0.6  # [m/s^2]
_BRAKE, _LEFT, _RIGHT = (
    int(VehicleLight.BRAKE),
    int(VehicleLight.LEFT_BLINKER),
    int(VehicleLight.RIGHT_BLINKER),
)
_TURN = 0.35  # [rad] a way that bends more is announced by the indicator
_NEARER = 0.5  # [m] a stop line is approached this much nearer than a vehicle
_BEFORE_CROSSING = 1.0  # [m]
_SERVED = 4.5  # [m] from the line: a halt nearer than this serves a stop sign


@kernels.inner
def _shuns(vehicle: Any, lane: Any) -> bool:
    """Whether a vehicle keeps off a lane where it can."""
    if vehicle.kind == _BICYCLE:
        return lane.fast
    return lane.tight and vehicle.length > _LONG


@kernels.device
def choose_path(vehicle: Any, driver: Any, roads: Any, seed: Any) -> None:
    """Chooses lanes to follow where none are chosen yet.

    Args:
        vehicle: VEHICLE record; its id makes its choices its own.
        driver: DRIVER record.
        roads: see Roads.
        seed: of the episode.
    """
    lanes = roads.lanes
    for k in range(1, N_PATH + 1):
        if path_lane(driver, k) >= 0:
            continue
        last = lanes[path_lane(driver, k - 1)]
        n = last.way_count
        if n == 0:
            return
        pick = int(uniform_at(noise_key(seed, driver.choices, _WAY), vehicle.id) * n)
        for turn in range(n):  # the first from there on that suits it, or else that one
            way = roads.ways[last.way_first + (pick + turn) % n]
            if not _shuns(vehicle, lanes[way]):
                break
        driver.choices += 1
        if k == 1:
            driver.path0 = way
        elif k == 2:
            driver.path1 = way
        else:
            driver.path2 = way


@kernels.inner
def _crossing_gap(driver: Any, roads: Any, half: float, speed: float, busy: Ints) -> float:
    """Returns the gap to the next crosswalk that people claim, FAR when there is none [m]."""
    base = -driver.s
    for k in range(3):
        number = path_lane(driver, k)
        if number < 0 or base > 60.0:
            break
        lane = roads.lanes[number]
        for c in range(lane.crossing_first, lane.crossing_first + lane.crossing_count):
            crossing = roads.crossings[c]
            gap = base + crossing.begin - half - _BEFORE_CROSSING
            # Who could not stop any more goes on.
            if busy[crossing.crosswalk] > 0 and gap > speed * speed / 10.0 - 0.5 and gap > -0.5:
                return max(gap, 0.0)
        base += lane.length
    return FAR


@kernels.inner
def _pass_through(street: Any, roads: Any, v: int, wanted: float, number: int, at: float) -> float:
    """Returns the acceleration that others permit on a junction lane that was granted.

    Args:
        street: see Street, located.
        roads: see Roads.
        v: slot of the driver.
        wanted: speed that it would drive at [m/s].
        number: the junction lane.
        at: where its centre is along it, negative before it [m].
    """
    driver, speed = street.drivers[v], street.vehicles[v].speed
    zone = blocked_zone(street, roads, v, number, at)
    merge, merge_speed = merging_leader(street, roads, v, number, at)
    slower = idm(speed, wanted, merge, merge_speed, driver.eager, 0.6)
    return min(slower, idm(speed, wanted, zone, 0.0, driver.eager, 0.2))


@kernels.device
def _decide(street: Any, roads: Any, v: int, walkers: Records, lights: Ints, busy: Ints) -> None:
    """Sets a driver's acceleration, its grant and what it waits for."""
    driver, vehicle = street.drivers[v], street.vehicles[v]
    speed, half = vehicle.speed, 0.5 * vehicle.length
    reach = 12.0 + 4.0 * speed + speed * speed / 5.0
    wanted, headway = wanted_speed(street, roads, driver), driver.headway * street.care
    gap, ahead, driver.leader = leader(street, roads, v, reach)
    reason = BEHIND
    other_gap, other_ahead, faced, comes = stranger(
        street, roads, v, min(max(reach, _NOTICE), 90.0)
    )
    acceleration = idm(speed, wanted, gap, ahead, driver.eager, headway)
    if other_gap < FAR:
        slower = idm(speed, wanted, other_gap, other_ahead, driver.eager, headway)
        acceleration = min(acceleration, slower)
        gap = min(gap, other_gap)
        slower = leave_room(speed, wanted, faced, comes, driver.eager, headway)
        acceleration = min(acceleration, slower)
    for people_gap in (
        walker_ahead(vehicle, driver, roads, walkers, min(reach, 50.0)) - 1.0,
        _crossing_gap(driver, roads, half, speed, busy) + 1.0,
    ):
        if people_gap < 0.5 * FAR:
            slower = idm(speed, wanted, people_gap, 0.0, driver.eager, 0.3)
            if slower < acceleration:
                acceleration, reason = slower, WALKER_AHEAD
    if driver.tail == driver.lane:
        slower = _pass_through(street, roads, v, wanted, driver.tail, driver.tail_s)
        if slower < acceleration:
            acceleration, reason = slower, YIELDING
    if driver.want >= 0:
        slower, why = _junction(street, roads, v, gap, wanted, lights)
        if slower < acceleration:
            acceleration, reason = slower, why
    driver.acceleration = max(acceleration, -street.grip)
    driver.reason = reason


@kernels.inner
def _junction(
    street: Any, roads: Any, v: int, gap: float, wanted: float, lights: Ints
) -> tuple[float, int]:
    """Asks for the junction ahead; returns the acceleration it permits, and what it waits for."""
    driver, vehicle = street.drivers[v], street.vehicles[v]
    speed, half = vehicle.speed, 0.5 * vehicle.length
    line = line_gap(driver, roads, half)
    if line > 8.0 + speed + speed * speed / 4.0:
        return HARDEST, CLEAR
    first_in_line = gap > line + 0.5
    if driver.granted and line > 0.0:
        driver.granted = keep_grant(street, roads, v, first_in_line, lights)
    elif not driver.granted and speed < _STANDS and line < _SERVED:
        driver.halted = True
    why = CLEAR
    if not driver.granted:
        why = ask(street, roads, v, first_in_line, lights)
        driver.granted = why == CLEAR
    if not driver.granted:
        stop = max(line, 0.0) + _NEARER
        return idm(speed, wanted, stop, 0.0, driver.eager, 0.2), why
    return _pass_through(street, roads, v, wanted, driver.want, driver.want_s), YIELDING


@kernels.device
def _advance(vehicle: Any, driver: Any, roads: Any, dt: float) -> None:
    """Moves a driver along its path by one step, and its vehicle with it."""
    lanes = roads.lanes
    before = vehicle.speed
    speed = max(before + driver.acceleration * dt, 0.0)
    distance = 0.5 * (before + speed) * dt
    if driver.acceleration < 0.0 and before + driver.acceleration * dt < 0.0:
        distance = 0.5 * before * before / -driver.acceleration
    driver.s += distance
    if driver.tail >= 0:
        driver.tail_s += distance
        if driver.tail_s - 0.5 * vehicle.length > lanes[driver.tail].length:
            driver.tail = -1
    while driver.s >= lanes[driver.lane].length and driver.path0 >= 0:
        driver.s -= lanes[driver.lane].length
        driver.before, driver.lane = driver.lane, driver.path0
        driver.path0, driver.path1, driver.path2 = driver.path1, driver.path2, -1
        if driver.from_lane >= 0:  # the change ends with the road
            driver.from_lane = -1
            driver.change = DURATION
    vehicle.acceleration = (speed - before) / dt
    vehicle.speed = speed
    driver.waited = driver.waited + dt if speed < _STANDS else 0.0


@kernels.inner
def _slide(driver: Any, dt: float) -> float:
    """Brings a lane change on; returns how fast the offset changes [m/s]."""
    if driver.offset == 0.0:
        return 0.0
    driver.change += dt
    share = min(driver.change / DURATION, 1.0)
    # Smooth at both ends: 10 x^3 - 15 x^4 + 6 x^5.
    left = 1.0 - share * share * share * (10.0 - 15.0 * share + 6.0 * share * share)
    before = driver.offset
    driver.offset = driver.change_from * left
    if driver.from_lane >= 0 and share > 0.6:
        driver.from_lane = -1
    return (driver.offset - before) / dt


@kernels.inner
def _path_point(driver: Any, roads: Any, s: float) -> tuple[float, float, float, float, float]:
    """Returns x, y, z, heading and slope of a driver's path at a place near it.

    Args:
        driver: DRIVER record.
        roads: see Roads.
        s: along its lane; negative on the lane before, beyond its end on the next [m].
    """
    lanes, number = roads.lanes, driver.lane
    if s < 0.0 and driver.before >= 0:
        number = driver.before
        s += lanes[number].length
    elif s > lanes[number].length and driver.path0 >= 0:
        s -= lanes[number].length
        number = driver.path0
    lane = lanes[number]
    # Where the path is not known it goes on straight.
    place = s * lane.per_metre
    i = min(max(int(math.floor(place)), 0), lane.count - 2)
    t = place - i
    a, b = roads.points[lane.first + i], roads.points[lane.first + i + 1]
    turn = min(max(t, 0.0), 1.0) * wrap(b.heading - a.heading)
    return (
        a.x + t * (b.x - a.x),
        a.y + t * (b.y - a.y),
        a.z + t * (b.z - a.z),
        a.heading + turn,
        a.slope,
    )


@kernels.device
def set_pose(vehicle: Any, driver: Any, roads: Any, slide: float) -> None:
    """Puts a vehicle where its driver is: both axles on the path, or beside it by the offset.

    Args:
        vehicle: VEHICLE record.
        driver: DRIVER record.
        roads: see Roads.
        slide: speed to its left [m/s].
    """
    axle = _AXLE * vehicle.length
    x, y, z, heading, slope = _path_point(driver, roads, driver.s)
    x0, y0, _, _, _ = _path_point(driver, roads, driver.s - axle)
    x1, y1, _, _, _ = _path_point(driver, roads, driver.s + axle)
    course = math.atan2(y1 - y0, x1 - x0)
    cos, sin = math.cos(course), math.sin(course)
    vehicle.x = 0.5 * (x0 + x1) - sin * driver.offset
    vehicle.y = 0.5 * (y0 + y1) + cos * driver.offset
    vehicle.z = z
    vehicle.heading = wrap(course + math.atan2(slide, max(vehicle.speed, 2.0)))
    vehicle.slip = wrap(heading - course)
    vehicle.pitch = math.atan(slope)
    vehicle.lane = driver.lane
    vehicle.lane_s = driver.s
    vehicle.off_road = 0.0


@kernels.inner
def _set_lamps(vehicle: Any, driver: Any, roads: Any) -> None:
    lamps = vehicle.lights & ~(_BRAKE | _LEFT | _RIGHT)
    if vehicle.acceleration < _BRAKE_LAMPS or vehicle.speed < _STANDS:
        lamps |= _BRAKE
    if driver.offset > 0.3:
        lamps |= _RIGHT
    elif driver.offset < -0.3:
        lamps |= _LEFT
    elif driver.want >= 0 and driver.want_s > -40.0:
        lane = roads.lanes[driver.want]
        first, last = roads.points[lane.first], roads.points[lane.first + lane.count - 1]
        turn = wrap(last.heading - first.heading)
        if abs(turn) > _TURN:
            lamps |= _LEFT if turn > 0.0 else _RIGHT
    vehicle.lights = lamps


@kernels.inner
def _begin_change(vehicle: Any, driver: Any, roads: Any) -> None:
    """Takes a driver into the lane beside it; others see it in both until it is across."""
    lanes, number = roads.lanes, driver.next_lane
    s = driver.s * lanes[number].length / lanes[driver.lane].length
    point = roads.points[lanes[number].first + int(s * lanes[number].per_metre)]
    driver.from_lane, driver.lane, driver.next_lane = driver.lane, number, -1
    driver.s = s
    driver.offset = left_of(point, vehicle.x, vehicle.y)
    driver.change_from = driver.offset
    driver.change = 0.0
    driver.before = driver.path0 = driver.path1 = driver.path2 = -1
    driver.want = -1
    driver.granted = False


@kernels.device
def step_traffic(
    street: Any,
    roads: Any,
    walkers: Records,
    lights: Ints,
    busy: Ints,
    seed: Any,
    step: int,
    dt: float,
) -> None:
    """Drives all vehicles of one world that follow the rules.

    Args:
        street: the world, lists empty; empty again afterwards.
        roads: see Roads.
        walkers: (P,) WALKER.
        lights: (S,) LightState.
        busy: whether people claim each crosswalk, (C,).
        seed: of the episode.
        step: of the episode; everything is decided on its state.
        dt: [s].
    """
    vehicles, drivers = street.vehicles, street.drivers
    locate(street, roads)
    for v in range(len(vehicles)):
        if vehicles[v].id != 0 and vehicles[v].mover == TRAFFIC:
            _decide(street, roads, v, walkers, lights, busy)
    for v in range(len(vehicles)):
        if vehicles[v].id == 0 or vehicles[v].mover != TRAFFIC:
            continue
        if (step + 7 * v) % _LOOK_EVERY == 0:
            lane = consider(street, roads, v)
            if lane >= 0:  # those who look after it already see it there
                drivers[v].next_lane = lane
                enter(street.head, street.link, lane, len(vehicles) + v)
    clear(street)
    for v in range(len(vehicles)):
        vehicle, driver = vehicles[v], drivers[v]
        if vehicle.id == 0 or vehicle.mover != TRAFFIC:
            continue
        yaw = vehicle.heading
        if driver.next_lane >= 0:
            _begin_change(vehicle, driver, roads)
        if driver.reason == NO_ROOM and driver.waited > _DETOUR:
            driver.path0 = driver.path1 = driver.path2 = -1
            driver.waited = 0.5 * _DETOUR  # time for the new way before the next
        _advance(vehicle, driver, roads, dt)
        choose_path(vehicle, driver, roads, seed)
        slide = _slide(driver, dt)
        set_pose(vehicle, driver, roads, slide)
        vehicle.yaw_rate = wrap(vehicle.heading - yaw) / dt
        _set_lamps(vehicle, driver, roads)
