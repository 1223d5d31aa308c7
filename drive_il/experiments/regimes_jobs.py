"""The work behind the regimes experiment, one function per kind of job.

Each writes one folder from the folders of the jobs it needs, on one thread, and is a
function of its arguments alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drive_il.datatypes import Episode, EpisodeSpec, Floats, Ints
from drive_il.experiments.covariate_shift_specs import EXPERT
from drive_il.experiments.drives import never_blocked, read, write
from drive_il.experiments.jobs import Report
from drive_il.experiments.regimes_road import (
    TOWN,
    Features,
    LaneKeeper,
    Linear,
    Plant,
    fit,
    specs,
)
from drive_il.gates import AskAlways, ExpertDrives, Mixture
from drive_il.maps import library
from drive_il.protocols import Gate
from drive_il.randomness import derive_seed
from drive_il.rollout import drive
from drive_il.sim.world import World
from drive_il.steering import curvature_of_steer
from drive_il.theory import costs, density

ROWS = 32
STEPS = 200
"""of a demonstration, and of a drive of a round"""
ROUNDS = 6
MOST_WEIGHT = 100.0
"""no frame counts for more in reweighting"""
BAND = 0.3
"""dead band of the expert in the regimes [m]"""
GUSTS = Plant(gust=0.05, chance=0.04)


@dataclass(frozen=True)
class Setting:
    """What is driven: expert, what learners see, what acts on the car."""

    expert: LaneKeeper
    features: Features
    plant: Plant

    def drive(
        self,
        specs: Sequence[EpisodeSpec],
        gate: Gate,
        policy: Linear | None = None,
        plant: Plant | None = None,
    ) -> list[Episode]:
        """Drives, every state labelled; `plant` instead of its own where given."""
        world = World(library.load(TOWN), min(ROWS, len(specs)))
        return drive(
            world,
            self.features,
            policy,
            specs,
            expert=self.expert,
            gate=gate,
            stop=never_blocked(),
            pedals=EXPERT,
            disturbance=self.plant if plant is None else plant,
            keep_actors=False,
        )


def regime(which: str) -> Setting:
    """Returns the setting of a regime of Spencer et al. 2021.

    realisable: the learner sees all that the expert steers by, nothing pushes the car.
    covered: it sees neither the road's curvature nor the dead band, but gusts push expert and
        learner alike, so that the expert shows how to come back.
    uncovered: the same without gusts: bends carry the expert out of its dead band as well, but
        always turned the same way; states of who has erred are not among its own.
    """
    if which == "realisable":
        return Setting(LaneKeeper(BAND), Features(("road", "beyond", "heading"), BAND), Plant())
    blind = Features(("lateral", "heading"))
    return Setting(LaneKeeper(BAND), blind, GUSTS if which == "covered" else Plant())


def expert_drives(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    which: str,
    n: int,
    horizon: int,
    seed: int,
) -> None:
    """Drives the test specs of a regime with the expert."""
    write(folder, regime(which).drive(specs(n, horizon, seed, "test"), ExpertDrives()))


def learn(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    which: str,
    method: str,
    drives: int,
    seed: int,
) -> None:
    """Trains one learner in one regime and drives the test with it.

    Args:
        folder: takes measured.npz.
        inputs: the expert's test drives.
        report: is told how it goes.
        which: the regime.
        method: cloning, reweighted or dagger; all at the same number of labels.
        drives: demonstrations, or drives of DAgger's rounds together.
        seed: of everything random.
    """
    setting = regime(which)
    teaching = specs(drives, STEPS, seed, "teaching")
    train = {"cloning": _clone, "reweighted": _reweight, "dagger": _dagger}[method]
    policy = train(setting, teaching, seed, report)
    [source] = inputs.values()
    truth = read(source)
    test = [episode.spec for episode in truth]
    driven = setting.drive(test, AskAlways(), policy)
    beside = setting.drive(test, ExpertDrives(), policy)
    measured(folder / "measured.npz", driven, truth, beside, policy)


def measured(
    path: Path, driven: list[Episode], truth: list[Episode], beside: list[Episode], policy: Linear
) -> None:
    """Keeps what the numbers are computed from."""
    horizon = driven[0].spec.max_steps
    tracks = costs.tracks(driven, horizon)
    expert = costs.tracks(truth, horizon)
    np.savez_compressed(
        path,
        failing=costs.failures(tracks, expert).either,
        expert_failing=costs.failures(expert, expert).either,
        lateral=tracks.lateral_error.astype(np.float32),
        own=_errors(driven, horizon),
        expert=_errors(beside, horizon),
        cells=_cells(driven, horizon),
        expert_cells=_cells(truth, horizon),
        weights=policy.weights,
    )


def _errors(episodes: list[Episode], horizon: int) -> Floats:
    """Steer of the policy minus the expert's, NaN after the end, (N, T)."""
    found = np.full((len(episodes), horizon), np.nan, np.float32)
    for row, episode in zip(found, episodes, strict=True):
        row[: episode.n_steps] = episode.policy_control["steer"] - episode.expert_control["steer"]
    return found


