"""Estimators against data whose answer is known."""

import numpy as np
import pytest

from drive_il.datatypes import Floats, Ints
from drive_il.theory.closed_forms import cliff_cost
from drive_il.theory.estimators import (
    disagreement,
    errors,
    gaps,
    growth_exponent,
    hazard,
    log_loss,
    renewal,
    renewal_cost,
    tolerance,
)
from drive_il.theory.intervals import (
    mean_with_interval,
    none_of,
    rate_interval,
    ratio_with_interval,
    resamples,
)

HORIZONS: Ints = np.array([25, 35, 50, 71, 100, 141, 200, 283, 400, 566, 800])


def absorbing_costs(n: int, hazard: float, seed: int) -> Floats:
    """Costs of n episodes that fall off a cliff with this rate per step, (1, n, H)."""
    fallen = np.random.default_rng(seed).geometric(hazard, n)
    return np.maximum(HORIZONS[None] - fallen[:, None] + 1.0, 0.0)[None]


def steady_costs(n: int, rate: float, seed: int) -> Floats:
    """Costs of n episodes of which each step fails on its own, (1, n, H)."""
    failing = np.random.default_rng(seed).random((n, HORIZONS[-1])) < rate
    return np.cumsum(failing, 1)[:, HORIZONS - 1][None].astype(float)


def test_an_unrecoverable_learner_grows_with_the_square_of_the_horizon() -> None:
    costs = absorbing_costs(300, 5e-4, seed=2)
    fit = growth_exponent(costs, np.zeros(costs.shape[1:]), HORIZONS, resamples(1, 300, 500, 0))
    assert fit.value is not None
    assert fit.low is not None
    assert fit.high is not None
    truth = np.polyfit(
        np.log(HORIZONS[fit.used]), np.log(cliff_cost(5e-4, HORIZONS[fit.used], True)), 1
    )[0]
    assert 1.8 < truth < 2.0
    assert fit.low < truth < fit.high
    assert fit.high - fit.low < 1.0


def test_a_recovering_learner_grows_linearly() -> None:
    costs = steady_costs(100, 0.02, seed=3)
    fit = growth_exponent(costs, np.zeros(costs.shape[1:]), HORIZONS, resamples(1, 100, 500, 0))
    assert fit.value == pytest.approx(1.0, abs=0.05)
    assert fit.used.all()


def test_too_few_usable_horizons_give_no_exponent_but_a_reason() -> None:
    weights = resamples(1, 50, 100, 0)
    never = np.zeros((1, 50, len(HORIZONS)))
    fit = growth_exponent(never, never[0], HORIZONS, weights)
    assert (fit.value, fit.low, fit.high) == (None, None, None)
    assert "11 have too few failures" in fit.reason
    always = np.broadcast_to(HORIZONS.astype(float), never.shape)
    assert "11 are saturated" in growth_exponent(always, never[0], HORIZONS, weights).reason


def test_an_episode_the_expert_fails_too_does_not_count() -> None:
    costs = absorbing_costs(50, 0.01, seed=4)
    (gap, *_) = gaps(costs, costs[0], HORIZONS, resamples(1, 50, 100, 0))
    assert gap.value == 0.0


def test_the_gaps_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # 60 episodes of a cliff, 200 repetitions: the true gap must lie inside in at least
    # 88 % of them (a method with 95 % coverage fails that once in 10^4).
    truth = cliff_cost(0.003, HORIZONS[6], at_error=True)
    inside = 0
    for seed in range(200):
        costs = absorbing_costs(60, 0.003, seed)
        estimate = gaps(costs, np.zeros((60, 11)), HORIZONS, resamples(1, 60, 400, seed))[6]
        inside += estimate.low <= truth <= estimate.high
    assert inside >= 176


def test_no_failure_at_all_still_leaves_room_above() -> None:
    never = np.zeros((1, 60, len(HORIZONS)))
    estimate = gaps(never, never[0], HORIZONS, resamples(1, 60, 100, 0))[-1]
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert estimate.high == pytest.approx(800 * 0.0596, rel=1e-2)
    assert rate_interval(0, 60)[1] == pytest.approx(none_of(60))


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0, 1, (5, 60)) + np.array([-2, -1, 0, 1, 2])[:, None]
    over_seeds = mean_with_interval(values, resamples(5, 60, 1000, 0))
    pooled = mean_with_interval(values.reshape(1, -1), resamples(1, 300, 1000, 0))
    assert over_seeds.value == pytest.approx(pooled.value)
    assert over_seeds.high - over_seeds.low > 2 * (pooled.high - pooled.low)


def test_bootstrap_weights_are_averages() -> None:
    for n_seeds in (1, 4):
        weights = resamples(n_seeds, 30, 50, 0)
        assert weights.shape == (50, n_seeds, 30)
        np.testing.assert_allclose(weights.sum((1, 2)), 1.0)
        np.testing.assert_array_equal(weights, resamples(n_seeds, 30, 50, 0))


def test_disagreement_is_strict_and_agrees_where_nobody_was_asked() -> None:
    # values that binary fractions hold exactly
    loss = disagreement(np.array([0.25, 0.5, np.nan]), np.array([0.0, 0.25, 0.0]), 0.25)
    assert loss.tolist() == [False, False, False]
    assert disagreement(np.array([0.5]), np.array([0.0]), 0.25).all()


def test_tolerance_stops_at_the_first_delta_that_hurts() -> None:
    deltas = np.array([0.01, 0.02, 0.04, 0.08])
    assert tolerance(deltas, np.array([0.0, 0.5, 3.0, 0.2]), eta=1.0) == 0.02
    assert tolerance(deltas, np.zeros(4), eta=1.0) == 0.08
    with pytest.raises(ValueError, match="smaller deltas"):
        tolerance(deltas, np.full(4, 2.0), eta=1.0)


