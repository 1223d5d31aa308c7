"""What an agent sees is the scene in CARLA's formats, to the exact value."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from drive_il.evaluation.agent_memory import AgentMemory
from drive_il.evaluation.agent_sensors import AgentSensor
from drive_il.maps import library
from tests import agent_drives

SENSES = """
    def setup(self, config):
        self.track = Track.MAP
        self.config = config

    def sensors(self):
        at = dict(x=1.5, y=-0.5, z=1.6, roll=0.0, pitch=5.0, yaw=30.0)
        level = dict(at, pitch=0.0)
        flat = dict(level, yaw=0.0)
        return [
            dict(type='sensor.camera.rgb', id='Center', width=40, height=24, fov=90, **at),
            dict(type='sensor.lidar.ray_cast', id='lidar', **level),
            dict(type='sensor.other.radar', id='radar', horizontal_fov=30, vertical_fov=20, **at),
            dict(type='sensor.other.gnss', id='gps', **at),
            dict(type='sensor.other.imu', id='imu', **flat),
            dict(type='sensor.speedometer', id='speed'),
            dict(type='sensor.opendrive_map', id='map', reading_frequency=10),
        ]

    def run_step(self, data, timestamp):
        import pickle
        with open(self.config, 'ab') as file:
            pickle.dump({key: value for key, value in data.items()}, file)
        data['Center'][1].shape
        for key in ('Center', 'lidar', 'radar'):
            assert not data[key][1].flags.writeable, key
        return carla.VehicleControl(throttle=0.7, steer=-0.2)
"""


def test_input_data_is_the_scene_in_carlas_formats(tmp_path: Path) -> None:
    import pickle  # our own agent's file

    path, log = agent_drives.write_agent(tmp_path, SENSES), tmp_path / "log"
    with agent_drives.host(path, "lb2.1", str(log), track="MAP") as host:
        policy = agent_drives.begin(host)
        episode = agent_drives.few_steps(policy, 4)
        assert policy.failure is None, policy.failure.detail
        assert policy.sensors[:3] == ["carla_camera", "carla_lidar", "carla_radar"]
    ours = episode.observations
    with log.open("rb") as file:
        for k in range(4):
            seen = pickle.load(file)
            assert {frame for frame, _ in seen.values()} == {k + 1}
            check_formats(seen, {name: value[k] for name, value in ours.items()})
            assert ("map" in seen) == (k % 2 == 0), "10 Hz at 20 steps a second"
    steer = episode.control["steer"]
    assert set(steer.tolist()) == {float(np.float32(0.2))}, "CARLA's left is negative"


def check_formats(seen: dict, ours: dict) -> None:
    image = seen["Center"][1]
    assert image.dtype == np.uint8
    assert image.shape == (24, 40, 4)
    np.testing.assert_array_equal(image[..., :3][..., ::-1], ours["sensor.camera.rgb.0"])
    assert (image[..., 3] == 255).all()
    n_points = ours["sensor.lidar.ray_cast.0_count"]
    points, cloud = ours["sensor.lidar.ray_cast.0"][:n_points], seen["lidar"][1]
    assert cloud.dtype == np.float32
    np.testing.assert_array_equal(cloud, points * np.array([1, -1, 1, 1], np.float32))
    n_echoes = ours["sensor.other.radar.0_count"]
    depth, azimuth, altitude, velocity = ours["sensor.other.radar.0"][:n_echoes].T
    expected = np.stack([depth, altitude, -azimuth, velocity], axis=1)
    np.testing.assert_array_equal(seen["radar"][1], expected)
    assert seen["radar"][1].dtype == np.float32
    np.testing.assert_array_equal(seen["gps"][1], ours["gnss"])
    mirrored = ours["imu"] * np.array([1, -1, 1, -1, 1, -1, 1])
    np.testing.assert_array_equal(seen["imu"][1], mirrored)
    assert seen["gps"][1].dtype == seen["imu"][1].dtype == np.float64
    assert seen["speed"][1] == {"speed": float(ours["speedometer"])}
    if "map" in seen:
        assert seen["map"][1] == {"opendrive": library.opendrive_text("alder")}


KEEPS = """
    def sensors(self):
        at = dict(x=1.5, y=0.0, z=1.6, roll=0.0, pitch=0.0, yaw=0.0)
        return [dict(type='sensor.camera.rgb', id='c', width=40, height=24, fov=90, **at)]

    def setup(self, config):
        self.kept, self.copies = [], []

    def run_step(self, data, timestamp):
        image = data['c'][1]
        self.kept.append(image[::2])
        self.copies.append(image[::2].copy())
        for one, other in zip(self.kept, self.copies):
            assert (one == other).all(), 'an image that was kept has changed'
        if len(self.kept) > 7:
            self.kept, self.copies = [], []
        return carla.VehicleControl(throttle=0.9)
"""


def test_images_that_an_agent_keeps_do_not_change(tmp_path: Path) -> None:
    with agent_drives.host(agent_drives.write_agent(tmp_path, KEEPS)) as host:
        policy = agent_drives.begin(host)
        agent_drives.few_steps(policy, 20)
        assert policy.failure is None, policy.failure.detail


def test_nobody_else_can_write_to_an_agents_memory() -> None:
    sensor = AgentSensor("sensor.speedometer", "speed", "sensor.speedometer.0", {})
    memory = AgentMemory((sensor,), {"speedometer": np.ones(1, np.float32)})
    size = os.fstat(memory.descriptor).st_size
    with pytest.raises(OSError, match="not permitted|denied"):
        mmap.mmap(memory.descriptor, size)
    again = os.open(f"/proc/self/fd/{memory.descriptor}", os.O_RDWR)
    try:
        with pytest.raises(OSError, match="not permitted|denied"):
            mmap.mmap(again, size)
        with pytest.raises(OSError, match="not permitted|denied"):
            os.write(again, b"x")
    finally:
        os.close(again)
    seen = mmap.mmap(memory.descriptor, size, prot=mmap.PROT_READ)
    memory.write(0, {"speedometer": np.full(1, 2.5, np.float32)})
    assert np.frombuffer(seen, np.float64, 1)[0] == 2.5
    os.close(memory.descriptor)
