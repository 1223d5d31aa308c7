"""How many ticks a second does a CARLA client get from our server, both on this machine?

One round is a hundred synchronous ticks of the real client; what a sensor sends is waited for in
every tick. `ticks_per_second` stands among the extra information.
"""

import queue
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from carla_server import Served, run, serving, synchronous  # noqa: E402

carla = pytest.importorskip("carla")
TICKS = 100


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--town", "alder") as server:
        yield server


@pytest.fixture(scope="module")
def busy() -> Iterator[Served]:
    with serving("--town", "alder", "--vehicles", "50") as server:
        yield server


def car_on(world: Any) -> Any:
    blueprint = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
    for place in world.get_map().get_spawn_points():
        car = world.try_spawn_actor(blueprint, place)
        if car is not None:
            return car
    raise RuntimeError("no spawn point is free")


def measure(benchmark: Any, ticks: Callable[[], None]) -> None:
    benchmark.pedantic(ticks, rounds=8, warmup_rounds=2)
    benchmark.extra_info["ticks_per_second"] = round(TICKS / benchmark.stats.stats.min)


def test_one_vehicle(benchmark: Any, served: Served) -> None:
    world = synchronous(served.client())
    car = car_on(world)

    def ticks() -> None:
        for k in range(TICKS):
            car.apply_control(carla.VehicleControl(throttle=0.3, steer=0.01 * (k % 5)))
            world.tick()
            car.get_transform()

    measure(benchmark, ticks)


def test_fifty_vehicles_that_the_server_drives(benchmark: Any, busy: Served) -> None:
    world = synchronous(busy.client())

    def ticks() -> None:
        for _ in range(TICKS):
            world.tick()

    measure(benchmark, ticks)


@pytest.mark.parametrize(("width", "height"), [(96, 64), (800, 600)])
def test_one_camera(benchmark: Any, served: Served, width: int, height: int) -> None:
    world = synchronous(served.client())
    car = car_on(world)
    blueprint = world.get_blueprint_library().find("sensor.camera.rgb")
    blueprint.set_attribute("image_size_x", str(width))
    blueprint.set_attribute("image_size_y", str(height))
    at = carla.Transform(carla.Location(1.3, 0.0, 1.6))
    camera = world.spawn_actor(blueprint, at, attach_to=car)
    heard: queue.SimpleQueue[int] = queue.SimpleQueue()
    camera.listen(lambda image: heard.put(image.frame))

    def ticks() -> None:
        for _ in range(TICKS):
            frame = world.tick()
            while heard.get(timeout=10.0) != frame:
                pass

    measure(benchmark, ticks)
    camera.stop()
    camera.destroy()


_MANAGED = """
import time
world = synchronous(client)
manager = client.get_trafficmanager({port})
manager.set_synchronous_mode(True)
blueprint = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
places = world.get_map().get_spawn_points()[:: 360 // {n_cars}][:{n_cars}]
cars = [world.spawn_actor(blueprint, place) for place in places]
for car in cars:
    car.set_autopilot(True, {port})
best = float("inf")
for _ in range({rounds}):
    start = time.perf_counter()
    for _ in range({ticks}):
        world.tick()
    best = min(best, time.perf_counter() - start)
print({ticks} / best)
for car in cars:
    car.set_autopilot(False, {port})
manager.set_synchronous_mode(False)
settings = world.get_settings()
settings.synchronous_mode = False
world.apply_settings(settings)
"""


@pytest.mark.parametrize("n_cars", [10, 50])
def test_traffic_manager(benchmark: Any, served: Served, n_cars: int) -> None:
    """In a process of its own, because a manager's threads outlive its test."""
    port = 20_000 + served.port % 20_000 + n_cars
    code = _MANAGED.format(port=port, n_cars=n_cars, rounds=8, ticks=TICKS)
    [rate] = benchmark.pedantic(run, args=(served, code), rounds=1)
    benchmark.extra_info["ticks_per_second"] = round(float(rate))
