"""Rounds of collect-then-train, which all interactive learners share.

    D <- demonstrations
    for i in 2..N:
        drive with the gate of round i; D <- D + what was labelled
        fit the network to D, validate it
    return the best iterate on validation

A learner owns its gate, what it keeps of a drive, and what else it learns; here is the
rest: where episodes begin and end, the budget, the fit, validation, the best iterate and
the account of who drove, who was asked and how often the driver changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.actors import Struck
from drive_il.datatypes import Bools, Episode, EpisodeSpec, Ints, Outcome, Scene, Start, Who
from drive_il.fit import (
    ArrayBatches,
    Batch,
    FitConfig,
    Progress,
    ProgressFunction,
    fit,
    labelled_frames,
)
from drive_il.gates import ExpertDrives
from drive_il.network_inputs import driving_frames
from drive_il.networks import (
    DrivingPolicy,
    Ensemble,
    NetworkConfig,
    driving_loss,
    driving_network,
)
from drive_il.protocols import Expert, Gate, Observer, Policy, World
from drive_il.randomness import derive_seed
from drive_il.rollout import Disturbance, Stop, drive
from drive_il.rounds_journal import Journal
from drive_il.thinning import first_labels, thinned

MOVING = 1.0
"""slower than this a car counts as standing in validation [m/s]"""

Keep = Callable[[Episode], Bools]
"""episode -> which of its labelled steps are learnt from, (T,)"""
IterateSink = Callable[[int, DrivingPolicy], None]
"""(round, iterate) -> nothing; called after each round"""


@dataclass(frozen=True)
class Place:
    """Where a learner learns.

    Attributes:
        world: to drive in.
        observer: what the policy sees.
        expert: labels states, and drives where the gate says so.
        specs: what is driven; the last `RoundsConfig.n_validation` only validate.
        journal: folder that a training which was killed goes on from; None keeps nothing.
    """

    world: World
    observer: Observer
    expert: Expert
    specs: Sequence[EpisodeSpec]
    journal: Path | None = None


@dataclass(frozen=True)
class RoundsConfig:
    """Rounds of collect-then-train."""

    n_rounds: int = 6
    """rounds, N in the papers; the demonstrations are the first"""
    label_budget: int = 10_000
    """expert labels in all, those of the demonstrations included"""
    every: int = 1
    """of the states that are labelled one in so many is kept, and counts: more places are seen
    for as many labels; see `needs_each_label`"""
    before_failure: int = 0
    """and five times as many of the last so many steps before something goes wrong: what leads to a
    failure takes seconds, and is what a learner lacks (critical states, Prakash et al. 2020)"""
    steps_per_label: int = 2
    """a round drives at most so many steps for each label, or twice `every` where that is more"""
    steps_per_episode: int = 200
    """steps after which an episode of a round is cut, so that a round sees many places"""
    fastest_start: float = 0.9
    """share of the speed limit at which an episode of a round begins at most; who sets off slowly
    in short episodes never sees the speeds at which lanes are left"""
    lost_distance: float = 4.0
    """an episode ends when the ego is this far beside its route [m]"""
    lost_time: float = 5.0
    """and when it has stood still for so long; longer than a red light, where there are any [s]"""
    from_scratch: bool = False
    """True: every round starts from fresh weights"""
    n_validation: int = 16
    """specs, the last ones given, that every iterate is validated on"""
    validation_steps: int = 600
    """steps of a validation drive"""
    steer_weight: float = 5.0
    """weight of the steer error against the acceleration error"""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """the driving network"""
    fit: FitConfig = field(default_factory=lambda: FitConfig(n_steps=1200))
    """optimiser and length of each round"""
    last_steps: int = 0
    """gradient steps of the last round, on all data; 0: as many as the others"""

    def __post_init__(self) -> None:
        for name in (
            "n_rounds",
            "label_budget",
            "every",
            "steps_per_label",
            "steps_per_episode",
            "validation_steps",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("before_failure", "n_validation", "last_steps", "fastest_start"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


def needs_each_label(learner: str, rounds: RoundsConfig) -> None:
    """Refuses to thin labels that are paid to decide who drives, or asked for one by one.

    Raises:
        ValueError: `every` is not 1.
    """
    if rounds.every != 1:
        raise ValueError(
            f"{learner} pays for each look at the expert, or asks for single labels, so that none "
            f"can be left out: every must be 1, got {rounds.every}"
        )


ENSEMBLE = RoundsConfig(network=NetworkConfig(members=5))
"""the rounds of learners whose doubt is an ensemble's"""


