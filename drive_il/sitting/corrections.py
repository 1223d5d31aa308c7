"""Corrections after the fact: a drive is taken back some seconds and driven again from there.

Only a world that can be restored exactly can offer it: what comes out is an episode like any
other, which drives again bit for bit from its spec and its controls alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from drive_il.actors import LightState
from drive_il.datatypes import Array, Episode, EpisodeSpec, Ints, Outcome, Records, Scene
from drive_il.evaluation.judge import Judge
from drive_il.protocols import World
from drive_il.rollout import scene_of

SECONDS = 30.0
"""how far back a drive can be taken [s]"""
EVERY = 0.5
"""time between two states that can be returned to [s]"""
_ROW = np.zeros(1, np.int64)
_STATES = ("ego", "progress", "weather", "events")
_AROUND = {"vehicles": 0, "walkers": 0, "lights": int(LightState.OFF)}  # what an empty slot holds
_STEPS = ("control", "policy_control", "expert_control", "who", "asked")


class Moment(NamedTuple):
    """A state that can be returned to.

    Attributes:
        step: of the drive.
        snapshot: of the world.
    """

    step: int
    snapshot: Any


class Moments:
    """Remembers the last 30 s of a drive.

    Args:
        world: of one row.
        dt: its step length [s].
    """

    def __init__(self, world: World, dt: float) -> None:
        self._world = world
        self._every = max(1, round(EVERY / dt))
        self._kept: deque[Moment] = deque(maxlen=round(SECONDS / EVERY) + 1)

    def begin(self) -> None:
        """Forgets everything."""
        self._kept.clear()

    def note(self, step: int, now: bool = False) -> None:
        """Remembers the present state if it is time; `now` does so in any case."""
        while self._kept and self._kept[-1].step > step:
            self._kept.pop()
        is_new = not self._kept or self._kept[-1].step < step
        if is_new and (now or step % self._every == 0):
            self._kept.append(Moment(step, self._world.snapshot(_ROW)))

    @property
    def all(self) -> list[Moment]:
        """Oldest first."""
        return list(self._kept)


class Resumed:
    """A world whose next reset returns to a moment instead."""

    def __init__(self, world: World, moment: Moment) -> None:
        self._world, self._moment = world, moment

    @property
    def n_rows(self) -> int:
        """One."""
        return self._world.n_rows

    @property
    def scene(self) -> Scene:
        """The present."""
        return self._world.scene

    def reset(self, rows: Ints, specs: list[EpisodeSpec]) -> None:
        """Returns to the moment."""
        self._world.restore(self._moment.snapshot, rows)

    def step(self, control: Records) -> None:
        """Drives by one step."""
        self._world.step(control)

    def snapshot(self, rows: Ints) -> Any:  # noqa: ANN401  (a world's own affair)
        """Copies rows."""
        return self._world.snapshot(rows)

    def restore(self, snapshot: Any, rows: Ints) -> None:  # noqa: ANN401
        """Puts rows back."""
        self._world.restore(snapshot, rows)


class ResumedJudge:
    """A judge that has seen what is kept of the earlier drive when the rest begins."""

    def __init__(self, judge: Judge, episode: Episode, step: int) -> None:
        self._judge, self._episode, self._step = judge, episode, step

    def begin(self, rows: Ints, specs: Sequence[EpisodeSpec]) -> None:
        """Begins, and watches every state before the one that is driven on from."""
        self._judge.begin(rows, specs)
        before = scene_of(self._episode)
        for step in range(self._step):
            self._judge.watch(before.take(np.array([step])), rows)

    def watch(self, scene: Scene, rows: Ints) -> Ints:
        """Judges one state."""
        return self._judge.watch(scene, rows)

    def end(self, row: int, outcome: Outcome) -> None:
        """Is told that the drive is over."""
        self._judge.end(row, outcome)


def joined(before: Episode, step: int, after: Episode) -> Episode:
    """Returns the episode that begins as one and goes on as another.

    Args:
        before: the drive that was taken back.
        step: to which it was taken back; its first `step` steps are kept.
        after: the drive from there to its end.
    """
    parts: dict[str, Any] = {}
    for name in _STATES:
        parts[name] = np.concatenate((getattr(before, name)[:step], getattr(after, name)))
    for name, empty in _AROUND.items():
        parts[name] = _stacked(getattr(before, name)[:step], getattr(after, name), empty)
    for name in _STEPS:
        parts[name] = np.concatenate((getattr(before, name)[:step], getattr(after, name)))
    return replace(
        after,
        spec=before.spec,
        observations=_chained(before.observations, after.observations, step),
        info=_chained(before.info, after.info, step),
        **parts,
    )


def _chained(
    before: Mapping[str, Array], after: Mapping[str, Array], step: int
) -> dict[str, Array]:
    return {name: np.concatenate((before[name][:step], after[name])) for name in after}


def _stacked(before: Array, after: Array, empty: int) -> Array:
    """Joins (S, V) and (T, W) arrays of slots; the narrower gets empty slots."""
    width = max(before.shape[1], after.shape[1])
    joined = np.zeros((len(before) + len(after), width), after.dtype)
    if empty:
        joined[:] = empty
    joined[: len(before), : before.shape[1]] = before
    joined[len(before) :, : after.shape[1]] = after
    return joined