def _cells(episodes: Sequence[Episode], horizon: int) -> Ints:
    found = np.full((len(episodes), horizon), -1, np.int64)
    for row, episode in zip(found, episodes, strict=True):
        row[: episode.n_steps] = _cells_of(episode)
    return found


def _cells_of(episode: Episode) -> Ints:
    at, speed = episode.progress[:-1], episode.ego["speed"][:-1]
    return density.cells(at["lateral_error"], at["heading_error"], speed)


def frames(episodes: Sequence[Episode]) -> tuple[Floats, Floats]:
    """Returns features and labels of all steps, (N, F) and (N, 1) [1/m]."""
    seen = np.concatenate([one.observations["features"][:-1] for one in episodes])
    steer = np.concatenate([one.expert_control["steer"] for one in episodes])
    return seen, curvature_of_steer(steer)[:, None]


def _clone(setting: Setting, teaching: list[EpisodeSpec], seed: int, report: Report) -> Linear:
    return Linear(fit(*frames(setting.drive(teaching, ExpertDrives()))))


def _reweight(setting: Setting, teaching: list[EpisodeSpec], seed: int, report: Report) -> Linear:
    """ALICE's density-ratio form: the expert's frames, weighted by where the learner is.

    Spencer et al. 2021: d_learner / d_expert, here on coarse cells, the learner's share averaged
    over rounds of driving in the simulator without labels.
    """
    shown = setting.drive(teaching, ExpertDrives())
    seen, labels = frames(shown)
    cell = np.concatenate([_cells_of(one) for one in shown])
    theirs = np.bincount(cell, minlength=density.N_CELLS) / len(cell)
    policy, visits = Linear(fit(seen, labels)), np.zeros(density.N_CELLS)
    for k in range(ROUNDS - 1):
        report(k / ROUNDS, f"round {k + 1}")
        own = setting.drive(teaching[: len(teaching) // 2], AskAlways(), policy)
        mine = np.concatenate([_cells_of(one) for one in own])
        visits += np.bincount(mine, minlength=density.N_CELLS) / len(mine)
        ratio = np.where(theirs > 0, visits / visits.sum() / np.maximum(theirs, 1e-12), 0.0)
        policy = Linear(fit(seen, labels, np.minimum(ratio, MOST_WEIGHT)[cell]))
    return policy


def _dagger(setting: Setting, teaching: list[EpisodeSpec], seed: int, report: Report) -> Linear:
    """DAgger with beta 1, 0, 0 ...; the best of its iterates on fresh drives."""
    size = len(teaching) // ROUNDS
    check = specs(16, STEPS, derive_seed(seed, "check"), "validation")
    truth = costs.tracks(setting.drive(check, ExpertDrives()), STEPS)
    data: list[Episode] = []
    tried: list[tuple[float, int, Linear]] = []
    policy: Linear | None = None
    for k in range(ROUNDS):
        report(k / ROUNDS, f"round {k + 1}")
        some = teaching[k * size : (k + 1) * size]
        gate = ExpertDrives() if policy is None else Mixture(0.0)
        data += setting.drive(some, gate, policy)
        policy = Linear(fit(*frames(data)))
        own = costs.tracks(setting.drive(check, AskAlways(), policy), STEPS)
        cost = float(costs.absorbing(costs.failures(own, truth).either)[:, -1].mean())
        tried.append((cost, -k, policy))
    return min(tried, key=lambda one: one[:2])[2]
