"""ALVINN, first form (Pomerleau 1989): a road follower with 29 hidden units.

    input   30x32 blue band of a camera, 8x32 range finder, 1 road-intensity unit = 1217
    hidden  29 sigmoid units, fully connected
    output  45 direction units, linear in curvature, straight in the middle
            1 road-intensity unit: is the road lighter than its surroundings?
            fed back as an input at the next step
    target  a hill of activation exp(-d^2 / 10), d units away from the right direction
    decode  centre of mass of the hill around the most active unit
    train   back-propagation with momentum on the squared error, about 40 epochs

It steers only: `act` gives zero pedals, and whoever drives with it takes throttle and
brake from elsewhere (`pedals=` of `rollout.drive`).

Departures: the label is the curvature of the expert's own steer, a paid label, instead of
the arc to the road centre 7 m ahead, which the expert's steering law is close to. The
hill is that of the later papers; `hill="1989"` takes the first one's values. The paper
does not say how the road intensity was labelled: here it is a logistic function of the
mean blue of the road ahead minus that of both sides. In training the fed-back input is
the label of the previous frame. Gradients are taken over small batches, not single
patterns. Labels that count: every frame of the demonstrations, held-out ones too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from drive_il import steering
from drive_il.dataset import Dataset
from drive_il.datatypes import CONTROL, Array, Episode, Floats, Observation, Records, State
from drive_il.direction_units import curvature_of_unit, decode, hill, unit_of_curvature
from drive_il.fit import (
    ArrayBatches,
    Batch,
    FitConfig,
    ProgressFunction,
    fit,
    split,
)
from drive_il.networks import in_fixed_batches
from drive_il.randomness import derive_seed
from drive_il.sensor_specs import CameraSpec, ObservationSpec

HEIGHT, WIDTH = 30, 32
N_RANGES = 8 * 32
N_INPUTS = HEIGHT * WIDTH + N_RANGES + 1
N_HIDDEN = 29
N_DIRECTIONS = 45
UNKNOWN = 0.5
"""road intensity before the first picture"""
CAMERA = CameraSpec(name="retina", width=WIDTH, height=HEIGHT, fov=90.0)
SPEC = ObservationSpec(cameras=(CAMERA,), range_finder=True)
"""what ALVINN sees; record demonstrations with it"""


@dataclass(frozen=True)
class Config:
    """ALVINN, first form."""

    hill: str = "gaussian"
    """target around the right direction: gaussian, or 1989 for the first paper's values"""
    max_curvature: float = 0.2
    """of the outermost direction units [1/m]"""
    intensity_gain: float = 20.0
    """slope of the road-intensity label in the blue difference (white is 1)"""
    validation_fraction: float = 0.1
    """share of the episodes held out to choose the best epoch"""
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            n_epochs=40,
            batch_size=16,
            optimizer="sgd",
            learning_rate=0.02,
            momentum=0.8,
            schedule="cosine",
            n_threads=1,
        )
    )
    """optimiser and length"""

    def __post_init__(self) -> None:
        if self.hill not in ("gaussian", "1989"):
            raise ValueError(f"hill must be gaussian or 1989, got {self.hill!r}")
        if not 0 < self.max_curvature <= 1:
            raise ValueError(f"max_curvature must be in (0, 1] 1/m, got {self.max_curvature}")
        if not self.intensity_gain > 0:
            raise ValueError(f"intensity_gain must be positive, got {self.intensity_gain}")


