"""The painted ground as a tiled map that a camera can ask at any point, at any distance.

Tiles of 16 m that nothing is painted on do not exist. In a tile, cells of 25 cm hold
either one class or a little program: half-planes that bound what is painted there. Edges
are therefore exact at any magnification, and how much of a pixel they cover follows from
the distance to them. For far pixels there are five coarser maps (12.5 cm to 2 m) whose
texels hold a surface and how much of it is covered by paint, so that distant markings fade
instead of flickering.

Built on first use, cached outside the source tree, never shipped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Floats, Ints
from drive_il.maps.kept import kept
from drive_il.maps.network import RoadNetwork
from drive_il.sensors.surfaces import N_SURFACES, Ground, painted

_ROAD, _YELLOW = int(Ground.ROAD), int(Ground.YELLOW)
TILE = 16.0
"""[m]"""
UNITS = 32
"""fine units per metre: positions are looked up in whole numbers of them"""
TILE_SHIFT = 9
"""a tile is 2 ** 9 fine units"""
CELL_SHIFT = 3
"""a cell is 2 ** 3 fine units"""
CELL = 0.25
"""[m]"""
N_CELLS = 64
"""cells along a tile"""
N_LEVELS = 5
"""coarser maps: level l has texels of 0.125 * 2 ** l metres"""
TILE_TEXELS = 128 * 128 + 64 * 64 + 32 * 32 + 16 * 16 + 8 * 8
_REACH = 0.06
_SAMPLES = 5
NORMAL, OFFSET = 2.0**14, 2.0**16
"""steps of a half-plane's normal per 1, and of its offset per metre"""
LAST, WIDE = 16, 32
"""flags of a piece of a program"""
_PLANES = 4
_PIECE = 2 + 3 * _PLANES  # numbers of a piece in the making: class, number of half-planes, these
_MAX_PIECES = 1024  # of one cell
_MAX_PROGRAM = N_CELLS * N_CELLS * 128


class GroundMap(NamedTuple):
    """The ground of one map, as kernels take it.

    Attributes:
        origin: south-west corner, (2,) float64 [m].
        size: tiles along x and y, (2,) int64.
        tiles: number of each tile, 0 where all is grass, (rows * columns,) int32. The
            outermost tiles are all grass.
        cells: 64 * 64 per tile: class of the cell as -1 - class, or 16 * where its program
            starts + class of the surface below it, int32.
        programs: per mixed cell its pieces, in painting order. A piece is its class, with the
            flag LAST, then its half-planes, two of them or with the flag WIDE four: all nx,
            all ny, all offsets relative to the middle of the cell, positive inside, in steps
            (those that are not needed bound nothing); int16, as few cache lines as possible.
        texels: TILE_TEXELS per tile, level after level: surface + 8 * (paint is yellow)
            + 16 * round(15 * sqrt(part that is painted)), uint8.
    """

    origin: Floats
    size: Ints
    tiles: Ints
    cells: Ints
    programs: Ints
    texels: Ints


GROUND_MAP = nt.NamedTuple(
    (nt.float64[::1], nt.int64[::1], nt.int32[::1], nt.int32[::1], nt.int16[::1], nt.uint8[::1]),
    GroundMap,
)
"""Numba type of a GroundMap."""


@kernels.inner
def _worst(planes: Floats, quad: int, side: int, x: float, y: float, half: float) -> float:
    """Largest signed distance of a square's points from one side of a quad, inside +."""
    nx, ny = planes[quad, side, 0], planes[quad, side, 1]
    return nx * x + ny * y + planes[quad, side, 2] + half * (abs(nx) + abs(ny))


@kernels.inner
def _touches(planes: Floats, quad: int, x: float, y: float, half: float) -> bool:
    for side in range(4):
        if _worst(planes, quad, side, x, y, half) < 0.0:
            return False
    return True


@kernels.inner
def _covers(planes: Floats, quad: int, x: float, y: float, half: float) -> bool:
    for side in range(4):
        nx, ny = planes[quad, side, 0], planes[quad, side, 1]
        if nx * x + ny * y + planes[quad, side, 2] - half * (abs(nx) + abs(ny)) < 0.0:
            return False
    return True


