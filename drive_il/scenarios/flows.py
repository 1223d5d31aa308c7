"""Streams of vehicles that the ego must cross, join or leave."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drive_il.actors import ActorKind, LightState, VehicleLight
from drive_il.datatypes import Floats
from drive_il.geometry import project
from drive_il.maps import lane_queries
from drive_il.maps.scenario_files import interval, number, place, word
from drive_il.scenarios.script import Ending, Pace, Script, Start, role, script
from drive_il.scenarios.setting import Junction, Setting, lengths, resampled

_MOST = 14  # vehicles of one flow at a time
_SHARE = 0.8  # of the ego's way that one who is to meet it drives in the same time
_OFF_ROAD = 3.0  # [m] beside the road bicycles do not ride
_BACK, _AHEAD = 70.0, 70.0  # [m] before and after a junction that a flow is seen
_TURNS = 0.35  # [rad] who turns more indicates it
_LENGTH = {ActorKind.CAR: 4.6, ActorKind.BICYCLE: 1.7}
_ALARM = int(VehicleLight.SPECIAL1 | VehicleLight.SPECIAL2)
_LIGHTS_ON = int(VehicleLight.POSITION | VehicleLight.LOW_BEAM)


def flow(
    setting: Setting,
    path: Floats,
    gaps: tuple[float, float],
    speed: float,
    end_s: float,
    kind: ActorKind = ActorKind.CAR,
    **fields: Any,
) -> Script:
    """Makes a stream of vehicles along a path.

    Args:
        setting: of the scenario.
        path: x, y, z, heading, (N, 4).
        gaps: between two of them, from and to [m].
        speed: [m/s].
        end_s: where the ego has left it behind [m of its route].
        kind: of vehicle.
        **fields: of the SCRIPT.
    """
    length = float(lengths(path)[-1])
    n = min(math.ceil(length / (gaps[0] + _LENGTH[kind])) + 1, _MOST)
    low = max(gaps[0], length / n - _LENGTH[kind] if n == _MOST else 0.0)
    member = role(
        kind,
        path,
        start=Start.FLOW,
        ending=Ending.VANISH,
        careful=True,
        speed=speed,
        lights=_LIGHTS_ON if kind == ActorKind.CAR else 0,
    )
    return script(
        setting.s,
        end_s,
        [member] * n,
        flow_low=low,
        flow_high=max(gaps[1], low),
        **fields,
    )


def _speed(setting: Setting, s: float) -> float:
    return number(setting.spec, "flow_speed", setting.limit(s), low=0.5)


def _gaps(setting: Setting) -> tuple[float, float]:
    return interval(setting.spec, "source_dist_interval", (25.0, 50.0))


def green(setting: Setting, junction: Junction) -> dict[str, Any]:
    """Fields of a script that keeps the ego's light green, where it has one."""
    return light(setting, junction.begin_s, LightState.GREEN, True)


def light(setting: Setting, s: float, state: LightState, hold: bool) -> dict[str, Any]:
    """Fields of a script that sets the ego's light before a junction that begins at s."""
    stops = setting.route.stops
    kinds = setting.network.signals["kind"][stops["signal"]]
    near = (kinds == 1) & (stops["s"] <= s + 2.0) & (stops["s"] > setting.s - 5.0)
    if not near.any():
        return {}
    signal = int(stops["signal"][near][-1])
    return {"signal": signal, "light": int(state), "hold_light": hold}


def junction_turn(setting: Setting, side: str, signals: bool, merging: bool) -> list[Script]:
    """A stream through the junction in which the ego turns.

    Args:
        setting: of the scenario.
        side: where it comes from, as the ego sees it.
        signals: the ego's light is kept green.
        merging: it goes where the ego goes.
    """
    junction = setting.junction()
    lane, _ = setting.crossing(junction, side, merging)
    path, _ = setting.through(lane, _BACK, _AHEAD)
    fields = green(setting, junction) if signals else {}
    fields["clear_to"] = junction.end_s  # who turns before the ego would block the flow, and it him
    speed = _speed(setting, junction.begin_s)
    return [flow(setting, path, _gaps(setting), speed, junction.end_s + 10.0, **fields)]


