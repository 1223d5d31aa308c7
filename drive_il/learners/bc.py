"""Behaviour cloning, with command branches (Codevilla et al. 2018).

    D     <- {(o, pi*(o))} on the states the expert visits
    theta <- argmin  sum_D  w |steer_theta(o) - steer*| + |acceleration_theta(o) - acceleration*|

pi_theta sees what the spec shows (a picture, the bird's-eye view, the state vector, the scene as
vectors), the speed and the command; the branch of the command in force gives the outputs, the
other branches get no gradient. `network.head` chooses another loss: squares, the log-loss of
binned actions, a mixture density, or waypoints (see `heads`). With viewpoint augmentation D
also holds what the expert never saw: the same places from shifted and turned poses, labelled
by pure pursuit at no cost in expert queries (see `augment`).

Departures: throttle and brake are one output, acceleration = throttle - brake, because an
expert never presses both. Labels that count: every frame of the demonstrations, held-out
ones too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drive_il import augment
from drive_il.cloning import CloningConfig, clone
from drive_il.dataset import Dataset
from drive_il.datatypes import Episode
from drive_il.fit import ProgressFunction
from drive_il.networks import DrivingPolicy
from drive_il.sensor_specs import ObservationSpec

Config = CloningConfig
"""Behaviour cloning is cloning and nothing else."""


def train(
    data: Sequence[Episode] | Dataset,
    config: Config,
    seed: int,
    renderer: augment.Renderer | None = None,
    progress: ProgressFunction | None = None,
    spec: ObservationSpec | None = None,
    checkpoint: Path | None = None,
) -> DrivingPolicy:
    """Clones the expert; see `cloning.clone` for the arguments and errors."""
    return clone(
        "bc",
        data,
        config,
        seed,
        renderer=renderer,
        progress=progress,
        spec=spec,
        checkpoint=checkpoint,
    )
