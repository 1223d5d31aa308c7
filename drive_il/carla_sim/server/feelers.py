"""CARLA's GNSS, IMU, collision detector and obstacle detector, as the client decodes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import numpy as np

from drive_il import handedness
from drive_il.actors import Struck
from drive_il.carla_sim.server.actors import Actor, number
from drive_il.carla_sim.server.frames import pose_of
from drive_il.carla_sim.server.moments import ROWS, Moment
from drive_il.carla_sim.server.wire import Payload
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import GnssSpec, ImuSpec
from drive_il.sensors.inertial import Gnss, Imu
from drive_il.sim.obstacles import obstacles_of

Find = Callable[[int], Actor]
"""Finds an actor by its id; 0 is the scenery."""
_TURN = 2.0 * math.pi


class GnssSensor:
    """Satellite navigation of a client; where its noise is concerned as in an episode."""

    def __init__(self, network: RoadNetwork, values: Mapping[str, str]) -> None:
        self._network, given = network, dict(values)
        names = [f"noise_{axis}_{kind}" for axis in ("lat", "lon", "alt") for kind in _NOISES]
        self._noise = {name: number(given, name) for name in names}

    def sense(self, moment: Moment) -> list[bytes]:
        """Returns latitude, longitude [deg] and altitude [m]."""
        mount = moment.mount()
        spec = GnssSpec(**self._noise, x=mount.x, y=mount.y, z=mount.z)
        place = Gnss(self._network, spec).locate(moment.scene(), ROWS)[0]
        return [moment.message(Payload.GNSS, msgpack.packb(place.tolist()))]


_NOISES = ("bias", "stddev")


class ImuSensor:
    """Accelerometer, gyroscope and compass of a client."""

    def __init__(self, values: Mapping[str, str]) -> None:
        given = dict(values)
        names = [f"noise_{what}_{axis}" for what in _IMU_NOISES for axis in "xyz"]
        self._noise = {name: number(given, name) for name in names}

    def sense(self, moment: Moment) -> list[bytes]:
        """Returns specific force [m/s^2], turn rates [rad/s] and compass [rad].

        They are those of a sensor turned by its yaw; its pitch and roll are not felt.
        """
        mount = moment.mount()
        felt = Imu(ImuSpec(**self._noise, x=mount.x, y=mount.y)).feel(moment.scene(), ROWS)[0]
        cos, sin = math.cos(mount.heading), math.sin(mount.heading)
        forward, left = cos * felt[0] + sin * felt[1], cos * felt[1] - sin * felt[0]
        force = [forward, handedness.y_to_carla(left), float(felt[2])]
        # Of roll and pitch there is only noise, which has no side.
        turn = math.radians(handedness.yaw_rate_to_carla(float(felt[5])))
        rates = [float(felt[3]), float(felt[4]), turn]
        compass = (float(felt[6]) - mount.heading) % _TURN
        body = msgpack.packb([force, rates, compass])
        return [moment.message(Payload.IMU, body)]


_IMU_NOISES = ("accel_stddev", "gyro_bias", "gyro_stddev")


class CollisionSensor:
    """What the vehicle that carries it met in the last tick, in every tick that it lasts.

    Args:
        find: of the episode.
        port: of the streams.
    """

    def __init__(self, find: Find, port: int) -> None:
        self._find, self._port = find, port

    def sense(self, moment: Moment) -> list[bytes]:
        """Returns one message per contact, with the impulse on the carrier [N s]."""
        if moment.slot < 0:
            return []
        world, me = moment.world, moment.sensor.parent
        events = world.events
        found = []
        own = events[moment.slot]
        if own["struck"] != Struck.NOTHING:
            found.append((int(own["struck_id"]), float(own["impulse_x"]), float(own["impulse_y"])))
        for slot in np.flatnonzero(events["struck_id"] == me):
            # Somebody ran into it: what pushed him pushed it the other way.
            one = events[slot]
            id = int(world.vehicles["id"][slot])
            found.append((id, -float(one["impulse_x"]), -float(one["impulse_y"])))
        return [self._message(moment, me, *contact) for contact in found]

    def _message(self, moment: Moment, me: int, other: int, x: float, y: float) -> bytes:
        impulse = [x, handedness.y_to_carla(y), 0.0]
        parts = [self._find(me).on_wire(self._port), self._find(other).on_wire(self._port), impulse]
        body: bytes = msgpack.packb(parts)
        return moment.message(Payload.COLLISION, body)


class ObstacleSensor:
    """Whatever is ahead within a distance, nearest first, along a thick ray.

    Args:
        network: the map.
        values: its attributes: distance, hit_radius, only_dynamics.
        find: of the episode.
        port: of the streams.
    """

    def __init__(
        self, network: RoadNetwork, values: Mapping[str, str], find: Find, port: int
    ) -> None:
        given = dict(values)
        self._distance, self._radius = number(given, "distance"), number(given, "hit_radius")
        self._boxes = np.zeros((0, 5))
        if given["only_dynamics"].lower() != "true":
            boxes = np.unique(obstacles_of(network).boxes)
            names = ("x", "y", "heading", "length", "width")
            self._boxes = np.stack([boxes[name] for name in names], 1).reshape(-1, 5)
        self._find, self._port = find, port

    def sense(self, moment: Moment) -> list[bytes]:
        """Returns at most one message: the nearest obstacle and its distance [m]."""
        pose, world = pose_of(moment.transform), moment.world
        cos, sin = math.cos(pose.heading), math.sin(pose.heading)
        best, who = self._distance, -1
        vehicles, walkers = world.vehicles, world.walkers
        bodies = [(0, *box) for box in self._boxes[_near(self._boxes, pose.x, pose.y, best)]]
        for slot in np.flatnonzero(vehicles["id"]).tolist():
            if slot != moment.slot:
                one = vehicles[slot]
                size = (one["heading"], one["length"], one["width"])
                bodies.append((int(one["id"]), one["x"], one["y"], *size))
        for one in walkers[walkers["id"] > 0]:
            wide = 2.0 * one["radius"]
            bodies.append((int(one["id"]), one["x"], one["y"], one["heading"], wide, wide))
        for id, x, y, heading, length, width in bodies:
            dx, dy = x - pose.x, y - pose.y
            ahead, left = cos * dx + sin * dy, cos * dy - sin * dx
            turn = heading - pose.heading
            c, s = abs(math.cos(turn)), abs(math.sin(turn))
            reach, side = 0.5 * (length * c + width * s), 0.5 * (length * s + width * c)
            gap = ahead - reach
            if abs(left) < side + self._radius and ahead > 0.0 and max(gap, 0.0) < best:
                best, who = max(gap, 0.0), id
        if who < 0:
            return []
        return [self._message(moment, who, best)]

    def _message(self, moment: Moment, who: int, distance: float) -> bytes:
        me = moment.sensor.parent or moment.sensor.id
        parts: list[Any] = [self._find(one).on_wire(self._port) for one in (me, who)]
        body: bytes = msgpack.packb([*parts, float(distance)])
        return moment.message(Payload.OBSTACLE, body)


def _near(boxes: Any, x: float, y: float, distance: float) -> Any:
    if not len(boxes):
        return np.zeros(0, np.int64)
    reach = distance + 0.5 * np.hypot(boxes[:, 3], boxes[:, 4])
    return np.flatnonzero(np.hypot(boxes[:, 0] - x, boxes[:, 1] - y) < reach)
