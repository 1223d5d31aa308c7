"""Does an episode repeat itself to the bit, however it is run?

    uv run python benchmarks/determinism.py [--episodes 1000] [--seconds 4]

Drives episodes with everything that a town has (vehicles of all kinds, people, lights, parked
cars, a scenario that begins on the way, the expert at the wheel) in batches of 1, 7, 64 and 128,
on one and two threads, forwards, backwards and shuffled, moved every few steps through snapshots
into other rows of another world, and in another process. Every state and every control of every
episode must be the same bits as when it is driven alone. Exits with 1 when one is not.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from drive_il.actors import Traffic
from drive_il.datatypes import (
    CONTROL,
    Array,
    Episode,
    EpisodeSpec,
    Ints,
    Records,
    Route,
    Scene,
    Start,
)
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.maps import library
from drive_il.maps.density import vehicle_count
from drive_il.maps.routes import load_routes
from drive_il.rollout import drive
from drive_il.sim import World

ROUTES = Path(__file__).parents[1] / "routes"
TOWNS = ("alder", "birch", "cedar", "dell")
_MOST = 90  # vehicles in one episode: what a batch of 128 keeps of them fits in memory
_BEFORE = 10.0  # [m] before the trigger of its scenario an episode begins
_MOVE_EVERY = 7  # steps


@dataclass(frozen=True)
class Config:
    """What is driven."""

    episodes: int = 1000
    """spread evenly over the four towns"""
    seconds: float = 4.0
    """simulated, per episode"""
    seed: int = 0
    """of all of it"""


@dataclass(frozen=True)
class Way:
    """One way to drive the same episodes.

    Attributes:
        name: says how.
        rows: B.
        threads: that kernels run on.
        order: seed of the order in which episodes are driven; -1 backwards, 0 forwards.
        moved: whether every few steps all goes through snapshots into other rows.
        elsewhere: whether another process does it.
    """

    name: str
    rows: int = 7
    threads: int = 1
    order: int = 0
    moved: bool = False
    elsewhere: bool = False


ALONE = Way("B = 1", rows=1)
WAYS = (
    Way("B = 7"),
    Way("B = 64", rows=64),
    Way("B = 128, 2 threads", rows=128, threads=2),
    Way("backwards", order=-1),
    Way("shuffled, B = 64, 2 threads", rows=64, threads=2, order=5),
    Way("restored into other rows", rows=7, moved=True),
    Way("another process", rows=64, elsewhere=True),
)


class Wandering:
    """A world whose rows are taken every few steps into other rows of another world.

    Args:
        town: name of the map.
        n_rows: B.
    """

    def __init__(self, town: str, n_rows: int) -> None:
        self._worlds = [World(library.load(town), n_rows) for _ in range(2)]
        self._at = np.arange(n_rows)  # where each row is
        self._n_steps = 0

    @property
    def n_rows(self) -> int:
        """B."""
        return len(self._at)

    @property
    def scene(self) -> Scene:
        """The present."""
        return self._worlds[0].scene.take(self._at)

    def reset(self, rows: Ints, specs: list[EpisodeSpec]) -> None:
        """Starts one episode in each of these rows."""
        self._worlds[0].reset(self._at[rows], specs)

    def step(self, control: Records) -> None:
        """Drives every row by one step; the control goes where the row is."""
        there = np.empty(self.n_rows, CONTROL)
        there[self._at] = control
        self._worlds[0].step(there)
        self._n_steps += 1
        if self._n_steps % _MOVE_EVERY == 0:
            snapshot = self._worlds[0].snapshot(self._at)
            self._at = np.roll(self._at, 1)
            self._worlds.reverse()
            self._worlds[0].restore(snapshot, self._at)

    def snapshot(self, rows: Ints) -> object:
        """Copies the full state of these rows."""
        return self._worlds[0].snapshot(self._at[rows])

    def restore(self, snapshot: object, rows: Ints) -> None:
        """Never asked for here."""
        raise NotImplementedError


@cache
def _routes(town: str) -> tuple[Route, ...]:
    routes = load_routes(ROUTES / f"{town}_scenarios.xml", library.load)
    return tuple(route for route in routes if route.scenarios)


def specs(config: Config) -> list[EpisodeSpec]:
    """What is driven: each episode begins shortly before a scenario does."""
    found = []
    for k in range(config.episodes):
        town, number = TOWNS[k % len(TOWNS)], k // len(TOWNS)
        routes = _routes(town)
        route = routes[number % len(routes)]
        trigger = route.scenarios[number // len(routes) % len(route.scenarios)]
        points = route.points
        near = np.argmin(np.hypot(points["x"] - trigger.x, points["y"] - trigger.y))
        start = Start(s=max(float(points["s"][near]) - _BEFORE, 0.0), speed=6.0)
        n = min(vehicle_count(library.load(town), 1.0), _MOST)
        slippery = number % 2 == 1
        traffic = Traffic(n, walkers=30, parked=4, signals=True, slippery=slippery)
        seed = config.seed * 1_000_003 + k
        found.append(EpisodeSpec(route, seed, round(20 * config.seconds), start, traffic))
    return found


def digest(episode: Episode) -> bytes:
    """All bits of an episode, but for slots that nobody ever took."""
    progress = episode.progress.copy()
    progress["route"] = 0  # counts within the world
    parts: list[Array] = [episode.ego, progress, episode.weather, episode.events, episode.lights]
    parts += [episode.control, episode.expert_control, episode.who, episode.asked]
    for actors in (episode.vehicles, episode.walkers):
        parts.append(actors[:, (actors["id"] != 0).any(axis=0)])
    found = hashlib.blake2b(bytes([int(episode.outcome)]), digest_size=16)
    for part in parts:
        found.update(np.ascontiguousarray(part).tobytes())
    return found.digest()


def drive_all(episodes: Sequence[EpisodeSpec], way: Way) -> list[bytes]:
    """Drives all episodes in one way; returns the digest of each."""
    found: list[bytes] = [b""] * len(episodes)
    for town in dict.fromkeys(spec.route.town for spec in episodes):
        index = np.array([k for k, spec in enumerate(episodes) if spec.route.town == town])
        if way.order > 0:
            index = np.random.default_rng(way.order).permutation(index)
        elif way.order < 0:
            index = index[::-1]
        n_rows = min(way.rows, len(index))
        network = library.load(town)
        world = Wandering(town, n_rows) if way.moved else World(network, n_rows)
        keys = {id(episodes[k]): k for k in index.tolist()}

        def keep(episode: Episode, keys: dict[int, int] = keys) -> None:
            found[keys[id(episode.spec)]] = digest(episode)

        drive(
            world,
            None,
            None,
            [episodes[k] for k in index.tolist()],
            expert=Planner(network=network),
            gate=ExpertDrives(),
            sink=keep,
        )
    return found


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """So many threads, which begin at fewer rows than usual."""
    with (
        patch.dict(os.environ, DRIVE_IL_THREADS=str(n)),
        patch("drive_il.sim.world._ROWS_PER_THREAD", 8),
    ):
        yield


def digests(config: Config, chosen: Sequence[int], way: Way) -> list[bytes]:
    """Drives some of the episodes in one way; returns the digest of each."""
    if way.elsewhere:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            here = Way(way.name, way.rows, way.threads, way.order, way.moved)
            return pool.submit(digests, config, chosen, here).result()
    everything = specs(config)
    with _threads(way.threads):
        return drive_all([everything[k] for k in chosen], way)


def main(config: Config) -> None:
    """Prints how many episodes differ in each way."""
    chosen, failed = range(config.episodes), False
    table = Table("how", "episodes", "differ", "took [s]")
    began = time.perf_counter()
    alone = digests(config, chosen, ALONE)
    table.add_row(ALONE.name, str(len(alone)), "-", f"{time.perf_counter() - began:.0f}")
    for way in WAYS:
        print(f"{way.name} ...", file=sys.stderr)
        began = time.perf_counter()
        found = digests(config, chosen, way)
        differ = sum(a != b for a, b in zip(alone, found, strict=True))
        failed |= differ > 0
        took = time.perf_counter() - began
        table.add_row(way.name, str(len(found)), str(differ), f"{took:.0f}")
    Console().print(table)
    print(f"{len(set(alone))} different episodes, {config.seconds:g} s each")
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main(tyro.cli(Config))
