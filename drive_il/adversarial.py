"""A discriminator against a policy: the loop around both players, shared by GAIL and AIRL.

    for i in 1..N:
        drive a segment with the policy                       `collect`
        the judge learns to tell it from the expert           `teach`
        the policy learns from the judge's reward (PPO)       `improve`
    return the best policy on validation                      `best`

A learner owns the judge and the reward it gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from drive_il import checkpoints
from drive_il.datatypes import Episode, EpisodeSpec, Ints, Scene
from drive_il.discriminators import (
    ACTION_SCALE,
    Demonstrations,
    Judge,
    Transitions,
    absorbed,
    absorbing_state,
    demonstrated,
    discriminator_loss,
    features,
    n_features,
)
from drive_il.fit import (
    ArrayBatches,
    FitConfig,
    Progress,
    ProgressFunction,
    fit,
    labelled_frames,
    reproducible,
)
from drive_il.network_inputs import driving_frames
from drive_il.networks import DrivingNetwork, DrivingPolicy, NetworkConfig, driving_loss
from drive_il.ppo import ActorCritic, DrawingPolicy, Improver, Noisy, PpoConfig, Segment, segment_of
from drive_il.randomness import derive_seed
from drive_il.rollout import drive
from drive_il.rounds import Place, good_share, lost

CHECKPOINT_EVERY = 5
"""iterations"""


@dataclass(frozen=True)
class AdversarialConfig:
    """A discriminator against a policy."""

    n_iterations: int = 150
    """segments driven, each followed by steps of the discriminator and of the policy"""
    horizon: int = 200
    """steps of an episode; one that fails before is absorbed up to here"""
    absorbing: bool = True
    """False: nothing comes after a failure, as in the papers of 2016 and 2018"""
    lost_distance: float = 2.5
    """an episode has failed this far beside its lane centre [m]"""
    lost_time: float = 5.0
    """or after standing still for so long; longer than a red light, where there are any [s]"""
    warm_steps: int = 1000
    """gradient steps of behaviour cloning before the first iteration; 0: begins from nothing"""
    warm_steer_weight: float = 10.0
    """weight of the steer error against the acceleration error in them"""
    critic_iterations: int = 3
    """first iterations in which only the critic learns"""
    hidden: tuple[int, ...] = (64, 64)
    """units of each of the discriminator's layers, tanh"""
    learning_rate: float = 1e-3
    """of the discriminator's Adam"""
    n_updates: int = 10
    """gradient steps of the discriminator in an iteration"""
    batch_size: int = 256
    """expert steps, and policy steps, in each"""
    penalty: float = 10.0
    """weight of the gradient penalty (Gulrajani et al. 2017), 0 is none"""
    n_validation: int = 16
    """specs, the last ones given, that the policy is validated on"""
    validation_steps: int = 400
    """steps of a validation drive"""
    validate_every: int = 20
    """iterations; the best validated policy is returned, the last one without any"""
    ppo: PpoConfig = field(default_factory=PpoConfig)
    """how the policy learns"""
    network: NetworkConfig = field(
        default_factory=lambda: NetworkConfig(state_hidden=(64, 32), branch_hidden=16)
    )
    """of actor and critic"""

    def __post_init__(self) -> None:
        for name in ("n_iterations", "horizon", "n_updates", "batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("warm_steps", "critic_iterations", "penalty", "n_validation"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must be one or more positive numbers, got {self.hidden}")
        if self.network.members != 1:
            raise ValueError(
                f"who draws actions is one network, got network.members {self.network.members}"
            )


@dataclass(frozen=True)
class Driven:
    """A segment as the discriminator sees it.

    Attributes:
        segment: N steps.
        steps: the same N steps, their episodes' ends marked where there are absorbing states.
        all: those, and what comes after the end.
    """

    segment: Segment
    steps: Transitions
    all: Transitions


