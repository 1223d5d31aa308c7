"""A vehicle under a control: its motion, whom and what it meets, the ground below it."""

from __future__ import annotations

from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.actors import Mover
from drive_il.datatypes import VEHICLE, Records
from drive_il.maps import lane_queries
from drive_il.sim import vehicle
from drive_il.sim.collisions import clear_contact, meet_obstacles, meet_vehicles, meet_walkers
from drive_il.sim.edges import cross_edges

_BY_CONTROL = int(Mover.CONTROL)


@kernels.device
def drive_and_meet(
    driven: Any,
    slot: int,
    before: Any,
    control: tuple[float, float, float],
    events: Any,
    vehicles: Records,
    walkers: Records,
    map_: Any,
    grip: float,
    dt: float,
) -> None:
    """Drives one vehicle by one step.

    Args:
        driven: VEHICLE record.
        slot: its own slot.
        before: VEHICLE record of it before the step.
        control: throttle, brake and steer.
        events: EVENTS record, its contacts and markings set.
        vehicles: (V,) VEHICLE of its world.
        walkers: (P,) WALKER.
        map_: see `stepping.Map`.
        grip: see `vehicle.drive` [m/s^2].
        dt: [s].
    """
    vehicle.drive_in_gear(driven, control[0], control[1], control[2], dt, grip)
    segment = meet_and_settle(driven, slot, events, vehicles, walkers, map_)
    cross_edges(driven, before, segment, map_.edges, map_.ground, events)


@kernels.inner
def meet_and_settle(
    driven: Any, slot: int, events: Any, vehicles: Records, walkers: Records, map_: Any
) -> int:
    """Finds what one vehicle has met on its way and the ground below it; returns its segment.

    Args:
        driven: VEHICLE record, moved already.
        slot: its own slot.
        events: EVENTS record, its contacts set.
        vehicles: (V,) VEHICLE of its world.
        walkers: (P,) WALKER.
        map_: models, obstacles and ground, as in `stepping.Map`.
    """
    clear_contact(events)
    if len(vehicles) > 1:
        meet_vehicles(driven, slot, vehicles, map_.models, events)
    if len(walkers) > 0:
        meet_walkers(driven, walkers, events)
    meet_obstacles(driven, map_.obstacles, map_.models, events)
    return lane_queries.settle(map_.ground, driven)


@kernels.maker
def drive_others(
    vehicles: Records,
    walkers: Records,
    n_egos: int,
    controls: Records,
    contacts: Records,
    map_: Any,
    grip: float,
    dt: float,
) -> None:
    """Drives those vehicles of a world that a Control from outside moves.

    Args:
        vehicles: (V,) VEHICLE, the egos first.
        walkers: (P,) WALKER.
        n_egos: how many egos there are.
        controls: (V,) CONTROL.
        contacts: (V,) EVENTS; those of vehicles moved by others stay empty.
        map_: see `stepping.Map`.
        grip: see `vehicle.drive` [m/s^2].
        dt: [s].
    """
    for v in range(n_egos, len(vehicles)):
        if vehicles[v].id != 0 and vehicles[v].mover == _BY_CONTROL:
            before = np.empty(1, VEHICLE)  # a record does not keep its array alive
            before[0] = vehicles[v]
            control = (controls[v].throttle, controls[v].brake, controls[v].steer)
            drive_and_meet(
                vehicles[v], v, before[0], control, contacts[v], vehicles, walkers, map_, grip, dt
            )
