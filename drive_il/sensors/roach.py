"""Roach's bird's-eye view (Zhang, Liniger, Dai, Yu, Van Gool, ICCV 2021), heading up.

Fifteen uint8 channels of 192 x 192 pixels, 5 per metre, the ego's centre 40 pixels above
the lower edge and in the middle of the width (it is not drawn itself):

    0        road: driving lanes, drawn with Roach's border of 0.4 m                    255
    1        the route: the next 80 points (one per metre), 16 pixels wide              255
    2        lane markings outside junctions, 2 pixels wide: solid 255, broken          120
    3..6     vehicles                                                                   255
    7..10    walkers, at twice their size                                               255
    11..14   stop lines of green 80, yellow 170, red lights 255, 6 pixels wide; the stop
             sign ahead at which the ego has yet to halt, as a square                   255

The last three groups show four moments, drawn where things were then but seen from where
the ego is now: Roach's frames -16, -11, -6, -1 at 10 Hz, which is 1.5, 1.0, 0.5 and 0
seconds ago, oldest first. Before an episode is that old its first state stands in. Boxes
are at least 0.8 m in half size both ways; actors 8 m or more above or below the ego are
not shown, and neither are props, which CARLA does not count among the vehicles.

Departures: pixels are filled exactly where OpenCV rounds corners to whole pixels; broken
lines of every colour are 120 (Roach's code does so for white ones). Lights more than 50 m
away are out of the picture anyway.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import ActorKind, LightState
from drive_il.datatypes import PROGRESS, ROUTE_POINT, VEHICLE, Array, Floats, Ints, Records, Scene
from drive_il.maps.network import RoadNetwork
from drive_il.past import FOOTPRINT, footprints, signs_ahead
from drive_il.sensors import canvas
from drive_il.sensors.canvas import View, Whole
from drive_il.sensors.roach_map import (
    BROKEN,
    CELL,
    ROACH_MAP,
    ROAD,
    SOLID,
    RoachMap,
    roach_map,
)

SIZE = 192
"""pixels along both sides"""
SCALE = 5.0
"""pixels per metre"""
EGO_ROW = SIZE - 40
"""the ego's centre is between this row and the one above"""
AGES = (1.5, 1.0, 0.5, 0.0)
"""how long ago the moments of channels 3..6, 7..10 and 11..14 are [s]"""
CHANNELS = (
    "road",
    "route",
    "marks",
    *(f"{what}_{age:g}s" for what in ("vehicles", "walkers", "lights") for age in AGES),
)
"""What each channel shows."""
_N_AGES = len(AGES)
_VEHICLES, _WALKERS, _LIGHTS = 3, 3 + _N_AGES, 3 + 2 * _N_AGES
_ROUTE_POINTS = 80
_ROUTE_RADIUS = 8.0  # [pixels]
_LINE_RADIUS = 3.0  # [pixels]
_WALKER_SCALE = 2.0
_LEAST_HALF = 0.8  # [m]
_LEVEL = 8.0  # [m] actors this far above or below are on another road
_GREY = (80, 170, 255)  # green, yellow, red
_STATES = (int(LightState.GREEN), int(LightState.YELLOW), int(LightState.RED))
_PROP = int(ActorKind.PROP)
_RADIUS = math.hypot(EGO_ROW, SIZE / 2) / SCALE  # [m] of the circle around the ego that is seen

_PRINTS = nt.Array(kernels.record(FOOTPRINT), 3, "A", readonly=True)
_MOMENTS = nt.Tuple(
    (
        _PRINTS,
        _PRINTS,
        nt.Array(nt.uint8, 3, "A", readonly=True),
        nt.Array(nt.int32, 2, "A", readonly=True),
    )
)
"""Vehicles, walkers, lights and stop signs as `Past` has them; the present has one moment."""


