"""DAgger (Ross, Gordon, Bagnell 2011, Algorithm 3.1).

    D <- demonstrations
    for i in 1..N:
        pi_i <- beta_i pi* + (1 - beta_i) pi^_i      a coin per time step says who drives
        D    <- D + {(o, pi*(o))} on the states pi_i visits
        pi^_(i+1) <- train on D
    return the best pi^_i on validation

beta_1 = 1: the expert drives all of round one, which is what the demonstrations are. The
schedule "first" then lets the learner drive alone, which the paper found to work best.

Departures: the network, loss and optimiser are those of behaviour cloning (`bc`); training
goes on from the last round's weights unless `from_scratch`. An episode of a round starts
at a random place of its route and ends when the ego is lost, because labels from a place
without a way back teach nothing.

Labels that count: every frame of the demonstrations and every visited state of the later
rounds, together never more than `label_budget`. Validation asks the expert nothing: each
iterate drives held-back specs, see `Rounds.validate`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from drive_il.datatypes import Episode
from drive_il.fit import ProgressFunction
from drive_il.gates import Mixture
from drive_il.networks import DrivingPolicy
from drive_il.rounds import IterateSink, Place, Rounds, RoundsConfig


@dataclass(frozen=True)
class Config:
    """DAgger."""

    schedule: str = "first"
    """of beta: first (1, then 0), exponential or linear"""
    beta0: float = 0.5
    """of the exponential schedule: beta_i = beta0 ** (i - 1)"""
    rounds: RoundsConfig = field(default_factory=RoundsConfig)
    """rounds, budget, network and fit"""

    def __post_init__(self) -> None:
        if self.schedule not in ("first", "exponential", "linear"):
            raise ValueError(
                f"schedule must be one of first, exponential, linear, got {self.schedule!r}"
            )
        if not 0 <= self.beta0 <= 1:
            raise ValueError(f"beta0 is a probability, got {self.beta0}")


def beta(config: Config, i: int) -> float:
    """Returns beta_i, the probability that the expert drives a step of round i = 1..N."""
    if config.schedule == "first":
        return 1.0 if i == 1 else 0.0
    if config.schedule == "exponential":
        return config.beta0 ** (i - 1)
    return max(0.0, 1.0 - (i - 1) / max(1, config.rounds.n_rounds - 1))


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    sink: IterateSink | None = None,
) -> DrivingPolicy:
    """Runs DAgger.

    Args:
        place: where; its expert labels every visited state.
        data: demonstrations, round one (a `Dataset` gives its `episodes()`); when there is
            none, round one is driven too.
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
    run.fit(1)
    for i in run.later:
        run.collect(i, Mixture(beta(config, i)))
        run.fit(i)
    return run.best("dagger", config)
