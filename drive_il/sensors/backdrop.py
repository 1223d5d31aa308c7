"""Ground and sky of one row of a picture, wherever nothing nearer has been drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.datatypes import Floats, Ints
from drive_il.sensors.ground import ground_class
from drive_il.sensors.lens import BLOCK, DEPTH, RGB
from drive_il.sensors.light import FAR, air, paint_sky
from drive_il.sensors.paint import looked_up, paint_ground
from drive_il.sensors.tags import Tag

LOOK_X, LOOK_Y, LOOK_Z, T = range(4)
N_RAYS = 4
"""rows of the rays of one row of pixels: direction per metre of depth (world frame), and the
depth at which it meets the ground"""
INVERSE_FLAT = 2
N_LOOKS = 3
"""rows of the same in single precision: LOOK_X, LOOK_Y and 1 / their length"""
_FURTHEST = 1e5
_VECTOR = 16  # pixels
_SKY = int(Tag.SKY)


@kernels.inner
def ground_depth(height: float, look_z: float) -> float:
    """Depth at which a ray that falls meets the ground [m]."""
    return min(height * (-1.0 / look_z), _FURTHEST)


@kernels.inner
def _classify_run(
    ground: Any,
    frame: Any,
    class_tags: Ints,
    rays: Floats,
    first: int,
    last: int,
    depth: Floats,
    tags: Ints,
) -> None:
    x0, y0 = frame.x - ground.origin[0], frame.y - ground.origin[1]
    columns, rows = ground.size[0], ground.size[1]
    tiles, cells, programs = ground.tiles, ground.cells, ground.programs
    for j in range(first, last):
        t = rays[T, j]
        if depth[j] > t:
            x, y = x0 + t * rays[LOOK_X, j], y0 + t * rays[LOOK_Y, j]
            tags[j] = class_tags[ground_class(columns, rows, tiles, cells, programs, x, y)]


@kernels.inner
def _paint_run(
    is_level: bool,
    ground: Any,
    frame: Any,
    haze_color: int,
    book: Ints,
    noise: Ints,
    n: int,
    level: int,
    rays: Floats,
    look: Floats,
    shares: Ints,
    first: int,
    last: int,
    depth: Floats,
    work: Any,
    inks: Ints,
) -> None:
    paint_ground(
        is_level,
        ground.origin,
        ground.size,
        ground.tiles,
        ground.cells,
        ground.programs,
        ground.texels,
        book,
        noise,
        haze_color,
        frame.x,
        frame.y,
        frame.right_x * frame.inverse_focal,
        frame.right_y * frame.inverse_focal,
        frame.inverse_focal / frame.z,
        n,
        level,
        rays[T, first:last],
        look[LOOK_X, first:last],
        look[LOOK_Y, first:last],
        shares[0, first:last],
        shares[1, first:last],
        depth[first:last],
        work,
        inks[first:last],
    )


@kernels.inner
def _widened(first: int, last: int, begin: int, end: int) -> tuple[int, int]:
    """Returns a run of pixels widened to whole vectors: what is left over costs as much as one."""
    if first >= last:
        return first, last
    whole = (last - first + _VECTOR - 1) // _VECTOR * _VECTOR
    first = max(min(first, end - whole), begin)
    return first, min(first + whole, end)


@kernels.inner
def draw_ground(
    kind: int,
    is_level: bool,
    ground: Any,
    frame: Any,
    light: Any,
    book: Ints,
    haze: Floats,
    fixed: Any,
    rays: Floats,
    look: Floats,
    shares: Ints,
    first: int,
    last: int,
    depth: Floats,
    work: Any,
    inks: Ints,
    tags: Ints,
) -> None:
    """Draws the ground in a run of pixels whose rays all fall.

    Args:
        kind: of picture.
        is_level: all of them meet the ground equally far away.
        ground: see GroundMap.
        frame: FRAME record.
        light: LIGHT record.
        book: see light.PALETTE.
        haze: see light.air.
        fixed: see light.TEXTURES.
        rays: (N_RAYS, W).
        look: (N_LOOKS, W) float32.
        shares: scratch, (2, W).
        first: first pixel.
        last: last pixel + 1.
        depth: of what is drawn already, (W,) [m].
        work: scratch, see `paint.paint_scratch`.
        inks: (W,), see `inks.develop`.
        tags: (W,).
    """
    if kind == DEPTH:
        for j in range(first, last):
            depth[j] = min(depth[j], np.float32(min(rays[T, j], FAR)))
        return
    if kind != RGB:
        _classify_run(ground, frame, fixed[5], rays, first, last, depth, tags)
        return
    # What is hidden at both ends costs nothing.
    begin, end = first, last
    while first < last and depth[first] <= rays[T, first]:
        first += 1
    while first < last and depth[last - 1] <= rays[T, last - 1]:
        last -= 1
    first, last = _widened(first, last, begin, end)
    slope = frame.inverse_focal / frame.z
    start = first
    while start < last:
        n, level = looked_up(rays[T, start], slope, frame.inverse_focal)
        end = start
        stop = min(last, start + BLOCK)
        while end < stop:
            if end > start and looked_up(rays[T, end], slope, frame.inverse_focal) != (n, level):
                break
            arrives, veil = air(haze, rays[T, end])
            shares[0, end] = int(arrives * 256.0 + 0.5)
            shares[1, end] = int(veil * 256.0 + 0.5)
            end = stop if is_level else end + 1
        _paint_run(
            is_level,
            ground,
            frame,
            light.haze_color,
            book,
            fixed[1],
            n,
            level,
            rays,
            look,
            shares,
            start,
            end,
            depth,
            work,
            inks,
        )
        start = end


@kernels.inner
def draw_sky(
    kind: int,
    is_level: bool,
    light: Any,
    book: Ints,
    clouds: Ints,
    rays: Floats,
    look: Floats,
    first: int,
    last: int,
    depth: Floats,
    work: Any,
    inks: Ints,
    tags: Ints,
) -> None:
    """Draws the sky in a run of pixels whose rays do not fall; arguments as `draw_ground`."""
    if kind == RGB:
        # What is hidden at both ends costs nothing.
        begin, end = first, last
        while first < last and depth[first] < FAR:
            first += 1
        while first < last and depth[last - 1] < FAR:
            last -= 1
        first, last = _widened(first, last, begin, end)
        places, colors, words = work
        for start in range(first, last, BLOCK):
            end = min(start + BLOCK, last)
            paint_sky(
                is_level,
                light,
                book,
                clouds,
                look[LOOK_X, start:end],
                look[LOOK_Y, start:end],
                rays[LOOK_Z, start:end],
                look[INVERSE_FLAT, start:end],
                depth[start:end],
                places,
                colors,
                words,
                inks[start:end],
            )
        return
    for j in range(first, last):
        if kind != DEPTH and depth[j] > FAR:
            tags[j] = _SKY
        depth[j] = min(depth[j], np.float32(FAR))
