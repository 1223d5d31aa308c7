"""Conditional imitation learning (Codevilla et al. 2018, arXiv 1710.02410).

    D     <- demonstrations with triangular noise on the steer, labels clean
    F_theta(o, v, c) = A_c(J(I(o), M(v)))          one branch A_c for each command c
    theta <- argmin  sum_D  |s_theta - s*|^2 + lambda |a_theta - a*|^2

The branch of the command in force acts; the others get no gradient. I are eight convolutions
with batch normalisation. The noise is injected while recording (`drive-il record --noise`):
pushes that grow and fade, after which the expert shows the way back.

Departures: the measured speed joins the features as one number, not through layers M of its
own; six branches, for CARLA's six commands, where the paper has four; dropout on what is
seen only. From vectors and rasters the observation's own encoder takes the place of I.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drive_il import augment
from drive_il.cloning import CloningConfig, clone, for_what_is_seen
from drive_il.dataset import Dataset
from drive_il.datatypes import Episode
from drive_il.fit import FitConfig, ProgressFunction
from drive_il.heads import HeadConfig
from drive_il.networks import DrivingPolicy, NetworkConfig
from drive_il.sensor_specs import ObservationSpec


def _cloning() -> CloningConfig:
    return CloningConfig(
        steer_weight=2.0,
        network=NetworkConfig(
            head=HeadConfig("l2"),
            backbone="cil",
            hidden=512,
            branch_hidden=256,
            dropout=0.2,
        ),
        fit=FitConfig(n_steps=5000, learning_rate=2e-4, batch_size=120),
        augmentation="photometric",
    )


@dataclass(frozen=True)
class Config:
    """CIL."""

    cloning: CloningConfig = field(default_factory=_cloning)
    """network, loss, augmentation and fit"""


def train(
    data: Sequence[Episode] | Dataset,
    config: Config,
    seed: int,
    renderer: augment.Renderer | None = None,
    progress: ProgressFunction | None = None,
    spec: ObservationSpec | None = None,
    checkpoint: Path | None = None,
) -> DrivingPolicy:
    """Trains CIL; see `cloning.clone` for the arguments and errors."""
    return clone(
        "cil",
        data,
        for_what_is_seen(config.cloning, spec),
        seed,
        renderer=renderer,
        progress=progress,
        spec=spec,
        checkpoint=checkpoint,
        card=config,
    )
