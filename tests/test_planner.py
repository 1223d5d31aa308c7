"""The scripted planner: geometry, comfort, recovery, determinism."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_il.datatypes import Episode, EpisodeSpec, Outcome, Route, Scene, Start
from drive_il.experts.planner import Planner, PlannerConfig
from drive_il.gates import ExpertDrives
from drive_il.rollout import drive, scene_of
from drive_il.sim import World
from drive_il.steering import MAX_CURVATURE
from tests.drives import completed, make_route
from tests.roads import straight_road

pytestmark = pytest.mark.usefixtures("open_land")  # routes are drawn freely, not on a map
QUARTER = math.pi / 2
FROM_REST, DEFAULT = Start(), PlannerConfig()
STRAIGHT = make_route([(200, 0)])
BENDS = {
    "radius 4.5 m": [(40, 0), (QUARTER * 4.5, 1 / 4.5), (40, 0)],
    "radius 6 m to the right": [(40, 0), (QUARTER * 6, -1 / 6), (40, 0)],
    "S of radius 8 m": [(30, 0), (QUARTER * 8, 1 / 8), (QUARTER * 8, -1 / 8), (30, 0)],
    "slalom of radius 20 m": [(30, 0), (31, 1 / 20), (63, -1 / 20), (63, 1 / 20), (30, 0)],
    "roundabout": [(30, 0), (10, -1 / 12), (50, 1 / 15), (10, -1 / 12), (30, 0)],
}


def run(route: Route, start: Start = FROM_REST, config: PlannerConfig = DEFAULT) -> Episode:
    world = World(straight_road(), 1)
    planner = Planner(config)
    spec = EpisodeSpec(route, max_steps=3000, start=start)
    return drive(world, None, None, [spec], expert=planner, gate=ExpertDrives(), stop=completed)[0]


@pytest.mark.parametrize("name", BENDS)
def test_bends_are_driven_in_the_middle_of_the_lane(name: str) -> None:
    episode = run(make_route(BENDS[name]))
    assert episode.outcome == Outcome.COMPLETED
    assert np.abs(episode.progress["lateral_error"]).max() < 0.06
    lateral = np.abs(episode.ego["speed"] * episode.ego["yaw_rate"])
    assert lateral.max() < 2.5 * 1.05


@pytest.mark.parametrize("speed_limit", [5.0, 13.9, 25.0])
def test_a_straight_road_is_driven_at_its_limit(speed_limit: float) -> None:
    episode = run(make_route([(500, 0)], speed_limit))
    assert np.abs(episode.control["steer"]).max() < 1e-9
    assert episode.ego["speed"].max() == pytest.approx(0.9 * speed_limit, rel=0.02)
    assert episode.ego["speed"].max() <= speed_limit
    assert episode.ego["acceleration"].min() > -2.3  # braking for the end is comfortable


def test_a_lower_limit_ahead_is_met_in_time() -> None:
    route = make_route([(300, 0)], 20.0)
    route.points["speed_limit"][150:] = 8.0
    episode = run(route)
    late = episode.progress["s"] >= 150.0
    assert episode.ego["speed"][late].max() < 8.0
    assert episode.ego["speed"].max() > 15.0


def test_the_car_stands_within_the_last_metres_of_a_route() -> None:
    world = World(straight_road(), 1)
    spec = EpisodeSpec(STRAIGHT, max_steps=700)
    episode = drive(world, None, None, [spec], expert=Planner(), gate=ExpertDrives())[0]
    assert episode.progress["completed"][-1]
    assert episode.ego["speed"][-1] < 1e-3
    assert STRAIGHT.length - 3.0 < episode.ego["x"][-1] < STRAIGHT.length + 0.5


@settings(max_examples=25, deadline=None)
@given(
    lateral=st.floats(-1.5, 1.5),
    heading=st.floats(-math.radians(20), math.radians(20)),
    speed=st.floats(0.0, 12.0),
)
def test_offsets_are_recovered_smoothly(lateral: float, heading: float, speed: float) -> None:
    route = make_route([(200, 0)])
    episode = run(route, Start(10.0, lateral, heading, speed))
    error, s = episode.progress["lateral_error"], episode.progress["s"]
    assert episode.outcome == Outcome.COMPLETED
    assert np.abs(error[s > 80.0]).max() < 0.05
    # Never further out than the offset and the first metres of the wrong heading explain.
    assert np.abs(error).max() < abs(lateral) + abs(heading) * (3.0 + speed) + 1e-3
    assert np.abs(np.diff(episode.control["steer"])).max() < 0.1
    assert np.abs(episode.ego["speed"] * episode.ego["yaw_rate"]).max() < 5.0 + 0.2


def mirrored(route: Route) -> Route:
    points = route.points.copy()
    for name in ("y", "heading", "curvature"):
        points[name] *= -1.0
    return replace(route, points=points)


def test_left_and_right_are_treated_alike() -> None:
    route = make_route(BENDS["S of radius 8 m"])
    a = run(route, Start(5.0, 0.5, 0.1, 4.0))
    b = run(mirrored(route), Start(5.0, -0.5, -0.1, 4.0))
    assert np.allclose(a.control["steer"], -b.control["steer"], atol=1e-9)
    assert np.allclose(a.ego["speed"], b.ego["speed"], atol=1e-9)


def test_pedals_are_never_pressed_together_and_do_not_chatter() -> None:
    for parts in BENDS.values():
        control = run(make_route(parts)).control
        assert not ((control["throttle"] > 0) & (control["brake"] > 0)).any()
        net = control["throttle"] - control["brake"]
        swings = np.diff(np.sign(np.diff(net)[np.abs(np.diff(net)) > 0.02]))
        assert (swings != 0).sum() < 25


def test_labels_do_not_depend_on_order_or_other_rows() -> None:
    scene = scene_of(run(make_route(BENDS["roundabout"])))
    whole = Planner().control(scene)
    rows = np.random.default_rng(0).permutation(scene.n_rows)
    assert Planner().control(scene.take(rows)).tobytes() == whole[rows].tobytes()
    one = np.concatenate([Planner().control(scene.take(rows[i : i + 1])) for i in range(9)])
    assert one.tobytes() == whole[rows[:9]].tobytes()


def test_steer_is_continuous_in_the_state() -> None:
    scene = scene_of(run(make_route(BENDS["slalom of radius 20 m"])))
    steer = Planner().control(scene)["steer"]
    nudged = Scene(**{**vars(scene), "progress": scene.progress.copy()})
    nudged.progress["lateral_error"] += 1e-6
    nudged.progress["heading_error"] += 1e-6
    nudged.progress["s"] += 1e-6
    assert np.abs(Planner().control(nudged)["steer"] - steer).max() < 1e-5


def test_extreme_states_still_give_valid_controls() -> None:
    scene = scene_of(run(STRAIGHT)).take(np.arange(100))
    rng = np.random.default_rng(1)
    scene.progress["lateral_error"] = rng.uniform(-500, 500, 100)
    scene.progress["heading_error"] = rng.uniform(-math.pi, math.pi, 100)
    scene.ego["speed"] = rng.uniform(0, 80, 100)
    scene.progress["s"] = rng.uniform(0, 199, 100)
    scene.progress["index"] = np.minimum(scene.progress["s"].astype(int), 198)
    control = Planner().control(scene)
    for name, low in (("throttle", 0), ("brake", 0), ("steer", -1)):
        assert np.isfinite(control[name]).all()
        assert (control[name] >= low).all()
        assert (control[name] <= 1).all()


def test_bends_tighter_than_the_car_turns_get_full_steer() -> None:
    tight = 1.2 * MAX_CURVATURE
    episode = run(make_route([(20, 0), (QUARTER / tight, tight), (20, 0)]))
    assert episode.control["steer"].max() == pytest.approx(1.0)
    assert episode.outcome == Outcome.COMPLETED


def test_target_speed_is_the_profile_of_the_road() -> None:
    scene = scene_of(run(make_route(BENDS["radius 6 m to the right"])))
    target = Planner().target_speed(scene)
    in_bend = np.abs(scene.progress["curvature"]) > 0.9 / 6
    assert target[in_bend].max() <= math.sqrt(2.5 * 6 / 0.9)
    assert np.median(target[in_bend]) == pytest.approx(math.sqrt(2.5 * 6), rel=1e-3)
    assert target.max() <= 0.9 * 13.9 + 1e-9


def test_it_drives_on_over_the_end_where_it_may() -> None:
    through = run(STRAIGHT, config=PlannerConfig(speed_factor=1.0, end_speed=25.0))
    limit = float(STRAIGHT.points["speed_limit"][0])
    assert through.outcome == Outcome.COMPLETED
    assert through.ego["speed"][-1] == pytest.approx(limit, rel=0.01)
    assert through.ego["speed"].max() <= limit + 1e-9


def test_it_slows_down_where_it_is_too_fast_to_get_back() -> None:
    route = make_route([(600, 0)], 25.0)
    episode = run(route, Start(100.0, -2.0, -0.12, 22.0), PlannerConfig(speed_factor=1.0))
    assert episode.outcome == Outcome.COMPLETED
    assert episode.ego["speed"][:40].min() < 19.0
    assert np.abs(episode.progress["lateral_error"]).max() < 4.5
    soon = run(route, Start(100.0, -0.5, 0.0, 22.0), PlannerConfig(speed_factor=1.0))
    assert soon.ego["speed"][:100].min() > 21.0  # what it can put right as it drives


def test_config_is_checked() -> None:
    with pytest.raises(ValueError, match="end_speed of the planner must be at least 0, got -1"):
        PlannerConfig(end_speed=-1.0)
    with pytest.raises(ValueError, match="braking of the planner must be positive, got 0"):
        PlannerConfig(braking=0.0)
    with pytest.raises(ValueError, match="nan"):
        PlannerConfig(max_speed=math.nan)
    slow = run(STRAIGHT, config=PlannerConfig(max_speed=4.0))
    assert slow.ego["speed"].max() == pytest.approx(4.0, rel=0.02)
