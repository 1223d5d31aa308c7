"""The covariate-shift experiment from end to end, small."""

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from drive_il.experiments import covariate_shift as experiment
from drive_il.experiments import covariate_shift_jobs as work
from drive_il.experiments import covariate_shift_specs as specs
from drive_il.experiments.covariate_shift_numbers import _place, claim
from drive_il.experiments.covariate_shift_report import _augmentation

TINY = {
    "labels": 600,
    "every": 2,
    "episodes": 4,
    "gradient_steps": 24,
    "forks": 2,
    "horizons": (5, 10, 20),
}


def reproduce(out: Path, **changes: Any) -> tuple[dict[str, Any], str]:
    console = Console(file=io.StringIO(), width=100)
    page = experiment.reproduce(experiment.Config(out=out, **(TINY | changes)), console)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    result: dict[str, Any] = json.loads((out / "results.json").read_text())
    return result, console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    out = tmp_path_factory.mktemp("covariate-shift")
    result, said = reproduce(out)
    return out, result, said


def test_results_have_the_promised_structure(run: tuple) -> None:
    _, result, _ = run
    for key in ("seed", "config", "commit", "versions", "machine"):
        assert key in result
    assert set(result["towns"]) == {"alder", "birch"}
    for town in result["towns"].values():
        assert set(town["learners"]) == {"alvinn", "bc", "bc_augmented", "dagger"}
        for learner in town["learners"].values():
            assert learner["labels"] <= TINY["labels"]
            assert learner["interval_over"] == "episodes"
            assert 0.0 <= learner["eps_own"] <= 1.0
            assert 0.0 <= learner["eps_expert"] <= 1.0
            assert set(learner["exponent"]) >= {"value", "low", "high"}
            for cost in ("absorbing", "recoverable"):
                for horizon in TINY["horizons"]:
                    point = learner[cost][str(horizon)]
                    assert 0.0 <= point["low"] <= point["gap"] <= point["high"] <= horizon


def test_the_budget_of_labels_is_equal(run: tuple) -> None:
    _, result, _ = run
    for town in result["towns"].values():
        labels = {one["labels"] for one in town["learners"].values()}
        assert labels == {TINY["labels"]}


def test_the_expert_costs_nothing_in_every_part(run: tuple) -> None:
    _, result, _ = run
    for town in result["towns"].values():
        for parts in town["expert"]["cost"].values():
            assert set(parts.values()) == {0.0}


def test_too_few_points_give_no_exponent_but_a_reason(run: tuple) -> None:
    _, result, _ = run
    exponents = [
        one["exponent"] for town in result["towns"].values() for one in town["learners"].values()
    ]
    assert all(one["value"] is None and one["reason"] for one in exponents)


def test_pictures_page_and_table(run: tuple) -> None:
    out, _, said = run
    assert (out / "growth.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "growth.svg").read_text()[:500]
    assert (out / "report.html").stat().st_size < 1_500_000
    assert "data:image/png;base64," in (out / "report.html").read_text()
    assert "the page:" in said
    assert "dagger" in said


def test_a_second_run_finds_everything_done_and_says_the_same(run: tuple) -> None:
    out, _, _ = run
    names = ("results.json", "growth.png", "growth.svg", "strip.png", "report.html")
    files = [out / name for name in names if (out / name).exists()]
    before = [file.read_bytes() for file in files]
    _, said = reproduce(out)
    assert "steps to do" not in said
    assert [file.read_bytes() for file in files] == before


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1])
def test_same_seed_same_bits_whatever_the_workers(run: tuple, tmp_path: Path, workers: int) -> None:
    _, result, _ = run
    again, _ = reproduce(tmp_path, workers=workers)
    assert again["towns"] == result["towns"]


def test_a_damaged_step_is_done_again(run: tuple) -> None:
    out, result, _ = run
    [folder] = (out / "steps").glob("forks-bc-alder-0-*")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    again, said = reproduce(out)
    assert "1 steps to do" in said
    assert again["towns"] == result["towns"]


def test_the_tolerance_is_the_largest_that_costs_little() -> None:
    measured = {"deltas": [0.01, 0.02, 0.05, 0.1], "extra": [0.0, 0.1, 0.7, 0.2]}
    assert work.chosen_delta(measured) == 0.02
    assert work.chosen_delta({"deltas": [0.01, 0.02], "extra": [3.0, 4.0]}) == 0.01


def test_the_claim_is_judged_not_tuned() -> None:
    def town(cloning: tuple[float, float], dagger: tuple[float, float]) -> dict[str, Any]:
        def learner(low: float, high: float) -> dict[str, Any]:
            return {"absorbing": {"9": {"gap": (low + high) / 2, "low": low, "high": high}}}

        return {
            "learners": {"bc": learner(*cloning), "dagger": learner(*dagger)},
            "expert": {"cost": {"absorbing": {"total": 0.0}}},
        }

    found = claim(
        {
            "clear": town((30.0, 50.0), (2.0, 8.0)),
            "close": town((10.0, 20.0), (2.0, 9.0)),
            "touching": town((4.0, 56.0), (2.0, 6.0)),
        },
        9,
    )
    assert found["clear"]["holds"]
    assert math.isclose(found["clear"]["ratio"], 8.0)
    assert not found["close"]["holds"]  # 15 is less than three times 5.5
    assert not found["touching"]["holds"]


def test_the_place_of_augmentation_is_said() -> None:
    between = _place(15.0, 10.0, 30.0)
    assert between == {"gap": 15.0, "from_dagger_to_cloning": 0.25}
    assert "25 % of the way from DAgger" in _augmentation(between)
    assert "less than DAgger" in _augmentation(_place(5.0, 10.0, 30.0))
    assert "more than plain cloning" in _augmentation(_place(40.0, 10.0, 30.0))
    assert "DAgger is no better" in _augmentation(_place(5.0, 10.0, 10.0))


def test_configs_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="horizons must increase"):
        experiment.Config(horizons=(100, 50))
    with pytest.raises(ValueError, match="labels must be at least 1"):
        experiment.Config(labels=0)
    with pytest.raises(ValueError, match="gradient_steps must be more than DAgger's 10 rounds"):
        experiment.Config(gradient_steps=10)
    with pytest.raises(ValueError, match="choose shorter horizons"):
        specs.evaluation_specs("birch", 2, 100_000, 0)


def test_full_means_at_least_five_seeds() -> None:
    assert experiment.Config(full=True).n_seeds == 5
    assert experiment.Config(full=True, seeds=7).n_seeds == 7
    assert experiment.Config().n_seeds == 1
