"""The bird's-eye raster: the ground around the ego seen from above, heading up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import PROGRESS, ROUTE_POINT, VEHICLE, Array, Ints, Records, Scene
from drive_il.maps.network import RoadNetwork
from drive_il.sensors.ground import GROUND_MAP, TILE_SHIFT, TILE_TEXELS, UNITS, ground_map
from drive_il.sensors.surfaces import Ground

CHANNELS = ("road", "marks", "route", "walk")
"""drivable surface; share of paint; the lane the route runs in; sidewalks and shoulders"""
SIZE = 96
"""pixels along both sides"""
PIXEL = 0.5
"""[m]"""
EGO_ROW = 72
"""the ego's centre is between this row and the one above, in the middle column"""
_AHEAD = EGO_ROW * PIXEL + 10.0
_LEVEL = 2  # texels of 0.5 m
_START = 128 * 128 + 64 * 64
_ROAD, _PARKING, _BIKING = int(Ground.ROAD), int(Ground.PARKING), int(Ground.BIKING)
_SHOULDER, _SIDEWALK, _KERB = int(Ground.SHOULDER), int(Ground.SIDEWALK), int(Ground.KERB)


@kernels.inner
def _draw_ground(ground: Any, ego: Any, out: Array) -> None:
    """Fills the channels that show the ground, from the map's texels of half a metre."""
    columns = ground.size[0]
    right, top = (columns << TILE_SHIFT) - 1, (ground.size[1] << TILE_SHIFT) - 1
    tiles, texels = ground.tiles, ground.texels
    cos, sin = math.cos(ego.heading), math.sin(ego.heading)
    x0, y0 = ego.x - ground.origin[0], ego.y - ground.origin[1]
    shift, mask = 2 + _LEVEL, (128 >> _LEVEL) - 1
    for i in range(SIZE):
        ahead = (EGO_ROW - i - 0.5) * PIXEL
        for j in range(SIZE):
            left = (SIZE / 2 - j - 0.5) * PIXEL
            qx = min(max(int((x0 + cos * ahead - sin * left) * UNITS), 0), right)
            qy = min(max(int((y0 + sin * ahead + cos * left) * UNITS), 0), top)
            tile = tiles[(qy >> TILE_SHIFT) * columns + (qx >> TILE_SHIFT)]
            at = _START + (((qy >> shift) & mask) << (7 - _LEVEL)) + ((qx >> shift) & mask)
            code = texels[tile * TILE_TEXELS + at]
            surface, level = code & 7, code >> 4
            drivable = surface == _ROAD or surface == _PARKING or surface == _BIKING
            walk = surface == _SHOULDER or surface == _SIDEWALK or surface == _KERB
            out[0, i, j] = 255 if drivable else 0
            out[1, i, j] = 255 * level * level // 225
            out[3, i, j] = 255 if walk else 0


@kernels.inner
def _draw_route(points: Records, first: int, last: int, index: int, ego: Any, out: Array) -> None:
    """Fills the route channel with a disc as wide as the lane at every route point near."""
    out[2] = 0
    cos, sin = math.cos(ego.heading), math.sin(ego.heading)
    k = index
    while k > first and points[index].s - points[k].s < (SIZE - EGO_ROW) * PIXEL + 10.0:
        k -= 1
    while k < last and points[k].s - points[index].s < _AHEAD:
        dx, dy = points[k].x - ego.x, points[k].y - ego.y
        row = EGO_ROW - (cos * dx + sin * dy) / PIXEL - 0.5
        column = SIZE / 2 - (-sin * dx + cos * dy) / PIXEL - 0.5
        radius = 0.5 * points[k].lane_width / PIXEL
        for i in range(max(math.ceil(row - radius), 0), min(math.floor(row + radius) + 1, SIZE)):
            for j in range(
                max(math.ceil(column - radius), 0), min(math.floor(column + radius) + 1, SIZE)
            ):
                if (i - row) * (i - row) + (j - column) * (j - column) <= radius * radius:
                    out[2, i, j] = 255
        k += 1


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        GROUND_MAP,
        kernels.record(ROUTE_POINT)[::1],
        nt.int64[::1],
        nt.int64[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(PROGRESS)[::1],
        nt.uint8[:, :, :, ::1],
    )
)
def _draw(
    first_row: int,
    last_row: int,
    ground: Any,
    points: Records,
    first: Ints,
    count: Ints,
    ego: Records,
    progress: Records,
    out: Array,
) -> None:
    for row in range(first_row, last_row):
        _draw_ground(ground, ego[row], out[row])
        route = progress[row].route
        begin = first[route]
        end = begin + count[route]
        index = begin + progress[row].index
        _draw_route(points, begin, end, index, ego[row], out[row])


class BirdView:
    """The bird's-eye raster around any ego of one map."""

    def __init__(self, network: RoadNetwork) -> None:
        self._ground = ground_map(network)

    def draw(self, scene: Scene, rows: Ints) -> Array:
        """Returns the raster of some rows, (len(rows), 4, 96, 96) uint8, channels as CHANNELS."""
        out = np.empty((len(rows), len(CHANNELS), SIZE, SIZE), np.uint8)
        kernels.run(
            _draw,
            len(rows),
            self._ground,
            scene.routes.points,
            scene.routes.first.astype(np.int64),
            scene.routes.count.astype(np.int64),
            scene.ego[rows],
            scene.progress[rows],
            out,
            min_rows=4,
        )
        return out
