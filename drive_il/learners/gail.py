"""GAIL: generative adversarial imitation (Ho and Ermon 2016, Algorithm 1).

    for i in 1..N:
        tau_i ~ pi_theta                                        a segment of driving
        w     <- ascend  E_tau_E [log D_w(s, a)] + E_tau_i [log(1 - D_w(s, a))]
        theta <- a policy step with reward r(s, a) of D_w

D is the probability that the expert did it (the paper's D is one minus that). Its logit is
l = log D - log(1 - D). Three rewards are in use; they order state-action pairs in the same way,
but they differ in sign, and with it in what they say about staying alive:

    log_d            log D       = -softplus(-l)  <= 0   ending early is good
    minus_log_not_d  -log(1 - D) =  softplus(l)   >= 0   surviving is good, whatever one does
    logit            log D - log(1 - D) = l       both   neither, where D is sure of nothing

With the absorbing states of Kostrikov et al. (2019) the end of an episode is a state like any
other and none of them is biased: see `adversarial`.

Departures: the policy step is PPO's (`ppo`) instead of TRPO's; D is kept flat by a gradient
penalty (Gulrajani et al. 2017, as in Kostrikov et al. 2019); the policy begins from behaviour
cloning; the returned policy is the best on validation drives, which ask nobody, and drives with
the mean of its actions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from drive_il.adversarial import Adversarial, AdversarialConfig
from drive_il.datatypes import Episode
from drive_il.discriminators import Transitions, n_features, tanh_layers
from drive_il.fit import ProgressFunction
from drive_il.networks import DrivingPolicy
from drive_il.randomness import derive_seed
from drive_il.rounds import Place

REWARDS = ("log_d", "minus_log_not_d", "logit")


@dataclass(frozen=True)
class Config:
    """Generative adversarial imitation."""

    reward: str = "logit"
    """log_d (never positive), minus_log_not_d (never negative) or logit (both)"""
    game: AdversarialConfig = field(default_factory=AdversarialConfig)
    """discriminator, policy and their training"""

    def __post_init__(self) -> None:
        if self.reward not in REWARDS:
            raise ValueError(f"reward must be one of {', '.join(REWARDS)}, got {self.reward!r}")


class Discriminator(nn.Module):
    """State and action -> logit of "the expert did this"."""

    def __init__(self, n_features: int, hidden: tuple[int, ...], seed: int) -> None:
        super().__init__()
        self.layers = tanh_layers(n_features + 2, hidden, seed)

    def forward(self, steps: Transitions) -> Tensor:
        """Returns logits, (N,)."""
        logit: Tensor = self.layers(torch.cat((steps.state, steps.action), 1))[:, 0]
        return logit


def reward(logit: Tensor, form: str) -> Tensor:
    """Returns the reward of a logit of D in one of the three forms, same shape."""
    if form == "log_d":
        return -functional.softplus(-logit)
    if form == "minus_log_not_d":
        return functional.softplus(logit)
    return logit


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    checkpoint: Path | None = None,
) -> DrivingPolicy:
    """Runs GAIL.

    Args:
        place: where the policy drives; its world has `ppo.n_rows` rows, its expert is not asked.
        data: demonstrations; their labelled steps are what is imitated.
        config: how.
        seed: of everything random.
        progress: called after every iteration.
        checkpoint: file that an interrupted run goes on from; removed at the end.

    Returns:
        The best policy on validation.

    Raises:
        ValueError: see `Adversarial`.
    """
    n = n_features(place.observer.spec)
    discriminator = Discriminator(n, config.game.hidden, derive_seed(seed, "discriminator"))
    run = Adversarial(place, data, config.game, seed, discriminator, progress, checkpoint)
    for i in run.iterations:
        driven = run.collect(i)
        run.teach(i, driven)
        run.improve(i, driven, lambda steps: reward(discriminator(steps), config.reward))
    return run.best("gail", config)
