"""Small Markov decision processes in which J, eps, u and C are computed, not estimated.

An episode has T steps. At step t = 1 ... T the policy plays an action in the state, the step
costs what the table says (between 0 and 1), and the next state is drawn. The expert is
deterministic and the same at every step; a learner is a table of probabilities per step.

    V_t(s) = sum_a pi_t(a|s) (c(s, a) + sum_s' P(s'|s, a) V_(t+1)(s')),    V_(T+1) = 0
    J(pi)  = sum_s start(s) V_1(s)

`instances.py` holds the processes themselves, `closed_forms.py` what they cost on paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import Floats, Ints

_SURE = 1.0 - 1e-12
"""uniform numbers stop here, so that rounding never steps over the last possible outcome"""


@dataclass(frozen=True)
class Mdp:
    """A process with S states and A actions.

    Attributes:
        transition: probability of the next state, (S, A, S).
        cost: of playing an action in a state, in [0, 1], (S, A).
        start: probability of the first state, (S,).
        horizon: T.

    Raises:
        ValueError: probabilities that do not add up to 1, costs outside [0, 1], T < 1.
    """

    transition: Floats
    cost: Floats
    start: Floats
    horizon: int

    def __post_init__(self) -> None:
        for name, table in (("transition", self.transition), ("start", self.start)):
            total = table.sum(-1)
            if (table < 0).any() or np.abs(total - 1).max() > 1e-9:
                raise ValueError(
                    f"{name} holds probabilities that must be >= 0 and add up to 1, got sums "
                    f"from {total.min()} to {total.max()} and a smallest value of {table.min()}"
                )
        if not ((self.cost >= 0) & (self.cost <= 1)).all():
            raise ValueError(f"costs per step must be in [0, 1], got {self.cost}")
        if self.horizon < 1:
            raise ValueError(f"a horizon must be at least 1 step, got {self.horizon}")

    @property
    def n_states(self) -> int:
        """S."""
        return len(self.start)

    @property
    def n_actions(self) -> int:
        """A."""
        return int(self.cost.shape[1])


def always(policy: Floats, horizon: int) -> Floats:
    """Returns the policy that plays the same table (S, A) at every step, (T, S, A)."""
    return np.broadcast_to(policy, (horizon, *policy.shape))


def choosing(actions: Ints, n_actions: int) -> Floats:
    """Returns the table of a deterministic policy, (S, A).

    Args:
        actions: action of each state, (S,).
        n_actions: A.
    """
    return np.eye(n_actions)[actions]


def action_costs(mdp: Mdp, policy: Floats) -> Floats:
    """Returns Q: cost from step t to the end of one action and then the policy, (T, S, A).

    Args:
        mdp: the process.
        policy: (T, S, A).
    """
    found = np.empty((mdp.horizon, mdp.n_states, mdp.n_actions))
    to_go = np.zeros(mdp.n_states)
    for t in range(mdp.horizon - 1, -1, -1):
        found[t] = mdp.cost + mdp.transition @ to_go
        to_go = (policy[t] * found[t]).sum(1)
    return found


def expected_cost(mdp: Mdp, policy: Floats) -> float:
    """Returns J of a policy (T, S, A)."""
    return float(mdp.start @ (policy[0] * action_costs(mdp, policy)[0]).sum(1))


def occupancy(mdp: Mdp, policy: Floats) -> Floats:
    """Returns the probability of each state at each step, (T, S)."""
    found = np.empty((mdp.horizon, mdp.n_states))
    here = mdp.start
    for t in range(mdp.horizon):
        found[t] = here
        here = np.einsum("s,sa,san->n", here, policy[t], mdp.transition)
    return found


@dataclass(frozen=True)
class Exact:
    """What theory asks of a learner, computed.

    Attributes:
        cost: J of the learner.
        expert_cost: J of the expert.
        eps_expert: mean 0-1 disagreement on the expert's states.
        eps_own: on the learner's own states.
        advantage: mean extra cost of a disagreement, after which the expert goes on, over the
            learner's own disagreements: gap = T eps_own advantage. 0 without disagreements.
        u: the largest extra cost of any one action in any state the learner can be in at that
            step (the supremum of Ross, Gordon and Bagnell 2011, Theorem 2.2).
        ratio: C, the largest of d_learner / d_expert over states; infinite where the learner
            goes and the expert never does.
        uncovered: share of the learner's steps in states the expert never visits.
    """

    cost: float
    expert_cost: float
    eps_expert: float
    eps_own: float
    advantage: float
    u: float
    ratio: float
    uncovered: float

    @property
    def gap(self) -> float:
        """J(learner) - J(expert)."""
        return self.cost - self.expert_cost


def solve(mdp: Mdp, expert: Ints, learner: Floats) -> Exact:
    """Computes costs, disagreements, u and C by dynamic programming.

    Args:
        mdp: the process.
        expert: its action in each state, (S,).
        learner: (T, S, A).
    """
    states = np.arange(mdp.n_states)
    expert_policy = always(choosing(expert, mdp.n_actions), mdp.horizon)
    q = action_costs(mdp, expert_policy)
    extra = q - q[:, states, expert][:, :, None]  # what one action costs more than the expert's
    own, his = occupancy(mdp, learner), occupancy(mdp, expert_policy)
    errs = 1.0 - learner[:, states, expert]
    eps_own = float((own * errs).sum() / mdp.horizon)
    gap = float((own[:, :, None] * learner * extra).sum())
    mine, theirs = own.mean(0), his.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(mine > 0, mine / theirs, 0.0)
    return Exact(
        cost=expected_cost(mdp, learner),
        expert_cost=expected_cost(mdp, expert_policy),
        eps_expert=float((his * errs).sum() / mdp.horizon),
        eps_own=eps_own,
        advantage=gap / (mdp.horizon * eps_own) if eps_own > 0 else 0.0,
        u=float(extra[own > 0].max()),
        ratio=float(ratio.max()),
        uncovered=float(mine[theirs == 0].sum()),
    )


@dataclass(frozen=True)
class Runs:
    """N simulated episodes.

    Attributes:
        state: (N, T).
        action: (N, T).
        cost: of each step, (N, T).
    """

    state: Ints
    action: Ints
    cost: Floats

    @property
    def total(self) -> Floats:
        """Cost of each episode, (N,)."""
        total: Floats = self.cost.sum(1)
        return total


def simulate(mdp: Mdp, policy: Floats, n: int, rng: np.random.Generator) -> Runs:
    """Draws n episodes of a policy (T, S, A)."""
    first = _draw(_cumulated(mdp.start[None]), np.zeros(n, np.int64), rng.random(n))
    return run_on(mdp, policy, first, rng.random((n, mdp.horizon, 2)))


def run_on(mdp: Mdp, policy: Floats, state: Ints, uniform: Floats) -> Runs:
    """Plays a policy from given states, with given random numbers.

    Two runs with the same numbers are coupled: this is how forks share their noise.

    Args:
        mdp: the process.
        policy: of the steps to play, (H, S, A).
        state: of each run, (N,).
        uniform: in [0, 1), for each action and each next state, (N, H, 2).
    """
    moves = _cumulated(mdp.transition.reshape(-1, mdp.n_states))
    states, actions = [], []
    for table, drawn in zip(policy, uniform.transpose(1, 2, 0), strict=True):
        action = _draw(_cumulated(table), state, drawn[0])
        states.append(state)
        actions.append(action)
        state = _draw(moves, state * mdp.n_actions + action, drawn[1])
    where, what = np.stack(states, 1), np.stack(actions, 1)
    return Runs(where, what, mdp.cost[where, what])


@dataclass(frozen=True)
class Forked:
    """F forks: one action, then the expert, beside the expert all the way.

    Attributes:
        extra: what the action costs more, to the horizon, (F,).
        state: after the action, 1, 2, ... steps later, (F, T).
        truth: where the expert would be then, (F, T).
        n_steps: steps to the horizon; later columns are beyond it, (F,).
    """

    extra: Floats
    state: Ints
    truth: Ints
    n_steps: Ints


def forks(mdp: Mdp, expert: Ints, state: Ints, action: Ints, step: Ints, uniform: Floats) -> Forked:
    """Plays an action in each state and then the expert, and the expert all the way.

    Args:
        mdp: the process.
        expert: its action in each state, (S,).
        state: of each fork, (F,).
        action: to play there, (F,).
        step: how many steps lie behind each, 0 ... T - 1, (F,).
        uniform: shared by both runs of a fork, (F, T + 1, 2).
    """
    policy = always(choosing(expert, mdp.n_actions), mdp.horizon + 1)
    truth = run_on(mdp, policy, state, uniform)
    moves = _cumulated(mdp.transition.reshape(-1, mdp.n_states))
    after = _draw(moves, state * mdp.n_actions + action, uniform[:, 0, 1])
    then = run_on(mdp, policy[1:], after, uniform[:, 1:])
    left = mdp.horizon - step
    counted = np.arange(1, mdp.horizon + 1) < left[:, None]
    later = np.where(counted, then.cost - truth.cost[:, 1:], 0.0).sum(1)
    extra = mdp.cost[state, action] - truth.cost[:, 0] + later
    return Forked(extra, then.state, truth.state[:, 1:], left)


@dataclass(frozen=True)
class MonteCarlo:
    """A mean of independent episodes, with the normal interval of its standard error."""

    value: float
    low: float
    high: float
    n: int


def monte_carlo(total: Floats, z: float = 1.959964) -> MonteCarlo:
    """Averages episode costs (N,); `z` standard errors to either side, 1.96 for 95 %."""
    error = z * float(total.std(ddof=1)) / math.sqrt(len(total))
    mean = float(total.mean())
    return MonteCarlo(mean, mean - error, mean + error, len(total))


def _cumulated(probability: Floats) -> Floats:
    """Cumulates rows of probabilities and sets row i off by i: one sorted list, (M S,)."""
    total = np.cumsum(probability, -1)
    total[total > _SURE] = 1.0
    rows: Floats = total + np.arange(len(total))[:, None]
    return rows


def _draw(rows: Floats, row: Ints, uniform: Floats) -> Ints:
    """Draws a column of each chosen row; `rows` as `_cumulated` gave them."""
    found = np.searchsorted(rows.ravel(), row + np.minimum(uniform, _SURE), side="right")
    return np.asarray(found - row * rows.shape[1])
