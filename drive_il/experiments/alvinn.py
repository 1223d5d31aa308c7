"""ALVINN's ablation: what shifted views and the buffer each do for a road follower.

A network taught while a good driver drives never sees how to come back to the middle, and
forgets curves on a straight. Pomerleau (1991) answered with views from shifted and turned
poses and with a buffer of patterns balanced on steering. Each is left out and put back on one
country road, with as many labels and as many presented patterns; ALVINN of 1989, taught
offline on the same snapshots, stands beside them. `docs/alvinn.md` tells the story.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from drive_il.experiments.jobs import Job
from drive_il.experiments.reproduction import announce, decisive, farewell, keep, run_all

TOWN = "dell"
"""a country road"""
VARIANTS = {
    "plain": {"views": 0, "buffer": 0},
    "buffer": {"views": 0},
    "views": {"buffer": 0},
    "both": {},
}
"""what each changes of the learner's defaults"""
OFFLINE = "1989"
_JOBS = "drive_il.experiments.alvinn_jobs:"
_NOT_BEHIND_RESULTS = (
    "cli",
    "speed",
    "carla_sim",
    "experiments/narration",
    "experiments/alvinn_report",
)


@dataclass(frozen=True)
class Config:
    """What is reproduced."""

    seeds: int = 5
    """training seeds"""
    full: bool = False
    """10 training seeds"""
    seed: int = 0
    """of everything random"""
    snapshots: int = 1200
    """pictures that are taught, each with one expert label"""
    episodes: int = 60
    """paired drives on the other half of the road"""
    horizon: int = 800
    """steps of a drive, 20 a second"""
    workers: int = 2
    """processes; changes the time, never the numbers"""
    out: Path = Path("runs/alvinn")
    """folder of everything that is written"""

    def __post_init__(self) -> None:
        for name in ("seeds", "snapshots", "episodes", "horizon", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def n_seeds(self) -> int:
        """Training seeds."""
        return max(self.seeds, 10) if self.full else self.seeds

    def facts(self) -> dict[str, Any]:
        """Returns what decides the numbers, as JSON."""
        return decisive(self) | {"seeds": self.n_seeds}


def reproduce(config: Config, console: Console | None = None) -> Path:
    """Runs what is missing, and writes results.json, the figures and the page.

    Args:
        config: what.
        console: where progress is shown; stdout when not given.

    Returns:
        The page.

    Raises:
        RuntimeError: a step failed.
    """
    console, start = console or Console(), time.monotonic()
    announce(
        console,
        f"ALVINN on {TOWN}: {', '.join((*VARIANTS, OFFLINE))} learn from {config.snapshots:,} "
        f"snapshots each, {config.n_seeds} seeds, and drive the other half of the road.",
        (TOWN,),
    )

    from drive_il.evaluation.results import provenance
    from drive_il.experiments import alvinn_report as report

    jobs = plan(config)
    folders = run_all(jobs, config.out, config.workers, console, _NOT_BEHIND_RESULTS)
    result = report.analyse(config, folders) | provenance(config.seed, config.facts())
    stored, total = keep(result, jobs, folders, config.out)
    page = report.write(stored, folders, config.out)
    took = time.monotonic() - start
    farewell(console, page, report.table(stored), stored["verdict"], took, total)
    return page


def plan(config: Config) -> list[Job]:
    """Returns all jobs, those that are needed before those that need them."""
    drives = {"n": config.episodes, "horizon": config.horizon, "seed": config.seed}
    jobs = [Job("expert", "the expert drives", _JOBS + "expert_drives", drives, weight=3)]
    for k in range(config.n_seeds):
        data, seed = f"demonstrations/{k}", config.seed + k
        recorded = {"snapshots": config.snapshots, "seed": seed}
        jobs.append(Job(data, f"recording, seed {k}", _JOBS + "demonstrations", recorded, weight=4))
        for name in (*VARIANTS, OFFLINE):
            model, changes = f"model/{name}/{k}", VARIANTS.get(name)
            arguments = recorded | {"changes": changes}
            title = f"teaching {name}, seed {k}"
            jobs.append(Job(model, title, _JOBS + "train", arguments, (data,), weight=15))
            title = f"{name} drives, seed {k}"
            needs = (model, "expert")
            jobs.append(Job(f"drives/{name}/{k}", title, _JOBS + "drives", {}, needs, weight=8))
    return jobs
