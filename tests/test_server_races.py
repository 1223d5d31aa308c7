"""The real CARLA client: what it loses when answers come in the wrong order, and that it does not.

Clients that may hang or die run in processes of their own.
"""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest
from carla_server import Served, run, serving

from drive_il.carla_sim.server.ordering import HOLD, PATIENCE, SWAP, Order, hold_time
from drive_il.carla_sim.server.waking import MISSED, STEPS

carla = pytest.importorskip("carla")
pytestmark = pytest.mark.carla_wheel


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--town", "alder") as server:
        yield server


def test_ticks_wait_for_what_was_promised() -> None:
    order = Order()
    assert not order.must_wait(10.0)
    order.promise(7, 10.0)
    assert order.must_wait(10.1)
    order.keep(7)
    assert not order.must_wait(10.2)
    order.promise(8, 10.0)  # a client that never comes
    assert order.must_wait(10.0 + 0.9 * PATIENCE)
    assert not order.must_wait(10.0 + 1.1 * PATIENCE)


def test_all_is_silent_while_an_episode_is_exchanged() -> None:
    order = Order()
    order.swap(10.0)
    assert order.is_silent(10.1)
    assert order.must_wait(10.1)
    order.swapped()
    assert not order.is_silent(10.1)
    order.swap(10.0)
    assert not order.is_silent(10.0 + 1.1 * SWAP)


def test_on_a_crowded_machine_sensors_are_held_back_for_longer() -> None:
    assert hold_time(0.1) == hold_time(1.0) == HOLD
    assert hold_time(4.0) == pytest.approx(4 * HOLD)
    assert hold_time(100.0) == hold_time(4.0)


class Manager:
    """A client by hand with Traffic Managers, each of which listens and tells what it is told."""

    def __init__(self, served: Served, n_ports: int) -> None:
        self._calls = socket.create_connection(("127.0.0.1", served.port))
        self._ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(n_ports)]
        for one in self._ports:
            one.settimeout(5 * MISSED)
        self._ports.sort(key=lambda one: int(one.getsockname()[1]))
        self._unpacker = msgpack.Unpacker()
        for one in self._ports:
            self.call("add_traffic_manager_running", ["127.0.0.1", one.getsockname()[1]])

    def call(self, method: str, *arguments: Any) -> None:
        self._calls.sendall(msgpack.packb([0, 1, method, [[False], *arguments]]))
        while True:
            self._unpacker.feed(self._calls.recv(1 << 16))
            for _ in self._unpacker:
                return

    def told(self, which: int, before: Callable[[], None] = lambda: None) -> list[Any]:
        """What one is told over its port until it is left alone; answers after `before()`."""
        heard: list[Any] = []
        try:
            connection, _ = self._ports[which].accept()
        except TimeoutError:
            return heard
        unpacker = msgpack.Unpacker()
        with connection:
            connection.settimeout(2.0)
            while data := connection.recv(1 << 12):
                unpacker.feed(data)
                for _, number, method, arguments in unpacker:
                    heard.append((method, *arguments))
                    before()
                    connection.sendall(msgpack.packb([1, number, None, None]))
        return heard

    def close(self) -> None:
        for one in (self._calls, *self._ports):
            one.close()


_HEALTH = ("health_check_remote_TM",)
_WOKEN = [_HEALTH, ("set_synchronous_mode", False), ("set_synchronous_mode", True)]


def test_a_manager_that_misses_a_tick_is_woken_once(served: Served) -> None:
    manager = Manager(served, 1)
    assert manager.told(0) == []  # nobody has ticked
    manager.call("tick_cue")
    manager.call("get_episode_settings")  # it polls, and falls asleep for good
    assert manager.told(0) == _WOKEN
    assert manager.told(0) == []
    manager.close()
    assert len(served.wrote("has missed a tick in the client and was woken")) == 1


def test_a_manager_that_has_stepped_is_left_alone(served: Served) -> None:
    manager = Manager(served, 1)
    manager.call("tick_cue")
    manager.call(STEPS)
    assert manager.told(0) == []  # its program thinks for longer than MISSED
    manager.close()


def test_a_program_that_stood_still_steps_by_itself(served: Served) -> None:
    manager = Manager(served, 1)
    manager.call("tick_cue")
    assert manager.told(0, before=lambda: manager.call(STEPS)) == [_HEALTH]
    manager.close()


