"""Route suites for the shipped towns: `python -m drive_il.maps.suites` writes them anew.

A route is a random walk over the driving lanes: a random way out at each junction, a lane
change now and then where one is permitted, no lane driven twice. Keypoints stand on
the roads between junctions, so that the planner finds the same way again. The seed
decides everything; a test suite keeps its starts and goals away from its training suite's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drive_il.datatypes import Floats, Route
from drive_il.maps.lane_graph import LaneGraph
from drive_il.maps.network import RoadNetwork
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.route_files import RouteRecord, make_record, write_routes
from drive_il.maps.routes import load_routes, plan_record

SHORT = (100.0, 300.0)
"""[m] length of the short routes of a suite"""
LONG = (800.0, 2000.0)
"""[m] length of the long routes of a suite"""
NO_CRASH = (300.0, 1000.0)
"""[m] length of the routes of the NoCrash suite"""

_APART = 20.0  # [m] between starts (and goals) of routes that must differ
_MARGIN = 8.0  # [m] between a start or goal and the end of its lane
_CHANGE_CHANCE = 0.6  # of changing lane where the walk could
_CHANGE_WAY = 80.0  # [m] within which a lane change is made
_STRIDE = 150.0  # [m] after which a walk along a long lane thinks again
_ATTEMPTS = 400  # walks per route before the suite is given up
_NO_CRASH_TOWNS = ("alder", "birch")  # trained in, and not
_PER_NO_CRASH_TOWN = 25


@dataclass(frozen=True)
class _Walk:
    """A random way through the lanes: where it begins, its keypoints, how far it goes."""

    keypoints: list[Floats]
    length: float


def make_suite(
    network: RoadNetwork,
    n_short: int,
    n_long: int,
    seed: int,
    avoid: Sequence[RouteRecord] = (),
) -> list[RouteRecord]:
    """Draws a suite of routes.

    Args:
        network: the town.
        n_short: routes of 100 to 300 m.
        n_long: routes of 0.8 to 2 km.
        seed: the same seed gives the same suite.
        avoid: records whose starts and goals are not used again.

    Returns:
        Short routes, then long ones, with ids "0", "1", ...

    Raises:
        ValueError: if the town is too small for that many different routes.
    """
    planner = RoutePlanner(network)
    rng = np.random.default_rng(seed)
    records: list[RouteRecord] = []
    for low, high, n in ((*SHORT, n_short), (*LONG, n_long)):
        for _ in range(n):
            record = draw_route(planner, rng, (low, high), [*avoid, *records])
            if record is None:
                raise ValueError(
                    f"map {network.name} has no room for {n_short} short and {n_long} long "
                    f"routes: found {len(records)}; ask for fewer or make the town larger"
                )
            records.append(replace(record, id=str(len(records))))
    return records


def draw_route(
    planner: RoutePlanner,
    rng: np.random.Generator,
    bounds: tuple[float, float],
    taken: Sequence[RouteRecord],
) -> RouteRecord | None:
    """Draws one route.

    Args:
        planner: of the town.
        rng: decides.
        bounds: of its length [m].
        taken: records whose starts and goals are kept away from.

    Returns:
        A record without id, None when none was found.
    """
    starts = np.array([record.keypoints[0] for record in taken]).reshape(-1, 3)
    goals = np.array([record.keypoints[-1] for record in taken]).reshape(-1, 3)
    margin = 0.02 * bounds[0]  # the plan differs a little from the walk
    for _ in range(_ATTEMPTS):
        target = rng.uniform(bounds[0] + margin, bounds[1] - margin)
        walk = _walk(planner.graph, rng, target)
        if walk is None or not bounds[0] + margin <= walk.length <= bounds[1] - margin:
            continue
        keypoints = np.round(np.array(walk.keypoints), 3)
        if _near(keypoints[0], starts) or _near(keypoints[-1], goals):
            continue
        route = planner.plan(keypoints)
        if bounds[0] <= route.length <= bounds[1] and _simple(route):
            return make_record("", planner.network.name, keypoints)
    return None


def _near(place: Floats, others: Floats) -> bool:
    return bool((np.hypot(*(others[:, :2] - place[:2]).T) < _APART).any())


def _simple(route: Route) -> bool:
    """Whether no lane is driven twice and no bend is sharper than a car can drive."""
    lanes = route.points["lane"]
    visits = lanes[np.concatenate(([True], lanes[1:] != lanes[:-1]))]
    sharpest = float(np.abs(route.points["curvature"]).max())
    return len(visits) == len(set(visits.tolist())) and sharpest < 0.25


def _walk(graph: LaneGraph, rng: np.random.Generator, target: float) -> _Walk | None:
    """Walks about `target` metres from a random place; None when it ends in a dead end."""
    lane, s = _somewhere(graph, rng)
    keypoints, travelled, visited = [_place(graph, lane, s)], 0.0, {lane}
    while True:
        length = graph.length[lane]
        need = target - travelled
        if not graph.junction[lane] and need <= length - _MARGIN - s:
            goal = max(s + need, _MARGIN)
            keypoints.append(_place(graph, lane, goal))
            return _Walk(keypoints, travelled + goal - s)
        changes = [
            other
            for other, low, high in graph.changes[lane]
            if other not in visited and low <= s and min(high, length) - s > _CHANGE_WAY + _MARGIN
        ]
        if changes and need > _CHANGE_WAY + _MARGIN and rng.uniform() < _CHANGE_CHANCE:
            other = changes[int(rng.integers(len(changes)))]
            s *= graph.length[other] / length
            lane, s, travelled = other, s + _CHANGE_WAY, travelled + _CHANGE_WAY
            visited.add(lane)
            keypoints.append(_place(graph, lane, s))
        elif length - s > 2.0 * _STRIDE:
            s, travelled = s + _STRIDE, travelled + _STRIDE
            keypoints.append(_place(graph, lane, s))
        else:
            ways = [other for other in graph.successors[lane] if other not in visited]
            if not ways:
                return None
            travelled += length - s
            lane, s = ways[int(rng.integers(len(ways)))], 0.0
            visited.add(lane)
            middle = 0.5 * graph.length[lane]
            if not graph.junction[lane] and _MARGIN < middle < 0.5 * (target - travelled):
                keypoints.append(_place(graph, lane, min(middle, _CHANGE_WAY)))


def _somewhere(graph: LaneGraph, rng: np.random.Generator) -> tuple[int, float]:
    """Draws a place on a road outside junctions: every metre of lane is equally likely."""
    roads = [
        lane
        for lane, driving in enumerate(graph.driving)
        if driving and not graph.junction[lane] and graph.length[lane] > 2.0 * _MARGIN
    ]
    if not roads:
        raise ValueError(f"map {graph.network.name} has no road for a route to start on")
    lengths = np.array([graph.length[lane] for lane in roads])
    lane = roads[int(rng.choice(len(roads), p=lengths / lengths.sum()))]
    return lane, float(rng.uniform(_MARGIN, graph.length[lane] - _MARGIN))


def _place(graph: LaneGraph, lane: int, s: float) -> Floats:
    place: Floats = graph.at(lane, np.array([s]))[0, :3]
    return place


def training_suite(network: RoadNetwork) -> list[RouteRecord]:
    """Returns the routes that a map is trained on: 12 short and 12 long ones.

    dell, which is one road, has a single suite of 14 and 6.
    """
    if network.name == "dell":
        return make_suite(network, 14, 6, seed=4)
    return make_suite(network, 12, 12, seed=1)


def planned(network: RoadNetwork, records: Sequence[RouteRecord]) -> list[Route]:
    """Returns the routes of some records, in their order."""
    planner = RoutePlanner(network)
    return [plan_record(planner, record) for record in records]


def routes_to_train_on(network: RoadNetwork, path: Path | None = None) -> list[Route]:
    """Returns the routes of a file, or the map's own training suite where none is given.

    Raises:
        ValueError: the file has a route on another map, or one that cannot be planned.
    """
    if path is None:
        return planned(network, training_suite(network))

    def network_of(name: str) -> RoadNetwork:
        if name != network.name:
            raise ValueError(f"{path} has a route in {name}, expected routes in {network.name}")
        return network

    return load_routes(path, network_of)


def test_suite(network: RoadNetwork) -> list[RouteRecord]:
    """Returns other routes of the same map: 12 short and 12 long ones.

    No start or goal lies near one of the training suite.
    """
    if network.name == "dell":
        return training_suite(network)
    return make_suite(network, 12, 12, seed=2, avoid=training_suite(network))


def write_town_suites(network: RoadNetwork, folder: Path) -> list[Path]:
    """Writes the training suite of a shipped town, and a test suite of other routes.

    Returns:
        The files written.
    """
    train = training_suite(network)
    if network.name == "dell":
        path = folder / "dell.xml"
        write_routes(path, train)
        return [path]
    test = test_suite(network)
    paths = [folder / f"{network.name}_train.xml", folder / f"{network.name}_test.xml"]
    write_routes(paths[0], train)
    write_routes(paths[1], test)
    return paths


def no_crash_suite(networks: Sequence[RoadNetwork]) -> list[RouteRecord]:
    """Returns 25 routes of each town, as the NoCrash benchmark has them.

    The routes bring no weather: the protocol drives each in all of its own.

    Raises:
        ValueError: if a town is too small for them.
    """
    records: list[RouteRecord] = []
    for network in networks:
        planner, rng = RoutePlanner(network), np.random.default_rng(5)
        town: list[RouteRecord] = []
        for _ in range(_PER_NO_CRASH_TOWN):
            record = draw_route(planner, rng, NO_CRASH, town)
            if record is None:
                raise ValueError(
                    f"map {network.name} has no room for {_PER_NO_CRASH_TOWN} routes of "
                    f"{NO_CRASH[0]:.0f} to {NO_CRASH[1]:.0f} m: found {len(town)}"
                )
            town.append(record)
        records += town
    return [replace(record, id=str(k)) for k, record in enumerate(records)]


def main() -> None:
    """Writes all suites of the shipped towns."""
    from drive_il.maps import library

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("towns", nargs="*", default=["alder", "birch", "cedar", "dell"])
    parser.add_argument("--out", type=Path, default=Path("routes"), help="folder to write to")
    arguments = parser.parse_args()
    for town in arguments.towns:
        for path in write_town_suites(library.load(town), arguments.out):
            print(f"wrote {path}")
    if not set(_NO_CRASH_TOWNS) - set(arguments.towns):
        path = arguments.out / "nocrash.xml"
        write_routes(path, no_crash_suite([library.load(town) for town in _NO_CRASH_TOWNS]))
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
