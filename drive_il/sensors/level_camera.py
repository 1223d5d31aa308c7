"""The fast path: pictures of level cameras, row by row and column by column."""

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
from drive_il.sensors.inks import develop, ink, put
from drive_il.sensors.lens import (
    DEPTH,
    FRAME,
    INSTANCE,
    LENS,
    RGB,
    SEMANTIC,
    columns,
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
    air,
    same_weather,
    take_light,
    through_air,
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

_ONE = np.uint64(1)


@kernels.inner
def _rows_of(item: Any, height: float, enter: float, leave: float, lens: Any) -> tuple[Any, Any]:
    """First and last + 1 of the rows that a column of a box can cover.

    Rows and columns have no sign here: numba looks at that of every index otherwise.
    """
    top, foot = height - item.high, height - item.low
    near, far = 1.0 / enter, 1.0 / leave
    low = top * (near if top < 0.0 else far)
    high = foot * (near if foot > 0.0 else far)
    first, last = rows(low, high, lens)
    return np.uint64(first), np.uint64(last)


@kernels.inner
def _wall_rows(
    enter: float,
    leave: float,
    height: float,
    low: float,
    high: float,
    inverse_drop: Floats,
    first: Any,
    last: Any,
) -> tuple[Any, Any]:
    """First and last + 1 of the rows, of a range, that see a wall; they are in one piece."""
    while first < last:
        if meet_height(enter, leave, height, low, high, inverse_drop[first])[1] == 0:
            break
        first += _ONE
    while first < last:
        if meet_height(enter, leave, height, low, high, inverse_drop[last - _ONE])[1] == 0:
            break
        last -= _ONE
    return first, last


@kernels.inner
def _outline(item: Any, frame: Any, lens: Any) -> tuple[float, float, float, float]:
    """Bounds where a prism can be in the picture, by the corners of its plan.

    Returns:
        Least and greatest offset to the right; least depth [m]; its highest row, as a number
        that no row it covers falls short of. All are infinite where nothing is known; the
        least offset is the greater one where the prism is behind the camera.
    """
    dx, dy = item.x - frame.x, item.y - frame.y
    ahead = frame.forward_x * dx + frame.forward_y * dy
    right = frame.right_x * dx + frame.right_y * dy
    # A level camera's right is its forward turned by a quarter, as a box's width is its length.
    along = item.cos * frame.forward_x + item.sin * frame.forward_y
    across = item.cos * frame.right_x + item.sin * frame.right_y
    front, front_right = item.half_length * along, item.half_length * across
    side, side_right = item.half_width * across, -item.half_width * along
    reach = abs(front) + abs(side)
    near, far = ahead - reach, ahead + reach
    if near < 0.1:
        return (np.inf, -np.inf, near, np.inf) if far < 0.1 else (-np.inf, np.inf, -np.inf, -np.inf)
    a = (right + front_right + side_right) / (ahead + front + side)
    b = (right + front_right - side_right) / (ahead + front - side)
    c = (right - front_right + side_right) / (ahead - front + side)
    d = (right - front_right - side_right) / (ahead - front - side)
    first, last = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
    if item.low < 0.0:
        return first, last, -np.inf, -np.inf
    rise = item.high - frame.z
    rise /= near if rise > 0.0 else far
    # Rounding must not hide what touches what is before it.
    return first, last, near - 1e-3, 0.5 * lens.height - 0.5 - rise * lens.focal - 1e-3


@kernels.inner
def _is_behind(near: float, top: float, first: int, last: int, skyline: Floats) -> bool:
    """Whether all columns of a range hide what is no nearer and no higher than this."""
    for j in range(np.uint64(first), np.uint64(last)):
        if near <= skyline[0, j] or top < skyline[1, j]:
            return False
    return True


@kernels.inner
def _draw_box(
    item: Any,
    kind: int,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    rays: Floats,
    drop: Floats,
    inverse_drop: Floats,
    bounds: tuple[int, int],
    near: float,
    rise: float,
    skyline: Floats,
    colors: Ints,
    inks: Ints,
    depth: Floats,
    tags: Ints,
) -> None:
    gap_x, gap_y = frame.x - item.x, frame.y - item.y
    ox = item.cos * gap_x + item.sin * gap_y
    oy = -item.sin * gap_x + item.cos * gap_y
    height, low, high, is_house = frame.z, item.low, item.high, item.kind == HOUSE
    if kind == RGB:
        face_colors(item, light, ox, oy, colors)
    for j in range(np.uint64(bounds[0]), np.uint64(bounds[1])):
        if near > skyline[0, j] and rise >= skyline[1, j]:
            continue
        dx = item.cos * rays[LOOK_X, j] + item.sin * rays[LOOK_Y, j]
        dy = -item.sin * rays[LOOK_X, j] + item.cos * rays[LOOK_Y, j]
        enter, leave, front = meet_plan(ox, oy, dx, dy, item.half_length, item.half_width)
        if enter > leave or enter < NEAR:
            continue
        first, last = _rows_of(item, height, enter, leave, lens)
        top, foot = _wall_rows(enter, leave, height, low, high, inverse_drop, first, last)
        if top < foot and low <= 0.0 and top < skyline[1, j]:
            skyline[0, j], skyline[1, j] = enter, top
        # Most of what is far stands behind what is near, which has been drawn before.
        while top < foot and enter >= depth[top, j]:
            top += _ONE
        while top < foot and enter >= depth[foot - _ONE, j]:
            foot -= _ONE
        if top < foot:
            wall = window = eave = 0
            windows, ridge = False, np.inf
            if kind == RGB:
                seen_through = (light.haze_color, *air(haze, enter))
                wall = ink(through_air(colors[0] if front else colors[1], *seen_through))
                if is_house:
                    if enter * frame.inverse_focal < WINDOW_PIXEL:
                        along = oy + enter * dy if front else ox + enter * dx
                        windows = not between_windows(along)
                    window = ink(through_air(colors[4], *seen_through))
                    eave, ridge = ink(through_air(colors[5], *seen_through)), high
            for i in range(top, foot):
                if enter >= depth[i, j]:
                    continue
                depth[i, j] = enter
                if kind == RGB:
                    z = height - enter * drop[i]
                    inks[i, j] = wall_color(wall, window, eave, windows, z, ridge)
                elif kind != DEPTH:
                    tags[i, j] = item.tag
        if low <= height <= high:
            continue
        for i in range(first, last):
            t, face = meet_height(enter, leave, height, low, high, inverse_drop[i])
            if face <= 0 or t >= depth[i, j]:
                continue
            depth[i, j] = t
            if kind == RGB:
                put(inks[i], j, seen(colors[1 + face], light, haze, t))
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
    rays: Floats,
    drop: Floats,
    bounds: tuple[int, int],
    near: float,
    rise: float,
    skyline: Floats,
    noise: Ints,
    inks: Ints,
    depth: Floats,
    tags: Ints,
) -> None:
    gap_x, gap_y = frame.x - item.x, frame.y - item.y
    ox = item.cos * gap_x + item.sin * gap_y
    oy = -item.sin * gap_x + item.cos * gap_y
    flat = 2.0 / (item.high - item.low)
    half_length, half_width = item.half_length, item.half_width
    sx, sy = 1.0 / half_length, 1.0 / half_width
    ux, uy = ox * sx, oy * sy
    uz = (frame.z - 0.5 * (item.high + item.low)) * flat
    cos, sin = item.cos, item.sin
    leaves = crown_light(item, light) if kind == RGB else NO_LEAVES
    for j in range(np.uint64(bounds[0]), np.uint64(bounds[1])):
        if near > skyline[0, j] and rise >= skyline[1, j]:
            continue
        dx = cos * rays[LOOK_X, j] + sin * rays[LOOK_Y, j]
        dy = -sin * rays[LOOK_X, j] + cos * rays[LOOK_Y, j]
        enter, leave, _ = meet_plan(ox, oy, dx, dy, half_length, half_width)
        if enter > leave or enter < NEAR:
            continue
        first, last = _rows_of(item, frame.z, enter, leave, lens)
        for i in range(first, last):
            if enter >= depth[i, j]:
                continue
            dz = -drop[i] * flat
            t = meet_ellipsoid(ux, uy, uz, dx * sx, dy * sy, dz)
            if t < NEAR or t >= depth[i, j]:
                continue
            depth[i, j] = t
            if kind == RGB:
                nx, ny, nz = (ox + t * dx) * sx, (oy + t * dy) * sy, uz + t * dz
                color = crown_color(leaves, noise, nx, ny, nz)
                put(inks[i], j, seen(color, light, haze, t))
            elif kind != DEPTH:
                tags[i, j] = item.tag


