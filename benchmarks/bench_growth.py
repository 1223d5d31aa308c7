"""Does the cost of a step grow as it should, with worlds and with actors?

Times whole steps with reactive vehicles, lights and people on one thread, in CPU time, best of
several. A world should cost the same whether 16 or 4096 are stepped together, and a step in
proportion to the actors in it: from 10 vehicles and 4 people to 200 and 80 the exponent of a
power law through the times says how close that is (1 is linear, 2 is all pairs). The longer the
queues, the more each driver sees of others: alder holds 91 vehicles at normal density.
"""

from functools import cache
from time import process_time

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.actors import Traffic
from drive_il.datatypes import CONTROL, EpisodeSpec, Records, Route
from drive_il.maps import library
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sim import World
from drive_il.sim.world import Snapshot

_TOWN = "alder"
_DISTINCT = 128  # worlds that differ; larger batches hold copies of them
_BATCHES = (16, 64, 256, 1024, 4096)
_VEHICLES = (10, 25, 50, 100, 200)


@cache
def _route() -> Route:
    network = library.load(_TOWN)
    record = make_suite(network, n_short=0, n_long=1, seed=1)[0]
    return RoutePlanner(network).plan(record.keypoints)


def _held(n_rows: int) -> Records:
    control = np.zeros(n_rows, CONTROL)
    control["brake"] = 1.0
    return control


@cache
def _started(vehicles: int, walkers: int, n_worlds: int) -> Snapshot:
    """Worlds half a minute after their start."""
    world = World(library.load(_TOWN), n_worlds, [_route()])
    traffic = Traffic(vehicles, walkers, signals=True)
    specs = [EpisodeSpec(_route(), seed=row, traffic=traffic) for row in range(n_worlds)]
    world.reset(np.arange(n_worlds), specs)
    for _ in range(600):
        world.step(_held(n_worlds))
    return world.snapshot(np.arange(n_worlds))


class _Stepped:
    """A batch of worlds that starts from the same moment each time it is timed."""

    def __init__(self, vehicles: int, walkers: int, n_rows: int, n_worlds: int) -> None:
        self._start = _started(vehicles, walkers, n_worlds)
        self._world = World(library.load(_TOWN), n_rows, [_route()])
        self._n_rows, self._n_worlds, self._control = n_rows, n_worlds, _held(n_rows)

    def seconds(self) -> float:
        """Returns the CPU time of one step of one world [s]."""
        n_steps = max(8000 // self._n_rows, 4)
        for first in range(0, self._n_rows, self._n_worlds):
            here = np.arange(first, min(first + self._n_worlds, self._n_rows))
            self._world.restore(_part(self._start, len(here)), here)
        self._world.step(self._control)
        begin = process_time()
        for _ in range(n_steps):
            self._world.step(self._control)
        return (process_time() - begin) / (n_steps * self._n_rows)


def _costs(batches: list[_Stepped], rounds: int = 15) -> list[float]:
    """Returns the time of a step of each [s]: their usual ratios, at the speed of the first's best.

    All are timed in turn, and compared within a turn, so that a slow minute meets all.
    """
    times = np.array([[batch.seconds() for batch in batches] for _ in range(rounds)])
    ratios = np.median(times / times[:, :1], axis=0)
    return [float(ratio * times[:, 0].min()) for ratio in ratios]


def _part(snapshot: Snapshot, n: int) -> Snapshot:
    return Snapshot(
        snapshot.map_hash,
        snapshot.dt,
        {name: array[:n] for name, array in snapshot.rows.items()},
        {name: array[:n] for name, array in snapshot.worlds.items()},
        snapshot.routes[:n],
    )


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")


def test_a_world_costs_the_same_in_any_batch(benchmark: BenchmarkFixture) -> None:
    batches = [_Stepped(10, 4, n_rows, _DISTINCT) for n_rows in _BATCHES]
    costs = benchmark.pedantic(_costs, (batches,), rounds=1)
    for n_rows, cost in zip(_BATCHES, costs, strict=True):
        benchmark.extra_info[f"us_per_world_of_{n_rows}"] = round(1e6 * cost, 2)
    benchmark.extra_info["dearest_to_cheapest"] = round(max(costs) / min(costs), 2)
    assert max(costs) < 1.35 * min(costs)


def test_a_step_costs_in_proportion_to_its_actors(benchmark: BenchmarkFixture) -> None:
    batches = [_Stepped(n, 2 * n // 5, 64, 64) for n in _VEHICLES]
    costs = benchmark.pedantic(_costs, (batches,), rounds=1)
    for n, cost in zip(_VEHICLES, costs, strict=True):
        benchmark.extra_info[f"us_with_{n}"] = round(1e6 * cost, 2)
    exponent = np.polyfit(np.log(_VEHICLES), np.log(costs), 1)[0]
    benchmark.extra_info["exponent"] = round(float(exponent), 2)
    assert exponent < 1.3