@kernels.inner
def _add_cover(planes: Floats, quad: int, x: float, y: float, cover: Floats) -> float:
    """Adds how much of each of 7 x 7 points a quad covers; returns the least covered."""
    least = np.inf
    for k in range(49):
        px = x + (CELL / 2 + _REACH) * (k % 7 / 3.0 - 1.0)
        py = y + (CELL / 2 + _REACH) * (k // 7 / 3.0 - 1.0)
        part = 1.0
        for side in range(4):
            gap = planes[quad, side, 0] * px + planes[quad, side, 1] * py
            part *= min(max((gap + planes[quad, side, 2]) * 50.0 + 0.5, 0.0), 1.0)
        cover[k] += part
        least = min(least, cover[k])
    return least


@kernels.inner
def _lowest_needed(
    planes: Floats,
    classes: Ints,
    entries: Ints,
    first: int,
    last: int,
    x: float,
    y: float,
    cover: Floats,
) -> tuple[int, int]:
    """Finds what a cell shows below everything: (its class, first entry painted on it).

    Going down from the uppermost class: once a class and those above it leave nothing
    uncovered, it may as well fill the whole cell, and nothing below it can be seen.
    """
    cover[:] = 0.0
    e = last
    while e > first:
        end = e
        shown = classes[entries[end - 1]]
        full = False
        while e > first and classes[entries[e - 1]] == shown:
            e -= 1
            if (
                _covers(planes, entries[e], x, y, CELL / 2 + _REACH)
                or _add_cover(planes, entries[e], x, y, cover) >= 0.98
            ):
                full = True
        if full:
            return shown, end
    return 0, first


@kernels.inner
def _same_plane(a: Floats, b: Floats, sign: float) -> bool:
    return (
        abs(a[0] - sign * b[0]) < 0.012
        and abs(a[1] - sign * b[1]) < 0.012
        and abs(a[2] - sign * b[2]) < 0.003
    )


@kernels.inner
def _merge(pieces: Floats, a: int, b: int) -> bool:
    """Joins piece b to piece a when they continue each other across a common edge."""
    n = int(pieces[a, 1])
    if n == 0 or pieces[a, 0] != pieces[b, 0] or n != int(pieces[b, 1]):
        return False
    for k in range(n):
        for m in range(n):
            if not _same_plane(pieces[a, 2 + 3 * k :], pieces[b, 2 + 3 * m :], -1.0):
                continue
            matched = 0
            for i in range(n):
                for j in range(n):
                    if i != k and j != m:
                        one, other = pieces[a, 2 + 3 * i :], pieces[b, 2 + 3 * j :]
                        matched += _same_plane(one, other, 1.0)
            if matched >= n - 1:
                for i in range(3 * k, 3 * (n - 1)):
                    pieces[a, 2 + i] = pieces[a, 5 + i]
                pieces[a, 1] = n - 1
                return True
    return False


@kernels.inner
def _set_piece(planes: Floats, quad: int, shown: int, x: float, y: float, piece: Floats) -> None:
    """Lists the half-planes of a quad that cut a cell."""
    half = CELL / 2 + _REACH
    n_planes = 0
    for side in range(4):
        nx, ny = planes[quad, side, 0], planes[quad, side, 1]
        gap = nx * x + ny * y + planes[quad, side, 2]
        if gap - half * (abs(nx) + abs(ny)) < 0.0:
            k = 2 + 3 * n_planes
            piece[k], piece[k + 1], piece[k + 2] = nx, ny, gap
            n_planes += 1
    piece[0], piece[1] = shown, n_planes


@kernels.inner
def _write_piece(piece: Floats, flags: int, programs: Ints, at: int) -> int:
    """Writes a piece in whole steps; returns where the next may start."""
    n_planes = int(piece[1])
    n = 2
    if n_planes > 2:
        n, flags = 4, flags | WIDE
    programs[at] = int(piece[0]) | flags
    for k in range(n):
        nx, ny, gap = 0.0, 0.0, 32767.0
        if k < n_planes:
            nx, ny = round(NORMAL * piece[2 + 3 * k]), round(NORMAL * piece[3 + 3 * k])
            gap = round(min(max(OFFSET * piece[4 + 3 * k], -32767.0), 32767.0))
        programs[at + 1 + k], programs[at + 1 + n + k] = int(nx), int(ny)
        programs[at + 1 + 2 * n + k] = int(gap)
    return at + 1 + 3 * n


@kernels.inner
def _write_program(
    planes: Floats,
    classes: Ints,
    entries: Ints,
    first: int,
    last: int,
    x: float,
    y: float,
    pieces: Floats,
    programs: Ints,
    at: int,
) -> int:
    """Writes the program of a mixed cell; returns where the next may start."""
    n = 0
    for e in range(first, last):
        _set_piece(planes, entries[e], classes[entries[e]], x, y, pieces[n])
        if n == 0 or not _merge(pieces, n - 1, n):
            n = min(n + 1, _MAX_PIECES - 1)
    for k in range(n):
        at = _write_piece(pieces[k], LAST if k == n - 1 else 0, programs, at)
    return at


@kernels.kernel(
    nt.int64(
        nt.float64,
        nt.float64,
        nt.int64[::1],
        nt.float64[:, :, ::1],
        nt.float64[:, ::1],
        nt.uint8[::1],
        nt.int32[::1],
        nt.int16[::1],
    )
)
def _build_cells(
    x0: float,
    y0: float,
    quads: Ints,
    planes: Floats,
    boxes: Floats,
    classes: Ints,
    cells: Ints,
    programs: Ints,
) -> int:
    """Fills the cells of one tile from the quads that touch it; returns the programs' length."""
    n = N_CELLS
    half = CELL / 2 + _REACH
    first = np.zeros(n * n + 1, np.int64)
    entries = np.empty(0, np.int64)
    for turn in range(2):
        if turn == 1:
            for cell in range(n * n):
                first[cell + 1] += first[cell]
            entries = np.empty(first[n * n], np.int64)
            filled = first.copy()
        for quad in quads:
            c0 = max(int((boxes[quad, 0] - _REACH - x0) / CELL), 0)
            c1 = min(int((boxes[quad, 2] + _REACH - x0) / CELL), n - 1)
            r0 = max(int((boxes[quad, 1] - _REACH - y0) / CELL), 0)
            r1 = min(int((boxes[quad, 3] + _REACH - y0) / CELL), n - 1)
            for row in range(r0, r1 + 1):
                for column in range(c0, c1 + 1):
                    x, y = x0 + (column + 0.5) * CELL, y0 + (row + 0.5) * CELL
                    if _touches(planes, quad, x, y, half):
                        cell = row * n + column
                        if turn == 0:
                            first[cell + 1] += 1
                        else:
                            entries[filled[cell]] = quad
                            filled[cell] += 1
    at, cover, pieces = 0, np.empty(49), np.empty((_MAX_PIECES, _PIECE))
    for cell in range(n * n):
        x, y = x0 + (cell % n + 0.5) * CELL, y0 + (cell // n + 0.5) * CELL
        surface, begin = _lowest_needed(
            planes, classes, entries, first[cell], first[cell + 1], x, y, cover
        )
        if begin == first[cell + 1]:
            cells[cell] = -1 - surface
        else:
            cells[cell] = 16 * at + surface
            at = _write_program(
                planes, classes, entries, begin, first[cell + 1], x, y, pieces, programs, at
            )
    return at


@kernels.inner
def classify(programs: Ints, code: int, x: float, y: float) -> int:
    """Returns the class that a mixed cell shows at one point.

    Args:
        programs: see GroundMap.
        code: of the cell, likewise.
        x: of the point relative to the middle of the cell [m].
        y: likewise [m].
    """
    shown, at, is_last = code & 15, code >> 4, False
    x, y = x / NORMAL, y / NORMAL
    while not is_last:
        head = int(programs[at])
        n = 4 if head & WIDE else 2
        inside = True
        for k in range(at + 1, at + 1 + n):
            gap = programs[k] * x + programs[k + n] * y + programs[k + 2 * n] / OFFSET
            if gap < 0.0:
                inside = False
                break
        if inside:
            shown = head & 15
        is_last = head & LAST > 0
        at += 1 + 3 * n
    return shown


@kernels.inner
def ground_class(
    columns: int, rows: int, tiles: Ints, cells: Ints, programs: Ints, x: float, y: float
) -> int:
    """Returns the class of the ground at a point, counted from the map's origin [m]."""
    if not (0.0 <= x < columns * TILE and 0.0 <= y < rows * TILE):
        return 0
    qx, qy = int(x * UNITS), int(y * UNITS)
    tile = tiles[(qy >> TILE_SHIFT) * columns + (qx >> TILE_SHIFT)]
    cx, cy = qx >> CELL_SHIFT, qy >> CELL_SHIFT
    code = cells[(tile << 12) + ((cy & 63) << 6) + (cx & 63)]
    if code < 0:
        return -1 - code
    return classify(programs, code, x - (cx + 0.5) * CELL, y - (cy + 0.5) * CELL)


@kernels.inner
def _texel(surface: int, white: float, yellow: float) -> int:
    part = white + yellow
    level = int(15.0 * np.sqrt(min(part, 1.0)) + 0.5)
    return surface + (8 if yellow > white else 0) + 16 * level


@kernels.kernel(nt.void(nt.int64, nt.int64, nt.int32[:, ::1], nt.int16[::1], nt.uint8[:, ::1]))
def _build_texels(
    first_tile: int, last_tile: int, cells: Ints, programs: Ints, texels: Ints
) -> None:
    """Fills the coarser maps of some tiles from their cells."""
    surface = np.empty((128, 128), np.uint8)
    paint = np.empty((2, 128, 128), np.float32)
    counts = np.empty(N_SURFACES, np.int64)
    for tile in range(first_tile, last_tile):
        for row in range(128):
            for column in range(128):
                code = cells[tile, (row >> 1) * N_CELLS + (column >> 1)]
                counts[:] = 0
                white = yellow = 0
                for i in range(_SAMPLES * _SAMPLES if code >= 0 else 1):
                    shown = -1 - code
                    if code >= 0:
                        u = ((i % _SAMPLES + 0.5) / _SAMPLES + (column & 1) - 1.0) * 0.125
                        v = ((i // _SAMPLES + 0.5) / _SAMPLES + (row & 1) - 1.0) * 0.125
                        shown = classify(programs, code, u, v)
                    if shown < N_SURFACES:
                        counts[shown] += 1
                    elif shown == _YELLOW:
                        yellow += 1
                    else:
                        white += 1
                total = _SAMPLES * _SAMPLES if code >= 0 else 1
                most = int(counts.argmax())
                if counts[most] == 0:
                    # All paint: the surface below, which a wider texel may show again.
                    most = code & 15 if code >= 0 else _ROAD
                    most = most if most < N_SURFACES else _ROAD
                surface[row, column] = most
                paint[0, row, column] = white / total
                paint[1, row, column] = yellow / total
        at, n = 0, 128
        for level in range(N_LEVELS):
            if level > 0:
                _halve(surface, paint, n)
            for row in range(n):
                for column in range(n):
                    texels[tile, at] = _texel(
                        surface[row, column], paint[0, row, column], paint[1, row, column]
                    )
                    at += 1
            n //= 2


@kernels.device
def _halve(surface: Ints, paint: Floats, n: int) -> None:
    """Merges 2 x 2 texels in place, to n x n; the surface seen most wins."""
    for row in range(n):
        for column in range(n):
            most, votes = 0, 0
            for k in range(4):
                mine = surface[2 * row + k // 2, 2 * column + k % 2]
                same = 0
                for m in range(4):
                    same += surface[2 * row + m // 2, 2 * column + m % 2] == mine
                if same > votes:
                    most, votes = mine, same
            for color in range(2):
                total = np.float32(0.0)
                for k in range(4):
                    total += paint[color, 2 * row + k // 2, 2 * column + k % 2]
                paint[color, row, column] = total / np.float32(4.0)
            surface[row, column] = most


def _half_planes(quads: Floats) -> Floats:
    """Returns nx, ny, offset of each side, positive inside, (N, 4, 3)."""
    edges = np.roll(quads, -1, axis=1) - quads
    length = np.linalg.norm(edges, axis=2)
    safe = np.maximum(length, 1e-9)
    nx, ny = -edges[..., 1] / safe, edges[..., 0] / safe
    offset = -(nx * quads[..., 0] + ny * quads[..., 1])
    planes = np.stack((nx, ny, offset), axis=-1)
    planes[length < 1e-6] = (0.0, 0.0, 1e3)
    return planes


def _by_tile(boxes: Floats, origin: Floats, columns: int, rows: int) -> tuple[Ints, Ints, Ints]:
    """Lists the quads that touch each tile: (tiles touched, first entry, quads)."""
    low = np.floor((boxes[:, :2] - _REACH - origin) / TILE).astype(np.int64)
    high = np.floor((boxes[:, 2:] + _REACH - origin) / TILE).astype(np.int64)
    high = np.minimum(high, (columns - 1, rows - 1))
    tiles, quads = [], []
    span = high - low + 1
    for dy in range(int(span[:, 1].max())):
        for dx in range(int(span[:, 0].max())):
            inside = np.flatnonzero((dx < span[:, 0]) & (dy < span[:, 1]))
            tiles.append((low[inside, 1] + dy) * columns + low[inside, 0] + dx)
            quads.append(inside)
    tile, quad = np.concatenate(tiles), np.concatenate(quads)
    order = np.lexsort((quad, tile))
    tile, quad = tile[order], quad[order]
    touched, first = np.unique(tile, return_index=True)
    return touched, np.append(first, len(tile)), np.ascontiguousarray(quad)


def build(network: RoadNetwork) -> GroundMap:
    """Builds the ground of a map; `ground_map` remembers and caches it."""
    quads, classes = painted(network)
    if not len(quads):
        quads, classes = np.zeros((1, 4, 2)), np.zeros(1, np.uint8)  # a bit of grass
    boxes = np.concatenate((quads.min(axis=1), quads.max(axis=1)), axis=1)
    origin = np.floor(boxes[:, :2].min(axis=0) / TILE) * TILE - TILE
    columns, rows = (int(n) for n in (boxes[:, 2:].max(axis=0) - origin) // TILE + 2)
    touched, first, listed = _by_tile(boxes, origin, columns, rows)
    tiles = np.zeros(rows * columns, np.int32)
    tiles[touched] = np.arange(1, len(touched) + 1)
    planes = _half_planes(quads)
    cells = np.full((len(touched) + 1, N_CELLS * N_CELLS), -1, np.int32)
    scratch = np.zeros(_MAX_PROGRAM, np.int16)
    programs, total = [], 0
    for k, tile in enumerate(touched):
        x0, y0 = origin[0] + tile % columns * TILE, origin[1] + tile // columns * TILE
        mine = listed[first[k] : first[k + 1]]
        length = _build_cells(x0, y0, mine, planes, boxes, classes, cells[k + 1], scratch)
        cells[k + 1][cells[k + 1] >= 0] += 16 * total
        programs.append(scratch[:length].copy())
        total += length
    program = np.concatenate(programs)
    texels = np.zeros((len(cells), TILE_TEXELS), np.uint8)
    kernels.run(_build_texels, len(cells), cells, program, texels, min_rows=4)
    size = np.array((columns, rows), np.int64)
    return GroundMap(origin, size, tiles, cells.ravel(), program, texels.ravel())


@lru_cache(maxsize=8)
def ground_map(network: RoadNetwork) -> GroundMap:
    """Returns the ground of a map: from memory, from the cache folder, or built now."""
    return GroundMap(**kept("ground", network, __file__, lambda: build(network)._asdict()))
