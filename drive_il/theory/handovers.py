"""Where the cost of a drive is decided: what it costs when the expert takes over after t steps.

Call that V_t. Before its first failure no step of a drive costs anything, so that the advantage
of the learner's action at step t is

    Q*(s_t, a_t) - V*(s_t) = V_{t+1} - V_t,

and over any stretch of steps these telescope. Nearly all of a gap can hang on one step a drive: at
the point of no return V jumps from 0 to most of T. Steps drawn without knowing where that is
miss it nearly always, their weighted sum is then far too low, and an interval from what was drawn
knows nothing of it. So V is measured where halving leads, and steps are drawn in proportion to
the change around them (Horvitz and Thompson 1952): where V is known on both sides of the one step
that decides, that step is drawn for certain. Weighted by 1 / probability sums are unbiased
whatever the search has found; finding more only makes them vary less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from drive_il.datatypes import Floats

Known = Mapping[int, float]
"""step t of a drive -> V_t [steps of cost]"""


def halves(known: Sequence[Known], n: int) -> list[tuple[int, int]]:
    """Returns where to hand over next, so that all steps that decide are found.

    All stretches between a step from which the expert never fails and one from which it does:
    they hold the point of no return. Then the n others across which V changes most.

    Args:
        known: V at two steps at least of each drive that is searched; others are left alone.
        n: of the others, at most.

    Returns:
        (drive, step), the middles of stretches longer than a step across which V changes.
    """
    open_ = [
        (-abs(after - before), min(before, after) > 0, drive, (a + b) // 2)
        for drive, costs in enumerate(known)
        for (a, before), (b, after) in _stretches(costs)
        if before != after and b - a > 1
    ]
    first = [one for one in open_ if not one[1]]
    others = sorted(one for one in open_ if one[1])[:n]
    return [(drive, step) for *_, drive, step in first + others]


def change(known: Sequence[Known], horizon: int) -> Floats:
    """Returns by how much V changes per step around each step, 0 where not known, (N, T)."""
    found = np.zeros((len(known), horizon))
    for row, costs in zip(found, known, strict=True):
        for (a, before), (b, after) in _stretches(costs):
            row[a:b] = abs(after - before) / (b - a)
    return found


def last_saved(costs: Known) -> int:
    """Returns the last known step from which the expert never fails, 0 where there is none."""
    return max((step for step, cost in costs.items() if cost == 0), default=0)


def in_proportion(size: Floats, budget: float) -> Floats:
    """Returns with which probability each step is drawn: in proportion to size, at most 1.

    Args:
        size: >= 0, any shape.
        budget: draws to expect; fewer when fewer have a size.
    """
    chance = np.zeros_like(size, np.float64)
    left, open_ = float(budget), size > 0
    while open_.any() and left > 0:
        scaled = size * (left / size[open_].sum())
        certain = open_ & (scaled >= 1)
        if not certain.any():
            chance[open_] = scaled[open_]
            break
        chance[certain] = 1.0
        left -= float(certain.sum())
        open_ &= ~certain
    return chance


def either(one: Floats, other: Floats) -> Floats:
    """Returns the probability to be in at least one of two samples drawn independently."""
    return 1.0 - (1.0 - one) * (1.0 - other)


def _stretches(costs: Known) -> list[tuple[tuple[int, float], tuple[int, float]]]:
    steps = sorted(costs.items())
    return list(zip(steps[:-1], steps[1:], strict=True))
