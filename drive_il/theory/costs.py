"""When a step fails, and what an episode costs.

A step is judged by the state it leads to, side by side with where the expert is after the
same number of steps of the same episode spec. It fails

    lateral  when the ego's centre is more than half a lane from the route's lane centre,
             also inside junctions;
    behind   when the ego is more than max(10 m, 5 s of the expert's own speed at that step)
             behind the expert, so that standing still is a failure.

Episodes of different length. Once the ego has completed its route nothing can fail any
more. An ego that ended for another reason stays in its last state, and so does the expert
when it has completed its route: whoever never arrives falls behind it.

Costs of T steps: absorbing, 1 for every step from the first failure on; recoverable, 1 for
every failing step. Both are between 0 and T, and all horizons are prefixes of one rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from drive_il.datatypes import Bools, Episode, Floats, Ints, Outcome

MIN_BEHIND = 10.0
"""being behind by less than this is never a failure [m]"""
TIME_BEHIND = 5.0
"""nor by less than the expert's own speed for this long [s]"""


@dataclass(frozen=True)
class Tracks:
    """What costs are computed from: N episodes, each held in its last state to the end.

    Attributes:
        lateral_error: (N, T + 1) [m].
        lane_width: of the route's lane, (N, T + 1) [m].
        s: arc length along the route, (N, T + 1) [m].
        speed: (N, T + 1) [m/s].
        completed: the route's end was reached, at this state or before, (N, T + 1).
        n_steps: steps driven, (N,).
    """

    lateral_error: Floats
    lane_width: Floats
    s: Floats
    speed: Floats
    completed: Bools
    n_steps: Ints

    @property
    def horizon(self) -> int:
        """T."""
        return int(self.s.shape[1]) - 1

    def rows(self, which: Sequence[int]) -> Tracks:
        """Returns some of the episodes, an episode as often as it is named."""
        at = np.asarray(which)
        return Tracks(*(getattr(self, field.name)[at] for field in fields(self)))


def tracks(episodes: Sequence[Episode], horizon: int, first: Ints | None = None) -> Tracks:
    """Lays episodes side by side.

    Args:
        episodes: N drives.
        horizon: T; longer drives are cut.
        first: step at which each drive begins, e.g. that of its fork; the states before
            repeat its first one; 0 when not given, (N,).

    Raises:
        ValueError: an episode was cut before T, so that nobody knows how it goes on.
    """
    begins = np.zeros(len(episodes), np.int64) if first is None else np.asarray(first)
    rows = []
    for episode, begin in zip(episodes, begins.tolist(), strict=True):
        end = begin + episode.n_steps
        if end < horizon and episode.outcome in (Outcome.TRUNCATED, Outcome.ABORTED):
            raise ValueError(
                f"the episode on route {episode.spec.route.id!r} was cut after {end} steps, "
                f"costs up to T = {horizon} need as many; drive it with max_steps={horizon}"
            )
        step = np.arange(horizon + 1)
        state = np.clip(step - begin, 0, episode.n_steps)
        at = episode.progress[state]
        arrived = at["completed"] | ((step >= end) & (episode.outcome == Outcome.COMPLETED))
        rows.append((at, episode.ego["speed"][state], np.logical_or.accumulate(arrived), end))
    return Tracks(
        lateral_error=np.stack([at["lateral_error"] for at, *_ in rows]),
        lane_width=np.stack([at["lane_width"] for at, *_ in rows]),
        s=np.stack([at["s"] for at, *_ in rows]),
        speed=np.stack([speed for _, speed, *_ in rows]),
        completed=np.stack([arrived for *_, arrived, _ in rows]),
        n_steps=np.array([min(end, horizon) for *_, end in rows]),
    )


@dataclass(frozen=True)
class Failures:
    """Which steps fail, by part.

    Attributes:
        lateral: off the lane, (N, T).
        behind: too far behind the expert, (N, T).
    """

    lateral: Bools
    behind: Bools

    @property
    def either(self) -> Bools:
        """Steps that fail in any part, (N, T)."""
        return self.lateral | self.behind

    def parts(self) -> dict[str, Bools]:
        """Returns failing steps by name: total, lateral and behind."""
        return {"total": self.either, "lateral": self.lateral, "behind": self.behind}


def failures(ego: Tracks, expert: Tracks) -> Failures:
    """Judges every step against the expert's drive of the same specs.

    Args:
        ego: N episodes.
        expert: the expert's, of the same specs in the same order.

    Raises:
        ValueError: other numbers of episodes or steps.
    """
    if ego.s.shape != expert.s.shape:
        raise ValueError(
            "each episode needs the expert's episode of the same spec and length, got "
            f"{len(ego.s)} episodes of {ego.horizon} steps and the expert's {len(expert.s)} "
            f"of {expert.horizon}"
        )
    driving = ~ego.completed[:, 1:]
    lateral = np.abs(ego.lateral_error[:, 1:]) > ego.lane_width[:, 1:] / 2
    allowed = np.maximum(MIN_BEHIND, TIME_BEHIND * expert.speed[:, 1:])
    behind = expert.s[:, 1:] - ego.s[:, 1:] > allowed
    return Failures(lateral & driving, behind & driving)


def absorbing(failing: Bools) -> Floats:
    """Returns the cost of each prefix when the first failure is final.

    Args:
        failing: (N, T).

    Returns:
        Column t - 1 is the cost of the first t steps, (N, T).
    """
    return np.cumsum(np.logical_or.accumulate(failing, axis=1), axis=1, dtype=np.float64)


def recoverable(failing: Bools) -> Floats:
    """Returns the cost of each prefix when every failing step costs 1, (N, T)."""
    return np.cumsum(failing, axis=1, dtype=np.float64)


COSTS = {"absorbing": absorbing, "recoverable": recoverable}


def first_failure(failing: Bools) -> Ints:
    """Returns the step (1 is the first) that fails first, 0 where none does, (N,)."""
    return np.where(failing.any(1), failing.argmax(1) + 1, 0)