@kernels.device
def _draw_pieces(ground: Any, at: View, kind: int, out: Array) -> None:
    """Draws the pieces of one kind in the cells that the picture can touch."""
    channel = 0 if kind == ROAD else 2
    value = 120 if kind == BROKEN else 255
    columns, rows = ground.size[0], ground.size[1]
    reach = _RADIUS + CELL
    x, y = at[0] - ground.origin[0], at[1] - ground.origin[1]
    c0, c1 = math.floor((x - reach) / CELL), math.floor((x + reach) / CELL)
    r0, r1 = math.floor((y - reach) / CELL), math.floor((y + reach) / CELL)
    for row in range(max(r0, 0), min(r1, rows - 1) + 1):
        for column in range(max(c0, 0), min(c1, columns - 1) + 1):
            cell = row * columns + column
            for k in range(ground.first[cell], ground.first[cell + 1]):
                piece = ground.pieces[k]
                if piece.kind == kind:
                    r, c = canvas.to_pixel(at, piece.x0, piece.y0)
                    s, d = canvas.to_pixel(at, piece.x1, piece.y1)
                    t, e = canvas.to_pixel(at, piece.x2, piece.y2)
                    u, f = canvas.to_pixel(at, piece.x3, piece.y3)
                    canvas.fill(out, channel, (r, s, t, u), (c, d, e, f), value)


@kernels.inner
def _draw_route(points: Records, index: int, end: int, at: View, out: Array) -> None:
    last = min(index + _ROUTE_POINTS, end)
    here = canvas.to_pixel(at, points[index].x, points[index].y)
    for k in range(index + 1, last):
        following = canvas.to_pixel(at, points[k].x, points[k].y)
        canvas.stroke(out, np.int64(1), here, following, _ROUTE_RADIUS, np.int64(255))
        here = following


@kernels.device
def _draw_lights(
    ground: Any, lights: Array, world: Whole, when: Whole, at: View, channel: int, out: Array
) -> None:
    for k in range(3):
        for line in range(len(ground.line_signal)):
            signal = ground.line_signal[line]
            if signal < lights.shape[1] and lights[world, signal, when] == _STATES[k]:
                x0, y0 = ground.lines[line, 0], ground.lines[line, 1]
                if abs(x0 - at[0]) + abs(y0 - at[1]) < 2.0 * _RADIUS:
                    start = canvas.to_pixel(at, x0, y0)
                    end = canvas.to_pixel(at, ground.lines[line, 2], ground.lines[line, 3])
                    canvas.stroke(out, channel, start, end, _LINE_RADIUS, _GREY[k])


@kernels.device
def _draw_prints(
    prints: Records,
    world: Whole,
    when: Whole,
    slot: Whole,
    scale: float,
    at: View,
    z: float,
    channel: int,
    out: Array,
) -> None:
    white = np.int64(255)
    for k in range(prints.shape[1]):
        mark = prints[world, k, when]
        is_shown = k != slot and mark.length > 0.0 and mark.kind != _PROP
        if is_shown and abs(mark.z - z) < _LEVEL:
            half_length = max(0.5 * scale * mark.length, _LEAST_HALF)
            half_width = max(0.5 * scale * mark.width, _LEAST_HALF)
            canvas.box(
                out, channel, at, mark.x, mark.y, mark.heading, half_length, half_width, white
            )


@kernels.device
def _draw_moment(
    ground: Any,
    moments: Any,
    world: Whole,
    row: Whole,
    when: Whole,
    slot: Whole,
    at: View,
    z: float,
    age: int,
    out: Array,
) -> None:
    """Draws what moved, as it was at one moment."""
    _draw_prints(moments[0], world, when, slot, 1.0, at, z, _VEHICLES + age, out)
    _draw_prints(moments[1], world, when, np.int64(-1), _WALKER_SCALE, at, z, _WALKERS + age, out)
    _draw_lights(ground, moments[2], world, when, at, _LIGHTS + age, out)
    signal = moments[3][row, when]
    if signal >= 0:
        sign = ground.sign_boxes[signal]
        canvas.box(
            out, _LIGHTS + age, at, sign[0], sign[1], sign[2], sign[3], sign[3], np.int64(255)
        )


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        ROACH_MAP,
        kernels.record(ROUTE_POINT)[::1],
        nt.int32[::1],
        nt.int32[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(PROGRESS)[::1],
        nt.int64[::1],
        nt.int32[::1],
        nt.int32[::1],
        _MOMENTS,
        _MOMENTS,
        nt.int32[::1],
        nt.int32[::1],
        nt.int64[::1],
        nt.uint8[:, :, :, ::1],
    )
)
def _draw(
    first_row: int,
    last_row: int,
    ground: RoachMap,
    points: Records,
    first: Ints,
    count: Ints,
    egos: Records,
    progress: Records,
    rows: Ints,
    worlds: Ints,
    slots: Ints,
    present: Any,
    past: Any,
    newest: Ints,
    remembered: Ints,
    lags: Ints,
    out: Array,
) -> None:
    n_past = past[3].shape[1]
    for n in range(first_row, last_row):
        row = rows[n]
        # One integer type throughout: each other one would be compiled anew.
        world, slot = np.int64(worlds[row]), np.int64(slots[row])
        ego, way, picture = egos[row], progress[row], out[n]
        picture[:] = 0
        at = canvas.look(ego.x, ego.y, ego.heading, SCALE, EGO_ROW, SIZE)
        for kind in (ROAD, SOLID, BROKEN):
            _draw_pieces(ground, at, kind, picture)
        begin = first[way.route]
        _draw_route(points, begin + way.index, begin + count[way.route], at, picture)
        for age in range(len(lags)):
            lag = min(lags[age], np.int64(remembered[world]))
            if lag > 0:
                when = (np.int64(newest[world]) - lag + 1) % n_past
                _draw_moment(ground, past, world, row, when, slot, at, ego.z, age, picture)
            else:
                _draw_moment(ground, present, n, n, np.int64(0), slot, at, ego.z, age, picture)


