"""Covariate shift: how the cost of an imitation learner grows with the horizon.

Behaviour cloning is trained where the expert drives and tested where its own errors lead
it; DAgger is trained there too. At an equal budget of expert labels, what does that do to
the cost over T steps? `docs/covariate_shift.md` tells the whole story; the jobs are in
`covariate_shift_jobs`, the numbers in `covariate_shift_numbers`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from drive_il.experiments.jobs import Job
from drive_il.experiments.reproduction import announce, decisive, farewell, keep, run_all
from drive_il.worlds import WorldChoice

LEARNERS = ("alvinn", "bc", "bc_augmented", "dagger")
FORMS = ("own_pedals", "steering_only")
DAGGER_ROUNDS = 10
_JOBS = "drive_il.experiments.covariate_shift_jobs:"
_NOT_BEHIND_RESULTS = (
    "cli",
    "speed",
    "experiments/narration",
    "experiments/covariate_shift_report",
    "experiments/covariate_shift_figures",
    "experiments/covariate_shift_numbers",
    "experiments/query_efficiency",
)


@dataclass(frozen=True)
class Config:
    """What is reproduced."""

    town_train: str = "alder"
    """where the expert is recorded and DAgger drives"""
    town_test: str = "birch"
    """a town that no learner has seen"""
    seeds: int = 1
    """training seeds; the default of --full is 5"""
    full: bool = False
    """at least 5 training seeds, and intervals over seeds and episodes"""
    seed: int = 0
    """of everything random"""
    labels: int = 20_000
    """expert labels that each learner may use"""
    every: int = 4
    """of the states that are labelled one in so many is kept, and counts: neighbours look alike"""
    episodes: int = 60
    """paired drives per town; the bootstrap draws these"""
    horizons: tuple[int, ...] = (25, 35, 50, 71, 100, 141, 200, 283, 400, 566, 800)
    """steps T, 20 a second; prefixes of one rollout of the longest"""
    gradient_steps: int = 2500
    """of each camera learner, 128 frames each"""
    forks: int = 48
    """forks per learner and town that u is measured by; on CARLA, which cannot fork, none"""
    workers: int = 2
    """processes; changes the time, never the numbers"""
    out: Path = Path("runs/covariate-shift")
    """folder of everything that is written"""
    where: WorldChoice = WorldChoice()
    """the world, and the CARLA servers"""

    def __post_init__(self) -> None:
        for name in ("seeds", "labels", "every", "episodes", "gradient_steps", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.gradient_steps <= DAGGER_ROUNDS:
            raise ValueError(
                f"gradient_steps must be more than DAgger's {DAGGER_ROUNDS} rounds, got "
                f"{self.gradient_steps}"
            )
        if self.forks < 0:
            raise ValueError(f"forks must not be negative, got {self.forks}")
        ordered = tuple(sorted(set(self.horizons)))
        if not self.horizons or ordered != tuple(self.horizons) or self.horizons[0] < 1:
            raise ValueError(f"horizons must increase from 1 or more, got {self.horizons}")

    @property
    def n_seeds(self) -> int:
        """Training seeds."""
        return max(self.seeds, 5) if self.full else self.seeds

    @property
    def towns(self) -> tuple[str, ...]:
        """Where learners are tested."""
        return tuple(dict.fromkeys((self.town_train, self.town_test)))

    def facts(self) -> dict[str, Any]:
        """Returns what decides the numbers, as JSON."""
        facts = decisive(self)
        del facts["where"]
        facts |= {"seeds": self.n_seeds, "horizons": list(self.horizons), "forks": self.n_forks}
        return facts | ({"world": self.where.world} if self.where.is_carla else {})

    @property
    def n_forks(self) -> int:
        """Forks per learner and town."""
        return 0 if self.where.is_carla else self.forks


def reproduce(config: Config, console: Console | None = None) -> Path:
    """Runs what is missing, and writes results.json, the figure and the page.

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
        f"Covariate shift: {', '.join(LEARNERS)} learn in {config.town_train} from "
        f"{config.labels:,} expert labels each and drive in {' and '.join(config.towns)}.",
        config.towns,
    )
    if config.where.is_carla:
        console.print("On CARLA servers, which cannot be forked: u is not measured.")

    from drive_il.evaluation.results import provenance
    from drive_il.experiments import covariate_shift_numbers as numbers
    from drive_il.experiments import covariate_shift_report as report

    jobs = plan(config)
    folders = run_all(jobs, config.out, config.workers, console, _NOT_BEHIND_RESULTS)
    result = numbers.analyse(config, folders)
    result |= provenance(config.seed, config.facts())
    stored, total = keep(result, jobs, folders, config.out)
    page = report.write(stored, folders, config.out)
    took = time.monotonic() - start
    farewell(console, page, report.table(stored), [report.verdict(stored)], took, total)
    return page


