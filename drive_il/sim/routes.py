"""The routes of one world as growing arrays, with their weather."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import types as nt

from drive_il import kernels
from drive_il.actors import ROUTE_STOP
from drive_il.datatypes import (
    ROUTE_POINT,
    WEATHER,
    Floats,
    Ints,
    Records,
    Route,
    RouteTable,
    default_weather,
)
from drive_il.maps.network import RoadNetwork

RouteArrays: TypeAlias = tuple[
    Records, Ints, Ints, Records, Floats, Ints, Ints, Records, Ints, Ints
]
"""Points, first and count of each route; keyframes, their place [%], first and count; stops,
first and count."""

ROUTES = nt.Tuple(
    (
        kernels.record(ROUTE_POINT)[::1],
        nt.int32[::1],
        nt.int32[::1],
        kernels.record(WEATHER)[::1],
        nt.float64[::1],
        nt.int32[::1],
        nt.int32[::1],
        kernels.record(ROUTE_STOP)[::1],
        nt.int32[::1],
        nt.int32[::1],
    )
)
"""Numba type of `RouteArrays`, for a kernel's signature."""


_PERCENT = (
    "cloudiness",
    "precipitation",
    "precipitation_deposits",
    "wind_intensity",
    "fog_density",
    "wetness",
)
_STARTS = ("first", "count", "key_first", "key_count", "stop_first", "stop_count")


