"""drive-il train ...: a learner, data in, a model folder out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import tyro

from drive_il import learners
from drive_il.cli.progress import bar
from drive_il.dataset import Dataset
from drive_il.datatypes import Array, Episode, EpisodeSpec, Records, Start
from drive_il.experts.planner import Planner
from drive_il.fit import Progress
from drive_il.learners import alvinn, alvinn_1991, bc, dagger
from drive_il.maps import library, suites
from drive_il.maps.network import RoadNetwork
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.routes import plan_record
from drive_il.randomness import derive_seed
from drive_il.sensor_specs import CameraSpec, ObservationSpec
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World

T = TypeVar("T")
Flat = Annotated[T, tyro.conf.arg(name="")]
"""A config whose own fields carry no prefix on the command line."""
_ROWS = 16


def train_alvinn(
    data: Path, out: Path, config: Flat[alvinn.Config] = alvinn.Config(), seed: int = 0
) -> None:
    """Trains ALVINN (Pomerleau 1989): retina and range finder in, steering out.

    Killed and run again with the same arguments, it goes on after its last epoch.

    Args:
        data: dataset recorded with `--sensors alvinn` or `both`.
        out: model folder.
        config: how.
        seed: of weights and order.
    """
    with _shown() as progress:
        policy = alvinn.train(Dataset(data), config, seed, progress, _checkpoint(out))
    _save(policy, out)


def train_alvinn_1991(
    data: Path, out: Path, config: Flat[alvinn_1991.Config] = alvinn_1991.Config(), seed: int = 0
) -> None:
    """Trains ALVINN on the fly (Pomerleau 1991): shifted views and a buffer, 1,200 snapshots.

    Args:
        data: dataset recorded with `--sensors alvinn` or `both`.
        out: model folder.
        config: how.
        seed: of weights, views and order.
    """
    dataset = Dataset(data)
    renderer = _renderer(_map_of(dataset), alvinn_1991.CAMERA) if config.views else None
    with _shown() as progress:
        policy = alvinn_1991.train(dataset, config, seed, renderer, progress)
    _save(policy, out)


def train_bc(data: Path, out: Path, config: Flat[bc.Config] = bc.Config(), seed: int = 0) -> None:
    """Trains behaviour cloning; `--augmentation viewpoint` adds shifted and turned views.

    Killed and run again with the same arguments, it goes on after its last epoch.

    Args:
        data: dataset recorded with `--sensors camera` or `both`.
        out: model folder.
        config: how.
        seed: of weights, order and augmentation.
    """
    dataset, spec = Dataset(data), ObservationSpec()
    renderer = None
    if config.augmentation in ("viewpoint", "both"):
        renderer = _renderer(_map_of(dataset), spec.cameras[0])
    with _shown() as progress:
        policy = bc.train(dataset, config, seed, renderer, progress, spec, _checkpoint(out))
    _save(policy, out)


def train_dagger(
    data: Path, out: Path, config: Flat[dagger.Config] = dagger.Config(), seed: int = 0
) -> None:
    """Trains DAgger: after the demonstrations, the learner drives and the expert labels.

    The rounds drive on the training suite of the map that the data were recorded on.

    Args:
        data: demonstrations, recorded with `--sensors camera` or `both`; its first episodes,
            up to one round's share of the label budget, are round one.
        out: model folder.
        config: how.
        seed: of everything random.
    """
    dataset = Dataset(data)
    network = _map_of(dataset)
    specs = _specs(network, config, seed)
    world = World(network, _ROWS)
    observer = SceneObserver(network, ObservationSpec())
    chosen = _within(dataset, config.label_budget // config.n_rounds)
    with _shown() as progress:
        policy = dagger.train(
            world,
            observer,
            Planner(network=network),
            specs,
            chosen,
            config,
            seed,
            progress=progress,
        )
    _save(policy, out)


def _checkpoint(out: Path) -> Path:
    return out.with_name(out.name + ".checkpoint")


def _save(policy: learners.TrainedPolicy, out: Path) -> None:
    learners.save(policy, out)
    _checkpoint(out).unlink(missing_ok=True)
    print(f"{policy.card['learner']}: {policy.card['labels']} expert labels, saved in {out}")
    print(f"drive-il evaluate {out} --routes FILE.xml  drives it")


def _map_of(dataset: Dataset) -> RoadNetwork:
    towns = list(dataset.info()["towns"])
    if len(towns) != 1:
        raise ValueError(
            f"{dataset.folder} holds drives in {', '.join(towns)}; this learner drives or draws "
            "on the map of its data: give a dataset of one map"
        )
    return library.load(towns[0])


def _renderer(network: RoadNetwork, camera: CameraSpec) -> Callable[[Records, Records], Array]:
    from drive_il.sensors.camera import Camera

    return Camera(network, camera).render


def _within(dataset: Dataset, budget: int) -> Iterator[Episode]:
    """The first episodes whose labels together stay within a budget."""
    for episode in dataset.episodes():
        budget -= episode.labels
        if budget < 0:
            return
        yield episode


def _specs(network: RoadNetwork, config: dagger.Config, seed: int) -> list[EpisodeSpec]:
    """Validation drives on every route's beginning; training drives from anywhere."""
    planner = RoutePlanner(network)
    routes = [plan_record(planner, record) for record in suites.training_suite(network)]
    rng = np.random.default_rng(derive_seed(seed, "dagger-specs"))
    specs = []
    for i in range(8 * len(routes) + config.n_validation):
        route = routes[i % len(routes)]
        start = Start(s=float(rng.uniform(0.0, 0.7 * route.length)), speed=5.0)
        specs.append(EpisodeSpec(route, derive_seed(seed, "dagger-drive", i), start=start))
    return [replace(spec, max_steps=config.steps_per_episode) for spec in specs]


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    """Gives a progress function that draws a bar per stage."""
    with bar() as bars:
        task, stage = None, ""

        def show(progress: Progress) -> None:
            nonlocal task, stage
            if task is None or progress.stage != stage:
                task, stage = bars.add_task(progress.stage, total=progress.total), progress.stage
            loss = "" if np.isnan(progress.loss) else f" loss {progress.loss:.4f}"
            if not np.isnan(progress.validation_loss):
                loss += f" validation {progress.validation_loss:.4f}"
            bars.update(task, completed=progress.done, description=progress.stage + loss)

        yield show
