"""One entry of the leaderboard: who drives which routes, and the run that drives them.

A run is cut into jobs (one drive of an agent in CARLA's interface, or a batch of drives of a
policy or expert in one town) that `experiments.jobs` gives to worker processes. What a job has
driven is kept beside the results file until the run is over, and the results file is written
whole after each job: a run that was killed at any moment goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import drive_il
from drive_il import learners
from drive_il.actors import Traffic
from drive_il.datatypes import EpisodeSpec, Route
from drive_il.evaluation import compounding, conditions
from drive_il.evaluation.agent_rules import check_track
from drive_il.evaluation.agent_spec import AgentLimits, AgentSpec, check_file, is_privileged
from drive_il.evaluation.agents import AgentHost, check_privileged
from drive_il.evaluation.protocol import Protocol, protocol_of
from drive_il.evaluation.results_file import Plan, ResultsFile, drive_seed
from drive_il.evaluation.route_result import Ending
from drive_il.experiments import jobs
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.maps.routes import load_routes
from drive_il.worlds import WorldChoice

POLICY = "drive_il"
"""as `agent`: a model folder of ours drives, named by `agent_config`"""
AGENTS = Path(drive_il.__file__).parents[1] / "leaderboard" / "agents"
"""the agents that come with a checkout; `expert` as `agent` is short for expert.py here"""
BATCH = 16
"""drives of a policy or expert that go on at once in a worker"""
DT = 0.05
"""step of the world [s]"""
_MOST_FILES = 10_000  # of an agent's config
_SECONDS_PER_METRE = 0.02  # of one core; only the time left depends on it


class Kind(StrEnum):
    """How an entrant is run."""

    EXPERT = "expert"  # privileged: sees the Scene
    POLICY = "policy"  # a model folder of ours
    AGENT = "agent"  # a file in CARLA's interface, in a process of its own


@dataclass(frozen=True)
class Entry:
    """What is run; plain values, so that a worker process can be told."""

    agent: str
    """file of an agent in CARLA's interface, `expert`, or `drive_il` for a model folder"""
    routes: str
    """route file in CARLA's XML"""
    agent_config: str = ""
    """handed to the agent verbatim; the model folder for `drive_il`"""
    routes_subset: str = ""
    """ids of routes, e.g. 0-4 or 1,6; all when empty"""
    scenarios: str = ""
    """scenario file of leaderboard 1.0"""
    traffic: str = "protocol"
    """none, protocol, a number of vehicles, or one of the protocol's crowds; with a protocol that
    has conditions, protocol stands for all its crowds"""
    protocol: str = "lb2.1"
    """how drives are judged"""
    upstream_bugs: bool = False
    """judge with the original's known faults"""
    track: str = "SENSORS"
    """track of the agent"""
    repetitions: int = 1
    """drives of each route"""
    seed: int = 0
    """of everything random"""
    errors: bool = True
    """measure how errors compound, which takes a second drive of each route"""
    record: str = ""
    """folder that takes every drive as an episode"""
    python: str = ""
    """interpreter of the agent; ours when empty"""
    sandbox: bool = False
    """run the agent under bubblewrap"""
    untrusted: bool = False
    """refuse to run it without"""
    allow_privileged: bool = False
    """the agent may see the truth"""
    memory: float = AgentLimits.memory
    """resident set of the agent [GiB]"""
    world: WorldChoice = WorldChoice()
    """where it drives"""

    def __post_init__(self) -> None:
        if self.repetitions < 1:
            raise ValueError(f"repetitions must be at least 1, got {self.repetitions}")
        if self.agent == POLICY and not self.agent_config:
            raise ValueError("--agent drive_il needs --agent-config MODEL, a trained model folder")

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Entry:
        """Returns the entry of which `asdict` gave these values."""
        fields = dict(plain)
        return cls(**fields | {"world": WorldChoice(**fields.get("world", {}))})

    @property
    def path(self) -> Path:
        """The agent's file."""
        return AGENTS / "expert.py" if self.agent == "expert" else Path(self.agent)

    @property
    def kind(self) -> Kind:
        """How it is run.

        Raises:
            ValueError: there is no such agent.
        """
        if self.agent == POLICY:
            return Kind.POLICY
        check_file(self.path)
        return Kind.EXPERT if is_privileged(self.path) else Kind.AGENT

    @property
    def rules(self) -> Protocol:
        """The protocol."""
        return protocol_of(self.protocol, self.upstream_bugs)

    def agent_spec(self) -> AgentSpec:
        """Returns what `evaluation.agents` needs to know of the agent.

        Raises:
            ValueError: there is no such file, or the protocol does not have the track.
        """
        more = {"python": Path(self.python)} if self.python else {}
        return AgentSpec(
            self.path,
            self.agent_config,
            self.protocol,
            self.track,
            sandbox=self.sandbox,
            untrusted=self.untrusted,
            allow_privileged=self.allow_privileged or self.agent == "expert",
            limits=AgentLimits(memory=self.memory),
            **more,
        )

    def check(self, routes: Sequence[Route]) -> None:
        """Raises now what would fail in a worker later, once for each.

        Args:
            routes: what it will drive.

        Raises:
            ValueError: no such agent, model, interpreter, track, sandbox or crowd, or a
                privileged agent without permission.
        """
        if self.agent == POLICY:
            check_track(self.protocol, self.track)
            learners.read_words(Path(self.agent_config))
        elif self.kind == Kind.EXPERT:
            check_privileged(self.agent_spec())
        else:
            AgentHost(self.agent_spec())  # starts nothing
        for town, id in {(route.town, route.id) for route in routes}:
            self.crowd(library.load(town), id)

    def loaded_routes(self) -> list[Route]:
        """Returns the routes to drive, planned, each under every condition of the protocol.

        Raises:
            ValueError: a bad file, or a subset that names no route.
        """
        routes = load_routes(self.routes, library.load, self.scenarios or None)
        found = conditions.conditions(self.rules, self.traffic)
        if not found:
            chosen = _subset(self.routes_subset, [(route.id,) for route in routes])
            return [routes[i] for i in chosen]
        many = conditions.under(routes, found)
        names = [(route.id, conditions.parts_of(self.rules, route.id)[0]) for route in many]
        return [many[i] for i in _subset(self.routes_subset, names)]

    def crowd(self, network: RoadNetwork, route: str = "") -> Traffic:
        """Returns what else is on the road of a route.

        Args:
            network: the map.
            route: its id, which says the crowd where the protocol has conditions.

        Raises:
            ValueError: neither a number nor a name that the protocol knows.
        """
        _, condition = conditions.parts_of(self.rules, route)
        traffic = self.traffic if condition is None else condition.crowd
        if traffic == "none":
            return Traffic(signals=True)
        if traffic.isdecimal():
            return Traffic(vehicles=int(traffic), signals=True)
        return self.rules.traffic(network, None if traffic == "protocol" else traffic)

    def spec(self, route: Route, repetition: int) -> EpisodeSpec:
        """Returns the episode of one drive."""
        seed = drive_seed(self.seed, route.town, route.id, repetition)
        traffic = self.crowd(library.load(route.town), route.id)
        return EpisodeSpec(route, seed, self.rules.steps_allowed(route, DT), traffic=traffic)


