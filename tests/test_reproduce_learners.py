"""The comparison of all learners: its table, its jobs, and a tiny run from end to end."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from drive_il.experiments import learners as experiment
from drive_il.experiments import learners_jobs as work
from drive_il.experiments import learners_numbers as numbers
from drive_il.experiments import learners_report as report
from drive_il.experiments.learners_table import LEARNERS, MAIN, learners_for
from drive_il.learners import bc, cil


def test_every_row_of_the_table_can_be_made() -> None:
    for name, entry in LEARNERS.items():
        module, config = work._config(entry)
        assert callable(module.train), name
        assert work.changed(config, {}) == config
    assert set(MAIN) <= set(LEARNERS)
    assert len({entry.title for entry in LEARNERS.values()}) == len(LEARNERS)
    assert "bc_augmented" not in learners_for("state")
    assert learners_for("camera") == MAIN


def test_a_config_is_changed_by_path() -> None:
    config = work.changed(bc.Config(), {"network.head.kind": "mixture", "steer_weight": 7.0})
    assert config.network.head.kind == "mixture"
    assert config.steer_weight == 7.0
    assert bc.Config().network.head.kind == "l1"
    made = work._cloning(cil.Config(), 123)
    assert made.cloning.fit.n_steps == 123
    assert made.cloning.network == cil.Config().cloning.network
    with pytest.raises(TypeError):
        work.changed(bc.Config(), {"colour": 1})


def test_needs_come_before_who_needs_them() -> None:
    config = experiment.Config(learners=("bc", "cil", "dagger"), seeds=2)
    jobs = experiment.plan(config)
    names = [job.name for job in jobs]
    assert len(names) == len(set(names)) == 2 + 2 * (2 + 3 * 3)
    for k, job in enumerate(jobs):
        assert set(job.needs) <= set(names[:k])
    by_name = {job.name: job for job in jobs}
    assert by_name["model/cil/1"].needs == ("noisy/1",)
    assert by_name["model/dagger/1"].needs == ("demonstrations/1",)


def test_configs_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="learners must be of bc, .*, got 'magic'"):
        experiment.Config(learners=("magic",))
    with pytest.raises(ValueError, match="bc_augmented moves the camera"):
        experiment.Config(learners=("bc_augmented",))
    with pytest.raises(ValueError, match="labels must be more than the 2000"):
        experiment.Config(labels=2000)
    assert experiment.Config().n_seeds == 3
    assert experiment.Config(observation="camera").n_seeds == 1
    assert experiment.Config(full=True).n_seeds == 10


def test_errors_are_shares_of_known_steps() -> None:
    found = work._errors(np.array([0.0, 0.04, -0.06, 0.2, np.nan]))
    assert found == {"eps": 0.5, "steer": pytest.approx(0.075)}
    assert work._errors(np.array([np.nan])) == {"eps": 0.0, "steer": 0.0}


def test_the_least_loss_of_each_seed_counts() -> None:
    cards = [{"validation_losses": [3.0, 1.0, 2.0]}, {"validation_losses": [2.0, 4.0]}]
    assert numbers.open_loop(cards) == {"mean": 1.5, "least": 1.0, "most": 2.0}
    assert numbers.open_loop([{"validation_scores": [1.0]}]) is None


@pytest.mark.slow
def test_a_tiny_run_ends_in_a_page_and_a_second_one_has_nothing_to_do(tmp_path: Path) -> None:
    config = experiment.Config(
        learners=("bc", "bc_previous", "chauffeurnet", "dagger_waypoints"),
        seeds=1,
        labels=700,
        warm=400,
        rounds=2,
        gradient_steps=10,
        drives=2,
        validation=1,
        traffic=0.1,
        workers=1,
        out=tmp_path,
    )
    page = experiment.reproduce(config, Console(file=io.StringIO(), width=100))
    assert "data:image/png;base64," in page.read_text(encoding="utf-8")
    result = json.loads((tmp_path / "results.json").read_text())
    for key in ("seed", "config", "commit", "versions", "machine", "claims", "labels"):
        assert key in result
    for town in result["towns"].values():
        assert set(town["learners"]) == set(config.learners)
    assert max(result["labels"].values()) <= 700
    assert "seeing its last action" in report.verdict(result)
    before = (tmp_path / "results.json").read_bytes()
    again = Console(file=io.StringIO(), width=100)
    experiment.reproduce(config, again)
    assert "steps to do" not in again.file.getvalue()  # type: ignore[attr-defined]
    assert (tmp_path / "results.json").read_bytes() == before