def plan(config: Config) -> list[Job]:
    """Returns all jobs, those that are needed before those that need them."""
    horizon, where = config.horizons[-1], {"where": asdict(config.where)}
    drives = {"n": config.episodes, "horizon": horizon, "seed": config.seed, **where}
    jobs = [
        Job(
            f"expert/{town}",
            f"the expert drives {config.episodes} times in {town}",
            _JOBS + "expert_drives",
            {"town": town, **drives},
            weight=6,
        )
        for town in config.towns
    ]
    jobs += [
        Job(
            f"tolerance/{town}",
            f"how wrong the expert may steer in {town}",
            _JOBS + "tolerance",
            {"town": town, "horizon": horizon, **where},
            needs=(f"expert/{town}",),
            weight=10,
        )
        for town in config.towns
    ]
    for k in range(config.n_seeds):
        jobs += _training(config, k)
        jobs += _testing(config, k)
    return jobs


def _training(config: Config, k: int) -> list[Job]:
    common: dict[str, Any] = {"town": config.town_train, "labels": config.labels}
    common |= {"every": config.every, "seed": config.seed + k, "where": asdict(config.where)}
    data = f"demonstrations/{k}"
    jobs = [Job(data, "recording the expert", _JOBS + "demonstrations", common, weight=40)]
    for learner, weight in (("bc_augmented", 260), ("dagger", 200), ("bc", 155), ("alvinn", 50)):
        arguments = common | {"learner": learner, "gradient_steps": config.gradient_steps}
        title = f"training {learner}" + (f", seed {k}" if config.n_seeds > 1 else "")
        name = f"model/{learner}/{k}"
        jobs.append(Job(name, title, _JOBS + "train", arguments, (data,), weight))
    return jobs


def _testing(config: Config, k: int) -> list[Job]:
    jobs = []
    tag = f", seed {k}" if config.n_seeds > 1 else ""
    for learner in LEARNERS:
        model = f"model/{learner}/{k}"
        for town in config.towns:
            expert = f"expert/{town}"
            at: dict[str, Any] = {"town": town, "learner": learner, "horizon": config.horizons[-1]}
            arguments = at | {"where": asdict(config.where)}
            for form in forms(learner):
                name = f"drives/{learner}/{town}/{form}/{k}"
                title = f"{learner} drives in {town}, {form.replace('_', ' ')}{tag}"
                job = {**arguments, "form": form}
                jobs.append(Job(name, title, _JOBS + "learner_drives", job, (model, expert), 14))
            name = f"proposals/{learner}/{town}/{k}"
            title = f"{learner} beside the expert in {town}{tag}"
            jobs.append(Job(name, title, _JOBS + "proposals", arguments, (model, expert), 6))
            name = f"forks/{learner}/{town}/{k}"
            needs = (
                f"drives/{learner}/{town}/{forms(learner)[0]}/{k}",
                expert,
                f"tolerance/{town}",
            )
            job = {**at, "n": config.n_forks, "seed": config.seed + k}
            title = f"forking {learner} in {town}{tag}"
            jobs.append(Job(name, title, _JOBS + "forks", job, needs, 3))
    return jobs


def forms(learner: str) -> tuple[str, ...]:
    """Returns the forms a learner is driven in: ALVINN only steers."""
    return FORMS[1:] if learner == "alvinn" else FORMS
