"""A certificate of compounding error: what theory promises of a policy, and what the road shows.

Who is certified drives, and answers while the expert drives; every state of both is labelled.
Then the world is forked where it errs: its action once, the expert to the horizon, beside the
expert all the way under the same noise. `docs/certificates.md` tells how to read the page;
the jobs are in `certify_jobs`, `certify_handovers` and `certify_forks`, the numbers in
`certify_numbers`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from drive_il.experiments.jobs import Job
from drive_il.experiments.reproduction import decisive, farewell, run_all, timing

if TYPE_CHECKING:
    from drive_il.entry import Entry

_JOBS = "drive_il.experiments.certify_jobs:"
_FORKS = "drive_il.experiments.certify_forks:"
_HANDOVERS = "drive_il.experiments.certify_handovers:"
NOT_BEHIND_RESULTS = (
    "cli",
    "speed",
    "experiments/narration",
    "experiments/reproduction",
    "experiments/certificates",
    "experiments/certify_report",
    "experiments/certify_figures",
    "experiments/certify_numbers",
    "experiments/certify.py",
    "experiments/covariate_shift",
    "experiments/query_efficiency",
    "experiments/alvinn",
    "experiments/regimes",
    "experiments/gail",
    "experiments/learners",
)
PART = 32
"""drives of one job"""


@dataclass(frozen=True)
class Config:
    """What is certified."""

    routes: Path
    """route file in CARLA's XML, for example routes/birch_test.xml"""
    who: Annotated[str, tyro.conf.Positional] = ""
    """"expert", or the folder of a trained model; empty with --agent"""
    agent: str = ""
    """file of an agent in CARLA's interface, which cannot be forked: u and k stay unknown"""
    agent_config: str = ""
    """handed to the agent verbatim"""
    track: str = "SENSORS"
    """track of the agent"""
    drives: int = 100
    """drives: all routes in turn, first from their start, then from anywhere"""
    horizon: int = 600
    """steps T of each drive, 20 a second"""
    forks: int = 500
    """forks in all"""
    seed: int = 0
    """of everything random"""
    traffic: int = 0
    """vehicles on the roads of each drive"""
    walkers: int = 0
    """people on its sidewalks and crossings"""
    signals: bool = False
    """lights run and stop signs bind"""
    workers: int = 2
    """processes; changes the time, never the numbers"""
    out: Path = Path("runs/certificate")
    """folder of everything that is written"""

    def __post_init__(self) -> None:
        for name in ("drives", "horizon", "forks", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.horizon < 20:
            raise ValueError(f"horizon must be at least 20 steps (1 s), got {self.horizon}")
        for name in ("traffic", "walkers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if bool(self.who) == bool(self.agent):
            raise ValueError(
                "give either who (expert, or a model folder) or --agent FILE, got "
                f"who={self.who!r} and agent={self.agent!r}"
            )

    @property
    def entry(self) -> Entry:
        """Who drives which routes."""
        from drive_il.entry import POLICY, Entry, Kind

        routes = str(self.routes)
        if self.agent:
            one = Entry(self.agent, routes, self.agent_config, track=self.track, seed=self.seed)
            if one.kind == Kind.EXPERT:
                raise ValueError(f"{self.agent} is privileged, an expert; certify learners")
            return one
        if self.is_expert:
            return Entry("expert", routes, seed=self.seed)
        return Entry(POLICY, routes, self.who, seed=self.seed)

    @property
    def is_expert(self) -> bool:
        """Whether the expert itself is certified."""
        return self.who == "expert"

    @property
    def name(self) -> str:
        """What it is called on its page."""
        return self.who if self.is_expert else Path(self.who or self.agent).name

    @property
    def facts(self) -> dict[str, Any]:
        """Returns what decides the numbers, as JSON."""
        return decisive(self)


def certify(config: Config, console: Console | None = None) -> Path:
    """Runs what is missing, and writes certificate.json, its figures and its page.

    Args:
        config: what.
        console: where progress is shown; stdout when not given.

    Returns:
        The page.

    Raises:
        ValueError: bad routes, or nobody to certify.
        RuntimeError: a step failed.
    """
    from drive_il.experiments import certify_report as report

    console, start = console or Console(), time.monotonic()
    jobs = plan(config)
    console.print(
        f"{config.name}: {config.drives} drives of {config.horizon} steps on {config.routes.name}"
        + (f", {config.forks} forks" if can_fork(config) else ", no forks"),
        highlight=False,
    )
    folders = run_all(jobs, config.out, config.workers, console, NOT_BEHIND_RESULTS)
    page, stored = finish(config, folders)
    took, total = time.monotonic() - start, timing(jobs, folders)["total"]
    farewell(console, page, report.table(stored), [report.verdict(stored)], took, total)
    return page


def finish(config: Config, folders: dict[str, Path], name: str = "") -> tuple[Path, dict[str, Any]]:
    """Computes a certificate from what its jobs have written; returns its page and content."""
    from drive_il.evaluation.results import provenance, write_json
    from drive_il.experiments import certify_numbers as numbers
    from drive_il.experiments import certify_report as report

    data = numbers.seen(folders)
    result = {"who": name or config.name, **numbers.analyse(config, data)}
    result |= provenance(config.seed, config.facts)
    result["files"] = _files(config.entry)
    write_json(result, config.out / "certificate.json")
    return report.write(result, data, folders, config.out)


def can_fork(config: Config) -> bool:
    """Whether u and k can be measured: not of the expert, nor of agents."""
    from drive_il.entry import Kind

    return config.entry.kind == Kind.POLICY


def plan(config: Config, prefix: str = "") -> list[Job]:
    """Returns all jobs, those that are needed before those that need them.

    Args:
        config: of the certificate.
        prefix: of the names of its jobs, but for those that all certificates share.
    """
    from drive_il.entry import Entry, Kind
    from drive_il.learners import CONFIG
    from drive_il.maps import library

    entry = config.entry
    if entry.kind == Kind.POLICY and not (Path(config.who) / CONFIG).is_file():
        raise ValueError(
            f"{config.who} is no model folder (no {CONFIG} in it); give expert, a folder that "
            "drive-il train has written, or --agent FILE"
        )
    towns: dict[str, list[int]] = {}
    routes = entry.loaded_routes()
    for i in range(config.drives):
        towns.setdefault(routes[i % len(routes)].town, []).append(i)
    for town in towns:
        library.load(town)
    common: dict[str, Any] = {"entry": asdict(entry), "n": config.drives, "horizon": config.horizon}
    common |= {name: getattr(config, name) for name in ("traffic", "walkers", "signals")}
    files = _files(entry)
    nobody = Entry("expert", str(config.routes), seed=config.seed)
    jobs = []
    for town, drives in towns.items():
        some = tuple(drives[: max(1, min(len(drives), 16))])
        part = common | {"entry": asdict(nobody), "drives": some}
        arguments = {"part": part, "files": files["routes_sha256"]}
        title = f"how wrong the expert may steer in {town}"
        jobs.append(Job(f"tolerance/{town}", title, _JOBS + "tolerance", arguments, weight=30))
    drives_of = [
        (town, drives[first : first + PART])
        for town, drives in towns.items()
        for first in range(0, len(drives), PART)
    ]
    for town, drives in drives_of:
        arguments = {"part": common | {"drives": tuple(drives)}, "files": files}
        number = f"{len(drives)} drives in {town}"
        title = f"{config.name}: {number}"
        jobs.append(Job(f"{prefix}own/{drives[0]}", title, _JOBS + "own", arguments, weight=12))
        title = f"{config.name} beside the expert: {number}"
        jobs.append(Job(f"{prefix}truth/{drives[0]}", title, _JOBS + "truth", arguments, weight=12))
    if can_fork(config):
        jobs += _forking(config, prefix, tuple(job.name for job in jobs))
    return jobs


def _files(entry: Entry) -> dict[str, str]:
    """Returns the hashes of the files that decide a certificate; the code's is in every key."""
    from drive_il.entry import hashes

    return {name: value for name, value in hashes(entry).items() if name != "code_sha256"}


def _forking(config: Config, prefix: str, needs: tuple[str, ...]) -> list[Job]:
    """Finds where failed drives were decided, then forks there and everywhere; two jobs each."""
    n, searches, forks = 2, [], []
    for k in range(n):
        part, options = f"{k + 1} of {n}", {"budget": config.forks, "share": (k, n)}
        title = f"{config.name}: when it is too late, {part}"
        name, target = f"{prefix}handovers/{k}", _HANDOVERS + "handovers"
        searches.append(Job(name, title, target, options, needs, 8))
        title, more = f"{config.name}: forks, {part}", {"seed": config.seed}
        forks.append(Job(f"{prefix}forks/{k}", title, _FORKS + "forks", options | more, (), 10))
    needs += tuple(job.name for job in searches)
    return [*searches, *(replace(job, needs=needs) for job in forks)]
