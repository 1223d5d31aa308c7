"""What a driver is told of the way: the next order and how far it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from drive_il.datatypes import Command, Floats, Records, Scene

_PLAIN = (Command.LANEFOLLOW, Command.VOID)


class Order(NamedTuple):
    """The next thing to do.

    Attributes:
        command: LANEFOLLOW when nothing but the end of the route is left.
        distance: until it begins, 0 while it is being done; of the end where it is that [m].
    """

    command: Command
    distance: float


def way_ahead(scene: Scene, row: int = 0) -> Records:
    """Returns the route from the last point passed on, (K,) ROUTE_POINT."""
    progress = scene.progress[row]
    first = int(scene.routes.first[progress["route"]])
    last = first + int(scene.routes.count[progress["route"]])
    return scene.routes.points[first + int(progress["index"]) : last]


def whole_way(scene: Scene, row: int = 0) -> Floats:
    """Returns the route, (K, 2) [m]."""
    route = int(scene.progress["route"][row])
    first = int(scene.routes.first[route])
    points = scene.routes.points[first : first + int(scene.routes.count[route])]
    return np.stack([points["x"], points["y"]], axis=1)


def next_order(scene: Scene, row: int = 0) -> Order:
    """Returns what the driver has to do next."""
    ahead, progress = way_ahead(scene, row), scene.progress[row]
    found = np.flatnonzero(~np.isin(ahead["command"], _PLAIN))
    if len(found) == 0:
        return Order(Command.LANEFOLLOW, float(progress["route_length"] - progress["s"]))
    point = ahead[found[0]]
    return Order(Command(int(point["command"])), max(float(point["s"] - progress["s"]), 0.0))
