"""How an agent's errors compound, measured on the drives of its entry.

Each drive is set beside the expert's drive of the same episode spec: there the expert drives and
the agent only answers (errors on the expert's states); in its own drive the agent drives and
the expert answers silently (errors on its own states). Costs are those of `theory.costs`, bounds
those of `theory.bounds`; here they are gathered drive by drive, so that a results file holds all
that the columns of the leaderboard are made from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from drive_il.datatypes import Array, Bools, Episode, Floats, Ints, Outcome
from drive_il.randomness import derive_seed
from drive_il.theory import certificate, costs, intervals
from drive_il.theory.estimators import DELTAS

DELTA = 0.05
"""the one that the columns show; the covariate-shift experiment found that the expert does not mind
errors that small"""
N_HORIZONS = 11
SPAN = 32.0
"""the longest horizon is so many times the shortest"""
N_DRAWS = 2000


@dataclass(frozen=True)
class DriveErrors:
    """What one drive says about compounding errors, in plain values.

    Attributes:
        n_own: states of the agent's own drive that the expert labelled.
        n_expert: states of the expert's drive that the agent answered in.
        own: how many of its own states it disagrees in by more than each of DELTAS.
        expert: how many of the expert's states.
        steer_error_own: mean |steer - expert's steer| on its own states.
        steer_error_expert: on the expert's states.
        failing: runs of failing steps of its own drive, first and one past the last, (N, 2).
        fails_after: whether steps after the end of both drives fail: it never arrives.
        expert_failing: those of the expert's drive, which leaves its lane to pass obstacles.
        expert_fails_after: whether the expert ended off its lane.
        n_steps: steps until both drives are over.
        expert_steps: steps of the expert's drive.
    """

    n_own: int
    n_expert: int
    own: tuple[int, ...]
    expert: tuple[int, ...]
    steer_error_own: float
    steer_error_expert: float
    failing: tuple[tuple[int, int], ...]
    fails_after: bool
    expert_failing: tuple[tuple[int, int], ...]
    expert_fails_after: bool
    n_steps: int
    expert_steps: int


def drive_errors(own: Episode, truth: Episode) -> DriveErrors:
    """Compares a drive with the expert's of the same spec.

    Args:
        own: the agent drove, the expert was asked in every step.
        truth: the expert drove, the agent answered; both are `own` where the expert is judged.
    """
    mine = _errors(own.control["steer"], own.expert_control["steer"])
    theirs = _errors(truth.policy_control["steer"], truth.control["steer"])
    if own is truth:
        theirs = mine
    n_steps = max(own.n_steps, truth.n_steps) + 1  # the last one shows what stays
    ego, expert = (costs.tracks([_ended(one)], n_steps) for one in (own, truth))
    failing = costs.failures(ego, expert).either[0]
    amiss = costs.failures(expert, expert).either[0]
    return DriveErrors(
        n_own=len(mine),
        n_expert=len(theirs),
        own=tuple(int((mine > delta).sum()) for delta in DELTAS),
        expert=tuple(int((theirs > delta).sum()) for delta in DELTAS),
        steer_error_own=float(mine.mean()) if len(mine) else 0.0,
        steer_error_expert=float(theirs.mean()) if len(theirs) else 0.0,
        failing=_runs(failing[:-1]),
        fails_after=bool(failing[-1]),
        expert_failing=_runs(amiss[:-1]),
        expert_fails_after=bool(amiss[-1]),
        n_steps=n_steps - 1,
        expert_steps=truth.n_steps,
    )


def _errors(steer: Array, expert_steer: Array) -> Floats:
    """|difference| where both were given."""
    error: Floats = np.abs(steer - expert_steer)
    return error[np.isfinite(error)]


def _ended(episode: Episode) -> Episode:
    """An agent that was stopped, for whatever reason, stands where it was: it never arrives."""
    if episode.outcome in (Outcome.TRUNCATED, Outcome.ABORTED):
        return replace(episode, outcome=Outcome.BLOCKED)
    return episode


def _runs(flags: Bools) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return tuple((int(a), int(b)) for a, b in edges.reshape(-1, 2))


def to_plain(errors: DriveErrors) -> dict[str, Any]:
    """Returns what a results file holds of a drive."""
    return asdict(errors)


def from_plain(value: Mapping[str, Any]) -> DriveErrors:
    """Reads what a results file holds of a drive.

    Raises:
        ValueError: something is missing; says what.
    """
    missing = [name for name in DriveErrors.__dataclass_fields__ if name not in value]
    if missing:
        raise ValueError(f"the errors of a drive lack {', '.join(missing)}; run it again")
    known = {name: value[name] for name in DriveErrors.__dataclass_fields__}
    for name in ("own", "expert"):
        known[name] = tuple(int(count) for count in known[name])
    for name in ("failing", "expert_failing"):
        known[name] = tuple((int(a), int(b)) for a, b in known[name])
    return DriveErrors(**known)


def horizons(drives: Sequence[DriveErrors]) -> Ints:
    """Returns horizons T, evenly in log, up to the median of the expert's drives, (H,) steps."""
    longest = max(float(np.median([drive.expert_steps for drive in drives])), SPAN)
    spaced = np.geomspace(longest / SPAN, longest, N_HORIZONS)
    return np.unique(np.maximum(np.round(spaced), 1).astype(np.int64))


