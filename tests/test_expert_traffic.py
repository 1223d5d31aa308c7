"""The expert among others: it follows, gives way, passes; alone it drives as the road asks."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numba import types as nt

from drive_il import kernels
from drive_il.actors import WALKER, ActorKind, Mover, VehicleLight
from drive_il.datatypes import (
    CONTROL,
    PROGRESS,
    ROUTE_POINT,
    VEHICLE,
    Actors,
    EpisodeSpec,
    Ints,
    Records,
    Route,
    Scene,
    Start,
)
from drive_il.experts.planner import Planner, PlannerConfig
from drive_il.experts.road_law import CONFIG, hold_back, pedals, steer, target_speed
from drive_il.maps import library
from drive_il.maps.routes import load_routes
from drive_il.sim import World
from tests.drives import make_route
from tests.roads import straight_road
from tests.street import Run, car, drive_street, moving, person, stays_put, surround
from tests.test_world import route_along

ROUTES = Path(__file__).parents[1] / "routes"
SUITES = sorted(path for path in ROUTES.glob("*.xml") if "scenarios" not in path.stem)
ROAD = straight_road(length=800.0)
AT_SPEED = Start(5.0, 0.0, 0.0, 14.0)
UPWARDS = 0.5 * math.pi


def lane_route(length: float = 400.0, speed_limit: float = 15.6) -> Route:
    """Along lane 0 of the straight road, 1.75 m right of its middle."""
    route = make_route([(length, 0)], speed_limit)
    route.points["y"] -= 1.75
    return route


ROUTE = lane_route()


def ahead(s: float, speed: float = 0.0, **more: object) -> Records:
    """A car in the ego's lane."""
    return car(s, -1.75, speed=speed, lane=0, lane_s=s, **more)  # type: ignore[arg-type]


def oncoming(s: float, speed: float) -> Records:
    """A car in the opposite lane."""
    return car(s, 1.75, math.pi, speed, lane=3, lane_s=800.0 - s)


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(CONFIG)[::1],
        kernels.record(VEHICLE)[::1],
        kernels.record(PROGRESS)[::1],
        kernels.record(ROUTE_POINT)[::1],
        nt.int32[::1],
        nt.int32[::1],
        kernels.record(CONTROL)[::1],
    )
)
def _by_the_road_alone(
    first_row: int,
    last_row: int,
    config: Records,
    egos: Records,
    progresses: Records,
    points: Records,
    first: Ints,
    count: Ints,
    control: Records,
) -> None:
    for row in range(first_row, last_row):
        ego, at = egos[row], progresses[row]
        low = first[at.route]
        high = low + count[at.route] - 1
        control[row].steer, top = steer(
            config[0], ego, at, points, low, high, (0.0, 0.0, 0.0, 0.0), 0.05
        )
        target = target_speed(config[0], ego.speed, at, points, low, high)
        most, ceiling = config[0].max_acceleration, hold_back(config[0], ego.speed, top)
        pedals(config[0], ego.speed, target, most, ceiling, control[row])


def by_the_road_alone(scene: Scene) -> Records:
    config = np.array([tuple(vars(PlannerConfig()).values())], CONFIG)
    control = np.zeros(scene.n_rows, CONTROL)
    routes = scene.routes
    _by_the_road_alone(
        0,
        scene.n_rows,
        config,
        scene.ego,
        scene.progress,
        routes.points,
        routes.first,
        routes.count,
        control,
    )
    return control


def with_bystanders(scene: Scene) -> Scene:
    """Adds empty slots, cars far away and people far away, none of which may matter."""
    n = scene.n_rows
    vehicles, walkers = np.zeros((n, 6), VEHICLE), np.zeros((n, 3), WALKER)
    vehicles[:, 0] = scene.ego
    vehicles[:, 1:3] = car(1e5, 1e5, speed=10.0)
    vehicles[:, 3]["x"], vehicles[:, 3]["y"] = scene.ego["x"] + 6.0, scene.ego["y"]  # id 0
    walkers[:, 0] = person(-1e5, 0.0, 0.0, 1.0)
    world = np.arange(n, dtype=np.int32)
    lights = scene.actors.lights
    return replace(scene, actors=Actors(vehicles, walkers, lights, world, np.zeros(n, np.int32)))


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_with_nobody_near_labels_are_the_roads_bit_for_bit(path: Path) -> None:
    bare = [replace(route, scenarios=()) for route in load_routes(path, library.load)]
    for town in sorted({route.town for route in bare}):
        labels_are_the_roads([route for route in bare if route.town == town])


