"""Traffic: nobody collides, nobody is stuck, everybody obeys, and all of it repeats itself."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from drive_il.actors import ActorKind, LightState, Mover, Spawn, Struck, Traffic
from drive_il.datatypes import CONTROL, EpisodeSpec, Records, Route, Start, default_weather
from drive_il.geometry import wrap_angle
from drive_il.maps import library
from drive_il.maps.density import vehicle_count
from drive_il.maps.network import SignalKind
from drive_il.maps.routes import load_routes
from drive_il.sim import World
from drive_il.sim.collisions import overlaps
from drive_il.sim.following import COMFORT, FAR, MIN_GAP, idm
from drive_il.sim.lights import CLEARING_TIME, GREEN_TIME, YELLOW_TIME, phases_of
from drive_il.sim.roads import roads_of
from tests.roads import straight_road
from tests.test_world import route_along

ROUTES = {
    town: load_routes(f"routes/{town}{'' if town == 'dell' else '_test'}.xml", library.load)
    for town in ("alder", "birch", "cedar", "dell")
}


def held(world: World) -> Records:
    control = np.zeros(world.n_rows, CONTROL)
    control["brake"] = 1.0
    return control


def town_without_ego(town: str, n: int, seed: int) -> World:
    """A world whose ego is far away from everything."""
    world = World(library.load(town), 1)
    spec = EpisodeSpec(ROUTES[town][0], seed, traffic=Traffic(vehicles=n, signals=True))
    world.reset(np.array([0]), [spec])
    far = np.array([1e5])
    world.place(np.array([0]), far, far, np.zeros(1), np.zeros(1))
    return world


@pytest.mark.parametrize("town", ["alder", "birch", "cedar", "dell"])
def test_at_normal_density_nobody_collides_and_nobody_is_stuck(town: str) -> None:
    n = vehicle_count(library.load(town), 1.0)
    world = town_without_ego(town, n, seed=5)
    pairs, control = np.zeros((64, 2), np.int32), held(world)
    distance = 0.0
    for _ in range(5 * 60 * 20):
        world.step(control)
        vehicles = world.scene.actors.vehicles[0]
        assert overlaps(vehicles, pairs) == 0, pairs[0]
        distance += float(vehicles["speed"][1:].sum()) * 0.05
        # A queue at a red light may last three phases.
        assert world._worlds["drivers"][0]["waited"].max() < 75.0
    assert distance > n * 5 * 60 * 3.0  # flows at 3 m/s and more


def test_no_front_passes_its_stop_line_at_red() -> None:
    world, roads = town_without_ego("alder", 90, seed=2), roads_of(library.load("alder"))
    control, n_passed = held(world), 0

    def before_line() -> tuple[Records, np.ndarray]:
        drivers = world._worlds["drivers"][0].copy()
        front = drivers["s"] + 0.5 * world.scene.actors.vehicles[0]["length"]
        return drivers, front - roads.lanes["stop_s"][drivers["lane"]]

    drivers, beyond = before_line()
    for _ in range(3 * 60 * 20):
        lights = world.scene.actors.lights[0].copy()
        world.step(control)
        now, beyond_now = before_line()
        light = roads.lanes["light"][now["lane"]]
        passed = (now["lane"] == drivers["lane"]) & (beyond <= 0.0) & (beyond_now > 0.0)
        for v in np.flatnonzero(passed & (light >= 0) & (now["lane"] >= 0)):
            n_passed += 1
            assert lights[light[v]] != LightState.RED, v
        drivers, beyond = now, beyond_now
    assert n_passed > 50


def test_lights_of_one_junction_are_never_green_in_two_phases() -> None:
    network = library.load("alder")
    world, phases = town_without_ego("alder", 0, seed=9), phases_of(network)
    control, seen = held(world), set()
    steps = {state: 0 for state in LightState}
    signal = int(phases.signals[0])
    n_phases = int(phases.first[1] - phases.first[0])
    period = (GREEN_TIME + YELLOW_TIME + CLEARING_TIME) * n_phases
    for _ in range(round(period / 0.05)):
        world.step(control)
        lights = world.scene.actors.lights[0]
        seen |= set(lights[network.signals["kind"] == SignalKind.LIGHT].tolist())
        steps[LightState(int(lights[signal]))] += 1
        for junction in range(len(phases.first) - 1):
            moving = 0
            for phase in range(phases.first[junction], phases.first[junction + 1]):
                members = phases.signals[
                    phases.signal_first[phase] : phases.signal_first[phase + 1]
                ]
                moving += bool(np.isin(lights[members], (1, 2)).any())
            assert moving <= 1
    assert seen == {LightState.RED, LightState.YELLOW, LightState.GREEN}
    assert steps[LightState.GREEN] == pytest.approx(GREEN_TIME / 0.05, abs=2)
    assert steps[LightState.YELLOW] == pytest.approx(YELLOW_TIME / 0.05, abs=2)


def test_idm_keeps_its_equilibrium_gap() -> None:
    speed, wanted, eager, headway = 10.0, 15.0, 1.5, 1.2
    gap = (MIN_GAP + speed * headway) / math.sqrt(1.0 - (speed / wanted) ** 4)
    assert idm(speed, wanted, gap, speed, eager, headway) == pytest.approx(0.0, abs=1e-9)
    assert idm(0.0, wanted, FAR, 0.0, eager, headway) == pytest.approx(eager)
    assert idm(wanted, wanted, FAR, 0.0, eager, headway) == pytest.approx(0.0)
    closing = speed * speed / (2.0 * math.sqrt(eager * COMFORT))
    wish = MIN_GAP + speed * headway + closing
    expected = eager * (1.0 - (speed / wanted) ** 4 - (wish / 40.0) ** 2)
    assert idm(speed, wanted, 40.0, 0.0, eager, headway) == pytest.approx(expected)


def test_of_two_who_meet_at_most_one_gives_way() -> None:
    for town in ROUTES:
        roads = roads_of(library.load(town))
        owner = np.repeat(np.arange(len(roads.lanes)), roads.lanes["rival_count"])
        pairs = {
            (int(a), int(r["lane"])): bool(r["yields"])
            for a, r in zip(owner, roads.rivals, strict=True)
            if not r["sibling"]
        }
        for (a, b), yields in pairs.items():
            assert not (yields and pairs[b, a]), f"{town}: lanes {a} and {b} wait for each other"


def _turn(way: Records) -> float:
    return float(wrap_angle(way["heading"][-1] - way["heading"][0]))


@pytest.mark.parametrize("town", ["alder", "birch"])
def test_ways_that_cross_are_rivals_and_opposite_right_turns_are_not(town: str) -> None:
    network = library.load(town)
    roads = roads_of(network)
    lanes = roads.lanes
    owner = np.repeat(np.arange(len(lanes)), lanes["rival_count"])
    rivals = set(zip(owner.tolist(), roads.rivals["lane"].tolist(), strict=True))
    inside = np.flatnonzero((lanes["junction"] >= 0) & lanes["driving"])
    ways = {int(i): roads.points[lanes[i]["first"] :][: lanes[i]["count"]] for i in inside}
    n_crossing = n_turning = 0
    for a, b in combinations(ways, 2):
        if lanes["junction"][a] != lanes["junction"][b]:
            continue
        apart = np.hypot(ways[a]["x"][:, None] - ways[b]["x"], ways[a]["y"][:, None] - ways[b]["y"])
        if apart.min() < 0.4:  # points lie half a metre apart
            n_crossing += 1
            assert (a, b) in rivals
            assert (b, a) in rivals
        facing = math.cos(ways[a]["heading"][0] - ways[b]["heading"][0]) < -0.9
        if facing and _turn(ways[a]) < -1.0 and _turn(ways[b]) < -1.0:
            n_turning += 1
            assert (a, b) not in rivals
    assert n_crossing > 100
    assert n_turning > 0


def _road(town: str) -> Route:
    return max(ROUTES[town], key=lambda route: route.length)


def test_traffic_stops_behind_an_ego_that_stands_in_its_lane() -> None:
    route = _road("dell")
    behind = route.points[20]
    spawn = Spawn(
        ActorKind.CAR, float(behind["x"]), float(behind["y"]), float(behind["heading"]), 12.0
    )
    world = World(library.load("dell"), 1)
    start = Start(s=float(behind["s"]) + 80.0)
    world.reset(np.array([0]), [EpisodeSpec(route, start=start, traffic=Traffic(spawns=(spawn,)))])
    control = held(world)
    hardest = 0.0
    for _ in range(600):
        world.step(control)
        hardest = min(hardest, float(world.scene.actors.vehicles[0]["acceleration"][1]))
    ego, other = world.scene.ego[0], world.scene.actors.vehicles[0][1]
    gap = math.hypot(ego["x"] - other["x"], ego["y"] - other["y"]) - 0.5 * (
        ego["length"] + other["length"]
    )
    assert other["speed"] < 0.05
    assert 1.0 < gap < 4.0
    assert hardest > -4.0
    assert world.scene.events["struck"][0] == 0


@pytest.mark.parametrize("gap", [9.0, 12.0, 15.0])
def test_who_changes_lane_minds_an_ego_in_the_lane_that_it_leaves(gap: float) -> None:
    road = straight_road(500.0, lanes_per_way=2)
    route = route_along(road, 0)
    y = float(route.points["y"][0])
    spawn = Spawn(ActorKind.CAR, 70.0, y, 0.0, 8.0)
    world = World(road, 1)
    spec = EpisodeSpec(route, start=Start(s=100.0, speed=5.0), traffic=Traffic(spawns=(spawn,)))
    world.reset(np.array([0]), [spec])
    other = world.scene.actors.vehicles[0][1]
    control, before = held(world), int(other["lane"])
    control["brake"], control["throttle"] = 0.0, 0.3
    while int(other["lane"]) == before:  # the ego is slow: worth passing
        world.step(control)
        other = world.scene.actors.vehicles[0][1]
    ahead = np.array([other["x"] + gap + 4.8])
    world.place(np.array([0]), ahead, np.array([y]), np.zeros(1), np.zeros(1))
    for _ in range(300):
        world.step(held(world))
        assert world.scene.events["struck"][0] == Struck.NOTHING
    assert world.scene.actors.vehicles[0][1]["x"] > ahead[0] + 20.0


def test_traffic_leaves_an_ego_that_comes_the_wrong_way_room_to_go_back() -> None:
    route = _road("dell")
    behind = route.points[20]
    spawn = Spawn(
        ActorKind.CAR, float(behind["x"]), float(behind["y"]), float(behind["heading"]), 12.0
    )
    world = World(library.load("dell"), 1)
    ahead = float(behind["s"]) + 130.0
    start = Start(s=ahead, heading_error=math.pi)
    world.reset(np.array([0]), [EpisodeSpec(route, start=start, traffic=Traffic(spawns=(spawn,)))])
    control, hardest = held(world), 0.0
    for _ in range(600):
        world.step(control)
        hardest = min(hardest, float(world.scene.actors.vehicles[0]["acceleration"][1]))
    ego, other = world.scene.ego[0], world.scene.actors.vehicles[0][1]
    gap = math.hypot(ego["x"] - other["x"], ego["y"] - other["y"]) - 4.8
    assert other["speed"] < 0.05
    assert 33.0 < gap < 50.0  # as the crow flies, around a bend
    assert hardest > -3.1


@pytest.mark.parametrize("town", ["alder", "cedar", "dell"])
def test_a_driver_is_where_its_lane_says_it_is(town: str) -> None:
    network = library.load(town)
    roads = roads_of(network)
    for number in np.flatnonzero(roads.lanes["driving"]):
        lane = roads.lanes[number]
        rows = slice(lane["first"], lane["first"] + lane["count"])
        given, mine = network.points[rows], roads.points[rows]
        s = np.arange(lane["count"]) / lane["per_metre"]
        for name in ("x", "y"):
            assert mine[name] == pytest.approx(np.interp(s, given["s"], given[name]), abs=1e-3)


def _bits(world: World, row: int) -> bytes:
    scene = world.scene.take(np.array([row]))
    used = scene.actors.vehicles["id"] != 0
    return b"".join(
        (
            scene.ego.tobytes(),
            scene.actors.vehicles[used].tobytes(),
            scene.actors.lights.tobytes(),
            scene.events.tobytes(),
        )
    )


def _run(n_rows: int, row: int, seed: int, n_steps: int = 200) -> bytes:
    world = World(library.load("alder"), n_rows)
    others = [EpisodeSpec(ROUTES["alder"][2], 50 + k) for k in range(n_rows)]
    traffic = Traffic(vehicles=40, signals=True, parked=5)
    others[row] = EpisodeSpec(ROUTES["alder"][1], seed, traffic=traffic)
    world.reset(np.arange(n_rows), others)
    control = np.zeros(n_rows, CONTROL)
    control["throttle"] = 0.4
    for _ in range(n_steps):
        world.step(control)
    return _bits(world, row)


def test_traffic_is_the_same_whatever_the_batch_row_and_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = _run(1, 0, seed=3)
    assert _run(7, 4, seed=3) == alone
    assert _run(600, 599, seed=3, n_steps=200) == alone
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    assert _run(600, 17, seed=3) == alone
    assert _run(1, 0, seed=4) != alone


def test_a_world_with_traffic_restores_to_the_bit_into_another_row() -> None:
    world = World(library.load("birch"), 3)
    traffic = Traffic(vehicles=30, signals=True)
    world.reset(
        np.arange(3),
        [EpisodeSpec(ROUTES["birch"][1], 8, traffic=traffic)]
        + [EpisodeSpec(ROUTES["birch"][0], 9)] * 2,
    )
    control = np.zeros(3, CONTROL)
    control["throttle"] = 0.3
    for _ in range(150):
        world.step(control)
    snapshot = world.snapshot(np.array([0]))
    world.restore(snapshot, np.array([2]))
    for _ in range(150):
        world.step(control)
    assert _bits(world, 0) == _bits(world, 2)
    other = World(library.load("birch"), 1)
    other.restore(snapshot, np.array([0]))
    for _ in range(150):
        other.step(control[:1])
    assert _bits(other, 0) == _bits(world, 0)


def test_two_egos_share_a_world_and_see_each_other() -> None:
    route = ROUTES["alder"][0]
    world = World(library.load("alder"), 4, egos=2)
    specs = [EpisodeSpec(route, 1, start=Start(s=5.0 + 20.0 * (row % 2))) for row in range(4)]
    world.reset(np.arange(4), specs)
    control = np.zeros(4, CONTROL)
    control["throttle"][[0, 2]] = 0.6
    control["brake"][[1, 3]] = 1.0
    struck = False
    for _ in range(120):
        world.step(control)
        struck |= bool(world.scene.events["struck"][0] == 1)
    assert struck
    assert world.scene.events["struck_id"].max() <= 2
    assert world.scene.actors.slot.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("traffic", "message"),
    [
        (Traffic(vehicles=5000), "do not fit"),
        (Traffic(spawns=(Spawn(ActorKind.CAR, 0.0, 5e4, 0.0),)), "driving lane"),
        (Traffic(spawns=(Spawn(ActorKind.CAR, math.nan, 0.0, 0.0),)), "finite"),
    ],
)
def test_impossible_traffic_is_refused(traffic: Traffic, message: str) -> None:
    world = World(library.load("dell"), 1)
    with pytest.raises(ValueError, match=message):
        world.reset(np.array([0]), [EpisodeSpec(ROUTES["dell"][0], traffic=traffic)])


@pytest.mark.parametrize(
    ("traffic", "message"),
    [
        (Traffic(walkers=500_000), "sidewalks hold at most"),
        (Traffic(walkers=12_000), "do not fit on alder"),
        (Traffic(parked=50_000), "parking places; ask for at most"),
    ],
)
def test_too_many_actors_are_refused_at_once(traffic: Traffic, message: str) -> None:
    world = World(library.load("alder"), 1)
    with pytest.raises(ValueError, match=message):
        world.reset(np.array([0]), [EpisodeSpec(ROUTES["alder"][0], traffic=traffic)])


def test_actors_are_counted_in_whole_numbers() -> None:
    with pytest.raises(ValueError, match="traffic.vehicles is a number of actors, got 2.5"):
        Traffic(vehicles=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("wetness", np.nan, r"wetness .* must be in \[0, 100\], got nan"),
        ("precipitation", 300.0, r"precipitation .* must be in \[0, 100\], got 300"),
        ("sun_altitude_angle", np.inf, "sun_altitude_angle .* must be finite, got inf"),
    ],
)
def test_impossible_weather_is_refused(name: str, value: float, message: str) -> None:
    weather = default_weather(1)
    weather[name] = value
    route = replace(ROUTES["alder"][0], weathers=weather, weather_at=np.zeros(1))
    with pytest.raises(ValueError, match=message):
        World(library.load("alder"), 1, [route])


def test_a_parked_vehicle_stays_where_it_is() -> None:
    world = World(library.load("alder"), 1)
    spec = EpisodeSpec(ROUTES["alder"][0], 4, traffic=Traffic(parked=12))
    world.reset(np.array([0]), [spec])
    before = world.scene.actors.vehicles[0].copy()
    for _ in range(50):
        world.step(held(world))
    after = world.scene.actors.vehicles[0]
    parked = after["mover"] == Mover.NOBODY
    assert parked.sum() == 12
    assert after[parked].tobytes() == before[parked].tobytes()
