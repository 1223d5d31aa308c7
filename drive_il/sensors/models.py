"""What actors, signs and lights are made of: a few solids and lamps each.

A model fills the box of its actor whatever its size: places along the length and the width
are shares of the half sizes (-1 rear or right, +1 front or left), heights are shares of
the height. Solids are truncated pyramids (a box whose top may be smaller or shifted) and
ellipsoids. Lamps are points of light that no distance makes smaller than a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import ActorKind, LightState, VehicleLight
from drive_il.datatypes import Ints, Records
from drive_il.sensors.tags import Tag

FRUSTUM, ELLIPSOID, LAMP = 0, 1, 2
PLAIN, STOP_FACE, YIELD_FACE, SPEED_FACE, LIGHT_FACE, STRIPES = range(6)
"""what is drawn on a solid's front"""
WALKER, STOP, YIELD, SPEED, LIGHT, CONE = (len(ActorKind) + k for k in range(6))
"""models beside those of the kinds of vehicle"""
N_MODELS = len(ActorKind) + 6

PART = np.dtype(
    [
        ("shape", "i8"),
        ("face", "i8"),  # what is drawn on it
        ("x0", "f8"),  # rear, front, right, left and height of its bottom
        ("x1", "f8"),
        ("y0", "f8"),
        ("y1", "f8"),
        ("z0", "f8"),
        ("top_x0", "f8"),  # likewise of its top
        ("top_x1", "f8"),
        ("top_y0", "f8"),
        ("top_y1", "f8"),
        ("z1", "f8"),
        ("swing", "f8"),  # [m] how far its bottom (a foot) swings forward while walking
        ("size", "f8"),  # [m] a lamp's radius
        ("least", "f8"),  # [pixels] the least radius it is seen with
        ("facing", "i8"),  # seen from before the actor only 1, from behind -1, either 0
        ("side", "i8"),  # seen from its left only 1, from its right -1, either 0
        ("mask", "i8"),  # lights of which one at least must be on
        ("is_main", "i8"),  # it is drawn however small it looks
        ("own_color", "i8"),  # it has the actor's colour
        ("r", "i8"),
        ("g", "i8"),
        ("b", "i8"),
        ("tag", "i8"),  # 0: the actor's
    ]
)
"""One part of a model, as the kernels take it."""


class Models(NamedTuple):
    """All models.

    Attributes:
        parts: (N,) PART, model after model.
        first: first part of each model, then N, (N_MODELS + 1,) int64.
    """

    parts: Records
    first: Ints


MODELS = nt.NamedTuple((kernels.record(PART)[::1], nt.int64[::1]), Models)
"""Numba type of Models."""

Color = tuple[int, int, int]
Range = tuple[float, float]
_GLASS = (38, 46, 56)
_TYRE = (22, 22, 24)
_RIM = (150, 152, 156)
_DARK = (44, 44, 48)
_RED_LENS, _WHITE_LENS = (118, 18, 20), (206, 208, 200)
_RED, _DIM_RED, _AMBER = (255, 32, 24), (176, 18, 16), (255, 160, 24)
_WHITE, _BLUE, _GREEN, _YELLOW = (255, 250, 226), (60, 120, 255), (40, 235, 120), (255, 196, 30)
_SKIN, _TROUSERS, _SHOES = (206, 160, 130), (52, 58, 78), (30, 28, 28)
_AT_NIGHT = VehicleLight.POSITION | VehicleLight.LOW_BEAM | VehicleLight.HIGH_BEAM


