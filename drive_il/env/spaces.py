"""The spaces of an environment, from what its observer shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from drive_il.datatypes import Array, Observation
from drive_il.env.config import ActionKind, EnvConfig
from drive_il.sensors.state import STATE_NAMES
from drive_il.sim.vehicle import MAX_SPEED

N_COMMANDS = 7
"""0 none, then the numbers of `Command`"""
_ANYTHING = 1e6  # bound of a number whose range no table states
_DEPTH = 1000.0  # [m] of the sky
_STATE_BOUNDS = {
    "speed": (0.0, MAX_SPEED),  # [m/s]
    "acceleration": (-1000.0, 1000.0),  # [m/s^2] a crash is hard
    "yaw_rate": (-1000.0, 1000.0),  # [rad/s]
    "steering_angle": (-math.pi, math.pi),  # [rad]
    "lateral_error": (-1e4, 1e4),  # [m]
    "heading_error": (-math.pi, math.pi),  # [rad]
    "speed_limit": (0.0, MAX_SPEED),  # [m/s]
    "lane_width": (0.0, 100.0),  # [m]
    "target_x": (-1e4, 1e4),  # [m]
    "target_y": (-1e4, 1e4),  # [m]
}


def action_space(kind: ActionKind) -> spaces.Box:
    """Returns the space of one action: see `RouteEnv`."""
    if kind == "control":
        return spaces.Box(np.array([0.0, 0.0, -1.0], np.float32), np.ones(3, np.float32))
    return spaces.Box(-1.0, 1.0, (2,), np.float32)


def observation_space(sample: Observation, config: EnvConfig) -> spaces.Dict:
    """Returns the space of one observation.

    Args:
        sample: what the environment shows of some rows, as `shown` returns it.
        config: the environment's.
    """
    depths = {camera.name for camera in config.observation.cameras if camera.kind == "depth"}
    return spaces.Dict(
        {name: _space(name, value, name in depths) for name, value in sample.items()}
    )


def shown(seen: Observation) -> Observation:
    """Makes of an observer's arrays what the spaces promise.

    One number per row becomes an array of one, except the command, whose VOID, -1, becomes 0.
    """
    made = {name: value[:, None] if value.ndim == 1 else value for name, value in seen.items()}
    made["command"] = np.maximum(seen["command"], 0)
    return made


def _space(name: str, value: Array, is_depth: bool) -> spaces.Space[Any]:
    shape, dtype = value.shape[1:], value.dtype
    if name == "command":
        return spaces.Discrete(N_COMMANDS)
    if dtype == np.bool_:
        return spaces.MultiBinary(shape)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return spaces.Box(limits.min, limits.max, shape, dtype.type)
    low, high = np.full(shape, -_ANYTHING), np.full(shape, _ANYTHING)
    if name == "speed":
        low[:], high[:] = 0.0, MAX_SPEED
    elif is_depth:
        low[:], high[:] = 0.0, _DEPTH
    elif name == "range_finder":
        low[:], high[:] = 0.0, 1.0
    elif name == "state":
        for i, entry in enumerate(STATE_NAMES):
            low[i], high[i] = _STATE_BOUNDS.get(entry, (-_ANYTHING, _ANYTHING))
    return spaces.Box(low.astype(dtype), high.astype(dtype), dtype=dtype.type)
