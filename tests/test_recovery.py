"""What errors cost: forks, ways back, the gap identity, density ratios."""

import numpy as np
import pytest

from drive_il.theory import density
from drive_il.theory.intervals import resamples
from drive_il.theory.recovery import (
    Forks,
    fork_probability,
    gap_identity,
    mean_advantage,
    percentile,
    recoverability,
    return_time,
    steps_back,
)


def test_forks_are_summarised() -> None:
    found = recoverability(Forks.independent(np.array([0.0] * 19 + [100.0])))
    assert found.mean == pytest.approx(5.0)
    assert found.mean_low < 5.0 < found.mean_high
    assert found.largest == 100.0
    assert found.n_forks == 20
    assert recoverability(Forks.independent(np.zeros(0))).n_forks == 0
    assert recoverability(Forks.independent(np.full(5, -2.0))).largest == 0.0


def test_forks_drawn_rarely_count_for_those_that_were_not_drawn() -> None:
    # episode 0: all of its disagreements forked, each costs 1; episode 1: one in ten, costs 3
    forks = Forks(np.array([1.0, 1.0, 3.0]), np.array([0, 0, 1]), np.array([1.0, 1.0, 0.1]), (1, 2))
    mean = mean_advantage(forks, resamples(1, 2, 100, 0))
    assert mean.value == pytest.approx((2 * 1 + 10 * 3) / 12)
    assert forks.per_episode(forks.extra).tolist() == [[2.0, 30.0]]
    assert recoverability(forks).p95 == 3.0


def test_the_interval_of_the_95th_percentile_holds_it_about_as_often_as_it_says() -> None:
    """60 episodes with some 4 errors of exponential cost, half of them forked, 200 times.

    An interval with 95 % coverage holds in fewer than 176 of 200 once in 10^4.
    """
    rng, weights, held = np.random.default_rng(5), resamples(1, 60, 300, 0), 0
    for _ in range(200):
        episode = np.repeat(np.arange(60), rng.poisson(4, 60))
        episode = episode[rng.random(len(episode)) < 0.5]
        n = len(episode)
        forks = Forks(rng.exponential(2.0, n), episode, np.full(n, 0.5), (1, 60))
        held += percentile(forks, 0.95, weights).holds(2.0 * np.log(20))
    assert held >= 176


def test_a_percentile_counts_forks_for_those_that_were_not_drawn() -> None:
    # 18 of 20 disagreements cost 1 (two of them forked), two cost 7 and both were forked
    forks = Forks(
        np.array([1.0, 1.0, 7.0, 7.0]),
        np.arange(4),
        np.array([1 / 9, 1 / 9, 1.0, 1.0]),
        (1, 4),
    )
    weights = resamples(1, 4, 200, 0)
    assert percentile(forks, 0.9, weights).value == 1.0
    found = recoverability(forks)
    assert (found.p95, found.p95_low, found.p95_high, found.largest) == (7.0, 1.0, 7.0, 7.0)
    one = recoverability(Forks(np.array([3.0]), np.array([0]), np.array([0.5]), (1, 5)))
    assert (one.p95, one.p95_low, one.p95_high) == (3.0, 3.0, 3.0)


def test_forks_without_a_probability_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a probability in \(0, 1\]"):
        Forks(np.ones(2), np.zeros(2, int), np.array([0.5, 0.0]), (1, 1))
    with pytest.raises(ValueError, match="2 forks, 1 episodes and 2 prob"):
        Forks(np.ones(2), np.zeros(1, int), np.ones(2), (1, 1))


def test_the_gap_identity_holds_where_the_forks_explain_the_gap_and_only_there() -> None:
    rng = np.random.default_rng(1)
    n_errors = rng.poisson(3, (1, 80))
    extra = rng.exponential(2.0, n_errors.sum())
    episode = np.repeat(np.arange(80), n_errors[0])
    forks = Forks(extra, episode, np.ones(len(extra)), (1, 80))
    gap = rng.poisson(3, (1, 80)) * 2.0
    weights = resamples(1, 80, 500, 0)
    assert gap_identity(gap, forks, weights).holds
    missed = gap_identity(gap + 4.0, forks, weights)
    assert not missed.holds
    assert missed.difference.value == pytest.approx(
        missed.gap.value - missed.explained.value, abs=1e-9
    )


