"""The ego's motion: a kinematic bicycle with first-order actuators.

Throttle, brake and the angle of the front wheels follow their commands exponentially
(time constant 0.1 s, exact for any dt). Along its path the car accelerates with

    drive(throttle, v) = 8.594 throttle^1.7704 exp(-v / 32.25)
    resistance(v)      = 1.2165 + 2.6e-4 v^2          rolling, engine, air
    acceleration       = drive - resistance - 6.1 brake            [m/s^2], v in m/s

and the resistance and the brakes of a car that stands only hold it: they never push it
backwards. The drive and the constant resistance are a least-squares fit to the one-tick
speed table of PDM-Lite (CARLA's default car) between 10 and 70 km/h and throttle >= 0.5,
rms error 0.12 m/s^2; outside that range the table contradicts itself and is not used. The
air's part is physics (drag area 0.65 m^2, 1500 kg), the brake is the table's mean between
30 and 110 km/h, together below 9 m/s^2 at any speed up to 80 m/s.

In the reverse gear, which a throttle below 0 stands for, the same law holds with nose and tail
exchanged; a throttle against the present motion brakes. Speed stays a magnitude: a car that
drives backwards has a slip beyond a right angle.

The path is the bicycle's (`drive_il.steering`). A step is cut into equal substeps of at
most 0.05 s: speed by the classic Runge-Kutta method, with the instant of stopping solved
for, position and heading by Simpson's rule.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import Mover
from drive_il.datatypes import CONTROL, VEHICLE, Floats, Records
from drive_il.maps.route_geometry import wrap
from drive_il.pedals import (
    AIR_DRAG,
    BRAKE_GAIN,
    DRIVE_EXPONENT,
    DRIVE_GAIN,
    DRIVE_SPEED,
    RESISTANCE,
)
from drive_il.sim.grip import UNLIMITED, largest_angle, share
from drive_il.steering import REAR_WHEELBASE, SLIP_RATIO, STEER_GAIN

LENGTH = 4.9
"""of CARLA's default car, bumper to bumper [m]"""
WIDTH = 2.0
"""of CARLA's default car, without mirrors [m]"""
HEIGHT = 1.5
"""of CARLA's default car [m]"""
COLOR = (90, 20, 24)
"""of the ego"""
TIME_CONSTANT = 0.1
"""of throttle, brake and steering actuators [s]"""
MAX_SPEED = 80.0
"""speed up to which the law is meant to hold [m/s]"""
_MAX_SUBSTEP = 0.05  # [s]
_TWO_PI = 2.0 * math.pi


@kernels.device
def push(throttle: float) -> float:
    """Returns the drive at standstill [m/s^2] of a throttle in [0, 1]."""
    return DRIVE_GAIN * throttle**DRIVE_EXPONENT if throttle > 0.0 else 0.0


@kernels.device
def acceleration(speed: float, throttle: float, brake: float) -> float:
    """Returns the acceleration along the path [m/s^2].

    Increases with throttle, decreases with brake, continuous in all three. Negative at
    speed 0 means that the car is held.

    Args:
        speed: >= 0 [m/s].
        throttle: in [0, 1], after the actuator.
        brake: in [0, 1], after the actuator.
    """
    drive = push(throttle) * math.exp(-speed / DRIVE_SPEED)
    return drive - RESISTANCE - AIR_DRAG * speed * speed - BRAKE_GAIN * brake


@kernels.device
def _rate(speed: float, drive: float, brake: float, stands: bool) -> float:
    speed = max(speed, 0.0)
    rate = drive * math.exp(-speed / DRIVE_SPEED) - RESISTANCE - AIR_DRAG * speed * speed
    rate -= BRAKE_GAIN * brake
    return max(rate, 0.0) if stands else rate


@kernels.device
def _speeds(
    v0: float,
    drive: tuple[float, float, float],
    brake: tuple[float, float, float],
    h: float,
) -> tuple[float, float, float]:
    """One substep of the speed.

    Args:
        v0: speed at its start [m/s].
        drive: `push` at its start, middle and end [m/s^2].
        brake: actuated brake at the same times.
        h: its length [s].

    Returns:
        Time in motion [s], speed in the middle of that time and at its end [m/s].
    """
    stands = v0 <= 0.0
    k1 = _rate(v0, drive[0], brake[0], stands)
    k2 = _rate(v0 + 0.5 * h * k1, drive[1], brake[1], stands)
    k3 = _rate(v0 + 0.5 * h * k2, drive[1], brake[1], stands)
    k4 = _rate(v0 + h * k3, drive[2], brake[2], stands)
    v1 = v0 + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    if v1 > 0.0:
        return h, max(0.5 * (v0 + v1) + 0.125 * h * (k1 - k4), 0.0), v1
    if stands or v1 == 0.0:
        return h, 0.5 * v0, 0.0
    # It stops on the way: where the parabola through v0, its slope and v1 meets zero.
    bend = (v1 - v0 - k1 * h) / (h * h)
    stop = min(2.0 * v0 / (-k1 + math.sqrt(max(k1 * k1 - 4.0 * bend * v0, 0.0))), h)
    return stop, max(v0 + 0.5 * stop * (k1 + 0.5 * stop * bend), 0.0), 0.0