class RoachView:
    """Roach's bird's-eye view around any ego of one map."""

    def __init__(self, network: RoadNetwork) -> None:
        self._ground = roach_map(network)

    def draw(self, scene: Scene, rows: Ints) -> Array:
        """Returns the view of some rows, (len(rows), 15, 192, 192) uint8, see `CHANNELS`.

        Raises:
            ValueError: when the scene does not reach back for as long as the view shows.
        """
        lags = np.array([round(age / scene.dt) for age in AGES], np.int64)
        past, actors = scene.past, scene.actors
        if past.n_steps < lags.max():
            raise ValueError(
                f"Roach's view shows the last {max(AGES):g} s, the scene remembers "
                f"{past.n_steps * scene.dt:g} s; make the world with history={max(AGES):g}"
            )
        rows = np.ascontiguousarray(rows, np.int64)
        worlds = actors.world[rows]
        present = (
            footprints(actors.vehicles[worlds])[..., None],
            footprints(actors.walkers[worlds])[..., None],
            actors.lights[worlds][..., None],
            signs_ahead(scene.progress[rows])[:, None],
        )
        out = np.empty((len(rows), len(CHANNELS), SIZE, SIZE), np.uint8)
        kernels.run(
            _draw,
            len(rows),
            self._ground,
            scene.routes.points,
            scene.routes.first,
            scene.routes.count,
            scene.ego,
            scene.progress,
            rows,
            actors.world,
            actors.slot,
            present,
            (past.vehicles, past.walkers, past.lights, past.stops),
            past.newest,
            past.count,
            lags,
            out,
            min_rows=2,
        )
        return out


COLOURS: tuple[tuple[int, int, int], ...] = (
    (46, 52, 54),
    (136, 138, 133),
    (255, 0, 255),
    (0, 0, 255),
    (0, 255, 255),
    (255, 0, 0),
)
"""Roach's colours of road, route, solid markings, vehicles, walkers and red lights."""
_BROKEN, _YELLOW, _GREEN = (255, 140, 255), (255, 255, 0), (0, 255, 0)


def picture(view: Array) -> Floats:
    """Returns a view in Roach's colours for a person to look at; the past is paler.

    Args:
        view: (15, 192, 192) uint8.

    Returns:
        (192, 192, 3) uint8 RGB, the ego not drawn.
    """
    image = np.zeros((*view.shape[1:], 3), np.uint8)
    for channel in (0, 1, 2):
        image[view[channel] > 0] = COLOURS[channel]
    image[view[2] == 120] = _BROKEN
    greys = ((80, _GREEN), (170, _YELLOW), (255, COLOURS[5]))
    for grey, colour in greys:
        for age in range(_N_AGES):
            image[view[_LIGHTS + age] == grey] = _pale(colour, age)
    for first, colour in ((_VEHICLES, COLOURS[3]), (_WALKERS, COLOURS[4])):
        for age in range(_N_AGES):
            image[view[first + age] > 0] = _pale(colour, age)
    return image


def _pale(colour: tuple[int, int, int], age: int) -> Array:
    whole = np.array(colour, np.float64)
    return (whole + (255.0 - whole) * 0.2 * (_N_AGES - 1 - age)).astype(np.uint8)
