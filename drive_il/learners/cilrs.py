"""CILRS (Codevilla, Santana, Lopez, Gaidon 2019, arXiv 1904.08980).

    F_theta(o, v, c) = A_c(J(R(o), M(v)))          R a ResNet, a branch A_c for each command c
    V_theta(o)       = v^                          a second head tells the speed from R(o) alone
    theta <- argmin  sum_D  |a_theta - a*|_1 + lambda |v^ - v|_1

Telling the speed from the picture makes R see what moves, against the inertia problem: a policy
that has seen that standing goes on with standing, and never sets out.

Departures: R is torchvision's ResNet-34 from random weights, because a run must not depend on
a download; M is one number; six branches. From vectors and rasters the observation's
own encoder takes the place of R (a raster's is a ResNet too); told from a state vector, which
holds it, the speed teaches nothing.
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
        steer_weight=5.0,
        network=NetworkConfig(
            head=HeadConfig("l1"),
            backbone="resnet34",
            hidden=512,
            branch_hidden=256,
            speed_loss=0.05,
        ),
        fit=FitConfig(n_steps=5000, learning_rate=2e-4, batch_size=120),
        augmentation="photometric",
    )


@dataclass(frozen=True)
class Config:
    """CILRS."""

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
    """Trains CILRS; see `cloning.clone` for the arguments and errors."""
    return clone(
        "cilrs",
        data,
        for_what_is_seen(config.cloning, spec),
        seed,
        renderer=renderer,
        progress=progress,
        spec=spec,
        checkpoint=checkpoint,
        card=config,
    )
