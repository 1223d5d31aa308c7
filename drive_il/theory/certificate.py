"""What a certificate of compounding error states, from failing steps, errors and forks.

One way to compute each number: the leaderboard's columns (`evaluation.compounding`) and
`drive-il certify` both call these. Values are plain, as JSON holds them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from drive_il.datatypes import Bools, Floats, Ints
from drive_il.theory import bounds, costs
from drive_il.theory import estimators as est
from drive_il.theory.intervals import Estimate, mean_with_interval

NEVER_THERE = 0.01
"""share of a learner's steps where the expert never was, above which it is called uncovered"""


def eps_by_delta(shares: Floats, weights: Floats) -> dict[str, Any]:
    """Returns the share of steps that disagree, at every tolerance of `est.DELTAS`.

    Args:
        shares: of each episode's steps, by tolerance, (S, N, D).
        weights: of `intervals.resamples`, (R, S, N).
    """
    found = {}
    for k, delta in enumerate(est.DELTAS):
        one = mean_with_interval(shares[:, :, k], weights, limits=(0.0, 1.0))
        found[f"{delta:g}"] = asdict(one)
    return found


def growth(failing: Bools, amiss: Bools, horizons: Ints, weights: Floats) -> dict[str, Any]:
    """Returns how the cost above the expert's grows with the horizon.

    Args:
        failing: steps of the learner's episodes that fail, (S, N, T).
        amiss: of the expert's, (N, T).
        horizons: prefixes, the last at most T, (H,).
        weights: of `intervals.resamples`, (R, S, N).

    Returns:
        `absorbing` and `recoverable`: gap with `low` and `high` at each horizon; `exponent` of
        the absorbing gap, and `renewal`, its two-parameter model (None where too few failed).
    """
    result: dict[str, Any] = {}
    at = horizons - 1
    for name, cost in costs.COSTS.items():
        ours = np.stack([cost(one)[:, at] for one in failing])
        found = est.gaps(ours, cost(amiss)[:, at], horizons, weights)
        result[name] = {
            str(step): {"gap": one.value, "low": one.low, "high": one.high}
            for step, one in zip(horizons.tolist(), found, strict=True)
        }
    ours = np.stack([costs.absorbing(one)[:, at] for one in failing])
    theirs = costs.absorbing(amiss)[:, at]
    slope = est.growth_exponent(ours, theirs, horizons, weights)
    result["exponent"] = {
        "value": slope.value,
        "low": slope.low,
        "high": slope.high,
        "used_horizons": horizons[slope.used].tolist(),
        "reason": slope.reason,
    }
    model = est.renewal(ours, theirs, horizons, weights)
    result["renewal"] = None if model is None else asdict(model)
    return result


@dataclass(frozen=True)
class Measured:
    """What bounds are computed from; eps over all T steps.

    What comes after the end of a drive, or after its first failure, counts as agreement:
    nothing that is done there changes an absorbing cost.

    Attributes:
        gap: J(learner) - J(expert), in steps.
        horizon: T.
        eps_expert: 0-1 disagreement per step on the expert's states.
        eps_own: on the learner's own.
        error_own: mean |a - a*| per step on its own.
        u: largest extra cost of a fork, None where nothing was forked.
        k: most steps of a fork until it was back, None as above, infinite when one never was.
        ratio: C, infinite where the learner goes and the expert never does.
        slope: largest extra cost of a fork per unit of its action error, None as `u`.
        log_loss: nats per step on the expert's states, None where the policy has none.
    """

    gap: float
    horizon: int
    eps_expert: float
    eps_own: float
    error_own: float
    u: float | None = None
    k: float | None = None
    ratio: float = math.inf
    slope: float | None = None
    log_loss: float | None = None


