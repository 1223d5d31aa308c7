"""The shadows that actors throw on the ground: of the sun, and the dark right below them."""

from __future__ import annotations

from typing import Any

from drive_il import kernels
from drive_il.datatypes import Floats, Ints
from drive_il.sensors.backdrop import ground_depth
from drive_il.sensors.lens import offset
from drive_il.sensors.light import air
from drive_il.sensors.modelling import corner_rectangle, set_corner, set_pose
from drive_il.sensors.models import CONE, WALKER
from drive_il.sensors.prisms import meet_plan

_SUN, _BELOW = 0.42, 0.35  # how much darker the ground is
_LOWEST_SUN = 0.35  # a sun lower than this throws shadows as if it stood there
_REACH = 0.75  # of the height: an actor is no box up to its top
_LEAST = 1.5  # [pixels] smaller actors throw none


@kernels.inner
def _darken(
    pose: Any,
    half_length: float,
    half_width: float,
    throw_x: float,
    throw_y: float,
    sun: int,
    below: int,
    frame: Any,
    lens: Any,
    box: Ints,
    depth: Floats,
    inks: Ints,
) -> None:
    for i in range(box[0], box[1]):
        b = offset(i, lens.height, frame.inverse_focal)
        for j in range(box[2], box[3]):
            a = offset(j, lens.width, frame.inverse_focal)
            drop = pose.z_forward + a * pose.z_right + b * pose.z_down
            if drop >= 0.0:
                continue
            t = ground_depth(frame.z, drop)
            if depth[i, j] <= t:
                continue
            x = pose.ox + t * (pose.x_forward + a * pose.x_right + b * pose.x_down)
            y = pose.oy + t * (pose.y_forward + a * pose.y_right + b * pose.y_down)
            part = 256
            if abs(x) < half_length and abs(y) < half_width:
                part = below
            else:
                # Is any of the footprint between this place and the sun?
                enter, leave, _ = meet_plan(x, y, -throw_x, -throw_y, half_length, half_width)
                if enter < leave and enter < 1.0 and leave > 0.0:
                    part = sun
            if part < 256:
                word = int(inks[i, j])
                even, odd = (word & 0xFF00FF) * part, (word & 0xFF00) * part
                inks[i, j] = (even >> 8) & 0xFF00FF | (odd >> 8) & 0xFF00


@kernels.inner
def draw_shadows(
    figures: Any,
    order: Ints,
    n: int,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    pose: Any,
    scratch: Floats,
    box: Ints,
    depth: Floats,
    inks: Ints,
) -> None:
    """Darkens the ground of a finished picture; arguments as `modelling.draw_figures`."""
    if light.sun_z <= 0.0:
        return
    for m in range(n):
        figure = figures[order[m]]
        if figure.model > WALKER and figure.model != CONE:
            continue
        if 2.0 * figure.radius < _LEAST * frame.inverse_focal * figure.distance:
            continue
        set_pose(pose, figure, frame, light)
        share = 0.6 if figure.model == WALKER else 0.96
        half_length, half_width = share * figure.half_length, share * figure.half_width
        # A little aslant even at noon, so that no direction is nought.
        throw = _REACH * figure.height / max(light.sun_z, _LOWEST_SUN)
        throw_x, throw_y = 1e-6 - throw * pose.sun_x, 1e-6 - throw * pose.sun_y
        for k in range(8):
            x = half_length if k & 1 else -half_length
            y = half_width if k & 2 else -half_width
            if k & 4:
                x, y = x + throw_x, y + throw_y
            set_corner(scratch, k, pose, x, y, 0.0)
        if not corner_rectangle(scratch, lens, box):
            continue
        arrives, _ = air(haze, figure.distance)
        sun = _SUN * light.glow
        below = sun + (1.0 - sun) * _BELOW
        _darken(
            pose,
            half_length,
            half_width,
            throw_x,
            throw_y,
            int(256.0 * (1.0 - arrives * sun)),
            int(256.0 * (1.0 - arrives * below)),
            frame,
            lens,
            box,
            depth,
            inks,
        )
