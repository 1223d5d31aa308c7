"""What the pedals of the default car do: throttle and brake <-> acceleration.

The law is that of `sim.vehicle`, which takes its numbers from here and says where they come
from; here for whoever turns a wanted motion into pedals and may not import a simulator.
"""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import Floats

DRIVE_GAIN = 8.594
"""drive at full throttle from standstill [m/s^2]"""
DRIVE_EXPONENT = 1.7704
"""power of the throttle in the drive"""
DRIVE_SPEED = 32.25
"""speed at which the drive has fallen to 1/e [m/s]"""
RESISTANCE = 1.2165
"""deceleration of a slowly coasting car [m/s^2]"""
AIR_DRAG = 2.6e-4
"""deceleration per squared speed [1/m]"""
BRAKE_GAIN = 6.1
"""deceleration of the full brake alone [m/s^2]"""


def acceleration_of_pedals(pedals: Floats, speed: Floats) -> Floats:
    """Returns the acceleration of a moving car [m/s^2].

    Args:
        pedals: throttle minus brake in [-1, 1], (N,); nobody presses both.
        speed: (N,) [m/s].
    """
    pedals, speed = np.asarray(pedals, np.float64), np.asarray(speed, np.float64)
    drive = DRIVE_GAIN * np.maximum(pedals, 0.0) ** DRIVE_EXPONENT * np.exp(-speed / DRIVE_SPEED)
    rolling = RESISTANCE + AIR_DRAG * speed * speed
    return np.asarray(drive - rolling - BRAKE_GAIN * np.maximum(-pedals, 0.0))


def pedals_of_acceleration(acceleration: Floats, speed: Floats) -> Floats:
    """Returns throttle minus brake in [-1, 1] that gives an acceleration [m/s^2], (N,).

    What the car cannot do becomes the full pedal. Where coasting is all that is wanted, both
    are let go.
    """
    speed = np.asarray(speed, np.float64)
    push = np.asarray(acceleration, np.float64) + RESISTANCE + AIR_DRAG * speed * speed
    share = np.maximum(push, 0.0) * np.exp(speed / DRIVE_SPEED) / DRIVE_GAIN
    pedals = np.where(push > 0.0, share ** (1.0 / DRIVE_EXPONENT), push / BRAKE_GAIN)
    return np.asarray(np.clip(pedals, -1.0, 1.0))
