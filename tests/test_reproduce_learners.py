"""The comparison of all learners: its table, its jobs, and a tiny run from end to end."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from drive_il.evaluation.results import provenance
from drive_il.experiments import learners as experiment
from drive_il.experiments import learners_jobs as work
from drive_il.experiments import learners_numbers as numbers
from drive_il.experiments import learners_report as report
from drive_il.experiments.learners_table import LEARNERS, MAIN, learners_for
from drive_il.experiments.observations import OBSERVATIONS
from drive_il.learners import bc, cil


def test_every_row_of_the_table_can_be_made() -> None:
    for name, entry in LEARNERS.items():
        module, config = work._config(entry)
        assert callable(module.train), name
        assert work.changed(config, {}) == config
    assert set(MAIN) <= set(LEARNERS)
    assert len({entry.title for entry in LEARNERS.values()}) == len(LEARNERS)
    assert "bc_augmented" not in learners_for("state", 1)
    assert learners_for("camera", 5) == MAIN
    assert "gail" in learners_for("state", 1)
    assert "gail" not in learners_for("birdview", 5)
    assert "lazy_dagger" in learners_for("state", 1)
    assert "lazy_dagger" not in learners_for("birdview", 5)


def test_a_config_is_changed_by_path() -> None:
    config = work.changed(bc.Config(), {"network.head.kind": "mixture", "steer_weight": 7.0})
    assert config.network.head.kind == "mixture"
    assert config.steer_weight == 7.0
    assert bc.Config().network.head.kind == "l1"
    made = work._cloning(cil.Config(), {"gradient_steps": 123, "set_off": 0.5})
    assert made.cloning.fit.n_steps == 123
    assert made.cloning.network == replace(cil.Config().cloning.network, set_off=0.5)
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
    with pytest.raises(ValueError, match="lazy_dagger pays for each look .* --every 1, got 4"):
        experiment.Config(learners=("lazy_dagger",), every=4)
    with pytest.raises(ValueError, match="episode_steps must be at least 1, got 0"):
        experiment.Config(episode_steps=0)
    with pytest.raises(ValueError, match=r"set_off must be in \[0, 1\], got 2"):
        experiment.Config(set_off=2.0)
    with pytest.raises(ValueError, match=r"unsafe_share must be in \[0, 1\), got 1"):
        experiment.Config(unsafe_share=1.0)
    with pytest.raises(ValueError, match="observation must be one of state, .*, got 'smell'"):
        experiment.Config(observation="smell")
    with pytest.raises(ValueError, match=r"warm must be in \(0, 1\), got 1"):
        experiment.Config(warm=1.0)
    with pytest.raises(ValueError, match=r"0.2 of 2 labels are 0 of demonstrations"):
        experiment.Config(labels=2)
    with pytest.raises(ValueError, match=r"at least one for each of 6 rounds, got 5"):
        experiment.Config(gradient_steps=5)


def test_what_is_not_given_is_as_the_observation_has_it() -> None:
    assert set(experiment.FORMS) == set(OBSERVATIONS)
    assert experiment.Config().form == experiment.Form(seeds=3, labels=8_000, traffic=0.5)
    assert experiment.Config().n_warm == 1_600
    assert experiment.Config(full=True).form.seeds == 10
    camera = experiment.Config(observation="camera")
    assert camera.form == experiment.FORMS["camera"]
    asked = experiment.Config(observation="camera", every=2, traffic=0.0, target_point=False)
    assert asked.form == replace(camera.form, every=2, traffic=0.0, target_point=False)
    assert asked.facts()["labels"] == asked.form.labels == 24_000


def test_errors_are_shares_of_known_steps() -> None:
    found = work._errors(np.array([0.0, 0.04, -0.06, 0.2, np.nan]))
    assert found == {"eps": 0.5, "steer": pytest.approx(0.075)}
    assert work._errors(np.array([np.nan])) == {"eps": 0.0, "steer": 0.0}


def test_the_least_loss_of_each_seed_counts() -> None:
    cards = [{"validation_losses": [3.0, 1.0, 2.0]}, {"validation_losses": [2.0, 4.0]}]
    assert numbers.open_loop(cards) == {"mean": 1.5, "least": 1.0, "most": 2.0}
    assert numbers.open_loop([{"validation_scores": [1.0]}]) is None


def made_up(folder: Path, config: experiment.Config) -> dict[str, Path]:
    """Writes what the jobs would: BC fails on half of the drives, DAgger on none."""
    folders = {job.name: folder / job.name.replace("/", "-") for job in experiment.plan(config)}
    rng, last = np.random.default_rng(0), work.HORIZONS[-1]
    for name, place in folders.items():
        kind, who = name.split("/")[:2]
        (place / "model").mkdir(parents=True)
        (place / "job.json").write_text(json.dumps({"seconds": 12.0}))
        if kind == "model":
            loss = 0.01 if who == "bc_previous" else 0.02
            card = {"labels": 8000 if who == "bc" else 7500, "validation_losses": [0.5, loss]}
            (place / "model" / "card.json").write_text(json.dumps(card))
        drives, costs = [], []
        for i in range(config.drives):
            bad = kind == "test" and who != "dagger" and i % 2 == 0
            failed_at = rng.integers(1, last) if bad else last
            costs.append([max(0, T - int(failed_at)) for T in work.HORIZONS])
            drives.append(
                {
                    "driving_score": 40.0 + float(rng.uniform(0, 20)) if bad else 100.0,
                    "completion": 80.0 if bad else 100.0,
                    "success": not bad,
                    "ending": "blocked" if bad else "completed",
                    "infractions": 2 if bad else 0,
                    "kinds": ["red_light", "collisions_vehicle"] if bad else [],
                    "km": 0.2,
                    **{key: float(rng.uniform(0, 0.1)) for key in numbers._EPS},
                }
            )
        (place / "test.json").write_text(json.dumps({"drives": drives, "costs": costs}))
    return folders


def test_made_up_drives_become_their_numbers_and_a_page(tmp_path: Path) -> None:
    config = experiment.Config(learners=("bc", "bc_previous", "dagger"), drives=24)
    folders = made_up(tmp_path, config)
    result = numbers.analyse(config, folders) | provenance(0, config.facts())
    alder = result["towns"]["alder"]["learners"]
    assert alder["dagger"]["success"]["value"] == 1.0
    assert alder["dagger"]["success"]["low"] == pytest.approx(0.025 ** (1 / 24))
    assert alder["bc"]["success"]["value"] == 0.5
    assert alder["bc"]["infractions_per_km"]["value"] == pytest.approx(5.0)
    # None in 24 drives of 0.2 km: up to -ln(0.025) of a Poisson count.
    high = alder["dagger"]["infractions_per_km"]["high"]
    assert high == pytest.approx(-np.log(0.025) / 4.8)
    assert alder["bc"]["infractions"] == {"collisions_vehicle": 36, "red_light": 36}
    assert alder["dagger"]["exponent"]["value"] is None
    assert set(alder["dagger"]["exponent"]["gap"].values()) == {0.0}
    # Failures at a constant rate cost T^2, less where they saturate.
    assert 1.0 < alder["bc"]["exponent"]["value"] < 2.2
    assert result["labels"] == {"bc": 8000.0, "bc_previous": 8000.0 - 500.0, "dagger": 7500.0}
    claims = result["claims"]["birch"]
    assert claims["dagger_beats_cloning"]["holds"]
    assert not claims["previous_action_is_a_trap"]["holds"]  # it drives as well
    assert claims["previous_action_is_a_trap"]["loss_with"]["mean"] == 0.01
    page = report.write(result, numbers.training_times(config, folders), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "BC, sees its last action" in text
    assert "DAgger beats cloning at as many labels: confirmed" in text


@pytest.mark.slow
def test_a_tiny_run_ends_in_a_page_and_a_second_one_has_nothing_to_do(tmp_path: Path) -> None:
    config = experiment.Config(
        town_test="alder",
        learners=("bc", "bc_previous", "chauffeurnet", "dagger_waypoints"),
        target_point=True,
        seeds=1,
        labels=700,
        warm=0.6,
        every=2,
        rounds=2,
        episode_steps=150,
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
    [seen] = tmp_path.glob("**/model-bc-0-*/model/config.json")
    assert json.loads(seen.read_text())["observation"]["target_point"]
    [card] = tmp_path.glob("**/model-dagger_waypoints-0-*/model/card.json")
    assert json.loads(card.read_text())["config"]["rounds"]["steps_per_episode"] == 150
    assert "seeing its last action" in report.verdict(result)
    before = (tmp_path / "results.json").read_bytes()
    again = Console(file=io.StringIO(), width=100)
    experiment.reproduce(config, again)
    assert "steps to do" not in again.file.getvalue()  # type: ignore[attr-defined]
    assert (tmp_path / "results.json").read_bytes() == before
