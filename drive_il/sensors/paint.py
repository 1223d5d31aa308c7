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
from drive_il.sensors.inks import over_ink
from drive_il.sensors.lens import BLOCK, at
from drive_il.sensors.light import GRAIN_SHIFT, NOISE_SIZE, PALETTE, TEXELS, halves, mix

_COLUMN, _ROW = 0, BLOCK
_MIXED, _PROGRAM = 2 * BLOCK, 3 * BLOCK
_GRAIN = _MIXED
_PLACE, _TILE = 4 * BLOCK, 12 * BLOCK  # eight rows each, one for every sample
_HEAD = _PLACE
_N_PLACES = 20 * BLOCK
_N_COLORS = 2 * BLOCK
# Positions of the grain count from far outside the map, so that it is even across its border.
_FAR_OUT = 1024.0


@kernels.maker
def paint_scratch() -> tuple[Ints, Ints, Ints]:
    """Returns the scratch of `paint_ground` and `light.paint_sky`, unset.

    Returns:
        Places; colours; the words of 32 bits that the colours consist of (the same memory).
    """
    colors = np.empty(_N_COLORS, np.int64)
    return np.empty(_N_PLACES, np.uint32), colors, colors.view(np.uint32)


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
def _sampled(t: float, slope: float, sample: float) -> float:
    """Depth of a sample that lies before or behind the middle of a pixel at depth t [m]."""
    return t + t * t * slope * sample


