"""EnsembleDAgger (Menda, Driggs-Campbell, Kochenderfer 2019, arXiv 1807.08364).

    D <- demonstrations; pi <- train an ensemble
    for i in 1..N:
        drive: the mean of pi where it is within tau of pi* and its variance below chi,
               pi* elsewhere
        D <- D + {(o, pi*(o))} on all visited states; pi <- train on D

Both rules together are an approximation of "safe": the discrepancy alone cannot see how
sure the novice is, the variance alone not how wrong. The discrepancy rule looks at the
expert in every state, so that each costs a label, as in DAgger; what the gate saves is
not labels but accidents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from drive_il.datatypes import Bools, Episode, Ints, Observation, Records, Scene, State
from drive_il.doubt import doubt
from drive_il.fit import ProgressFunction
from drive_il.gates import action_error, drivers
from drive_il.networks import DrivingPolicy, NetworkConfig
from drive_il.protocols import Query
from drive_il.rounds import IterateSink, Place, Rounds, RoundsConfig, needs_each_label


@dataclass(frozen=True)
class Config:
    """EnsembleDAgger."""

    tau: float = 0.01
    """the expert drives where the squared discrepancy is above it"""
    chi: float = 0.002
    """or where the doubt, a variance, is above it"""
    rounds: RoundsConfig = field(
        default_factory=lambda: RoundsConfig(network=NetworkConfig(members=5))
    )
    """rounds, budget, network and fit"""

    def __post_init__(self) -> None:
        for name in ("tau", "chi"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        needs_each_label("EnsembleDAgger", self.rounds)


@dataclass(frozen=True)
class EnsembleGate:
    """The expert drives where the novice is wrong or unsure; he is asked everywhere."""

    policy: DrivingPolicy
    tau: float
    chi: float

    def initial_memory(self, n_rows: int) -> State:
        """Returns nothing: no memory."""
        return {}

    def decide(
        self,
        memory: State,
        scene: Scene,
        observation: Observation,
        control: Records,
        query: Query,
    ) -> tuple[State, Ints, Bools]:
        """Returns (memory, who (B,), ask (B,))."""
        label = query(np.arange(scene.n_rows))
        wrong = action_error(control, label) > self.tau
        unsure = doubt(self.policy, observation) > self.chi
        return memory, drivers(wrong | unsure), np.ones(scene.n_rows, np.bool_)


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    sink: IterateSink | None = None,
) -> DrivingPolicy:
    """Runs EnsembleDAgger.

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
    for i in run.later:
        run.collect(i, EnsembleGate(policy, config.tau, config.chi))
        policy = run.fit(i)
    return run.best("ensemble_dagger", config)
