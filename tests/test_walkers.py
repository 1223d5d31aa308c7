"""People in a town: where they walk, whom they wait for, and that nothing else decides it."""

import numpy as np
import pytest

from drive_il.actors import WALKER, Gait, LightState, Traffic
from drive_il.datatypes import CONTROL, EpisodeSpec, Floats, Records, Route
from drive_il.geometry import arc_length
from drive_il.maps import library
from drive_il.maps.network import LaneType, RoadNetwork
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sim import World
from drive_il.sim.pavements import ACROSS, CROSSWALK, SIDEWALK, pavements_of
from tests.roads import ring_road
from tests.test_world import route_along

STILL = np.array([(0.0, 1.0, 0.0)], CONTROL)


@pytest.fixture(scope="module")
def alder() -> RoadNetwork:
    return library.load("alder")


@pytest.fixture(scope="module")
def route(alder: RoadNetwork) -> Route:
    return RoutePlanner(alder).plan(make_suite(alder, 1, 0, seed=0)[0].keypoints)


def town(alder: RoadNetwork, route: Route, traffic: Traffic, seed: int = 3) -> World:
    """A world whose ego stands in a meadow, in nobody's way."""
    world = World(alder, 1, [route])
    world.reset(np.array([0]), [EpisodeSpec(route, seed=seed, traffic=traffic)])
    aside, zero = np.array([-100.0]), np.zeros(1)
    world.place(np.array([0]), aside, np.array([-60.0]), zero, zero)
    return world


def run_over(walkers: Records, vehicles: Records) -> int:
    """How many pairs of a walker's disc and a vehicle's box overlap."""
    vehicles = vehicles[vehicles["id"] > 0]
    dx = walkers["x"][:, None] - vehicles["x"]
    dy = walkers["y"][:, None] - vehicles["y"]
    cos, sin = np.cos(vehicles["heading"]), np.sin(vehicles["heading"])
    u = np.maximum(np.abs(cos * dx + sin * dy) - 0.5 * vehicles["length"], 0.0)
    v = np.maximum(np.abs(cos * dy - sin * dx) - 0.5 * vehicles["width"], 0.0)
    level = np.abs(walkers["z"][:, None] - vehicles["z"]) < 3.0  # not on a bridge above
    return int((level & (np.hypot(u, v) < walkers["radius"][:, None])).sum())


def off_surface(network: RoadNetwork, walkers: Records) -> Floats:
    """Distance of walkers from the middle of the nearest path for people, (N,) [m]."""
    points = pavements_of(network).points
    away = np.hypot(walkers["x"][:, None] - points["x"], walkers["y"][:, None] - points["y"])
    return np.asarray(away.min(axis=1))


def test_ten_minutes_of_town_life(alder: RoadNetwork, route: Route) -> None:
    """60 polite people, 60 vehicles: all on their paths, nobody hit, nobody stuck, some cross."""
    world = town(alder, route, Traffic(vehicles=60, walkers=60, signals=True, jaywalkers=0.0))
    waiting, crossing = np.zeros(60), np.zeros(60)
    crossings, begun, longest = 0, np.zeros(60, bool), 0.0
    at_start = world.scene.actors.walkers[0].copy()
    for step in range(12000):
        world.step(STILL)
        walkers = world.scene.actors.walkers[0]
        crosses = walkers["gait"] == Gait.CROSSING
        crossings += int((crosses & ~begun).sum())
        begun = crosses
        waiting = np.where(walkers["gait"] == Gait.WAITING, waiting + 0.05, 0.0)
        crossing = np.where(crosses, crossing + 0.05, 0.0)
        longest = max(longest, float(waiting.max()))
        assert crossing.max() < 45.0, f"stuck on the road at step {step}"
        if step % 4 == 0:
            assert run_over(walkers, world.scene.actors.vehicles[0]) == 0
        if step % 200 == 0:
            # Half a sidewalk is 1.25 m, half a crosswalk 1.5 m; points are a metre apart.
            assert off_surface(alder, walkers).max() < np.hypot(1.25, 0.5)
    assert longest < 75.0  # one cycle of lights, or the patience of those who wait
    assert crossings > 100
    moved = np.hypot(walkers["x"] - at_start["x"], walkers["y"] - at_start["y"])
    assert (moved > 5.0).mean() > 0.9
    assert world.scene.actors.vehicles[0]["speed"].mean() > 3.0  # traffic flows


