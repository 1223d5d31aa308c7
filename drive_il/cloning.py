"""Cloning: what the learners that only look at demonstrations share.

A paper's file says what is its own (network, head, augmentation, which demonstrations) and
calls `clone`; here are the batches, the augmentation of pictures, the fit and the card.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from drive_il import augment, waypoints
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
from drive_il.network_inputs import driving_camera, driving_frames, driving_inputs
from drive_il.networks import DrivingPolicy, NetworkConfig, driving_loss, driving_network
from drive_il.randomness import derive_seed
from drive_il.sensor_specs import ObservationSpec
from drive_il.surroundings import actors_of

_MOVED = {"rgb", "target_point"}
_SAME_ELSEWHERE = {"speed", "command", "previous_action", "standing"}
Prepare = Callable[[Batch, int, Array], Batch]
"""(recorded frames, epoch, frame indices) -> network inputs and targets"""


@dataclass(frozen=True)
class CloningConfig:
    """How demonstrations are cloned."""

    augmentation: str = "none"
    """none, photometric, viewpoint or both"""
    steer_weight: float = 5.0
    """weight w of the steer error against the acceleration error"""
    validation_fraction: float = 0.1
    """share of the episodes held out to choose the best epoch"""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """the driving network and its head"""
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

    @property
    def moves(self) -> bool:
        """Whether views are drawn from other poses."""
        return self.augmentation in ("viewpoint", "both")


def clone(
    learner: str,
    data: Sequence[Episode] | Dataset,
    config: CloningConfig,
    seed: int,
    *,
    renderer: augment.Renderer | None = None,
    progress: ProgressFunction | None = None,
    spec: ObservationSpec | None = None,
    checkpoint: Path | None = None,
    more: Batch | None = None,
    card: Any = None,
) -> DrivingPolicy:
    """Clones the expert.

    Args:
        learner: name on the card.
        data: demonstrations, in memory or on disk; every step with an expert label is
            learnt from. A set on disk need not fit in memory.
        config: how.
        seed: of weights, order and augmentation.
        renderer: the camera that took the pictures; only viewpoint augmentation needs it.
        progress: called after every epoch.
        spec: the sensors of the data; the default observation when not given.
        checkpoint: file that an interrupted run goes on from; removed at the end.
        more: frames made from the demonstrations of `training_part`, learnt from beside them;
            with `weight` (N, 1), how much each counts; data are then held in memory.
        card: the paper's own config for the card; the cloning config when not given.

    Returns:
        The policy with the weights of least validation loss.

    Raises:
        ValueError: viewpoint augmentation without a renderer or of what is seen by more than a
            camera, or unusable data.
    """
    shown = spec or ObservationSpec()
    if config.moves:
        _check_movable(config, shown, renderer)

    def plain(batch: Batch, epoch: int, index: Array) -> Batch:
        return _frames(batch, shown)

    prepare: Prepare = plain
    if config.augmentation != "none":
        driving_camera(shown)  # refuses a spec without pictures
        prepare = _augmentation(config, shown, seed, renderer)
    kept, held = split(len(data), config.validation_fraction, seed)
    network = driving_network(config.network, shown, derive_seed(seed, "network"))
    history = fit(
        network,
        _batches(data, kept, shown, config, seed, prepare, more),
        driving_loss(config.steer_weight),
        config.fit,
        seed=seed,
        validation=_batches(data, held, shown, config, None, plain) if held else None,
        checkpoint=checkpoint,
        progress=progress,
    )
    facts = {
        "learner": learner,
        "labels": _labels(data),
        "data": _told(data),
        "seed": seed,
        "config": asdict(card or config),
        "losses": history.losses,
        "validation_losses": history.validation_losses,
        "best_epoch": history.best_epoch,
    }
    return DrivingPolicy(network, config.network, shown, facts)


def for_what_is_seen(config: CloningConfig, spec: ObservationSpec | None) -> CloningConfig:
    """Returns the config without the augmentation of pictures where no camera is seen."""
    if spec is None or spec.cameras:
        return config
    return replace(config, augmentation="none")


def training_part(
    data: Sequence[Episode] | Dataset, config: CloningConfig, seed: int
) -> list[Episode]:
    """Returns the episodes that `clone` does not hold out, in memory."""
    kept, _ = split(len(data), config.validation_fraction, seed)
    load = data.load if isinstance(data, Dataset) else data.__getitem__
    return [load(i) for i in kept]


def _check_movable(
    config: CloningConfig, spec: ObservationSpec, renderer: augment.Renderer | None
) -> None:
    if renderer is None:
        raise ValueError(
            f"augmentation {config.augmentation!r} renders new pictures: pass renderer, the "
            "camera on the map that the data were recorded on"
        )
    fixed = sorted(set(driving_inputs(spec)) - _MOVED - _SAME_ELSEWHERE)
    if fixed:
        raise ValueError(
            f"augmentation {config.augmentation!r} moves the camera, and {', '.join(fixed)} would "
            "stay where they were; learn from the camera without them, or choose photometric"
        )


def _frames(batch: Batch, spec: ObservationSpec) -> Batch:
    """Returns network inputs and targets; frames that count differently keep their weight."""
    weight = {"weight": batch["weight"]} if "weight" in batch else {}
    return driving_frames(batch, spec) | weight


def _told(data: Sequence[Episode] | Dataset) -> dict[str, Any]:
    """Returns what the card says of the demonstrations."""
    if isinstance(data, Dataset):
        facts = data.info()
        return {"episodes": len(data), "towns": sorted(facts["towns"])}
    return {
        "episodes": len(data),
        "towns": sorted({episode.spec.route.town for episode in data}),
    }


def _labels(data: Sequence[Episode] | Dataset) -> int:
    if isinstance(data, Dataset):
        return int(data.info()["labels"])
    return sum(episode.labels for episode in data)


def _batches(
    data: Sequence[Episode] | Dataset,
    episodes: list[int],
    spec: ObservationSpec,
    config: CloningConfig,
    shuffle_seed: int | None,
    prepare: Prepare,
    more: Batch | None = None,
) -> Batches:
    """Returns batches of some episodes, in order where there is no seed to shuffle by."""
    size, seed, shuffled = config.fit.batch_size, shuffle_seed or 0, shuffle_seed is not None
    moves = config.moves and shuffled  # held-out frames stay as they are
    if isinstance(data, Dataset) and more is None:
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
            states=moves,
            surroundings=moves,
            waypoints=config.network.head.kind == "waypoints",
        )
    load = data.load if isinstance(data, Dataset) else data.__getitem__
    frames = labelled_frames([load(i) for i in episodes], surroundings=moves)
    driving_frames(frames, spec)  # refuses other sensors before the first batch
    if more is not None:  # what only others see was recorded, too
        frames["weight"] = np.ones((len(frames["control"]), 1), np.float32)
        frames = {name: np.concatenate((frames[name], value)) for name, value in more.items()}
    return ArrayBatches(frames, size, seed, shuffled, prepare)


def _augmentation(
    config: CloningConfig, spec: ObservationSpec, seed: int, renderer: augment.Renderer | None
) -> Prepare:
    """Returns what makes augmented network inputs and targets of recorded frames."""
    relights = config.augmentation in ("photometric", "both")

    def prepare(batch: Batch, epoch: int, index: Array) -> Batch:
        draw = augment.Draw(seed, epoch, index)
        view = _frames(batch, spec)
        rgb, target = view["rgb"], view["target"]
        if config.moves and renderer is not None:
            shift, rotation = augment.moves(config.viewpoint, draw)
            if "places" in view:
                view["places"] = waypoints.moved(view["places"], shift, rotation).astype(np.float32)
            if "target_point" in view:
                target_point = waypoints.moved(view["target_point"][:, None], shift, rotation)
                view["target_point"] = target_point[:, 0].astype(np.float32)
            rgb, steer = augment.viewpoint(
                rgb,
                batch["ego"],
                batch["weather"],
                actors_of(batch),
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
