"""What happens in and beside the ego's own lane while it drives on."""

from __future__ import annotations

import numpy as np

from drive_il.actors import ActorKind, LightState, VehicleLight
from drive_il.datatypes import Floats
from drive_il.maps.scenario_files import number, place, word
from drive_il.scenarios.flows import light
from drive_il.scenarios.script import Ending, Noise, Pace, Role, Script, Start, role, script
from drive_il.scenarios.setting import Misfit, Setting, lengths, merged

_LIGHTS_ON = int(VehicleLight.POSITION | VehicleLight.LOW_BEAM)
_ALARM = int(VehicleLight.SPECIAL1 | VehicleLight.SPECIAL2) | _LIGHTS_ON
_RUN_UP = 50.0  # [m] before the trigger that a leader is there
_LEAD = 12.0  # [m] in front of the ego at first, from centre to centre
_DEBRIS = (14.0, 48.0, 74.0)  # [m] after the trigger where it lies
_ON_DEBRIS = 2.0  # [m] around it the ego is shaken
_BEFORE_JUNCTION, _SETTLES = 10.0, 30.0  # [m] held noise is given up, and lasts on for so long
_AT_START = 2.0  # [m] of its route within which an ego is parked
_BUMPER_TO_BUMPER = 6.0  # [m] between the middles of parked cars, at least
_AT_KERB = 2.5  # [m] beside the edge of its lane, at most, an ego is parked
_PASSES_BY = 50.0  # [m] driven by the one beside a parked ego, before it is traffic
_CUT = 12.0  # [m] within which a car moves over


def hard_brake(setting: Setting) -> list[Script]:
    """The vehicle in front brakes hard to a halt, and drives on after a while."""
    appear_s = max(setting.s - _RUN_UP, 0.0)
    begin = appear_s + _LEAD
    end = setting.s + 80.0
    leader = role(
        ActorKind.CAR,
        setting.along(begin, end),
        start=Start.APPEARING,
        pace=Pace.LEADING,
        ending=Ending.JOIN,
        meet_s=begin,
        speed=1.1 * setting.limit(setting.s),
        acceleration=3.5,
        braking=8.0,
        hold=4.0,
        careful=True,
        lights=_LIGHTS_ON,
    )
    return [script(setting.s, end, [leader], appear_s=appear_s, clear_to=begin)]


def parking_cut_in(setting: Setting) -> list[Script]:
    """A parked car pulls out in front of the ego; others stand before and behind it."""
    spec = setting.spec
    front = number(spec, "front_vehicle_distance", 20.0)
    behind = number(spec, "behind_vehicle_distance", 10.0)
    if word(spec, "direction", "right", ("left", "right")) == "left":
        s = setting.s + front + behind
        offset = setting.edge(s, left=True) - 1.0
        _refuse_oncoming(setting, s)
    else:
        s = setting.s + front + behind
        offset = -setting.parking(s)
    car = _cut_in(setting, s, offset, 7.0)
    still = [role(ActorKind.CAR, setting.at(s + gap, offset)) for gap in (-9.0, 22.0)]
    return [script(setting.s, s + 40.0, [car, *still], clear_to=s)]


def parking_exit(setting: Setting) -> list[Script]:
    """The ego begins parked between two cars, and one drives by as it sets out."""
    if setting.s > _AT_START:
        raise setting.misfit("the ego is parked at the beginning of its route, not on the way")
    spec, s = setting.spec, setting.s
    front = number(spec, "front_vehicle_distance", 20.0, low=_BUMPER_TO_BUMPER)
    behind = number(spec, "behind_vehicle_distance", 10.0, low=_BUMPER_TO_BUMPER)
    left = word(spec, "direction", "right", ("left", "right")) == "left"
    aside = setting.parking_lane(s, left)
    if aside is None or aside > 0.5 * setting.width(s) + _AT_KERB:
        raise setting.misfit("no lane to park in runs beside the beginning of its route")
    offset = aside if left else -aside
    still = [role(ActorKind.CAR, setting.at(s + gap, offset)) for gap in (front, -behind)]
    passer = role(
        ActorKind.CAR,
        setting.along(s, s + _PASSES_BY),
        start=Start.APPEARING,
        ending=Ending.JOIN,
        speed=setting.limit(s),
        careful=True,
        lights=_LIGHTS_ON,
    )
    return [script(s, s + front + 15.0, [*still, passer], parked=offset)]


def _refuse_oncoming(setting: Setting, s: float) -> None:
    """Refuses to pull out over a lane of the other direction."""
    if setting.graph.beside[setting.lane(s)][0] < 0:
        raise setting.misfit("a car parked on the left would have to cross the oncoming lane")


def static_cut_in(setting: Setting) -> list[Script]:
    """One of a queue in the next lane pulls out in front of the ego."""
    spec = setting.spec
    s = setting.s + number(spec, "distance", 60.0)
    left = word(spec, "direction", "right", ("left", "right")) == "left"
    offset = setting.same_way(s, left)
    car = _cut_in(setting, s, offset, 8.0)
    queue = [role(ActorKind.CAR, setting.at(s + gap, offset)) for gap in (-16.0, -8.0, 13.0, 21.0)]
    return [script(setting.s, s + 40.0, [car, *queue], clear_to=s)]


