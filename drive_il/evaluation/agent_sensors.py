"""An agent's list of sensors: checked by the protocol's rules, and as our ObservationSpec."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from drive_il import handedness
from drive_il.evaluation.agent_rules import AgentRules
from drive_il.evaluation.agent_spec import SENSORS_INVALID, AgentFailure
from drive_il.sensor_specs import (
    CameraSpec,
    GnssSpec,
    ImuSpec,
    LidarSpec,
    ObservationSpec,
    RadarSpec,
)

_PLACE = ("x", "y", "z")
_TURN = ("roll", "pitch", "yaw")
_KEYS: dict[str, tuple[str, ...]] = {
    "sensor.camera.rgb": (*_PLACE, *_TURN, "width", "height", "fov"),
    "sensor.lidar.ray_cast": (*_PLACE, *_TURN),
    "sensor.other.radar": (*_PLACE, *_TURN),
    "sensor.other.gnss": _PLACE,
    "sensor.other.imu": (*_PLACE, *_TURN),
    "sensor.speedometer": (),
    "sensor.opendrive_map": ("reading_frequency",),
}
ICONS = {
    "sensor.camera.rgb": "carla_camera",
    "sensor.lidar.ray_cast": "carla_lidar",
    "sensor.other.radar": "carla_radar",
    "sensor.other.gnss": "carla_gnss",
    "sensor.other.imu": "carla_imu",
    "sensor.speedometer": "carla_speedometer",
    "sensor.opendrive_map": "carla_opendrive_map",
}
"""names of sensors in the leaderboard's results file"""
_MAX_PIXELS = 1 << 26  # of all cameras together: what one frame may take in shared memory


@dataclass(frozen=True)
class AgentSensor:
    """One sensor of an agent.

    Attributes:
        type: CARLA's type.
        id: the agent's own name for it, its key in `input_data`.
        name: ours, its key in the observation.
        values: its numbers as the agent gave them: metres, degrees, CARLA's frame.
    """

    type: str
    id: str
    name: str
    values: dict[str, float]


def read_sensors(
    told: Any, rules: AgentRules, track: str, agent_track: str
) -> tuple[AgentSensor, ...]:
    """Checks what an agent's `sensors()` returned.

    Args:
        told: the list, out of the agent's process.
        rules: of the protocol.
        track: entered.
        agent_track: which the agent set itself.

    Raises:
        AgentFailure: SENSORS_INVALID; the sensors are against the rules.
    """
    if agent_track != track:
        raise _invalid(
            f"the agent's track is {agent_track} and the entry's {track}; set self.track in "
            "setup, or enter the other track"
        )
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise _invalid("sensors() must return a list of dictionaries")
    allowed, sensors = rules.counts(track), list[AgentSensor]()
    counts: Counter[str] = Counter()
    for one in told:
        kind = str(one.get("type"))
        if kind not in allowed:
            raise _invalid(f"sensor type {kind!r} is not one of {', '.join(allowed)}")
        sensors.append(_read(one, kind, counts[kind], rules))
        counts[kind] += 1
        if counts[kind] > allowed[kind]:
            raise _invalid(f"the protocol allows {allowed[kind]} of {kind}, got more")
    twice = [id for id, n in Counter(sensor.id for sensor in sensors).items() if n > 1]
    if twice:
        raise _invalid(f"two sensors have the id {twice[0]!r}; ids must differ")
    if counts["sensor.opendrive_map"] and "MAP" not in track:  # CARLA's lets qualifiers pass
        raise _invalid(f"sensor.opendrive_map is for the MAP track, the entry's is {track}")
    return tuple(sensors)


