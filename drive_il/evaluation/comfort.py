"""How comfortable a drive was: Bench2Drive's measure, with nuPlan's bounds.

The drive is cut into segments of 20 states; a segment is comfortable when six quantities,
smoothed by Savitzky and Golay's filter (window 7, order 2), stay within their bounds in all of
them.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import savgol_filter

from drive_il.datatypes import Floats
from drive_il.evaluation.sight import Sight

SEGMENT = 20
"""states of a segment"""
MOTION = ("x", "y", "along", "left", "yaw_rate")
"""what is kept of each state: velocity [m/s] in the world, its change in the ego frame [m/s^2],
and turning [rad/s]"""
_WINDOW, _ORDER = 7, 2
_UPSTREAM_DT = 0.1  # [s] that Bench2Drive takes for the 0.05 s between its states
_BOUNDS = {
    "along": (-4.05, 2.40),  # [m/s^2]
    "left": (-4.89, 4.89),
    "jerk": (-8.37, 8.37),  # [m/s^3]
    "jerk_along": (-4.13, 4.13),
    "yaw_acceleration": (-1.93, 1.93),  # [rad/s^2]
    "yaw_rate": (-0.95, 0.95),  # [rad/s]
}


def motion(sight: Sight, before: Floats) -> Floats:
    """Returns how egos move now.

    Args:
        sight: N rows.
        before: the same of the states before, (N, 5).

    Returns:
        See MOTION, (N, 5).
    """
    scene, cos, sin = sight.scene, sight.cos, sight.sin
    course = scene.ego["heading"] + scene.ego["slip"]
    new = np.empty((len(cos), len(MOTION)))
    new[:, 0], new[:, 1] = sight.speed * np.cos(course), sight.speed * np.sin(course)
    ax, ay = ((new[:, :2] - before[:, :2]) / scene.dt).T
    new[:, 2], new[:, 3] = ax * cos + ay * sin, ay * cos - ax * sin
    new[:, 4] = scene.ego["yaw_rate"]
    return new


def comfort(states: Floats, dt: float, upstream_bugs: bool = False) -> float | None:
    """Returns the share of comfortable segments [%], None for a drive shorter than one.

    Args:
        states: of the drive, (T, 5), see MOTION.
        dt: between two [s].
        upstream_bugs: derivatives as if the states were 0.1 s apart, and the bound of the yaw
            acceleration put on the yaw rate.
    """
    n = len(states) // SEGMENT
    if n == 0:
        return None
    cut = states[: n * SEGMENT].reshape(n, SEGMENT, len(MOTION))
    along, left, turning = cut[:, :, 2], cut[:, :, 3], cut[:, :, 4]
    step = _UPSTREAM_DT if upstream_bugs else dt
    yaw_rate = _smooth(turning, step)
    values = {
        "along": _smooth(along, step),
        "left": _smooth(left, step),
        "jerk": _smooth(np.hypot(along, left), step, 1),
        "jerk_along": _smooth(along, step, 1),
        "yaw_acceleration": yaw_rate if upstream_bugs else _smooth(turning, step, 1),
        "yaw_rate": yaw_rate,
    }
    fine = np.ones(n, np.bool_)
    for name, (low, high) in _BOUNDS.items():
        fine &= ((values[name] > low) & (values[name] < high)).all(axis=1)
    return float(100.0 * fine.mean())


def _smooth(values: Floats, dt: float, derivative: int = 0) -> Floats:
    smooth: Floats = savgol_filter(values, _WINDOW, _ORDER, deriv=derivative, delta=dt, axis=1)
    return smooth
