"""Warm-Stagger (Li and Zhang 2024, arXiv 2412.07057): DAgger by the label.

    D <- demonstrations; pi_1 <- train on D                  the warm start
    for i in 1..N:
        drive pi_i; draw t uniformly from the T steps; D <- D + {(o_t, pi*(o_t))}
        pi_(i+1) <- train on D

One state of each rollout is labelled, so that no two labels of a round are neighbours in
time: the price is counted per state, and a state nearly like the one before is worth
little. A rollout that ends before step t costs nothing.

Departures: a round is many rollouts of one iterate, not one; a rollout is cut after its
label, since nobody looks at the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from drive_il.datatypes import Bools, Episode, Ints, Observation, Records, Scene, State
from drive_il.fit import ProgressFunction
from drive_il.gates import drivers
from drive_il.networks import DrivingPolicy
from drive_il.protocols import Query
from drive_il.randomness import uniform
from drive_il.rounds import IterateSink, Place, Rounds, RoundsConfig, needs_each_label


@dataclass(frozen=True)
class Config:
    """Warm-Stagger."""

    labels_per_round: int = 200
    """rollouts of each round, one label each; fewer where the budget ends"""
    rounds: RoundsConfig = field(default_factory=RoundsConfig)
    """rounds, budget, network and fit"""

    def __post_init__(self) -> None:
        if self.labels_per_round < 1:
            raise ValueError(f"labels_per_round must be at least 1, got {self.labels_per_round}")
        needs_each_label("Warm-Stagger", self.rounds)


def labelled_step(seed: Ints, horizon: int) -> Ints:
    """Returns t of each episode, uniform in [0, horizon), (B,)."""
    drawn = uniform(seed, np.zeros(len(seed), np.int64), "stagger")[:, 0]
    return np.asarray(drawn * horizon, np.int64)


@dataclass(frozen=True)
class AskOnce:
    """The policy drives; one state of each episode is labelled.

    Attributes:
        horizon: T.
    """

    horizon: int

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
        ask = scene.step == labelled_step(scene.seed, self.horizon)
        return memory, drivers(np.zeros(scene.n_rows, np.bool_)), ask


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    sink: IterateSink | None = None,
) -> DrivingPolicy:
    """Runs Warm-Stagger.

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
    horizon = config.rounds.steps_per_episode
    run.demonstrate(data)
    run.fit(1)
    for i in run.later:
        specs = run.specs(i, config.labels_per_round)
        at = labelled_step(np.array([spec.seed for spec in specs], np.uint64), horizon)
        cut = [replace(spec, max_steps=int(t) + 1) for spec, t in zip(specs, at, strict=True)]
        run.drive(cut, AskOnce(horizon))
        run.fit(i)
    return run.best("stagger", config)