def test_of_two_managers_the_one_that_has_not_stepped_is_woken(served: Served) -> None:
    manager = Manager(served, 2)
    manager.call("tick_cue")
    manager.call(STEPS)  # they step in the order of their ports
    assert manager.told(1) == _WOKEN
    assert manager.told(0) == []
    manager.close()


def test_a_manager_that_nobody_can_reach_hurts_nobody(served: Served) -> None:
    manager = Manager(served, 1)
    manager.call("tick_cue")
    for one in manager._ports:
        one.close()
    assert len(served.wrote("and cannot be woken: Connection")) == 1
    manager.call("version")
    manager._calls.close()


_WAKING = """
import socket, time, msgpack
world = synchronous(client)
manager = client.get_trafficmanager({port})
manager.set_synchronous_mode(True)
blueprint = world.get_blueprint_library().find("vehicle.audi.tt")
car = world.spawn_actor(blueprint, world.get_map().get_spawn_points()[0])
car.set_autopilot(True, {port})
for _ in range(20):
    world.tick()
time.sleep(0.2)
car.apply_control(carla.VehicleControl(brake=1.0))  # until its manager says otherwise
connection = socket.create_connection(("127.0.0.1", {port}))
for mode in (False, True):
    connection.sendall(msgpack.packb([0, 1, "set_synchronous_mode", [mode]]))
    connection.recv(1000)
time.sleep(0.2)
probe = socket.create_connection(("127.0.0.1", {server}))
for call in ("tick_cue", "version"):
    probe.sendall(msgpack.packb([0, 1, call, [[False]]]))
    probe.recv(1000)
time.sleep(0.2)
print(car.get_control().brake, car.get_control().throttle > 0.3)
"""


def test_what_a_manager_is_told_wakes_the_real_one_for_a_step(served: Served) -> None:
    code = _WAKING.format(port=manager_port(served) + 3, server=served.port)
    assert run(served, code) == ["0.0 True"]


_FIRST_FRAMES = """
import queue
world = synchronous(client)
place = world.get_map().get_spawn_points()[0]
library = world.get_blueprint_library()
car = world.spawn_actor(library.find("vehicle.audi.tt"), place)
for k in range(60):
    sensor = world.spawn_actor(library.find("sensor.other.imu"), carla.Transform(), attach_to=car)
    heard = queue.Queue()
    sensor.listen(heard.put)
    frame = world.tick()
    assert heard.get(timeout=5.0).frame == frame
    sensor.stop()
    sensor.destroy()
print("all heard")
"""


def test_the_first_frame_after_listen_arrives(served: Served) -> None:
    assert run(served, _FIRST_FRAMES) == ["all heard"]


_DRIVE = """
import hashlib, queue
world = synchronous(client)
places = world.get_map().get_spawn_points()
library = world.get_blueprint_library()
cars = [world.spawn_actor(library.find("vehicle.audi.tt"), place) for place in places[:5]]
heard = queue.Queue()
sensors = []
for name, at in (("camera.rgb", 1.7), ("lidar.ray_cast", 2.2), ("other.imu", 0.0)):
    blueprint = library.find("sensor." + name)
    if name == "camera.rgb":
        blueprint.set_attribute("image_size_x", "120")
        blueprint.set_attribute("image_size_y", "80")
    if name == "other.imu":
        blueprint.set_attribute("noise_accel_stddev_x", "0.1")
    where = carla.Transform(carla.Location(z=at))
    sensors.append(world.spawn_actor(blueprint, where, attach_to=cars[0]))
    sensors[-1].listen(heard.put)
digest = hashlib.sha256()
for k in range(60):
    for n, car in enumerate(cars):
        steer = 0.05 * ((k + n) % 7 - 3)
        car.apply_control(carla.VehicleControl(throttle=0.6, steer=steer))
    frame = world.tick()
    bits = {}
    while len(bits) < 3:
        data = heard.get(timeout=10.0)
        assert data.frame == frame
        if hasattr(data, "raw_data"):
            bits[type(data).__name__] = bytes(data.raw_data)
        else:
            bits["imu"] = repr((data.accelerometer.x, data.gyroscope.z, data.compass)).encode()
    for name in sorted(bits):
        digest.update(bits[name])
    snapshot = world.get_snapshot()
    digest.update(repr((frame, snapshot.timestamp.elapsed_seconds)).encode())
    for one in sorted(snapshot, key=lambda one: one.id):
        place, velocity = one.get_transform(), one.get_velocity()
        digest.update(repr((one.id, place.location.x, place.location.y, velocity.x)).encode())
    for light in world.get_actors().filter("traffic.traffic_light"):
        pass
for sensor in sensors:
    sensor.stop()
    sensor.destroy()
print(digest.hexdigest())
"""


