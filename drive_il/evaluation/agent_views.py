"""What an agent is told besides its sensors: the plan, and the ego where a protocol shows it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drive_il import handedness
from drive_il.datatypes import Ints, Observation, Records, Route, Scene
from drive_il.maps.network import RoadNetwork
from drive_il.protocols import Observer
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.inertial import geolocations

EGO = "ego"
"""key under which an `EgoShown` observer shows the ego"""
UNKNOWN_EGO = (math.nan,) * 15


def dense_plan(route: Route, network: RoadNetwork) -> dict[str, Any]:
    """Returns a route as CARLA's dense plan, in JSON's types and CARLA's frame.

    Returns:
        `location` (K, 3) [m], `rotation` (K, 2) pitch and yaw [deg], `command` (K,)
        RoadOption, `gps` (K, 3) latitude and longitude [deg] by the leaderboard's formula and
        height [m].
    """
    points = route.points
    xyz = np.stack([points["x"], points["y"], points["z"]], axis=1)
    rise, run = np.gradient(points["z"]), np.gradient(points["s"])
    slope = np.arctan2(rise, np.maximum(run, 1e-6))
    yaw = handedness.heading_to_carla(np.asarray(points["heading"]))
    return {
        "location": handedness.vectors_to_carla(xyz).tolist(),
        "rotation": np.stack([np.rad2deg(slope), yaw], axis=1).tolist(),
        "command": points["command"].tolist(),
        "gps": geolocations(network, xyz).tolist(),
    }


class EgoShown:
    """An observer that also shows the ego itself, as Bench2Drive does to its agents."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    @property
    def spec(self) -> ObservationSpec:
        """The sensors."""
        return self._observer.spec

    def observe(self, scene: Scene, rows: Ints) -> Observation:
        """Returns what the other shows and `ego` (N,) VEHICLE."""
        return {**self._observer.observe(scene, rows), EGO: scene.ego[np.asarray(rows)]}


def ego_in_carla(ego: Records) -> tuple[float, ...]:
    """Returns pose and motion of one ego in CARLA's frame.

    Args:
        ego: one VEHICLE.

    Returns:
        x, y, z [m], roll, pitch, yaw [deg], velocity x, y, z [m/s], acceleration x, y, z
        [m/s^2], angular velocity x, y, z [deg/s].
    """
    course = float(ego["heading"] + ego["slip"])
    speed, turn = float(ego["speed"]), float(ego["yaw_rate"])
    ahead, left = float(ego["acceleration"]), speed * turn
    cosine, sine = math.cos(course), math.sin(course)
    vectors = np.array(
        [
            [ego["x"], ego["y"], ego["z"]],
            [speed * cosine, speed * sine, 0.0],
            [ahead * cosine - left * sine, ahead * sine + left * cosine, 0.0],
        ]
    )
    place, velocity, acceleration = handedness.vectors_to_carla(vectors).tolist()
    yaw = handedness.heading_to_carla(float(ego["heading"]))
    pitch = math.degrees(float(ego["pitch"]))
    turning = (0.0, 0.0, handedness.yaw_rate_to_carla(turn))
    return (*place, 0.0, pitch, yaw, *velocity, *acceleration, *turning)
