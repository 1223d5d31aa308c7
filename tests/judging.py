"""Drives written down pose by pose, and a road to judge them on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from drive_il.actors import Mover, Traffic
from drive_il.datatypes import (
    VEHICLE,
    Actors,
    EpisodeSpec,
    Outcome,
    Records,
    Route,
    Scene,
)
from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.judge import Judge
from drive_il.evaluation.protocol import Protocol
from drive_il.evaluation.route_result import RouteResult
from drive_il.maps.lane_queries import locate
from drive_il.maps.network import SIGNAL, STOP_LINE, LaneType, RoadNetwork, SignalKind
from drive_il.maps.routes import make_table
from tests.drives import make_route, make_scene
from tests.lane_networks import Lane, line, network

Pose = tuple[float, float, float, float]
"""x, y [m], heading [rad], speed [m/s]"""
Change = Callable[[Scene, int], None]
DT = 0.05
LENGTH, WIDTH = 5.0, 2.0
ROUTE = make_route([(401, 0)], id="7")
"""400 m along x"""
SPEC = EpisodeSpec(ROUTE, max_steps=10**6, traffic=Traffic(signals=True))


def road(kind: SignalKind | None = None, at: float = 100.0) -> RoadNetwork:
    """Lane 0 runs east along y = 0, lane 1 west along y = 3.5; lane 2, for bicycles, is beside.

    With a signal of some kind at x = `at`, for lane 0.
    """
    made = network(
        [
            Lane(line(0.0, 0.0, 420.0, 0.0)),
            Lane(line(420.0, 3.5, 0.0, 3.5)),
            Lane(line(0.0, -3.5, 420.0, -3.5)),
        ]
    )
    made.lanes["type"][2] = LaneType.BIKING
    made.lanes["junction"] = -1
    if kind is None:
        return made
    signals, lines = np.zeros(1, SIGNAL), np.zeros(1, STOP_LINE)
    signals["id"], signals["kind"], signals["x"] = 55, kind, at
    lines["s"] = lines["x0"] = lines["x1"] = at
    lines["y0"], lines["y1"] = 1.75, -1.75
    return replace(made, signals=signals, stop_lines=lines)


ROAD = road()


def straight(
    begin: float, end: float, speed: float = 10.0, y: float = 0.0, heading: float = 0.0
) -> list[Pose]:
    """Poses along x, one per step."""
    n = round(abs(end - begin) / (speed * DT))
    return [(x, y, heading, speed) for x in np.linspace(begin, end, n + 1).tolist()]


def standing(x: float, seconds: float, y: float = 0.0) -> list[Pose]:
    """Poses of an ego that stands."""
    return [(x, y, 0.0, 0.0)] * round(seconds / DT)


def state(poses: list[Pose], step: int, roads: RoadNetwork = ROAD, route: Route = ROUTE) -> Scene:
    """A scene with one ego per pose, alone in its world."""
    blank = make_scene(len(poses), step=step)
    ego, progress = blank.ego, blank.progress
    x, y, heading, speed = np.array(poses).T
    ego["x"], ego["y"], ego["heading"], ego["speed"] = x, y, heading, speed
    ego["length"], ego["width"], ego["id"] = LENGTH, WIDTH, 1
    place = locate(roads, np.stack((x, y), axis=1))
    ego["lane"], ego["off_road"] = place["lane"], place["off_road"]
    progress["route_length"], progress["speed_limit"] = route.length, 13.9
    lights = np.full((len(poses), len(roads.signals)), 3, np.uint8)
    actors = replace(blank.actors, lights=lights)
    return replace(blank, routes=make_table([route]), actors=actors)


def judged(
    protocol: Protocol,
    poses: Iterable[Pose],
    change: Change = lambda scene, step: None,
    roads: RoadNetwork = ROAD,
    spec: EpisodeSpec = SPEC,
    first_step: int = 0,
) -> RouteResult:
    """Judges one drive; `change` may change each state before the judge sees it."""
    judge, row = Judge(roads, protocol, 1), np.zeros(1, np.int64)
    judge.begin(row, [spec])
    for step, pose in enumerate(poses, first_step):
        scene = state([pose], step, roads, spec.route)
        change(scene, step)
        outcome = judge.watch(scene, row)[0]
        if outcome != Outcome.RUNNING:
            judge.end(0, Outcome(int(outcome)))
            return judge.result(0)
    judge.end(0, Outcome.ABORTED)
    return judge.result(0)


def count(result: RouteResult, kind: Kind) -> int:
    """How often a drive is charged with something."""
    return sum(one.kind == kind for one in result.infractions)


def among(scene: Scene, others: list[Records]) -> Scene:
    """Puts the same others into the world of each ego."""
    vehicles = np.zeros((scene.n_rows, 1 + len(others)), VEHICLE)
    vehicles[:, 0] = scene.ego
    for k, other in enumerate(others):
        vehicles[:, k + 1] = other
    old = scene.actors
    return replace(scene, actors=Actors(vehicles, old.walkers, old.lights, old.world, old.slot))


def other(number: int, x: float, speed: float, mover: Mover = Mover.TRAFFIC) -> Records:
    """Another car on the ego's lane."""
    car = np.zeros(1, VEHICLE)
    car["id"], car["x"], car["speed"], car["mover"] = number, x, speed, mover
    car["length"], car["width"] = LENGTH, WIDTH
    return car


HALF_TURN = math.pi
