"""`drive-il speed`: every case is measured, and says so in one form."""

import json
import math
from pathlib import Path

import pytest

from drive_il import kernels, warmup
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
    monkeypatch.setattr(stepping, "start_scenarios", lambda *given: begun.append(given[2]))
    warmup.prepare("dell")
    assert [list(worlds) for worlds in begun] == [[0]]


def test_missing_kernels_are_compiled_once_by_all_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small = [one for one in kernels.known() if one.__name__ in ("_impulse", "first_invalid")]
    said: list[str] = []
    monkeypatch.setenv("DRIVE_IL_CACHE", str(tmp_path))
    monkeypatch.setenv("DRIVE_IL_THREADS", "2")
    monkeypatch.setattr(kernels, "known", lambda: small)
    monkeypatch.setattr(library, "shipped", list)
    assert not any(one.is_kept() for one in small)
    warmup.warm_up(said.append)
    assert len(said) == len(small) == 2
    assert all(one.is_kept() for one in small)
    warmup.warm_up(said.append)
    assert len(said) == 2
