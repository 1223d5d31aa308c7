"""Clients that die, flood and send garbage: the others do not notice, and memory stays flat."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from carla_server import TIMEOUT, Served, serving, synchronous

carla = pytest.importorskip("carla")
pytestmark = pytest.mark.carla_wheel


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--town", "alder") as server:
        yield server


@pytest.fixture
def world(served: Served) -> Any:
    return synchronous(served.client())


def connect(served: Served, next_port: bool = False) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", served.port + next_port), TIMEOUT)
    connection.settimeout(TIMEOUT)
    return connection


def call(connection: socket.socket, method: Any, *arguments: Any) -> list[Any]:
    """One call by hand; returns error and result."""
    connection.sendall(msgpack.packb([0, 1, method, [[False], *arguments]]))
    unpacker = msgpack.Unpacker(raw=False)
    while True:
        data = connection.recv(1 << 16)
        assert data, "the server closed the connection"
        unpacker.feed(data)
        for answer in unpacker:
            return answer[2:]


def is_cut(connection: socket.socket) -> bool:
    try:
        return connection.recv(1 << 16) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xc1" * 100,
        b"GET / HTTP/1.1\r\n\r\n",
        msgpack.packb({"a": 1}),
        msgpack.packb([0, 1, "version"]),
        msgpack.packb([0, 1, "version", []]),
        msgpack.packb([5, 1, "version", [[False]]]),
        b"\xdd\xff\xff\xff\xff" + b"\x00" * 10,
        b"\x91" * 5000,
    ],
    ids=["reserved", "http", "map", "short", "bare", "type", "huge", "deep"],
)
def test_who_sends_garbage_is_cut_off_and_nobody_else(
    world: Any, served: Served, garbage: bytes
) -> None:
    bad = connect(served)
    bad.sendall(garbage)
    if garbage[:1] not in (b"\xdd", b"\x91"):
        assert is_cut(bad)
    bad.close()
    frame = world.tick()
    assert world.tick() == frame + 1


def test_half_a_call_waits_and_then_counts(world: Any, served: Served) -> None:
    whole = msgpack.packb([0, 9, "version", [[False]]])
    slow = connect(served)
    slow.sendall(whole[:5])
    world.tick()
    slow.sendall(whole[5:])
    assert msgpack.unpackb(slow.recv(1000)) == [1, 9, None, [[1, "0.9.16"]]]
    slow.sendall(whole[:3])
    slow.close()
    world.tick()


@pytest.mark.parametrize(
    ("method", "arguments", "reason"),
    [
        ("spawn_actor", (5, [[0, 0, 0], [0, 0, 0]]), "an actor description has 3 parts"),
        ("spawn_actor", ([0, "vehicle.nobody.knows", []], [[0, 0, 0], [0, 0, 0]]), "no blueprint"),
        ("spawn_actor", ([0, "vehicle.audi.tt", []], [[0, float("nan"), 0], [0, 0, 0]]), "finite"),
        ("spawn_actor", ([0, "vehicle.audi.tt", []], "here"), "a transform must be"),
        ("spawn_actor", (), "takes 2 arguments, got 0"),
        ("destroy_actor", ({"a": 1},), "destroy_actor"),
        ("set_actor_transform", (10**6, [[0, 0, 0], [0, 0, 0]]), "there is no actor 1000000"),
        ("apply_control_to_vehicle", (1, [1, 2]), "a vehicle control has 7 members"),
        ("set_weather_parameters", ([1.0, 2.0],), "the weather must be 14 numbers"),
        ("set_episode_settings", ("fast",), "settings have 11 members"),
        ("set_traffic_light_state", (1, 2), "is no traffic light"),
        ("load_new_episode", (5, True, 0), "load_new_episode"),
        ("add_traffic_manager_running", (["127.0.0.1", 70000],), "port is in [1, 65535]"),
        ("add_traffic_manager_running", (["127.0.0.1", "x"],), "port is in [1, 65535]"),
        ("get_actors_by_id", (7,), "get_actors_by_id"),
        ("apply_batch", (["x"], False), None),
        ("apply_batch", ("x", False), None),
        ("no_such_call", (), "this server has no call 'no_such_call'"),
        (7, (), "this server has no call '7'"),
    ],
)
def test_what_is_shaped_wrong_is_answered_with_a_reason(
    world: Any, served: Served, method: Any, arguments: tuple[Any, ...], reason: str | None
) -> None:
    connection = connect(served)
    answer = call(connection, method, *arguments)
    assert reason is None or reason in str(answer)
    assert call(connection, "version") == [None, [[1, "0.9.16"]]]
    connection.close()
    world.tick()


def test_streams_nobody_knows_and_half_a_number(world: Any, served: Served) -> None:
    one, two = connect(served, True), connect(served, True)
    one.sendall((10**9).to_bytes(4, "little") + b"more")
    two.sendall(b"\x01\x00")
    world.tick()
    two.close()
    world.tick()
    one.close()
    world.tick()


def test_a_flood_of_calls_leaves_the_others_a_turn(world: Any, served: Served) -> None:
    flood, calm = connect(served), connect(served)
    flood.setblocking(False)
    calls = msgpack.packb([0, 1, "get_map_info", [[False]]]) * 20_000
    before = time.perf_counter()
    for _ in range(1000):
        call(calm, "version")
    thousand_calls = time.perf_counter() - before
    sent = 0
    began, slowest = time.perf_counter(), 0.0
    while not any("MB of answers unread" in line for line in served.log):
        assert time.perf_counter() - began < 60.0, "the flood was not cut off"
        with suppress(BlockingIOError, ConnectionResetError, BrokenPipeError):
            sent += flood.send(calls[sent % len(calls) :])
        before = time.perf_counter()
        world.tick()
        slowest = max(slowest, time.perf_counter() - before)
    flood.close()
    # Behind twenty thousand calls that came first a tick would wait for all of them.
    assert slowest < 5.0 * thousand_calls
    assert served.memory() < 1500.0


_KILLED = """
import sys, carla
client = carla.Client("127.0.0.1", {port})
client.set_timeout(20.0)
world = client.get_world()
library = world.get_blueprint_library()
car = world.spawn_actor(library.find("vehicle.audi.tt"), world.get_map().get_spawn_points()[5])
sensor = world.spawn_actor(library.find("sensor.camera.rgb"), carla.Transform(), attach_to=car)
sensor.listen(lambda image: None)
client.get_trafficmanager({manager})
print("up", flush=True)
while True:
    world.tick()