def _read(one: dict[str, Any], kind: str, index: int, rules: AgentRules) -> AgentSensor:
    if not isinstance(one.get("id"), str):
        raise _invalid(f"a {kind} has no id; every sensor needs one, a string")
    needed = _KEYS[kind]
    if kind == "sensor.other.radar":
        is_old = rules.dialect == "lb1"
        needed += ("fov",) if is_old else ("horizontal_fov", "vertical_fov")
    values: dict[str, float] = {}
    for key in needed:
        value = one.get(key)
        if not isinstance(value, float) or not math.isfinite(value):
            raise _invalid(f"{kind} {one['id']!r} needs a finite number for {key}, got {value!r}")
        values[key] = value
    radius = math.hypot(*(values.get(key, 0.0) for key in _PLACE))
    if radius > rules.radius:
        raise _invalid(
            f"{kind} {one['id']!r} is {radius:.2f} m from the ego's origin; at most "
            f"{rules.radius:g} m are allowed"
        )
    if kind == "sensor.other.imu" and any(values[key] != 0.0 for key in _TURN):
        raise _invalid(f"{kind} {one['id']!r} must not be turned: its roll, pitch and yaw are 0")
    if kind == "sensor.opendrive_map" and values["reading_frequency"] <= 0.0:
        raise _invalid(f"{kind} {one['id']!r} needs a reading_frequency above 0 Hz")
    return AgentSensor(kind, one["id"], f"{kind}.{index}", values)


def observation_spec(sensors: tuple[AgentSensor, ...]) -> ObservationSpec:
    """Returns what a world must show for these sensors.

    Raises:
        AgentFailure: SENSORS_INVALID; the embedded world has no such sensor (a camera of no
            or too many pixels, say).
    """
    by_type: dict[str, list[AgentSensor]] = {kind: [] for kind in _KEYS}
    for sensor in sensors:
        by_type[sensor.type].append(sensor)
    pixels = sum(s.values["width"] * s.values["height"] for s in by_type["sensor.camera.rgb"])
    if pixels > _MAX_PIXELS:
        raise _invalid(f"cameras have {pixels:.0f} pixels together; at most {_MAX_PIXELS} fit")
    try:
        return ObservationSpec(
            cameras=tuple(_camera(sensor) for sensor in by_type["sensor.camera.rgb"]),
            lidars=tuple(
                LidarSpec(name=sensor.name, **_mounting(sensor))
                for sensor in by_type["sensor.lidar.ray_cast"]
            ),
            radars=tuple(_radar(sensor) for sensor in by_type["sensor.other.radar"]),
            gnss=next((_gnss(sensor) for sensor in by_type["sensor.other.gnss"]), None),
            imu=next((_imu(sensor) for sensor in by_type["sensor.other.imu"]), None),
            speedometer=bool(by_type["sensor.speedometer"]),
        )
    except ValueError as error:
        raise _invalid(str(error)) from None


def _mounting(sensor: AgentSensor) -> dict[str, Any]:
    """Returns place [m] and rotation [rad] in our frame."""
    values = sensor.values
    return {
        "x": values["x"],
        "y": handedness.y_from_carla(values["y"]),
        "z": values["z"],
        "yaw": handedness.heading_from_carla(values["yaw"]),
        "pitch": float(np.deg2rad(values["pitch"])),
        "roll": float(np.deg2rad(values["roll"])),
    }


def _camera(sensor: AgentSensor) -> CameraSpec:
    width, height = int(sensor.values["width"]), int(sensor.values["height"])
    fov = sensor.values["fov"]
    return CameraSpec(name=sensor.name, width=width, height=height, fov=fov, **_mounting(sensor))


def _radar(sensor: AgentSensor) -> RadarSpec:
    values = sensor.values
    wide = values.get("fov", values.get("horizontal_fov", 0.0))
    tall = values.get("fov", values.get("vertical_fov", 0.0))
    return RadarSpec(name=sensor.name, horizontal_fov=wide, vertical_fov=tall, **_mounting(sensor))


def _gnss(sensor: AgentSensor) -> GnssSpec:
    values = sensor.values
    return GnssSpec(x=values["x"], y=handedness.y_from_carla(values["y"]), z=values["z"])


def _imu(sensor: AgentSensor) -> ImuSpec:
    return ImuSpec(x=sensor.values["x"], y=handedness.y_from_carla(sensor.values["y"]))


def _invalid(reason: str) -> AgentFailure:
    return AgentFailure(SENSORS_INVALID, reason)
