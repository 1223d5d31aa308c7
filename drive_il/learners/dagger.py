"""DAgger (Ross, Gordon, Bagnell 2011, Algorithm 3.1).

    D <- demonstrations
    for i in 1..N:
        pi_i <- beta_i pi* + (1 - beta_i) pi^_i      a coin per time step says who drives
        D    <- D + {(o, pi*(o))} on the states pi_i visits
        pi^_(i+1) <- train on D
    return the best pi^_i on validation

beta_1 = 1: the expert drives all of round one, which is what the demonstrations are. The
schedule "first" then lets the learner drive alone, which the paper found to work best.

Departures: the network, loss and optimiser are those of behaviour cloning (`bc`); training
goes on from the last round's weights unless `from_scratch`. An episode of a round starts
at a random place of its route and ends when the ego is lost, because labels from a place
without a way back teach nothing.

Labels that count: every frame of the demonstrations and every visited state of the later
rounds, together never more than `label_budget`. Validation asks the expert nothing: each
iterate drives held-back specs, and its score is the share of steps in which it moves and
has not left its lane yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from drive_il.datatypes import Episode, EpisodeSpec, Ints, Outcome, Scene, Start
from drive_il.fit import (
    ArrayBatches,
    FitConfig,
    Progress,
    ProgressFunction,
    fit,
    labelled_frames,
)
from drive_il.gates import Mixture
from drive_il.networks import (
    DrivingPolicy,
    NetworkConfig,
    driving_camera,
    driving_frames,
    driving_loss,
    driving_network,
)
from drive_il.protocols import Expert, Observer, World
from drive_il.randomness import derive_seed
from drive_il.rollout import drive

MOVING = 1.0
"""slower than this a car counts as standing in validation [m/s]"""


@dataclass(frozen=True)
class Config:
    """DAgger."""

    n_rounds: int = 6
    """rounds of collect-then-train, N in the paper; the demonstrations are the first"""
    label_budget: int = 10_000
    """expert labels in all, those of the demonstrations included"""
    schedule: str = "first"
    """of beta: first (1, then 0), exponential or linear"""
    beta0: float = 0.5
    """of the exponential schedule: beta_i = beta0 ** (i - 1)"""
    steps_per_episode: int = 200
    """steps after which an episode of a round is cut, so that a round sees many places"""
    lost_distance: float = 4.0
    """an episode ends when the ego is this far beside its route [m]"""
    lost_time: float = 5.0
    """and when it has stood still for so long [s]"""
    from_scratch: bool = False
    """True: every round starts from fresh weights"""
    n_validation: int = 16
    """specs, the last ones given, that every iterate is validated on"""
    validation_steps: int = 600
    """steps of a validation drive"""
    steer_weight: float = 5.0
    """weight of the steer error against the acceleration error"""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """the camera network"""
    fit: FitConfig = field(default_factory=lambda: FitConfig(n_steps=1200))
    """optimiser and length of each round"""
    last_steps: int = 0
    """gradient steps of the last round, on all data; 0: as many as the others"""

    def __post_init__(self) -> None:
        for name in ("n_rounds", "label_budget", "steps_per_episode", "validation_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.schedule not in ("first", "exponential", "linear"):
            raise ValueError(
                f"schedule must be one of first, exponential, linear, got {self.schedule!r}"
            )
        if not 0 <= self.beta0 <= 1:
            raise ValueError(f"beta0 is a probability, got {self.beta0}")
        for name in ("n_validation", "last_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


def beta(config: Config, i: int) -> float:
    """Returns beta_i, the probability that the expert drives a step of round i = 1..N."""
    if config.schedule == "first":
        return 1.0 if i == 1 else 0.0
    if config.schedule == "exponential":
        return config.beta0 ** (i - 1)
    return max(0.0, 1.0 - (i - 1) / max(1, config.n_rounds - 1))


def train(
    world: World,
    observer: Observer,
    expert: Expert,
    specs: Sequence[EpisodeSpec],
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
) -> DrivingPolicy:
    """Runs DAgger.

    Args:
        world: to drive in.
        observer: what the policy sees.
        expert: labels every visited state.
        specs: where the rounds drive, in turn; the last `n_validation` only validate.
        data: demonstrations, round one (a `Dataset` gives its `episodes()`); when there is
            none, round one is driven too.
        config: how.
        seed: of everything random.
        progress: called after every epoch and round.

    Returns:
        The best iterate on validation.

    Raises:
        ValueError: too few specs, or the demonstrations alone exceed the budget.
    """
    n_training = len(specs) - config.n_validation
    if n_training < 1:
        raise ValueError(
            f"DAgger needs more specs than the {config.n_validation} it validates on, "
            f"got {len(specs)}; give more routes or lower n_validation"
        )
    run = _Run(world, observer, expert, list(specs[:n_training]), config, seed)
    camera = driving_camera(observer.spec)
    episodes, iterates, scores = list(data), list[DrivingPolicy](), list[float]()
    if run.labels_left(episodes) < 0:
        raise ValueError(
            f"the demonstrations hold {config.label_budget - run.labels_left(episodes)} labels, "
            f"more than label_budget {config.label_budget}; raise it or pass fewer episodes"
        )
    network = driving_network(config.network, camera, derive_seed(seed, "network"))
    for i in range(1, config.n_rounds + 1):
        if i > 1 or not episodes:
            episodes += run.collect(iterates[-1] if iterates else None, i, episodes)
        if config.from_scratch:
            network = driving_network(config.network, camera, derive_seed(seed, "network", i))
        frames = driving_frames(labelled_frames(episodes), camera)
        fit(
            network,
            ArrayBatches(frames, config.fit.batch_size, derive_seed(seed, "order", i)),
            driving_loss(config.steer_weight),
            _fit_of_round(config, i),
            seed=derive_seed(seed, "fit", i),
            progress=_within_round(progress, i, config.n_rounds),
            stage=f"DAgger round {i} of {config.n_rounds}",
        )
        iterate = driving_network(config.network, camera, 0)
        iterate.load_state_dict(network.state_dict())
        iterates.append(DrivingPolicy(iterate, config.network, observer.spec))
        scores.append(run.validate(iterates[-1], list(specs[n_training:])))
        if progress is not None:
            progress(Progress("DAgger rounds", i, config.n_rounds, validation_loss=1 - scores[-1]))
    best = max(range(config.n_rounds), key=lambda i: (scores[i], i))
    card = {
        "learner": "dagger",
        "labels": sum(episode.labels for episode in episodes),
        "seed": seed,
        "config": asdict(config),
        "validation_scores": scores,
        "best_round": best + 1,
    }
    return replace(iterates[best], card=card)


def _fit_of_round(config: Config, i: int) -> FitConfig:
    is_last = i == config.n_rounds and config.last_steps > 0
    return replace(config.fit, n_steps=config.last_steps) if is_last else config.fit


def _within_round(
    progress: ProgressFunction | None, i: int, n_rounds: int
) -> ProgressFunction | None:
    """Returns a progress function for the fit of round i, which is a part of the whole."""
    if progress is None:
        return None
    told = progress
    return lambda at: told(replace(at, begin=(i - 1) / n_rounds, end=i / n_rounds))


@dataclass(frozen=True)
class _Run:
    """What stays the same from round to round."""

    world: World
    observer: Observer
    expert: Expert
    specs: list[EpisodeSpec]
    config: Config
    seed: int

    def labels_left(self, episodes: Sequence[Episode]) -> int:
        """Returns the labels that may still be asked for."""
        return self.config.label_budget - sum(episode.labels for episode in episodes)

    def collect(
        self, policy: DrivingPolicy | None, i: int, episodes: Sequence[Episode]
    ) -> list[Episode]:
        """Drives round i and returns its labelled episodes."""
        rounds_left = self.config.n_rounds - i + 1
        labels = self.labels_left(episodes) // rounds_left
        if labels < 1:
            return []
        # Episodes that end early leave labels over: offer twice as many as could be needed.
        n_episodes = 2 * -(-labels // self.config.steps_per_episode)
        specs = [self._spec(i, k) for k in range(n_episodes)]
        return [
            episode
            for episode in drive(
                self.world,
                self.observer,
                policy,
                specs,
                expert=self.expert,
                gate=Mixture(beta(self.config, i)),
                stop=self._lost,
                label_budget=labels,
            )
            if episode.labels
        ]

    def _spec(self, i: int, k: int) -> EpisodeSpec:
        """Returns episode k of round i: the next route in turn, from a random place."""
        config = self.config
        rng = np.random.default_rng(derive_seed(self.seed, "episode", i, k))
        spec = self.specs[int(rng.integers(len(self.specs)))]
        latest = max(0.0, spec.route.length - 50.0)
        return replace(
            spec,
            seed=derive_seed(self.seed, "coins", i, k),
            max_steps=min(spec.max_steps, config.steps_per_episode),
            start=Start(s=float(rng.uniform(0.0, latest)), speed=float(rng.uniform(0.0, 6.0))),
        )

    def _lost(self, scene: Scene) -> Ints:
        progress = scene.progress
        outcome = np.full(scene.n_rows, Outcome.RUNNING, np.int64)
        outcome[progress["standing"] > self.config.lost_time] = Outcome.BLOCKED
        outcome[np.abs(progress["lateral_error"]) > self.config.lost_distance] = Outcome.DEVIATED
        outcome[progress["completed"]] = Outcome.COMPLETED
        return outcome

    def validate(self, policy: DrivingPolicy, specs: list[EpisodeSpec]) -> float:
        """Returns the mean share of good steps of unlabelled drives; asks nobody.

        A step is good when the ego moves and its centre has never been more than half a
        lane beside the lane centre.
        """
        steps = self.config.validation_steps
        shares = []
        for episode in drive(
            self.world,
            self.observer,
            policy,
            [replace(spec, max_steps=min(spec.max_steps, steps)) for spec in specs],
            stop=self._lost,
            keep_observations=False,
        ):
            progress = episode.progress[1:]
            out = np.abs(progress["lateral_error"]) > progress["lane_width"] / 2
            good = ~np.logical_or.accumulate(out) & (episode.ego["speed"][1:] > MOVING)
            completed = episode.outcome == Outcome.COMPLETED and not out.any()
            whole = episode.n_steps if completed else min(episode.spec.max_steps, steps)
            shares.append(good.sum() / whole)
        return float(np.mean(shares)) if shares else 0.0
