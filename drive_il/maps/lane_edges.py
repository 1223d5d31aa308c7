"""The points of one lane, and lines beside its centre: what pictures of maps are drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np

from drive_il.datatypes import Floats, Records
from drive_il.maps.network import RoadNetwork


def points_of(network: RoadNetwork, lane: Any) -> Records:  # noqa: ANN401 - a record of LANE
    """Returns the centreline of a lane, (K,) POINT; `lane` is a record of `network.lanes`."""
    points: Records = network.points[lane["first"] : lane["first"] + lane["count"]]
    return points


def offset(points: Records, share: float) -> Floats:
    """Returns the line at `share` half widths to the left of the centre, (K, 2) [m]."""
    out = 0.5 * share * points["width"]
    x = points["x"] - out * np.sin(points["heading"])
    y = points["y"] + out * np.cos(points["heading"])
    return np.stack((x, y), 1)
