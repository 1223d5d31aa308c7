"""Puts traffic into a world that starts: who, where, with what temper.

Places are taken in an order that the episode's seed decides; a place is taken when nobody is
near it on its lane. What does not fit on the map is left out.
"""

from __future__ import annotations

import math
from typing import Any

from numba import types as nt

from drive_il import kernels
from drive_il.actors import ActorKind, Mover, VehicleLight
from drive_il.datatypes import VEHICLE, Floats, Ints, Records
from drive_il.keyed_noise import noise_key, uniform_at
from drive_il.maps import lane_queries
from drive_il.maps.ground import GROUND, Ground
from drive_il.randomness import purpose_key
from drive_il.sim.drivers import DRIVER, left_of
from drive_il.sim.following import COMFORT
from drive_il.sim.models import MODEL
from drive_il.sim.roads import ROADS
from drive_il.sim.traffic import choose_path, set_pose

_PLACE, _WHO = purpose_key("traffic place"), purpose_key("traffic driver")
_APART = 12.0  # [m] between centres at least, half lengths come on top
_FROM_EGO = 18.0  # [m]
_TRIES = 40  # places tried for one vehicle
_CAR, _BICYCLE = int(ActorKind.CAR), int(ActorKind.BICYCLE)
_TRAFFIC = int(Mover.TRAFFIC)
_LOW_BEAM = int(VehicleLight.LOW_BEAM) | int(VehicleLight.POSITION)


@kernels.device
def make_vehicle(vehicle: Any, model: Any, number: int, mover: int) -> None:
    """Makes an empty slot a standing vehicle at the origin, in its model's size.

    Args:
        vehicle: VEHICLE record, every field set but for its colour.
        model: MODEL record.
        number: its id.
        mover: who moves it.
    """
    vehicle.x = vehicle.y = vehicle.z = vehicle.heading = vehicle.pitch = 0.0
    vehicle.speed = vehicle.slip = vehicle.acceleration = vehicle.yaw_rate = 0.0
    vehicle.steering_angle = vehicle.throttle = vehicle.brake = vehicle.steer = 0.0
    vehicle.length, vehicle.width, vehicle.height = model.length, model.width, model.height
    vehicle.rear_wheelbase, vehicle.power = model.rear_wheelbase, model.power
    vehicle.lane, vehicle.lane_s, vehicle.off_road = -1, 0.0, 0.0
    vehicle.id, vehicle.kind, vehicle.mover, vehicle.lights = number, model.kind, mover, 0


@kernels.device
def make_driver(driver: Any, model: Any, seed: Any, number: int) -> None:
    """Makes a driver's mind, keyed by the episode and the vehicle's id.

    Args:
        driver: DRIVER record, every field set.
        model: MODEL record of its vehicle.
        seed: of the episode.
        number: id of its vehicle.
    """
    driver.lane = driver.from_lane = driver.next_lane = -1
    driver.s = driver.offset = driver.change = driver.change_from = 0.0
    driver.before = driver.path0 = driver.path1 = driver.path2 = -1
    driver.choices = 0
    driver.want = driver.tail = -1
    driver.want_s = driver.tail_s = 0.0
    driver.granted = driver.halted = False
    driver.waited, driver.reason, driver.leader, driver.acceleration = 0.0, 0, -1, 0.0
    key = noise_key(seed, number, _WHO)
    driver.temper = 0.85 + 0.2 * uniform_at(key, 0)
    driver.headway = 1.0 + 0.6 * uniform_at(key, 1)
    driver.eager = model.eager * (0.85 + 0.3 * uniform_at(key, 2))
    driver.top_speed = model.top_speed
    driver.polite = 0.2 + 0.3 * uniform_at(key, 3)


@kernels.inner
def _pick_model(models: Records, coin: float, cars_only: bool) -> int:
    if cars_only:
        return _CAR
    for k in range(len(models)):
        coin -= models[k].share
        if coin < 0.0:
            return k
    return _CAR


@kernels.inner
def _is_free(
    vehicles: Records, drivers: Records, upto: int, lane: int, s: float, place: Any, half: float
) -> bool:
    """Whether nobody is near a place: on its lane, or an ego anywhere around it."""
    for w in range(upto):
        other = vehicles[w]
        if other.id == 0:
            continue
        if drivers[w].lane == lane and other.mover == _TRAFFIC:
            if abs(drivers[w].s - s) < _APART + half + 0.5 * other.length:
                return False
            continue
        dx, dy = other.x - place.x, other.y - place.y
        near = _FROM_EGO if other.mover != _TRAFFIC else 0.5 * other.length + half + 2.0
        if dx * dx + dy * dy < near * near and abs(other.z - place.z) < 4.0:
            return False
    return True


