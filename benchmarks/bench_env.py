"""What does the Gymnasium environment add to the world and the sensors?

Seconds of a step as a learner calls it, single (state, 96x64 camera) and 64 at once, each beside
the same World.step and observe alone, measured in turn in one process; and of a reset.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.datatypes import CONTROL, EpisodeSpec
from drive_il.env import ENV_ID, EnvConfig
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.observer import SceneObserver
from drive_il.sim import World

SENSORS = {"state": ObservationSpec(cameras=(), state=True), "camera": ObservationSpec()}
LIMIT = {"state": 0.05e-3, "camera": 0.1e-3}  # [s] of a single step
BRAKE = np.array([0.0, -1.0], np.float32)


def _config(sensors: str) -> EnvConfig:
    return EnvConfig(observation=SENSORS[sensors], horizon=2**40)


def _bare(env: Any) -> Callable[[], object]:
    """World.step and observe alone, of the routes that the environment drives."""
    drives = env.unwrapped.drives
    rows = np.arange(drives.n_rows)
    world = World(drives.network, drives.n_rows, drives.routes)
    specs = [EpisodeSpec(spec.route) for spec in drives.specs]
    world.reset(rows, specs)
    observer = SceneObserver(drives.network, drives.config.observation)
    control = np.zeros(drives.n_rows, CONTROL)
    control["brake"] = 1.0

    def work() -> object:
        world.step(control)
        return observer.observe(world.scene, rows)

    return work


def _best(work: Callable[[], object], rounds: int) -> float:
    work()
    best = np.inf
    for _ in range(rounds):
        begin = perf_counter()
        work()
        best = min(best, perf_counter() - begin)
    return float(best)


@pytest.mark.parametrize("sensors", SENSORS)
def test_a_single_step(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, sensors: str
) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    env = gymnasium.make(ENV_ID, config=_config(sensors))
    env.reset(seed=0)
    benchmark(env.step, BRAKE)
    took = _best(lambda: env.step(BRAKE), 2000)
    bare = _best(_bare(env), 2000)
    benchmark.extra_info["times_world_and_observe"] = took / bare
    assert took < LIMIT[sensors] or took < 3.0 * bare


@pytest.mark.parametrize("sensors", SENSORS)
def test_a_step_of_64(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, sensors: str
) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    env = gymnasium.make_vec(ENV_ID, 64, config=_config(sensors))
    env.reset(seed=0)
    actions = np.tile(BRAKE, (64, 1))
    benchmark(env.step, actions)
    work, rounds = _bare(env), 1000 if sensors == "state" else 60
    took, bare = np.inf, np.inf
    for _ in range(5):
        took = min(took, _best(lambda: env.step(actions), rounds))
        bare = min(bare, _best(work, rounds))
    benchmark.extra_info["overhead_percent"] = 100.0 * (took / bare - 1.0)
    benchmark.extra_info["steps_per_second_per_core"] = 64 / took


@pytest.mark.parametrize("sensors", SENSORS)
def test_a_reset(benchmark: BenchmarkFixture, sensors: str) -> None:
    env = gymnasium.make(ENV_ID, config=_config(sensors))
    env.reset(seed=0)
    benchmark(env.reset)
