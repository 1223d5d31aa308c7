"""Whether the expert has been where the learner goes: C, on coarse cells.

C = max over states of d_learner / d_expert decides between Spencer et al. 2021's regimes. States of
a drive are continuous, so that they are counted in cells of lateral error, heading error and
speed; a ratio between cells is at most the ratio between states, and the largest of few
counts is itself uncertain: C is a coarse lower estimate, and `uncovered` says more plainly
whether it is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import Floats, Ints
from drive_il.theory.intervals import Estimate, interval, mean_with_interval

LATERAL_EDGES = (-3.0, -1.5, -0.75, -0.25, 0.25, 0.75, 1.5, 3.0)
"""between cells of lateral error, left positive [m]"""
HEADING_EDGES = (-0.5, -0.2, -0.05, 0.05, 0.2, 0.5)
"""between cells of heading error [rad]"""
SPEED_EDGES = (0.5, 3.0, 6.0, 9.0, 13.0)
"""between cells of speed [m/s]"""
N_CELLS = (len(LATERAL_EDGES) + 1) * (len(HEADING_EDGES) + 1) * (len(SPEED_EDGES) + 1)
"""cells of `cells`"""
MIN_SHARE = 1e-3
"""cells that the learner is in less often than this say nothing about C"""


def cells(lateral_error: Floats, heading_error: Floats, speed: Floats) -> Ints:
    """Returns the cell of each state, in 0 ... N_CELLS - 1.

    Args:
        lateral_error: left positive, any shape [m].
        heading_error: the same shape [rad].
        speed: the same shape [m/s].
    """
    lateral = np.digitize(lateral_error, LATERAL_EDGES)
    heading = np.digitize(heading_error, HEADING_EDGES)
    fast = np.digitize(speed, SPEED_EDGES)
    row = lateral * (len(HEADING_EDGES) + 1) + heading
    return np.asarray(row * (len(SPEED_EDGES) + 1) + fast)


def shares(cell: Ints, n_cells: int) -> Floats:
    """Returns the share of each episode's steps in each cell, (N, n_cells).

    Args:
        cell: of each step, -1 where there is none, (N, T).
        n_cells: how many there are.
    """
    n = len(cell)
    row, step = np.nonzero(cell >= 0)
    counts = np.bincount(row * n_cells + cell[row, step], minlength=n * n_cells)
    found = counts.reshape(n, n_cells).astype(np.float64)
    return np.asarray(found / np.maximum(found.sum(1, keepdims=True), 1))


@dataclass(frozen=True)
class DensityRatio:
    """How far the learner's states are from the expert's.

    Attributes:
        ratio: C, the largest of learner's over expert's share among cells that the expert
            visits and the learner is in for at least MIN_SHARE of its steps.
        uncovered: share of the learner's steps in cells that the expert never visits.
        effective: effective sample size of the expert's steps weighted like the learner's, as
            a share of them: 1 where both are alike, near 0 where few carry all weight.
    """

    ratio: Estimate
    uncovered: Estimate
    effective: Estimate


def density_ratio(own: Floats, expert: Floats, weights: Floats) -> DensityRatio:
    """Compares where the learner and the expert are.

    Args:
        own: of `shares`, the learner's episodes, (S, N, n_cells).
        expert: the expert's episodes of the same specs, (N, n_cells).
        weights: of `resamples`, (R, S, N).
    """
    mine = own.mean((0, 1))
    theirs = expert.mean(0)
    drawn = np.einsum("rsn,snc->rc", weights, own)
    seen = weights.sum(1) @ expert
    ratios = _largest(drawn, seen)
    effective = _effective(drawn, seen)
    outside = own[:, :, theirs == 0].sum(2)
    return DensityRatio(
        _estimate(_largest(mine[None], theirs[None])[0], ratios),
        mean_with_interval(outside, weights, limits=(0.0, 1.0)),
        _estimate(_effective(mine[None], theirs[None])[0], effective),
    )


def _estimate(value: float, draws: Floats) -> Estimate:
    low, high = interval(draws)
    return Estimate(float(value), float(low), float(high))


def _largest(own: Floats, expert: Floats) -> Floats:
    told = (expert > 0) & (own >= MIN_SHARE)
    return np.asarray(np.where(told, own / np.where(told, expert, 1.0), 0.0).max(1))


def _effective(own: Floats, expert: Floats) -> Floats:
    """(sum of weights)^2 / sum of squared weights, in expert steps with weight own / expert."""
    covered = expert > 0
    weight = np.where(covered, own / np.where(covered, expert, 1.0), 0.0)
    total, squares = (expert * weight).sum(1), (expert * weight**2).sum(1)
    return np.asarray(total**2 / np.maximum(squares, np.finfo(np.float64).tiny))
