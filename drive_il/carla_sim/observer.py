"""What a policy sees on a CARLA server: CARLA's own sensors, as the embedded world shows its.

Cameras, lidars, radars, GNSS and IMU are CARLA's. What is computed from the truth in an
embedded world too (command, state, views from above, range finder, vectors, contacts) is
computed from the mirrored Scene.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from drive_il import handedness
from drive_il.carla_sim.rig import Sensor
from drive_il.carla_sim.server.frames import Pose
from drive_il.carla_sim.world import World
from drive_il.datatypes import Array, Floats, Ints, Observation, Scene
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import (
    CameraSpec,
    GnssSpec,
    ImuSpec,
    LidarSpec,
    ObservationSpec,
    RadarSpec,
)
from drive_il.sensors.inertial import geolocations
from drive_il.sensors.observer import SceneObserver

_CAMERAS = {
    "rgb": "sensor.camera.rgb",
    "depth": "sensor.camera.depth",
    "semantic": "sensor.camera.semantic_segmentation",
    "instance": "sensor.camera.instance_segmentation",
}
_FAR = 1000.0  # [m] that depth 1 stands for
_STEPS = 256.0**3 - 1.0
_POSE = ("x", "y", "z", "yaw", "pitch", "roll")
_SEMANTIC_POINT = np.dtype([("place", "<f4", (4,)), ("object", "<u4", (2,))])
_CLEAR = 1e-4  # [deg] of latitude from the reference before its sign can be told


class CarlaObserver:
    """Implements the Observer protocol on the sensors of a CARLA world's egos.

    The world's egos carry them from their next episode on, in place of any others.

    Args:
        world: whose scenes will be observed.
        spec: which sensors.

    Raises:
        ValueError: two sensors of one name.
    """

    def __init__(self, world: World, spec: ObservationSpec) -> None:
        self._world, self._spec = world, spec
        derived = replace(spec, cameras=(), lidars=(), radars=(), gnss=None, imu=None)
        self._derived = SceneObserver(world.network, derived)
        sensors = [_camera(camera) for camera in spec.cameras]
        sensors += [_lidar(lidar, world.dt) for lidar in spec.lidars]
        sensors += [_radar(radar, world.dt) for radar in spec.radars]
        sensors += [] if spec.gnss is None else [_gnss(world.network, spec.gnss)]
        sensors += [] if spec.imu is None else [_imu(spec.imu)]
        world.carry(sensors)

    @property
    def spec(self) -> ObservationSpec:
        """The sensors."""
        return self._spec

    def observe(self, scene: Scene, rows: Ints) -> Observation:
        """Returns what some rows of the world's present look like; see `SceneObserver`.

        Args:
            scene: the world's own.
            rows: indices, (N,).

        Raises:
            ValueError: a scene of another time or world: CARLA's sensors show the present.
        """
        if scene.ego is not self._world.scene.ego:
            raise ValueError(
                "sensors on a CARLA server show its present only; a scene that was kept can be "
                "observed in the embedded world, with SceneObserver"
            )
        rows = np.asarray(rows)
        seen = self._derived.observe(scene, rows)
        return seen | self._world.seen(rows)


def _mount(spec: Any) -> Pose:
    x, y, z, yaw, pitch, roll = (float(getattr(spec, name, 0.0)) for name in _POSE)
    return Pose(x, y, z, yaw, pitch, roll)


def _attributes(spec: Any) -> dict[str, str]:
    """Returns what our specs name as CARLA does."""
    left_out = {"name", "kind", *_POSE}
    return {name: str(value) for name, value in asdict(spec).items() if name not in left_out}


def _sensor(
    blueprint: str,
    spec: Any,
    read: Callable[[Any], Mapping[str, Array]],
    attributes: Mapping[str, str] | None = None,
) -> Sensor:
    given = _attributes(spec) if attributes is None else attributes
    return Sensor(blueprint, given, _mount(spec), read)


def _camera(spec: CameraSpec) -> Sensor:
    convert = {"rgb": _colours, "instance": _colours, "depth": _depth, "semantic": _tags}[spec.kind]

    def read(image: Any) -> Mapping[str, Array]:
        raw = np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)
        return {spec.name: convert(raw)}

    size = {"image_size_x": str(spec.width), "image_size_y": str(spec.height)}
    return _sensor(_CAMERAS[spec.kind], spec, read, size | {"fov": str(spec.fov)})


def _colours(raw: Ints) -> Ints:
    return np.ascontiguousarray(raw[:, :, 2::-1])


def _tags(raw: Ints) -> Ints:
    return np.ascontiguousarray(raw[:, :, 2])


def _depth(raw: Ints) -> Floats:
    """CARLA's 24 bits, the least in red, over 1000 m ("Depth camera")."""
    wide = raw.astype(np.uint32)
    code = wide[:, :, 2] + (wide[:, :, 1] << 8) + (wide[:, :, 0] << 16)
    depth: Floats = (code * (_FAR / _STEPS)).astype(np.float32)
    return depth


