"""Where a camera stands and which ray each pixel looks along."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.datatypes import Floats, Records
from drive_il.sensor_specs import CameraSpec

RGB, DEPTH, SEMANTIC, INSTANCE = 0, 1, 2, 3
KINDS = {"rgb": RGB, "depth": DEPTH, "semantic": SEMANTIC, "instance": INSTANCE}

BLOCK = 128
"""pixels of a row that are coloured at once: their scratch stays in the nearest cache, and as its
rows have a fixed length the compiler knows that they do not overlap"""

LENS = np.dtype(
    [
        ("kind", "i8"),
        ("width", "i8"),
        ("height", "i8"),
        ("left", "i8"),  # first column that is drawn
        ("right", "i8"),  # last column that is drawn + 1
        ("top", "i8"),  # first row that is drawn
        ("bottom", "i8"),  # last row that is drawn + 1
        ("focal", "f8"),  # [pixels]
        ("x", "f8"),  # [m] on the ego, as CameraSpec
        ("y", "f8"),
        ("z", "f8"),
        ("yaw", "f8"),  # [rad]
        ("pitch", "f8"),
        ("roll", "f8"),
    ]
)
"""A CameraSpec for kernels, and which part of its picture is drawn."""

FRAME = np.dtype(
    [
        ("x", "f8"),  # [m] where the camera is
        ("y", "f8"),
        ("z", "f8"),  # [m] above the road
        ("forward_x", "f8"),  # unit vectors of its axes, world frame
        ("forward_y", "f8"),
        ("forward_z", "f8"),
        ("right_x", "f8"),
        ("right_y", "f8"),
        ("right_z", "f8"),
        ("up_x", "f8"),
        ("up_y", "f8"),
        ("up_z", "f8"),
        ("inverse_focal", "f8"),
    ]
)
"""The camera's pose in one picture."""


def lenses_of(spec: CameraSpec, n_bands: int, top: int, bottom: int) -> Records:
    """Returns LENS records of one camera, a band of columns each, some rows only, (n_bands,)."""
    lenses = np.zeros(n_bands, LENS)
    bounds = [spec.width * band // n_bands // 8 * 8 for band in range(n_bands)]  # whole vectors
    bounds.append(spec.width)
    focal = spec.width / (2.0 * math.tan(math.radians(spec.fov) / 2.0))
    for band in range(n_bands):
        lenses[band] = (
            KINDS[spec.kind],
            spec.width,
            spec.height,
            bounds[band],
            bounds[band + 1],
            top,
            bottom,
            focal,
            spec.x,
            spec.y,
            spec.z,
            spec.yaw,
            spec.pitch,
            spec.roll,
        )
    return lenses


@kernels.inner
def at(row: int, j: Any) -> Any:
    """Where pixel j is in a row of scratch; without a sign, or the compiler would look at it."""
    return np.uint64(row + j)


@kernels.inner
def set_frame(frame: Any, lens: Any, ego: Any) -> None:
    """Puts the camera on an ego: yaw about z, then pitch, then roll about the optical axis.

    Args:
        frame: FRAME record, overwritten.
        lens: LENS record.
        ego: VEHICLE record.
    """
    cos_ego, sin_ego = math.cos(ego.heading), math.sin(ego.heading)
    frame.x = ego.x + cos_ego * lens.x - sin_ego * lens.y
    frame.y = ego.y + sin_ego * lens.x + cos_ego * lens.y
    frame.z = lens.z
    frame.inverse_focal = 1.0 / lens.focal
    heading = ego.heading + lens.yaw
    cos, sin = math.cos(heading), math.sin(heading)
    cos_pitch, sin_pitch = math.cos(lens.pitch), math.sin(lens.pitch)
    cos_roll, sin_roll = math.cos(lens.roll), math.sin(lens.roll)
    frame.forward_x, frame.forward_y, frame.forward_z = cos_pitch * cos, cos_pitch * sin, sin_pitch
    up_x, up_y, up_z = -sin_pitch * cos, -sin_pitch * sin, cos_pitch
    frame.right_x = cos_roll * sin - sin_roll * up_x
    frame.right_y = -cos_roll * cos - sin_roll * up_y
    frame.right_z = -sin_roll * up_z
    frame.up_x = cos_roll * up_x + sin_roll * sin
    frame.up_y = cos_roll * up_y - sin_roll * cos
    frame.up_z = cos_roll * up_z


@kernels.inner
def offset(pixel: int, n_pixels: int, inverse_focal: float) -> float:
    """Where a pixel's middle is, from the picture's middle, on a plane at distance 1."""
    return (pixel + 0.5 - 0.5 * n_pixels) * inverse_focal


@kernels.inner
def corner_bounds(frame: Any, item: Any, bounds: Floats) -> bool:
    """Bounds what a prism can cover in the picture.

    Args:
        frame: FRAME record.
        item: SOLID record.
        bounds: least and greatest offset to the right, then down; overwritten, (4,).

    Returns:
        Whether any of it is in front of the camera. Of a prism beside the camera, or
        around it, nothing is known: the bounds are infinite.
    """
    bounds[0], bounds[1], bounds[2], bounds[3] = np.inf, -np.inf, np.inf, -np.inf
    behind = 0
    for k in range(8):
        u = item.half_length if k & 1 else -item.half_length
        v = item.half_width if k & 2 else -item.half_width
        dx = item.x + item.cos * u - item.sin * v - frame.x
        dy = item.y + item.sin * u + item.cos * v - frame.y
        dz = (item.high if k & 4 else item.low) - frame.z
        ahead = frame.forward_x * dx + frame.forward_y * dy + frame.forward_z * dz
        if ahead < 0.1:
            behind += 1
            continue
        a = (frame.right_x * dx + frame.right_y * dy + frame.right_z * dz) / ahead
        b = -(frame.up_x * dx + frame.up_y * dy + frame.up_z * dz) / ahead
        bounds[0], bounds[1] = min(bounds[0], a), max(bounds[1], a)
        bounds[2], bounds[3] = min(bounds[2], b), max(bounds[3], b)
    if 0 < behind < 8:
        bounds[0], bounds[1], bounds[2], bounds[3] = -np.inf, np.inf, -np.inf, np.inf
    return behind < 8


@kernels.inner
def pixel_range(low: float, high: float, focal: float, n_pixels: int) -> tuple[int, int]:
    """Returns first and last + 1 of the pixels whose middles lie between two offsets."""
    # Rounding must not lose a pixel whose middle lies on the border.
    first = math.ceil(max(low * focal + 0.5 * n_pixels - 0.5 - 1e-6, 0.0))
    last = math.floor(min(high * focal + 0.5 * n_pixels - 0.5 + 1e-6, n_pixels - 1.0)) + 1
    return int(min(first, n_pixels)), int(max(last, 0.0))


@kernels.inner
def columns(low: float, high: float, lens: Any) -> tuple[int, int]:
    """Returns first and last + 1 of the drawn columns between two offsets to the right."""
    first, last = pixel_range(low, high, lens.focal, lens.width)
    return max(first, lens.left), min(last, lens.right)


@kernels.inner
def rows(low: float, high: float, lens: Any) -> tuple[int, int]:
    """Returns first and last + 1 of the drawn rows between two offsets down."""
    first, last = pixel_range(low, high, lens.focal, lens.height)
    return max(first, lens.top), min(last, lens.bottom)
