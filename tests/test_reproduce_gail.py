"""The comparison of demonstrations: its plan, its cars, its labels, its verdict, a tiny run."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from drive_il.datatypes import CONTROL
from drive_il.experiments import gail as experiment
from drive_il.experiments import gail_jobs as work
from drive_il.experiments import gail_report as report
from tests.ring_drives import place


def test_every_job_comes_after_those_it_needs_and_each_point_is_there() -> None:
    config = experiment.Config(seeds=2, demonstrations=(4, 1, 16))
    jobs = experiment.plan(config)
    seen: set[str] = set()
    for job in jobs:
        assert set(job.needs) <= seen, job.name
        assert job.name not in seen
        seen.add(job.name)
    for name in experiment.LEARNERS:
        for n in (1, 4, 16):
            assert {f"test/{name}/{n}/0", f"test/{name}/{n}/1"} <= seen
    assert {"moved/bc/1", "moved/gail/1", "moved/airl/1", "moved/retrained/1"} <= seen


def test_another_car_turns_less_and_speeds_up_less() -> None:
    network = place().world.network
    driven = []
    for car in (1.0, 1.5, 2.0):
        world = work.other_car(network, 2, car)
        world.reset(np.arange(2), list(place().specs[:2]))
        control = np.zeros(2, CONTROL)
        control["throttle"], control["steer"] = 1.0, 0.5
        for _ in range(20):
            world.step(control)
        ego = world.scene.ego
        driven.append((ego["yaw_rate"][0] / ego["speed"][0], ego["speed"][0]))
    curvature, speed = np.array(driven).T
    assert (np.diff(curvature) < 0).all()
    assert (np.diff(speed) < 0).all()
    # Curvature of the same wheels goes as one over the rear axle's distance: 2.4 m to 1.418 m.
    assert curvature[0] / curvature[2] == pytest.approx(2.4 / 1.4178275, rel=1e-3)


def claim(**changes: Any) -> dict[str, Any]:
    return {
        "first": "gail",
        "second": "bc",
        "n": 4,
        "value": 0.3,
        "low": 0.1,
        "high": 0.5,
    } | changes


def test_the_verdict_follows_the_interval() -> None:
    claims = [claim(), claim(low=-0.1), claim(value=-0.3, low=-0.5, high=-0.1)]
    lines = report.verdict({"towns": {"alder": {"claims": claims}}})
    said = [line.split(": ")[2].split(" (")[0] for line in lines]
    assert said == ["confirmed", "not confirmed", "refuted"]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="demonstrations must be one or more positive"):
        experiment.Config(demonstrations=())
    with pytest.raises(ValueError, match="learners must be of bc, dagger, gail, airl"):
        experiment.Config(learners=("sqil",))
    with pytest.raises(ValueError, match=r"car must be in \[1, 2\]"):
        experiment.Config(car=3.0)


@pytest.mark.slow
def test_a_tiny_run_ends_in_a_page_and_again_in_the_same_numbers(tmp_path: Path) -> None:
    results = []
    for folder in ("a", "b"):
        config = experiment.Config(
            seeds=1,
            demonstrations=(2,),
            iterations=1,
            gradient_steps=20,
            drives=2,
            workers=1,
            out=tmp_path / folder,
        )
        page = experiment.reproduce(config, Console(file=io.StringIO()))
        assert "<h2>In another car</h2>" in page.read_text(encoding="utf-8")
        results.append(json.loads((page.parent / "results.json").read_text(encoding="utf-8")))
    assert results[0]["towns"] == results[1]["towns"]
    assert results[0]["other_car"] == results[1]["other_car"]
