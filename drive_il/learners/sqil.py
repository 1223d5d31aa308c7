"""SQIL: soft Q imitation learning (Reddy, Dragan, Levine 2019, Algorithm 1).

    D_samp <- {}
    repeat
        theta  <- theta - eta grad( delta2(D_demo, 1) + lambda delta2(D_samp, 0) )
        D_samp <- D_samp u {a segment of driving with pi = exp(Q / alpha) / sum exp(Q / alpha)}

    delta2(D, r) = mean over D of (Q(s, a) - r - gamma V(s'))^2
    V(s)         = alpha log sum_a exp(Q(s, a) / alpha)

No discriminator and no reward to learn: a demonstrated step is worth 1, a step of its own 0, and
the soft Bellman error carries that to what leads to demonstrated states.

Departures: steer and acceleration are chosen from a grid, and demonstrated ones are rounded to
it (the paper's variant for discrete actions; its other one is SAC); V(s') is that of a slowly
following copy, as in DQN; the returned policy is the best on validation drives, which ask
nobody, and drives with the mean of its actions. Nothing comes after a failure. Like GAIL's
`minus_log_not_d` the reward is never negative, so that SQIL too is glad to stay alive whatever
was shown; the paper accepts that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from drive_il import checkpoints
from drive_il.datatypes import Episode, Floats, Ints, Observation, Records, Scene, State
from drive_il.discriminators import demonstrated
from drive_il.fit import Progress, ProgressFunction, reproducible
from drive_il.network_inputs import actions_of, observed
from drive_il.networks import DrivingNetwork, NetworkConfig, in_fixed_batches
from drive_il.ppo import Noisy, control_of, segment_of
from drive_il.randomness import derive_seed
from drive_il.rollout import drive
from drive_il.rounds import Place, good_share, lost
from drive_il.sensor_specs import ObservationSpec


@dataclass(frozen=True)
class Config:
    """Soft Q imitation learning."""

    steers: tuple[float, ...] = (-0.6, -0.3, -0.15, -0.07, -0.03, 0.0, 0.03, 0.07, 0.15, 0.3, 0.6)
    """steers to choose from"""
    accelerations: tuple[float, ...] = (-1.0, -0.3, 0.0, 0.35, 0.5, 0.7, 1.0)
    """throttle minus brake to choose from"""
    temperature: float = 0.05
    """alpha: how much likelier a better action is drawn"""
    gamma: float = 0.97
    """discount of the next step"""
    sample_weight: float = 1.0
    """lambda, weight of its own steps against demonstrated ones"""
    n_iterations: int = 150
    """segments driven"""
    n_rows: int = 32
    """worlds driven at once"""
    n_steps: int = 50
    """steps of each in a segment"""
    n_updates: int = 40
    """gradient steps after each segment"""
    batch_size: int = 128
    """demonstrated steps, and own steps, in each"""
    learning_rate: float = 1e-3
    """of Adam"""
    target_rate: float = 0.01
    """share of the way that the following copy goes at each gradient step"""
    capacity: int = 80_000
    """own steps that are remembered"""
    horizon: int = 200
    """steps of an episode"""
    lost_distance: float = 2.5
    """an episode has failed this far beside its lane centre [m]"""
    lost_time: float = 5.0
    """or after standing still for so long [s]"""
    n_validation: int = 16
    """specs, the last ones given, that the policy is validated on"""
    validation_steps: int = 400
    """steps of a validation drive"""
    validate_every: int = 15
    """iterations; the best validated policy is returned, the last one without any"""
    n_threads: int = 1
    """of torch"""
    network: NetworkConfig = field(
        default_factory=lambda: NetworkConfig(state_hidden=(64, 64), branch_hidden=32)
    )
    """gives Q of each action"""

    def __post_init__(self) -> None:
        for name in ("n_iterations", "n_rows", "n_steps", "n_updates", "batch_size", "horizon"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("steers", "accelerations"):
            values = getattr(self, name)
            if not values or max(abs(one) for one in values) > 1:
                raise ValueError(f"{name} must be one or more numbers in [-1, 1], got {values}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")
        if not 0 <= self.gamma < 1:
            raise ValueError(f"gamma must be in [0, 1), got {self.gamma}")

    @property
    def grid(self) -> Tensor:
        """All actions, (A, 2): steer and acceleration."""
        pairs = [(steer, pedal) for steer in self.steers for pedal in self.accelerations]
        return torch.tensor(pairs)


def soft_value(q: Tensor, temperature: float) -> Tensor:
    """Returns V = alpha log sum_a exp(Q / alpha) of (B, A) values, (B,)."""
    return temperature * torch.logsumexp(q / temperature, 1)


def targets(
    next_q: Tensor, reward: Tensor | float, ends: Tensor, gamma: float, temperature: float
) -> Tensor:
    """Returns r + gamma V(s'), r alone where an episode ends, (B,)."""
    return reward + gamma * torch.where(ends, 0.0, soft_value(next_q, temperature))


def nearest(action: Tensor, grid: Tensor) -> Tensor:
    """Returns which action of the grid is nearest to each, a unit of both counts alike, (N,)."""
    return torch.cdist(action, grid).argmin(1)


@dataclass(frozen=True)
class SoftQPolicy:
    """Drives with the mean of the Boltzmann distribution of its Q, without memory.

    Attributes:
        network: gives Q of each action of the grid.
        config: as trained.
        spec: the sensors.
        card: where it comes from.
    """

    network: DrivingNetwork
    config: Config
    spec: ObservationSpec
    card: dict[str, Any] = field(default_factory=dict)

    def initial_state(self, n_rows: int) -> State:
        """Returns nothing: the policy has no memory."""
        return {}

    def probabilities(self, observation: Observation, batch: int = 16) -> Floats:
        """Returns how likely each action is, (B, A)."""
        inputs = observed(observation, self.spec)

        def call(*tensors: Tensor) -> Tensor:
            q = self.network(dict(zip(inputs, tensors, strict=True)))
            return torch.softmax(q / self.config.temperature, 1)

        return in_fixed_batches(call, *inputs.values(), batch=batch)

    def log_probability(self, observation: Observation, control: Records) -> Floats:
        """Returns how likely it holds the action of the grid nearest to each control, (B,) [nats].

        Args:
            observation: what it saw, (B, ...) each.
            control: (B,) CONTROL.
        """
        choice = nearest(torch.from_numpy(actions_of(control)).float(), self.config.grid).numpy()
        likely = self.probabilities(observation)[np.arange(len(choice)), choice]
        return np.asarray(np.log(np.maximum(likely.astype(np.float64), 1e-30)))

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Returns (control (B,) CONTROL, {}, {})."""
        likely, grid = self.probabilities(observation), self.config.grid.numpy()
        # Summed per row in one order: a matrix product may depend on the number of rows.
        mean = (likely[:, :, None] * grid).sum(1, dtype=np.float64)
        return control_of(mean), {}, {}


@dataclass(frozen=True)
class DrawingSoftQ:
    """Draws from the Boltzmann distribution; sees through a `ppo.Noisy` observer.

    Attributes:
        policy: gives the distribution.
        batch: rows that the network always gets.
    """

    policy: SoftQPolicy
    batch: int

    def initial_state(self, n_rows: int) -> State:
        """Returns nothing: the policy has no memory."""
        return {}

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Returns (control, {}, info): `action` (B, 2) and its `log_prob` (B,)."""
        likely = self.policy.probabilities(observation, self.batch).astype(np.float64)
        coin = ndtr(observation["noise"][:, 0].astype(np.float64))
        below = np.cumsum(likely, 1) / likely.sum(1, keepdims=True)
        choice = np.minimum((below < coin[:, None]).sum(1), likely.shape[1] - 1)
        action = self.policy.config.grid.numpy()[choice]
        log_prob = np.log(np.maximum(likely[np.arange(len(choice)), choice], 1e-30))
        info = {"action": action, "log_prob": log_prob.astype(np.float32)}
        return control_of(action.astype(np.float64)), {}, info


Steps = dict[str, Tensor]
"""steps by name: `now.*` and `next.*` inputs, `choice` (N,) of the grid, `ends` (N,)"""


def _steps(now: Steps, following: Steps, action: Tensor, ends: Tensor, grid: Tensor) -> Steps:
    return (
        {f"now.{name}": one for name, one in now.items()}
        | {f"next.{name}": one for name, one in following.items()}
        | {"choice": nearest(action, grid), "ends": ends}
    )


def _part(steps: Steps, prefix: str) -> Steps:
    return {name[len(prefix) :]: one for name, one in steps.items() if name.startswith(prefix)}


class _Run:
    """A training in progress: everything that a checkpoint holds."""

    def __init__(self, place: Place, data: Iterable[Episode], config: Config, seed: int) -> None:
        if len(place.specs) <= config.n_validation:
            raise ValueError(
                f"more specs are needed than the {config.n_validation} that validate, got "
                f"{len(place.specs)}; give more routes or lower n_validation"
            )
        if place.world.n_rows != config.n_rows:
            raise ValueError(
                f"the config drives {config.n_rows} rows (n_rows), the world has "
                f"{place.world.n_rows}; results depend on it, make them equal"
            )
        self.place, self.config, self.seed = place, config, seed
        self.spec, grid = place.observer.spec, config.grid
        shown = demonstrated(list(data), self.spec, config.horizon)
        self.labels = shown.labels
        ends = torch.from_numpy(shown.ends)
        self.demo = _steps(shown.inputs, shown.next_inputs, shown.executed, ends, grid)
        self.own: Steps = {}
        self.network, self.target = (
            DrivingNetwork(config.network, self.spec, len(grid)).initialise(
                derive_seed(seed, "network")
            )
            for _ in range(2)
        )
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), config.learning_rate, fused=True
        )
        self.account: list[dict[str, Any]] = []
        self.best: Steps | None = None
        n = len(place.specs) - config.n_validation
        self._specs, limit = list(place.specs[:n]), config.validation_steps
        self._validation = [
            replace(spec, max_steps=min(spec.max_steps, limit)) for spec in place.specs[n:]
        ]

    def policy(self) -> SoftQPolicy:
        """Returns the present policy."""
        return SoftQPolicy(self.network, self.config, self.spec)

    def lost(self, scene: Scene) -> Ints:
        """Ends an episode that has failed."""
        return lost(scene, self.config.lost_distance, self.config.lost_time)

    def collect(self, i: int) -> None:
        """Drives the segment of iteration i and remembers it."""
        config, specs = self.config, []
        for k in range(4 * config.n_rows):
            rng = np.random.default_rng(derive_seed(self.seed, "segment", i, k))
            spec = self._specs[int(rng.integers(len(self._specs)))]
            steps = min(spec.max_steps, config.horizon)
            specs.append(replace(spec, seed=int(rng.integers(2**63)), max_steps=steps))
        episodes = drive(
            self.place.world,
            Noisy(self.place.observer),
            DrawingSoftQ(self.policy(), config.n_rows),
            specs,
            stop=self.lost,
            n_steps=config.n_steps,
            keep_actors=False,
        )
        segment = segment_of(episodes, self.spec)
        ends = np.zeros(segment.n_steps, bool)
        ends[segment.last] = segment.terminal
        new = _steps(
            segment.inputs,
            segment.next_inputs,
            segment.executed,
            torch.from_numpy(ends),
            config.grid,
        )
        old = self.own or {name: one[:0] for name, one in new.items()}
        self.own = {
            name: torch.cat((old[name], one))[-config.capacity :] for name, one in new.items()
        }
        self.account.append(
            {"iteration": i, "steps": segment.n_steps, "failed": int(segment.terminal.sum())}
        )

    def learn(self, i: int) -> None:
        """Takes the gradient steps of iteration i."""
        config, losses = self.config, []
        rng = np.random.default_rng(derive_seed(self.seed, "batches", i))
        with reproducible(config.n_threads):
            for _ in range(config.n_updates):
                loss = self.error(self._drawn(self.demo, rng), 1.0)
                loss = loss + config.sample_weight * self.error(self._drawn(self.own, rng), 0.0)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                self.optimizer.step()
                losses.append(loss.item())
                with torch.no_grad():
                    pairs = zip(self.target.parameters(), self.network.parameters(), strict=True)
                    for slow, fast in pairs:
                        slow.lerp_(fast, config.target_rate)
        if not math.isfinite(losses[-1]):
            raise ValueError(f"the soft Bellman error became {losses[-1]}; lower learning_rate")
        self.account[-1]["loss"] = float(np.mean(losses))

    def _drawn(self, steps: Steps, rng: np.random.Generator) -> Steps:
        rows = torch.from_numpy(rng.integers(len(steps["choice"]), size=self.config.batch_size))
        return {name: one[rows] for name, one in steps.items()}

    def error(self, steps: Steps, reward: float) -> Tensor:
        """Returns the mean squared soft Bellman error of steps that are all worth `reward`."""
        config = self.config
        q = self.network(_part(steps, "now.")).gather(1, steps["choice"][:, None])[:, 0]
        with torch.no_grad():
            next_q = self.target(_part(steps, "next."))
            wanted = targets(next_q, reward, steps["ends"], config.gamma, config.temperature)
        error: Tensor = ((q - wanted) ** 2).mean()
        return error

    def validate(self, i: int) -> None:
        """Keeps the weights when they are the best on validation so far."""
        score = good_share(self.place, self.policy(), self._validation, self.lost)
        before = [one["validation_score"] for one in self.account if "validation_score" in one]
        self.account[-1]["validation_score"] = score
        if score >= max(before, default=-1.0):
            state = self.network.state_dict()
            self.best = {name: value.clone() for name, value in state.items()}

    def fingerprint(self) -> str:
        """Names the run."""
        return checkpoints.fingerprint("sqil", asdict(self.config), self.seed, self.labels)

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint holds."""
        return {
            "network": self.network.state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "own": self.own,
            "account": self.account,
            "best": self.best,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Takes back what a checkpoint held."""
        self.network.load_state_dict(state["network"])
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.own, self.account, self.best = state["own"], state["account"], state["best"]


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    checkpoint: Path | None = None,
) -> SoftQPolicy:
    """Runs SQIL.

    Args:
        place: where the policy drives; its world has `n_rows` rows, its expert is not asked.
        data: demonstrations; their labelled steps are what is imitated.
        config: how.
        seed: of everything random.
        progress: called after every iteration.
        checkpoint: file that an interrupted run goes on from; removed at the end.

    Returns:
        The best policy on validation.

    Raises:
        ValueError: too few specs, another number of rows, no labels, pictures, a checkpoint of
            another run, or an error that is not finite any more.
    """
    run = _Run(place, data, config, seed)
    if checkpoint is not None and checkpoint.exists():
        run.resume(checkpoints.read(checkpoint, run.fingerprint()))
    for i in range(len(run.account) + 1, config.n_iterations + 1):
        run.collect(i)
        run.learn(i)
        if i % config.validate_every == 0 or i == config.n_iterations:
            run.validate(i)
            if checkpoint is not None:
                checkpoints.write(checkpoint, run.fingerprint(), run.state())
        if progress is not None:
            progress(Progress("iterations", i, config.n_iterations, run.account[-1]["loss"]))
    if run.best is not None:
        run.network.load_state_dict(run.best)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    card = {
        "learner": "sqil",
        "labels": run.labels,
        "seed": seed,
        "config": asdict(config),
        "steps": sum(one["steps"] for one in run.account),
        "iterations": run.account,
    }
    return SoftQPolicy(run.network.eval(), config, run.spec, card)
