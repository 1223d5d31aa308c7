"""GlobalRoutePlanner along the own route: what agents ask it to make sparse plans dense."""

from __future__ import annotations

from typing import Any

from drive_il_agent.absent import way_out
from drive_il_agent.context import context

_NEAR = 5.0  # [m] from the own route


class RouteWaypoint:
    """A point of the own route where CARLA has a carla.Waypoint; it knows its transform."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform


class GlobalRoutePlanner:
    """Plans between two places on the own route, in the direction of travel."""

    def __init__(self, wmap: Any = None, sampling_resolution: float = 1.0) -> None:
        """Takes a map as CARLA's does, and has no use for it."""
        self._resolution = sampling_resolution

    def setup(self) -> None:
        """Does nothing: CARLA 0.9.10 needed the call."""

    def trace_route(self, origin: Any, destination: Any) -> list[tuple[Any, Any]]:
        """Returns the own route from one place to another, of (waypoint, RoadOption).

        Args:
            origin: carla.Location within 5 m of the own route.
            destination: another one, further on.

        Raises:
            RuntimeError: a place is off the route, or the route runs the other way.
        """
        points = context.plan
        first, last = _nearest(points, origin), _nearest(points, destination)
        if last < first:
            raise RuntimeError(
                f"the route leads from {destination} to {origin}, not back; "
                "only the own route can be traced"
            )
        traced, way = [], self._resolution
        for i in range(first, last + 1):
            if i > first:
                way += points[i][0].location.distance(points[i - 1][0].location)
            if way >= self._resolution - 0.5 or i == last:
                traced.append((RouteWaypoint(points[i][0]), points[i][1]))
                way = 0.0
        return traced


def _nearest(points: list[Any], place: Any) -> int:
    gaps = [point[0].location.distance(place) for point in points]
    best = min(range(len(gaps)), key=gaps.__getitem__) if gaps else -1
    if best < 0 or gaps[best] > _NEAR:
        raise way_out("GlobalRoutePlanner", "trace_route away from the own route")
    return best


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
