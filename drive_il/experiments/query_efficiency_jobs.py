"""The work behind the query-efficiency experiment, one function per kind of job.

Each writes one folder from the folders of the jobs it needs, on one thread, and is a
function of its arguments alone.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from drive_il import learners
from drive_il.actors import Struck
from drive_il.datatypes import Episode, EpisodeSpec, Ints, Outcome, Scene
from drive_il.evaluation.criteria import route_ended
from drive_il.experiments.drives import read, read_json, within, write, write_json
from drive_il.experiments.jobs import Report
from drive_il.experiments.observations import OBSERVATIONS
from drive_il.experiments.practice import (
    PATIENCE,
    ROWS,
    STEER_WEIGHT,
    anywhere,
    fit_config,
    place,
    rounds_of,
    test_specs,
    traffic,
)
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.learners import bc
from drive_il.maps import library
from drive_il.networks import DrivingPolicy, NetworkConfig
from drive_il.rollout import drive
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World

DEMONSTRATION_STEPS = 100
"""length of one demonstration; short drives see more places for the same labels"""


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
    write(folder, episodes)


def train(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    warm: int,
    rounds: dict[str, Any],
    options: dict[str, Any],
    set_off: float,
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
        set_off: throttle at least of who stands and says to go.
        observation: what it sees.
        share: of normal traffic.
        seed: of everything random.
    """
    module = importlib.import_module(f"drive_il.learners.{learner}")
    config = module.Config(**options)
    config = replace(config, rounds=rounds_of(config.rounds, rounds, set_off))
    world, n = World(library.load(town), ROWS), config.rounds.n_validation
    [source] = inputs.values()

    def keep(i: int, policy: DrivingPolicy) -> None:
        named = replace(policy, card={"learner": learner, "round": i})
        learners.save(named, folder / "iterates" / f"{i:02d}")

    policy = module.train(
        place(world, OBSERVATIONS[observation], traffic(town, share), n, "rounds", seed),
        within(read(source), warm),
        config,
        seed,
        lambda at: report(at.share, at.stage),
        keep,
    )
    write_json(folder / "card.json", dict(policy.card))


def clone(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    counts: Sequence[int],
    gradient_steps: Sequence[int],
    set_off: float,
    observation: str,
    seed: int,
) -> None:
    """Clones the expert from the first demonstrations, once for each count of labels."""
    [source] = inputs.values()
    everything, account = read(source), []
    network = NetworkConfig(set_off=set_off)
    for k, (labels, steps) in enumerate(zip(counts, gradient_steps, strict=True)):
        episodes = within(everything, labels)
        fit = fit_config(steps)
        config = bc.Config(steer_weight=STEER_WEIGHT, network=network, fit=fit)
        policy = bc.train(episodes, config, seed, spec=OBSERVATIONS[observation])
        learners.save(policy, folder / "iterates" / f"{k + 1:02d}")
        account.append({"labels": policy.card["labels"], "validation_score": float(k)})
        report((k + 1) / len(counts), "")
    write_json(folder / "card.json", {"rounds": account})


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
    card = read_json(source / "card.json")
    network, specs = library.load(town), test_specs(town, n, traffic(town, share), seed)
    world = World(network, ROWS)
    wanted, found = sorted(set(returned(card))), {}
    for k, i in enumerate(wanted):
        policy = learners.load(source / "iterates" / f"{i:02d}")
        found[str(i)] = tested(world, SceneObserver(network, policy.spec), policy, specs)
        report((k + 1) / len(wanted), "")
    write_json(folder / "test.json", found)


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
    write_json(folder / "test.json", {"expert": [told(episode) for episode in episodes]})


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
