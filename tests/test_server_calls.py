"""The real client through the calls that nothing else here makes: what comes back, and refusals."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from carla_server import Served, serving, synchronous

carla = pytest.importorskip("carla")
pytestmark = pytest.mark.carla_wheel


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--town", "alder") as server:
        yield server


@pytest.fixture
def world(served: Served) -> Any:
    return synchronous(served.client())


def spawn(world: Any, place: int = 0) -> Any:
    blueprint = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
    return world.spawn_actor(blueprint, world.get_map().get_spawn_points()[place])


RECORDER: dict[str, Callable[[Any], Any]] = {
    "start_recorder": lambda client: client.start_recorder("drive.log"),
    "file_info": lambda client: client.show_recorder_file_info("drive.log", True),
    "collisions": lambda client: client.show_recorder_collisions("drive.log", "v", "v"),
    "blocked": lambda client: client.show_recorder_actors_blocked("drive.log", 1.0, 1.0),
    "replay": lambda client: client.replay_file("drive.log", 0.0, 0.0, 0),
}


@pytest.mark.parametrize("name", RECORDER)
def test_recorder_and_replayer_are_refused_with_the_reason(served: Served, name: str) -> None:
    with pytest.raises(RuntimeError, match="there is no recorder here: write the snapshots down"):
        RECORDER[name](served.client())


def test_calls_of_a_replay_that_wait_for_no_answer_are_logged(world: Any, served: Served) -> None:
    client = served.client()
    client.set_replayer_time_factor(2.0)
    client.stop_replayer(False)
    for name in ("set_replayer_time_factor", "stop_replayer"):
        assert len(served.wrote(f"{name} failed: there is no recorder here")) == 1
    world.tick()


def test_the_scenery_is_empty_and_the_ground_is_met(world: Any) -> None:
    everything = carla.CityObjectLabel.Any
    assert list(world.get_environment_objects(everything)) == []
    assert list(world.get_level_bbs(everything)) == []
    assert list(world.get_names_of_all_objects()) == []
    assert list(world.get_lightmanager().get_all_lights()) == []
    place = world.get_map().get_spawn_points()[3].location
    road = world.get_map().get_waypoint(place).transform.location
    above = carla.Location(road.x, road.y, road.z + 5.0)
    assert list(world.cast_ray(above, road)) == []
    assert world.ground_projection(above, 10.0).location.z == pytest.approx(road.z, abs=0.02)
    assert world.ground_projection(above, 3.0) is None
    slanted = world.project_point(above, carla.Vector3D(1.0, 0.0, -1.0), 20.0).location
    assert slanted.x - above.x == pytest.approx(above.z - slanted.z, abs=1e-3)
    assert world.project_point(above, carla.Vector3D(0.0, 0.0, 1.0), 20.0) is None
    world.debug.draw_point(above)
    world.tick()


def test_a_vehicle_tells_of_itself_and_bears_what_is_for_show(world: Any) -> None:
    car = spawn(world)
    car.show_debug_telemetry(True)
    car.set_wheel_steer_direction(carla.VehicleWheelLocation.FL_Wheel, 20.0)
    car.set_collisions(True)
    car.set_enable_gravity(False)
    for _ in range(30):
        car.apply_control(carla.VehicleControl(throttle=0.5, steer=0.25))
        world.tick()
    told = car.get_telemetry_data()
    assert told.speed == pytest.approx(car.get_velocity().length(), abs=0.02)
    assert (told.throttle, told.steer) == (pytest.approx(0.5), pytest.approx(0.25))
    assert len(told.wheels) == 4
    angle = car.get_wheel_steer_angle(carla.VehicleWheelLocation.FL_Wheel)
    assert angle > 3.0
    assert car.get_wheel_steer_angle(carla.VehicleWheelLocation.BL_Wheel) == 0.0
    assert car.get_failure_state() == carla.VehicleFailureState.NONE


def test_a_force_along_the_axis_speeds_a_vehicle_up(world: Any) -> None:
    car = spawn(world)
    world.tick()
    car.add_force(car.get_transform().get_forward_vector() * 1.5e6)  # [N] in one tick of 0.05 s
    world.tick()
    world.tick()
    along = car.get_velocity().length()
    assert along == pytest.approx(1.5e6 * 0.05 / car.get_physics_control().mass, rel=0.05)


def test_an_actor_is_put_to_a_location_and_keeps_its_rotation(world: Any) -> None:
    car = spawn(world)
    world.tick()
    yaw = car.get_transform().rotation.yaw
    goal = world.get_map().get_spawn_points()[40].location
    car.set_location(goal)
    world.tick()
    assert car.get_location().distance(goal) < 0.5
    assert car.get_transform().rotation.yaw == pytest.approx(yaw, abs=0.1)


def test_lights_tell_their_boxes_and_begin_afresh_as_a_group(world: Any) -> None:
    light = world.get_actors().filter("traffic.traffic_light")[0]
    assert all(one.extent.z > 0.0 for one in light.get_light_boxes())
    light.set_state(carla.TrafficLightState.Green)
    light.set_green_time(7.0)
    world.tick()
    light.reset_group()
    world.tick()
    assert world.get_actor(light.id).get_green_time() == pytest.approx(7.0)


def test_a_walker_takes_the_pose_of_its_animation(world: Any) -> None:
    blueprint = world.get_blueprint_library().filter("walker.pedestrian.*")[0]
    walker = world.spawn_actor(blueprint, world.get_map().get_spawn_points()[10])
    world.tick()
    before = [bone.relative for bone in walker.get_bones().bone_transforms]
    walker.get_pose_from_animation()
    walker.blend_pose(0.5)
    world.tick()
    after = [bone.relative for bone in walker.get_bones().bone_transforms]
    assert len(before) == len(after) > 10
    assert all(a.location.distance(b.location) < 1e-6 for a, b in zip(before, after, strict=True))
