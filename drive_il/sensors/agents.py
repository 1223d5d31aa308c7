"""What every vehicle of every world sees, all at once: state observations without pixels.

For learners that drive any vehicle. An agent is a slot of `Actors.vehicles`; what it sees
is its own state, its lane, its route where it is an ego with one, whether it is off the
road or touches somebody, and its nearest neighbours in its own frame. Entries are in SI
units, not normalised; an empty slot is all zeros, and its `is_there` says so.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import WALKER
from drive_il.datatypes import PROGRESS, VEHICLE, Array, Floats, Ints, Records, Scene
from drive_il.maps.network import LANE, LANE_POINT, RoadNetwork
from drive_il.sensors.neighbours import insert

RADIUS = 50.0
"""neighbours further away are not seen [m]"""
PREVIEW = (0.0, 5.0, 10.0, 20.0)
"""distances ahead on the agent's own lane at which its curvature is given [m]"""
AGENT_NAMES = (
    "is_there",  # 0: an empty slot
    "speed",  # [m/s]
    "acceleration",  # [m/s^2]
    "yaw_rate",  # [rad/s]
    "steering_angle",  # [rad]
    "length",  # [m]
    "width",  # [m]
    "has_lane",  # 0 or 1: it is on a driving lane; the lane's entries are 0 otherwise
    "lateral_error",  # [m] from the lane's middle, left positive
    "heading_error",  # [rad] heading minus the lane's, [-pi, pi)
    "lane_width",  # [m]
    "speed_limit",  # [m/s]
    *(f"curvature_{distance:g}m" for distance in PREVIEW),  # [1/m] left positive
    "off_road",  # [m] from its centre to the nearest drivable surface
    "is_touching",  # 0 or 1: its box overlaps another vehicle's or a walker's disc
    "has_route",  # 0 or 1: it is an ego; the route's entries are 0 otherwise
    "route_lateral_error",  # [m] left positive
    "route_heading_error",  # [rad]
    "target_x",  # [m] target point, own frame
    "target_y",
)
"""An agent's own entries, in order; those of the neighbours follow, nearest first."""
NEIGHBOUR_NAMES = (
    "is_there",  # 0 or 1
    "x",  # [m] centre, own frame: forward
    "y",  # [m] left
    "cos",  # of its heading in the agent's frame
    "sin",
    "velocity_x",  # [m/s] of the neighbour over the ground, own frame
    "velocity_y",
    "length",  # [m]
    "width",  # [m]
)
"""Entries of one neighbour (vehicle or walker), in order."""
_N_OWN, _N_EACH = len(AGENT_NAMES), len(NEIGHBOUR_NAMES)
_LANE = AGENT_NAMES.index("has_lane")
_OFF_ROAD = AGENT_NAMES.index("off_road")
_ROUTE = AGENT_NAMES.index("has_route")
_DISTANCES = np.array(PREVIEW)
_X, _Y, _COS, _SIN, _VX, _VY, _LENGTH, _WIDTH, _REACH, _SLOT = range(10)


def agent_names(n_neighbours: int) -> tuple[str, ...]:
    """Returns the names of all entries of an agent that sees so many neighbours."""
    around = [f"neighbour_{k}_{name}" for k in range(n_neighbours) for name in NEIGHBOUR_NAMES]
    return (*AGENT_NAMES, *around)


@kernels.device
def _gather(vehicles: Records, walkers: Records, world: int, near: Floats) -> int:
    """Lists everybody in a world with what the neighbours need of them; returns how many."""
    n = 0
    for slot in range(vehicles.shape[1]):
        vehicle = vehicles[world, slot]
        if vehicle.id != 0:
            cos, sin = math.cos(vehicle.heading), math.sin(vehicle.heading)
            c, s = math.cos(vehicle.slip), math.sin(vehicle.slip)
            near[n, _X], near[n, _Y] = vehicle.x, vehicle.y
            near[n, _COS], near[n, _SIN] = cos, sin
            near[n, _VX] = vehicle.speed * (cos * c - sin * s)
            near[n, _VY] = vehicle.speed * (sin * c + cos * s)
            near[n, _LENGTH], near[n, _WIDTH] = vehicle.length, vehicle.width
            near[n, _REACH] = 0.5 * math.hypot(vehicle.length, vehicle.width)
            near[n, _SLOT] = slot
            n += 1
    for slot in range(walkers.shape[1]):
        walker = walkers[world, slot]
        if walker.id != 0:
            cos, sin = math.cos(walker.heading), math.sin(walker.heading)
            near[n, _X], near[n, _Y] = walker.x, walker.y
            near[n, _COS], near[n, _SIN] = cos, sin
            near[n, _VX], near[n, _VY] = walker.speed * cos, walker.speed * sin
            near[n, _LENGTH] = near[n, _WIDTH] = 2.0 * walker.radius
            near[n, _REACH] = walker.radius
            near[n, _SLOT] = -1.0
            n += 1
    return n


