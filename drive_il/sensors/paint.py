"""The colour of a piece of ground as large as a pixel."""

from __future__ import annotations

from drive_il import kernels
from drive_il.datatypes import Floats, Ints
from drive_il.sensors.ground import CELL, CELL_SHIFT, TILE, TILE_SHIFT, TILE_TEXELS, UNITS
from drive_il.sensors.light import MASK, NOISE_SIZE, mix, scale

NEAR_PIXEL = 0.125
"""below this width of a pixel on the ground its paint is computed exactly [m]"""
FINEST = 1.0 / 32.0
_GRAIN_BITS = 7


@kernels.device
def footprint(t: float, inverse_focal: float, height: float) -> tuple[float, float, int, int]:
    """How large a pixel is on the ground, and how it is to be looked up.

    Args:
        t: depth of the ground there [m].
        inverse_focal: 1 / focal length [1/pixels].
        height: of the camera [m].

    Returns:
        Width across and along the line of sight [m], number of samples along it, and level
        of the coarser map, -1 for the exact one.
    """
    across = t * inverse_focal
    along = across * t / height
    if across < NEAR_PIXEL:
        n = 1 if along < 0.4 else (2 if along < 0.8 else 4)
        return across, along, n, -1
    level, size = 0, 0.125
    while level < 4 and across > 1.44 * size:
        level += 1
        size *= 2.0
    ratio = along / size
    n = 1 if ratio < 1.5 else (2 if ratio < 3.0 else (4 if ratio < 6.0 else 8))
    return across, along, n, level


@kernels.device
def _cell_color(
    programs: Floats,
    at: int,
    palette: Ints,
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
    color = palette[int(programs[at])]
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
                    color = mix(color, palette[group], int(256.0 * min(covered, 1.0) + 0.5))
                group, covered = shown, 0.0
            covered += part
        at += 2 + 3 * n_planes
    if covered > 0.0:
        color = mix(color, palette[group], int(256.0 * min(covered, 1.0) + 0.5))
    return color


@kernels.device
def ground_color(
    columns: int,
    rows: int,
    tiles: Ints,
    cells: Ints,
    programs: Floats,
    texels: Ints,
    palette: Ints,
    texel_colors: Ints,
    noise: Ints,
    x: float,
    y: float,
    look_x: float,
    look_y: float,
    right_x: float,
    right_y: float,
    across: float,
    along: float,
    n: int,
    level: int,
) -> int:
    """Returns the colour of the ground within one pixel, before air.

    Args:
        columns: tiles of the map along x; see GroundMap.
        rows: tiles along y.
        tiles: see GroundMap.
        cells: see GroundMap.
        programs: see GroundMap.
        texels: see GroundMap.
        palette: colour of each class.
        texel_colors: colour of each texel code.
        noise: grain texture.
        x: of the middle of the pixel, from the ground map's origin [m].
        y: likewise [m].
        look_x: horizontal part of the ray, per metre of depth.
        look_y: likewise.
        right_x: horizontal part of the camera's right.
        right_y: likewise.
        across: width of the pixel [m].
        along: length of the pixel [m].
        n: samples along it: 1, 2, 4 or 8.
        level: of the coarser map, -1 for the exact one.
    """
    step = along / n
    along_x, along_y = look_x * step, look_y * step
    px, py = x - along_x * 0.5 * (n - 1), y - along_y * 0.5 * (n - 1)
    across_x, across_y = right_x * across, right_y * across
    total = 0
    color = palette[0]
    grass = color
    for _ in range(n):
        color = grass
        if 0.0 <= px < columns * TILE and 0.0 <= py < rows * TILE:
            qx, qy = int(px * UNITS), int(py * UNITS)
            tile = tiles[(qy >> TILE_SHIFT) * columns + (qx >> TILE_SHIFT)]
            if tile >= 0:
                if level < 0:
                    cx, cy = qx >> CELL_SHIFT, qy >> CELL_SHIFT
                    code = cells[(tile << 12) + ((cy & 63) << 6) + (cx & 63)]
                    if code < 0:
                        color = palette[-1 - code]
                    else:
                        color = _cell_color(
                            programs,
                            code,
                            palette,
                            px - (cx + 0.5) * CELL,
                            py - (cy + 0.5) * CELL,
                            across_x,
                            across_y,
                            along_x,
                            along_y,
                        )
                else:
                    shift = 2 + level
                    edge = 128 >> level
                    # Texels of the finer levels lie before those of this one.
                    start = (65536 - (65536 >> (2 * level))) // 3
                    at = ((qy >> shift) & (edge - 1)) * edge + ((qx >> shift) & (edge - 1))
                    color = texel_colors[texels[tile * TILE_TEXELS + start + at]]
        total += color & MASK
        px += along_x
        py += along_y
    kind = color >> 60
    bits = (n >> 1) - (n >> 3)  # 1, 2, 4, 8 samples: 0, 1, 2, 3 bits
    total = (total >> bits) & MASK
    # Positions count from far outside the map, so that the grain is even across its border.
    gx, gy = int((x + 65536.0) * UNITS), int((y + 65536.0) * UNITS)
    fine = 0 if across < FINEST else (1 if across < 2 * FINEST else 3 + max(level, 0))
    grain = int(noise[(gy >> fine) & (NOISE_SIZE - 1), (gx >> fine) & (NOISE_SIZE - 1)])
    patch = int(noise[(gy >> 6) & (NOISE_SIZE - 1), (gx >> 6) & (NOISE_SIZE - 1)])
    if along > 1.0:
        grain >>= 1
    return scale(total, 256 + (((grain + (patch >> 1)) * kind * 10) >> _GRAIN_BITS >> 1))
