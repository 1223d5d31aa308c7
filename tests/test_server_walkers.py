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
    return synchronous(served.client(), "alder")


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


def on_foot(world: Any, place: Any) -> tuple[Any, Any]:
    """A walker with an AI, on the mesh that the client plans on."""
    library = world.get_blueprint_library()
    at = carla.Transform(place + carla.Location(z=1.0))
    walker = world.spawn_actor(library.find("walker.pedestrian.0020"), at)
    world.tick()
    controller = world.spawn_actor(library.find("controller.ai.walker"), carla.Transform(), walker)
    world.tick()
    controller.start()
    return walker, controller


def beside(world: Any, place: Any) -> float:
    """Distance from the nearest sidewalk or, outside of crosswalks, shoulder [m]."""
    kinds = (carla.LaneType.Sidewalk, carla.LaneType.Shoulder)
    found = (world.get_map().get_waypoint(place, lane_type=kind) for kind in kinds)
    away: list[float] = [
        lane.transform.location.distance_2d(place) - 0.5 * lane.lane_width
        for lane in found
        if lane is not None
    ]
    return max(min(away), 0.0)


def pavement(world: Any, place: Any) -> tuple[int, int]:
    """Road and lane of the nearest sidewalk, none on a crosswalk."""
    lane = world.get_map().get_waypoint(place, lane_type=carla.LaneType.Sidewalk)
    return (lane.road_id, lane.lane_id) if lane else (-1, 0)


@pytest.mark.parametrize("town", ["alder", "birch", "cedar", "dell"])
def test_random_places_to_walk_are_on_sidewalks(served: Served, town: str) -> None:
    world = synchronous(served.client(), town)
    places = [world.get_random_location_from_navigation() for _ in range(300)]
    assert max(beside(world, place) for place in places) < 0.5
    assert len({(round(place.x, -2), round(place.y, -2)) for place in places}) > 15


def test_a_walker_with_an_ai_goes_where_it_is_told_and_stops(world: Any) -> None:
    places = [world.get_random_location_from_navigation() for _ in range(600)]
    lanes = [pavement(world, place) for place in places]
    pairs = zip(places, lanes, strict=True)
    start, goal = next(
        (here, there)
        for here, lane in pairs
        for there, other in zip(places, lanes, strict=True)
        if lane == other != (-1, 0) and 15.0 < here.distance(there) < 40.0
    )
    walker, controller = on_foot(world, start)
    controller.go_to_location(goal)
    controller.set_max_speed(1.4)
    speeds, away = [], 1e3
    for _ in range(int(60.0 / STEP)):
        world.tick()
        speeds.append(walker.get_velocity().length())
        away = min(away, walker.get_location().distance_2d(goal))
        if away < 2.5:  # the client calls that there, and picks another goal
            break
    assert away < 2.5
    assert 1.2 < max(speeds) < 1.6
    controller.stop()
    for _ in range(4):
        world.tick()
    there = walker.get_location()
    for _ in range(20):
        world.tick()
    assert walker.get_velocity().length() == 0.0
    assert walker.get_location().distance(there) < 1e-3
    assert controller.destroy()
    assert walker.destroy()


def test_many_walkers_stay_where_people_walk(world: Any) -> None:
    places = [world.get_random_location_from_navigation() for _ in range(60)]
    pairs = [on_foot(world, place) for place in places[:20]]
    for (_, controller), goal in zip(pairs, places[30:], strict=False):
        controller.go_to_location(goal)
        controller.set_max_speed(1.4)
    for _ in range(400):
        world.tick()
    strayed = [beside(world, walker.get_location()) for walker, _ in pairs]
    assert sorted(strayed)[10] < 0.3  # some are on crosswalks
    assert max(strayed) < 12.0
    moved = [a.get_location().distance_2d(b) for (a, _), b in zip(pairs, places, strict=False)]
    assert sorted(moved)[5] > 5.0
    for walker, controller in pairs:
        controller.stop()
        controller.destroy()
        walker.destroy()


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
