"""HG-DAgger (Kelly et al. 2019, arXiv 1810.02890).

    D <- demonstrations; pi_1 <- train an ensemble
    for i in 1..N:
        drive: pi_i until the person g takes the wheel, and again when g lets go
        D <- D + what g drove;  I <- I + doubt d(o) wherever g took over
        pi_(i+1) <- train on D
    tau <- mean of the last quarter of I

The person decides, by what he sees of the road: here a rule with a reaction time and
hysteresis (`gates.ScriptedHuman`), whose hands are the expert's. The doubt
d(o) = || diag(Cov(o)) ||_2 of the ensemble does not gate the training; {d <= tau} is
where the trained policy is trusted, and stands in the card.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from drive_il.datatypes import Episode, Floats
from drive_il.doubt import doubt, seen_at
from drive_il.fit import ProgressFunction
from drive_il.gates import HumanConfig, ScriptedHuman
from drive_il.networks import DrivingPolicy, NetworkConfig
from drive_il.rounds import IterateSink, Place, Rounds, RoundsConfig, takeovers

LAST = 0.25
"""share of the takeovers, the latest, that the threshold is the mean doubt of"""


@dataclass(frozen=True)
class Config:
    """HG-DAgger."""

    human: HumanConfig = field(default_factory=HumanConfig)
    """the person at the wheel"""
    rounds: RoundsConfig = field(
        default_factory=lambda: RoundsConfig(steps_per_label=8, network=NetworkConfig(members=5))
    )
    """rounds, budget, network and fit"""


def threshold(doubts: Floats) -> float | None:
    """Returns tau: the mean of the last quarter of the doubts at takeovers; None without any."""
    if len(doubts) == 0:
        return None
    n_last = max(1, round(LAST * len(doubts)))
    return float(np.mean(doubts[-n_last:]))


def doubts_at_takeovers(policy: DrivingPolicy, episodes: Sequence[Episode]) -> Floats:
    """Returns the policy's doubt in each state in which the person took over, in order."""
    steps = [takeovers(episode) for episode in episodes]
    if not any(len(at) for at in steps):
        return np.zeros(0)
    return doubt(policy, seen_at(episodes, steps))


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    sink: IterateSink | None = None,
) -> DrivingPolicy:
    """Runs HG-DAgger; the card holds tau as `doubt_threshold`.

    Args:
        place: where.
        data: demonstrations, round one; driven when there are none.
        config: how.
        seed: of everything random.
        progress: called after every epoch and round.
        sink: is handed every iterate.

    Returns:
        The best iterate on validation.

    Raises:
        ValueError: too few specs, or the demonstrations alone exceed the budget.
    """
    run = Rounds(place, config.rounds, seed, progress, sink)
    run.demonstrate(data)
    policy = run.fit(1)
    doubts = np.zeros(0)
    for i in run.later:
        driven = run.collect(i, ScriptedHuman(config.human))
        doubts = np.concatenate((doubts, doubts_at_takeovers(policy, driven)))
        policy = run.fit(i)
        run.note(doubt_threshold=threshold(doubts))
    return run.best("hg_dagger", config, doubt_threshold=threshold(doubts))
