"""On a wet road brakes and bends have the friction limit of the weather, if it is asked for."""

import math

import numpy as np
import pytest

from drive_il.actors import ActorKind, Mover, Spawn, Traffic
from drive_il.datatypes import CONTROL, WEATHER, EpisodeSpec, Records, Route, Start
from drive_il.maps.network import RoadNetwork
from drive_il.sim import World, vehicle
from drive_il.sim.grip import DRY, GRAVITY, POOL_LOSS, UNLIMITED, WET_LOSS, grip_in, share
from drive_il.steering import REAR_WHEELBASE
from tests.roads import straight_road
from tests.test_world import route_along

STRAIGHT = straight_road(500.0)
WET = (DRY - WET_LOSS - POOL_LOSS) * GRAVITY
AT = np.array([0])


def weather(**values: float) -> Records:
    made = np.zeros(1, WEATHER)
    for name, value in values.items():
        made[name] = value
    return made


STORM = weather(precipitation=100, precipitation_deposits=100, wetness=100)
DROUGHT = weather()


def pressed(throttle: float = 0.0, brake: float = 0.0, steer: float = 0.0) -> Records:
    return np.array([(throttle, brake, steer)], CONTROL)


def rolling(speed: float, brake: float = 0.0, steering_angle: float = 0.0) -> Records:
    ego = vehicle.standing(1)
    ego["speed"], ego["brake"], ego["steering_angle"] = speed, brake, steering_angle
    return ego


def world_on(
    network: RoadNetwork, sky: Records, slippery: bool, speed: float, **traffic: object
) -> World:
    lane = route_along(network, 0)
    route = Route(
        lane.id, lane.town, lane.points, lane.keypoints, weathers=sky, weather_at=np.zeros(1)
    )
    world = World(network, 1, [route])
    asked = Traffic(slippery=slippery, **traffic)  # type: ignore[arg-type]
    world.reset(AT, [EpisodeSpec(route, 3, start=Start(s=20.0, speed=speed), traffic=asked)])
    return world


def test_friction_falls_from_dry_over_wet_to_puddles() -> None:
    for mu, sky in (
        (0.85, DROUGHT),
        (0.65, weather(wetness=100)),
        (0.65, weather(precipitation=100)),
        (0.50, STORM),
        (0.675, weather(precipitation_deposits=50)),
    ):
        assert grip_in(sky[0]) == pytest.approx(mu * GRAVITY)


def test_two_wishes_are_cut_to_the_friction_circle_in_proportion() -> None:
    held, across = share(3.0, 20.0, 5.0)
    assert math.hypot(3.0 * held, across) == pytest.approx(5.0)
    assert across / (3.0 * held) == pytest.approx(5.0 / 3.0)
    assert share(3.0, 3.9, 5.0) == (1.0, 4.0)  # within it: all of one, what is left of the other
    held, _ = share(8.0, 0.0, 5.0)
    assert 8.0 * held == pytest.approx(5.0)


def test_braking_distance_is_that_of_the_friction_limit() -> None:
    """From v at a deceleration of mu g + k v^2: x = ln(1 + k v^2 / (mu g)) / 2 k."""
    ego = rolling(20.0, brake=1.0)
    for _ in range(200):
        vehicle.drive_rows(ego, pressed(brake=1.0), 0.05, WET)
    drag = vehicle.AIR_DRAG
    expected = math.log(1.0 + drag * 400.0 / WET) / (2.0 * drag)
    assert ego["speed"][0] == 0.0
    assert ego["x"][0] == pytest.approx(expected, rel=1e-4)
    dry = rolling(20.0, brake=1.0)
    for _ in range(200):
        vehicle.drive_rows(dry, pressed(brake=1.0), 0.05)
    assert dry["x"][0] < 0.7 * expected


