"""The bytes that CARLA's 0.9.16 client exchanges with a server.

Calls are msgpack-rpc: a request is [0, number, method, arguments], its answer
[1, number, error, result]; structures travel as arrays of their members in order. Sensors and
the state of the world are streams on the next port: the client sends the number of a stream,
the server messages of a little-endian length and so many bytes. The layouts were established
against the 0.9.16 client; other versions differ.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np

Message = bytes | memoryview
"""One message of a stream, its length before it"""
VERSION = "0.9.16"
"""of the client that these layouts are for"""
WORLD_STREAM = 1
"""number of the stream of snapshots"""


class Payload(IntEnum):
    """What a message of a stream holds: the order of the client's sensor registry."""

    COLLISION = 0
    DEPTH = 1
    GNSS = 4
    IMU = 5
    OBSTACLE = 7
    RADAR = 9
    SEMANTIC_LIDAR = 10
    LIDAR = 11
    RGB = 13
    SEMANTIC = 14
    INSTANCE = 15
    SNAPSHOT = 17


class AttributeType(IntEnum):
    """Types of a blueprint's attributes."""

    BOOL = 1
    INT = 2
    FLOAT = 3
    STRING = 4
    RGB = 5


COMMANDS = (
    "SpawnActor",
    "DestroyActor",
    "ApplyVehicleControl",
    "ApplyVehicleAckermannControl",
    "ApplyWalkerControl",
    "ApplyVehiclePhysicsControl",
    "ApplyTransform",
    "ApplyWalkerState",
    "ApplyTargetVelocity",
    "ApplyTargetAngularVelocity",
    "ApplyImpulse",
    "ApplyForce",
    "ApplyAngularImpulse",
    "ApplyTorque",
    "SetSimulatePhysics",
    "SetEnableGravity",
    "SetAutopilot",
    "ShowDebugTelemetry",
    "SetVehicleLightState",
    "ApplyLocation",
    "ConsoleCommand",
    "SetTrafficLightState",
)
"""commands of a batch, by their number"""

_HEADER = struct.Struct("<QQd6f")
_EPISODE = struct.Struct("<Qdf3iI")
_TOKEN = struct.Struct("<IHBB16s")
_IMAGE = struct.Struct("<IIf")
_TCP, _SAME_HOST, _IPV4 = 1, 0, 1

_STATE = [
    ("id", "<u4"),
    ("state", "u1"),  # 1: active
    ("transform", "<f4", (6,)),  # x, y, z [m], pitch, yaw, roll [deg]
    ("velocity", "<f4", (3,)),  # [m/s]
    ("angular_velocity", "<f4", (3,)),  # [deg/s]
    ("acceleration", "<f4", (3,)),  # [m/s^2]
]
_SIZE = 119


def _record(*more: Any) -> np.dtype[np.void]:
    """One actor of a snapshot: what all have, what its kind has, zeros up to the fixed size."""
    fields = [*_STATE, *more]
    used = np.dtype(fields).itemsize
    return np.dtype([*fields, ("rest", f"V{_SIZE - used}")] if used < _SIZE else fields)


ACTOR_STATE = _record()
VEHICLE_STATE = _record(
    ("throttle", "<f4"),
    ("steer", "<f4"),  # right positive
    ("brake", "<f4"),
    ("hand_brake", "?"),
    ("reverse", "?"),
    ("manual_gear_shift", "?"),
    ("gear", "<i4"),
    ("speed_limit", "<f4"),  # [km/h]
    ("light_state", "u1"),  # of the traffic light it is at
    ("has_light", "?"),
    ("light_id", "<u4"),
    ("failure", "u1"),
)
WALKER_STATE = _record(("direction", "<f4", (3,)), ("speed", "<f4"), ("jump", "?"))
LIGHT_STATE = _record(
    ("sign_id", "S32"),
    ("green_time", "<f4"),  # [s]
    ("yellow_time", "<f4"),
    ("red_time", "<f4"),
    ("elapsed", "<f4"),
    ("pole_index", "<u4"),
    ("frozen", "?"),
    ("light_state", "u1"),
)
SIGN_STATE = _record(("sign_id", "S32"))


def value(result: Any) -> list[Any]:
    """The result of a call that returns something."""
    return [[1, result]]


def failure(message: str) -> list[Any]:
    """The result of such a call that failed."""
    return [[0, [message]]]


def done() -> list[Any]:
    """The result of a call that returns nothing."""
    return [[False]]


def undone(message: str) -> list[Any]:
    """The result of such a call that failed."""
    return [[True, [message]]]


def optional(given: Any) -> list[Any]:
    """A value that may be missing (None)."""
    return [False] if given is None else [True, given]


def from_optional(sent: Sequence[Any]) -> Any:
    """The value inside an optional, None when it is missing."""
    return sent[1] if len(sent) == 2 and sent[0] else None


def token(stream: int, port: int, host: str | None = None) -> bytes:
    """Where a stream is found, 24 bytes.

    Args:
        stream: its number.
        port: of the streams.
        host: IPv4 address; None is the one that the client called.
    """
    if host is None:
        return _TOKEN.pack(stream, port, _TCP, _SAME_HOST, b"")
    return _TOKEN.pack(stream, port, _TCP, _IPV4, ipaddress.IPv4Address(host).packed)


def framed(*parts: bytes) -> bytes:
    """A message of a stream: its length before it."""
    return b"".join((sum(map(len, parts)).to_bytes(4, "little"), *parts))


def header(payload: Payload, frame: int, elapsed: float, transform: Sequence[float]) -> bytes:
    """What every message begins with.

    Args:
        payload: what follows.
        frame: number of the tick.
        elapsed: since the episode began [s].
        transform: of the sensor in CARLA's frame: x, y, z [m], pitch, yaw, roll [deg].
    """
    return _HEADER.pack(payload, frame, elapsed, *transform)


def episode_header(episode: int, wall_clock: float, delta: float) -> bytes:
    """What a snapshot begins with, after the header.

    Args:
        episode: its number.
        wall_clock: [s].
        delta: length of the last tick [s].
    """
    return _EPISODE.pack(episode, wall_clock, delta, 0, 0, 0, 0)


def image_header(width: int, height: int, fov: float) -> bytes:
    """What a picture begins with: its size [pixels] and field of view [deg]."""
    return _IMAGE.pack(width, height, fov)
