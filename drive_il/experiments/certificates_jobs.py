"""The policies that certificates are made of: small, on the state vector, alone on the road."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from drive_il import learners
from drive_il.actors import Traffic
from drive_il.adversarial import AdversarialConfig
from drive_il.datatypes import Episode
from drive_il.experiments.drives import listener, never_blocked, read, within, write
from drive_il.experiments.jobs import Report
from drive_il.experiments.observations import OBSERVATIONS
from drive_il.experiments.practice import ROWS, STEER_WEIGHT, anywhere, fit_config, place
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.heads import HeadConfig
from drive_il.learners import bc, gail
from drive_il.maps import library
from drive_il.networks import DrivingPolicy, NetworkConfig
from drive_il.rollout import drive
from drive_il.rounds import Place
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World

SPEC = OBSERVATIONS["state"]
DEMONSTRATION_STEPS = 200
EPISODE_STEPS = 200
VALIDATION_STEPS = 400
VALIDATION_DRIVES = 8


def demonstrations(
    folder: Path, inputs: dict[str, Path], report: Report, town: str, labels: int, seed: int
) -> None:
    """Records the expert alone on the road, at most `labels` steps."""
    network = library.load(town)
    n = math.ceil(1.5 * labels / DEMONSTRATION_STEPS) + 4
    episodes = drive(
        World(network, ROWS),
        SceneObserver(network, SPEC),
        None,
        anywhere(town, n, DEMONSTRATION_STEPS, Traffic(), seed),
        expert=Planner(network=network),
        gate=ExpertDrives(),
        stop=never_blocked(),
        label_budget=labels,
        keep_actors=False,
        listener=listener(report),
    )
    write(folder, episodes)


def train(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    labels: int,
    gradient_steps: int,
    seed: int,
    rounds: int = 1,
    iterations: int = 1,
) -> None:
    """Trains one learner on at most `labels` expert labels, and saves its model folder.

    Args:
        folder: takes `model`.
        inputs: the demonstrations.
        report: is told how it goes.
        town: where.
        learner: bc, bc_log_loss, gail, or a module of `drive_il.learners` with rounds.
        labels: in all; interactive learners begin with one round's share of them.
        gradient_steps: of cloning and of interactive learners in all; of GAIL's beginning.
        seed: of everything random.
        rounds: of the interactive learners.
        iterations: of GAIL's practice.
    """
    [source] = inputs.values()
    if learner in ("bc", "bc_log_loss"):
        head = HeadConfig("log_loss" if learner == "bc_log_loss" else "l1")
        network = NetworkConfig(head=head)
        config = bc.Config(
            steer_weight=STEER_WEIGHT, network=network, fit=fit_config(gradient_steps)
        )
        policy = bc.train(within(read(source), labels), config, seed, spec=SPEC)
    elif learner == "gail":
        data = within(read(source), labels)
        policy = _practised(town, data, iterations, gradient_steps, seed, report)
    else:
        first = within(read(source), labels // rounds)
        options = {"n_rounds": rounds, "label_budget": labels}
        policy = _interactive(town, learner, first, options, gradient_steps // rounds, seed, report)
    learners.save(policy, folder / "model")


def _practised(
    town: str,
    data: list[Episode],
    iterations: int,
    gradient_steps: int,
    seed: int,
    report: Report,
) -> DrivingPolicy:
    """GAIL: begins as cloning does, then practises where the interactive learners drive."""
    game = AdversarialConfig(
        n_iterations=iterations,
        horizon=EPISODE_STEPS,
        warm_steps=gradient_steps,
        warm_steer_weight=STEER_WEIGHT,
        n_validation=VALIDATION_DRIVES,
        validation_steps=VALIDATION_STEPS,
    )
    config = gail.Config(game=game)
    here = _place(town, game.ppo.n_rows, seed)
    return gail.train(here, data, config, seed, lambda at: report(at.share, at.stage))


def _interactive(
    town: str,
    learner: str,
    first: list[Episode],
    options: dict[str, Any],
    gradient_steps: int,
    seed: int,
    report: Report,
) -> Any:
    module = importlib.import_module(f"drive_il.learners.{learner}")
    config = module.Config()
    rounds = replace(
        config.rounds,
        steps_per_episode=EPISODE_STEPS,
        validation_steps=VALIDATION_STEPS,
        n_validation=VALIDATION_DRIVES,
        steer_weight=STEER_WEIGHT,
        fit=fit_config(gradient_steps),
        **options,
    )
    return module.train(
        _place(town, ROWS, seed),
        first,
        replace(config, rounds=rounds),
        seed,
        lambda at: report(at.share, at.stage),
    )


def _place(town: str, n_rows: int, seed: int) -> Place:
    world, steps = World(library.load(town), n_rows), (EPISODE_STEPS, VALIDATION_STEPS)
    return place(world, SPEC, Traffic(), VALIDATION_DRIVES, "rounds", seed, *steps)
