"""How many pictures per second does one core draw, and what does the general path cost?

96x64 RGB with the world step and without, 1280x720, level and pitched, on alder. The
reference in the same run is NumPy moving as many bytes from a texture by an index that is
ready made: no projection, no light, no houses.
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.datatypes import EpisodeSpec, Records, Start
from drive_il.experts.planner import Planner
from drive_il.maps import library
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sensor_specs import CameraSpec
from drive_il.sensors.camera import Camera
from drive_il.sim import World

N_ROWS = 256


@pytest.fixture(scope="module")
def world() -> World:
    """Cars spread along a route of about a kilometre."""
    network = library.load("alder")
    [record] = make_suite(network, 0, 1, seed=1)
    route = RoutePlanner(network).plan(record.keypoints)
    world = World(network, N_ROWS, [route])
    places = np.linspace(0.0, route.length - 200.0, N_ROWS)
    specs = [EpisodeSpec(route, start=Start(s=float(s), speed=5.0)) for s in places]
    world.reset(np.arange(N_ROWS), specs)
    return world


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")


def rate(benchmark: BenchmarkFixture, n: int) -> None:
    benchmark.extra_info["pictures_per_second_per_core"] = round(n / benchmark.stats.stats.min)


def drawn(benchmark: BenchmarkFixture, camera: Camera, ego: Records, weather: Records) -> None:
    out = np.empty(camera.shape(len(ego)), np.uint8)
    benchmark(camera.render, ego, weather, out=out)
    rate(benchmark, len(ego))


def test_world_step_and_rgb_96x64(benchmark: BenchmarkFixture, world: World) -> None:
    camera, rows = Camera(library.load("alder"), CameraSpec()), np.arange(N_ROWS)
    start, control = world.snapshot(rows), Planner().control(world.scene)
    out = np.empty(camera.shape(N_ROWS), np.uint8)

    def step() -> None:
        world.restore(start, rows)
        for _ in range(10):
            world.step(control)
            camera.render(world.scene.ego, world.scene.weather, out=out)

    benchmark(step)
    world.restore(start, rows)
    rate(benchmark, 10 * N_ROWS)


@pytest.mark.parametrize("exact", [False, True], ids=["level path", "general path"])
@pytest.mark.parametrize(("width", "height"), [(96, 64), (1280, 720)])
def test_rgb(
    benchmark: BenchmarkFixture, world: World, width: int, height: int, exact: bool
) -> None:
    camera = Camera(library.load("alder"), CameraSpec(width=width, height=height), exact)
    n = N_ROWS if width == 96 else 4
    some = np.linspace(0, N_ROWS - 1, n).astype(int)
    drawn(benchmark, camera, world.scene.ego[some], world.scene.weather[some])


def test_rgb_of_a_pitched_camera(benchmark: BenchmarkFixture, world: World) -> None:
    camera = Camera(library.load("alder"), CameraSpec(pitch=-0.1, roll=0.02))
    drawn(benchmark, camera, world.scene.ego, world.scene.weather)


def test_reference_numpy_gather(benchmark: BenchmarkFixture) -> None:
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (1 << 20, 3), dtype=np.uint8)
    index = rng.integers(0, len(texture), (N_ROWS, 64, 96))
    out = np.empty((N_ROWS, 64, 96, 3), np.uint8)
    benchmark(np.take, texture, index, 0, out, "clip")
    rate(benchmark, N_ROWS)