def _subset(text: str, names: Sequence[tuple[str, ...]]) -> list[int]:
    """Returns which routes `0-4,7` means, in order; a route has one name or several."""
    if not text:
        return list(range(len(names)))
    chosen: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if dash and first.isdecimal() and last.isdecimal():
            wanted = {str(number) for number in range(int(first), int(last) + 1)}
        else:
            wanted = {part}
        found = {i for i, some in enumerate(names) if wanted & {*some}}
        if not found:
            raise ValueError(
                f"--routes-subset {part!r} names no route; the file has the ids "
                f"{names[0][-1]} to {names[-1][-1]}"
            )
        chosen |= found
    return sorted(chosen)


class _Rejected(Exception):
    """The entry cannot go on: its sensors are invalid."""


def run(
    entry: Entry, out: Path, resume: bool, n_workers: int, watcher: jobs.Watcher
) -> dict[str, Any]:
    """Drives an entry and writes its results file.

    Args:
        entry: who drives what.
        out: the results file.
        resume: go on with what an interrupted run has left there.
        n_workers: processes; the results do not depend on it.
        watcher: is told how it goes.

    Returns:
        The results file's content.

    Raises:
        ValueError: bad input, or a file at `out` and no `resume`.
        RuntimeError: a worker died, or the world failed.
    """
    parts = out.with_name(f".{out.name}.parts")
    routes = entry.loaded_routes()
    entry.check(routes)
    drives = [(i, k) for i in range(len(routes)) for k in range(entry.repetitions)]
    decided_by = hashes(entry)
    plan = Plan(
        protocol=entry.rules,
        drives=tuple((routes[i].id, k) for i, k in drives),
        seed=entry.seed,
        maps={route.town: library.load(route.town).hash for route in routes},
        agent=_label(entry),
        options=(
            ("track", entry.track),
            ("traffic", entry.traffic),
            ("privileged", str(entry.kind == Kind.EXPERT).lower()),
            ("routes", Path(entry.routes).stem),
            ("config", _config(entry)),
            ("errors", str(entry.errors).lower()),
            *((("world", entry.world.world),) if entry.world.is_carla else ()),
            *decided_by.items(),
        ),
    )
    if out.exists() and not resume:
        raise ValueError(
            f"{out} exists: --resume goes on with it; to start afresh remove it or give "
            "another --out"
        )
    if not resume:
        shutil.rmtree(parts, ignore_errors=True)
    file = ResultsFile.resume(out, plan) if out.exists() else ResultsFile(out, plan)
    missing = [at for at, name in zip(drives, plan.drives, strict=True) if name not in file.done]
    work, code = _jobs(entry, routes, missing), "".join(decided_by.values())
    status = "Finished"
    try:
        jobs.run(
            work,
            parts,
            code,
            entry.world.workers(n_workers),
            _Collector(watcher, file, parts, work, code),
        )
    except _Rejected:
        status = "Rejected"
    errors = [compounding.from_plain(one) for one in file.extras("errors")]
    more: dict[str, Any] = {"entry": asdict(entry)}
    if errors:
        more["compounding"] = compounding.compounding(errors, entry.seed)
    document = file.finish(status, more)
    shutil.rmtree(parts, ignore_errors=True)
    return document


