"""What blocks the ego's lane, with and without oncoming traffic to wait for."""

from __future__ import annotations

import math

import numpy as np

from drive_il.actors import ActorKind, VehicleLight
from drive_il.datatypes import Floats
from drive_il.maps.scenario_files import interval, number, word
from drive_il.scenarios.flows import flow
from drive_il.scenarios.script import Ending, Role, Script, Start, role, script
from drive_il.scenarios.setting import Setting, lengths

_POLICE = (24, 36, 110)
_HAZARD = int(VehicleLight.LEFT_BLINKER | VehicleLight.RIGHT_BLINKER | VehicleLight.POSITION)
_ALARM = int(VehicleLight.SPECIAL1 | VehicleLight.SPECIAL2 | VehicleLight.POSITION)
_CONE = {"length": 0.35, "width": 0.35, "height": 0.75, "r": 226, "g": 92, "b": 24}
_BARRIER = {"length": 0.5, "width": 2.2, "height": 1.1, "r": 220, "g": 70, "b": 40}
_BEYOND = 25.0  # [m] after the last obstacle a scenario is over
_SOURCE = 100.0  # [m] beyond the obstacle, at least, from where others come ...
_SEEN = 10.0  # [s] ... and so long before they reach it, where the road is open so far
_AT_LINE = 15.0  # [m] before a junction an ego may wait that does not want to block it
_CAR = (4.7, 1.9)  # [m] length and width of one that blocks the lane
_NOTICE = 1.8  # [s] that one has when a door opens
_DOOR = 1.0  # [m] by which it opens


def accident(setting: Setting, two_ways: bool = False) -> list[Script]:
    """Two crashed cars and the police block the lane."""
    s = setting.s + number(setting.spec, "distance", 120.0)
    paint = dict(zip("rgb", _POLICE, strict=True))
    police = role(ActorKind.CAR, _leaning(setting, s, 0.1), lights=_ALARM, **paint)
    cars = [
        role(ActorKind.CAR, _leaning(setting, s + gap, angle), lights=_HAZARD)
        for gap, angle in ((10.0, -0.25), (16.0, 0.3))
    ]
    return _block(setting, s, s + 16.0, [police, *cars], two_ways)


def construction(setting: Setting, two_ways: bool = False) -> list[Script]:
    """A barrier and cones close the lane."""
    s = setting.s + number(setting.spec, "distance", 100.0)
    half = 0.5 * setting.width(s)
    barrier = role(ActorKind.PROP, setting.at(s + 2.0, 0.0), **_BARRIER)
    taper = [(k * 1.0 - 3.0, -half + 0.3 + k * 0.3 * half) for k in range(5)]
    side = [(4.0 + 3.0 * k, half - 0.4) for k in range(5)]
    cones = [role(ActorKind.PROP, setting.at(s + gap, left), **_CONE) for gap, left in taper + side]
    return _block(setting, s, s + 16.0, [barrier, *cones], two_ways)


def parked(setting: Setting, two_ways: bool = False) -> list[Script]:
    """A badly parked car blocks the lane."""
    s = setting.s + number(setting.spec, "distance", 120.0)
    car = role(ActorKind.CAR, _leaning(setting, s, -0.06), lights=_HAZARD)
    return _block(setting, s, s, [car], two_ways)


def opposite_direction(setting: Setting) -> list[Script]:
    """A barrier closes the lane; the only way round it is the oncoming one."""
    s = setting.s + number(setting.spec, "distance", 50.0)
    barrier = role(ActorKind.PROP, setting.at(s, 0.0), **_BARRIER)
    return _block(setting, s, s, [barrier], two_ways=True)


def hazard_at_side(setting: Setting, two_ways: bool = False) -> list[Script]:
    """Slow bicycles ride at the edge of the lane."""
    spec = setting.spec
    s = setting.s + number(spec, "distance", 100.0)
    speed = number(spec, "bicycle_speed", 2.8)
    drive = number(spec, "bicycle_drive_distance", 50.0, low=5.0)
    left = -0.5 * setting.width(s) + 0.55
    riders = [
        role(
            ActorKind.BICYCLE,
            setting.along(s + gap, s + gap + drive, left),
            start=Start.NEAR,
            meet_s=s + gap,
            near=50.0,
            speed=speed,
            acceleration=1.5,
            careful=True,
            ending=Ending.STAY,
        )
        for gap in (0.0, 5.0, 10.0)
    ]
    return _block(setting, s, s + 10.0 + drive, riders, two_ways)


