"""The colours of a row of pixels that show the ground.

A row is worked on in stages, each a short loop: the arithmetic of many pixels at once runs
in vector instructions, the look-ups run in between. The same code serves level cameras,
where the whole row is equally far away, and all others, where a row is cut into runs of
pixels that are looked up alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.datatypes import Floats, Ints
from drive_il.sensors.ground import (
    CELL,
    CELL_SHIFT,
    LAST,
    NORMAL,
    OFFSET,
    TILE_SHIFT,
    TILE_TEXELS,
    UNITS,
    WIDE,
)
from drive_il.sensors.light import MASK, NOISE_SIZE, PALETTE, TEXELS, mix, put

_COLUMN, _ROW, _TILE, _PLACE, _MIXED, _PROGRAM = range(6)
N_PLACES = 6
"""rows of the scratch array of places, (N_PLACES, W) uint32"""
_SUM, _LAST = range(2)
N_COLORS = 2
"""rows of the scratch array of packed colours, (N_COLORS, W) int64"""
_ONES = (1 << 40) | (1 << 20) | 1
# Positions of the grain count from far outside the map, so that it is even across its border.
_FAR_OUT = 1024.0


@kernels.inner
def looked_up(t: float, slope: float, inverse_focal: float) -> tuple[int, int]:
    """How the ground within one pixel is to be looked up.

    Args:
        t: depth of the ground there [m].
        slope: 1 / (focal length * height of the camera) [1/pixel/m].
        inverse_focal: 1 / focal length [1/pixel].

    Returns:
        Number of samples along the line of sight: 1, 2, 4 or 8; level: of the coarser map,
        or -1, -2, -3 for the exact one (pixels below 12.5, 6.25 and 3.1 cm).
    """
    across = t * inverse_focal
    along = t * t * slope
    if across < 0.125:
        n = 1 if along < 0.4 else (2 if along < 0.8 else 4)
        return n, -1 if across >= 0.0625 else (-2 if across >= 0.03125 else -3)
    level, size = 0, 0.125
    while level < 4 and across > 1.44 * size:
        level += 1
        size *= 2.0
    ratio = along / size
    if along > 12.0:  # as long as a dash and its gap
        return 8, level
    return 1 if ratio < 2.0 else (2 if ratio < 6.0 else 4), level


@kernels.inner
def _cover(
    programs: Ints,
    first: Any,
    n: int,
    x: float,
    y: float,
    across_x: float,
    across_y: float,
    along_x: float,
    along_y: float,
) -> float:
    """How much of a pixel one half-plane of n covers: more, the further it is from the edge."""
    nx, ny = float(programs[first]), float(programs[first + np.uint64(n)])
    gap = nx * x + ny * y + programs[first + np.uint64(2 * n)] * (NORMAL / OFFSET)
    width = abs(nx * across_x + ny * across_y) + abs(nx * along_x + ny * along_y)
    return min(max(gap / width + 0.5, 0.0), 1.0)


@kernels.inner
def _cell_color(
    programs: Ints,
    code: int,
    book: Ints,
    x: float,
    y: float,
    across_x: float,
    across_y: float,
    along_x: float,
    along_y: float,
) -> int:
    """Mixes the classes of a mixed cell by how much of the pixel each covers.

    Quads of one class add up, so that the joints between them do not show.

    Args:
        programs: see GroundMap.
        code: of the cell, likewise.
        book: see light.PALETTE.
        x: of the pixel's middle, from the middle of the cell [m].
        y: likewise [m].
        across_x: to the next pixel on the right, on the ground [m].
        across_y: likewise [m].
        along_x: to the next sample further away [m].
        along_y: likewise [m].
    """
    pixel = (x, y, across_x, across_y, along_x, along_y)
    color, at = book[PALETTE, np.uint64(code & 15)], np.uint64(code >> 4)
    group, covered, is_last = int(programs[at]) & 15, 0.0, False
    while not is_last:
        head, first = int(programs[at]), at + np.uint64(1)
        # No end as soon as nothing is covered: wrong guesses would cost more.
        if head & WIDE:
            part = _cover(programs, first, 4, *pixel)
            for k in range(1, 4):
                part *= _cover(programs, first + np.uint64(k), 4, *pixel)
            at += np.uint64(13)
        else:
            part = _cover(programs, first, 2, *pixel)
            part *= _cover(programs, first + np.uint64(1), 2, *pixel)
            at += np.uint64(7)
        shown, is_last = head & 15, head & LAST > 0
        if shown != group:
            color = mix(color, book[PALETTE, group], int(256.0 * min(covered, 1.0) + 0.5))
            group, covered = shown, 0.0
        covered += part
    return mix(color, book[PALETTE, group], int(256.0 * min(covered, 1.0) + 0.5))


@kernels.inner
def _sampled(t: float, slope: float, sample: float) -> float:
    """Depth of a sample that lies before or behind the middle of a pixel at depth t [m]."""
    return t + t * t * slope * sample


@kernels.inner
def _place(
    is_level: bool,
    origin_shift: int,
    shift: int,
    columns: int,
    right: float,
    top: float,
    x0: float,
    y0: float,
    slope: float,
    sample: float,
    t: Floats,
    look_x: Floats,
    look_y: Floats,
    places: Ints,
) -> None:
    """Where one sample of each pixel lies on the map: its tile, and its cell or texel there.

    Args:
        is_level: all pixels are equally far away.
        origin_shift: where the texels of this size start in a tile.
        shift: a cell or texel is 2 ** shift fine units.
        columns: tiles along x.
        right: of the map, in fine units.
        top: likewise.
        x0: of the camera, from the map's origin [m].
        y0: likewise [m].
        slope: see `paint_ground`.
        sample: where the sample lies in the pixel, in [-0.5, 0.5].
        t: see `paint_ground`.
        look_x: likewise.
        look_y: likewise.
        places: overwritten.
    """
    bits = np.int32(TILE_SHIFT - shift)
    mask, begin, cell = np.int32((1 << bits) - 1), np.int32(origin_shift), np.int32(shift)
    wide = np.int32(columns)
    west, south, zero = np.float32(x0 * UNITS), np.float32(y0 * UNITS), np.float32(0.0)
    last_x, last_y = np.float32(right), np.float32(top)
    near = np.float32(_sampled(t[0], slope, sample) * UNITS)
    for j in range(len(look_x)):
        u = near if is_level else np.float32(_sampled(t[j], slope, sample) * UNITS)
        qx = np.int32(min(max(west + u * look_x[j], zero), last_x))
        qy = np.int32(min(max(south + u * look_y[j], zero), last_y))
        column, row = np.int32(qx >> cell), np.int32(qy >> cell)
        places[_COLUMN, j], places[_ROW, j] = column, row
        places[_TILE, j] = np.int32(np.int32(row >> bits) * wide) + np.int32(column >> bits)
        inside = np.int32(np.int32(row & mask) << bits) + np.int32(column & mask)
        places[_PLACE, j] = np.int32(begin + inside)


@kernels.inner
def _add_exact(
    is_level: bool,
    tiles: Ints,
    cells: Ints,
    programs: Ints,
    book: Ints,
    x0: float,
    y0: float,
    slope: float,
    sample: float,
    share: float,
    across_x: float,
    across_y: float,
    t: Floats,
    look_x: Floats,
    look_y: Floats,
    depth: Floats,
    places: Ints,
    colors: Ints,
) -> None:
    """Adds one sample of each pixel from the exact map: plain cells first, then the others."""
    n_mixed = 0
    for j in range(len(look_x)):
        tile = np.uint64(tiles[places[_TILE, j]])
        code = int(cells[(tile << np.uint64(12)) + places[_PLACE, j]])
        color = book[PALETTE, np.uint64(max(-1 - code, 0))]
        colors[_SUM, j] += color & MASK
        colors[_LAST, j] = color
        places[_MIXED, n_mixed], places[_PROGRAM, n_mixed] = j, code
        n_mixed += code >= 0
    for m in range(n_mixed):
        j = places[_MIXED, m]
        near = t[0] if is_level else t[j]
        if depth[j] < near:
            continue
        cx, cy = int(places[_COLUMN, j]), int(places[_ROW, j])
        along, u = near * near * slope, _sampled(near, slope, sample)
        color = _cell_color(
            programs,
            int(places[_PROGRAM, m]),
            book,
            x0 + u * look_x[j] - (cx + 0.5) * CELL,
            y0 + u * look_y[j] - (cy + 0.5) * CELL,
            near * across_x,
            near * across_y,
            along * share * look_x[j],
            along * share * look_y[j],
        )
        colors[_SUM, j] += (color & MASK) - (colors[_LAST, j] & MASK)
        colors[_LAST, j] = color


@kernels.inner
def _add_coarse(n: int, tiles: Ints, texels: Ints, book: Ints, places: Ints, colors: Ints) -> None:
    """Adds one sample of each of n pixels from a coarser map."""
    for j in range(n):
        tile = np.uint64(tiles[places[_TILE, j]])
        color = book[TEXELS, texels[tile * np.uint64(TILE_TEXELS) + places[_PLACE, j]]]
        colors[_SUM, j] += color & MASK
        colors[_LAST, j] = color


@kernels.inner
def _shade(
    is_level: bool,
    x0: float,
    y0: float,
    level: int,
    bits: int,
    noise: Ints,
    haze_color: int,
    t: Floats,
    look_x: Floats,
    look_y: Floats,
    arrives: Ints,
    veil: Ints,
    places: Ints,
    colors: Ints,
) -> None:
    """Finishes the colours: mean of 2 ** bits samples, grain, air; all channels at once."""
    fine = 3 + level
    if level < 0:
        fine = 2 + (level + 1)
    grain_shift, mask, size = np.int32(fine), np.int32(NOISE_SIZE - 1), np.int32(NOISE_SIZE)
    west, south = np.float32((x0 + _FAR_OUT) * UNITS), np.float32((y0 + _FAR_OUT) * UNITS)
    near = np.float32(t[0] * UNITS)
    for j in range(len(look_x)):
        u = near if is_level else np.float32(t[j] * UNITS)
        gx, gy = np.int32(west + u * look_x[j]), np.int32(south + u * look_y[j])
        row, column = np.int32(gy >> grain_shift), np.int32(gx >> grain_shift)
        places[_PLACE, j] = np.int32(np.int32(row & mask) * size) + np.int32(column & mask)
    fade = bits // 3
    for j in range(len(look_x)):
        grain = (int(noise[places[_PLACE, j]]) >> fade) * (colors[_LAST, j] >> 60)
        colors[_LAST, j] = 256 + ((grain * 10) >> 8)
    light, air = arrives[0], haze_color * veil[0]
    for j in range(len(look_x)):
        color = (((colors[_SUM, j] >> bits) & MASK) * colors[_LAST, j]) >> 8
        over = (color >> 8) & _ONES  # what the grain makes brighter than white is white
        color = (color | ((over << 8) - over)) & MASK
        if not is_level:
            light, air = arrives[j], haze_color * veil[j]
        colors[_SUM, j] = (color * light + air) >> 8


@kernels.inner
def paint_ground(
    is_level: bool,
    origin: Floats,
    size: Ints,
    tiles: Ints,
    cells: Ints,
    programs: Ints,
    texels: Ints,
    book: Ints,
    noise: Ints,
    haze_color: int,
    camera_x: float,
    camera_y: float,
    right_x: float,
    right_y: float,
    slope: float,
    n: int,
    level: int,
    t: Floats,
    look_x: Floats,
    look_y: Floats,
    arrives: Ints,
    veil: Ints,
    depth: Floats,
    work: Any,
    rgb: Ints,
) -> None:
    """Paints a run of pixels that show the ground and are looked up alike.

    Args:
        is_level: all of them are equally far away, as the first one.
        origin: see GroundMap, as the next five.
        size: likewise.
        tiles: likewise.
        cells: likewise.
        programs: likewise.
        texels: likewise.
        book: colours, see light.PALETTE.
        noise: grain texture, flat.
        haze_color: packed.
        camera_x: where the camera is, world frame [m].
        camera_y: likewise [m].
        right_x: what one pixel to the right is on the ground, per metre of depth.
        right_y: likewise.
        slope: 1 / (focal length * height of the camera).
        n: number of samples, see `looked_up`.
        level: see `looked_up`.
        t: depth of each pixel, (P,) [m].
        look_x: horizontal part of its ray per metre of depth, (P,) float32.
        look_y: likewise, (P,).
        arrives: share of its light that arrives, in 1/256, (P,).
        veil: share of haze, in 1/256, (P,).
        depth: of what is drawn already; nearer pixels are kept, (P,) [m].
        work: scratch: places and colours.
        rgb: painted, (P, 3).
    """
    places, colors = work
    n_pixels = len(look_x)
    x0, y0 = camera_x - origin[0], camera_y - origin[1]
    columns = size[0]
    right, top = float((columns << TILE_SHIFT) - 1), float((size[1] << TILE_SHIFT) - 1)
    # Texels of the finer levels lie before those of this one.
    begin = (65536 - (65536 >> (2 * max(level, 0)))) // 3
    unit = 2 + level if level >= 0 else CELL_SHIFT
    colors[_SUM, :n_pixels] = 0
    for k in range(n):
        sample = (k + 0.5) / n - 0.5
        _place(
            is_level,
            begin,
            unit,
            columns,
            right,
            top,
            x0,
            y0,
            slope,
            sample,
            t,
            look_x,
            look_y,
            places,
        )
        if level < 0:
            _add_exact(
                is_level,
                tiles,
                cells,
                programs,
                book,
                x0,
                y0,
                slope,
                sample,
                1.0 / n,
                right_x,
                right_y,
                t,
                look_x,
                look_y,
                depth,
                places,
                colors,
            )
        else:
            _add_coarse(n_pixels, tiles, texels, book, places, colors)
    bits = (n >> 1) - (n >> 3)  # 1, 2, 4, 8 samples: 0, 1, 2, 3 bits
    _shade(
        is_level,
        x0,
        y0,
        level,
        bits,
        noise,
        haze_color,
        t,
        look_x,
        look_y,
        arrives,
        veil,
        places,
        colors,
    )
    near = t[0]
    for j in range(n_pixels):
        if depth[j] > (near if is_level else t[j]):
            put(rgb, j, colors[_SUM, j])