def labels_are_the_roads(routes: list[Route]) -> None:
    network = library.load(routes[0].town)
    world, rng = World(network, len(routes)), np.random.default_rng(1)
    starts = [
        Start(rng.uniform(0, 0.8) * r.length, rng.normal(0, 0.3), 0.0, rng.uniform(0, 10))
        for r in routes
    ]
    specs = [EpisodeSpec(r, start=start) for r, start in zip(routes, starts, strict=True)]
    world.reset(np.arange(len(routes)), specs)
    planner, mapless = Planner(network=network), Planner()
    for _ in range(150):
        scene = world.scene
        expected = by_the_road_alone(scene)
        among = with_bystanders(scene)
        for control in (planner.control(scene), mapless.control(scene), planner.control(among)):
            assert control.tobytes() == expected.tobytes()
        expected["steer"] = np.clip(expected["steer"] + rng.normal(0, 0.05, len(routes)), -1, 1)
        world.step(expected)


@pytest.mark.parametrize("planner", [Planner(), Planner(network=ROAD)], ids=["mapless", "map"])
def test_it_stops_softly_behind_a_standing_car(planner: Planner) -> None:
    run = drive_street(ROAD, ROUTE, [moving(ahead(200.0))], start=AT_SPEED, planner=planner)
    assert run.ego["speed"][-1] < 1e-3
    assert 0.5 < run.gap[-1] < 4.0
    assert run.gap.min() > 0.5
    assert run.braking < 4.0


@pytest.mark.parametrize("speed", np.arange(3.0, 13.0, 1.25))
def test_behind_a_standing_car_it_stands_and_does_not_creep(speed: float) -> None:
    start = replace(AT_SPEED, speed=speed)
    run = drive_street(ROAD, ROUTE, [moving(ahead(120.0))], start=start)
    stays_put(run.ego[int(np.argmax(run.ego["speed"] < 1e-3)) :])


def test_it_follows_a_slow_car_at_a_distance_it_can_brake_in() -> None:
    run = drive_street(ROAD, ROUTE, [moving(ahead(100.0, speed=5.0))], start=AT_SPEED)
    assert run.ego["speed"][-1] == pytest.approx(5.0, abs=0.05)
    assert run.gap[-1] == pytest.approx(2.0 + 1.2 * 5.0, abs=0.3)  # standing and time gap
    assert run.gap.min() > 7.0


@pytest.mark.parametrize("braking", [4.0, 7.0])
def test_it_does_not_run_into_a_car_that_brakes_hard(braking: float) -> None:
    lead = moving(ahead(35.0, speed=13.0), braking=0.0)

    def script(t: float) -> Records:
        return lead(t) if t < 3.0 else moving(lead(3.0), braking=braking)(t - 3.0)

    run = drive_street(ROAD, ROUTE, [script], start=AT_SPEED, seconds=15.0)
    assert run.ego["speed"][-1] < 1e-3
    assert run.gap.min() > 0.3


def test_it_lets_a_walker_cross_and_goes_on() -> None:
    walker = moving(person(80.0, -6.0, UPWARDS, 1.4), begins=2.0)
    run = drive_street(ROAD, ROUTE, walkers=[walker], start=AT_SPEED)
    assert run.gap.min() > 1.0
    assert run.braking < 4.0
    assert run.progress["s"][-1] > 300.0


def test_it_brakes_hard_for_a_walker_who_runs_out_and_not_for_one_who_stays() -> None:
    runner = moving(person(45.0, -5.0, UPWARDS, 2.5), begins=0.5)
    assert drive_street(ROAD, ROUTE, walkers=[runner], start=AT_SPEED, seconds=10.0).gap.min() > 0.5
    waiting = person(80.0, -4.5, UPWARDS, 0.0)
    run = drive_street(ROAD, ROUTE, walkers=[moving(waiting)], start=AT_SPEED, seconds=10.0)
    assert run.ego["speed"][10:].min() > 13.5


