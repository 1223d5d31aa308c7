"""Kernels of the mirror: what of a step is the same wherever the bodies are moved.

A step of a mirrored world is led (scenarios play, lights change), then moved by the server,
then followed: what the server says about bodies becomes lanes, progress, markings crossed and
lines run. Each part is the embedded simulator's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import EVENTS, Mover
from drive_il.datatypes import VEHICLE, Floats
from drive_il.maps import lane_queries, progress
from drive_il.sim.collisions import box_overlap, clear_contact, disc_overlap, meet_obstacles
from drive_il.sim.drivers import Street, note_ego
from drive_il.sim.edges import cross_edges
from drive_il.sim.grip import UNLIMITED, care
from drive_il.sim.lights import step_lights
from drive_il.sim.routes import keyed_weather
from drive_il.sim.scripts import play
from drive_il.sim.stepping import HELD
from drive_il.sim.traffic import step_traffic

_SCRIPT, _RULES = int(Mover.SCRIPT), int(Mover.TRAFFIC)
_NEAR = 0.2  # [m] around an ego within which it may be in contact
_HEIGHTS = 4.0  # [m] bodies further apart in height do not meet


@kernels.kernel(nt.void(nt.int64, HELD, nt.float64[::1], nt.boolean, nt.float64))
def lead(row: int, held: Any, shaken: Floats, is_led: bool, dt: float) -> None:
    """Plays the scenarios of one world of one ego and lets its lights change.

    Args:
        row: which.
        held: see `stepping.hold`.
        shaken: what a scenario adds to the ego's pedals and to its steer, overwritten, (2,).
        is_led: vehicles that follow the rules of the road are moved here too.
        dt: [s].
    """
    egos, around, map_ = held[0]
    shaken[0] = shaken[1] = 0.0
    if map_.programs.routes[egos.progress[row].route].script_count > 0:
        shaken[0], shaken[1] = play(egos, row, around, row, map_, dt)
    if is_led and around.vehicles.shape[1] > 1:
        _step_traffic(row, egos, around, map_, dt)
    if around.signals[row]:
        step_lights(map_.phases, around.cycles[row], around.lights[row], dt)


@kernels.device
def _note(driver: Any, egos: Any, row: int, map_: Any) -> None:
    at, routes = egos.progress[row], map_.routes
    first, count = routes[1][at.route], routes[2][at.route]
    note_ego(driver, egos.ego[row], at, routes[0], first, count, map_.roads.lanes)


@kernels.maker
def _step_traffic(row: int, egos: Any, around: Any, map_: Any, dt: float) -> None:
    """Drives those who follow the rules of the road, on dry tyres: CARLA's roads never slip."""
    vehicles, drivers = around.vehicles[row], around.drivers[row]
    n_lanes, n_slots = len(map_.roads.lanes), len(vehicles)
    head, want_head = np.full(n_lanes, -1, np.int32), np.full(n_lanes, -1, np.int32)
    link, want_link = np.empty(2 * n_slots, np.int32), np.empty(2 * n_slots, np.int32)
    foreign, n_foreign = np.empty(n_slots, np.int32), np.zeros(1, np.int32)
    lists = (head, link, want_head, want_link, foreign, n_foreign)
    street = Street(vehicles, drivers, *lists, UNLIMITED, care(UNLIMITED))
    _note(drivers[0], egos, row, map_)
    walkers, lights, busy = around.walkers[row], around.lights[row], around.busy[row]
    seed, step = egos.seed[row], egos.step[row]
    step_traffic(street, map_.roads, walkers, lights, busy, seed, step, dt)


@kernels.kernel(nt.void(nt.int64, HELD, nt.boolean, nt.float64))
def follow(row: int, held: Any, is_led: bool, dt: float) -> None:
    """Finds out what it means where everyone of one world now is.

    The vehicles of the world still hold the ego as it was before; events hold the contacts of
    this step, if any.

    Args:
        row: which.
        held: see `stepping.hold`.
        is_led: as of `lead`.
        dt: [s]; 0 looks without letting time pass.
    """
    egos, around, map_ = held[0]
    vehicles, events = around.vehicles[row], egos.events[row]
    for slot in range(1, len(vehicles)):
        mover = vehicles[slot].mover
        if vehicles[slot].id != 0 and mover != _SCRIPT and not (is_led and mover == _RULES):
            lane_queries.settle(map_.ground, vehicles[slot])
    ego, at, routes = egos.ego[row], egos.progress[row], map_.routes
    before = np.empty(1, VEHICLE)  # a record does not keep its array alive
    before[0] = vehicles[0]
    segment = lane_queries.settle(map_.ground, ego)
    if dt > 0.0:
        cross_edges(ego, before[0], segment, map_.edges, map_.ground, events)
    vehicles[0] = ego
    route = at.route
    progress.advance(ego, at, routes[0], routes[1][route], routes[2][route], dt)
    count = routes[9][route] if around.signals[row] else 0
    lights = around.lights[row]
    progress.meet_stops(ego, at, events, routes[7], routes[8][route], count, lights)
    keyed_weather(routes, at, egos.weather[row])


@kernels.kernel(nt.boolean(nt.int64, HELD))
def touches(row: int, held: Any) -> bool:
    """Whether an ego is so near to a body or to the scenery that they may be in contact.

    Args:
        row: which.
        held: see `stepping.hold`.
    """
    egos, around, map_ = held[0]
    vehicles, walkers = around.vehicles[row], around.walkers[row]
    wide, events = np.empty(1, VEHICLE), np.zeros(1, EVENTS)
    wide[0] = egos.ego[row]
    me = wide[0]
    me.length += 2.0 * _NEAR
    me.width += 2.0 * _NEAR
    for slot in range(1, len(vehicles)):
        other = vehicles[slot]
        if other.id != 0 and abs(other.z - me.z) < _HEIGHTS and box_overlap(me, other)[0] > 0.0:
            return True
    for slot in range(len(walkers)):
        other = walkers[slot]
        near = other.id != 0 and abs(other.z - me.z) < _HEIGHTS
        if near and disc_overlap(me, other.x, other.y, other.radius)[0] > 0.0:
            return True
    clear_contact(events[0])
    meet_obstacles(me, map_.obstacles, map_.models, events[0])
    return bool(events[0].struck != 0)
