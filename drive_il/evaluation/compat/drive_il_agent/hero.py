"""The ego as Bench2Drive shows it to its agents, from carla.Vehicle's methods."""

from __future__ import annotations

from typing import Any

import carla
from drive_il_agent.context import context


class Hero:
    """The ego's true pose and motion, in CARLA's frame."""

    id = 1
    type_id = "vehicle.lincoln.mkz_2020"
    is_alive = True

    def get_transform(self) -> Any:
        """Returns where it is, a carla.Transform."""
        x, y, z, roll, pitch, yaw = _known()[:6]
        rotation = carla.Rotation(pitch=pitch, yaw=yaw, roll=roll)
        return carla.Transform(carla.Location(x=x, y=y, z=z), rotation)

    def get_location(self) -> Any:
        """Returns where it is, a carla.Location [m]."""
        return self.get_transform().location

    def get_velocity(self) -> Any:
        """Returns a carla.Vector3D [m/s]."""
        return carla.Vector3D(*_known()[6:9])

    def get_acceleration(self) -> Any:
        """Returns a carla.Vector3D [m/s^2]."""
        return carla.Vector3D(*_known()[9:12])

    def get_angular_velocity(self) -> Any:
        """Returns a carla.Vector3D [deg/s]."""
        return carla.Vector3D(*_known()[12:15])


def metric_info(hero: Hero) -> dict[str, list[float]]:
    """Returns what Bench2Drive's `get_metric_info` returns."""
    pose = hero.get_transform()
    return {
        "acceleration": _listed(hero.get_acceleration()),
        "angular_velocity": _listed(hero.get_angular_velocity()),
        "forward_vector": _listed(pose.get_forward_vector()),
        "right_vector": _listed(pose.get_right_vector()),
        "location": _listed(pose.location),
        "rotation": [pose.rotation.roll, pose.rotation.pitch, pose.rotation.yaw],
    }


def _listed(vector: Any) -> list[float]:
    return [vector.x, vector.y, vector.z]


def _known() -> list[float]:
    if not context.shows_ego:
        raise RuntimeError(
            "the ego's true pose is shown in the protocol bench2drive only: run this agent with "
            "--protocol bench2drive, or locate it by its sensors"
        )
    if context.ego is None:
        raise RuntimeError("the ego's pose is known from the first run_step on")
    return context.ego
