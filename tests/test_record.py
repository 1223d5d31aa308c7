"""Recording demonstrations: complete, resumable, repeatable."""

from pathlib import Path

import pytest

from drive_il.dataset import Dataset
from drive_il.experiments.record import RecordConfig, demonstration_specs, record
from drive_il.experts.planner import Planner
from drive_il.rollout import Step
from drive_il.sim import World
from tests.drives import PoseObserver, make_route
from tests.roads import straight_road

ROUTES = [make_route([(120, 0)], id="a"), make_route([(40, 0), (60, 0.02)], id="b")]
CONFIG = RecordConfig(episodes=7, max_steps=50)


def run(out: Path, n_rows: int = 3, interrupt_after: int | None = None) -> tuple[int, int]:
    def listener(step: Step) -> None:
        if interrupt_after is not None and step.n_finished >= interrupt_after:
            raise KeyboardInterrupt

    world = World(straight_road(), n_rows)
    done = record(world, PoseObserver(), Planner(), ROUTES, out, CONFIG, listener)
    return done.n_present, done.n_new


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_interrupted_recording_goes_on_to_the_same_files(tmp_path: Path) -> None:
    assert run(tmp_path / "whole") == (0, 7)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "resumed", interrupt_after=2)
    n_present = len(Dataset(tmp_path / "resumed"))
    assert 2 <= n_present < 7
    assert run(tmp_path / "resumed", n_rows=1) == (n_present, 7 - n_present)
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")
    assert run(tmp_path / "whole") == (7, 0)
    assert Dataset(tmp_path / "whole").verify() == []


def test_every_route_is_driven_from_its_start_first_then_from_anywhere() -> None:
    specs = demonstration_specs(ROUTES, CONFIG)
    assert [spec.route.id for spec in specs] == ["a", "b", "a", "b", "a", "b", "a"]
    assert [spec.start.s == 0.0 for spec in specs] == [True, True] + [False] * 5
    assert len({spec.seed for spec in specs}) == 7
    assert specs == demonstration_specs(ROUTES, CONFIG)
    assert all(spec.start.s <= spec.route.length - 50.0 for spec in specs)


def test_bad_requests_are_named() -> None:
    with pytest.raises(ValueError, match="no routes"):
        demonstration_specs([], CONFIG)
    with pytest.raises(ValueError, match="episodes must be at least 1, got 0"):
        RecordConfig(episodes=0)
