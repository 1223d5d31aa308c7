"""`drive-il speed`: every case is measured, and says so in one form."""

import json
import math

import pytest

from drive_il import speed
from drive_il.cli import main
from drive_il.maps import library
from drive_il.sim import stepping


def test_every_case_has_a_rate_and_a_unit(capsys: pytest.CaptureFixture[str]) -> None:
    main(["speed", "--json", "--seconds", "0.05"])
    report = json.loads(capsys.readouterr().out)
    assert {"empty", "camera_empty", "reset", "plan_1km", "import_to_first_step"} <= set(
        report["cases"]
    )
    for case in report["cases"].values():
        assert set(case) == {"per_core", "all_cores", "unit"}
        assert math.isfinite(case["per_core"])
        assert case["per_core"] > 0
        assert case["unit"]


def test_warming_up_plays_a_scenario_too(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(library, "shipped", lambda: ["dell"])
    monkeypatch.setattr(stepping, "start_scenarios", lambda *given: begun.append(given[2]))
    speed.warm_up()
    assert [list(worlds) for worlds in begun] == [[0]]
