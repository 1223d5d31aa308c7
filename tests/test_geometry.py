"""Plane geometry: closed forms and round trips."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_il.geometry import arc_length, project, to_ego, to_world, wrap_angle

angles = st.floats(-1e4, 1e4)
metres = st.floats(-1e3, 1e3)


@given(angles)
def test_wrapped_angle_is_in_range_and_the_same_direction(angle: float) -> None:
    wrapped = wrap_angle(angle)
    assert -math.pi <= wrapped < math.pi
    assert math.cos(wrapped) == pytest.approx(math.cos(angle), abs=1e-9)
    assert math.sin(wrapped) == pytest.approx(math.sin(angle), abs=1e-9)


@pytest.mark.parametrize(
    ("angle", "expected"),
    [(math.pi, -math.pi), (-math.pi, -math.pi), (3 * math.pi, -math.pi), (0.0, 0.0)],
)
def test_half_turns_wrap_to_minus_pi(angle: float, expected: float) -> None:
    assert wrap_angle(angle) == expected


def test_tiny_negative_overshoot_stays_in_the_half_open_range() -> None:
    assert wrap_angle(np.nextafter(-math.pi, -4.0)) < math.pi


def test_wrapping_keeps_shape_and_scalars() -> None:
    assert wrap_angle(np.zeros((2, 3))).shape == (2, 3)
    assert isinstance(wrap_angle(7.0), float)


@given(metres, metres, metres, metres, st.floats(-math.pi, math.pi))
def test_world_to_ego_and_back(x: float, y: float, ex: float, ey: float, heading: float) -> None:
    xy, ego = np.array([x, y]), np.array([ex, ey])
    back = to_world(to_ego(xy, ego, heading), ego, heading)
    np.testing.assert_allclose(back, xy, atol=1e-9)


def test_ego_frame_is_forward_left() -> None:
    ego = np.array([10.0, 5.0])
    north = to_ego(np.array([[10.0, 8.0], [9.0, 5.0]]), ego, math.pi / 2)
    np.testing.assert_allclose(north, [[3.0, 0.0], [0.0, 1.0]], atol=1e-12)


def test_frames_broadcast_over_rows() -> None:
    ego, heading = np.zeros((4, 2)), np.linspace(0, 1, 4)
    assert to_ego(np.ones((4, 2)), ego, heading).shape == (4, 2)


def test_arc_length_of_a_right_angle() -> None:
    np.testing.assert_allclose(arc_length(np.array([[0, 0], [3, 0], [3, 4]])), [0, 3, 7])


@given(st.floats(0.0, 100.0), st.floats(-20.0, 20.0))
def test_projection_on_a_straight_line_is_its_coordinates(s: float, offset: float) -> None:
    line = np.stack((np.linspace(0, 100, 11), np.zeros(11)), axis=1)
    along, side, segment = project(np.array([[s, offset]]), line)
    assert along[0] == pytest.approx(s, abs=1e-9)
    assert side[0] == pytest.approx(offset, abs=1e-9)
    assert 0 <= segment[0] < 10


@given(st.lists(st.tuples(metres, metres), min_size=2, max_size=12), metres, metres)
def test_projection_is_the_nearest_place(
    vertices: list[tuple[float, float]], x: float, y: float
) -> None:
    polyline = np.array(vertices)
    _, offset, _ = project(np.array([[x, y]]), polyline)
    t = np.linspace(0, 1, 50)[:, None, None]
    samples = polyline[:-1] + t * np.diff(polyline, axis=0)
    nearest = np.hypot(samples[..., 0] - x, samples[..., 1] - y).min()
    assert abs(offset[0]) <= nearest + 1e-6


def test_projection_needs_two_vertices() -> None:
    with pytest.raises(ValueError, match=r"shape \(K >= 2, 2\), got \(1, 2\)"):
        project(np.zeros((1, 2)), np.zeros((1, 2)))
