"""The general path: pictures of pitched and rolled cameras, pixel by pixel.

Every expression stands in the same order as in level_camera, so that at zero pitch and roll
the two draw the same picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import VEHICLE, WEATHER, Array, Floats, Ints, Records
from drive_il.sensors.actor_layer import draw_actors, figure_scratch, finish_actors
from drive_il.sensors.backdrop import (
    INVERSE_FLAT,
    LOOK_X,
    LOOK_Y,
    LOOK_Z,
    N_LOOKS,
    N_RAYS,
    T,
    draw_ground,
    draw_sky,
    ground_depth,
)
from drive_il.sensors.figures import ACTORS
from drive_il.sensors.ground import GROUND_MAP
from drive_il.sensors.inks import develop, put
from drive_il.sensors.lens import (
    DEPTH,
    FRAME,
    INSTANCE,
    LENS,
    RGB,
    SEMANTIC,
    columns,
    corner_bounds,
    offset,
    rows,
    set_frame,
)
from drive_il.sensors.light import (
    LIGHT,
    LIT,
    N_BOOK,
    N_HAZE,
    TEXTURES,
    same_weather,
    take_light,
)
from drive_il.sensors.models import MODELS
from drive_il.sensors.paint import paint_scratch
from drive_il.sensors.prisms import (
    CROWN,
    FIRST_SIGN,
    HOUSE,
    MAX_VISIBLE,
    N_FACES,
    NEAR,
    NO_LEAVES,
    SOLIDS,
    THIN,
    WINDOW_PIXEL,
    between_windows,
    crown_color,
    crown_light,
    face_colors,
    meet_ellipsoid,
    meet_height,
    meet_plan,
    seen,
    view_distance,
    visible,
    wall_color,
)


@kernels.inner
def _set_row(frame: Any, lens: Any, i: int, level: Floats, rays: Floats, look: Floats) -> None:
    """Sets the rays of one row of pixels; level as from `_set_columns`."""
    b = offset(i, lens.height, frame.inverse_focal)
    shift_x, shift_y, shift_z = b * frame.up_x, b * frame.up_y, b * frame.up_z
    height, first, last = frame.z, lens.left, lens.right
    for j in range(first, last):
        look_x, look_y = level[0, j] - shift_x, level[1, j] - shift_y
        rays[LOOK_X, j], rays[LOOK_Y, j] = look_x, look_y
        look[LOOK_X, j], look[LOOK_Y, j] = look_x, look_y
    if frame.right_z == 0.0:  # not rolled: all fall alike
        look_z = frame.forward_z - shift_z
        rays[LOOK_Z, first:last] = look_z
        rays[T, first:last] = ground_depth(height, look_z)
        if look_z < 0.0:
            return  # only the sky asks for the rest
    else:
        for j in range(first, last):
            rays[LOOK_Z, j] = level[2, j] - shift_z
            rays[T, j] = ground_depth(height, rays[LOOK_Z, j])
    for j in range(first, last):
        look_x, look_y = rays[LOOK_X, j], rays[LOOK_Y, j]
        look[INVERSE_FLAT, j] = 1.0 / np.sqrt(look_x * look_x + look_y * look_y)


@kernels.inner
def _set_columns(frame: Any, lens: Any, level: Floats) -> None:
    """Sets the rays of a row through the middle of the picture, (3, W)."""
    for j in range(lens.left, lens.right):
        a = offset(j, lens.width, frame.inverse_focal)
        level[0, j] = frame.forward_x + a * frame.right_x
        level[1, j] = frame.forward_y + a * frame.right_y
        level[2, j] = frame.forward_z + a * frame.right_z


@kernels.inner
def _meet_box(
    item: Any,
    frame: Any,
    ox: float,
    oy: float,
    look_x: Floats,
    look_y: Floats,
    look_z: Floats,
    shift_x: float,
    shift_y: float,
    shift_z: float,
    out: Floats,
) -> None:
    """Where a row of rays meets a box: its depth in row 0, what it meets in row 1.

    What: -1 nothing, 0 a side, 1 front or rear, 2 the top, 3 the underside.
    """
    cos, sin, height, low, high = item.cos, item.sin, frame.z, item.low, item.high
    half_length, half_width = item.half_length, item.half_width
    for j in range(len(look_x)):
        x, y = look_x[j] - shift_x, look_y[j] - shift_y
        dx, dy = cos * x + sin * y, -sin * x + cos * y
        enter, leave, front = meet_plan(ox, oy, dx, dy, half_length, half_width)
        drop = -(look_z[j] - shift_z)
        t, face = meet_height(enter, leave, height, low, high, 1.0 / drop)
        what = face + 1 if face > 0 else (1 if front else 0)
        missed = (enter > leave) | (enter < NEAR) | (face < 0)
        out[0, j] = np.inf if missed else t
        out[1, j] = what


@kernels.inner
def _draw_box(
    item: Any,
    kind: int,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    level: Floats,
    box: Ints,
    colors: Ints,
    out: Floats,
    inks: Ints,
    depth: Floats,
    tags: Ints,
) -> None:
    gap_x, gap_y = frame.x - item.x, frame.y - item.y
    ox = item.cos * gap_x + item.sin * gap_y
    oy = -item.sin * gap_x + item.cos * gap_y
    if kind == RGB:
        face_colors(item, light, ox, oy, colors)
    first, last = box[2], box[3]
    is_house = item.kind == HOUSE
    for i in range(box[0], box[1]):
        b = offset(i, lens.height, frame.inverse_focal)
        shift_x, shift_y, shift_z = b * frame.up_x, b * frame.up_y, b * frame.up_z
        _meet_box(
            item,
            frame,
            ox,
            oy,
            level[0, first:last],
            level[1, first:last],
            level[2, first:last],
            shift_x,
            shift_y,
            shift_z,
            out,
        )
        for j in range(first, last):
            t = out[0, j - first]
            if t >= depth[i, j]:
                continue
            depth[i, j] = t
            if kind == RGB:
                what = int(out[1, j - first])
                color = colors[what if what > 1 else 1 - what]
                if is_house and what < 2:
                    x, y = level[0, j] - shift_x, level[1, j] - shift_y
                    along = ox + t * (item.cos * x + item.sin * y)
                    if what == 1:
                        along = oy + t * (-item.sin * x + item.cos * y)
                    windows = t * frame.inverse_focal < WINDOW_PIXEL and not between_windows(along)
                    z = frame.z - t * -(level[2, j] - shift_z)
                    color = wall_color(color, colors[4], colors[5], windows, z, item.high)
                put(inks[i], j, seen(color, light, haze, t))
            elif kind != DEPTH:
                tags[i, j] = item.tag


@kernels.inner
def _draw_crown(
    item: Any,
    kind: int,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    noise: Ints,
    level: Floats,
    box: Ints,
    inks: Ints,
    depth: Floats,
    tags: Ints,
) -> None:
    gap_x, gap_y = frame.x - item.x, frame.y - item.y
    ox = item.cos * gap_x + item.sin * gap_y
    oy = -item.sin * gap_x + item.cos * gap_y
    flat = 2.0 / (item.high - item.low)
    sx, sy = 1.0 / item.half_length, 1.0 / item.half_width
    oz = (frame.z - 0.5 * (item.high + item.low)) * flat
    leaves = crown_light(item, light) if kind == RGB else NO_LEAVES
    for i in range(box[0], box[1]):
        b = offset(i, lens.height, frame.inverse_focal)
        shift_x, shift_y, shift_z = b * frame.up_x, b * frame.up_y, b * frame.up_z
        for j in range(box[2], box[3]):
            x, y = level[0, j] - shift_x, level[1, j] - shift_y
            dx, dy = item.cos * x + item.sin * y, -item.sin * x + item.cos * y
            dz = (level[2, j] - shift_z) * flat
            t = meet_ellipsoid(ox * sx, oy * sy, oz, dx * sx, dy * sy, dz)
            if t < NEAR or t >= depth[i, j]:
                continue
            depth[i, j] = t
            if kind == RGB:
                nx, ny, nz = (ox + t * dx) * sx, (oy + t * dy) * sy, oz + t * dz
                color = crown_color(leaves, noise, nx, ny, nz)
                put(inks[i], j, seen(color, light, haze, t))
            elif kind != DEPTH:
                tags[i, j] = item.tag


@kernels.inner
def _is_outside(item: Any, frame: Any, half_width: float, half_height: float) -> bool:
    """Whether the sphere around a prism is outside the pyramid of view."""
    dx, dy = item.x - frame.x, item.y - frame.y
    dz = 0.5 * (item.high + item.low) - frame.z
    half = 0.5 * (item.high - item.low)
    length, width = item.half_length, item.half_width
    radius = np.sqrt(length * length + width * width + half * half)
    ahead = frame.forward_x * dx + frame.forward_y * dy + frame.forward_z * dz
    if ahead < -radius:
        return True
    right = frame.right_x * dx + frame.right_y * dy + frame.right_z * dz
    if abs(right) > ahead * half_width + radius * np.sqrt(1.0 + half_width * half_width):
        return True
    up = frame.up_x * dx + frame.up_y * dy + frame.up_z * dz
    return abs(up) > ahead * half_height + radius * np.sqrt(1.0 + half_height * half_height)


@kernels.inner
def _draw_prisms(
    kind: int,
    solids: Any,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    noise: Ints,
    level: Floats,
    bounds: Floats,
    found: Ints,
    box: Ints,
    colors: Ints,
    out: Floats,
    inks: Ints,
    depth: Floats,
    tags: Ints,
) -> int:
    items = solids.items
    far, thin = view_distance(lens.focal), THIN * frame.inverse_focal
    half_width = 0.5 * lens.width * frame.inverse_focal
    half_height = 0.5 * lens.height * frame.inverse_focal
    count = visible(solids, frame.x, frame.y, 0.0, 0.0, 1.0, far, thin, found)
    for m in range(count):
        item = items[found[0, m]]
        if item.kind >= FIRST_SIGN:
            continue
        if _is_outside(item, frame, half_width, half_height):
            continue
        if not corner_bounds(frame, item, bounds):
            continue
        box[0], box[1] = rows(bounds[2], bounds[3], lens)
        box[2], box[3] = columns(bounds[0], bounds[1], lens)
        if box[0] >= box[1] or box[2] >= box[3]:
            continue
        if item.kind == CROWN:
            _draw_crown(item, kind, frame, lens, light, haze, noise, level, box, inks, depth, tags)
        else:
            _draw_box(
                item, kind, frame, lens, light, haze, level, box, colors, out, inks, depth, tags
            )
    return count


@kernels.inner
def _draw_backdrop(
    kind: int,
    ground: Any,
    frame: Any,
    lens: Any,
    light: Any,
    book: Ints,
    haze: Floats,
    fixed: Any,
    rays: Floats,
    look: Floats,
    shares: Ints,
    depth: Floats,
    work: Any,
    inks: Ints,
    tags: Ints,
) -> None:
    """Ground and sky of one row: the horizon cuts it into at most two runs.

    A camera that is not rolled has no horizon within a row, and the row meets the ground
    equally far away: as for a level one, which is faster.
    """
    sky = (light, book, fixed[0], rays, look)
    paint = (ground, frame, light, book, haze, fixed, rays, look, shares)
    targets = (depth, work, inks, tags)
    first = lens.left
    while first < lens.right:
        falls = rays[LOOK_Z, first] < 0.0
        last = first + 1
        while last < lens.right and (rays[LOOK_Z, last] < 0.0) == falls:
            last += 1
        if not falls:
            draw_sky(kind, False, *sky, first, last, *targets)
        elif frame.right_z == 0.0:
            draw_ground(kind, True, *paint, first, last, *targets)
        else:
            draw_ground(kind, False, *paint, first, last, *targets)
        first = last


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        GROUND_MAP,
        SOLIDS,
        TEXTURES,
        LIT,
        MODELS,
        kernels.record(LENS)[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(WEATHER)[::1],
        ACTORS,
        nt.uint8[:, ::1],
        nt.float32[:, :, ::1],
        nt.uint8[:, :, ::1],
    )
)
def render_free(
    first_item: int,
    last_item: int,
    ground: Any,
    solids: Any,
    fixed: Any,
    lit: Any,
    models: Any,
    lenses: Records,
    ego: Records,
    weather: Records,
    actors: Any,
    rgb: Array,
    depth: Array,
    tags: Array,
) -> None:
    """Draws a range of bands of the pictures of all egos, with a camera of any pose."""
    kind, width, height = lenses[0].kind, lenses[0].width, lenses[0].height
    # A record does not keep its array alive: it is taken anew for each row.
    frames, lights = np.zeros(1, FRAME), np.zeros(1, LIGHT)
    book, haze = np.empty((N_BOOK, 256), np.int64), np.empty((2, N_HAZE + 1))
    rays, level = np.empty((N_RAYS, width)), np.empty((3, width))
    shares, look = np.empty((2, width), np.int64), np.empty((N_LOOKS, width), np.float32)
    work = paint_scratch()
    bounds, box, colors = np.empty(4), np.empty(4, np.int64), np.empty(N_FACES, np.int64)
    found, out = np.empty((4, MAX_VISIBLE), np.int32), np.empty((2, width))
    scratch = np.empty((height, width), np.float32)
    has_inks = kind == RGB or kind == INSTANCE
    inks = np.empty((height if has_inks else 1, width), np.uint32)
    scratch_tags = np.empty((height if kind == INSTANCE else 1, width), np.uint8)
    figures = figure_scratch()
    for item in range(first_item, last_item):
        row, lens = item // len(lenses), lenses[item % len(lenses)]
        frame, light, before = frames[0], lights[0], weather[(item - 1) // len(lenses)]
        if kind == RGB and (item == first_item or not same_weather(weather[row], before)):
            take_light(lit, lights, book, haze, weather[row], fixed)
        set_frame(frame, lens, ego[row])
        _set_columns(frame, lens, level)
        seen_depth = depth[row] if kind == DEPTH else scratch
        seen_tags = tags[row] if kind == SEMANTIC else scratch_tags
        view, targets = (frame, lens, light, haze), (inks, seen_depth, seen_tags)
        for i in range(lens.top, lens.bottom):
            seen_depth[i, lens.left : lens.right] = np.inf
        if kind == INSTANCE:
            inks[:, lens.left : lens.right] = 0
        count = _draw_prisms(
            kind, solids, *view, fixed[1], level, bounds, found, box, colors, out, *targets
        )
        around = (actors, row, ego[row], *view, solids.items, found, count)
        n = draw_actors(kind, models, *around, figures, targets)
        paint = (frame, lens, light, book, haze, fixed, rays, look, shares)
        for i in range(lens.top, lens.bottom):
            _set_row(frame, lens, i, level, rays, look)
            row_ink = inks[i if kind == RGB else 0], seen_tags[i if kind >= SEMANTIC else 0]
            _draw_backdrop(kind, ground, *paint, seen_depth[i], work, *row_ink)
        finish_actors(kind, n, *view, figures, targets)
        if has_inks:
            develop(inks, lens, rgb[row])
