"""All learners on the same routes, in the same traffic, with the same number of labels.

`docs/learners.md` tells who they are and what is measured; who takes part stands in
`learners_table`, the jobs in `learners_jobs`, the numbers in `learners_numbers`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from drive_il.experiments.jobs import Job
from drive_il.experiments.learners_table import LEARNERS, learners_for
from drive_il.experiments.observations import OBSERVATIONS
from drive_il.experiments.reproduction import announce, decisive, farewell, keep, run_all

_JOBS = "drive_il.experiments.learners_jobs:"
_NOT_BEHIND_RESULTS = (
    "cli",
    "speed",
    "experiments/narration",
    "experiments/learners_report",
    "experiments/learners_numbers",
    "experiments/covariate_shift",
    "experiments/alvinn",
)


@dataclass(frozen=True)
class Config:
    """What is reproduced."""

    town_train: str = "alder"
    """where the expert is recorded and the learners drive and are validated"""
    town_test: str = "birch"
    """a town that no learner has seen"""
    learners: tuple[str, ...] = ()
    """who is compared; all by default, the six main ones from the camera"""
    observation: str = "state"
    """state, vectors, birdview or camera"""
    target_point: bool = False
    """all see the next far waypoint, too, not only those who cannot do without"""
    seeds: int = 0
    """training seeds; 0: three, and one from the camera; --full makes it at least 10"""
    full: bool = False
    """at least 10 training seeds"""
    seed: int = 0
    """of everything random"""
    labels: int = 0
    """expert labels that each learner may use; 0: 24,000 from the camera, otherwise 8,000"""
    warm: float = 0.2
    """share of them that are demonstrations for those who ask for the rest"""
    every: int = 0
    """of the states that are labelled one in so many is kept, and counts; 0: one in five from
    camera and bird's-eye view, where neighbours look alike, otherwise each"""
    rounds: int = 6
    """rounds, the demonstrations' included"""
    episode_steps: int = 0
    """length of a drive of a round, 20 a second; 0: 100"""
    gradient_steps: int = 0
    """of each learner, 128 frames each; half of them are the last round's; 0: 6,000 from
    the camera, otherwise 2,000"""
    traffic: float = 0.5
    """share of normal traffic"""
    drives: int = 24
    """test drives per town"""
    validation: int = 12
    """validation drives of each iterate"""
    workers: int = 2
    """processes; changes the time, never the numbers"""
    out: Path = Path("runs/learners")
    """folder of everything that is written"""

    def __post_init__(self) -> None:
        for name in ("drives", "validation", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("seeds", "labels", "every", "episode_steps", "gradient_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.rounds < 2:
            raise ValueError(f"rounds must be at least 2, got {self.rounds}")
        if not 0 < self.warm < 1:
            raise ValueError(f"warm must be in (0, 1), got {self.warm}")
        if not 1 <= self.n_warm < self.n_labels:
            raise ValueError(
                f"{self.warm} of {self.n_labels} labels are {self.n_warm} of demonstrations; there "
                "must be at least 1, and some left to ask for"
            )
        if self.n_steps < self.rounds:
            raise ValueError(
                f"gradient_steps must be at least one for each of {self.rounds} rounds, got "
                f"{self.n_steps}"
            )
        if not self.traffic >= 0:
            raise ValueError(f"traffic must not be negative, got {self.traffic}")
        if self.observation not in OBSERVATIONS:
            raise ValueError(
                f"observation must be one of {', '.join(OBSERVATIONS)}, got {self.observation!r}"
            )
        for name in self.learners:
            if name not in LEARNERS:
                raise ValueError(f"learners must be of {', '.join(LEARNERS)}, got {name!r}")
            if LEARNERS[name].pictures and self.observation != "camera":
                raise ValueError(
                    f"{name} moves the camera; compare it with --observation camera, got "
                    f"{self.observation!r}"
                )
            if LEARNERS[name].vectors and self.observation not in ("state", "vectors"):
                raise ValueError(
                    f"{name} compares vectors; compare it with --observation state or vectors, got "
                    f"{self.observation!r}"
                )
            if LEARNERS[name].each_label and self.one_in != 1:
                raise ValueError(
                    f"{name} pays for each look at the expert, or asks for single labels; compare "
                    f"it with --every 1, got {self.one_in}"
                )

    @property
    def n_seeds(self) -> int:
        """Training seeds."""
        wanted = self.seeds or (1 if self.observation == "camera" else 3)
        return max(wanted, 10) if self.full else wanted

    @property
    def n_labels(self) -> int:
        """Expert labels that each learner may use."""
        return self.labels or (24_000 if self.observation == "camera" else 8_000)

    @property
    def n_warm(self) -> int:
        """Labels of the demonstrations that those begin with who ask for the rest."""
        return round(self.warm * self.n_labels)

    @property
    def n_steps(self) -> int:
        """Gradient steps of each learner."""
        return self.gradient_steps or (6_000 if self.observation == "camera" else 2_000)

    @property
    def sees_pictures(self) -> bool:
        """Whether it sees pixels, from the camera or from above: neighbouring states look alike."""
        return self.observation in ("camera", "birdview")

    @property
    def one_in(self) -> int:
        """Of so many labels one is kept."""
        return self.every or (5 if self.sees_pictures else 1)

    @property
    def names(self) -> tuple[str, ...]:
        """Who is compared."""
        return self.learners or learners_for(self.observation, self.one_in)

    @property
    def towns(self) -> tuple[str, ...]:
        """Where learners are tested."""
        return tuple(dict.fromkeys((self.town_train, self.town_test)))

    def facts(self) -> dict[str, Any]:
        """Returns what decides the numbers, as JSON."""
        learners = list(self.names)
        return decisive(self) | {
            "seeds": self.n_seeds,
            "labels": self.n_labels,
            "every": self.one_in,
            "gradient_steps": self.n_steps,
            "learners": learners,
        }


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
        f"Learners: {len(config.names)} of them, at most {config.n_labels:,} expert labels each, "
        f"learn in {config.town_train} from {config.observation} and drive in "
        f"{' and '.join(config.towns)}; {config.n_seeds} seeds.",
        config.towns,
    )

    from drive_il.evaluation.results import provenance
    from drive_il.experiments import learners_numbers as numbers
    from drive_il.experiments import learners_report as report

    jobs = plan(config)
    folders = run_all(jobs, config.out, config.workers, console, _NOT_BEHIND_RESULTS)
    result = numbers.analyse(config, folders)
    result |= provenance(config.seed, config.facts())
    stored, total = keep(result, jobs, folders, config.out)
    page = report.write(stored, numbers.training_times(config, folders), config.out)
    took = time.monotonic() - start
    farewell(console, page, report.table(stored), [report.verdict(stored)], took, total)
    return page


def plan(config: Config) -> list[Job]:
    """Returns all jobs, those that are needed before those that need them."""
    measured = {"n": config.drives, "share": config.traffic, "seed": config.seed}
    jobs = [
        Job(
            f"expert/{town}",
            f"the expert drives {config.drives} times in {town}",
            _JOBS + "expert_drives",
            {"town": town, **measured},
            weight=8,
        )
        for town in config.towns
    ]
    kinds = {LEARNERS[name].noise for name in config.names}
    slow = 8.0 if config.sees_pictures else 1.0
    for k in range(config.n_seeds):
        for noise in sorted(kinds):
            jobs.append(_recording(config, noise, k))
        for name in config.names:
            jobs.append(_training(config, name, k, slow))
            for town in config.towns:
                title = f"{name} drives in {town}, seed {k}"
                needs = (f"model/{name}/{k}", f"expert/{town}")
                arguments = {"town": town, "seed": config.seed}
                job = f"test/{name}/{town}/{k}"
                jobs.append(Job(job, title, _JOBS + "test", arguments, needs, 8 + slow))
    return jobs


def _recording(config: Config, noise: bool, k: int) -> Job:
    arguments = {
        "town": config.town_train,
        "labels": config.n_labels,
        "every": config.one_in,
        "share": config.traffic,
        "observation": config.observation,
        "noise": noise,
        "seed": config.seed + k,
    }
    pushed = " with pushes on the steer" if noise else ""
    title = f"recording the expert{pushed}, seed {k}"
    return Job(_data(noise, k), title, _JOBS + "demonstrations", arguments, weight=6)


def _data(noise: bool, k: int) -> str:
    return f"{'noisy' if noise else 'demonstrations'}/{k}"


def _training(config: Config, name: str, k: int, slow: float) -> Job:
    entry = LEARNERS[name]
    arguments = {
        "town": config.town_train,
        "learner": name,
        "budget": {
            "labels": config.n_labels,
            "warm": config.n_warm,
            "every": config.one_in,
            "n_rounds": config.rounds,
            "episode_steps": config.episode_steps,
            "gradient_steps": config.n_steps,
            "n_validation": config.validation,
        },
        "observation": config.observation,
        "target_point": config.target_point,
        "share": config.traffic,
        "seed": config.seed + k,
    }
    needs = (_data(entry.noise, k),)
    title = f"training {name}, seed {k}"
    return Job(f"model/{name}/{k}", title, entry.train, arguments, needs, slow * entry.weight)