class Growing:
    """An array that doubles its room, so that appending costs what is appended."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._room = np.zeros(16, dtype)
        self.n = 0

    def extend(self, items: npt.ArrayLike) -> None:
        """Appends items."""
        items = np.asarray(items, self._room.dtype).reshape(-1)
        end = self.n + len(items)
        if end > len(self._room):
            room = np.zeros(max(end, 2 * len(self._room)), self._room.dtype)
            room[: self.n] = self._room[: self.n]
            self._room = room
        self._room[self.n : end] = items
        self.n = end

    @property
    def items(self) -> npt.NDArray[Any]:
        """What is in it, as a view that later items do not change."""
        return self._room[: self.n]


class Routes:
    """Routes by identity, in one table.

    A table handed out earlier stays true: what is in it never changes, it only lacks the
    routes entered later.

    Args:
        network: the map they must belong to.
        routes: those to enter at once.
    """

    def __init__(self, network: RoadNetwork, routes: Sequence[Route]) -> None:
        self._town = network.name
        self._n_lanes = len(network.lanes)
        self._index: dict[int, int] = {}
        self.routes: list[Route] = []  # also keeps the ids in _index from being used again
        self._points = Growing(ROUTE_POINT)
        self._keyframes = Growing(WEATHER)
        self._keyed_at = Growing(np.float64)
        self._stops = Growing(ROUTE_STOP)
        self._starts = {name: Growing(np.int32) for name in _STARTS}
        for route in routes:
            self._enter(route)
        self._publish()

    def index(self, route: Route) -> tuple[int, bool]:
        """Returns a route's index in the table, and whether it was entered just now.

        Raises:
            ValueError: for a route of another map, or one that cannot be driven.
        """
        known = self._index.get(id(route))
        if known is not None:
            return known, False
        self._enter(route)
        self._publish()
        return self._index[id(route)], True

    def _enter(self, route: Route) -> None:
        if id(route) in self._index:
            return
        self._check(route)
        weathers, at = route.weathers, route.weather_at
        if len(weathers) == 0:
            weathers, at = default_weather(1), np.zeros(1)
        self._starts["first"].extend(self._points.n)
        self._starts["count"].extend(len(route.points))
        self._points.extend(route.points)
        self._starts["key_first"].extend(self._keyframes.n)
        self._starts["key_count"].extend(len(weathers))
        order = np.argsort(at, kind="stable")
        self._keyframes.extend(weathers[order])
        self._keyed_at.extend(at[order])
        self._starts["stop_first"].extend(self._stops.n)
        self._starts["stop_count"].extend(len(route.stops))
        self._stops.extend(route.stops)
        self._index[id(route)] = len(self.routes)
        self.routes.append(route)

    def _check(self, route: Route) -> None:
        if route.town != self._town:
            raise ValueError(
                f"route {route.id!r} is for town {route.town!r}, this world holds {self._town!r}; "
                "make one World per map"
            )
        if len(route.points) < 2:
            raise ValueError(f"route {route.id!r} needs at least 2 points, got {len(route.points)}")
        if len(route.weathers) != len(route.weather_at):
            raise ValueError(
                f"route {route.id!r} has {len(route.weathers)} weather keyframes "
                f"but {len(route.weather_at)} places for them"
            )
        _check_weathers(route)
        lanes = route.points["lane"]
        if lanes.max() >= self._n_lanes:
            raise ValueError(
                f"route {route.id!r} runs on lane {lanes.max()}, map {self._town!r} has "
                f"{self._n_lanes} lanes; plan it again on this map"
            )

    def _publish(self) -> None:
        starts = {name: array.items for name, array in self._starts.items()}
        points = self._points.items
        stops = (self._stops.items, starts["stop_first"], starts["stop_count"])
        self.table = RouteTable(points, starts["first"], starts["count"], *stops)
        self.arrays: RouteArrays = (
            points,
            starts["first"],
            starts["count"],
            self._keyframes.items,
            self._keyed_at.items,
            starts["key_first"],
            starts["key_count"],
            *stops,
        )


def _check_weathers(route: Route) -> None:
    if not np.isfinite(route.weather_at).all():
        raise ValueError(
            f"route {route.id!r} has a weather keyframe at {route.weather_at.tolist()} %; "
            "each needs a place in [0, 100]"
        )
    for name in WEATHER.names or ():
        values = route.weathers[name]
        in_percent = name in _PERCENT
        fine = (values >= 0.0) & (values <= 100.0) if in_percent else np.isfinite(values)
        if not fine.all():
            wanted = "in [0, 100]" if in_percent else "finite"
            raise ValueError(
                f"{name} of a weather of route {route.id!r} must be {wanted}, got "
                f"{values[~fine][0]}; drive_il.weathers.preset has CARLA's"
            )


@kernels.device
def keyed_weather(routes: RouteArrays, progress: np.record, weather: np.record) -> None:
    """Sets the weather of one row from its route's keyframes.

    Linear between keyframes in the furthest share of the route reached, constant before the
    first and after the last, as in CARLA's leaderboard.

    Args:
        routes: see `ROUTES`.
        progress: PROGRESS record.
        weather: WEATHER record, every field set.
    """
    keyframes, keyed_at = routes[3], routes[4]
    first = routes[5][progress.route]
    last = first + routes[6][progress.route] - 1
    percent = 100.0 * progress.s_max / progress.route_length
    i = first
    while i < last and keyed_at[i + 1] <= percent:
        i += 1
    a, b = keyframes[i], keyframes[min(i + 1, last)]
    span = keyed_at[min(i + 1, last)] - keyed_at[i]
    t = min(max((percent - keyed_at[i]) / span, 0.0), 1.0) if span > 0.0 else 0.0
    weather.cloudiness = a.cloudiness + t * (b.cloudiness - a.cloudiness)
    weather.precipitation = a.precipitation + t * (b.precipitation - a.precipitation)
    weather.precipitation_deposits = a.precipitation_deposits + t * (
        b.precipitation_deposits - a.precipitation_deposits
    )
    weather.wind_intensity = a.wind_intensity + t * (b.wind_intensity - a.wind_intensity)
    weather.sun_azimuth_angle = a.sun_azimuth_angle + t * (
        b.sun_azimuth_angle - a.sun_azimuth_angle
    )
    weather.sun_altitude_angle = a.sun_altitude_angle + t * (
        b.sun_altitude_angle - a.sun_altitude_angle
    )
    weather.fog_density = a.fog_density + t * (b.fog_density - a.fog_density)
    weather.fog_distance = a.fog_distance + t * (b.fog_distance - a.fog_distance)
    weather.fog_falloff = a.fog_falloff + t * (b.fog_falloff - a.fog_falloff)
    weather.wetness = a.wetness + t * (b.wetness - a.wetness)
