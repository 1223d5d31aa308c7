"""The work behind the query-efficiency experiment, one function per kind of job.

Each writes one folder from the folders of the jobs it needs, on one thread, and is a
function of its arguments alone.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from drive_il import learners
from drive_il.actors import Struck, Traffic
from drive_il.dataset import Dataset, EpisodeWriter
from drive_il.datatypes import Episode, EpisodeSpec, Ints, Outcome, Route, Scene, Start
from drive_il.evaluation.criteria import route_ended
from drive_il.experiments.jobs import Report
from drive_il.experiments.observations import OBSERVATIONS
from drive_il.experts.planner import Planner
from drive_il.fit import FitConfig
from drive_il.gates import ExpertDrives
from drive_il.learners import bc
from drive_il.maps import density, library, suites
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.routes import plan_record
from drive_il.networks import DrivingPolicy
from drive_il.randomness import derive_seed
from drive_il.rollout import drive
from drive_il.rounds import Place, RoundsConfig
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World

ROWS = 16
"""worlds driven at once"""
DEMONSTRATION_STEPS = 100
"""length of one demonstration; short drives see more places for the same labels"""
EPISODE_STEPS = 100
"""of an episode of a round"""
LOST_DISTANCE = 2.5
"""an episode of a round ends this far from the lane centre [m]"""
PATIENCE = 60.0
"""standing still for longer ends a drive; no light is red for so long [s]"""
STEER_WEIGHT = 10.0
"""of every learner's loss: steer errors are small numbers that matter"""
SHORT = 350.0
"""test drives are the routes of the test suite that are shorter [m]"""
TIME_PER_METRE, EXTRA_TIME = 0.6, 45.0  # [s/m], [s] for lights and queues
VALIDATION_STEPS = 800


