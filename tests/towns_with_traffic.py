"""Scenes of a shipped town with synthetic traffic around one of its traffic lights."""

from dataclasses import replace
from functools import cache

import numpy as np

from drive_il.actors import WALKER, ActorKind, LightState
from drive_il.datatypes import (
    PROGRESS,
    ROUTE_POINT,
    VEHICLE,
    Actors,
    Array,
    Records,
    Route,
    Scene,
    default_weather,
    no_events,
)
from drive_il.maps import library, progress
from drive_il.maps.lane_queries import locate
from drive_il.maps.network import LaneType, RoadNetwork, SignalKind, build_grid
from drive_il.maps.routes import make_table
from drive_il.maps.stops import stops_along
from drive_il.past import Past, footprints

SIZES = {
    ActorKind.CAR: (4.7, 1.9, 1.5),
    ActorKind.TRUCK: (8.2, 2.5, 3.4),
    ActorKind.BICYCLE: (1.8, 0.5, 1.7),
    ActorKind.PROP: (0.8, 0.8, 1.0),
}


def vehicle(kind: ActorKind, x: float, y: float, heading: float, speed: float = 0.0) -> Records:
    """One VEHICLE record."""
    made = np.zeros(1, VEHICLE)
    made["kind"], made["id"] = kind, 1
    made["x"], made["y"], made["heading"], made["speed"] = x, y, heading, speed
    made["length"], made["width"], made["height"] = SIZES[kind]
    made["lane"] = -1
    return made


def walker(x: float, y: float, heading: float = 0.0, speed: float = 0.0) -> Records:
    """One WALKER record."""
    made = np.zeros(1, WALKER)
    made["x"], made["y"], made["heading"], made["speed"] = x, y, heading, speed
    made["id"], made["radius"], made["height"] = 1, 0.3, 1.75
    return made


def route_from(network: RoadNetwork, lane: int, length: float) -> Route:
    """A route along a lane and the first successors of each, a point every metre or so."""
    parts = []
    total = 0.0
    while total < length:
        record = network.lanes[lane]
        run = network.points[record["first"] : record["first"] + record["count"] - 1 : 2]
        points = np.zeros(len(run), ROUTE_POINT)
        for name in ("x", "y", "z", "heading", "curvature", "speed_limit"):
            points[name] = run[name]
        points["lane_width"], points["s"] = run["width"], total + run["s"]
        points["lane"], points["command"] = lane, 4
        points["in_junction"] = record["junction"] >= 0
        parts.append(points)
        total += float(record["length"])
        if record["successor_count"] == 0:
            break
        lane = int(network.successors[record["successor_first"]])
    points = np.concatenate(parts)
    ends = np.stack([points[name][[0, -1]] for name in ("x", "y", "z")], axis=1)
    return Route("test", network.name, points, ends, stops=stops_along(network, points))


@cache
def town() -> RoadNetwork:
    """The shipped town these tests look at."""
    return library.load("alder")


def _ego(network: RoadNetwork, number: int) -> tuple[Route, float]:
    """A route to a traffic light, and 12 m before its stop line [m]."""
    kinds = network.signals["kind"][network.stop_lines["signal"]]
    lines = network.stop_lines[(kinds == SignalKind.LIGHT) & (network.stop_lines["s"] > 30)]
    line = lines[number % len(lines)]
    return route_from(network, int(line["lane"]), float(line["s"]) + 120.0), float(line["s"]) - 12.0


def traffic_scene(n_rows: int = 1, n_vehicles: int = 20, n_walkers: int = 6) -> Scene:
    """Rows before different lights; vehicles on lanes near, walkers beside, lights by number."""
    network = town()
    found = [_ego(network, row) for row in range(n_rows)]
    table = make_table([route for route, _ in found])
    actors = Actors(
        np.zeros((n_rows, n_vehicles + 1), VEHICLE),
        np.zeros((n_rows, n_walkers), WALKER),
        np.full((n_rows, len(network.signals)), LightState.OFF, np.uint8),
        np.arange(n_rows, dtype=np.int32),
        np.zeros(n_rows, np.int32),
    )
    is_light = network.signals["kind"] == SignalKind.LIGHT
    actors.lights[:, is_light] = np.arange(is_light.sum()) % 3
    driving = np.flatnonzero(network.lanes["type"] == LaneType.DRIVING)
    rng = np.random.default_rng(7)
    for row, (route, s) in enumerate(found):
        at = route.points[np.searchsorted(route.points["s"], s)]
        egos = vehicle(ActorKind.CAR, at["x"], at["y"], at["heading"], 6.0)
        actors.vehicles[row, 0] = egos[0]
        owner = np.repeat(np.arange(len(network.lanes)), network.lanes["count"])
        gap = np.hypot(network.points["x"] - at["x"], network.points["y"] - at["y"])
        near = np.flatnonzero((gap < 45) & (gap > 6) & np.isin(owner, driving))
        for slot in range(n_vehicles):
            point = network.points[rng.choice(near)]
            kind = list(SIZES)[min(slot % 7, 4) % 4 if slot % 7 < 4 else 0]
            made = vehicle(kind, point["x"], point["y"], point["heading"], rng.uniform(0, 12))
            made["id"], made["lights"] = slot + 2, 8 * (slot % 2)
            actors.vehicles[row, slot + 1] = made[0]
        for slot in range(n_walkers):
            point = network.points[rng.choice(near)]
            aside = 0.5 * point["width"] + 1.0
            x = point["x"] + aside * np.sin(point["heading"])
            y = point["y"] - aside * np.cos(point["heading"])
            made = walker(x, y, point["heading"], 1.3)
            made["id"] = slot + 100
            actors.walkers[row, slot] = made[0]
    vehicles = actors.vehicles
    flat = vehicles.reshape(-1)
    places = locate(network, np.stack((flat["x"], flat["y"]), axis=1))
    flat["lane"], flat["lane_s"] = places["lane"], places["s"]
    flat["off_road"], flat["z"] = places["off_road"], places["z"]
    scene = Scene(
        np.ascontiguousarray(vehicles[:, 0]),
        np.zeros(n_rows, PROGRESS),
        default_weather(n_rows),
        np.zeros(n_rows, np.int64),
        np.zeros(n_rows, np.uint64),
        table,
        0.05,
        actors,
        no_events(n_rows),
    )
    scene.progress["route"] = np.arange(n_rows)
    progress.start(scene.ego, scene.progress, table, np.array([s for _, s in found]))
    for row in range(n_rows):
        _mind_stops(scene, row)
    return scene