@kernels.device
def _is_apart(near: Floats, a: int, b: int) -> bool:
    """Whether one of the two axes of box a separates it from box b."""
    dx, dy = near[b, _X] - near[a, _X], near[b, _Y] - near[a, _Y]
    c, s = near[a, _COS], near[a, _SIN]
    cos = abs(c * near[b, _COS] + s * near[b, _SIN])
    sin = abs(c * near[b, _SIN] - s * near[b, _COS])
    along = 0.5 * (near[a, _LENGTH] + near[b, _LENGTH] * cos + near[b, _WIDTH] * sin)
    across = 0.5 * (near[a, _WIDTH] + near[b, _LENGTH] * sin + near[b, _WIDTH] * cos)
    return abs(c * dx + s * dy) > along or abs(c * dy - s * dx) > across


@kernels.device
def _touches(near: Floats, a: int, b: int) -> bool:
    """Whether vehicle a touches another vehicle, or a walker's disc."""
    if near[b, _SLOT] >= 0.0:
        return not _is_apart(near, a, b) and not _is_apart(near, b, a)
    dx, dy = near[b, _X] - near[a, _X], near[b, _Y] - near[a, _Y]
    c, s = near[a, _COS], near[a, _SIN]
    out_x = max(abs(c * dx + s * dy) - 0.5 * near[a, _LENGTH], 0.0)
    out_y = max(abs(c * dy - s * dx) - 0.5 * near[a, _WIDTH], 0.0)
    return out_x * out_x + out_y * out_y <= near[b, _REACH] * near[b, _REACH]


@kernels.device
def _look_around(
    near: Floats, n: int, me: int, distances: Floats, items: Ints, seen: Array
) -> None:
    """Fills the neighbours of one agent and whether it touches one of them."""
    x, y, c, s = near[me, _X], near[me, _Y], near[me, _COS], near[me, _SIN]
    found, touching = 0, False
    for k in range(n):
        dx, dy = near[k, _X] - x, near[k, _Y] - y
        gap = dx * dx + dy * dy
        if k == me or gap >= RADIUS * RADIUS:
            continue
        reach = near[me, _REACH] + near[k, _REACH]
        if gap <= reach * reach and not touching:
            touching = _touches(near, me, k)
        found = insert(gap, k, found, distances, items)
    seen[_OFF_ROAD + 1] = touching
    for i in range(found):
        k, at = items[i], _N_OWN + i * _N_EACH
        dx, dy = near[k, _X] - x, near[k, _Y] - y
        seen[at] = 1.0
        seen[at + 1] = c * dx + s * dy
        seen[at + 2] = c * dy - s * dx
        seen[at + 3] = c * near[k, _COS] + s * near[k, _SIN]
        seen[at + 4] = c * near[k, _SIN] - s * near[k, _COS]
        seen[at + 5] = c * near[k, _VX] + s * near[k, _VY]
        seen[at + 6] = c * near[k, _VY] - s * near[k, _VX]
        seen[at + 7] = near[k, _LENGTH]
        seen[at + 8] = near[k, _WIDTH]


@kernels.device
def _fill_lane(vehicle: np.record, lanes: Records, points: Records, seen: Array) -> None:
    """Fills what an agent knows of the lane below it."""
    lane = lanes[vehicle.lane]
    last = lane.first + lane.count - 1
    # Points are nearly evenly spaced: begin where that would be exact, and walk.
    k = lane.first + int(vehicle.lane_s / max(lane.length, 1e-9) * (lane.count - 1))
    k = min(max(k, lane.first), last - 1)
    while k > lane.first and points[k].s > vehicle.lane_s:
        k -= 1
    while k < last - 1 and points[k + 1].s <= vehicle.lane_s:
        k += 1
    point = points[k]
    part = (vehicle.lane_s - point.s) / max(points[k + 1].s - point.s, 1e-9)
    bend = points[k + 1].heading - point.heading
    bend -= 2.0 * math.pi * round(bend / (2.0 * math.pi))
    heading = point.heading + min(max(part, 0.0), 1.0) * bend
    turn = vehicle.heading - heading
    dx, dy = vehicle.x - point.x, vehicle.y - point.y
    seen[_LANE] = 1.0
    seen[_LANE + 1] = math.cos(heading) * dy - math.sin(heading) * dx
    seen[_LANE + 2] = turn - 2.0 * math.pi * math.floor((turn + math.pi) / (2.0 * math.pi))
    seen[_LANE + 3] = point.width
    seen[_LANE + 4] = point.speed_limit
    for i in range(len(_DISTANCES)):
        while k < last and points[k + 1].s <= vehicle.lane_s + _DISTANCES[i]:
            k += 1
        seen[_LANE + 5 + i] = points[k].curvature


