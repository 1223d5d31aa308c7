"""Bounds against closed forms: attained where they are tight, never exceeded."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_il.theory.bounds import (
    best_iterate_bound,
    cloning_bound,
    density_ratio_bound,
    exponential_bound,
    follow_the_leader_regret,
    interactive_bound,
    is_vacuous,
    k_step_bound,
    lipschitz_bound,
    log_loss_bound,
    log_loss_sample_bound,
    no_regret_error,
    sampling_error,
    tabular_bound,
)
from drive_il.theory.closed_forms import (
    LinearSystem,
    cliff_cost,
    one_shot_cost,
    recoverable_chain,
    reset_cliff_cost,
)
from drive_il.theory.instances import cliff, hardest_masses, regime


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
    for at_error, sign in ((False, -1), (True, 1)):
        cost = cliff_cost(1e-9, 1000.0, at_error)
        assert cost == pytest.approx(1e-9 * 1000 * (1000 + sign) / 2, rel=1e-3)
        assert cost / cloning_bound(1e-9, 1000.0) == pytest.approx(0.5, rel=2e-3)


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


@given(eps=st.floats(1e-3, 0.5), k=st.integers(1, 30), horizon=st.integers(1, 200))
@settings(max_examples=30, deadline=None)
def test_each_error_of_the_chain_costs_its_way_back_or_what_is_left_of_the_episode(
    eps: float, k: int, horizon: int
) -> None:
    """J = e sum_t p_t min(k, T - t), with the recursion of p written out."""
    p = [1.0]
    for t in range(1, horizon):
        p.append((1 - eps) * p[-1] + (eps * p[t - 1 - k] if t > k else 0.0))
    each = [eps * here * min(k, horizon - t) for t, here in enumerate(p, 1)]
    chain = recoverable_chain(eps, k, horizon)
    assert chain.cost == pytest.approx(sum(each), abs=1e-9)
    assert chain.eps_own == pytest.approx(eps * sum(p) / horizon, abs=1e-12)


def test_the_chain_is_off_the_track_for_a_share_of_k_eps_over_1_plus_k_eps_in_the_long_run() -> (
    None
):
    for eps, k in ((0.1, 3), (0.01, 20)):
        late = recoverable_chain(eps, k, 4001).cost - recoverable_chain(eps, k, 4000).cost
        assert late == pytest.approx(k * eps / (1 + k * eps), rel=1e-9)


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


def test_back_within_k_steps_means_a_recoverability_of_k() -> None:
    chain = recoverable_chain(0.01, 20, 200)
    assert k_step_bound(chain.eps_own, 20, 200) == pytest.approx(33.625, abs=5e-7)
    # no way back within T is no worse than losing all T steps
    assert k_step_bound(0.01, 10_000, 200) == pytest.approx(0.01 * 200**2)
    with pytest.raises(ValueError, match="k must not be negative"):
        k_step_bound(0.01, -1, 200)


def test_the_density_ratio_carries_an_error_from_the_experts_states_to_the_learners() -> None:
    # a ratio of 1 is the same distribution, and infinity leaves u T
    assert density_ratio_bound(0.01, 1.0, 5.0, 100) == interactive_bound(0.01, 5.0, 100)
    assert density_ratio_bound(0.0, math.inf, 5.0, 100) == 500.0
    for method in ("cloning", "reweighted"):
        found = regime("covered", method, 200).solve()
        bound = density_ratio_bound(found.eps_expert, found.ratio, found.u, 200)
        assert found.eps_own <= found.ratio * found.eps_expert
        assert found.gap <= bound


def test_daggers_mixing_term_counts_rounds_that_the_expert_drives() -> None:
    # beta = 1, 0, 0, ...: n_beta = 1, so that 2 / N is added
    first = np.array([1.0] + [0.0] * 19)
    assert no_regret_error(0.02, 0.01, first, 100) == pytest.approx(0.03 + 2 / 20)
    # beta_i = 0.5^(i - 1), T = 4: rounds 1 and 2 lie above 1/4, the rest sums to 1/2 - 1/2^19
    halved = 0.5 ** np.arange(20)
    rest = halved[2:].sum()
    assert no_regret_error(0.0, 0.0, halved, 4) == pytest.approx(2 / 20 * (2 + 4 * rest))
    with pytest.raises(ValueError, match="one probability per round"):
        no_regret_error(0.0, 0.0, [1.5], 4)


def test_more_rounds_bring_daggers_best_iterate_to_the_best_of_its_class() -> None:
    horizon, u = 100, 5.0
    errors = [
        no_regret_error(0.01, follow_the_leader_regret(n, 1.0, 1.0), np.eye(1, n)[0], horizon)
        for n in (10, 100, 100_000)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] == pytest.approx(0.01, rel=0.02)
    assert best_iterate_bound(errors[2], u, horizon) == pytest.approx(u * horizon * 0.01, rel=0.02)
    assert best_iterate_bound(7.0, u, horizon) == u * horizon
    assert follow_the_leader_regret(1, 2.0, 4.0) == pytest.approx(0.5)
    # delta = exp(-2), m N = 100: sqrt(4 / 100)
    assert sampling_error(20, 5, math.exp(-2)) == pytest.approx(0.2)


def test_few_demonstrations_cost_s_t_squared_over_n_on_the_hardest_masses() -> None:
    """Small q: T^2 (S - 1) (1 - 1/A) / (2 e (N + 1)), Rajaraman et al.'s law."""
    for horizon, n, n_actions in ((50, 100_000, 2), (200, 1_000_000, 5)):
        exact = reset_cliff_cost(hardest_masses(10, n), n, n_actions, horizon)
        law = horizon**2 * 9 * (1 - 1 / n_actions) / (2 * math.e * (n + 1))
        assert exact == pytest.approx(law * (horizon - 1) / horizon, rel=2e-3)


