"""The scene as vectors: polylines of the nearest lanes and the nearest actors.

As VectorNet (Gao et al., CVPR 2020) and Waymax show a scene to a learner: no raster, no
history. Positions are in the ego's frame, entries in SI units, not normalised; what is
not there is zeros, and a mask says so.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import LightState
from drive_il.datatypes import (
    PROGRESS,
    ROUTE_POINT,
    VEHICLE,
    Array,
    Bools,
    Ints,
    Observation,
    Records,
    Scene,
)
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import VectorSpec
from drive_il.sensors.lane_pieces import (
    CHANGING,
    FIXED,
    LANE_NAMES,
    LANE_PIECES,
    lane_pieces,
)
from drive_il.sensors.neighbours import RADIUS, insert, nearest_actors

_ROUTE_AHEAD = 100.0  # [m]
_MAX_ROUTE_LANES = 32
_SIGN = LANE_NAMES.index("stop_sign")
_ON_ROUTE = LANE_NAMES.index("on_route")
_STATES = (int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN))


@kernels.device
def _find(pieces: Any, x: float, y: float, distances: Array, items: Ints) -> int:
    """Lists the pieces whose nearest points are nearest; returns how many."""
    n, size = 0, len(items)
    for piece in range(len(pieces.lane)):
        limit = RADIUS * RADIUS if n < size else distances[n - 1]
        dx, dy = pieces.circles[piece, 0] - x, pieces.circles[piece, 1] - y
        reach = math.sqrt(limit) + pieces.circles[piece, 2]
        if dx * dx + dy * dy > reach * reach:
            continue
        best = math.inf
        for k in range(pieces.poses.shape[1]):
            dx, dy = pieces.poses[piece, k, 0] - x, pieces.poses[piece, k, 1] - y
            best = min(best, dx * dx + dy * dy)
        if best < limit:
            n = insert(best, piece, n, distances, items)
    return n


@kernels.device
def _write(pieces: Any, piece: int, ego: np.record, light: int, is_route: bool, out: Array) -> None:
    cos, sin = math.cos(ego.heading), math.sin(ego.heading)
    for k in range(pieces.poses.shape[1]):
        dx, dy = pieces.poses[piece, k, 0] - ego.x, pieces.poses[piece, k, 1] - ego.y
        turn = pieces.poses[piece, k, 2] - ego.heading
        out[k, 0] = cos * dx + sin * dy
        out[k, 1] = cos * dy - sin * dx
        out[k, 2] = math.cos(turn)
        out[k, 3] = math.sin(turn)
        for i in range(CHANGING - FIXED):
            out[k, FIXED + i] = pieces.fixed[piece, k, i]
        for i in range(3):
            out[k, CHANGING + i] = light == _STATES[i]
        out[k, _SIGN] = pieces.sign[piece]
        out[k, _ON_ROUTE] = is_route


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        LANE_PIECES,
        kernels.record(ROUTE_POINT)[::1],
        nt.int32[::1],
        nt.int32[::1],
        nt.int64[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(PROGRESS)[::1],
        nt.uint8[:, ::1],
        nt.int32[::1],
        nt.float32[:, :, :, ::1],
        nt.boolean[:, ::1],
    )
)
def _look_at_lanes(
    first_row: int,
    last_row: int,
    pieces: Any,
    points: Records,
    first: Ints,
    count: Ints,
    rows: Ints,
    egos: Records,
    progress: Records,
    lights: Ints,
    worlds: Ints,
    out: Array,
    mask: Bools,
) -> None:
    size = out.shape[1]
    distances, items = np.empty(size), np.empty(size, np.int64)
    route_lanes = np.empty(_MAX_ROUTE_LANES, np.int64)
    for row in range(first_row, last_row):
        ego, way, world = egos[rows[row]], progress[rows[row]], worlds[rows[row]]
        n_route = 0
        end = first[way.route] + count[way.route]
        for k in range(first[way.route] + way.index, end):
            if n_route == _MAX_ROUTE_LANES or points[k].s > way.s + _ROUTE_AHEAD:
                break
            if n_route == 0 or route_lanes[n_route - 1] != points[k].lane:
                route_lanes[n_route] = points[k].lane
                n_route += 1
        n = _find(pieces, ego.x, ego.y, distances, items)
        out[row, n:] = 0.0
        for i in range(size):
            mask[row, i] = i < n
        for i in range(n):
            signal, light = pieces.light[items[i]], -1
            if 0 <= signal < lights.shape[1]:
                light = lights[world, signal]
            is_route = False
            for k in range(n_route):
                is_route |= route_lanes[k] == pieces.lane[items[i]]
            _write(pieces, items[i], ego, light, is_route, out[row, i])


class VectorView:
    """The vectorised scene around any ego of one map."""

    def __init__(self, network: RoadNetwork, spec: VectorSpec) -> None:
        self._spec = spec
        self._pieces = lane_pieces(network, spec.points)

    def look(self, scene: Scene, rows: Ints) -> Observation:
        """Returns what is around some rows.

        Args:
            scene: of this map.
            rows: indices of the rows, (N,) int.

        Returns:
            `lanes` (N, lanes, points, 19) float32, see LANE_NAMES, the nearest piece of
            lane first; `lanes_mask` (N, lanes) bool; `actors` (N, actors, 16) float32, see
            ACTOR_NAMES, the nearest first; `actors_mask` (N, actors) bool.
        """
        rows = np.ascontiguousarray(rows, np.int64)
        spec = self._spec
        lanes = np.empty((len(rows), spec.lanes, spec.points, len(LANE_NAMES)), np.float32)
        lanes_mask = np.empty((len(rows), spec.lanes), np.bool_)
        kernels.run(
            _look_at_lanes,
            len(rows),
            self._pieces,
            scene.routes.points,
            scene.routes.first,
            scene.routes.count,
            rows,
            scene.ego,
            scene.progress,
            scene.actors.lights,
            scene.actors.world,
            lanes,
            lanes_mask,
            min_rows=16,
        )
        actors, actors_mask = nearest_actors(scene, rows, spec.actors)
        return {
            "lanes": lanes,
            "lanes_mask": lanes_mask,
            "actors": actors,
            "actors_mask": actors_mask,
        }
