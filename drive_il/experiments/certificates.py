"""The certificates that come with the project, made by one command.

Small policies are trained on the state vector at an equal budget of expert labels (GAIL practises
beside it, asking nobody); the camera policies of the leaderboard, plain and augmented, come as
they are. Each is certified on the same drives in a town that none has seen.
`docs/certificates.md` reads them.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

import drive_il
from drive_il.experiments import certify
from drive_il.experiments.jobs import Job
from drive_il.experiments.reproduction import decisive, farewell, run_all, timing

_JOBS = "drive_il.experiments.certificates_jobs:"
MODELS = Path(drive_il.__file__).parents[1] / "leaderboard" / "models"
TRAINED = ("bc", "bc_log_loss", "dagger", "safe_dagger", "hg_dagger", "gail")
"""learners that are trained here, on the state vector"""
SHIPPED = {"bc_camera": "bc", "bc_camera_augmented": "bc_augmented"}
"""camera policies of the leaderboard: name -> its folder there"""
_NOT_BEHIND_TRAINING = (
    "cli",
    "speed",
    "theory",
    "evaluation",
    "experiments/narration",
    "experiments/reproduction",
    "experiments/certificates.py",
    "experiments/certificates_report",
    "experiments/certify",
    "experiments/regimes",
    "experiments/covariate_shift",
    "experiments/alvinn",
)


@dataclass(frozen=True)
class Config:
    """Who is trained and certified."""

    routes: Path = Path("routes/birch_test.xml")
    """what is driven for the certificates"""
    town_train: str = "alder"
    """where the expert is recorded and learners drive"""
    who: tuple[str, ...] = ("expert", *TRAINED, *SHIPPED)
    """whose certificates are made"""
    labels: int = 6000
    """expert labels that each trained learner may use"""
    rounds: int = 5
    """rounds of interactive learners, the demonstrations' included"""
    gradient_steps: int = 2500
    """of each trained learner in all, 128 frames each"""
    iterations: int = 40
    """of GAIL, 8192 steps of practice each, which cost no label"""
    models: Path | None = None
    """folder of models trained before, by name: those in it are not trained again"""
    drives: int = 60
    """drives of each certificate"""
    horizon: int = 400
    """steps T of each drive, 20 a second"""
    forks: int = 300
    """forks of each certificate"""
    seed: int = 0
    """of everything random"""
    workers: int = 2
    """processes; changes the time, never the numbers"""
    out: Path = Path("runs/certificates")
    """folder of everything that is written"""

    def __post_init__(self) -> None:
        unknown = [name for name in self.who if name not in ("expert", *TRAINED, *SHIPPED)]
        if unknown or not self.who:
            known = ", ".join(("expert", *TRAINED, *SHIPPED))
            raise ValueError(f"who must be of {known}, got {self.who}")
        for name in ("labels", "rounds", "gradient_steps", "iterations", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def facts(self) -> dict[str, Any]:
        """Returns what decides the numbers, as JSON."""
        return decisive(self)

    @property
    def untrained(self) -> list[str]:
        """Who is trained here."""
        known = self.models
        return [
            name
            for name in TRAINED
            if name in self.who and not (known is not None and (known / name).is_dir())
        ]

    def model(self, name: str) -> Path:
        """Returns the folder of a policy."""
        if name in SHIPPED:
            return MODELS / SHIPPED[name]
        if name in self.untrained or self.models is None:
            return self.out / "models" / name
        return self.models / name

    def certificate(self, name: str) -> certify.Config:
        """Returns how one of them is made."""
        return certify.Config(
            routes=self.routes,
            who="expert" if name == "expert" else str(self.model(name)),
            drives=self.drives,
            horizon=self.horizon,
            forks=self.forks,
            seed=self.seed,
            workers=self.workers,
            out=self.out / name,
        )


def reproduce(config: Config, console: Console | None = None) -> Path:
    """Trains, certifies, and writes a page of all and one of each.

    Args:
        config: what.
        console: where progress is shown; stdout when not given.

    Returns:
        The page of all.

    Raises:
        ValueError: bad routes, or an unknown town.
        RuntimeError: a step failed.
    """
    from drive_il.evaluation.results import provenance, write_json
    from drive_il.experiments import certificates_report as report

    console, start = console or Console(), time.monotonic()
    training = training_jobs(config)
    folders = run_all(training, config.out, config.workers, console, _NOT_BEHIND_TRAINING)
    for job in training:
        if job.name.startswith("model/"):
            _export(folders[job.name] / "model", config.out / "models" / job.name.split("/")[1])
    plans = {name: certify.plan(config.certificate(name), f"{name}/") for name in config.who}
    jobs = list({job.name: job for plan in plans.values() for job in plan}.values())
    console.print(f"certificates of {', '.join(config.who)}", highlight=False)
    made = run_all(jobs, config.out, config.workers, console, certify.NOT_BEHIND_RESULTS)
    certificates = {}
    for name, plan in plans.items():
        one = config.certificate(name)
        one.out.mkdir(parents=True, exist_ok=True)
        _, stored = certify.finish(one, {job.name: made[job.name] for job in plan}, name)
        certificates[name] = stored
    result = report.summary(certificates) | provenance(config.seed, config.facts())
    write_json(result, config.out / "results.json")
    page = report.write(certificates, result, config.out)
    total = timing([*training, *jobs], {**folders, **made})["total"]
    farewell(console, page, report.table(certificates), (), time.monotonic() - start, total)
    return page


def training_jobs(config: Config) -> list[Job]:
    """Returns the jobs that train those who are asked for."""
    wanted = config.untrained
    common = {"town": config.town_train, "labels": config.labels, "seed": config.seed}
    jobs = [Job("demonstrations", "recording the expert", _JOBS + "demonstrations", common, (), 20)]
    for name in wanted:
        arguments = common | {"learner": name, "gradient_steps": config.gradient_steps}
        if name == "gail":
            arguments["iterations"] = config.iterations
        elif not name.startswith("bc"):
            arguments["rounds"] = config.rounds
        title, needs = f"training {name}", ("demonstrations",)
        weight = {"hg_dagger": 200, "gail": 300}.get(name, 60)
        jobs.append(Job(f"model/{name}", title, _JOBS + "train", arguments, needs, weight))
    return jobs if wanted else []


def _export(source: Path, target: Path) -> None:
    """Copies a model folder where it has a name a person can type."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