@pytest.mark.parametrize(
    ("speed", "along", "walks", "goes"),
    [
        (0.0, 1.5, 1.0, False),  # into its side
        (0.0, 1.5, -1.0, True),  # away from it
        (0.0, 1.5, 0.0, True),  # stays
        (0.0, -3.0, 1.0, True),  # passes behind its tail
        (3.0, 1.5, 1.0, False),  # would reach it before it has passed
        (12.0, -1.0, 1.0, True),  # comes too late
    ],
)
def test_it_does_not_drive_on_past_a_walker_who_walks_into_its_side(
    speed: float, along: float, walks: float, goes: bool
) -> None:
    world = World(ROAD, 1)
    world.reset(np.zeros(1, np.int64), [EpisodeSpec(ROUTE, start=Start(50.0, 0.0, 0.0, speed))])
    ego = world.scene.ego[0]
    x, y = float(ego["x"]) + along, float(ego["y"] - 0.5 * ego["width"]) - 0.6
    walker = person(x, y, math.copysign(UPWARDS, walks), abs(walks))
    control = Planner(network=ROAD).control(surround(world.scene, [], [walker]))[0]
    assert (control["throttle"] > 0.0) == goes
    assert (control["brake"] > 0.9) == (not goes)


def test_oncoming_and_following_traffic_does_not_slow_it_down() -> None:
    others = [moving(oncoming(300.0, 14.0)), moving(ahead(-15.0, speed=14.0))]
    run = drive_street(ROAD, ROUTE, others, start=AT_SPEED, seconds=12.0)
    assert run.ego["speed"].min() > 13.5


@pytest.mark.parametrize("meets", [(), (250.0,), (220.0, 270.0, 330.0)], ids=len)
def test_it_passes_a_parked_car_when_the_other_lane_is_free(meets: tuple[float, ...]) -> None:
    others = [moving(ahead(120.0, mover=Mover.NOBODY))]
    others += [moving(oncoming(s, 11.0)) for s in meets]
    run = drive_street(ROAD, ROUTE, others, start=AT_SPEED, seconds=60.0)
    assert run.progress["completed"][-1]
    assert run.gap.min() > 0.4
    assert run.progress["lateral_error"].max() > 2.0
    assert abs(run.progress["lateral_error"][-1]) < 0.05
    sideways = run.ego["speed"] * run.ego["yaw_rate"]
    assert np.abs(sideways).max() < 4.0
    if meets:  # it has waited behind the parked car while the others came through
        assert run.ego["speed"][40:-1].min() < 5.0


def test_it_passes_a_parked_car_and_who_waits_behind_it() -> None:
    others = [moving(ahead(120.0, mover=Mover.NOBODY)), moving(ahead(112.0))]
    run = drive_street(ROAD, ROUTE, others, start=AT_SPEED, seconds=60.0)
    assert run.progress["completed"][-1]
    assert run.gap.min() > 0.4


@pytest.mark.parametrize("away", [80.0, 110.0, 140.0, 170.0])
def test_it_does_not_begin_to_pass_what_it_cannot_pass_in_time(away: float) -> None:
    others = [moving(ahead(120.0 + gap, mover=Mover.NOBODY)) for gap in (0.0, 8.0, 16.0)]
    others.append(moving(oncoming(106.0 + away, 14.0)))  # and it will not brake
    start = Start(106.0, 0.0, 0.0, 0.0)
    run = drive_street(ROAD, ROUTE, others, start=start, seconds=40.0)
    assert run.progress["completed"][-1]
    assert run.gap.min() > 0.4
    assert run.braking < 5.0


@pytest.mark.parametrize(("behind", "least"), [(None, 19.0), (30.0, 19.0), (5.0, 10.0)])
def test_over_a_lane_of_its_own_way_it_passes_at_the_speed_of_the_road(
    behind: float | None, least: float
) -> None:
    network = straight_road(length=900.0, lanes_per_way=2)
    others = [moving(ahead(300.0, mover=Mover.NOBODY))]
    if behind is not None:  # someone in that lane, just as fast; who is too near is let by
        others.append(moving(car(60.0 - behind, -5.25, 0.0, 20.0, lane=1, lane_s=60.0 - behind)))
    route, start = lane_route(700.0, speed_limit=22.2), Start(60.0, 0.0, 0.0, 20.0)
    run = drive_street(network, route, others, start=start, seconds=60.0)
    before_the_end = run.progress["s"] < 450.0
    assert run.progress["completed"][-1]
    assert run.gap.min() > 0.6
    assert run.ego["speed"][before_the_end].min() > least
    assert np.abs(run.ego["speed"] * run.ego["yaw_rate"]).max() < 3.0


