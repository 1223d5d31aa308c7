"""Behaviour cloning, with command branches (Codevilla et al. 2018).

    D     <- {(o, pi*(o))} on the states the expert visits
    theta <- argmin  sum_D  w |steer_theta(o) - steer*| + |acceleration_theta(o) - acceleration*|

pi_theta sees what the spec shows (a picture, the state vector, the scene as vectors), the
speed and the command; the branch of the command in force
gives the outputs, the other branches get no gradient. With viewpoint augmentation D also
holds what the expert never saw: the same places from shifted and turned poses, labelled
by pure pursuit at no cost in expert queries (see `augment`).

Departures: throttle and brake are one output, acceleration = throttle - brake, because an
expert never presses both; no noise is injected while recording. Labels that count:
every frame of the demonstrations, held-out ones too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from drive_il import augment
from drive_il.dataset import Dataset
from drive_il.datatypes import Array, Episode
from drive_il.fit import (
    ArrayBatches,
    Batch,
    Batches,
    FitConfig,
    ProgressFunction,
    fit,
    labelled_frames,
    split,
)
from drive_il.networks import (
    DrivingPolicy,
    NetworkConfig,
    driving_camera,
    driving_frames,
    driving_inputs,
    driving_loss,
    driving_network,
)
from drive_il.randomness import derive_seed
from drive_il.sensor_specs import ObservationSpec

Prepare = Callable[[Batch, int, Array], Batch]
"""(recorded frames, epoch, frame indices) -> network inputs and targets"""


@dataclass(frozen=True)
class Config:
    """Behaviour cloning."""

    augmentation: str = "none"
    """none, photometric, viewpoint or both"""
    steer_weight: float = 5.0
    """weight w of the steer error against the acceleration error"""
    validation_fraction: float = 0.1
    """share of the episodes held out to choose the best epoch"""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """the camera network"""
    fit: FitConfig = field(default_factory=lambda: FitConfig(n_steps=5000))
    """optimiser and length"""
    photometric: augment.PhotometricConfig = field(default_factory=augment.PhotometricConfig)
    """other light"""
    viewpoint: augment.ViewpointConfig = field(default_factory=augment.ViewpointConfig)
    """other poses"""

    def __post_init__(self) -> None:
        allowed = ("none", "photometric", "viewpoint", "both")
        if self.augmentation not in allowed:
            raise ValueError(
                f"augmentation must be one of {', '.join(allowed)}, got {self.augmentation!r}"
            )
        if not self.steer_weight > 0:
            raise ValueError(f"steer_weight must be positive, got {self.steer_weight}")


def train(
    data: Sequence[Episode] | Dataset,
    config: Config,
    seed: int,
    renderer: augment.Renderer | None = None,
    progress: ProgressFunction | None = None,
    spec: ObservationSpec | None = None,
    checkpoint: Path | None = None,
) -> DrivingPolicy:
    """Clones the expert.

    Args:
        data: demonstrations, in memory or on disk; every step with an expert label is
            learnt from. A set on disk need not fit in memory.
        config: how.
        seed: of weights, order and augmentation.
        renderer: the camera that took the pictures; only viewpoint augmentation needs it.
        progress: called after every epoch.
        spec: the sensors of the data; the default observation when not given.
        checkpoint: file that an interrupted run goes on from; removed at the end.

    Returns:
        The policy with the weights of least validation loss.

    Raises:
        ValueError: viewpoint augmentation without a renderer, or unusable data.
    """
    if config.augmentation in ("viewpoint", "both") and renderer is None:
        raise ValueError(
            f"augmentation {config.augmentation!r} renders new pictures: pass renderer, the "
            "camera on the map that the data were recorded on"
        )
    shown = spec or ObservationSpec()

    def plain(batch: Batch, epoch: int, index: Array) -> Batch:
        return driving_frames(batch, shown)

    prepare: Prepare = plain
    if config.augmentation != "none":
        driving_camera(shown)  # refuses a spec without pictures
        prepare = _augmentation(config, shown, seed, renderer)
    kept, held = split(len(data), config.validation_fraction, seed)
    network = driving_network(config.network, shown, derive_seed(seed, "network"))
    history = fit(
        network,
        _batches(data, kept, shown, config, seed, prepare),
        driving_loss(config.steer_weight),
        config.fit,
        seed=seed,
        validation=_batches(data, held, shown, config, None, plain) if held else None,
        checkpoint=checkpoint,
        progress=progress,
    )
    card = {
        "learner": "bc",
        "labels": _labels(data),
        "seed": seed,
        "config": asdict(config),
        "losses": history.losses,
        "validation_losses": history.validation_losses,
        "best_epoch": history.best_epoch,
    }
    return DrivingPolicy(network, config.network, shown, card)


def _labels(data: Sequence[Episode] | Dataset) -> int:
    if isinstance(data, Dataset):
        return int(data.info()["labels"])
    return sum(episode.labels for episode in data)


def _batches(
    data: Sequence[Episode] | Dataset,
    episodes: list[int],
    spec: ObservationSpec,
    config: Config,
    shuffle_seed: int | None,
    prepare: Prepare,
) -> Batches:
    """Returns batches of some episodes, in order where there is no seed to shuffle by."""
    size, seed, shuffled = config.fit.batch_size, shuffle_seed or 0, shuffle_seed is not None
    if isinstance(data, Dataset):
        return data.batches(
            tuple(
                driving_camera(spec).name if name == "rgb" else name
                for name in driving_inputs(spec)
            ),
            batch_size=size,
            seed=seed,
            shuffled=shuffled,
            episodes=episodes,
            transform=prepare,
            states=config.augmentation != "none",
        )
    frames = labelled_frames([data[i] for i in episodes])
    driving_frames(frames, spec)  # refuses other sensors before the first batch
    return ArrayBatches(frames, size, seed, shuffled, prepare)


def _augmentation(
    config: Config, spec: ObservationSpec, seed: int, renderer: augment.Renderer | None
) -> Prepare:
    """Returns what makes augmented network inputs and targets of recorded frames."""
    relights = config.augmentation in ("photometric", "both")
    moves = config.augmentation in ("viewpoint", "both")

    def prepare(batch: Batch, epoch: int, index: Array) -> Batch:
        draw = augment.Draw(seed, epoch, index)
        view = driving_frames(batch, spec)
        rgb, target = view["rgb"], view["target"]
        if moves and renderer is not None:
            rgb, steer = augment.viewpoint(
                rgb,
                batch["ego"],
                batch["weather"],
                target[:, 0],
                renderer,
                config.viewpoint,
                draw,
            )
            target = np.stack((steer, target[:, 1]), 1)
        if relights:
            rgb = augment.photometric(rgb, config.photometric, draw)
        return view | {"rgb": rgb, "target": target}

    return prepare
