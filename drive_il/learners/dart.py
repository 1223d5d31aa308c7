"""DART: disturbances for augmenting robot trajectories (Laskey et al. 2017, arXiv 1703.09327).

    D <- demonstrations; pi <- train on D
    for i in 1..N:
        Sigma^ <- mean over held-out expert states of (pi - pi*)(pi - pi*)^T
        Sigma  <- alpha / (T tr Sigma^) Sigma^          so that T tr Sigma = alpha
        D  <- D + demonstrations with N(0, Sigma) added to what pi* does, labels clean
        pi <- train on D

The expert is shown disturbances of the shape of the learner's own errors, and how he
recovers from them: the states of the learner without the learner at the wheel. alpha is a
prior on the error that the trained learner will make over T steps.

Departures: action and noise are of steer and acceleration; the covariance is estimated
again in every round, where the paper does so once or twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from drive_il.datatypes import Array, Episode
from drive_il.disturbances import GaussianNoise
from drive_il.fit import ProgressFunction, labelled_frames, split
from drive_il.gates import ExpertDrives
from drive_il.network_inputs import pedals_to_acceleration
from drive_il.networks import DrivingPolicy
from drive_il.randomness import derive_seed
from drive_il.rounds import IterateSink, Place, Rounds, RoundsConfig


@dataclass(frozen=True)
class Config:
    """DART."""

    alpha: float = 4.0
    """T tr Sigma: squared error that is expected of the trained learner over T steps"""
    horizon: int = 200
    """T [steps]"""
    held_out: float = 0.1
    """share of the demonstrations, the first round's, that only the covariance is taken from"""
    rounds: RoundsConfig = field(default_factory=RoundsConfig)
    """rounds, budget, network and fit"""

    def __post_init__(self) -> None:
        for name in ("alpha", "horizon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be in (0, 1), got {self.held_out}")


def covariance(errors: Array) -> Array:
    """Returns Sigma^, the second moment of errors (N, 2) about zero, (2, 2)."""
    return np.asarray(errors.T @ errors / len(errors))


def scaled(sigma: Array, alpha: float, horizon: int) -> Array:
    """Returns Sigma = alpha / (T tr Sigma^) Sigma^; zero where there is no error."""
    trace = float(np.trace(sigma))
    return sigma * (alpha / (horizon * trace)) if trace > 0 else np.zeros_like(sigma)


def errors_of(policy: DrivingPolicy, episodes: Sequence[Episode]) -> Array:
    """Returns (pi - pi*) of steer and acceleration on labelled steps, (N, 2)."""
    frames = labelled_frames(episodes)
    control, _, _ = policy.act(frames, {})
    label = frames["control"]
    steer = control["steer"] - label["steer"]
    return np.stack((steer, pedals_to_acceleration(control) - pedals_to_acceleration(label)), 1)


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    sink: IterateSink | None = None,
) -> DrivingPolicy:
    """Runs DART.

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
    first = run.demonstrate(data)
    kept, held = split(len(first), config.held_out, derive_seed(seed, "held-out"))
    if not held:
        raise ValueError(f"the covariance needs two demonstrations or more, got {len(first)}")
    mine, others = [first[k] for k in kept], [first[k] for k in held]
    policy = run.fit(1, run.frames(mine))
    for i in run.later:
        sigma = scaled(covariance(errors_of(policy, others)), config.alpha, config.horizon)
        mine = mine + run.collect(i, ExpertDrives(), GaussianNoise(sigma))
        policy = run.fit(i, run.frames(mine))
        run.note(sigma=sigma.tolist())
    return run.best("dart", config)
