"""Forking worlds: any control once, then the expert to the horizon.

Everything runs through `rollout.drive`: recorded controls are replayed, and forks steered
for one step, by a policy that is shown its next control as its observation; a fork is an
episode whose reset restores a snapshot. The world's noise is keyed by (seed, step), so that
all forks of one state share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from drive_il.datatypes import (
    CONTROL,
    Bools,
    Episode,
    EpisodeSpec,
    Ints,
    Observation,
    Records,
    Scene,
    State,
    Who,
)
from drive_il.protocols import Expert, Query, World
from drive_il.rollout import Step, Stop, drive
from drive_il.sensor_specs import ObservationSpec


class _Forkable:
    """A world whose rows know which spec they drive, and may start from snapshots."""

    def __init__(self, world: World, snapshots: Sequence[Any] | None = None) -> None:
        self._world = world
        self._snapshots = snapshots
        self.item = np.zeros(world.n_rows, np.int64)

    @property
    def n_rows(self) -> int:
        """B."""
        return self._world.n_rows

    @property
    def scene(self) -> Scene:
        """The present."""
        return self._world.scene

    def reset(self, rows: Ints, specs: list[EpisodeSpec]) -> None:
        """Starts episodes, or restores the snapshots that their seeds number."""
        numbers = [_number(spec) for spec in specs]
        self.item[rows] = numbers
        if self._snapshots is None:
            self._world.reset(rows, [_plain(spec) for spec in specs])
            return
        for row, number in zip(rows.tolist(), numbers, strict=True):
            self._world.restore(self._snapshots[number], np.array([row]))

    def step(self, control: Records) -> None:
        """Drives every row by one step."""
        self._world.step(control)

    def snapshot(self, rows: Ints) -> Any:  # noqa: ANN401  (a world's own affair)
        """Copies rows."""
        return self._world.snapshot(rows)

    def restore(self, snapshot: Any, rows: Ints) -> None:  # noqa: ANN401
        """Puts rows back."""
        self._world.restore(snapshot, rows)


@dataclass(frozen=True)
class _Numbered(EpisodeSpec):
    """A spec that carries its place in a list."""

    number: int = 0


def _numbered(specs: Sequence[EpisodeSpec]) -> list[EpisodeSpec]:
    return [
        _Numbered(spec.route, spec.seed, spec.max_steps, spec.start, spec.traffic, number)
        for number, spec in enumerate(specs)
    ]


def _number(spec: EpisodeSpec) -> int:
    assert isinstance(spec, _Numbered)
    return spec.number


def _plain(spec: EpisodeSpec) -> EpisodeSpec:
    return EpisodeSpec(spec.route, spec.seed, spec.max_steps, spec.start, spec.traffic)


@dataclass(frozen=True)
class _Script:
    """Shows each row the control that it is to execute next.

    Attributes:
        world: knows the rows' items.
        controls: of each item, from where it starts, (T,) CONTROL; the last one is repeated.
        first: step that each item starts at.
        spec: no sensors.
    """

    world: _Forkable
    controls: Sequence[Records]
    first: Ints
    spec: ObservationSpec = ObservationSpec(cameras=())

    def observe(self, scene: Scene, rows: Ints) -> Observation:
        """Returns `control` (B, 3) float64."""
        shown = np.zeros((len(rows), 3))
        for place, row in zip(shown, rows.tolist(), strict=True):
            item = int(self.world.item[row])
            script = self.controls[item]
            step = int(scene.step[row]) - int(self.first[item])
            place[:] = script[min(max(step, 0), len(script) - 1)].tolist()
        return {"control": shown}


class _Reader:
    """The policy that executes what it is shown."""

    def initial_state(self, n_rows: int) -> State:
        """Returns nothing."""
        return {}

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Returns the shown control."""
        shown = observation["control"]
        control = np.zeros(len(shown), CONTROL)
        for column, name in enumerate(CONTROL.names or ()):
            control[name] = shown[:, column]
        return control, {}, {}


