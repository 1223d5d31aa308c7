"""How fast are lidars, radar and IMU among ten vehicles, on one core?

The leaderboard's lidar (64 channels, 600,000 points a second, 85 m: 30,016 beams a frame), the
same as a semantic lidar, a half and a quarter of it, and CARLA's default (32 channels, 56,000
points). A frame is one step of 0.05 s; 64 egos in a town.
"""

from dataclasses import replace

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.actors import WALKER
from drive_il.datatypes import VEHICLE, Actors, Scene
from drive_il.maps.library import load
from drive_il.sensor_specs import ImuSpec, LidarSpec, ObservationSpec, RadarSpec
from drive_il.sensors.observer import SceneObserver
from tests.drives import make_scene

N_ROWS, N_OTHERS = 64, 10
MAP = load("alder")
CASES = {
    "leaderboard": ObservationSpec((), lidars=(LidarSpec(),)),
    "semantic": ObservationSpec((), lidars=(LidarSpec(kind="semantic"),)),
    "half": ObservationSpec((), lidars=(LidarSpec(channels=32, points_per_second=300_000),)),
    "quarter": ObservationSpec((), lidars=(LidarSpec(channels=16, points_per_second=150_000),)),
    "carla": ObservationSpec((), lidars=(LidarSpec(channels=32, points_per_second=56_000),)),
    "radar": ObservationSpec((), radars=(RadarSpec(),)),
    "imu": ObservationSpec((), imu=ImuSpec()),
}


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Egos on the lanes of a town, each among ten cars within 60 m."""
    rng = np.random.default_rng(0)
    xy = np.stack((MAP.points["x"], MAP.points["y"]), axis=1)
    vehicles = np.zeros((N_ROWS, 1 + N_OTHERS), VEHICLE)
    for row in vehicles:
        centre = xy[rng.integers(len(xy))]
        near = np.flatnonzero(np.hypot(*(xy - centre).T) < 60.0)
        places = MAP.points[rng.choice(near, len(row))]
        for name in ("x", "y", "z", "heading"):
            row[name] = places[name]
    vehicles["length"], vehicles["width"], vehicles["height"] = 4.9, 2.1, 1.5
    vehicles["id"], vehicles["speed"] = np.arange(1, 2 + N_OTHERS), 8.0
    rows = np.arange(N_ROWS, dtype=np.int32)
    actors = Actors(
        vehicles,
        np.zeros((N_ROWS, 0), WALKER),
        np.zeros((N_ROWS, 0), np.uint8),
        rows,
        np.zeros(N_ROWS, np.int32),
    )
    return replace(make_scene(N_ROWS, rows, rows), ego=vehicles[:, 0].copy(), actors=actors)


@pytest.mark.parametrize("case", CASES)
def test_frames(
    benchmark: BenchmarkFixture, scene: Scene, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    observer = SceneObserver(MAP, CASES[case])
    rows = np.arange(N_ROWS)
    observer.observe(scene, rows)
    benchmark(observer.observe, scene, rows)
    benchmark.extra_info["frames per second"] = round(N_ROWS / benchmark.stats["min"])
