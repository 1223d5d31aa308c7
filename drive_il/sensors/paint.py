"""The colours of a row of pixels that show the ground.

A row is worked on in stages, each a short loop: the arithmetic of many pixels at once runs
in vector instructions, the look-ups run in between. The same code serves level cameras,
where the whole row is equally far away, and all others, where a row is cut into runs of
pixels that are looked up alike.
"""

from __future__ import annotations

import numpy as np

from drive_il import kernels
from drive_il.datatypes import Floats, Ints
from drive_il.sensors.ground import CELL, CELL_SHIFT, TILE_SHIFT, TILE_TEXELS, UNITS
from drive_il.sensors.light import MASK, NOISE_SIZE, PALETTE, TEXELS, mix

_COLUMN, _ROW, _TILE, _PLACE, _SUM, _KIND, _GRAIN, _RED, _GREEN, _BLUE = range(10)
N_WORK = 10
"""rows of the scratch array of `paint_ground`"""
# Positions of the grain count from far outside the map, so that it is even across its border.
_FAR_OUT = 65536.0


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
def _cell_color(
    programs: Floats,
    at: int,
    book: Ints,
    x: float,
    y: float,
    across_x: float,
    across_y: float,
    along_x: float,
    along_y: float,
) -> int:
    """Mixes the classes of a cell by how much of the pixel each covers.

    A half-plane covers a part of the pixel that grows with the distance from its edge;
    quads of one class add up, so that the joints between them do not show.
    """
    color = book[PALETTE, np.uint64(programs[at])]
    n_pieces = int(programs[at + 1])
    at += 2
    group, covered = -1, 0.0
    for _ in range(n_pieces):
        n_planes = int(programs[at + 1])
        part = 1.0
        for k in range(at + 2, at + 2 + 3 * n_planes, 3):
            nx, ny = programs[k], programs[k + 1]
            gap = nx * x + ny * y + programs[k + 2]
            width = abs(nx * across_x + ny * across_y) + abs(nx * along_x + ny * along_y)
            part *= min(max(gap / width + 0.5, 0.0), 1.0)
            if part == 0.0:
                break
        if part > 0.0:
            shown = int(programs[at])
            if shown != group:
                if covered > 0.0:
                    color = mix(color, book[PALETTE, group], int(256.0 * min(covered, 1.0) + 0.5))
                group, covered = shown, 0.0
            covered += part
        at += 2 + 3 * n_planes
    if covered > 0.0:
        color = mix(color, book[PALETTE, group], int(256.0 * min(covered, 1.0) + 0.5))
    return color


@kernels.inner
def _positions(
    x0: float,
    y0: float,
    right: int,
    top: int,
    slope: float,
    shift: float,
    t: Floats,
    look_x: Floats,
    look_y: Floats,
    work: Ints,
) -> None:
    """Where one sample of each pixel lies, in fine units of the map, kept on the map."""
    for j in range(len(t)):
        u = t[j] + t[j] * t[j] * slope * shift
        work[_COLUMN, j] = min(max(int((x0 + u * look_x[j]) * UNITS), 0), right)
        work[_ROW, j] = min(max(int((y0 + u * look_y[j]) * UNITS), 0), top)


@kernels.inner
def _add_exact(
    columns: int,
    tiles: Ints,
    cells: Ints,
    programs: Floats,
    book: Ints,
    x0: float,
    y0: float,
    slope: float,
    shift: float,
    part: float,
    across_x: float,
    across_y: float,
    t: Floats,
    look_x: Floats,
    look_y: Floats,
    depth: Floats,
    work: Ints,
) -> None:
    """Adds one sample of each pixel from the exact map."""
    for j in range(len(t)):
        qx, qy = work[_COLUMN, j], work[_ROW, j]
        work[_TILE, j] = (qy >> TILE_SHIFT) * columns + (qx >> TILE_SHIFT)
        work[_PLACE, j] = (((qy >> CELL_SHIFT) & 63) << 6) + ((qx >> CELL_SHIFT) & 63)
    for j in range(len(t)):
        tile = tiles[np.uint64(work[_TILE, j])]
        code = cells[np.uint64((tile << 12) + work[_PLACE, j])]
        if code < 0:
            color = book[PALETTE, np.uint64(-1 - code)]
        elif depth[j] < t[j]:
            color = 0
        else:
            cx, cy = work[_COLUMN, j] >> CELL_SHIFT, work[_ROW, j] >> CELL_SHIFT
            along = t[j] * t[j] * slope
            u = t[j] + along * shift
            color = _cell_color(
                programs,
                code,
                book,
                x0 + u * look_x[j] - (cx + 0.5) * CELL,
                y0 + u * look_y[j] - (cy + 0.5) * CELL,
                t[j] * across_x,
                t[j] * across_y,
                along * part * look_x[j],
                along * part * look_y[j],
            )
        work[_SUM, j] += color & MASK
        work[_KIND, j] = color >> 60


