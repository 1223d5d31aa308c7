"""How fast is the world without sensors?

Steps per second of one core on an empty road (vehicle, lane, off-road distance, progress,
weather), the same bicycle alone as plain NumPy over the same batch for comparison, the
latency of one world's step through Python, and of a reset onto a prepared route.
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from yardstick import ratio, reference

from drive_il.datatypes import CONTROL, ROUTE_POINT, Command, EpisodeSpec, Route, Start
from drive_il.maps.network import RoadNetwork
from drive_il.sim import World
from drive_il.sim.vehicle import (
    AIR_DRAG,
    DRIVE_EXPONENT,
    DRIVE_GAIN,
    DRIVE_SPEED,
    RESISTANCE,
)
from drive_il.steering import steer_of_curvature
from tests.roads import ring_road

_RADIUS = 51.75  # [m] of lane 0
_SPEED = 10.0  # [m/s]
_RING = ring_road(50.0)


def _route(network: RoadNetwork) -> Route:
    lane = network.lanes[0]
    lane_points = network.points[lane["first"] : lane["first"] + lane["count"] : 2]
    points = np.zeros(len(lane_points), ROUTE_POINT)
    for field in ("x", "y", "z", "heading", "curvature", "speed_limit"):
        points[field] = lane_points[field]
    points["lane_width"] = lane_points["width"]
    points["command"] = Command.LANEFOLLOW
    points["s"][1:] = np.cumsum(np.hypot(np.diff(points["x"]), np.diff(points["y"])))
    return Route("ring", network.name, points, np.zeros((2, 3)))


_ROUTE = _route(_RING)


def _control(n_rows: int) -> np.ndarray:
    """Holds the circle at a constant speed."""
    control = np.zeros(n_rows, CONTROL)
    resistance = RESISTANCE + AIR_DRAG * _SPEED**2
    drive = resistance * np.exp(_SPEED / DRIVE_SPEED) / DRIVE_GAIN
    control["throttle"] = drive ** (1.0 / DRIVE_EXPONENT)
    control["steer"] = steer_of_curvature(np.float64(1.0 / _RADIUS))
    return control


def _world(n_rows: int) -> World:
    world = World(_RING, n_rows, [_ROUTE])
    s = np.linspace(0.0, 250.0, n_rows)
    starts = [Start(s=float(at), speed=_SPEED) for at in s]
    world.reset(np.arange(n_rows), [EpisodeSpec(_ROUTE, start=start) for start in starts])
    for _ in range(20):
        world.step(_control(n_rows))
    return world


@pytest.mark.parametrize("n_rows", [256, 1024])
def test_world_steps_per_core(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, n_rows: int
) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    world, control = _world(n_rows), _control(n_rows)
    benchmark(world.step, control)
    assert (world.scene.ego["off_road"] == 0.0).all()
    benchmark.extra_info["steps_per_second_per_core"] = n_rows / benchmark.stats["min"]


def test_world_steps_on_all_cores(benchmark: BenchmarkFixture) -> None:
    world, control = _world(4096), _control(4096)
    benchmark(world.step, control)
    benchmark.extra_info["steps_per_second"] = 4096 / benchmark.stats["min"]


@pytest.mark.parametrize("n_rows", [1, 1024])
def test_reference_bicycle_alone_in_numpy(benchmark: BenchmarkFixture, n_rows: int) -> None:
    bicycle = reference(n_rows)
    benchmark(bicycle)
    world, command = _world(n_rows), _control(n_rows)
    faster = 1.0 / ratio(lambda: world.step(command), bicycle)
    benchmark.extra_info["world_step_is_faster_by"] = faster


def test_one_world_step_through_python(benchmark: BenchmarkFixture) -> None:
    world, control = _world(1), _control(1)
    benchmark(world.step, control)
    # Handing over the tables of traffic, walkers and scenarios costs most of it.
    bicycles = ratio(lambda: world.step(control), reference())
    benchmark.extra_info["numpy_bicycles"] = bicycles
    assert bicycles < 0.75


def test_reset_onto_a_prepared_route(benchmark: BenchmarkFixture) -> None:
    world = _world(1)
    rows, episode = np.array([0]), [EpisodeSpec(_ROUTE, start=Start(s=100.0, speed=5.0))]
    benchmark(world.reset, rows, episode)
    bicycles = ratio(lambda: world.reset(rows, episode), reference())
    benchmark.extra_info["numpy_bicycles"] = bicycles
    assert bicycles < 15.0


def test_snapshot_and_restore_one_row(benchmark: BenchmarkFixture) -> None:
    world = _world(16)
    rows = np.array([3])

    def fork() -> None:
        world.restore(world.snapshot(rows), rows)

    benchmark(fork)
