"""What all criteria look at in one step, worked out once; and what they report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from drive_il.datatypes import Floats, Ints, Records, RouteTable, Scene
from drive_il.evaluation.infractions import Kind


class Finding(NamedTuple):
    """An infraction that a criterion has found.

    Attributes:
        row: of the sight.
        kind: which rule was broken.
        other: see `Infraction`.
        value: see `Infraction`; DEVIATION: distance from the route [m]; OUTSIDE_LANES: metres.
        share: OUTSIDE_LANES: share of the completed route [%].
        place: x, y where it happened when not where the ego is [m].
    """

    row: int
    kind: Kind
    other: int = 0
    value: float = 0.0
    share: float = 0.0
    place: tuple[float, float] | None = None


class Ways:
    """The points of all routes of a world, in columns, which are quick to pick from.

    Args:
        routes: of the scenes that are looked at.

    Attributes:
        points: the points of these routes, (N,) ROUTE_POINT.
        table: x, y, s [m], cosine and sine of the heading, (N, 5).
    """

    def __init__(self, routes: RouteTable) -> None:
        self.points: Records = routes.points
        heading = self.points["heading"].copy()
        columns = [self.points[name] for name in ("x", "y", "s")]
        self.table: Floats = np.stack((*columns, np.cos(heading), np.sin(heading)), axis=1)


@dataclass(frozen=True)
class Sight:
    """One state of N drives.

    Every array is contiguous, so that a row's numbers are the same bits whatever N is.

    Attributes:
        scene: of these rows.
        ways: the routes they are on.
        x: of the ego, (N,) [m].
        y: (N,) [m].
        cos: of its heading, (N,).
        sin: (N,).
        speed: (N,) [m/s].
        first: index of its route's first point, (N,).
        last: index of its route's last point, counted from the first, (N,).
        length: of its route, (N,) [m].
    """

    scene: Scene
    ways: Ways
    x: Floats
    y: Floats
    cos: Floats
    sin: Floats
    speed: Floats
    first: Ints
    last: Ints
    length: Floats

    def points(self, index: Ints) -> Floats:
        """Returns route points by their number on the route, (N, K) -> (N, K, 5), see Ways."""
        near = np.minimum(index, self.last[:, None])
        found: Floats = self.ways.table[self.first[:, None] + near]
        return found


def look(scene: Scene, ways: Ways) -> Sight:
    """Works out what criteria share; `ways` are those of the scene's routes."""
    ego, routes = scene.ego, scene.routes
    heading = ego["heading"].copy()
    route = scene.progress["route"]
    return Sight(
        scene,
        ways,
        ego["x"].copy(),
        ego["y"].copy(),
        np.cos(heading),
        np.sin(heading),
        ego["speed"].copy(),
        routes.first[route].astype(np.int64),
        routes.count[route].astype(np.int64) - 1,
        scene.progress["route_length"].copy(),
    )
