"""What a drive is charged with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of infraction; the values are the keys of CARLA's results file."""

    LAYOUT = "collisions_layout"
    PEDESTRIAN = "collisions_pedestrian"
    VEHICLE = "collisions_vehicle"
    RED_LIGHT = "red_light"
    STOP_SIGN = "stop_infraction"
    OUTSIDE_LANES = "outside_route_lanes"
    MIN_SPEED = "min_speed_infractions"
    YIELD = "yield_emergency_vehicle_infractions"
    SCENARIO_TIMEOUT = "scenario_timeouts"
    DEVIATION = "route_dev"
    BLOCKED = "vehicle_blocked"
    TIMEOUT = "route_timeout"


COLLISIONS = (Kind.LAYOUT, Kind.PEDESTRIAN, Kind.VEHICLE)
WORDS = {
    Kind.PEDESTRIAN: ("pedestrian", "collision with a pedestrian"),
    Kind.VEHICLE: ("vehicle", "collision with a vehicle"),
    Kind.LAYOUT: ("layout", "collision with something that stands there"),
    Kind.RED_LIGHT: ("red light", "red light run"),
    Kind.STOP_SIGN: ("stop sign", "stop sign run"),
    Kind.OUTSIDE_LANES: ("off lane", "outside the route's lanes"),
    Kind.YIELD: ("not yielded", "emergency vehicle not let by"),
    Kind.SCENARIO_TIMEOUT: ("scenario", "scenario not solved in time"),
    Kind.MIN_SPEED: ("too slow", "slower than the traffic"),
    Kind.DEVIATION: ("deviated", "left the route"),
    Kind.BLOCKED: ("blocked", "stood still for too long"),
    Kind.TIMEOUT: ("too late", "out of time"),
}
"""Short and long words for each kind, in the order in which tables show them"""


@dataclass(frozen=True)
class Infraction:
    """One thing that a drive is charged with.

    Attributes:
        kind: which rule was broken.
        step: of the drive, at which it was noticed.
        time: seconds since the drive began.
        x: where the ego was, or what it ran into, world frame [m].
        y: [m].
        z: [m].
        other: id of the other actor; of a light or sign its OpenDRIVE id; 0 when there is none.
        value: OUTSIDE_LANES: share of the completed route [%]; MIN_SPEED: mean speed as a share
            of that of the traffic [%]; else 0.
        message: for people, and for tools that read CARLA's results: positions in CARLA's frame,
            numbers where CARLA's messages have them.
    """

    kind: Kind
    step: int
    time: float
    x: float
    y: float
    z: float
    other: int
    value: float
    message: str