@kernels.inner
def _set_rays(
    frame: Any, lens: Any, rays: Floats, look: Floats, drop: Floats, inverse_drop: Floats
) -> None:
    for j in range(lens.left, lens.right):
        a = offset(j, lens.width, frame.inverse_focal)
        look_x = frame.forward_x + a * frame.right_x
        look_y = frame.forward_y + a * frame.right_y
        rays[LOOK_X, j], rays[LOOK_Y, j] = look_x, look_y
        look[LOOK_X, j], look[LOOK_Y, j] = look_x, look_y
        look[INVERSE_FLAT, j] = 1.0 / np.sqrt(look_x * look_x + look_y * look_y)
    for i in range(lens.height):
        drop[i] = offset(i, lens.height, frame.inverse_focal)
        inverse_drop[i] = 1.0 / drop[i]


@kernels.inner
def _draw_prisms(
    kind: int,
    solids: Any,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    noise: Ints,
    rays: Floats,
    drop: Floats,
    inverse_drop: Floats,
    found: Ints,
    skyline: Floats,
    colors: Ints,
    inks: Ints,
    depth: Floats,
    tags: Ints,
) -> int:
    skyline[:] = np.inf  # depth and highest row of what hides all below and behind it
    items = solids.items
    tangent = 0.5 * lens.width * frame.inverse_focal
    count = visible(
        solids,
        frame.x,
        frame.y,
        frame.forward_x,
        frame.forward_y,
        tangent,
        view_distance(lens.focal),
        THIN * frame.inverse_focal,
        found,
    )
    for k in range(count):
        item = items[found[0, k]]
        if item.kind >= FIRST_SIGN:
            continue
        left, right, near, rise = _outline(item, frame, lens)
        seen_in = columns(left, right, lens)
        if _is_behind(near, rise, *seen_in, skyline):
            continue
        if item.kind == CROWN:
            _draw_crown(
                item,
                kind,
                frame,
                lens,
                light,
                haze,
                rays,
                drop,
                seen_in,
                near,
                rise,
                skyline,
                noise,
                inks,
                depth,
                tags,
            )
        else:
            _draw_box(
                item,
                kind,
                frame,
                lens,
                light,
                haze,
                rays,
                drop,
                inverse_drop,
                seen_in,
                near,
                rise,
                skyline,
                colors,
                inks,
                depth,
                tags,
            )
    return count


