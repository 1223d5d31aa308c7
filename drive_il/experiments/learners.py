"""All learners on the same routes, in the same traffic, with the same number of labels.

`docs/learners.md` tells who they are and what is measured; who takes part stands in
`learners_table`, the jobs in `learners_jobs`, the numbers in `learners_numbers`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from drive_il.experiments.jobs import Job
from drive_il.experiments.learners_table import LEARNERS, learners_for
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
class Form:
    """What a comparison is where nothing else is asked for.

    Attributes:
        seeds: of the training.
        labels: expert labels that each learner may use.
        gradient_steps: of each learner, 128 frames each.
        every: of the states that are labelled one in so many is kept.
        before_failure: steps before a failure in a round of which more are kept.
        episode_steps: length of a drive of a round, 20 a second.
        traffic: share of normal traffic.
        target_point: all see the next far waypoint.
        standing: all see for how long they have stood, and whether at their stop sign.
        set_off: throttle at least of who stands and says to go.
        unsafe_share: of round one's held-out labels that a safety net's tau calls unsafe; 0: the
            paper's tau.
    """

    seeds: int = 3
    labels: int = 8_000
    gradient_steps: int = 2_000
    every: int = 1
    before_failure: int = 0
    episode_steps: int = 100
    traffic: float = 0.5
    target_point: bool = False
    standing: bool = False
    set_off: float = 0.55
    unsafe_share: float = 0.0


FORMS = {
    "state": Form(),
    "vectors": Form(),
    "birdview": Form(every=5),
    "camera": Form(
        seeds=1,
        labels=24_000,
        gradient_steps=6_000,
        every=10,
        before_failure=60,
        episode_steps=400,
        traffic=1.0,
        target_point=True,
        standing=True,
        unsafe_share=0.2,
    ),
}
"""By observation. Neighbouring pictures look alike; a road user in one is learnt from many, on
drives long enough to meet him; a picture says neither where to go at a junction nor who has halted
there already."""


@dataclass(frozen=True)
class Config:
    """What is reproduced. What is not given is as the observation's form has it (`FORMS`)."""

    town_train: str = "alder"
    """where the expert is recorded and the learners drive and are validated"""
    town_test: str = "birch"
    """a town that no learner has seen"""
    learners: tuple[str, ...] = ()
    """who is compared; all by default, the six main ones from the camera"""
    observation: str = "state"
    """state, vectors, birdview or camera"""
    target_point: bool | None = None
    """all see the next far waypoint, too, not only those who cannot do without; by default
    from the camera"""
    standing: bool | None = None
    """all see for how long they have stood, and whether at their stop sign, too; by default from
    the camera"""
    set_off: float | None = None
    """throttle at least of who stands and says to go, since a third of it moves no car; by default
    0.55"""
    unsafe_share: float | None = None
    """share of the held-out labels of round one that is unsafe to safety nets, which fixes their
    tau; by default 0.2 from the camera, where clones err seldom by the paper's 0.0025, which holds
    otherwise (0)"""
    seeds: int | None = None
    """training seeds; by default three, and one from the camera; --full makes it at least 10"""
    full: bool = False
    """at least 10 training seeds"""
    seed: int = 0
    """of everything random"""
    labels: int | None = None
    """expert labels that each learner may use; by default 24,000 from the camera, else 8,000"""
    warm: float = 0.2
    """share of them that are demonstrations for those who ask for the rest"""
    every: int | None = None
    """of the states that are labelled one in so many is kept, and counts; by default one in ten
    from the camera and in five from above, where neighbours look alike, otherwise each"""
    before_failure: int | None = None
    """of the last so many steps before something goes wrong in a round five times as many labels
    are kept; by default 60 from the camera, otherwise 0"""
    rounds: int = 6
    """rounds, the demonstrations' included"""
    episode_steps: int | None = None
    """length of a drive of a round, 20 a second; by default 400 from the camera, otherwise 100"""
    gradient_steps: int | None = None
    """of each learner, 128 frames each; half of them are the last round's; by default 6,000 from
    the camera, otherwise 2,000"""
    traffic: float | None = None
    """share of normal traffic; by default all of it from the camera, otherwise half"""
    drives: int = 24
    """test drives per town"""
    validation: int = 12
    """validation drives of each iterate"""
    workers: int = 2
    """processes; changes the time, never the numbers"""
    out: Path = Path("runs/learners")
    """folder of everything that is written"""

    def __post_init__(self) -> None:
        if self.observation not in FORMS:
            raise ValueError(
                f"observation must be one of {', '.join(FORMS)}, got {self.observation!r}"
            )
        form = self.form
        for name in ("drives", "validation", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("seeds", "labels", "every", "episode_steps"):
            if getattr(form, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(form, name)}")
        if self.rounds < 2:
            raise ValueError(f"rounds must be at least 2, got {self.rounds}")
        if not 0 < self.warm < 1:
            raise ValueError(f"warm must be in (0, 1), got {self.warm}")
        if not 1 <= self.n_warm < form.labels:
            raise ValueError(
                f"{self.warm} of {form.labels} labels are {self.n_warm} of demonstrations; there "
                "must be at least 1, and some left to ask for"
            )
        if form.gradient_steps < self.rounds:
            raise ValueError(
                f"gradient_steps must be at least one for each of {self.rounds} rounds, got "
                f"{form.gradient_steps}"
            )
        if form.before_failure < 0:
            raise ValueError(f"before_failure must not be negative, got {form.before_failure}")
        if not form.traffic >= 0:
            raise ValueError(f"traffic must not be negative, got {form.traffic}")
        if not 0 <= form.set_off <= 1:
            raise ValueError(f"set_off must be in [0, 1], got {form.set_off}")
        if not 0 <= form.unsafe_share < 1:
            raise ValueError(f"unsafe_share must be in [0, 1), got {form.unsafe_share}")
        for name in self.learners:
            self._check_learner(name)

    def _check_learner(self, name: str) -> None:
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
        if LEARNERS[name].each_label and self.form.every != 1:
            raise ValueError(
                f"{name} pays for each look at the expert, or asks for single labels; compare "
                f"it with --every 1, got {self.form.every}"
            )

    @property
    def form(self) -> Form:
        """What is asked for, and for the rest what `FORMS` has."""
        asked = {one.name: getattr(self, one.name) for one in fields(Form)}
        form = replace(FORMS[self.observation], **{k: v for k, v in asked.items() if v is not None})
        return replace(form, seeds=max(form.seeds, 10)) if self.full else form

    @property
    def n_warm(self) -> int:
        """Labels of the demonstrations that those begin with who ask for the rest."""
        return round(self.warm * self.form.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Who is compared."""
        return self.learners or learners_for(self.observation, self.form.every)

    @property
    def towns(self) -> tuple[str, ...]:
        """Where learners are tested."""
        return tuple(dict.fromkeys((self.town_train, self.town_test)))

    def facts(self) -> dict[str, Any]:
        """Returns what decides the numbers, as JSON."""
        return decisive(self) | asdict(self.form) | {"learners": list(self.names)}


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
    console, start, form = console or Console(), time.monotonic(), config.form
    announce(
        console,
        f"Learners: {len(config.names)} of them, at most {form.labels:,} expert labels each, "
        f"learn in {config.town_train} from {config.observation} and drive in "
        f"{' and '.join(config.towns)}; {form.seeds} seeds.",
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
    form = config.form
    measured = {"n": config.drives, "share": form.traffic, "seed": config.seed}
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
    slow = 8.0 if config.observation in ("camera", "birdview") else 1.0
    for k in range(form.seeds):
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
    form = config.form
    arguments = {
        "town": config.town_train,
        "labels": form.labels,
        "every": form.every,
        "share": form.traffic,
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
    entry, form = LEARNERS[name], config.form
    arguments = {
        "town": config.town_train,
        "learner": name,
        "budget": {
            "labels": form.labels,
            "warm": config.n_warm,
            "every": form.every,
            "before_failure": form.before_failure,
            "n_rounds": config.rounds,
            "episode_steps": form.episode_steps,
            "gradient_steps": form.gradient_steps,
            "set_off": form.set_off,
            "unsafe_share": form.unsafe_share,
            "n_validation": config.validation,
        },
        "observation": config.observation,
        "shown": {name: getattr(form, name) for name in ("target_point", "standing")},
        "share": form.traffic,
        "seed": config.seed + k,
    }
    needs = (_data(entry.noise, k),)
    title = f"training {name}, seed {k}"
    return Job(f"model/{name}/{k}", title, entry.train, arguments, needs, slow * entry.weight)
