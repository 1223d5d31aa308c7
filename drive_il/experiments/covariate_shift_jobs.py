"""The work behind the covariate-shift experiment, one function per kind of job.

Each writes one folder from the folders of the jobs it needs, on one thread, and is a
function of its arguments alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.datatypes import Episode, Floats, Records
from drive_il.experiments.covariate_shift import DAGGER_ROUNDS
from drive_il.experiments.covariate_shift_specs import (
    DRIVE_STEPS,
    EXPERT,
    ROWS,
    demonstration_specs,
    evaluation_specs,
)
from drive_il.experiments.drives import (
    Erring,
    chosen_delta,
    expert_episodes,
    listener,
    never_blocked,
    read,
    read_json,
    write,
    write_json,
)
from drive_il.experiments.jobs import Report
from drive_il.gates import ExpertDrives
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.protocols import Observer, World
from drive_il.randomness import derive_seed
from drive_il.rollout import drive, scene_of
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World as EmbeddedWorld
from drive_il.theory import costs
from drive_il.theory.estimators import DELTAS
from drive_il.theory.forks import fork, snapshots_at
from drive_il.thinning import first_labels, thinned
from drive_il.worlds import WorldChoice, Worlds

TOLERANCE_DRIVES = 16
SERVER_PATIENCE = 24.0 * 3600.0
"""for so long a step waits for a CARLA server that other steps drive [s]"""
VALIDATION_DRIVES = 16
STEER_WEIGHT = 30.0
"""of every camera learner's loss: steer errors are small numbers that matter"""
CROP_TOP = 0.375
"""of what camera learners see: where there are no traffic lights, only sky is above it"""
LAST_ROUND = 0.2
"""share of DAgger's gradient steps that its last round takes, on all its data"""
LOOK_EVERY = 4
"""steps between the expert's states that a learner without a memory is compared on"""
LOST_DISTANCE = 2.5
"""a drive of DAgger's ends this far from the lane centre [m]"""


@contextmanager
def _world(
    where: Mapping[str, Any], town: str, spec: ObservationSpec | None = None
) -> Iterator[tuple[World, Observer | None]]:
    """A world on a town, and what these sensors show of it; waits for a free CARLA server."""
    choice, network = WorldChoice(**where), library.load(town)
    rows = 1 if choice.is_carla else ROWS
    with Worlds(choice, patience=SERVER_PATIENCE) as worlds:
        history = 0.0 if spec is None else spec.history
        world = worlds.world(network, rows, history)
        yield world, None if spec is None else worlds.observer(network, spec, rows)


def demonstrations(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    labels: int,
    every: int,
    seed: int,
    where: Mapping[str, Any],
) -> None:
    """Records the expert with every learner's sensors, at most `labels` labels."""
    from drive_il.learners import alvinn

    spec = ObservationSpec(
        cameras=ObservationSpec().cameras + alvinn.SPEC.cameras, range_finder=True
    )
    with _world(where, town, spec) as (world, observer):
        episodes = drive(
            world,
            observer,
            None,
            demonstration_specs(town, labels * every, seed),
            expert=EXPERT,
            gate=ExpertDrives(),
            stop=never_blocked(),
            label_budget=labels * every,
            listener=listener(report),
        )
    write(folder, first_labels(thinned(episodes, every), labels))


def train(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    labels: int,
    every: int,
    seed: int,
    learner: str,
    gradient_steps: int,
    where: Mapping[str, Any],
) -> None:
    """Trains one learner on at most `labels` expert labels, and saves its model folder."""
    from drive_il import learners
    from drive_il.fit import Progress

    [source] = inputs.values()
    episodes = read(source)

    def progress(at: Progress) -> None:
        report(at.share, at.stage)

    training = _Training(town, labels, every, seed, gradient_steps, progress, where)
    policy = {
        "alvinn": training.alvinn,
        "bc": training.bc,
        "bc_augmented": training.bc_augmented,
        "dagger": training.dagger,
    }[learner](episodes)
    learners.save(policy, folder / "model")


