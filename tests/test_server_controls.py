"""The real CARLA client: Ackermann control, bones, and whose number is whose."""

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from carla_server import STEP, Served, serving, synchronous

carla = pytest.importorskip("carla")
pytestmark = pytest.mark.carla_wheel


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--town", "cedar") as server:
        yield server


@pytest.fixture
def world(served: Served) -> Any:
    return synchronous(served.client(), "cedar")


def spawn(world: Any, place: int = 308) -> Any:
    """A car; ahead of the default place the road is straight for half a kilometre."""
    blueprint = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
    vehicle = world.spawn_actor(blueprint, world.get_map().get_spawn_points()[place])
    world.tick()
    return vehicle


def along(vehicle: Any) -> float:
    """Speed along the vehicle's axis, backwards negative [m/s]."""
    velocity, ahead = vehicle.get_velocity(), vehicle.get_transform().get_forward_vector()
    return float(velocity.x * ahead.x + velocity.y * ahead.y)


def speeds(world: Any, vehicle: Any, seconds: float) -> list[float]:
    found = []
    for _ in range(round(seconds / STEP)):
        world.tick()
        found.append(along(vehicle))
    return found


@pytest.mark.parametrize("goal", [8.0, -3.0])
def test_an_ackermann_control_reaches_its_speed_and_stops(world: Any, goal: float) -> None:
    vehicle = spawn(world)
    vehicle.apply_ackermann_control(carla.VehicleAckermannControl(speed=goal))
    driven = speeds(world, vehicle, 30.0)[-200:]  # CARLA's gains go on swinging
    assert driven == pytest.approx([goal] * 200, abs=0.7)
    assert sum(driven) / 200 == pytest.approx(goal, abs=0.15)
    assert vehicle.get_control().reverse == (goal < 0.0)
    vehicle.apply_ackermann_control(carla.VehicleAckermannControl(speed=0.0))
    assert speeds(world, vehicle, 20.0)[-1] == 0.0
    assert vehicle.get_control().brake == 1.0


def test_an_ackermann_control_keeps_to_its_acceleration(world: Any) -> None:
    times = []
    for most in (3.0, 1.0):
        vehicle = spawn(world)
        told = carla.VehicleAckermannControl(speed=15.0, acceleration=most)
        vehicle.apply_ackermann_control(told)
        driven = speeds(world, vehicle, 40.0)
        times.append(next(k for k, speed in enumerate(driven) if speed > 12.0) * STEP)
        vehicle.destroy()
    assert times[1] > 12.0  # no faster than at 1 m/s^2
    assert times[0] < times[1]


def test_an_ackermann_wheel_angle_is_in_radians_and_turns_at_its_rate(world: Any) -> None:
    vehicle = spawn(world)
    wheels = carla.VehicleWheelLocation.FL_Wheel
    vehicle.apply_ackermann_control(carla.VehicleAckermannControl(steer=0.2, steer_speed=0.1))
    for _ in range(20):
        world.tick()
    assert vehicle.get_control().steer == pytest.approx(0.1 / math.radians(21.11), rel=0.01)
    for _ in range(60):
        world.tick()
    assert vehicle.get_wheel_steer_angle(wheels) == pytest.approx(math.degrees(0.2), rel=0.01)
    vehicle.apply_ackermann_control(carla.VehicleAckermannControl(steer=2.0))
    for _ in range(60):
        world.tick()
    assert vehicle.get_control().steer == pytest.approx(1.0)


def test_pedals_take_over_from_an_ackermann_control(world: Any) -> None:
    vehicle = spawn(world)
    vehicle.apply_ackermann_control(carla.VehicleAckermannControl(speed=8.0))
    speeds(world, vehicle, 10.0)
    vehicle.apply_control(carla.VehicleControl(brake=1.0))
    assert speeds(world, vehicle, 5.0)[-1] == 0.0
    assert vehicle.get_control().brake == 1.0


def test_gains_of_an_ackermann_controller_are_kept(world: Any) -> None:
    vehicle = spawn(world)
    before = vehicle.get_ackermann_controller_settings()
    assert (before.speed_kp, before.speed_ki, before.speed_kd) == pytest.approx((0.15, 0.0, 0.25))
    assert (before.accel_kp, before.accel_ki, before.accel_kd) == pytest.approx((0.01, 0.0, 0.01))
    told = carla.AckermannControllerSettings(0.3, 0.01, 0.1, 0.02, 0.0, 0.0)
    vehicle.apply_ackermann_controller_settings(told)
    world.tick()
    assert vehicle.get_ackermann_controller_settings() == told


def test_a_walker_has_bones_as_tall_as_itself(world: Any) -> None:
    blueprint = world.get_blueprint_library().find("walker.pedestrian.0001")
    place = world.get_map().get_spawn_points()[5]
    walker = world.spawn_actor(blueprint, place)
    world.tick()
    bones = {one.name: one for one in walker.get_bones().bone_transforms}
    assert len(bones) == 66
    at, half = walker.get_transform(), walker.bounding_box.extent.z
    heights = [one.world.location.z - (at.location.z - half) for one in bones.values()]
    assert min(heights) == pytest.approx(0.0, abs=1e-3)
    assert 1.8 * half < max(heights) < 2.0 * half
    right, left = bones["crl_hand__R"], bones["crl_hand__L"]
    across = right.world.location - left.world.location
    side = at.get_right_vector()
    assert across.x * side.x + across.y * side.y == pytest.approx(across.length())
    elbow, hand = bones["crl_foreArm__R"], bones["crl_hand__R"]
    relative = hand.world.location - elbow.world.location
    assert relative.length() == pytest.approx(hand.relative.location.length(), abs=1e-4)
    assert all(
        at.transform(one.component.location).distance(one.world.location) < 1e-3
        for one in bones.values()
    )


def test_who_watches_sees_who_is_in_the_next_world(served: Served) -> None:
    """A client keeps what it knows of a number, so no number means two things for it."""
    one, watcher = served.client(), served.client()
    synchronous(one, "alder")
    known = {actor.id for actor in watcher.get_world().get_actors()}  # over a hundred lights
    world = synchronous(one, "cedar")
    vehicle = spawn(world)
    until = time.monotonic() + 10.0
    seen: list[int] = []
    while not seen and time.monotonic() < until:
        seen = [actor.id for actor in watcher.get_world().get_actors().filter("vehicle.*")]
        time.sleep(0.02)
    assert seen == [vehicle.id]
    assert not known & {actor.id for actor in world.get_actors()}


def test_props_bear_what_is_meant_for_vehicles(world: Any) -> None:
    blueprint = world.get_blueprint_library().find("static.prop.streetbarrier")
    place = world.get_map().get_spawn_points()[3]
    barrier = world.spawn_actor(blueprint, place)
    world.tick()
    barrier.set_target_velocity(carla.Vector3D(1.0, 0.0, 0.0))
    barrier.set_target_angular_velocity(carla.Vector3D(0.0, 0.0, 1.0))
    world.tick()
    assert barrier.get_location().distance(place.location) < 0.5
