"""The fast path: pictures of level cameras, row by row and column by column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import VEHICLE, WEATHER, Array, Floats, Ints, Records
from drive_il.sensors.ground import GROUND_MAP, ground_class
from drive_il.sensors.lens import (
    DEPTH,
    FRAME,
    LENS,
    RGB,
    SEMANTIC,
    corner_bounds,
    offset,
    pixel_range,
    put,
    set_frame,
)
from drive_il.sensors.light import (
    FAR,
    LIGHT,
    N_CLASSES,
    N_HAZE,
    N_SKY,
    TABLES,
    TAG_SKY,
    TEXTURES,
    air,
    same_weather,
    set_light,
    sky_color,
    through_air,
)
from drive_il.sensors.paint import footprint, ground_color
from drive_il.sensors.prisms import (
    NEAR,
    SOLIDS,
    WINDOW_PIXEL,
    at_window_height,
    between_windows,
    crown_color,
    face_colors,
    meet_ellipsoid,
    meet_height,
    meet_plan,
    seen,
    visible,
    wall_color,
    HOUSE,
    CROWN,
)

VIEW = 220.0
"""prisms are seen from this near [m]"""
MAX_VISIBLE = 2048


@kernels.device
def _rows_of(item: Any, height: float, enter: float, leave: float, focal: float, n: int) -> Any:
    """First and last + 1 of the rows that a column of a box can cover."""
    top, foot = height - item.high, height - item.low
    low = top / enter if top < 0.0 else top / leave
    high = foot / enter if foot > 0.0 else foot / leave
    return pixel_range(low, high, focal, n)


@kernels.device
def _draw_box(
    item: Any,
    kind: int,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    rays: Any,
    columns: Any,
    colors: Ints,
    picture: Any,
) -> None:
    look_x, look_y, inverse_drop = rays[0], rays[1], rays[3]
    rgb, depth, tags = picture
    gap_x, gap_y = frame.x - item.x, frame.y - item.y
    ox = item.cos * gap_x + item.sin * gap_y
    oy = -item.sin * gap_x + item.cos * gap_y
    if kind == RGB:
        face_colors(item, light, ox, oy, colors)
    for j in range(columns[0], columns[1]):
        dx = item.cos * look_x[j] + item.sin * look_y[j]
        dy = -item.sin * look_x[j] + item.cos * look_y[j]
        enter, leave, front = meet_plan(ox, oy, dx, dy, item.half_length, item.half_width)
        if enter > leave or enter < NEAR:
            continue
        wall = window = 0
        windows = False
        if kind == RGB:
            arrives, veil = air(haze, enter)
            wall = through_air(colors[0] if front else colors[1], light.haze_color, arrives, veil)
            if item.kind == HOUSE and enter * frame.inverse_focal < WINDOW_PIXEL:
                windows = not between_windows(oy + enter * dy if front else ox + enter * dx)
                window = through_air(colors[4], light.haze_color, arrives, veil)
        first, last = _rows_of(item, frame.z, enter, leave, lens.focal, lens.height)
        for i in range(first, last):
            t, face = meet_height(enter, leave, frame.z, item.low, item.high, inverse_drop[i])
            if face < 0 or t >= depth[i, j]:
                continue
            depth[i, j] = t
            if kind == RGB:
                color = wall
                if face > 0:
                    color = seen(colors[1 + face], light, haze, t)
                elif windows and at_window_height(frame.z - t * rays[4][i], item.high):
                    color = window
                put(rgb, i, j, color)
            elif kind != DEPTH:
                tags[i, j] = item.tag


@kernels.device
def _draw_crown(
    item: Any,
    kind: int,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    rays: Any,
    columns: Any,
    noise: Ints,
    picture: Any,
) -> None:
    look_x, look_y, drop = rays[0], rays[1], rays[4]
    rgb, depth, tags = picture
    gap_x, gap_y = frame.x - item.x, frame.y - item.y
    ox = item.cos * gap_x + item.sin * gap_y
    oy = -item.sin * gap_x + item.cos * gap_y
    flat = 2.0 / (item.high - item.low)
    sx, sy = 1.0 / item.half_length, 1.0 / item.half_width
    oz = (frame.z - 0.5 * (item.high + item.low)) * flat
    for j in range(columns[0], columns[1]):
        dx = item.cos * look_x[j] + item.sin * look_y[j]
        dy = -item.sin * look_x[j] + item.cos * look_y[j]
        enter, leave, _ = meet_plan(ox, oy, dx, dy, item.half_length, item.half_width)
        if enter > leave or enter < NEAR:
            continue
        first, last = _rows_of(item, frame.z, enter, leave, lens.focal, lens.height)
        for i in range(first, last):
            dz = -drop[i] * flat
            t = meet_ellipsoid(ox * sx, oy * sy, oz, dx * sx, dy * sy, dz)
            if t < NEAR or t >= depth[i, j]:
                continue
            depth[i, j] = t
            if kind == RGB:
                nx, ny, nz = (ox + t * dx) * sx, (oy + t * dy) * sy, oz + t * dz
                color = crown_color(item, light, noise, nx, ny, nz)
                put(rgb, i, j, seen(color, light, haze, t))
            elif kind != DEPTH:
                tags[i, j] = item.tag


@kernels.device
def _draw_ground_row(
    i: int,
    kind: int,
    ground: Any,
    frame: Any,
    light: Any,
    tables: Any,
    noise: Ints,
    class_tags: Ints,
    rays: Any,
    picture: Any,
) -> None:
    look_x, look_y = rays[0], rays[1]
    rgb, depth, tags = picture
    t = frame.z * rays[3][i]
    if kind == DEPTH:
        for j in range(len(look_x)):
            depth[i, j] = min(depth[i, j], np.float32(min(t, FAR)))
        return
    origin, size, tiles, cells, programs, texels = ground
    n_columns, n_rows = size[0], size[1]
    x0, y0 = frame.x - origin[0], frame.y - origin[1]
    if kind != RGB:
        for j in range(len(look_x)):
            if depth[i, j] > t:
                x, y = x0 + t * look_x[j], y0 + t * look_y[j]
                shown = ground_class(n_columns, n_rows, tiles, cells, programs, x, y)
                tags[i, j] = class_tags[shown]
        return
    across, along, n, level = footprint(t, frame.inverse_focal, frame.z)
    arrives, veil = air(tables[3], t)
    palette, texel_colors = tables[0], tables[1]
    right_x, right_y, haze_color = frame.right_x, frame.right_y, light.haze_color
    for j in range(len(look_x)):
        if depth[i, j] < t:
            continue
        color = ground_color(
            n_columns,
            n_rows,
            tiles,
            cells,
            programs,
            texels,
            palette,
            texel_colors,
            noise,
            x0 + t * look_x[j],
            y0 + t * look_y[j],
            look_x[j],
            look_y[j],
            right_x,
            right_y,
            across,
            along,
            n,
            level,
        )
        put(rgb, i, j, through_air(color, haze_color, arrives, veil))


@kernels.device
def _draw_sky_row(
    i: int, kind: int, light: Any, tables: Any, clouds: Ints, rays: Any, picture: Any
) -> None:
    look_x, look_y, inverse_flat, drop = rays[0], rays[1], rays[2], rays[4]
    rgb, depth, tags = picture
    sky, cover, cloud = tables[2], tables[4], tables[5]
    for j in range(len(look_x)):
        if depth[i, j] < FAR:
            continue
        depth[i, j] = FAR
        if kind == RGB:
            z = -drop[i]
            put(rgb, i, j, sky_color(light, sky, cover, cloud, clouds, look_x[j], look_y[j], z, inverse_flat[j]))
        elif kind != DEPTH:
            tags[i, j] = TAG_SKY


@kernels.device
def _set_rays(frame: Any, lens: Any, rays: Any) -> None:
    look_x, look_y, inverse_flat, inverse_drop, drop = rays
    for j in range(lens.width):
        a = offset(j, lens.width, frame.inverse_focal)
        look_x[j] = frame.forward_x + a * frame.right_x
        look_y[j] = frame.forward_y + a * frame.right_y
        inverse_flat[j] = 1.0 / np.sqrt(look_x[j] * look_x[j] + look_y[j] * look_y[j])
    for i in range(lens.height):
        drop[i] = offset(i, lens.height, frame.inverse_focal)
        inverse_drop[i] = 1.0 / drop[i]


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        GROUND_MAP,
        SOLIDS,
        TEXTURES,
        kernels.record(LENS)[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(WEATHER)[::1],
        nt.uint8[:, :, :, ::1],
        nt.float32[:, :, ::1],
        nt.uint8[:, :, ::1],
    )
)
def render_level(
    first_row: int,
    last_row: int,
    ground: Any,
    solids: Any,
    fixed: Any,
    lenses: Records,
    ego: Records,
    weather: Records,
    rgb: Array,
    depth: Array,
    tags: Array,
) -> None:
    """Draws the pictures of a range of egos with a level camera."""
    lens = lenses[0]
    kind, width, height = lens.kind, lens.width, lens.height
    frame, light = np.zeros(1, FRAME)[0], np.zeros(1, LIGHT)[0]
    tables = (
        np.empty(N_CLASSES, np.int64),
        np.empty(256, np.int64),
        np.empty(N_SKY, np.int64),
        np.empty((2, N_HAZE + 1)),
        np.empty(256, np.int64),
        np.empty(N_SKY, np.int64),
    )
    rays = (np.empty(width), np.empty(width), np.empty(width), np.empty(height), np.empty(height))
    colors, bounds = np.empty(5, np.int64), np.empty(4)
    found = np.empty(MAX_VISIBLE, np.int64)
    scratch = np.empty((height, width), np.float32)
    for row in range(first_row, last_row):
        if kind == RGB and (row == first_row or not same_weather(weather[row], weather[row - 1])):
            set_light(light, tables, weather[row], fixed)
        set_frame(frame, lens, ego[row])
        _set_rays(frame, lens, rays)
        picture = (
            rgb[row if kind == RGB else 0],
            depth[row] if kind == DEPTH else scratch,
            tags[row if kind == SEMANTIC else 0],
        )
        picture[1][:] = np.inf
        tangent = 0.5 * width * frame.inverse_focal
        count = visible(
            solids, frame.x, frame.y, frame.forward_x, frame.forward_y, tangent, VIEW, found
        )
        for k in found[:count]:
            item = solids.items[k]
            if corner_bounds(frame, item, True, bounds):
                columns = pixel_range(bounds[0], bounds[1], lens.focal, width)
                if item.kind == CROWN:
                    _draw_crown(
                        item, kind, frame, lens, light, tables[3], rays, columns, fixed[1], picture
                    )
                else:
                    _draw_box(
                        item, kind, frame, lens, light, tables[3], rays, columns, colors, picture
                    )
        for i in range(height):
            if rays[4][i] > 0.0:
                _draw_ground_row(i, kind, ground, frame, light, tables, fixed[1], fixed[5], rays, picture)
            else:
                _draw_sky_row(i, kind, light, tables, fixed[0], rays, picture)
