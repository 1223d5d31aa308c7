"""SafeDAgger (Zhang and Cho 2017, arXiv 1605.06450).

    D_0 <- demonstrations, D_safe <- others
    pi_0 <- train on D_0; c_0 <- train on D_safe: is ||pi_0(o) - pi*(o)||^2 <= tau?
    for i in 1..N:
        drive: pi where c says safe, pi* elsewhere
        D_i <- D_(i-1) + the states called unsafe, which pi* drove
        pi_i <- train on D_i; c_i <- train on D_safe and its share of the new labels

The expert is not asked where the net says safe: that is what saves labels. SafeDAgger*
(`oracle`) knows the true deviation, and so pays for a label in every state it looks at.

Departures: the deviation is of steer and, at a tenth, of acceleration; the paper's was of
steer. A share of each round's episodes goes to the net alone. Instead of tau the share of
round one's held-out labels that it leaves unsafe can be given (`SafetyConfig.unsafe_share`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from drive_il.datatypes import Bools, Episode, Ints, Observation, Records, Scene, State
from drive_il.doubt import SafetyConfig, SafetyNet, rounds_with_safety_net
from drive_il.fit import ProgressFunction
from drive_il.gates import action_error, drivers
from drive_il.networks import DrivingPolicy
from drive_il.protocols import Query
from drive_il.rounds import IterateSink, Place, Rounds, RoundsConfig, needs_each_label


@dataclass(frozen=True)
class Config:
    """SafeDAgger."""

    oracle: bool = False
    """True: the gate knows the true deviation, at the price of a label per state"""
    safety: SafetyConfig = field(default_factory=SafetyConfig)
    """the safety net and its threshold"""
    rounds: RoundsConfig = field(default_factory=lambda: RoundsConfig(steps_per_label=8))
    """rounds, budget, network and fit"""

    def __post_init__(self) -> None:
        if self.oracle:
            needs_each_label("SafeDAgger*", self.rounds)


@dataclass(frozen=True)
class SafetyGate:
    """The expert drives where the net says unsafe."""

    net: SafetyNet

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
        unsafe = self.net.unsafe(observation)
        return memory, drivers(unsafe), unsafe


@dataclass(frozen=True)
class OracleGate:
    """The expert drives where the policy deviates from him; he is asked everywhere."""

    tau: float

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
        unsafe = action_error(control, label) > self.tau
        return memory, drivers(unsafe), np.ones(scene.n_rows, np.bool_)


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    sink: IterateSink | None = None,
) -> DrivingPolicy:
    """Runs SafeDAgger, or SafeDAgger*.

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
        ValueError: too few specs or demonstrations, or the demonstrations alone exceed the budget.
    """
    run = Rounds(place, config.rounds, seed, progress, sink)
    rounds_with_safety_net(
        run,
        data,
        config.safety,
        lambda net: OracleGate(net.tau) if config.oracle else SafetyGate(net),
    )
    return run.best("safe_dagger", config)
