"""drive-il train ...: a learner, data in, a model folder out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import tyro

from drive_il import learners
from drive_il.cli.progress import bar
from drive_il.dataset import Dataset
from drive_il.datatypes import Array, Records
from drive_il.experiments.observations import OBSERVATIONS, Observed
from drive_il.fit import Progress
from drive_il.learners import alvinn, alvinn_1991, bc
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import CameraSpec

T = TypeVar("T")
Flat = Annotated[T, tyro.conf.arg(name="")]
"""A config whose own fields carry no prefix on the command line."""


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
    with shown() as progress:
        policy = alvinn.train(Dataset(data), config, seed, progress, checkpoint_of(out))
    save(policy, out)


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
    renderer = _renderer(map_of(dataset), alvinn_1991.CAMERA) if config.views else None
    with shown() as progress:
        policy = alvinn_1991.train(dataset, config, seed, renderer, progress)
    save(policy, out)


def train_bc(
    data: Path,
    out: Path,
    config: Flat[bc.Config] = bc.Config(),
    seed: int = 0,
    observation: Observed = "camera",
) -> None:
    """Trains behaviour cloning; `--augmentation viewpoint` adds shifted and turned views.

    Killed and run again with the same arguments, it goes on after its last epoch.

    Args:
        data: dataset recorded with the sensors of the observation.
        out: model folder.
        config: how.
        seed: of weights, order and augmentation.
        observation: what the policy sees: the camera, the state vector or lanes and actors.
    """
    dataset, spec = Dataset(data), OBSERVATIONS[observation]
    renderer = None
    if config.augmentation in ("viewpoint", "both"):
        renderer = _renderer(map_of(dataset), spec.cameras[0])
    with shown() as progress:
        policy = bc.train(dataset, config, seed, renderer, progress, spec, checkpoint_of(out))
    save(policy, out)


def checkpoint_of(out: Path) -> Path:
    """Returns the file that training into this model folder goes on from."""
    return out.with_name(out.name + ".checkpoint")


def save(policy: learners.TrainedPolicy, out: Path) -> None:
    """Writes the model folder and says so."""
    learners.save(policy, out)
    checkpoint_of(out).unlink(missing_ok=True)
    print(f"{policy.card['learner']}: {policy.card['labels']} expert labels, saved in {out}")
    print(f"drive-il evaluate {out} --routes FILE.xml  drives it")


def map_of(dataset: Dataset) -> RoadNetwork:
    """Returns the one map of a dataset."""
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


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
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
