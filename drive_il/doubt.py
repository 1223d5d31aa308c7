"""What a policy says of itself: where its ensemble disagrees, where a net expects it to err.

Learnt beside a policy and asked by gates; none of it looks at the expert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from drive_il.datatypes import Array, Bools, Episode, Floats, Observation
from drive_il.fit import ArrayBatches, FitConfig, fit, labelled_frames, split
from drive_il.gates import PEDAL_WEIGHT, action_error
from drive_il.networks import DrivingPolicy, Ensemble
from drive_il.protocols import Gate
from drive_il.randomness import derive_seed
from drive_il.rollout import Disturbance
from drive_il.rounds import Rounds, expert_drove

_SCALE = np.array([1.0, PEDAL_WEIGHT])


def spread(policy: DrivingPolicy, observation: Observation) -> Floats:
    """Returns the variance of each action over the ensemble, (B, 2) of (weighted) action^2.

    Raises:
        ValueError: the policy is no ensemble.
    """
    return np.asarray((policy.each(observation) * _SCALE).var(1))


def doubt(policy: DrivingPolicy, observation: Observation) -> Floats:
    """Returns HG-DAgger's doubt d(o) = || diag(Cov(o)) ||_2 of an ensemble, (B,)."""
    return np.asarray(np.linalg.norm(spread(policy, observation), axis=1))


def features_of(policy: DrivingPolicy) -> Callable[[dict[str, Tensor]], Tensor]:
    """Returns inputs -> the features that the policy decides by; an ensemble's first member's."""
    network = policy.network
    return (network.first if isinstance(network, Ensemble) else network).features


def seen_at(episodes: Sequence[Episode], steps: Sequence[Array]) -> Observation:
    """Returns the observations of some steps of each episode, one after the other."""
    names = list(episodes[0].observations) if episodes else []
    return {
        name: np.concatenate(
            [e.observations[name][at] for e, at in zip(episodes, steps, strict=True)]
        )
        for name in names
    }


