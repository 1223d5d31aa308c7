"""Which actors, signs and lights a camera may see, nearest first.

The ground is flat in the camera's eyes, so all stand at one height, as the roads do. Those
that the ego cannot reach without leaving that plane (on or under a bridge) are left out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import WALKER as WALKER_RECORD
from drive_il.actors import ActorKind, LightState, VehicleLight
from drive_il.datatypes import VEHICLE, Ints
from drive_il.maps.land import PrismKind
from drive_il.sensors.models import CONE, STOP, WALKER
from drive_il.sensors.prisms import FIRST_SIGN
from drive_il.sensors.tags import OF_ACTOR, Tag

MAX_FIGURES = 1024
FURTHEST = 400.0
"""nobody is seen further away [m]"""
LEAST = 0.7
"""who looks smaller than this is left out [pixels]"""

FIGURE = np.dtype(
    [
        ("x", "f8"),  # [m] centre, world frame
        ("y", "f8"),
        ("low", "f8"),  # [m] underside above the road
        ("cos", "f8"),  # of the heading
        ("sin", "f8"),
        ("half_length", "f8"),  # [m]
        ("half_width", "f8"),
        ("height", "f8"),
        ("radius", "f8"),  # [m] of the sphere around it
        ("distance", "f8"),  # [m]
        ("swing", "f8"),  # where in his step a walker is, [-1, 1]
        ("model", "i8"),  # see models
        ("lights", "i8"),  # VehicleLight flags; of a traffic light 1 << LightState
        ("id", "i8"),
        ("tag", "i8"),
        ("number", "i8"),  # what is written on it
        ("r", "i8"),
        ("g", "i8"),
        ("b", "i8"),
    ]
)
"""Somebody or something that is drawn from a model."""

ACTORS = nt.Tuple(
    (
        kernels.record(VEHICLE)[:, ::1],
        kernels.record(WALKER_RECORD)[:, ::1],
        nt.uint8[:, ::1],
        nt.int32[::1],
        nt.int32[::1],
    )
)
"""Numba type of vehicles, walkers, lights, world and slot, as in datatypes.Actors."""

_TAGS = tuple(int(OF_ACTOR[kind]) for kind in ActorKind)
_N_KINDS = len(ActorKind)
_PROP, _BICYCLE = int(ActorKind.PROP), int(ActorKind.BICYCLE)
_PEDESTRIAN = int(Tag.PEDESTRIAN)
_SIGN_TAG, _LIGHT_TAG = int(Tag.TRAFFIC_SIGN), int(Tag.TRAFFIC_LIGHT)
_LIGHT_KIND = int(PrismKind.LIGHT)
_DARK_STATE = int(LightState.OFF)
_POSITION = int(VehicleLight.POSITION)
_STRIDE = 0.8  # [m] of one step, per metre of height
_SWING_SPEED = 0.1  # [m/s] a walker that is slower stands
# Roads hardly climb more than this; what is higher or lower than they could lead is elsewhere.
_STEP, _SLOPE = 3.0, 0.1
_ROOF = 1.0  # [m] a camera this high above the ego's roof sees it


@kernels.inner
def _is_in_view(figure: Any, frame: Any, lens: Any) -> bool:
    """Whether the sphere around a figure is in the pyramid of view, and looks large enough."""
    dx, dy = figure.x - frame.x, figure.y - frame.y
    dz = figure.low + 0.5 * figure.height - frame.z
    radius = figure.radius
    ahead = frame.forward_x * dx + frame.forward_y * dy + frame.forward_z * dz
    if ahead < -radius:
        return False
    half = 0.5 * lens.width * frame.inverse_focal
    right = frame.right_x * dx + frame.right_y * dy + frame.right_z * dz
    if abs(right) > ahead * half + radius * math.sqrt(1.0 + half * half):
        return False
    half = 0.5 * lens.height * frame.inverse_focal
    up = frame.up_x * dx + frame.up_y * dy + frame.up_z * dz
    if abs(up) > ahead * half + radius * math.sqrt(1.0 + half * half):
        return False
    figure.distance = math.sqrt(dx * dx + dy * dy + dz * dz)
    if figure.distance > FURTHEST:
        return False
    return 2.0 * radius >= LEAST * frame.inverse_focal * figure.distance


@kernels.inner
def _set_vehicle(figure: Any, vehicle: Any, is_night: bool) -> None:
    figure.x, figure.y, figure.low = vehicle.x, vehicle.y, 0.0
    figure.cos, figure.sin = math.cos(vehicle.heading), math.sin(vehicle.heading)
    figure.half_length, figure.half_width = 0.5 * vehicle.length, 0.5 * vehicle.width
    figure.height = vehicle.height
    kind = min(max(vehicle.kind, 0), _N_KINDS - 1)
    figure.model = kind
    if kind == _PROP and vehicle.height < 1.2 and max(vehicle.length, vehicle.width) < 0.7:
        figure.model = CONE
    figure.lights = vehicle.lights
    if is_night and kind <= _BICYCLE:
        figure.lights = vehicle.lights | _POSITION
    figure.id, figure.tag, figure.number, figure.swing = vehicle.id, _TAGS[kind], 0, 0.0
    figure.r, figure.g, figure.b = vehicle.r, vehicle.g, vehicle.b


@kernels.inner
def _set_walker(figure: Any, walker: Any) -> None:
    figure.x, figure.y, figure.low = walker.x, walker.y, 0.0
    figure.cos, figure.sin = math.cos(walker.heading), math.sin(walker.heading)
    figure.half_length = figure.half_width = walker.radius
    figure.height = walker.height
    figure.model, figure.lights, figure.id, figure.tag = WALKER, 0, walker.id, _PEDESTRIAN
    figure.number, figure.swing = 0, 0.0
    if walker.speed > _SWING_SPEED:
        # The legs follow the ground covered, so that a picture is a matter of pose alone.
        along = walker.x * figure.cos + walker.y * figure.sin
        figure.swing = math.sin(math.pi * along / (_STRIDE * max(walker.height, 0.1) * 0.5))
    figure.r, figure.g, figure.b = walker.r, walker.g, walker.b


@kernels.inner
def _set_sign(figure: Any, item: Any, lights: Ints) -> None:
    figure.x, figure.y, figure.low = item.x, item.y, item.low
    figure.cos, figure.sin = item.cos, item.sin
    figure.half_length, figure.half_width = item.half_length, item.half_width
    figure.height = item.high - item.low
    figure.model = STOP + item.kind - FIRST_SIGN
    figure.lights, figure.id, figure.tag, figure.number = 0, 0, _SIGN_TAG, item.number
    if item.kind == _LIGHT_KIND:
        figure.tag = _LIGHT_TAG
        if item.signal < len(lights) and lights[item.signal] < _DARK_STATE:
            figure.lights = 1 << lights[item.signal]
    figure.swing = 0.0
    figure.r, figure.g, figure.b = item.r, item.g, item.b


@kernels.inner
def _keep(figures: Any, n: int, frame: Any, lens: Any, order: Ints) -> int:
    """Keeps the figure at place n if it is seen, in the order of distance; new count."""
    figure = figures[n]
    length, width, half = figure.half_length, figure.half_width, 0.5 * figure.height
    figure.radius = math.sqrt(length * length + width * width + half * half)
    if figure.height <= 0.0 or length <= 0.0 or width <= 0.0:
        return n
    if not _is_in_view(figure, frame, lens):
        return n
    at = n
    while at > 0 and figures[order[at - 1]].distance > figure.distance:
        order[at] = order[at - 1]
        at -= 1
    order[at] = n
    return n + 1


@kernels.inner
def _shows_ego(lens: Any, ego: Any) -> bool:
    """Whether a camera looks at its ego from outside."""
    return (
        abs(lens.x) > 0.5 * ego.length
        or abs(lens.y) > 0.5 * ego.width
        or lens.z > ego.height + _ROOF
    )


@kernels.inner
def gather(
    figures: Any,
    order: Ints,
    frame: Any,
    lens: Any,
    is_night: bool,
    ego: Any,
    vehicles: Any,
    walkers: Any,
    lights: Ints,
    slot: int,
    items: Any,
    found: Ints,
    count: int,
) -> int:
    """Lists what is drawn from models in one picture.

    Args:
        figures: (MAX_FIGURES,) FIGURE, overwritten. What does not fit is left out.
        order: their numbers, nearest first, overwritten, (MAX_FIGURES,).
        frame: FRAME record.
        lens: LENS record.
        is_night: vehicles have their lamps on.
        ego: VEHICLE record of the ego.
        vehicles: of its world, (V,) VEHICLE.
        walkers: likewise, (P,) WALKER.
        lights: likewise, (S,) LightState.
        slot: which of the vehicles is the ego.
        items: the map's prisms, (N,) SOLID.
        found: those that are seen, in row 0.
        count: how many.

    Returns:
        How many figures there are.
    """
    n = 0
    for k in range(-1, len(vehicles)):
        if k < 0:
            if not _shows_ego(lens, ego):
                continue
            _set_vehicle(figures[n], ego, is_night)
        else:
            vehicle = vehicles[k]
            if vehicle.id == 0 or k == slot or n == MAX_FIGURES - 1:
                continue
            dx, dy = vehicle.x - ego.x, vehicle.y - ego.y
            reach = abs(dx) + abs(dy)
            if abs(vehicle.z - ego.z) > _STEP + _SLOPE * reach:
                continue
            _set_vehicle(figures[n], vehicle, is_night)
        n = _keep(figures, n, frame, lens, order)
    for k in range(len(walkers)):
        walker = walkers[k]
        if walker.id == 0 or n == MAX_FIGURES - 1:
            continue
        reach = abs(walker.x - ego.x) + abs(walker.y - ego.y)
        if abs(walker.z - ego.z) > _STEP + _SLOPE * reach:
            continue
        _set_walker(figures[n], walker)
        n = _keep(figures, n, frame, lens, order)
    for k in range(count):
        item = items[found[0, k]]
        if item.kind >= FIRST_SIGN and n < MAX_FIGURES - 1:
            _set_sign(figures[n], item, lights)
            n = _keep(figures, n, frame, lens, order)
    return n
