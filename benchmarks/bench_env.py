"""What does the Gymnasium environment add to the world and the sensors?

Seconds of a step as a learner calls it, single (state, 96x64 camera) and 64 at once, each beside
the same World.step and observe alone, measured in turn in one process; and of a reset.
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from yardstick import ratio

from drive_il.datatypes import CONTROL, EpisodeSpec
from drive_il.env import ENV_ID, EnvConfig
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.observer import SceneObserver
from drive_il.sim import World

SENSORS = {"state": ObservationSpec(cameras=(), state=True), "camera": ObservationSpec()}
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


@pytest.mark.parametrize("sensors", SENSORS)
def test_a_single_step(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, sensors: str
) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    env = gymnasium.make(ENV_ID, config=_config(sensors))
    env.reset(seed=0)
    benchmark(env.step, BRAKE)
    times = ratio(lambda: env.step(BRAKE), _bare(env), rounds=2000)
    benchmark.extra_info["times_world_and_observe"] = times
    # Checking one action and packing one observation in Python costs more than a bare step.
    assert times < 3.0


@pytest.mark.parametrize("sensors", SENSORS)
def test_a_step_of_64(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, sensors: str
) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    env = gymnasium.make_vec(ENV_ID, 64, config=_config(sensors))
    env.reset(seed=0)
    actions = np.tile(BRAKE, (64, 1))
    benchmark(env.step, actions)
    times = ratio(lambda: env.step(actions), _bare(env), 5000 if sensors == "state" else 300)
    benchmark.extra_info["overhead_percent"] = 100.0 * (times - 1.0)
    benchmark.extra_info["steps_per_second_per_core"] = 64 / benchmark.stats["min"]


@pytest.mark.parametrize("sensors", SENSORS)
def test_a_reset(benchmark: BenchmarkFixture, sensors: str) -> None:
    env = gymnasium.make(ENV_ID, config=_config(sensors))
    env.reset(seed=0)
    benchmark(env.reset)
