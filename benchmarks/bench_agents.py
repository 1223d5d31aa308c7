"""How fast does an agent in CARLA's interface get its pictures and give its control?

One step of `AgentPolicy`: the sensors' data into shared memory in CARLA's formats, a message
there, `run_step` of an agent that looks at one pixel, a message back. Rendering is not in it.
`copied` is what it would take to send the same pictures through the socket by pickle.
"""

from __future__ import annotations

import pickle
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import agent_drives

CAMERAS = {"96x64": (1, 96, 64), "800x600": (1, 800, 600), "6 x 1600x900": (6, 1600, 900)}
AGENT = """
    def setup(self, config):
        self.cameras = [int(word) for word in config.split()]

    def sensors(self):
        n, width, height = self.cameras
        at = dict(x=0.0, y=0.0, z=2.0, roll=0.0, pitch=0.0, fov=70.0, width=width, height=height)
        return [
            dict(type="sensor.camera.rgb", id=str(k), yaw=60.0 * k, **at) for k in range(n)
        ]

    def run_step(self, data, timestamp):
        for _, picture in data.values():
            picture[0, 0, 0]
        return carla.VehicleControl(throttle=0.5)
"""


@pytest.fixture(params=CAMERAS)
def driving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    cameras = CAMERAS[request.param]
    config = " ".join(str(number) for number in cameras)
    path = agent_drives.write_agent(tmp_path, AGENT)
    with agent_drives.host(path, config=config) as host:
        policy = agent_drives.begin(host)
        n, width, height = cameras
        picture = np.zeros((1, height, width, 3), np.uint8)
        observation = {f"sensor.camera.rgb.{k}": picture.copy() for k in range(n)}
        yield policy, observation


def test_a_step_of_the_agent(benchmark: Any, driving: Any) -> None:
    policy, observation = driving
    state = policy.initial_state(1)

    def step() -> None:
        nonlocal state
        _, state, _ = policy.act(observation, state)

    benchmark(step)
    assert policy.failure is None


def test_copied_through_a_socket(benchmark: Any, driving: Any) -> None:
    _, observation = driving
    here, there = socket.socketpair()

    def echo() -> None:
        while True:
            head = there.recv(8)
            if not head:
                return
            missing, parts = int.from_bytes(head, "little"), []
            while missing:
                parts.append(there.recv(min(missing, 1 << 20)))
                missing -= len(parts[-1])
            pickle.loads(b"".join(parts))
            there.sendall(b"!")

    threading.Thread(target=echo, daemon=True).start()

    def send() -> None:
        bgra = {
            name: np.concatenate([rgb[0, ..., ::-1], np.full_like(rgb[0, ..., :1], 255)], -1)
            for name, rgb in observation.items()
        }
        body = pickle.dumps(bgra, protocol=5)
        here.sendall(len(body).to_bytes(8, "little") + body)
        here.recv(1)

    benchmark(send)
    here.close()