def test_jaywalkers_cross_anywhere_and_do_not_stop_the_town(
    alder: RoadNetwork, route: Route
) -> None:
    world = town(alder, route, Traffic(vehicles=30, walkers=30, jaywalkers=1.0))
    paths, crossing, kinds = pavements_of(alder).paths, np.zeros(30), set()
    for _ in range(4000):
        world.step(STILL)
        walkers = world.scene.actors.walkers[0]
        crosses = walkers["gait"] == Gait.CROSSING
        kinds |= set(paths["kind"][world._worlds["walks"][0]["path"][crosses]].tolist())
        crossing = np.where(crosses, crossing + 0.05, 0.0)
        assert crossing.max() < 60.0
    assert kinds == {CROSSWALK, ACROSS}
    assert (walkers["gait"] != Gait.WAITING).all()


def test_people_cross_at_lights_only_while_those_who_drive_see_red(
    alder: RoadNetwork, route: Route
) -> None:
    world = town(alder, route, Traffic(walkers=200, signals=True, jaywalkers=0.0))
    pavements = pavements_of(alder)
    before = world.scene.actors.walkers[0].copy()
    starts = 0
    for _ in range(2400):
        world.step(STILL)
        walkers = world.scene.actors.walkers[0]
        begins = (walkers["gait"] == Gait.CROSSING) & (before["gait"] != Gait.CROSSING)
        for path in pavements.paths[world._worlds["walks"][0]["path"][begins]]:
            passage = pavements.passages[path["crosswalk"]]
            first = passage["signal_first"]
            lights = pavements.signals[first : first + passage["signal_count"]]
            assert (world.scene.actors.lights[0][lights] == LightState.RED).all()
            starts += len(lights) > 0
        before = walkers.copy()
    assert starts > 20


def test_traffic_waits_at_a_crosswalk_that_people_claim(alder: RoadNetwork, route: Route) -> None:
    world = town(alder, route, Traffic(vehicles=80, walkers=120, jaywalkers=0.0))
    claimed = 0
    for _ in range(1200):
        world.step(STILL)
        walkers = world.scene.actors.walkers[0]
        on_road = walkers["gait"] == Gait.CROSSING
        paths = pavements_of(alder).paths[world._worlds["walks"][0]["path"]]
        busy = world._worlds["busy"][0]
        # Claims are told at the end of a step, so who began in this one is in it too.
        assert busy[paths["crosswalk"][on_road]].all()
        claimed += int(busy.sum())
    assert claimed > 1000


def test_paths_form_one_graph_whose_ends_meet(alder: RoadNetwork) -> None:
    pavements = pavements_of(alder)
    paths, points = pavements.paths, pavements.points
    assert (paths["kind"] == CROSSWALK).sum() == len(alder.crosswalk_first) - 1
    places: dict[int, list[Floats]] = {}
    for path in paths:
        line = points[path["first"] : path["first"] + path["count"]]
        xy = np.stack([line["x"], line["y"]], axis=1)
        assert arc_length(xy)[-1] == pytest.approx(path["length"])
        places.setdefault(int(path["node"]), []).append(xy[0])
        places.setdefault(int(path["far_node"]), []).append(xy[-1])
        if path["kind"] != SIDEWALK:
            assert 0.0 < path["kerb"] < path["far_kerb"] < path["length"]
    for ends in places.values():
        assert np.ptp(np.array(ends), axis=0).max() < 1.0
    assert (pavements.nodes["count"] >= 2).all()  # no dead ends in this town


