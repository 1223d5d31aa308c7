"""Forks of a certificate's drives: what one action costs, for how long, and when it is too late.

A fork plays the learner's action once where it drives before its first failure, then lets the
expert drive to the horizon; beside it the expert drives all the way, under the same noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.datatypes import Bools, Episode, Floats, Ints
from drive_il.experiments.certify_jobs import (
    EXPERT_ROWS,
    delta_of,
    gathered,
    of_kind,
)
from drive_il.experiments.drives import never_blocked, read_json, write_json
from drive_il.experiments.jobs import Report
from drive_il.experts.planner import Planner
from drive_il.maps import library
from drive_il.randomness import derive_seed, uniform
from drive_il.sim.world import World
from drive_il.theory import costs, handovers, recovery
from drive_il.theory.forks import fork, snapshots_at

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

    @property
    def can_fork(self) -> Bools:
        """Steps that can be forked: a fork begins at a state that a step has led to, (N, T)."""
        return self.alive & np.isfinite(self.error) & (np.arange(self.error.shape[1]) >= 1)

    def strata(self, delta: float) -> tuple[Bools, ...]:
        """Splits the steps that can be forked: onsets, other disagreements, agreements."""
        can = self.can_fork
        wrong = can & (self.error > delta)
        begins = recovery.onsets(wrong)
        return wrong & begins, wrong & ~begins, can & ~wrong


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
        inputs: all of the learner's drives, the expert's, the tolerance, and the handovers.
        report: is told how it goes.
        budget: forks in all.
        share: (k, n): the k-th of n jobs.
        seed: of the drawing.
    """
    driven, truth = gathered(inputs, "own"), gathered(inputs, "truth")
    horizon = driven[0].spec.max_steps
    tracks = costs.tracks(truth, horizon)
    seen = disagreements(driven, tracks)
    chance = chances(seen, delta_of(inputs), handed_over(inputs), budget)
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
            for (e, t), told in zip(some, compare(pairs, some, tracks), strict=True):
                facts = {"drive": e, "step": t, "chance": float(chance[e, t])}
                found.append(facts | {"error": float(seen.error[e, t])} | told)
    write_json(folder / "forks.json", found)


def chances(
    seen: Disagreements, delta: float, known: Mapping[int, handovers.Known], budget: int
) -> Floats:
    """Returns with which probability each step is forked, (N, T).

    Half of the budget goes to where the cost is decided, in proportion to how V changes there; the
    other half is shared out between onsets, other disagreements and agreements, so that a step
    about which the search knows nothing has a chance too.

    Args:
        seen: where the learner errs.
        delta: tolerance of the 0-1 loss.
        known: of each drive that was searched, V_t at some steps.
        budget: forks to expect at most.
    """
    n_drives, horizon = seen.error.shape
    change = handovers.change([known.get(e, {}) for e in range(n_drives)], horizon)
    decides = handovers.in_proportion(np.where(seen.can_fork, change, 0.0), budget / 2)
    spent = float(decides.sum())
    return handovers.either(decides, recovery.shared_out(seen.strata(delta), int(budget - spent)))


def fork_pairs(
    town: str, driven: Sequence[Episode], places: Sequence[tuple[int, int]]
) -> tuple[list[Episode], list[Episode]]:
    """Forks drives at (drive, step): after the learner's action, and after the expert's.

    The world's noise is keyed by seed and step, so that both share it; what a fork becomes
    does not depend on how many there are.
    """
    mine, reference = forked(town, driven, places, ("control", "expert_control"))
    return mine, reference


def given_over(
    town: str, driven: Sequence[Episode], places: Sequence[tuple[int, int]]
) -> list[Episode]:
    """Gives the wheel to the expert at (drive, step), to the horizon."""
    [reference] = forked(town, driven, places, ("expert_control",))
    return reference


def forked(
    town: str, driven: Sequence[Episode], places: Sequence[tuple[int, int]], actions: Sequence[str]
) -> list[list[Episode]]:
    """Forks drives once for each kind of action: that control once, then the expert's.

    Args:
        town: of all of these drives.
        driven: the learner's drives.
        places: (drive, step), (F,).
        actions: `control` (the learner's) or `expert_control`, one or more.

    Returns:
        Of each kind of action, the F forks.
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
    found = []
    for name in actions:
        once = np.concatenate([getattr(driven[e], name)[t : t + 1] for e, t in places])
        found.append(fork(world, expert, specs, snapshots, first, once, never_blocked()))
    return found


def handed_over(inputs: Mapping[str, Path]) -> dict[int, dict[int, float]]:
    """Reads V_t of all drives that were searched, as `certify_handovers` has found it."""
    return {
        one["drive"]: {int(step): cost for step, cost in one["costs"].items()}
        for folder in of_kind(inputs, "handovers").values()
        for one in read_json(folder / "handovers.json")
    }


def compare(
    pairs: tuple[list[Episode], list[Episode]],
    places: Sequence[tuple[int, int]],
    truth: costs.Tracks,
) -> list[dict[str, Any]]:
    """Says of each fork what the learner's one action cost, and for how long it could be seen."""
    first = np.array([t for _, t in places])
    horizon = truth.horizon
    expert = truth.rows([e for e, _ in places])
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
