"""Does traffic keep flowing? Half an hour on every map at three densities.

    uv run python benchmarks/traffic_report.py [--minutes 30] [--maps alder Town01.xodr ...]

Prints, per map and density, the flow (mean speed of all vehicles), vehicles that stood for more
than 60 s without a red light before them or the queue they stood in, by what the first of that
queue waited for, and pairs of vehicles that collided. The ego is taken off the road.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from drive_il.actors import Traffic
from drive_il.datatypes import CONTROL, EpisodeSpec, Records, Route
from drive_il.maps import library
from drive_il.maps.density import vehicle_count
from drive_il.maps.network import RoadNetwork
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sim import World
from drive_il.sim.collisions import overlaps
from drive_il.sim.drivers import BEHIND, RED

REASONS = ("clear", "vehicle", "red light", "right of way", "room", "walker")
LIMIT = 60.0  # [s]


@dataclass(frozen=True)
class Config:
    """What is driven."""

    minutes: float = 30.0
    """simulated, per map and density"""
    maps: tuple[str, ...] = ("alder", "birch", "cedar", "dell")
    """towns by name, or OpenDRIVE files"""
    densities: tuple[float, ...] = (0.5, 1.0, 2.0)
    """1 is normal: a vehicle per 100 m of lane outside junctions"""
    walkers: int = 0
    """people in each town"""
    seed: int = 0
    """of the traffic"""


def root_cause(drivers: Records, slot: int) -> int:
    """What the first of the queue waits for that a driver stands in."""
    for _ in range(len(drivers)):
        if drivers["reason"][slot] != BEHIND or drivers["leader"][slot] < 0:
            break
        slot = int(drivers["leader"][slot])
    return int(drivers["reason"][slot])


def report(network: RoadNetwork, route: Route, n: int, config: Config) -> list[str]:
    """Drives one map at one density; returns the cells of its line."""
    world = World(network, 1)
    traffic = Traffic(vehicles=n, walkers=config.walkers, signals=True)
    world.reset(np.array([0]), [EpisodeSpec(route, config.seed, traffic=traffic)])
    far = np.array([1e5])
    world.place(np.array([0]), far, far, np.zeros(1), np.zeros(1))
    control = np.zeros(1, CONTROL)
    control["brake"] = 1.0
    pairs, hits = np.zeros((64, 2), np.int32), set()
    standing, stuck, speeds = np.zeros(n + 1), {}, []
    began = time.perf_counter()
    for step in range(int(config.minutes * 60 * 20)):
        world.step(control)
        vehicles = world.scene.actors.vehicles[0]
        found = min(overlaps(vehicles, pairs), len(pairs))
        hits |= {tuple(pair) for pair in pairs[:found].tolist()}
        if step % 20 == 0:
            drivers = world._worlds["drivers"][0]
            for slot in range(1, n + 1):
                stands = vehicles["id"][slot] != 0 and vehicles["speed"][slot] < 0.1
                cause = root_cause(drivers, slot) if stands else -1
                standing[slot] = 0.0 if cause < 0 else standing[slot] + (cause != RED)
                if standing[slot] > LIMIT:
                    stuck.setdefault(slot, cause)
            speeds.append(float(vehicles["speed"][1 : n + 1].mean()))
    causes = {REASONS[c]: list(stuck.values()).count(c) for c in set(stuck.values())}
    why = ", ".join(f"{name} {count}" for name, count in sorted(causes.items())) or "-"
    took = time.perf_counter() - began
    return [f"{np.mean(speeds):.2f}", str(len(stuck)), why, str(len(hits)), f"{took:.0f}"]


def main(config: Config) -> None:
    """Prints the table."""
    titles = ("map", "density", "vehicles", "mean speed [m/s]", "stood > 60 s", "waiting for")
    table = Table(*titles, "collisions", "took [s]")
    console = Console()
    for name in config.maps:
        network = library.load(name)
        record = make_suite(network, n_short=1, n_long=0, seed=1)[0]
        route = RoutePlanner(network).plan(record.keypoints)
        for density in config.densities:
            n = vehicle_count(network, density)
            console.print(f"{network.name}: {n} vehicles for {config.minutes:g} minutes ...")
            table.add_row(network.name, f"{density:g}", str(n), *report(network, route, n, config))
    console.print(table)


if __name__ == "__main__":
    main(tyro.cli(Config))
