"""The regimes on a road: what makes each one, what is reported of its law, a tiny run."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from drive_il.datatypes import Episode
from drive_il.experiments import regimes as experiment
from drive_il.experiments import regimes_escapes as escapes
from drive_il.experiments import regimes_jobs as work
from drive_il.experiments import regimes_numbers as numbers
from drive_il.experiments.regimes_road import K_HEADING, K_LATERAL, Linear, fit, specs
from drive_il.gates import ExpertDrives

SPEED = 8.0  # [m/s]


def poles(lateral: float, heading: float) -> np.ndarray:
    """Of y' = v psi, psi' = -v (lateral y + heading psi): the car beside a straight lane [1/s]."""
    return np.linalg.eigvals(SPEED * np.array([[0.0, 1.0], [-lateral, -heading]]))


def test_the_stable_car_comes_back_by_itself_and_the_unstable_one_does_not() -> None:
    stable, unstable = (escapes.PLANTS[name] for name in ("stable", "unstable"))
    assert poles(stable.lateral, stable.heading).real.max() < -1.0
    assert poles(unstable.lateral, unstable.heading).real.max() > 1.0
    # a chunk lasts long enough for the stable car to come back, and for the other to be lost
    chunk = escapes.CHUNK * 0.05
    assert np.exp(poles(stable.lateral, stable.heading).real.max() * chunk) < 0.1
    assert np.exp(poles(unstable.lateral, unstable.heading).real.max() * chunk) > 10.0
    assert poles(K_LATERAL, K_HEADING).real.max() < -1.0  # what the expert makes of either


@pytest.fixture(scope="module")
def shown() -> dict[str, list[Episode]]:
    """The expert's drives of each regime, the same places and seeds."""
    some = specs(4, 120, 3, "test-regimes")
    return {which: work.regime(which).drive(some, ExpertDrives()) for which in experiment.REGIMES}


def visited(episodes: list[Episode]) -> int:
    """In how many of the cells that C is counted on the expert is."""
    return len(np.unique(np.concatenate([work._cells_of(one) for one in episodes])))


def turned(episodes: list[Episode]) -> float:
    return max(float(np.abs(one.progress["heading_error"]).max()) for one in episodes)


def test_gusts_show_the_expert_where_it_would_not_have_been(
    shown: dict[str, list[Episode]],
) -> None:
    """Bends carry it out of its dead band anyway; what gusts add is that it comes back turned."""
    assert visited(shown["covered"]) > 1.5 * visited(shown["uncovered"])
    assert turned(shown["covered"]) > 1.5 * turned(shown["uncovered"])
    for one, other in zip(shown["realisable"], shown["uncovered"], strict=True):
        assert one.ego.tobytes() == other.ego.tobytes()  # one process, seen with other eyes
    for episodes in shown.values():
        assert max(np.abs(one.progress["lateral_error"]).max() for one in episodes) < 1.5


def test_only_who_sees_all_the_expert_steers_by_can_copy_it(
    shown: dict[str, list[Episode]],
) -> None:
    left = {}
    for which, episodes in shown.items():
        seen, labels = work.frames(episodes)
        left[which] = float(np.abs(seen @ fit(seen, labels) - labels).max())
    assert left["realisable"] < 1e-4  # [1/m]
    assert min(left["covered"], left["uncovered"]) > 100 * left["realisable"]


def test_weights_move_a_fit_to_where_they_are() -> None:
    x = np.linspace(-1.0, 1.0, 201)
    features = np.stack([x, np.ones(201)], 1)
    bent = np.where(x > 0.5, 3.0 * x, x)[:, None]
    there = fit(features, bent, np.where(x > 0.5, 1.0, 0.0))
    np.testing.assert_allclose(there[:, 0], [3.0, 0.0], atol=1e-5)
    assert fit(features, bent)[0, 0] < 2.5