@dataclass(frozen=True)
class _Part:
    """A part in the making; `color` None is the actor's own."""

    x: Range
    y: Range
    z: Range
    color: Color | None = None
    top_x: Range | None = None
    top_y: Range | None = None
    shape: int = FRUSTUM
    face: int = PLAIN
    swing: float = 0.0
    size: float = 0.0
    least: float = 0.5
    facing: int = 0
    side: int = 0
    mask: int = 0
    is_main: bool = False
    tag: int = 0

    def mirrored(self) -> _Part:
        """The same on the other side."""
        top = self.top_y and (-self.top_y[1], -self.top_y[0])
        return replace(self, y=(-self.y[1], -self.y[0]), top_y=top, side=-self.side)

    def record(self) -> tuple[float, ...]:
        """Its PART."""
        color = self.color or (0, 0, 0)
        bottom, top = (*self.x, *self.y), (*(self.top_x or self.x), *(self.top_y or self.y))
        shape = (self.shape, self.face, *bottom, self.z[0], *top, self.z[1])
        lamp = (self.swing, self.size, self.least, self.facing, self.side, self.mask)
        return (*shape, *lamp, self.is_main, self.color is None, *color, self.tag)


def _both(*parts: _Part) -> list[_Part]:
    return [side for part in parts for side in (part, part.mirrored())]


def _lamp(x: float, y: float, z: float, color: Color, size: float, mask: int, facing: int) -> _Part:
    return _Part(
        (x, x), (y, y), (z, z), color, shape=LAMP, size=size, facing=facing, mask=int(mask)
    )


def _wheels(x: float, length: float, height: float, wide: float = 0.15) -> list[_Part]:
    """A pair of wheels with rims; sizes as shares."""
    tyre = _Part(
        (x - length, x + length), (1.0 - 2 * wide, 1.0), (0.0, height), _TYRE, shape=ELLIPSOID
    )
    rim = _Part(
        (x - 0.55 * length, x + 0.55 * length),
        (1.0 - wide, 1.004),
        (0.22 * height, 0.78 * height),
        _RIM,
        shape=ELLIPSOID,
        side=1,
    )
    return _both(tyre, rim)


def _lamps(rear: float, front: float, y: float, z: float, front_z: float) -> list[_Part]:
    """Brake, tail, reversing, head and emergency lamps and indicators of a vehicle."""
    lights = VehicleLight
    left = [
        _lamp(rear, y, z, _RED, 0.13, lights.BRAKE, -1),
        _lamp(rear, y, z, _DIM_RED, 0.09, _AT_NIGHT, -1),
        _lamp(rear, 0.6 * y, z, _WHITE, 0.06, lights.REVERSE, -1),
        _lamp(front, 0.9 * y, front_z, _WHITE, 0.13, _AT_NIGHT, 1),
        _lamp(0.0, 0.5, 1.02, _BLUE, 0.13, lights.SPECIAL1 | lights.SPECIAL2, 0),
    ]
    blinkers = []
    for side, mask in ((1.0, lights.LEFT_BLINKER), (-1.0, lights.RIGHT_BLINKER)):
        for x, height, facing in ((rear, z + 0.05, -1), (front, front_z, 1)):
            blinkers.append(_lamp(x, side * 0.97, height, _AMBER, 0.1, mask, facing))
    return blinkers + _both(*left)


def _lenses(z: Range, front_z: Range, y: Range) -> list[_Part]:
    """What the lamps look like when they are off, and the number plate."""
    rear = _Part((-1.0, -0.985), y, z, _RED_LENS, facing=-1)
    front = _Part((0.985, 1.0), y, front_z, _WHITE_LENS, facing=1)
    low = (z[0] - 0.1, z[0] - 0.02)
    plate = _Part((-1.0, -0.985), (-0.28, 0.28), low, (222, 222, 216), facing=-1)
    return [*_both(rear, front), plate]