class Net(nn.Module):
    """Two fully connected layers on features that stay as they are."""

    def __init__(self, n_features: int, n_outputs: int, hidden: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, n_outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        """Returns logits (B, n_outputs) of features (B, n_features)."""
        logits: Tensor = self.layers(features)
        return logits


def _is_likely(net: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    logits = net(batch["features"])[:, 0]
    return functional.binary_cross_entropy_with_logits(logits, batch["target"])


def _is_which(net: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return functional.cross_entropy(net(batch["features"]), batch["target"])


def net_fit() -> FitConfig:
    """Returns the fit of a small net on features, half a second.

    On one thread: where others are at work, two of so small a net wait for each other a hundred
    times as long as they compute.
    """
    return FitConfig(n_steps=400, batch_size=128, n_threads=1)


def fit_net(features: Array, target: Array, n_outputs: int, config: FitConfig, seed: int) -> Net:
    """Fits a net by cross-entropy.

    Args:
        features: (N, F) float32.
        target: probabilities in [0, 1] when there is one output, else classes, (N,).
        n_outputs: 1 for a yes or no, otherwise the number of classes.
        config: of the fit.
        seed: of weights and order.
    """
    net = Net(features.shape[1], n_outputs, 64, derive_seed(seed, "weights"))
    dtype = np.float32 if n_outputs == 1 else np.int64
    frames = {"features": features, "target": np.asarray(target, dtype)}
    batches = ArrayBatches(frames, config.batch_size, derive_seed(seed, "order"))
    fit(net, batches, _is_likely if n_outputs == 1 else _is_which, config, seed=seed)
    return net


@dataclass(frozen=True)
class SafetyNet:
    """c(o): whether the policy is close enough to the expert here (Zhang and Cho 2017).

    Attributes:
        policy: whose deviation is forecast, and whose features are looked at.
        net: logit of e(o) > tau.
        tau: squared deviation above which a state is unsafe.
        precision: share of the states called unsafe that are, on what the net learnt from.
        recall: share of the unsafe states that are called so.
    """

    policy: DrivingPolicy
    net: Net
    tau: float
    precision: float
    recall: float

    def unsafe(self, observation: Observation) -> Bools:
        """Returns where the policy is expected to deviate, (B,)."""
        features = features_of(self.policy)
        logits = self.policy.run(lambda inputs: self.net(features(inputs)), observation)
        return np.asarray(logits[:, 0] > 0.0)


@dataclass(frozen=True)
class SafetyConfig:
    """The safety net."""

    tau: float = 0.0025
    """a squared deviation from the expert above it is unsafe (see `gates.action_error`)"""
    unsafe_share: float = 0.0
    """share of round one's held-out labels that is unsafe, which fixes tau instead, for policies
    that err so seldom by tau that a net learns to call nothing unsafe; 0: tau as given"""
    held_out: float = 0.25
    """share of the labelled episodes that only the safety net learns from"""
    fit: FitConfig = field(default_factory=net_fit)
    """its optimiser and length"""

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise ValueError(f"tau must be positive, got {self.tau}")
        if not 0 <= self.unsafe_share < 1:
            raise ValueError(f"unsafe_share must be in [0, 1), got {self.unsafe_share}")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be in (0, 1), got {self.held_out}")


def fit_safety_net(
    policy: DrivingPolicy, episodes: Sequence[Episode], config: SafetyConfig, seed: int
) -> SafetyNet:
    """Fits a safety net to labelled episodes that the policy has not learnt from.

    Args:
        policy: whose deviation is forecast.
        episodes: held out, with labels.
        config: how; an unsafe share is that of these episodes.
        seed: of the net.
    """
    frames = labelled_frames(episodes)
    control, _, _ = policy.act(frames, {})
    error = action_error(control, frames["control"])
    tau = config.tau
    if config.unsafe_share:
        tau = float(np.quantile(error, 1.0 - config.unsafe_share))
    target = error > tau
    features = policy.run(features_of(policy), frames).astype(np.float32)
    found = SafetyNet(policy, fit_net(features, target, 1, config.fit, seed), tau, 0.0, 0.0)
    called = found.unsafe(frames)
    hits = int((called & target).sum())
    return replace(
        found,
        precision=hits / max(int(called.sum()), 1),
        recall=hits / max(int(target.sum()), 1),
    )


def rounds_with_safety_net(
    run: Rounds,
    data: Iterable[Episode],
    config: SafetyConfig,
    gate_of: Callable[[SafetyNet], Gate],
    disturbance: Disturbance | None = None,
) -> None:
    """Runs all rounds: policy and safety net learn from different episodes.

    The policy learns from what the expert drove, the net from all labels of its share.

    Args:
        run: to be done.
        data: demonstrations.
        config: of the net.
        gate_of: safety net of the last round -> gate of the next.
        disturbance: of what the expert does while he drives.

    Raises:
        ValueError: fewer than two demonstrations.
    """
    mine, nets = list[Episode](), list[Episode]()
    new = run.demonstrate(data)
    if len(new) < 2:
        raise ValueError(
            f"policy and safety net need a demonstration each, got {len(new)}; record more episodes"
        )
    for i in range(1, run.config.n_rounds + 1):
        kept, held = split(len(new), config.held_out, derive_seed(run.seed, "held-out", i))
        mine, nets = mine + [new[k] for k in kept], nets + [new[k] for k in held]
        policy = run.fit(i, run.frames(mine, expert_drove))
        net = fit_safety_net(policy, nets, config, derive_seed(run.seed, "net", i))
        config = replace(config, tau=net.tau, unsafe_share=0.0)
        run.note(tau=net.tau, net_precision=net.precision, net_recall=net.recall)
        if i < run.config.n_rounds:
            new = run.collect(i + 1, gate_of(net), disturbance)