def _label(entry: Entry) -> str:
    return Path(entry.agent_config).name if entry.kind == Kind.POLICY else entry.path.name


def _jobs(
    entry: Entry, routes: Sequence[Route], drives: Sequence[tuple[int, int]]
) -> list[jobs.Job]:
    """Cuts the drives into jobs; a batch is of one town, and of routes that are about as long."""
    size = 1 if entry.kind == Kind.AGENT else BATCH
    by_town: dict[str, list[tuple[int, int]]] = {}
    for i, k in drives:
        by_town.setdefault(routes[i].town, []).append((i, k))
    for whole in by_town.values():  # those that begin together should end together
        whole.sort(key=lambda drive: -routes[drive[0]].length)
    batches = [
        (town, whole[first : first + size])
        for town, whole in by_town.items()
        for first in range(0, len(whole), size)
    ]
    return [
        jobs.Job(
            name=f"{town}-{routes[batch[0][0]].id}-{batch[0][1]}-{len(batch)}",
            title=f"{town}, route {routes[batch[0][0]].id}"
            + (f" and {len(batch) - 1} more" if len(batch) > 1 else ""),
            target="drive_il.entry_drives:drive_batch",
            arguments={"entry": asdict(entry), "drives": [list(one) for one in batch]},
            weight=sum(_SECONDS_PER_METRE * routes[i].length for i, _ in batch),
        )
        for town, batch in batches
    ]


