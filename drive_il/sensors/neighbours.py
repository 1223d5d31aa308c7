"""The nearest actors around an ego, as numbers in its frame."""

from __future__ import annotations

import math

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import WALKER, ActorKind, VehicleLight
from drive_il.datatypes import VEHICLE, Array, Bools, Floats, Ints, Records, Scene
from drive_il.vector_layouts import ACTOR

RADIUS = 100.0
"""actors further away are not seen [m]"""
ACTOR_NAMES = tuple(ACTOR)
"""Attributes of one actor, in order."""
N_ATTRIBUTES = len(ACTOR_NAMES)
_BICYCLE, _MOTORCYCLE = int(ActorKind.BICYCLE), int(ActorKind.MOTORCYCLE)
_PROP = int(ActorKind.PROP)
_BRAKE, _LEFT = int(VehicleLight.BRAKE), int(VehicleLight.LEFT_BLINKER)
_RIGHT, _SPECIAL = int(VehicleLight.RIGHT_BLINKER), int(VehicleLight.SPECIAL1)


@kernels.device
def insert(distance: float, item: int, n: int, distances: Floats, items: Ints) -> int:
    """Puts an item into a list of the nearest, nearest first; returns the list's new length.

    Of equally near items the one that came first stays in front.
    """
    size = len(items)
    if n == size:
        if distance >= distances[n - 1]:
            return n
        n -= 1
    k = n
    while k > 0 and distances[k - 1] > distance:
        distances[k] = distances[k - 1]
        items[k] = items[k - 1]
        k -= 1
    distances[k] = distance
    items[k] = item
    return n + 1


@kernels.device
def _pose(
    dx: float,
    dy: float,
    ego_heading: float,
    heading: float,
    course: float,
    speed: float,
    out: Array,
) -> None:
    cos, sin = math.cos(ego_heading), math.sin(ego_heading)
    out[0] = cos * dx + sin * dy
    out[1] = cos * dy - sin * dx
    out[2] = math.cos(heading - ego_heading)
    out[3] = math.sin(heading - ego_heading)
    out[4] = speed * math.cos(course - ego_heading)
    out[5] = speed * math.sin(course - ego_heading)


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        nt.int64[::1],
        kernels.record(VEHICLE)[::1],
        nt.int32[::1],
        nt.int32[::1],
        kernels.record(VEHICLE)[:, ::1],
        kernels.record(WALKER)[:, ::1],
        nt.float32[:, :, ::1],
        nt.boolean[:, ::1],
    )
)
def _look_around(
    first_row: int,
    last_row: int,
    rows: Ints,
    egos: Records,
    worlds: Ints,
    slots: Ints,
    vehicles: Records,
    walkers: Records,
    out: Array,
    mask: Bools,
) -> None:
    size, n_vehicles = out.shape[1], vehicles.shape[1]
    distances, items = np.empty(size), np.empty(size, np.int64)
    for row in range(first_row, last_row):
        ego, world = egos[rows[row]], worlds[rows[row]]
        slot = slots[rows[row]]
        n = 0
        for k in range(n_vehicles):
            vehicle = vehicles[world, k]
            if k != slot and vehicle.id != 0:
                dx, dy = vehicle.x - ego.x, vehicle.y - ego.y
                gap = dx * dx + dy * dy
                if gap < RADIUS * RADIUS:
                    n = insert(gap, k, n, distances, items)
        for k in range(walkers.shape[1]):
            walker = walkers[world, k]
            if walker.id != 0:
                dx, dy = walker.x - ego.x, walker.y - ego.y
                gap = dx * dx + dy * dy
                if gap < RADIUS * RADIUS:
                    n = insert(gap, n_vehicles + k, n, distances, items)
        out[row] = 0.0
        for i in range(size):
            mask[row, i] = i < n
        for i in range(n):
            seen = out[row, i]
            if items[i] < n_vehicles:
                vehicle = vehicles[world, items[i]]
                dx, dy = vehicle.x - ego.x, vehicle.y - ego.y
                course = vehicle.heading + vehicle.slip
                _pose(dx, dy, ego.heading, vehicle.heading, course, vehicle.speed, seen)
                seen[6] = vehicle.length
                seen[7] = vehicle.width
                kind, lights = vehicle.kind, vehicle.lights
                cyclist = kind == _MOTORCYCLE or kind == _BICYCLE
                seen[8] = not cyclist and kind != _PROP
                seen[9] = cyclist
                seen[11] = kind == _PROP
                seen[12] = (lights & _BRAKE) != 0
                seen[13] = (lights & _LEFT) != 0
                seen[14] = (lights & _RIGHT) != 0
                seen[15] = (lights & _SPECIAL) != 0
            else:
                walker = walkers[world, items[i] - n_vehicles]
                dx, dy = walker.x - ego.x, walker.y - ego.y
                _pose(dx, dy, ego.heading, walker.heading, walker.heading, walker.speed, seen)
                seen[6] = seen[7] = 2.0 * walker.radius
                seen[10] = 1.0


def nearest_actors(scene: Scene, rows: Ints, n_actors: int) -> tuple[Array, Bools]:
    """Returns what is around some rows, nearest first, the row's own ego left out.

    Args:
        scene: any.
        rows: indices of the rows, (N,) int.
        n_actors: how many actors a row has room for.

    Returns:
        Attributes (N, n_actors, 16) float32 as ACTOR_NAMES, zeros where there is nobody;
        where there is somebody, (N, n_actors) bool.
    """
    rows = np.ascontiguousarray(rows, np.int64)
    out = np.zeros((len(rows), n_actors, N_ATTRIBUTES), np.float32)
    mask = np.zeros((len(rows), n_actors), np.bool_)
    if n_actors == 0:
        return out, mask
    actors = scene.actors
    kernels.run(
        _look_around,
        len(rows),
        rows,
        scene.ego,
        actors.world,
        actors.slot,
        actors.vehicles,
        actors.walkers,
        out,
        mask,
        min_rows=64,
    )
    return out, mask
