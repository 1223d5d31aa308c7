"""Does traffic keep flowing? Half an hour on every map at three densities.

    uv run python benchmarks/traffic_report.py [--minutes 30] [--maps alder Town01.xodr ...]

Lights run, and at density 1 there is one person per 100 m of sidewalk. Prints, per map and
density, the flow (mean speed of all vehicles), vehicles that stood for more than 60 s without a
red light before them or the queue they stood in, by what the first of that queue waited for,
pairs of vehicles that collided, and people whom a moving vehicle ran into. The ego is taken off
the road. docs/traffic.md keeps the table and says what it means.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from drive_il.actors import Traffic
from drive_il.datatypes import CONTROL, EpisodeSpec, Ints, Records
from drive_il.geometry import to_ego
from drive_il.maps import library
from drive_il.maps.density import vehicle_count
from drive_il.maps.network import RoadNetwork
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sim import World
from drive_il.sim.collisions import overlaps
from drive_il.sim.drivers import BEHIND, RED
from drive_il.sim.pavements import pavements_of

REASONS = ("clear", "vehicle", "red light", "right of way", "room", "walker")
LIMIT = 60.0  # [s]
STEPS_PER_SECOND = 20


@dataclass(frozen=True)
class Config:
    """What is driven."""

    minutes: float = 30.0
    """simulated, per map and density"""
    maps: tuple[str, ...] = ("alder", "birch", "cedar", "dell")
    """towns by name, or OpenDRIVE files"""
    densities: tuple[float, ...] = (0.5, 1.0, 2.0)
    """1 is normal: a vehicle per 100 m of lane outside junctions"""
    sidewalk: float = 100.0
    """per person, at density 1 [m]"""
    seeds: tuple[int, ...] = (0,)
    """of the traffic; what they count is added up"""


class Tally:
    """What went wrong on one map, and how fast its vehicles drove."""

    def __init__(self, n_slots: int) -> None:
        self.pairs: set[tuple[int, int]] = set()
        self.hit: set[int] = set()
        self.stuck: dict[int, int] = {}
        self.speeds: list[float] = []
        self._standing = np.zeros(n_slots)
        self._room = np.zeros((64, 2), np.int32)

    def look(self, vehicles: Records, walkers: Records) -> None:
        """Notes who touches whom in this step."""
        found = min(overlaps(vehicles, self._room), len(self._room))
        self.pairs |= {(int(a), int(b)) for a, b in self._room[:found]}
        self.hit |= set(_run_into(vehicles, walkers).tolist())

    def count(self, vehicles: Records, drivers: Records) -> None:
        """Notes, once a second, who stands and why."""
        driven = vehicles["id"] != 0
        driven[0] = False  # the ego
        self.speeds.append(float(vehicles["speed"][driven].mean()))
        for slot in np.flatnonzero(driven).tolist():
            if vehicles["speed"][slot] >= 0.1:
                self._standing[slot] = 0.0
                continue
            cause = root_cause(drivers, slot)
            self._standing[slot] += cause != RED
            if self._standing[slot] > LIMIT:
                self.stuck.setdefault(slot, cause)


def root_cause(drivers: Records, slot: int) -> int:
    """What the first of the queue waits for that a driver stands in."""
    for _ in range(len(drivers)):
        if drivers["reason"][slot] != BEHIND or drivers["leader"][slot] < 0:
            break
        slot = int(drivers["leader"][slot])
    return int(drivers["reason"][slot])


def _run_into(vehicles: Records, walkers: Records) -> Ints:
    """Ids of the walkers whose middle is within a moving vehicle."""
    moving = vehicles[(vehicles["speed"] > 0.5) & (vehicles["id"] != 0)]
    at = np.stack([walkers["x"], walkers["y"]], axis=1)
    places = np.stack([moving["x"], moving["y"]], axis=1)
    away = np.abs(to_ego(at[None], places[:, None], moving["heading"][:, None]))
    inside = (away[..., 0] < 0.5 * moving["length"][:, None]) & (
        away[..., 1] < 0.5 * moving["width"][:, None]
    )
    level = np.abs(walkers["z"] - moving["z"][:, None]) < 3.0
    return np.asarray(walkers["id"][(inside & level).any(axis=0) & (walkers["id"] != 0)])


def _sidewalk(network: RoadNetwork) -> float:
    """Length of all sidewalks [m]."""
    reach = pavements_of(network).reach
    return float(reach[-1]) if len(reach) else 0.0


def drive(network: RoadNetwork, traffic: Traffic, seed: int, minutes: float) -> Tally:
    """Lets traffic drive on one map for a while."""
    record = make_suite(network, n_short=1, n_long=0, seed=1)[0]
    route = RoutePlanner(network).plan(record.keypoints)
    world = World(network, 1)
    world.reset(np.array([0]), [EpisodeSpec(route, seed, traffic=traffic)])
    far = np.array([1e5])
    world.place(np.array([0]), far, far, np.zeros(1), np.zeros(1))
    control = np.zeros(1, CONTROL)
    control["brake"] = 1.0
    actors = world.scene.actors
    tally = Tally(actors.vehicles.shape[1])
    for step in range(int(minutes * 60 * STEPS_PER_SECOND)):
        world.step(control)
        tally.look(actors.vehicles[0], actors.walkers[0])
        if step % STEPS_PER_SECOND == 0:
            tally.count(actors.vehicles[0], world._worlds["drivers"][0])
    return tally


def report(network: RoadNetwork, density: float, config: Config) -> list[str]:
    """Drives one map at one density; returns the cells of its line."""
    n = vehicle_count(network, density)
    walkers = round(density * _sidewalk(network) / config.sidewalk)
    traffic = Traffic(vehicles=n, walkers=walkers, signals=True)
    began = time.perf_counter()
    tallies = [drive(network, traffic, seed, config.minutes) for seed in config.seeds]
    causes = Counter(REASONS[cause] for tally in tallies for cause in tally.stuck.values())
    why = ", ".join(f"{name} {count}" for name, count in sorted(causes.items())) or "-"
    return [
        network.name,
        f"{density:g}",
        str(n),
        str(walkers),
        f"{np.mean([tally.speeds for tally in tallies]):.2f}",
        str(causes.total()),
        why,
        str(sum(len(tally.pairs) for tally in tallies)),
        str(sum(len(tally.hit) for tally in tallies)),
        f"{time.perf_counter() - began:.0f}",
    ]


def main(config: Config) -> None:
    """Prints the table."""
    table = Table(
        "map",
        "density",
        "vehicles",
        "people",
        "flow [m/s]",
        "stood > 60 s",
        "waiting for",
        "collisions",
        "people hit",
        "took [s]",
        box=box.MARKDOWN,
    )
    for name in config.maps:
        network = library.load(name)
        for density in config.densities:
            print(f"{network.name} at density {density:g} ...", file=sys.stderr)
            table.add_row(*report(network, density, config))
    Console(width=140).print(table)


if __name__ == "__main__":
    main(tyro.cli(Config))