def traffic(town: str, share: float) -> Traffic:
    """Returns normal traffic times a share, half as many walkers, lights and signs."""
    vehicles = density.vehicle_count(library.load(town), share)
    return Traffic(vehicles=vehicles, walkers=vehicles // 2, signals=True)


@lru_cache(maxsize=4)
def _routes(town: str, training: bool) -> tuple[Route, ...]:
    network = library.load(town)
    planner = RoutePlanner(network)
    records = suites.training_suite(network) if training else suites.test_suite(network)
    return tuple(plan_record(planner, record) for record in records)


def anywhere(town: str, n: int, steps: int, around: Traffic, seed: int) -> list[EpisodeSpec]:
    """Returns drives from anywhere on the training routes; a route counts by its length."""
    routes = _routes(town, training=True)
    lengths = np.array([route.length for route in routes])
    rng = np.random.default_rng(derive_seed(seed, "anywhere", town))
    specs = []
    for i in range(n):
        route = routes[int(rng.choice(len(routes), p=lengths / lengths.sum()))]
        start = Start(s=float(rng.uniform(0.0, 0.8 * route.length)), speed=5.0)
        specs.append(EpisodeSpec(route, derive_seed(seed, "drive", i), steps, start, around))
    return specs


def test_specs(town: str, n: int, around: Traffic, seed: int) -> list[EpisodeSpec]:
    """Returns the test drives: short test routes in turn, from their start, to their end."""
    routes = [route for route in _routes(town, training=False) if route.length < SHORT]
    specs = []
    for i in range(n):
        route = routes[i % len(routes)]
        steps = math.ceil((TIME_PER_METRE * route.length + EXTRA_TIME) / 0.05)
        specs.append(EpisodeSpec(route, derive_seed(seed, "test", town, i), steps, traffic=around))
    return specs


def demonstrations(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    labels: int,
    share: float,
    observation: str,
    seed: int,
) -> None:
    """Records the expert, at most `labels` steps."""
    network = library.load(town)
    n = math.ceil(1.5 * labels / DEMONSTRATION_STEPS) + 4
    episodes = drive(
        World(network, ROWS),
        SceneObserver(network, OBSERVATIONS[observation]),
        None,
        anywhere(town, n, DEMONSTRATION_STEPS, traffic(town, share), seed),
        expert=Planner(network=network),
        gate=ExpertDrives(),
        stop=route_ended(blocked_after=math.inf),
        label_budget=labels,
        keep_actors=False,
        listener=lambda step: report(step.n_finished / step.n_specs, ""),
    )
    for i, episode in enumerate(episodes):
        EpisodeWriter(folder / "episodes" / f"{i:04d}")(episode)


def read(folder: Path, labels: int) -> list[Episode]:
    """Reads the first demonstrations, with at most so many labels together."""
    episodes = [Dataset(place).load(0) for place in sorted((folder / "episodes").iterdir())]
    total = np.cumsum([episode.labels for episode in episodes])
    return episodes[: int((total <= labels).sum())]


def train(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    warm: int,
    rounds: dict[str, Any],
    options: dict[str, Any],
    observation: str,
    share: float,
    seed: int,
) -> None:
    """Trains an interactive learner and keeps every iterate.

    Args:
        folder: takes `iterates/ROUND` and `card.json`.
        inputs: the demonstrations.
        report: is told how it goes.
        town: where.
        learner: module of `drive_il.learners`.
        warm: labels of the demonstrations that are round one.
        rounds: of its RoundsConfig.
        options: of its Config.
        observation: what it sees.
        share: of normal traffic.
        seed: of everything random.
    """
    module = importlib.import_module(f"drive_il.learners.{learner}")
    network, around = library.load(town), traffic(town, share)
    config = module.Config(**options)
    config = replace(config, rounds=rounds_of(config.rounds, rounds))
    training = anywhere(town, 400, EPISODE_STEPS, around, derive_seed(seed, "rounds"))
    n = config.rounds.n_validation
    validation = anywhere(town, n, VALIDATION_STEPS, around, derive_seed(seed, "validation"))
    [source] = inputs.values()

    def keep(i: int, policy: DrivingPolicy) -> None:
        named = replace(policy, card={"learner": learner, "round": i})
        learners.save(named, folder / "iterates" / f"{i:02d}")

    policy = module.train(
        Place(
            World(network, ROWS),
            SceneObserver(network, OBSERVATIONS[observation]),
            Planner(network=network),
            training + validation,
        ),
        read(source, warm),
        config,
        seed,
        lambda at: report(at.share, at.stage),
        keep,
    )
    _write_json(folder / "card.json", dict(policy.card))


def rounds_of(defaults: RoundsConfig, values: dict[str, Any]) -> RoundsConfig:
    """Returns a learner's rounds with the experiment's budget, lengths and limits."""
    fields = {name: value for name, value in values.items() if name != "gradient_steps"}
    return replace(
        defaults,
        steps_per_episode=EPISODE_STEPS,
        lost_distance=LOST_DISTANCE,
        lost_time=PATIENCE,
        validation_steps=VALIDATION_STEPS,
        steer_weight=STEER_WEIGHT,
        fit=fit_config(values["gradient_steps"]),
        **fields,
    )


def fit_config(steps: int) -> FitConfig:
    """Returns the fit of every learner, one thread: jobs run beside each other."""
    return FitConfig(n_steps=steps, batch_size=128, learning_rate=2e-3, n_threads=1, device="cpu")


def clone(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    counts: Sequence[int],
    gradient_steps: Sequence[int],
    observation: str,
    seed: int,
) -> None:
    """Clones the expert from the first demonstrations, once for each count of labels."""
    [source] = inputs.values()
    account = []
    for k, (labels, steps) in enumerate(zip(counts, gradient_steps, strict=True)):
        episodes = read(source, labels)
        config = bc.Config(steer_weight=STEER_WEIGHT, fit=fit_config(steps))
        policy = bc.train(episodes, config, seed, spec=OBSERVATIONS[observation])
        learners.save(policy, folder / "iterates" / f"{k + 1:02d}")
        account.append({"labels": policy.card["labels"], "validation_score": float(k)})
        report((k + 1) / len(counts), "")
    _write_json(folder / "card.json", {"rounds": account})


def returned(card: dict[str, Any]) -> list[int]:
    """Returns, for each round, the iterate that would be returned if it were the last one."""
    scores = [entry["validation_score"] for entry in card["rounds"]]
    return [max(range(n), key=lambda k: (scores[k], k)) + 1 for n in range(1, len(scores) + 1)]


def test(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    n: int,
    share: float,
    seed: int,
) -> None:
    """Drives the test with every iterate that a learner would have returned."""
    [source] = inputs.values()
    card = json.loads((source / "card.json").read_text(encoding="utf-8"))
    network, specs = library.load(town), test_specs(town, n, traffic(town, share), seed)
    world = World(network, ROWS)
    wanted, found = sorted(set(returned(card))), {}
    for k, i in enumerate(wanted):
        policy = learners.load(source / "iterates" / f"{i:02d}")
        found[str(i)] = tested(world, SceneObserver(network, policy.spec), policy, specs)
        report((k + 1) / len(wanted), "")
    _write_json(folder / "test.json", found)


def test_expert(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    n: int,
    share: float,
    seed: int,
) -> None:
    """Drives the test with the expert."""
    network, specs = library.load(town), test_specs(town, n, traffic(town, share), seed)
    episodes = drive(
        World(network, ROWS),
        None,
        None,
        specs,
        expert=Planner(network=network),
        gate=ExpertDrives(),
        stop=first_failure,
        keep_actors=False,
    )
    _write_json(folder / "test.json", {"expert": [told(episode) for episode in episodes]})


def tested(
    world: World, observer: SceneObserver, policy: Any, specs: Sequence[EpisodeSpec]
) -> list[dict[str, Any]]:
    """Drives the test and returns what is told of each drive."""
    episodes = drive(
        world,
        observer,
        policy,
        specs,
        stop=first_failure,
        keep_observations=False,
        keep_actors=False,
    )
    return [told(episode) for episode in episodes]


def told(episode: Episode) -> dict[str, Any]:
    """Returns how a test drive ended, how far it came, and how long it took."""
    at, events = episode.progress[-1], episode.events[-1]
    ending = episode.outcome.name.lower()
    if events["red_light"] >= 0:
        ending = "red_light"
    elif events["stop_sign"] >= 0:
        ending = "stop_sign"
    return {
        "ending": ending,
        "success": ending == "completed",
        "reach": 1.0 if ending == "completed" else float(at["s_max"] / at["route_length"]),
        "seconds": episode.n_steps * episode.dt,
    }


def first_failure(scene: Scene) -> Ints:
    """Ends a test drive at its first failure: off the lane, a contact, a light or sign run."""
    progress, events = scene.progress, scene.events
    outcome = np.full(scene.n_rows, Outcome.RUNNING, np.int64)
    outcome[progress["completed"]] = Outcome.COMPLETED
    outcome[progress["standing"] > PATIENCE] = Outcome.BLOCKED
    outcome[(events["red_light"] >= 0) | (events["stop_sign"] >= 0)] = Outcome.ABORTED
    off = np.abs(progress["lateral_error"]) > 0.5 * progress["lane_width"]
    outcome[off] = Outcome.DEVIATED
    outcome[events["struck"] != Struck.NOTHING] = Outcome.COLLIDED
    return outcome


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
