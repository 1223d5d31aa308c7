"""PilotNet (Bojarski et al. 2016, arXiv 1604.07316).

    D     <- demonstrations, seen from shifted and turned cameras too, their steer corrected
             so that the car comes back
    theta <- argmin  sum_D  (1/r_theta(o) - 1/r*)^2

Five convolutions on YUV planes and three layers after them; no command, no branches: where
the road forks it does not know where to go.

Departures: the label is the steer, which grows with 1/r; acceleration is a second output and
the speed is seen, because the paper's car was driven by others along the road; views
are rendered, not warped (`augment`), in place of the left and the right camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drive_il import augment
from drive_il.cloning import CloningConfig, clone, for_what_is_seen
from drive_il.dataset import Dataset
from drive_il.datatypes import Episode
from drive_il.fit import ProgressFunction
from drive_il.heads import HeadConfig
from drive_il.networks import DrivingPolicy, NetworkConfig
from drive_il.sensor_specs import ObservationSpec


def _cloning() -> CloningConfig:
    return CloningConfig(
        steer_weight=5.0,
        network=NetworkConfig(
            head=HeadConfig("l2"),
            backbone="pilotnet",
            commands="none",
            hidden=100,
            branch_hidden=50,
        ),
        augmentation="viewpoint",
    )


@dataclass(frozen=True)
class Config:
    """PilotNet."""

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
    """Trains PilotNet; see `cloning.clone` for the arguments and errors."""
    return clone(
        "pilotnet",
        data,
        for_what_is_seen(config.cloning, spec),
        seed,
        renderer=renderer,
        progress=progress,
        spec=spec,
        checkpoint=checkpoint,
        card=config,
    )
