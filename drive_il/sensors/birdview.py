"""The bird's-eye raster: the ground around the ego seen from above, heading up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import WALKER, LightState
from drive_il.datatypes import PROGRESS, ROUTE_POINT, VEHICLE, Array, Ints, Records, Scene
from drive_il.maps.network import RoadNetwork
from drive_il.past import signs_ahead
from drive_il.sensors import canvas
from drive_il.sensors.ground import GROUND_MAP, TILE_SHIFT, TILE_TEXELS, UNITS, ground_map
from drive_il.sensors.roach_map import light_lines, sign_boxes
from drive_il.sensors.surfaces import Ground

CHANNELS = ("road", "marks", "route", "walk")
"""drivable surface; share of paint; the lane the route runs in; sidewalks and shoulders"""
ACTOR_CHANNELS = ("vehicles", "walkers", "lights")
"""vehicles and props; walkers, at least a metre wide; stop lines of green 80, yellow 170 and
red lights 255, and of a stop sign ahead at which the ego has yet to halt 255"""
SIZE = 96
"""pixels along both sides"""
PIXEL = 0.5
"""[m]"""
EGO_ROW = 72
"""the ego's centre is between this row and the one above, in the middle column"""
_AHEAD = EGO_ROW * PIXEL + 10.0
_VEHICLES, _WALKERS, _LIGHTS = 4, 5, 6
_STATES = (int(LightState.GREEN), int(LightState.YELLOW), int(LightState.RED))
_GREY = (80, 170, 255)
_LEAST_RADIUS = 0.5  # [m] of a walker
_LINE_RADIUS = 1.0  # [pixels]
_OTHER_LEVEL = 8.0  # [m] actors this far above or below are on another road
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


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        nt.float64[:, ::1],
        nt.int32[::1],
        nt.float64[:, ::1],
        nt.int64[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(VEHICLE)[:, ::1],
        kernels.record(WALKER)[:, ::1],
        nt.uint8[:, ::1],
        nt.int32[::1],
        nt.int32[::1],
        nt.int32[::1],
        nt.uint8[:, :, :, ::1],
    )
)
def _draw_actors(
    first_row: int,
    last_row: int,
    lines: Array,
    line_signal: Ints,
    signs: Array,
    rows: Ints,
    egos: Records,
    vehicles: Records,
    walkers: Records,
    lights: Ints,
    worlds: Ints,
    slots: Ints,
    sign_of: Ints,
    out: Array,
) -> None:
    white = np.int64(255)  # a literal would be compiled anew for each number
    for n in range(first_row, last_row):
        ego, world, slot = egos[rows[n]], worlds[rows[n]], slots[rows[n]]
        at = canvas.look(ego.x, ego.y, ego.heading, 1.0 / PIXEL, EGO_ROW, SIZE)
        picture = out[n]
        picture[_VEHICLES:] = 0
        cars, people, stops = np.int64(_VEHICLES), np.int64(_WALKERS), np.int64(_LIGHTS)
        for k in range(vehicles.shape[1]):
            other = vehicles[world, k]
            if k != slot and other.id != 0 and abs(other.z - ego.z) < _OTHER_LEVEL:
                length, width = 0.5 * other.length, 0.5 * other.width
                x, y, heading = other.x, other.y, other.heading
                canvas.box(picture, cars, at, x, y, heading, length, width, white)
        for k in range(walkers.shape[1]):
            walker = walkers[world, k]
            if walker.id != 0 and abs(walker.z - ego.z) < _OTHER_LEVEL:
                row, column = canvas.to_pixel(at, walker.x, walker.y)
                radius = max(walker.radius, _LEAST_RADIUS) / PIXEL
                canvas.disc(picture, people, row, column, radius, white)
        for state in range(3):
            for k in range(len(line_signal)):
                signal = line_signal[k]
                if signal < lights.shape[1] and lights[world, signal] == _STATES[state]:
                    start = canvas.to_pixel(at, lines[k, 0], lines[k, 1])
                    end = canvas.to_pixel(at, lines[k, 2], lines[k, 3])
                    canvas.stroke(picture, stops, start, end, _LINE_RADIUS, _GREY[state])
        if sign_of[n] >= 0:
            x, y = signs[sign_of[n], 0], signs[sign_of[n], 1]
            heading, half = signs[sign_of[n], 2], signs[sign_of[n], 3]
            canvas.box(picture, stops, at, x, y, heading, _LINE_RADIUS * PIXEL, half, white)


class BirdView:
    """The bird's-eye raster around any ego of one map.

    Args:
        network: the map.
        actors: show vehicles, walkers and stop lines too.
    """

    def __init__(self, network: RoadNetwork, actors: bool = False) -> None:
        self._ground = ground_map(network)
        self._stops = (*light_lines(network), sign_boxes(network)) if actors else None

    def draw(self, scene: Scene, rows: Ints) -> Array:
        """Returns the raster of some rows, (len(rows), 4 or 7, 96, 96) uint8.

        Channels are CHANNELS, then ACTOR_CHANNELS where asked for.
        """
        rows = np.ascontiguousarray(rows, np.int64)
        n_channels = len(CHANNELS) + (len(ACTOR_CHANNELS) if self._stops else 0)
        out = np.empty((len(rows), n_channels, SIZE, SIZE), np.uint8)
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
        if self._stops:
            actors = scene.actors
            kernels.run(
                _draw_actors,
                len(rows),
                *self._stops,
                rows,
                scene.ego,
                actors.vehicles,
                actors.walkers,
                actors.lights,
                actors.world,
                actors.slot,
                signs_ahead(scene.progress[rows]),
                out,
                min_rows=16,
            )
        return out
