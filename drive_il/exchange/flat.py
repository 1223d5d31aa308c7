"""An episode as plain arrays, one row a step: what formats without scenes can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from drive_il.datatypes import CONTROL, Array, Command, Episode, Outcome, Records, Who
from drive_il.env.config import EnvConfig, RewardConfig
from drive_il.env.judging import MEMORY, VERDICT, judge, rules_of

ACTION = CONTROL.names or ()
"""entries of an action vector: throttle and brake in [0, 1], steer in [-1, 1], left positive"""
TASKS = {
    Command.VOID: "drive on",
    Command.LEFT: "turn left at the junction",
    Command.RIGHT: "turn right at the junction",
    Command.STRAIGHT: "go straight on at the junction",
    Command.LANEFOLLOW: "follow the lane",
    Command.CHANGELANELEFT: "change to the lane on the left",
    Command.CHANGELANERIGHT: "change to the lane on the right",
}
"""each command in words, for formats whose tasks are language"""
_ENDED = (Outcome.COMPLETED, Outcome.DEVIATED, Outcome.BLOCKED, Outcome.COLLIDED)


def actions(controls: Records) -> Array:
    """Returns controls as rows, (T, 3) float64 in the order of `ACTION`."""
    return np.stack([controls[name] for name in ACTION], axis=-1).astype(np.float64)


def task(command: int) -> str:
    """Returns a command in words."""
    return TASKS[Command(command)]


def labels(episode: Episode) -> Array:
    """Returns what a learner should do, (T, 3): the expert's label, else what was executed."""
    control = episode.control.copy()
    control[episode.asked] = episode.expert_control[episode.asked]
    return actions(control)


def is_taken_over(episode: Episode) -> Array:
    """Returns where somebody else drove although the policy was running, (T,) bool."""
    ran = np.isfinite(episode.policy_control["steer"])
    return np.asarray((episode.who != Who.POLICY) & ran)


def is_terminal(episode: Episode) -> bool:
    """Whether the drive came to an end of its own; otherwise it was cut."""
    return episode.outcome in _ENDED


def rewards(episode: Episode, config: RewardConfig | None = None) -> Array:
    """Returns the reward that `drive_il.env` would have given for each step, (T,) float64.

    It is the sum of the terms of a step whatever the environment would have ended at; its
    default weights where no config is given.
    """
    config = config or RewardConfig()
    rules = rules_of(EnvConfig(reward=config, max_deviation=np.inf, end_on_collision=False))
    memory, verdict = np.zeros(1, MEMORY), np.zeros(1, VERDICT)
    memory["s_max"] = episode.progress["s_max"][0]
    earned = np.zeros(episode.n_steps)
    for t in range(episode.n_steps):
        verdict[:] = np.zeros(1, VERDICT)
        after = slice(t + 1, t + 2)
        judge(
            0,
            1,
            rules,
            np.ascontiguousarray(episode.ego[after]),
            np.ascontiguousarray(episode.progress[after]),
            np.ascontiguousarray(episode.events[after]),
            memory,
            True,
            episode.dt,
            verdict,
        )
        earned[t] = verdict["reward"][0]
    return earned


def vector_names(sensors: dict[str, Any]) -> list[str]:
    """Returns names for the entries of `vector`: observations that are numbers or short rows."""
    names = []
    for name, layout in sensors.items():
        if len(layout["shape"]) == 0:
            names.append(name)
        elif len(layout["shape"]) == 1:
            names += [f"{name}.{k}" for k in range(layout["shape"][0])]
    return names


def vector(episode: Episode, sensors: dict[str, Any]) -> Array:
    """Returns these observations side by side, (T + 1, n) float32."""
    rows = episode.n_steps + 1
    parts = [
        np.asarray(episode.observations[name]).reshape(rows, -1)
        for name, layout in sensors.items()
        if len(layout["shape"]) <= 1
    ]
    return np.concatenate(parts or [np.zeros((rows, 0))], axis=1).astype(np.float32)


def is_picture(layout: dict[str, Any]) -> bool:
    """Whether an observation can be frames of a video: (H, W, 3) uint8."""
    shape = layout["shape"]
    return layout["dtype"] == "uint8" and len(shape) == 3 and shape[-1] == 3


def fps(dt: float) -> int:
    """Returns frames per second.

    Raises:
        ValueError: that is no whole number.
    """
    rate = round(1.0 / dt)
    if rate < 1 or abs(rate * dt - 1.0) > 1e-9:
        raise ValueError(f"the episodes have steps of {dt} s; frames per second must be whole")
    return rate
