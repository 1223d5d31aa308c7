"""How many observations a second without pixels, and from above, on one core?"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.datatypes import Scene
from drive_il.sensor_specs import VectorSpec
from drive_il.sensors.agents import AgentView
from drive_il.sensors.birdview import BirdView
from drive_il.sensors.roach import RoachView
from drive_il.sensors.state import state_vector
from drive_il.sensors.vectors import VectorView
from tests.towns_with_traffic import town, traffic_scene, with_past

N_ROWS = 32
ROWS = np.arange(N_ROWS)


@pytest.fixture(params=[(10, 0), (50, 20)], ids=["10 vehicles", "50 vehicles, 20 walkers"])
def scene(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    n_vehicles, n_walkers = request.param
    return traffic_scene(N_ROWS, n_vehicles - 1, n_walkers)


def test_agents(benchmark: BenchmarkFixture, scene: Scene) -> None:
    view = AgentView(town())
    out = view.look(scene)
    benchmark(view.look, scene, out)
    n_agents = scene.actors.vehicles.size
    benchmark.extra_info["agents per second"] = round(n_agents / benchmark.stats.stats.min)


def test_state(benchmark: BenchmarkFixture, scene: Scene) -> None:
    benchmark(state_vector, scene, ROWS, 8)
    benchmark.extra_info["rows per second"] = round(N_ROWS / benchmark.stats.stats.min)


def test_vectors(benchmark: BenchmarkFixture, scene: Scene) -> None:
    benchmark(VectorView(town(), VectorSpec()).look, scene, ROWS)
    benchmark.extra_info["rows per second"] = round(N_ROWS / benchmark.stats.stats.min)


def test_small_view(benchmark: BenchmarkFixture, scene: Scene) -> None:
    benchmark(BirdView(town(), actors=True).draw, scene, ROWS)
    benchmark.extra_info["rows per second"] = round(N_ROWS / benchmark.stats.stats.min)


def test_roach(benchmark: BenchmarkFixture, scene: Scene) -> None:
    benchmark(RoachView(town()).draw, with_past(scene), ROWS)
    benchmark.extra_info["rows per second"] = round(N_ROWS / benchmark.stats.stats.min)
