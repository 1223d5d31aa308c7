"""Forks of a certificate's drives: what one action costs, for how long, and when it is too late.

A fork plays the learner's action once where it drives before its first failure, then lets the
expert drive to the horizon; beside it the expert drives all the way, under the same noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.datatypes import Bools, Episode, Floats, Ints
from drive_il.experiments.certify_jobs import EXPERT_ROWS, delta_of, gathered, write_json
from drive_il.experiments.drives import never_blocked
from drive_il.experiments.jobs import Report
from drive_il.experts.planner import Planner
from drive_il.maps import library
from drive_il.randomness import derive_seed, uniform
from drive_il.sim.world import World
from drive_il.theory import costs, recovery
from drive_il.theory.forks import fork, snapshots_at

BEFORE_FAILURE = 60
"""the last steps before a failure, where one action decides most; drawn more densely"""
FORKS_AT_ONCE = 128
TUBE = (0.1, 0.02, 0.5)
"""a fork is back within so much of the other: beside [m], heading [rad], along the route [m]"""
HOLD = 100
"""for so many steps it must stay there (5 s)"""


@dataclass(frozen=True)
class Disagreements:
    """Where a certificate's learner errs before its first failure, N drives of T steps.

    Attributes:
        error: |steer - expert's steer|, NaN after an episode's end, (N, T).
        failed_at: step of the first failure, 0 where none, (N,).
        alive: steps whose action can still change the absorbing cost, (N, T).
    """

    error: Floats
    failed_at: Ints
    alive: Bools

    def strata(self, delta: float) -> tuple[Bools, ...]:
        """Splits the steps that can be forked: before a failure, onsets, others, agreements."""
        step = np.arange(self.error.shape[1])
        # A fork begins at a state that a step has led to, so not at the very first one.
        can = self.alive & np.isfinite(self.error) & (step >= 1)
        wrong = can & (self.error > delta)
        near = (self.failed_at > 0)[:, None] & (step >= self.failed_at[:, None] - BEFORE_FAILURE)
        begins = recovery.onsets(wrong)
        return can & near, wrong & begins & ~near, wrong & ~begins & ~near, can & ~wrong & ~near


def disagreements(driven: Sequence[Episode], truth: costs.Tracks) -> Disagreements:
    """Lays a learner's errors side by side.

    Args:
        driven: its drives, labelled in every state.
        truth: the expert's, of the same specs.
    """
    horizon = truth.horizon
    failing = costs.failures(costs.tracks(driven, horizon), truth).either
    failed_at = costs.first_failure(failing)
    error = np.full((len(driven), horizon), np.nan)
    for row, episode in zip(error, driven, strict=True):
        n = min(episode.n_steps, horizon)
        difference = episode.control["steer"] - episode.expert_control["steer"]
        row[:n] = np.abs(difference[:n])
    ends = np.where(failed_at > 0, failed_at, horizon)
    return Disagreements(error, failed_at, np.arange(horizon) < ends[:, None])


def forks(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    budget: int,
    share: tuple[int, int],
    seed: int,
) -> None:
    """Forks every n-th of the drawn steps: the learner's action once, then the expert.

    Args:
        folder: takes forks.json.
        inputs: all of the learner's drives, the expert's, and the tolerance.
        report: is told how it goes.
        budget: forks in all.
        share: (k, n): the k-th of n jobs.
        seed: of the drawing.
    """
    driven, truth = gathered(inputs, "own"), gathered(inputs, "truth")
    horizon = driven[0].spec.max_steps
    tracks = costs.tracks(truth, horizon)
    seen = disagreements(driven, tracks)
    strata = seen.strata(delta_of(inputs))
    chance = recovery.shared_out(strata, budget)
    numbers = derive_seed(seed, "forks")
    coin = uniform(np.full(len(driven), numbers), np.arange(len(driven)), "fork", horizon)
    drawn = [(int(e), int(t)) for e, t in np.argwhere(coin < chance)][share[0] :: share[1]]
    found: list[dict[str, Any]] = []
    towns = sorted({driven[e].spec.route.town for e, _ in drawn})
    for town in towns:
        places = [place for place in drawn if driven[place[0]].spec.route.town == town]
        for first in range(0, len(places), FORKS_AT_ONCE):
            report(len(found) / max(len(drawn), 1), f"{len(drawn)} forks")
            some = places[first : first + FORKS_AT_ONCE]
            pairs = fork_pairs(town, driven, some)
            for (e, t), told in zip(some, compare(pairs, some, tracks, truth), strict=True):
                stratum = next(i for i, one in enumerate(strata) if one[e, t])
                facts = {"drive": e, "step": t, "chance": float(chance[e, t]), "stratum": stratum}
                found.append(facts | {"error": float(seen.error[e, t])} | told)
    write_json(folder / "forks.json", found)


def fork_pairs(
    town: str, driven: Sequence[Episode], places: Sequence[tuple[int, int]]
) -> tuple[list[Episode], list[Episode]]:
    """Forks drives at (drive, step): after the learner's action, and after the expert's.

    The world's noise is keyed by seed and step, so that both share it; what a fork becomes
    does not depend on how many there are.
    """
    network = library.load(town)
    used = sorted({e for e, _ in places})
    at = {e: i for i, e in enumerate(used)}
    world, expert = World(network, min(EXPERT_ROWS, len(places))), Planner(network=network)
    snapshots = snapshots_at(
        world,
        [driven[e].spec for e in used],
        [driven[e].control for e in used],
        [(at[e], t) for e, t in places],
    )
    first = np.array([t for _, t in places])
    specs = [driven[e].spec for e, _ in places]
    ours = np.concatenate([driven[e].control[t : t + 1] for e, t in places])
    theirs = np.concatenate([driven[e].expert_control[t : t + 1] for e, t in places])
    mine, reference = (
        fork(world, expert, specs, snapshots, first, actions, never_blocked())
        for actions in (ours, theirs)
    )
    return mine, reference


def compare(
    pairs: tuple[list[Episode], list[Episode]],
    places: Sequence[tuple[int, int]],
    tracks: costs.Tracks,
    truth: Sequence[Episode],
) -> list[dict[str, Any]]:
    """Says of each fork what the learner's one action cost, and for how long it could be seen."""
    first = np.array([t for _, t in places])
    rows = np.array([e for e, _ in places])
    horizon = tracks.horizon
    expert = costs.tracks([truth[e] for e in rows], horizon)
    both = [costs.tracks(one, horizon, first) for one in pairs]
    failing = [costs.failures(one, expert).either for one in both]
    for one in failing:
        one &= np.arange(1, horizon + 1) > first[:, None]  # before it both are the same drive
    extra = {
        name: cost(failing[0])[:, -1] - cost(failing[1])[:, -1]
        for name, cost in costs.COSTS.items()
    }
    told: list[dict[str, Any]] = []
    for i, (mine, other) in enumerate(zip(*pairs, strict=True)):
        n = min(mine.n_steps, other.n_steps)
        back = recovery.steps_back(_in_tube(mine, other, n)[None], HOLD)[0]
        costs_more = {name: float(value[i]) for name, value in extra.items()}
        told.append({**costs_more, "back": None if np.isinf(back) else float(back)})
    return told


