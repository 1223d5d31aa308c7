"""Waypoints: closed forms of labels and tracker, and the car that follows them."""

import numpy as np
import pytest

from drive_il import pedals, steering
from drive_il.datatypes import CONTROL, VEHICLE, Floats, Records
from drive_il.sim.vehicle import acceleration_rows, drive_rows, standing
from drive_il.waypoints import (
    TIMES,
    TrackerConfig,
    along,
    curvature_to,
    held,
    labels,
    moved,
    track,
)

N = 7


def controls() -> Records:
    control = np.zeros(N, CONTROL)
    control["steer"] = [-1.0, -0.5, -0.1, 0.0, 0.1, 0.6, 1.0]
    control["throttle"] = [0.3, 0.5, 0.0, 0.4, 0.55, 0.5, 0.45]
    control["brake"][2] = 0.1
    return control


SPEED = np.array([5.0, 6, 8, 3, 10, 7, 4])


def test_the_pedals_are_the_simulators() -> None:
    pressed, speed = np.linspace(-1, 1, 41), np.linspace(0.5, 25, 41)
    law = acceleration_rows(speed, np.maximum(pressed, 0), np.maximum(-pressed, 0))
    np.testing.assert_allclose(pedals.acceleration_of_pedals(pressed, speed), law)
    back = pedals.pedals_of_acceleration(law, speed)
    np.testing.assert_allclose(pedals.acceleration_of_pedals(back, speed), law, atol=1e-9)


def test_a_held_control_lies_on_its_circle() -> None:
    places, curvature = held(controls(), SPEED), steering.curvature_of_steer(controls()["steer"])
    for k in range(len(TIMES)):
        np.testing.assert_allclose(curvature_to(places[:, k]), curvature, atol=1e-9)
    straight = places[3]
    rate = pedals.acceleration_of_pedals(np.array([0.4]), np.array([3.0]))
    np.testing.assert_allclose(straight[:, 0], 3.0 * TIMES + 0.5 * rate * TIMES**2)
    np.testing.assert_allclose(straight[:, 1], 0.0)


def test_a_braking_car_stops_and_stays() -> None:
    control = np.zeros(1, CONTROL)
    control["brake"] = 1.0
    rate = -pedals.acceleration_of_pedals(np.array([-1.0]), np.array([2.0]))[0]
    places = held(control, np.array([2.0]))
    np.testing.assert_allclose(places[0, 1:, 0], 2.0**2 / (2 * rate))


def test_the_tracker_gives_back_what_was_held() -> None:
    control, _ = track(held(controls(), SPEED), SPEED, np.zeros((N, 2)), TrackerConfig(integral=0))
    # The polyline cuts the circle's corners by its sagitta.
    np.testing.assert_allclose(control["steer"], controls()["steer"], atol=5e-3)
    pressed = control["throttle"] - control["brake"]
    np.testing.assert_allclose(pressed, controls()["throttle"] - controls()["brake"], atol=0.03)


def test_a_point_along_the_waypoints() -> None:
    line = np.zeros((1, len(TIMES), 2))
    line[0, :, 0] = np.arange(1, len(TIMES) + 1)
    for distance in (0.0, 0.5, 1.0, 3.25, 8.0, 99.0):
        point, length = along(line, np.array([distance]))
        assert point[0].tolist() == [min(distance, 8.0), 0.0]
        assert length[0] == 8.0


def test_standing_waypoints_are_a_halt() -> None:
    control, memory = track(
        np.zeros((2, len(TIMES), 2)), np.array([0.0, 5.0]), np.ones((2, 2)), TrackerConfig()
    )
    assert (control["brake"] >= 0.5).all()
    assert (control["throttle"] == 0).all()
    assert (control["steer"] == 0).all()
    assert (memory[:, 0] == 0).all()


def circle(radius: float, ego: np.void, speed: float) -> Floats:
    """Waypoints on a circle about the origin, from where the ego is on it, driven leftwards."""
    angle = np.arctan2(ego["y"], ego["x"]) + speed * TIMES / radius
    dx, dy = radius * np.cos(angle) - ego["x"], radius * np.sin(angle) - ego["y"]
    cos, sin = np.cos(ego["heading"]), np.sin(ego["heading"])
    return np.stack((cos * dx + sin * dy, cos * dy - sin * dx), 1)[None]


@pytest.mark.parametrize("radius", [12.0, 40.0])
def test_on_a_circle_the_car_reaches_its_curvature_and_speed(radius: float) -> None:
    ego = standing(1)
    ego["x"], ego["heading"], ego["speed"] = radius + 0.8, np.pi / 2 + 0.1, 3.0
    memory = np.zeros((1, 2))
    away, turn = [], []
    for _ in range(400):
        places = circle(radius, ego[0], 6.0)
        control, memory = track(places, ego["speed"], memory, TrackerConfig())
        drive_rows(ego, control, 0.05)
        away.append(np.hypot(ego["x"][0], ego["y"][0]) - radius)
        turn.append(ego["yaw_rate"][0] / ego["speed"][0])
    assert abs(away[0]) > 0.5
    assert np.abs(away[200:]).max() < 0.15
    assert abs(np.mean(turn[200:]) * radius - 1.0) < 0.02
    assert abs(ego["speed"][0] - 6.0) < 0.2


def drive_of(n_steps: int) -> tuple[Records, Records]:
    """A drive to the left on a circle of 20 m at 5 m/s, 20 steps a second."""
    ego = np.zeros(n_steps + 1, VEHICLE)
    angle = 5.0 * 0.05 * np.arange(n_steps + 1) / 20.0
    ego["x"], ego["y"] = 20.0 * np.sin(angle), 20.0 * (1.0 - np.cos(angle))
    ego["heading"], ego["speed"] = angle, 5.0
    control = np.zeros(n_steps, CONTROL)
    control["steer"], control["throttle"] = 0.1, 0.35
    return ego, control


def test_where_the_expert_drove_on_labels_are_the_path_that_was_driven() -> None:
    ego, control = drive_of(60)
    found = labels(ego, control, control, 0.05)
    arc = 5.0 * TIMES / 20.0
    path = np.stack((20.0 * np.sin(arc), 20.0 * (1.0 - np.cos(arc))), 1)
    np.testing.assert_allclose(found[0], path, atol=1e-5)
    np.testing.assert_allclose(found[20], path, atol=1e-5)  # step 60 is the last state
    np.testing.assert_allclose(found[21], held(control[:1], np.array([5.0]))[0], atol=1e-5)


def test_where_somebody_else_drove_the_experts_action_is_held() -> None:
    ego, control = drive_of(60)
    expert = control.copy()
    expert["steer"][45] = -0.2
    found = labels(ego, control, expert, 0.05)
    assert not np.allclose(found[5], held(expert[5:6], np.array([5.0]))[0], atol=1e-2)
    for step in (6, 20, 45):  # from whose next two seconds step 45 is one
        np.testing.assert_allclose(
            found[step], held(expert[step : step + 1], np.array([5.0]))[0], atol=1e-5
        )
    expert[:] = np.nan
    assert np.isnan(labels(ego, control, expert, 0.05)).all()


def test_a_moved_ego_sees_the_same_places() -> None:
    places = held(controls(), SPEED)
    shift, rotation = np.linspace(-1, 1, N), np.linspace(0.2, -0.2, N)
    seen = moved(places, shift, rotation)
    for one, other, s, r in zip(places, seen, shift, rotation, strict=True):
        turn = np.array([[np.cos(r), -np.sin(r)], [np.sin(r), np.cos(r)]])
        np.testing.assert_allclose(other @ turn.T + [0.0, s], one, atol=1e-12)
