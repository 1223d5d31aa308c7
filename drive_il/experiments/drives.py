"""What the experiments' jobs share: episodes in a job's folder, how they end, how they tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from drive_il.dataset import Dataset, EpisodeWriter
from drive_il.datatypes import Episode, EpisodeSpec
from drive_il.evaluation.criteria import route_ended
from drive_il.experiments.jobs import Report
from drive_il.gates import ExpertDrives
from drive_il.protocols import Expert, World
from drive_il.rollout import Step, Stop, drive


def never_blocked() -> Stop:
    """Standing still is a failure that is counted, not an end."""
    return route_ended(max_deviation=30.0, blocked_after=math.inf)


def listener(report: Report, note: str = "") -> Callable[[Step], None]:
    """Reports the share of finished episodes."""

    def listen(step: Step) -> None:
        report(step.n_finished / max(step.n_specs, 1), note)

    return listen


def write(folder: Path, episodes: Sequence[Episode]) -> None:
    """Keeps episodes in their order; `read` gives them back so."""
    for i, episode in enumerate(episodes):
        EpisodeWriter(folder / "episodes" / f"{i:04d}")(episode)


def read(folder: Path) -> list[Episode]:
    """Reads what a job has driven, in the order of its specs."""
    return [Dataset(place).load(0) for place in sorted((folder / "episodes").iterdir())]


def expert_episodes(world: World, specs: Sequence[EpisodeSpec], expert: Expert) -> list[Episode]:
    """Drives specs with an expert, nothing observed."""
    return drive(world, None, None, specs, expert=expert, gate=ExpertDrives(), stop=never_blocked())
