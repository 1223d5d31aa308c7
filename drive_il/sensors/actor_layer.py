"""The layer of actors, signs and lights in a picture: gathered, drawn, and their shadows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.datatypes import Floats, Ints, Records
from drive_il.sensors.figures import FIGURE, MAX_FIGURES, gather
from drive_il.sensors.inks import put
from drive_il.sensors.lens import INSTANCE, RGB
from drive_il.sensors.light import air, pack, through_air
from drive_il.sensors.modelling import (
    CORNERS,
    N_PLANES,
    N_SCRATCH,
    POSE,
    corner_rectangle,
    draw_ellipsoid,
    draw_frustum,
    set_corner,
    set_corners,
    set_planes,
    set_pose,
)
from drive_il.sensors.models import ELLIPSOID, LAMP
from drive_il.sensors.prisms import NEAR
from drive_il.sensors.shadows import draw_shadows
from drive_il.sensors.tags import Tag

_FIRST_ACTOR, _LAST_ACTOR = int(Tag.PEDESTRIAN), int(Tag.DYNAMIC)
_DETAIL = 1.2  # [pixels] parts that look narrower are left out
_LAMP_LIFT = 0.1  # [m] a lamp shines from before the face it is on
_FAR_LAMP = 70.0  # [m] beyond this a lamp may shrink to a single pixel


@kernels.maker
def figure_scratch() -> tuple[Records, Ints, Records, Floats, Ints, Ints]:
    """Returns figures, their order, a pose, places, faces and a rectangle, all unset."""
    return (
        np.empty(MAX_FIGURES, FIGURE),
        np.empty(MAX_FIGURES, np.int64),
        np.empty(1, POSE),
        np.empty(N_SCRATCH),
        np.empty(N_PLANES, np.int64),
        np.empty(6, np.int64),
    )


@kernels.inner
def _draw_lamp(
    part: Any,
    figure: Any,
    pose: Any,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    scratch: Floats,
    targets: Any,
) -> None:
    """Draws a point of light: a disc in the picture, at least as large as a pixel.

    It shines on its own: night does not darken it, only fog does.
    """
    if part.mask & figure.lights == 0:
        return
    inks, depth, _ = targets
    x, y = part.x0 * figure.half_length, part.y0 * figure.half_width
    z = part.z0 * figure.height
    set_corner(scratch, 0, pose, x, y, z)
    ahead = scratch[CORNERS]
    if ahead < 4.0 * NEAR:
        return
    toward = part.facing * (pose.ox - x)
    if part.facing != 0 and toward < 0.05 * ahead:
        return
    least = part.least if ahead < _FAR_LAMP else 0.5
    radius = max(part.size * lens.focal / ahead, least)
    middle_x = scratch[CORNERS + 1] / ahead * lens.focal + 0.5 * lens.width - 0.5
    middle_y = scratch[CORNERS + 2] / ahead * lens.focal + 0.5 * lens.height - 0.5
    t = ahead - _LAMP_LIFT
    _, veil = air(haze, t)
    color = through_air(pack(part.r, part.g, part.b), light.haze_color, 1.0 - veil, veil)
    # Half open ranges, so that the smallest lamps have one pixel, or two by two, anywhere.
    first_row = max(int(math.ceil(middle_y - radius)), lens.top)
    last_row = min(int(math.ceil(middle_y + radius)), lens.bottom)
    first = max(int(math.ceil(middle_x - radius)), lens.left)
    last = min(int(math.ceil(middle_x + radius)), lens.right)
    is_round = radius > 1.5
    for i in range(first_row, last_row):
        for j in range(first, last):
            u, v = j - middle_x, i - middle_y
            if (is_round and u * u + v * v > radius * radius) or t >= depth[i, j]:
                continue
            depth[i, j] = t
            put(inks[i], j, color)


@kernels.inner
def _is_hidden(part: Any, figure: Any, pose: Any, frame: Any) -> bool:
    """Whether a part is turned away, or its second largest side looks like less than a pixel."""
    if part.facing * pose.ox < 0.0 or part.side * pose.oy < 0.0:
        return True
    a = figure.half_length * (part.x1 - part.x0)
    b = figure.half_width * (part.y1 - part.y0)
    c = figure.height * (part.z1 - part.z0)
    middle = max(min(a, b), min(max(a, b), c))
    return middle < _DETAIL * frame.inverse_focal * figure.distance


@kernels.inner
def _draw_part(
    part: Any,
    figure: Any,
    kind: int,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    pose: Any,
    scratch: Floats,
    faces: Ints,
    box: Ints,
    targets: Any,
) -> None:
    if part.shape == LAMP:
        if kind == RGB:
            _draw_lamp(part, figure, pose, frame, lens, light, haze, scratch, targets)
        return
    if part.is_main == 0 and _is_hidden(part, figure, pose, frame):
        return
    set_corners(part, figure, pose, scratch)
    if not corner_rectangle(scratch, lens, box):
        return
    tag = part.tag if part.tag > 0 else figure.tag
    r, g, b = part.r, part.g, part.b
    if part.own_color == 1:
        r, g, b = figure.r, figure.g, figure.b
    plain = pack(r * light.tint_r, g * light.tint_g, b * light.tint_b)
    view = (kind, frame, lens, light, haze)
    if part.shape == ELLIPSOID:
        draw_ellipsoid(part, figure, pose, plain, tag, *view, box, targets)
        return
    set_planes(part, figure, pose, light, scratch, faces, box)
    if box[4] > 0:  # else the camera is inside
        draw_frustum(part, figure, pose, plain, tag, *view, scratch, faces, box, targets)


@kernels.inner
def draw_actors(
    kind: int,
    models: Any,
    actors: Any,
    row: int,
    ego: Any,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    items: Any,
    found: Ints,
    count: int,
    scratch: Any,
    targets: Any,
) -> int:
    """Draws what has a model in front of what is drawn already, nearest first.

    Args:
        kind: of picture.
        models: see Models.
        actors: see figures.ACTORS.
        row: of the ego.
        ego: its VEHICLE record.
        frame: FRAME record.
        lens: LENS record.
        light: LIGHT record.
        haze: see light.air.
        items: the map's prisms, (N,) SOLID.
        found: those that are seen, in row 0.
        count: how many.
        scratch: see `figure_scratch`.
        targets: inks (H, W), or the ids of an instance picture; depth (H, W) of
            what is drawn already [m]; tags (H, W).

    Returns:
        How many figures there are.
    """
    vehicles, walkers, lights, worlds, slots = actors
    figures, order, poses, places, faces, box = scratch
    world, is_night = worlds[row], light.sun_z < 0.0
    around = (ego, vehicles[world], walkers[world], lights[world], slots[row])
    n = gather(figures, order, frame, lens, is_night, *around, items, found, count)
    parts, first, pose = models.parts, models.first, poses[0]
    work = (frame, lens, light, haze, pose, places, faces, box)
    for m in range(n):
        figure = figures[order[m]]
        set_pose(pose, figure, frame, light)
        for k in range(first[figure.model], first[figure.model + 1]):
            _draw_part(parts[k], figure, kind, *work, targets)
    return n


@kernels.inner
def finish_actors(
    kind: int,
    n: int,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    scratch: Any,
    targets: Any,
) -> None:
    """Adds what needs the ground below: shadows, and the tags of an instance picture."""
    figures, order, poses, places, _, box = scratch
    inks, depth, tags = targets
    if kind == RGB:
        view = (frame, lens, light, haze)
        draw_shadows(figures, order, n, *view, poses[0], places, box, depth, inks)
    elif kind == INSTANCE:
        _put_tags(tags, inks, lens)


@kernels.inner
def _put_tags(tags: Ints, inks: Ints, lens: Any) -> None:
    """Finishes an instance picture: tags in front of the ids, which only actors have."""
    for i in range(lens.top, lens.bottom):
        for j in range(lens.left, lens.right):
            tag = tags[i, j]
            is_actor = _FIRST_ACTOR <= tag <= _LAST_ACTOR
            inks[i, j] = tag | (inks[i, j] if is_actor else 0)
