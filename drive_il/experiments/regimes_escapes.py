"""Chunks of actions, and noise in the demonstrations: two escapes from compounding errors.

Simchowitz, Pfrommer and Jadbabaie 2025 show that smooth learners from expert data alone can be
forced into errors that grow exponentially; Zhang et al. 2025 that playing chunks of actions
helps where the plant is stable by itself, and noise in the demonstrations where it is not.
Here the plant is the car, made to turn back to its lane by itself or to turn away from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from drive_il.datatypes import Episode, Floats
from drive_il.experiments.drives import read, write
from drive_il.experiments.jobs import Report
from drive_il.experiments.regimes_jobs import Setting, measured
from drive_il.experiments.regimes_road import Features, LaneKeeper, Linear, Plant, fit, specs
from drive_il.gates import AskAlways, ExpertDrives
from drive_il.steering import curvature_of_steer

PLANTS = {
    "stable": Plant(lateral=0.06, heading=0.35),
    "unstable": Plant(lateral=-0.03, heading=-0.1),
}
"""the car turns back to its lane by itself (as the expert would have it) or away from it"""
CHUNK = 40
"""actions of a chunk (2 s), long enough for the stable plant to settle"""
SHAKE = 0.15
"""noise on the demonstrator's steer, labels clean"""
STEPS = 200
METHODS = ("single", "chunk", "noise", "chunk_noise")
"""one action at a time from clean demonstrations; chunks; noisy demonstrations; both"""


def setting(plant: str) -> Setting:
    """Returns the setting of a plant: the expert makes up for what the car does by itself.

    The road's curvature is hidden from the learner, as in the uncovered regime: what it takes
    for the expert's feedback is partly the road, and that is what lets its errors grow.
    """
    own = PLANTS[plant]
    return Setting(LaneKeeper(0.0, own), Features(("lateral", "heading")), own)


def expert_drives(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    plant: str,
    n: int,
    horizon: int,
    seed: int,
) -> None:
    """Drives the test specs on a plant with the expert."""
    write(folder, setting(plant).drive(specs(n, horizon, seed, "test"), ExpertDrives()))


def learn(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    plant: str,
    method: str,
    drives: int,
    seed: int,
) -> None:
    """Clones the expert on a plant by one of METHODS, and drives the test.

    Args:
        folder: takes measured.npz.
        inputs: the expert's test drives.
        report: is told how it goes.
        plant: of PLANTS.
        method: of METHODS.
        drives: demonstrations.
        seed: of everything random.
    """
    where = setting(plant)
    noisy = replace(where.plant, shake=SHAKE) if "noise" in method else None
    teaching = specs(drives, STEPS, seed, "teaching")
    shown = where.drive(teaching, ExpertDrives(), plant=noisy)
    policy = Linear(fit(*_chunks(shown, CHUNK if "chunk" in method else 1)))
    [source] = inputs.values()
    truth = read(source)
    test = [episode.spec for episode in truth]
    driven = where.drive(test, AskAlways(), policy)
    beside = where.drive(test, ExpertDrives(), policy)
    measured(folder / "measured.npz", driven, truth, beside, policy)


def _chunks(episodes: Sequence[Episode], size: int) -> tuple[Floats, Floats]:
    """Returns features and the next `size` labels of each step, as curvatures."""
    seen, actions = [], []
    for one in episodes:
        curvature = curvature_of_steer(one.expert_control["steer"])
        n = one.n_steps - size + 1
        seen.append(one.observations["features"][:n])
        actions.append(np.stack([curvature[k : k + n] for k in range(size)], 1))
    return np.concatenate(seen), np.concatenate(actions)
