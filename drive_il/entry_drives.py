"""What a worker of a leaderboard run does: drives some routes of an entry and judges them."""

from __future__ import annotations

import atexit
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from drive_il import learners, protocols
from drive_il.dataset import EpisodeWriter
from drive_il.dataset_file import episode_id
from drive_il.datatypes import (
    Episode,
    EpisodeSpec,
    Ints,
    Observation,
    Outcome,
    Records,
    Route,
    Scene,
    State,
    nan_control,
)
from drive_il.entry import BATCH, DT, Entry, Kind
from drive_il.evaluation import compounding, results_file
from drive_il.evaluation.agent_spec import AgentFailure
from drive_il.evaluation.agents import AgentHost, AgentPolicy, load_privileged
from drive_il.evaluation.judge import Judge, OnResult
from drive_il.evaluation.route_result import Ending, RouteResult, not_driven
from drive_il.experiments.jobs import Report
from drive_il.experts.planner import Planner
from drive_il.gates import AskAlways, ExpertDrives
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.protocols import Expert, Gate, Observer, Policy
from drive_il.rollout import Step, drive, without_actors
from drive_il.sensor_specs import ObservationSpec
from drive_il.worlds import Worlds

_FILE = "drives.json"


@dataclass(frozen=True)
class Driven:
    """One judged drive.

    Attributes:
        result: how it went.
        extras: what else the results file keeps of it: `errors` (how they compound), `failure`
            (of the agent: reason and detail), `sensors`, `episode` (its file).
    """

    result: RouteResult
    extras: dict[str, Any]


def drive_batch(
    folder: Path, inputs: dict[str, Path], report: Report, entry: dict[str, Any], drives: Any
) -> None:
    """Drives (route index, repetition) pairs of one town, and keeps how they went."""
    who = Entry.of(entry)
    with Worlds(who.world, DT) as worlds:
        driven = _Batch(who, [(int(i), int(k)) for i, k in drives], report, worlds).run()
    content = [{"result": results_file.packed(one.result), "extras": one.extras} for one in driven]
    (folder / _FILE).write_text(json.dumps(content), encoding="utf-8")


def read_batch(folder: Path) -> list[Driven]:
    """Reads what a job has driven."""
    content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return [Driven(results_file.unpacked(one["result"]), one["extras"]) for one in content]


@lru_cache(maxsize=1)
def _routes(entry: Entry) -> list[Route]:
    return entry.loaded_routes()


@lru_cache(maxsize=4)
def _planner(town: str) -> Planner:
    return Planner(network=library.load(town))


@lru_cache(maxsize=1)
def _model(folder: str) -> learners.TrainedPolicy:
    return learners.load(folder)


@lru_cache(maxsize=1)
def _host(entry: Entry) -> AgentHost:
    host = AgentHost(entry.agent_spec())
    atexit.register(host.close)
    return host


