"""Which of our sensors answers for which of CARLA's blueprints."""

from __future__ import annotations

from drive_il.carla_sim.server import blueprints
from drive_il.carla_sim.server.beams import LidarSensor, RadarSensor
from drive_il.carla_sim.server.cameras import KINDS, CameraSensor
from drive_il.carla_sim.server.feelers import (
    CollisionSensor,
    Find,
    GnssSensor,
    ImuSensor,
    ObstacleSensor,
)
from drive_il.carla_sim.server.moments import Sensor
from drive_il.maps.network import RoadNetwork


def sensor_of(
    network: RoadNetwork,
    name: str,
    type_id: str,
    values: dict[str, str],
    find: Find,
    port: int,
) -> Sensor | None:
    """Makes the sensor of a blueprint.

    Args:
        network: the map.
        name: unique within the episode; noise is keyed by it.
        type_id: the blueprint.
        values: its attributes.
        find: finds an actor by its id.
        port: of the streams.

    Returns:
        None for a sensor that the client works out by itself: sensor.other.lane_invasion.

    Raises:
        ValueError: for an attribute out of range, or a sensor that there is in name only.
    """
    if not blueprints.is_made(type_id):
        raise ValueError(f"{type_id} is not simulated here: see docs/carla_server.md")
    if type_id in KINDS:
        return CameraSensor(network, type_id, values)
    if type_id.startswith("sensor.lidar"):
        return LidarSensor(network, name, type_id, values)
    match type_id:
        case "sensor.other.radar":
            return RadarSensor(network, name, values)
        case "sensor.other.gnss":
            return GnssSensor(network, values)
        case "sensor.other.imu":
            return ImuSensor(values)
        case "sensor.other.collision":
            return CollisionSensor(find, port)
        case "sensor.other.obstacle":
            return ObstacleSensor(network, values, find, port)
    return None
