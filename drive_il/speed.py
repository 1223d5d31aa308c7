"""What this machine does: the cases behind `drive-il speed`.

Each case repeats one piece of work for a fixed time and counts; `per_core` runs it on one
thread, `all_cores` on all that this process may use (None where the work is one call of one
thread). The figures are of this machine at this moment; ratios in one run are in benchmarks/.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np

from drive_il import kernels
from drive_il.actors import Traffic
from drive_il.datatypes import CONTROL, EpisodeSpec, Ints, Records, Route, Start
from drive_il.env import ENV_ID, EnvConfig
from drive_il.experts.planner import Planner
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sensor_specs import CameraSpec, LidarSpec, ObservationSpec
from drive_il.sensors.agents import AgentView
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World
from drive_il.warmup import Say, warm_up

_TOWN = "alder"
_ROWS = 256


@dataclass(frozen=True)
class Case:
    """One thing to time.

    Attributes:
        work: does `count` units once.
        count: units of one call.
        unit: of the rate, e.g. "frames/s".
        batched: whether more threads can help.
    """

    work: Callable[[], Any]
    count: float
    unit: str
    batched: bool = True


class _Bench:
    """One town, one batch of cars under way, and what to do with them."""

    @cached_property
    def network(self) -> RoadNetwork:
        return library.load(_TOWN)

    @cached_property
    def planner(self) -> RoutePlanner:
        return RoutePlanner(self.network)

    @cached_property
    def route(self) -> Route:
        """A route of about 1 km."""
        records = make_suite(self.network, n_short=0, n_long=8, seed=1)
        routes = [self.planner.plan(record.keypoints) for record in records]
        return min(routes, key=lambda route: abs(route.length - 1000.0))

    def world(self, n_rows: int) -> World:
        """Cars spread along the route, already rolling."""
        world = World(self.network, n_rows, [self.route])
        reach = self.route.length - 400.0
        specs = [
            EpisodeSpec(self.route, seed=row, start=Start(s=reach * row / n_rows, speed=5.0))
            for row in range(n_rows)
        ]
        world.reset(np.arange(n_rows), specs)
        return world

    def cases(self) -> dict[str, Case]:
        """All cases by name."""
        return {
            **self._world_cases(),
            **self._traffic_cases(),
            **self._camera_cases(),
            **self._single_cases(),
            **self._gym_cases(),
            "plan_1km": Case(
                lambda: self.planner.plan(self.route.keypoints), 1, "routes/s", batched=False
            ),
        }

    def _world_cases(self) -> dict[str, Case]:
        world, expert = self.world(_ROWS), Planner()
        rows = np.arange(_ROWS)
        start = world.snapshot(rows)
        control = expert.control(world.scene)
        return {
            "empty": Case(_steps(world, start, control), _ROWS * 200, "steps/s"),
            "expert_label": Case(lambda: expert.control(world.scene), _ROWS, "labels/s"),
        }

    def _traffic_cases(self) -> dict[str, Case]:
        """Whole steps among vehicles that react, with lights, progress and infractions."""
        few, many = Traffic(vehicles=10, signals=True), Traffic(50, 20, signals=True)
        rows = np.arange(_ROWS)
        world, crowded = self.crowded(few), self.crowded(many)
        start, crowded_start = world.snapshot(rows), crowded.snapshot(rows)
        expert, held = Planner(network=self.network), np.zeros(_ROWS, CONTROL)
        held["brake"] = 1.0
        camera = SceneObserver(self.network, ObservationSpec())
        lidar = SceneObserver(self.network, ObservationSpec(cameras=(), lidars=(LidarSpec(),)))
        agents = AgentView(self.network)
        n_vehicles = _ROWS * world.scene.actors.vehicles.shape[1]

        def label() -> Records:
            return expert.control(world.scene)

        def look(sense: Callable[[], Any]) -> Callable[[], None]:
            def work() -> None:
                world.step(held)
                sense()

            return work

        return {
            "traffic10": Case(_steps(world, start, held), _ROWS * 200, "steps/s"),
            "traffic50": Case(_steps(crowded, crowded_start, held), _ROWS * 200, "steps/s"),
            "expert10": Case(lambda: world.step(label()), _ROWS, "steps/s"),
            "camera": Case(look(lambda: camera.observe(world.scene, rows)), _ROWS, "frames/s"),
            "lidar": Case(look(lambda: lidar.observe(world.scene, rows)), _ROWS, "frames/s"),
            "agents": Case(look(lambda: agents.look(world.scene)), n_vehicles, "agent steps/s"),
        }

    def crowded(self, traffic: Traffic) -> World:
        """Worlds with traffic, half a minute after their start."""
        world = World(self.network, _ROWS, [self.route])
        specs = [EpisodeSpec(self.route, seed=row, traffic=traffic) for row in range(_ROWS)]
        world.reset(np.arange(_ROWS), specs)
        control = np.zeros(_ROWS, CONTROL)
        control["brake"] = 1.0
        for _ in range(600):
            world.step(control)
        return world

    def _camera_cases(self) -> dict[str, Case]:
        """A step and a picture on streets without anybody else, egos all along a route."""
        cases = {}
        sizes = {"camera_empty": (96, 64, _ROWS), "camera_1280x720": (1280, 720, 1)}
        for name, (width, height, n_rows) in sizes.items():
            world = self.world(n_rows)
            camera = CameraSpec(width=width, height=height)
            observer = SceneObserver(self.network, ObservationSpec(cameras=(camera,)))
            rows = np.arange(n_rows)
            drive = _driving(world, rows, observer)
            cases[name] = Case(drive, n_rows, "frames/s")
        return cases

    def _single_cases(self) -> dict[str, Case]:
        world, row = self.world(1), np.zeros(1, np.int64)
        spec = EpisodeSpec(self.route)
        bare = World(self.network, 1, [self.route])
        observer = SceneObserver(self.network, ObservationSpec())
        return {
            "single_step_with_camera": Case(
                _driving(world, row, observer), 1, "steps/s", batched=False
            ),
            "reset": Case(lambda: bare.reset(row, [spec]), 1, "resets/s", batched=False),
        }

    def _gym_cases(self) -> dict[str, Case]:
        """Whole steps of the Gymnasium environments: action, world, reward, observation, info."""
        state = EnvConfig(observation=ObservationSpec(cameras=(), state=True), horizon=100)
        camera = EnvConfig(horizon=100)
        return {
            "gym_state": Case(_env_steps(state), 100, "steps/s", batched=False),
            "gym_camera": Case(_env_steps(camera), 100, "steps/s", batched=False),
            "gym_state_64": Case(_vector_step(state), 64, "steps/s"),
            "gym_camera_64": Case(_vector_step(camera), 64, "steps/s"),
        }


def _env_steps(config: EnvConfig) -> Callable[[], None]:
    """An episode of 100 steps, its reset included, as `gymnasium.make` gives the environment."""
    env = gymnasium.make(ENV_ID, config=config)
    action = np.array([0.0, 0.4], np.float32)
    env.reset(seed=0)

    def work() -> None:
        env.reset()
        for _ in range(100):
            if env.step(action)[2]:
                env.reset()

    return work


def _vector_step(config: EnvConfig) -> Callable[[], Any]:
    """A step of 64 environments, each of which starts anew every 100."""
    env = gymnasium.make_vec(ENV_ID, 64, config=config)
    actions = np.tile(np.array([0.0, 0.4], np.float32), (64, 1))
    env.reset(seed=0)
    return lambda: env.step(actions)


def _steps(world: World, start: Any, control: Records) -> Callable[[], None]:
    """200 steps from one snapshot, so that no car ever leaves its street."""
    rows = np.arange(world.n_rows)

    def work() -> None:
        world.restore(start, rows)
        for _ in range(200):
            world.step(control)

    return work


def _driving(world: World, rows: Ints, observer: SceneObserver) -> Callable[[], None]:
    """One step and one picture; every so often back to the start."""
    expert = Planner()
    start = world.snapshot(rows)
    control = np.zeros(len(rows), CONTROL)
    count = 0

    def work() -> None:
        nonlocal count, control
        if count % 100 == 0:
            world.restore(start, rows)
            control = expert.control(world.scene)
        count += 1
        world.step(control)
        observer.observe(world.scene, rows)

    return work


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = os.environ.get("DRIVE_IL_THREADS")
    os.environ["DRIVE_IL_THREADS"] = str(n)
    try:
        yield
    finally:
        if before is None:
            del os.environ["DRIVE_IL_THREADS"]
        else:
            os.environ["DRIVE_IL_THREADS"] = before


def _rate(case: Case, seconds: float) -> float:
    """Units per second: the best of five parts, as other programs only ever slow it down."""
    best = 0.0
    case.work()
    for _ in range(5):
        done, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds / 5.0 or done == 0:
            case.work()
            done += 1
        best = max(best, done * case.count / elapsed)
    return best


def _first_step_seconds() -> float:
    """Import, load a town, and take one step with a picture, in a new process [s]."""
    code = (
        "import numpy as np; from drive_il.datatypes import CONTROL, EpisodeSpec;"
        "from drive_il.maps import library, routes;"
        "from drive_il.sensor_specs import ObservationSpec;"
        "from drive_il.sensors.observer import SceneObserver;"
        "from drive_il.sim.world import World;"
        f"net = library.load('{_TOWN}'); lane = net.lanes[net.lanes['type'] == 1][0];"
        "p = net.points[lane['first'] : lane['first'] + lane['count']];"
        "route = routes.plan(net, np.stack([p['x'], p['y'], p['z']], 1)[[0, -1]]);"
        "world = World(net, 1); world.reset(np.zeros(1, int), [EpisodeSpec(route)]);"
        "world.step(np.zeros(1, CONTROL));"
        "SceneObserver(net, ObservationSpec()).observe(world.scene, np.zeros(1, int))"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def measure(seconds: float, say: Say | None = None) -> dict[str, Any]:
    """Times every case.

    Args:
        seconds: length of each measurement [s].
        say: told what is being measured.

    Returns:
        machine, threads, and `cases.<name>.{per_core, all_cores, unit}`.
    """
    report: dict[str, dict[str, Any]] = {}
    threads = kernels.n_threads()
    tell = say or (lambda message: None)
    warm_up(tell)
    for name, case in _Bench().cases().items():
        tell(f"measuring {name} ...")
        with _threads(1):
            per_core = _rate(case, seconds)
        everywhere = _rate(case, seconds) if case.batched and threads > 1 else None
        if case.batched and threads == 1:
            everywhere = per_core
        report[name] = {"per_core": per_core, "all_cores": everywhere, "unit": case.unit}
    report["import_to_first_step"] = {
        "per_core": _first_step_seconds(),
        "all_cores": None,
        "unit": "s",
    }
    machine = f"{_processor()}, {threads} threads, Python {platform.python_version()}"
    return {"machine": machine, "threads": threads, "cases": report}


def _processor() -> str:
    """The processor's name, as well as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
