"""Hands and feet: from keys that are down or up to a wheel that turns and pedals that move.

As CARLA's manual_control: a key held turns the wheel further and further, and lets it run
back when it is released. Unlike there the wheel turns less far the faster the car is, so
that a tap at 80 km/h is no spin, and it runs back rather than jumps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import CONTROL, Records
from drive_il.steering import steer_of_curvature


@dataclass(frozen=True)
class Hands:
    """What a person does: throttle and brake in [0, 1], steer in [-1, 1], left positive."""

    throttle: float = 0.0
    brake: float = 0.0
    steer: float = 0.0

    def control(self) -> Records:
        """Returns it as (1,) CONTROL."""
        return np.array([(self.throttle, self.brake, self.steer)], CONTROL)


@dataclass(frozen=True)
class KeyboardConfig:
    """How keys move the wheel and the pedals."""

    steer_rate: float = 1.2
    """of the wheel while a key is held [1/s]"""
    return_rate: float = 2.5
    """of the wheel on its way back to the middle [1/s]"""
    throttle_rate: float = 2.0
    """of the throttle while its key is held [1/s]"""
    brake_rate: float = 4.0
    """of the brake while its key is held [1/s]"""
    release_rate: float = 6.0
    """of a pedal that is let go [1/s]"""
    most_steer: float = 0.7
    """the furthest a key turns the wheel"""
    most_lateral: float = 5.0
    """and never further than for this lateral acceleration [m/s^2]"""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"keyboard {name} must be positive, got {value}")


@dataclass(frozen=True)
class Pressed:
    """Which of the keys that are held are down."""

    throttle: bool = False
    brake: bool = False
    left: bool = False
    right: bool = False
    hand_brake: bool = False

    @property
    def any(self) -> bool:
        """Whether any is."""
        return self.throttle or self.brake or self.left or self.right or self.hand_brake


def steer_limit(speed: float, config: KeyboardConfig) -> float:
    """Returns how far keys turn the wheel at a speed [m/s], in (0, most_steer]."""
    curvature = np.array(config.most_lateral / max(speed, 0.1) ** 2)
    return min(config.most_steer, float(steer_of_curvature(curvature)))


def by_keys(
    hands: Hands, pressed: Pressed, speed: float, dt: float, config: KeyboardConfig
) -> Hands:
    """Moves hands for dt seconds.

    Args:
        hands: as they are.
        pressed: which keys are down; left and right together, or none, let the wheel run back.
        speed: of the car [m/s].
        dt: [s].
        config: how fast.
    """
    throttle_rate = config.throttle_rate if pressed.throttle else config.release_rate
    brake_rate = config.brake_rate if pressed.brake else config.release_rate
    throttle = toward(hands.throttle, float(pressed.throttle), throttle_rate * dt)
    brake = toward(hands.brake, float(pressed.brake), brake_rate * dt)
    if pressed.hand_brake:
        throttle, brake = 0.0, 1.0
    wish = float(pressed.left) - float(pressed.right)
    limit = steer_limit(speed, config)
    steer = hands.steer
    if wish == 0.0 or wish * steer < 0.0:  # back to the middle, and quickly past it
        steer = toward(steer, 0.0, config.return_rate * dt)
    if wish:
        steer = toward(steer, wish * limit, config.steer_rate * dt)
    return Hands(throttle, brake, float(np.clip(steer, -limit, limit)))


def toward(value: float, goal: float, step: float) -> float:
    """Returns the value moved towards a goal by at most a step."""
    return float(np.clip(goal, value - step, value + step))
