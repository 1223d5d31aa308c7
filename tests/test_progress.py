"""Progress along routes against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_il.datatypes import (
    PROGRESS,
    ROUTE_POINT,
    VEHICLE,
    Command,
    Floats,
    Ints,
    Records,
    Route,
    RouteTable,
)
from drive_il.maps import progress, route_geometry
from drive_il.maps.routes import make_table


def route_points(xy: Floats, heading: Floats, curvature: Floats | float = 0.0) -> Records:
    points = np.zeros(len(xy), ROUTE_POINT)
    points["x"], points["y"] = xy.T
    points["z"] = np.linspace(0.0, 5.0, len(xy))
    points["heading"] = (heading + np.pi) % (2 * np.pi) - np.pi
    step = np.hypot(*np.diff(xy, axis=0).T)
    mean = np.broadcast_to(np.asarray(curvature, float), len(xy))
    mean = np.abs(mean[1:] + mean[:-1]) / 2
    # The arc over each chord, so that s is exact on circles.
    safe = np.where(mean > 0, mean, 1.0)
    arc = np.where(mean > 0, 2 / safe * np.arcsin(np.minimum(step * safe / 2, 1)), step)
    points["s"] = np.concatenate(([0.0], np.cumsum(arc)))
    points["curvature"] = curvature
    points["lane_width"], points["speed_limit"] = 3.5, 10.0
    points["command"] = Command.LANEFOLLOW
    return points


def straight(length: int = 200) -> Records:
    xy = np.stack((np.arange(length + 1.0), np.zeros(length + 1)), axis=1)
    return route_points(xy, np.zeros(length + 1))


def ring(radius: float, turns: float = 0.95, left: bool = True) -> Records:
    n = math.ceil(2 * math.pi * radius * turns)
    angle = np.linspace(0.0, 2 * math.pi * turns, n + 1) * (1 if left else -1)
    xy = radius * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    sign = 1 if left else -1
    return route_points(xy, angle + sign * np.pi / 2, sign / radius)


def figure_eight(radius: float = 30.0) -> Records:
    """A left circle, then a right circle, crossing (touching) itself at the origin."""
    n = math.ceil(2 * math.pi * radius)
    angle = np.linspace(0.0, 2 * math.pi, n + 1)
    first = radius * np.stack((np.sin(angle), 1 - np.cos(angle)), axis=1)
    second = first * [1, -1]
    xy = np.concatenate((first, second[1:]))
    heading = np.concatenate((angle, -angle[1:]))
    curvature = np.repeat([1 / radius, -1 / radius], [n + 1, n])
    return route_points(xy, heading, curvature)


def table(*routes: Records) -> RouteTable:
    ends = np.zeros((2, 3))
    return make_table([Route(str(i), "nowhere", points, ends) for i, points in enumerate(routes)])


def place(
    routes: RouteTable, route: Ints, s: Floats, lateral: Floats | float, heading: Floats | float
) -> tuple[Records, Records]:
    pose = route_geometry.poses(routes, route, s, lateral, heading)
    ego = np.zeros(len(pose), VEHICLE)
    ego["x"], ego["y"], ego["z"], ego["heading"] = pose.T
    state = np.zeros(len(pose), PROGRESS)
    state["route"] = route
    progress.start(ego, state, routes, s)
    return ego, state


def test_straight_road_is_its_coordinates() -> None:
    routes = table(straight())
    ego, state = place(routes, np.zeros(1, int), np.array([40.25]), 1.5, 0.1)
    assert (ego["x"][0], ego["y"][0], ego["heading"][0]) == pytest.approx((40.25, 1.5, 0.1))
    assert ego["z"][0] == pytest.approx(5.0 * 40.25 / 200)
    assert state["s"][0] == pytest.approx(40.25)
    assert state["lateral_error"][0] == pytest.approx(1.5)
    assert state["heading_error"][0] == pytest.approx(0.1)
    assert state["index"][0] == 40
    assert state["route_length"][0] == 200.0
    assert state["lane_width"][0] == 3.5


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("radius", [6.0, 30.0, 300.0])
def test_ring_road_is_its_polar_coordinates(radius: float, left: bool) -> None:
    routes = table(ring(radius, left=left))
    rng = np.random.default_rng(1)
    s = rng.uniform(2.0, routes.points["s"][-1] - 2.0, 200)
    lateral = rng.uniform(-2.5, 2.5, 200)
    ego, state = place(routes, np.zeros(200, int), s, lateral, 0.2)
    sign = 1 if left else -1
    polar = radius - sign * lateral
    np.testing.assert_allclose(np.hypot(ego["x"], ego["y"]), polar, atol=2e-4)
    angle = np.arctan2(ego["y"], ego["x"]) * sign % (2 * np.pi)
    np.testing.assert_allclose(angle * radius, s, atol=2e-3)
    np.testing.assert_allclose(state["s"], s, atol=1e-9)
    np.testing.assert_allclose(state["lateral_error"], lateral, atol=1e-9)
    np.testing.assert_allclose(state["heading_error"], 0.2, atol=1e-9)
    np.testing.assert_allclose(state["curvature"], sign / radius)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.0, 370.0), st.floats(-4.0, 4.0), st.floats(-3.0, 3.0))
def test_pose_and_progress_are_inverse(s: float, lateral: float, heading: float) -> None:
    routes = table(figure_eight())
    _, state = place(routes, np.zeros(1, int), np.array([s]), lateral, heading)
    assert state["s"][0] == pytest.approx(s, abs=1e-6)
    assert state["lateral_error"][0] == pytest.approx(lateral, abs=1e-6)
    assert state["heading_error"][0] == pytest.approx(heading, abs=1e-6)


@pytest.mark.parametrize("lateral", [0.0, 2.0, -2.0, 8.0])
def test_a_route_that_crosses_itself_is_followed_in_order(lateral: float) -> None:
    routes = table(figure_eight())
    length = routes.points["s"][-1]
    s = np.arange(0.0, length, 0.5)
    ego, _ = place(routes, np.zeros(len(s), int), s, lateral, 0.0)
    state = np.zeros(1, PROGRESS)
    progress.start(ego[:1], state, routes, np.zeros(1))
    seen = []
    for row in range(len(s)):
        progress.update(ego[row : row + 1], state, routes, 0.05)
        seen.append(state["s"][0])
    np.testing.assert_allclose(seen, s, atol=1e-6)


def test_arc_length_is_continuous_beside_a_bend() -> None:
    routes = table(ring(10.0))
    angle = np.linspace(0.1, 5.0, 4000)
    for radius in (7.0, 13.0):
        state = np.zeros(1, PROGRESS)
        ego = np.zeros(1, VEHICLE)
        ego["x"], ego["y"] = radius * math.cos(0.1), radius * math.sin(0.1)
        progress.start(ego, state, routes, np.ones(1))
        seen = []
        for a in angle:
            ego["x"], ego["y"] = radius * math.cos(a), radius * math.sin(a)
            progress.update(ego, state, routes, 0.05)
            seen.append((state["s"][0], state["lateral_error"][0]))
        ds, de = np.abs(np.diff(np.array(seen), axis=0)).T
        step = 10.0 * (angle[1] - angle[0])
        assert ds.max() < 1.1 * step
        assert ds.min() > 0.9 * step
        assert de.max() < 1e-4


def test_before_the_start_and_after_the_end() -> None:
    routes = table(straight())
    ego = np.zeros(2, VEHICLE)
    ego["x"], ego["y"] = [-5.0, 203.0], [1.0, -1.0]
    state = np.zeros(2, PROGRESS)
    progress.start(ego, state, routes, np.array([0.0, 200.0]))
    np.testing.assert_allclose(state["s"], [0.0, 200.0])
    np.testing.assert_allclose(state["lateral_error"], [1.0, -1.0])
    assert state["completed"].tolist() == [False, True]


def test_completion_needs_the_goal_to_be_near() -> None:
    routes = table(straight(), straight(50))
    ego = np.zeros(4, VEHICLE)
    ego["x"] = [197.9, 198.1, 199.0, 49.1]
    ego["y"] = [0.0, 0.0, 12.0, 0.0]
    state = np.zeros(4, PROGRESS)
    state["route"] = [0, 0, 0, 1]
    progress.start(ego, state, routes, ego["x"])
    assert state["completed"].tolist() == [False, True, False, True]


def test_completion_is_remembered_and_the_furthest_place_too() -> None:
    routes = table(straight())
    ego = np.zeros(1, VEHICLE)
    ego["x"] = 199.5
    state = np.zeros(1, PROGRESS)
    progress.start(ego, state, routes, np.array([199.5]))
    ego["x"] = 150.0
    progress.update(ego, state, routes, 0.05)
    assert state["s"][0] == pytest.approx(150.0)
    assert state["s_max"][0] == pytest.approx(199.5)
    assert state["completed"][0]


def test_standing_counts_seconds_below_a_tenth_of_a_metre_per_second() -> None:
    routes = table(straight())
    ego, state = place(routes, np.zeros(1, int), np.array([10.0]), 0.0, 0.0)
    assert state["standing"][0] == 0.0
    for _ in range(40):
        progress.update(ego, state, routes, 0.05)
    assert state["standing"][0] == pytest.approx(2.0)
    ego["speed"] = 0.1
    progress.update(ego, state, routes, 0.05)
    assert state["standing"][0] == 0.0


def test_target_point_is_the_next_change_of_command_or_50_m_ahead() -> None:
    points = straight()
    points["command"][100:120] = Command.LEFT
    routes = table(points)
    s = np.array([10.0, 70.0, 95.0, 100.0, 110.0, 115.0, 190.0])
    _, state = place(routes, np.zeros(len(s), int), s, 0.0, 0.0)
    # 95: the change 5 m ahead counts as reached, the next one is where LEFT ends.
    expected = [60.0, 100.0, 120.0, 120.0, 120.0, 165.0, 200.0]
    np.testing.assert_allclose(state["target_x"], expected)
    follow, turn = Command.LANEFOLLOW, Command.LEFT
    assert state["next_command"].tolist() == [follow, turn] + [follow] * 5
    assert state["command"].tolist() == [follow] * 3 + [turn] * 3 + [follow]


def test_rows_do_not_depend_on_each_other() -> None:
    routes = table(straight(), figure_eight(), ring(12.0))
    rng = np.random.default_rng(3)
    n = 9000  # enough for several threads
    route = rng.integers(0, 3, n)
    length = routes.points["s"][routes.first + routes.count - 1]
    s = rng.uniform(0, 1, n) * length[route]
    ego, state = place(routes, route, s, rng.normal(0, 1, n), rng.normal(0, 0.1, n))
    ego["x"] += 0.3
    progress.update(ego, state, routes, 0.05)
    for row in (0, 4500, n - 1):
        alone_ego, alone = place(routes, route[row : row + 1], s[row : row + 1], 0.0, 0.0)
        alone_ego[:] = ego[row]
        before = ego[row : row + 1].copy()
        before["x"] -= 0.3
        progress.start(before, alone, routes, s[row : row + 1])
        progress.update(alone_ego, alone, routes, 0.05)
        alone["s_max"] = state["s_max"][row]  # x - 0.3 + 0.3 is not x to the last bit
        assert alone[0] == state[row]
