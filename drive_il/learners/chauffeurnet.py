"""ChauffeurNet (Bansal, Krizhevsky, Ogale 2018, arXiv 1812.03079).

    D     <- demonstrations
    D'    <- {(o', w')}  the same drives from poses beside the path, w' a smooth way back
    theta <- argmin  sum_D |w_theta(o) - w|_1  +  mu sum_D' |w_theta(o') - w'|_1

o is a view from above (or whatever else is computed from the scene), w the next waypoints.
"Simply cloning is not enough": D' shows the way back that no expert ever had to drive; see
`perturbation` for how it is made. It costs no label.

Departures: a feed-forward network in place of the recurrent one; no past of the ego is seen, so
that there is nothing of it to drop out; the losses on collisions, the road's edge and geometry
are left out. Waypoints are driven by a tracker (`waypoints`). Data are held in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drive_il.cloning import CloningConfig, clone, training_part
from drive_il.dataset import Dataset
from drive_il.datatypes import Episode
from drive_il.fit import ProgressFunction
from drive_il.heads import HeadConfig
from drive_il.networks import DrivingPolicy, NetworkConfig
from drive_il.perturbation import PerturbationConfig, perturbed_frames
from drive_il.protocols import Observer
from drive_il.randomness import derive_seed


def _cloning() -> CloningConfig:
    return CloningConfig(network=NetworkConfig(head=HeadConfig("waypoints")))


@dataclass(frozen=True)
class Config:
    """ChauffeurNet."""

    perturbation: PerturbationConfig = field(default_factory=PerturbationConfig)
    """poses beside the path"""
    cloning: CloningConfig = field(default_factory=_cloning)
    """network, loss and fit"""


def train(
    data: Sequence[Episode] | Dataset,
    config: Config,
    seed: int,
    observer: Observer,
    progress: ProgressFunction | None = None,
    checkpoint: Path | None = None,
) -> DrivingPolicy:
    """Trains ChauffeurNet.

    Args:
        data: demonstrations with who else was there; their observations are those of the
            observer.
        config: how.
        seed: of weights, order and perturbation.
        observer: sees the poses beside the path; its spec is the policy's.
        progress: called after every epoch.
        checkpoint: file that an interrupted run goes on from; removed at the end.

    Returns:
        The policy with the weights of least validation loss.

    Raises:
        ValueError: unusable data, or drives too short to be bent.
    """
    mine = training_part(data, config.cloning, seed)
    more = perturbed_frames(mine, observer, config.perturbation, derive_seed(seed, "beside"))
    if more is None:
        raise ValueError(
            "no drive goes on for 2 s and 4 m before and after a labelled frame, so that no path "
            "can be bent; record longer episodes"
        )
    return clone(
        "chauffeurnet",
        data,
        config.cloning,
        seed,
        progress=progress,
        spec=observer.spec,
        checkpoint=checkpoint,
        more=more,
        card=config,
    )