@kernels.inner
def _place(
    is_level: bool,
    is_exact: bool,
    sample_row: int,
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
        is_exact: also note column and row of the cell.
        sample_row: BLOCK times the number of the sample.
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
    # On 32 bits without a sign, shifted to the right by what is seen to be less than 32, to the
    # left by constants: only so does the compiler work on eight pixels at once.
    cell, tile, twice = np.uint32(shift & 31), np.uint32(TILE_SHIFT), np.uint32(2 * shift & 31)
    in_tile = np.uint32((1 << TILE_SHIFT) - 1)
    in_row = np.uint32((1 << TILE_SHIFT) - (1 << shift))
    wide, begin = np.uint32(columns), np.uint32(origin_shift)
    west, south, zero = np.float32(x0 * UNITS), np.float32(y0 * UNITS), np.float32(0.0)
    last_x, last_y = np.float32(right), np.float32(top)
    near = np.float32(_sampled(t[0], slope, sample) * UNITS)
    for j in range(len(look_x)):
        u = near if is_level else np.float32(_sampled(t[j], slope, sample) * UNITS)
        qx = np.uint32(np.int32(min(max(west + u * look_x[j], zero), last_x)))
        qy = np.uint32(np.int32(min(max(south + u * look_y[j], zero), last_y)))
        if is_exact:
            places[at(_COLUMN, j)] = np.uint32(qx >> cell)
            places[at(_ROW, j)] = np.uint32(qy >> cell)
        below = np.uint32(np.uint32(qy >> tile) * wide)
        places[at(_TILE + sample_row, j)] = np.uint32(below + np.uint32(qx >> tile))
        above = np.uint32(np.uint32(np.uint32(qy & in_row) << tile) >> twice)
        along = np.uint32(np.uint32(qx & in_tile) >> cell)
        places[at(_PLACE + sample_row, j)] = np.uint32(begin + np.uint32(above + along))


@kernels.inner
def _add_plain(
    is_level: bool,
    tiles: Ints,
    cells: Ints,
    book: Ints,
    t: Floats,
    depth: Floats,
    programs: Ints,
    places: Ints,
    colors: Ints,
) -> int:
    """Adds one sample of each pixel from the exact map and lists those in mixed cells.

    Returns:
        How many are listed. What hides behind something nearer is left out.
    """
    n_mixed, nearest = 0, np.float32(t[0])
    # A loop that only looks up waits for many cells at once.
    for j in range(len(t)):
        tile = np.uint64(tiles[places[at(_TILE, j)]])
        places[at(_PROGRAM, j)] = cells[(tile << np.uint64(12)) + places[at(_PLACE, j)]]
    for j in range(len(t)):
        code = int(np.int32(places[at(_PROGRAM, j)]))
        color = book[PALETTE, np.uint64(max(-1 - code, 0))]
        colors[at(0, j)] += color
        places[at(_MIXED, n_mixed)], places[at(_PROGRAM, n_mixed)] = j, code
        if not is_level:
            nearest = np.float32(t[j])
        n_mixed += int((code >= 0) & (depth[j] > nearest))  # as `_shade` has it
    for m in range(n_mixed):  # many programs are waited for at once here, too
        head = programs[np.uint64(places[at(_PROGRAM, m)] >> np.uint32(4))]
        places[at(_HEAD, m)] = np.uint32(np.int32(head))
    return n_mixed


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
    head: int,
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
        head: the first number of its program.
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
    group, covered = head & 15, 0.0
    while True:
        first = at + np.uint64(1)
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
        shown = head & 15
        if shown != group:
            color = mix(color, book[PALETTE, group], int(256.0 * min(covered, 1.0) + 0.5))
            group, covered = shown, 0.0
        covered += part
        if head & LAST:
            break
        head = int(programs[at])
    return mix(color, book[PALETTE, group], int(256.0 * min(covered, 1.0) + 0.5))


@kernels.inner
def _mix_cells(
    is_level: bool,
    n_mixed: int,
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
    places: Ints,
    colors: Ints,
) -> None:
    """Puts in the colours of the listed pixels, which lie in mixed cells."""
    for m in range(n_mixed):
        j = places[at(_MIXED, m)]
        near = t[0] if is_level else t[j]
        cx, cy = int(places[at(_COLUMN, j)]), int(places[at(_ROW, j)])
        along, u = near * near * slope, _sampled(near, slope, sample)
        color = _cell_color(
            programs,
            int(places[at(_PROGRAM, m)]),
            int(np.int32(places[at(_HEAD, m)])),
            book,
            x0 + u * look_x[j] - (cx + 0.5) * CELL,
            y0 + u * look_y[j] - (cy + 0.5) * CELL,
            near * across_x,
            near * across_y,
            along * share * look_x[j],
            along * share * look_y[j],
        )
        colors[at(0, j)] += color - book[PALETTE, 0]  # which `_add_plain` has put there


@kernels.inner
def _texel(row: int, j: int, tiles: Ints, texels: Ints, book: Ints, places: Ints) -> int:
    """Colour of one sample of a pixel on a coarser map."""
    tile = np.uint64(tiles[places[at(_TILE + row, j)]])
    texel = texels[tile * np.uint64(TILE_TEXELS) + places[at(_PLACE + row, j)]]
    return int(book[TEXELS, texel])


@kernels.inner
def _add_coarse(
    n: int, samples: int, tiles: Ints, texels: Ints, book: Ints, places: Ints, colors: Ints
) -> None:
    """Adds up all samples of each of n pixels from a coarser map."""
    atlas = (tiles, texels, book, places)
    if samples == 1:
        for j in range(n):
            colors[at(0, j)] = _texel(0, j, *atlas)
    for row in range(0, (samples - 1) * BLOCK, 2 * BLOCK):
        for j in range(n):
            before = 0 if row == 0 else colors[at(0, j)]
            colors[at(0, j)] = before + _texel(row, j, *atlas) + _texel(row + BLOCK, j, *atlas)


@kernels.inner
def _grainy(word: Any, bright: Any) -> Any:
    """Returns words of a colour (`light.halves`) times bright / 128, white at the most."""
    word = np.uint32(np.uint32(np.uint32(word * bright) >> np.uint32(7)) & np.uint32(0x1FF01FF))
    over = np.uint32(np.uint32(word >> np.uint32(8)) & np.uint32(0x10001))
    return np.uint32((word | np.uint32(over * np.uint32(255))) & np.uint32(0xFF00FF))


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
    depth: Floats,
    places: Ints,
    words: Ints,
    inks: Ints,
) -> None:
    """Finishes the colours: mean of 2 ** bits samples, grain, air; all channels at once."""
    shift, size = np.uint32((3 + level) & 31), np.uint32(NOISE_SIZE)
    mask = np.uint32(NOISE_SIZE - 1)
    west, south = np.float32((x0 + _FAR_OUT) * UNITS), np.float32((y0 + _FAR_OUT) * UNITS)
    near = np.float32(t[0] * UNITS)
    for j in range(len(look_x)):
        u = near if is_level else np.float32(t[j] * UNITS)
        gx = np.uint32(np.int32(west + u * look_x[j]))
        gy = np.uint32(np.int32(south + u * look_y[j]))
        row, column = np.uint32(gy >> shift) & mask, np.uint32(gx >> shift) & mask
        places[at(_PLACE, j)] = np.uint32(np.uint32(np.uint32(row) * size) + np.uint32(column))
    for j in range(len(look_x)):
        places[at(_GRAIN, j)] = np.int32(noise[places[at(_PLACE, j)]])
    # Eight samples are so far away that their grain is half gone.
    gain, count = np.int32(10 >> (bits // 3)), np.uint32(bits & 31)
    fine = np.uint32((9 + bits) & 31)
    middle = np.uint32(128 << (9 + bits))
    light, nearest = np.uint32(arrives[0]), np.float32(t[0])
    air_low, air_high = np.uint32(haze_color * veil[0]), np.uint32((haze_color * veil[0]) >> 32)
    for j in range(len(look_x)):
        low, high = halves(words, 0, j)
        strength = np.int32(high >> np.uint32(GRAIN_SHIFT - 32))
        grain = np.int32(np.int32(np.int32(places[at(_GRAIN, j)]) * strength) * gain)
        bright = np.uint32(np.uint32(np.uint32(grain) + middle) >> fine)
        low = np.uint32(np.uint32(low >> count) & np.uint32(0xFF00FF))
        high = np.uint32(np.uint32(high >> count) & np.uint32(0xFF))
        if not is_level:
            air = haze_color * veil[j]
            light, nearest = np.uint32(arrives[j]), np.float32(t[j])
            air_low, air_high = np.uint32(air), np.uint32(air >> 32)
        low = np.uint32(np.uint32(_grainy(low, bright) * light) + air_low)
        high = np.uint32(np.uint32(_grainy(high, bright) * light) + air_high)
        low = np.uint32(np.uint32(low >> np.uint32(8)) & np.uint32(0xFF00FF))
        color = np.uint32(low | np.uint32(high & np.uint32(0xFF00)))
        inks[j] = over_ink(inks[j], color, depth[j] > nearest)


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
    inks: Ints,
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
        t: depth of each pixel, (P,) [m]; P <= BLOCK.
        look_x: horizontal part of its ray per metre of depth, (P,) float32.
        look_y: likewise, (P,).
        arrives: share of its light that arrives, in 1/256, (P,).
        veil: share of haze, in 1/256, (P,).
        depth: of what is drawn already; nearer pixels are kept, (P,) [m].
        work: scratch, see `paint_scratch`.
        inks: painted, (P,), see `inks.develop`.
    """
    places, colors, words = work
    n_pixels = len(look_x)  # at most BLOCK
    x0, y0 = camera_x - origin[0], camera_y - origin[1]
    columns = size[0]
    right, top = float((columns << TILE_SHIFT) - 1), float((size[1] << TILE_SHIFT) - 1)
    # Texels of the finer levels lie before those of this one.
    begin = (65536 - (65536 >> (2 * max(level, 0)))) // 3
    unit = 2 + level if level >= 0 else CELL_SHIFT
    spot = (begin, unit, columns, right, top, x0, y0, slope)
    rays = (t, look_x, look_y)
    if level >= 0:
        for k in range(n):
            _place(is_level, False, k * BLOCK, *spot, (k + 0.5) / n - 0.5, *rays, places)
        _add_coarse(n_pixels, n, tiles, texels, book, places, colors)
    else:
        colors[:n_pixels] = 0
        for k in range(n):
            sample = (k + 0.5) / n - 0.5
            _place(is_level, True, 0, *spot, sample, *rays, places)
            left = _add_plain(is_level, tiles, cells, book, t, depth, programs, places, colors)
            where = (x0, y0, slope, sample, 1.0 / n, right_x, right_y)
            _mix_cells(is_level, left, programs, book, *where, *rays, places, colors)
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
        depth,
        places,
        words,
        inks,
    )
