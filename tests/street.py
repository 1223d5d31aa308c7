"""A street with scripted others around a real ego, to see how an expert copes.

Vehicles and walkers move as a function of time alone; the ego is driven by the expert under
test through the real World. Nothing reacts to the ego, so that what happens is its doing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from drive_il.actors import WALKER, ActorKind, Mover
from drive_il.datatypes import VEHICLE, Actors, EpisodeSpec, Records, Route, Scene, Start
from drive_il.experts.planner import Planner
from drive_il.maps.network import RoadNetwork
from drive_il.sim import World

FROM_REST = Start()
Script = Callable[[float], Records]
"""Time [s] -> one VEHICLE or WALKER record, (1,)."""


def car(
    x: float,
    y: float,
    heading: float = 0.0,
    speed: float = 0.0,
    length: float = 4.5,
    width: float = 1.8,
    mover: Mover = Mover.TRAFFIC,
    kind: ActorKind = ActorKind.CAR,
    lane: int = -1,
    lane_s: float = 0.0,
    lights: int = 0,
) -> Records:
    """One vehicle, (1,) VEHICLE."""
    vehicle = np.zeros(1, VEHICLE)
    vehicle["x"], vehicle["y"], vehicle["heading"], vehicle["speed"] = x, y, heading, speed
    vehicle["length"], vehicle["width"], vehicle["height"] = length, width, 1.5
    vehicle["id"], vehicle["kind"], vehicle["mover"] = 9, kind, mover
    vehicle["lane"], vehicle["lane_s"], vehicle["lights"] = lane, lane_s, lights
    return vehicle


def moving(start: Records, begins: float = 0.0, braking: float = 0.0) -> Script:
    """Goes straight on at its speed from time `begins`; then brakes at once, if so asked."""
    speed, heading = float(start["speed"][0]), float(start["heading"][0])

    def at(t: float) -> Records:
        now = start.copy()
        t = max(t - begins, 0.0)
        if braking > 0.0:
            t = min(t, speed / braking)
        way = speed * t - 0.5 * braking * t * t
        now["x"] += way * math.cos(heading)
        now["y"] += way * math.sin(heading)
        if "lane_s" in (now.dtype.names or ()):
            now["lane_s"] += way
            now["acceleration"] = -braking if braking * t < speed else 0.0
        now["speed"] = max(speed - braking * t, 0.0)
        return now

    return at


def person(x: float, y: float, heading: float, speed: float) -> Records:
    """One walker, (1,) WALKER."""
    walker = np.zeros(1, WALKER)
    walker["x"], walker["y"], walker["heading"], walker["speed"] = x, y, heading, speed
    walker["radius"], walker["height"], walker["id"] = 0.3, 1.75, 5
    return walker


@dataclass(frozen=True)
class Run:
    """What came of it: T + 1 states and the distances between bodies at each [m]."""

    ego: Records
    progress: Records
    gap: np.ndarray
    scenes: list[Scene]

    @property
    def braking(self) -> float:
        """Hardest deceleration [m/s^2]."""
        return float(-self.ego["acceleration"].min())


def stays_put(ego: Records) -> None:
    """Asserts that who has come to a stand keeps to the brake, (T,) VEHICLE from then on."""
    settled = ego[10:]  # half a second for the pedals to follow
    assert not (settled["throttle"] > 0.01).any()
    assert not (settled["brake"] < 0.1).any()


def corners(vehicle: Records) -> np.ndarray:
    """Corners of one vehicle, (4, 2) [m]."""
    a, b = 0.5 * float(vehicle["length"][0]), 0.5 * float(vehicle["width"][0])
    c, s = np.cos(vehicle["heading"]), np.sin(vehicle["heading"])
    along, across = np.array([a, -a, -a, a]), np.array([b, b, -b, -b])
    return np.stack(
        [vehicle["x"] + along * c - across * s, vehicle["y"] + along * s + across * c], axis=1
    )


def distance(one: np.ndarray, two: np.ndarray) -> float:
    """Distance between two convex polygons, 0 when they overlap [m]."""
    axes = [np.roll(p, -1, axis=0) - p for p in (one, two)]
    normals = np.concatenate([np.stack([-e[:, 1], e[:, 0]], axis=1) for e in axes])
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    a, b = one @ normals.T, two @ normals.T
    apart = np.maximum(a.min(axis=0) - b.max(axis=0), b.min(axis=0) - a.max(axis=0))
    if apart.max() <= 0.0:
        return 0.0
    best = math.inf
    for p, q in ((one, two), (two, one)):
        begin, edge = q, np.roll(q, -1, axis=0) - q
        for point in p:
            t = np.clip(((point - begin) * edge).sum(1) / (edge**2).sum(1), 0.0, 1.0)
            best = min(best, float(np.hypot(*(begin + t[:, None] * edge - point).T).min()))
    return best


def drive_street(
    network: RoadNetwork,
    route: Route,
    vehicles: Sequence[Script] = (),
    walkers: Sequence[Script] = (),
    start: Start = FROM_REST,
    seconds: float = 30.0,
    planner: Planner | None = None,
    lights: Callable[[float], np.ndarray] | None = None,
    keep: bool = False,
) -> Run:
    """Drives the expert among scripted others.

    Args:
        network: the map.
        route: of the ego.
        vehicles: scripts.
        walkers: scripts.
        start: of the ego.
        seconds: how long at most; ends when the route is completed.
        planner: who drives; by default the scripted planner that knows the map.
        lights: time -> LightState of each signal; None: signals do not bind.
        keep: keep a copy of each scene.
    """
    planner = planner or Planner(network=network)
    world = World(network, 1)
    world.reset(np.zeros(1, np.int64), [EpisodeSpec(route, start=start)])
    egos, progresses, gaps, scenes = [], [], [], []
    for step in range(int(seconds / world.dt) + 1):
        t = step * world.dt
        if lights is not None:
            world._worlds["signals"][:] = True
            world._worlds["lights"][0] = lights(t)
        scene = surround(world.scene, [v(t) for v in vehicles], [w(t) for w in walkers])
        egos.append(scene.ego.copy())
        progresses.append(scene.progress.copy())
        gaps.append(_gap(scene))
        if keep:
            scenes.append(scene.take(np.zeros(1, np.int64)))
        if scene.progress["completed"][0]:
            break
        world.step(planner.control(scene))
    return Run(np.concatenate(egos), np.concatenate(progresses), np.array(gaps), scenes)


def surround(scene: Scene, vehicles: list[Records], walkers: list[Records]) -> Scene:
    """Returns a one-row scene with others in it."""
    all_vehicles = np.concatenate([scene.ego, *vehicles])[None]
    people = np.concatenate([np.zeros(0, WALKER), *walkers])[None]
    zero = np.zeros(1, np.int32)
    return replace(scene, actors=Actors(all_vehicles, people, scene.actors.lights, zero, zero))


def _gap(scene: Scene) -> float:
    mine = corners(scene.ego)
    gaps = [math.inf]
    others = scene.actors.vehicles[0, 1:]
    for k in np.flatnonzero(others["id"]):
        gaps.append(distance(mine, corners(others[k : k + 1])))
    for walker in scene.actors.walkers[0]:
        spot = np.array([[walker["x"], walker["y"]]]) + 1e-3 * np.array([[0, 0], [1, 0], [0, 1]])
        gaps.append(distance(mine, spot) - float(walker["radius"]))
    return min(gaps)


def on_lanes(
    network: RoadNetwork, lanes: Sequence[int], s: float, speed: float, begins: float = 0.0
) -> Script:
    """Follows the middle of these lanes from arc length s of the first, from time `begins` on."""
    runs = [network.points[network.lanes["first"][i] :][: network.lanes["count"][i]] for i in lanes]
    lengths = [float(network.lanes["length"][i]) for i in lanes]

    def at(t: float) -> Records:
        now, k = s + speed * max(t - begins, 0.0), 0
        while k < len(lanes) - 1 and now > lengths[k]:
            now -= lengths[k]
            k += 1
        run = runs[k]
        x, y = (float(np.interp(now, run["s"], run[axis])) for axis in ("x", "y"))
        heading = float(np.interp(now, run["s"], np.unwrap(run["heading"])))
        vehicle = car(x, y, heading, speed, lane=lanes[k], lane_s=min(now, lengths[k]))
        if t < begins or now > lengths[k]:  # not there yet, or gone
            vehicle["id"] = 0
        return vehicle

    return at
