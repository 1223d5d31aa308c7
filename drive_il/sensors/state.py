"""The privileged state vector: what a small policy without pixels may see.

Entries are in SI units, not normalised. With room for N actors the vector goes on with
N times one flag (1: somebody is there) and the attributes of `neighbours.ACTOR_NAMES`,
nearest first, zeros where nobody is.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import LightState
from drive_il.datatypes import PROGRESS, ROUTE_POINT, VEHICLE, Array, Ints, Records, Scene
from drive_il.maps.network import SignalKind
from drive_il.sensors.neighbours import ACTOR_NAMES, nearest_actors
from drive_il.vector_layouts import PREVIEW, STATE

FAR = 100.0
"""a stop line or leader further away than this is not there [m]"""
_LONG = 4.0  # [s] who has stood for so long has stood long
STATE_NAMES = tuple(STATE)
"""Entries of the state vector, in order."""
_DISTANCES = np.array(PREVIEW)
_CURVATURE = STATE_NAMES.index(f"curvature_{PREVIEW[0]:g}m")
_STOP = STATE_NAMES.index("stop_distance")
_LEADER = STATE_NAMES.index("has_leader")
_LIGHT, _STOP_SIGN, _YIELD = (
    int(SignalKind.LIGHT),
    int(SignalKind.STOP),
    int(SignalKind.YIELD),
)
_RED, _YELLOW, _GREEN = int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN)


def state_names(n_actors: int) -> tuple[str, ...]:
    """Returns the names of all entries of the vector with room for so many actors."""
    names = ("is_there", *ACTOR_NAMES)
    around = [f"actor_{k}_{name}" for k in range(n_actors) for name in names]
    return (*STATE_NAMES, *around)


@kernels.device
def _fill_ego(ego: np.record, way: np.record, out: Array) -> None:
    cos, sin = math.cos(ego.heading), math.sin(ego.heading)
    dx, dy = way.target_x - ego.x, way.target_y - ego.y
    out[0] = ego.speed
    out[1] = ego.acceleration
    out[2] = ego.yaw_rate
    out[3] = ego.steering_angle
    out[4] = way.lateral_error
    out[5] = way.heading_error
    out[6] = way.speed_limit
    out[7] = way.lane_width
    out[8] = cos * dx + sin * dy
    out[9] = -sin * dx + cos * dy


@kernels.device
def _fill_stop(way: np.record, out: Array) -> None:
    near = way.stop_distance < FAR and way.stop_signal >= 0
    light = near and way.stop_kind == _LIGHT
    out[_STOP] = way.stop_distance if near else FAR
    out[_STOP + 1] = light and way.stop_light == _RED
    out[_STOP + 2] = light and way.stop_light == _YELLOW
    out[_STOP + 3] = light and way.stop_light == _GREEN
    out[_STOP + 4] = near and way.stop_kind == _STOP_SIGN and not way.stop_served
    out[_STOP + 5] = near and way.stop_kind == _YIELD


@kernels.device
def _nearest(points: Records, begin: int, end: int, x: float, y: float) -> int:
    """Returns the route point nearest to a place, not much further along than FAR."""
    best, nearest = math.inf, begin
    for k in range(begin, end):
        dx, dy = x - points[k].x, y - points[k].y
        gap = dx * dx + dy * dy
        if gap < best:
            best, nearest = gap, k
        if points[k].s - points[begin].s > FAR + 10.0:
            break
    return nearest


@kernels.device
def _gap(point: np.record, ego: np.record, s: float, other: np.record) -> float:
    """Returns the gap to a vehicle if the ego would run into it along the route, else FAR.

    The other one is on the route where its box reaches into the band as wide as the ego
    around the route; `point` is the route point nearest to it.
    """
    dx, dy = other.x - point.x, other.y - point.y
    cos, sin = math.cos(point.heading), math.sin(point.heading)
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    turn = other.heading - point.heading
    c, d = abs(math.cos(turn)), abs(math.sin(turn))
    half_across = 0.5 * (other.length * d + other.width * c)
    half_along = 0.5 * (other.length * c + other.width * d)
    ahead = point.s + along - s
    is_beside = abs(across) >= 0.5 * ego.width + half_across
    # Beyond the route's end there is no band.
    if is_beside or ahead <= 0.0 or abs(along) > half_along + 1.0:
        return FAR
    return min(max(ahead - half_along - 0.5 * ego.length, 0.0), FAR)


@kernels.device
def _fill_leader(
    points: Records,
    begin: int,
    end: int,
    ego: np.record,
    s: float,
    vehicles: Records,
    world: int,
    slot: int,
    out: Array,
) -> None:
    best, speed = FAR, 0.0
    reach = FAR + 20.0
    for k in range(vehicles.shape[1]):
        other = vehicles[world, k]
        dx, dy = other.x - ego.x, other.y - ego.y
        if k != slot and other.id != 0 and dx * dx + dy * dy < reach * reach:
            point = points[_nearest(points, begin, end, other.x, other.y)]
            gap = _gap(point, ego, s, other)
            if gap < best:
                best = gap
                speed = other.speed * math.cos(other.heading + other.slip - point.heading)
    out[_LEADER] = best < FAR
    out[_LEADER + 1] = best
    out[_LEADER + 2] = speed


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        nt.float64[::1],
        kernels.record(ROUTE_POINT)[::1],
        nt.int32[::1],
        nt.int32[::1],
        nt.int64[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(PROGRESS)[::1],
        kernels.record(VEHICLE)[:, ::1],
        nt.int32[::1],
        nt.int32[::1],
        nt.float32[:, ::1],
    )
)
def _fill(
    first_row: int,
    last_row: int,
    distances: Array,
    points: Records,
    first: Ints,
    count: Ints,
    rows: Ints,
    egos: Records,
    progress: Records,
    vehicles: Records,
    worlds: Ints,
    slots: Ints,
    out: Array,
) -> None:
    for n in range(first_row, last_row):
        row = rows[n]
        ego, way, seen = egos[row], progress[row], out[n]
        _fill_ego(ego, way, seen)
        begin, end = first[way.route], first[way.route] + count[way.route]
        k = here = min(begin + way.index, end - 1)
        for i in range(len(distances)):
            while k < end - 1 and points[k + 1].s <= way.s + distances[i]:
                k += 1
            seen[_CURVATURE + i] = points[k].curvature
        _fill_stop(way, seen)
        _fill_leader(points, here, end, ego, way.s, vehicles, worlds[row], slots[row], seen)


def state_vector(scene: Scene, rows: Ints, n_actors: int = 0) -> Array:
    """Returns the state of some rows, (len(rows), len(state_names(n_actors))) float32."""
    rows = np.ascontiguousarray(rows, np.int64)
    out = np.empty((len(rows), len(STATE_NAMES)), np.float32)
    kernels.run(
        _fill,
        len(rows),
        _DISTANCES,
        scene.routes.points,
        scene.routes.first,
        scene.routes.count,
        rows,
        scene.ego,
        scene.progress,
        scene.actors.vehicles,
        scene.actors.world,
        scene.actors.slot,
        out,
        min_rows=256,
    )
    if n_actors == 0:
        return out
    around, mask = nearest_actors(scene, rows, n_actors)
    around = np.concatenate((mask[..., None].astype(np.float32), around), axis=2)
    return np.concatenate((out, around.reshape(len(rows), -1)), axis=1)


def target_point(ego: Records, progress: Records) -> Array:
    """Returns the next far waypoint in the ego frame, (N, 2) float32 [m].

    Args:
        ego: (N,) VEHICLE.
        progress: (N,) PROGRESS.
    """
    dx, dy = progress["target_x"] - ego["x"], progress["target_y"] - ego["y"]
    cos, sin = np.cos(ego["heading"]), np.sin(ego["heading"])
    return np.stack((cos * dx + sin * dy, cos * dy - sin * dx), 1).astype(np.float32)


def previous_action(ego: Records) -> Array:
    """Returns the last steer commanded and the pedals' state, throttle minus brake, (N, 2) float32.

    Args:
        ego: (N,) VEHICLE.
    """
    return np.stack((ego["steer"], ego["throttle"] - ego["brake"]), 1).astype(np.float32)


def standing(progress: Records) -> Array:
    """Returns for how long egos have stood, and whether at their stop sign, (N, 2) float32.

    A picture of a stop line does not tell who has halted there already; a driver knows.

    Args:
        progress: (N,) PROGRESS.

    Returns:
        Time of standing still [s], at most 4; 1 once the ego has halted at the stop sign before
        it, else 0.
    """
    time = np.minimum(progress["standing"], _LONG)
    at_sign = progress["stop_served"] & (progress["stop_kind"] == SignalKind.STOP)
    return np.stack((time, at_sign), 1).astype(np.float32)
