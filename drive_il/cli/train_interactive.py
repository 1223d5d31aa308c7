"""drive-il train ...: learners that drive while they learn, and ask the expert."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.cli.train import Flat, checkpoint_of, map_of, save, shown
from drive_il.dataset import Dataset
from drive_il.datatypes import Episode, EpisodeSpec, Start
from drive_il.experiments.observations import Observed, spec_of
from drive_il.experts.planner import Planner
from drive_il.learners import (
    confidence_based,
    dagger,
    dart,
    ensemble_dagger,
    hg_dagger,
    lazy_dagger,
    safe_dagger,
    stagger,
    thrifty_dagger,
)
from drive_il.maps import suites
from drive_il.maps.network import RoadNetwork
from drive_il.networks import DrivingPolicy
from drive_il.randomness import derive_seed
from drive_il.rounds import Place, RoundsConfig
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World

_ROWS = 16
PATIENCE = 60.0  # [s] of standing still that end a drive among lights
Train = Callable[..., DrivingPolicy]


_DOC = """Trains {}: {}.

    The rounds drive on the training suite of the map that the data were recorded on, in the
    traffic that they were recorded in. Killed and run again with the same arguments, it goes on
    where it was. How it goes is in OUT/tensorboard: `tensorboard --logdir OUT/tensorboard`.

    Args:
        data: demonstrations with the sensors of the observation; the first episodes, up to one
            round's share of the label budget, are round one.
        out: model folder.
        config: how.
        seed: of everything random.
        observation: what the policy sees: the camera, the view from above, the state vector or
            lanes and actors.
        target_point: show the next far waypoint, too.
        previous_action: show what the last step did, too.
        standing: show for how long the car has stood, and whether at its stop sign, too.
    """


def _command(learner: Any, name: str, idea: str) -> Callable[..., None]:
    """Returns the command of one learner; all have the same arguments, but for its Config."""

    def train(
        data: Path,
        out: Path,
        config: Any,
        seed: int,
        observation: Observed,
        target_point: bool,
        previous_action: bool,
        standing: bool,
    ) -> None:
        spec = spec_of(observation, target_point, previous_action, standing)
        _train(learner.train, config, (data, out), seed, spec)

    train.__doc__ = _DOC.format(name, idea)
    train.__defaults__ = (learner.Config(), 0, "camera", False, False, False)
    train.__annotations__ = {
        "data": Path,
        "out": Path,
        "config": Flat[learner.Config],  # type: ignore[misc]
        "seed": int,
        "observation": Observed,
        "target_point": bool,
        "previous_action": bool,
        "standing": bool,
        "return": None,
    }
    return train


train_dagger = _command(
    dagger,
    "DAgger (Ross, Gordon, Bagnell 2011)",
    "the expert labels every state that the learner visits",
)
train_safe_dagger = _command(
    safe_dagger,
    "SafeDAgger (Zhang, Cho 2017)",
    "a safety net says where the expert drives; `--oracle`: the truth does",
)
train_hg_dagger = _command(
    hg_dagger,
    "HG-DAgger (Kelly et al. 2019)",
    "a scripted person takes the wheel and lets go",
)
train_ensemble_dagger = _command(
    ensemble_dagger,
    "EnsembleDAgger (Menda et al. 2019)",
    "the expert drives where the ensemble is wrong or unsure",
)
train_lazy_dagger = _command(
    lazy_dagger,
    "LazyDAgger (Hoque et al. 2021)",
    "a safety net calls the expert, agreement sends him away",
)
train_thrifty_dagger = _command(
    thrifty_dagger,
    "ThriftyDAgger (Hoque et al. 2021)",
    "novelty and risk call the expert at a given rate",
)
train_confidence_based = _command(
    confidence_based,
    "confidence-based autonomy (Chernova, Veloso 2009)",
    "the expert drives where the policy is unsure",
)
train_dart = _command(
    dart,
    "DART (Laskey et al. 2017)",
    "the expert drives with noise of the shape of the learner's errors",
)
train_stagger = _command(
    stagger,
    "Warm-Stagger (Li, Zhang 2024)",
    "one state of each rollout is labelled",
)


def _train(
    train: Train, config: Any, paths: tuple[Path, Path], seed: int, spec: ObservationSpec
) -> None:
    data, out = paths
    dataset = Dataset(data)
    network, traffic = map_of(dataset), dataset.load(0).spec.traffic
    if traffic.signals and config.rounds.lost_time < PATIENCE:
        config = replace(config, rounds=replace(config.rounds, lost_time=PATIENCE))
    rounds: RoundsConfig = config.rounds
    n, steps = rounds.n_validation, rounds.validation_steps
    specs = [replace(spec, traffic=traffic) for spec in anywhere(network, n, steps, seed)]
    place = Place(
        World(network, _ROWS),
        SceneObserver(network, spec),
        Planner(network=network),
        specs,
        checkpoint_of(out),
    )
    chosen = _within(dataset, rounds.label_budget // rounds.n_rounds)
    with shown(out) as progress:
        policy = train(place, chosen, config, seed, progress)
    save(policy, out)


def _within(dataset: Dataset, budget: int) -> Iterator[Episode]:
    """The first episodes whose labels together stay within a budget."""
    for episode in dataset.episodes():
        budget -= episode.labels
        if budget < 0:
            return
        yield episode


def anywhere(
    network: RoadNetwork, n_validation: int, max_steps: int, seed: int
) -> list[EpisodeSpec]:
    """Returns drives from anywhere on the training suite; the last ones only validate."""
    routes = suites.planned(network, suites.training_suite(network))
    rng = np.random.default_rng(derive_seed(seed, "dagger-specs"))
    specs = []
    for i in range(8 * len(routes) + n_validation):
        route = routes[i % len(routes)]
        start = Start(s=float(rng.uniform(0.0, 0.7 * route.length)), speed=5.0)
        drive_seed = derive_seed(seed, "dagger-drive", i)
        specs.append(EpisodeSpec(route, drive_seed, max_steps, start))
    return specs
