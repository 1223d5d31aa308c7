"""Draws actors, signs and lights from their models, part by part, pixel by pixel.

Everything happens in the camera's own axes: a pixel looks along forward + a right + b down,
and the reciprocal of the depth at which its ray meets a plane is linear in a and b. Of a
convex solid the ray meets the furthest of the planes that face the camera, if it does so
before it leaves through one of the others. Level cameras and all others share this code.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.datatypes import Floats, Ints
from drive_il.sensors.inks import put
from drive_il.sensors.lens import INSTANCE, RGB, SEMANTIC, columns, offset, rows
from drive_il.sensors.light import air, pack, scale, through_air
from drive_il.sensors.models import PLAIN, STRIPES
from drive_il.sensors.prisms import NEAR, meet_ellipsoid, seen
from drive_il.sensors.sign_faces import face_color

POSE = np.dtype(
    [
        ("x_forward", "f8"),  # the figure's x axis along the camera's axes
        ("x_right", "f8"),
        ("x_down", "f8"),
        ("y_forward", "f8"),
        ("y_right", "f8"),
        ("y_down", "f8"),
        ("z_forward", "f8"),
        ("z_right", "f8"),
        ("z_down", "f8"),
        ("ox", "f8"),  # [m] where the camera is, in the figure's axes
        ("oy", "f8"),
        ("oz", "f8"),
        ("sun_x", "f8"),  # the sun in the figure's axes
        ("sun_y", "f8"),
    ]
)
"""How a figure lies before the camera."""

N_PLANES = 6
N_SCRATCH = 64
"""length of the scratch array"""
CORNERS = 30
"""where the corners start in it: forward, right and down of each [m]; planes lie before"""
_FORWARD, _RIGHT, _DOWN, _BASE, _BRIGHT = 0, 6, 12, 18, 24
_FRONT, _REAR, _LEFT, _TURNED, _TOP, _FOOT = range(6)
_STEP = 0.55  # [m] a foot swings at most, per metre of height and unit of swing


@kernels.inner
def set_pose(pose: Any, figure: Any, frame: Any, light: Any) -> None:
    """Turns the camera's axes into the figure's; `light` may be unset where there is none."""
    cos, sin = figure.cos, figure.sin
    pose.x_forward = cos * frame.forward_x + sin * frame.forward_y
    pose.x_right = cos * frame.right_x + sin * frame.right_y
    pose.x_down = -(cos * frame.up_x + sin * frame.up_y)
    pose.y_forward = -sin * frame.forward_x + cos * frame.forward_y
    pose.y_right = -sin * frame.right_x + cos * frame.right_y
    pose.y_down = -(-sin * frame.up_x + cos * frame.up_y)
    pose.z_forward, pose.z_right, pose.z_down = frame.forward_z, frame.right_z, -frame.up_z
    gap_x, gap_y = frame.x - figure.x, frame.y - figure.y
    pose.ox, pose.oy = cos * gap_x + sin * gap_y, -sin * gap_x + cos * gap_y
    pose.oz = frame.z - figure.low
    pose.sun_x = cos * light.sun_x + sin * light.sun_y
    pose.sun_y = -sin * light.sun_x + cos * light.sun_y


@kernels.inner
def set_corner(scratch: Floats, k: int, pose: Any, x: float, y: float, z: float) -> None:
    """Puts corner k of 8, given in the figure's axes [m], into the camera's axes."""
    dx, dy, dz = x - pose.ox, y - pose.oy, z - pose.oz
    at = CORNERS + 3 * k
    scratch[at] = dx * pose.x_forward + dy * pose.y_forward + dz * pose.z_forward
    scratch[at + 1] = dx * pose.x_right + dy * pose.y_right + dz * pose.z_right
    scratch[at + 2] = dx * pose.x_down + dy * pose.y_down + dz * pose.z_down


@kernels.inner
def corner_rectangle(scratch: Floats, lens: Any, box: Ints) -> bool:
    """Finds the pixels that the hull of the 8 corners may cover: rows, then columns, in box.

    What is behind the camera is cut off: the hull meets the plane of nearest sight in
    points between a corner before it and one behind it.

    Returns:
        Whether there are any.
    """
    left, right, top, foot = np.inf, -np.inf, np.inf, -np.inf
    behind = 0
    for k in range(8):
        at = CORNERS + 3 * k
        ahead = scratch[at]
        if ahead < NEAR:
            behind += 1
            continue
        a, b = scratch[at + 1] / ahead, scratch[at + 2] / ahead
        left, right, top, foot = min(left, a), max(right, a), min(top, b), max(foot, b)
    if behind == 8:
        return False
    if behind > 0:
        for k in range(8):
            at = CORNERS + 3 * k
            if scratch[at] < NEAR:
                continue
            for m in range(8):
                of = CORNERS + 3 * m
                if scratch[of] >= NEAR:
                    continue
                u = (scratch[at] - NEAR) / (scratch[at] - scratch[of])
                a = (scratch[at + 1] + u * (scratch[of + 1] - scratch[at + 1])) / NEAR
                b = (scratch[at + 2] + u * (scratch[of + 2] - scratch[at + 2])) / NEAR
                left, right, top, foot = min(left, a), max(right, a), min(top, b), max(foot, b)
    box[0], box[1] = rows(top, foot, lens)
    box[2], box[3] = columns(left, right, lens)
    return box[0] < box[1] and box[2] < box[3]


@kernels.inner
def _set_plane(
    scratch: Floats,
    faces: Ints,
    box: Ints,
    face: int,
    pose: Any,
    light: Any,
    x: float,
    y: float,
    z: float,
    nx: float,
    ny: float,
    nz: float,
) -> None:
    """Enters the plane through a point with an outward normal of any length.

    Planes that face the camera are entered from the front, the others from the back.
    """
    gap = nx * (pose.ox - x) + ny * (pose.oy - y) + nz * (pose.oz - z)
    if abs(gap) < 1e-12:
        gap = -1e-12
    if gap > 0.0:
        k = box[4]
        box[4] += 1
    else:
        box[5] -= 1
        k = box[5]
    part = -1.0 / gap
    faces[k] = face
    scratch[_FORWARD + k] = part * (nx * pose.x_forward + ny * pose.y_forward + nz * pose.z_forward)
    scratch[_RIGHT + k] = part * (nx * pose.x_right + ny * pose.y_right + nz * pose.z_right)
    scratch[_DOWN + k] = part * (nx * pose.x_down + ny * pose.y_down + nz * pose.z_down)
    if gap > 0.0:
        size = math.sqrt(nx * nx + ny * ny + nz * nz)
        sun = (nx * pose.sun_x + ny * pose.sun_y + nz * light.sun_z) / size
        bright = light.ambient + 1.2 * (1.0 - light.ambient) * max(sun, 0.0)
        # Faces at right angles differ a little even without sun.
        bright *= 1.0 - 0.09 * abs(ny) / size - (0.5 if nz < -0.9 * size else 0.0)
        scratch[_BRIGHT + k] = bright


@kernels.inner
def set_corners(part: Any, figure: Any, pose: Any, scratch: Floats) -> None:
    """Enters the corners of a part."""
    length, width, height = figure.half_length, figure.half_width, figure.height
    step = part.swing * figure.swing * height * _STEP
    for k in range(4):
        x = (part.x1 if k & 1 else part.x0) * length + step
        y = (part.y1 if k & 2 else part.y0) * width
        set_corner(scratch, k, pose, x, y, part.z0 * height)
        x = (part.top_x1 if k & 1 else part.top_x0) * length
        y = (part.top_y1 if k & 2 else part.top_y0) * width
        set_corner(scratch, k + 4, pose, x, y, part.z1 * height)


@kernels.inner
def set_planes(
    part: Any, figure: Any, pose: Any, light: Any, scratch: Floats, faces: Ints, box: Ints
) -> None:
    """Enters the planes of a truncated pyramid; how many face the camera is left in box[4]."""
    length, width, height = figure.half_length, figure.half_width, figure.height
    step = part.swing * figure.swing * height * _STEP
    x0, x1 = part.x0 * length + step, part.x1 * length + step
    y0, y1, z0 = part.y0 * width, part.y1 * width, part.z0 * height
    top_x0, top_x1 = part.top_x0 * length, part.top_x1 * length
    top_y0, top_y1, z1 = part.top_y0 * width, part.top_y1 * width, part.z1 * height
    box[4], box[5] = 0, N_PLANES
    tall = z1 - z0
    _set_plane(scratch, faces, box, _FRONT, pose, light, x1, y0, z0, tall, 0.0, x1 - top_x1)
    _set_plane(scratch, faces, box, _REAR, pose, light, x0, y0, z0, -tall, 0.0, top_x0 - x0)
    _set_plane(scratch, faces, box, _LEFT, pose, light, x0, y1, z0, 0.0, tall, y1 - top_y1)
    _set_plane(scratch, faces, box, _TURNED, pose, light, x0, y0, z0, 0.0, -tall, top_y0 - y0)
    _set_plane(scratch, faces, box, _TOP, pose, light, x0, y0, z1, 0.0, 0.0, 1.0)
    _set_plane(scratch, faces, box, _FOOT, pose, light, x0, y0, z0, 0.0, 0.0, -1.0)


@kernels.inner
def _patterned(part: Any, figure: Any, pose: Any, face: int, t: float, a: float, b: float) -> int:
    """Colour of a place on a face with something drawn on it; -1 where it is cut away."""
    plain = pack(figure.r, figure.g, figure.b)
    if face >= _TOP:
        return plain if part.face == STRIPES else -1
    x = pose.ox + t * (pose.x_forward + a * pose.x_right + b * pose.x_down)
    y = pose.oy + t * (pose.y_forward + a * pose.y_right + b * pose.y_down)
    z = pose.oz + t * (pose.z_forward + a * pose.z_right + b * pose.z_down)
    v = 2.0 * z / figure.height - 1.0
    half = 0.5 * figure.height
    if part.face == STRIPES and face >= _LEFT:
        length = figure.half_length
        u = x / length if face == _TURNED else -x / length
        return face_color(part.face, u, v, length, half, 0, plain)
    width = figure.half_width
    # Seen from before it, left of a figure is right of the picture.
    u = y / width if face == _FRONT else -y / width
    color = face_color(part.face, u, v, width, half, figure.number, plain)
    return color if face == _FRONT or part.face == STRIPES or color < 0 else plain


@kernels.inner
def draw_frustum(
    part: Any,
    figure: Any,
    pose: Any,
    plain: int,
    tag: int,
    kind: int,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    scratch: Floats,
    faces: Ints,
    box: Ints,
    targets: Any,
) -> None:
    """Draws the truncated pyramid whose planes and rectangle are entered."""
    inks, depth, tags = targets
    n_front = box[4]
    arrives, veil = air(haze, figure.distance) if kind == RGB else (1.0, 0.0)
    is_plain = part.face == PLAIN
    for i in range(box[0], box[1]):
        b = offset(i, lens.height, frame.inverse_focal)
        for k in range(N_PLANES):
            scratch[_BASE + k] = scratch[_FORWARD + k] + b * scratch[_DOWN + k]
        for j in range(box[2], box[3]):
            a = offset(j, lens.width, frame.inverse_focal)
            near, shown = np.inf, 0
            for k in range(n_front):
                w = scratch[_BASE + k] + a * scratch[_RIGHT + k]
                if w < near:
                    near, shown = w, k
            far = 0.0
            for k in range(n_front, N_PLANES):
                far = max(far, scratch[_BASE + k] + a * scratch[_RIGHT + k])
            if near <= far or near > 1.0 / NEAR:
                continue
            t = 1.0 / near
            if t >= depth[i, j]:
                continue
            color = plain
            if not is_plain:
                color = _patterned(part, figure, pose, faces[shown], t, a, b)
                if color < 0:
                    continue
            depth[i, j] = t
            if kind == RGB:
                color = scale(color, int(256.0 * scratch[_BRIGHT + shown]))
                put(inks[i], j, through_air(color, light.haze_color, arrives, veil))
            elif kind >= SEMANTIC:
                tags[i, j] = tag
                if kind == INSTANCE:
                    inks[i, j] = (figure.id & 0xFFFF) << 8


@kernels.inner
def draw_ellipsoid(
    part: Any,
    figure: Any,
    pose: Any,
    plain: int,
    tag: int,
    kind: int,
    frame: Any,
    lens: Any,
    light: Any,
    haze: Floats,
    box: Ints,
    targets: Any,
) -> None:
    """Draws the ellipsoid in a part's bottom rectangle and height."""
    inks, depth, tags = targets
    length, width, height = figure.half_length, figure.half_width, figure.height
    rx = 0.5 * (part.x1 - part.x0) * length
    ry = 0.5 * (part.y1 - part.y0) * width
    rz = 0.5 * (part.z1 - part.z0) * height
    sx, sy, sz = 1.0 / rx, 1.0 / ry, 1.0 / rz
    ox = (pose.ox - 0.5 * (part.x1 + part.x0) * length) * sx
    oy = (pose.oy - 0.5 * (part.y1 + part.y0) * width) * sy
    oz = (pose.oz - 0.5 * (part.z1 + part.z0) * height) * sz
    direct = 1.2 * (1.0 - light.ambient)
    for i in range(box[0], box[1]):
        b = offset(i, lens.height, frame.inverse_focal)
        for j in range(box[2], box[3]):
            a = offset(j, lens.width, frame.inverse_focal)
            dx = (pose.x_forward + a * pose.x_right + b * pose.x_down) * sx
            dy = (pose.y_forward + a * pose.y_right + b * pose.y_down) * sy
            dz = (pose.z_forward + a * pose.z_right + b * pose.z_down) * sz
            t = meet_ellipsoid(ox, oy, oz, dx, dy, dz)
            if t < NEAR or t >= depth[i, j]:
                continue
            depth[i, j] = t
            if kind == RGB:
                nx, ny, nz = (ox + t * dx) * sx, (oy + t * dy) * sy, (oz + t * dz) * sz
                sun = nx * pose.sun_x + ny * pose.sun_y + nz * light.sun_z
                sun /= math.sqrt(nx * nx + ny * ny + nz * nz)
                bright = light.ambient + direct * max(sun, 0.0)
                put(inks[i], j, seen(scale(plain, int(256.0 * bright)), light, haze, t))
            elif kind >= SEMANTIC:
                tags[i, j] = tag
                if kind == INSTANCE:
                    inks[i, j] = (figure.id & 0xFFFF) << 8