def _lidar(spec: LidarSpec, dt: float) -> Sensor:
    # So much an embedded lidar could say in one frame.
    room = int(spec.points_per_second * dt / spec.channels + 0.5) * spec.channels
    semantic = spec.kind == "semantic"

    def read(sweep: Any) -> Mapping[str, Array]:
        points, objects = np.zeros((room, 4), np.float32), np.zeros((room, 2), np.int32)
        if semantic:
            both = np.frombuffer(sweep.raw_data, _SEMANTIC_POINT)[:room]
            found = both["place"]
            objects[: len(both)] = both["object"]
        else:
            found = np.frombuffer(sweep.raw_data, np.float32).reshape(-1, 4)[:room]
        points[: len(found)] = found
        points[:, 1] = handedness.y_from_carla(points[:, 1])
        told = {spec.name: points, f"{spec.name}_count": np.array(len(found), np.int32)}
        return told | ({f"{spec.name}_objects": objects} if semantic else {})

    name = "sensor.lidar.ray_cast_semantic" if semantic else "sensor.lidar.ray_cast"
    return _sensor(name, spec, read)


def _radar(spec: RadarSpec, dt: float) -> Sensor:
    room = int(spec.points_per_second * dt + 1e-9)

    def read(sweep: Any) -> Mapping[str, Array]:
        told = np.frombuffer(sweep.raw_data, np.float32).reshape(-1, 4)[:room]
        points = np.zeros((room, 4), np.float32)
        points[: len(told)] = told[:, [3, 1, 2, 0]]  # velocity, azimuth, altitude, depth
        points[:, 1] = handedness.y_from_carla(points[:, 1])
        return {spec.name: points, f"{spec.name}_count": np.array(len(told), np.int32)}

    return _sensor("sensor.other.radar", spec, read)


def _gnss(network: RoadNetwork, spec: GnssSpec) -> Sensor:
    """CARLA's latitude has the wrong sign on some maps: the one place where it is turned.

    On maps in a transverse Mercator projection 0.9.16 measures latitude towards +y, which is
    south. Where the sensor is tells which of the two a server does.
    """
    reference = float(network.geo_reference[0])
    turned = [False]

    def read(fix: Any) -> Mapping[str, Array]:
        at, latitude = fix.transform.location, float(fix.latitude)
        there = np.array([[at.x, handedness.y_from_carla(at.y), at.z]])
        north = float(geolocations(network, there)[0, 0]) - reference
        if abs(north) > _CLEAR:
            measured = latitude - reference
            turned[0] = abs(measured + north) < abs(measured - north)
        if turned[0]:
            latitude = 2.0 * reference - latitude
        return {"gnss": np.array([latitude, fix.longitude, fix.altitude])}

    return _sensor("sensor.other.gnss", spec, read)


def _imu(spec: ImuSpec) -> Sensor:
    def read(felt: Any) -> Mapping[str, Array]:
        push, turn = felt.accelerometer, felt.gyroscope
        force = handedness.vectors_from_carla(np.array([push.x, push.y, push.z]))
        rates = handedness.turn_rates_from_carla(np.array([turn.x, turn.y, turn.z]))
        compass = float(felt.compass) % (2.0 * math.pi)
        return {"imu": np.array([*force, *rates, compass])}

    return _sensor("sensor.other.imu", spec, read)