def test_a_chunk_is_played_to_its_end_before_the_next_look() -> None:
    policy = Linear(np.array([[0.01, 0.02, 0.03]]))
    state, steers = policy.initial_state(1), []
    for look in (1.0, 9.0, 9.0, 2.0, 9.0):
        control, state, _ = policy.act({"features": np.array([[look]])}, state)
        steers.append(float(control["steer"][0]))
    first, later = np.array(steers[:3]), np.array(steers[3:])
    assert (np.diff(first) > 0).all()  # looks of 9 were not looked at
    single = Linear(np.array([[0.01]]))
    alone, _, _ = single.act({"features": np.array([[2.0]])}, single.initial_state(1))
    assert later[0] == float(alone["steer"][0])


def told(gap: tuple[float, float, float], **more: Any) -> dict[str, Any]:
    """What `_Table.learner` says of one learner, as far as the laws ask."""
    estimate = {"value": 0.02, "low": 0.01, "high": 0.03}
    value, low, high = gap
    return {
        "absorbing": {"300": {"gap": value, "low": low, "high": high}},
        "eps_expert": estimate,
        "eps_own": estimate,
        "density": {"ratio": {"value": 2.0}, "uncovered": {"value": 0.0}},
        "exponent": {"value": None, "low": None, "high": None, "reason": "too few"},
    } | more


LOST, SOME, NONE = (100.0, 80.0, 120.0), (70.0, 50.0, 90.0), (0.0, 0.0, 20.0)


def test_a_law_is_visible_only_where_intervals_do_not_meet() -> None:
    def said(covered: tuple, uncovered: tuple, **more: Any) -> dict[str, bool]:
        found = {
            "realisable": dict.fromkeys(experiment.METHODS, told(NONE)),
            "covered": dict(zip(experiment.METHODS, map(told, covered), strict=True)),
            "uncovered": dict(zip(experiment.METHODS, map(told, uncovered), strict=True)),
        }
        found["uncovered"]["cloning"] |= more
        return {name: law["visible"] for name, law in numbers.laws(found, 300).items()}

    clear = said((LOST, NONE, NONE), (LOST, LOST, NONE))
    assert clear == {
        "realisable": True,
        "covered": True,
        "covered_ratio": True,
        "uncovered": True,
        "uncovered_growth": False,
    }
    blurred = said((LOST, SOME, NONE), (SOME, SOME, SOME))
    assert not blurred["covered"]
    assert not blurred["uncovered"]
    assert not said((LOST, NONE, NONE), (LOST, NONE, NONE))["uncovered"]  # there weights help
    two = {"exponent": {"value": 1.9, "low": 1.6, "high": 2.3, "reason": ""}}
    assert said((LOST, NONE, NONE), (LOST, LOST, NONE), **two)["uncovered_growth"]


def test_every_job_comes_after_those_it_needs_and_each_learner_is_there() -> None:
    jobs, seen = experiment.plan(experiment.Config(seeds=2)), set[str]()
    for job in jobs:
        assert set(job.needs) <= seen, job.name
        seen.add(job.name)
    assert {f"learn/covered/reweighted/{k}" for k in (0, 1)} <= seen
    assert {f"learn/unstable/{method}/1" for method in escapes.METHODS} <= seen
    with pytest.raises(ValueError, match="at least one per round of 6, got 5"):
        experiment.Config(demonstrations=5)


@pytest.mark.slow
def test_a_tiny_run_goes_through_and_says_what_it_found(tmp_path: Path) -> None:
    said = io.StringIO()
    config = experiment.Config(
        seeds=1, demonstrations=6, few=1, drives=2, horizon=50, workers=1, out=tmp_path
    )
    page = experiment.reproduce(config, Console(file=said, width=200))
    result = json.loads((tmp_path / "results.json").read_text())
    assert set(result["regimes"]) == set(experiment.REGIMES)
    for methods in result["regimes"].values():
        for one in methods.values():
            assert one["expert_failed_drives"] == 0
    assert result["regimes"]["realisable"]["cloning"]["failed_drives"] == 0
    text = page.read_text()
    for name, law in result["laws"].items():
        assert f"{law['law']}: {'visible' if law['visible'] else 'not found'}" in text.replace(
            "&#39;", "'"
        ), name
