"""What the experiments' jobs share: episodes in a job's folder, how they end, how they tell."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.dataset import Dataset, EpisodeWriter
from drive_il.datatypes import Episode, EpisodeSpec, Records, Scene
from drive_il.evaluation.criteria import route_ended
from drive_il.experiments.jobs import Report
from drive_il.gates import ExpertDrives
from drive_il.protocols import Expert, World
from drive_il.randomness import uniform
from drive_il.rollout import Step, Stop, drive
from drive_il.theory.estimators import tolerance
from drive_il.thinning import lightened


def never_blocked() -> Stop:
    """Standing still is a failure that is counted, not an end."""
    return route_ended(max_deviation=30.0, blocked_after=math.inf)


def listener(report: Report, note: str = "") -> Callable[[Step], None]:
    """Reports the share of finished episodes."""

    def listen(step: Step) -> None:
        report(step.n_finished / max(step.n_specs, 1), note)

    return listen


@dataclass
class Keeper:
    """Keeps episodes in the order in which they come; `read` gives them back so.

    Attributes:
        folder: of the job.
        n_kept: how many have come.
    """

    folder: Path
    n_kept: int = 0

    def __call__(self, episode: Episode) -> None:
        """Writes the next episode."""
        EpisodeWriter(self.folder / "episodes" / f"{self.n_kept:04d}")(episode)
        self.n_kept += 1


def write(folder: Path, episodes: Iterable[Episode]) -> None:
    """Keeps episodes in their order."""
    keep = Keeper(folder)
    for episode in episodes:
        keep(episode)


def each(folder: Path) -> Iterator[Episode]:
    """Reads what a job has driven one by one, `lightened`, in the order of its specs."""
    for place in sorted((folder / "episodes").iterdir()):
        yield lightened(Dataset(place).load(0))


def read(folder: Path) -> list[Episode]:
    """Reads what a job has driven, in the order of its specs."""
    return list(each(folder))


def within(episodes: Sequence[Episode], labels: int) -> list[Episode]:
    """Returns the first episodes with at most so many labels together."""
    total = np.cumsum([episode.labels for episode in episodes])
    return list(episodes[: int((total <= labels).sum())])


def read_json(path: Path) -> Any:
    """Reads what a job has written."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes what a job has found."""
    path.write_text(json.dumps(value), encoding="utf-8")


def expert_episodes(world: World, specs: Sequence[EpisodeSpec], expert: Expert) -> list[Episode]:
    """Drives specs with an expert, nothing observed."""
    return drive(world, None, None, specs, expert=expert, gate=ExpertDrives(), stop=never_blocked())


@dataclass(frozen=True)
class Erring:
    """An expert whose steer is off: by a constant, or by noise of the same size."""

    expert: Expert
    delta: float
    bias: int  # -1, 1, or 0 for noise

    def control(self, scene: Scene) -> Records:
        """Returns the expert's control, steer changed and clipped, (B,) CONTROL."""
        control = self.expert.control(scene)
        noise: Any = self.bias
        if self.bias == 0:
            noise = 2.0 * uniform(scene.seed, scene.step, "tolerance")[:, 0] - 1.0
        control["steer"] = np.clip(control["steer"] + self.delta * noise, -1.0, 1.0)
        return control


ETA = 0.5
"""what the tolerance of the 0-1 loss may cost the expert over the longest horizon [steps]"""


def chosen_delta(measured: dict[str, Any]) -> float:
    """Returns the tolerance; the smallest tried where even that costs more than ETA."""
    extra = np.array(measured["extra"], np.float64)
    if extra[0] > ETA:
        return float(measured["deltas"][0])
    return tolerance(np.array(measured["deltas"]), extra, ETA)