def highway_cut_in(setting: Setting) -> list[Script]:
    """A car comes from the slip road and moves in right in front of the ego."""
    start = place(setting.spec, "other_actor_location")
    if start is None:
        raise setting.misfit("it needs the parameter other_actor_location")
    path = _onto_route(setting, start)
    meet_s, meet = setting.meeting(path)
    limit = setting.limit(meet_s)
    car = role(
        ActorKind.CAR,
        path,
        start=Start.APPEARING,
        pace=Pace.MEETING,
        ending=Ending.JOIN,
        meet_s=meet_s - max(9.0, 0.7 * limit),  # so far in front of the ego
        meet=meet,
        near=5.0,
        speed=limit,
        careful=True,
        lights=_LIGHTS_ON,
    )
    return [script(setting.s, meet_s + 40.0, [car], appear_s=setting.s - 2.0)]


def _onto_route(setting: Setting, start: Floats) -> Floats:
    """Plans a way onto the ego's lane, as soon as one leads there without a detour.

    Raises:
        Misfit: none does.
    """
    for reach in (90.0, 150.0, 250.0):
        goal_s = min(setting.s + reach, setting.route.length - 1.0)
        goal = setting.at(goal_s)[0, :3]
        try:
            path = setting.way(start, goal)
        except Misfit:
            continue
        if lengths(path)[-1] < 1.5 * float(np.hypot(*(goal[:2] - start[:2]))):
            return path
    raise setting.misfit("no way leads from other_actor_location onto the route")


def _cut_in(setting: Setting, s: float, offset: float, speed: float) -> Role:
    """A car that stands beside the ego's lane and slides into it in time to be in front."""
    path = merged(setting.along(s, s + _CUT + 14.0), offset, 1.0, _CUT)
    blinker = VehicleLight.LEFT_BLINKER if offset < 0 else VehicleLight.RIGHT_BLINKER
    return role(
        ActorKind.CAR,
        path,
        start=Start.IN_TIME,
        ending=Ending.JOIN,
        meet_s=s - 6.0,
        meet=3.0,
        near=10.0,
        speed=min(speed, setting.limit(s)),
        acceleration=2.5,
        careful=True,
        lights=_LIGHTS_ON | int(blinker),
    )


def control_loss(setting: Setting) -> list[Script]:
    """Debris on the road: the ego's steering and pedals do not do what they are told.

    Places and noise are those of CARLA's ScenarioRunner (srunner/scenarios/control_loss.py, of
    0.9.10 for leaderboard 1.0's, of leaderboard 2 else). Leaderboard 2 cuts the shaken steer to
    [0, 1], so that nobody could steer left there; here it stays in [-1, 1].
    """
    kinds = ("jitter", "held")
    if word(setting.spec, "noise", "jitter", kinds) == "jitter":
        noise = {
            "noise": Noise.JITTER,
            "steer_mean": 0.055,
            "steer_noise": 0.015,
            "pedal_mean": 0.03,
            "pedal_noise": 0.01,
        }
        places = [setting.s + away for away in _DEBRIS]
        return [script(s, s + _ON_DEBRIS, [], **noise) for s in places]
    begin = setting.s + _DEBRIS[0] - _ON_DEBRIS
    last = setting.s + _DEBRIS[2] - 2.0 * _ON_DEBRIS
    reach = last + _BEFORE_JUNCTION - begin
    shaken = max(setting.open_until(begin, reach) - _BEFORE_JUNCTION, begin)
    noise = {
        "noise": Noise.HELD,
        "steer_mean": -0.001,
        "steer_noise": 0.01,
        "pedal_mean": 0.045,
        "pedal_noise": 0.01,
    }
    return [script(begin, shaken + _SETTLES, [], **noise)]


def emergency_vehicle(setting: Setting) -> list[Script]:
    """An ambulance comes from behind and wants to pass."""
    distance = number(setting.spec, "distance", 60.0, low=15.0)
    begin = setting.s - distance
    begin = max(begin, -setting.room_behind())
    if setting.s - begin < 12.0:
        raise setting.misfit("there is no road behind its trigger for the ambulance to come from")
    end = setting.route.length
    ambulance = role(
        ActorKind.VAN,
        setting.along(begin, end),
        start=Start.TRIGGER,
        ending=Ending.VANISH,
        speed=1.5 * setting.limit(setting.s),
        acceleration=3.0,
        careful=True,
        lights=_ALARM,
        r=236,
        g=236,
        b=230,
    )
    over = min(setting.s + 250.0, end)
    return [script(setting.s, over, [ambulance], appear_s=setting.s - 2.0, yield_to=0)]


def next_light(setting: Setting, state: LightState, hold: bool) -> list[Script]:
    """No actor: the ego's next light is set."""
    junction = setting.junction()
    fields = light(setting, junction.begin_s, state, hold)
    return [script(setting.s, junction.end_s, [], **fields)] if fields else []


def nothing(setting: Setting) -> list[Script]:
    """No actor: the route itself is the task."""
    return []
