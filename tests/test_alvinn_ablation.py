"""ALVINN's ablation from end to end, small, and its rules."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from drive_il.experiments import alvinn as experiment
from drive_il.experiments import alvinn_jobs as jobs
from drive_il.experiments.alvinn_report import verdict
from drive_il.theory.costs import COSTS

TINY = {"seeds": 1, "snapshots": 30, "episodes": 2, "horizon": 20, "workers": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alvinn")
    config = experiment.Config(out=out, **TINY)  # type: ignore[arg-type]
    page = experiment.reproduce(config, Console(file=io.StringIO(), width=100))
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    return out


def test_every_variant_spends_the_same_labels(run: Path) -> None:
    result = json.loads((run / "results.json").read_text())
    assert set(result["variants"]) == {"plain", "buffer", "views", "both", "1989"}
    assert {one["labels"] for one in result["variants"].values()} == {30}
    for one in result["variants"].values():
        for cost in COSTS:
            assert 0 <= one[cost]["low"] <= one[cost]["value"] <= one[cost]["high"] <= 20
    assert result["expert_costs_nothing"]
    for key in ("seed", "config", "commit", "versions", "machine"):
        assert key in result


def test_run_again_it_has_nothing_to_do_and_says_the_same(run: Path) -> None:
    before = (run / "results.json").read_bytes()
    said = io.StringIO()
    config = experiment.Config(out=run, **TINY)  # type: ignore[arg-type]
    experiment.reproduce(config, Console(file=said, width=100))
    assert "steps are already done" in said.getvalue()
    assert (run / "results.json").read_bytes() == before


def test_nothing_is_driven_on_the_half_that_is_taught() -> None:
    for east in (True, False):
        for spec in jobs._drives(east, 20, 200, 0, "test"):
            reach = jobs.MARGIN * 200 * 0.05
            s = spec.route.points["s"]
            x = spec.route.points["x"][(s >= spec.start.s) & (s <= spec.start.s + reach)]
            assert np.all((x >= jobs.MIDDLE) == east)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(10, 20, "the remedy works"), (10, 45, "overlap: not shown"), (60, 80, "does NOT help")],
)
def test_a_remedy_works_only_with_disjoint_intervals(low: float, high: float, said: str) -> None:
    plain = {"absorbing": {"value": 50.0, "low": 40.0, "high": 60.0}}
    better = {"absorbing": {"value": (low + high) / 2, "low": low, "high": high}}
    lines = verdict({"plain": plain, "buffer": plain, "views": better, "both": better})
    assert said in lines[0]
