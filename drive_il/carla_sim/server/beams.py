"""CARLA's lidars and radar, as the client decodes them: y to the right, in single precision."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

import numpy as np

from drive_il import handedness
from drive_il.carla_sim.server.actors import number
from drive_il.carla_sim.server.frames import Pose
from drive_il.carla_sim.server.moments import ROWS, Moment
from drive_il.carla_sim.server.wire import Payload
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import MAX_RANGE, LidarSpec, RadarSpec
from drive_il.sensors.lidar import Lidar
from drive_il.sensors.radar import Radar

_SEMANTIC_POINT = np.dtype([("place", "<f4", (4,)), ("object", "<u4", (2,))])
_POSE = ("x", "y", "z", "yaw", "pitch", "roll")


def _place(mount: Pose) -> dict[str, float]:
    values = (mount.x, mount.y, max(mount.z, 0.01), mount.heading, mount.pitch, mount.roll)
    return dict(zip(_POSE, values, strict=True))


class LidarSensor:
    """One lidar of a client.

    Args:
        network: the map.
        name: that its lost points and noise are keyed by.
        type_id: its blueprint.
        values: its attributes.

    Raises:
        ValueError: for an attribute out of range.
    """

    def __init__(
        self, network: RoadNetwork, name: str, type_id: str, values: Mapping[str, str]
    ) -> None:
        self._network, given = network, dict(values)
        self._is_semantic = type_id.endswith("semantic")
        names = ["rotation_frequency", "upper_fov", "lower_fov", "horizontal_fov"]
        if not self._is_semantic:
            names += ["atmosphere_attenuation_rate", "noise_stddev", "dropoff_general_rate"]
            names += ["dropoff_intensity_limit", "dropoff_zero_intensity"]
        self._attributes = {one: number(given, one) for one in names}
        self._range = min(number(given, "range"), MAX_RANGE)
        self._channels, self._rate = (
            int(number(given, one)) for one in ("channels", "points_per_second")
        )
        self._name = name
        self._mount = Pose(0.0, 0.0, 1.0, 0.0)
        self._lidar = self._made()

    def sense(self, moment: Moment) -> list[bytes]:
        """Returns the points of a moment, highest channel first."""
        mount = moment.mount()
        if mount != self._mount:
            self._mount = mount
            self._lidar = self._made()
        scan = self._lidar.scan(moment.scene(), ROWS)
        n = int(scan.n_points[0].sum())
        turns = self._attributes["rotation_frequency"] * moment.dt * moment.world.step_number
        angle = (turns % 1.0) * 2.0 * math.pi
        head = struct.pack("<fI", angle, self._channels) + scan.n_points[0].astype("<u4").tobytes()
        points = scan.points[0, :n]
        points[:, 1] = handedness.y_to_carla(points[:, 1])
        if not self._is_semantic:
            body = points.astype("<f4", copy=False).tobytes()
            return [moment.message(Payload.LIDAR, head, body)]
        both = np.empty(n, _SEMANTIC_POINT)
        both["place"], both["object"] = points, scan.objects[0, :n]
        return [moment.message(Payload.SEMANTIC_LIDAR, head, both.tobytes())]

    def _made(self) -> Lidar:
        spec = LidarSpec(
            name=self._name,
            kind="semantic" if self._is_semantic else "ray_cast",
            channels=self._channels,
            range=self._range,
            points_per_second=self._rate,
            **self._attributes,
            **_place(self._mount),
        )
        return Lidar(self._network, spec)


class RadarSensor:
    """One radar of a client; arguments as of LidarSensor."""

    def __init__(self, network: RoadNetwork, name: str, values: Mapping[str, str]) -> None:
        self._network, self._name, given = network, name, dict(values)
        self._attributes = {one: number(given, one) for one in ("horizontal_fov", "vertical_fov")}
        self._range = min(number(given, "range"), MAX_RANGE)
        self._rate = int(number(given, "points_per_second"))
        self._mount = Pose(0.0, 0.0, 1.0, 0.0)
        self._radar = self._made()

    def sense(self, moment: Moment) -> list[bytes]:
        """Returns the detections of a moment: velocity, azimuth, altitude, depth each."""
        mount = moment.mount()
        if mount != self._mount:
            self._mount = mount
            self._radar = self._made()
        sweep = self._radar.scan(moment.scene(), ROWS)
        points = sweep.points[0, : int(sweep.n_points[0])]
        points[:, 1] = handedness.y_to_carla(points[:, 1])  # azimuth: right positive
        body = np.ascontiguousarray(points[:, [3, 1, 2, 0]], "<f4").tobytes()
        return [moment.message(Payload.RADAR, body)]

    def _made(self) -> Radar:
        spec = RadarSpec(
            name=self._name,
            range=self._range,
            points_per_second=self._rate,
            **self._attributes,
            **_place(self._mount),
        )
        return Radar(self._network, spec)
