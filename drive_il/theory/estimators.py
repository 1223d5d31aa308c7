"""Estimates with intervals: gaps, growth exponents, eps, tolerance, u.

The unit is the episode: steps of one episode are not independent, so that bootstraps draw
whole episodes, and whole training seeds first when there is more than one. Values come as
(S, N, ...) arrays: S training seeds, N paired episodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from drive_il.datatypes import Bools, Floats, Ints

LEVEL = 0.95
"""of all intervals"""
SATURATION = 0.3
"""gaps above this share of T bend the growth curve and are left out of its fit"""
MIN_FAILURES = 10
"""a point with fewer failed episodes is left out of the fit"""
MIN_POINTS = 3
"""a fit with fewer points is none"""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; in the units of what was estimated."""

    value: float
    low: float
    high: float


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


def resamples(n_seeds: int, n_episodes: int, n_draws: int, seed: int) -> Floats:
    """Draws bootstrap weights: episodes within seeds, seeds first when there are several.

    Args:
        n_seeds: S.
        n_episodes: N, the same in each seed.
        n_draws: R.
        seed: of the drawing.

    Returns:
        How often each episode counts, divided by S N: a weighted sum over the last two
        axes is the mean of a resample, (R, S, N).
    """
    rng = np.random.default_rng(seed)
    if n_seeds == 1:
        counts = rng.multinomial(n_episodes, np.full(n_episodes, 1 / n_episodes), n_draws)
        return np.asarray(counts[:, None, :] / n_episodes)
    weights = np.zeros((n_draws, n_seeds, n_episodes))
    draws = np.arange(n_draws)
    for _ in range(n_seeds):
        chosen = rng.integers(n_seeds, size=n_draws)
        counts = rng.multinomial(n_episodes, np.full(n_episodes, 1 / n_episodes), n_draws)
        weights[draws, chosen] += counts
    return weights / (n_seeds * n_episodes)


def interval(draws: Floats) -> tuple[Floats, Floats]:
    """Returns the percentile interval of bootstrap draws along the first axis."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(draws, [tail, 100 - tail], axis=0)
    return low, high


def mean_with_interval(values: Floats, weights: Floats) -> Estimate:
    """Returns the mean of per-episode values with its bootstrap interval.

    Args:
        values: (S, N).
        weights: of `resamples`, (R, S, N).
    """
    low, high = interval(np.einsum("rsn,sn->r", weights, values))
    return Estimate(float(values.mean()), float(low), float(high))


def gaps(learner: Floats, expert: Floats, horizons: Ints, weights: Floats) -> list[Estimate]:
    """Estimates J(learner) - J(expert) at each horizon, paired by episode.

    Resampling episodes that all cost the same gives an interval of no width, however few
    they are. Where no episode differs, the upper end is therefore what the exact
    (Clopper-Pearson) limit for the share of differing episodes allows, each costing T.

    Args:
        learner: costs of each episode at each horizon, (S, N, H).
        expert: the expert's costs of the same episodes, (N, H).
        horizons: T, (H,).
        weights: of `resamples`, (R, S, N).

    Returns:
        One estimate per horizon, in steps.
    """
    difference = learner - expert[None]
    low, high = interval(np.einsum("rsn,snh->rh", weights, difference))
    estimates = []
    for h, horizon in enumerate(horizons):
        here = difference[:, :, h]
        top = float(high[h])
        if not here.any():  # seeds share their episodes, so that N counts, not S N
            top = float(horizon) * none_of(here.shape[1])
        estimates.append(Estimate(float(here.mean()), float(low[h]), top))
    return estimates


def none_of(n: int) -> float:
    """Returns the upper limit of a probability after 0 events in n trials."""
    return float(1.0 - ((1.0 - LEVEL) / 2) ** (1.0 / n))


def rate_interval(n_events: int, n: int) -> tuple[float, float]:
    """Returns the exact (Clopper-Pearson) interval of a probability."""
    tail = (1.0 - LEVEL) / 2
    low = stats.beta.ppf(tail, n_events, n - n_events + 1) if n_events else 0.0
    high = stats.beta.ppf(1 - tail, n_events + 1, n - n_events) if n_events < n else 1.0
    return float(low), float(high)


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


@dataclass(frozen=True)
class Recoverability:
    """What one action of the learner's costs when the expert takes over after it.

    Attributes:
        mean: over forks where the learner disagrees.
        p95: 95th percentile.
        largest: the maximum, a lower estimate of the theorem's u.
        n_forks: forks it was taken from.
    """

    mean: float
    p95: float
    largest: float
    n_forks: int


def recoverability(extra: Floats) -> Recoverability:
    """Summarises forks.

    Args:
        extra: cost after the learner's action minus cost after the expert's, from the same
            state with the same noise, (F,).
    """
    if len(extra) == 0:
        return Recoverability(math.nan, math.nan, math.nan, 0)
    return Recoverability(
        float(extra.mean()),
        float(np.percentile(extra, 95)),
        max(0.0, float(extra.max())),
        len(extra),
    )
