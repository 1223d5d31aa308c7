"""The embedded world: physics on a road, repeatable to the bit however it is run."""

from dataclasses import replace

import numpy as np
import pytest

from drive_il.datatypes import (
    CONTROL,
    ROUTE_POINT,
    WEATHER,
    Command,
    EpisodeSpec,
    Ints,
    Records,
    Route,
    Scene,
    Start,
    default_weather,
)
from drive_il.maps.network import RoadNetwork, build_grid
from drive_il.randomness import uniform
from drive_il.sim import World
from drive_il.sim.vehicle import DRIVE_EXPONENT, DRIVE_GAIN, DRIVE_SPEED, RESISTANCE
from drive_il.steering import steer_of_curvature
from tests.roads import ring_road, straight_road

RING = ring_road(50.0, lanes_per_way=2)
STRAIGHT = straight_road(500.0)


def route_along(network: RoadNetwork, lane: int, name: str = "r", laps: int = 1) -> Route:
    """A route along one lane of a network."""
    one = network.lanes[lane]
    lane_points = network.points[one["first"] : one["first"] + one["count"] : 2]
    lane_points = np.concatenate([lane_points] + [lane_points[1:]] * (laps - 1))
    points = np.zeros(len(lane_points), ROUTE_POINT)
    for field in ("x", "y", "z", "heading", "curvature", "speed_limit"):
        points[field] = lane_points[field]
    points["lane_width"] = lane_points["width"]
    points["lane"] = lane
    points["command"] = Command.LANEFOLLOW
    steps = np.hypot(np.diff(points["x"]), np.diff(points["y"]))
    points["s"][1:] = np.cumsum(steps)
    keypoints = np.stack([points[name][[0, -1]] for name in ("x", "y", "z")], axis=1)
    return Route(name, network.name, points, keypoints)


ROUTES = [route_along(RING, lane, f"ring{lane}", laps=2) for lane in (0, 1, 4, 5)]
AHEAD = route_along(STRAIGHT, 0)


def state(scene: Scene) -> bytes:
    """Every bit of a scene, the route's place in the table aside."""
    progress = scene.progress.copy()
    progress["route"] = 0
    arrays = (scene.ego, progress, scene.weather, scene.step, scene.seed, scene.events)
    return b"".join(array.tobytes() for array in arrays)


def specs(n: int) -> list[EpisodeSpec]:
    """Episodes that differ in everything."""
    rng = np.random.default_rng(11)
    return [
        EpisodeSpec(
            ROUTES[i % 4],
            seed=int(rng.integers(2**63)),
            start=Start(
                s=float(rng.uniform(0, 250)),
                lateral_error=float(rng.normal(0, 1.0)),
                heading_error=float(rng.normal(0, 0.2)),
                speed=float(rng.uniform(0, 20)),
            ),
        )
        for i in range(n)
    ]


def wander(scene: Scene) -> Records:
    """Controls that depend on the row's own state and noise alone."""
    noise = uniform(scene.seed, scene.step, "wander", 3)
    control = np.zeros(scene.n_rows, CONTROL)
    control["throttle"] = noise[:, 0]
    control["brake"] = np.where(noise[:, 1] > 0.8, noise[:, 1], 0.0)
    aim = scene.progress["curvature"] - 0.05 * scene.progress["lateral_error"]
    aim = aim - 0.3 * scene.progress["heading_error"]
    control["steer"] = np.clip(steer_of_curvature(aim) + 0.1 * (noise[:, 2] - 0.5), -1.0, 1.0)
    return control


def run(n_rows: int, rows: Ints, episodes: list[EpisodeSpec], n_steps: int = 40) -> list[bytes]:
    """Final state of each episode, driven in these rows of a world of n_rows."""
    world = World(RING, n_rows)
    filler = EpisodeSpec(ROUTES[0], start=Start(speed=3.0))
    world.reset(np.arange(n_rows), [filler] * n_rows)
    world.step(wander(world.scene))
    world.reset(rows, episodes)
    for _ in range(n_steps):
        world.step(wander(world.scene))
    return [state(world.scene.take(rows[i : i + 1])) for i in range(len(rows))]


@pytest.fixture
def one_row() -> World:
    world = World(STRAIGHT, 1, [AHEAD])
    world.reset(np.array([0]), [EpisodeSpec(AHEAD, start=Start(s=10.0, speed=20.0))])
    return world


