"""Spencer et al.'s three regimes on a road, and two escapes from compounding errors.

One designed instance per regime (realisable; covered: not realisable, but process noise shows the
expert's way back; uncovered), and cloning, ALICE-style reweighting and DAgger in each, at as many
labels. Then chunks of actions and noisy demonstrations on a stable and an unstable car.
`docs/certificates.md` tells what came out; the instances are in `regimes_road`, the jobs in
`regimes_jobs` and `regimes_escapes`, the numbers in `regimes_numbers`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from drive_il.experiments.jobs import Job
from drive_il.experiments.reproduction import decisive, farewell, keep, run_all

REGIMES = ("realisable", "covered", "uncovered")
METHODS = ("cloning", "reweighted", "dagger")
_JOBS = "drive_il.experiments.regimes_jobs:"
_ESCAPES = "drive_il.experiments.regimes_escapes:"
_NOT_BEHIND_RESULTS = (
    "cli",
    "speed",
    "evaluation",
    "experiments/narration",
    "experiments/regimes.py",
    "experiments/regimes_numbers",
    "experiments/regimes_report",
    "experiments/certificates",
    "experiments/certify",
    "experiments/query_efficiency",
    "experiments/alvinn",
)


@dataclass(frozen=True)
class Config:
    """What is reproduced."""

    seeds: int = 3
    """training seeds"""
    seed: int = 0
    """of everything random"""
    demonstrations: int = 24
    """drives of 200 labelled steps, of every method; DAgger's rounds together"""
    few: int = 8
    """demonstrations of those who try the escapes"""
    drives: int = 48
    """test drives of each learner"""
    horizon: int = 400
    """steps T of each, 20 a second"""
    workers: int = 2
    """processes; changes the time, never the numbers"""
    out: Path = Path("runs/regimes")
    """folder of everything that is written"""

    def __post_init__(self) -> None:
        for name in ("seeds", "few", "drives", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.demonstrations < 6:
            raise ValueError(
                f"demonstrations must be at least one per round of 6, got {self.demonstrations}"
            )
        if self.horizon < 50:
            raise ValueError(f"horizon must be at least 50 steps, got {self.horizon}")

    def facts(self) -> dict[str, Any]:
        """Returns what decides the numbers, as JSON."""
        return decisive(self)


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

    from drive_il.evaluation.results import provenance
    from drive_il.experiments import regimes_numbers as numbers
    from drive_il.experiments import regimes_report as report

    jobs = plan(config)
    folders = run_all(jobs, config.out, config.workers, console, _NOT_BEHIND_RESULTS)
    result = numbers.analyse(config, folders)
    result |= provenance(config.seed, config.facts())
    stored, total = keep(result, jobs, folders, config.out)
    page = report.write(stored, config.out)
    took = time.monotonic() - start
    farewell(console, page, report.table(stored), [report.verdict(stored)], took, total)
    return page


def plan(config: Config) -> list[Job]:
    """Returns all jobs, those that are needed before those that need them."""
    from drive_il.experiments.regimes_escapes import METHODS as ESCAPES
    from drive_il.experiments.regimes_escapes import PLANTS

    test = {"n": config.drives, "horizon": config.horizon, "seed": config.seed}
    jobs = []
    for kind, module, places, methods in (
        ("which", _JOBS, REGIMES, METHODS),
        ("plant", _ESCAPES, tuple(PLANTS), ESCAPES),
    ):
        drives = config.demonstrations if kind == "which" else config.few
        for place in places:
            expert = f"expert/{place}"
            title = f"the expert drives: {place}"
            jobs.append(Job(expert, title, module + "expert_drives", {kind: place, **test}))
            for method in methods:
                for k in range(config.seeds):
                    arguments = {kind: place, "method": method, "drives": drives}
                    arguments |= {"seed": config.seed + k}
                    name, title = f"learn/{place}/{method}/{k}", f"{method}: {place}, seed {k}"
                    weight = {"dagger": 9.0, "reweighted": 6.0}.get(method, 3.0)
                    jobs.append(Job(name, title, module + "learn", arguments, (expert,), weight))
    return jobs
