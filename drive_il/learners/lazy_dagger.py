"""LazyDAgger (Hoque et al. 2021, arXiv 2104.00053).

    D <- demonstrations; pi, f <- train, as SafeDAgger's policy and safety net
    for i in 1..N:
        drive: pi*, with noise, once f says ||pi - pi*||^2 > beta_H,
               until the true ||pi - pi*||^2 < beta_R << beta_H; pi otherwise
        D <- D + what pi* drove; pi, f <- train on D

The two thresholds make interventions fewer and longer: handing over and back is what
costs a person most. The true deviation is known where the expert drives anyway; the step
at which he hands back is paid for as well.

Departures: beta_H is SafeDAgger's tau; beta_R a quarter of it, as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from drive_il.datatypes import Bools, Episode, Ints, Observation, Records, Scene, State
from drive_il.disturbances import GaussianNoise
from drive_il.doubt import SafetyConfig, SafetyNet, rounds_with_safety_net
from drive_il.fit import ProgressFunction
from drive_il.gates import action_error, drivers, held
from drive_il.networks import DrivingPolicy
from drive_il.protocols import Query
from drive_il.rounds import IterateSink, Place, Rounds, RoundsConfig, needs_each_label


@dataclass(frozen=True)
class Config:
    """LazyDAgger."""

    hand_back: float = 0.25
    """beta_R as a share of beta_H"""
    steer_noise: float = 0.05
    """standard deviation of the noise on the expert's steer"""
    pedal_noise: float = 0.1
    """and on his throttle minus brake"""
    safety: SafetyConfig = field(default_factory=SafetyConfig)
    """the safety net; its tau is beta_H"""
    rounds: RoundsConfig = field(default_factory=lambda: RoundsConfig(steps_per_label=8))
    """rounds, budget, network and fit"""

    def __post_init__(self) -> None:
        if not 0 < self.hand_back <= 1:
            raise ValueError(f"hand_back must be in (0, 1], got {self.hand_back}")
        for name in ("steer_noise", "pedal_noise"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        needs_each_label("LazyDAgger", self.rounds)


@dataclass(frozen=True)
class LazyGate:
    """The net calls the expert, the true deviation sends him away.

    Attributes:
        net: says where the policy errs by more than beta_H.
        hand_back: beta_R.
    """

    net: SafetyNet
    hand_back: float

    def initial_memory(self, n_rows: int) -> State:
        """Returns who drives: the policy, at first."""
        return {"expert": np.zeros(n_rows, np.bool_)}

    def decide(
        self,
        memory: State,
        scene: Scene,
        observation: Observation,
        control: Records,
        query: Query,
    ) -> tuple[State, Ints, Bools]:
        """Returns (memory, who (B,), ask (B,))."""
        drove = memory["expert"]
        errs = np.zeros(scene.n_rows, np.bool_)
        rows = np.flatnonzero(drove)
        errs[rows] = action_error(control[rows], query(rows)) >= self.hand_back
        drives = held(drove, takes=self.net.unsafe(observation), keeps=errs)
        return {"expert": drives}, drivers(drives), drives


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    sink: IterateSink | None = None,
) -> DrivingPolicy:
    """Runs LazyDAgger.

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
    noise = GaussianNoise(np.diag([config.steer_noise**2, config.pedal_noise**2]))

    def gate_of(net: SafetyNet) -> LazyGate:
        return LazyGate(net, config.hand_back * net.tau)

    rounds_with_safety_net(run, data, config.safety, gate_of, noise)
    return run.best("lazy_dagger", config)