def declared_flow(setting: Setting, kind: ActorKind = ActorKind.CAR) -> list[Script]:
    """A stream from `start_actor_flow` to `end_actor_flow`, which the ego crosses or joins."""
    begin, end = place(setting.spec, "start_actor_flow"), place(setting.spec, "end_actor_flow")
    if begin is None or end is None:
        raise setting.misfit("it needs the parameters start_actor_flow and end_actor_flow")
    path = setting.way(begin, end)
    meet_s, _ = setting.meeting(path)
    joined = setting.s_of(path[-1])
    end_s = max(meet_s + 15.0, min(joined, meet_s + 60.0))
    return [flow(setting, path, _gaps(setting), _speed(setting, meet_s), end_s, kind)]


def bicycle_flow(setting: Setting) -> list[Script]:
    """A stream of bicycles straight across the road that the ego turns into."""
    speed = number(setting.spec, "flow_speed", 4.0, low=0.5)
    gaps = interval(setting.spec, "source_dist_interval", (20.0, 40.0))
    begin, end = place(setting.spec, "start_actor_flow"), place(setting.spec, "end_actor_flow")
    if begin is not None and end is not None:
        path = setting.way(begin, end)
        end_s = setting.meeting(path)[0] + 10.0
    else:
        junction = setting.junction()
        path, end_s = _beside_turn(setting, junction), junction.end_s + 10.0
    return [flow(setting, path, gaps, speed, end_s, ActorKind.BICYCLE)]


def _beside_turn(setting: Setting, junction: Junction) -> Floats:
    """Along the road that the ego leaves, over the one it takes.

    A right turn crosses those on its right, who ride its way; a left turn those who come.
    """
    before, after = setting.at(junction.begin_s - 1.0)[0], setting.at(junction.end_s + 1.0)[0]
    turn = math.remainder(float(after[3] - before[3]), 2.0 * math.pi)
    if not math.radians(40.0) < abs(turn) < math.radians(130.0):
        raise setting.misfit("the ego does not turn in its next junction")
    side = -1.0 if turn < 0.0 else 1.0
    begin_s = max(junction.begin_s - 40.0, 0.0)
    if turn > 0.0:
        setting.oncoming(begin_s)  # on a road of one way they would ride against it
    edge = setting.edge(begin_s, left=turn > 0.0) - 0.5
    start = setting.at(begin_s, side * edge)[0]
    heading = float(before[3])
    goal = start.copy()
    goal[0] += 90.0 * math.cos(heading)
    goal[1] += 90.0 * math.sin(heading)
    ends = [[*start[:3], heading], [*goal[:3], heading]]
    if turn > 0.0:
        back = math.remainder(heading + math.pi, 2.0 * math.pi)
        ends = [[*goal[:3], back], [*start[:3], back]]
    path = resampled(np.array(ends), 0.0, 90.0)
    if lane_queries.locate(setting.network, path[:, :2])["off_road"].max() > _OFF_ROAD:
        raise setting.misfit("the road that the ego leaves does not go straight on")
    return path


def _blinker(turn: float) -> int:
    """Returns the indicator of who turns by an angle [rad], left positive."""
    if abs(turn) < _TURNS:
        return 0
    return int(VehicleLight.LEFT_BLINKER if turn > 0.0 else VehicleLight.RIGHT_BLINKER)


def takes_priority(setting: Setting, signals: bool) -> list[Script]:
    """A vehicle comes across a junction without regard for light or right of way."""
    junction = setting.junction()
    wanted = word(setting.spec, "direction", "right", ("left", "right", "opposite"))
    lane, meet_s = setting.crossing(junction, wanted)
    path, _ = setting.through(lane, _BACK, _AHEAD)
    meet = float(project(setting.at(meet_s)[:, :2], path[:, :2])[0][0])
    spare = max(int(meet - _SHARE * (meet_s - setting.s)), 0)  # so near that it can be in time
    path, meet = path[spare:], float(meet - lengths(path)[spare])
    speed = number(setting.spec, "speed", min(0.9 * setting.limit(junction.begin_s), 12.0), low=1.0)
    lights = _LIGHTS_ON | _blinker(setting.turn(lane)) | (_ALARM if signals else 0)
    vehicle = role(
        ActorKind.CAR,
        path,
        start=Start.IN_TIME,
        pace=Pace.MEETING,
        ending=Ending.JOIN,
        meet_s=meet_s,
        meet=meet,
        near=12.0,
        patience=40.0,
        speed=speed,
        lights=lights,
    )
    fields = green(setting, junction) if signals else {}
    return [script(setting.s, junction.end_s + 10.0, [vehicle], **fields)]
