"""What a sensor is given at a tick: the world, and where in it the sensor is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from drive_il.actors import ROUTE_STOP
from drive_il.carla_sim.server.actors import Actor
from drive_il.carla_sim.server.frames import Pose, Transform, pose_of
from drive_il.carla_sim.server.live_world import LiveWorld
from drive_il.carla_sim.server.wire import Message, Payload, framed, header
from drive_il.datatypes import (
    PROGRESS,
    ROUTE_POINT,
    Actors,
    Records,
    RouteTable,
    Scene,
    no_events,
)
from drive_il.sim import vehicle

_NOBODY = np.zeros(0, np.int32)
_NO_ROUTES = RouteTable(
    np.zeros(0, ROUTE_POINT), _NOBODY, _NOBODY, np.zeros(0, ROUTE_STOP), _NOBODY, _NOBODY
)
_LOWEST = 0.05  # [m] above the road, of a sensor that hangs free
ROWS = np.zeros(1, np.int64)
"""the only row of a moment's scene"""


@dataclass(frozen=True)
class Moment:
    """One sensor at one tick.

    Attributes:
        world: all that moves.
        weather: (1,) WEATHER.
        frame: number of the tick.
        elapsed: since the episode began [s].
        dt: length of the tick [s].
        sensor: the actor.
        transform: its, in the world and CARLA's frame.
        slot: of the vehicle that carries it, -1 where it hangs free.
    """

    world: LiveWorld
    weather: Records
    frame: int
    elapsed: float
    dt: float
    sensor: Actor
    transform: Transform
    slot: int

    def head(self, payload: Payload) -> bytes:
        """What the sensor's message begins with, after its length."""
        return header(payload, self.frame, self.elapsed, self.transform)

    def message(self, payload: Payload, *parts: bytes) -> bytes:
        """The sensor's whole message."""
        return framed(self.head(payload), *parts)

    def mount(self) -> Pose:
        """Where the sensor is relative to the scene's only ego, z above the road."""
        if self.slot >= 0:
            return pose_of(self.sensor.transform)
        pose = pose_of(self.transform)
        height = pose.z - self.world.ground_height(pose.x, pose.y, pose.z)
        return Pose(0.0, 0.0, max(height, _LOWEST), 0.0, pose.pitch, pose.roll)

    def scene(self) -> Scene:
        """The world as seen from one ego: the vehicle that carries the sensor, or no one.

        A sensor that hangs free has an ego without a body right below it.
        """
        world = self.world
        if self.slot >= 0:
            ego = world.vehicles[self.slot : self.slot + 1]
            events = world.events[self.slot : self.slot + 1]
        else:
            pose = pose_of(self.transform)
            ego = vehicle.standing(1)
            for name in ("length", "width", "height"):
                ego[name] = 0.0
            ego["x"], ego["y"], ego["heading"] = pose.x, pose.y, pose.heading
            ego["z"] = world.ground_height(pose.x, pose.y, pose.z)
            events = no_events(1)
        return Scene(
            ego,
            np.zeros(1, PROGRESS),
            self.weather,
            np.array([world.step_number]),
            np.array([world.seed], np.uint64),
            _NO_ROUTES,
            self.dt,
            Actors(
                world.vehicles[None],
                world.walkers[None],
                world.lights[None],
                np.zeros(1, np.int32),
                np.array([self.slot], np.int32),
            ),
            events,
        )


class Sensor(Protocol):
    """Makes a sensor's messages."""

    def sense(self, moment: Moment) -> Sequence[Message]:
        """Returns the messages of one tick, mostly one, to be sent before the next."""
        ...
