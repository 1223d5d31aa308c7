"""ThriftyDAgger (Hoque et al. 2021, arXiv 2109.08273).

    D <- demonstrations; pi <- train an ensemble; Q <- P(reach the goal | o, a) under pi
    for i in 1..N:
        drive: pi* once  novelty = Var_ensemble(o) > delta_h  or  1 - Q(o, pi(o)) > beta_h,
               until  ||pi - pi*||^2 < delta_r  and  1 - Q(o, pi(o)) < beta_r; pi otherwise
        D <- D + what pi* drove; pi, Q <- train
        delta_h, beta_h <- the quantiles of novelty and risk that ask in alpha_h of the steps
        delta_r <- mean deviation on D; beta_r <- median risk

What is new to the policy and what is likely to go wrong are different reasons to ask for
help. The rate alpha_h at which a person may be called is given, the thresholds follow.

Departures: the goal of an episode is to get through it without a failure. Q is a net on
the policy's features and action, fitted to returns: 1 or 0 at an episode's end, discounted
back while the policy drives, and Q itself where the expert takes over. Each round begins
with drives of the policy alone, which cost no label; thresholds are set on these before a
round, not while it lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from drive_il.datatypes import (
    Array,
    Bools,
    Episode,
    Floats,
    Ints,
    Observation,
    Outcome,
    Records,
    Scene,
    State,
)
from drive_il.doubt import Net, features_of, fit_net, net_fit, seen_at, spread
from drive_il.fit import FitConfig, ProgressFunction, labelled_frames
from drive_il.gates import action_error, drivers, held
from drive_il.network_inputs import pedals_to_acceleration
from drive_il.networks import DrivingPolicy, NetworkConfig
from drive_il.protocols import Query
from drive_il.randomness import derive_seed
from drive_il.rounds import IterateSink, Place, Rounds, RoundsConfig, expert_drove, needs_each_label

_FAILURES = (Outcome.DEVIATED, Outcome.COLLIDED, Outcome.BLOCKED)


@dataclass(frozen=True)
class Config:
    """ThriftyDAgger."""

    rate: float = 0.01
    """alpha_h: share of the policy's steps at which each rule calls the expert"""
    discount: float = 0.9999
    """of the return, per step"""
    n_alone: int = 24
    """drives of the policy alone that begin each round"""
    q_iterations: int = 3
    """fits of Q, each to targets of the one before"""
    q_fit: FitConfig = field(default_factory=net_fit)
    """optimiser and length of each fit of Q"""
    rounds: RoundsConfig = field(
        default_factory=lambda: RoundsConfig(steps_per_label=8, network=NetworkConfig(members=5))
    )
    """rounds, budget, network and fit"""

    def __post_init__(self) -> None:
        for name in ("rate", "discount"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        for name in ("n_alone", "q_iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        needs_each_label("ThriftyDAgger", self.rounds)


@dataclass(frozen=True)
class Risk:
    """1 - Q(o, pi(o)): how likely the policy fails from here.

    Attributes:
        policy: who is doubted.
        net: logit of Q on the policy's features and action.
    """

    policy: DrivingPolicy
    net: Net

    def inputs(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns what Q sees where the policy acts, (B, F + 2)."""
        return with_action(features_of(self.policy)(batch), self.policy.network.decisions(batch))

    def __call__(self, observation: Observation) -> Floats:
        """Returns the risk, (B,) in [0, 1]."""
        logits = self.policy.run(lambda batch: self.net(self.inputs(batch)), observation)
        return np.asarray(1.0 / (1.0 + np.exp(logits[:, 0].astype(np.float64))))


def with_action(features: Tensor, action: Tensor) -> Tensor:
    """Joins features (B, F) and actions (B, 2), clipped and about as large."""
    return torch.cat((features, action.clamp(-1.0, 1.0) * torch.tensor([10.0, 1.0])), 1)


@dataclass(frozen=True)
class Thresholds:
    """When the expert is called and sent away; see the module's first lines."""

    delta_h: float
    beta_h: float
    delta_r: float
    beta_r: float


def thresholds(novelty: Floats, risk: Floats, deviation: Floats, rate: float) -> Thresholds:
    """Returns what calls in `rate` of the given states of the policy.

    Args:
        novelty: of each state the policy drove through, (N,).
        risk: of the same states, (N,).
        deviation: from the expert on the labelled states, (M,).
        rate: alpha_h.
    """
    return Thresholds(
        delta_h=float(np.quantile(novelty, 1.0 - rate)),
        beta_h=float(np.quantile(risk, 1.0 - rate)),
        delta_r=float(deviation.mean()),
        beta_r=float(np.median(risk)),
    )


@dataclass(frozen=True)
class ThriftyGate:
    """Novelty or risk calls the expert; agreement and little risk send him away."""

    risk: Risk
    at: Thresholds

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
        drove, at = memory["expert"], self.at
        risk, novelty = self.risk(observation), novelty_of(self.risk.policy, observation)
        rows = np.flatnonzero(drove)
        apart = np.zeros(scene.n_rows)
        apart[rows] = action_error(control[rows], query(rows))
        drives = held(
            drove,
            takes=(novelty > at.delta_h) | (risk > at.beta_h),
            keeps=(apart >= at.delta_r) | (risk > at.beta_r),
        )
        return {"expert": drives}, drivers(drives), drives


def novelty_of(policy: DrivingPolicy, observation: Observation) -> Floats:
    """Returns the mean variance of the actions over the ensemble, (B,)."""
    return np.asarray(spread(policy, observation).mean(1))


def returns(
    episode: Episode, discount: float, value: Callable[[int], float]
) -> tuple[Ints, Floats]:
    """Returns the steps that the policy drove and the return of each.

    Args:
        episode: driven by policy and expert.
        discount: per step.
        value: step at which the expert took over -> what the policy would have got there.
    """
    drove = expert_drove(episode)
    target = np.zeros(episode.n_steps)
    after = 0.0 if episode.outcome in _FAILURES else 1.0
    for t in range(episode.n_steps - 1, -1, -1):
        if not drove[t]:
            target[t] = after
            after *= discount
        elif t > 0 and not drove[t - 1]:
            after = discount * value(t)
    steps = np.flatnonzero(~drove)
    return steps, target[steps]


def fit_risk(policy: DrivingPolicy, episodes: Sequence[Episode], config: Config, seed: int) -> Risk:
    """Fits Q to drives of this policy and earlier ones, demonstrations not among them.

    Raises:
        ValueError: the policy drove nowhere.
    """
    own = [np.flatnonzero(~expert_drove(episode)) for episode in episodes]
    seen = seen_at(episodes, own)
    if not seen or not sum(len(at) for at in own):
        raise ValueError("Q learns from drives of the policy, and there are none")
    executed = np.concatenate([e.control[at] for e, at in zip(episodes, own, strict=True)])
    action = np.stack((executed["steer"], pedals_to_acceleration(executed)), 1)
    features = policy.run(features_of(policy), seen).astype(np.float32)
    inputs = with_action(
        torch.from_numpy(features), torch.from_numpy(action.astype(np.float32))
    ).numpy()
    risk: Risk | None = None
    for k in range(config.q_iterations):
        target = np.concatenate([_targets(one, config.discount, risk) for one in episodes])
        net = fit_net(inputs, target, 1, config.q_fit, derive_seed(seed, "q", k))
        risk = Risk(policy, net)
    assert risk is not None
    return risk


def _targets(episode: Episode, discount: float, risk: Risk | None) -> Array:
    """Returns the targets of the steps that the policy drove; at first the episode's own end."""
    if risk is None:
        end = 0.0 if episode.outcome in _FAILURES else 1.0
        return returns(episode, discount, lambda t: end)[1]
    safe = 1.0 - risk(dict(episode.observations))
    return returns(episode, discount, lambda t: float(safe[t]))[1]


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    sink: IterateSink | None = None,
) -> DrivingPolicy:
    """Runs ThriftyDAgger.

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
    if config.rounds.network.head.kind == "waypoints":
        raise ValueError(
            "the Q of ThriftyDAgger judges steer and acceleration, and the head waypoints gives "
            "places; choose another head.kind"
        )
    run = Rounds(place, config.rounds, seed, progress, sink)
    driven = list[Episode]()
    run.demonstrate(data)
    policy = run.fit(1)
    for i in run.later:
        alone = run.alone(i, config.n_alone)
        driven = driven + alone
        risk = fit_risk(policy, driven, config, derive_seed(seed, "risk", i))
        gate = ThriftyGate(risk, _calibrated(run, risk, alone, config.rate))
        driven = driven + run.collect(i, gate)
        policy = run.fit(i, run.frames(run.episodes, expert_drove))
        run.note(thresholds=vars(gate.at))
    return run.best("thrifty_dagger", config)


def _calibrated(run: Rounds, risk: Risk, alone: Sequence[Episode], rate: float) -> Thresholds:
    """Sets the thresholds on the policy's own drives and on the labelled states."""
    seen = seen_at(alone, [np.arange(one.n_steps) for one in alone])
    frames = labelled_frames(run.episodes, expert_drove)
    control, _, _ = risk.policy.act(frames, {})
    deviation = action_error(control, frames["control"])
    return thresholds(novelty_of(risk.policy, seen), risk(seen), deviation, rate)
