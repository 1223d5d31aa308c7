"""The work behind a certificate, one function per kind of job.

Each writes one folder from the folders of the jobs it needs, on one thread, and is a
function of its arguments alone. `files` are hashes of what a job reads by name (routes, model,
agent): the key of its folder changes with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from drive_il import learners
from drive_il.actors import Traffic
from drive_il.datatypes import Episode, EpisodeSpec, Route, Start
from drive_il.entry import Entry, Kind
from drive_il.entry_drives import Answering
from drive_il.evaluation.agents import AgentHost
from drive_il.experiments import certify_log_loss as log_loss
from drive_il.experiments.drives import (
    Erring,
    chosen_delta,
    expert_episodes,
    listener,
    never_blocked,
    read,
    read_json,
    write,
    write_json,
)
from drive_il.experiments.jobs import Report
from drive_il.experts.planner import Planner
from drive_il.gates import AskAlways, ExpertDrives
from drive_il.maps import library
from drive_il.protocols import Expert, Gate
from drive_il.randomness import derive_seed
from drive_il.rollout import drive
from drive_il.rollout_labels import Sink
from drive_il.sensors.observer import scene_observer
from drive_il.sim.world import World
from drive_il.theory import costs
from drive_il.theory.estimators import DELTAS

ROWS = 16
"""policies are driven in so many worlds at once: the batch that networks run at"""
EXPERT_ROWS = 64
"""the expert, who drives many rows at once faster"""
START_SPEED = 5.0  # [m/s]
MARGIN = 12.0
"""mean speed that a drive from the middle of a route leaves room for [m/s]"""
TOLERANCE_DRIVES = 16


@lru_cache(maxsize=2)
def routes_of(entry: Entry) -> tuple[Route, ...]:
    """Returns the routes of an entry."""
    return tuple(entry.loaded_routes())


def specs_of(
    routes: Sequence[Route], n: int, horizon: int, seed: int, around: Traffic, anywhere: bool
) -> list[EpisodeSpec]:
    """Returns what is driven: all routes in turn, first from their start, then from anywhere.

    Args:
        routes: in the order of the file.
        n: drives in all.
        horizon: T, steps of each.
        seed: of places and noise.
        around: what else is on the road.
        anywhere: False starts every drive where its route starts (agents are told the way from
            there).
    """
    specs = []
    for i in range(n):
        route = routes[i % len(routes)]
        start = Start()
        if anywhere and i >= len(routes):
            rng = np.random.default_rng(derive_seed(seed, "certify-start", route.id, i))
            reach = MARGIN * horizon * 0.05
            s = float(rng.uniform(0.0, max(0.0, route.length - reach)))
            start = Start(s=s, speed=START_SPEED)
        at = derive_seed(seed, "certify", route.town, i)
        specs.append(EpisodeSpec(route, at, horizon, start, around))
    return specs


@dataclass(frozen=True)
class Part:
    """Some of a certificate's drives, all of one town; plain values, as a job has them.

    Attributes:
        entry: who drives, as `asdict(Entry)`.
        n: drives of the whole certificate.
        horizon: T.
        traffic: vehicles.
        walkers: people.
        signals: whether lights run.
        drives: which of the n.
    """

    entry: dict[str, Any]
    n: int
    horizon: int
    traffic: int
    walkers: int
    signals: bool
    drives: tuple[int, ...]

    @property
    def who(self) -> Entry:
        """Who drives."""
        return Entry.of(self.entry)

    def policy(self) -> Any:
        """Returns the trained policy that drives, None for experts and agents."""
        return learners.load(self.who.agent_config) if self.who.kind == Kind.POLICY else None

    def specs(self) -> list[EpisodeSpec]:
        """Returns the specs of this part."""
        who = self.who
        around = Traffic(vehicles=self.traffic, walkers=self.walkers, signals=self.signals)
        anywhere = who.kind != Kind.AGENT
        every = specs_of(routes_of(who), self.n, self.horizon, who.seed, around, anywhere)
        return [every[i] for i in self.drives]


def part_of(plain: dict[str, Any]) -> Part:
    """Reads a part from a job's arguments."""
    return Part(**plain | {"drives": tuple(plain["drives"])})


def own(
    folder: Path, inputs: dict[str, Path], report: Report, part: dict[str, Any], files: Any
) -> None:
    """Who is certified drives, the expert answers in every state."""
    at = part_of(part)
    write(folder, _driven(at, at.policy(), AskAlways(), report))


def truth(
    folder: Path, inputs: dict[str, Path], report: Report, part: dict[str, Any], files: Any
) -> None:
    """The expert drives, who is certified answers in every state, with its probabilities if any."""
    at = part_of(part)
    policy = at.policy()
    silent = log_loss.why_none(at.who, policy)
    if silent:
        write(folder, _driven(at, policy, ExpertDrives(), report))
        log_loss.write(folder, silent, [])
        return
    scored = log_loss.Scored(policy)
    _driven(at, policy, ExpertDrives(), report, scored)
    found = [scored.found[spec.seed] for spec in at.specs()]
    write(folder, [episode for episode, _ in found])
    log_loss.write(folder, "", [score for _, score in found])