def compounding(drives: Sequence[DriveErrors], seed: int) -> dict[str, Any]:
    """Estimates what the columns of the leaderboard show, from all drives of an entry.

    Args:
        drives: N of them.
        seed: of the bootstrap; its units are drives.

    Returns:
        `eps_expert`, `eps_own` (share of states with a steer error above `delta`) with `low` and
        `high`, both by every delta; `absorbing` and `recoverable` cost J(T) above the expert's
        at each horizon; `exponent` of the absorbing one; `bounds` at the longest horizon: T^2
        eps_expert (Ross and Bagnell 2010, Theorem 2.1) with the gap as a share of it and
        whether it is vacuous, and the gap per disagreement on its own states, which u must
        exceed for u T eps_own (Ross, Gordon and Bagnell 2011, Theorem 2.2) to hold.

    Raises:
        ValueError: no drives.
    """
    if not drives:
        raise ValueError("no drives to measure errors on")
    steps = horizons(drives)
    weights = intervals.resamples(1, len(drives), N_DRAWS, derive_seed(seed, "compounding"))
    failing, amiss = (
        np.stack([_flags(drive, side, int(steps[-1])) for drive in drives])
        for side in ("", "expert_")
    )
    result: dict[str, Any] = {
        "n_drives": len(drives),
        "interval_over": "drives",
        "interval_level": intervals.LEVEL,
        "delta": DELTA,
        "horizons": steps.tolist(),
        "failed_drives": int((costs.first_failure(failing) > 0).sum()),
    }
    for name in ("expert", "own"):
        share = np.array([_shares(drive, name) for drive in drives])[None]
        found = certificate.eps_by_delta(share, weights)
        result[f"eps_{name}"] = found[f"{DELTA:g}"]
        result[f"eps_{name}_by_delta"] = {delta: one["value"] for delta, one in found.items()}
    result |= certificate.growth(failing[None], amiss, steps, weights)
    gap = result["absorbing"][str(steps[-1])]["gap"]
    eps = (result["eps_expert"]["value"], result["eps_own"]["value"])
    result["bounds"] = _bounds(gap, int(steps[-1]), *eps)
    return result


def _shares(drive: DriveErrors, name: str) -> Floats:
    counts, n = getattr(drive, name), getattr(drive, f"n_{name}")
    share: Floats = np.array(counts, float) / max(n, 1)
    return share


def _flags(drive: DriveErrors, side: str, horizon: int) -> Bools:
    """Which of the first `horizon` steps of its own or the expert's ("expert_") drive fail."""
    failing = np.zeros(max(horizon, drive.n_steps), np.bool_)
    for first, last in getattr(drive, f"{side}failing"):
        failing[first:last] = True
    failing[drive.n_steps :] = getattr(drive, f"{side}fails_after")
    return failing[:horizon]


def _bounds(gap: float, horizon: int, eps_expert: float, eps_own: float) -> dict[str, Any]:
    seen = certificate.Measured(gap, horizon, eps_expert, eps_own, 0.0)
    cloning = certificate.by_name(certificate.bound_table(seen))["cloning"]
    disagreements = horizon * eps_own
    return {
        "horizon": horizon,
        "gap": gap,
        "cloning": cloning["value"],
        "cloning_vacuous": cloning["vacuous"],
        "gap_over_cloning": cloning["gap_over_bound"],
        "disagreements": disagreements,
        "gap_per_disagreement": gap / disagreements if disagreements > 0.0 else None,
    }
