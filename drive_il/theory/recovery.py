"""What one error costs, and for how long: u, k, and the identity that ties them to the gap.

A fork plays one action of the learner's where it disagrees, then the expert to the horizon, and
compares with the expert all the way, under the same noise. Its extra cost is a sample of
Q*(s, a) - Q*(s, pi*(s)), the advantage. By the performance difference lemma (Kakade and Langford
2002, Lemma 6.1) the gap is the expected sum of advantages over an episode's disagreements:

    J(pi) - J(pi*) = T eps_own E[advantage | disagreement]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import Bools, Floats, Ints
from drive_il.theory.intervals import (
    LEVEL,
    Estimate,
    interval,
    mean_with_interval,
    ratio_with_interval,
    resamples,
)

N_DRAWS = 2000
"""bootstrap draws"""


@dataclass(frozen=True)
class Forks:
    """F forks, drawn from the disagreements of S N episodes.

    Attributes:
        extra: cost after the learner's action minus cost after the expert's, (F,) [steps].
        episode: which of the S N episodes each is from, seed after seed, (F,).
        probability: with which each disagreement was drawn to be forked, in (0, 1], (F,).
        shape: S, N.
    """

    extra: Floats
    episode: Ints
    probability: Floats
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        if not len(self.extra) == len(self.episode) == len(self.probability):
            raise ValueError(
                f"each fork needs an episode and a probability, got {len(self.extra)} forks, "
                f"{len(self.episode)} episodes and {len(self.probability)} probabilities"
            )
        if not ((self.probability > 0) & (self.probability <= 1)).all():
            raise ValueError(
                f"a fork is drawn with a probability in (0, 1], got {self.probability}"
            )

    @classmethod
    def independent(cls, extra: Floats) -> Forks:
        """Forks of unknown episodes, each a unit of its own: intervals are too narrow then."""
        n = len(extra)
        return cls(extra, np.arange(n), np.ones(n), (1, max(n, 1)))

    def per_episode(self, values: Floats) -> Floats:
        """Sums values of forks over each episode, each weighted by 1 / probability, (S, N)."""
        n_seeds, n_episodes = self.shape
        summed = np.bincount(self.episode, values / self.probability, n_seeds * n_episodes)
        return np.asarray(summed.reshape(n_seeds, n_episodes))


def fork_probability(disagrees: Bools, budget: int) -> Floats:
    """Returns with which probability each disagreement is to be forked.

    Half of the budget goes to onsets (a disagreement after agreement): they are few and start what
    compounds, while a lost learner disagrees in every step. Weighted by 1 / probability the
    mean over all disagreements stays unbiased, with far less chance in it.

    Args:
        disagrees: of each step, False after an episode's end, (S, N, T).
        budget: forks to expect at most.

    Returns:
        0 where the learner agrees, (S, N, T).
    """
    begins = onsets(disagrees)
    return shared_out((begins, disagrees & ~begins), budget)


def onsets(disagrees: Bools) -> Bools:
    """Returns which disagreements follow an agreement, or begin an episode, (..., T)."""
    begins = disagrees.copy()
    begins[..., 1:] &= ~disagrees[..., :-1]
    return begins


def shared_out(strata: Sequence[Bools], budget: int) -> Floats:
    """Returns with which probability each step is drawn, so that strata get equal shares.

    What a small stratum does not need goes to the others. Any probability above 0 leaves sums
    weighted by 1 / probability unbiased; strata that matter more are drawn more densely.

    Args:
        strata: disjoint sets of steps, each (...).
        budget: draws to expect at most.

    Returns:
        0 outside all strata, (...).
    """
    chance = np.zeros(strata[0].shape)
    left = float(budget)
    sizes = [int(stratum.sum()) for stratum in strata]
    order = np.argsort(sizes, kind="stable").tolist()
    for place, which in enumerate(order):
        share = min(1.0, left / (len(order) - place) / max(sizes[which], 1))
        chance[strata[which]] = share
        left -= share * sizes[which]
    return chance


@dataclass(frozen=True)
class Recoverability:
    """What one action of the learner's costs when the expert takes over after it.

    Attributes:
        mean: over disagreements; with eps_own and T it gives the gap.
        mean_low: lower end of its interval.
        mean_high: upper end.
        p95: 95th percentile over disagreements.
        p95_low: lower end of its interval.
        p95_high: upper end; above the largest fork nothing is known, so that it is never higher.
        largest: the maximum, a lower estimate of the theorem's u: what was not forked may
            cost more, and no interval from the same forks can repair that. The theorem's is a
            supremum of expectations: where the noise decides what an error costs, a single
            fork can also lie above it.
        n_forks: forks it was taken from.
    """

    mean: float
    mean_low: float
    mean_high: float
    p95: float
    p95_low: float
    p95_high: float
    largest: float
    n_forks: int


def recoverability(forks: Forks, seed: int = 0) -> Recoverability:
    """Summarises forks.

    Args:
        forks: drawn with known probability; episodes are the unit of the interval.
        seed: of the bootstrap.
    """
    if len(forks.extra) == 0:
        nothing = math.nan
        return Recoverability(nothing, nothing, nothing, nothing, nothing, nothing, nothing, 0)
    weights = resamples(*forks.shape, N_DRAWS, seed)
    return summary(forks, weights)


def summary(forks: Forks, weights: Floats) -> Recoverability:
    """Summarises at least one fork, with the weights of `resamples`, (R, S, N)."""
    mean = mean_advantage(forks, weights)
    high = percentile(forks, 0.95, weights)
    return Recoverability(
        mean.value,
        mean.low,
        mean.high,
        high.value,
        high.low,
        high.high,
        max(0.0, float(forks.extra.max())),
        len(forks.extra),
    )


def percentile(forks: Forks, share: float, weights: Floats) -> Estimate:
    """Returns what a share of all disagreements costs at most, as if all had been forked.

    Its interval is that of the bootstrap's percentiles: a percentile is no mean, so that the
    corrections of `intervals` do not apply.

    Args:
        forks: at least one.
        share: of the disagreements, in (0, 1).
        weights: of `resamples`, (R, S, N).
    """
    order = np.argsort(forks.extra, kind="stable")
    extra = forks.extra[order]
    drawn = weights.reshape(len(weights), -1)[:, forks.episode[order]]
    counted = np.concatenate([np.ones((1, len(extra))), drawn]) / forks.probability[order]
    below = np.cumsum(counted, axis=1)
    told = below[:, -1] > 0  # a resample may have no episode that was forked
    below = below[told]
    value, *draws = extra[(below >= share * below[:, -1:]).argmax(1)]
    low, high = interval(np.array(draws)) if draws else (value, value)
    return Estimate(float(value), float(low), float(high))


def mean_advantage(forks: Forks, weights: Floats) -> Estimate:
    """Returns the mean extra cost over all disagreements, as if all had been forked.

    Args:
        forks: at least one.
        weights: of `resamples`, (R, S, N).
    """
    top = forks.per_episode(forks.extra)
    return ratio_with_interval(top, forks.per_episode(np.ones(len(forks.extra))), weights)


@dataclass(frozen=True)
class Identity:
    """The gap, measured twice.

    Attributes:
        gap: J(learner) - J(expert), from whole episodes.
        explained: the sum of advantages over an episode's disagreements, from forks.
        difference: gap - explained, paired by episode.
    """

    gap: Estimate
    explained: Estimate
    difference: Estimate

    @property
    def holds(self) -> bool:
        """Whether the two agree: the interval of their difference holds 0."""
        return self.difference.holds(0.0)


def gap_identity(gap: Floats, forks: Forks, weights: Floats) -> Identity:
    """Checks gap = T eps_own E[advantage | disagreement], a check of all that was measured.

    It fails where the cost is no sum over steps, where forks do not share their noise, where
    disagreement is defined with a tolerance that hides harmful errors, or where errors
    after an episode's end were left out.

    Args:
        gap: cost of the learner's minus cost of the expert's episode, (S, N) [steps].
        forks: of the learner's episodes; disagreements must be ALL steps whose action differs.
        weights: of `resamples`, (R, S, N).
    """
    explained = forks.per_episode(forks.extra)
    told = forks.per_episode(np.ones(len(forks.extra)))  # an episode without an error must agree
    return Identity(
        mean_with_interval(gap, weights),
        mean_with_interval(explained, weights),
        mean_with_interval(gap - explained, weights, part=told if told.any() else None),
    )


@dataclass(frozen=True)
class Return:
    """How long an error lasts.

    Attributes:
        median: steps until back, over forks that left the tube; NaN when fewer than half return.
        low: lower end of its interval.
        high: upper end; infinite where resamples have too few that return.
        longest: the most steps of a fork that came back, a lower estimate of k.
        never: share of those that left it that had not come back when their fork ended.
        n_left: forks that left the tube.
    """

    median: float
    low: float
    high: float
    longest: float
    never: float
    n_left: int


def steps_back(inside: Bools, hold: int, n_steps: Ints | None = None) -> Floats:
    """Returns after how many steps a fork is back in the tube around the expert's path.

    Args:
        inside: whether it is in the tube at 1, 2, ... H steps after the fork, (F, H).
        hold: steps that it must stay there to be back; fewer at the end of a fork do.
        n_steps: steps of each fork, at most H, (F,); H when not given.

    Returns:
        0 where it never leaves, otherwise the last step outside; infinite where it is
        outside to the end, (F,).
    """
    n_forks, horizon = inside.shape
    ends = np.full(n_forks, horizon) if n_steps is None else np.asarray(n_steps)
    step = np.arange(1, horizon + 1)
    out = ~inside & (step <= ends[:, None])
    # back after step t: nothing outside among t + 1 ... t + hold; t itself is outside or 0
    ahead = np.cumsum(np.pad(out, ((0, 0), (1, hold))), axis=1)
    quiet = ahead[:, hold:] == ahead[:, : horizon + 1]  # [t] is about t + 1 ... t + hold
    quiet &= np.arange(horizon + 1) < ends[:, None]
    began = np.where(out.any(1), out.argmax(1) + 1, 0)
    quiet &= np.arange(horizon + 1) >= began[:, None]
    return np.where(quiet.any(1), quiet.argmax(1), np.where(began > 0, np.inf, 0.0))


def return_time(
    steps: Floats, seed: int = 0, n_draws: int = N_DRAWS, probability: Floats | None = None
) -> Return:
    """Summarises `steps_back`: how many steps an error costs before the expert is back.

    Forks that end outside are counted as longer than all others, so that the median is right as
    long as half of them return.

    Args:
        steps: of `steps_back`, (F,).
        seed: of the bootstrap over forks.
        n_draws: R.
        probability: with which each was drawn: median and `never` are of all disagreements that
            leave the tube, not of those drawn; all alike when not given, (F,).
    """
    gone = steps > 0
    order = np.argsort(steps[gone], kind="stable")
    left, n = steps[gone][order], int(gone.sum())
    if n == 0:
        return Return(math.nan, math.nan, math.nan, 0.0, 0.0, 0)
    share = np.ones(n) if probability is None else 1 / probability[gone][order]
    returned = np.isfinite(left)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), n_draws)
    below = np.cumsum(np.concatenate([np.ones((1, n)), drawn]) * share, axis=1)
    median, *middles = left[(below >= below[:, -1:] / 2).argmax(1)].tolist()
    tail = (1 - LEVEL) / 2
    low = np.quantile(middles, tail, method="lower")  # methods that do not average infinities
    high = np.quantile(middles, 1 - tail, method="higher")
    return Return(
        median if math.isfinite(median) else math.nan,
        float(low),
        float(high),
        float(left[returned][-1]) if returned.any() else 0.0,
        float(share[~returned].sum() / share.sum()),
        n,
    )