def _car() -> list[_Part]:
    return [
        _Part((-0.985, 0.985), (-0.96, 0.96), (0.15, 0.6), None, (-0.96, 0.93), (-0.9, 0.9)),
        _Part((-0.84, 0.42), (-0.88, 0.88), (0.58, 0.96), _GLASS, (-0.58, 0.1), (-0.68, 0.68)),
        _Part((-0.6, 0.12), (-0.7, 0.7), (0.945, 1.0), None, (-0.52, 0.04), (-0.6, 0.6)),
        _Part((-0.98, 0.98), (-1.0, 1.0), (0.14, 0.28), _DARK, (-1.0, 1.0), (-0.98, 0.98)),
        *_both(_Part((-0.2, -0.12), (0.8, 0.9), (0.58, 0.95), None, None, (0.6, 0.7))),
        *_both(_Part((0.26, 0.36), (0.9, 1.0), (0.6, 0.7))),
        *_wheels(0.6, 0.15, 0.44),
        *_wheels(-0.6, 0.15, 0.44),
        *_lenses((0.44, 0.56), (0.42, 0.53), (0.58, 0.9)),
        _lamp(-0.8, 0.0, 0.66, _RED, 0.07, VehicleLight.BRAKE, -1),
        *_lamps(-1.0, 1.0, 0.76, 0.5, 0.48),
    ]


def _van() -> list[_Part]:
    return [
        _Part((-0.99, 0.985), (-0.96, 0.96), (0.1, 0.52), None, None, (-0.95, 0.95)),
        _Part((-0.985, 0.72), (-0.95, 0.95), (0.5, 1.0), None, (-0.975, 0.42), (-0.88, 0.88)),
        _Part((0.5, 0.735), (-0.84, 0.84), (0.53, 0.9), _GLASS, (0.3, 0.5), (-0.78, 0.78)),
        *_both(_Part((0.12, 0.56), (0.9, 0.965), (0.53, 0.86), _GLASS, (0.12, 0.4), (0.84, 0.915))),
        _Part((-0.995, -0.9), (-0.76, 0.76), (0.56, 0.86), _GLASS, None, (-0.7, 0.7)),
        _Part((-1.0, 1.0), (-1.0, 1.0), (0.09, 0.18), _DARK, None, (-0.98, 0.98)),
        *_wheels(0.62, 0.13, 0.3),
        *_wheels(-0.62, 0.13, 0.3),
        *_lenses((0.34, 0.5), (0.34, 0.42), (0.68, 0.95)),
        *_lamps(-1.0, 1.0, 0.84, 0.42, 0.38),
    ]


def _truck() -> list[_Part]:
    return [
        _Part((-0.99, 0.56), (-1.0, 1.0), (0.29, 1.0), (206, 208, 204)),
        _Part((0.6, 0.985), (-0.96, 0.96), (0.13, 0.84), None, (0.6, 0.96), (-0.92, 0.92)),
        _Part((-0.98, 0.98), (-0.7, 0.7), (0.12, 0.295), _DARK),
        _Part((0.9, 1.0), (-0.86, 0.86), (0.46, 0.75), _GLASS, (0.9, 0.985), (-0.82, 0.82)),
        *_both(_Part((0.7, 0.9), (0.9, 0.98), (0.48, 0.74), _GLASS, None, (0.88, 0.955))),
        _Part((-1.0, -0.985), (-0.95, 0.95), (0.14, 0.2), (190, 40, 36)),
        *_wheels(0.74, 0.12, 0.28),
        *_wheels(-0.36, 0.12, 0.28),
        *_wheels(-0.68, 0.12, 0.28),
        *_lenses((0.21, 0.27), (0.2, 0.26), (0.66, 0.95)),
        *_lamps(-1.0, 1.0, 0.82, 0.24, 0.23),
    ]


