"""Routes from files to the table that kernels read.

Sparse routes are `RouteRecord`s (see `route_files`), planned ones are `Route`s (see
`planning`); here is what joins the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from drive_il.actors import ROUTE_STOP
from drive_il.datatypes import ROUTE_POINT, Floats, Route, RouteTable
from drive_il.maps.network import RoadNetwork
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.route_files import RouteRecord, make_record, read_routes, write_routes
from drive_il.maps.scenario_files import (
    on_the_way,
    read_scenarios,
    read_town_scenarios,
    refuse_far,
)

__all__ = [
    "RoutePlanner",
    "RouteRecord",
    "load_routes",
    "make_record",
    "make_table",
    "plan",
    "plan_record",
    "read_routes",
    "write_routes",
]


def plan(
    network: RoadNetwork,
    keypoints: Floats,
    headings: Floats | None = None,
    *,
    id: str = "route",
) -> Route:
    """Plans one route; for many on one network a `RoutePlanner` is faster.

    Args:
        network: the map.
        keypoints: (N, 2 or 3) [m], N >= 2.
        headings: direction of travel at each keypoint, NaN where not known, (N,) [rad].
        id: the route's name.

    Raises:
        ValueError: if the keypoints cannot be joined on this network.
    """
    return RoutePlanner(network).plan(keypoints, headings, id=id)


def plan_record(planner: RoutePlanner, record: RouteRecord) -> Route:
    """Plans a route as its file has it, weather and scenarios included.

    Raises:
        ValueError: if the route cannot be planned on the planner's network, or its weather or
            scenarios cannot be read or are far from it.
    """
    weathers, weather_at = record.weather()
    route = planner.plan(
        record.keypoints,
        record.headings,
        id=record.id,
        weathers=weathers,
        weather_at=weather_at,
    )
    route = replace(route, scenarios=read_scenarios(record.extras, f"route {record.id}"))
    refuse_far(route)
    return route


def load_routes(
    path: str | Path,
    network_of: Callable[[str], RoadNetwork],
    scenarios: str | Path | None = None,
) -> list[Route]:
    """Reads and plans all routes of a file.

    Args:
        path: a route file of either form.
        network_of: gives the network of a town; called once per town.
        scenarios: a scenario file of leaderboard 1.0; each route takes those on its way,
            after its own.

    Raises:
        ValueError: if a file is bad or a route cannot be planned.
    """
    by_town = {} if scenarios is None else read_town_scenarios(scenarios)
    planners: dict[str, RoutePlanner] = {}
    routes = []
    for record in read_routes(path):
        if record.town not in planners:
            planners[record.town] = RoutePlanner(network_of(record.town))
        route = plan_record(planners[record.town], record)
        more = on_the_way(route, by_town.get(record.town, ()))
        routes.append(replace(route, scenarios=(*route.scenarios, *more)))
    return routes


def make_table(routes: Sequence[Route]) -> RouteTable:
    """Puts routes into one array, in this order."""
    count = np.array([len(route.points) for route in routes], np.int32)
    first = np.zeros(len(routes), np.int32)
    first[1:] = np.cumsum(count[:-1])
    points = [route.points for route in routes]
    stops = [route.stops for route in routes]
    stop_count = np.array([len(one) for one in stops], np.int32)
    return RouteTable(
        np.concatenate(points) if points else np.zeros(0, ROUTE_POINT),
        first,
        count,
        np.concatenate(stops) if stops else np.zeros(0, ROUTE_STOP),
        (np.cumsum(stop_count) - stop_count).astype(np.int32),
        stop_count,
    )
