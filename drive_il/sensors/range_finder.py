"""ALVINN's laser range finder: how near things are, 8 rows by 32 columns.

The beams fan out over 80 degrees, left to right, and from 6 degrees above the horizon (row
0) to 24 degrees below it (row 7), as the scanning laser of the NavLab did. A value is
1 - range / 30 m: 1 touches the sensor, 0 is nothing within 30 m. The flat road answers too,
at the same range in every column, so that what stands up from it stands out: scenery,
vehicles and walkers.
(Pomerleau 1989, "ALVINN: an autonomous land vehicle in a neural network", section 2.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import VEHICLE, Array, Floats, Ints, Records, Scene
from drive_il.maps.network import RoadNetwork
from drive_il.sensors.prisms import SOLIDS, solids_of
from drive_il.sensors.targets import (
    ACTORS,
    MAX_SCENERY,
    TARGET,
    actors_of,
    gather_actors,
    gather_scenery,
    meet_first,
    mount,
)

N_ROWS, N_COLUMNS = 8, 32
RANGE = 30.0
"""[m]"""
FIELD = math.radians(80.0)
"""from the leftmost beam to the rightmost [rad]"""
TOP, BOTTOM = math.radians(6.0), math.radians(-24.0)
"""elevation of the first and the last row [rad]"""
HEIGHT, AHEAD = 1.8, 1.3
"""where the sensor is: above the road, ahead of the ego's centre [m]"""


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        SOLIDS,
        nt.float64[::1],
        nt.float64[::1],
        kernels.record(VEHICLE)[::1],
        *ACTORS,
        nt.float32[:, :, ::1],
    )
)
def _scan(
    first_row: int,
    last_row: int,
    solids: Any,
    azimuths: Floats,
    rises: Floats,
    ego: Records,
    vehicles: Records,
    walkers: Records,
    world: Ints,
    slot: Ints,
    out: Array,
) -> None:
    found = np.empty((4, MAX_SCENERY), np.int64)
    targets = np.empty(MAX_SCENERY + vehicles.shape[1] + walkers.shape[1], TARGET)
    for row in range(first_row, last_row):
        me = ego[row]
        x, y = mount(me, AHEAD, 0.0)
        count = gather_scenery(solids, x, y, 0.0, 0.0, 1.0, RANGE, found, targets)
        count = gather_actors(
            vehicles, walkers, world[row], slot[row], x, y, me.z, RANGE, targets, count
        )
        for j in range(N_COLUMNS):
            angle = me.heading + azimuths[j]
            look_x, look_y = math.cos(angle), math.sin(angle)
            for i in range(N_ROWS):
                rise = rises[i]
                nearest, _, _ = meet_first(targets, count, x, y, HEIGHT, look_x, look_y, rise)
                distance = nearest * math.sqrt(1.0 + rise * rise)
                out[row, i, j] = max(1.0 - distance / RANGE, 0.0)


class RangeFinder:
    """The range finder on any ego of one map."""

    def __init__(self, network: RoadNetwork) -> None:
        self._solids = solids_of(network)
        self._azimuths = np.linspace(FIELD / 2, -FIELD / 2, N_COLUMNS)
        self._rises = np.tan(np.linspace(TOP, BOTTOM, N_ROWS))

    def scan(self, scene: Scene, rows: Ints) -> Array:
        """Returns the nearness of what each beam meets, (N, 8, 32) float32 in [0, 1].

        Args:
            scene: of the sensor's map.
            rows: indices of the rows, (N,) int.
        """
        out = np.empty((len(rows), N_ROWS, N_COLUMNS), np.float32)
        kernels.run(
            _scan,
            len(rows),
            self._solids,
            self._azimuths,
            self._rises,
            scene.ego[rows],
            *actors_of(scene, rows),
            out,
        )
        return out