def opens_door(setting: Setting) -> list[Script]:
    """A parked car opens its door into the ego's lane."""
    s = setting.s + number(setting.spec, "distance", 50.0)
    right = word(setting.spec, "direction", "right", ("left", "right")) == "right"
    sign = -1.0 if right else 1.0
    offset = setting.parking(s) if right else setting.edge(s, left=True) - 1.0
    offset = min(offset, 0.5 * setting.width(s) + 0.75)  # near enough for its door to matter
    car = role(ActorKind.CAR, setting.at(s, sign * offset))
    hinge = offset - 0.95
    path = setting.across(s + 0.6, sign * (hinge + 0.5 * _DOOR), sign * (hinge - 0.5 * _DOOR))
    door = role(
        ActorKind.PROP,
        path,
        length=_DOOR,
        width=0.12,
        height=1.3,
        start=Start.IN_TIME,
        meet_s=s - 8.0,
        meet=(_NOTICE - 0.5 * 1.5 / 6.0) * 1.5,  # as if it had so far to go
        near=12.0,
        speed=1.5,
        acceleration=6.0,
    )
    return _block(setting, s, s, [car, door], two_ways=True)


def invading_turn(setting: Setting) -> list[Script]:
    """Oncoming cars cut the corner into the ego's lane."""
    spec = setting.spec
    distance = number(spec, "distance", 100.0, low=20.0)
    offset = number(spec, "offset", 0.25)
    low, high = interval(spec, "source_dist_interval", (20.0, 50.0))
    middle = setting.s + 0.5 * distance
    path = setting.against(setting.s + distance, _SOURCE, setting.s)
    inside = 0.5 * setting.width(middle) + 0.95 - offset  # its flank is over the line by that
    # It comes in its own lane, leans over between, and goes back.
    done = lengths(path)
    share = np.clip((done[-1] - done) / 15.0, 0.0, 1.0) * np.clip(done / 30.0, 0.0, 1.0)
    lean = (setting.oncoming(middle) - inside) * share
    path[:, 0] -= lean * np.sin(path[:, 3])
    path[:, 1] += lean * np.cos(path[:, 3])
    path[:, 3] = np.arctan2(np.gradient(path[:, 1]), np.gradient(path[:, 0]))
    speed = min(setting.limit(middle), 8.0)
    end_s = setting.s + distance
    return [flow(setting, path, (low, high), speed, end_s)]


def blocked_intersection(setting: Setting) -> list[Script]:
    """A vehicle stands where the ego leaves a junction, and drives on after a while."""
    junction = setting.junction()
    s = junction.end_s + 6.0
    path = setting.along(s, min(s + 40.0, setting.route.length + 20.0))
    blocker = role(
        ActorKind.CAR,
        path,
        start=Start.NEAR,
        meet_s=s,
        near=max(s - junction.begin_s + _AT_LINE, 18.0),
        delay=6.0,
        speed=setting.limit(s),
        acceleration=1.8,
        careful=True,
        ending=Ending.JOIN,
        lights=int(VehicleLight.POSITION),
    )
    return [script(setting.s, s + 20.0, [blocker], clear_to=s)]


def _leaning(setting: Setting, s: float, angle: float) -> Floats:
    """A vehicle that blocks the lane, turned, near its edge but not over it, (1, 4)."""
    right = word(setting.spec, "direction", "right", ("left", "right")) == "right"
    across = 0.5 * (_CAR[0] * abs(math.sin(angle)) + _CAR[1] * math.cos(angle))
    lean = max(0.5 * setting.width(s) - across, 0.0) * 0.6
    places = setting.at(s, -lean if right else lean)
    places[:, 3] += angle
    return places


def _block(
    setting: Setting, first_s: float, last_s: float, roles: list[Role], two_ways: bool
) -> list[Script]:
    """The obstacle; where the ego must use the oncoming lane, also those who come on it."""
    if last_s > setting.route.length - 5.0:
        raise setting.misfit(
            f"its obstacle would stand at {last_s:.0f} m, the route ends at "
            f"{setting.route.length:.0f} m"
        )
    end = last_s + _BEYOND
    scripts = [script(setting.s, end, roles, clear_to=first_s, oncoming=two_ways)]
    if not two_ways:
        return scripts
    gaps = interval(setting.spec, "frequency", (30.0, 100.0))
    limit = setting.limit(first_s)
    speed = min(number(setting.spec, "speed", 0.8 * limit), limit)
    path = setting.against(last_s, max(_SOURCE, _SEEN * speed), setting.s - 20.0)
    return [*scripts, flow(setting, path, gaps, speed, last_s + 10.0)]
