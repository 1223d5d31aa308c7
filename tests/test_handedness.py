"""The border to CARLA's left-handed frame: round trips and known directions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_il import handedness
from drive_il.geometry import wrap_angle

numbers = st.floats(-1e4, 1e4)


@given(numbers)
def test_y_and_steer_come_back_exactly(value: float) -> None:
    assert handedness.y_to_carla(handedness.y_from_carla(value)) == value
    assert handedness.steer_from_carla(handedness.steer_to_carla(value)) == value


@given(st.floats(-math.pi, math.pi, exclude_max=True))
def test_heading_comes_back(heading: float) -> None:
    back = handedness.heading_from_carla(handedness.heading_to_carla(heading))
    assert abs(wrap_angle(back - heading)) < 1e-12


@given(numbers)
def test_yaw_rate_comes_back(rate: float) -> None:
    back = handedness.yaw_rate_from_carla(handedness.yaw_rate_to_carla(rate))
    assert back == pytest.approx(rate)


@pytest.mark.parametrize(
    ("yaw", "heading"),
    [(0.0, 0.0), (90.0, -math.pi / 2), (270.0, math.pi / 2), (360.0, 0.0), (180.0, -math.pi)],
)
def test_carlas_right_turn_is_our_negative_heading(yaw: float, heading: float) -> None:
    assert handedness.heading_from_carla(yaw) == pytest.approx(heading)


def test_a_car_driving_along_its_heading_does_so_in_both_frames() -> None:
    heading = 0.7
    step = np.array([math.cos(heading), math.sin(heading), 0.1])
    yaw = math.radians(handedness.heading_to_carla(heading))
    expected = [math.cos(yaw), math.sin(yaw), 0.1]
    np.testing.assert_allclose(handedness.vectors_to_carla(step), expected)


def test_vectors_come_back_and_the_input_is_untouched() -> None:
    xyz = np.arange(12.0).reshape(2, 2, 3)
    kept = xyz.copy()
    back = handedness.vectors_from_carla(handedness.vectors_to_carla(xyz))
    np.testing.assert_array_equal(back, kept)
    np.testing.assert_array_equal(xyz, kept)


def test_scalars_stay_scalars_arrays_stay_arrays_and_zero_has_no_sign() -> None:
    assert isinstance(handedness.heading_from_carla(10.0), float)
    assert isinstance(handedness.heading_to_carla(1.0), float)
    assert handedness.heading_to_carla(np.zeros(3)).shape == (3,)
    assert math.copysign(1.0, handedness.y_to_carla(0.0)) == 1.0


def test_steering_left_is_negative_in_carla() -> None:
    assert handedness.steer_to_carla(0.25) == -0.25
    np.testing.assert_array_equal(handedness.steer_from_carla(np.array([0.5])), [-0.5])


def test_turns_about_the_axes_in_the_mirror_change_sign_and_about_the_one_across_do_not() -> None:
    rates = np.array([[0.1, 0.2, 0.3]])  # roll, pitch, yaw rate
    np.testing.assert_array_equal(handedness.turn_rates_to_carla(rates), [[-0.1, 0.2, -0.3]])
    np.testing.assert_array_equal(rates, [[0.1, 0.2, 0.3]])
    # A turn about an axis moves a point by the cross product, in either frame.
    point = np.array([1.0, 2.0, 3.0])
    moved = handedness.vectors_to_carla(np.cross(rates[0], point))
    mirrored = handedness.turn_rates_to_carla(rates)[0]
    np.testing.assert_allclose(np.cross(mirrored, handedness.vectors_to_carla(point)), moved)


def test_what_a_radar_sees_on_the_left_carla_counts_negative() -> None:
    azimuths = np.array([0.2, 0.0, -0.1], np.float32)
    np.testing.assert_array_equal(
        handedness.azimuth_to_carla(azimuths), np.array([-0.2, 0.0, 0.1], np.float32)
    )
