"""Actors that come, are driven, change hands and go while a world runs."""

import numpy as np
import pytest

from drive_il.actors import ActorKind, LightState, Mover, Spawn, Struck, Traffic
from drive_il.datatypes import CONTROL, EpisodeSpec, Records, Start
from drive_il.maps import library
from drive_il.maps.network import MarkType, RoadNetwork, SignalKind
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sim import World
from tests.roads import straight_road
from tests.test_world import route_along

STRAIGHT = straight_road(500.0)
AHEAD = route_along(STRAIGHT, 0)
LANE_Y = float(AHEAD.points["y"][0])


def control(throttle: float = 0.0, brake: float = 0.0, steer: float = 0.0, n: int = 1) -> Records:
    return np.array([(throttle, brake, steer)] * n, CONTROL)


def street(n_rows: int = 1, egos: int = 1, **start: float) -> World:
    """Worlds on the straight road, each ego 30 m behind the one before."""
    world = World(STRAIGHT, n_rows, [AHEAD], egos=egos)
    specs = [
        EpisodeSpec(AHEAD, seed=row // egos, start=Start(s=100.0 - 30.0 * (row % egos), **start))
        for row in range(n_rows)
    ]
    world.reset(np.arange(n_rows), specs)
    return world


def car(x: float, mover: Mover = Mover.CONTROL, speed: float = 0.0, y: float = LANE_Y) -> Spawn:
    return Spawn(ActorKind.CAR, x, y, 0.0, speed, mover)


def vehicle(world: World, id: int, index: int = 0) -> np.record:
    vehicles = world.scene.actors.vehicles[index]
    return vehicles[vehicles["id"] == id][0]


def test_a_vehicle_driven_from_outside_moves_as_an_ego_with_the_same_control() -> None:
    world = street()
    driven = world.spawn(0, car(200.0))
    world.set_control(0, driven, control(throttle=0.6)[0])
    for _ in range(60):
        world.step(control(throttle=0.6))
    ego, other = world.scene.ego[0], vehicle(world, driven)
    assert ego["speed"] > 5.0
    # A car's model has another wheelbase than the ego's, which does not matter straight ahead.
    assert other["speed"] == pytest.approx(ego["speed"], abs=1e-12)
    assert other["x"] - 200.0 == pytest.approx(ego["x"] - 100.0, abs=1e-9)


def test_a_driven_vehicle_meets_kerbs_and_others_as_an_ego_does() -> None:
    world = street()
    climber, rammer = world.spawn(0, car(200.0, speed=8.0)), world.spawn(0, car(300.0, speed=8.0))
    wall = world.spawn(0, car(320.0, Mover.NOBODY))
    world.set_control(0, climber, control(0.3, steer=-0.1)[0])
    world.set_control(0, rammer, control(0.3)[0])
    climbs, marks, rams = 0, set(), []
    for _ in range(80):
        world.step(control(brake=1.0))
        found = world.contact(0, climber)
        climbs += bool(found["struck"] == Struck.STATIC and found["struck_id"] == 0)
        marks.add(int(found["right_mark"]))
        rams.append(world.contact(0, rammer))
    assert 1 <= climbs <= 4  # a wheel at a time
    assert {int(MarkType.SOLID), int(MarkType.CURB)} <= marks
    [first, *_] = [ram for ram in rams if ram["struck"]]
    assert (first["struck"], first["struck_id"]) == (Struck.VEHICLE, wall)
    assert first["struck_speed"] > 7.0
    assert vehicle(world, rammer)["x"] < 320.0 - 4.0
    assert world.scene.events["struck"][0] == 0
    with pytest.raises(ValueError, match="is moved by NOBODY"):
        world.contact(0, wall)


def test_one_that_is_not_told_anything_stays_on_the_brake() -> None:
    world = street()
    waiting = world.spawn(0, car(200.0))
    for _ in range(20):
        world.step(control())
    assert vehicle(world, waiting)["x"] == 200.0


def test_ids_are_never_used_again() -> None:
    world = street()
    ids = []
    for _ in range(3):
        ids.append(world.spawn(0, car(200.0)))
        world.remove(0, ids[-1])
    ids.append(world.spawn_walker(0, 50.0, 5.0, 0.0))
    assert len(set(ids)) == 4
    assert 1 not in ids


def test_traffic_drives_up_to_a_vehicle_and_on_when_it_is_removed() -> None:
    world = street()
    obstacle = world.spawn(0, car(300.0, Mover.NOBODY))
    follower = world.spawn(0, car(230.0, Mover.TRAFFIC, 10.0))
    for _ in range(400):
        world.step(control())
    behind = vehicle(world, follower)
    gap = 300.0 - behind["x"] - 4.6
    assert behind["speed"] < 0.2
    assert 0.5 < gap < 6.0
    world.remove(0, obstacle)
    for _ in range(100):
        world.step(control())
    assert vehicle(world, follower)["speed"] > 4.0


def test_a_vehicle_changes_hands() -> None:
    world = street()
    id = world.spawn(0, car(200.0))
    world.set_mover(0, id, Mover.TRAFFIC)
    for _ in range(100):
        world.step(control())
    speed = vehicle(world, id)["speed"]
    assert speed > 5.0
    world.set_mover(0, id, Mover.CONTROL)
    world.set_control(0, id, control(brake=1.0))
    for _ in range(100):
        world.step(control())
    assert vehicle(world, id)["speed"] == 0.0
    world.set_mover(0, id, Mover.NOBODY)
    assert vehicle(world, id)["mover"] == Mover.NOBODY


def test_a_walker_goes_as_told() -> None:
    world = street()
    id = world.spawn_walker(0, 150.0, 5.0, -np.pi / 2, 1.5)
    for _ in range(40):
        world.step(control())
    walker = world.scene.actors.walkers[0]
    walker = walker[walker["id"] == id][0]
    assert walker["x"] == pytest.approx(150.0, abs=1e-9)
    assert walker["y"] == pytest.approx(5.0 - 40 * 0.05 * 1.5)
    world.set_walker(0, id, 0.0, 0.0)
    world.step(control())
    world.remove_walker(0, id)
    assert not (world.scene.actors.walkers[0]["id"] == id).any()


def test_two_egos_and_a_third_vehicle_share_a_world() -> None:
    world = street(n_rows=4, egos=2)
    id = world.spawn(1, car(140.0))
    for _ in range(40):
        world.step(control(throttle=0.7, n=4))
    scene = world.scene
    assert (scene.actors.vehicles["id"][0] > 0).sum() == 2
    assert (scene.actors.vehicles["id"][1] > 0).sum() == 3
    assert scene.ego["x"][2] == scene.ego["x"][0]  # nobody was in the way yet
    assert vehicle(world, id, 1)["x"] == 140.0
    with pytest.raises(ValueError, match="is an ego"):
        world.set_mover(1, 2, Mover.TRAFFIC)


def drama(world: World, index: int) -> None:
    """A vehicle of each sort joins a world."""
    world.spawn(index, car(180.0, Mover.TRAFFIC, 5.0))
    driven = world.spawn(index, car(220.0))
    world.set_control(index, driven, control(throttle=0.4, steer=0.02))
    world.spawn_walker(index, 260.0, 6.0, -1.2, 1.0)


def bits(world: World, index: int) -> list[bytes]:
    """What there is in a world, empty slots aside."""
    actors = world.scene.actors
    vehicles, walkers = actors.vehicles[index], actors.walkers[index]
    return [
        world.scene.ego[index].tobytes(),
        vehicles[vehicles["id"] > 0].tobytes(),
        walkers[walkers["id"] > 0].tobytes(),
    ]


def test_what_happens_in_one_world_does_not_depend_on_the_others() -> None:
    alone, among = street(1), street(5)
    for _ in range(6):
        among.spawn(3, car(300.0 + 10.0 * _, Mover.TRAFFIC))
    specs = [EpisodeSpec(AHEAD, seed=0, start=Start(s=100.0))]
    among.reset(np.array([2]), specs)
    drama(alone, 0)
    drama(among, 2)
    for _ in range(100):
        alone.step(control(throttle=0.5))
        among.step(control(throttle=0.5, n=5))
    assert bits(alone, 0) == bits(among, 2)


def test_a_snapshot_carries_all_of_it() -> None:
    world = street(2)
    drama(world, 0)
    for _ in range(20):
        world.step(control(throttle=0.5, n=2))
    snapshot = world.snapshot(np.array([0]))
    other = street(3)
    other.restore(snapshot, np.array([1]))
    new = world.spawn(0, car(400.0)), other.spawn(1, car(400.0))
    assert new[0] == new[1]
    for _ in range(60):
        world.step(control(throttle=0.5, n=2))
        other.step(control(throttle=0.5, n=3))
    assert bits(world, 0) == bits(other, 1)


def test_a_reset_forgets_them() -> None:
    world = street()
    drama(world, 0)
    world.reset(np.array([0]), [EpisodeSpec(AHEAD, start=Start(s=100.0))])
    assert (world.scene.actors.vehicles["id"][0] > 0).sum() == 1
    assert (world.scene.actors.walkers["id"][0] > 0).sum() == 0


@pytest.fixture(scope="module")
def alder() -> RoadNetwork:
    return library.load("alder")


def town(network: RoadNetwork, traffic: Traffic) -> World:
    record = make_suite(network, 1, 0, seed=5)[0]
    route = RoutePlanner(network).plan(record.keypoints)
    world = World(network, 1, [route])
    world.reset(np.array([0]), [EpisodeSpec(route, traffic=traffic)])
    return world


def test_lights_can_be_set_and_frozen(alder: RoadNetwork) -> None:
    world = town(alder, Traffic(signals=True))
    light = int(np.flatnonzero(alder.signals["kind"] == SignalKind.LIGHT)[0])
    world.freeze_lights(0)
    world.set_light(0, light, LightState.YELLOW)
    for _ in range(1000):
        world.step(control(brake=1.0))
    assert world.scene.actors.lights[0, light] == LightState.YELLOW
    before = world.scene.actors.lights[0].copy()
    world.freeze_lights(0, False)
    for _ in range(300):
        world.step(control(brake=1.0))
    assert (world.scene.actors.lights[0] != before).any()


def test_bad_calls_say_what_would_do(alder: RoadNetwork) -> None:
    world = street()
    id = world.spawn(0, car(200.0))
    walker = world.spawn_walker(0, 50.0, 6.0, 0.0)
    bad = control()
    bad["steer"] = np.nan
    sign = int(np.flatnonzero(alder.signals["kind"] != SignalKind.LIGHT)[0])
    calls = [
        (lambda: world.spawn(1, car(300.0)), "world must be in"),
        (lambda: world.spawn(0, car(np.nan)), "finite"),
        (lambda: world.spawn(0, car(300.0, speed=-1.0)), "speed must be"),
        (lambda: world.spawn(0, car(201.0)), f"vehicle {id} stands"),
        (lambda: world.spawn(0, car(300.0, Mover.TRAFFIC, y=90.0)), "driving lane"),
        (lambda: world.spawn(0, Spawn(ActorKind.PROP, 300.0, 0.0, 0.0)), "PROP"),
        (lambda: world.remove(0, 77), r"no vehicle 77; there are \[1, "),
        (lambda: world.remove(0, 1), "is an ego"),
        (lambda: world.set_control(0, id, bad), "steer of vehicle"),
        (lambda: world.set_control(0, id, np.zeros(2, CONTROL)), "one CONTROL"),
        (lambda: world.set_walker(0, 5000, 0.0, 1.0), "no walker 5000"),
        (lambda: world.set_walker(0, walker, 0.0, 99.0), "speed of a walker"),
        (lambda: world.spawn_walker(0, np.inf, 0.0, 0.0), "x of a walker"),
        (lambda: world.freeze_lights(0), "do not run"),
        (
            lambda: town(alder, Traffic(signals=True)).set_light(0, sign, LightState.RED),
            "no traffic",
        ),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()
    assert (world.scene.actors.vehicles["id"][0] > 0).sum() == 2  # what failed left nothing
    world.set_mover(0, id, Mover.NOBODY)
    with pytest.raises(ValueError, match="set_mover"):
        world.set_control(0, id, control())
    with pytest.raises(RuntimeError, match="before reset"):
        World(STRAIGHT, 1).spawn(0, car(200.0))
