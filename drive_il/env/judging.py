"""What a step earned, and whether it was the last: the kernel behind reward and ends.

A fold over scenes: what it must remember of a row stands in an array of the caller's. The
environments call it after every step of the world; what it says adds up over the steps for
which an action is held, and stops at the step that ended the episode.
"""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import EVENTS
from drive_il.datatypes import PROGRESS, VEHICLE, Records
from drive_il.env.config import EnvConfig, RewardConfig

TERMS = ("progress", "speeding", "deviation", "collision", "red_light", "stop_sign")
"""terms of the reward, in order; as in RewardConfig"""
FLAGS = ("completed", "off_route", "collided", "ran_red_light", "ran_stop_sign")
"""what happened in a step"""

VERDICT = np.dtype(
    [
        ("reward", "f8"),  # sum of the terms
        ("terminated", "?"),
        ("truncated", "?"),
        ("route_completion", "f8"),  # [%]
        *((name, "f8") for name in TERMS),
        *((name, "?") for name in FLAGS),
    ],
    align=True,  # so that torch takes a field as it is
)
"""What one row's action came to."""

MEMORY = np.dtype(
    [
        ("steps", "i8"),  # actions since the reset
        ("s_max", "f8"),  # [m] furthest along the route so far
        ("touching", "?"),  # a contact was reported in the last step
    ]
)
"""What judging a row needs of the past."""

RULES = np.dtype(
    [
        *((name, "f8") for name in TERMS),  # weights, signed
        ("max_deviation", "f8"),  # [m]
        ("horizon", "i8"),
        ("end_on_collision", "?"),
    ]
)
"""What is rewarded, and what ends an episode."""


def rules_of(config: EnvConfig) -> Records:
    """Returns the rules of an environment, (1,) RULES."""
    rules = np.zeros(1, RULES)
    if config.reward is not None:
        for name, weight in zip(TERMS, astuple(config.reward), strict=True):
            rules[name] = weight if name == "progress" else -weight
    rules["max_deviation"] = config.max_deviation
    rules["horizon"] = config.horizon
    rules["end_on_collision"] = config.end_on_collision
    return rules


assert tuple(RewardConfig.__dataclass_fields__) == TERMS, "astuple gives the terms in order"


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(RULES)[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(PROGRESS)[::1],
        kernels.record(EVENTS)[::1],
        kernels.record(MEMORY)[::1],
        nt.boolean,
        nt.float64,
        kernels.record(VERDICT)[::1],
    )
)
def judge(
    first_row: int,
    last_row: int,
    all_rules: Records,
    egos: Records,
    progresses: Records,
    events: Records,
    memories: Records,
    is_last: bool,
    dt: float,
    verdicts: Records,
) -> None:
    """Adds what the last step of the world came to.

    Args:
        first_row: of the range.
        last_row: one past it.
        all_rules: (1,) RULES.
        egos: (B,) VEHICLE.
        progresses: (B,) PROGRESS.
        events: (B,) EVENTS, of the last step.
        memories: (B,) MEMORY, brought up to date.
        is_last: whether the action ends with this step of the world.
        dt: [s].
        verdicts: (B,) VERDICT, added to.
    """
    rules = all_rules[0]
    for row in range(first_row, last_row):
        way, event, memory, verdict = progresses[row], events[row], memories[row], verdicts[row]
        if not verdict.terminated:
            error = abs(way.lateral_error)
            is_off = not error <= rules.max_deviation  # true for NaN, which is nowhere near
            touches = event.struck != 0
            ran_light = event.red_light >= 0
            ran_sign = event.stop_sign >= 0
            verdict.progress += rules.progress * (way.s_max - memory.s_max)
            too_fast = max(egos[row].speed - way.speed_limit, 0.0)
            verdict.speeding += rules.speeding * too_fast * dt
            verdict.deviation += rules.deviation * (rules.max_deviation if is_off else error) * dt
            if touches and not memory.touching:
                verdict.collision += rules.collision
                verdict.collided = True
            if ran_light:
                verdict.red_light += rules.red_light
                verdict.ran_red_light = True
            if ran_sign:
                verdict.stop_sign += rules.stop_sign
                verdict.ran_stop_sign = True
            verdict.completed = way.completed
            verdict.off_route = is_off
            memory.touching = touches
            memory.s_max = way.s_max
            share = min(way.s_max / way.route_length, 1.0)
            verdict.route_completion = 100.0 if way.completed else 100.0 * share
            ends = way.completed or is_off
            verdict.terminated = ends or (rules.end_on_collision and touches)
        if is_last:
            memory.steps += 1
            verdict.truncated = not verdict.terminated and memory.steps >= rules.horizon
            verdict.reward = (
                verdict.progress
                + verdict.speeding
                + verdict.deviation
                + verdict.collision
                + verdict.red_light
                + verdict.stop_sign
            )
