"""Proximal policy optimisation (Schulman et al. 2017), with which GAIL and AIRL learn to drive.

    repeat
        drive a segment with pi_old in every row
        delta_t = r_t + gamma V(o_(t+1)) - V(o_t)
        A_t     = sum_l (gamma lambda)^l delta_(t+l)                   (Schulman et al. 2016)
        ascend  E min(rho_t A_t, clip(rho_t, 1 - c, 1 + c) A_t),  rho_t = pi / pi_old
        fit     V(o_t) to A_t + V(o_t)

A segment is `rollout.drive` for a fixed number of steps of the world: rows whose episode ends
begin the next one, and whatever is under way at the end is cut and valued by V.

Values are (1 - gamma) times those of the paper, so that they are weighted means of the rewards
to come and stay as large as one reward. The noise of the actions is keyed by episode seed and
step: it reaches the policy as a part of the observation (`Noisy`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor, nn

from drive_il.datatypes import (
    CONTROL,
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
from drive_il.disturbances import normal
from drive_il.network_inputs import actions_of, driving_inputs, observed
from drive_il.networks import DrivingNetwork, NetworkConfig, in_fixed_batches
from drive_il.protocols import Observer
from drive_il.randomness import derive_seed
from drive_il.sensor_specs import ObservationSpec

TERMINAL = (Outcome.DEVIATED, Outcome.BLOCKED, Outcome.COLLIDED)
"""outcomes after which nothing comes; a completed route is cut like a segment's end: a road
that goes on behind it would be driven too"""
_LOG_TWO_PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class PpoConfig:
    """Proximal policy optimisation."""

    n_rows: int = 64
    """worlds driven at once"""
    n_steps: int = 128
    """steps of each row in a segment"""
    n_epochs: int = 4
    """passes over a segment"""
    batch_size: int = 1024
    """steps per gradient step"""
    learning_rate: float = 1e-3
    """of Adam, actor and critic; falls linearly to a tenth"""
    gamma: float = 0.98
    """discount of the next step's reward; 0.98 looks 2.5 s ahead"""
    gae_lambda: float = 0.95
    """of the advantages"""
    clip: float = 0.2
    """the policy's ratio to the old one counts up to this far from 1"""
    entropy_weight: float = 0.0
    """of the policy's entropy in what is maximised"""
    target_kl: float = 0.02
    """a segment's passes end when the policy has moved this far [nat]"""
    max_grad_norm: float = 0.5
    """gradients are shortened to this length"""
    noise_std: tuple[float, float] = (0.08, 0.3)
    """of steer and acceleration at the beginning; learnt from there"""
    least_noise: float = 0.01
    """below which neither is let fall"""
    n_threads: int = 1
    """of torch"""

    def __post_init__(self) -> None:
        for name in ("n_rows", "n_steps", "n_epochs", "batch_size", "n_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        for name in ("learning_rate", "clip", "target_kl", "max_grad_norm", "least_noise"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if min(self.noise_std) < self.least_noise:
            raise ValueError(
                f"noise_std must be at least least_noise {self.least_noise}, got {self.noise_std}"
            )
        if self.entropy_weight < 0:
            raise ValueError(f"entropy_weight must not be negative, got {self.entropy_weight}")


@dataclass(frozen=True)
class Noisy:
    """An observer that also shows `noise`, (B, 2) float32 standard normal, to a policy that draws.

    Attributes:
        observer: shows the rest.
    """

    observer: Observer

    @property
    def spec(self) -> ObservationSpec:
        """The sensors."""
        return self.observer.spec

    def observe(self, scene: Scene, rows: Ints) -> Observation:
        """Returns the observation with its noise, a function of episode seed and step."""
        drawn = normal(scene.seed[rows], scene.step[rows], "policy-noise").astype(np.float32)
        return {**self.observer.observe(scene, rows), "noise": drawn}


class ActorCritic(nn.Module):
    """Two driving networks and the spread of the actions.

    Actions are (steer, throttle minus brake), normal around the actor's outputs, and clipped
    only where they are executed.
    """

    def __init__(
        self, network: NetworkConfig, spec: ObservationSpec, config: PpoConfig, seed: int
    ) -> None:
        super().__init__()
        self.actor = DrivingNetwork(network, spec, 2).initialise(derive_seed(seed, "actor"))
        self.critic = DrivingNetwork(network, spec, 1).initialise(derive_seed(seed, "critic"))
        self.log_std = nn.Parameter(torch.log(torch.tensor(config.noise_std)))
        self.least = math.log(config.least_noise)

    @property
    def std(self) -> Tensor:
        """Spread of steer and acceleration, (2,)."""
        return self.log_std.clamp_min(self.least).exp()

    def log_prob(self, batch: Mapping[str, Tensor], action: Tensor) -> Tensor:
        """Returns log pi(action | observation), (B,)."""
        return log_density(self.actor(batch), self.std, action)

    def values(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns V of each row, (B,)."""
        value: Tensor = self.critic(batch)[:, 0]
        return value


def log_density(mean: Tensor, std: Tensor, action: Tensor) -> Tensor:
    """Returns the log density of a diagonal normal distribution, (B,)."""
    z = (action - mean) / std
    each = -0.5 * z**2 - std.log() - 0.5 * _LOG_TWO_PI
    return each.sum(1)


def control_of(action: Floats) -> Records:
    """Returns what is executed of (steer, acceleration) actions (B, 2), (B,) CONTROL."""
    control = np.zeros(len(action), CONTROL)
    control["steer"] = np.clip(action[:, 0], -1.0, 1.0)
    control["throttle"] = np.clip(action[:, 1], 0.0, 1.0)
    control["brake"] = np.clip(-action[:, 1], 0.0, 1.0)
    return control


@dataclass(frozen=True)
class DrawingPolicy:
    """Draws its actions; sees through a `Noisy` observer.

    Attributes:
        model: gives mean and spread.
        spec: the sensors.
        batch: rows that the network always gets.
    """

    model: ActorCritic
    spec: ObservationSpec
    batch: int

    def initial_state(self, n_rows: int) -> State:
        """Returns nothing: the policy has no memory."""
        return {}

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Returns (control, {}, info): `action` (B, 2) as drawn, its `log_prob` (B,)."""
        inputs = observed(observation, self.spec)

        def call(*tensors: Tensor) -> Tensor:
            mean: Tensor = self.model.actor(dict(zip(inputs, tensors, strict=True)))
            return mean

        mean = torch.from_numpy(in_fixed_batches(call, *inputs.values(), batch=self.batch))
        with torch.inference_mode():
            std = self.model.std
            action = mean + std * torch.from_numpy(observation["noise"])
            log_prob = log_density(mean, std, action)
        info = {"action": action.numpy(), "log_prob": log_prob.numpy()}
        return control_of(action.numpy().astype(np.float64)), {}, info


@dataclass(frozen=True)
class Segment:
    """N steps of M episodes, one after the other.

    Attributes:
        inputs: what the policy saw before each step, by `driving_inputs` (N, ...).
        next_inputs: what it saw after it.
        action: as drawn, (N, 2).
        executed: as executed, (N, 2) float32: steer and throttle minus brake.
        log_prob: of the action under the policy that drew it, (N,).
        lengths: steps of each episode, (M,), N together.
        terminal: which episodes ended for good, (M,); the others were cut.
        missing: steps that each terminal episode lacks of its horizon, (M,).
    """

    inputs: dict[str, Tensor]
    next_inputs: dict[str, Tensor]
    action: Tensor
    executed: Tensor
    log_prob: Tensor
    lengths: Ints
    terminal: Bools
    missing: Ints

    @property
    def n_steps(self) -> int:
        """N."""
        return len(self.action)

    @property
    def last(self) -> Ints:
        """Index of the last step of each episode, (M,)."""
        return np.cumsum(self.lengths) - 1


def segment_of(episodes: Sequence[Episode], spec: ObservationSpec) -> Segment:
    """Collects what a `DrawingPolicy` has driven.

    Raises:
        ValueError: no step at all.
    """
    driven = [episode for episode in episodes if episode.n_steps]
    if not driven:
        raise ValueError("no step was driven: every start was already an end; check the routes")

    def seen(states: slice) -> dict[str, Tensor]:
        parts = [observed(episode.observations, spec) for episode in driven]
        return {
            name: torch.from_numpy(np.concatenate([part[name][states] for part in parts]))
            for name in driving_inputs(spec)
        }

    ended = np.array([episode.outcome in TERMINAL for episode in driven])
    left = np.array([episode.spec.max_steps - episode.n_steps for episode in driven])
    action = np.concatenate([episode.info["action"] for episode in driven])
    return Segment(
        seen(slice(None, -1)),
        seen(slice(1, None)),
        torch.from_numpy(action),
        torch.from_numpy(executed(driven)),
        torch.from_numpy(np.concatenate([episode.info["log_prob"] for episode in driven])),
        np.array([episode.n_steps for episode in driven]),
        ended,
        np.where(ended, left, 0),
    )


def executed(episodes: Sequence[Episode]) -> Floats:
    """Returns what was executed, (N, 2) float32: steer and throttle minus brake."""
    control = np.concatenate([episode.control for episode in episodes])
    return np.asarray(actions_of(control), np.float32)


def advantages(
    reward: Floats,
    value: Floats,
    next_value: Floats,
    lengths: Ints,
    gamma: float,
    gae_lambda: float,
) -> Floats:
    """Returns generalised advantages (Schulman et al. 2016, equation 16), scaled as values are.

    Args:
        reward: of each step, (N,).
        value: V of the state before each step, (N,), (1 - gamma) times the paper's.
        next_value: V of the state after it, (N,).
        lengths: steps of each episode, N together.
        gamma: discount.
        gae_lambda: lambda.
    """
    delta = (1.0 - gamma) * reward + gamma * next_value - value
    found = np.empty(len(delta))
    for last, length in zip(np.cumsum(lengths), lengths, strict=True):
        steps = slice(last - length, last)
        # The sum runs backwards in time: A_t = delta_t + gamma lambda A_(t+1).
        found[steps] = lfilter([1.0], [1.0, -gamma * gae_lambda], delta[steps][::-1])[::-1]
    return found


def clipped_objective(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Returns min(rho A, clip(rho, 1 - c, 1 + c) A), what PPO maximises, (B,)."""
    return torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)


@dataclass
class Improver:
    """Improves an actor-critic on segments; a checkpoint holds its `state_dict`.

    Attributes:
        model: improved in place.
        config: how.
        seed: of the order of steps.
    """

    model: ActorCritic
    config: PpoConfig
    seed: int
    optimizer: torch.optim.Adam = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), self.config.learning_rate, eps=1e-5, fused=True
        )

    def state_dict(self) -> dict[str, Any]:
        """Returns weights and optimiser."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes weights and optimiser back."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def valued(self, segment: Segment, reward: Floats, after_end: float) -> tuple[Floats, Floats]:
        """Returns advantages and value targets of a segment, (N,) each.

        Args:
            segment: N steps.
            reward: of each, (N,).
            after_end: mean reward after an episode that ended for good: 0 where nothing
                comes, the absorbing state's where it goes on there for ever.
        """
        with torch.inference_mode():
            value = self.model.values(segment.inputs).numpy().astype(np.float64)
            last = segment.last
            at_cut = {name: one[last] for name, one in segment.next_inputs.items()}
            beyond = self.model.values(at_cut).numpy().astype(np.float64)
        next_value = np.append(value[1:], 0.0)
        next_value[last] = np.where(segment.terminal, after_end, beyond)
        gamma, gae_lambda = self.config.gamma, self.config.gae_lambda
        gain = advantages(reward, value, next_value, segment.lengths, gamma, gae_lambda)
        return gain, gain + value

    def improve(
        self,
        i: int,
        segment: Segment,
        reward: Floats,
        after_end: float,
        share: float,
        critic_only: bool = False,
    ) -> dict[str, float]:
        """Takes the gradient steps of one segment.

        Args:
            i: which segment it is; decides the order of its steps.
            segment: driven by this model.
            reward: of each step, (N,).
            after_end: see `valued`.
            share: of the training that is over; the learning rate falls with it.
            critic_only: leaves the policy as it is, while the critic is still wrong.

        Returns:
            What it came to: `kl` [nat], `value_error` (rms), `steer_std`, `acceleration_std`.
        """
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * (1.0 - 0.9 * share)
        gain, target = self.valued(segment, reward, after_end)
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        tensors = {
            "action": segment.action,
            "log_prob": segment.log_prob,
            "gain": torch.from_numpy(gain.astype(np.float32)),
            "target": torch.from_numpy(target.astype(np.float32)),
        }
        rng = np.random.default_rng(derive_seed(self.seed, "ppo", i))
        kl, errors = 0.0, list[float]()
        for _ in range(config.n_epochs):
            order = torch.from_numpy(rng.permutation(segment.n_steps))
            moved = []
            for first in range(0, len(order), config.batch_size):
                rows = order[first : first + config.batch_size]
                batch = {name: one[rows] for name, one in segment.inputs.items()}
                one = {name: value[rows] for name, value in tensors.items()}
                moved.append(self._step(batch, one, critic_only, errors))
            kl = float(np.mean(moved))
            if kl > config.target_kl:
                break
        steer, acceleration = self.model.std.tolist()
        return {
            "kl": kl,
            "value_error": math.sqrt(float(np.mean(errors))),
            "steer_std": steer,
            "acceleration_std": acceleration,
        }

    def _step(
        self,
        batch: dict[str, Tensor],
        one: dict[str, Tensor],
        critic_only: bool,
        errors: list[float],
    ) -> float:
        """Takes one gradient step; returns how far the policy is from the old one [nat]."""
        error = ((self.model.values(batch) - one["target"]) ** 2).mean()
        errors.append(error.item())
        loss, kl = error, 0.0
        if not critic_only:
            log_ratio = self.model.log_prob(batch, one["action"]) - one["log_prob"]
            ratio = log_ratio.exp()
            gained = clipped_objective(ratio, one["gain"], self.config.clip).mean()
            entropy = self.model.log_std.clamp_min(self.model.least).sum()
            loss = error - gained - self.config.entropy_weight * entropy
            kl = (ratio.detach() - 1.0 - log_ratio.detach()).mean().item()  # Schulman's estimator
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for part in (self.model.actor, self.model.critic):
            nn.utils.clip_grad_norm_(part.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        return kl
