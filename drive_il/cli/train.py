"""drive-il train ...: a learner, data in, a model folder out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import tyro

from drive_il import learners
from drive_il.augment import Renderer
from drive_il.cli.progress import bar
from drive_il.dataset import Dataset
from drive_il.experiments.observations import Observed, spec_of
from drive_il.fit import Progress
from drive_il.learners import alvinn, alvinn_1991, bc, chauffeurnet, cil, cilrs, pilotnet
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import CameraSpec
from drive_il.sensors.observer import SceneObserver
from drive_il.training_log import tensorboard_log

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
    with shown(out) as progress:
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
    with shown(out) as progress:
        policy = alvinn_1991.train(dataset, config, seed, renderer, progress)
    save(policy, out)


_DOC = """Trains {}.

    Killed and run again with the same arguments, it goes on after its last epoch. How it goes
    is in OUT/tensorboard: `tensorboard --logdir OUT/tensorboard`.

    Args:
        data: dataset recorded with the sensors of the observation.
        out: model folder.
        config: how.
        seed: of weights, order and augmentation.
        observation: what the policy sees: the camera, the view from above, the state vector or
            lanes and actors.
        target_point: show the next far waypoint, too.
        previous_action: show what the last step did, too (the copycat trap: docs/learners.md).
        standing: show for how long the car has stood, and whether at its stop sign, too.
    """


def _command(learner: Any, idea: str, cloning_of: Callable[[Any], Any]) -> Callable[..., None]:
    """Returns the command of a learner that only looks at demonstrations."""

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
        dataset = Dataset(data)
        spec = spec_of(observation, target_point, previous_action, standing)
        with shown(out) as progress:
            if learner is chauffeurnet:
                observer = SceneObserver(map_of(dataset), spec)
                policy = learner.train(
                    dataset, config, seed, observer, progress, checkpoint_of(out)
                )
            else:
                renderer = None
                if spec.cameras and cloning_of(config).moves:
                    renderer = _renderer(map_of(dataset), spec.cameras[0])
                policy = learner.train(
                    dataset, config, seed, renderer, progress, spec, checkpoint_of(out)
                )
        save(policy, out)

    train.__doc__ = _DOC.format(idea)
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


train_bc = _command(
    bc,
    "behaviour cloning; `--network.head.kind` chooses the loss, `--augmentation viewpoint` adds "
    "shifted and turned views",
    lambda config: config,
)
train_cil = _command(
    cil,
    "CIL (Codevilla et al. 2018): branches by command; record with `--noise`",
    lambda config: config.cloning,
)
train_cilrs = _command(
    cilrs,
    "CILRS (Codevilla et al. 2019): a ResNet, branches, a head that tells the speed",
    lambda config: config.cloning,
)
train_pilotnet = _command(
    pilotnet,
    "PilotNet (Bojarski et al. 2016): one network, no commands, shifted and turned views",
    lambda config: config.cloning,
)
train_chauffeurnet = _command(
    chauffeurnet,
    "ChauffeurNet (Bansal et al. 2018): waypoints, and perturbed poses with a smooth way back",
    lambda config: config.cloning,
)


def checkpoint_of(out: Path) -> Path:
    """Returns where a training that is interrupted goes on from: a file, or a folder."""
    return out.with_name(out.name + ".checkpoint")


def save(policy: learners.TrainedPolicy, out: Path) -> None:
    """Writes the model folder and says so."""
    learners.save(policy, out)
    kept = checkpoint_of(out)
    if kept.is_dir():
        shutil.rmtree(kept)
    else:
        kept.unlink(missing_ok=True)
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


def _renderer(network: RoadNetwork, camera: CameraSpec) -> Renderer:
    from drive_il.sensors.camera import Camera

    return Camera(network, camera).render


@contextmanager
def shown(out: Path) -> Iterator[Callable[[Progress], None]]:
    """Gives a progress function that draws a bar per stage and logs into OUT/tensorboard."""
    with bar() as bars, tensorboard_log(out / "tensorboard") as log:
        task, stage = None, ""

        def show(progress: Progress) -> None:
            nonlocal task, stage
            if task is None or progress.stage != stage:
                task, stage = bars.add_task(progress.stage, total=progress.total), progress.stage
            loss = "" if np.isnan(progress.loss) else f" loss {progress.loss:.4f}"
            if not np.isnan(progress.validation_loss):
                loss += f" validation {progress.validation_loss:.4f}"
            log(progress)
            bars.update(task, completed=progress.done, description=progress.stage + loss)

        yield show
