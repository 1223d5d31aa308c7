"""Where a certificate's failed drives were decided: the expert is given the wheel, step by step.

By halving: first to the last step from which the expert never fails (after it, it is too late),
then wherever the cost changes most. `theory.handovers` has what is done with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drive_il.datatypes import Episode
from drive_il.experiments.certify_forks import FORKS_AT_ONCE, disagreements, given_over
from drive_il.experiments.certify_jobs import gathered
from drive_il.experiments.drives import write_json
from drive_il.experiments.jobs import Report
from drive_il.theory import costs
from drive_il.theory import handovers as theory


def handovers(
    folder: Path, inputs: dict[str, Path], report: Report, budget: int, share: tuple[int, int]
) -> None:
    """Searches every n-th of the failed drives for the steps that decide them.

    Args:
        folder: takes handovers.json.
        inputs: all of the learner's drives, and the expert's.
        report: is told how it goes.
        budget: handovers in all; finding the points of no return may take more, some eight a
            drive, and nothing is left then for what else changes.
        share: (k, n): the k-th of n jobs.
    """
    driven, truth = gathered(inputs, "own"), gathered(inputs, "truth")
    tracks = costs.tracks(truth, driven[0].spec.max_steps)
    failed_at = disagreements(driven, tracks).failed_at
    failed = np.flatnonzero(failed_at > 1)[share[0] :: share[1]].tolist()
    known = search(
        driven, tracks, {e: int(failed_at[e]) for e in failed}, budget // share[1], report
    )
    write_json(folder / "handovers.json", [{"drive": e, "costs": one} for e, one in known.items()])


def search(
    driven: Sequence[Episode],
    truth: costs.Tracks,
    failed_at: dict[int, int],
    budget: int,
    report: Report,
) -> dict[int, dict[int, float]]:
    """Measures V_t of failed drives where halving leads.

    Args:
        driven: the learner's drives.
        truth: the expert's, of the same specs.
        failed_at: step of the first failure, at least 2, of each drive to search.
        budget: as in `handovers`.
        report: is told how it goes.

    Returns:
        Of each drive searched: step -> V, from 1 to the failure.
    """
    known = {e: {f: float(truth.horizon - f + 1)} for e, f in failed_at.items()}
    places, n = [(e, 1) for e in known], 0
    while places:
        report(min(n / max(budget, 1), 1.0), f"{len(known)} failed drives")
        for (e, t), cost in zip(places, given_over_costs(driven, truth, places), strict=True):
            known[e][t] = cost
        n += len(places)
        drives = list(known)
        more = max(0, min(FORKS_AT_ONCE, budget - n))
        places = [(drives[i], t) for i, t in theory.halves(list(known.values()), more)]
    return known


def given_over_costs(
    driven: Sequence[Episode], truth: costs.Tracks, places: Sequence[tuple[int, int]]
) -> list[float]:
    """Returns V_t of drives at (drive, step): what they cost when the expert takes over there."""
    found: dict[tuple[int, int], float] = {}
    for town in sorted({driven[e].spec.route.town for e, _ in places}):
        here = [place for place in places if driven[place[0]].spec.route.town == town]
        for at in range(0, len(here), FORKS_AT_ONCE):
            some = here[at : at + FORKS_AT_ONCE]
            first = np.array([t for _, t in some])
            played = costs.tracks(given_over(town, driven, some), truth.horizon, first)
            failing = costs.failures(played, truth.rows([e for e, _ in some])).either
            failing &= np.arange(1, truth.horizon + 1) > first[:, None]
            found |= zip(some, costs.absorbing(failing)[:, -1].tolist(), strict=True)
    return [found[place] for place in places]