def test_the_hazard_of_a_cliff_is_found() -> None:
    fallen = np.random.default_rng(6).geometric(0.004, 4000)
    at = np.where(fallen <= 800, fallen, 0)
    assert hazard(at, 800) == pytest.approx(0.004, rel=0.05)


def test_the_exact_rate_interval_is_the_known_one() -> None:
    assert rate_interval(5, 50) == pytest.approx((0.0333, 0.2181), abs=1e-4)
    assert rate_interval(50, 50)[1] == 1.0


def test_seeds_that_share_their_episodes_do_not_average_their_luck_away() -> None:
    # five seeds that all do the same: their episodes' luck is one sample, not five
    rng = np.random.default_rng(7)
    episodes = rng.exponential(1.0, 60)
    together = mean_with_interval(np.tile(episodes, (5, 1)), resamples(5, 60, 1000, 0))
    alone = mean_with_interval(episodes[None], resamples(1, 60, 1000, 0))
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_few_seeds_reach_as_far_as_students_t() -> None:
    # three seeds without any luck of episodes: t with 2 degrees of freedom, 4.303
    values = np.tile(np.array([0.0, 1.0, 2.0])[:, None], (1, 20))
    found = mean_with_interval(values, resamples(3, 20, 4000, 0))
    # no resample of three seeds reaches beyond the seeds themselves
    assert (found.low, found.high) == (0.0, 2.0)
    many = np.random.default_rng(8).normal(0, 1, 30)
    found = mean_with_interval(np.tile(many[:, None], (1, 20)), resamples(30, 20, 4000, 0))
    half = 2.045 * many.std(ddof=1) / np.sqrt(30)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.06)


def test_values_all_alike_leave_room_towards_their_limits() -> None:
    weights = resamples(1, 60, 100, 0)
    full = mean_with_interval(np.ones((1, 60)), weights, limits=(0.0, 1.0))
    assert full.value == full.high == 1.0
    assert full.low == pytest.approx(1 - none_of(60))
    assert mean_with_interval(np.ones((1, 60)), weights).low == 1.0


def test_what_one_episode_bears_alone_is_not_known_to_the_last_digit() -> None:
    """Its interval had no width, beside the value: 30 of 32 disagreements are one episode's."""
    cost, told = np.zeros((1, 40)), np.zeros((1, 40))
    cost[0, :3], told[0, :3] = (20.0, 0.0, 1.0), (30.0, 1.0, 1.0)
    found = ratio_with_interval(cost, told, resamples(1, 40, 500, 0))
    assert found.value == pytest.approx(21 / 32)
    assert found.low < 0.5 < found.value < 0.9 < found.high


def test_errors_hold_the_whole_tolerance_curve() -> None:
    rng = np.random.default_rng(9)
    difference = rng.normal(0, 0.1, (2, 40, 100))
    difference[:, :, 70:] = np.nan
    found = errors(difference, 0.1, (0.0, 0.1, 0.3), resamples(2, 40, 300, 0))
    assert found.by_delta[0.0].value == 1.0  # every step disagrees a little
    assert found.eps == found.by_delta[0.1]
    assert found.eps.value == pytest.approx(0.3173, abs=0.02)  # outside one deviation
    assert found.by_delta[0.3].value == pytest.approx(0.0027, abs=0.002)
    assert found.root_mean_square.value == pytest.approx(0.1, rel=0.03)
    assert found.absolute.value == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.03)
    difference[1, 3] = np.nan
    with pytest.raises(ValueError, match="episode 3 of seed 1"):
        errors(difference, 0.1, (0.1,), resamples(2, 40, 100, 0))


def test_log_loss_is_in_nats_and_refuses_densities() -> None:
    weights = resamples(1, 10, 100, 0)
    probability = np.full((1, 10, 20), 0.5)
    probability[0, 0, 5:] = np.nan
    assert log_loss(np.log(probability), weights).value == pytest.approx(np.log(2))
    with pytest.raises(ValueError, match="a density is no probability"):
        log_loss(np.full((1, 10, 20), 0.3), weights)
    with pytest.raises(ValueError, match="excludes an action"):
        log_loss(np.full((1, 10, 20), -np.inf), weights)


def test_the_renewal_model_contains_the_cliff_and_the_chain() -> None:
    steps = HORIZONS.astype(float)
    cliff = cliff_cost(0.003, HORIZONS, at_error=True)
    np.testing.assert_allclose(renewal_cost(np.array(0.003), np.array(0.0), steps), cliff)
    linear = renewal_cost(np.array(0.01), np.array(0.99), steps)  # each error costs one step
    np.testing.assert_allclose(linear, 0.01 * steps)


def test_the_renewal_fit_finds_both_rates() -> None:
    weights = resamples(1, 300, 300, 0)
    fell = renewal(*(absorbing_costs(300, 2e-3, seed=2), np.zeros((300, 11))), HORIZONS, weights)
    assert fell is not None
    assert fell.error_rate.holds(2e-3)
    assert fell.recovery_rate.value < 1e-3
    recovers = renewal(*(steady_costs(300, 0.02, 3), np.zeros((300, 11))), HORIZONS, weights)
    assert recovers is not None
    assert recovers.error_rate.value == pytest.approx(0.02, rel=0.1)
    assert recovers.recovery_rate.value > 0.5
    assert recovers.misfit < 0.1
    never = np.zeros((1, 300, 11))
    assert renewal(never, never[0], HORIZONS, weights) is None
