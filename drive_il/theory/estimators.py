"""Estimates with intervals: imitation errors, gaps, and how they grow.

The unit is the episode, and the training seed when there is more than one: `intervals.py`.
Values come as (S, N, ...) arrays: S training seeds, N episodes that all of them drive.
u, k and the gap identity are in `recovery.py`, C in `density.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import Bools, Floats, Ints
from drive_il.theory.intervals import Estimate, interval, mean_with_interval

DELTAS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
"""steer errors that are tried as the tolerance of the 0-1 loss, the grid of its curve"""
SATURATION = 0.3
"""gaps above this share of T bend the growth curve and are left out of its fit"""
MIN_FAILURES = 10
"""a point with fewer failed episodes is left out of the fit"""
MIN_POINTS = 3
"""a fit with fewer points is none"""


@dataclass(frozen=True)
class Exponent:
    """Growth exponent of the gap, or why there is none.

    Attributes:
        value: slope of log gap over log T; None with fewer than 3 usable points.
        low: lower end of its interval.
        high: upper end.
        used: which horizons entered the fit, (H,).
        reason: why value is None, or empty.
    """

    value: float | None
    low: float | None
    high: float | None
    used: Bools
    reason: str = ""


def gaps(learner: Floats, expert: Floats, horizons: Ints, weights: Floats) -> list[Estimate]:
    """Estimates J(learner) - J(expert) at each horizon, paired by episode.

    Where no episode differs, the upper end is what the exact (Clopper-Pearson) limit for the share
    of differing episodes allows, each costing T.

    Args:
        learner: costs of each episode at each horizon, (S, N, H).
        expert: the expert's costs of the same episodes, (N, H).
        horizons: T, (H,).
        weights: of `resamples`, (R, S, N).

    Returns:
        One estimate per horizon, in steps.
    """
    difference = learner - expert[None]
    return [
        mean_with_interval(difference[:, :, h], weights, limits=(0.0, float(horizon)))
        for h, horizon in enumerate(horizons)
    ]


def growth_exponent(learner: Floats, expert: Floats, horizons: Ints, weights: Floats) -> Exponent:
    """Fits the slope of log gap over log T where the gap is neither rare nor saturated.

    Saturation bends the slope: on an exact cliff with eps = 0.01 it falls from 2 at T = 10
    to 1.4 at T = 200. Used are horizons with a gap below 0.3 T and at least 10 episodes
    that have failed. The bootstrap keeps the same horizons; a resample in which a gap
    vanishes is left out.

    Args:
        learner: costs, (S, N, H).
        expert: the expert's, (N, H).
        horizons: T, (H,).
        weights: of `resamples`, (R, S, N).
    """
    difference = learner - expert[None]
    gap = difference.mean((0, 1))
    failed = (difference > 0).sum((0, 1))
    used = (gap > 0) & (gap < SATURATION * horizons) & (failed >= MIN_FAILURES)
    if used.sum() < MIN_POINTS:
        return Exponent(None, None, None, used, _why_not(used, gap, failed, horizons))
    x = np.log(horizons[used])
    x = x - x.mean()
    value = float(x @ np.log(gap[used]) / (x @ x))
    drawn = np.einsum("rsn,snh->rh", weights, difference[:, :, used])
    drawn = drawn[(drawn > 0).all(1)]
    low, high = interval(np.log(drawn) @ x / (x @ x))
    return Exponent(value, float(low), float(high), used)


def _why_not(used: Bools, gap: Floats, failed: Ints, horizons: Ints) -> str:
    few = int((failed < MIN_FAILURES).sum())
    full = int(((failed >= MIN_FAILURES) & (gap >= SATURATION * horizons)).sum())
    return (
        f"a slope needs {MIN_POINTS} horizons with a gap below {SATURATION:g} T and at least "
        f"{MIN_FAILURES} failed episodes; {int(used.sum())} of {len(horizons)} qualify "
        f"({few} have too few failures, {full} are saturated)"
    )


def disagreement(steer: Floats, expert_steer: Floats, delta: float) -> Bools:
    """Returns the 0-1 loss 1[|a - a*| > delta] of each step; NaN counts as agreement."""
    return np.asarray(np.abs(steer - expert_steer) > delta)


@dataclass(frozen=True)
class Errors:
    """How a learner's actions differ from the expert's on one kind of states.

    Attributes:
        eps: mean 0-1 disagreement with the chosen tolerance, what the bounds take.
        by_delta: eps at each tolerance of the grid; at 0 nearly every step disagrees and the
            bounds are vacuous.
        absolute: mean |a - a*|, in units of the action.
        root_mean_square: L2 error, in units of the action.
    """

    eps: Estimate
    by_delta: dict[float, Estimate]
    absolute: Estimate
    root_mean_square: Estimate


def errors(difference: Floats, delta: float, deltas: Sequence[float], weights: Floats) -> Errors:
    """Estimates imitation errors, on the expert's states or on the learner's own.

    Every episode counts the same, however long: the bounds average over T steps of each.

    Args:
        difference: a - a* of each step, NaN where nobody was asked, (S, N, T).
        delta: the tolerance, from `tolerance`.
        deltas: the grid of the curve.
        weights: of `intervals.resamples`, (R, S, N).

    Raises:
        ValueError: an episode without a single labelled step.
    """
    known = np.isfinite(difference)
    counted = known.sum(2)
    if not counted.all():
        seed, episode = np.argwhere(counted == 0)[0]
        raise ValueError(
            f"episode {episode} of seed {seed} has no step that the expert labelled; "
            "drive it with labels, or leave it out for every seed"
        )
    size = np.where(known, np.abs(difference), 0.0)

    def share(tolerated: float) -> Estimate:
        return mean_with_interval((size > tolerated).sum(2) / counted, weights, limits=(0.0, 1.0))

    squared = mean_with_interval((size**2).sum(2) / counted, weights)
    return Errors(
        eps=share(delta),
        by_delta={one: share(one) for one in deltas},
        absolute=mean_with_interval(size.sum(2) / counted, weights),
        root_mean_square=Estimate(
            *(float(np.sqrt(max(0.0, x))) for x in (squared.value, squared.low, squared.high))
        ),
    )


def log_loss(log_probability: Floats, weights: Floats) -> Estimate:
    """Estimates the mean of -log pi(expert's action | state), in nats per step.

    For `bounds.log_loss_bound` the states are the expert's and were not trained on.

    Args:
        log_probability: of the expert's action under the learner, NaN where nobody was asked,
            (S, N, T); a density (continuous actions) gives no bound.
        weights: of `intervals.resamples`, (R, S, N).

    Raises:
        ValueError: a probability above 1 or of 0: an action the learner excludes makes the
            loss infinite.
    """
    known = np.isfinite(log_probability)
    if (log_probability > 0).any() or np.isneginf(log_probability).any():
        raise ValueError(
            "log-probabilities must be finite and at most 0; a density is no probability, and a "
            f"learner that excludes an action has no log-loss; got {np.nanmin(log_probability)} to "
            f"{np.nanmax(log_probability)}"
        )
    loss = np.where(known, -log_probability, 0.0).sum(2) / known.sum(2)
    return mean_with_interval(loss, weights)


def tolerance(deltas: Floats, extra_costs: Floats, eta: float) -> float:
    """Returns the largest delta up to which errors that small cost the expert at most eta.

    With such a delta the bounds hold up to a slack of about eta: what the 0-1 loss calls
    agreement does no harm by itself.

    Args:
        deltas: increasing, (D,).
        extra_costs: cost of the expert with errors up to each delta, minus its own, (D,).
        eta: what is allowed, in steps.

    Raises:
        ValueError: not even the smallest delta costs at most eta.
    """
    fine = np.logical_and.accumulate(np.asarray(extra_costs) <= eta)
    if not fine[0]:
        raise ValueError(
            f"steer errors of {deltas[0]:g} already cost the expert {extra_costs[0]:.2f} steps, "
            f"more than eta = {eta:g}; start with smaller deltas or allow a larger eta"
        )
    return float(deltas[int(fine.sum()) - 1])


def hazard(failed_at: Ints, horizon: int) -> float:
    """Returns the rate of first failures per step, as one cliff would have it.

    The maximum-likelihood rate of a constant hazard: failures over steps at risk.

    Args:
        failed_at: step of each episode's first failure, 0 where none, any shape.
        horizon: T.
    """
    at_risk = np.where(failed_at > 0, failed_at, horizon).sum()
    return float((failed_at > 0).sum() / at_risk)


N_RATES = 160
"""rates that the renewal fit tries"""


@dataclass(frozen=True)
class Renewal:
    """Two-parameter model of the gap: errors at a constant rate, recovery at another.

    Off the track with probability h per step, back with probability r. Judged after each step, as
    in `costs.py`, with x = h + r:

        J(T) = h / x (T - (1 - x) (1 - (1 - x)^T) / x).

    r = 0 is the cliff, whose gap grows with T^2 until it saturates; with r > 0 it is linear after
    some 1 / x steps. Unlike a slope in log-log it uses saturated horizons too.

    Attributes:
        error_rate: h, per step on the track.
        recovery_rate: r, per step off it; 1 / r is the mean number of steps an error costs.
        misfit: largest |model - gap| / gap over the horizons that were fitted.
    """

    error_rate: Estimate
    recovery_rate: Estimate
    misfit: float


def renewal_cost(error_rate: Floats, recovery_rate: Floats, horizon: Floats) -> Floats:
    """Returns J(T) of the renewal model; arguments broadcast, error_rate + recovery_rate > 0."""
    both = np.asarray(error_rate + recovery_rate, np.float64)
    with np.errstate(divide="ignore"):
        faded = -np.expm1(horizon * np.log1p(-np.minimum(both, 1.0)))
    return np.asarray(error_rate / both * (horizon - (1 - both) * faded / both))


def renewal(learner: Floats, expert: Floats, horizons: Ints, weights: Floats) -> Renewal | None:
    """Fits the renewal model to the gaps at all horizons with enough failed episodes.

    Least squares of relative errors: for each of a grid of h + r the best h is one division.

    Args:
        learner: costs, (S, N, H).
        expert: the expert's, (N, H).
        horizons: T, (H,).
        weights: of `intervals.resamples`, (R, S, N).

    Returns:
        The fit, or None with fewer than MIN_POINTS horizons of MIN_FAILURES failed episodes.
    """
    difference = learner - expert[None]
    gap = difference.mean((0, 1))
    used = (gap > 0) & ((difference > 0).sum((0, 1)) >= MIN_FAILURES)
    if used.sum() < MIN_POINTS:
        return None
    steps = horizons[used].astype(np.float64)
    drawn = np.einsum("rsn,snh->rh", weights, difference[:, :, used])
    drawn = drawn[(drawn > 0).all(1)]
    error, recovery = _fit_renewal(np.concatenate([gap[None, used], drawn]), steps)
    model = renewal_cost(error[0], recovery[0], steps)
    return Renewal(
        _estimate(error), _estimate(recovery), float(np.abs(model / gap[used] - 1).max())
    )


def _estimate(found: Floats) -> Estimate:
    """An estimate of the first value from draws of it, the others."""
    low, high = interval(found[1:])
    return Estimate(float(found[0]), float(low), float(high))


def _fit_renewal(gap: Floats, steps: Floats) -> tuple[Floats, Floats]:
    """Returns h and r of each row of gaps, (R,) each."""
    both = np.geomspace(1e-3 / steps[-1], 1.0, N_RATES)
    shape = renewal_cost(both, np.zeros(N_RATES), steps[:, None]).T  # (G, H), as if r = 0
    ratio = shape[None] / gap[:, None]  # (R, G, H)
    scale = np.clip(ratio.sum(2) / (ratio**2).sum(2), 0.0, 1.0)
    misfit = ((scale[:, :, None] * ratio - 1) ** 2).sum(2)
    best = misfit.argmin(1)
    share = scale[np.arange(len(gap)), best]
    return share * both[best], (1 - share) * both[best]