@pytest.mark.parametrize("left", [10.0, 12.0, 15.0])
def test_it_goes_back_before_one_who_stands_nose_to_nose(left: float) -> None:
    """Someone waits in the oncoming lane, his front so far behind the last of what is passed."""
    last = ahead(120.0, mover=Mover.NOBODY)
    waits = moving(oncoming(120.0 + 2.25 + left + 2.25, 0.0))
    beside = Start(116.0, 3.5, 0.0, 0.0)
    run = drive_street(ROAD, ROUTE, [moving(last), waits], start=beside, seconds=60.0)
    assert run.progress["completed"][-1]
    assert run.gap.min() > 0.1  # it squeezes past at a walk


@pytest.mark.parametrize("begins", [2.5, 3.0, 3.5, 4.0, 4.5])
def test_it_brakes_for_a_cyclist_who_sets_off_across_its_way(begins: float) -> None:
    def cyclist(t: float) -> Records:
        t = max(t - begins, 0.0)
        speed = min(3.0 * t, 4.0)
        way = 0.5 * speed * speed / 3.0 + 4.0 * max(t - 4.0 / 3.0, 0.0)
        bike = car(80.0, -8.0 + way, UPWARDS, speed, 1.7, 0.6, Mover.SCRIPT, ActorKind.BICYCLE)
        bike["acceleration"] = 3.0 if 0.0 < t < 4.0 / 3.0 else 0.0
        return bike

    start = Start(55.0, 0.0, 0.0, 5.4)
    run = drive_street(ROAD, lane_route(speed_limit=6.0), [cyclist], start=start, seconds=12.0)
    assert run.gap.min() > 0.4
    assert abs(run.progress["lateral_error"]).max() < 0.1  # it does not swerve around him


def test_without_a_map_it_waits_behind_what_blocks_the_lane() -> None:
    parked = moving(ahead(120.0, mover=Mover.NOBODY))
    run = drive_street(ROAD, ROUTE, [parked], start=AT_SPEED, planner=Planner())
    assert run.ego["speed"][-1] < 0.02
    assert run.gap.min() > 0.5


def test_it_moves_aside_and_slows_down_for_an_ambulance() -> None:
    ambulance = ahead(-60.0, speed=18.0, lights=int(VehicleLight.SPECIAL1))
    run = drive_street(ROAD, ROUTE, [moving(ambulance)], start=AT_SPEED, seconds=7.0)
    assert run.progress["lateral_error"][-1] < -0.4
    assert run.ego["speed"][-1] < 10.0


def test_it_leaves_its_lane_to_an_ambulance_where_there_is_another() -> None:
    network = straight_road(length=800.0, lanes_per_way=2)
    siren = int(VehicleLight.SPECIAL1)
    for beside in (False, True):  # a car in the other lane keeps it in its own
        others = [moving(ahead(1.0, speed=18.0, lights=siren))]
        if beside:
            others.append(moving(car(70.0, -5.25, speed=10.0, lane=1, lane_s=70.0)))
        start = Start(70.0, 0.0, 0.0, 10.0)
        run = drive_street(network, ROUTE, others, start=start, seconds=6.0)
        aside = run.progress["lateral_error"]
        assert run.gap.min() > 0.2
        # Level with the other car it stays in its own lane.
        assert aside[:70].min() > -1.3 or not beside
        assert -4.0 < aside.min() < -2.5