class _OnceThenExpert:
    """The policy drives the first step, the expert all others."""

    def initial_memory(self, n_rows: int) -> State:
        """Returns whether the first step is over: not yet."""
        return {"begun": np.zeros(n_rows, np.bool_)}

    def decide(
        self,
        memory: State,
        scene: Scene,
        observation: Observation,
        control: Records,
        query: Query,
    ) -> tuple[State, Ints, Bools]:
        """Returns (memory, who (B,), ask (B,))."""
        who = np.where(memory["begun"], Who.EXPERT, Who.POLICY).astype(np.uint8)
        return {"begun": np.ones(scene.n_rows, np.bool_)}, who, np.zeros(scene.n_rows, np.bool_)


def replay(
    world: World,
    specs: Sequence[EpisodeSpec],
    controls: Sequence[Records],
    listener: Callable[[Step], None] | None = None,
    stop: Stop | None = None,
) -> list[Episode]:
    """Drives recorded controls again; the world gives the same bits.

    Args:
        world: of the recorded episodes' map.
        specs: of N recorded episodes.
        controls: as executed, (T,) CONTROL each.
        listener: called after each step.
        stop: as in `drive`.
    """
    forkable = _Forkable(world)
    script = _Script(forkable, controls, np.zeros(len(specs), np.int64))
    return drive(
        forkable,
        script,
        _Reader(),
        _numbered(specs),
        stop=stop,
        keep_observations=False,
        listener=listener,
    )


def snapshots_at(
    world: World,
    specs: Sequence[EpisodeSpec],
    controls: Sequence[Records],
    places: Sequence[tuple[int, int]],
) -> list[Any]:
    """Replays episodes and copies the world at chosen states.

    Args:
        world: of the recorded episodes' map.
        specs: of N recorded episodes.
        controls: as executed, (T,) CONTROL each.
        places: (episode, step), the step at least 1 and before the episode's last.

    Returns:
        One snapshot per place.

    Raises:
        ValueError: a place that the replay does not reach.
    """
    last: dict[int, int] = {}
    for episode, step in places:
        last[episode] = max(step, last.get(episode, 0))
    used = sorted(last)
    found: dict[tuple[int, int], Any] = {}
    wanted = set(places)

    def copy(step: Step) -> None:
        at = step.scene.step
        for row in np.flatnonzero(step.active).tolist():
            place = (used[int(step.spec[row])], int(at[row]))
            if place in wanted:
                found[place] = world.snapshot(np.array([row]))

    replay(
        world,
        [_cut(specs[e], min(last[e] + 1, len(controls[e]))) for e in used],
        [controls[episode] for episode in used],
        listener=copy,
    )
    for episode, step in places:
        if (episode, step) not in found:
            raise ValueError(
                f"cannot fork episode {episode} at step {step}: its {len(controls[episode])} "
                "steps allow forks from 1 to the last but one"
            )
    return [found[place] for place in places]


def fork(
    world: World,
    expert: Expert,
    specs: Sequence[EpisodeSpec],
    snapshots: Sequence[Any],
    first: Ints,
    actions: Records,
    stop: Stop | None = None,
) -> list[Episode]:
    """Plays one control in each snapshot, then lets the expert drive to the horizon.

    Args:
        world: to restore into.
        expert: drives after the first step.
        specs: of each snapshot's episode; its max_steps is the horizon T.
        snapshots: (F,).
        first: step of each snapshot, (F,).
        actions: the control to play, (F,) CONTROL.
        stop: as in `drive`.

    Returns:
        Episodes from the fork on; the first has T - first steps unless it is stopped.
    """
    forkable = _Forkable(world, snapshots)
    script = _Script(forkable, [actions[i : i + 1] for i in range(len(actions))], first)
    return drive(
        forkable,
        script,
        _Reader(),
        _numbered(specs),
        expert=expert,
        gate=_OnceThenExpert(),
        stop=stop,
        keep_observations=False,
    )


def _cut(spec: EpisodeSpec, n_steps: int) -> EpisodeSpec:
    return replace(spec, max_steps=max(1, n_steps))
