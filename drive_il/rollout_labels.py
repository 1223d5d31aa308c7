"""Labels of a rollout: metered while it drives, granted in the order of its specs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from drive_il.datatypes import Bools, Episode, Ints, Outcome, Records, Scene, nan_control
from drive_il.protocols import Expert

Sink = Callable[[Episode], None]
_ON_STATES = ("ego", "progress", "weather", "vehicles", "walkers", "lights", "events")
_ON_STEPS = ("control", "policy_control", "expert_control", "who", "asked")


class Desk:
    """Takes finished episodes, grants labels in the order of the specs, hands out."""

    def __init__(self, n_specs: int, budget: int | None, sink: Sink | None) -> None:
        self.kept: list[Episode] = []
        self.n_finished = 0
        self.used = np.zeros(n_specs, np.int64)  # labels, of running episodes so far
        self._budget = budget
        self._sink = sink
        self._waiting: dict[int, Episode] = {}
        self._next = 0
        self._granted = 0

    def may_start(self, spec: int) -> bool:
        """Whether any label could be left for this spec."""
        return self._budget is None or int(self.used[:spec].sum()) < self._budget

    def over(self, specs: Ints) -> Bools:
        """Which running episodes certainly hold a label that will not be granted."""
        if self._budget is None:
            return np.zeros(len(specs), np.bool_)
        return np.asarray(np.cumsum(self.used)[specs] > self._budget, np.bool_)

    def take(self, spec: int, episode: Episode) -> None:
        """Takes a finished episode and hands out what can be."""
        self.n_finished += 1
        if self._budget is None and self._sink is not None:
            self._sink(episode)
            return
        self._waiting[spec] = episode
        while self._next in self._waiting:
            self._hand_out(self._waiting.pop(self._next))
            self._next += 1

    def _hand_out(self, episode: Episode) -> None:
        if self._budget is not None:
            left = self._budget - self._granted
            if left == 0:
                return
            self._granted += min(left, episode.labels)
            if episode.labels > left:
                episode = _shorten(episode, int(np.flatnonzero(episode.asked)[left]))
        if episode.n_steps == 0 and episode.outcome == Outcome.ABORTED:
            return
        if self._sink is None:
            self.kept.append(episode)
        else:
            self._sink(episode)


def _shorten(episode: Episode, n_steps: int) -> Episode:
    states, steps = slice(0, n_steps + 1), slice(0, n_steps)
    return replace(
        episode,
        outcome=Outcome.ABORTED,
        observations={name: value[states] for name, value in episode.observations.items()},
        info={name: value[steps] for name, value in episode.info.items()},
        **{name: getattr(episode, name)[states] for name in _ON_STATES},
        **{name: getattr(episode, name)[steps] for name in _ON_STEPS},
    )


class Meter:
    """Expert labels of one step: one per row, counted when it is first looked at."""

    def __init__(self, expert: Expert | None, scene: Scene, active: Bools) -> None:
        self._expert, self._scene, self._active = expert, scene, active
        self.labels = nan_control(scene.n_rows)
        self.asked: Bools = np.zeros(scene.n_rows, np.bool_)

    def hear(self, said: Records) -> Bools:
        """Takes what a person does as the label; returns where he does anything, (B,).

        What he does in the reverse gear is no label, since no policy has that gear: there the
        sign of his throttle is negative, that of nought too.
        """
        acts = ~np.isnan(said["steer"]) & self._active
        labelled = acts & ~np.signbit(said["throttle"])
        self.labels[labelled] = said[labelled]
        self.asked[labelled] = True
        return np.asarray(acts)

    def query(self, rows: Ints) -> Records:
        """Returns the labels of these rows, (len(rows),) CONTROL; NaN in idle rows."""
        rows = np.asarray(rows)
        self.ask(np.unique(rows[self._active[rows]]))
        return self.labels[rows]

    def ask(self, rows: Ints) -> None:
        """Pays for the labels of these rows where that has not happened."""
        rows = rows[~self.asked[rows]]
        if len(rows) == 0:
            return
        assert self._expert is not None, "drive() has checked that a gate has an expert"
        self.labels[rows] = self._expert.control(rows_of(self._scene, rows))
        self.asked[rows] = True


def rows_of(scene: Scene, rows: Ints) -> Scene:
    """Returns these rows of a scene, the scene itself where they are all of it."""
    return scene if len(rows) == scene.n_rows else scene.take(rows)