@kernels.inner
def _add_coarse(
    columns: int, tiles: Ints, texels: Ints, book: Ints, level: int, n: int, work: Ints
) -> None:
    """Adds one sample of each of n pixels from a coarser map."""
    shift = 2 + level
    mask = (128 >> level) - 1
    # Texels of the finer levels lie before those of this one.
    start = (65536 - (65536 >> (2 * level))) // 3
    for j in range(n):
        qx, qy = work[_COLUMN, j], work[_ROW, j]
        work[_TILE, j] = (qy >> TILE_SHIFT) * columns + (qx >> TILE_SHIFT)
        work[_PLACE, j] = start + (((qy >> shift) & mask) << (7 - level)) + ((qx >> shift) & mask)
    for j in range(n):
        at = tiles[np.uint64(work[_TILE, j])] * TILE_TEXELS + work[_PLACE, j]
        color = book[TEXELS, texels[np.uint64(at)]]
        work[_SUM, j] += color & MASK
        work[_KIND, j] = color >> 60


@kernels.inner
def _add_grain(
    x0: float,
    y0: float,
    level: int,
    fade: int,
    noise: Ints,
    t: Floats,
    look_x: Floats,
    look_y: Floats,
    work: Ints,
) -> None:
    """Sets how much brighter or darker each pixel's grain makes it, in 1/256."""
    fine = 3 + level
    if level < 0:
        fine = 2 + (level + 1)
    for j in range(len(t)):
        gx = int((x0 + _FAR_OUT + t[j] * look_x[j]) * UNITS)
        gy = int((y0 + _FAR_OUT + t[j] * look_y[j]) * UNITS)
        mask = NOISE_SIZE - 1
        work[_GRAIN, j] = (((gy >> fine) & mask) * NOISE_SIZE) + ((gx >> fine) & mask)
    for j in range(len(t)):
        grain = int(noise[np.uint64(work[_GRAIN, j])]) >> fade
        work[_GRAIN, j] = (grain * work[_KIND, j] * 10) >> 8


@kernels.inner
def _shade(
    field: int, bits: int, haze_color: int, arrives: Ints, veil: Ints, work: Ints, out: Ints
) -> None:
    """Finishes one channel: mean of the samples, grain, air."""
    haze = (haze_color >> field) & 255
    for j in range(len(arrives)):
        value = ((work[_SUM, j] >> (bits + field)) & 255) * (256 + work[_GRAIN, j]) >> 8
        out[j] = (min(value, 255) * arrives[j] + haze * veil[j]) >> 8


@kernels.inner
def paint_ground(
    origin: Floats,
    size: Ints,
    tiles: Ints,
    cells: Ints,
    programs: Floats,
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
    work: Ints,
    rgb: Ints,
) -> None:
    """Paints a run of pixels that show the ground and are looked up alike.

    Args:
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
        look_x: horizontal part of its ray per metre of depth, (P,).
        look_y: likewise, (P,).
        arrives: share of its light that arrives, in 1/256, (P,).
        veil: share of haze, in 1/256, (P,).
        depth: of what is drawn already; nearer pixels are kept, (P,) [m].
        work: scratch, (N_WORK, P).
        rgb: painted, (P, 3).
    """
    n_pixels = len(t)
    x0, y0 = camera_x - origin[0], camera_y - origin[1]
    columns = size[0]
    right, top = (columns << TILE_SHIFT) - 1, (size[1] << TILE_SHIFT) - 1
    work[_SUM, :n_pixels] = 0
    for k in range(n):
        shift = (k + 0.5) / n - 0.5
        _positions(x0, y0, right, top, slope, shift, t, look_x, look_y, work)
        if level < 0:
            _add_exact(
                columns,
                tiles,
                cells,
                programs,
                book,
                x0,
                y0,
                slope,
                shift,
                1.0 / n,
                right_x,
                right_y,
                t,
                look_x,
                look_y,
                depth,
                work,
            )
        else:
            _add_coarse(columns, tiles, texels, book, level, n_pixels, work)
    _add_grain(x0, y0, level, n >> 3, noise, t, look_x, look_y, work)
    bits = (n >> 1) - (n >> 3)  # 1, 2, 4, 8 samples: 0, 1, 2, 3 bits
    for channel in range(3):
        _shade(40 - 20 * channel, bits, haze_color, arrives, veil, work, work[_RED + channel])
    for j in range(n_pixels):
        if depth[j] > t[j]:
            rgb[j, 0] = work[_RED, j]
            rgb[j, 1] = work[_GREEN, j]
            rgb[j, 2] = work[_BLUE, j]
