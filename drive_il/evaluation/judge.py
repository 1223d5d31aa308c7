"""Follows drives as they happen, or as they were logged, and says how they went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from drive_il.datatypes import (
    Array,
    Bools,
    Episode,
    EpisodeSpec,
    Floats,
    Ints,
    Outcome,
    Route,
    Scene,
)
from drive_il.evaluation import (
    criteria_contacts,
    criteria_lanes,
    criteria_route,
    criteria_scenarios,
    criteria_signals,
)
from drive_il.evaluation.charging import charge
from drive_il.evaluation.comfort import MOTION, comfort, motion
from drive_il.evaluation.infractions import COLLISIONS, Infraction, Kind
from drive_il.evaluation.protocol import Protocol, time_allowed
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.evaluation.sight import Finding, Sight, Ways, look
from drive_il.maps.network import RoadNetwork
from drive_il.rollout import scene_of

OnResult = Callable[[EpisodeSpec, RouteResult], None]

TALLY = np.dtype(
    [
        ("distance", "f8"),  # [m] driven
        ("steps", "i8"),
        ("fast_steps", "i8"),  # above the speed limit
        ("excess", "f8"),  # [m/s] sum of what was above it
        ("most", "f8"),  # [m/s] the most
        ("off_road", "f8"),  # [m] driven off any drivable surface
        ("furthest", "f8"),  # [m] from it
    ]
)
"""Memory of what is reported and not scored."""
_MEMORY = {
    "way": criteria_route.WAY,
    "stray": criteria_route.STRAY,
    "pace": criteria_route.PACE,
    "lanes": criteria_lanes.LANES,
    "contacts": criteria_contacts.CONTACTS,
    "lights": criteria_signals.LIGHTS,
    "signs": criteria_signals.SIGNS,
    "given_up": criteria_scenarios.GIVEN_UP,
    "ambulance": criteria_scenarios.AMBULANCE,
    "tally": TALLY,
}
_FIRST_ROOM = 1024  # states of which the motion is kept at first
_OUTCOMES = {
    Ending.COMPLETED: Outcome.COMPLETED,
    Ending.DEVIATED: Outcome.DEVIATED,
    Ending.BLOCKED: Outcome.BLOCKED,
    Ending.TIMED_OUT: Outcome.TRUNCATED,
    Ending.TICKS: Outcome.TRUNCATED,
    Ending.COLLIDED: Outcome.COLLIDED,
}
_ENDINGS = {
    Outcome.COMPLETED: Ending.COMPLETED,
    Outcome.DEVIATED: Ending.DEVIATED,
    Outcome.BLOCKED: Ending.BLOCKED,
    Outcome.TRUNCATED: Ending.TIMED_OUT,
    Outcome.COLLIDED: Ending.COLLIDED,
    Outcome.ABORTED: Ending.SIMULATION_CRASHED,
}
_CHARGED = {
    Ending.BLOCKED: Kind.BLOCKED,
    Ending.TIMED_OUT: Kind.TIMEOUT,
}


@dataclass
class _Book:
    """What has been written down about the drive of one row."""

    spec: EpisodeSpec
    began: float
    infractions: list[Infraction] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)
    failure: Ending | None = None
    ending: Ending | None = None
    result: RouteResult | None = None


class _Now(NamedTuple):
    """One call of `watch`."""

    sight: Sight
    rows: Ints
    memory: dict[str, Array]


class Judge:
    """Judges B drives on one map; give it to `rollout.drive(judge=...)`.

    Args:
        network: the map.
        protocol: the rules.
        n_rows: B, rows of the world.
        on_result: told of each drive as soon as it is over, before its episode is handed out.
        repetition_of: which repetition of its route a spec is; 0 when not given.
        clock: seconds on the clock, to say how long drives took; None says 0.
    """

    def __init__(
        self,
        network: RoadNetwork,
        protocol: Protocol,
        n_rows: int,
        on_result: OnResult | None = None,
        repetition_of: Callable[[EpisodeSpec], int] = lambda spec: 0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if n_rows < 1:
            raise ValueError(f"a judge needs at least one row, got n_rows={n_rows}")
        self.network, self.protocol = network, protocol
        self._on_result, self._repetition_of, self._clock = on_result, repetition_of, clock
        self._memory: dict[str, Array] = {
            name: np.zeros(n_rows, dtype) for name, dtype in _MEMORY.items()
        }
        self._all = np.arange(n_rows)
        self._fresh: Bools = np.zeros(n_rows, np.bool_)
        self._time_limit: Floats = np.zeros(n_rows)
        # How egos moved, for protocols that ask for comfort; grows as drives get longer.
        self._motions: Floats = np.zeros((n_rows, _FIRST_ROOM, len(MOTION)))
        self._books: dict[int, _Book] = {}
        self._failed: set[int] = set()
        self._now: _Now | None = None
        self._ways: Ways | None = None

    def begin(self, rows: Ints, specs: Sequence[EpisodeSpec]) -> None:
        """Starts judging new drives in these rows; `drive` calls it after each reset."""
        for row, spec in zip(np.asarray(rows).tolist(), specs, strict=True):
            self._books[row] = _Book(spec, 0.0 if self._clock is None else self._clock())
            self._time_limit[row] = time_allowed(self.protocol.time_limit, spec.route)
            for memory in self._memory.values():
                memory[row] = np.zeros((), memory.dtype)
            self._memory["signs"]["bind"][row] = spec.traffic.signals
        self._fresh[rows] = True

    def watch(self, scene: Scene, rows: Ints) -> Ints:
        """Judges one state of these rows, the first included; call it once per step.

        Args:
            scene: of these rows, in their order.
            rows: distinct, (N,).

        Returns:
            Outcome of each, RUNNING where the drive goes on, (N,).
        """
        rows = np.asarray(rows)
        whole = len(rows) == len(self._all) and bool((rows == self._all).all())
        memory = self._memory if whole else {k: m[rows] for k, m in self._memory.items()}
        if self._ways is None or self._ways.points is not scene.routes.points:
            self._ways = Ways(scene.routes)
        now = self._now = _Now(look(scene, self._ways), rows, memory)
        if self._fresh[rows].any():
            _start(now, self._fresh[rows])
            self._fresh[rows] = False
        findings = self._criteria(now)
        _count(now)
        if self.protocol.comfort:
            self._note_motion(now)
        outcomes = self._endings(now, findings)
        if not whole:
            for name, part in memory.items():
                self._memory[name][rows] = part
        return outcomes

    def fail(self, row: int, ending: Ending) -> None:
        """Ends the drive of a row at the next `watch`: the agent or the world has failed."""
        self._books[row].failure = ending
        self._failed.add(row)

    def end(self, row: int, outcome: Outcome) -> None:
        """Closes the drive of a row; `drive` calls it, and `on_result` is told.

        Args:
            row: one that the last `watch` saw.
            outcome: says why where the judge itself did not end the drive.
        """
        book = self._books[row]
        if book.ending is None:
            book.ending = _ENDINGS[outcome]
        self._failed.discard(row)
        book.result = self._result(row, book)
        if self._on_result is not None:
            self._on_result(book.spec, book.result)

    def infractions(self, row: int) -> tuple[Infraction, ...]:
        """Returns what the drive of a row has been charged with so far, in order."""
        book = self._books.get(row)
        return () if book is None else tuple(book.infractions)

    def result(self, row: int) -> RouteResult:
        """Returns how the drive of a row went; holds from its end until the next `begin`.

        Raises:
            RuntimeError: while it is running, or when there was none.
        """
        book = self._books.get(row)
        if book is None or book.result is None:
            raise RuntimeError(f"Cannot call result() of row {row} before its drive has ended")
        return book.result

    def _criteria(self, now: _Now) -> list[Finding]:
        """Asks every criterion of the protocol."""
        rules, network, (sight, _, memory) = self.protocol, self.network, now
        bugs = rules.upstream_bugs
        advanced = criteria_route.follow(sight, memory["way"])
        criteria_lanes.keeps_lanes(network, rules, sight, memory["lanes"], advanced)
        found = criteria_contacts.collisions(rules.collisions, sight, memory["contacts"])
        half = rules.light_half_width
        found += criteria_signals.red_lights(network, half, sight, memory["lights"], bugs)
        if rules.stop_sign is not None:
            signs = memory["signs"]
            found += criteria_signals.stop_signs(network, rules.stop_sign, sight, signs, bugs)
        if rules.scenarios:
            found += criteria_scenarios.given_up(sight, memory["given_up"])
            found += criteria_scenarios.lets_by(sight, memory["ambulance"])
        if rules.speed_checkpoints:
            s, n = memory["way"]["s"], rules.speed_checkpoints
            for row, share in criteria_route.paces(sight, memory["pace"], s, n):
                found += self._pace(self._books[int(now.rows[row])], row, share)
        if rules.deviation:
            found += criteria_route.strays(sight, memory["stray"])
        return found

    def _pace(self, book: _Book, row: int, share: float) -> list[Finding]:
        """Writes down the speed of a part of the route; slower than the traffic is a fault."""
        book.speeds.append(share)
        wanted = share < 100.0 or self.protocol.all_speeds
        return [Finding(row, Kind.MIN_SPEED, value=share)] if wanted else []

    def _note_motion(self, now: _Now) -> None:
        step = now.sight.scene.step
        while int(step.max()) >= self._motions.shape[1]:
            room = np.zeros_like(self._motions)
            self._motions = np.concatenate((self._motions, room), axis=1)
        new = motion(now.sight, self._motions[now.rows, step - 1])
        new[step == 0, 2:4] = 0.0  # nothing to compare the first state with
        self._motions[now.rows, step] = new

    def _endings(self, now: _Now, findings: list[Finding]) -> Ints:
        """Writes down what was found, and which drives are over."""
        scene, rules = now.sight.scene, self.protocol
        time = scene.step * scene.dt
        late = time > self._time_limit[now.rows]
        blocked = scene.progress["standing"] >= rules.blocked_after
        completed = now.memory["way"]["completed"]
        ends: dict[int, Ending] = {}
        if rules.max_steps:
            _end(ends, scene.step > rules.max_steps, Ending.TICKS)
        _end(ends, late, Ending.TIMED_OUT)
        _end(ends, blocked, Ending.BLOCKED)
        for finding in findings:
            self._write(now, finding)
            if finding.kind == Kind.DEVIATION:
                ends[finding.row] = Ending.DEVIATED
            if rules.ends_on_collision and finding.kind in COLLISIONS:
                ends[finding.row] = Ending.COLLIDED
        _end(ends, completed, Ending.COMPLETED)
        for row in self._failed:
            for at in np.flatnonzero(now.rows == row).tolist():
                ends[at] = self._books[row].failure or Ending.AGENT_CRASHED
        outcomes = np.full(len(now.rows), Outcome.RUNNING, np.int64)
        for at, ending in ends.items():
            self._books[int(now.rows[at])].ending = ending
            outcomes[at] = _OUTCOMES.get(ending, Outcome.ABORTED)
            if ending in _CHARGED:
                self._write(now, Finding(at, _CHARGED[ending], value=float(time[at])))
        return outcomes

    def _write(self, now: _Now, finding: Finding) -> None:
        book = self._books[int(now.rows[finding.row])]
        book.infractions.append(charge(self.network, book.spec, now.sight, finding))

    def _close(self, now: _Now, at: int, row: int) -> None:
        """Judges what is judged at the end of a drive; `at` is where the sight has it."""
        book, rules, memory = self._books[row], self.protocol, self._memory
        lanes, way = memory["lanes"][row], memory["way"][row]
        completed = criteria_route.completion(way, book.spec.route.length)
        findings = []
        if rules.speed_checkpoints:
            for share in criteria_route.last_pace(memory["pace"], row, completed):
                findings += self._pace(book, at, share)
        if rules.scenarios and criteria_scenarios.still_waits(memory["ambulance"][row]):
            ambulance = int(memory["ambulance"]["id"][row])
            findings.append(Finding(at, Kind.YIELD, ambulance))
        share = criteria_lanes.outside_share(lanes)
        if lanes["out"] > 0.0:
            out = float(lanes["out"])
            findings.append(Finding(at, Kind.OUTSIDE_LANES, value=out, share=share))
        for finding in findings:
            self._write(now, finding)

    def _result(self, row: int, book: _Book) -> RouteResult:
        """Closes a drive and adds it all up."""
        assert book.ending is not None, "end() has said why"
        assert self._now is not None, "a drive ends in a state that was watched"
        at = int(np.flatnonzero(self._now.rows == row)[0])
        self._close(self._now, at, row)
        scene, route, rules = self._now.sight.scene, book.spec.route, self.protocol
        completed = criteria_route.completion(self._memory["way"][row], route.length)
        steps = int(scene.step[at])
        return RouteResult(
            route=route.id,
            town=route.town,
            repetition=self._repetition_of(book.spec),
            seed=book.spec.seed,
            scenarios=tuple(scenario.type for scenario in route.scenarios),
            ending=book.ending,
            completion=round(completed, 2) if rules.layout == 2 else completed,
            length=route.length,
            duration=steps * scene.dt,
            wall=0.0 if self._clock is None else self._clock() - book.began,
            infractions=tuple(book.infractions),
            speeds=tuple(book.speeds),
            comfort=comfort(self._motions[row, : steps + 1], scene.dt, rules.upstream_bugs)
            if rules.comfort
            else None,
            junction=_first_junction(route),
            measures=_measures(self._memory["tally"][row]),
        )


def judge_episode(
    network: RoadNetwork,
    protocol: Protocol,
    episode: Episode,
    repetition: int = 0,
    failure: Ending | None = None,
) -> RouteResult:
    """Judges a logged drive; the result is that of a live judge, bit for bit.

    Args:
        network: the map.
        protocol: the rules; another one than the drive was ended by may end it earlier.
        episode: from its first state to its last.
        repetition: which drive of its route.
        failure: why it was aborted, if it was.
    """
    scene, row = scene_of(episode), np.zeros(1, np.int64)
    judge = Judge(network, protocol, 1, repetition_of=lambda spec: repetition)
    judge.begin(row, [episode.spec])
    for step in range(scene.n_rows):
        if failure is not None and step == scene.n_rows - 1:
            judge.fail(0, failure)
        if judge.watch(scene.take(np.array([step])), row)[0] != Outcome.RUNNING:
            break
    judge.end(0, episode.outcome)
    return judge.result(0)


def _start(now: _Now, fresh: Bools) -> None:
    """Sets the memories of drives of which this is the first state."""
    sight, _, memory = now
    progress, points = sight.scene.progress, sight.points
    for name in ("way", "stray"):
        memory[name]["index"][fresh] = progress["index"][fresh]
    at = points(memory["way"]["index"][:, None])[:, 0, 2]
    memory["way"]["s"][fresh] = at[fresh]
    memory["lanes"]["lane"][fresh] = -1
    memory["contacts"]["places"][fresh] = np.nan
    memory["contacts"]["speed"][fresh] = sight.speed[fresh]
    for name, part in (
        ("lights", "last"),
        ("signs", "line"),
        ("signs", "failed"),
        ("given_up", "last"),
    ):
        memory[name][part][fresh] = -1


def _end(ends: dict[int, Ending], over: Bools, ending: Ending) -> None:
    if over.any():
        for row in np.flatnonzero(over).tolist():
            ends[row] = ending


def _count(now: _Now) -> None:
    """Adds up what is reported and not scored."""
    sight, _, memory = now
    tally, scene = memory["tally"], sight.scene
    moved = np.where(scene.step > 0, sight.speed * scene.dt, 0.0)
    excess = sight.speed - scene.progress["speed_limit"]
    off = scene.ego["off_road"]
    tally["distance"] += moved
    tally["steps"] += 1
    tally["fast_steps"] += excess > 0.0
    tally["excess"] += np.maximum(excess, 0.0)
    tally["most"] = np.maximum(tally["most"], excess)
    tally["off_road"] += np.where(off > 0.0, moved, 0.0)
    tally["furthest"] = np.maximum(tally["furthest"], off)


def _measures(tally: np.void) -> dict[str, float]:
    steps, fast = int(tally["steps"]), int(tally["fast_steps"])
    return {
        "distance": float(tally["distance"]),
        "speeding_share": 100.0 * fast / max(steps, 1),
        "speeding_mean": float(tally["excess"]) / max(fast, 1),
        "speeding_max": max(float(tally["most"]), 0.0),
        "off_road": float(tally["off_road"]),
        "max_off_road": float(tally["furthest"]),
    }


def _first_junction(route: Route) -> float:
    """Returns the completion at which a route's first junction is reached [%]."""
    inside = np.flatnonzero(route.points["in_junction"])
    return 100.0 * float(route.points["s"][inside[0]]) / route.length if len(inside) else 100.0
