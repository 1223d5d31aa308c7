"""Where along a route its driver must mind a light or a sign."""

from __future__ import annotations

import numpy as np

from drive_il.actors import ROUTE_STOP
from drive_il.datatypes import Records
from drive_il.geometry import project
from drive_il.maps.network import RoadNetwork

_BESIDE = 1.0  # [m] a route further from the middle of a stop line does not run over it
_SAME = 0.5  # [m] lines of one kind nearer than this count once: several heads show one light


def stops_along(network: RoadNetwork, points: Records) -> Records:
    """Finds the stop lines that a route crosses.

    Args:
        network: the map.
        points: of the route, (K,) ROUTE_POINT.

    Returns:
        Ordered by s, (S,) ROUTE_STOP.
    """
    found: list[tuple[float, int, int, float]] = []
    lines = network.stop_lines
    lanes = points["lane"]
    breaks = np.flatnonzero(np.diff(lanes)) + 1
    for first, last in zip([0, *breaks], [*breaks, len(points)], strict=True):
        for line in lines[lines["lane"] == lanes[first]]:
            # One point beyond the lane's last: the line may lie at its very end.
            run = points[first : min(last + 1, len(points))]
            if len(run) < 2 or (last < len(points) and not points["in_junction"][last]):
                continue  # it leaves the lane sideways, or never reaches the junction
            middle = np.array([[line["x0"] + line["x1"], line["y0"] + line["y1"]]]) / 2
            s, offset, _ = project(middle, np.stack((run["x"], run["y"]), axis=1))
            at = float(run["s"][0] + s[0])
            if abs(offset[0]) > _BESIDE or at >= run["s"][-1] + 1e-6:
                continue
            kind = int(network.signals["kind"][line["signal"]])
            if all(abs(at - other[0]) > _SAME or kind != other[2] for other in found):
                found.append((at, int(line["signal"]), kind, _exit(points, last)))
    found.sort()
    return np.array(found, ROUTE_STOP) if found else np.zeros(0, ROUTE_STOP)


def _exit(points: Records, begin: int) -> float:
    """Where the junction that begins at a point is left again [m]."""
    outside = np.flatnonzero(~points["in_junction"][begin:])
    return float(points["s"][begin + outside[0]] if len(outside) else points["s"][-1])
