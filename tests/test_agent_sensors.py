"""Which sensors a protocol lets an agent have."""

from __future__ import annotations

import math
from typing import Any

import pytest

from drive_il.evaluation.agent_rules import rules_of
from drive_il.evaluation.agent_sensors import observation_spec, read_sensors
from drive_il.evaluation.agent_spec import SENSORS_INVALID, AgentFailure
from drive_il.evaluation.protocol import PROTOCOLS

AT = {"x": 1.0, "y": 0.5, "z": 2.0, "roll": 10.0, "pitch": 20.0, "yaw": 30.0}
KEYS: dict[str, dict[str, float]] = {
    "sensor.camera.rgb": {**AT, "width": 40.0, "height": 20.0, "fov": 70.0},
    "sensor.lidar.ray_cast": AT,
    "sensor.other.radar": {**AT, "fov": 30.0, "horizontal_fov": 30.0, "vertical_fov": 20.0},
    "sensor.other.gnss": AT,
    "sensor.other.imu": {**AT, "roll": 0.0, "pitch": 0.0, "yaw": 0.0},
    "sensor.speedometer": {},
    "sensor.opendrive_map": {"reading_frequency": 1.0},
}
FEW = {
    "sensor.camera.rgb": 4,
    "sensor.lidar.ray_cast": 1,
    "sensor.other.radar": 2,
    "sensor.other.gnss": 1,
    "sensor.other.imu": 1,
    "sensor.speedometer": 1,
    "sensor.opendrive_map": 1,
}
MANY = FEW | {"sensor.camera.rgb": 8, "sensor.lidar.ray_cast": 2, "sensor.other.radar": 4}
LIMITS = [
    ("lb1", "MAP", FEW),
    ("lb2.0", "MAP", MANY),
    ("lb2.1", "MAP", MANY),
    ("lb2.1", "MAP_QUALIFIER", FEW),
]


def sensor(kind: str, k: int = 0, **changes: Any) -> dict[str, Any]:
    return {"type": kind, "id": f"{kind} {k}", **KEYS[kind], **changes}


def read(told: Any, protocol: str = "lb2.1", track: str = "MAP", agent_track: str = "") -> Any:
    return read_sensors(told, rules_of(protocol), track, agent_track or track)


def refused(told: Any, reason: str, protocol: str = "lb2.1", track: str = "MAP") -> None:
    with pytest.raises(AgentFailure, match=reason) as caught:
        observation_spec(read(told, protocol, track))
    assert caught.value.status == SENSORS_INVALID


@pytest.mark.parametrize(("protocol", "track", "limits"), LIMITS)
@pytest.mark.parametrize("kind", FEW)
def test_as_many_as_allowed_and_not_one_more(
    kind: str, protocol: str, track: str, limits: dict[str, int]
) -> None:
    most = [sensor(kind, k) for k in range(limits[kind])]
    assert len(read(most, protocol, track)) == limits[kind]
    refused([*most, sensor(kind, 9)], f"allows {limits[kind]} of", protocol, track)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", FEW)
def test_every_key_that_carla_needs_is_needed(kind: str, protocol: str) -> None:
    needed = set(KEYS[kind])
    if kind == "sensor.other.radar":
        old = rules_of(protocol).dialect == "lb1"
        needed -= {"horizontal_fov", "vertical_fov"} if old else {"fov"}
    if kind == "sensor.other.gnss":
        needed -= {"roll", "pitch", "yaw"}
    assert read([sensor(kind)], protocol)
    for key in needed:
        without = sensor(kind)
        del without[key]
        refused([without], f"finite number for {key}, got None", protocol)
        refused([sensor(kind, **{key: float("nan")})], "finite number", protocol)
        refused([sensor(kind, **{key: "1"})], "finite number", protocol)


def test_the_radius_is_3_m_and_100_m_in_bench2drive() -> None:
    camera = "sensor.camera.rgb"
    assert read([sensor(camera, x=0.0, y=1.8, z=2.4)])
    refused([sensor(camera, x=0.1, y=1.8, z=2.4)], "3.00 m from")
    assert read([sensor(camera, x=0.0, y=0.0, z=99.0)], "bench2drive")
    refused([sensor(camera, x=50.0, y=0.0, z=99.0)], "100 m are allowed", "bench2drive")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("camera", "list of dictionaries"),
        (["camera"], "list of dictionaries"),
        ([{"id": "a"}], "sensor type 'None'"),
        ([{"type": "sensor.camera.depth", "id": "a"}], "sensor.camera.depth"),
        ([{"type": "sensor.speedometer"}], "has no id"),
        ([{"type": "sensor.speedometer", "id": 3.0}], "has no id"),
        ([sensor("sensor.camera.rgb", width=0.0)], r"must be in \[1, 8192\]"),
        ([sensor("sensor.camera.rgb", k, width=8192.0, height=8192.0) for k in range(2)], "pixels"),
        ([sensor("sensor.camera.rgb", fov=180.0)], "fov"),
        ([sensor("sensor.other.imu", yaw=5.0)], "must not be turned"),
        ([sensor("sensor.opendrive_map", reading_frequency=0.0)], "above 0 Hz"),
    ],
)
def test_what_is_no_sensor_is_refused(told: Any, reason: str) -> None:
    refused(told, reason)


def test_ids_differ() -> None:
    two = [sensor("sensor.camera.rgb", 1), sensor("sensor.other.gnss", id="sensor.camera.rgb 1")]
    refused(two, "two sensors have the id")


def test_the_map_is_for_the_map_track() -> None:
    for track in ("SENSORS", "SENSORS_QUALIFIER"):
        refused([sensor("sensor.opendrive_map")], "for the MAP track", track=track)
    assert read([sensor("sensor.opendrive_map")], track="MAP")


def test_the_agents_track_is_the_entrys() -> None:
    with pytest.raises(AgentFailure, match="track is MAP and the entry's SENSORS"):
        read([], track="SENSORS", agent_track="MAP")


def test_mounting_is_mirrored_into_our_frame() -> None:
    told = [sensor(kind) for kind in KEYS]
    spec = observation_spec(read(told))
    camera = spec.cameras[0]
    assert (camera.width, camera.height, camera.fov) == (40, 20, 70.0)
    for one in (camera, spec.lidars[0], spec.radars[0]):
        assert (one.x, one.y, one.z) == (1.0, -0.5, 2.0)
        assert one.yaw == pytest.approx(-math.radians(30.0))
        assert one.pitch == pytest.approx(math.radians(20.0))
        assert one.roll == pytest.approx(math.radians(10.0))
    assert spec.gnss is not None
    assert (spec.gnss.x, spec.gnss.y, spec.gnss.z) == (1.0, -0.5, 2.0)
    assert spec.imu is not None
    assert (spec.imu.x, spec.imu.y) == (1.0, -0.5)
    assert spec.speedometer
    radar = spec.radars[0]
    assert (radar.horizontal_fov, radar.vertical_fov) == (30.0, 20.0)


def test_unknown_protocols_and_tracks_are_named() -> None:
    with pytest.raises(ValueError, match=r"one of lb1, .*got 'lb3'"):
        rules_of("lb3")
