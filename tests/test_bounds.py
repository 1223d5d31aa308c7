"""Bounds against closed forms and against simulation of the small MDPs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_il.theory.bounds import (
    cliff_cost,
    cloning_bound,
    interactive_bound,
    is_vacuous,
    one_shot_cost,
    recoverable_chain,
)


@pytest.mark.parametrize(
    ("horizon", "eps", "after", "at_error", "bound"),
    [
        (10, 0.1, 3.486784, 4.138106, 10),
        (50, 0.01, 10.500607, 10.895601, 25),
        (100, 0.01, 36.603234, 37.237202, 100),
        (100, 0.001, 4.792147, 4.887355, 10),
        (1000, 0.001, 367.695425, 368.327729, 1000),
    ],
)
def test_the_cliff_costs_what_it_costs(
    horizon: int, eps: float, after: float, at_error: float, bound: float
) -> None:
    assert cliff_cost(eps, horizon) == pytest.approx(after, abs=5e-7)
    assert cliff_cost(eps, horizon, at_error=True) == pytest.approx(at_error, abs=5e-7)
    assert cloning_bound(eps, horizon) == pytest.approx(bound)


def test_the_cliffs_local_slope_falls_as_it_saturates() -> None:
    horizon = np.array([10, 20, 50, 100, 200, 400, 800])
    slope = np.log2(cliff_cost(0.01, 2 * horizon) / cliff_cost(0.01, horizon))
    np.testing.assert_allclose(slope, [2.031, 1.945, 1.801, 1.631, 1.412, 1.214, 1.099], atol=5e-4)


def test_the_small_eps_limit_of_the_cliff_is_half_the_bound() -> None:
    assert cliff_cost(1e-9, 1000.0) / cloning_bound(1e-9, 1000.0) == pytest.approx(
        0.5 * 999 / 1000, rel=1e-3
    )


def test_the_one_shot_cliff_attains_the_bound() -> None:
    assert one_shot_cost(0.02, 20) == pytest.approx(8.0)
    assert one_shot_cost(0.02, 20) == cloning_bound(0.02, 20)
    with pytest.raises(ValueError, match="at most 1"):
        one_shot_cost(0.1, 20)


@pytest.mark.parametrize(
    ("horizon", "eps", "k", "cost", "bound"),
    [
        (10, 0.1, 1, 0.826446, 0.917355),
        (10, 0.1, 3, 1.952840, 2.414148),
        (50, 0.01, 5, 2.244898, 2.387755),
        (100, 0.01, 5, 4.625850, 4.768707),
        (200, 0.01, 5, 9.387755, 9.530612),
        (200, 0.01, 20, 31.875000, 33.625000),
        (1000, 0.001, 10, 9.847074, 9.901529),
    ],
)
def test_the_recoverable_chain_costs_what_it_costs(
    horizon: int, eps: float, k: int, cost: float, bound: float
) -> None:
    chain = recoverable_chain(eps, k, horizon)
    assert chain.cost == pytest.approx(cost, abs=5e-7)
    assert chain.bound == pytest.approx(bound, abs=5e-7)
    assert interactive_bound(chain.eps_own, chain.u, horizon) == pytest.approx(bound, abs=5e-7)


def test_a_chain_without_a_way_back_is_the_cliff() -> None:
    assert recoverable_chain(0.01, 99, 100).cost == pytest.approx(36.603234, abs=5e-7)


@given(eps=st.floats(1e-4, 0.9), horizon=st.integers(1, 400), k=st.integers(1, 500))
@settings(max_examples=60, deadline=None)
def test_the_exact_costs_never_exceed_their_bounds(eps: float, horizon: int, k: int) -> None:
    chain = recoverable_chain(eps, k, horizon)
    slack = 1e-9 * horizon
    assert chain.cost <= chain.bound + slack
    assert chain.cost <= cliff_cost(eps, horizon) + slack <= horizon + 2 * slack
    assert cliff_cost(eps, horizon) <= cloning_bound(eps, horizon) + slack


def test_the_chain_agrees_with_simulation() -> None:
    rng = np.random.default_rng(1)
    n, horizon, eps, k = 20_000, 60, 0.05, 4
    off_until = np.zeros(n, int)
    cost = np.zeros(n)
    for t in range(1, horizon + 1):
        off = t <= off_until
        cost += off
        off_until[~off & (rng.random(n) < eps)] = t + k
    # five standard errors: a false alarm once in two million runs
    error = 5 * cost.std() / np.sqrt(n)
    assert cost.mean() == pytest.approx(recoverable_chain(eps, k, horizon).cost, abs=error)


def test_vacuous_means_no_less_than_the_horizon() -> None:
    horizon = np.array([10, 100, 1000])
    assert is_vacuous(cloning_bound(0.01, horizon), horizon).tolist() == [False, True, True]


@pytest.mark.parametrize(("eps", "horizon"), [(-0.1, 10), (1.1, 10), (np.nan, 10), (0.1, 0)])
def test_bounds_refuse_what_is_no_rate_or_horizon(eps: float, horizon: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        cloning_bound(eps, horizon)


def test_a_negative_u_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        interactive_bound(0.1, -1.0, 10)
