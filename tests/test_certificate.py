"""A certificate: bounds by closed form, regimes by their thresholds, growth on cliffs."""

import math

import numpy as np
import pytest

from drive_il.theory import bounds, certificate, intervals, recovery
from drive_il.theory.certificate import Measured, bound_table, by_name, regime, tightest
from drive_il.theory.intervals import Estimate

T = 100


def seen(**more: float) -> Measured:
    return Measured(gap=4.0, horizon=T, eps_expert=0.0005, eps_own=0.01, error_own=0.02, **more)


def test_without_forks_only_the_cloning_bound_is_a_number() -> None:
    rows = by_name(bound_table(seen()))
    assert rows["cloning"]["value"] == pytest.approx(T**2 * 0.0005)
    assert rows["cloning"]["holds"]
    assert not rows["cloning"]["vacuous"]
    assert rows["cloning"]["gap_over_bound"] == pytest.approx(0.8)
    for name in ("interactive", "k_step", "density_ratio", "lipschitz", "log_loss"):
        assert rows[name]["value"] is None
        assert rows[name]["reason"]


def test_with_forks_every_bound_has_its_closed_form() -> None:
    rows = by_name(bound_table(seen(u=5.0, k=8.0, ratio=3.0, slope=20.0, log_loss=0.001)))
    assert rows["interactive"]["value"] == pytest.approx(5 * T * 0.01)
    assert rows["k_step"]["value"] == pytest.approx(8 * T * 0.01)
    assert rows["density_ratio"]["value"] == pytest.approx(5 * T * 3 * 0.0005)
    assert not rows["density_ratio"]["holds"]
    assert rows["density_ratio"]["lower_estimate"]
    assert rows["lipschitz"]["value"] == pytest.approx(T * 20 * 0.02)
    assert rows["log_loss"]["value"] == pytest.approx(T * (1 - math.exp(-0.1)))
    best = tightest(list(rows.values()))
    assert best is not None
    assert best["name"] == "cloning"  # 5, as is u T eps; the first of the smallest
    assert rows["lipschitz"]["holds"]


def test_a_learner_where_the_expert_never_was_gets_a_vacuous_density_bound() -> None:
    rows = by_name(bound_table(seen(u=2.0, ratio=math.inf)))
    assert rows["density_ratio"]["value"] == 2.0 * T
    assert rows["density_ratio"]["vacuous"]


def test_growth_on_a_cliff_is_the_closed_form() -> None:
    """Drives that fail at known steps cost T - t + 1 from there on; the expert never fails."""
    failing = np.zeros((1, 20, T), np.bool_)
    fails = np.arange(5, 85, 4)
    for row, at in enumerate(fails):
        failing[0, row, at:] = True
    weights = intervals.resamples(1, 20, 200, 0)
    steps = np.array([25, 50, 100])
    grown = certificate.growth(failing, np.zeros((20, T), np.bool_), steps, weights)
    for step in steps:
        exact = np.maximum(step - fails, 0).mean()
        assert grown["absorbing"][str(step)]["gap"] == pytest.approx(exact)
        assert grown["recoverable"][str(step)]["gap"] == pytest.approx(exact)
    assert not bounds.is_vacuous(grown["absorbing"]["100"]["gap"], T)


@pytest.mark.parametrize(
    ("eps", "gap_low", "uncovered", "name"),
    [
        (0.001, 0.0, 0.0, "realisable"),
        (0.05, 3.0, 0.0, "covered"),
        (0.05, 3.0, 0.3, "uncovered"),
        (0.001, 3.0, 0.3, "uncovered"),  # small errors that lead elsewhere
        (0.05, 3.0, 0.012, "undecided"),
    ],
)
def test_regimes(eps: float, gap_low: float, uncovered: float, name: str) -> None:
    share = Estimate(uncovered, max(0.0, uncovered - 0.008), uncovered and uncovered + 0.008)
    found = regime(Estimate(eps, eps, eps), gap_low, share, 0.5, T)
    assert found["name"] == name
    assert "disagreements in 100 steps" in found["why"]


def test_shared_out_spends_the_budget_and_leaves_sums_unbiased() -> None:
    rng = np.random.default_rng(0)
    which = rng.integers(0, 4, (30, 200))
    strata = tuple(
        (which == k) & (rng.random((30, 200)) < share)
        for k, share in enumerate((0.01, 0.1, 1.0, 0.5))
    )
    chance = recovery.shared_out(strata, 300)
    assert chance.sum() == pytest.approx(300)
    assert (chance[strata[0]] == 1).all()  # a small stratum is taken whole
    assert chance[strata[1]].max() > chance[strata[2]].max()  # denser where there are fewer
    values = rng.normal(1.0, 1.0, chance.shape)
    inside = chance > 0
    draws = rng.random((400, *chance.shape)) < chance
    weighted = np.where(inside, values / np.where(inside, chance, 1), 0.0)
    sums = (draws * weighted).sum((1, 2))
    error = sums.std() / np.sqrt(len(sums))
    assert abs(sums.mean() - values[inside].sum()) < 4 * error  # false alarm below 1e-4