def _in_tube(mine: Episode, other: Episode, n: int) -> Bools:
    """Whether two forks are together after 1, 2, ... n steps, (n,)."""
    beside, turned, along = (
        np.abs(mine.progress[name][1 : n + 1] - other.progress[name][1 : n + 1])
        for name in ("lateral_error", "heading_error", "s")
    )
    near: Bools = (beside <= TUBE[0]) & (turned <= TUBE[1]) & (along <= TUBE[2])
    return near


def no_return(folder: Path, inputs: dict[str, Path], report: Report, most: int) -> None:
    """Finds in failed drives the last step at which the expert could still have saved them.

    By bisection: between a step from which the expert never fails and the failure itself.
    """
    driven, truth = gathered(inputs, "own"), gathered(inputs, "truth")
    tracks = costs.tracks(truth, driven[0].spec.max_steps)
    failed_at = disagreements(driven, tracks).failed_at
    failed = np.flatnonzero(failed_at > 1)[:most]
    low, high = np.zeros(len(failed), np.int64), failed_at[failed].copy()
    n_rounds = int(np.ceil(np.log2(max(int(high.max(initial=1)), 2))))
    for k in range(n_rounds):
        report(k / n_rounds, f"{len(failed)} failed drives")
        middle = (low + high) // 2
        open_ = np.flatnonzero(middle > low)
        saved = _saved(driven, truth, tracks, failed[open_], middle[open_])
        low[open_] = np.where(saved, middle[open_], low[open_])
        high[open_] = np.where(saved, high[open_], middle[open_])
    points = [
        {"drive": int(e), "step": int(t), "failed_at": int(failed_at[e])}
        for e, t in zip(failed, low, strict=True)
    ]
    write_json(folder / "no_return.json", points)


def _saved(
    driven: list[Episode], truth: list[Episode], tracks: costs.Tracks, rows: Ints, steps: Ints
) -> Bools:
    """Whether the expert, given the wheel at these steps, never fails any more, (F,)."""
    saved = np.zeros(len(rows), np.bool_)
    for town in sorted({driven[e].spec.route.town for e in rows.tolist()}):
        here = [i for i, e in enumerate(rows) if driven[e].spec.route.town == town]
        places = [(int(rows[i]), int(steps[i])) for i in here]
        _, played = fork_pairs(town, driven, places)
        first = steps[here]
        expert = costs.tracks([truth[e] for e, _ in places], tracks.horizon)
        failing = costs.failures(costs.tracks(played, tracks.horizon, first), expert).either
        saved[here] = ~(failing & (np.arange(1, tracks.horizon + 1) > first[:, None])).any(1)
    return saved
