"""The exact instances as one table: what they cost, simulated and promised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from drive_il.datatypes import Floats
from drive_il.randomness import derive_seed
from drive_il.theory import bounds, closed_forms, instances, mdps
from drive_il.theory.instances import Instance
from drive_il.theory.mdps import MonteCarlo

HORIZONS = (50, 100, 200, 400)
EPS = 0.01
K = 5
STATES, ACTIONS, RESET_HORIZON = 10, 2, 50
"""of the reset cliff"""


@dataclass(frozen=True)
class Row:
    """One instance with one learner.

    Attributes:
        instance: which process.
        learner: who imitates there.
        horizon: T.
        eps: mean 0-1 disagreement per step that the bound uses; None where it uses another
            quantity.
        eps_on: whose states eps is measured on.
        k: steps an error costs at most; None where there is no way back.
        gap: J(learner) - J(expert), exact.
        cost: J(learner), exact.
        simulated: J(learner) by Monte Carlo with its 95 % interval.
        bound: on the gap.
        bound_name: which one: a function of `theory.bounds`.
        vacuous: whether the bound is at least T, and so says nothing.
    """

    instance: str
    learner: str
    horizon: int
    eps: float | None
    eps_on: Literal["expert", "own"] | None
    k: int | None
    gap: float
    cost: float
    simulated: MonteCarlo
    bound: float
    bound_name: str
    vacuous: bool

    @property
    def ratio(self) -> float | None:
        """Gap over bound; None where both are 0."""
        return self.gap / self.bound if self.bound > 0 else None

    @property
    def inside(self) -> bool:
        """Whether the exact cost lies in the interval of the simulated one."""
        slack = 1e-9 * max(1.0, self.cost)
        return self.simulated.low - slack <= self.cost <= self.simulated.high + slack


@dataclass(frozen=True)
class _Case:
    """An instance with a finite process, and the bound that is meant for its learner."""

    instance: str
    learner: str
    process: Instance
    bound: str = "cloning_bound"
    k: int | None = None


def table(n_episodes: int, seed: int) -> list[Row]:
    """Solves and simulates every instance.

    Args:
        n_episodes: of each simulation.
        seed: of the simulations; each row has random numbers of its own.

    Raises:
        ValueError: fewer than 2 episodes, which have no standard error.
    """
    if n_episodes < 2:
        raise ValueError(f"an interval needs at least 2 episodes, got {n_episodes}")
    rows: list[Row] = []
    for case in [*_cliffs(), *_chains(), *_regimes()]:
        rows.append(_finite(case, n_episodes, _stream(seed, len(rows))))
    for setting in (
        (20, "even", False),
        (20, "hard", False),
        (1000, "hard", False),
        (1, "even", True),
    ):
        rows.append(_reset_cliff(*setting, n_episodes, _stream(seed, len(rows))))
    for gain_error in (0.08, 0.12):
        rows.append(_linear(gain_error, n_episodes, _stream(seed, len(rows))))
    return rows


def _stream(seed: int, row: int) -> np.random.Generator:
    return np.random.default_rng(derive_seed(seed, "exact", row))


def _cliffs() -> list[_Case]:
    cliffs = [
        _Case("cliff", "errs anywhere", instances.cliff(eps, horizon))
        for horizon, eps in ((50, 0.01), (100, 0.01), (100, 0.001), (1000, 0.001))
    ]
    one_shot = instances.one_shot_cliff(0.02, 20)
    return [*cliffs, _Case("one-shot cliff", "errs at the first step", one_shot)]


def _chains() -> list[_Case]:
    """The same process for who never saw the way back and for who did, at doubled horizons."""
    lost = [
        _Case(
            "recoverable chain",
            "no labels off track",
            instances.recoverable_chain(EPS, K, horizon, saw_off_track=False),
            k=K,
        )
        for horizon in HORIZONS
    ]
    back = [
        _Case(
            "recoverable chain",
            "labels off track too",
            instances.recoverable_chain(EPS, K, horizon),
            "k_step_bound",
            K,
        )
        for horizon in HORIZONS
    ]
    return [*lost, *back]


def _regimes() -> list[_Case]:
    bound = {
        "cloning": "cloning_bound",
        "reweighted": "density_ratio_bound",
        "dagger": "interactive_bound",
    }
    return [
        _Case(
            f"regime: {which}",
            method,
            instances.regime(which, method, HORIZONS[-1]),
            bound[method],
            instances.WAY_BACK,
        )
        for which in get_args(instances.Regime)
        for method in get_args(instances.Method)
    ]


def _finite(case: _Case, n_episodes: int, rng: np.random.Generator) -> Row:
    process, horizon = case.process, case.process.mdp.horizon
    found = process.solve()
    own = case.bound in ("k_step_bound", "interactive_bound")
    eps = found.eps_own if own else found.eps_expert
    if case.bound == "k_step_bound":
        bound = bounds.k_step_bound(eps, K, horizon)
    elif case.bound == "interactive_bound":
        bound = bounds.interactive_bound(eps, found.u, horizon)
    elif case.bound == "density_ratio_bound":
        bound = bounds.density_ratio_bound(eps, found.ratio, found.u, horizon)
    else:
        bound = bounds.cloning_bound(eps, horizon)
    return Row(
        instance=case.instance,
        learner=case.learner,
        horizon=horizon,
        eps=eps,
        eps_on="own" if own else "expert",
        k=case.k,
        gap=found.gap,
        cost=found.cost,
        simulated=mdps.monte_carlo(
            mdps.simulate(process.mdp, process.learner, n_episodes, rng).total
        ),
        bound=float(bound),
        bound_name=case.bound,
        vacuous=bool(bounds.is_vacuous(bound, horizon)),
    )


def _reset_cliff(
    n_demonstrations: int, kind: str, pooled: bool, n_episodes: int, rng: np.random.Generator
) -> Row:
    """The row of cloning from few demonstrations; its expectation is over these too."""
    masses = np.full(STATES, 1 / STATES)
    if kind == "hard":
        masses = instances.hardest_masses(STATES, n_demonstrations)
    size = (n_demonstrations, ACTIONS, RESET_HORIZON)
    if pooled:
        cost = closed_forms.pooled_reset_cliff_cost(STATES, *size)
    else:
        cost = instances.reset_cliff(masses, *size).solve().cost
    bound = bounds.tabular_bound(STATES, n_demonstrations, RESET_HORIZON)
    totals = instances.reset_cliff_totals(masses, *size, n_episodes, rng, pooled)
    return Row(
        instance=f"reset cliff, {kind} masses",
        learner=f"N = {n_demonstrations}, " + ("one table" if pooled else "a table per step"),
        horizon=RESET_HORIZON,
        eps=None,
        eps_on=None,
        k=None,
        gap=cost,
        cost=cost,
        simulated=mdps.monte_carlo(totals),
        bound=bound,
        bound_name="tabular_bound",
        vacuous=bool(bounds.is_vacuous(bound, RESET_HORIZON)),
    )


def _linear(gain_error: float, n_episodes: int, rng: np.random.Generator) -> Row:
    """The linear system, started evenly in [0, 2]; it costs |x| per step, without limit."""
    system = closed_forms.LinearSystem(expert_rate=0.9, gain_error=gain_error)
    horizon = HORIZONS[1]
    expert = system.expert_states(1.0, horizon)
    path = system.states(1.0, horizon)
    reach = bounds.exponential_bound(system.action_errors(expert[:-1]), system.rate)
    x: Floats = rng.uniform(0, 2, n_episodes)
    totals = np.zeros(n_episodes)
    for _ in range(horizon):
        totals += np.abs(x)
        x = system.step(x)
    return Row(
        instance="linear system",
        learner=f"rate {system.rate:.2f}, expert's {system.expert_rate:.2f}",
        horizon=horizon,
        eps=None,
        eps_on=None,
        k=None,
        gap=float((path - expert).sum()),
        cost=float(path.sum()),
        simulated=mdps.monte_carlo(totals),
        bound=float(reach.sum()),
        bound_name="exponential_bound",
        vacuous=False,
    )
