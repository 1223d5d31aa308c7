"""Sensors of what happened in the last step: collisions and crossed lane marks.

CARLA's sensor.other.collision and sensor.other.lane_invasion, as arrays: a step without an
event reads zeros. A collision is reported in every step it lasts.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import EVENTS
from drive_il.datatypes import VEHICLE, Floats, Ints, Observation, Records, Scene


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(VEHICLE)[::1],
        kernels.record(EVENTS)[::1],
        nt.float32[:, ::1],
    )
)
def _impulse(first_row: int, last_row: int, ego: Records, events: Records, out: Floats) -> None:
    for row in range(first_row, last_row):
        cos, sin = math.cos(ego[row].heading), math.sin(ego[row].heading)
        x, y = events[row].impulse_x, events[row].impulse_y
        out[row, 0], out[row, 1] = cos * x + sin * y, cos * y - sin * x


def collision(scene: Scene, rows: Ints) -> Observation:
    """Returns what each ego ran into in the last step.

    Returns:
        `collision`: what, of `Struck`, (N,) int32.
        `collision_id`: id of that vehicle or walker, 0 for scenery and kerbs, (N,) int32.
        `collision_impulse`: on the ego, forward and left in its frame, (N, 2) float32 [N s].
    """
    events = scene.events[rows]
    impulse = np.empty((len(rows), 2), np.float32)
    kernels.run(_impulse, len(rows), scene.ego[rows], events, impulse, min_rows=4096)
    return {
        "collision": events["struck"].copy(),
        "collision_id": events["struck_id"].copy(),
        "collision_impulse": impulse,
    }


def lane_invasion(scene: Scene, rows: Ints) -> Ints:
    """Returns the marks that the ego's left and right side crossed, (N, 2) uint8 MarkType."""
    events = scene.events[rows]
    return np.stack((events["left_mark"], events["right_mark"]), axis=1)