@kernels.device
def slip_of_angle(steering_angle: float) -> tuple[float, float]:
    """Returns sine and cosine of the slip of the centre for an angle of the front wheels."""
    ratio = SLIP_RATIO * math.tan(steering_angle)
    cosine = 1.0 / math.sqrt(1.0 + ratio * ratio)
    return ratio * cosine, cosine


@kernels.device
def _move(
    ego: np.record, h: float, v0: float, vm: float, v1: float, angles: tuple[float, float, float]
) -> None:
    """Moves position and heading along h seconds of motion, by Simpson's rule."""
    sin0, cos0 = slip_of_angle(angles[0])
    sinm, cosm = slip_of_angle(angles[1])
    sin1, cos1 = slip_of_angle(angles[2])
    rear = ego.rear_wheelbase
    turn0 = v0 * sin0 / rear
    turnm = vm * sinm / rear
    turn1 = v1 * sin1 / rear
    heading = ego.heading
    middle = heading + h / 24.0 * (5.0 * turn0 + 8.0 * turnm - turn1)
    end = heading + h / 6.0 * (turn0 + 4.0 * turnm + turn1)
    s0, c0 = math.sin(heading), math.cos(heading)
    sm, cm = math.sin(middle), math.cos(middle)
    s1, c1 = math.sin(end), math.cos(end)
    ego.x += (
        h
        / 6.0
        * (
            v0 * (c0 * cos0 - s0 * sin0)
            + 4.0 * vm * (cm * cosm - sm * sinm)
            + v1 * (c1 * cos1 - s1 * sin1)
        )
    )
    ego.y += (
        h
        / 6.0
        * (
            v0 * (s0 * cos0 + c0 * sin0)
            + 4.0 * vm * (sm * cosm + cm * sinm)
            + v1 * (s1 * cos1 + c1 * sin1)
        )
    )
    ego.heading = end


@kernels.device
def _substep(
    ego: np.record, throttle: float, brake: float, angle: float, h: float, grip: float
) -> float:
    """One substep of h seconds towards a commanded throttle, brake and wheel angle.

    Returns:
        The wheel angle along which it goes in the end: that of its wheels unless they slide.
    """
    half = math.exp(-0.5 * h / TIME_CONSTANT)
    full = half * half
    throttle0, brake0, angle0 = ego.throttle, ego.brake, ego.steering_angle
    throttle1 = throttle + (throttle0 - throttle) * full
    brake1 = brake + (brake0 - brake) * full
    angle1 = angle + (angle0 - angle) * full
    p = ego.power
    middle_throttle = throttle + (throttle0 - throttle) * half
    drive = (p * push(throttle0), p * push(middle_throttle), p * push(throttle1))
    brakes = (p * brake0, p * (brake + (brake0 - brake) * half), p * brake1)
    v0 = ego.speed
    across = UNLIMITED
    rear = abs(ego.rear_wheelbase)  # below 0 while it is driven backwards
    if grip < UNLIMITED:
        sine = slip_of_angle(max(abs(angle0), abs(angle1)))[0]
        wish = abs(drive[1] * math.exp(-v0 / DRIVE_SPEED) - RESISTANCE - BRAKE_GAIN * brakes[1])
        held, across = share(wish, v0 * v0 * sine / rear, grip)
        drive = (held * drive[0], held * drive[1], held * drive[2])
        # The resistance of the engine and the wheels reaches the road through the tyres too.
        less = (held - 1.0) * RESISTANCE / BRAKE_GAIN
        brakes = (held * brakes[0] + less, held * brakes[1] + less, held * brakes[2] + less)
    moving, vm, v1 = _speeds(v0, drive, brakes, h)
    end = angle1
    if v0 > 0.0 or v1 > 0.0:
        middle = half if moving == h else math.exp(-0.5 * moving / TIME_CONSTANT)
        away = angle0 - angle
        angles = (angle0, angle + away * middle, angle + away * middle * middle)
        if grip < UNLIMITED:
            most = largest_angle(max(v0, v1), rear, across)
            angles = (_within(angles[0], most), _within(angles[1], most), _within(angles[2], most))
            end = _within(end, most)
        _move(ego, moving, v0, vm, v1, angles)
    ego.speed = v1
    ego.throttle = throttle1
    ego.brake = brake1
    ego.steering_angle = angle1
    return end


@kernels.device
def _within(value: float, most: float) -> float:
    return min(max(value, -most), most)