def test_20_m_per_s_for_2_s_is_40_m_of_route(one_row: World) -> None:
    resistance = RESISTANCE + 2.6e-4 * 400.0
    throttle = (resistance * np.exp(20.0 / DRIVE_SPEED) / DRIVE_GAIN) ** (1.0 / DRIVE_EXPONENT)
    control = np.array([(throttle, 0.0, 0.0)], CONTROL)
    for _ in range(20):  # the actuator has followed
        one_row.step(control)
    scene = one_row.scene.take(np.array([0]))
    for _ in range(40):
        one_row.step(control)
    now = one_row.scene
    speed = scene.ego["speed"][0]
    assert now.progress["s"][0] - scene.progress["s"][0] == pytest.approx(2.0 * speed, rel=1e-3)
    assert now.progress["lateral_error"][0] == pytest.approx(0.0, abs=1e-9)
    assert now.ego["lane"][0] == 0
    assert now.ego["off_road"][0] == 0.0
    assert now.step[0] == 60


def test_reset_places_the_ego_relative_to_its_route() -> None:
    world = World(RING, 2)
    start = Start(s=33.0, lateral_error=-0.7, heading_error=0.3, speed=7.0)
    world.reset(np.array([1]), [EpisodeSpec(ROUTES[1], seed=2**64 - 1, start=start)])
    row = world.scene.take(np.array([1]))
    assert row.progress["s"][0] == pytest.approx(33.0, abs=1e-6)
    assert row.progress["lateral_error"][0] == pytest.approx(-0.7, abs=1e-6)
    assert row.progress["heading_error"][0] == pytest.approx(0.3, abs=1e-6)
    assert row.ego["speed"][0] == 7.0
    assert row.ego["lane"][0] == 1
    assert row.step[0] == 0
    assert row.seed[0] == 2**64 - 1
    assert row.weather[0] == default_weather(1)[0]


@pytest.mark.usefixtures("open_land")
def test_driving_off_the_road_is_measured_and_loses_the_lane(one_row: World) -> None:
    world = one_row
    world.reset(
        np.array([0]),
        [EpisodeSpec(AHEAD, start=Start(s=50.0, heading_error=-np.pi / 2, speed=10.0))],
    )
    for _ in range(20):
        world.step(np.zeros(1, CONTROL))
    ego = world.scene.ego[0]
    assert ego["y"] < -8.0
    assert ego["lane"] == -1
    assert ego["off_road"] == pytest.approx(-ego["y"] - 3.5)


@pytest.mark.parametrize("n_rows", [1, 7, 64, 700])
def test_an_episode_is_the_same_to_the_bit_in_a_world_of_any_size(n_rows: int) -> None:
    episodes = specs(8)
    expected = [run(1, np.array([0]), [episode])[0] for episode in episodes]
    rng = np.random.default_rng(n_rows)
    for low in range(0, 8, min(n_rows, 8)):
        part = episodes[low : low + n_rows]
        rows = rng.permutation(n_rows)[: len(part)]
        assert run(n_rows, rows, part) == expected[low : low + len(part)]


def test_thread_count_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 1030
    episodes = (specs(97) * 11)[:n]
    ends = []
    for threads in ("1", "2", "4"):
        monkeypatch.setenv("DRIVE_IL_THREADS", threads)
        ends.append(run(n, np.arange(n), episodes, n_steps=15))
    assert ends[0] == ends[1] == ends[2]
    assert len(set(ends[0])) == 97


def test_snapshot_restored_into_any_row_goes_on_the_same() -> None:
    episodes = specs(5)
    world = World(RING, 5)
    world.reset(np.arange(5), episodes)
    for _ in range(10):
        world.step(wander(world.scene))
    saved = world.snapshot(np.array([3, 1]))
    for _ in range(25):
        world.step(wander(world.scene))
    expected = [state(world.scene.take(np.array([row]))) for row in (3, 1)]
    world.restore(saved, np.array([0, 4]))
    for _ in range(25):
        world.step(wander(world.scene))
    assert [state(world.scene.take(np.array([row]))) for row in (0, 4)] == expected


def test_snapshot_goes_into_another_world_with_another_route_table() -> None:
    world, other = World(RING, 3, ROUTES), World(RING, 2)
    world.reset(np.arange(3), specs(3))
    saved = world.snapshot(np.array([2]))
    other.restore(saved, np.array([1]))
    with pytest.raises(RuntimeError, match="row 0 has no episode"):
        other.step(np.zeros(2, CONTROL))
    other.restore(saved, np.array([0]))
    for _ in range(20):
        world.step(wander(world.scene))
        other.step(wander(other.scene))
    expected = state(world.scene.take(np.array([2])))
    assert [state(other.scene.take(np.array([row]))) for row in (0, 1)] == [expected, expected]
    assert len(other.scene.routes.first) == 1