def test_country_towns_have_shoulders_to_walk_on_and_bare_roads_say_so() -> None:
    for name in ("cedar", "dell"):
        pavements = pavements_of(library.load(name))
        assert (pavements.paths["kind"] == SIDEWALK).all()
        assert pavements.reach[-1] > 1000.0
    ring = ring_road(50.0, lanes_per_way=2)
    lanes = ring.lanes.copy()
    lanes["type"][np.isin(lanes["type"], [LaneType.SIDEWALK, LaneType.SHOULDER])] = LaneType.BORDER
    bare = RoadNetwork(**(vars(ring) | {"lanes": lanes, "name": "bare"}))
    world = World(bare, 1)
    spec = EpisodeSpec(route_along(bare, 0), traffic=Traffic(walkers=5))
    with pytest.raises(ValueError, match="walkers=5 do not fit on bare: 0 found"):
        world.reset(np.array([0]), [spec])


def people(world: World, row: int, n: int) -> bytes:
    """Every bit of one world's people, and of what they claim."""
    arrays = world._worlds
    return b"".join(
        array[row].tobytes()
        for array in (arrays["walkers"][:, :n], arrays["walks"][:, :n], arrays["busy"])
    )


def test_people_do_the_same_whatever_the_batch_the_row_and_the_order(
    alder: RoadNetwork, route: Route
) -> None:
    specs = [
        EpisodeSpec(
            route, seed=seed, traffic=Traffic(vehicles=10, walkers=8 + 4 * seed, signals=True)
        )
        for seed in range(4)
    ]

    def run(n_rows: int, rows: list[int], order: list[int]) -> dict[int, bytes]:
        world = World(alder, n_rows, [route])
        world.reset(np.arange(n_rows), [EpisodeSpec(route)] * n_rows)
        for row, k in zip(rows, order, strict=True):
            world.reset(np.array([row]), [specs[k]])
        control = np.repeat(STILL, n_rows)
        for _ in range(200):
            world.step(control)
        return {
            k: people(world, row, specs[k].traffic.walkers)
            for row, k in zip(rows, order, strict=True)
        }

    together = run(7, [0, 2, 4, 6], [0, 1, 2, 3])
    assert run(7, [5, 3, 1, 0], [3, 2, 1, 0]) == together
    for k in range(4):
        assert run(1, [0], [k])[k] == together[k]
    assert len(set(together.values())) == 4


def test_people_go_on_after_a_restore_into_another_row(alder: RoadNetwork, route: Route) -> None:
    traffic = Traffic(vehicles=10, walkers=20, signals=True)
    world = World(alder, 1, [route])
    world.reset(np.array([0]), [EpisodeSpec(route, seed=5, traffic=traffic)])
    for _ in range(300):
        world.step(STILL)
    snapshot = world.snapshot(np.array([0]))
    for _ in range(300):
        world.step(STILL)
    other = World(alder, 3, [route])
    other.reset(np.arange(3), [EpisodeSpec(route)] * 3)
    other.restore(snapshot, np.array([2]))
    for _ in range(300):
        other.step(np.repeat(STILL, 3))
    assert people(other, 2, 20) == people(world, 0, 20)


def test_scripted_walkers_go_straight_on_and_nothing_else(alder: RoadNetwork, route: Route) -> None:
    world = town(alder, route, Traffic(walkers=3))
    walker = world._worlds["walkers"][0, 1]
    walker["gait"], walker["heading"], walker["speed"] = Gait.SCRIPTED, 0.5, 2.0
    x, y = float(walker["x"]), float(walker["y"])
    for _ in range(40):
        world.step(STILL)
    assert walker["x"] - x == pytest.approx(4.0 * np.cos(0.5))
    assert walker["y"] - y == pytest.approx(4.0 * np.sin(0.5))
    assert (walker["heading"], walker["speed"], walker["gait"]) == (0.5, 2.0, Gait.SCRIPTED)


def test_a_child_is_smaller_and_quicker(alder: RoadNetwork, route: Route) -> None:
    world = town(alder, route, Traffic(walkers=200))
    walkers, pace = world.scene.actors.walkers[0], world._worlds["walks"][0]["pace"]
    child = walkers["child"]
    assert walkers.dtype == WALKER
    assert 0.05 < child.mean() < 0.27  # 15 %: 4 deviations either way
    assert walkers["height"][child].max() < walkers["height"][~child].min()
    assert pace[child].mean() > pace[~child].mean() + 0.1
    assert pace.min() >= 0.8
    assert pace.max() <= 1.8
    assert len(set(walkers["id"].tolist())) == 200