@kernels.kernel(
    nt.int64(
        kernels.record(VEHICLE)[::1],
        kernels.record(DRIVER)[::1],
        nt.int64,
        nt.int64,
        kernels.record(MODEL)[::1],
        nt.uint8[:, ::1],
        ROADS,
        nt.uint64,
        nt.boolean,
    )
)
def spawn_traffic(
    vehicles: Records,
    drivers: Records,
    first: int,
    count: int,
    models: Records,
    paints: Ints,
    roads: Any,
    seed: Any,
    cars_only: bool,
) -> int:
    """Fills slots of one world with traffic.

    Args:
        vehicles: (V,) VEHICLE; those before `first` are there already.
        drivers: (V,) DRIVER.
        first: slot of the first.
        count: how many.
        models: one MODEL per kind.
        paints: colours, (N, 3).
        roads: see Roads.
        seed: of the episode.
        cars_only: no other kind.

    Returns:
        How many found a place.
    """
    n_places = len(roads.places)
    placed = 0
    for k in range(count):
        slot = first + placed
        number = slot + 1
        key = noise_key(seed, k, _PLACE)
        model = models[_pick_model(models, uniform_at(key, 0), cars_only)]
        half = 0.5 * model.length
        for trial in range(_TRIES):
            at = min(int(uniform_at(key, 4 + trial) * n_places), n_places - 1)
            lane, s = roads.places[at], roads.place_s[at]
            road = roads.lanes[lane]
            if model.kind == _BICYCLE and road.fast:
                continue
            place = roads.points[road.first + int(s * road.per_metre)]
            if not _is_free(vehicles, drivers, slot, lane, s, place, half):
                continue
            vehicle, driver = vehicles[slot], drivers[slot]
            make_vehicle(vehicle, model, number, _TRAFFIC)
            make_driver(driver, model, seed, number)
            paint = min(int(uniform_at(key, 1) * len(paints)), len(paints) - 1)
            vehicle.r, vehicle.g, vehicle.b = paints[paint, 0], paints[paint, 1], paints[paint, 2]
            vehicle.lights = _LOW_BEAM
            driver.lane, driver.s = lane, s
            choose_path(vehicle, driver, roads, seed)
            pace = 0.5 * min(min(place.safe, place.limit), model.top_speed)
            room = max(road.stop_s - s - half, 0.0)
            vehicle.speed = min(pace, math.sqrt(2.0 * COMFORT * room))  # it can stop at its line
            set_pose(vehicle, driver, roads, 0.0)
            placed += 1
            break
    return placed


@kernels.kernel(
    nt.boolean(
        kernels.record(VEHICLE)[::1],
        kernels.record(DRIVER)[::1],
        nt.int64,
        nt.int64,
        nt.int64[::1],
        nt.float64[::1],
        kernels.record(MODEL)[::1],
        nt.uint8[:, ::1],
        ROADS,
        GROUND,
        nt.uint64,
    )
)
def adopt(
    vehicles: Records,
    drivers: Records,
    slot: int,
    number: int,
    what: Ints,
    pose: Floats,
    models: Records,
    paints: Ints,
    roads: Any,
    ground: Ground,
    seed: Any,
) -> bool:
    """Puts one vehicle somewhere into one world.

    Args:
        vehicles: (V,) VEHICLE.
        drivers: (V,) DRIVER.
        slot: where.
        number: its id.
        what: mover, kind, paint.
        pose: x, y, z [m], heading [rad], speed [m/s].
        models: one MODEL per kind.
        paints: colours, (N, 3).
        roads: see Roads.
        ground: of the map.
        seed: of the episode.

    Returns:
        False when it should follow the rules but is on no driving lane; the slot is empty then.
    """
    vehicle, driver = vehicles[slot], drivers[slot]
    mover, kind, paint = what[0], what[1], what[2]
    model = models[kind]
    make_vehicle(vehicle, model, number, mover)
    make_driver(driver, model, seed, number)
    vehicle.r, vehicle.g, vehicle.b = paints[paint, 0], paints[paint, 1], paints[paint, 2]
    vehicle.x, vehicle.y, vehicle.z = pose[0], pose[1], pose[2]
    vehicle.heading, vehicle.speed = pose[3], pose[4]
    lane_queries.settle(ground, vehicle)
    if mover != _TRAFFIC:
        return True
    if vehicle.lane < 0:
        vehicle.id = 0
        return False
    join(vehicle, driver, roads, seed)
    return True


@kernels.device
def join(vehicle: Any, driver: Any, roads: Any, seed: Any) -> None:
    """Lets a vehicle on a driving lane follow the rules from now on.

    It slides to the middle of its lane as after a lane change.

    Args:
        vehicle: VEHICLE record with its lane.
        driver: DRIVER record, made.
        roads: see Roads.
        seed: of the episode.
    """
    lane = roads.lanes[vehicle.lane]
    point = roads.points[lane.first + min(int(vehicle.lane_s * lane.per_metre), lane.count - 1)]
    driver.lane, driver.s = vehicle.lane, vehicle.lane_s
    driver.offset = left_of(point, vehicle.x, vehicle.y)
    driver.change_from, driver.change = driver.offset, 0.0
    vehicle.mover = _TRAFFIC
    choose_path(vehicle, driver, roads, seed)


@kernels.kernel(
    nt.boolean(
        kernels.record(VEHICLE)[::1],
        kernels.record(DRIVER)[::1],
        nt.int64,
        kernels.record(MODEL)[::1],
        ROADS,
        GROUND,
        nt.uint64,
    )
)
def enlist(
    vehicles: Records,
    drivers: Records,
    slot: int,
    models: Records,
    roads: Any,
    ground: Ground,
    seed: Any,
) -> bool:
    """Hands a vehicle to traffic where it is; False when it is on no driving lane.

    Args:
        vehicles: (V,) VEHICLE.
        drivers: (V,) DRIVER.
        slot: its slot.
        models: one MODEL per kind.
        roads: see Roads.
        ground: of the map.
        seed: of the episode.
    """
    vehicle, driver = vehicles[slot], drivers[slot]
    lane_queries.settle(ground, vehicle)
    if vehicle.lane < 0:
        return False
    make_driver(driver, models[vehicle.kind], seed, vehicle.id)
    join(vehicle, driver, roads, seed)
    return True
