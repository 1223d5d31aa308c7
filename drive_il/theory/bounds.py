"""What theory promises about the gap J(pi) - J(pi*), and small MDPs where it is exact.

J is the expected total cost over a horizon of T steps, each step costing between 0 and 1,
so that J is between 0 and T. `eps` is a probability per step: how often the learner's
action disagrees with the expert's (0-1 loss, with a stated tolerance for continuous
actions). It is not a squared or absolute error: for those the bounds below do not hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drive_il.datatypes import Bools, Floats


def cloning_bound(eps: npt.ArrayLike, horizon: npt.ArrayLike) -> Floats:
    """Returns T^2 eps, Ross and Bagnell 2010, Theorem 2.1.

    Assumes that eps is the mean 0-1 disagreement over the states that the EXPERT visits in
    T steps, and a cost in [0, 1] per step. Nothing about the learner's own states is
    assumed: one error may put it where it never agrees again. Tight: `one_shot_cost`.

    Args:
        eps: disagreement per step, any shape, in [0, 1].
        horizon: T, broadcast against eps.
    """
    eps, horizon = _checked(eps, horizon)
    return np.asarray(eps * horizon**2)


def interactive_bound(eps: npt.ArrayLike, u: npt.ArrayLike, horizon: npt.ArrayLike) -> Floats:
    """Returns u T eps, Ross, Gordon and Bagnell 2011, Theorem 2.2.

    Assumes that eps is the mean 0-1 disagreement over the states that the LEARNER visits in
    T steps, and that one action of the learner's, after which the expert goes on, costs at
    most u more than the expert's own: Q*(s, a) - Q*(s, pi*(s)) <= u at all those states.

    Args:
        eps: disagreement per step, any shape, in [0, 1].
        u: in units of cost, >= 0; a maximum over samples is a lower estimate of it.
        horizon: T.
    """
    eps, horizon = _checked(eps, horizon)
    u = np.asarray(u, np.float64)
    if not (u >= 0).all():
        raise ValueError(f"u is a cost difference and must not be negative, got {u.min()}")
    return np.asarray(u * horizon * eps)


def is_vacuous(bound: npt.ArrayLike, horizon: npt.ArrayLike) -> Bools:
    """Tells where a bound says nothing, because no policy can cost more than T."""
    return np.asarray(np.asarray(bound) >= np.asarray(horizon))


def cliff_cost(eps: npt.ArrayLike, horizon: npt.ArrayLike, at_error: bool = False) -> Floats:
    """Returns the exact J of walking along a cliff: the first error is the last.

    In the state "ok" the learner errs with probability eps, independently each step; then
    it is in "fail" for good, where each step costs 1. For small eps this is close to
    eps T^2 / 2: half of `cloning_bound`.

    Args:
        eps: probability of an error per step, in (0, 1].
        horizon: T.
        at_error: whether the step of the error costs 1 too.
    """
    eps, horizon = _checked(eps, horizon)
    if not (eps > 0).all():
        raise ValueError(f"eps of the cliff must be positive, got {eps.min()}")
    # (1 - eps)^T = exp(T log1p(-eps)), accurate for tiny eps; eps = 1 fails at once.
    with np.errstate(divide="ignore"):
        fallen = -np.expm1(horizon * np.log1p(-eps))
    upright = fallen / eps * np.where(at_error, 1.0 - eps, 1.0)
    return np.asarray(horizon - upright)


def one_shot_cost(eps: npt.ArrayLike, horizon: npt.ArrayLike) -> Floats:
    """Returns the exact J where only the first step can go wrong, with probability T eps.

    Its mean disagreement on the expert's states is eps and its cost T^2 eps: the MDP that
    attains `cloning_bound`.

    Args:
        eps: mean disagreement per step; T eps must be at most 1.
        horizon: T.
    """
    eps, horizon = _checked(eps, horizon)
    first = eps * horizon
    if not (first <= 1).all():
        raise ValueError(f"T eps is a probability here and must be at most 1, got {first.max()}")
    return np.asarray(first * horizon)


@dataclass(frozen=True)
class Chain:
    """The k-step recoverable chain, solved.

    Attributes:
        cost: exact J.
        eps_own: mean disagreement over the learner's own states.
        u: cost of one error, k.
        bound: u T eps_own.
    """

    cost: float
    eps_own: float
    u: float
    bound: float


def recoverable_chain(eps: float, k: int, horizon: int) -> Chain:
    """Solves the chain in which each error costs k steps off the track, then all is well.

    On the track the learner errs with probability eps; an error at step t means steps
    t + 1 ... t + k are off the track and cost 1 each, on which it copies the expert's way
    back. With p_t the probability of being on the track at step t, p_1 = 1,

        p_(t+1) = (1 - eps) p_t + eps p_(t-k),    p_t = 0 for t <= 0.

    The same chain with k >= T - 1 is the cliff: linear and quadratic growth in one MDP.

    Args:
        eps: probability of an error per step on the track, in [0, 1].
        k: steps that an error costs, >= 1.
        horizon: T.
    """
    _checked(eps, horizon)
    if k < 1:
        raise ValueError(f"k is a number of steps and must be at least 1, got {k}")
    on = np.zeros(horizon + k + 1)  # on[t + k] is p_t
    on[1 + k] = 1.0
    for t in range(1, horizon):
        on[t + 1 + k] = (1.0 - eps) * on[t + k] + eps * on[t]
    p = on[1 + k : horizon + 1 + k]
    eps_own = float(eps * p.mean())
    return Chain(float((1.0 - p).sum()), eps_own, float(k), k * horizon * eps_own)


def _checked(eps: npt.ArrayLike, horizon: npt.ArrayLike) -> tuple[Floats, Floats]:
    eps = np.asarray(eps, np.float64)
    horizon = np.asarray(horizon, np.float64)
    if not ((eps >= 0) & (eps <= 1)).all():
        raise ValueError(f"eps is a probability per step and must be in [0, 1], got {eps}")
    if not (horizon >= 1).all():
        raise ValueError(f"a horizon must be at least 1 step, got {horizon}")
    return eps, horizon
