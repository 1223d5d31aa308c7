"""How fast is the world without sensors?

Steps per second of one core on an empty road (vehicle, lane, off-road distance, progress,
weather), the same bicycle alone as plain NumPy over the same batch for comparison, the
latency of one world's step through Python, and of a reset onto a prepared route.
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.datatypes import CONTROL, ROUTE_POINT, Command, EpisodeSpec, Floats, Route, Start
from drive_il.maps.network import RoadNetwork
from drive_il.sim import World
from drive_il.sim.vehicle import (
    AIR_DRAG,
    BRAKE_GAIN,
    DRIVE_EXPONENT,
    DRIVE_GAIN,
    DRIVE_SPEED,
    RESISTANCE,
    TIME_CONSTANT,
)
from drive_il.steering import REAR_WHEELBASE, SLIP_RATIO, STEER_GAIN, steer_of_curvature
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


def _numpy_bicycle(state: Floats, control: Floats, dt: float) -> None:
    """One explicit Euler step, rows x, y, heading, speed, throttle, brake, angle; no road."""
    x, y, heading, speed, throttle, brake, angle = state
    keep = np.exp(-dt / TIME_CONSTANT)
    throttle += (control[0] - throttle) * (1.0 - keep)
    brake += (control[1] - brake) * (1.0 - keep)
    angle += (STEER_GAIN * control[2] - angle) * (1.0 - keep)
    slip = np.arctan(SLIP_RATIO * np.tan(angle))
    x += speed * np.cos(heading + slip) * dt
    y += speed * np.sin(heading + slip) * dt
    heading += speed * np.sin(slip) / REAR_WHEELBASE * dt
    drive = DRIVE_GAIN * throttle**DRIVE_EXPONENT * np.exp(-speed / DRIVE_SPEED)
    change = drive - RESISTANCE - AIR_DRAG * speed**2 - BRAKE_GAIN * brake
    np.maximum(speed + change * dt, 0.0, out=speed)


@pytest.mark.parametrize("n_rows", [1, 1024])
def test_reference_bicycle_alone_in_numpy(benchmark: BenchmarkFixture, n_rows: int) -> None:
    state = np.zeros((7, n_rows))
    state[3] = _SPEED
    one = _control(n_rows)
    control = np.stack([one["throttle"], one["brake"], one["steer"]])
    benchmark(_numpy_bicycle, state, control, 0.05)
    reference = benchmark.stats["min"]
    world, command = _world(n_rows), _control(n_rows)
    best = min(_seconds(world, command) for _ in range(200))
    benchmark.extra_info["world_step_is_faster_by"] = reference / best


def _seconds(world: World, control: np.ndarray) -> float:
    from time import perf_counter

    begin = perf_counter()
    world.step(control)
    return perf_counter() - begin


def test_one_world_step_through_python(benchmark: BenchmarkFixture) -> None:
    world, control = _world(1), _control(1)
    benchmark(world.step, control)
    # Handing over the tables of traffic, walkers and scenarios costs most of it.
    assert benchmark.stats["min"] < 15e-6


def test_reset_onto_a_prepared_route(benchmark: BenchmarkFixture) -> None:
    world = _world(1)
    rows, episode = np.array([0]), [EpisodeSpec(_ROUTE, start=Start(s=100.0, speed=5.0))]
    benchmark(world.reset, rows, episode)
    assert benchmark.stats["min"] < 0.2e-3


def test_snapshot_and_restore_one_row(benchmark: BenchmarkFixture) -> None:
    world = _world(16)
    rows = np.array([3])

    def fork() -> None:
        world.restore(world.snapshot(rows), rows)

    benchmark(fork)