class Alvinn(nn.Module):
    """1217 inputs, 29 hidden units, 46 outputs; sigmoids throughout."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(N_INPUTS, N_HIDDEN)
        self.output = nn.Linear(N_HIDDEN, N_DIRECTIONS + 1)
        generator = torch.Generator().manual_seed(seed)
        for layer in (self.hidden, self.output):
            reach = layer.in_features**-0.5
            for weights in (layer.weight, layer.bias):
                nn.init.uniform_(weights, -reach, reach, generator=generator)
        # A hill is a few units wide: most outputs start out quiet.
        nn.init.constant_(self.output.bias, -2.0)

    def forward(self, retina: Tensor, ranges: Tensor, intensity: Tensor) -> Tensor:
        """Returns activations.

        Args:
            retina: blue band, (B, 30, 32) uint8.
            ranges: (B, 8, 32) float32 in [0, 1].
            intensity: road intensity of the step before, (B,) float32.

        Returns:
            (B, 46): 45 directions, leftmost first, and the road intensity.
        """
        inputs = torch.cat(
            (retina.flatten(1).float() / 127.5 - 1.0, ranges.flatten(1), intensity[:, None]), 1
        )
        return torch.sigmoid(self.output(torch.sigmoid(self.hidden(inputs))))


def road_intensity(retina: Array, gain: float) -> Floats:
    """Labels whether the road is lighter than its surroundings.

    The road is the middle half of the picture's lowest third; its surroundings are the
    outer eighths of the same rows.

    Args:
        retina: blue band, (N, 30, 32) uint8.
        gain: slope of the logistic function.

    Returns:
        (N,) in (0, 1); 0.5 means no difference.
    """
    low = retina[:, 2 * HEIGHT // 3 :].astype(np.float64) / 255.0
    road = low[:, :, WIDTH // 4 : -WIDTH // 4].mean((1, 2))
    sides = np.concatenate((low[:, :, : WIDTH // 8], low[:, :, -WIDTH // 8 :]), 2).mean((1, 2))
    return np.asarray(1.0 / (1.0 + np.exp(-gain * (road - sides))))


def training_frames(episodes: Iterable[Episode], config: Config) -> Batch:
    """Returns inputs and targets of all labelled steps.

    Args:
        episodes: recorded with `SPEC`.
        config: hill, curvature range, intensity.

    Returns:
        `retina` (N, 30, 32) uint8, `ranges` (N, 8, 32) float32, `intensity` (N,) float32
        (the input), `target` (N, 46) float32.

    Raises:
        ValueError: no labels, or other sensors.
    """
    parts: list[Batch] = []
    for episode in episodes:
        missing = {CAMERA.name, "range_finder"} - set(episode.observations)
        if missing:
            raise ValueError(
                f"ALVINN learns from {CAMERA.name!r} and 'range_finder', the data lack "
                f"{sorted(missing)}; record with alvinn.SPEC"
            )
        steps = np.flatnonzero(episode.asked)
        retina = np.ascontiguousarray(episode.observations[CAMERA.name][..., 2])
        intensity = road_intensity(retina, config.intensity_gain)
        before = np.concatenate(([UNKNOWN], intensity[:-1]))
        curvature = steering.curvature_of_steer(episode.expert_control["steer"][steps])
        centre = unit_of_curvature(curvature, config.max_curvature, N_DIRECTIONS)
        target = np.concatenate(
            (hill(centre, config.hill, N_DIRECTIONS), intensity[steps, None]), 1
        )
        parts.append(
            {
                "retina": retina[steps],
                "ranges": np.asarray(episode.observations["range_finder"][steps], np.float32),
                "intensity": before[steps].astype(np.float32),
                "target": target.astype(np.float32),
            }
        )
    if not any(len(part["target"]) for part in parts):
        raise ValueError("no expert labels to learn from; record with a gate that asks the expert")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def loss(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Returns half the squared error, summed over the outputs, mean over the batch."""
    outputs = network(batch["retina"], batch["ranges"], batch["intensity"])
    error: Tensor = (outputs - batch["target"]).square().sum(1)
    return 0.5 * error.mean()


@dataclass(frozen=True)
class AlvinnPolicy:
    """Steers; the fed-back road intensity is its state.

    Attributes:
        network: the trained network.
        max_curvature: of the outermost direction units [1/m].
        spec: the sensors.
        card: where it comes from: learner, seed, labels, training config.
    """

    network: Alvinn
    max_curvature: float
    spec: ObservationSpec = SPEC
    card: Mapping[str, Any] = field(default_factory=dict)

    def initial_state(self, n_rows: int) -> State:
        """Returns `road_intensity` (n_rows,) float32, unknown."""
        return {"road_intensity": np.full(n_rows, UNKNOWN, np.float32)}

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Returns (control with zero pedals, state, info with the 46 activations)."""
        activation = in_fixed_batches(
            self.network,
            np.ascontiguousarray(observation[CAMERA.name][..., 2]),
            np.asarray(observation["range_finder"], np.float32),
            state["road_intensity"],
        )
        unit = decode(activation[:, :N_DIRECTIONS])
        control = np.zeros(len(activation), CONTROL)
        curvature = curvature_of_unit(unit, self.max_curvature, N_DIRECTIONS)
        control["steer"] = steering.steer_of_curvature(curvature)
        return control, {"road_intensity": activation[:, N_DIRECTIONS]}, {"activation": activation}


def train(
    data: Sequence[Episode] | Dataset,
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    checkpoint: Path | None = None,
) -> AlvinnPolicy:
    """Trains ALVINN.

    Args:
        data: demonstrations recorded with `SPEC`, in memory or on disk; every labelled step
            is learnt from. What ALVINN sees of them (2 kB a frame) is kept in memory.
        config: how.
        seed: of weights and order.
        progress: called after every epoch.
        checkpoint: file that an interrupted run goes on from; removed at the end.

    Returns:
        The policy with the weights of least validation loss.
    """
    kept, held = split(len(data), config.validation_fraction, seed)
    frames = training_frames(_chosen(data, kept), config)
    held_frames = training_frames(_chosen(data, held), config) if held else None
    network = Alvinn(derive_seed(seed, "network"))
    history = fit(
        network,
        ArrayBatches(frames, config.fit.batch_size, seed),
        loss,
        config.fit,
        seed=seed,
        validation=ArrayBatches(held_frames, 256, shuffled=False) if held_frames else None,
        checkpoint=checkpoint,
        progress=progress,
    )
    card = {
        "learner": "alvinn",
        "labels": len(frames["target"]) + (len(held_frames["target"]) if held_frames else 0),
        "seed": seed,
        "config": asdict(config),
        "losses": history.losses,
        "validation_losses": history.validation_losses,
        "best_epoch": history.best_epoch,
    }
    return AlvinnPolicy(network, config.max_curvature, SPEC, card)


def _chosen(data: Sequence[Episode] | Dataset, indices: list[int]) -> Iterator[Episode]:
    """Yields some episodes, one at a time from disk."""
    load = data.load if isinstance(data, Dataset) else data.__getitem__
    return (load(i) for i in indices)
