"""What the road alone asks of the planner: the lane centre, at the speed the road allows.

Steering. The reference point of the car (`drive_il.steering`) moves in the direction of
heading + slip, and the point REAR_WHEELBASE behind it follows like a trailer. A car whose
reference point runs exactly on the route therefore has the heading of a tractrix:

    d(heading) / ds = sin(route_heading - heading) / REAR_WHEELBASE

The planner integrates it along the last metres of the route. Its slip, looked up as far ahead
as the actuators lag, is the feed-forward; the feedback is linear in lateral error e and
heading error h against the tractrix, with both poles at look-ahead distance l and damping
1/sqrt(2) (per metre, small angles):

    slip = slip_ff - 2 r / l^2 e - r (2 / l - 2 r / l^2) h,    r = REAR_WHEELBASE

bounded smoothly in what it adds to the lateral acceleration. Where it asks for more than that
bound, the car is too fast for the place it has got to, and slows down.

Speed. Each route point allows the least of its limit and what the lateral acceleration
permits in its bend; braking evenly towards the points ahead gives a profile v(s). The
wanted acceleration is (v(s + T speed) - speed) / T: on the profile that is its own slope.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from drive_il import kernels
from drive_il.datatypes import Records
from drive_il.maps.route_geometry import wrap
from drive_il.steering import MAX_CURVATURE, REAR_WHEELBASE, SLIP_RATIO, STEER_GAIN

_MEMORY = 8.0 * REAR_WHEELBASE
"""length of route behind the car that shapes its heading; the rest has faded to 0.03 % [m]"""
_STANDS = 0.1  # [m/s] below this the car stands
_WORTH_IT = 0.4  # [m/s^2] it does not set out for less
_MAX_SLIP = math.asin(MAX_CURVATURE * REAR_WHEELBASE)  # [rad] at full steer
_MAY_BE_ZERO = ("lag", "end_speed")


@dataclass(frozen=True)
class PlannerConfig:
    """The scripted planner."""

    speed_factor: float = 0.9
    """share of the speed limit that is driven"""
    max_speed: float = 25.0
    """never faster [m/s]"""
    lateral_acceleration: float = 2.5
    """in bends [m/s^2]"""
    end_speed: float = 0.0
    """at the end of the route; by default it halts there [m/s]"""
    braking: float = 2.0
    """towards bends, limits and the end of the route [m/s^2]"""
    max_acceleration: float = 2.5
    """when speeding up [m/s^2]"""
    max_braking: float = 5.0
    """hardest braking, when surprised [m/s^2]"""
    speed_time: float = 0.8
    """time T in which a speed error is corrected [s]"""
    look_ahead: float = 3.0
    """l at standstill: distance in which an offset is corrected [m]"""
    look_ahead_time: float = 0.6
    """l grows by this with speed [s]"""
    recovery_acceleration: float = 5.0
    """lateral acceleration that the feedback may add [m/s^2]"""
    lag: float = 0.1
    """time constant of the car's actuators [s]"""
    drive_gain: float = 8.594
    """the car's acceleration at full throttle from standstill [m/s^2]"""
    drive_exponent: float = 1.77
    """power of the throttle in it"""
    drive_speed: float = 32.25
    """speed at which it has fallen to 1/e [m/s]"""
    resistance: float = 1.2165
    """the car's deceleration when coasting [m/s^2]"""
    brake_gain: float = 6.1
    """deceleration that the full brake adds [m/s^2]"""
    standing_gap: float = 2.0
    """distance kept from a standing vehicle ahead [m]"""
    time_gap: float = 1.2
    """time kept from a vehicle ahead [s]"""
    comfortable_braking: float = 2.5
    """deceleration aimed at behind others [m/s^2]"""
    firm_braking: float = 3.5
    """deceleration up to which it would rather stop than go on: yellow, giving way [m/s^2]"""
    emergency_braking: float = 7.0
    """hardest braking, to avoid others [m/s^2]"""
    clearance: float = 0.35
    """kept from others beside the ego [m]"""
    passing_clearance: float = 0.7
    """kept from a standing obstacle that is passed [m]"""
    passing_acceleration: float = 3.0
    """lateral acceleration when moving over for an obstacle [m/s^2]"""
    passing_push: float = 3.5
    """when speeding up to pass one [m/s^2]"""
    gap_before: float = 0.9
    """it crosses if it is gone for so long when another arrives [s]"""
    gap_behind: float = 0.6
    """it crosses so long after another has left [s]"""
    walker_gap: float = 1.5
    """the same, before a walker [s]"""
    patience: float = 15.0
    """after standing for so long it makes do with smaller gaps [s]"""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            least = "at least 0" if item.name in _MAY_BE_ZERO else "positive"
            if not math.isfinite(value) or value < 0 or (value == 0 and least == "positive"):
                raise ValueError(f"{item.name} of the planner must be {least}, got {value}")


CONFIG = np.dtype([(item.name, "f8") for item in fields(PlannerConfig)])
"""A `PlannerConfig` as kernels take it."""


@kernels.device
def _trailing(
    points: Records, low: int, high: int, index: int, s: float, ahead: float
) -> tuple[float, float]:
    """Integrates the tractrix up to s and up to s + ahead.

    Args:
        points: ROUTE_POINT array.
        low: first point of the route.
        high: last point of the route.
        index: the point before s.
        s: arc length of the car [m].
        ahead: how much further to look [m].

    Returns:
        Heading minus route heading of a car that runs exactly on the route, at s and at
        s + ahead [rad].
    """
    i = index
    while i > low and points[i].s > s - _MEMORY:
        i -= 1
    trail, at, trails = 0.0, min(points[i].s, s), (0.0, 0.0)
    for goal in (s, s + ahead):
        while at < goal:
            end, bend = goal, 0.0  # beyond the last point the route goes straight on
            if i < high:
                a, b = points[i], points[i + 1]
                end = min(b.s, goal)
                bend = wrap(b.heading - a.heading) / (b.s - a.s)
                if b.s <= goal:
                    i += 1
            trail = _trail(trail, bend, end - at)
            at = end
        trails = (trails[1], trail)
    return trails