@kernels.device
def drive(
    ego: np.record, throttle: float, brake: float, steer: float, dt: float, grip: float
) -> None:
    """Drives one vehicle for dt seconds under a constant control.

    Sets position, heading, speed, slip, acceleration (the mean over dt), yaw rate and
    actuators; height, pitch and lane are the road's to say (`World.step`).

    Args:
        ego: VEHICLE record, changed in place.
        throttle: in [0, 1].
        brake: in [0, 1].
        steer: in [-1, 1], left positive.
        dt: in (0, 0.5] [s].
        grip: largest acceleration that its tyres give, see `drive_il.sim.grip` [m/s^2].
    """
    before = ego.speed
    angle = STEER_GAIN * steer
    n_substeps = max(int(math.ceil(dt / _MAX_SUBSTEP - 1e-9)), 1)
    h = dt / n_substeps
    end = ego.steering_angle
    for _ in range(n_substeps):
        end = _substep(ego, throttle, brake, angle, h, grip)
    if not -math.pi <= ego.heading < math.pi:
        heading = float(ego.heading - _TWO_PI * math.floor((ego.heading + math.pi) / _TWO_PI))
        # A hair outside the range rounds to its other side.
        ego.heading = heading if -math.pi <= heading < math.pi else -math.pi
    ego.steer = steer
    settle(ego, end)
    ego.acceleration = (ego.speed - before) / dt


@kernels.device
def drive_backwards(
    ego: Any, throttle: float, brake: float, steer: float, dt: float, grip: float
) -> None:
    """Drives one vehicle backwards; arguments as `drive`, the throttle that of the reverse gear.

    That is forwards with nose and tail exchanged: the other axle leads, so that the wheels turn
    the vehicle the other way.
    """
    ego.heading += math.pi
    ego.rear_wheelbase = -ego.rear_wheelbase
    drive(ego, throttle, brake, steer, dt, grip)
    ego.rear_wheelbase = -ego.rear_wheelbase
    ego.heading = wrap(ego.heading + math.pi)
    ego.slip = wrap(ego.slip + math.pi)


@kernels.device
def is_backwards(ego: Any) -> bool:
    """Returns whether a vehicle moves backwards."""
    return ego.speed > 0.0 and math.cos(ego.slip) < 0.0


@kernels.device
def drive_in_gear(
    ego: Any, throttle: float, brake: float, steer: float, dt: float, grip: float
) -> None:
    """Drives one vehicle as `drive`, with a throttle in [-1, 1]: below 0 in the reverse gear."""
    backwards = is_backwards(ego)
    if ego.speed == 0.0:
        backwards = throttle < 0.0
    elif throttle != 0.0 and backwards != (throttle < 0.0):
        throttle, brake = 0.0, max(brake, abs(throttle))
    if backwards:
        drive_backwards(ego, abs(throttle), brake, steer, dt, grip)
    else:
        drive(ego, abs(throttle), brake, steer, dt, grip)


@kernels.device
def settle(ego: np.record, angle: float) -> None:
    """Sets slip and yaw rate from the wheel angle along which it goes [rad] and the speed."""
    sine, cosine = slip_of_angle(angle)
    ego.slip = math.atan2(sine, cosine)
    ego.yaw_rate = ego.speed * sine / ego.rear_wheelbase


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(VEHICLE)[::1],
        kernels.record(CONTROL)[::1],
        nt.float64,
        nt.float64,
    )
)
def _drive_rows(
    first_row: int, last_row: int, ego: Records, control: Records, dt: float, grip: float
) -> None:
    for row in range(first_row, last_row):
        command = control[row]
        drive_in_gear(ego[row], command.throttle, command.brake, command.steer, dt, grip)


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        nt.float64[::1],
        nt.float64[::1],
        nt.float64[::1],
        nt.float64[::1],
    )
)
def _acceleration_rows(
    first_row: int,
    last_row: int,
    speed: Floats,
    throttle: Floats,
    brake: Floats,
    result: Floats,
) -> None:
    for row in range(first_row, last_row):
        result[row] = acceleration(speed[row], throttle[row], brake[row])


def drive_rows(ego: Records, control: Records, dt: float, grip: float = UNLIMITED) -> None:
    """Drives every vehicle for dt seconds, in place and without a road below.

    Args:
        ego: (B,) VEHICLE.
        control: (B,) CONTROL.
        dt: in (0, 0.5] [s].
        grip: largest acceleration that their tyres give [m/s^2].
    """
    kernels.run(_drive_rows, len(ego), ego, control, dt, grip, min_rows=1024)


def acceleration_rows(speed: Floats, throttle: Floats, brake: Floats) -> Floats:
    """Returns `acceleration` of broadcast arrays [m/s^2], in their common shape."""
    parts = np.broadcast_arrays(
        np.asarray(speed, np.float64),
        np.asarray(throttle, np.float64),
        np.asarray(brake, np.float64),
    )
    shape = parts[0].shape
    flat = [np.array(part).reshape(-1) for part in parts]
    result = np.zeros(len(flat[0]))
    kernels.run(_acceleration_rows, len(result), *flat, result, min_rows=4096)
    return result.reshape(shape)


def standing(n_rows: int) -> Records:
    """Returns vehicles at the origin that stand still, (n_rows,) VEHICLE."""
    ego = np.zeros(n_rows, VEHICLE)
    ego["length"] = LENGTH
    ego["width"] = WIDTH
    ego["height"] = HEIGHT
    ego["rear_wheelbase"] = REAR_WHEELBASE
    ego["power"] = 1.0
    ego["lane"] = -1
    ego["mover"] = int(Mover.CONTROL)
    ego["r"], ego["g"], ego["b"] = COLOR
    return ego