def hashes(entry: Entry) -> dict[str, str]:
    """Returns the hashes of all that decides a drive beside the entry's own words, by what it is.

    Raises:
        ValueError: a file that is not there.
    """
    routes = [Path(entry.routes), *([Path(entry.scenarios)] if entry.scenarios else [])]
    agent = {} if entry.kind == Kind.POLICY else {entry.path: entry.path.name}
    for config in map(Path, _config_parts(entry)):
        agent |= _files(config)
    return {
        "code_sha256": jobs.hash_of_code(Path(drive_il.__file__).parent, ("cli/",)),
        "routes_sha256": _hash({path: path.name for path in routes}),
        "agent_sha256": _hash(agent),
    }


def _files(config: Path) -> dict[Path, str]:
    """Returns the files of an agent's config, in a fixed order, with their names within it.

    All below a folder, links followed; none where the config names no file. What Python and git
    write beside them by themselves is left out.

    Raises:
        ValueError: more files than an agent's config has.
    """
    if not config.is_dir():
        return {config: config.name} if config.is_file() else {}
    found: dict[Path, str] = {}
    for folder, inner, names in os.walk(config, followlinks=True):
        inner[:] = sorted({*inner} - {"__pycache__", ".git"})
        paths = [Path(folder, name) for name in sorted(names)]
        found |= {one: one.relative_to(config).as_posix() for one in paths if one.is_file()}
        if len(found) > _MOST_FILES:
            raise ValueError(
                f"{config} holds more than {_MOST_FILES} files, and results say by a hash of them "
                "which agent drove: give --agent-config a folder with the agent's own files"
            )
    return found


def _config_parts(entry: Entry) -> list[str]:
    """What an agent's config may name: a file or folder, or several (Bench2Drive's A+B)."""
    config = entry.agent_config
    if not config:
        return []
    return [config] if Path(config).exists() else config.split("+")


def _config(entry: Entry) -> str:
    """Returns the config without the folders in which its files lie; those are hashed."""
    parts = (Path(part).name if Path(part).exists() else part for part in _config_parts(entry))
    return "+".join(parts)


def _hash(files: Mapping[Path, str]) -> str:
    """Returns the hash of the names and bytes of files, in their order."""
    digest = hashlib.sha256()
    for path, name in files.items():
        try:
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


class _Collector:
    """Puts what finished jobs have driven into the results file, and passes the word on."""

    def __init__(
        self,
        watcher: jobs.Watcher,
        file: ResultsFile,
        parts: Path,
        work: Sequence[jobs.Job],
        code: str,
    ) -> None:
        self._watcher, self._file, self._parts = watcher, file, parts
        self._work, self._keys = work, jobs.keys(work, code)

    def begin(self, missing: Sequence[jobs.Job], n_finished: int) -> None:
        """Takes what an interrupted run had finished and not yet put into the file."""
        names = {job.name for job in missing}
        for job in self._work:
            if job.name not in names:
                self._collect(job)
        self._watcher.begin(missing, n_finished)

    def update(self, job: jobs.Job, share: float, note: str) -> None:
        """Hears how far a job is; 1 is finished."""
        if share >= 1.0:
            self._collect(job)
        self._watcher.update(job, share, note)

    def _collect(self, job: jobs.Job) -> None:
        from drive_il.entry_drives import read_batch

        folder = self._parts / f"{job.name}-{self._keys[job.name]}"
        batch = [(driven.result, driven.extras) for driven in read_batch(folder)]
        self._file.extend(batch)
        if any(result.ending == Ending.BAD_SENSORS for result, _ in batch):
            raise _Rejected(job.title)
