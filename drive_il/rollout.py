"""`drive`: the only loop over World.step.

Rows are refilled with the next spec as soon as they finish. What an episode becomes never
depends on the number of rows, the row it ran in or what ran beside it; results come in the
order of the specs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from drive_il.actors import Traffic
from drive_il.datatypes import (
    CONTROL,
    Actors,
    Array,
    Bools,
    Episode,
    EpisodeSpec,
    Ints,
    Observation,
    Outcome,
    Records,
    RouteTable,
    Scene,
    State,
    Who,
    check_control,
    nan_control,
)
from drive_il.past import n_past_steps, past_of_log
from drive_il.protocols import Driver, Expert, Gate, Judge, Observer, Policy, World
from drive_il.rollout_labels import Desk, Meter, Sink, rows_of
from drive_il.rollout_log import NOTHING, Log, named, running, used


@dataclass(frozen=True)
class Step:
    """What a listener is told after each step.

    Attributes:
        scene: the state reached, (B,) rows; finished rows already hold their next episode.
        control: what was just executed, (B,) CONTROL.
        who: who drove, (B,) uint8 of `Who`.
        active: rows that have an episode to drive, (B,) bool.
        spec: index of the spec that each row drives, (B,).
        n_finished: episodes finished so far.
        n_specs: episodes in all.
        info: what the policy said beside its control, (B, ...); nothing without a policy.
    """

    scene: Scene
    control: Records
    who: Ints
    active: Bools
    spec: Ints
    n_finished: int
    n_specs: int
    info: State


Stop = Callable[[Scene], Ints]
"""Scene -> Outcome of each row; RUNNING goes on."""
Listener = Callable[[Step], None]
Disturbance = Callable[[Scene, Records, Ints], Records]
"""(scene, control (B,) CONTROL, who (B,)) -> what is executed instead; labels stay clean"""


def drive(
    world: World,
    observer: Observer | None,
    policy: Policy | None,
    specs: Sequence[EpisodeSpec],
    *,
    expert: Expert | None = None,
    gate: Gate | None = None,
    stop: Stop | None = None,
    judge: Judge | None = None,
    pedals: Expert | None = None,
    driver: Driver | None = None,
    disturbance: Disturbance | None = None,
    label_budget: int | None = None,
    n_steps: int | None = None,
    keep_observations: bool = True,
    keep_actors: bool = True,
    listener: Listener | None = None,
    sink: Sink | None = None,
) -> list[Episode]:
    """Drives one episode per spec.

    A label is one expert action of one row and step: asked for by the gate, peeked at
    through `query`, or executed because the expert drives; it counts once. A label budget
    is granted in the order of the specs, as if they were driven one after the other: the
    step that needs one label too many ends its episode before it (ABORTED), and later
    specs are not driven.

    Args:
        world: where; one map, which all specs must be of.
        observer: what the policy sees; may be None when nobody looks.
        policy: who drives; may be None when the gate lets the expert drive every step.
        specs: the episodes.
        expert: gives labels, and drives where the gate says so.
        gate: None lets the policy drive every step and asks nobody.
        stop: ends episodes early; None drives every episode for its max_steps.
        judge: follows every episode from its first state to its last, and ends it early.
        pedals: when given, throttle and brake of the policy's control are replaced by
            this expert's, which costs no label: the policy only steers.
        driver: a person. What he does while he holds the wheel is executed, whoever the gate
            would let drive, and is the label of that step in the expert's place; the expert
            is not asked there.
        disturbance: changes the control of whoever drives before it is executed (noise keyed
            by seed and step). `control` is what was executed; labels are what was meant.
        label_budget: labels in all; None does not limit them.
        n_steps: length of a segment: all ends after so many steps of the world, episodes that
            are under way are TRUNCATED there, and specs may be left over.
        keep_observations: False leaves the observations out of the episodes.
        keep_actors: False leaves out who else was there (a drive among 200 vehicles takes
            more than 50 kB a step).
        listener: called after each step, e.g. to show progress.
        sink: when given, takes each episode as soon as it is finished (with a label
            budget: as soon as those before it are), and none is kept. What it was given
            before an interruption is whole.

    Returns:
        The episodes in the order of the specs; empty with a sink.

    Raises:
        ValueError: a control that no vehicle can execute (names row, step and value), or a
            piece that is missing.
    """
    if gate is None and policy is None:
        raise ValueError("drive needs a policy, or an expert and a gate that lets it drive")
    if gate is not None and expert is None:
        raise ValueError(f"the gate {gate!r} needs an expert to ask; pass expert=")
    if policy is not None and observer is None:
        raise ValueError("a policy needs an observer to see with; pass observer=")
    if label_budget is not None and label_budget < 0:
        raise ValueError(f"label_budget must not be negative, got {label_budget}")
    if n_steps is not None and n_steps < 1:
        raise ValueError(f"a segment needs at least one step, got n_steps={n_steps}")
    run = _Run(
        _Pieces(
            *(world, observer, policy, expert, gate, stop, judge, pedals, driver, disturbance),
            keep_observations,
            keep_actors,
            math.inf if n_steps is None else n_steps,
        ),
        list(specs),
        Desk(len(specs), label_budget, sink),
    )
    run.begin()
    while run.active.any():
        control, who = run.step()
        if listener is not None:
            listener(
                Step(
                    world.scene,
                    control,
                    who,
                    run.active.copy(),
                    run.spec.copy(),
                    run.desk.n_finished,
                    len(specs),
                    run.info,
                )
            )
    return run.desk.kept


def scene_of(episode: Episode, history: float = 0.0) -> Scene:
    """Returns the T + 1 states of an episode as the rows of one Scene.

    Any expert, criterion or sensor can be run on them again. The route table holds the
    episode's own route alone.

    Args:
        episode: as `drive` made it.
        history: for how long the scene's `past` reaches back, as the sensors that will look
            need it (`ObservationSpec.history`) [s].
    """
    progress = episode.progress.copy()
    progress["route"] = 0
    route = episode.spec.route
    points, stops = np.ascontiguousarray(route.points), np.ascontiguousarray(route.stops)
    n_states = len(episode.ego)
    zero = np.zeros(1, np.int32)
    return Scene(
        ego=episode.ego.copy(),
        progress=progress,
        weather=episode.weather.copy(),
        step=np.arange(n_states, dtype=np.int64),
        seed=np.full(n_states, episode.spec.seed, np.uint64),
        routes=RouteTable(
            points,
            zero,
            np.full(1, len(points), np.int32),
            stops,
            zero,
            np.full(1, len(stops), np.int32),
        ),
        dt=episode.dt,
        actors=Actors(
            episode.vehicles.copy(),
            episode.walkers.copy(),
            episode.lights.copy(),
            np.arange(n_states, dtype=np.int32),
            np.full(n_states, episode.slot, np.int32),
        ),
        events=episode.events.copy(),
        past=past_of_log(
            episode.vehicles,
            episode.walkers,
            episode.lights,
            episode.progress,
            n_past_steps(history, episode.dt),
        ),
    )


def without_actors(episode: Episode) -> Episode:
    """Returns an episode without who else was there, which is most of its memory."""
    return replace(  # copies: a view would keep all of it
        episode,
        vehicles=episode.vehicles[:, :0].copy(),
        walkers=episode.walkers[:, :0].copy(),
        lights=episode.lights[:, :0].copy(),
    )


@dataclass(frozen=True)
class _Pieces:
    world: World
    observer: Observer | None
    policy: Policy | None
    expert: Expert | None
    gate: Gate | None
    stop: Stop | None
    judge: Judge | None
    pedals: Expert | None
    driver: Driver | None
    disturbance: Disturbance | None
    keep_observations: bool
    keep_actors: bool
    last_tick: float

    @property
    def look(self) -> bool:
        """Whether anyone sees or keeps observations."""
        return self.observer is not None and (self.policy is not None or self.keep_observations)


class _Run:
    """One call of `drive`: which row drives what, and the memories of policy and gate."""

    def __init__(self, pieces: _Pieces, specs: list[EpisodeSpec], desk: Desk) -> None:
        n_rows = pieces.world.n_rows
        self.pieces, self.specs, self.desk = pieces, specs, desk
        self.active: Bools = np.zeros(n_rows, np.bool_)
        self.spec: Ints = np.zeros(n_rows, np.int64)
        self._since: Ints = np.zeros(n_rows, np.int64)  # tick at which the episode began
        self._max_steps: Ints = np.zeros(n_rows, np.int64)
        self._tick = 0
        self._next = 0
        self._log = Log(n_rows)
        self._observation: Observation = {}
        self.info: State = {}
        self._fresh_state: State = pieces.policy.initial_state(n_rows) if pieces.policy else {}
        self._fresh_memory: State = pieces.gate.initial_memory(n_rows) if pieces.gate else {}
        self._state, self._memory = self._fresh_state, self._fresh_memory

    @property
    def _at_end(self) -> bool:
        return self._tick >= self.pieces.last_tick

    @property
    def _has_next(self) -> bool:
        return self._next < len(self.specs) and self.desk.may_start(self._next)

    def begin(self) -> None:
        """Fills the rows for the first time."""
        n_rows = len(self.active)
        if not self.specs or not self.desk.may_start(0):
            return
        self._leave_idle(np.arange(min(len(self.specs), n_rows), n_rows))
        self._refill(np.arange(n_rows))

    def step(self) -> tuple[Records, Ints]:
        """Drives every active row by one step; returns (control, who)."""
        control, who = self._decide()
        self.pieces.world.step(control)
        self._tick += 1
        self._observation = {}
        self._record_states()
        rows = np.flatnonzero(self.active)
        if self.pieces.keep_observations:  # the state an episode ends in is seen too
            self._observe(rows)
        ended = self._finish(rows)
        if not self.pieces.keep_observations:
            self._observe(np.flatnonzero(self.active))
        self._refill(ended)
        if self.active.any():
            if len(self.pieces.world.scene.actors.vehicles) == len(self.active):  # share no world
                self._leave_idle(ended[~self.active[ended]])
            self._log.forget(np.where(self.active, self._since, NOTHING))
        return control, who

    def _decide(self) -> tuple[Records, Ints]:
        world, policy, gate = self.pieces.world, self.pieces.policy, self.pieces.gate
        n_rows, scene = world.n_rows, world.scene
        proposed, info = nan_control(n_rows), State()
        who: Ints = np.zeros(n_rows, np.uint8)
        if policy is not None:
            proposed, self._state, info = policy.act(self._observation, self._state)
            proposed = self._with_pedals(proposed)
        meter = Meter(self.pieces.expert, scene, self.active)
        obeyed = self._obeyed(meter)
        if gate is not None:
            self._memory, who, ask = gate.decide(
                self._memory, scene, self._observation, proposed, meter.query
            )
            meter.ask(np.flatnonzero((ask | (who == Who.EXPERT)) & self.active))
        who = np.where(obeyed, Who.HUMAN, who).astype(np.uint8)
        control = self._executed(proposed, who, meter)
        self.desk.used[self.spec[self.active]] += meter.asked[self.active]
        self._log.write(
            self._tick,
            {
                "control": control,
                "policy_control": proposed,
                "expert_control": meter.labels,
                "who": who,
                "asked": meter.asked,
            },
        )
        self._log.write(self._tick, info, "info.")
        self.info = info
        return control, who

    def _obeyed(self, meter: Meter) -> Bools:
        """Hears the person; returns the rows that he drives, (B,)."""
        if self.pieces.driver is None:
            return np.zeros(len(self.active), np.bool_)
        said, drives = self.pieces.driver.act(self.pieces.world.scene)
        return meter.hear(said) & drives

    def _with_pedals(self, proposed: Records) -> Records:
        pedals = self.pieces.pedals
        if pedals is None:
            return proposed
        proposed = proposed.copy()
        rows = np.flatnonzero(self.active)
        pushed = pedals.control(rows_of(self.pieces.world.scene, rows))
        for name in ("throttle", "brake"):
            proposed[name][rows] = pushed[name]
        return proposed

    def _executed(self, proposed: Records, who: Ints, meter: Meter) -> Records:
        """Returns the control of the driver of each row; idle rows brake."""
        world, active = self.pieces.world, self.active
        by_policy = active & (who == Who.POLICY)
        if self.pieces.policy is None and by_policy.any():
            row = int(np.flatnonzero(by_policy)[0])
            raise ValueError(
                f"the gate {self.pieces.gate!r} lets the policy drive row {row} at step "
                f"{int(world.scene.step[row])}, but no policy was given"
            )
        if proposed.dtype != CONTROL or proposed.shape != active.shape:
            check_control(proposed, len(active))
        control = proposed.copy()
        by_label = active & ~by_policy
        control[by_label] = meter.labels[by_label]
        if self.pieces.disturbance is not None:
            control = self.pieces.disturbance(world.scene, control, who)
        control[~active] = (0.0, 1.0, 0.0)
        check_control(control, len(active), world.scene.step)
        return control

    def _record_states(self) -> None:
        scene = self.pieces.world.scene
        values = {
            "ego": scene.ego,
            "progress": scene.progress,
            "weather": scene.weather,
            "events": scene.events,
        }
        self._log.write(self._tick, values)
        self._log.write(self._tick, _surroundings(scene, self.pieces.keep_actors))

    def _observe(self, rows: Ints) -> None:
        """Observes some rows; those never observed at this tick hold zeros."""
        if not self.pieces.look or self.pieces.observer is None or len(rows) == 0:
            return
        seen = self.pieces.observer.observe(self.pieces.world.scene, rows)
        for name, value in seen.items():
            if self.pieces.keep_observations:
                place = self._log.slot(self._tick, f"observation.{name}", value)
            else:
                shape = (len(self.active), *value.shape[1:])
                place = self._observation.get(name, np.zeros(shape, value.dtype))
            place[rows] = value
            self._observation[name] = place

    def _outcomes(self, rows: Ints) -> Ints:
        scene = self.pieces.world.scene
        outcome: Ints = np.full(len(rows), Outcome.RUNNING, np.int64)
        if self.pieces.judge is not None:
            outcome[:] = self.pieces.judge.watch(rows_of(scene, rows), rows)
        if self.pieces.stop is not None:
            stopped = self.pieces.stop(rows_of(scene, rows))
            outcome = np.where(outcome == Outcome.RUNNING, stopped, outcome)
        running = outcome == Outcome.RUNNING
        is_cut = (scene.step[rows] >= self._max_steps[rows]) | self._at_end
        outcome[running & is_cut] = Outcome.TRUNCATED
        running = outcome == Outcome.RUNNING
        outcome[running & self.desk.over(self.spec[rows])] = Outcome.ABORTED
        return outcome

    def _finish(self, rows: Ints) -> Ints:
        """Ends the episodes that are over; returns their rows."""
        if len(rows) == 0:
            return rows
        outcomes = self._outcomes(rows)
        over = outcomes != Outcome.RUNNING
        for row, outcome in zip(rows[over].tolist(), outcomes[over].tolist(), strict=True):
            self.active[row] = False
            if self.pieces.judge is not None:
                self.pieces.judge.end(row, Outcome(outcome))
            self.desk.take(int(self.spec[row]), self._episode(row, Outcome(outcome)))
        ended: Ints = rows[over]
        return ended

    def _episode(self, row: int, outcome: Outcome) -> Episode:
        n_steps = self._tick - int(self._since[row])
        whole = self._log.cut(row, int(self._since[row]), self._tick)
        empty, slot = nan_control(0), int(self.pieces.world.scene.actors.slot[row])
        control = whole.get("control", empty)
        return Episode(
            spec=self.specs[int(self.spec[row])],
            ego=whole["ego"],
            progress=whole["progress"],
            weather=whole["weather"],
            observations=named(whole, "observation."),
            control=control[:n_steps],
            policy_control=whole.get("policy_control", empty)[:n_steps],
            expert_control=whole.get("expert_control", empty)[:n_steps],
            who=whole.get("who", np.zeros(0, np.uint8))[:n_steps],
            asked=whole.get("asked", np.zeros(0, np.bool_))[:n_steps],
            info={name: value[:n_steps] for name, value in named(whole, "info.").items()},
            outcome=outcome,
            dt=self.pieces.world.scene.dt,
            vehicles=used(whole["vehicles"], alone=1),
            walkers=used(whole["walkers"], alone=0),
            lights=running(whole["lights"]),
            events=whole["events"],
            slot=slot,
        )

    def _refill(self, rows: Ints) -> None:
        """Starts the next episodes in these rows."""
        while len(rows) and not self._at_end and self._has_next:
            rows = rows[: len(self.specs) - self._next]
            index = np.arange(self._next, self._next + len(rows))
            self._next += len(rows)
            specs = [self.specs[i] for i in index]
            self.pieces.world.reset(rows, specs)
            if self.pieces.judge is not None:
                self.pieces.judge.begin(rows, specs)
            self.active[rows] = True
            self.spec[rows] = index
            self._since[rows] = self._tick
            self._max_steps[rows] = [spec.max_steps for spec in specs]
            self._state = _with_rows(self._state, self._fresh_state, rows)
            self._memory = _with_rows(self._memory, self._fresh_memory, rows)
            self._record_states()
            self._observe(rows)
            rows = self._finish(rows)  # a start may be an end

    def _leave_idle(self, rows: Ints) -> None:
        """Empties the roads of rows that have nothing to drive any more.

        A world steps all its rows, so that each needs an episode, and traffic costs time.
        """
        if len(rows):
            bare = replace(self.specs[0], traffic=Traffic())
            self.pieces.world.reset(rows, [bare] * len(rows))


def _surroundings(scene: Scene, keep: bool) -> dict[str, Array]:
    """Returns what is around each ego, one item per row; nothing where it is not kept."""
    actors = scene.actors
    parts = {"vehicles": actors.vehicles, "walkers": actors.walkers, "lights": actors.lights}
    if not keep:
        parts = {name: array[:, :0] for name, array in parts.items()}
    if len(actors.vehicles) == scene.n_rows:  # one ego per world: no copy needed
        return parts
    return {name: array[actors.world] for name, array in parts.items()}


def _with_rows(state: State, fresh: State, rows: Ints) -> State:
    """Returns a state in which some rows begin afresh; never changes an array in place."""
    renewed = dict(state)
    for name, value in fresh.items():
        renewed[name] = state[name].copy()
        renewed[name][rows] = value[rows]
    return renewed
