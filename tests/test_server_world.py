"""The real CARLA client: session, map, ticks, vehicles, lights, weather."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from carla_server import STEP, Served, serving, synchronous

from drive_il.maps import library

carla = pytest.importorskip("carla")
pytestmark = pytest.mark.carla_wheel


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--town", "alder") as server:
        yield server


@pytest.fixture
def world(served: Served) -> Any:
    return synchronous(served.client(), "alder")


def spawn(world: Any, name: str = "vehicle.lincoln.mkz_2020", place: int = 0) -> Any:
    blueprint = world.get_blueprint_library().find(name)
    return world.spawn_actor(blueprint, world.get_map().get_spawn_points()[place])


def test_the_client_finds_version_and_maps(served: Served) -> None:
    client = served.client()
    assert client.get_server_version() == client.get_client_version() == "0.9.16"
    assert [one.rsplit("/", 1)[-1] for one in client.get_available_maps()[:4]] == library.shipped()


def test_the_map_is_the_town_as_carla_reads_it(world: Any) -> None:
    ours = carla.Map("alder", library.opendrive_text("alder"))
    theirs = world.get_map()
    assert theirs.to_opendrive() == ours.to_opendrive()
    assert len(theirs.get_topology()) == len(ours.get_topology())
    for point in theirs.get_spawn_points()[::40]:
        lane = theirs.get_waypoint(point.location)
        assert lane.transform.location.distance(point.location) < 0.5
        turn = math.radians(lane.transform.rotation.yaw - point.rotation.yaw)
        assert math.cos(turn) > 0.999


def test_a_tick_is_one_frame_and_one_step(world: Any) -> None:
    before = world.get_snapshot()
    frames = [world.tick() for _ in range(5)]
    after = world.get_snapshot()
    assert frames == [before.frame + k for k in range(1, 6)]
    assert after.frame == frames[-1]
    assert after.timestamp.delta_seconds == pytest.approx(STEP)
    elapsed = after.timestamp.elapsed_seconds - before.timestamp.elapsed_seconds
    assert elapsed == pytest.approx(5 * STEP)


def test_a_free_world_ticks_by_itself(served: Served) -> None:
    world = served.client().reload_world()
    first = world.wait_for_tick(5.0)
    assert world.wait_for_tick(5.0).frame > first.frame


def test_a_step_longer_than_the_physics_bears_is_made_in_parts(world: Any) -> None:
    settings, places = world.get_settings(), []
    for seconds, ticks in ((3.0, 1), (0.5, 6)):
        settings.fixed_delta_seconds = seconds
        world.apply_settings(settings)  # the client ticks meanwhile
        vehicle = spawn(world)
        vehicle.apply_control(carla.VehicleControl(throttle=0.5))
        for _ in range(ticks):
            world.tick()
        assert world.get_snapshot().timestamp.delta_seconds == pytest.approx(seconds)
        places.append(vehicle.get_location())
        vehicle.destroy()
    start = world.get_map().get_spawn_points()[0].location
    assert places[0].distance(start) > 3.0
    assert places[0].distance(places[1]) < 1e-4
    settings.fixed_delta_seconds = 10.5
    with pytest.raises(RuntimeError, match=r"fixed_delta_seconds must be in \(0, 10.0\] s"):
        world.apply_settings(settings)


def test_every_blueprint_can_be_spawned(world: Any) -> None:
    points = world.get_map().get_spawn_points()
    library_ = world.get_blueprint_library()
    assert len(library_) > 190
    assert len(library_.filter("vehicle.*")) == 41
    assert len(library_.filter("walker.pedestrian.*")) == 52
    refused = {"normals", "optical_flow", "cosmos_visualization", "dvs"}
    for k, blueprint in enumerate(library_):
        attribute_names = {attribute.id for attribute in blueprint}
        assert "role_name" in attribute_names
        if blueprint.id.rsplit(".", 1)[-1] in refused:  # programs look them up all the same
            with pytest.raises(RuntimeError, match="is not simulated here"):
                world.spawn_actor(blueprint, points[0])
            continue
        place = points[k % len(points)]
        actor = world.spawn_actor(blueprint, place)
        assert actor.type_id == blueprint.id
        assert actor.destroy()


def test_generations_and_wheels_select_vehicles(world: Any) -> None:
    vehicles = world.get_blueprint_library().filter("vehicle")
    wheels = [int(one.get_attribute("number_of_wheels")) for one in vehicles]
    assert sorted(set(wheels)) == [2, 4]
    second = [one for one in vehicles if int(one.get_attribute("generation")) == 2]
    assert "vehicle.lincoln.mkz_2020" in {one.id for one in second}
    assert len(second) == 13


def test_a_vehicle_drives_as_told(world: Any) -> None:
    vehicle = spawn(world)
    start = world.get_map().get_spawn_points()[0]
    world.tick()
    assert vehicle.get_location().distance(start.location) < 0.5
    assert vehicle.get_transform().rotation.yaw == pytest.approx(start.rotation.yaw, abs=0.01)
    vehicle.apply_control(carla.VehicleControl(throttle=0.7, steer=0.2))
    for _ in range(20):
        world.tick()
    control = vehicle.get_control()
    assert (control.throttle, control.steer) == pytest.approx((0.7, 0.2))
    velocity = vehicle.get_velocity()
    assert math.hypot(velocity.x, velocity.y) > 2.0
    assert vehicle.get_angular_velocity().z > 0.0  # to the right is positive in CARLA's frame
    turned = vehicle.get_transform().rotation.yaw - start.rotation.yaw
    assert 0.0 < (turned + 180.0) % 360.0 - 180.0 < 90.0


def test_velocity_is_the_change_of_place(world: Any) -> None:
    vehicle = spawn(world)
    vehicle.apply_control(carla.VehicleControl(throttle=0.6))
    places = []
    for _ in range(40):
        world.tick()
        velocity, place = vehicle.get_velocity(), vehicle.get_location()
        places.append((place.x, place.y, velocity.x, velocity.y))
    x = np.array(places)
    moved = (x[21:, :2] - x[19:-2, :2]) / (2 * STEP)
    assert moved == pytest.approx(x[20:-1, 2:], abs=0.05)


def test_reverse_goes_backwards_and_the_hand_brake_holds(world: Any) -> None:
    vehicle = spawn(world)
    world.tick()
    start = vehicle.get_transform()
    vehicle.apply_control(carla.VehicleControl(throttle=0.6, reverse=True))
    for _ in range(30):
        world.tick()
    back = vehicle.get_location() - start.location
    forward = start.get_forward_vector()
    assert back.x * forward.x + back.y * forward.y < -1.0
    assert vehicle.get_control().reverse
    vehicle.apply_control(carla.VehicleControl(throttle=0.6, hand_brake=True))
    for _ in range(60):
        world.tick()
    assert vehicle.get_velocity().length() == 0.0


def test_teleport_and_physics(world: Any) -> None:
    vehicle = spawn(world)
    there = world.get_map().get_spawn_points()[40]
    vehicle.set_transform(there)
    world.tick()
    assert vehicle.get_location().distance(there.location) < 0.5
    vehicle.set_simulate_physics(False)
    hidden = carla.Transform(carla.Location(there.location.x, there.location.y, -500.0))
    vehicle.set_transform(hidden)
    vehicle.apply_control(carla.VehicleControl(throttle=1.0))
    world.tick()
    assert vehicle.get_location().z == pytest.approx(-500.0)
    assert vehicle.get_velocity().length() == 0.0


def test_a_kept_speed_and_a_push(world: Any) -> None:
    vehicle = spawn(world)
    vehicle.enable_constant_velocity(carla.Vector3D(7.0, 0.0, 0.0))
    for _ in range(10):
        world.tick()
    assert vehicle.get_velocity().length() == pytest.approx(7.0)
    vehicle.disable_constant_velocity()
    forward = vehicle.get_transform().get_forward_vector()
    world.tick()
    before = vehicle.get_velocity().length()
    vehicle.add_impulse(1500.0 * 3.0 * forward)
    vehicle.apply_control(carla.VehicleControl())
    world.tick()
    assert before + 2.0 < vehicle.get_velocity().length() < before + 3.0


def test_batches_spawn_drive_and_destroy(world: Any, served: Served) -> None:
    client = served.client()
    client.get_world()  # without an episode the client itself crashes on a batch with a tick
    points = world.get_map().get_spawn_points()
    blueprint = world.get_blueprint_library().find("vehicle.audi.tt")
    spawns = [carla.command.SpawnActor(blueprint, point) for point in points[:10]]
    then = [
        one.then(carla.command.ApplyVehicleControl(carla.command.FutureActor, go))
        for one, go in zip(spawns, [carla.VehicleControl(throttle=1.0)] * 10, strict=True)
    ]
    answers = client.apply_batch_sync([*then, spawns[0]], True)
    assert [bool(one.error) for one in answers] == [False] * 10 + [True]
    assert "collision at spawn position" in answers[-1].error
    for _ in range(20):
        world.tick()
    vehicles = world.get_actors([one.actor_id for one in answers[:10]])
    assert all(one.get_velocity().length() > 1.0 for one in vehicles)
    client.apply_batch_sync([carla.command.DestroyActor(one) for one in vehicles], True)
    assert len(world.get_actors().filter("vehicle.*")) == 0


def test_what_is_told_is_kept(world: Any) -> None:
    vehicle = spawn(world)
    physics = vehicle.get_physics_control()
    assert physics.mass == 1500.0
    assert len(physics.wheels) == 4
    physics.mass = 1234.0
    vehicle.apply_physics_control(physics)
    lamps = carla.VehicleLightState(
        carla.VehicleLightState.LowBeam | carla.VehicleLightState.LeftBlinker
    )
    vehicle.set_light_state(lamps)
    world.tick()
    assert vehicle.get_physics_control().mass == 1234.0
    assert vehicle.get_light_state() == lamps
    world.set_weather(carla.WeatherParameters.HardRainSunset)
    world.tick()
    assert world.get_weather() == carla.WeatherParameters.HardRainSunset


def test_what_is_not_there_is_refused_clearly(world: Any, served: Served) -> None:
    client = served.client()
    with pytest.raises(RuntimeError, match="there is no recorder here"):
        client.start_recorder("drive.log")
    with pytest.raises(RuntimeError, match="there is no map 'atlantis' here; there are alder"):
        client.load_world("atlantis")
    with pytest.raises(RuntimeError, match="only walkers have bones"):
        spawn(world).get_bone_names()


def test_lights_stand_before_their_lanes_and_can_be_set(world: Any) -> None:
    map_ = world.get_map()
    lights = world.get_actors().filter("traffic.traffic_light")
    assert len(lights) > 10
    for light in lights:
        volume = light.trigger_volume
        middle = light.get_transform().transform(volume.location)
        lane = map_.get_waypoint(middle)
        assert not lane.is_junction
        assert lane.transform.location.distance(carla.Location(middle.x, middle.y)) < 6.0
        stops = light.get_stop_waypoints()
        assert stops
        assert all(stop.lane_width / 2 < volume.extent.x + 1.0 for stop in stops)
        across = light.get_transform().rotation.yaw - lane.transform.rotation.yaw
        assert abs(math.sin(math.radians(across))) > 0.99
        assert light.get_opendrive_id()
        assert light.id in {one.id for one in light.get_group_traffic_lights()}
    light = lights[0]
    light.set_state(carla.TrafficLightState.Yellow)
    light.freeze(True)
    for _ in range(100):
        world.tick()
    assert light.get_state() == carla.TrafficLightState.Yellow
    assert light.is_frozen()


def test_a_light_cycles_by_its_times(world: Any) -> None:
    lights = world.get_actors().filter("traffic.traffic_light")
    light = lights[0]
    for one in light.get_group_traffic_lights():
        one.set_green_time(2.0)
        one.set_yellow_time(1.0)
        one.set_red_time(0.5)
    world.reset_all_traffic_lights()
    shown = []
    for _ in range(int(3.5 * 4 / STEP)):
        world.tick()
        shown.append(light.get_state())
    greens = shown.count(carla.TrafficLightState.Green)
    yellows = shown.count(carla.TrafficLightState.Yellow)
    assert greens == 2 * yellows
    n_phases = greens * STEP / 2.0
    assert n_phases == pytest.approx(round(n_phases), abs=0.1)


def test_a_vehicle_knows_its_light_and_limit(world: Any) -> None:
    light = world.get_actors().filter("traffic.traffic_light")[0]
    stop = light.get_stop_waypoints()[0]
    light.set_state(carla.TrafficLightState.Red)
    vehicle = world.get_blueprint_library().find("vehicle.audi.tt")
    actor = world.spawn_actor(vehicle, stop.transform)
    world.tick()
    assert actor.is_at_traffic_light()
    assert actor.get_traffic_light().id == light.id
    assert actor.get_traffic_light_state() == carla.TrafficLightState.Red
    assert actor.get_speed_limit() in (30.0, 40.0, 50.0)


def test_signs_are_actors(world: Any) -> None:
    actors = world.get_actors()
    assert len(actors.filter("traffic.stop")) > 0
    limits = actors.filter("traffic.speed_limit.*")
    assert {one.type_id for one in limits} >= {"traffic.speed_limit.30", "traffic.speed_limit.50"}
    for stop in actors.filter("traffic.stop"):
        middle = stop.get_transform().transform(stop.trigger_volume.location)
        assert world.get_map().get_waypoint(middle).transform.location.distance(middle) < 6.0


def test_worlds_are_loaded_and_generated(served: Served) -> None:
    client = served.client()
    before = client.get_world().id
    world = client.load_world("cedar")
    assert world.id != before
    assert world.get_map().name.endswith("cedar")
    made = client.generate_opendrive_world(library.opendrive_text("birch"))
    assert made.get_map().name.endswith("OpenDriveMap")
    birch = carla.Map("birch", library.opendrive_text("birch"))
    assert len(made.get_map().get_topology()) == len(birch.get_topology())


def test_debug_shapes_are_accepted(world: Any) -> None:
    world.debug.draw_point(carla.Location())
    world.debug.draw_string(carla.Location(), "here")
    world.debug.draw_box(
        carla.BoundingBox(carla.Location(), carla.Vector3D(1, 1, 1)), carla.Rotation()
    )
    world.tick()


def test_the_spectator_goes_where_it_is_put(world: Any) -> None:
    spectator = world.get_spectator()
    spectator.set_transform(carla.Transform(carla.Location(1, 2, 30), carla.Rotation(pitch=-90)))
    world.tick()
    assert spectator.get_transform().rotation.pitch == pytest.approx(-90.0)
    assert spectator.get_location().z == pytest.approx(30.0)
