"""The work behind the comparison of few demonstrations, one function per kind of job."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drive_il import learners
from drive_il.actors import Traffic
from drive_il.adversarial import AdversarialConfig
from drive_il.datatypes import Episode
from drive_il.experiments import practice
from drive_il.experiments.drives import listener, read, write
from drive_il.experiments.jobs import Report
from drive_il.experiments.query_efficiency_jobs import first_failure, tested, told
from drive_il.experts.planner import Planner
from drive_il.fit import Progress
from drive_il.folders import write_whole
from drive_il.gates import ExpertDrives
from drive_il.learners import airl, bc, dagger, gail
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.networks import DrivingPolicy, NetworkConfig
from drive_il.randomness import derive_seed
from drive_il.rollout import drive
from drive_il.rounds import Place, RoundsConfig
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.models import MODELS
from drive_il.sim.world import World
from drive_il.thinning import first_labels, thinned

SPEC = ObservationSpec(cameras=(), state=True)
"""the state vector without neighbours: the roads are empty"""
EMPTY = Traffic()
STEPS = 200
"""length of a demonstration, and of an episode of the policies that practise"""
NETWORK: NetworkConfig = AdversarialConfig().network
"""the same for every learner"""
DAGGER_ROUNDS = 4
N_VALIDATION = 16


def demonstrations(
    folder: Path, inputs: dict[str, Path], report: Report, town: str, n: int, seed: int
) -> None:
    """Records n demonstrations; the first ones are those of the smaller sets."""
    network = library.load(town)
    episodes = drive(
        World(network, practice.ROWS),
        SceneObserver(network, SPEC),
        None,
        practice.anywhere(town, n, STEPS, EMPTY, derive_seed(seed, "demonstrations")),
        expert=Planner(network=network),
        gate=ExpertDrives(),
        listener=listener(report),
    )
    write(folder, episodes)


def train(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    n: int,
    every: int,
    iterations: int,
    gradient_steps: int,
    seed: int,
) -> None:
    """Trains one learner on the first n demonstrations.

    Args:
        folder: takes `model`.
        inputs: the demonstrations.
        report: is told how it goes.
        town: where it practises.
        learner: bc, dagger, gail or airl.
        n: demonstrations.
        every: of their steps one in so many is labelled.
        iterations: of GAIL and AIRL.
        gradient_steps: of behaviour cloning, which both begin with.
        seed: of everything random.
    """
    [source] = inputs.values()
    data = thinned(read(source)[:n], every)

    def progress(at: Progress) -> None:
        report(at.share, at.stage)

    if learner == "bc":
        config = bc.Config(
            steer_weight=practice.STEER_WEIGHT,
            validation_fraction=0.0,
            network=NETWORK,
            fit=practice.fit_config(gradient_steps),
        )
        policy = bc.train(data, config, seed, progress=progress, spec=SPEC)
    elif learner == "dagger":
        policy = _dagger(town, data, every, gradient_steps, seed, progress)
    elif learner == "gail":
        at, game = place(library.load(town), seed, 1.0), _game(iterations, gradient_steps)
        policy = gail.train(at, data, gail.Config(game=game), seed, progress)
    else:
        at, game = place(library.load(town), seed, 1.0), _game(iterations, gradient_steps)
        policy, reward = airl.learn(at, data, airl.Config(game), seed, progress)
        airl.save_reward(reward, folder / "model")
    learners.save(policy, folder / "model")


def _game(iterations: int, warm_steps: int = 0) -> AdversarialConfig:
    return AdversarialConfig(
        n_iterations=iterations,
        horizon=STEPS,
        warm_steps=warm_steps,
        warm_steer_weight=practice.STEER_WEIGHT,
        n_validation=N_VALIDATION,
        network=NETWORK,
    )


def place(network: RoadNetwork, seed: int, car: float, n_rows: int = 0) -> Place:
    """Returns where policies practise.

    Args:
        network: the map.
        seed: of the starts.
        car: see `other_car`.
        n_rows: of the world; as many as PPO drives when 0.
    """
    game = AdversarialConfig()
    world, steps = other_car(network, n_rows or game.ppo.n_rows, car), game.validation_steps
    return practice.place(world, SPEC, EMPTY, N_VALIDATION, "practice", seed, STEPS, steps)


def other_car(network: RoadNetwork, n_rows: int, car: float) -> World:
    """Returns a world whose egos are so far from the default car (1) to a truck (2).

    A truck's rear axle is 1.7 times as far behind, so that the same steer turns it less, and
    its drive and brakes have half the power.
    """
    world = World(network, n_rows)
    truck = MODELS[2]
    for name in ("rear_wheelbase", "power"):
        ego = world.scene.ego[name]
        ego[:] = ego + (car - 1.0) * (truck[name] - ego)
    return world


def _dagger(
    town: str,
    data: Sequence[Episode],
    every: int,
    gradient_steps: int,
    seed: int,
    progress: Callable[[Progress], None],
) -> DrivingPolicy:
    """DAgger with as many labels as all the demonstrations: a quarter of them, then its own."""
    labels = sum(episode.labels for episode in data)
    rounds = RoundsConfig(
        n_rounds=DAGGER_ROUNDS,
        label_budget=labels,
        every=every,
        steps_per_episode=STEPS,
        lost_distance=practice.LOST_DISTANCE,
        n_validation=N_VALIDATION,
        validation_steps=AdversarialConfig().validation_steps,
        steer_weight=practice.STEER_WEIGHT,
        network=NETWORK,
        fit=practice.fit_config(max(1, gradient_steps // 2)),
    )
    at = place(library.load(town), seed, 1.0, practice.ROWS)
    first = first_labels(data, math.ceil(labels / DAGGER_ROUNDS))
    return dagger.train(at, first, dagger.Config(rounds=rounds), seed, progress)


def retrain(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    car: float,
    iterations: int,
    seed: int,
) -> None:
    """Teaches another car by the reward that AIRL has recovered, from AIRL's own policy on."""
    [source] = inputs.values()
    begin = learners.load(source / "model")
    assert isinstance(begin, DrivingPolicy), "AIRL returns a driving policy"
    policy = airl.retrain(
        place(library.load(town), seed, car),
        airl.load_reward(source / "model"),
        airl.Config(_game(iterations)),
        seed,
        begin,
        lambda at: report(at.share, at.stage),
    )
    learners.save(policy, folder / "model")


def test(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    towns: Sequence[str],
    car: float,
    n: int,
    seed: int,
) -> None:
    """Drives the test routes of each town with a model, or with the expert without one."""
    found = {}
    for k, town in enumerate(towns):
        network = library.load(town)
        specs = practice.test_specs(town, n, EMPTY, seed)
        world = other_car(network, practice.ROWS, car)
        if inputs:
            [source] = inputs.values()
            policy = learners.load(source / "model")
            found[town] = tested(world, SceneObserver(network, SPEC), policy, specs)
        else:
            found[town] = _expert(world, network, specs)
        report((k + 1) / len(towns), town)
    write_whole(folder / "test.json", json.dumps(found).encode())


def _expert(world: World, network: RoadNetwork, specs: Sequence[Any]) -> list[dict[str, Any]]:
    driven = drive(
        world,
        None,
        None,
        specs,
        expert=Planner(network=network),
        gate=ExpertDrives(),
        stop=first_failure,
        keep_actors=False,
    )
    return [told(episode) for episode in driven]