@pytest.mark.parametrize(
    ("inside", "steps"),
    [
        ("1111111111", 0.0),  # never left
        ("0001111111", 3.0),
        ("1100111111", 4.0),
        ("0010001111", 6.0),  # one step inside is not back
        ("0000000000", np.inf),
        ("0111000000", 1.0),  # back for three steps, and out again: it was back
        ("1111111100", np.inf),
        ("1111111001", 9.0),  # the fork ends before the hold is over
    ],
)
def test_a_fork_is_back_when_it_stays(inside: str, steps: float) -> None:
    flags = np.array([[one == "1" for one in inside]])
    assert steps_back(flags, hold=3)[0] == steps


def test_the_median_way_back_is_that_of_all_errors_not_of_those_drawn() -> None:
    """Three steps that decide are drawn for certain and never return; one error in 20 is drawn."""
    steps = np.array([np.inf] * 3 + [8.0, 12.0, 0.0])
    probability = np.array([1.0] * 3 + [0.05] * 3)
    drawn = return_time(steps)
    assert np.isnan(drawn.median)
    assert drawn.never == pytest.approx(3 / 5)
    found = return_time(steps, probability=probability)
    assert found.median == 12.0
    assert found.never == pytest.approx(3 / 43)
    assert (found.n_left, found.longest) == (5, 12.0)


def test_what_lies_beyond_a_forks_end_does_not_count() -> None:
    flags = np.array([[False, True, True, False, False]] * 2)
    assert steps_back(flags, hold=4, n_steps=np.array([5, 3])).tolist() == [np.inf, 1.0]


def test_times_to_return_know_of_those_that_never_do() -> None:
    found = return_time(np.array([0.0, 4.0, 5.0, 6.0, np.inf]))
    assert (found.median, found.longest, found.never, found.n_left) == (5.0, 6.0, 0.25, 4)
    lost = return_time(np.array([3.0, np.inf, np.inf, np.inf]))
    assert np.isnan(lost.median)
    assert lost.high == np.inf
    assert return_time(np.zeros(3)).n_left == 0


def test_the_same_states_have_a_ratio_of_one_and_no_mass_outside() -> None:
    shares = density.shares(np.random.default_rng(2).integers(0, 5, (50, 200)), 8)
    found = density.density_ratio(shares[None], shares, resamples(1, 50, 200, 0))
    assert found.ratio.value == pytest.approx(1.0)
    assert found.uncovered.value == 0.0
    assert found.uncovered.high < 0.1  # fifty episodes cannot exclude a few per cent
    assert found.effective.value == pytest.approx(1.0)


def test_where_the_expert_never_was_shows() -> None:
    expert = density.shares(np.tile([0, 0, 0, 1], (30, 5)), 4)
    own = density.shares(np.tile([0, 1, 1, 3], (30, 5)), 4)
    found = density.density_ratio(own[None], expert, resamples(1, 30, 100, 0))
    assert found.ratio.value == pytest.approx(2.0)  # 1/2 against 1/4
    assert found.uncovered.value == pytest.approx(0.25)
    # weights 1/3 (3 of 4 steps) and 2: (3/4)^2 / (3/4 / 9 + 1/4 * 4)
    assert found.effective.value == pytest.approx(0.5625 / (1 / 12 + 1))


def test_cells_number_states_by_side_turn_and_speed() -> None:
    assert density.cells(np.array(-9.0), np.array(-2.0), np.array(0.0)) == 0
    assert density.cells(np.array(9.0), np.array(2.0), np.array(99.0)) == density.N_CELLS - 1
    middle = density.cells(np.array([0.0, 0.1, 1.0]), np.zeros(3), np.full(3, 5.0))
    assert middle[0] == middle[1] != middle[2]
    padded = density.shares(np.array([[0, 1, -1, -1]]), 3)
    assert padded.tolist() == [[0.5, 0.5, 0.0]]


def test_forks_go_to_where_errors_begin_and_stay_within_the_budget() -> None:
    rng = np.random.default_rng(4)
    disagrees = rng.random((2, 30, 80)) < 0.02
    disagrees[:, :5, 30:] = True  # five lost episodes disagree in every step
    chance = fork_probability(disagrees, 60)
    assert chance.sum() == pytest.approx(60)
    assert ((chance > 0) == disagrees).all()
    onset = disagrees & ~np.pad(disagrees, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    assert chance[onset].min() > 2 * chance[disagrees & ~onset].max()
    assert (fork_probability(disagrees, 10**6)[disagrees] == 1).all()
    few = np.zeros((1, 1, 9), bool)
    few[0, 0, [2, 5]] = True
    assert fork_probability(few, 1)[few].tolist() == [0.5, 0.5]