@kernels.device
def _trail(trail: float, bend: float, distance: float) -> float:
    """Solves d(trail)/ds = -sin(trail) / r - bend over a short distance."""
    r = REAR_WHEELBASE * (1.0 + trail * trail / 6.0)  # sin(x) / x, for one step
    fade = math.exp(-distance / r)
    return trail * fade - bend * r * (1.0 - fade)


@kernels.device
def steer(
    config: np.record,
    ego: np.record,
    at: np.record,
    points: Records,
    low: int,
    high: int,
    aside: tuple[float, float, float, float],
    dt: float,
) -> tuple[float, float]:
    """Holds the car on the route, or on a line beside it.

    Args:
        config: CONFIG record.
        ego: VEHICLE record.
        at: its PROGRESS.
        points: ROUTE_POINT array.
        low: first point of the route.
        high: last point of the route.
        aside: how far left of the route to drive [m], the slope of that [rad], its curvature
            here and where the actuators will have answered [1/m]; zeros: on the route.
        dt: the command holds for this long [s].

    Returns:
        The steer, and the speed up to which it brings the car back as it should [m/s].
    """
    ahead = ego.speed * (config.lag + 0.5 * dt)
    here, there = _trailing(points, low, high, low + at.index, at.s, ahead)
    lateral_error, heading_error = at.lateral_error, wrap(at.heading_error - here)
    if aside[0] != 0.0 or aside[1] != 0.0 or aside[3] != 0.0:
        lateral_error -= aside[0]
        heading_error = wrap(heading_error - aside[1] + aside[2] * REAR_WHEELBASE)
        there -= aside[3] * REAR_WHEELBASE
    distance = config.look_ahead + config.look_ahead_time * ego.speed
    stiffness = 2.0 * REAR_WHEELBASE / (distance * distance)
    heading_gain = REAR_WHEELBASE * (2.0 / distance) - REAR_WHEELBASE * stiffness
    back = -stiffness * lateral_error - heading_gain * heading_error
    bound = config.recovery_acceleration * REAR_WHEELBASE / max(ego.speed * ego.speed, 1.0)
    bound = min(bound, _MAX_SLIP)
    slip = -there + bound * math.tanh(back / bound)
    slip = min(max(slip, -_MAX_SLIP), _MAX_SLIP)
    angle = math.atan(math.tan(slip) / SLIP_RATIO)
    top = math.sqrt(config.recovery_acceleration * REAR_WHEELBASE / max(abs(back), 1e-9))
    return float(min(max(angle / STEER_GAIN, -1.0), 1.0)), float(top)


@kernels.device
def allowed(config: np.record, curvature: float, speed_limit: float) -> float:
    """Returns the squared speed that one place of the route allows."""
    limit = min(config.speed_factor * speed_limit, config.max_speed)
    bend = config.lateral_acceleration / max(abs(curvature), 1e-9)
    return float(min(limit * limit, bend))


@kernels.device
def target_speed(
    config: np.record, speed: float, at: np.record, points: Records, low: int, high: int
) -> float:
    """Returns the least of the speed profile between here and T seconds ahead."""
    preview = speed * config.speed_time
    left = points[high].s - at.s - preview
    end = config.end_speed * config.end_speed + max(left, 0.0) * 2.0 * config.braking
    best = min(allowed(config, at.curvature, at.speed_limit), end)
    i = low + at.index + 1
    while i <= high:
        distance = max(points[i].s - at.s - preview, 0.0)
        slack = 2.0 * config.braking * distance
        if slack >= best:  # not even a halt there would bind
            break
        best = min(best, slack + allowed(config, points[i].curvature, points[i].speed_limit))
        i += 1
    return float(math.sqrt(best))


@kernels.device
def hold_back(config: np.record, speed: float, top: float) -> float:
    """Returns the acceleration with which the car does not become, or stay, faster than that.

    Args:
        config: CONFIG record.
        speed: of the car [m/s].
        top: [m/s].
    """
    return float(max((top - speed) / config.speed_time, -config.max_braking))


@kernels.device
def pedals(
    config: np.record, speed: float, target: float, most: float, ceiling: float, control: np.record
) -> None:
    """Sets throttle and brake.

    Args:
        config: CONFIG record.
        speed: of the car [m/s].
        target: speed that the road asks for [m/s].
        most: acceleration never exceeded [m/s^2].
        ceiling: acceleration that others on the road permit, infinite without them [m/s^2].
        control: CONTROL record, all but its steer is set.
    """
    wanted = (target - speed) / config.speed_time
    wanted = min(max(wanted, -config.max_braking), most)
    wanted = min(wanted, ceiling)
    # It stands firmly where it has to stand, and does not set out for a hand's breadth.
    firm = max(0.0, 1.0 - 2.0 * target)
    if ceiling <= 0.0 or (speed < _STANDS and ceiling < _WORTH_IT):
        wanted = min(wanted, 0.0)
        firm = max(firm, 1.0 - 2.0 * speed)
    wanted -= firm * (config.resistance + config.braking)
    push = wanted + config.resistance
    control.throttle = 0.0
    control.brake = 0.0
    if push > 0.0:
        share = push * math.exp(speed / config.drive_speed) / config.drive_gain
        control.throttle = min(share ** (1.0 / config.drive_exponent), 1.0)
    else:
        control.brake = min(-push / config.brake_gain, 1.0)
