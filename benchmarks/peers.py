"""How fast are others? Their environments and ours, one after the other on one core.

    uv run python benchmarks/peers.py [--seconds 6] [--json peers.json]

Each peer runs from the package registry in an environment of its own (made by uv, nothing of
theirs is kept here), without rendering, at 20 steps a second, with its simplest observation, and
with as many other vehicles as ours; CPU time, best of three. Ours is measured three ways: through
Gymnasium with a state observation as theirs is, one world through Python, and a batch of worlds.
What is not the same: highway-env's vehicles drive on a straight motorway without junctions, lights
and collisions of boxes among traffic; MetaDrive simulates wheels and suspension, on a map of four
blocks. A peer that cannot run here is left out, and the table says why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from drive_il.actors import Traffic
from drive_il.datatypes import CONTROL, EpisodeSpec
from drive_il.env import ENV_ID, EnvConfig
from drive_il.folders import write_whole
from drive_il.maps import library
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sensor_specs import ObservationSpec
from drive_il.sim import World

_HERE = Path(__file__).parent
_PEERS = {
    "highway-env": ("peer_highway_env.py", ("highway-env==1.12.1",)),
    "MetaDrive": ("peer_metadrive.py", ("metadrive-simulator", "numpy<2")),
}
_PYTHON = "3.11"  # that all of them run on
_BATCH = 256


@dataclass(frozen=True)
class Config:
    """What is measured."""

    vehicles: tuple[int, ...] = (10, 50)
    """others on the road, for one comparison each"""
    seconds: float = 6.0
    """of CPU time, per measurement"""
    json: Path | None = None
    """also write the figures here"""


def _rate(work: Callable[[], Any], count: int, seconds: float) -> float:
    """Units of work per second of CPU time, best of three."""
    best = 0.0
    work()
    for _ in range(3):
        began, done = time.process_time(), 0
        while time.process_time() - began < seconds / 3.0:
            work()
            done += count
        best = max(best, done / (time.process_time() - began))
    return best


def _world(n_rows: int, n_vehicles: int) -> Callable[[], None]:
    """Steps of worlds whose egos hold the brake in the middle of traffic."""
    network = library.load("alder")
    record = make_suite(network, n_short=0, n_long=1, seed=1)[0]
    route = RoutePlanner(network).plan(record.keypoints)
    world, traffic = World(network, n_rows, [route]), Traffic(n_vehicles, signals=True)
    world.reset(np.arange(n_rows), [EpisodeSpec(route, k, traffic=traffic) for k in range(n_rows)])
    control = np.zeros(n_rows, CONTROL)
    control["brake"] = 1.0
    return lambda: world.step(control)


def _gym(n_vehicles: int) -> Callable[[], None]:
    """Steps of our Gymnasium environment with the state vector alone."""
    sensors = ObservationSpec(cameras=(), state=True, state_actors=4)
    traffic = Traffic(n_vehicles, signals=True)
    env = gymnasium.make(ENV_ID, config=EnvConfig(observation=sensors, traffic=traffic))
    env.reset(seed=0)
    action = np.asarray(env.action_space.sample()) * 0

    def work() -> None:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()

    return work


def ours(n_vehicles: int, seconds: float) -> dict[str, float]:
    """Steps per second of ours, by how they are made."""
    os.environ["DRIVE_IL_THREADS"] = "1"
    return {
        "drive_il, Gymnasium": _rate(_gym(n_vehicles), 1, seconds),
        "drive_il, one world": _rate(_world(1, n_vehicles), 1, seconds),
        f"drive_il, {_BATCH} worlds": _rate(_world(_BATCH, n_vehicles), _BATCH, seconds),
    }


def peer(name: str, n_vehicles: int, seconds: float) -> dict[str, Any]:
    """What a peer's script printed, or `why` there is nothing."""
    script, packages = _PEERS[name]
    command = ["uv", "run", "--quiet", "--no-project", "--python", _PYTHON]
    for package in packages:
        command += ["--with", package]
    command += ["python", str(_HERE / script), str(n_vehicles), str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"why": f"{type(error).__name__}: {error}"}
    if done.returncode:
        return {"why": (done.stderr.strip() or "no message").splitlines()[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(config: Config) -> None:
    """Prints the table."""
    table = Table("who", "other vehicles", "steps/s", "ours, Gymnasium", "ours, one", "ours, batch")
    report: list[dict[str, Any]] = []
    for n in config.vehicles:
        print(f"ours with {n} vehicles ...", file=sys.stderr)
        rates = ours(n, config.seconds)
        for name, rate in rates.items():
            table.add_row(
                name, str(n), f"{rate:,.0f}", *[f"{one / rate:.3g}x" for one in rates.values()]
            )
            report.append({"who": name, "vehicles": n, "rate": rate})
        for name in _PEERS:
            print(f"{name} with {n} vehicles ...", file=sys.stderr)
            found = peer(name, n, config.seconds)
            if "why" in found:
                table.add_row(name, str(n), f"left out: {found['why']}")
                report.append({"who": name, "vehicles": n, "why": found["why"]})
                continue
            ratios = {f"ratio to {one}": rates[one] / found["rate"] for one in rates}
            who = f"{name} {found['version']}"
            cells = [f"{ratio:,.0f}x" for ratio in ratios.values()]
            table.add_row(who, str(found["vehicles"]), f"{found['rate']:,.1f}", *cells)
            report.append({"who": who, **found, **ratios})
    Console(width=130).print(table)
    if config.json is not None:
        write_whole(config.json, json.dumps(report, indent=1).encode())


if __name__ == "__main__":
    main(tyro.cli(Config))
