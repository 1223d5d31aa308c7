"""Query efficiency: how much success an expert's label buys, by who decides when to ask.

Every learner begins with the same demonstrations and asks for the rest in its own way;
each look at the expert counts. `docs/query_efficiency.md` tells the whole story; the jobs
are in `query_efficiency_jobs`, the numbers in `query_efficiency_numbers`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from drive_il.experiments.jobs import Job
from drive_il.experiments.observations import OBSERVATIONS
from drive_il.experiments.reproduction import announce, decisive, farewell, keep, run_all

_JOBS = "drive_il.experiments.query_efficiency_jobs:"
INTERACTIVE: dict[str, tuple[str, dict[str, Any]]] = {
    "dagger": ("dagger", {}),
    "safe_dagger": ("safe_dagger", {}),
    "safe_dagger_oracle": ("safe_dagger", {"oracle": True}),
    "hg_dagger": ("hg_dagger", {}),
    "ensemble_dagger": ("ensemble_dagger", {}),
    "lazy_dagger": ("lazy_dagger", {}),
    "thrifty_dagger": ("thrifty_dagger", {}),
    "confidence_based": ("confidence_based", {}),
    "dart": ("dart", {}),
    "stagger": ("stagger", {}),
}
"""Name in the comparison -> module of the learner, and what differs from its Config"""
_ENSEMBLES = ("hg_dagger", "ensemble_dagger", "thrifty_dagger")
_NOT_BEHIND_RESULTS = (
    "cli",
    "speed",
    "experiments/narration",
    "experiments/query_efficiency_report",
    "experiments/query_efficiency_numbers",
    "experiments/covariate_shift",
)


@dataclass(frozen=True)
class Config:
    """What is reproduced."""

    town_train: str = "alder"
    """where the expert is recorded and the learners drive and are validated"""
    town_test: str = "birch"
    """a town that no learner has seen"""
    learners: tuple[str, ...] = ("bc", *INTERACTIVE)
    """who is compared"""
    observation: str = "state"
    """state, vectors or camera"""
    seeds: int = 3
    """training seeds; --full makes it at least 10"""
    full: bool = False
    """at least 10 training seeds"""
    seed: int = 0
    """of everything random"""
    labels: int = 12_000
    """expert labels that each learner may use"""
    warm: int = 2_000
    """labels of the demonstrations that every learner begins with"""
    rounds: int = 6
    """rounds, the demonstrations' included"""
    gradient_steps: int = 800
    """of each round, 128 frames each; behaviour cloning takes as many in all"""
    set_off: float = 0.55
    """throttle at least of who stands and says to go, since a third of it moves no car"""
    traffic: float = 0.5
    """share of normal traffic"""
    drives: int = 24
    """test drives per town"""
    validation: int = 16
    """validation drives of each iterate"""
    workers: int = 2
    """processes; changes the time, never the numbers"""
    out: Path = Path("runs/query-efficiency")
    """folder of everything that is written"""

    def __post_init__(self) -> None:
        for name in ("seeds", "warm", "gradient_steps", "drives", "validation", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.rounds < 2:
            raise ValueError(f"rounds must be at least 2, got {self.rounds}")
        if self.labels <= self.warm:
            raise ValueError(
                f"labels must be more than the {self.warm} of the demonstrations (warm), "
                f"got {self.labels}"
            )
        if not 0 <= self.set_off <= 1:
            raise ValueError(f"set_off must be in [0, 1], got {self.set_off}")
        if not self.traffic >= 0:
            raise ValueError(f"traffic must not be negative, got {self.traffic}")
        if self.observation not in OBSERVATIONS:
            raise ValueError(
                f"observation must be one of {', '.join(OBSERVATIONS)}, got {self.observation!r}"
            )
        known = ("bc", *INTERACTIVE)
        unknown = [name for name in self.learners if name not in known]
        if unknown or not self.learners:
            raise ValueError(f"learners must be of {', '.join(known)}, got {self.learners}")

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
        """Labels at which a learner that uses its whole budget closes its rounds."""
        more = (self.labels - self.warm) / (self.rounds - 1)
        return [round(self.warm + k * more) for k in range(self.rounds)]

    def facts(self) -> dict[str, Any]:
        """Returns what decides the numbers, as JSON."""
        return decisive(self) | {"seeds": self.n_seeds, "learners": list(self.learners)}


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
        f"Query efficiency: {len(config.learners)} learners, at most {config.labels:,} expert "
        f"labels each, learn in {config.town_train} and drive in {' and '.join(config.towns)}.",
        config.towns,
    )

    from drive_il.evaluation.results import provenance
    from drive_il.experiments import query_efficiency_numbers as numbers
    from drive_il.experiments import query_efficiency_report as report

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
    test = {"n": config.drives, "share": config.traffic, "seed": config.seed}
    jobs = [
        Job(
            f"expert/{town}",
            f"the expert drives {config.drives} times in {town}",
            _JOBS + "test_expert",
            {"town": town, **test},
            weight=4,
        )
        for town in config.towns
    ]
    for k in range(config.n_seeds):
        data = f"demonstrations/{k}"
        seen = {"observation": config.observation, "seed": config.seed + k}
        common = {"set_off": config.set_off, **seen}
        arguments = {
            "town": config.town_train,
            "labels": config.labels,
            "share": config.traffic,
            **seen,
        }
        title = f"recording the expert, seed {k}"
        jobs.append(Job(data, title, _JOBS + "demonstrations", arguments, weight=5))
        for name in config.learners:
            jobs.append(_training(config, name, k, common))
            for town in config.towns:
                title = f"{name} drives in {town}, seed {k}"
                needs = (f"model/{name}/{k}",)
                job = f"test/{name}/{town}/{k}"
                arguments = {"town": town, **test}
                jobs.append(Job(job, title, _JOBS + "test", arguments, needs, 12))
    return jobs


def _training(config: Config, name: str, k: int, common: dict[str, Any]) -> Job:
    needs, title, job = (f"demonstrations/{k}",), f"training {name}, seed {k}", f"model/{name}/{k}"
    if name == "bc":
        steps = [config.gradient_steps * (i + 1) for i in range(config.rounds)]
        arguments = {"counts": config.counts, "gradient_steps": steps, **common}
        return Job(job, title, _JOBS + "clone", arguments, needs, 30)
    module, options = INTERACTIVE[name]
    if module == "stagger":
        per_round = (config.labels - config.warm) // (config.rounds - 1)
        options = options | {"labels_per_round": max(1, per_round // 10)}
    arguments = {
        "town": config.town_train,
        "learner": module,
        "warm": config.warm,
        "rounds": {
            "n_rounds": config.rounds,
            "label_budget": config.labels,
            "gradient_steps": config.gradient_steps,
            "n_validation": config.validation,
        },
        "options": options,
        "share": config.traffic,
        **common,
    }
    weight = 60 if module in _ENSEMBLES else 25
    return Job(job, title, _JOBS + "train", arguments, needs, weight)
