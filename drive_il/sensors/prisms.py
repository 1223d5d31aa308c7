"""Boxes and ellipsoids that stand on the ground, met by the rays of a camera.

Seen by a level camera, all pixels of one image column look into one vertical plane: each
column meets a box once, in plan view, and the rows follow. Seen by any other camera every
pixel meets the box on its own. Both use the same expressions in the same order, so that
they agree to the last bit where both apply.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Floats, Ints, Records
from drive_il.maps.land import PrismKind
from drive_il.maps.network import RoadNetwork
from drive_il.maps.scenery import scenery
from drive_il.sensors.light import NOISE_SIZE, air, pack, scale, through_air
from drive_il.sensors.tags import OF_PRISM

NEAR = 0.05
"""nothing is seen closer than this [m]"""
VIEW = 3.0
"""prisms are seen when a metre is larger than 1 / this of a pixel, from 120 to 300 m"""
THIN = 0.25
"""what looks narrower than this is left out [pixels]"""
MAX_VISIBLE = 4096
GRID_CELL = 40.0
"""[m]"""
WINDOW_PIXEL = 0.45
"""windows are drawn while a pixel is smaller than this [m]"""
HOUSE, CROWN = int(PrismKind.HOUSE), int(PrismKind.CROWN)
FIRST_SIGN = int(PrismKind.STOP)
"""from this kind on prisms belong to signals and are drawn from models"""
_WINDOW_COLOR = (58.0, 70.0, 88.0)
N_FACES = 6
NO_LEAVES = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
"""in place of `crown_light` where a picture has no colours"""

SOLID = np.dtype(
    [
        ("x", "f8"),  # [m] centre, world frame
        ("y", "f8"),
        ("low", "f4"),  # [m] underside above the road
        ("high", "f4"),  # [m] top above the road
        ("cos", "f4"),  # of the heading
        ("sin", "f4"),
        ("half_length", "f4"),  # [m]
        ("half_width", "f4"),  # [m]
        ("kind", "u1"),  # PrismKind
        ("tag", "u1"),  # CARLA's semantic tag
        ("r", "u1"),
        ("g", "u1"),
        ("b", "u1"),
        ("number", "u1"),  # what is written on a sign
        ("signal", "i2"),  # index into the network's signals, -1 none
    ]
)
"""One prism, as the kernels take it; 48 bytes, so that a picture needs few cache lines."""


class Solids(NamedTuple):
    """All prisms of a map in a coarse grid.

    Attributes:
        items: (N,) SOLID, cell after cell.
        circles: x, y, radius of each, and how large its narrower side looks, (N, 4) [m].
        origin: south-west corner of the grid, (2,) [m].
        size: cells along x and y, (2,) int64.
        first: first item of each cell, then N, (rows * columns + 1,) int64.
        reach: largest radius [m], (1,).
    """

    items: Records
    circles: Floats
    origin: Floats
    size: Ints
    first: Ints
    reach: Floats


SOLIDS = nt.NamedTuple(
    (
        kernels.record(SOLID)[::1],
        nt.float32[:, ::1],
        nt.float64[::1],
        nt.int64[::1],
        nt.int64[::1],
        nt.float64[::1],
    ),
    Solids,
)
"""Numba type of Solids."""


def solids(prisms: Records) -> Solids:
    """Prepares prisms for the kernels.

    Args:
        prisms: (N,) PRISM.

    Returns:
        The same prisms in a grid.
    """
    items = np.zeros(len(prisms), SOLID)
    items["x"], items["y"] = prisms["x"], prisms["y"]
    items["low"] = prisms["z"]
    items["high"] = prisms["z"] + prisms["height"]
    items["cos"], items["sin"] = np.cos(prisms["heading"]), np.sin(prisms["heading"])
    items["half_length"], items["half_width"] = prisms["length"] / 2, prisms["width"] / 2
    items["kind"] = prisms["kind"]
    items["signal"], items["number"] = prisms["signal"], np.clip(prisms["number"], 0, 255)
    for name in ("r", "g", "b"):
        items[name] = prisms[name]
    for kind, tag in OF_PRISM.items():
        items["tag"][prisms["kind"] == kind] = tag
    if not len(items):
        zero = np.zeros(2, np.int64)
        return Solids(
            items,
            np.zeros((0, 4), np.float32),
            np.zeros(2),
            zero,
            np.zeros(1, np.int64),
            np.zeros(1),
        )
    xy = np.stack((items["x"], items["y"]), axis=1)
    origin = np.floor(xy.min(axis=0))
    cell = ((xy - origin) // GRID_CELL).astype(np.int64)
    size = cell.max(axis=0) + 1
    number = cell[:, 1] * size[0] + cell[:, 0]
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], np.arange(int(size.prod()) + 1)).astype(np.int64)
    items = items[order]
    radius = np.hypot(items["half_length"], items["half_width"])
    # What lies, such as the arm of a mast, looks no wider than it is tall.
    thick = 2.0 * np.minimum(items["half_length"], items["half_width"])
    narrow = np.minimum(2.0 * radius, np.maximum(items["high"] - items["low"], thick))
    circles = np.stack((items["x"], items["y"], radius, narrow), axis=1).astype(np.float32)
    return Solids(items, circles, origin, size, first, radius.max(keepdims=True).astype(np.float64))


@lru_cache(maxsize=8)
def solids_of(network: RoadNetwork) -> Solids:
    """Returns the scenery of a map for the kernels (remembered)."""
    return solids(scenery(network))


@kernels.inner
def view_distance(focal: float) -> float:
    """How far away a camera still sees prisms [m]."""
    return min(max(VIEW * focal, 120.0), 300.0)


@kernels.inner
def visible(
    solids: Any,
    x: float,
    y: float,
    fx: float,
    fy: float,
    tangent: float,
    far: float,
    thin: float,
    found: Ints,
) -> int:
    """Lists the prisms a camera may see, nearer ones first (in steps of 1/64 of its view).

    Args:
        solids: see Solids.
        x: of the camera [m].
        y: likewise [m].
        fx: horizontal direction it looks in, unit vector; (0, 0) for all around.
        fy: likewise.
        tangent: of half its horizontal field of view.
        far: how far it sees [m].
        thin: what looks narrower than this is left out [rad].
        found: indices of the prisms in row 0, overwritten; rows 1 to 3 are scratch. What
            does not fit is left out.

    Returns:
        How many there are.
    """
    columns, rows = solids.size[0], solids.size[1]
    circles, starts = solids.circles, solids.first
    x0, y0 = solids.origin[0], solids.origin[1]
    reach = far + solids.reach[0]
    c0 = max(int(math.floor((x - reach - x0) / GRID_CELL)), 0)
    c1 = min(int(math.floor((x + reach - x0) / GRID_CELL)), columns - 1)
    r0 = max(int(math.floor((y - reach - y0) / GRID_CELL)), 0)
    r1 = min(int(math.floor((y + reach - y0) / GRID_CELL)), rows - 1)
    slant = math.sqrt(1.0 + tangent * tangent)
    cell_radius = 0.7072 * GRID_CELL + solids.reach[0]
    count, room = 0, found.shape[1] - 1
    for row in range(r0, r1 + 1):
        for column in range(c0, c1 + 1):
            first, last = starts[row * columns + column], starts[row * columns + column + 1]
            if first == last:
                continue
            dx, dy = x0 + (column + 0.5) * GRID_CELL - x, y0 + (row + 0.5) * GRID_CELL - y
            if not _in_view(dx, dy, fx, fy, tangent, slant, far, cell_radius):
                continue
            for k in range(np.uint64(first), np.uint64(last)):
                dx, dy, radius = circles[k, 0] - x, circles[k, 1] - y, circles[k, 2]
                narrow = circles[k, 3]
                # Always noted, counted when seen: wrong guesses would cost more.
                is_seen = narrow * narrow >= thin * thin * (dx * dx + dy * dy)
                is_seen &= _in_view(dx, dy, fx, fy, tangent, slant, far, radius)
                found[1, np.uint64(count)] = k
                count = min(count + int(is_seen), room)
    for m in range(np.uint64(count)):
        one = np.uint64(found[1, m])
        dx, dy = circles[one, 0] - x, circles[one, 1] - y
        found[2, m] = int(min(math.sqrt(dx * dx + dy * dy) / far, 1.0) * 63.0)
    _sort_by_step(found, count)
    return count


@kernels.inner
def _sort_by_step(found: Ints, count: int) -> None:
    """Copies row 1 to row 0 in the order of the steps in row 2 (0 to 63), stably."""
    starts = found[3]
    starts[:65] = 0
    for k in range(np.uint64(count)):
        starts[np.uint64(found[2, k] + 1)] += 1
    for k in range(np.uint64(64)):
        starts[k + np.uint64(1)] += starts[k]
    for k in range(np.uint64(count)):
        step = np.uint64(found[2, k])
        found[0, np.uint64(starts[step])] = found[1, k]
        starts[step] += 1


@kernels.inner
def _in_view(
    dx: float,
    dy: float,
    fx: float,
    fy: float,
    tangent: float,
    slant: float,
    far: float,
    radius: float,
) -> bool:
    ahead = dx * fx + dy * fy
    is_near = dx * dx + dy * dy <= (far + radius) * (far + radius)
    is_beside = abs(dx * fy - dy * fx) <= ahead * tangent + radius * slant
    is_everywhere = (fx == 0.0) & (fy == 0.0)
    return is_near & (ahead >= -radius) & (is_beside | is_everywhere)


@kernels.inner
def meet_plan(
    ox: float, oy: float, dx: float, dy: float, half_length: float, half_width: float
) -> tuple[float, float, bool]:
    """Meets a ray with a box in plan view, in the box's own frame.

    Returns:
        Where the ray enters and leaves, in lengths of (dx, dy), and whether it enters
        through the front or rear (else through a side). It misses when it leaves first.
    """
    inverse_x, inverse_y = 1.0 / dx, 1.0 / dy
    a, b = (-half_length - ox) * inverse_x, (half_length - ox) * inverse_x
    c, d = (-half_width - oy) * inverse_y, (half_width - oy) * inverse_y
    enter_x, enter_y = min(a, b), min(c, d)
    leave = min(max(a, b), max(c, d))
    return max(enter_x, enter_y), leave, enter_x >= enter_y


@kernels.inner
def meet_height(
    enter: float, leave: float, height: float, low: float, high: float, inverse_drop: float
) -> tuple[float, int]:
    """Meets a ray with a box whose plan it crosses.

    Args:
        enter: where it enters the plan.
        leave: where it leaves it.
        height: of the camera [m].
        low: underside of the box [m].
        high: its top [m].
        inverse_drop: 1 / (metres the ray falls per unit).

    Returns:
        Where it meets the box, and what: 0 a wall, 1 the top, 2 the underside, -1 nothing.
    """
    a, b = (height - low) * inverse_drop, (height - high) * inverse_drop
    begin, end = min(a, b), max(a, b)
    t = max(enter, begin)
    if t > min(leave, end):
        return t, -1
    if begin <= enter:
        return t, 0
    return t, 1 if inverse_drop > 0.0 else 2


@kernels.inner
def meet_ellipsoid(ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    """Meets a ray with the unit sphere; returns where, or -1."""
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - 1.0
    root = b * b - a * c
    return (-b - math.sqrt(root)) / a if root >= 0.0 and c > 0.0 else -1.0


@kernels.inner
def face_colors(item: Any, light: Any, ox: float, oy: float, colors: Ints) -> None:
    """Colours of the faces a camera at (ox, oy) in the box's frame can see.

    Args:
        item: SOLID record.
        light: LIGHT record.
        ox: of the camera [m].
        oy: likewise [m].
        colors: front or rear, side, top, underside, window, eave; overwritten, (N_FACES,).
    """
    sun_x = item.cos * light.sun_x + item.sin * light.sun_y
    sun_y = -item.sin * light.sun_x + item.cos * light.sun_y
    direct = 1.2 * (1.0 - light.ambient)
    front = light.ambient + direct * max(sun_x if ox > 0.0 else -sun_x, 0.0)
    # Faces at right angles differ a little even without sun.
    side = 0.93 * (light.ambient + direct * max(sun_y if oy > 0.0 else -sun_y, 0.0))
    top = light.ambient + direct * max(light.sun_z, 0.0)
    r, g, b = item.r * light.tint_r, item.g * light.tint_g, item.b * light.tint_b
    colors[0] = pack(r * front, g * front, b * front)
    colors[1] = pack(r * side, g * side, b * side)
    colors[2] = pack(r * top, g * top, b * top)
    colors[3] = pack(r * 0.4, g * 0.4, b * 0.4)
    colors[4] = pack(_WINDOW_COLOR[0], _WINDOW_COLOR[1], _WINDOW_COLOR[2])
    colors[5] = pack(r * 0.36, g * 0.3, b * 0.3)


@kernels.inner
def between_windows(along: float) -> bool:
    """Whether no window can be at this place along a wall [m]."""
    u = along * (1.0 / 2.7) + 1000.5
    u -= math.floor(u)
    return u < 0.29 or u > 0.71


@kernels.inner
def wall_color(wall: int, window: int, eave: int, windows: bool, z: float, high: float) -> int:
    """Picks what a house shows at a height above the road [m].

    Args:
        wall: colours (or inks) to pick from.
        window: likewise.
        eave: likewise.
        windows: whether a window can be at this place along the wall.
        z: the height [m].
        high: of the house [m]; infinite for a wall without eave.
    """
    shown = wall
    if windows:
        v = z * (1.0 / 2.8)
        v -= math.floor(v)
        shown = window if (v > 0.34) & (v < 0.8) & (z < high - 1.0) else wall
    return eave if z > high - 0.7 else shown


@kernels.inner
def crown_light(
    item: Any, light: Any
) -> tuple[float, float, float, float, float, float, float, int]:
    """What the colours of one tree's crown have in common, for `crown_color`.

    Returns:
        The sun in the tree's axes, the light from everywhere and from the sun, where the
        grain starts along both axes, and the colour of the leaves, packed.
    """
    return (
        item.cos * light.sun_x + item.sin * light.sun_y,
        -item.sin * light.sun_x + item.cos * light.sun_y,
        light.sun_z,
        light.ambient,
        (1.0 - light.ambient) * 1.3,
        item.x * 3.0,
        item.y * 3.0,
        pack(item.r * light.tint_r, item.g * light.tint_g, item.b * light.tint_b),
    )


@kernels.inner
def crown_color(
    leaves: tuple[float, float, float, float, float, float, float, int],
    grain: Ints,
    nx: float,
    ny: float,
    nz: float,
) -> int:
    """Colour of a tree's crown.

    Args:
        leaves: see `crown_light`.
        grain: noise texture.
        nx: the point on the unit sphere.
        ny: likewise.
        nz: likewise.
    """
    sun_x, sun_y, sun_z, ambient, direct, begin_u, begin_v, plain = leaves
    lit = max(nx * sun_x + ny * sun_y + nz * sun_z, 0.0)
    bright = (ambient + direct * lit) * (0.8 + 0.2 * nz)
    u = int((nx - ny) * 14.0 + begin_u + 65536.0) & (NOISE_SIZE - 1)
    v = int(nz * 16.0 + begin_v + 65536.0) & (NOISE_SIZE - 1)
    part = int(bright * (256.0 + 0.55 * grain[v * NOISE_SIZE + u]))
    return scale(plain, max(part, 0))


@kernels.inner
def seen(color: int, light: Any, haze: Floats, t: float) -> int:
    """Returns a colour as it looks from a distance t [m]."""
    arrives, veil = air(haze, t)
    return through_air(color, light.haze_color, arrives, veil)
