"""ALVINN's laser range finder: how near things are, 8 rows by 32 columns.

The beams fan out over 80 degrees, left to right, and from 6 degrees above the horizon (row
0) to 24 degrees below it (row 7), as the scanning laser of the NavLab did. A value is
1 - range / 30 m: 1 touches the sensor, 0 is nothing within 30 m. The flat road answers too,
at the same range in every column, so that what stands up from it stands out.
(Pomerleau 1989, "ALVINN: an autonomous land vehicle in a neural network", section 2.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import VEHICLE, Array, Floats, Records
from drive_il.maps.network import RoadNetwork
from drive_il.sensors.prisms import (
    CROWN,
    NEAR,
    SOLIDS,
    meet_ellipsoid,
    meet_height,
    meet_plan,
    solids_of,
    visible,
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
_MAX_VISIBLE = 512


@kernels.inner
def _meet(item: Any, ox: float, oy: float, dx: float, dy: float, rise: float) -> float:
    """Horizontal distance at which a beam meets a prism, infinity when it misses [m]."""
    enter, leave, _ = meet_plan(ox, oy, dx, dy, item.half_length, item.half_width)
    if enter > leave or enter < NEAR:
        return math.inf
    if item.kind == CROWN:
        flat = 2.0 / (item.high - item.low)
        sx, sy = 1.0 / item.half_length, 1.0 / item.half_width
        oz = (HEIGHT - 0.5 * (item.high + item.low)) * flat
        t = meet_ellipsoid(ox * sx, oy * sy, oz, dx * sx, dy * sy, rise * flat)
        return t if t >= NEAR else math.inf
    t, face = meet_height(enter, leave, HEIGHT, item.low, item.high, -1.0 / rise)
    return t if face >= 0 else math.inf


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        SOLIDS,
        nt.float64[::1],
        nt.float64[::1],
        kernels.record(VEHICLE)[::1],
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
    out: Array,
) -> None:
    items = solids.items
    found = np.empty((4, _MAX_VISIBLE), np.int64)
    for row in range(first_row, last_row):
        heading = ego[row].heading
        x = ego[row].x + AHEAD * math.cos(heading)
        y = ego[row].y + AHEAD * math.sin(heading)
        count = visible(solids, x, y, 0.0, 0.0, 1.0, RANGE, 0.0, found)
        for j in range(N_COLUMNS):
            look_x, look_y = math.cos(heading + azimuths[j]), math.sin(heading + azimuths[j])
            for i in range(N_ROWS):
                nearest = HEIGHT / -rises[i] if rises[i] < 0.0 else math.inf
                for k in range(count):
                    item = items[found[0, k]]
                    gap_x, gap_y = x - item.x, y - item.y
                    ox = item.cos * gap_x + item.sin * gap_y
                    oy = -item.sin * gap_x + item.cos * gap_y
                    dx = item.cos * look_x + item.sin * look_y
                    dy = -item.sin * look_x + item.cos * look_y
                    nearest = min(nearest, _meet(item, ox, oy, dx, dy, rises[i]))
                distance = nearest * math.sqrt(1.0 + rises[i] * rises[i])
                out[row, i, j] = max(1.0 - distance / RANGE, 0.0)


class RangeFinder:
    """The range finder on any ego of one map."""

    def __init__(self, network: RoadNetwork) -> None:
        self._solids = solids_of(network)
        self._azimuths = np.linspace(FIELD / 2, -FIELD / 2, N_COLUMNS)
        self._rises = np.tan(np.linspace(TOP, BOTTOM, N_ROWS))

    def scan(self, ego: Records, out: Array | None = None) -> Array:
        """Returns the nearness of what each beam meets.

        Args:
            ego: (N,) VEHICLE.
            out: array to write into, (N, 8, 32) float32.

        Returns:
            (N, 8, 32) float32 in [0, 1].
        """
        if out is None:
            out = np.empty((len(ego), N_ROWS, N_COLUMNS), np.float32)
        ego = np.ascontiguousarray(ego)
        kernels.run(_scan, len(ego), self._solids, self._azimuths, self._rises, ego, out)
        return out
