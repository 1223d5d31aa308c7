"""The kernel of the live world: one step of a world whose every vehicle may be driven.

The parts are the simulator's own (`drive_il.sim`): the same motion, contacts, traffic and
people as in an episode. New here are the reverse gear, the hand brake and a kept speed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import Mover
from drive_il.datatypes import VEHICLE, Records
from drive_il.maps import lane_queries
from drive_il.maps.ground import GROUND, Ground
from drive_il.sim import vehicle
from drive_il.sim.collisions import clear_contact
from drive_il.sim.drivers import Street
from drive_il.sim.driving import meet_and_settle
from drive_il.sim.grip import UNLIMITED, care
from drive_il.sim.models import MODEL
from drive_il.sim.obstacles import OBSTACLES, Obstacles
from drive_il.sim.pavements import PAVEMENTS, Pavements
from drive_il.sim.roads import ROADS, Roads
from drive_il.sim.stepping import SURROUNDINGS, Surroundings
from drive_il.sim.traffic import step_traffic
from drive_il.sim.walkers import step_walkers

_BY_CONTROL, _BY_RULES = int(Mover.CONTROL), int(Mover.TRAFFIC)

ORDER = np.dtype(
    [
        ("reverse", "?"),  # the reverse gear is in
        ("hand_brake", "?"),
        ("held", "?"),  # `pace` overrides the pedals
        ("pace", "f8"),  # [m/s] kept speed, backwards negative
    ]
)
"""What a vehicle driven from outside is told beside its CONTROL."""


class LiveMap(NamedTuple):
    """What does not change while a live world runs."""

    ground: Ground
    roads: Roads
    models: Records
    pavements: Pavements
    obstacles: Obstacles


LIVE_MAP = nt.NamedTuple((GROUND, ROADS, kernels.record(MODEL)[::1], PAVEMENTS, OBSTACLES), LiveMap)
"""Numba type of `LiveMap`."""


@kernels.kernel(
    nt.void(
        SURROUNDINGS,
        LIVE_MAP,
        kernels.record(ORDER)[::1],
        nt.uint64,
        nt.int64,
        nt.float64,
    )
)
def step_live(
    around: Surroundings,
    map_: LiveMap,
    orders: Records,
    seed: Any,
    step: int,
    dt: float,
) -> None:
    """Lets a world go on by one step, in place: traffic, people, then who is driven.

    As in CARLA the weather leaves the grip of the road alone.

    Args:
        around: of one world; `contacts` are of the vehicles that are driven from outside.
        map_: see LiveMap.
        orders: (V,) ORDER.
        seed: of the episode.
        step: of the episode.
        dt: in (0, 0.5] [s].
    """
    vehicles, drivers, events = around.vehicles[0], around.drivers[0], around.contacts[0]
    walkers, lights, busy = around.walkers[0], around.lights[0], around.busy[0]
    if _any_by_rules(vehicles):
        n_lanes, n_slots = len(map_.roads.lanes), len(vehicles)
        head, want_head = np.full(n_lanes, -1, np.int32), np.full(n_lanes, -1, np.int32)
        link, want_link = np.empty(2 * n_slots, np.int32), np.empty(2 * n_slots, np.int32)
        foreign, n_foreign = np.empty(n_slots, np.int32), np.zeros(1, np.int32)
        lists = (head, link, want_head, want_link, foreign, n_foreign)
        street = Street(vehicles, drivers, *lists, UNLIMITED, care(UNLIMITED))
        step_traffic(street, map_.roads, walkers, lights, busy, seed, step, dt)
    if len(walkers) > 0:
        step_walkers(
            walkers,
            around.walks[0],
            vehicles,
            drivers,
            busy,
            around.waits[0],
            lights,
            map_.pavements,
            map_.roads,
            seed,
            step,
            dt,
        )
    for slot in range(len(vehicles)):
        clear_contact(events[slot])
        if vehicles[slot].id != 0 and vehicles[slot].mover == _BY_CONTROL:
            _drive(vehicles[slot], orders[slot], around.controls[0, slot], dt)
            meet_and_settle(vehicles[slot], slot, events[slot], vehicles, walkers, map_)


@kernels.inner
def _any_by_rules(vehicles: Records) -> bool:
    for slot in range(len(vehicles)):
        if vehicles[slot].id != 0 and vehicles[slot].mover == _BY_RULES:
            return True
    return False


@kernels.device
def _drive(me: Any, order: Any, control: Any, dt: float) -> None:
    """Drives one vehicle in its gear; against its present motion the throttle brakes."""
    backwards = vehicle.is_backwards(me)
    throttle, brake, steer = control.throttle, control.brake, control.steer
    if order.hand_brake:
        brake = 1.0
    if order.held:
        throttle = brake = 0.0
        me.speed, backwards = abs(order.pace), order.pace < 0.0
    elif me.speed == 0.0:
        backwards = order.reverse
    elif backwards != order.reverse:
        throttle, brake = 0.0, max(brake, throttle)
    if backwards:
        vehicle.drive_backwards(me, throttle, brake, steer, dt, UNLIMITED)
    else:
        vehicle.drive(me, throttle, brake, steer, dt, UNLIMITED)
    if order.held:
        me.speed, me.acceleration = abs(order.pace), 0.0


@kernels.kernel(nt.void(kernels.record(VEHICLE)[::1], nt.int64, GROUND))
def settle_one(vehicles: Records, slot: int, ground: Ground) -> None:
    """Finds the lane below one vehicle, its height and its pitch, (V,) VEHICLE."""
    vehicle.settle(vehicles[slot], vehicles[slot].steering_angle)
    lane_queries.settle(ground, vehicles[slot])
