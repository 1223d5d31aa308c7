"""Where drives are decided: halving finds it, and what is drawn by it adds up to the gap."""

import numpy as np
import pytest

from drive_il.theory import handovers, recovery
from drive_il.theory.intervals import resamples

T, N = 300, 40


def cliffs() -> list[np.ndarray]:
    """V_0 ... V_f of drives that one step decides, a second before they fail."""
    ends = np.random.default_rng(0).integers(60, 250, N)
    return [np.where(np.arange(f + 1) > f - 20, T - f + 1.0, 0.0) for f in ends]


def slopes() -> list[np.ndarray]:
    """V of drives that fall behind: every third step of the last 60 costs as much as another."""
    ends = np.random.default_rng(1).integers(80, 250, N)
    return [np.maximum(0, np.arange(f + 1) - (f - 60)) // 3 * 3.0 * (T - f + 1) / 60 for f in ends]


def searched(cost: list[np.ndarray], n: int) -> list[dict[int, float]]:
    """What halving knows after all points of no return and n others."""
    known = [{1: float(one[1]), len(one) - 1: float(one[-1])} for one in cost]
    while places := handovers.halves(known, min(n, 16)):
        n -= len(places)
        for drive, step in places:
            known[drive][step] = float(cost[drive][step])
        if n <= 0 and not handovers.halves(known, 0):
            break
    return known


def of_steps(cost: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Advantages of all steps, and which of them a learner took, (N, T)."""
    advantage, alive = np.zeros((N, T)), np.zeros((N, T), bool)
    for row, there, one in zip(advantage, alive, cost, strict=True):
        row[: len(one) - 1] = np.diff(one)
        there[1 : len(one) - 1] = True
    return advantage, alive


def share_that_holds(advantage: np.ndarray, chance: np.ndarray, repeats: int = 200) -> float:
    """How often the gap identity's interval holds 0 when steps are drawn with these chances."""
    rng, weights = np.random.default_rng(2), resamples(1, N, 300, 0)
    gap, n = advantage.sum(1)[None], 0
    for _ in range(repeats):
        drive, step = np.nonzero(rng.random(chance.shape) < chance)
        forks = recovery.Forks(advantage[drive, step], drive, chance[drive, step], (1, N))
        n += recovery.gap_identity(gap, forks, weights).holds
    return n / repeats


def test_halving_finds_the_one_step_that_decides_each_drive() -> None:
    cost = cliffs()
    known = searched(cost, 0)
    for one, found in zip(cost, known, strict=True):
        decided = int(np.flatnonzero(np.diff(one))[0])
        assert handovers.last_saved(found) == decided
        assert found[decided + 1] == one[-1]
        assert len(found) <= 2 + np.ceil(np.log2(len(one)))
    change = handovers.change(known, T)
    assert (change > 0).sum() == N  # nothing is left open
    assert (handovers.in_proportion(change, 75.0).sum(1) == 1.0).all()  # all 40 for certain


def test_drawn_blindly_the_steps_that_decide_are_missed_and_the_identity_fails() -> None:
    """What certificates did: the last 60 steps drawn more densely, 150 forks of 6,000 steps."""
    advantage, alive = of_steps(cliffs())
    ends = alive.sum(1) + 1
    near = alive & (np.arange(T) >= ends[:, None] - 60)
    blind = recovery.shared_out((near, alive & ~near), 150)
    assert share_that_holds(advantage, blind) < 0.9
    known = searched(cliffs(), 0)
    decides = handovers.in_proportion(handovers.change(known, T), 75.0)
    told = handovers.either(decides, recovery.shared_out((alive,), 75))
    assert share_that_holds(advantage, told) == 1.0


def test_where_many_steps_decide_the_interval_holds_as_often_as_it_says() -> None:
    """False alarm of the binomial below 1e-4: 200 repetitions at 95 % hold in 176 or more."""
    advantage, alive = of_steps(slopes())
    known = searched(slopes(), 100)
    decides = handovers.in_proportion(np.where(alive, handovers.change(known, T), 0.0), 75.0)
    told = handovers.either(decides, recovery.shared_out((alive,), 75))
    assert told.sum() <= 150
    assert share_that_holds(advantage, told) >= 0.88


def test_a_draw_in_proportion_spends_its_budget_and_never_more_than_certainty() -> None:
    size = np.array([[100.0, 1.0, 0.0], [2.0, 3.0, 1.0]])
    chance = handovers.in_proportion(size, 2.0)
    assert chance.sum() == pytest.approx(2.0)
    assert chance[0].tolist() == [1.0, pytest.approx(1 / 7), 0.0]
    assert handovers.in_proportion(size, 9.0).sum() == 5.0  # as many as have a size
    assert handovers.in_proportion(np.zeros((2, 3)), 5.0).sum() == 0.0


def test_points_of_no_return_are_looked_for_first_whatever_the_budget() -> None:
    known = [{1: 0.0, 101: 200.0}, {1: 50.0, 101: 90.0}, {1: 20.0, 101: 200.0}, {1: 5.0, 101: 5.0}]
    assert handovers.halves(known, 0) == [(0, 51)]
    assert handovers.halves(known, 1) == [(0, 51), (2, 51)]
    assert handovers.halves(known, 9) == [(0, 51), (2, 51), (1, 51)]
    assert handovers.halves([{7: 0.0, 8: 12.0}, {}], 9) == []
    assert handovers.last_saved({1: 3.0, 9: 4.0}) == 0
