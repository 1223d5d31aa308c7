"""States between two steps: a world at 20 Hz is drawn at 60 pictures a second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from drive_il.datatypes import Array, Records, Scene
from drive_il.geometry import wrap_angle

_JUMP = 8.0  # [m] an actor that moved further in a step has been put there
_LINEAR = ("x", "y", "z", "pitch", "speed", "steering_angle")


def between(before: Scene, after: Scene, share: float) -> Scene:
    """Returns a state between two successive ones, for the eye only.

    Poses, speeds and wheel angles are interpolated; who has just appeared, gone or been put
    elsewhere, and all that does not move, is as in the later state.

    Args:
        before: copies (`Scene.take`) of one step.
        after: and of the next.
        share: 0 is before, 1 is after.
    """
    if share >= 1.0:
        return after
    then, now = before.actors, after.actors
    actors = replace(
        now,
        vehicles=_mix(then.vehicles, now.vehicles, share),
        walkers=_mix(then.walkers, now.walkers, share),
    )
    return replace(after, ego=_mix(before.ego, after.ego, share), actors=actors)


def _mix(before: Records, after: Records, share: float) -> Records:
    if before.shape != after.shape:  # the world has made room
        return after
    mixed = after.copy()
    same = (before["id"] == after["id"]) & _is_near(before, after)
    for name in _LINEAR:
        if name in (after.dtype.names or ()):
            gap = after[name] - before[name]
            mixed[name] = np.where(same, before[name] + share * gap, after[name])
    turn = wrap_angle(after["heading"] - before["heading"])
    heading = wrap_angle(before["heading"] + share * turn)
    mixed["heading"] = np.where(same, heading, after["heading"])
    return mixed


def _is_near(before: Records, after: Records) -> Array:
    return np.asarray(np.hypot(after["x"] - before["x"], after["y"] - before["y"]) < _JUMP)