def _bus() -> list[_Part]:
    return [
        _Part((-0.992, 0.992), (-0.98, 0.98), (0.1, 0.46)),
        _Part((-0.99, 0.99), (-0.97, 0.97), (0.45, 0.84), _GLASS, (-0.985, 0.975)),
        _Part((-0.995, 0.99), (-0.98, 0.98), (0.83, 1.0), None, (-0.98, 0.97), (-0.92, 0.92)),
        _Part((-1.0, 1.0), (-1.0, 1.0), (0.1, 0.15), _DARK),
        *_both(*(_Part((x, x + 0.02), (0.9, 0.985), (0.45, 0.84)) for x in (-0.66, -0.3, 0.06))),
        *_both(_Part((0.46, 0.48), (0.9, 0.985), (0.45, 0.84))),
        _Part((0.98, 0.998), (-0.6, 0.6), (0.86, 0.95), (244, 176, 40)),
        *_wheels(0.6, 0.085, 0.32, 0.1),
        *_wheels(-0.52, 0.085, 0.32, 0.1),
        *_lenses((0.3, 0.4), (0.2, 0.27), (0.72, 0.96)),
        *_lamps(-1.0, 1.0, 0.85, 0.35, 0.24),
    ]


def _rider(seat: float, lean: float, coat: Color | None) -> list[_Part]:
    """Somebody on two wheels; heights as shares, `seat` is the height of his hips."""
    tag, top = int(Tag.RIDER), 0.86
    waist = (-0.3, -0.02)
    leaning = (waist[0] + lean, waist[1] + lean)
    return [
        _Part(waist, (-0.6, 0.6), (seat, top), coat, leaning, (-0.72, 0.72), tag=tag, is_main=True),
        _Part(
            (leaning[0] + 0.04, leaning[1] + 0.06),
            (-0.34, 0.34),
            (top - 0.01, 1.0),
            (46, 48, 54),
            shape=ELLIPSOID,
            tag=tag,
        ),
        *_both(
            _Part((0.0, 0.2), (0.25, 0.6), (0.2, seat + 0.04), _TROUSERS, (-0.3, 0.1), tag=tag),
            _Part(
                (0.36, 0.46), (0.6, 0.86), (seat + 0.06, top), coat, leaning, (0.5, 0.78), tag=tag
            ),
        ),
    ]


def _two_wheels(wheel: float, wide: float) -> list[_Part]:
    return [
        _Part((x - 0.3, x + 0.3), (-wide, wide), (0.0, wheel), _TYRE, shape=ELLIPSOID)
        for x in (0.68, -0.68)
    ]


def _motorcycle() -> list[_Part]:
    lights = VehicleLight
    return [
        *_two_wheels(0.42, 0.2),
        _Part((-0.5, 0.5), (-0.28, 0.28), (0.2, 0.5), None, (-0.85, 0.6), is_main=True),
        _Part((0.46, 0.64), (-0.14, 0.14), (0.28, 0.6), _DARK, (0.34, 0.5)),
        _Part((0.36, 0.44), (-1.0, 1.0), (0.58, 0.62), _DARK),
        *_rider(0.48, 0.14, (58, 56, 64)),
        _lamp(-0.9, 0.0, 0.48, _RED, 0.11, lights.BRAKE, -1),
        _lamp(-0.9, 0.0, 0.48, _DIM_RED, 0.08, _AT_NIGHT, -1),
        _lamp(0.66, 0.0, 0.56, _WHITE, 0.12, _AT_NIGHT, 1),
        *(_lamp(x, 0.6, 0.5, _AMBER, 0.08, lights.LEFT_BLINKER, f) for x, f in _ENDS),
        *(_lamp(x, -0.6, 0.5, _AMBER, 0.08, lights.RIGHT_BLINKER, f) for x, f in _ENDS),
    ]


_ENDS = ((-0.85, -1), (0.66, 1))


def _bicycle() -> list[_Part]:
    return [
        *_two_wheels(0.38, 0.1),
        _Part((-0.14, 0.5), (-0.06, 0.06), (0.2, 0.26), None, (-0.2, 0.4), is_main=True),
        _Part((-0.2, 0.42), (-0.06, 0.06), (0.46, 0.5)),
        _Part((0.6, 0.68), (-0.07, 0.07), (0.2, 0.6), None, (0.34, 0.42)),
        _Part((0.32, 0.4), (-1.0, 1.0), (0.58, 0.61), _DARK),
        *_rider(0.5, 0.24, None),
        _lamp(-0.7, 0.0, 0.36, _RED, 0.06, _AT_NIGHT, -1),
        _lamp(0.5, 0.0, 0.56, _WHITE, 0.07, _AT_NIGHT, 1),
    ]