def _driven(
    part: Part,
    policy: Any,
    gate: Gate,
    report: Report,
    sink: Sink | None = None,
) -> list[Episode]:
    """Drives a part with a gate that asks the expert in every state.

    Args:
        part: what.
        policy: who drives, None for experts and agents.
        gate: asks.
        report: is told how it goes.
        sink: of a policy's drives: takes them with all that was seen; none is returned then.
    """
    who, specs = part.who, part.specs()
    network = library.load(specs[0].route.town)
    expert, listen = Planner(network=network), listener(report)
    if who.kind == Kind.EXPERT:
        return expert_episodes(World(network, min(EXPERT_ROWS, len(specs))), specs, expert)
    if who.kind == Kind.AGENT:
        return [_agent(who, spec, gate, expert) for spec in _told(specs, report)]
    return drive(
        World(network, ROWS, history=policy.spec.history),
        scene_observer(network, policy.spec),
        policy,
        specs,
        expert=expert,
        gate=gate,
        stop=never_blocked(),
        pedals=expert if policy.card.get("learner") in learners.STEER_ONLY else None,
        keep_observations=sink is not None,
        keep_actors=False,
        listener=listen,
        sink=sink,
    )


def _told(specs: Sequence[EpisodeSpec], report: Report) -> Iterator[EpisodeSpec]:
    for i, spec in enumerate(specs):
        report(i / len(specs), f"route {spec.route.id}")
        yield spec


def _agent(who: Entry, spec: EpisodeSpec, gate: Gate, expert: Expert) -> Episode:
    """One drive of an agent in its own process; where it has failed it has no answer."""
    network = library.load(spec.route.town)
    with AgentHost(who.agent_spec()) as host:
        policy = host.begin(spec.route, network, spec.seed)
        [episode] = drive(
            World(network, 1, history=policy.observer.spec.history),
            policy.observer,
            policy if isinstance(gate, AskAlways) else Answering(policy),
            [spec],
            expert=expert,
            gate=gate,
            stop=policy.stop(never_blocked()) if isinstance(gate, AskAlways) else never_blocked(),
            keep_observations=False,
            keep_actors=False,
        )
        policy.finish()
    return episode


def tolerance(
    folder: Path, inputs: dict[str, Path], report: Report, part: dict[str, Any], files: Any
) -> None:
    """What steer errors up to delta cost the expert, at worst of three kinds.

    Noise that is new in every step averages out, a constant bias does not; a learner's
    errors are something between, so that the worst of both decides.
    """
    specs, extra = part_of(part).specs(), []
    network = library.load(specs[0].route.town)
    world, expert = World(network, min(EXPERT_ROWS, len(specs))), Planner(network=network)
    truth = costs.tracks(expert_episodes(world, specs, expert), specs[0].max_steps)
    for i, delta in enumerate(DELTAS):
        report(i / len(DELTAS), f"steer errors of {delta:g}")
        erring = [Erring(expert, delta, bias) for bias in (-1, 0, 1)]
        extra.append(max(_extra(expert_episodes(world, specs, one), truth) for one in erring))
    write_json(folder / "tolerance.json", {"deltas": list(DELTAS), "extra": extra})


def _extra(episodes: list[Episode], truth: costs.Tracks) -> float:
    failing = costs.failures(costs.tracks(episodes, truth.horizon), truth).either
    return float(costs.absorbing(failing)[:, -1].mean())


def gathered(inputs: Mapping[str, Path], kind: str) -> list[Episode]:
    """Reads the drives of all parts, in the order of the certificate's drives.

    Args:
        inputs: folders of jobs.
        kind: own or truth.
    """
    found: dict[int, Episode] = {}
    for folder in of_kind(inputs, kind).values():
        job = read_json(folder / "job.json")
        found |= dict(zip(job["arguments"]["part"]["drives"], read(folder), strict=True))
    return [found[i] for i in sorted(found)]


def of_kind(inputs: Mapping[str, Path], kind: str) -> dict[str, Path]:
    """Returns the folders of jobs called ...KIND/WHICH, by WHICH."""
    parts = {name: name.split("/") for name in inputs}
    return {parts[name][-1]: inputs[name] for name in inputs if parts[name][-2:-1] == [kind]}


def delta_of(inputs: Mapping[str, Path]) -> float:
    """Returns the tolerance: the strictest of the towns'."""
    measured = of_kind(inputs, "tolerance").values()
    return min(chosen_delta(read_json(folder / "tolerance.json")) for folder in measured)
