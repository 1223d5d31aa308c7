"""The real CARLA client: people on foot."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from carla_server import STEP, Served, serving, synchronous

carla = pytest.importorskip("carla")
pytestmark = pytest.mark.carla_wheel


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--town", "alder", "--walkers", "10") as server:
        yield server


@pytest.fixture
def world(served: Served) -> Any:
    return synchronous(served.client())


def spawn(world: Any, left: float, speed: str = "1.4") -> Any:
    """A walker beside a lane, so far to the left of its middle [m]."""
    blueprint = world.get_blueprint_library().find("walker.pedestrian.0020")
    blueprint.set_attribute("speed", speed)
    place = world.get_map().get_spawn_points()[0]
    place.location += -left * place.get_right_vector()
    return world.spawn_actor(blueprint, place)


def test_a_walker_goes_where_and_as_fast_as_told(world: Any) -> None:
    walker = spawn(world, -4.0)
    world.tick()
    start = walker.get_location()
    assert start.z == pytest.approx(walker.bounding_box.extent.z, abs=0.01)
    direction = carla.Vector3D(0.6, -0.8, 0.0)
    walker.apply_control(carla.WalkerControl(direction, 2.0, False))
    for _ in range(20):
        world.tick()
    moved = walker.get_location() - start
    assert (moved.x, moved.y) == pytest.approx((1.2, -1.6), abs=1e-3)
    velocity, control = walker.get_velocity(), walker.get_control()
    assert (velocity.x, velocity.y) == pytest.approx((1.2, -1.6), abs=1e-3)
    assert (control.speed, control.direction.y) == pytest.approx((2.0, -0.8), abs=1e-3)
    yaw = math.degrees(math.atan2(-0.8, 0.6))
    assert walker.get_transform().rotation.yaw == pytest.approx(yaw, abs=1e-2)


def test_a_walker_with_an_ai_follows_the_sidewalk(world: Any) -> None:
    walker = spawn(world, -4.5)
    blueprint = world.get_blueprint_library().find("controller.ai.walker")
    controller = world.spawn_actor(blueprint, carla.Transform(), attach_to=walker)
    world.tick()
    start = walker.get_location()
    controller.start()
    controller.set_max_speed(1.4)
    for _ in range(int(6.0 / STEP)):
        world.tick()
        lane = world.get_map().get_waypoint(
            walker.get_location(), lane_type=carla.LaneType.Sidewalk
        )
    assert walker.get_location().distance(start) > 3.0
    assert lane.transform.location.distance(walker.get_location()) < 0.5 * lane.lane_width + 1.5
    assert walker.get_velocity().length() == pytest.approx(1.4, abs=0.3)
    controller.stop()
    assert controller.destroy()
    world.tick()
    world.tick()
    assert walker.get_velocity().length() == 0.0
    assert walker.destroy()


def test_the_worlds_own_people_walk(world: Any) -> None:
    people = world.get_actors().filter("walker.*")
    assert len(people) == 10
    before = {one.id: one.get_location() for one in people}
    for _ in range(100):
        world.tick()
    assert sum(one.get_location().distance(before[one.id]) > 1.0 for one in people) >= 7


def test_a_car_that_runs_into_a_walker_says_so(world: Any) -> None:
    place = world.get_map().get_spawn_points()[0]
    library = world.get_blueprint_library()
    car = world.spawn_actor(library.find("vehicle.lincoln.mkz_2020"), place)
    walker_at = carla.Transform(place.location + 12.0 * place.get_forward_vector(), place.rotation)
    walker = world.spawn_actor(library.find("walker.pedestrian.0001"), walker_at)
    sensor = world.spawn_actor(
        library.find("sensor.other.collision"), carla.Transform(), attach_to=car
    )
    heard: list[Any] = []
    sensor.listen(heard.append)
    car.apply_control(carla.VehicleControl(throttle=1.0))
    for _ in range(100):
        world.tick()
        if heard:
            break
    sensor.stop()
    assert heard[0].other_actor.id == walker.id
    assert heard[0].other_actor.type_id == "walker.pedestrian.0001"
    assert 0.0 < heard[0].normal_impulse.length() < 80.0 * 20.0
    assert sensor.destroy()
