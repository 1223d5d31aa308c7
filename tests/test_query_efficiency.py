"""The query-efficiency experiment: what its numbers mean, and a tiny run from end to end."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from drive_il.datatypes import Outcome
from drive_il.experiments import practice
from drive_il.experiments import query_efficiency as experiment
from drive_il.experiments import query_efficiency_jobs as work
from drive_il.experiments import query_efficiency_numbers as numbers
from drive_il.experiments import query_efficiency_report as report
from tests.drives import make_scene

CARD = {
    "rounds": [
        {"labels": 100, "validation_score": 0.1},
        {"labels": 250, "validation_score": 0.5},
        {"labels": 400, "validation_score": 0.3},
        {"labels": 600, "validation_score": 0.5},
    ]
}


def test_a_curve_shows_what_the_learner_would_have_returned() -> None:
    assert work.returned(CARD) == [1, 2, 2, 4]  # of equals the latest
    at = [numbers.iterate_at(CARD, labels) for labels in (99, 100, 249, 250, 599, 600, 9000)]
    assert at == [None, 1, 1, 2, 2, 4, 4]


def test_the_drawn_curve_ends_where_the_learner_stopped_asking() -> None:
    points = [{"value": v, "low": v - 0.1, "high": v + 0.1} for v in (0.1, 0.1, 0.4, 0.9)]
    learner = {"labels": 250.0, "success": points}
    result = {
        "grid": [100, 200, 300, 400],
        "towns": {"alder": {"expert": {"success": 1.0}, "learners": {"dagger": learner}}},
    }
    axes = Figure().subplots()
    report._panel(axes, result, "alder", ["dagger"])
    [curve] = [line for line in axes.lines if line.get_label() == report.NAMES["dagger"]]
    assert curve.get_xdata().tolist() == [100, 200, 250]
    assert curve.get_ydata().tolist() == pytest.approx([10, 10, 90])


def test_the_labels_to_reach_a_level() -> None:
    grid = np.array([100, 200, 400])
    assert numbers.labels_to_reach(np.array([np.nan, 0.5, 0.9]), grid, 0.5) == 200.0
    assert numbers.labels_to_reach(np.array([0.1, 0.2, 0.3]), grid, 0.5) == math.inf


def test_drives_that_all_end_alike_are_no_certainty() -> None:
    values = np.stack([np.zeros((2, 24)), np.ones((2, 24)), np.full((2, 24), 0.5)], 2)
    low, high = numbers.widened(values, values.mean((0, 1)), values.mean((0, 1)))
    limit = 1.0 - 0.025 ** (1 / 24)  # Clopper and Pearson: 0 of 24
    np.testing.assert_allclose(low, [0.0, 1.0 - limit, 0.5])
    np.testing.assert_allclose(high, [limit, 1.0, 0.5])


def test_the_grid_spans_the_budget() -> None:
    grid = numbers.label_grid(1000, 8000, 4)
    assert grid.tolist() == [1000, 2000, 4000, 8000]


def test_the_price_is_counted_after_the_demonstrations() -> None:
    entry = {"labels": 100, "steps": 100, "expert_share": 1.0, "episodes": 1}
    nothing = {"takeovers": 1, "switches": 0, "collided": 0, "deviated": 0, "blocked": 0}
    later = {"labels": 150, "steps": 1000, "expert_share": 0.05, "episodes": 10}
    much = {"takeovers": 5, "switches": 8, "collided": 2, "deviated": 1, "blocked": 0}
    found = numbers.interventions([{"rounds": [entry | nothing, later | much]}], 100)
    assert found["labels_bought"] == 50
    assert found["takeovers"] == 5
    assert math.isclose(found["takeover_seconds"], 0.05 * 10)  # 50 steps in 5 takeovers
    assert found["switches_per_1000_steps"] == 8.0
    assert (found["collisions"], found["failures"]) == (2, 3)
    assert numbers.interventions([{"rounds": [CARD["rounds"][0]]}], 100) == {"driven": False}


def test_a_test_drive_ends_at_its_first_failure() -> None:
    scene = make_scene(6)
    scene.progress["lane_width"] = 3.5
    scene.progress["lateral_error"][1] = -1.8
    scene.events["struck"][2] = 1
    scene.events["red_light"][3] = 7
    scene.progress["standing"][4] = 61.0
    scene.progress["completed"][5] = True
    expected = [Outcome.RUNNING, Outcome.DEVIATED, Outcome.COLLIDED, Outcome.ABORTED]
    assert work.first_failure(scene).tolist() == [*expected, Outcome.BLOCKED, Outcome.COMPLETED]


def test_test_drives_are_short_routes_with_traffic_of_their_own() -> None:
    around = practice.traffic("birch", 0.5)
    specs = practice.test_specs("birch", 26, around, 0)
    assert all(spec.route.length < 350.0 for spec in specs)
    assert len({spec.seed for spec in specs}) == 26
    assert around.signals
    assert around.vehicles == 2 * around.walkers + around.vehicles % 2


def test_configs_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="labels must be more than the 2000"):
        experiment.Config(labels=2000)
    with pytest.raises(ValueError, match="rounds must be at least 2"):
        experiment.Config(rounds=1)
    with pytest.raises(ValueError, match=r"set_off must be in \[0, 1\], got 2"):
        experiment.Config(set_off=2.0)
    with pytest.raises(ValueError, match="learners must be of bc"):
        experiment.Config(learners=("dagger", "magic"))
    with pytest.raises(ValueError, match="observation must be one of camera"):
        experiment.Config(observation="smell")
    assert experiment.Config(full=True).n_seeds == 10
    assert experiment.Config(labels=600, warm=100, rounds=3).counts == [100, 350, 600]


@pytest.mark.slow
def test_a_tiny_run_ends_in_a_page_and_a_second_one_has_nothing_to_do(tmp_path: Path) -> None:
    config = experiment.Config(
        learners=("bc", "dagger", "safe_dagger", "lazy_dagger"),
        seeds=1,
        labels=400,
        warm=200,
        rounds=2,
        gradient_steps=10,
        drives=2,
        validation=1,
        traffic=0.1,
        workers=1,
        out=tmp_path,
    )
    page = experiment.reproduce(config, Console(file=io.StringIO(), width=100))
    whole = page.read_text(encoding="utf-8")
    assert whole.startswith("<!doctype html>")
    assert "data:image/png;base64," in whole
    result = json.loads((tmp_path / "results.json").read_text())
    for key in ("seed", "config", "commit", "versions", "machine", "claims", "costs"):
        assert key in result
    for town in result["towns"].values():
        assert set(town["learners"]) == set(config.learners)
        for one in town["learners"].values():
            assert one["labels"] <= 400
    assert "LazyDAgger changes the driver" in report.verdict(result)
    before = [(tmp_path / name).read_bytes() for name in ("results.json", "curves.png")]
    again = Console(file=io.StringIO(), width=100)
    experiment.reproduce(config, again)
    assert "steps to do" not in again.file.getvalue()  # type: ignore[attr-defined]
    assert [(tmp_path / name).read_bytes() for name in ("results.json", "curves.png")] == before
