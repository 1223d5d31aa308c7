"""Small processes that show how errors compound: cliffs, a way back, coverage.

Every instance is a process, its deterministic expert and one learner; action 0 keeps the track.
`closed_forms.py` knows what most of them cost; `mdps.solve` computes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from drive_il.datatypes import Floats, Ints
from drive_il.theory import mdps
from drive_il.theory.mdps import Mdp, always, choosing, occupancy


@dataclass(frozen=True)
class Instance:
    """A process, who is imitated and who imitates.

    Attributes:
        mdp: the process, S states and A actions.
        expert: its action in each state, (S,).
        learner: (T, S, A).
    """

    mdp: Mdp
    expert: Ints
    learner: Floats

    def solve(self) -> mdps.Exact:
        """Computes J, eps, u and C."""
        return mdps.solve(self.mdp, self.expert, self.learner)


def cliff(eps: float, horizon: int, at_error: bool = False) -> Instance:
    """Walking along a cliff: on the track one error, of probability eps a step, is final.

    States: track, fallen (costs 1 per step). `closed_forms.cliff_cost`.

    Args:
        eps: probability of an error per step, in [0, 1].
        horizon: T.
        at_error: whether the step of the error costs 1 too.
    """
    transition = np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = 1.0
    transition[1, :, 1] = 1.0
    cost = np.array([[0.0, float(at_error)], [1.0, 1.0]])
    mdp = Mdp(transition, cost, np.array([1.0, 0.0]), horizon)
    learner = np.array([[1 - eps, eps], [1.0, 0.0]])
    return Instance(mdp, np.zeros(2, np.int64), always(learner, horizon))


def one_shot_cliff(eps: float, horizon: int) -> Instance:
    """A cliff at the first step only, where the learner errs with probability T eps.

    States: edge, safe, fallen. Its mean disagreement on the expert's states is eps, and it costs
    T^2 eps: `closed_forms.one_shot_cost`.

    Args:
        eps: mean disagreement per step; T eps must be at most 1.
        horizon: T.
    """
    first = eps * horizon
    if not first <= 1:
        raise ValueError(f"T eps is a probability here and must be at most 1, got {first}")
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 1] = transition[0, 1, 2] = 1.0
    transition[1, :, 1] = transition[2, :, 2] = 1.0
    cost = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    mdp = Mdp(transition, cost, np.array([1.0, 0.0, 0.0]), horizon)
    learner = np.array([[1 - first, first], [1.0, 0.0], [1.0, 0.0]])
    return Instance(mdp, np.zeros(3, np.int64), always(learner, horizon))


def recoverable_chain(eps: float, k: int, horizon: int, saw_off_track: bool = True) -> Instance:
    """The k-step recoverable chain, imitated by who saw the way back and by who did not.

    States: track, and k steps off it, each costing 1. An error on the track leads to the first
    of them, the expert's action from one to the next and back, any other action stays. A
    learner that was labelled off the track (DAgger) copies the way back:
    `closed_forms.recoverable_chain`. One that was not (cloning) never returns:
    `closed_forms.cliff_cost`. The same process shows both growths.

    Args:
        eps: probability of an error per step on the track, in [0, 1].
        k: steps that an error costs, >= 1.
        horizon: T.
        saw_off_track: whether the learner's labels cover the way back.
    """
    if k < 1:
        raise ValueError(f"k is a number of steps and must be at least 1, got {k}")
    n = k + 1
    transition = np.zeros((n, 2, n))
    transition[0, 0, 0] = transition[0, 1, 1] = 1.0
    for i in range(1, n):
        transition[i, 0, (i + 1) % n] = 1.0
        transition[i, 1, i] = 1.0
    cost = np.ones((n, 2))
    cost[0] = 0.0
    mdp = Mdp(transition, cost, np.eye(n)[0], horizon)
    learner = np.tile([1.0, 0.0] if saw_off_track else [0.0, 1.0], (n, 1))
    learner[0] = (1 - eps, eps)
    return Instance(mdp, np.zeros(n, np.int64), always(learner, horizon))


def _reset_process(masses: Floats, n_actions: int, horizon: int) -> Mdp:
    """S states drawn afresh at each step, and one more: fallen."""
    n = len(masses) + 1
    start = np.append(masses, 0.0)
    transition = np.zeros((n, n_actions, n))
    transition[:-1, 0] = start
    transition[:-1, 1:, -1] = 1.0
    transition[-1, :, -1] = 1.0
    cost = np.zeros((n, n_actions))
    cost[-1] = 1.0
    return Mdp(transition, cost, start, horizon)


def reset_cliff(
    masses: npt.ArrayLike, n_demonstrations: int, n_actions: int, horizon: int
) -> Instance:
    """A cliff with S states, drawn afresh at each step, cloned from N demonstrations.

    Rajaraman et al. 2020's hard case. The learner keeps a table per step and plays any action
    alike in a state that no demonstration had at that step. Here it is averaged over all
    demonstrations, which gives E J exactly because the steps' tables are independent:
    `closed_forms.reset_cliff_cost`. `reset_cliff_totals` draws the demonstrations.

    Args:
        masses: probability of each state, (S,).
        n_demonstrations: N.
        n_actions: A >= 2.
        horizon: T.
    """
    rho = np.asarray(masses, np.float64)
    wrong = (1 - rho) ** n_demonstrations * (1 - 1 / n_actions)
    learner = np.zeros((len(rho) + 1, n_actions))
    learner[:-1] = wrong[:, None] / (n_actions - 1)
    learner[:-1, 0] = 1 - wrong
    learner[-1, 0] = 1.0
    mdp = _reset_process(rho, n_actions, horizon)
    return Instance(mdp, np.zeros(len(rho) + 1, np.int64), always(learner, horizon))


def hardest_masses(n_states: int, n_demonstrations: int) -> Floats:
    """Returns masses that N demonstrations miss most: S - 1 of 1 / (N + 1), one of the rest.

    Args:
        n_states: S, at most N + 2.
        n_demonstrations: N.
    """
    if n_states > n_demonstrations + 2:
        raise ValueError(
            f"{n_states - 1} masses of 1 / {n_demonstrations + 1} add up to more than 1; "
            f"use at most {n_demonstrations + 2} states"
        )
    masses = np.full(n_states, 1 / (n_demonstrations + 1))
    masses[-1] = 1 - masses[:-1].sum()
    return masses


def reset_cliff_totals(
    masses: npt.ArrayLike,
    n_demonstrations: int,
    n_actions: int,
    horizon: int,
    n: int,
    rng: np.random.Generator,
    pooled: bool = False,
) -> Floats:
    """Draws demonstrations, clones them and drives once, n times over; returns costs, (n,).

    Args:
        masses: probability of each state, (S,).
        n_demonstrations: N.
        n_actions: A >= 2.
        horizon: T.
        n: repetitions, each with demonstrations of its own.
        rng: of all of it.
        pooled: one table for all steps (`closed_forms.pooled_reset_cliff_cost`) instead of a
            table per step.
    """
    rho = np.asarray(masses, np.float64)
    if pooled:
        counts = rng.multinomial(n_demonstrations * horizon, rho, n)[:, None, :]
    else:
        counts = rng.multinomial(n_demonstrations, rho, (n, horizon))
    state = rng.choice(len(rho), (n, horizon), p=rho)
    seen = np.take_along_axis(
        np.broadcast_to(counts, (n, horizon, len(rho))), state[:, :, None], 2
    )[:, :, 0]
    wrong = (seen == 0) & (rng.random((n, horizon)) < 1 - 1 / n_actions)
    fallen = np.logical_or.accumulate(wrong, axis=1)[:, :-1]
    return np.asarray(fallen.sum(1), np.float64)


Regime = Literal["realisable", "covered", "uncovered"]
Method = Literal["cloning", "reweighted", "dagger"]

_STRAIGHT, _MARKER, _CURVE, _OFF = 0, 1, 2, 3
CURVES, MARKERS, NOISE, WAY_BACK = 0.01, 0.05, 0.002, 5
"""share of curves and of markers on the track, chance of being pushed off it, steps back"""


def regime(which: Regime, method: Method, horizon: int) -> Instance:
    """One instance of each regime of Spencer et al. 2021, imitated by one method.

    On the track each step is a straight (keep), a marker (keep) or a curve (turn), drawn
    afresh. The wrong action leads off the track, where 5 turns lead back and keeping stays; off
    the track a step costs 1.

    realisable: the learner sees the state. No error, no gap, for any method.
    covered: a curve looks like a straight, being off the track looks like a marker, so that some
        error is unavoidable; but noise sometimes pushes the expert off the track too.
        Cloning keeps wherever it sees a marker, as most of the data does, and is lost off the
        track. Weighting the same demonstrations by where the learner is (ALICE) turns
        there, at the price of an error at each marker. So does DAgger.
    uncovered: the same without noise. No weight makes up for data that is not there: only DAgger,
        which asks the expert off the track, comes back.

    Learners are fitted to the exact distributions, best deterministic policy of the class. What no
    data speaks of is kept straight.

    Args:
        which: the regime.
        method: the learner.
        horizon: T.
    """
    push = NOISE if which == "covered" else 0.0
    mdp, expert = _road(push, horizon)
    looks = np.arange(mdp.n_states)
    if which != "realisable":
        looks = np.array([0, 1, 0] + [1] * WAY_BACK)
    policy = _fit(mdp, expert, looks, method)
    return Instance(mdp, expert, always(choosing(policy, 2), horizon))


def _road(push: float, horizon: int) -> tuple[Mdp, Ints]:
    """The process of the regimes, and its expert; `push`: chance of being pushed off."""
    n = _OFF + WAY_BACK
    fresh = np.zeros(n)
    fresh[:_OFF] = (1 - MARKERS - CURVES, MARKERS, CURVES)
    onward = (1 - push) * fresh
    onward[_OFF] += push
    expert = np.array([0, 0, 1] + [1] * WAY_BACK)
    transition = np.zeros((n, 2, n))
    for s in range(_OFF):
        transition[s, expert[s]] = onward
        transition[s, 1 - expert[s], _OFF] = 1.0
    for s in range(_OFF, n):
        transition[s, 0, s] = 1.0
        transition[s, 1] = onward if s == n - 1 else np.eye(n)[s + 1]
    cost = np.zeros((n, 2))
    cost[_OFF:] = 1.0
    return Mdp(transition, cost, fresh, horizon), expert


def _fit(mdp: Mdp, expert: Ints, looks: Ints, method: Method, n_rounds: int = 8) -> Ints:
    """Returns a policy's action in each state, the same where states look alike, (S,)."""
    his = occupancy(mdp, always(choosing(expert, 2), mdp.horizon)).mean(0)
    policy = _best(his, expert, looks)
    aggregate = his.copy()
    tried = [policy]
    for _ in range(n_rounds if method != "cloning" else 0):
        own = occupancy(mdp, always(choosing(policy, 2), mdp.horizon)).mean(0)
        if method == "reweighted":  # d_own / d_expert as weights of the expert's own data
            policy = _best(np.where(his > 0, own, 0.0), expert, looks)
        else:
            aggregate += own
            policy = _best(aggregate, expert, looks)
        tried.append(policy)
    if method == "dagger":  # its guarantee is for the best iterate
        return min(
            tried, key=lambda one: mdps.expected_cost(mdp, always(choosing(one, 2), mdp.horizon))
        )
    return tried[-1]


def _best(weight: Floats, expert: Ints, looks: Ints) -> Ints:
    """The policy of least weighted disagreement; keeps straight where nothing weighs."""
    turns = np.bincount(looks, weight * expert)
    keeps = np.bincount(looks, weight * (1 - expert))
    return np.asarray((turns > keeps)[looks].astype(np.int64))
