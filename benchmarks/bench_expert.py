"""How many labels per second does the scripted planner give on one core, alone and in traffic?"""

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.actors import Traffic
from drive_il.datatypes import EpisodeSpec, Scene
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.maps import library
from drive_il.maps.routes import load_routes
from drive_il.rollout import drive, scene_of
from drive_il.sim import World
from tests.drives import make_route
from tests.roads import straight_road

N_ROWS = 4096


@pytest.fixture(scope="module")
def scene() -> Scene:
    route = make_route([(100, 0), (60, 1 / 40), (60, -1 / 40), (100, 0), (9.4, 1 / 6), (50, 0)])
    spec = EpisodeSpec(route, max_steps=800)
    episode = drive(
        World(straight_road(), 1), None, None, [spec], expert=Planner(), gate=ExpertDrives()
    )[0]
    whole = scene_of(episode)
    return whole.take(np.arange(N_ROWS) % whole.n_rows)


def test_labels(benchmark: BenchmarkFixture, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    planner = Planner()
    planner.control(scene)
    benchmark(planner.control, scene)
    benchmark.extra_info["labels_per_s"] = round(N_ROWS / benchmark.stats.stats.min)


@pytest.mark.parametrize("n_rows", [1, 64])
def test_driven_steps(
    benchmark: BenchmarkFixture, n_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole loop without sensors: world, expert, gate, recording of states."""
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    route = make_route([(150, 0), (30, 1 / 40), (100, 0)])
    specs = [EpisodeSpec(route, seed, max_steps=400) for seed in range(n_rows)]
    world = World(straight_road(), n_rows)

    def run() -> int:
        episodes = drive(world, None, None, specs, expert=Planner(), gate=ExpertDrives())
        return sum(episode.n_steps for episode in episodes)

    n_steps = run()
    benchmark(run)
    benchmark.extra_info["steps_per_s"] = round(n_steps / benchmark.stats.stats.min)


@pytest.mark.parametrize("labelled", [False, True], ids=["step", "step_and_label"])
def test_a_world_of_10_vehicles(
    benchmark: BenchmarkFixture, labelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """expert10: 10 vehicles of traffic with lights in each world, every step labelled."""
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    n_worlds, n_steps = 48, 100
    routes = load_routes(Path(__file__).parents[1] / "routes" / "alder_test.xml", library.load)
    network = library.load("alder")
    world, planner = World(network, n_worlds), Planner(network=network)
    traffic = Traffic(vehicles=10, signals=True)
    specs = [EpisodeSpec(routes[i % len(routes)], i, traffic=traffic) for i in range(n_worlds)]
    world.reset(np.arange(n_worlds), specs)
    for _ in range(200):
        world.step(planner.control(world.scene))
    start = world.snapshot(np.arange(n_worlds))
    held = planner.control(world.scene)

    def run() -> None:
        world.restore(start, np.arange(n_worlds))
        for _ in range(n_steps):
            world.step(planner.control(world.scene) if labelled else held)

    run()
    benchmark(run)
    benchmark.extra_info["world_steps_per_s"] = round(
        n_worlds * n_steps / benchmark.stats.stats.min
    )