class Rounds:
    """One training in progress.

    Args:
        place: where.
        config: how.
        seed: of everything random.
        progress: called after every epoch and round.
        sink: is handed every iterate.

    Raises:
        ValueError: too few specs.
    """

    def __init__(
        self,
        place: Place,
        config: RoundsConfig,
        seed: int,
        progress: ProgressFunction | None = None,
        sink: IterateSink | None = None,
    ) -> None:
        n_training = len(place.specs) - config.n_validation
        if n_training < 1:
            raise ValueError(
                f"rounds need more specs than the {config.n_validation} they validate on, "
                f"got {len(place.specs)}; give more routes or lower n_validation"
            )
        self.place, self.config, self.seed = place, config, seed
        self.spec = place.observer.spec
        self.episodes: list[Episode] = []
        self.iterates: list[DrivingPolicy] = []
        self.scores: list[float] = []
        self.account: list[dict[str, Any]] = []
        self._specs = list(place.specs[:n_training])
        self._validation = list(place.specs[n_training:])
        self._progress, self._sink = progress, sink
        self._collected: list[Episode] = []
        self._network = driving_network(config.network, self.spec, derive_seed(seed, "network"))
        run = {
            "config": asdict(config),
            "seed": seed,
            "observation": asdict(self.spec),
            "routes": [[spec.route.id, spec.seed] for spec in place.specs],
        }
        self._journal = Journal(place.journal, run)

    @property
    def later(self) -> range:
        """The rounds after the demonstrations."""
        return range(2, self.config.n_rounds + 1)

    @property
    def policy(self) -> DrivingPolicy:
        """The last iterate."""
        return self.iterates[-1]

    @property
    def labels(self) -> int:
        """Expert labels paid so far."""
        return sum(episode.labels for episode in self.episodes)

    def demonstrate(
        self, data: Iterable[Episode] = (), disturbance: Disturbance | None = None
    ) -> list[Episode]:
        """Round one: takes demonstrations, or lets the expert drive where there are none.

        Raises:
            ValueError: the demonstrations alone exceed the budget.
        """
        given = list(data)
        self.episodes = given
        if self.labels > self.config.label_budget:
            raise ValueError(
                f"the demonstrations hold {self.labels} labels, more than label_budget "
                f"{self.config.label_budget}; raise it or pass fewer episodes"
            )
        self._collected = given
        return given or self.collect(1, ExpertDrives(), disturbance)

    def resume(self, policy: DrivingPolicy, data: Iterable[Episode] = ()) -> None:
        """Round one is a policy that has been trained before; later ones go on from it.

        Args:
            policy: with the network of the config.
            data: what it learnt from, so that it is not forgotten.
        """
        self.episodes = self._collected = list(data)
        self._network.load_state_dict(policy.network.state_dict())
        self._close(1, policy, self.validate(policy))

    def take(self, episodes: Sequence[Episode]) -> None:
        """Takes drives that were made elsewhere, by hand, as those of the next round."""
        self._collected = list(episodes)
        self.episodes = self.episodes + [one for one in episodes if one.labels]

    def collect(self, i: int, gate: Gate, disturbance: Disturbance | None = None) -> list[Episode]:
        """Drives round i with the last iterate and returns its labelled episodes."""
        rounds_left = self.config.n_rounds - i + 1
        labels = (self.config.label_budget - self.labels) // rounds_left
        # Episodes that end early, or in which few are asked, leave labels over.
        per_label = max(self.config.steps_per_label, 2 * self.config.every)
        n_episodes = per_label * -(-labels // self.config.steps_per_episode)
        return self.drive(self.specs(i, n_episodes), gate, disturbance, labels)

    def drive(
        self,
        specs: Sequence[EpisodeSpec],
        gate: Gate,
        disturbance: Disturbance | None = None,
        labels: int | None = None,
    ) -> list[Episode]:
        """Drives these specs with the last iterate; labelled episodes join the data."""
        left = self.config.label_budget - self.labels
        labels = left if labels is None else min(labels, left)
        self._collected = []
        if labels > 0:
            self._collected = self._journal.drives(
                lambda: drive(
                    self.place.world,
                    self.place.observer,
                    self.iterates[-1] if self.iterates else None,
                    list(specs),
                    expert=self.place.expert,
                    gate=gate,
                    stop=self.lost,
                    label_budget=labels * self.config.every,
                    disturbance=disturbance,
                    keep_actors=False,
                )
            )
        labelled = [one for one in self._collected if one.labels]
        if self.config.every > 1:
            critical = partial(before_failing, n=self.config.before_failure)
            kept = thinned(labelled, self.config.every, critical)
            labelled = first_labels(kept, labels)
        self.episodes = self.episodes + labelled
        return labelled

    def alone(self, i: int, n_episodes: int) -> list[Episode]:
        """Lets the last iterate drive without the expert; costs no label."""
        return self._journal.drives(
            lambda: drive(
                self.place.world,
                self.place.observer,
                self.policy,
                [replace(spec, seed=spec.seed ^ 1) for spec in self.specs(i, n_episodes)],
                stop=self.lost,
                keep_actors=False,
            )
        )

    def specs(self, i: int, n: int) -> list[EpisodeSpec]:
        """Returns the first n episodes of round i."""
        return [self._episode(i, k) for k in range(n)]

    def note(self, **facts: object) -> None:
        """Adds to the account of the last round."""
        self.account[-1] |= facts

    def _episode(self, i: int, k: int) -> EpisodeSpec:
        """Returns episode k of round i: some route, from a random place."""
        config = self.config
        rng = np.random.default_rng(derive_seed(self.seed, "episode", i, k))
        spec = self._specs[int(rng.integers(len(self._specs)))]
        s = float(rng.uniform(0.0, max(0.0, spec.route.length - 50.0)))
        points = spec.route.points
        limit = float(points["speed_limit"][np.searchsorted(points["s"], s)])
        return replace(
            spec,
            seed=derive_seed(self.seed, "coins", i, k),
            max_steps=min(spec.max_steps, config.steps_per_episode),
            start=Start(s=s, speed=float(rng.uniform(0.0, config.fastest_start * limit))),
        )

    def lost(self, scene: Scene) -> Ints:
        """Ends an episode from where no label could teach a way back."""
        return lost(scene, self.config.lost_distance, self.config.lost_time)

    def frames(self, episodes: Sequence[Episode], keep: Keep | None = None) -> Batch:
        """Returns network inputs and targets of the labelled steps that are kept."""
        return driving_frames(labelled_frames(episodes, keep), self.spec)

    def fit(self, i: int, frames: Batch | None = None) -> DrivingPolicy:
        """Fits the network of round i, validates it and closes the round's account.

        Args:
            i: the round.
            frames: what to learn from; every labelled step so far when not given.

        Returns:
            The new iterate.
        """
        config = self.config
        if config.from_scratch:
            seed = derive_seed(self.seed, "network", i)
            self._network = driving_network(config.network, self.spec, seed)
        frames = self.frames(self.episodes) if frames is None else frames
        if isinstance(self._network, Ensemble):
            frames = frames | {"weight": self._bootstrap(len(frames["target"]))}
        facts = self._journal.fit(self._network, partial(self._fitted, i, frames))
        policy = self._iterate()
        self._close(i, policy, facts["validation_score"])
        return policy

    def _fitted(self, i: int, frames: Batch, checkpoint: Path | None) -> dict[str, float]:
        """Fits the network of round i and validates it."""
        config = self.config
        how = config.fit
        if i == config.n_rounds and config.last_steps > 0:
            how = replace(how, n_steps=config.last_steps, n_epochs=None)
        fit(
            self._network,
            ArrayBatches(frames, config.fit.batch_size, derive_seed(self.seed, "order", i)),
            driving_loss(config.steer_weight),
            how,
            seed=derive_seed(self.seed, "fit", i),
            checkpoint=checkpoint,
            progress=self._within(i),
            stage=f"round {i} of {config.n_rounds}",
        )
        return {"validation_score": self.validate(self._iterate())}

    def _iterate(self) -> DrivingPolicy:
        """Returns a policy with a copy of the network as it is."""
        iterate = driving_network(self.config.network, self.spec, 0)
        iterate.load_state_dict(self._network.state_dict())
        return DrivingPolicy(iterate, self.config.network, self.spec)

    def _bootstrap(self, n_frames: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """How often each frame counts for each member; a frame's counts never change."""
        rng = np.random.default_rng(derive_seed(self.seed, "bootstrap"))
        counts = rng.poisson(1.0, (n_frames, self.config.network.members))
        return counts.astype(np.float32)

    def _within(self, i: int) -> ProgressFunction | None:
        """Returns a progress function for the fit of round i, which is a part of the whole."""
        told, n = self._progress, self.config.n_rounds
        if told is None:
            return None
        return lambda at: told(replace(at, begin=(i - 1) / n, end=i / n))

    def _close(self, i: int, policy: DrivingPolicy, score: float) -> None:
        self.iterates.append(policy)
        self.scores.append(score)
        facts = {"labels": self.labels, "validation_score": score}
        self.account.append(facts | interventions(self._collected))
        if self._sink is not None:
            self._sink(i, policy)
        if self._progress is not None:
            n = self.config.n_rounds
            self._progress(Progress("rounds", i, n, validation_loss=1 - score))

    def validate(self, policy: DrivingPolicy) -> float:
        """Returns the mean share of good steps of unlabelled drives; asks nobody."""
        limit = self.config.validation_steps
        specs = [replace(one, max_steps=min(one.max_steps, limit)) for one in self._validation]
        return good_share(self.place, policy, specs, self.lost)

    def best(self, learner: str, config: object, **extra: Any) -> DrivingPolicy:  # noqa: ANN401
        """Returns the best iterate on validation, the latest of equals, with its card."""
        found = max(range(len(self.scores)), key=lambda k: (self.scores[k], k))
        card = {
            "learner": learner,
            "labels": self.labels,
            "data": {
                "episodes": len(self.episodes),
                "towns": sorted({episode.spec.route.town for episode in self.episodes}),
            },
            "seed": self.seed,
            "config": asdict(config),  # type: ignore[call-overload]
            "validation_scores": self.scores,
            "best_round": found + 1,
            "rounds": self.account,
            **extra,
        }
        return replace(self.iterates[found], card=card)


def lost(scene: Scene, distance: float, time: float) -> Ints:
    """Says which drives have failed or are complete; a `rollout.Stop` once the limits are set.

    Args:
        scene: (B,) rows.
        distance: beside the lane centre that is too far [m].
        time: of standing still that is too long [s].
    """
    progress = scene.progress
    outcome = np.full(scene.n_rows, Outcome.RUNNING, np.int64)
    outcome[progress["standing"] > time] = Outcome.BLOCKED
    outcome[np.abs(progress["lateral_error"]) > distance] = Outcome.DEVIATED
    outcome[scene.events["struck"] != Struck.NOTHING] = Outcome.COLLIDED
    outcome[progress["completed"]] = Outcome.COMPLETED
    return outcome


def good_share(place: Place, policy: Policy, specs: Sequence[EpisodeSpec], stop: Stop) -> float:
    """Returns the mean share of good steps of unlabelled drives, 0 without specs.

    A step is good when the ego moves and has not failed yet: its centre never more than
    half a lane beside the lane centre, no contact, no red light and no stop sign run.
    """
    shares = []
    for episode in drive(
        place.world,
        place.observer,
        policy,
        specs,
        stop=stop,
        keep_observations=False,
        keep_actors=False,
    ):
        failed = np.logical_or.accumulate(failing(episode))
        good = ~failed[1:] & (episode.ego["speed"][1:] > MOVING)
        completed = episode.outcome == Outcome.COMPLETED and not failed[-1]
        shares.append(good.sum() / (episode.n_steps if completed else episode.spec.max_steps))
    return float(np.mean(shares)) if shares else 0.0


def failing(episode: Episode) -> Bools:
    """Returns in which states something is wrong that an expert does not do, (T + 1,)."""
    progress, events = episode.progress, episode.events
    out = np.abs(progress["lateral_error"]) > progress["lane_width"] / 2
    struck = events["struck"] != Struck.NOTHING
    return np.asarray(out | struck | (events["red_light"] >= 0) | (events["stop_sign"] >= 0))


def before_failing(episode: Episode, n: int) -> Bools:
    """Returns which steps are among the last n before something goes wrong, (T,)."""
    wrong = failing(episode)
    begins = np.append(wrong[1:] & ~wrong[:-1], np.zeros(n, np.bool_))
    ahead = np.append(0, begins.cumsum())  # [t] failures that begin in a state up to t
    step = np.arange(episode.n_steps)
    return np.asarray(ahead[step + n] > ahead[step])


def expert_drove(episode: Episode) -> Bools:
    """Returns which steps the expert, or a person, drove, (T,)."""
    return np.asarray(episode.who != Who.POLICY)


def takeovers(episode: Episode) -> Ints:
    """Returns the steps at which the expert, or a person, takes over from the policy."""
    drove = expert_drove(episode)
    return np.flatnonzero(drove[1:] & ~drove[:-1]) + 1


def interventions(episodes: Sequence[Episode]) -> dict[str, Any]:
    """Returns who drove, how often that changed, and how the drives went.

    Returns:
        `steps`, `expert_share` of them, `takeovers` (times the expert began to drive, at the
        first step too), their mean length `takeover_steps`, `switches` (changes of driver,
        both ways), `episodes`, and how many ended in `collided`, `deviated` and `blocked`.
    """
    steps = sum(episode.n_steps for episode in episodes)
    drove = [expert_drove(episode) for episode in episodes]
    held = int(sum(one.sum() for one in drove))
    begun = sum(len(takeovers(e)) + int(e.n_steps > 0 and e.who[0] != Who.POLICY) for e in episodes)
    ended = [episode.outcome for episode in episodes]
    return {
        "episodes": len(episodes),
        "steps": steps,
        "expert_share": held / steps if steps else 0.0,
        "takeovers": begun,
        "takeover_steps": held / begun if begun else 0.0,
        "switches": int(sum((one[1:] != one[:-1]).sum() for one in drove)),
        "collided": ended.count(Outcome.COLLIDED),
        "deviated": ended.count(Outcome.DEVIATED),
        "blocked": ended.count(Outcome.BLOCKED),
    }
