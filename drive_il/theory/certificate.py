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
        eps_expert_high: upper end of the interval of `eps_expert`, None where not known.
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
    eps_expert_high: float | None = None


def bound_table(seen: Measured) -> list[dict[str, Any]]:
    """Returns every bound of `bounds` that can be put in numbers for a drive.

    Returns:
        `name`, `formula`, `value` (None where something is not known, and `reason` why),
        `vacuous`, `gap_over_bound`, `holds`, and `lower_estimate`: the value rests on a largest
        sample and may be too small, so that a gap above it refutes nothing. `high` of the
        cloning bound: with the upper end of eps.
    """
    horizon, eps, u = seen.horizon, seen.eps_own, seen.u
    high = seen.eps_expert_high
    no_forks = "nothing was forked"
    values: list[tuple[str, str, Any, str]] = [
        ("cloning", "T² ε", bounds.cloning_bound(seen.eps_expert, horizon), ""),
        (
            "interactive",
            "u T ε",
            None if u is None else bounds.interactive_bound(eps, u, horizon),
            no_forks,
        ),
        (
            "k_step",
            "k T ε",
            None if seen.k is None else bounds.k_step_bound(eps, seen.k, horizon),
            no_forks,
        ),
        (
            "density_ratio",
            "u T C ε",
            None
            if u is None
            else bounds.density_ratio_bound(seen.eps_expert, seen.ratio, u, horizon),
            no_forks,
        ),
        (
            "lipschitz",
            "T L E|a − a*|",
            None
            if seen.slope is None
            else bounds.lipschitz_bound(seen.error_own, seen.slope, horizon),
            no_forks,
        ),
        (
            "log_loss",
            "T (1 − e^(−T L))",
            None
            if seen.log_loss is None
            else bounds.log_loss_bound(seen.log_loss, horizon, float(horizon)),
            "the policy states no probabilities",
        ),
    ]
    rows = [
        _row(name, formula, seen, value, reason if value is None else "", name in _LARGEST)
        for name, formula, value, reason in values
    ]
    if high is not None:
        rows[0]["high"] = float(bounds.cloning_bound(high, horizon))
    return rows


_LARGEST = ("interactive", "k_step", "density_ratio", "lipschitz")
"""bounds that rest on the largest of a sample"""


def _row(
    name: str,
    formula: str,
    seen: Measured,
    bound: Any,
    reason: str,
    lower: bool,
) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "formula": formula, "value": None, "vacuous": None}
    row |= {"gap_over_bound": None, "holds": None, "lower_estimate": lower, "reason": reason}
    row["high"] = None
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
    eps_expert: Estimate, gap_low: float, uncovered: Estimate, effective: float, horizon: int
) -> dict[str, str]:
    """Judges which of Spencer et al.'s three regimes a learner is in.

    A judgement of one learner from what can be seen. Realisable: it disagrees with the expert
    less than once in T steps of the expert's, and no gap is certain. Otherwise it is covered
    or uncovered by the share of its own steps where the expert never was, NEVER_THERE.

    Args:
        eps_expert: on the expert's states, over T steps.
        gap_low: lower end of the gap's interval [steps].
        uncovered: share of the learner's steps in cells where the expert never was.
        effective: effective sample size of the expert's steps, weighted like the learner's.
        horizon: T.

    Returns:
        `name` and `why`.
    """
    n = eps_expert.value * horizon
    errors = f"{n:.1f} disagreements in {horizon} steps on the expert's states"
    where = (
        f"{100 * uncovered.value:.1f} % [{100 * uncovered.low:.1f}, {100 * uncovered.high:.1f}] of "
        "its own steps are where the expert never was"
    )
    if n < 1.0 and gap_low <= 0.5:
        return {"name": "realisable", "why": f"{errors}, and no gap is certain; {where}"}
    if n < 1.0:
        errors += ", and yet a gap: of errors below the tolerance, or of pedals"
    if uncovered.low > NEVER_THERE:
        return {"name": "uncovered", "why": f"{errors}; {where}: no weighting teaches it there"}
    if uncovered.high <= NEVER_THERE:
        covers = f"the expert has been where it goes (effective sample {100 * effective:.0f} %)"
        return {"name": "covered", "why": f"{errors}; {where}: {covers}"}
    return {
        "name": "undecided",
        "why": f"{errors}; {where}, on both sides of the {100 * NEVER_THERE:g} % that decide",
    }


def by_name(rows: list[dict[str, Any]]) -> Mapping[str, dict[str, Any]]:
    """Returns the rows of `bound_table` by name."""
    return {row["name"]: row for row in rows}
