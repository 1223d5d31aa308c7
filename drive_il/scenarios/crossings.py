"""People and bicycles that cross the ego's way."""

from __future__ import annotations

import math

import numpy as np

from drive_il.actors import ActorKind
from drive_il.maps.scenario_files import number, word
from drive_il.scenarios.script import WALKER_KIND, Role, Script, Start, role, script
from drive_il.scenarios.setting import Setting

_WALK = 2.0  # [m/s] those who hurry across
_STROLL = 1.4  # [m/s] those who cross at their ease
_CYCLE = 4.0  # [m/s]
_BEFORE_KERB = 0.9  # [m] from the road's edge to where a walker waits
_PATIENCE = 25.0  # [s] after which they cross before an ego that does not come
_NEAR = 6.0  # [m] an ego nearer than this sets them off however slow it is
_BLOCKERS = {
    "vending": (1.1, 0.9, 2.0),
    "bus_stop": (1.5, 1.0, 2.4),
    "advert": (1.2, 0.5, 2.2),
    "container": (1.6, 1.1, 1.9),
}
"""Length, width and height of what hides a walker, by a part of its blueprint's name [m]."""


def dynamic_object_crossing(setting: Setting) -> list[Script]:
    """A walker steps from behind an occluder beside the road."""
    spec = setting.spec
    s = setting.s + number(spec, "distance", 12.0)
    right = word(spec, "direction", "right", ("left", "right")) == "right"
    angle = math.radians(number(spec, "crossing_angle", 0.0, low=-60.0))
    walker = _crosser(setting, s, right, WALKER_KIND, _WALK, angle)
    blueprint = word(spec, "blocker_model", "static.prop.vendingmachine")
    size = next((size for key, size in _BLOCKERS.items() if key in blueprint), (1.1, 0.9, 2.0))
    # On the line of sight from the trigger, so that the ego cannot see the walker in time.
    at, eye = walker.path[0], setting.at(setting.s)[0]
    to_eye = (eye[:2] - at[:2]) / np.hypot(*(eye[:2] - at[:2]))
    place = at.copy()
    place[:2] += to_eye * (0.5 * size[0] + 0.45)
    place[3] = setting.at(s)[0, 3]
    blocker = role(ActorKind.PROP, place, length=size[0], width=size[1], height=size[2])
    return [script(setting.s, s + 10.0, [blocker, walker])]


def parking_crossing_pedestrian(setting: Setting) -> list[Script]:
    """A walker steps from behind a parked car."""
    spec = setting.spec
    s = setting.s + number(spec, "distance", 12.0)
    right = word(spec, "direction", "right", ("left", "right")) == "right"
    offset = setting.parking(s) if right else -setting.edge(s, left=True) + 1.0
    kind = ActorKind.VAN
    car = role(kind, setting.at(s - 3.5, -offset)[0])
    begin = offset + 0.4 if right else offset - 0.4
    end = -setting.edge(s, left=right) - _BEFORE_KERB
    path = setting.across(s, -begin, -end if right else end)
    walker = _meeting(setting, s, WALKER_KIND, path, _WALK, abs(begin))
    return [script(setting.s, s + 10.0, [car, walker])]


def pedestrian_crossing(setting: Setting) -> list[Script]:
    """A group crosses where the ego leaves a junction."""
    s = setting.junction().end_s + 3.0
    group = [
        _crosser(setting, s + 0.9 * k, k != 1, WALKER_KIND, _STROLL, delay=0.6 * k)
        for k in range(3)
    ]
    return [script(setting.s, s + 10.0, group)]


def vehicle_turning(setting: Setting) -> list[Script]:
    """A bicycle crosses right after the ego's turn."""
    s = setting.junction().end_s + 5.0
    rider = _crosser(setting, s, True, ActorKind.BICYCLE, _CYCLE)
    return [script(setting.s, s + 10.0, [rider])]


def vehicle_turning_pedestrian(setting: Setting) -> list[Script]:
    """A walker crosses right after the ego's turn."""
    s = setting.junction().end_s + 5.0
    return [script(setting.s, s + 10.0, [_crosser(setting, s, True, WALKER_KIND, _WALK)])]


def _crosser(
    setting: Setting,
    s: float,
    from_right: bool,
    kind: int,
    speed: float,
    angle: float = 0.0,
    delay: float = 0.0,
) -> Role:
    """One who crosses the whole road from kerb to kerb and meets the ego on its lane."""
    right = -setting.edge(s) - _BEFORE_KERB
    left = setting.edge(s, left=True) + _BEFORE_KERB
    begin, end = (right, left) if from_right else (left, right)
    path = setting.across(s, begin, end, angle)
    return _meeting(setting, s, kind, path, speed, abs(begin) / math.cos(angle), delay)


def _meeting(
    setting: Setting,
    s: float,
    kind: int,
    path: np.ndarray,
    speed: float,
    meet: float,
    delay: float = 0.0,
) -> Role:
    return role(
        kind,
        path,
        start=Start.IN_TIME,
        meet_s=s,
        meet=meet,
        near=_NEAR,
        delay=delay,
        patience=_PATIENCE,
        speed=speed,
        acceleration=6.0 if kind == WALKER_KIND else 3.0,
    )
