"""Policies that are no network: a function as a policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import CONTROL, Array, Observation, Records, State

Law = Callable[[Observation], tuple[Array | float, Array | float, Array | float]]
"""observation -> throttle, brake and steer, each (B,) or one number for all rows"""


@dataclass(frozen=True)
class FunctionPolicy:
    """Drives by a function of the observation; no memory.

    Attributes:
        law: gives throttle and brake in [0, 1] and steer in [-1, 1], left positive; clipped.
    """

    law: Law

    def initial_state(self, n_rows: int) -> State:
        """Returns nothing: no memory."""
        return {}

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Returns (control (B,) CONTROL, state, no info)."""
        throttle, brake, steer = self.law(observation)
        control = np.zeros(len(observation["speed"]), CONTROL)
        control["throttle"] = np.clip(throttle, 0.0, 1.0)
        control["brake"] = np.clip(brake, 0.0, 1.0)
        control["steer"] = np.clip(steer, -1.0, 1.0)
        return control, state, {}
