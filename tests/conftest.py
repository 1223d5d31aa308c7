"""Shared fixtures and the slow tests' seeded tenth."""

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from leaderboard_runs import rough_run

from drive_il import kernels
from drive_il.entry import Entry
from drive_il.sim.obstacles import OBSTACLE, in_grid
from drive_il.warmup import warm_up

_SHARED = Path(__file__).parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run all cases of the slow tests")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Compiles on all cores before the workers of the whole suite begin.

    Each of them would compile everything for itself.
    """
    config = session.config
    is_whole = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    is_worker = hasattr(config, "workerinput")
    if not is_whole or is_worker or config.option.collectonly or not config.option.numprocesses:
        return
    if not all(kernel.is_kept() for kernel in kernels.known()):
        warm_up(print)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --slow, a seeded tenth of the cases of each slow test runs (at least one)."""
    if config.getoption("--slow"):
        return
    cases: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("slow"):
            cases[item.nodeid.partition("[")[0]].append(item)
    left_out = set()
    for name, found in cases.items():
        kept = random.Random(name).sample(found, math.ceil(len(found) / 10))
        left_out |= {item.nodeid for item in found} - {item.nodeid for item in kept}
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]


def _folder(name: str) -> Path:
    folder = _SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs CARLA's own {name} in a folder shared/{name} beside the checkout")
    return folder


@pytest.fixture(scope="session")
def shared_maps() -> Path:
    """Folder with Town01.xodr and Town04.xodr."""
    return _folder("maps")


@pytest.fixture(scope="session")
def shared_routes() -> Path:
    """Folder with the leaderboard 1.0 routes on these towns."""
    return _folder("routes")


@pytest.fixture(scope="module")
def open_land() -> Iterator[None]:
    """Worlds in which nothing stands beside the road, for drives that ignore the map."""
    nothing = in_grid(np.zeros(0, OBSTACLE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drive_il.sim.world.obstacles_of", lambda _: nothing)
        yield


@pytest.fixture(scope="session")
def rough(tmp_path_factory: pytest.TempPathFactory) -> tuple[Entry, dict[str, Any]]:
    """A finished leaderboard run: what was run, and its results."""
    return rough_run(tmp_path_factory.mktemp("rough"))