@pytest.mark.parametrize("grip", [3.0, WET, 8.0])
@pytest.mark.parametrize("brake", [0.0, 0.3, 1.0])
def test_no_tyre_ever_gives_more_than_its_grip(grip: float, brake: float) -> None:
    ego = rolling(25.0)
    reached = 0.0
    for _ in range(100):
        speed = float(ego["speed"][0])
        vehicle.drive_rows(ego, pressed(brake=brake, steer=0.7), 0.01, grip)
        along = float(ego["acceleration"][0]) + vehicle.AIR_DRAG * speed * speed
        across = float(ego["speed"][0] * ego["yaw_rate"][0])
        if ego["speed"][0] > 5.0:
            reached = max(reached, math.hypot(along, across))
    assert reached == pytest.approx(grip, rel=0.005)
    assert reached <= grip * 1.002


def test_a_car_that_steers_too_hard_slides_on_the_widest_circle_it_can_hold() -> None:
    ego = rolling(15.0, steering_angle=0.5)
    vehicle.drive_rows(ego, pressed(steer=0.5 / vehicle.STEER_GAIN), 0.05, WET)
    radius = float(ego["speed"][0] / ego["yaw_rate"][0])
    held = math.hypot(vehicle.RESISTANCE, WET) / WET  # it coasts, which takes its share
    assert radius == pytest.approx(ego["speed"][0] ** 2 / WET * held, rel=0.01)
    assert math.sin(ego["slip"][0]) == pytest.approx(REAR_WHEELBASE / radius, rel=1e-9)
    assert ego["steering_angle"][0] == pytest.approx(0.5)  # the wheels are turned all the same


def test_gentle_driving_is_the_same_on_any_road() -> None:
    wet, dry = rolling(10.0), rolling(10.0)
    for k in range(100):
        command = pressed(throttle=0.3, steer=0.02 * math.sin(0.1 * k))
        vehicle.drive_rows(wet, command, 0.05, WET)
        vehicle.drive_rows(dry, command, 0.05, UNLIMITED)
    assert wet.tobytes() == dry.tobytes()


def test_weather_changes_the_grip_only_where_asked_for() -> None:
    stops = {}
    for name, sky, slippery in (
        ("storm", STORM, True),
        ("dry", DROUGHT, True),
        ("storm, not asked", STORM, False),
    ):
        world = world_on(STRAIGHT, sky, slippery, speed=20.0)
        for _ in range(200):
            world.step(pressed(brake=1.0))
        stops[name] = float(world.scene.ego["x"][0])
    assert stops["storm"] > stops["dry"] + 8.0
    assert stops["dry"] == pytest.approx(stops["storm, not asked"], abs=1e-9)


def test_traffic_keeps_within_the_grip_and_further_apart() -> None:
    point = route_along(STRAIGHT, 0).points[0]
    apart, hardest = {}, {}
    for slippery in (False, True):
        cars = [Spawn(ActorKind.CAR, 60.0 + 40.0 * k, float(point["y"]), 0.0, 12.0) for k in (0, 1)]
        obstacle = Spawn(ActorKind.CAR, 330.0, float(point["y"]), 0.0, 0.0, Mover.NOBODY)
        world = world_on(STRAIGHT, STORM, slippery, 0.0, spawns=(*cars, obstacle))
        found = []
        for step in range(900):
            world.step(pressed(brake=1.0))
            vehicles = world.scene.actors.vehicles[0]
            found.append(vehicles["acceleration"][1:3].min())
            if step == 250:
                apart[slippery] = float(vehicles["x"][2] - vehicles["x"][1])
        hardest[slippery] = -min(found)
        assert world.scene.actors.vehicles["speed"][0, 1:3].max() < 0.1
    assert hardest[True] <= WET
    assert apart[True] > apart[False] + 2.0


def test_a_slippery_world_is_restored_with_its_grip() -> None:
    world = world_on(STRAIGHT, STORM, True, speed=20.0)
    other = world_on(STRAIGHT, STORM, False, speed=20.0)
    other.restore(world.snapshot(AT), AT)
    for _ in range(60):
        world.step(pressed(brake=1.0, steer=0.1))
        other.step(pressed(brake=1.0, steer=0.1))
    assert other.scene.ego.tobytes() == world.scene.ego.tobytes()
