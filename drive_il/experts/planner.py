"""The scripted planner: follows the lane centre of the route at the speed the road allows.

A function of what the Scene shows, nothing else: the same Scene always gets the same label.

Steering. The reference point of the car (`drive_il.steering`) moves in the direction of
heading + slip, and the point REAR_WHEELBASE behind it follows like a trailer. A car whose
reference point runs exactly on the route therefore has the heading of a tractrix:

    d(heading) / ds = sin(route_heading - heading) / REAR_WHEELBASE

The planner integrates it along the last metres of the route. Its slip, looked up as far ahead
as the actuators lag, is the feed-forward; the feedback is linear in lateral error e and
heading error h against the tractrix, with both poles at look-ahead distance l and damping
1/sqrt(2) (per metre, small angles):

    slip = slip_ff - 2 r / l^2 e - r (2 / l - 2 r / l^2) h,    r = REAR_WHEELBASE

bounded smoothly in what it adds to the lateral acceleration.

Speed. Each route point allows the least of its limit and what the lateral acceleration
permits in its bend; braking evenly towards the points ahead gives a profile v(s). The
wanted acceleration is (v(s + T speed) - speed) / T: on the profile that is its own slope.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import CONTROL, PROGRESS, ROUTE_POINT, VEHICLE, Floats, Ints, Records, Scene
from drive_il.maps.progress import wrap
from drive_il.steering import MAX_CURVATURE, REAR_WHEELBASE, SLIP_RATIO, STEER_GAIN

_MEMORY = 8.0 * REAR_WHEELBASE
"""length of route behind the car that shapes its heading; the rest has faded to 0.03 % [m]"""
_MAX_SLIP = math.asin(MAX_CURVATURE * REAR_WHEELBASE)  # [rad] at full steer


@dataclass(frozen=True)
class PlannerConfig:
    """The scripted planner."""

    speed_factor: float = 0.9
    """share of the speed limit that is driven"""
    max_speed: float = 25.0
    """never faster [m/s]"""
    lateral_acceleration: float = 2.5
    """in bends [m/s^2]"""
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

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not (math.isfinite(value) and (value > 0 or (item.name == "lag" and value == 0))):
                raise ValueError(f"{item.name} of the planner must be positive, got {value}")


_CONFIG = np.dtype([(item.name, "f8") for item in fields(PlannerConfig)])


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
def _steer(
    config: np.record,
    ego: np.record,
    at: np.record,
    points: Records,
    low: int,
    high: int,
    dt: float,
) -> float:
    ahead = ego.speed * (config.lag + 0.5 * dt)  # the command holds for dt
    here, there = _trailing(points, low, high, low + at.index, at.s, ahead)
    distance = config.look_ahead + config.look_ahead_time * ego.speed
    stiffness = 2.0 * REAR_WHEELBASE / (distance * distance)
    heading_gain = REAR_WHEELBASE * (2.0 / distance) - REAR_WHEELBASE * stiffness
    back = -stiffness * at.lateral_error - heading_gain * wrap(at.heading_error - here)
    bound = config.recovery_acceleration * REAR_WHEELBASE / max(ego.speed * ego.speed, 1.0)
    bound = min(bound, _MAX_SLIP)
    slip = -there + bound * math.tanh(back / bound)
    slip = min(max(slip, -_MAX_SLIP), _MAX_SLIP)
    angle = math.atan(math.tan(slip) / SLIP_RATIO)
    return float(min(max(angle / STEER_GAIN, -1.0), 1.0))


@kernels.device
def _allowed(config: np.record, curvature: float, speed_limit: float) -> float:
    """Returns the squared speed that one place of the route allows."""
    limit = min(config.speed_factor * speed_limit, config.max_speed)
    bend = config.lateral_acceleration / max(abs(curvature), 1e-9)
    return float(min(limit * limit, bend))


@kernels.device
def _target_speed(
    config: np.record, speed: float, at: np.record, points: Records, low: int, high: int
) -> float:
    """Returns the least of the speed profile between here and T seconds ahead."""
    preview = speed * config.speed_time
    left = points[high].s - at.s - preview
    best = min(
        _allowed(config, at.curvature, at.speed_limit), max(left, 0.0) * 2.0 * config.braking
    )
    i = low + at.index + 1
    while i <= high:
        distance = max(points[i].s - at.s - preview, 0.0)
        slack = 2.0 * config.braking * distance
        if slack >= best:  # not even a halt there would bind
            break
        best = min(best, slack + _allowed(config, points[i].curvature, points[i].speed_limit))
        i += 1
    return float(math.sqrt(best))


@kernels.device
def _pedals(config: np.record, speed: float, target: float, control: np.record) -> None:
    wanted = (target - speed) / config.speed_time
    wanted = min(max(wanted, -config.max_braking), config.max_acceleration)
    # It stands firmly where it has to stand.
    wanted -= max(0.0, 1.0 - 2.0 * target) * (config.resistance + config.braking)
    push = wanted + config.resistance
    control.throttle = 0.0
    control.brake = 0.0
    if push > 0.0:
        share = push * math.exp(speed / config.drive_speed) / config.drive_gain
        control.throttle = min(share ** (1.0 / config.drive_exponent), 1.0)
    else:
        control.brake = min(-push / config.brake_gain, 1.0)


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(_CONFIG)[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(PROGRESS)[::1],
        kernels.record(ROUTE_POINT)[::1],
        nt.int32[::1],
        nt.int32[::1],
        nt.float64,
        kernels.record(CONTROL)[::1],
        nt.float64[::1],
    )
)
def _control_rows(
    first_row: int,
    last_row: int,
    configs: Records,
    egos: Records,
    progresses: Records,
    points: Records,
    first: Ints,
    count: Ints,
    dt: float,
    control: Records,
    target: Floats,
) -> None:
    config = configs[0]
    for row in range(first_row, last_row):
        ego, at = egos[row], progresses[row]
        low = first[at.route]
        high = low + count[at.route] - 1
        target[row] = _target_speed(config, ego.speed, at, points, low, high)
        _pedals(config, ego.speed, target[row], control[row])
        control[row].steer = _steer(config, ego, at, points, low, high, dt)


class Planner:
    """The scripted planner as an `Expert`.

    Args:
        config: how it drives.
    """

    def __init__(self, config: PlannerConfig = PlannerConfig()) -> None:
        self.config = config
        self._record = np.array([astuple(config)], _CONFIG)

    def control(self, scene: Scene) -> Records:
        """Returns what the planner would do in each row, (B,) CONTROL."""
        return self._run(scene)[0]

    def target_speed(self, scene: Scene) -> Floats:
        """Returns the speed that the planner aims at in each row, (B,) [m/s]."""
        return self._run(scene)[1]

    def _run(self, scene: Scene) -> tuple[Records, Floats]:
        control = np.zeros(scene.n_rows, CONTROL)
        target = np.zeros(scene.n_rows)
        kernels.run(
            _control_rows,
            scene.n_rows,
            self._record,
            scene.ego,
            scene.progress,
            scene.routes.points,
            scene.routes.first,
            scene.routes.count,
            scene.dt,
            control,
            target,
            min_rows=256,
        )
        return control, target
