"""What a duration is measured against: one step of a bicycle in plain NumPy, in the same minute.

Machines differ, and the same machine differs from minute to minute; a ratio of two durations
that were measured in turn does so much less. Limits are therefore multiples of this step.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from drive_il.datatypes import Floats
from drive_il.sim.vehicle import (
    AIR_DRAG,
    BRAKE_GAIN,
    DRIVE_EXPONENT,
    DRIVE_GAIN,
    DRIVE_SPEED,
    RESISTANCE,
    TIME_CONSTANT,
)
from drive_il.steering import REAR_WHEELBASE, SLIP_RATIO, STEER_GAIN

_SPEED = 10.0  # [m/s]


def numpy_bicycle(state: Floats, control: Floats, dt: float) -> None:
    """One explicit Euler step, rows x, y, heading, speed, throttle, brake, angle; no road."""
    x, y, heading, speed, throttle, brake, angle = state
    keep = np.exp(-dt / TIME_CONSTANT)
    throttle += (control[0] - throttle) * (1.0 - keep)
    brake += (control[1] - brake) * (1.0 - keep)
    angle += (STEER_GAIN * control[2] - angle) * (1.0 - keep)
    slip = np.arctan(SLIP_RATIO * np.tan(angle))
    x += speed * np.cos(heading + slip) * dt
    y += speed * np.sin(heading + slip) * dt
    heading += speed * np.sin(slip) / REAR_WHEELBASE * dt
    drive = DRIVE_GAIN * throttle**DRIVE_EXPONENT * np.exp(-speed / DRIVE_SPEED)
    change = drive - RESISTANCE - AIR_DRAG * speed**2 - BRAKE_GAIN * brake
    np.maximum(speed + change * dt, 0.0, out=speed)


def reference(n_rows: int = 1) -> Callable[[], None]:
    """Returns the step of `n_rows` bicycles that stand in memory."""
    state = np.zeros((7, n_rows))
    state[3] = _SPEED
    control = np.full((3, n_rows), [[0.3], [0.0], [0.1]])
    return lambda: numpy_bicycle(state, control, 0.05)


def ratio(work: Callable[[], object], against: Callable[[], object], rounds: int = 200) -> float:
    """Returns how many times the shortest of `against` the shortest of `work` takes.

    Both are called in turn, so that a slow minute of the machine meets both.
    """
    shortest = [np.inf, np.inf]
    for _ in range(rounds):
        for k, call in enumerate((work, against)):
            begin = perf_counter()
            call()
            shortest[k] = min(shortest[k], perf_counter() - begin)
    return shortest[0] / shortest[1]