def _mind_stops(scene: Scene, row: int) -> None:
    """Fills the fields of PROGRESS that tell of the next stop line."""
    way, routes = scene.progress[row], scene.routes
    first = routes.stop_first[way["route"]]
    stops = routes.stops[first : first + routes.stop_count[way["route"]]]
    front = way["s"] + scene.ego["length"][row] / 2
    ahead = np.flatnonzero(stops["s"] >= front)
    way["stop_distance"], way["stop_signal"], way["stop_light"] = 1000.0, -1, LightState.OFF
    if len(ahead):
        line = stops[ahead[0]]
        way["stop"], way["stop_distance"] = ahead[0], line["s"] - front
        way["stop_kind"], way["stop_signal"] = line["kind"], line["signal"]
        if line["kind"] == SignalKind.LIGHT:
            way["stop_light"] = scene.actors.lights[row, line["signal"]]
    scene.progress[row] = way


def with_past(scene: Scene, n_steps: int = 30) -> Scene:
    """The same scene, in which everyone has driven straight on for the last steps."""

    def before(actors: Records) -> Array:
        prints = []
        for k in range(n_steps, 0, -1):
            moved = actors.copy()
            way = actors["speed"] * k * scene.dt
            moved["x"] -= way * np.cos(actors["heading"])
            moved["y"] -= way * np.sin(actors["heading"])
            prints.append(footprints(moved))
        return np.stack(prints, axis=-1)

    actors, n_worlds = scene.actors, len(scene.actors.vehicles)
    past = Past(
        before(actors.vehicles),
        before(actors.walkers),
        np.repeat(actors.lights[..., None], n_steps, axis=-1),
        np.full((scene.n_rows, n_steps), -1, np.int32),
        np.full(n_worlds, n_steps - 1, np.int32),
        np.full(n_worlds, n_steps, np.int32),
    )
    return replace(scene, past=past)


def turned(
    scene: Scene, network: RoadNetwork, angle: float, shift: tuple[float, float]
) -> tuple[Scene, RoadNetwork]:
    """The same world turned about the origin, then moved; all observations must stay."""
    network = replace(
        network,
        points=_moved(network.points, angle, shift),
        signals=_moved(network.signals, angle, shift),
        stop_lines=_moved(network.stop_lines, angle, shift),
    )
    network = replace(network, grid=build_grid(network.lanes, network.points))
    actors = replace(
        scene.actors,
        vehicles=_moved(scene.actors.vehicles, angle, shift),
        walkers=_moved(scene.actors.walkers, angle, shift),
    )
    past = replace(
        scene.past,
        vehicles=_moved(scene.past.vehicles, angle, shift),
        walkers=_moved(scene.past.walkers, angle, shift),
    )
    routes = replace(scene.routes, points=_moved(scene.routes.points, angle, shift))
    turned_scene = replace(
        scene,
        ego=_moved(scene.ego, angle, shift),
        progress=_moved(scene.progress, angle, shift),
        actors=actors,
        routes=routes,
        past=past,
    )
    return turned_scene, network


def _moved(records: Records, angle: float, shift: tuple[float, float]) -> Array:
    moved = np.array(records)
    cos, sin = np.cos(angle), np.sin(angle)
    names = records.dtype.names or ()
    for x, y in (("x", "y"), ("x0", "y0"), ("x1", "y1"), ("target_x", "target_y")):
        if x in names:
            moved[x] = cos * records[x] - sin * records[y] + shift[0]
            moved[y] = sin * records[x] + cos * records[y] + shift[1]
    if "heading" in names:
        moved["heading"] = (records["heading"] + angle + np.pi) % (2 * np.pi) - np.pi
    return moved
