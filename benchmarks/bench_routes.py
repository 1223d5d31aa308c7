"""How long does a route take: to plan 1 km, and to keep track of where the ego is on it?"""

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from yardstick import ratio, reference

from drive_il.datatypes import PROGRESS, VEHICLE, Route
from drive_il.maps import library, progress, route_geometry
from drive_il.maps.routes import RoutePlanner, make_table, plan_record, read_routes

ROUTES = Path(__file__).parents[1] / "routes"


@pytest.fixture(scope="module")
def planner() -> RoutePlanner:
    return RoutePlanner(library.load("alder"))


def about_1_km(planner: RoutePlanner) -> tuple[Route, list[Route]]:
    routes = [plan_record(planner, record) for record in read_routes(ROUTES / "alder_train.xml")]
    return min(routes, key=lambda route: abs(route.length - 1000.0)), routes


def test_plan_1_km(benchmark: BenchmarkFixture, planner: RoutePlanner) -> None:
    """The planner's own preparation apart."""
    route, _ = about_1_km(planner)
    planned = benchmark(planner.plan, route.keypoints)
    assert planned.length == route.length
    bicycles = ratio(lambda: planner.plan(route.keypoints), reference(), rounds=30)
    benchmark.extra_info["numpy_bicycles_per_km"] = bicycles * 1000.0 / route.length
    assert bicycles * 1000.0 / route.length < 500.0


def test_prepare_a_planner(benchmark: BenchmarkFixture) -> None:
    network = library.load("alder")
    benchmark(RoutePlanner, network)


def test_progress_of_4096_egos_on_one_core(
    benchmark: BenchmarkFixture, planner: RoutePlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About 0.1 microseconds each; every call moves every ego by 0.5 m."""
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    _, routes = about_1_km(planner)
    table = make_table(routes)
    n = 4096
    rng = np.random.default_rng(0)
    route = rng.integers(0, len(routes), n)
    length = table.points["s"][table.first + table.count - 1][route]
    s = rng.uniform(0.1, 0.8, n) * length
    poses = [
        route_geometry.poses(table, route, s + shift, rng.normal(0, 0.3, n), 0.0 * s)
        for shift in np.arange(0.0, 10.0, 0.5)
    ]
    egos = np.zeros((len(poses), n), VEHICLE)
    for ego, pose in zip(egos, poses, strict=True):
        ego["x"], ego["y"], ego["z"], ego["heading"] = pose.T
    state = np.zeros(n, PROGRESS)
    state["route"] = route
    progress.start(egos[0], state, table, s)

    def drive() -> None:
        for ego in (*egos, *egos[::-1]):
            progress.update(ego, state, table, 0.05)

    benchmark(drive)
    per_row = benchmark.stats.stats.min / (2 * len(egos) * n)
    benchmark.extra_info["nanoseconds_per_row"] = per_row * 1e9
    bicycles = ratio(drive, reference(n), rounds=20) / (2 * len(egos))
    benchmark.extra_info["numpy_bicycles"] = bicycles
    assert bicycles < 5.0