class Adversarial:
    """One training in progress: the policy, the expert's steps, and whoever judges.

    Args:
        place: where; its last `n_validation` specs only validate. The policy begins where the
            specs begin, which should be where demonstrations do.
        data: demonstrations; None where nobody is imitated: the judge is not taught any more.
        config: how.
        seed: of everything random.
        judge: the network that tells expert from policy.
        progress: called after each iteration.
        checkpoint: file that an interrupted run goes on from.

    Raises:
        ValueError: too few specs, another number of rows, no labels, pictures, or a checkpoint
            of another run.
    """

    def __init__(
        self,
        place: Place,
        data: Iterable[Episode] | None,
        config: AdversarialConfig,
        seed: int,
        judge: nn.Module,
        progress: ProgressFunction | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        n_training = len(place.specs) - config.n_validation
        if n_training < 1:
            raise ValueError(
                f"more specs are needed than the {config.n_validation} that validate, got "
                f"{len(place.specs)}; give more routes or lower n_validation"
            )
        if place.world.n_rows != config.ppo.n_rows:
            raise ValueError(
                f"the config drives {config.ppo.n_rows} rows (ppo.n_rows), the world has "
                f"{place.world.n_rows}; results depend on it, make them equal"
            )
        self.place, self.config, self.seed = place, config, seed
        self.spec = place.observer.spec
        episodes = list(data or ())
        self.expert: Demonstrations | None = None
        if data is not None:
            self.expert = demonstrated(episodes, self.spec, config.horizon)
        self.model = ActorCritic(config.network, self.spec, config.ppo, seed)
        self.judge = judge
        self.account: list[dict[str, Any]] = []
        self._done = 0
        self._best: dict[str, Tensor] | None = None
        self._improver = Improver(self.model, config.ppo, seed)
        self._optimizer = torch.optim.Adam(judge.parameters(), config.learning_rate, fused=True)
        self._specs = list(place.specs[:n_training])
        limit = config.validation_steps
        self._validation = [
            replace(spec, max_steps=min(spec.max_steps, limit)) for spec in place.specs[n_training:]
        ]
        self._progress, self._checkpoint = progress, checkpoint
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)
        elif config.warm_steps and episodes:
            self._warm_start(episodes)

    @property
    def iterations(self) -> range:
        """Iterations that are left, counted from 1."""
        return range(self._done + 1, self.config.n_iterations + 1)

    def collect(self, i: int) -> Driven:
        """Drives the segment of iteration i."""
        config, ppo = self.config, self.config.ppo
        episodes = drive(
            self.place.world,
            Noisy(self.place.observer),
            DrawingPolicy(self.model, self.spec, ppo.n_rows),
            [self._episode(i, k) for k in range(4 * ppo.n_rows)],
            stop=self._lost,
            n_steps=ppo.n_steps,
            keep_actors=False,
        )
        segment = segment_of(episodes, self.spec)
        failed = int(segment.terminal.sum())
        self.account.append({"iteration": i, "steps": segment.n_steps, "failed": failed})
        steps = Transitions(
            features(segment.inputs, self.spec),
            segment.executed / torch.tensor(ACTION_SCALE),
            features(segment.next_inputs, self.spec),
            segment.log_prob,
        )
        if not config.absorbing:
            return Driven(segment, steps, steps)
        ends = np.zeros(len(steps), bool)
        ends[segment.last] = segment.terminal
        whole = absorbed(steps, ends, int(segment.missing.sum()))
        return Driven(segment, whole.take(torch.arange(len(steps))), whole)

    def _episode(self, i: int, k: int) -> EpisodeSpec:
        rng = np.random.default_rng(derive_seed(self.seed, "segment", i, k))
        spec = self._specs[int(rng.integers(len(self._specs)))]
        steps = min(spec.max_steps, self.config.horizon)
        return replace(spec, seed=int(rng.integers(2**63)), max_steps=steps)

    def _lost(self, scene: Scene) -> Ints:
        return lost(scene, self.config.lost_distance, self.config.lost_time)

    def teach(self, i: int, driven: Driven) -> None:
        """Takes the judge's gradient steps of iteration i; notes its loss and accuracy."""
        config = self.config
        rng = np.random.default_rng(derive_seed(self.seed, "judge", i))
        expert = self.expert_steps()
        losses, right = [], []
        with reproducible(config.ppo.n_threads):
            for _ in range(config.n_updates):
                theirs, ours = (
                    one.take(torch.from_numpy(rng.integers(len(one), size=config.batch_size)))
                    for one in (expert, driven.all)
                )
                share = torch.from_numpy(rng.random(config.batch_size, np.float32))
                loss = discriminator_loss(self.judge, theirs, ours, config.penalty, share)
                self._optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()
                losses.append(loss.item())
            with torch.inference_mode():
                right = [(self.judge(theirs) > 0).float(), (self.judge(ours) < 0).float()]
        self.account[-1] |= {
            "discriminator_loss": float(np.mean(losses)),
            "discriminator_accuracy": torch.cat(right).mean().item(),
        }

    def expert_steps(self) -> Transitions:
        """Returns the expert's transitions, with what the present policy thinks of his actions."""
        given = self.expert
        assert given is not None, "only where somebody is imitated there is something to teach"
        with torch.inference_mode():
            log_prob = self.model.log_prob(given.inputs, given.executed)
        steps = replace(given.steps, log_prob=log_prob.clone())
        return absorbed(steps, given.ends, given.n_after) if self.config.absorbing else steps

    def improve(self, i: int, driven: Driven, reward: Judge) -> None:
        """Takes the policy's gradient steps of iteration i, validates it and keeps it.

        Args:
            i: the iteration.
            driven: its segment.
            reward: of transitions, (N,); also of the absorbing state's.
        """
        config = self.config
        with torch.inference_mode():
            earned = reward(driven.steps).numpy().astype(np.float64)
            after = self._after_end(reward)
        with reproducible(config.ppo.n_threads):
            told = self._improver.improve(
                i,
                driven.segment,
                earned,
                after,
                (i - 1) / config.n_iterations,
                critic_only=i <= config.critic_iterations,
            )
        self.account[-1] |= {"reward": float(earned.mean()), "reward_after_end": after, **told}
        self._done = i
        if i % config.validate_every == 0 or i == config.n_iterations:
            self._validate(i)
        if self._checkpoint is not None and i % CHECKPOINT_EVERY == 0:
            self._save(self._checkpoint)
        if self._progress is not None:
            scores = [one["validation_score"] for one in self.account if "validation_score" in one]
            self._progress(
                Progress(
                    "iterations",
                    i,
                    config.n_iterations,
                    self.account[-1].get("discriminator_loss", math.nan),
                    1.0 - scores[-1] if scores else math.nan,
                )
            )

    def _after_end(self, reward: Judge) -> float:
        """Returns the reward of each step after a failure."""
        if not self.config.absorbing:
            return 0.0
        over = absorbing_state(n_features(self.spec))[None]
        return reward(Transitions(over, torch.zeros(1, 2), over, torch.zeros(1))).item()

    def _validate(self, i: int) -> None:
        if not self._validation:
            self._best = _copied(self.model.actor)
            return
        score = good_share(self.place, self.policy(), self._validation, self._lost)
        before = [one["validation_score"] for one in self.account if "validation_score" in one]
        self.account[-1]["validation_score"] = score
        if score >= max(before, default=-1.0):
            self._best = _copied(self.model.actor)

    def policy(self, weights: dict[str, Tensor] | None = None) -> DrivingPolicy:
        """Returns the policy without its noise."""
        actor = DrivingNetwork(self.config.network, self.spec, 2).eval()
        actor.load_state_dict(weights or self.model.actor.state_dict())
        return DrivingPolicy(actor, self.config.network, self.spec)

    def best(self, learner: str, config: object, **extra: Any) -> DrivingPolicy:  # noqa: ANN401
        """Returns the best policy on validation, the latest of equals, with its card."""
        scores = {
            one["iteration"]: one["validation_score"]
            for one in self.account
            if "validation_score" in one
        }
        chosen = max(scores, key=lambda i: (scores[i], i), default=self.config.n_iterations)
        card = {
            "learner": learner,
            "labels": self.expert.labels if self.expert else 0,
            "seed": self.seed,
            "config": asdict(config),  # type: ignore[call-overload]
            "best_iteration": chosen,
            "steps": sum(one["steps"] for one in self.account),
            "iterations": self.account,
            **extra,
        }
        if self._checkpoint is not None:
            self._checkpoint.unlink(missing_ok=True)
        return replace(self.policy(self._best), card=card)

    def _warm_start(self, episodes: Sequence[Episode]) -> None:
        """Clones the expert's actions into the actor."""
        config = self.config
        frames = driving_frames(labelled_frames(episodes), self.spec)
        how = FitConfig(
            n_steps=config.warm_steps,
            batch_size=128,
            learning_rate=2e-3,
            n_threads=config.ppo.n_threads,
            device="cpu",
        )
        fit(
            self.model.actor,
            ArrayBatches(frames, how.batch_size, derive_seed(self.seed, "warm-order")),
            driving_loss(config.warm_steer_weight),
            how,
            seed=derive_seed(self.seed, "warm"),
        )

    def _run(self) -> str:
        return checkpoints.fingerprint(
            asdict(self.config),
            self.seed,
            self.expert.labels if self.expert else 0,
            type(self.judge).__name__,
            [repr(one) for one in self._specs[:1]],
        )

    def _save(self, path: Path) -> None:
        checkpoints.write(
            path,
            self._run(),
            {
                "improver": self._improver.state_dict(),
                "judge": self.judge.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "best": self._best,
                "account": self.account,
                "done": self._done,
            },
        )

    def _resume(self, path: Path) -> None:
        content = checkpoints.read(path, self._run())
        self._improver.load_state_dict(content["improver"])
        self.judge.load_state_dict(content["judge"])
        self._optimizer.load_state_dict(content["optimizer"])
        self._best, self.account = content["best"], content["account"]
        self._done = content["done"]


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