def test_a_snapshot_forks_and_is_not_changed_by_what_follows() -> None:
    world = World(RING, 1)
    world.reset(np.array([0]), specs(1))
    saved = world.snapshot(np.array([0]))
    ends = []
    for steer in (0.2, -0.2, 0.2):
        world.restore(saved, np.array([0]))
        for _ in range(10):
            world.step(np.array([(0.6, 0.0, steer)], CONTROL))
        ends.append(state(world.scene))
    assert ends[0] == ends[2] != ends[1]
    fan = World(RING, 3)
    fan.restore(world.snapshot(np.zeros(3, int)), np.arange(3))
    assert len({state(fan.scene.take(np.array([row]))) for row in range(3)}) == 1


def test_routes_enter_the_table_once_and_old_scenes_stay_true() -> None:
    world = World(RING, 1, ROUTES[:1])
    world.reset(np.array([0]), [EpisodeSpec(ROUTES[0])])
    before = world.scene.take(np.array([0]))
    points = before.routes.points.copy()
    for _ in range(3):
        for route in ROUTES:
            world.reset(np.array([0]), [EpisodeSpec(route)])
            index = world.scene.progress["route"][0]
            table = world.scene.routes
            first, count = table.first[index], table.count[index]
            assert (table.points[first : first + count] == route.points).all()
            assert world.scene.progress["route_length"][0] == pytest.approx(route.length)
    assert len(world.scene.routes.first) == 4
    assert (before.routes.points == points).all()


def test_place_finds_the_route_from_any_pose(one_row: World) -> None:
    world = one_row
    x, y, heading = np.array([321.0]), np.array([1.2]), np.array([2.0])
    world.place(np.array([0]), x, y, heading, np.array([4.5]))
    scene = world.scene
    assert scene.progress["s"][0] == pytest.approx(321.0)
    assert scene.progress["lateral_error"][0] == pytest.approx(1.2 + 1.75)
    assert scene.progress["heading_error"][0] == pytest.approx(2.0)
    assert scene.ego["speed"][0] == 4.5
    assert scene.ego["lane"][0] == 3
    with pytest.raises(ValueError, match="heading must be finite, got nan"):
        world.place(np.array([0]), x, y, np.array([np.nan]), np.array([0.0]))


def test_height_and_pitch_follow_the_road() -> None:
    points = STRAIGHT.points.copy()
    points["z"] = 0.08 * points["x"]
    hill = replace(STRAIGHT, points=points, grid=build_grid(STRAIGHT.lanes, points))
    route = route_along(hill, 0)
    world = World(hill, 2)
    world.reset(np.arange(2), [EpisodeSpec(route, start=Start(s=20.0, speed=15.0))] * 2)
    world.place(np.array([1]), 100.0, 1.75, np.pi, 5.0)
    for _ in range(30):
        world.step(np.zeros(2, CONTROL))
    ego = world.scene.ego
    np.testing.assert_allclose(ego["z"], 0.08 * ego["x"], atol=1e-9)
    np.testing.assert_allclose(ego["pitch"], np.arctan(0.08) * np.array([1, -1]), atol=1e-9)


def test_weather_changes_along_the_route() -> None:
    keys = np.zeros(3, WEATHER)
    keys["cloudiness"] = 0.0, 50.0, 100.0
    keys["sun_altitude_angle"] = 90.0, 10.0, -90.0
    route = replace(AHEAD, weathers=keys, weather_at=np.array([0.0, 20.0, 100.0]))
    world = World(STRAIGHT, 4)
    at = np.array([0.0, 0.1, 0.6, 1.0]) * route.length
    world.reset(np.arange(4), [EpisodeSpec(route, start=Start(s=s)) for s in at.tolist()])
    np.testing.assert_allclose(world.scene.weather["cloudiness"], [0, 25, 75, 100], atol=1e-4)
    np.testing.assert_allclose(world.scene.weather["sun_altitude_angle"], [90, 50, -40, -90])