def bound_table(seen: Measured) -> list[dict[str, Any]]:
    """Returns every bound of `bounds` that can be put in numbers for a drive.

    Returns:
        `name`, `formula`, `value` (None where something is not known, and `reason` why),
        `vacuous`, `gap_over_bound`, `holds`, and `lower_estimate`: the value rests on a largest
        sample and may be too small, so that a gap above it refutes nothing.
    """
    horizon, eps = seen.horizon, seen.eps_own
    no_forks = "" if seen.u is not None else "nothing was forked"
    rows = [
        _row("cloning", "T² ε", seen, bounds.cloning_bound(seen.eps_expert, horizon)),
        _row("interactive", "u T ε", seen, None, no_forks, True),
        _row("k_step", "k T ε", seen, None, no_forks, True),
        _row("density_ratio", "u T C ε", seen, None, no_forks, True),
        _row("lipschitz", "T L E|a − a*|", seen, None, no_forks, True),
        _row("log_loss", "T (1 − e^(−T L))", seen, None, "the policy states no probabilities"),
    ]
    if seen.u is not None:
        at = np.float64(seen.u)
        rows[1] = _row(
            "interactive", "u T ε", seen, bounds.interactive_bound(eps, at, horizon), "", True
        )
        own = bounds.density_ratio_bound(seen.eps_expert, seen.ratio, at, horizon)
        rows[3] = _row("density_ratio", "u T C ε", seen, own, "", True)
    if seen.k is not None:
        rows[2] = _row("k_step", "k T ε", seen, bounds.k_step_bound(eps, seen.k, horizon), "", True)
    if seen.slope is not None:
        value = bounds.lipschitz_bound(seen.error_own, seen.slope, horizon)
        rows[4] = _row("lipschitz", "T L E|a − a*|", seen, value, "", True)
    if seen.log_loss is not None:
        value = bounds.log_loss_bound(seen.log_loss, horizon, float(horizon))
        rows[5] = _row("log_loss", "T (1 − e^(−T L))", seen, value)
    return rows


def _row(
    name: str,
    formula: str,
    seen: Measured,
    bound: Any,
    reason: str = "",
    lower: bool = False,
) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "formula": formula, "value": None, "vacuous": None}
    row |= {"gap_over_bound": None, "holds": None, "lower_estimate": lower, "reason": reason}
    if bound is not None:
        value = float(bound)
        row["value"] = value
        row["vacuous"] = bool(bounds.is_vacuous(value, seen.horizon))
        row["gap_over_bound"] = seen.gap / value if value > 0 else None
        row["holds"] = seen.gap <= value
    return row


def tightest(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Returns the smallest bound that holds and says something, or None."""
    said = [row for row in rows if row["value"] is not None and row["holds"] and not row["vacuous"]]
    return min(said, key=lambda row: float(row["value"])) if said else None


def regime(
    eps_expert: Estimate, uncovered: Estimate, effective: float, horizon: int
) -> dict[str, str]:
    """Judges which of Spencer et al.'s three regimes a learner is in.

    A judgement of one learner from what can be seen, by two thresholds: fewer than one
    disagreement in T steps on the expert's states says realisable; a share of its own steps
    where the expert never was above NEVER_THERE says uncovered.

    Args:
        eps_expert: on the expert's states, over T steps.
        uncovered: share of the learner's steps in cells where the expert never was.
        effective: effective sample size of the expert's steps, weighted like the learner's.
        horizon: T.

    Returns:
        `name` and `why`.
    """
    errors = (
        f"{eps_expert.value * horizon:.1f} [{eps_expert.low * horizon:.1f}, "
        f"{eps_expert.high * horizon:.1f}] disagreements in {horizon} steps on the expert's states"
    )
    where = (
        f"{100 * uncovered.value:.1f} % [{100 * uncovered.low:.1f}, {100 * uncovered.high:.1f}] of "
        "its own steps are where the expert never was"
    )
    if eps_expert.high * horizon < 1.0:
        return {
            "name": "realisable",
            "why": f"{errors}: it can copy the expert, as far as was seen; {where}",
        }
    if uncovered.low > NEVER_THERE:
        return {
            "name": "uncovered",
            "why": f"{errors}, so it does not copy the expert; {where}, so that no weighting of "
            "the demonstrations can teach it there",
        }
    if uncovered.high <= NEVER_THERE:
        return {
            "name": "covered",
            "why": f"{errors}, so it does not copy the expert; {where}: the expert has been where "
            f"it goes (effective sample {100 * effective:.0f} %)",
        }
    return {
        "name": "undecided",
        "why": f"{errors}; {where}, on both sides of the {100 * NEVER_THERE:g} % that is asked for",
    }


def by_name(rows: list[dict[str, Any]]) -> Mapping[str, dict[str, Any]]:
    """Returns the rows of `bound_table` by name."""
    return {row["name"]: row for row in rows}
