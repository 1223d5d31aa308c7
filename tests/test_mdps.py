"""Exact costs of the small processes: dynamic programming, closed forms and simulation."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_il.cli import main
from drive_il.theory import closed_forms, instances, mdps
from drive_il.theory.exact import table
from drive_il.theory.instances import Instance, Method, Regime
from drive_il.theory.mdps import Mdp, always, choosing

FIVE = 5.0
"""standard errors; a false alarm once in two million checks"""


@given(eps=st.floats(1e-4, 1.0), horizon=st.integers(1, 300), at_error=st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_cliff_costs_what_the_closed_form_says(
    eps: float, horizon: int, at_error: bool
) -> None:
    found = instances.cliff(eps, horizon, at_error).solve()
    assert found.cost == pytest.approx(
        closed_forms.cliff_cost(eps, horizon, at_error), abs=1e-9, rel=1e-9
    )
    assert found.eps_expert == pytest.approx(eps, abs=1e-12)
    assert found.u == pytest.approx(horizon - 1 + at_error)


def test_the_one_shot_cliff_attains_t_squared_eps() -> None:
    found = instances.one_shot_cliff(0.02, 20).solve()
    assert found.cost == pytest.approx(8.0, abs=1e-9)
    assert found.eps_expert == pytest.approx(0.02, abs=1e-12)
    with pytest.raises(ValueError, match="at most 1"):
        instances.one_shot_cliff(0.1, 20)


@given(eps=st.floats(0.0, 1.0), k=st.integers(1, 40), horizon=st.integers(1, 120))
@settings(max_examples=30, deadline=None)
def test_one_chain_shows_both_growths(eps: float, k: int, horizon: int) -> None:
    back = instances.recoverable_chain(eps, k, horizon).solve()
    known = closed_forms.recoverable_chain(eps, k, horizon)
    assert back.cost == pytest.approx(known.cost, abs=1e-9)
    assert back.eps_own == pytest.approx(known.eps_own, abs=1e-12)
    assert back.u == pytest.approx(min(k, horizon - 1) if horizon > 1 else 0)
    lost = instances.recoverable_chain(eps, k, horizon, saw_off_track=False).solve()
    cliff = closed_forms.cliff_cost(eps, horizon) if eps > 0 else 0.0
    assert lost.cost == pytest.approx(cliff, abs=1e-9, rel=1e-9)
    assert lost.eps_expert == pytest.approx(back.eps_expert, abs=1e-12)


def test_reset_cliffs_have_the_known_numbers() -> None:
    even, hard = np.full(10, 0.1), instances.hardest_masses(10, 20)
    assert closed_forms.missing_mass(even, 20, 2) == pytest.approx(0.060788, abs=5e-7)
    assert closed_forms.missing_mass(hard, 20, 2) == pytest.approx(0.080762, abs=5e-7)
    for masses, cost in ((even, 34.264552), (hard, 37.801680)):
        found = instances.reset_cliff(masses, 20, 2, 50).solve().cost
        assert found == pytest.approx(cost, abs=5e-7)
        assert found == pytest.approx(closed_forms.reset_cliff_cost(masses, 20, 2, 50), abs=1e-9)
    with pytest.raises(ValueError, match="add up to more than 1"):
        instances.hardest_masses(10, 3)


@pytest.mark.parametrize("n_actions", [2, 5])
@pytest.mark.parametrize("pooled", [False, True])
def test_cloning_from_drawn_demonstrations_costs_its_expectation(
    pooled: bool, n_actions: int
) -> None:
    n_demonstrations = 1 if pooled else 20
    masses = np.full(10, 0.1)
    totals = instances.reset_cliff_totals(
        masses, n_demonstrations, n_actions, 50, 4000, np.random.default_rng(1), pooled
    )
    form = closed_forms.pooled_reset_cliff_cost if pooled else closed_forms.reset_cliff_cost
    exact = form(10 if pooled else masses, n_demonstrations, n_actions, 50)
    found = mdps.monte_carlo(totals, z=FIVE)
    assert found.low < exact < found.high


def test_one_table_for_all_steps_needs_far_fewer_demonstrations() -> None:
    per_step = closed_forms.reset_cliff_cost(np.full(10, 0.1), 1, 2, 50)
    assert closed_forms.pooled_reset_cliff_cost(10, 1, 2, 50) < per_step / 20


REGIMES: tuple[Regime, ...] = ("realisable", "covered", "uncovered")
METHODS: tuple[Method, ...] = ("cloning", "reweighted", "dagger")


def doublings(which: Regime, method: Method) -> list[float]:
    """How much the gap grows when T doubles from 50, 100 and 200, small where saturated."""
    gaps = [instances.regime(which, method, t).solve().gap for t in (50, 100, 200, 400)]
    return [b / a for a, b in zip(gaps[:-1], gaps[1:], strict=True)]


def test_spencers_regimes_differ_as_they_should() -> None:
    for method in METHODS:
        assert instances.regime("realisable", method, 200).solve().gap == pytest.approx(0, abs=1e-9)
    assert doublings("covered", "cloning")[0] > 3.0
    assert doublings("uncovered", "cloning")[0] > 3.0
    assert doublings("uncovered", "reweighted") == doublings("uncovered", "cloning")
    assert doublings("covered", "reweighted") == pytest.approx([2, 2, 2], rel=0.03)
    assert doublings("covered", "dagger") == pytest.approx([2, 2, 2], rel=0.03)
    # at T = 50 the uncovered cliff is still the cheaper choice; DAgger takes the best iterate
    assert doublings("uncovered", "dagger")[1:] == pytest.approx([2, 2], rel=0.03)
    covered, uncovered = (
        instances.regime(which, "cloning", 200).solve() for which in ("covered", "uncovered")
    )
    assert np.isfinite(covered.ratio)
    assert (covered.uncovered, uncovered.ratio) == (0.0, np.inf)
    assert uncovered.uncovered > 0.5


def off_track_steps(errs: float, horizon: int, push: float = 0.0) -> float:
    """J of who errs at this rate on the track, copies the 5 steps back, and may be pushed off.

    With p_t on the track and f_t in the first of the steps off it, the last step back leads where
    the track would: f_(t+1) = p_t (errs + (1 - errs) push) + f_(t-4) push.
    """
    p, f = [1.0], [0.0]
    for t in range(1, horizon):
        back = f[t - instances.WAY_BACK] if t >= instances.WAY_BACK else 0.0
        f.append(p[-1] * (errs + (1 - errs) * push) + back * push)
        p.append((p[-1] * (1 - errs) + back) * (1 - push))
    return horizon - sum(p)


@pytest.mark.parametrize("horizon", [50, 100, 400])
def test_spencers_regimes_cost_what_the_closed_forms_say(horizon: int) -> None:
    def cost(which: Regime, method: Method) -> float:
        return instances.regime(which, method, horizon).solve().cost

    turns, both = instances.CURVES, instances.CURVES + instances.MARKERS
    push = instances.NOISE
    lost = closed_forms.cliff_cost(turns, horizon)
    pushed = closed_forms.cliff_cost(turns + (1 - turns) * push, horizon)
    assert cost("realisable", "cloning") == pytest.approx(0.0, abs=1e-9)
    assert cost("uncovered", "cloning") == pytest.approx(lost, abs=1e-9)
    assert cost("uncovered", "reweighted") == pytest.approx(lost, abs=1e-9)
    assert cost("covered", "cloning") == pytest.approx(pushed, abs=1e-9)
    assert cost("covered", "reweighted") == pytest.approx(
        off_track_steps(both, horizon, push), abs=1e-9
    )
    expert = instances.regime("covered", "cloning", horizon).solve().expert_cost
    assert expert == pytest.approx(off_track_steps(0.0, horizon, push), abs=1e-9)
    if horizon > 50:  # below, the cliff is the cheaper of DAgger's iterates
        assert cost("uncovered", "dagger") == pytest.approx(
            off_track_steps(both, horizon), abs=1e-9
        )
        assert cost("covered", "dagger") == pytest.approx(
            off_track_steps(both, horizon, push), abs=1e-9
        )


@pytest.mark.parametrize("gain_error", [0.08, 0.12])
def test_the_linear_system_played_step_by_step_costs_the_closed_form(gain_error: float) -> None:
    system = closed_forms.LinearSystem(0.9, gain_error)
    x, played = np.array(1.0), []
    for _ in range(100):
        played.append(float(x))
        x = system.step(x)
    assert sum(played) == pytest.approx(system.states(1.0, 100).sum(), abs=1e-9)


def all_instances() -> list[Instance]:
    return [
        instances.cliff(0.02, 60),
        instances.cliff(0.02, 60, at_error=True),
        instances.one_shot_cliff(0.01, 60),
        instances.recoverable_chain(0.05, 4, 60),
        instances.recoverable_chain(0.05, 4, 60, saw_off_track=False),
        instances.reset_cliff(np.full(6, 1 / 6), 20, 3, 60),
        *(instances.regime(which, method, 60) for which in REGIMES for method in METHODS),
    ]


@pytest.mark.parametrize("number", range(len(all_instances())))
def test_simulation_agrees_with_dynamic_programming(number: int) -> None:
    one = all_instances()[number]
    found = one.solve()
    runs = mdps.simulate(one.mdp, one.learner, 4000, np.random.default_rng(number))
    cost = mdps.monte_carlo(runs.total, z=FIVE)
    assert cost.low - 1e-9 <= found.cost <= cost.high + 1e-9
    disagrees = (runs.action != one.expert[runs.state]).mean(1)
    eps = mdps.monte_carlo(disagrees, z=FIVE)
    assert eps.low - 1e-12 <= found.eps_own <= eps.high + 1e-12


@pytest.mark.parametrize("number", range(len(all_instances())))
def test_the_gap_is_what_the_disagreements_cost(number: int) -> None:
    one = all_instances()[number]
    found = one.solve()
    identity = one.mdp.horizon * found.eps_own * found.advantage
    assert found.gap == pytest.approx(identity, abs=1e-9)
    assert found.gap <= found.u * one.mdp.horizon * found.eps_own + 1e-9
    assert found.gap <= found.eps_expert * one.mdp.horizon**2 + 1e-9


def test_forks_with_shared_noise_average_to_the_advantage() -> None:
    one = instances.regime("covered", "reweighted", 40)
    state, action, step, n = 2, 1 - int(one.expert[2]), 7, 4000
    policy = always(choosing(one.expert, 2), 40)
    q = mdps.action_costs(one.mdp, policy)[step, state]
    uniform = np.random.default_rng(3).random((n, 41, 2))
    where, what, when = np.full(n, state), np.full(n, action), np.full(n, step)
    found = mdps.forks(one.mdp, one.expert, where, what, when, uniform)
    mean = mdps.monte_carlo(found.extra, z=FIVE)
    assert mean.low < q[action] - q[1 - action] < mean.high
    assert (found.n_steps == 33).all()
    same = mdps.forks(one.mdp, one.expert, where, 1 - what, when, uniform)
    assert not same.extra.any()
    np.testing.assert_array_equal(same.state, same.truth)


def test_a_fork_at_the_last_step_costs_that_step() -> None:
    one = instances.cliff(0.1, 5, at_error=True)
    steps = np.array([4, 3, 0])
    uniform = np.full((3, 6, 2), 0.5)
    zeros = np.zeros(3, int)
    found = mdps.forks(one.mdp, one.expert, zeros, zeros + 1, steps, uniform)
    assert found.extra.tolist() == [1.0, 2.0, 5.0]


def test_what_is_no_process_is_refused() -> None:
    good = instances.cliff(0.1, 5).mdp
    with pytest.raises(ValueError, match="add up to 1"):
        Mdp(good.transition / 2, good.cost, good.start, 5)
    with pytest.raises(ValueError, match=r"costs per step must be in \[0, 1\]"):
        Mdp(good.transition, good.cost * 2, good.start, 5)
    with pytest.raises(ValueError, match="at least 1 step"):
        Mdp(good.transition, good.cost, good.start, 0)


def test_the_table_holds_its_own_facts() -> None:
    rows = table(400, seed=1)
    assert len({(row.instance, row.learner, row.horizon, row.eps) for row in rows}) == len(rows)
    for row in rows:
        assert row.gap <= row.bound * (1 + 1e-9) + 1e-9, row
        if row.instance == "linear system":  # attains its bound
            assert row.gap == pytest.approx(row.bound, abs=1e-9)
    # 95 % each: fewer than 22 of 28 inside happens once in ten thousand seeds
    assert sum(row.inside for row in rows) >= 22
    assert table(400, seed=1) == rows
    with pytest.raises(ValueError, match="at least 2 episodes"):
        table(1, seed=0)


def test_the_command_prints_the_table_and_its_numbers(capsys: pytest.CaptureFixture) -> None:
    main(["theory", "exact", "--episodes", "50"])
    shown = capsys.readouterr().out
    assert "36.603234" in shown
    assert "u C T eps_expert" in shown
    main(["theory", "exact", "--episodes", "50", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["n_rows"] == len(document["rows"])
    assert document["rows"][1]["cost"] == pytest.approx(36.603234, abs=5e-7)
    assert document["rows"][1]["vacuous"] is True
