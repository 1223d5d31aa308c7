"""What would make a user wait later, done ahead: compiled kernels and prepared towns.

Numba compiles one function at a time, so each core compiles kernels in a process of its own;
what they leave on disk is what every later process loads.
"""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.actors import ScenarioSpec
from drive_il.datatypes import EpisodeSpec
from drive_il.experts.planner import Planner
from drive_il.maps import library
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sensor_specs import (
    GnssSpec,
    ImuSpec,
    LidarSpec,
    ObservationSpec,
    RadarSpec,
    VectorSpec,
)
from drive_il.sensors.agents import AgentView
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World

Say = Callable[[str], Any]
_FIRST = ("render_free", "render_level", "step_worlds", "_control_rows", "start_scenarios")
"""The kernels that take longest to compile: begun first, so that no core is left with one."""


def warm_up(say: Say = lambda message: None) -> None:
    """Compiles the kernels of the world, the sensors and the expert, and prepares the towns.

    What is there already is left as it is, so that a second call takes seconds.

    Args:
        say: told what is being done.
    """
    missing = [kernel for kernel in kernels.known() if not kernel.is_kept()]
    n_processes = kernels.n_threads()
    if not missing or n_processes == 1:
        for town in library.shipped():
            say(f"preparing {town} ...")
            prepare(town)
        return
    rank = {name: k for k, name in enumerate(_FIRST)}
    missing.sort(key=lambda kernel: rank.get(kernel.__name__, len(rank)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, mp_context=context) as pool:
        try:
            _tell(
                {pool.submit(_compile, one.module, one.__name__): one.__name__ for one in missing},
                "compiled",
                say,
            )
            _tell({pool.submit(prepare, town): town for town in library.shipped()}, "prepared", say)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def prepare(town: str) -> None:
    """Drives one step in a town with every sensor, which leaves all that it needs on disk.

    Args:
        town: a shipped town.
    """
    everything = ObservationSpec(
        range_finder=True,
        birdview=True,
        state=True,
        lidars=(LidarSpec(),),
        radars=(RadarSpec(),),
        gnss=GnssSpec(),
        imu=ImuSpec(),
        speedometer=True,
        collision=True,
        lane_invasion=True,
        birdview_actors=True,
        roach=True,
        state_actors=1,
        vectors=VectorSpec(),
    )
    network = library.load(town)
    observer = SceneObserver(network, everything)
    route = RoutePlanner(network).plan(make_suite(network, 1, 0, seed=0)[0].keypoints)
    x, y, z, heading = (float(route.points[name][0]) for name in ("x", "y", "z", "heading"))
    scenario = ScenarioSpec("shaken", "ControlLoss", x, y, z, heading)
    route = replace(route, scenarios=(scenario,))
    world = World(network, 1, [route], history=everything.history)
    world.reset(np.zeros(1, np.int64), [EpisodeSpec(route)])
    world.step(Planner(network=network).control(world.scene))
    observer.observe(world.scene, np.zeros(1, np.int64))
    AgentView(network).look(world.scene)


def _compile(module: str, name: str) -> None:
    getattr(importlib.import_module(module), name).compile()


def _tell(futures: dict[Future[None], str], done: str, say: Say) -> None:
    """Waits for all, and says which is done."""
    for k, future in enumerate(as_completed(futures), start=1):
        future.result()
        say(f"{done} {futures[future]} ({k} of {len(futures)})")
