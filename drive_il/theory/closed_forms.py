"""What the small processes of `instances.py` cost, on paper.

J is the expected total cost of T steps, each costing between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drive_il.datatypes import Floats
from drive_il.theory.bounds import checked


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
    eps, horizon = checked(eps, horizon)
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
    eps, horizon = checked(eps, horizon)
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
    checked(eps, horizon)
    if k < 1:
        raise ValueError(f"k is a number of steps and must be at least 1, got {k}")
    on = np.zeros(horizon + k + 1)  # on[t + k] is p_t
    on[1 + k] = 1.0
    for t in range(1, horizon):
        on[t + 1 + k] = (1.0 - eps) * on[t + k] + eps * on[t]
    p = on[1 + k : horizon + 1 + k]
    eps_own = float(eps * p.mean())
    return Chain(float((1.0 - p).sum()), eps_own, float(k), k * horizon * eps_own)


def missing_mass(masses: npt.ArrayLike, n_demonstrations: int, n_actions: int) -> float:
    """Returns the chance of an error where a state was never demonstrated.

    States are drawn from `masses`, N demonstrations each show one, and an unseen state gets
    any of A actions alike: q = sum_s rho_s (1 - rho_s)^N (1 - 1/A).

    Args:
        masses: rho, (S,).
        n_demonstrations: N, >= 0.
        n_actions: A, >= 2.
    """
    rho = np.asarray(masses, np.float64)
    return float((rho * (1 - rho) ** n_demonstrations).sum() * (1 - 1 / n_actions))


def reset_cliff_cost(
    masses: npt.ArrayLike, n_demonstrations: int, n_actions: int, horizon: int
) -> float:
    """Returns E J, over demonstrations too, of cloning with a table of its own per step.

    At each step a state is drawn afresh, an error is final. The tables of different steps
    come from different states of the demonstrations, which are independent: a cliff whose
    rate is the missing mass. For small q it is near T^2 (S - 1) (1 - 1/A) / (2 e N) for
    the masses that are hardest (Rajaraman et al. 2020): S - 1 states of mass 1 / (N + 1).

    Args:
        masses: rho, (S,).
        n_demonstrations: N.
        n_actions: A.
        horizon: T.
    """
    rate = missing_mass(masses, n_demonstrations, n_actions)
    return float(cliff_cost(rate, horizon)) if rate > 0 else 0.0


def pooled_reset_cliff_cost(
    n_states: int, n_demonstrations: int, n_actions: int, horizon: int
) -> float:
    """Returns E J of cloning with one table for all steps, on S equally likely states.

    The table has seen N T states; with j of them never drawn it errs at the rate
    j / S (1 - 1/A), the same at every step. The number of unseen states follows from
    drawing one state after the other. Sharing a table is what Foster, Block and Misra (2024)
    call parameter sharing: its cost does not grow with the square of T.

    Args:
        n_states: S.
        n_demonstrations: N.
        n_actions: A.
        horizon: T.
    """
    unseen = np.zeros(n_states + 1)  # probability of j states unseen
    unseen[n_states] = 1.0
    share = np.arange(n_states + 1) / n_states
    for _ in range(n_demonstrations * horizon):
        unseen = unseen * (1 - share) + np.append((unseen * share)[1:], 0.0)
    rate = share[1:] * (1 - 1 / n_actions)
    return float(unseen[1:] @ cliff_cost(rate, horizon))


@dataclass(frozen=True)
class LinearSystem:
    """x' = a x + v, an expert v = -K x and a learner v = -(K - dK) x + b.

    Attributes:
        expert_rate: r = a - K, how the expert's x shrinks per step, in (0, 1).
        gain_error: dK; the learner's rate is r + dK.
        bias: b, a constant error of the action.
    """

    expert_rate: float
    gain_error: float
    bias: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.expert_rate < 1:
            raise ValueError(
                f"the expert's rate r must be in (0, 1), so that it is stable, got "
                f"{self.expert_rate}"
            )

    @property
    def rate(self) -> float:
        """The learner's r + dK: above 1 its x grows exponentially."""
        return self.expert_rate + self.gain_error

    def step(self, x: Floats) -> Floats:
        """Returns the learner's next x: r x, and what its action differs by."""
        return np.asarray(self.expert_rate * x + self.gain_error * x + self.bias)

    def states(self, start: float, horizon: int) -> Floats:
        """Returns the learner's x_1 ... x_T from x_1 = start, (T,).

        x_t = rate^(t-1) start + b (rate^(t-1) - 1) / (rate - 1).
        """
        power = self.rate ** np.arange(horizon)
        lag = np.arange(horizon) if self.rate == 1 else (power - 1) / (self.rate - 1)
        return np.asarray(power * start + self.bias * lag)

    def expert_states(self, start: float, horizon: int) -> Floats:
        """Returns the expert's x_1 ... x_T, (T,)."""
        return np.asarray(self.expert_rate ** np.arange(horizon) * start)

    def action_errors(self, x: Floats) -> Floats:
        """Returns |learner's action - expert's action| in states x."""
        return np.asarray(np.abs(self.gain_error * x + self.bias))
