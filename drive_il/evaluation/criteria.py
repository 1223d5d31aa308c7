"""When a drive is over: stop functions for `rollout.drive`."""

from __future__ import annotations

import math

import numpy as np

from drive_il.datatypes import Ints, Outcome, Scene
from drive_il.rollout import Stop


def route_ended(max_deviation: float = 30.0, blocked_after: float = 180.0) -> Stop:
    """Returns a stop function: the route is completed, left, or the ego is stuck.

    The defaults are the CARLA leaderboard's. A function of what the Scene shows, without
    memory of its own.

    Args:
        max_deviation: distance from the route's lane centre that ends a drive (DEVIATED)
            [m]; may be infinite.
        blocked_after: time of standing still that ends a drive (BLOCKED) [s]; may be
            infinite.

    Returns:
        Scene -> (B,) Outcome, RUNNING where the drive goes on.
    """
    for name, value in (("max_deviation", max_deviation), ("blocked_after", blocked_after)):
        if math.isnan(value) or value <= 0:
            raise ValueError(f"{name} must be positive, got {value}")

    def stop(scene: Scene) -> Ints:
        progress = scene.progress
        outcome = np.full(scene.n_rows, Outcome.RUNNING, np.int64)
        outcome[progress["standing"] >= blocked_after] = Outcome.BLOCKED
        # A row without a finite error is nowhere near its route.
        outcome[~(np.abs(progress["lateral_error"]) <= max_deviation)] = Outcome.DEVIATED
        outcome[progress["completed"]] = Outcome.COMPLETED
        return outcome

    return stop