@dataclass(frozen=True)
class _Training:
    """The learners at one budget, with their defaults but for length and threads."""

    town: str
    labels: int
    every: int
    seed: int
    gradient_steps: int
    progress: Callable[[Any], None]
    where: Mapping[str, Any]

    def alvinn(self, episodes: list[Episode]) -> Any:
        """ALVINN 1989."""
        from drive_il.learners import alvinn

        config = alvinn.Config()
        config = replace(config, fit=replace(config.fit, n_threads=1, device="cpu"))
        return alvinn.train(episodes, config, self.seed, self.progress)

    def bc(self, episodes: list[Episode], augmentation: str = "none") -> Any:
        """Behaviour cloning."""
        from drive_il.experiments.practice import fit_config
        from drive_il.learners import bc
        from drive_il.networks import NetworkConfig
        from drive_il.sensors.camera import Camera

        network = NetworkConfig(crop_top=CROP_TOP)
        config = bc.Config(augmentation, steer_weight=STEER_WEIGHT, network=network)
        camera = Camera(library.load(self.town), ObservationSpec().cameras[0])
        return bc.train(
            episodes,
            replace(config, fit=fit_config(self.gradient_steps)),
            self.seed,
            renderer=camera.render,
            progress=self.progress,
        )

    def bc_augmented(self, episodes: list[Episode]) -> Any:
        """Behaviour cloning on shifted, turned and recoloured views too.

        Of what CARLA's cameras saw there are no shifted views, so those are only recoloured.
        """
        is_carla = WorldChoice(**self.where).is_carla
        return self.bc(episodes, "photometric" if is_carla else "both")

    def dagger(self, episodes: list[Episode]) -> Any:
        """DAgger; the first round's share of the demonstrations is its round one."""
        from drive_il.experiments.practice import fit_config
        from drive_il.learners import dagger
        from drive_il.networks import NetworkConfig
        from drive_il.rounds import Place, RoundsConfig

        last = round(LAST_ROUND * self.gradient_steps)
        each = (self.gradient_steps - last) // (DAGGER_ROUNDS - 1)
        rounds = RoundsConfig(
            label_budget=self.labels,
            every=self.every,
            n_rounds=DAGGER_ROUNDS,
            steer_weight=STEER_WEIGHT,
            lost_distance=LOST_DISTANCE,
            steps_per_episode=300,
            n_validation=VALIDATION_DRIVES,
            network=NetworkConfig(crop_top=CROP_TOP),
            fit=fit_config(each),
            last_steps=last,
        )
        enough = self.labels * self.every + 2 * VALIDATION_DRIVES * DRIVE_STEPS
        specs = demonstration_specs(self.town, enough, derive_seed(self.seed, "dagger"))
        specs = [replace(spec, max_steps=rounds.validation_steps) for spec in specs]
        first = first_labels(episodes, self.labels // DAGGER_ROUNDS)
        with _world(self.where, self.town, ObservationSpec()) as (world, observer):
            assert observer is not None, "made with sensors"
            return dagger.train(
                Place(world, observer, EXPERT, specs),
                [_only(episode, "rgb") for episode in first],
                dagger.Config(rounds=rounds),
                self.seed,
                self.progress,
            )


def _only(episode: Episode, camera: str) -> Episode:
    kept = {name: episode.observations[name] for name in (camera, "speed", "command")}
    return replace(episode, observations=kept)


def expert_drives(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    n: int,
    horizon: int,
    seed: int,
    where: Mapping[str, Any],
) -> None:
    """Drives the test specs with the expert."""
    with _world(where, town) as (world, _):
        episodes = expert_episodes(world, evaluation_specs(town, n, horizon, seed), EXPERT)
    write(folder, episodes)


def learner_drives(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    horizon: int,
    form: str,
    where: Mapping[str, Any],
) -> None:
    """Drives the test specs with a learner; its own states are labelled afterwards."""
    from drive_il import learners

    policy = learners.load(_input(inputs, "model") / "model")
    specs = [episode.spec for episode in read(_input(inputs, "expert"))]
    with _world(where, town, policy.spec) as (world, observer):
        episodes = drive(
            world,
            observer,
            policy,
            specs,
            stop=never_blocked(),
            pedals=EXPERT if form == "steering_only" else None,
            keep_observations=False,
            listener=listener(report),
        )
    write(folder, episodes)


def proposals(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    horizon: int,
    where: Mapping[str, Any],
) -> None:
    """How far a learner's steer is from the expert's on the expert's states.

    A learner with a memory, and one that sees with CARLA's sensors, looks on while the expert
    drives; another is shown every LOOK_EVERY-th state.
    """
    from drive_il import learners

    network, policy = library.load(town), learners.load(_input(inputs, "model") / "model")
    truth, errors = read(_input(inputs, "expert")), []
    if policy.initial_state(1) or WorldChoice(**where).is_carla:
        specs = [episode.spec for episode in truth]
        with _world(where, town, policy.spec) as (world, watcher):
            driven = drive(
                world,
                watcher,
                policy,
                specs,
                expert=EXPERT,
                gate=ExpertDrives(),
                stop=never_blocked(),
                keep_observations=False,
                listener=listener(report),
            )
        for episode in driven:
            errors.append(np.abs(episode.policy_control["steer"] - episode.control["steer"]))
    else:
        observer = SceneObserver(network, policy.spec)
        for i, episode in enumerate(truth):
            steps = np.arange(0, episode.n_steps, LOOK_EVERY)
            seen = observer.observe(scene_of(episode).take(steps), np.arange(len(steps)))
            control, _, _ = policy.act(seen, {})
            errors.append(np.abs(control["steer"] - episode.control["steer"][steps]))
            report(i / len(truth), "")
    write_json(folder / "errors.json", [error.tolist() for error in errors])


def _input(inputs: dict[str, Path], kind: str) -> Path:
    [folder] = [path for name, path in inputs.items() if name.startswith(kind + "/")]
    return folder


def tolerance(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    horizon: int,
    where: Mapping[str, Any],
) -> None:
    """What steer errors up to delta cost the expert, at worst of three kinds.

    Noise that is new in every step averages out, a constant bias does not; a learner's
    errors are something between, so that the worst of both decides.
    """
    [source] = inputs.values()
    truth = read(source)[:TOLERANCE_DRIVES]
    specs = [episode.spec for episode in truth]
    expert = costs.tracks(truth, horizon)
    extra = []
    with _world(where, town) as (world, _):
        for i, delta in enumerate(DELTAS):
            report(i / len(DELTAS), f"delta {delta:g}")
            worst = 0.0
            for bias in (-1, 0, 1):
                driven = expert_episodes(world, specs, Erring(EXPERT, delta, bias))
                failing = costs.failures(costs.tracks(driven, horizon), expert).either
                worst = max(worst, float(costs.absorbing(failing)[:, -1].mean()))
            extra.append(worst)
    write_json(folder / "tolerance.json", {"deltas": list(DELTAS), "extra": extra})


def forks(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    horizon: int,
    n: int,
    seed: int,
) -> None:
    """Measures u: at disagreements before the first failure, one action, then the expert."""
    driven, truth = read(_input(inputs, "drives")), read(_input(inputs, "expert"))
    delta = chosen_delta(read_json(_input(inputs, "tolerance") / "tolerance.json"))
    network: RoadNetwork = library.load(town)
    places = _disagreements(driven, truth, horizon, delta)
    rng = np.random.default_rng(derive_seed(seed, "forks", town, learner))
    chosen = [places[i] for i in rng.permutation(len(places))[:n].tolist()]
    extra: dict[str, list[float]] = {name: [] for name in costs.COSTS}
    if chosen:
        report(0.1, f"{len(chosen)} of {len(places)} disagreements")
        extra = _fork_costs(EmbeddedWorld(network, ROWS), driven, truth, sorted(chosen), horizon)
    write_json(folder / "forks.json", {"n_disagreements": len(places), **extra})


def _fork_costs(
    world: EmbeddedWorld,
    driven: list[Episode],
    truth: list[Episode],
    places: list[tuple[int, int]],
    horizon: int,
) -> dict[str, list[float]]:
    """Cost after the learner's action minus cost after the expert's, per fork."""
    specs = [episode.spec for episode in driven]
    snapshots = snapshots_at(world, specs, [episode.control for episode in driven], places)
    first = np.array([step for _, step in places])
    ours = np.concatenate([driven[e].control[t : t + 1] for e, t in places])
    theirs = np.concatenate([labels(driven[e])[t : t + 1] for e, t in places])
    expert = costs.tracks([truth[e] for e, _ in places], horizon)
    at = [specs[e] for e, _ in places]
    totals = []
    for actions in (ours, theirs):
        episodes = fork(world, EXPERT, at, snapshots, first, actions, never_blocked())
        failing = costs.failures(costs.tracks(episodes, horizon, first), expert).either
        # Before the fork both are the same drive, without a failure.
        failing &= np.arange(1, horizon + 1) > first[:, None]
        totals.append({name: cost(failing)[:, -1] for name, cost in costs.COSTS.items()})
    return {name: (totals[0][name] - totals[1][name]).tolist() for name in costs.COSTS}


def labels(episode: Episode) -> Records:
    """Returns what the expert would do in each state an episode acted in, (T,) CONTROL."""
    control: Records = EXPERT.control(scene_of(episode))[:-1]
    return control


def steer_errors(episode: Episode) -> Floats:
    """Returns |steer - expert's steer| of a drive's own states, (T,)."""
    return np.asarray(np.abs(episode.control["steer"] - labels(episode)["steer"]))


def _disagreements(
    driven: list[Episode], truth: list[Episode], horizon: int, delta: float
) -> list[tuple[int, int]]:
    """(episode, step) wherever the learner disagrees, up to its first failure."""
    expert = costs.tracks(truth, horizon)
    failing = costs.failures(costs.tracks(driven, horizon), expert).either
    ends = costs.first_failure(failing)
    places = []
    for e, episode in enumerate(driven):
        end = min(ends[e] - 1 if ends[e] else horizon, episode.n_steps - 1)
        wrong = np.flatnonzero(steer_errors(episode) > delta)
        places += [(e, int(t)) for t in wrong if 1 <= t < end]
    return places