@kernels.device
def _fill_route(vehicle: np.record, way: np.record, seen: Array) -> None:
    cos, sin = math.cos(vehicle.heading), math.sin(vehicle.heading)
    dx, dy = way.target_x - vehicle.x, way.target_y - vehicle.y
    seen[_ROUTE] = 1.0
    seen[_ROUTE + 1] = way.lateral_error
    seen[_ROUTE + 2] = way.heading_error
    seen[_ROUTE + 3] = cos * dx + sin * dy
    seen[_ROUTE + 4] = cos * dy - sin * dx


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(LANE)[::1],
        kernels.record(LANE_POINT)[::1],
        kernels.record(VEHICLE)[:, ::1],
        kernels.record(WALKER)[:, ::1],
        kernels.record(PROGRESS)[::1],
        nt.int32[:, ::1],
        nt.int64,
        nt.float32[:, :, ::1],
    )
)
def _look(
    first_world: int,
    last_world: int,
    lanes: Any,
    points: Any,
    vehicles: Records,
    walkers: Records,
    progress: Records,
    row_of: Ints,
    n_neighbours: int,
    out: Array,
) -> None:
    near = np.empty((vehicles.shape[1] + walkers.shape[1], 10))
    distances, items = np.empty(n_neighbours), np.empty(n_neighbours, np.int64)
    for world in range(first_world, last_world):
        out[world] = 0.0
        n = _gather(vehicles, walkers, world, near)
        for me in range(n):
            if near[me, _SLOT] < 0.0:
                break  # the walkers come last
            slot = int(near[me, _SLOT])
            vehicle, seen = vehicles[world, slot], out[world, slot]
            seen[0] = 1.0
            seen[1] = vehicle.speed
            seen[2] = vehicle.acceleration
            seen[3] = vehicle.yaw_rate
            seen[4] = vehicle.steering_angle
            seen[5] = vehicle.length
            seen[6] = vehicle.width
            seen[_OFF_ROAD] = vehicle.off_road
            if vehicle.lane >= 0:
                _fill_lane(vehicle, lanes, points, seen)
            if row_of[world, slot] >= 0:
                _fill_route(vehicle, progress[row_of[world, slot]], seen)
            _look_around(near, n, me, distances, items, seen)


class AgentView:
    """State observations of every vehicle of the worlds of one map.

    Args:
        network: the map.
        n_neighbours: how many neighbours an agent sees, at least 1.

    Raises:
        ValueError: for no neighbours.
    """

    def __init__(self, network: RoadNetwork, n_neighbours: int = 8) -> None:
        if n_neighbours < 1:
            raise ValueError(f"n_neighbours must be at least 1, got {n_neighbours}")
        self.names = agent_names(n_neighbours)
        self._n_neighbours = n_neighbours
        self._lanes, self._points = np.array(network.lanes), np.array(network.points)

    def look(self, scene: Scene, out: Array | None = None) -> Array:
        """Returns what every vehicle sees, (W, V, F) float32, entries as `names`.

        Args:
            scene: of this map.
            out: (W, V, F) float32 to write into; None makes it.
        """
        actors = scene.actors
        n_worlds, n_slots = actors.vehicles.shape
        if out is None:
            out = np.empty((n_worlds, n_slots, len(self.names)), np.float32)
        row_of = np.full((n_worlds, n_slots), -1, np.int32)
        if n_slots:
            row_of[actors.world, actors.slot] = np.arange(len(actors.world), dtype=np.int32)
        kernels.run(
            _look,
            n_worlds,
            self._lanes,
            self._points,
            actors.vehicles,
            actors.walkers,
            scene.progress,
            row_of,
            self._n_neighbours,
            out,
            min_rows=8,
        )
        return out
