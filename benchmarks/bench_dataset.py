"""How many frames of 96x64 RGB per second are written to and read from disk, on one core?"""

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.actors import WALKER
from drive_il.dataset import Dataset, EpisodeWriter
from drive_il.datatypes import (
    CONTROL,
    PROGRESS,
    ROUTE_POINT,
    VEHICLE,
    Episode,
    EpisodeSpec,
    Outcome,
    Route,
    default_weather,
    nan_control,
    no_events,
)

N_EPISODES, N_STEPS = 6, 500


def road_like(rng: np.random.Generator, n: int) -> np.ndarray:
    """Pictures with sky, plain and grainy ground, and a moving road edge, (n, 64, 96, 3)."""
    pictures = np.zeros((n, 64, 96, 3), np.uint8)
    pictures[:, :28] = np.linspace(235, 180, 28).astype(np.uint8)[:, None, None]
    grain = rng.integers(0, 12, (n, 36, 96, 1), dtype=np.uint8)
    pictures[:, 28:] = 90 + grain
    for k in range(n):
        edge = 30 + int(20 * np.sin(k / 40))
        pictures[k, 28:, :edge] += np.array([0, 40, 0], np.uint8)
    return pictures


def made_up(seed: int) -> Episode:
    rng = np.random.default_rng(seed)
    points = np.zeros(500, ROUTE_POINT)
    points["s"] = np.arange(500)
    control = np.zeros(N_STEPS, CONTROL)
    control["steer"] = rng.uniform(-0.1, 0.1, N_STEPS)
    ego = np.zeros(N_STEPS + 1, VEHICLE)
    ego["x"] = rng.uniform(0, 500, N_STEPS + 1)
    return Episode(
        spec=EpisodeSpec(Route("made-up", "nowhere", points, np.zeros((2, 3))), seed),
        ego=ego,
        progress=np.zeros(N_STEPS + 1, PROGRESS),
        weather=default_weather(N_STEPS + 1),
        observations={
            "rgb": road_like(rng, N_STEPS + 1),
            "speed": np.zeros(N_STEPS + 1, np.float32),
            "command": np.full(N_STEPS + 1, 4),
        },
        control=control,
        policy_control=nan_control(N_STEPS),
        expert_control=control,
        who=np.ones(N_STEPS, np.uint8),
        asked=np.ones(N_STEPS, np.bool_),
        info={},
        outcome=Outcome.TRUNCATED,
        dt=0.05,
        vehicles=np.zeros((N_STEPS + 1, 0), VEHICLE),
        walkers=np.zeros((N_STEPS + 1, 0), WALKER),
        lights=np.zeros((N_STEPS + 1, 0), np.uint8),
        events=no_events(N_STEPS + 1),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("episodes")
    writer = EpisodeWriter(folder)
    for seed in range(N_EPISODES):
        writer(made_up(seed))
    return folder


def test_writing(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    episode = made_up(0)
    benchmark(EpisodeWriter(tmp_path, overwrite=True), episode)
    benchmark.extra_info["frames_per_s"] = round(N_STEPS / benchmark.stats.stats.min)
    raw = episode.observations["rgb"].nbytes
    stored = sum(path.stat().st_size for path in tmp_path.iterdir())
    benchmark.extra_info["compression"] = round(raw / stored, 2)


@pytest.mark.parametrize("streamed", [False, True], ids=["read into memory", "streamed"])
def test_reading(benchmark: BenchmarkFixture, folder: Path, streamed: bool) -> None:
    """One pass of shuffled batches with labels and states, opened files included."""
    budget = 16 << 20 if streamed else 1 << 30

    def run() -> int:
        batches = Dataset(folder).batches(memory_budget=budget)
        return sum(len(batch["control"]) for batch in batches.epoch(0))

    assert run() == N_EPISODES * N_STEPS
    benchmark(run)
    benchmark.extra_info["frames_per_s"] = round(N_EPISODES * N_STEPS / benchmark.stats.stats.min)