"""


def test_a_client_that_is_killed_leaves_the_world_going(world: Any, served: Served) -> None:
    code = _KILLED.format(port=served.port, manager=9000 + served.port % 1000)
    victim = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    assert victim.stdout.readline().strip() == "up"
    time.sleep(0.5)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    frames = [world.tick() for _ in range(50)]
    assert frames == list(range(frames[0], frames[0] + 50))
    assert len(world.get_actors().filter("vehicle.audi.tt")) == 1
    probe = connect(served)
    deadline = time.perf_counter() + 5.0
    while call(probe, "is_traffic_manager_running", 9000 + served.port % 1000)[1][0][1]:
        assert time.perf_counter() < deadline, "the dead client's manager is still registered"
    assert call(probe, "get_sensor_token", 10**6)[0] is None  # promised, and never kept
    world.tick()


def test_who_reads_too_slowly_misses_messages(world: Any, served: Served) -> None:
    library = world.get_blueprint_library()
    blueprint = library.find("sensor.camera.rgb")
    place = world.get_map().get_spawn_points()[0]
    place.location.z += 2.0
    sensor = world.spawn_actor(blueprint, place)
    probe = connect(served)
    [[_, wire]] = call(probe, "get_actors_by_id", [sensor.id])[1]
    lazy = connect(served, True)
    lazy.sendall(wire[0][5][:4])
    before = served.memory()
    for _ in range(90):  # 170 MB of pictures
        world.tick()
    assert served.wrote("too slow and misses messages")
    assert served.memory() < before + 120.0
    lazy.close()
    world.tick()
    assert sensor.destroy()


def test_a_sensor_that_cannot_measure_is_silent_alone(world: Any, served: Served) -> None:
    library = world.get_blueprint_library()
    thin = library.find("sensor.lidar.ray_cast")
    thin.set_attribute("channels", "64")
    thin.set_attribute("points_per_second", "100")
    place = world.get_map().get_spawn_points()[0]
    place.location.z += 2.0
    sensors = [world.spawn_actor(one, place) for one in (thin, library.find("sensor.other.gnss"))]
    heard: list[list[Any]] = [[], []]
    for sensor, list_ in zip(sensors, heard, strict=True):
        sensor.listen(list_.append)
    for _ in range(5):
        world.tick()
    deadline = time.perf_counter() + TIMEOUT
    while len(heard[1]) < 5 and time.perf_counter() < deadline:
        time.sleep(0.01)
    assert (len(heard[0]), len(heard[1])) == (0, 5)
    reasons = served.wrote("is silent: lidar")
    assert len(reasons) == 1
    assert "no point in a frame of 0.05 s" in reasons[0]
    for sensor in sensors:
        sensor.stop()
        sensor.destroy()


def test_ten_thousand_actors_come_and_go(world: Any, served: Served) -> None:
    connection = connect(served)
    place = world.get_map().get_spawn_points()[0]
    at = [[place.location.x, place.location.y, place.location.z], [0.0, place.rotation.yaw, 0.0]]
    memory = []
    for k in range(10_000):
        [[_, actor]] = call(connection, "spawn_actor", [0, "vehicle.audi.tt", []], at)[1]
        if k % 100 == 0:
            world.tick()
        assert call(connection, "destroy_actor", actor[0])[1] == [[1, True]]
        if k in (1000, 9999):
            memory.append(served.memory())
    assert memory[1] - memory[0] < 5.0
    assert len(world.get_actors().filter("vehicle.*")) == 0


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_a_hundred_worlds_are_loaded(served: Served, part: int) -> None:
    client = served.client()
    client.load_world("birch")
    before, seen = served.memory(), set()
    for k in range(10):
        world = client.load_world(("alder", "birch")[k % 2])
        seen.add(world.id)
    assert len(seen) == 10
    assert served.memory() < before + 10.0


def test_a_world_that_others_can_reach_says_so() -> None:
    with serving("--town", "alder", "--host", "0.0.0.0") as server:
        assert server.wrote("anybody who can reach this address")
        assert server.client().get_server_version() == "0.9.16"


def test_a_world_in_real_time_is_no_faster_than_the_clock() -> None:
    with serving("--town", "alder", "--speed", "realtime") as server:
        world = synchronous(server.client())
        world.tick()
        began = time.perf_counter()
        for _ in range(20):
            world.tick()
        assert time.perf_counter() - began == pytest.approx(1.0, abs=0.2)
