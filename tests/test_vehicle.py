"""The ego obeys physics: closed forms, monotone pedals, any dt."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from drive_il.datatypes import CONTROL, Floats, Records
from drive_il.sim import vehicle
from drive_il.steering import (
    FRONT_WHEELBASE,
    REAR_WHEELBASE,
    STEER_GAIN,
    curvature_of_steer,
)

speeds = st.floats(0.0, 60.0)
shares = st.floats(0.0, 1.0)
steers = st.floats(-1.0, 1.0)
steps = st.floats(1e-3, 0.5)

# Next speed [km/h] after 0.05 s at a throttle t from v [km/h], as published with PDM-Lite.
_THROTTLE_TABLE = np.array(
    [0.963873001, 4.37535692e-4, -0.380192912, 1.74950069, 0.0916787414, -0.0705461530]
    + [-1.05996152e-3, 6.71079346e-4]
)
_BRAKE_TABLE = np.array(
    [9.31711370e-3, 8.20967431e-2, -2.83832427e-3, 5.06587474e-5, -4.90357228e-7]
    + [2.44419284e-9, -4.91381935e-12]
)


def table_acceleration(v: Floats, t: Floats) -> Floats:
    features = [v, v**2, t, t**2, v * t, v * t**2, v**2 * t, v**2 * t**2]
    return (np.stack(features, -1) @ _THROTTLE_TABLE - v) / 3.6 / 0.05


def control(throttle: float = 0.0, brake: float = 0.0, steer: float = 0.0) -> Records:
    return np.array([(throttle, brake, steer)], CONTROL)


def at_speed(speed: float, steering_angle: float = 0.0) -> Records:
    ego = vehicle.standing(1)
    ego["speed"] = speed
    ego["steering_angle"] = steering_angle
    return ego


def drive(ego: Records, command: Records, seconds: float, dt: float = 0.05) -> Records:
    ego = ego.copy()
    for _ in range(round(seconds / dt)):
        vehicle.drive_rows(ego, command, dt)
    return ego


def holding_throttle(speed: float) -> float:
    """The throttle at which the acceleration is zero, in closed form."""
    resistance = vehicle.RESISTANCE + vehicle.AIR_DRAG * speed**2
    drive = resistance * np.exp(speed / vehicle.DRIVE_SPEED) / vehicle.DRIVE_GAIN
    return float(drive ** (1.0 / vehicle.DRIVE_EXPONENT))


def test_law_is_the_least_squares_fit_of_the_table_where_it_is_sane() -> None:
    v, t = np.meshgrid(np.arange(10.0, 71.0, 2.0), np.linspace(0.5, 1.0, 11), indexing="ij")
    table, u = table_acceleration(v, t), v / 3.6

    def error(p: Floats) -> Floats:
        law = p[0] * t ** p[1] * np.exp(-u / p[2]) - p[3] - vehicle.AIR_DRAG * u**2
        return (law - table).ravel()

    ours = (
        vehicle.DRIVE_GAIN,
        vehicle.DRIVE_EXPONENT,
        vehicle.DRIVE_SPEED,
        vehicle.RESISTANCE,
    )
    best = least_squares(error, (8.0, 2.0, 30.0, 1.0)).x
    np.testing.assert_allclose(ours, best, rtol=1e-3)
    error_of_law = vehicle.acceleration_rows(u, t, np.zeros_like(u)) - table
    assert np.sqrt((error_of_law**2).mean()) < 0.125  # [m/s^2]
    assert np.abs(error_of_law).max() < 0.30


def test_full_brake_is_the_mean_of_the_table_from_30_to_110_km_h() -> None:
    v = np.arange(30.0, 111.0, 10.0)
    powers = np.stack([v**k for k in range(1, 8)], -1)
    table = (powers @ _BRAKE_TABLE - v) / 3.6 / 0.05
    law = vehicle.acceleration_rows(v / 3.6, np.zeros_like(v), np.ones_like(v))
    assert law.mean() == pytest.approx(table.mean(), abs=0.1)


@given(speeds, shares, shares, shares)
@settings(deadline=None)
def test_more_throttle_never_slows_and_more_brake_never_hastens(
    v: float, a: float, b: float, other: float
) -> None:
    low, high = min(a, b), max(a, b)
    by_throttle = vehicle.acceleration_rows(v, np.array([low, high]), other)
    by_brake = vehicle.acceleration_rows(v, other, np.array([low, high]))
    assert by_throttle[0] <= by_throttle[1]
    assert by_brake[0] >= by_brake[1]
    if high - low > 1e-3:
        assert by_throttle[0] < by_throttle[1]
        assert by_brake[0] > by_brake[1]


@given(speeds, shares, shares)
@settings(deadline=None)
def test_law_is_continuous(v: float, throttle: float, brake: float) -> None:
    nearby = vehicle.acceleration_rows(
        np.array([v, v + 1e-6, v, v]),
        np.array([throttle, throttle, abs(throttle - 1e-6), throttle]),
        np.array([brake, brake, brake, abs(brake - 1e-6)]),
    )
    assert np.ptp(nearby) < 1e-4


@given(st.floats(0.0, vehicle.MAX_SPEED), shares, shares)
@settings(deadline=None)
def test_never_brakes_harder_than_9_and_always_slows_without_throttle(
    v: float, throttle: float, brake: float
) -> None:
    assert float(vehicle.acceleration_rows(v, throttle, brake)) >= -9.0
    assert float(vehicle.acceleration_rows(v, 0.0, brake)) < 0.0


@pytest.mark.parametrize("dt", [0.01, 0.05, 0.1, 0.25, 0.5])
def test_20_m_per_s_for_2_s_is_40_m(dt: float) -> None:
    ego = at_speed(20.0)
    throttle = holding_throttle(20.0)
    ego["throttle"] = throttle
    ego = drive(ego, control(throttle), 2.0, dt)
    assert ego["x"][0] == pytest.approx(40.0, abs=1e-9)
    assert ego["y"][0] == 0.0
    assert ego["speed"][0] == pytest.approx(20.0, abs=1e-9)


@given(speeds, shares, steers, steps)
@settings(deadline=None)
def test_coasting_only_slows(speed: float, brake: float, steer: float, dt: float) -> None:
    ego = at_speed(speed)
    vehicle.drive_rows(ego, control(0.0, brake, steer), dt)
    assert 0.0 <= ego["speed"][0] <= speed
    assert ego["acceleration"][0] <= 0.0
    assert np.hypot(ego["x"][0], ego["y"][0]) <= speed * dt * (1.0 + 1e-9)


@given(shares, steers, st.floats(-np.pi, np.pi, exclude_max=True), steps)
@example(0.0, 0.0, float(np.nextafter(np.pi, 0.0)), 0.5)  # must not round over pi
@settings(deadline=None)
def test_standing_still_stays_still_without_throttle(
    brake: float, steer: float, heading: float, dt: float
) -> None:
    ego = vehicle.standing(1)
    ego["x"], ego["y"], ego["heading"] = 3.1, -7.7, heading
    for _ in range(3):
        vehicle.drive_rows(ego, control(0.0, brake, steer), dt)
    assert (ego["x"][0], ego["y"][0], ego["speed"][0]) == (3.1, -7.7, 0.0)
    assert ego["heading"][0] == pytest.approx(heading, abs=1e-15)
    assert ego["yaw_rate"][0] == 0.0
    assert ego["acceleration"][0] == 0.0


@given(speeds, shares, shares, shares, steers, steers, steps)
@settings(max_examples=300, deadline=None)
def test_any_step_keeps_every_field_finite_and_within_physics(
    speed: float,
    throttle: float,
    brake: float,
    before: float,
    steer: float,
    steer_before: float,
    dt: float,
) -> None:
    ego = at_speed(speed, STEER_GAIN * steer_before)
    ego["throttle"], ego["brake"] = before, 1.0 - before
    vehicle.drive_rows(ego, control(throttle, brake, steer), dt)
    assert all(np.isfinite(ego[name]).all() for name in ego.dtype.names or ())
    assert 0.0 <= ego["speed"][0] <= 60.0 + 9.0 * dt
    assert -9.0 - 1e-9 <= ego["acceleration"][0] <= vehicle.DRIVE_GAIN
    assert -np.pi <= ego["heading"][0] < np.pi
    for name in ("throttle", "brake"):
        assert 0.0 <= ego[name][0] <= 1.0
    assert abs(ego["steering_angle"][0]) <= STEER_GAIN


@given(speeds, shares, shares, shares, steers, steers, steps)
@settings(max_examples=300, deadline=None)
def test_two_half_steps_are_one_step(
    speed: float,
    throttle: float,
    brake: float,
    before: float,
    steer: float,
    steer_before: float,
    dt: float,
) -> None:
    whole = at_speed(speed, STEER_GAIN * steer_before)
    whole["throttle"] = before
    halves = whole.copy()
    command = control(throttle, brake, steer)
    vehicle.drive_rows(whole, command, dt)
    vehicle.drive_rows(halves, command, dt / 2)
    vehicle.drive_rows(halves, command, dt / 2)
    for name, within in (("x", 5e-3), ("y", 5e-3), ("speed", 2e-2), ("throttle", 1e-12)):
        assert whole[name][0] == pytest.approx(halves[name][0], abs=within), name
    turn = whole["heading"][0] - halves["heading"][0]
    assert abs((turn + np.pi) % (2 * np.pi) - np.pi) < 2e-3


@pytest.mark.parametrize("steer", [-1.0, -0.3, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("dt", [0.05, 0.5])
def test_a_steady_circle_has_the_radius_of_the_bicycle(steer: float, dt: float) -> None:
    slip = np.arctan(
        REAR_WHEELBASE / (FRONT_WHEELBASE + REAR_WHEELBASE) * np.tan(STEER_GAIN * steer)
    )
    radius = REAR_WHEELBASE / np.sin(slip)
    speed = 6.0
    ego = at_speed(speed, STEER_GAIN * steer)
    ego["throttle"] = holding_throttle(speed)
    # Heading 0: the velocity points along the slip, the centre of the circle is to its left.
    centre = radius * np.array([-np.sin(slip), np.cos(slip)])
    for _ in range(round(20.0 / dt)):
        vehicle.drive_rows(ego, control(holding_throttle(speed), 0.0, steer), dt)
        away = np.hypot(ego["x"][0] - centre[0], ego["y"][0] - centre[1])
        assert away == pytest.approx(abs(radius), rel=1e-4)
    assert ego["yaw_rate"][0] == pytest.approx(speed / radius, rel=1e-9)
    assert ego["yaw_rate"][0] / speed == pytest.approx(curvature_of_steer(np.float64(steer)))
    assert ego["slip"][0] == pytest.approx(slip)


def test_positive_steer_turns_left() -> None:
    ego = drive(at_speed(10.0), control(0.5, 0.0, 0.3), 1.0)
    assert ego["heading"][0] > 0.0
    assert ego["y"][0] > 0.0


@given(shares, shares, steers, steps)
@settings(deadline=None)
def test_actuators_follow_exponentially(
    throttle: float, brake: float, steer: float, dt: float
) -> None:
    ego = at_speed(10.0)
    vehicle.drive_rows(ego, control(throttle, brake, steer), dt)
    rise = 1.0 - np.exp(-dt / 0.1)
    assert ego["throttle"][0] == pytest.approx(throttle * rise)
    assert ego["brake"][0] == pytest.approx(brake * rise)
    assert ego["steering_angle"][0] == pytest.approx(STEER_GAIN * steer * rise)
    assert ego["steer"][0] == steer


@pytest.mark.parametrize("dt", [0.01, 0.05, 0.2, 0.5])
def test_stopping_distance_is_that_of_constant_deceleration(dt: float) -> None:
    ego = at_speed(1.0)
    ego["brake"] = 1.0
    ego = drive(ego, control(brake=1.0), 1.0, dt)
    deceleration = vehicle.BRAKE_GAIN + vehicle.RESISTANCE
    assert ego["speed"][0] == 0.0
    assert ego["x"][0] == pytest.approx(1.0 / (2.0 * deceleration), rel=1e-3)


def test_full_throttle_reaches_100_km_h_like_a_car() -> None:
    ego = vehicle.standing(1)
    seconds = 0.0
    while ego["speed"][0] < 100.0 / 3.6:
        vehicle.drive_rows(ego, control(1.0), 0.05)
        seconds += 0.05
    assert 5.0 < seconds < 8.0


def test_coarse_steps_agree_with_fine_ones_over_a_drive() -> None:
    commands = [control(0.8, 0.0, 0.1), control(0.0, 0.6, -0.2), control(0.5, 0.0, 0.4)]
    ends = []
    for dt in (0.5, 0.05, 0.01):
        ego = at_speed(8.0)
        for command in commands:
            ego = drive(ego, command, 1.5, dt)
        ends.append([ego[name][0] for name in ("x", "y", "heading", "speed")])
    np.testing.assert_allclose(ends[1], ends[2], atol=1e-3)
    np.testing.assert_allclose(ends[0], ends[2], atol=1e-3)


def test_rows_do_not_see_each_other() -> None:
    n = 100
    rng = np.random.default_rng(1)
    many = vehicle.standing(n)
    many["speed"] = rng.uniform(0, 30, n)
    command = np.zeros(n, CONTROL)
    command["throttle"], command["steer"] = rng.uniform(0, 1, n), rng.uniform(-1, 1, n)
    alone = [many[i : i + 1].copy() for i in range(n)]
    for _ in range(10):
        vehicle.drive_rows(many, command, 0.05)
        for i in range(n):
            vehicle.drive_rows(alone[i], command[i : i + 1], 0.05)
    assert np.concatenate(alone).tobytes() == many.tobytes()


@settings(deadline=None)  # the first case loads the kernels
@given(throttle=shares, steer=steers)
def test_backwards_is_forwards_with_the_axles_exchanged(throttle: float, steer: float) -> None:
    back = drive(vehicle.standing(1), control(-throttle, 0.0, steer), 2.0)[0]
    ahead = drive(vehicle.standing(1), control(throttle), 2.0)[0]
    assert back["speed"] == pytest.approx(ahead["speed"], abs=1e-9)  # pedals know no direction
    if throttle > 0.5:
        assert np.cos(back["slip"]) < 0.0
        assert back["x"] < 0.0
    # Wheels turned left take the tail to the left and the nose to the right, on the same circle.
    assert back["heading"] * steer <= 0.0
    if abs(back["speed"]) > 1.0:
        settled = drive(np.array([back]), control(-throttle, 0.0, steer), 1.0)[0]
        curvature = curvature_of_steer(np.array(steer))
        assert settled["yaw_rate"] == pytest.approx(-settled["speed"] * curvature, abs=1e-3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_throttle_against_the_motion_brakes_until_the_car_stands(sign: float) -> None:
    ego = drive(vehicle.standing(1), control(0.7 * sign), 3.0)
    slower, braked = drive(ego, control(-0.5 * sign), 0.2), drive(ego, control(0.0, 0.5), 0.2)
    assert slower["speed"] == braked["speed"] < ego["speed"]
    turned = drive(ego, control(-0.7 * sign), 6.0)
    assert np.sign(np.cos(turned["slip"][0])) == -sign
    rolling = drive(ego, control(), 0.2)  # no pedal: it rolls on in its direction
    assert np.sign(np.cos(rolling["slip"][0])) == sign
    assert 0.0 < rolling["speed"] < ego["speed"]


def test_a_wet_road_holds_a_car_that_drives_backwards_as_one_that_drives_forwards() -> None:
    ways = []
    for sign in (1.0, -1.0):
        ego = vehicle.standing(1)
        for _ in range(100):
            vehicle.drive_rows(ego, control(0.9 * sign, 0.0, 0.6), 0.05, 3.0)
        ways.append(ego[0])
    assert ways[0]["speed"] == pytest.approx(ways[1]["speed"], abs=1e-9)
    assert abs(ways[1]["yaw_rate"]) * ways[1]["speed"] < 3.0 + 1e-6
