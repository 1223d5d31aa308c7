"""What is drawn on the faces of signs, lights and barriers: shapes, digits, lamps."""

from __future__ import annotations

import math

from drive_il import kernels
from drive_il.sensors.light import pack
from drive_il.sensors.models import (
    LAMP_HEIGHTS,
    LAMP_RADIUS,
    LIGHT_FACE,
    SPEED_FACE,
    STOP_FACE,
    STRIPES,
)

_TOP, _MIDDLE, _FOOT = LAMP_HEIGHTS
# Three columns and five rows of bits each, from the upper left corner.
_DIGITS = (
    0b111101101101111,
    0b010110010010111,
    0b111001111100111,
    0b111001111001111,
    0b101101111001001,
    0b111100111001111,
    0b111100111101111,
    0b111001001010010,
    0b111101111101111,
    0b111101111001111,
)
_STOP = (0b111100111001111, 0b111010010010010, 0b111101101101111, 0b111101111100100)


@kernels.inner
def _is_ink(bits: int, column: int, row: int) -> bool:
    return (bits >> (14 - 3 * row - column)) & 1 == 1


@kernels.inner
def _stop(u: float, v: float) -> int:
    edge = max(max(abs(u), abs(v)), (abs(u) + abs(v)) * 0.7071)
    if edge > 1.0:
        return -1
    row, column = int((0.36 - v) * (5.0 / 0.72)), int((u + 0.78) * (15.0 / 1.56))
    is_written = abs(v) < 0.36 and abs(u) < 0.78 and column % 4 < 3 and row < 5
    if is_written and not _is_ink(_STOP[min(column >> 2, 3)], column % 4, row):
        is_written = False
    is_white = is_written or edge > 0.91
    return pack(244.0, 242.0, 238.0) if is_white else pack(196.0, 20.0, 28.0)


@kernels.inner
def _yield(u: float, v: float) -> int:
    side = 0.5 * (v + 1.0) - abs(u)
    if side < 0.0:
        return -1
    return pack(244.0, 242.0, 238.0) if side > 0.24 and v < 0.74 else pack(206.0, 24.0, 30.0)


@kernels.inner
def _speed(u: float, v: float, number: int) -> int:
    square = u * u + v * v
    if square > 1.0:
        return -1
    if square > 0.6:
        return pack(206.0, 24.0, 30.0)
    n_digits = 1 if number < 10 else (2 if number < 100 else 3)
    half = 0.46 if n_digits < 3 else 0.6
    column = int(math.floor((u + half) * (4.0 * n_digits - 1.0) / (2.0 * half)))
    row = int(math.floor((0.42 - v) * (5.0 / 0.84)))
    if 0 <= column < 4 * n_digits - 1 and 0 <= row < 5 and column % 4 < 3:
        left = n_digits - 1 - (column >> 2)
        digit = (number // (1 if left == 0 else (10 if left == 1 else 100))) % 10
        if _is_ink(_DIGITS[digit], column % 4, row):
            return pack(16.0, 16.0, 18.0)
    return pack(244.0, 242.0, 238.0)


@kernels.inner
def _light(u: float, v: float, half_width: float, half_height: float) -> int:
    """A light's face; lamps that are lit are added later, as points of light."""
    x = u * half_width
    for lamp in range(3):
        share = _TOP if lamp == 0 else (_MIDDLE if lamp == 1 else _FOOT)
        y = (v + 1.0 - 2.0 * share) * half_height
        if x * x + y * y < LAMP_RADIUS * LAMP_RADIUS:
            if lamp == 0:
                return pack(70.0, 16.0, 16.0)
            return pack(66.0, 54.0, 14.0) if lamp == 1 else pack(14.0, 58.0, 34.0)
    if abs(u) > 0.9 or abs(v) > 0.96:
        return pack(150.0, 148.0, 120.0)
    return pack(24.0, 25.0, 27.0)


@kernels.inner
def face_color(
    face: int, u: float, v: float, half_width: float, half_height: float, number: int, plain: int
) -> int:
    """What a face shows at one place; u to the right and v up, both in [-1, 1].

    Args:
        face: see models.
        u: the place.
        v: likewise.
        half_width: of the face [m].
        half_height: likewise [m].
        number: what is written on it.
        plain: packed colour of the actor.

    Returns:
        A packed colour, or -1 where the face has been cut away.
    """
    if face == STRIPES:
        along = (u * half_width + v * half_height) * 1.6 + 1000.0
        return plain if along - math.floor(along) < 0.5 else pack(238.0, 236.0, 230.0)
    if face == STOP_FACE:
        return _stop(u, v)
    if face == SPEED_FACE:
        return _speed(u, v, number)
    if face == LIGHT_FACE:
        return _light(u, v, half_width, half_height)
    return _yield(u, v)