def test_in_the_left_lane_it_lets_an_ambulance_by_there_and_not_across_to_the_right() -> None:
    network = straight_road(length=800.0, lanes_per_way=3)
    siren = int(VehicleLight.SPECIAL1)
    others = [moving(car(50.0, -5.25, speed=18.0, lights=siren, lane=1, lane_s=50.0))]
    start = Start(70.0, 3.4, 0.0, 12.0)
    run = drive_street(network, route_along(network, 1), others, start=start, seconds=6.0)
    aside = run.progress["lateral_error"]
    assert aside[:30].min() > 2.8  # until the ambulance is there
    assert aside.min() > -0.5  # and then back into its lane
    assert run.gap.min() > 0.2


def labelled(run: Run) -> Scene:
    """All scenes of a run as one batch."""
    scenes = run.scenes
    n = len(scenes)
    index = np.arange(n, dtype=np.int32)
    actors = Actors(
        np.concatenate([scene.actors.vehicles for scene in scenes]),
        np.concatenate([scene.actors.walkers for scene in scenes]),
        np.concatenate([scene.actors.lights for scene in scenes]),
        index,
        np.zeros(n, np.int32),
    )
    stacked = {
        name: np.concatenate([getattr(scene, name) for scene in scenes])
        for name in ("ego", "progress", "weather", "step", "seed", "events")
    }
    return Scene(routes=scenes[0].routes, dt=scenes[0].dt, actors=actors, **stacked)


def test_labels_do_not_depend_on_batch_order_or_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [moving(ahead(120.0, mover=Mover.NOBODY)), moving(oncoming(250.0, 11.0))]
    walkers = [moving(person(60.0, -6.0, UPWARDS, 1.2), begins=1.0)]
    scene = labelled(
        drive_street(ROAD, ROUTE, others, walkers, start=AT_SPEED, seconds=20.0, keep=True)
    )
    planner = Planner(network=ROAD)
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    whole = planner.control(scene)
    order = np.random.default_rng(0).permutation(scene.n_rows)
    assert planner.control(scene.take(order)).tobytes() == whole[order].tobytes()
    single = [planner.control(scene.take(order[i : i + 1])) for i in range(40)]
    assert np.concatenate(single).tobytes() == whole[order[:40]].tobytes()
    monkeypatch.setenv("DRIVE_IL_THREADS", "2")
    assert planner.control(scene).tobytes() == whole.tobytes()
    for part in (scene, scene.routes, scene.actors):  # as from a file
        for value in vars(part).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
    assert planner.control(scene).tobytes() == whole.tobytes()


def test_any_surroundings_get_a_control_that_can_be_executed() -> None:
    network = library.load("alder")
    routes = load_routes(ROUTES / "alder_test.xml", library.load)
    rng, n = np.random.default_rng(3), 200
    world = World(network, n)
    specs = [
        EpisodeSpec(r, start=Start(rng.uniform(0, r.length), rng.normal(), 0.0, rng.uniform(0, 30)))
        for r in (routes[i % len(routes)] for i in range(n))
    ]
    world.reset(np.arange(n), specs)
    scene = with_bystanders(world.scene)
    vehicles, walkers = scene.actors.vehicles, scene.actors.walkers
    for crowd in (vehicles[:, 1:], walkers):
        crowd["id"] = rng.integers(0, 4, crowd.shape)
        crowd["x"] = scene.ego["x"][:, None] + rng.normal(0, 15, crowd.shape)
        crowd["y"] = scene.ego["y"][:, None] + rng.normal(0, 15, crowd.shape)
        crowd["heading"] = rng.uniform(-math.pi, math.pi, crowd.shape)
        crowd["speed"] = rng.choice([0.0, 0.05, 2.0, 40.0], crowd.shape)
    others = vehicles[:, 1:]
    others["length"], others["width"] = rng.uniform(0.1, 25, others.shape), 2.0
    others["lane"] = rng.integers(-1, len(network.lanes), others.shape)
    others["lane_s"] = rng.uniform(-50, 200, others.shape)
    others["mover"] = rng.integers(0, 4, others.shape)
    others["lights"] = rng.integers(0, 1024, others.shape)
    others["acceleration"] = rng.normal(0, 5, others.shape)
    for planner in (Planner(network=network), Planner()):
        control = planner.control(scene)
        for name, low in (("throttle", 0.0), ("brake", 0.0), ("steer", -1.0)):
            assert ((control[name] >= low) & (control[name] <= 1.0)).all(), name
        assert not ((control["throttle"] > 0) & (control["brake"] > 0)).any()
