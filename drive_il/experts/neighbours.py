"""Where other vehicles will be: along their lanes where the map is known, else as they turn.

A vehicle on a lane keeps its speed (and for a moment its acceleration), drifts sideways for
another second as it does now and follows the lane; at a fork its indicator decides, without
one it goes straight on. One that has to stop - red light, no right of way before the ego -
and still can, is expected to stop. A vehicle off the lanes keeps its yaw rate.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import ActorKind, LightState, Mover, VehicleLight
from drive_il.datatypes import Floats, Ints, Records
from drive_il.experts.corridor import rank_of
from drive_il.maps.network import LaneType, RoadNetwork, SignalKind
from drive_il.maps.route_geometry import wrap

STEP = 0.3
"""step of the forecasts, mostly [s]"""
STEPS = 28
"""number of them"""
_BLIND = 3.0  # [s] for which a forecast without a lane is good
_HOLD = 1.5  # [s] for which an acceleration or a sideways drift is expected to last
_PULLS_OUT = 1.0  # [m/s] at least, sideways, of one who indicates a change of lane
_PULLING_OUT = 3.5  # [s] that this takes
_LOOK = 90.0  # [m] ahead of a vehicle in which it looks for its stop line
_ALIGNED = 0.5  # cosine of the angle to its lane up to which a vehicle is said to follow it
HAZARD = int(VehicleLight.LEFT_BLINKER | VehicleLight.RIGHT_BLINKER)
"""both indicators"""
_LEFT, _RIGHT = int(VehicleLight.LEFT_BLINKER), int(VehicleLight.RIGHT_BLINKER)
_LIGHT, _OFF = int(SignalKind.LIGHT), int(LightState.OFF)
_YELLOW = int(LightState.YELLOW)
_BICYCLE, _PROP = int(ActorKind.BICYCLE), int(ActorKind.PROP)
_TRAFFIC = int(Mover.TRAFFIC)
_STANDS, _SLOW = 0.1, 3.5  # [m/s]
_SETS_OFF = 5.0  # [m/s] one off the lanes that speeds up does so as far as this
_NEVER = math.inf

WAY = np.dtype(
    [
        ("first", "i4"),  # as in LANE
        ("count", "i4"),
        ("length", "f8"),
        ("successor_first", "i4"),
        ("successor_count", "i4"),
        ("junction", "i4"),
        ("turn", "f8"),  # [rad] heading at its end minus at its beginning
        ("width", "f8"),  # [m]
        ("left", "i4"),  # adjacent driving lane, -1 none
        ("right", "i4"),
        ("left_same_way", "?"),
        ("right_same_way", "?"),
        ("stop_s", "f8"),  # [m] its stop line, or its end
        ("stop_kind", "i4"),  # SignalKind, 0 none
        ("stop_signal", "i4"),
        ("speed_limit", "f8"),  # [m/s] at its beginning
    ]
)
"""What one must know of a lane to follow it."""

Ways: TypeAlias = tuple[Records, Ints, Floats]
"""WAY of each lane, successors, and x, y, s of each lane point."""

WAYS = nt.Tuple(  # type: ignore[no-untyped-call]
    (kernels.record(WAY)[::1], nt.int32[::1], nt.float64[:, ::1])
)
"""Numba type of `Ways`."""

OTHER = np.dtype(
    [
        ("x", "f8"),  # [m]
        ("y", "f8"),
        ("cos", "f8"),
        ("sin", "f8"),
        ("speed", "f8"),  # [m/s]
        ("acceleration", "f8"),  # [m/s^2]
        ("yaw_rate", "f8"),  # [rad/s]
        ("half_length", "f8"),  # [m]
        ("half_width", "f8"),
        ("lights", "i4"),
        ("lane", "i4"),  # it follows this one, -1: none
        ("lane_s", "f8"),  # [m]
        ("aside", "f8"),  # [m] left of the lane's centre
        ("drift", "f8"),  # [m/s] leftwards
        ("drift_for", "f8"),  # [s] for which that lasts
        ("halt", "f8"),  # [m] until it halts, infinite: it does not
        ("top", "f8"),  # [m/s] it does not accelerate beyond
    ]
)
"""A vehicle whose future is being looked at."""


def no_ways() -> Ways:
    """Returns the lanes of an unknown map."""
    return np.zeros(0, WAY), np.zeros(0, np.int32), np.zeros((0, 3))


def ways_of(network: RoadNetwork) -> Ways:
    """Returns the lanes of a map."""
    lanes, points = network.lanes, network.points
    ways = np.zeros(len(lanes), WAY)
    for name in ("first", "count", "length", "successor_first", "successor_count", "junction"):
        ways[name] = lanes[name]
    last = lanes["first"] + lanes["count"] - 1
    turn = np.append(np.diff(points["heading"]), 0.0)
    turn = (turn + math.pi) % (2.0 * math.pi) - math.pi
    turn[last] = 0.0
    ways["turn"] = np.add.reduceat(turn, lanes["first"])
    middle = lanes["first"] + lanes["count"] // 2
    ways["width"] = points["width"][middle]
    ways["speed_limit"] = points["speed_limit"][middle]
    for side in ("left", "right"):
        neighbour = lanes[side]
        drives = (neighbour >= 0) & (lanes["type"][neighbour] == LaneType.DRIVING)
        ways[side] = np.where(drives, neighbour, -1)
        ways[f"{side}_same_way"] = drives & lanes[f"{side}_same_way"]
    ways["stop_s"], ways["stop_signal"] = lanes["length"], -1
    for line in network.stop_lines:
        way = ways[line["lane"]]
        kind = network.signals["kind"][line["signal"]]
        if way["stop_kind"] == 0 or kind == SignalKind.LIGHT:
            way["stop_s"], way["stop_kind"] = line["s"], kind
            way["stop_signal"] = line["signal"]
    xys = np.stack([points[name] for name in ("x", "y", "s")], axis=1).astype(np.float64)
    return ways, np.array(network.successors, np.int32), xys


@kernels.device
def _segment(way: np.record, xys: Floats, s: float) -> int:
    """Returns the segment of a lane that holds s."""
    last = way.first + way.count - 2
    i = int(way.first) + int(s / way.length * (way.count - 1))
    i = int(min(max(i, way.first), last))
    while i < last and xys[i + 1, 2] <= s:
        i += 1
    while i > way.first and xys[i, 2] > s:
        i -= 1
    return i


@kernels.device
def _fork(ways: Records, successors: Ints, lane: int, lights: int) -> int:
    """Returns the lane that a vehicle takes at the end of its lane, -1 where it ends."""
    way = ways[lane]
    best, found = _NEVER, -1
    for k in range(way.successor_first, way.successor_first + way.successor_count):
        turn = ways[successors[k]].turn
        cost = abs(turn)
        if lights & _LEFT and not lights & _RIGHT:
            cost = -turn
        elif lights & _RIGHT and not lights & _LEFT:
            cost = turn
        if cost < best:
            best, found = cost, successors[k]
    return found


@kernels.device
def behold(vehicle: np.record, other: np.record, ways: Ways) -> None:
    """Starts the forecast of a vehicle.

    Args:
        vehicle: VEHICLE record.
        other: OTHER record, every field set.
        ways: of the map.
    """
    other.x, other.y = vehicle.x, vehicle.y
    other.cos, other.sin = math.cos(vehicle.heading), math.sin(vehicle.heading)
    other.speed, other.acceleration = vehicle.speed, vehicle.acceleration
    other.yaw_rate = vehicle.yaw_rate
    other.half_length, other.half_width = 0.5 * vehicle.length, 0.5 * vehicle.width
    other.lights = vehicle.lights
    other.lane, other.halt, other.top = -1, _NEVER, max(vehicle.speed, _SETS_OFF)
    other.drift, other.drift_for = 0.0, _HOLD
    sign = vehicle.lights & HAZARD
    side = 1.0 if sign == _LEFT else -1.0 if sign == _RIGHT else 0.0
    lane = vehicle.lane
    if not 0 <= lane < len(ways[0]):
        if side != 0.0:  # it pulls out
            other.drift, other.drift_for = side * _PULLS_OUT, _PULLING_OUT
        return
    way = ways[0][lane]
    i = _segment(way, ways[2], vehicle.lane_s)
    dx, dy = ways[2][i + 1, 0] - ways[2][i, 0], ways[2][i + 1, 1] - ways[2][i, 1]
    scale = 1.0 / math.sqrt(dx * dx + dy * dy)
    dx, dy = dx * scale, dy * scale
    if dx * other.cos + dy * other.sin < _ALIGNED:
        return
    other.lane, other.lane_s = lane, vehicle.lane_s
    other.aside = (vehicle.y - ways[2][i, 1]) * dx - (vehicle.x - ways[2][i, 0]) * dy
    drift = float(other.speed * (other.sin * dx - other.cos * dy))
    other.top = max(other.speed, way.speed_limit)
    if (side > 0.0 and way.left_same_way) or (side < 0.0 and way.right_same_way):
        drift, other.drift_for = side * max(side * drift, _PULLS_OUT), _PULLING_OUT
    other.drift = drift


@kernels.device
def _gives_way(plan: np.record, other: np.record, rank: int, turn: float) -> bool:
    """Whether a vehicle before the ego's next junction must let the ego go first there.

    Args:
        plan: PLAN record.
        other: OTHER record.
        rank: of its right of way, see `rank_of`.
        turn: it is about to make [rad].
    """
    if rank != plan.rank:
        return bool(rank < plan.rank)
    # Angle from the ego's direction of approach to its own: it comes from the right at pi / 2.
    across = wrap(math.atan2(other.sin, other.cos) - plan.heading)
    if abs(across) > 2.4:  # head on: who turns left waits
        return bool(turn > 0.5 and plan.turn < 0.5)
    if abs(across) < 0.5:  # side by side into one lane: who turns more waits
        return bool(abs(turn) > abs(plan.turn) + 0.02)
    return bool(across < 0.0 and not plan.by_light)


@kernels.device
def expect_halt(
    config: np.record, plan: np.record, other: np.record, ways: Ways, lights: Ints
) -> None:
    """Sets how far a vehicle goes before it halts for a light, a sign or the ego's priority.

    Args:
        config: CONFIG record.
        plan: PLAN record of the ego.
        other: OTHER record; `halt` is set.
        ways: of the map.
        lights: LightState of each signal, (S,).
    """
    other.halt = _NEVER
    lane, ahead = other.lane, -other.lane_s - other.half_length
    while lane >= 0 and ways[0][lane].junction < 0 and ahead < _LOOK:
        way = ways[0][lane]
        onward = _fork(ways[0], ways[1], lane, other.lights)
        if onward >= 0 and ways[0][onward].junction >= 0:
            state = _OFF
            if way.stop_kind == _LIGHT and way.stop_signal < len(lights):
                state = lights[way.stop_signal]
            distance = ahead + way.stop_s
            rank = rank_of(way.stop_kind, state)
            waits = rank == 0 or _gives_way(plan, other, rank, ways[0][onward].turn)
            if waits and distance > -1.0:
                needed = other.speed * other.speed
                if needed <= 2.0 * config.firm_braking * max(distance, 0.1):
                    other.halt = max(distance, 0.0)
            return
        ahead += way.length
        lane = onward


@kernels.device
def roll(other: np.record, step: int, dt: float, ways: Ways) -> bool:
    """Moves a vehicle on by dt; False where nothing is known of its future any more.

    Args:
        other: OTHER record, changed in place.
        step: how many steps it has made.
        dt: [s].
        ways: of the map.
    """
    before = float(other.speed)
    after = before
    if step * dt < _HOLD:
        after = max(0.0, min(before + other.acceleration * dt, max(other.top, before)))
        other.speed = after
    way = 0.5 * (before + after) * dt
    if other.halt < _NEVER:
        way = min(way, other.halt)  # when it brakes does not matter: it is behind its line
        other.halt -= way
    if other.lane < 0:
        turn = other.yaw_rate * dt
        c, n = float(other.cos), float(other.sin)
        c, n = (
            c * math.cos(turn) - n * math.sin(turn),
            n * math.cos(turn) + c * math.sin(turn),
        )
        other.cos, other.sin = c, n
        slide = other.drift * dt if step * dt < other.drift_for else 0.0
        other.x += c * way - n * slide
        other.y += n * way + c * slide
        return step * dt < _BLIND
    number, lane_s = int(other.lane), float(other.lane_s) + way
    while lane_s > ways[0][number].length:
        lane_s -= ways[0][number].length
        number = _fork(ways[0], ways[1], number, other.lights)
        if number < 0:
            return False
    other.lane, other.lane_s = number, lane_s
    if step * dt < other.drift_for:
        other.aside += other.drift * dt
    lane = ways[0][number]
    i = _segment(lane, ways[2], lane_s)
    ax, ay = float(ways[2][i, 0]), float(ways[2][i, 1])
    dx, dy = ways[2][i + 1, 0] - ax, ways[2][i + 1, 1] - ay
    scale = 1.0 / math.sqrt(dx * dx + dy * dy)
    c, n, along, aside = dx * scale, dy * scale, lane_s - ways[2][i, 2], float(other.aside)
    other.cos, other.sin = c, n
    other.x, other.y = ax + c * along - n * aside, ay + n * along + c * aside
    return True


@kernels.device
def is_slow(vehicle: np.record) -> bool:
    """Whether a vehicle is a cyclist, or something, that moves no faster than a runner."""
    kind = vehicle.kind
    rides = kind == _BICYCLE and vehicle.mover != _TRAFFIC
    return bool((kind == _PROP or rides) and _STANDS < vehicle.speed < _SLOW)