class _Batch:
    """Drives of one town, one way or the other."""

    def __init__(
        self, entry: Entry, drives: Sequence[tuple[int, int]], report: Report, worlds: Worlds
    ) -> None:
        routes = _routes(entry)
        self.entry, self.report, self.worlds = entry, report, worlds
        self._n_rows = 1 if entry.kind == Kind.AGENT or entry.world.is_carla else BATCH
        self.specs = [entry.spec(routes[i], k) for i, k in drives]
        self._repetition = {spec.seed: k for spec, (_, k) in zip(self.specs, drives, strict=True)}
        self.town = self.specs[0].route.town
        self.network = library.load(self.town)
        self._results: dict[int, RouteResult] = {}

    def run(self) -> list[Driven]:
        """Drives them all."""
        kind = self.entry.kind
        if kind == Kind.AGENT:
            return [self._agent(spec) for spec in self.specs]
        if kind == Kind.EXPERT:
            return self._expert()
        return self._policy()

    def _expert(self) -> list[Driven]:
        try:
            expert: Expert = load_privileged(self.entry.agent_spec(), self.network)
        except AgentFailure as failure:
            return [self._not_driven(spec, failure) for spec in self.specs]
        judge, gate = self._judge(self._n_rows), ExpertDrives()
        own = self._drive(self.specs, None, None, judge, expert, gate, is_own=True)
        return [self._driven(one, one if self.entry.errors else None) for one in own]

    def _policy(self) -> list[Driven]:
        policy = _model(self.entry.agent_config)
        observer, planner = self._observer(self.network, policy.spec), _planner(self.town)
        pedals = planner if policy.card.get("learner") in learners.STEER_ONLY else None
        judge = self._judge(self._n_rows)
        own = self._drive(
            self.specs, observer, policy, judge, planner, self._asks, pedals, is_own=True
        )
        if not self.entry.errors:
            return [self._driven(one, None) for one in own]
        truth = self._drive(
            self.specs,
            observer,
            policy,
            self._silent(self._n_rows),
            planner,
            ExpertDrives(),
            pedals,
        )
        return [self._driven(*pair) for pair in zip(own, truth, strict=True)]

    def _agent(self, spec: EpisodeSpec) -> Driven:
        """Drives one route with an agent in its own process."""
        name = f"RouteScenario_{spec.route.id}_rep{self._repetition[spec.seed]}"
        try:
            policy = _host(self.entry).begin(
                spec.route, self.network, spec.seed, name=name, observer_of=self._observer
            )
        except AgentFailure as failure:
            return self._not_driven(spec, failure)
        judge = _AgentJudge(self._judge(1), policy)
        planner, observer = _planner(self.town), policy.observer
        [own] = self._drive([spec], observer, policy, judge, planner, self._asks, is_own=True)
        trouble = policy.finish()
        failed = policy.failure is not None
        truth = self._answers(spec) if self.entry.errors and not failed else None
        driven = self._driven(own, truth)
        driven.extras["sensors"] = policy.sensors
        if policy.failure is not None:
            driven.extras["failure"] = _told(policy.failure)
        if trouble:
            driven.extras["destroy"] = trouble
        return driven

    def _answers(self, spec: EpisodeSpec) -> Episode | None:
        """The expert drives, a new agent object answers in every state."""
        try:
            policy = _host(self.entry).begin(
                spec.route, self.network, spec.seed, observer_of=self._observer
            )
        except AgentFailure:
            return None
        [truth] = self._drive(
            [spec],
            policy.observer,
            Answering(policy),
            self._silent(1),
            _planner(self.town),
            ExpertDrives(),
        )
        policy.finish()
        return truth

    def _observer(self, network: RoadNetwork, spec: ObservationSpec) -> Observer:
        """What these sensors show of the world that is driven in next."""
        return self.worlds.observer(network, spec, self._n_rows)

    @property
    def _asks(self) -> Gate | None:
        """Asks the expert in every state, where errors are measured."""
        return AskAlways() if self.entry.errors else None

    def _judge(self, n_rows: int) -> Judge:
        """Returns a judge whose findings are kept."""
        return self._silent(n_rows, self._keep)

    def _silent(self, n_rows: int, on_result: OnResult | None = None) -> Judge:
        return Judge(
            self.network,
            self.entry.rules,
            n_rows,
            on_result=on_result,
            repetition_of=lambda spec: self._repetition[spec.seed],
            clock=time.perf_counter,
        )

    def _keep(self, spec: EpisodeSpec, result: RouteResult) -> None:
        self._results[spec.seed] = result

    def _drive(
        self,
        specs: list[EpisodeSpec],
        observer: Observer | None,
        policy: Policy | None,
        judge: protocols.Judge,
        expert: Expert,
        gate: Gate | None,
        pedals: Expert | None = None,
        *,
        is_own: bool = False,
    ) -> list[Episode]:
        """Drives specs and returns the episodes without who else was there.

        The entrant's own drives are recorded as each of them ends: with all the others around
        it, one that lasts long fills half a gigabyte.
        """
        record = is_own and bool(self.entry.record)
        kept: dict[int, Episode] = {}

        def keep(episode: Episode) -> None:
            if record:
                EpisodeWriter(self.entry.record, overwrite=True)(episode)
            kept[episode.spec.seed] = without_actors(episode)

        history = 0.0 if observer is None else observer.spec.history
        drive(
            self.worlds.world(self.network, self._n_rows, history),
            observer,
            policy,
            specs,
            expert=expert if gate is not None else None,
            gate=gate,
            judge=judge,
            pedals=pedals,
            keep_observations=False,
            keep_actors=record,
            listener=self._listen,
            sink=keep,
        )
        return [kept[spec.seed] for spec in specs]

    def _listen(self, step: Step) -> None:
        progress = step.scene.progress
        on_the_way = float((progress["s_max"] / progress["route_length"])[step.active].sum())
        self.report((step.n_finished + on_the_way) / step.n_specs, "")

    def _driven(self, own: Episode, truth: Episode | None) -> Driven:
        extras: dict[str, Any] = {}
        if truth is not None:
            extras["errors"] = compounding.to_plain(compounding.drive_errors(own, truth))
        if self.entry.record:
            extras["episode"] = f"{episode_id(own.spec)}.parquet"
        return Driven(self._results[own.spec.seed], extras)

    def _not_driven(self, spec: EpisodeSpec, failure: AgentFailure) -> Driven:
        ending = Ending.BAD_SENSORS if failure.rejects_entry else Ending.NOT_SET_UP
        result = not_driven(spec, ending, self._repetition[spec.seed])
        return Driven(result, {"failure": _told(failure)})


def _told(failure: AgentFailure) -> dict[str, str]:
    return {"reason": failure.reason, "detail": failure.detail}


class _AgentJudge:
    """Ends a drive as soon as its agent has failed."""

    def __init__(self, judge: Judge, policy: AgentPolicy) -> None:
        self._judge, self._policy = judge, policy

    def begin(self, rows: Ints, specs: Sequence[EpisodeSpec]) -> None:
        """Passes it on."""
        self._judge.begin(rows, specs)

    def watch(self, scene: Scene, rows: Ints) -> Ints:
        """Judges a state, the last one where the agent has failed."""
        if self._policy.failure is not None:
            self._judge.fail(0, Ending.AGENT_CRASHED)
        return self._judge.watch(scene, rows)

    def end(self, row: int, outcome: Outcome) -> None:
        """Passes it on."""
        self._judge.end(row, outcome)


class Answering:
    """An agent that looks on; once it has failed it has no answer (NaN)."""

    def __init__(self, policy: AgentPolicy) -> None:
        self._policy = policy

    def initial_state(self, n_rows: int) -> State:
        """Returns the agent's."""
        return self._policy.initial_state(n_rows)

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Asks the agent."""
        control, state, info = self._policy.act(observation, state)
        return (nan_control(1) if self._policy.failure else control), state, info