@kernels.device
def _draw_picture(
    kind: int,
    row: int,
    ground: Any,
    solids: Any,
    fixed: Any,
    models: Any,
    lens: Any,
    frame: Any,
    light: Any,
    book: Ints,
    haze: Floats,
    ego: Any,
    actors: Any,
    lines: tuple[Floats, Floats, Floats],
    shares: Ints,
    look: Floats,
    work: Any,
    prisms: tuple[Ints, Floats],
    colors: Ints,
    figures: Any,
    targets: tuple[Ints, Floats, Ints],
    picture: Ints,
) -> None:
    """Draws one band of one picture: what stands on the ground, then ground and sky around it."""
    rays, drop, inverse_drop = lines
    (found, skyline), (inks, depth, tags) = prisms, targets
    view = (frame, lens, light, haze)
    set_frame(frame, lens, ego)
    _set_rays(frame, lens, rays, look, drop, inverse_drop)
    for i in range(lens.top, lens.bottom):
        depth[i, lens.left : lens.right] = np.inf
    if kind == INSTANCE:
        inks[:, lens.left : lens.right] = 0
    count = _draw_prisms(kind, solids, *view, fixed[1], *lines, found, skyline, colors, *targets)
    around = (actors, row, ego, *view, solids.items, found, count)
    n = draw_actors(kind, models, *around, figures, targets)
    paint = (frame, light, book, haze, fixed, rays, look, shares)
    sky, band = (light, book, fixed[0], rays, look), (lens.left, lens.right)
    for i in range(lens.top, lens.bottom):
        row_ink = inks[i if kind == RGB else 0], tags[i if kind >= SEMANTIC else 0]
        if drop[i] > 0.0:
            rays[T, lens.left : lens.right] = ground_depth(frame.z, -drop[i])
            draw_ground(kind, True, ground, *paint, *band, depth[i], work, *row_ink)
        else:
            rays[LOOK_Z, lens.left : lens.right] = -drop[i]
            draw_sky(kind, True, *sky, *band, depth[i], work, *row_ink)
    finish_actors(kind, n, *view, figures, targets)
    if kind == RGB or kind == INSTANCE:
        develop(inks, lens, picture)


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
    ),
    is_packed=True,
)
def render_level(
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
    """Draws a range of bands of the pictures of all egos, with a level camera."""
    kind, width, height = lenses[0].kind, lenses[0].width, lenses[0].height
    # A record does not keep its array alive: it is taken anew for each row.
    frames, lights = np.zeros(1, FRAME), np.zeros(1, LIGHT)
    book, haze = np.empty((N_BOOK, 256), np.int64), np.empty((2, N_HAZE + 1))
    rays, drop, inverse_drop = np.empty((N_RAYS, width)), np.empty(height), np.empty(height)
    shares, look = np.empty((2, width), np.int64), np.empty((N_LOOKS, width), np.float32)
    work = paint_scratch()
    colors = np.empty(N_FACES, np.int64)
    skyline = np.empty((2, width))
    found = np.empty((4, MAX_VISIBLE), np.int32)
    scratch = np.empty((height, width), np.float32)
    inks = np.empty((height if kind == RGB or kind == INSTANCE else 1, width), np.uint32)
    scratch_tags = np.empty((height if kind == INSTANCE else 1, width), np.uint8)
    figures = figure_scratch()
    lines, prisms = (rays, drop, inverse_drop), (found, skyline)
    for item in range(first_item, last_item):
        row, lens = item // len(lenses), lenses[item % len(lenses)]
        frame, light, before = frames[0], lights[0], weather[(item - 1) // len(lenses)]
        if kind == RGB and (item == first_item or not same_weather(weather[row], before)):
            take_light(lit, lights, book, haze, weather[row], fixed)
        targets = (
            inks,
            depth[row] if kind == DEPTH else scratch,
            tags[row] if kind == SEMANTIC else scratch_tags,
        )
        # Numba counts references to arrays here, at every row of pixels if it were drawn here.
        _draw_picture(
            kind,
            row,
            ground,
            solids,
            fixed,
            models,
            lens,
            frame,
            light,
            book,
            haze,
            ego[row],
            actors,
            lines,
            shares,
            look,
            work,
            prisms,
            colors,
            figures,
            targets,
            rgb[row],
        )
