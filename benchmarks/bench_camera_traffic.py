"""What do other vehicles cost a camera, and the lights and signs beside the road?

96x64 RGB on alder, world step included: alone, with 10 vehicles and with 50 vehicles and
20 walkers in the town; and a picture of the same empty streets with and without
their lights and signs.
"""

from dataclasses import replace

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.actors import Traffic
from drive_il.datatypes import EpisodeSpec, Start
from drive_il.experts.planner import Planner
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sensor_specs import CameraSpec
from drive_il.sensors.camera import Camera
from drive_il.sim.world import World

N_ROWS = 256
NETWORK = library.load("alder")
BARE = replace(NETWORK, signals=NETWORK.signals[:0], stop_lines=NETWORK.stop_lines[:0])


def under_way(traffic: Traffic) -> World:
    """Egos spread along a route, each in a world of its own, a second after the start."""
    [record] = make_suite(NETWORK, 0, 1, seed=1)
    route = RoutePlanner(NETWORK).plan(record.keypoints)
    world = World(NETWORK, N_ROWS, [route])
    places = np.linspace(0.0, route.length - 200.0, N_ROWS)
    specs = [
        EpisodeSpec(route, seed, start=Start(s=float(s), speed=5.0), traffic=traffic)
        for seed, s in enumerate(places)
    ]
    world.reset(np.arange(N_ROWS), specs)
    expert = Planner()
    for _ in range(20):
        world.step(expert.control(world.scene))
    return world


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")


@pytest.mark.parametrize(("vehicles", "walkers"), [(0, 0), (10, 0), (50, 20)])
def test_step_and_picture(benchmark: BenchmarkFixture, vehicles: int, walkers: int) -> None:
    world = under_way(Traffic(vehicles, walkers, signals=vehicles > 0))
    camera, rows = Camera(NETWORK, CameraSpec()), np.arange(N_ROWS)
    start, control = world.snapshot(rows), Planner().control(world.scene)
    out = np.empty(camera.shape(N_ROWS), np.uint8)

    def step() -> None:
        world.restore(start, rows)
        for _ in range(10):
            world.step(control)
            camera.render(world.scene.ego, world.scene.weather, world.scene.actors, out)

    benchmark(step)
    benchmark.extra_info["frames_per_second_per_core"] = round(
        10 * N_ROWS / benchmark.stats.stats.min
    )


@pytest.mark.parametrize("network", [NETWORK, BARE], ids=["with signs", "without"])
def test_picture_of_empty_streets(benchmark: BenchmarkFixture, network: RoadNetwork) -> None:
    scene = under_way(Traffic()).scene
    camera = Camera(network, CameraSpec())
    out = np.empty(camera.shape(N_ROWS), np.uint8)
    benchmark(camera.render, scene.ego, scene.weather, None, out)
