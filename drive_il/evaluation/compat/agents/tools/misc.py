"""Small geometry that agents import from CARLA's tools."""

from __future__ import annotations

import math
from typing import Any

from drive_il_agent.absent import way_out


def get_speed(vehicle: Any) -> float:
    """Returns a vehicle's speed [km/h]."""
    return 3.6 * float(vehicle.get_velocity().length())


def compute_distance(location_1: Any, location_2: Any) -> float:
    """Returns the distance between two carla.Locations [m]."""
    return float(location_1.distance(location_2))


def distance_vehicle(waypoint: Any, vehicle_transform: Any) -> float:
    """Returns the distance from a waypoint to a vehicle, seen from above [m]."""
    here, there = vehicle_transform.location, waypoint.transform.location
    return math.hypot(there.x - here.x, there.y - here.y)


def vector(location_1: Any, location_2: Any) -> list[float]:
    """Returns the unit vector from one location to another."""
    gap = location_2 - location_1
    length = math.sqrt(gap.x**2 + gap.y**2 + gap.z**2) + 1e-12
    return [gap.x / length, gap.y / length, gap.z / length]


def is_within_distance(
    target_transform: Any, reference_transform: Any, max_distance: float, angle_interval: Any = None
) -> bool:
    """Returns whether a target is near a reference, and within angles seen from it [deg]."""
    here, there = reference_transform.location, target_transform.location
    x, y = there.x - here.x, there.y - here.y
    distance = math.hypot(x, y)
    if distance < 0.001:
        return True
    if distance > max_distance:
        return False
    if not angle_interval:
        return True
    forward = reference_transform.get_forward_vector()
    cosine = (forward.x * x + forward.y * y) / distance
    angle = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
    return bool(angle_interval[0] < angle < angle_interval[1])


def positive(num: float) -> float:
    """Returns the number, or 0 where it is negative."""
    return max(num, 0.0)


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
