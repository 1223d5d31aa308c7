"""The border to CARLA's frame: left-handed, metres, degrees, steer right positive.

Ours is right-handed, radians, steer left positive, so y, yaw and steer change sign.
Pitch (nose up) and roll (right side down) mean the same on both sides: only the unit
changes. Nothing else in the project flips a sign; every function takes scalars or arrays.
"""

from __future__ import annotations

from typing import overload

import numpy as np

from drive_il.datatypes import Floats
from drive_il.geometry import wrap_angle


@overload
def _mirror(value: float) -> float: ...


@overload
def _mirror(value: Floats) -> Floats: ...


def _mirror(value: float | Floats) -> float | Floats:
    return 0.0 - value  # unlike -value this never gives -0.0 for 0.0


@overload
def y_from_carla(y: float) -> float: ...


@overload
def y_from_carla(y: Floats) -> Floats: ...


def y_from_carla(y: float | Floats) -> float | Floats:
    """Returns our y (or left offset) for CARLA's [m]; also of velocities and accelerations."""
    return _mirror(y)


@overload
def y_to_carla(y: float) -> float: ...


@overload
def y_to_carla(y: Floats) -> Floats: ...


def y_to_carla(y: float | Floats) -> float | Floats:
    """Returns CARLA's y for ours [m]."""
    return _mirror(y)


def vectors_from_carla(xyz: Floats) -> Floats:
    """Returns our positions, velocities or accelerations, (..., 2 or 3) as `xyz` [m, ...].

    Not for angular velocities: those are pseudo-vectors (see `yaw_rate_from_carla`).
    """
    flipped = np.array(xyz, float)
    flipped[..., 1] = _mirror(flipped[..., 1])
    return flipped


def vectors_to_carla(xyz: Floats) -> Floats:
    """Returns CARLA's vectors for ours, (..., 2 or 3); the inverse of `vectors_from_carla`."""
    return vectors_from_carla(xyz)


@overload
def heading_from_carla(yaw: float) -> float: ...


@overload
def heading_from_carla(yaw: Floats) -> Floats: ...


def heading_from_carla(yaw: float | Floats) -> float | Floats:
    """Returns the heading in [-pi, pi) [rad] for CARLA's yaw (any turn) [deg]."""
    if isinstance(yaw, np.ndarray):
        return wrap_angle(_mirror(np.deg2rad(yaw)))
    return wrap_angle(_mirror(float(np.deg2rad(yaw))))


@overload
def heading_to_carla(heading: float) -> float: ...


@overload
def heading_to_carla(heading: Floats) -> Floats: ...


def heading_to_carla(heading: float | Floats) -> float | Floats:
    """Returns CARLA's yaw in [-180, 180) [deg] for a heading [rad]."""
    if isinstance(heading, np.ndarray):
        return np.rad2deg(wrap_angle(_mirror(heading)))
    return float(np.rad2deg(wrap_angle(_mirror(heading))))


@overload
def yaw_rate_from_carla(yaw_rate: float) -> float: ...


@overload
def yaw_rate_from_carla(yaw_rate: Floats) -> Floats: ...


def yaw_rate_from_carla(yaw_rate: float | Floats) -> float | Floats:
    """Returns our yaw rate [rad/s] for the z of CARLA's angular velocity [deg/s]."""
    return _mirror(yaw_rate) * (np.pi / 180.0)


@overload
def yaw_rate_to_carla(yaw_rate: float) -> float: ...


@overload
def yaw_rate_to_carla(yaw_rate: Floats) -> Floats: ...


def yaw_rate_to_carla(yaw_rate: float | Floats) -> float | Floats:
    """Returns the z of CARLA's angular velocity [deg/s] for our yaw rate [rad/s]."""
    return _mirror(yaw_rate) * (180.0 / np.pi)


@overload
def steer_from_carla(steer: float) -> float: ...


@overload
def steer_from_carla(steer: Floats) -> Floats: ...


def steer_from_carla(steer: float | Floats) -> float | Floats:
    """Returns our steer (left positive) for CARLA's (right positive), both in [-1, 1]."""
    return _mirror(steer)


@overload
def steer_to_carla(steer: float) -> float: ...


@overload
def steer_to_carla(steer: Floats) -> Floats: ...


def steer_to_carla(steer: float | Floats) -> float | Floats:
    """Returns CARLA's steer (right positive) for ours (left positive), both in [-1, 1]."""
    return _mirror(steer)


def azimuth_to_carla(azimuth: Floats) -> Floats:
    """Returns CARLA's azimuth of a radar's detections (right positive) for ours, both [rad]."""
    mirrored: Floats = _mirror(azimuth)
    return mirrored


def turn_rates_to_carla(rates: Floats) -> Floats:
    """Returns CARLA's turn rates about x, y and z for ours, both (..., 3) [rad/s].

    A mirror turns the turns about the axes in it, and leaves the one across.
    """
    flipped = _mirror(np.array(rates, float))
    flipped[..., 1] = _mirror(flipped[..., 1])
    return flipped


def turn_rates_from_carla(rates: Floats) -> Floats:
    """Returns our turn rates for CARLA's; the inverse of `turn_rates_to_carla`."""
    return turn_rates_to_carla(rates)