def test_the_same_client_gets_the_same_bits() -> None:
    with serving("--town", "alder", "--vehicles", "20", "--walkers", "10") as one:
        digests = {run(one, _DRIVE)[0], run(one, "import time; time.sleep(1)\n" + _DRIVE)[0]}
    with serving("--town", "alder", "--vehicles", "20", "--walkers", "10") as two:
        digests.add(run(two, _DRIVE)[0])
    assert len(digests) == 1


_MANAGED = """
world = synchronous(client)
manager = client.get_trafficmanager({port})
manager.set_synchronous_mode(True)
manager.set_random_device_seed(1)
library = world.get_blueprint_library()
cars = []
for place in world.get_map().get_spawn_points()[::30][:10]:
    cars.append(world.spawn_actor(library.find("vehicle.audi.tt"), place))
for car in cars:
    car.set_autopilot(True, {port})
start = [car.get_location() for car in cars]
for k in range({ticks}):
    world.tick()
moved = [car.get_location().distance(at) for car, at in zip(cars, start)]
off = []
for car in cars:
    lane = world.get_map().get_waypoint(car.get_location())
    off.append(lane.transform.location.distance(car.get_location()))
print(sum(one > 20.0 for one in moved), round(sum(off) / len(off), 3))
settings = world.get_settings()
settings.synchronous_mode = False
manager.set_synchronous_mode(False)
world.apply_settings(settings)
"""


def manager_port(served: Served) -> int:
    return 10_000 + served.port % 20_000


def test_a_traffic_manager_drives_its_cars_and_never_hangs(served: Served) -> None:
    [line] = run(served, _MANAGED.format(port=manager_port(served), ticks=1200))
    n_moved, mean_off = line.split()
    assert int(n_moved) >= 7
    assert float(mean_off) < 0.6  # [m] from the middle of their lanes


_LOADS = """
world = synchronous(client)
manager = client.get_trafficmanager({port})
manager.set_synchronous_mode({mode})
for k in range(10):
    library = world.get_blueprint_library()
    places = world.get_map().get_spawn_points()[:40:8]
    cars = [world.spawn_actor(library.find("vehicle.audi.tt"), place) for place in places]
    for car in cars:
        car.set_autopilot(True, {port})
    for _ in range(20):
        world.tick()
    world = synchronous(client, ("alder", "dell")[k % 2])
print("loaded")
"""


@pytest.mark.parametrize("mode", [True, False])
def test_worlds_are_loaded_under_a_living_traffic_manager(served: Served, mode: bool) -> None:
    code = _LOADS.format(port=manager_port(served) + 1 + mode, mode=mode)
    assert run(served, code) == ["loaded"]


_BATCHES = """
import queue
world = synchronous(client)
places = world.get_map().get_spawn_points()
library = world.get_blueprint_library()
car = world.spawn_actor(library.find("vehicle.audi.tt"), places[0])
heard, sensors = queue.Queue(), []
for name in ("camera.rgb", "camera.depth", "lidar.ray_cast", "other.imu", "other.gnss"):
    at = carla.Transform(carla.Location(z=2.0))
    sensors.append(world.spawn_actor(library.find("sensor." + name), at, attach_to=car))
    sensors[-1].listen(lambda data: heard.put(len(getattr(data, "raw_data", b""))))
control = carla.command.ApplyVehicleControl(car, carla.VehicleControl(throttle=0.5))
for k in range(100):
    client.apply_batch_sync([control], True)
    for _ in sensors:
        heard.get(timeout=10.0)
print("done")
for sensor in sensors:
    sensor.stop()
    sensor.destroy()
"""


def test_batches_that_tick_come_back_while_sensors_speak(served: Served) -> None:
    for _ in range(3):
        assert run(served, _BATCHES) == ["done"]
