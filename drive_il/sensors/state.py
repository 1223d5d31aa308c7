"""The privileged state vector: what a small policy without pixels may see."""

from __future__ import annotations

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import PROGRESS, ROUTE_POINT, VEHICLE, Array, Ints, Records, Scene

PREVIEW = (0.0, 5.0, 10.0, 20.0, 40.0)
"""distances ahead along the route at which its curvature is given [m]"""
STATE_NAMES = (
    "speed",  # [m/s]
    "acceleration",  # [m/s^2]
    "yaw_rate",  # [rad/s]
    "steering_angle",  # [rad]
    "lateral_error",  # [m] left positive
    "heading_error",  # [rad]
    "speed_limit",  # [m/s]
    "lane_width",  # [m]
    "target_x",  # [m] target point, ego frame
    "target_y",  # [m]
    *(f"curvature_{distance:g}m" for distance in PREVIEW),  # [1/m] left positive
)
"""Entries of the state vector, in order."""
_DISTANCES = np.array(PREVIEW)
_FIXED = len(STATE_NAMES) - len(PREVIEW)


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        nt.float64[::1],
        kernels.record(ROUTE_POINT)[::1],
        nt.int64[::1],
        nt.int64[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(PROGRESS)[::1],
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
    ego: Records,
    progress: Records,
    out: Array,
) -> None:
    for row in range(first_row, last_row):
        vehicle, way = ego[row], progress[row]
        cos, sin = np.cos(vehicle.heading), np.sin(vehicle.heading)
        dx, dy = way.target_x - vehicle.x, way.target_y - vehicle.y
        out[row, 0] = vehicle.speed
        out[row, 1] = vehicle.acceleration
        out[row, 2] = vehicle.yaw_rate
        out[row, 3] = vehicle.steering_angle
        out[row, 4] = way.lateral_error
        out[row, 5] = way.heading_error
        out[row, 6] = way.speed_limit
        out[row, 7] = way.lane_width
        out[row, 8] = cos * dx + sin * dy
        out[row, 9] = -sin * dx + cos * dy
        last = first[way.route] + count[way.route] - 1
        k = min(first[way.route] + way.index, last)
        for n in range(len(distances)):
            while k < last and points[k + 1].s <= way.s + distances[n]:
                k += 1
            out[row, _FIXED + n] = points[k].curvature


def state_vector(scene: Scene, rows: Ints) -> Array:
    """Returns the state of some rows, (len(rows), len(STATE_NAMES)) float32."""
    out = np.empty((len(rows), len(STATE_NAMES)), np.float32)
    kernels.run(
        _fill,
        len(rows),
        _DISTANCES,
        scene.routes.points,
        scene.routes.first.astype(np.int64),
        scene.routes.count.astype(np.int64),
        scene.ego[rows],
        scene.progress[rows],
        out,
        min_rows=512,
    )
    return out