def _walker() -> list[_Part]:
    left = _Part((-0.32, 0.32), (0.08, 0.46), (0.0, 0.5), _TROUSERS, (-0.3, 0.26), swing=0.3)
    shoe = _Part((-0.34, 0.7), (0.08, 0.48), (0.0, 0.05), _SHOES, swing=0.3)
    arm = _Part((-0.2, 0.2), (0.72, 0.96), (0.42, 0.8), None, None, (0.62, 0.86), swing=-0.2)
    hand = _Part((-0.16, 0.16), (0.76, 0.92), (0.38, 0.43), _SKIN, swing=-0.2)
    legs = [leg for part in (left, shoe, arm, hand) for leg in (part, _other_step(part))]
    return [
        _Part((-0.42, 0.38), (-0.62, 0.62), (0.46, 0.83), None, None, (-0.7, 0.7), is_main=True),
        *legs,
        _Part((-0.36, 0.44), (-0.34, 0.34), (0.855, 0.995), _SKIN, shape=ELLIPSOID),
        _Part((-0.46, 0.26), (-0.37, 0.37), (0.9, 1.0), (60, 44, 34), shape=ELLIPSOID),
    ]


def _other_step(part: _Part) -> _Part:
    return replace(part.mirrored(), swing=-part.swing)


def _prop() -> list[_Part]:
    return [_Part((-1.0, 1.0), (-1.0, 1.0), (0.0, 1.0), face=STRIPES, is_main=True)]


def _cone() -> list[_Part]:
    cone = [((0.0, 0.4), 0.8, 0.52), ((0.4, 0.66), 0.52, 0.33), ((0.66, 1.0), 0.33, 0.1)]
    parts = [_Part((-1.0, 1.0), (-1.0, 1.0), (0.0, 0.07), _DARK)]
    for k, (z, low, high) in enumerate(cone):
        color = (232, 230, 224) if k == 1 else None
        bottom, top = (-low, low), (-high, high)
        parts.append(_Part(bottom, bottom, z, color, top, top, is_main=True))
    return parts


def _plate(face: int) -> list[_Part]:
    return [_Part((-1.0, 1.0), (-1.0, 1.0), (0.0, 1.0), face=face, is_main=True)]


LAMP_RADIUS = 0.2
"""of a traffic light's lamps [m]"""
LAMP_HEIGHTS = (0.81, 0.5, 0.19)
"""of red, yellow and green on the head, as shares of its height"""


def _light() -> list[_Part]:
    colors = zip(LightState, LAMP_HEIGHTS, (_RED, _YELLOW, _GREEN), strict=False)
    lamps = [
        replace(_lamp(1.0, 0.0, z, color, LAMP_RADIUS, 1 << state, 1), least=1.0)
        for state, z, color in colors
    ]
    return [*lamps, *_plate(LIGHT_FACE)]


@cache
def models() -> Models:
    """Returns all models, by their number."""
    made = [_car(), _van(), _truck(), _bus(), _motorcycle(), _bicycle(), _prop(), _walker()]
    made += [_plate(STOP_FACE), _plate(YIELD_FACE), _plate(SPEED_FACE), _light(), _cone()]
    # The first parts of vehicles are their bodies.
    whole = [
        replace(part, is_main=part.is_main or (kind < 4 and k < 3))
        for kind, parts in enumerate(made)
        for k, part in enumerate(parts)
    ]
    records = np.array([part.record() for part in whole], PART)
    first = np.cumsum([0, *(len(parts) for parts in made)]).astype(np.int64)
    return Models(records, first)