def test_step_before_reset_names_the_row() -> None:
    world = World(RING, 3)
    world.reset(np.array([0, 2]), specs(2))
    with pytest.raises(RuntimeError, match=r"Cannot call step\(\) before reset\(\): row 1"):
        world.step(np.zeros(3, CONTROL))
    with pytest.raises(RuntimeError, match=r"Cannot call snapshot\(\) before reset"):
        world.snapshot(np.array([1]))


@pytest.mark.parametrize(
    ("field", "value"), [("throttle", np.nan), ("brake", 1.1), ("steer", -1.01), ("steer", np.inf)]
)
def test_an_invalid_control_moves_nobody(field: str, value: float) -> None:
    world = World(RING, 3)
    world.reset(np.arange(3), specs(3))
    world.step(np.zeros(3, CONTROL))
    before = state(world.scene)
    control = np.zeros(3, CONTROL)
    control[field][1] = value
    with pytest.raises(ValueError, match=f"{field} of row 1 at step 1 must be in"):
        world.step(control)
    assert state(world.scene) == before


def test_controls_of_another_shape_are_refused_and_views_are_not() -> None:
    world = World(RING, 3)
    world.reset(np.arange(3), specs(3))
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        world.step(np.zeros(2, CONTROL))
    with pytest.raises(ValueError, match="dtype"):
        world.step(np.zeros((3, 3)))
    twin = World(RING, 3)
    twin.reset(np.arange(3), specs(3))
    control = np.zeros(6, CONTROL)
    control["throttle"] = np.linspace(0.0, 1.0, 6)
    world.step(control[::2])
    frozen = control[::2].copy()
    frozen.flags.writeable = False
    twin.step(frozen)
    assert state(world.scene) == state(twin.scene)


@pytest.mark.parametrize("dt", [0.0, -0.05, 0.51, np.nan, np.inf])
def test_dt_out_of_range_is_refused(dt: float) -> None:
    with pytest.raises(ValueError, match=r"dt must be in \(0, 0.5\] seconds"):
        World(RING, 1, dt=dt)


@pytest.mark.parametrize("dt", [0.01, 0.1, 0.5])
def test_other_steps_drive_the_same_road(dt: float) -> None:
    world = World(STRAIGHT, 1, dt=dt)
    world.reset(np.array([0]), [EpisodeSpec(AHEAD, start=Start(speed=15.0))])
    for _ in range(round(3.0 / dt)):
        world.step(np.array([(0.5, 0.0, 0.0)], CONTROL))
    reference = World(STRAIGHT, 1, dt=0.05)
    reference.reset(np.array([0]), [EpisodeSpec(AHEAD, start=Start(speed=15.0))])
    for _ in range(60):
        reference.step(np.array([(0.5, 0.0, 0.0)], CONTROL))
    assert world.scene.dt == dt
    for name in ("x", "speed"):
        assert world.scene.ego[name][0] == pytest.approx(reference.scene.ego[name][0], abs=1e-3)


def test_bad_resets_are_named() -> None:
    world = World(RING, 2)
    episode = specs(1)[0]
    for rows, message in (([2], r"\[0, 1\], got 2"), ([0, 0], "distinct"), ([0, 1], "2 rows, 1 ")):
        with pytest.raises(ValueError, match=message):
            world.reset(np.array(rows), [episode] * (2 if message == "distinct" else 1))
    with pytest.raises(ValueError, match="flatnonzero"):
        world.reset(np.array([True, False]), [episode])
    for start, message in (
        (Start(s=1e4), r"start.s must be on route 'ring0'"),
        (Start(lateral_error=np.nan), "lateral_error must be finite"),
        (Start(speed=-1.0), r"speed must be in \[0, 80\] m/s, got -1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            world.reset(np.array([0]), [replace(episode, start=start)])
    with pytest.raises(ValueError, match="route 'r' is for town 'straight', this world holds"):
        world.reset(np.array([0]), [EpisodeSpec(AHEAD)])
    with pytest.raises(ValueError, match="at least one row"):
        World(RING, 0)


def test_a_snapshot_of_another_map_or_dt_is_refused() -> None:
    world = World(RING, 1)
    world.reset(np.array([0]), specs(1))
    saved = world.snapshot(np.array([0]))
    with pytest.raises(ValueError, match="this world holds"):
        World(STRAIGHT, 1).restore(saved, np.array([0]))
    with pytest.raises(ValueError, match="this world holds"):
        World(RING, 1, dt=0.1).restore(saved, np.array([0]))
    with pytest.raises(ValueError, match="holds 1 rows, got 2"):
        World(RING, 2).restore(saved, np.array([0, 1]))
