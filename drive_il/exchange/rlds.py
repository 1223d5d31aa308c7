"""Episodes as RLDS steps: which field becomes which, and the steps themselves.

RLDS (Ramos et al. 2021) is a convention for tf.data: a data set of episodes, each with
`steps`. drive_il does not depend on TensorFlow; `steps` gives what a tfds builder's
`_generate_examples` yields, `mapping` its features.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from drive_il.dataset import Dataset
from drive_il.dataset_file import EpisodeFile, episode_id
from drive_il.datatypes import Episode
from drive_il.exchange import flat
from drive_il.exchange.sidecar import same_sensors

_STEP = {
    "is_first": ("bool", [], "t == 0"),
    "is_last": ("bool", [], "t == T, the state after the last control"),
    "is_terminal": (
        "bool",
        [],
        "is_last, and outcome is COMPLETED, DEVIATED, BLOCKED or COLLIDED; never where a drive "
        "was cut (TRUNCATED, ABORTED)",
    ),
    "action": (
        "float64",
        [3],
        "control[t]: throttle, brake in [0, 1], steer in [-1, 1], left positive; zeros at t = T",
    ),
    "expert_action": ("float64", [3], "expert_control[t]; NaN where nobody was asked"),
    "is_labelled": ("bool", [], "asked[t]"),
    "is_intervention": ("bool", [], "somebody else drove although a policy was running"),
    "reward": ("float64", [], "of drive_il.env, for control t; 0 at t = T"),
    "discount": ("float64", [], "1, and 0 at a terminal step"),
    "language_instruction": ("string", [], "progress.command[t] in words"),
}
_EPISODE = {
    "episode_id": ("string", "name of the episode's file"),
    "seed": ("uint64", "spec.seed"),
    "route": ("string", "spec.route.id"),
    "town": ("string", "spec.route.town"),
    "outcome": ("string", "outcome"),
    "dt": ("float64", "step length [s]"),
}


def mapping(dataset: Dataset) -> dict[str, Any]:
    """Returns what each RLDS field is, with dtype and shape, as JSON.

    Args:
        dataset: whose sensors become `observation`.
    """
    sensors = same_sensors(EpisodeFile(path).sensors() for path in dataset.paths)
    observation = {
        name: {**layout, "from": f"observations[{name!r}][t]"} for name, layout in sensors.items()
    }
    steps = {
        name: {"dtype": dtype, "shape": shape, "from": text}
        for name, (dtype, shape, text) in _STEP.items()
    }
    return {
        "steps": {"observation": observation, **steps},
        "episode_metadata": {
            name: {"dtype": dtype, "shape": [], "from": text}
            for name, (dtype, text) in _EPISODE.items()
        },
        "steps_per_episode": "T + 1: RLDS counts the last state as a step without an action",
        "generator": "drive_il.exchange.rlds.steps(episode)",
    }


def episode_metadata(episode: Episode) -> dict[str, Any]:
    """Returns RLDS's `episode_metadata`."""
    route = episode.spec.route
    values = (episode_id(episode.spec), episode.spec.seed, route.id, route.town)
    return dict(zip(_EPISODE, (*values, episode.outcome.name, episode.dt), strict=True))


def steps(episode: Episode) -> Iterator[dict[str, Any]]:
    """Yields the T + 1 steps of an episode as RLDS has them."""
    n_steps = episode.n_steps
    terminal = flat.is_terminal(episode)
    zeros, nothing = np.zeros((1, 3)), np.full((1, 3), np.nan)
    rows = {
        "action": np.concatenate((flat.actions(episode.control), zeros)),
        "expert_action": np.concatenate((flat.actions(episode.expert_control), nothing)),
        "is_labelled": np.append(episode.asked, False),
        "is_intervention": np.append(flat.is_taken_over(episode), False),
        "reward": np.append(flat.rewards(episode), 0.0),
    }
    for t in range(n_steps + 1):
        is_last = t == n_steps
        yield {
            "observation": {name: value[t] for name, value in episode.observations.items()},
            "is_first": t == 0,
            "is_last": is_last,
            "is_terminal": is_last and terminal,
            **{name: value[t] for name, value in rows.items()},
            "discount": 0.0 if is_last and terminal else 1.0,
            "language_instruction": flat.task(int(episode.progress["command"][t])),
        }
