"""How likely a policy holds what the expert does, on the expert's own states.

Only a policy that has probabilities can be asked: binned actions, a mixture, a soft Q on a grid.
It drives with one action that it makes of them; the bound for log-loss is about a policy that
draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drive_il.datatypes import Episode, Floats
from drive_il.entry import Entry, Kind
from drive_il.experiments.drives import read_json, write_json
from drive_il.protocols import Policy

if TYPE_CHECKING:
    from drive_il.learners.sqil import SoftQPolicy
    from drive_il.networks import DrivingPolicy

FILE = "log_probability.json"


def why_none(who: Entry, policy: Policy | None) -> str:
    """Says why there is no log-loss; empty where there is one.

    Args:
        who: is certified.
        policy: what drives for it, None for experts and agents.
    """
    if who.kind == Kind.EXPERT:
        return "the expert is what the loss is measured against"
    if policy is None:
        return "an agent in CARLA's interface answers with one control, not the chance of each"
    from drive_il.learners.sqil import SoftQPolicy  # torch: not where nobody is asked
    from drive_il.networks import DrivingPolicy

    if isinstance(policy, SoftQPolicy):
        return ""
    if isinstance(policy, DrivingPolicy):
        return policy.no_probabilities
    return "its units are trained by squares towards a hill, and their sum is no probability"


@dataclass
class Scored:
    """Takes the expert's drives as they end, and keeps how likely the policy held each action.

    Attributes:
        policy: has probabilities.
        found: by the spec's seed: the drive without what was seen, and the log-probability of
            each of its steps, (T,) [nats].
    """

    policy: DrivingPolicy | SoftQPolicy
    found: dict[int, tuple[Episode, Floats]] = field(default_factory=dict)

    def __call__(self, episode: Episode) -> None:
        """Takes one drive."""
        seen = {name: values[:-1] for name, values in episode.observations.items()}
        score = self.policy.log_probability(seen, episode.control)
        self.found[episode.spec.seed] = replace(episode, observations={}), score


def write(folder: Path, reason: str, scores: Sequence[Floats]) -> None:
    """Writes log-probabilities of a job's drives in their order, or why there are none."""
    told = {"reason": reason, "log_probability": [one.tolist() for one in scores]}
    write_json(folder / FILE, told)


def read(folders: Sequence[Path], horizon: int) -> tuple[Floats | None, str]:
    """Reads what all parts have written.

    Args:
        folders: of the parts, in any order: the loss is a mean over drives.
        horizon: T; longer drives are cut.

    Returns:
        Log-probabilities, NaN after an episode's end, (N, T), or None; and why None.
    """
    parts: list[dict[str, Any]] = [read_json(folder / FILE) for folder in folders]
    if parts[0]["reason"]:
        return None, parts[0]["reason"]
    drives = [one[:horizon] for part in parts for one in part["log_probability"]]
    found = np.full((len(drives), horizon), np.nan)
    for row, one in zip(found, drives, strict=True):
        row[: len(one)] = one
    return found, ""
