"""Routes as the leaderboard gives them to agents: downsampled, and as GPS positions."""

from __future__ import annotations

import math
from typing import Any

from agents.navigation.local_planner import RoadOption
from drive_il_agent.absent import way_out

EARTH_RADIUS_EQUA = 6378137.0
"""of the leaderboard's sphere [m]"""
_CHANGES = (RoadOption.CHANGELANELEFT.value, RoadOption.CHANGELANERIGHT.value)


def downsample_route(route: list[Any], sample_factor: float) -> list[int]:
    """Returns the indices of a dense route's points that an agent is told.

    Kept are the first, each of a lane change, the first after the option changed (unless
    from a lane change), the last, and one when more than `sample_factor` lies between.
    The way to a kept point does not count.

    Args:
        route: of (carla.Transform, RoadOption).
        sample_factor: [m].
    """
    kept: list[int] = []
    before, way = None, 0.0
    for i, point in enumerate(route):
        option = point[1].value
        is_change = option in _CHANGES
        is_new = option != before and before not in _CHANGES
        if is_change or is_new or way > sample_factor or i == len(route) - 1:
            kept.append(i)
            way = 0.0
        else:
            way += point[0].location.distance(route[i - 1][0].location)
        before = option
    return kept


def location_route_to_gps(
    route: list[Any], lat_ref: float, lon_ref: float
) -> list[tuple[dict[str, float], Any]]:
    """Returns a route of (carla.Transform, RoadOption) as ({lat, lon, z}, RoadOption)."""
    return [(_location_to_gps(lat_ref, lon_ref, p[0].location), p[1]) for p in route]


def _location_to_gps(lat_ref: float, lon_ref: float, location: Any) -> dict[str, float]:
    """Returns latitude and longitude [deg] and height [m]; agents import it by this name.

    The Mercator projection around the map's reference; CARLA's y points south.
    """
    scale = math.cos(math.radians(lat_ref)) * EARTH_RADIUS_EQUA
    east = scale * math.radians(lon_ref) + location.x
    north = scale * math.log(math.tan(math.radians((90.0 + lat_ref) / 2.0))) - location.y
    latitude = 2.0 * math.degrees(math.atan(math.exp(north / scale))) - 90.0
    return {"lat": latitude, "lon": math.degrees(east / scale), "z": location.z}


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
