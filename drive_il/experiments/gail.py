"""Few demonstrations: what practice without labels is worth (GAIL, AIRL), against BC and DAgger.

Ho and Ermon (2016) found that GAIL imitates from a handful of demonstrations where behaviour
cloning fails, on state vectors. Here the same is asked of driving, on empty roads, with
demonstrations thinned as theirs were. `docs/gail.md` tells the story; the jobs are in
`gail_jobs`, the numbers and the page in `gail_report`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from drive_il.experiments.jobs import Job
from drive_il.experiments.reproduction import announce, decisive, farewell, keep, run_all

LEARNERS = ("bc", "dagger", "gail", "airl")
MOVED = ("bc", "gail", "airl")
"""learners whose policies are put into another car as they are"""
_JOBS = "drive_il.experiments.gail_jobs:"
_NOT_BEHIND_RESULTS = (
    "cli",
    "speed",
    "carla_sim",
    "experiments/narration",
    "experiments/gail_report",
    "experiments/covariate_shift",
    "experiments/alvinn",
)


@dataclass(frozen=True)
class Config:
    """What is reproduced."""

    town_train: str = "alder"
    """where demonstrations are recorded and policies practise"""
    town_test: str = "birch"
    """a town that no learner has seen"""
    learners: tuple[str, ...] = LEARNERS
    """who is compared"""
    demonstrations: tuple[int, ...] = (1, 4, 16, 64)
    """demonstrations of 10 s, one number for each point of a curve"""
    every: int = 20
    """of a demonstration's steps one in so many is labelled, as in the paper; 1: all are"""
    iterations: int = 80
    """of GAIL and AIRL, 8192 steps of practice each"""
    gradient_steps: int = 1000
    """of behaviour cloning, which GAIL and AIRL begin with; of each round of DAgger half as many"""
    seeds: int = 3
    """training seeds; --full makes it at least 10"""
    full: bool = False
    """at least 10 training seeds"""
    seed: int = 0
    """of everything random"""
    drives: int = 32
    """test drives per town"""
    car: float = 1.5
    """the other car that policies are moved to: 1 is the default car, 2 a truck"""
    workers: int = 2
    """processes; changes the time, never the numbers"""
    out: Path = Path("runs/gail")
    """folder of everything that is written"""

    def __post_init__(self) -> None:
        for name in ("every", "iterations", "gradient_steps", "seeds", "drives", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.demonstrations or min(self.demonstrations) < 1:
            raise ValueError(
                f"demonstrations must be one or more positive numbers, got {self.demonstrations}"
            )
        unknown = [name for name in self.learners if name not in LEARNERS]
        if unknown or not self.learners:
            raise ValueError(f"learners must be of {', '.join(LEARNERS)}, got {self.learners}")
        if not 1 <= self.car <= 2:
            raise ValueError(f"car must be in [1, 2], got {self.car}")

    @property
    def n_seeds(self) -> int:
        """Training seeds."""
        return max(self.seeds, 10) if self.full else self.seeds

    @property
    def towns(self) -> tuple[str, ...]:
        """Where learners are tested."""
        return tuple(dict.fromkeys((self.town_train, self.town_test)))

    @property
    def counts(self) -> list[int]:
        """Demonstrations of each point, in order."""
        return sorted(set(self.demonstrations))

    def facts(self) -> dict[str, Any]:
        """Returns what decides the numbers, as JSON."""
        lists = {"learners": list(self.learners), "demonstrations": self.counts}
        return decisive(self) | {"seeds": self.n_seeds} | lists


def reproduce(config: Config, console: Console | None = None) -> Path:
    """Runs what is missing, and writes results.json, the figures and the page.

    Args:
        config: what.
        console: where progress is shown; stdout when not given.

    Returns:
        The page.

    Raises:
        ValueError: an unknown town.
        RuntimeError: a step failed.
    """
    console, start = console or Console(), time.monotonic()
    announce(
        console,
        f"{', '.join(config.learners)} learn from "
        f"{', '.join(map(str, config.counts))} demonstrations in {config.town_train}, "
        f"{config.n_seeds} seeds, and drive in {' and '.join(config.towns)}.",
        config.towns,
    )

    from drive_il.evaluation.results import provenance
    from drive_il.experiments import gail_report as report

    jobs = plan(config)
    folders = run_all(jobs, config.out, config.workers, console, _NOT_BEHIND_RESULTS)
    result = report.analyse(config, folders) | provenance(config.seed, config.facts())
    stored, total = keep(result, jobs, folders, config.out)
    page = report.write(stored, config.out)
    took = time.monotonic() - start
    farewell(console, page, report.table(stored), report.verdict(stored), took, total)
    return page


def plan(config: Config) -> list[Job]:
    """Returns all jobs, those that are needed before those that need them."""
    test = {"towns": list(config.towns), "car": 1.0, "n": config.drives, "seed": config.seed}
    other = test | {"towns": [config.town_train], "car": config.car}
    jobs = [
        Job("expert", "the expert drives", _JOBS + "test", test, weight=6),
        Job("expert-other", "the expert drives the other car", _JOBS + "test", other, weight=3),
    ]
    most = config.counts[-1]
    for k in range(config.n_seeds):
        data, seed = f"demonstrations/{k}", config.seed + k
        recorded = {"town": config.town_train, "n": most, "seed": seed}
        jobs.append(Job(data, f"recording, seed {k}", _JOBS + "demonstrations", recorded, weight=4))
        for name in config.learners:
            for n in config.counts:
                jobs += _point(config, name, n, k, test)
            if name in MOVED:
                needs = (f"model/{name}/{most}/{k}",)
                title = f"{name} drives the other car, seed {k}"
                job = f"moved/{name}/{k}"
                jobs.append(Job(job, title, _JOBS + "test", other, needs, weight=4))
        if "airl" in config.learners:
            jobs += _carried(config, k, other)
    return jobs


def _point(config: Config, name: str, n: int, k: int, test: dict[str, Any]) -> list[Job]:
    """Returns the jobs of one point of one curve."""
    arguments = {
        "town": config.town_train,
        "learner": name,
        "n": n,
        "every": config.every,
        "iterations": config.iterations,
        "gradient_steps": config.gradient_steps,
        "seed": config.seed + k,
    }
    model, where = f"model/{name}/{n}/{k}", f"{n} demonstrations, seed {k}"
    weight = {"bc": 4.0, "dagger": 15.0}.get(name, 0.8 * config.iterations)
    train = Job(
        model, f"{name}: {where}", _JOBS + "train", arguments, (f"demonstrations/{k}",), weight
    )
    title = f"{name} drives: {where}"
    return [train, Job(f"test/{name}/{n}/{k}", title, _JOBS + "test", test, (model,), weight=8)]


def _carried(config: Config, k: int, other: dict[str, Any]) -> list[Job]:
    """Returns the jobs that teach another car by AIRL's reward."""
    source, model = f"model/airl/{config.counts[-1]}/{k}", f"retrained/{k}"
    arguments = {
        "town": config.town_train,
        "car": config.car,
        "iterations": max(1, config.iterations // 2),
        "seed": config.seed + k,
    }
    title = f"AIRL's reward teaches the other car, seed {k}"
    weight = 0.4 * config.iterations
    teach = Job(model, title, _JOBS + "retrain", arguments, (source,), weight)
    title = f"it drives the other car, seed {k}"
    return [teach, Job(f"moved/retrained/{k}", title, _JOBS + "test", other, (model,), weight=4)]
