"""What does judging a step cost, and how does that grow with the number of drives?

Seconds of `Judge.watch` per step while the planner's traffic drives on and the egos roll along
their routes, for 1, 8 and 64 rows at once; every criterion of Bench2Drive, the protocol with the
most of them.
"""

from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from yardstick import reference

from drive_il.datatypes import EpisodeSpec
from drive_il.evaluation.judge import Judge
from drive_il.evaluation.protocol import BENCH2DRIVE
from drive_il.experts.planner import Planner
from drive_il.maps import library
from drive_il.maps.routes import load_routes
from drive_il.sim import World

SUITE = Path(__file__).parents[1] / "routes" / "alder_scenarios.xml"
LIMIT = 30.0  # steps of a NumPy bicycle, for one row
STEPS = 150


def _times(n_rows: int) -> tuple[float, float]:
    """Returns the median times of a step and of the yardstick beside it [s]."""
    network = library.load("alder")
    routes = load_routes(SUITE, library.load)
    traffic = BENCH2DRIVE.traffic(network)
    specs = [EpisodeSpec(routes[k % len(routes)], k, traffic=traffic) for k in range(n_rows)]
    world, rows = World(network, n_rows, routes), np.arange(n_rows)
    judge, planner = Judge(network, BENCH2DRIVE, n_rows), Planner(network=network)
    world.reset(rows, specs)
    judge.begin(rows, specs)
    times, bicycle = np.zeros((STEPS, 2)), reference()
    for step in range(STEPS):
        world.step(planner.control(world.scene))
        begin = perf_counter()
        judge.watch(world.scene, rows)
        middle = perf_counter()
        bicycle()
        times[step] = middle - begin, perf_counter() - middle
    judged, alone = np.median(times, axis=0)
    return float(judged), float(alone)


@pytest.mark.parametrize("n_rows", [1, 8, 64])
def test_a_step_of_the_judge(benchmark: BenchmarkFixture, n_rows: int) -> None:
    judged, alone = benchmark.pedantic(_times, args=(n_rows,), rounds=1)
    benchmark.extra_info["microseconds a step"] = round(1e6 * judged, 1)
    benchmark.extra_info["numpy_bicycles"] = round(judged / alone, 1)
    print(f"\n{n_rows} rows: {1e6 * judged:.0f} us a step, {judged / alone:.1f} NumPy bicycles")
    if n_rows == 1:
        assert judged < LIMIT * alone
