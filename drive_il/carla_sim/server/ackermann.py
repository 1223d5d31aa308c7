"""Vehicles that are told a wheel angle and a speed, not pedals (carla.VehicleAckermannControl).

Two PID loops in a row, as in CARLA and in its ROS bridge before ("AckermannControllerSettings",
"carla_ackermann_control"): the first turns what is missing in speed into a change of the wanted
acceleration, the second what is missing in acceleration into a change of the pedals. Gains and
limits are CARLA's defaults; each loop adds its output once a tick, so that here as there a
gain means more the shorter a tick is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from drive_il import handedness
from drive_il.datatypes import Records
from drive_il.steering import STEER_GAIN

Gains = tuple[float, float, float]
"""of the error, its integral and the measured value's rate"""
SETTINGS = (0.15, 0.0, 0.25, 0.01, 0.0, 0.01)
"""gains of the speed's loop and of the acceleration's, in the order of CARLA's settings"""
_MAX_ACCELERATION, _MAX_DECELERATION = 3.0, 8.0  # [m/s^2] where none is told
_STANDS = 0.1  # [m/s] slower than this a vehicle stands and may change its gear
_UNTOLD = 1e-3  # a limit smaller than this is none


class Target(NamedTuple):
    """What a vehicle is told, in CARLA's frame; limits of 0 are none.

    Attributes:
        steer: angle of the front wheels, right positive [rad].
        steer_speed: rate at which they may turn [rad/s].
        speed: backwards negative [m/s].
        acceleration: largest that may be used [m/s^2].
        jerk: largest change of it [m/s^3].
    """

    steer: float
    steer_speed: float
    speed: float
    acceleration: float
    jerk: float


class _Loop:
    """One PID loop."""

    def __init__(self) -> None:
        self._integral = 0.0
        self._last: float | None = None

    def run(self, gains: Gains, wanted: float, measured: float, dt: float) -> float:
        error = wanted - measured
        self._integral += error * dt
        rate = 0.0 if self._last is None else (measured - self._last) / dt
        self._last = measured
        return gains[0] * error + gains[1] * self._integral - gains[2] * rate


@dataclass
class Ackermann:
    """The controller of one vehicle.

    Attributes:
        settings: six gains, see SETTINGS.
        target: what it is told; None while it is driven otherwise.
    """

    settings: tuple[float, ...] = SETTINGS
    target: Target | None = None
    _speed: _Loop = field(default_factory=_Loop)
    _acceleration: _Loop = field(default_factory=_Loop)
    _wanted: float = 0.0  # [m/s^2]
    _pedals: float = 0.0  # throttle positive, brake negative; in the world's forward direction
    _last_speed: float | None = None

    def begin(self, target: Target) -> None:
        """Takes the wheel, or what is told to who has it already."""
        if self.target is None:
            self._rest()
        self.target = target

    def drive(self, vehicle: Records, control: Records, order: Records, dt: float) -> None:
        """Sets pedals, wheel and gear for the next tick.

        Args:
            vehicle: VEHICLE record.
            control: CONTROL record, set.
            order: ORDER record, its gear and hand brake set.
            dt: length of a tick [s].
        """
        if self.target is None:
            return
        speed = float(vehicle["speed"]) * math.cos(float(vehicle["slip"]))
        control["steer"] = self._steer(self.target, float(control["steer"]), dt)
        order["hand_brake"] = False
        if abs(speed) < _STANDS and abs(self.target.speed) < _STANDS:
            self._rest()
            control["throttle"], control["brake"] = 0.0, 1.0
            return
        if abs(speed) < _STANDS:
            order["reverse"] = self.target.speed < 0.0
        pedals = self._push(self.target, speed, dt)
        if order["reverse"]:
            pedals = -pedals
        control["throttle"], control["brake"] = max(pedals, 0.0), max(-pedals, 0.0)

    def _steer(self, target: Target, present: float, dt: float) -> float:
        """Returns the steer, left positive, that the wheels can have reached."""
        wanted = handedness.steer_from_carla(min(max(target.steer / STEER_GAIN, -1.0), 1.0))
        if target.steer_speed < _UNTOLD:
            return wanted
        most = target.steer_speed * dt / STEER_GAIN
        return present + min(max(wanted - present, -most), most)

    def _push(self, target: Target, speed: float, dt: float) -> float:
        """Returns the pedals, positive where they push the vehicle forwards."""
        goal = target.speed if abs(speed) < _STANDS or target.speed * speed > 0.0 else 0.0
        told = target.acceleration >= _UNTOLD
        most = target.acceleration if told else _MAX_ACCELERATION
        least = -target.acceleration if told else -_MAX_DECELERATION
        if speed < 0.0 or (abs(speed) < _STANDS and target.speed < 0.0):
            most, least = -least, -most
        change = self._speed.run(self._gains(0), goal, speed, dt)
        if target.jerk >= _UNTOLD:
            change = min(max(change, -target.jerk * dt), target.jerk * dt)
        self._wanted = min(max(self._wanted + change, least), most)
        before = speed if self._last_speed is None else self._last_speed
        self._last_speed = speed
        acceleration = (speed - before) / dt
        change = self._acceleration.run(self._gains(3), self._wanted, acceleration, dt)
        self._pedals = min(max(self._pedals + change, -1.0), 1.0)
        return self._pedals

    def _gains(self, first: int) -> Gains:
        kp, ki, kd = self.settings[first : first + 3]
        return kp, ki, kd

    def _rest(self) -> None:
        self._speed, self._acceleration = _Loop(), _Loop()
        self._wanted = self._pedals = 0.0
        self._last_speed = None