@pytest.mark.parametrize("n", [8, 20, 200, 5000])
def test_the_tabular_bound_holds_on_its_hardest_instance_and_is_half_attained(n: int) -> None:
    horizon, n_states = 50, 10
    exact = reset_cliff_cost(hardest_masses(n_states, n), n, 2, horizon)
    bound = tabular_bound(n_states, n, horizon)
    assert exact <= bound <= horizon
    if n == 5000:  # (1 - 1/A) (S - 1) / S = 0.45 of it, for small q
        assert exact / bound == pytest.approx(0.45 * 49 / 51, rel=0.02)
        assert bound == pytest.approx(n_states * horizon * 51 / (2 * math.e * n), rel=1e-3)


def test_the_log_loss_of_a_cliff_bounds_its_cost() -> None:
    for eps, horizon in ((0.001, 100), (0.01, 50), (0.1, 400)):
        bound = log_loss_bound(-math.log1p(-eps), horizon, spread=horizon)
        assert bound == pytest.approx(horizon * (1 - (1 - eps) ** horizon))  # P(any error) T
        assert cliff_cost(eps, horizon) <= bound <= horizon
    assert log_loss_bound(math.inf, 10, spread=1.0) == 1.0


def test_the_log_loss_sample_bound_knows_the_horizon_only_through_the_spread() -> None:
    bound = log_loss_sample_bound(math.log(100), 1000, 0.01, spread=50.0)
    assert bound == pytest.approx(50 * 2 * math.log(10_000) / 1000)
    assert log_loss_sample_bound(1000.0, 10, 0.01, spread=50.0) == 50.0
    with pytest.raises(ValueError, match="strictly between"):
        log_loss_sample_bound(1.0, 10, 0.0, spread=1.0)


def test_the_lipschitz_bridge_holds_where_actions_are_probabilities() -> None:
    # On the cliff let the action be the chance of a step aside: |a - a*| = eps on the track, and
    # Q* rises by at most T - 1 per unit of it.
    found = cliff(0.01, 100).solve()
    assert found.gap <= lipschitz_bound(found.eps_own, 99.0, 100)


@given(rate=st.floats(0.05, 0.95), error=st.floats(0.0, 0.5), bias=st.floats(0.0, 1.0))
@settings(max_examples=50, deadline=None)
def test_the_linear_system_attains_the_exponential_bound(
    rate: float, error: float, bias: float
) -> None:
    system = LinearSystem(rate, error, bias)
    expert = system.expert_states(1.0, 60)
    reach = exponential_bound(system.action_errors(expert[:-1]), system.rate)
    np.testing.assert_allclose(system.states(1.0, 60) - expert, reach, rtol=1e-8, atol=1e-9)


def test_a_biased_but_stable_learner_stays_near_and_an_unstable_one_does_not() -> None:
    stable = LinearSystem(0.8, 0.1, bias=0.05).states(0.0, 1000)
    assert stable.max() == pytest.approx(0.05 / (1 - 0.9))
    grown = LinearSystem(0.9, 0.2).states(3.0, 101)
    np.testing.assert_allclose(grown, 3.0 * 1.1 ** np.arange(101))  # x_t = rate^(t - 1) s
    # its mean action error on the expert's states: dK s (1 - r^T) / ((1 - r) T)
    system = LinearSystem(0.9, 0.2)
    mean = system.action_errors(system.expert_states(1.0, 100)).mean()
    assert mean == pytest.approx(0.2 * (1 - 0.9**100) / (0.1 * 100))
    with pytest.raises(ValueError, match="so that it is stable"):
        LinearSystem(1.1, 0.0)
