"""Augmentation: pure-pursuit labels against closed forms, keyed randomness."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional

from drive_il import steering
from drive_il.augment import (
    Draw,
    PhotometricConfig,
    ViewpointConfig,
    corrected_curvature,
    lights_of,
    photometric,
    shifted,
    viewpoint,
)
from drive_il.datatypes import VEHICLE, Actors, Array, Records, default_weather, no_actors

ROWS = np.arange(6)


def curvature_after(radius: float, shift: float, rotation: float, lookahead: float) -> float:
    """Scalar form in radii, as the paper writes it; shift and rotation to the right."""
    d = radius - math.copysign(math.sqrt(radius**2 - lookahead**2), radius)
    seen = math.cos(rotation) * (d + shift + lookahead * math.tan(rotation))
    return 2 * seen / (lookahead**2 + seen**2)


@given(st.floats(-0.14, 0.14))
def test_an_unmoved_car_keeps_its_label(curvature: float) -> None:
    zero = np.zeros(1)
    corrected = corrected_curvature(np.array([curvature]), zero, zero, 5.0)
    assert corrected[0] == pytest.approx(curvature, abs=1e-12)


@given(st.floats(0.05, 2.0), st.floats(3.0, 20.0))
def test_on_a_straight_road_the_radius_has_its_closed_form(shift: float, ahead: float) -> None:
    # Moved to the right (negative) by s the car turns left with r' = (l^2 + s^2) / (2 s).
    corrected = corrected_curvature(np.zeros(1), np.array([-shift]), np.zeros(1), ahead)
    assert 1 / corrected[0] == pytest.approx((ahead**2 + shift**2) / (2 * shift))


@given(
    st.sampled_from([-1.0, 1.0]),
    st.floats(12.0, 500.0),
    st.floats(-1.0, 1.0),
    st.floats(-0.2, 0.2),
)
def test_the_correction_is_the_papers_formula(
    side: float, radius: float, shift: float, rotation: float
) -> None:
    corrected = corrected_curvature(
        np.array([side / radius]), np.array([-shift]), np.array([-rotation]), 7.0
    )
    expected = curvature_after(side * radius, shift, rotation, 7.0)
    assert corrected[0] == pytest.approx(expected, abs=1e-9)


def test_the_corrected_arc_leads_back() -> None:
    to_the_left, turned_left = np.array([0.5]), np.array([0.05])
    zero = np.zeros(1)
    assert corrected_curvature(zero, to_the_left, zero, 5.0)[0] < 0
    assert corrected_curvature(zero, zero, turned_left, 5.0)[0] < 0


def test_tight_turns_stay_finite() -> None:
    curvature = np.linspace(-steering.MAX_CURVATURE, steering.MAX_CURVATURE, 9)
    zero = np.zeros(9)
    corrected = corrected_curvature(curvature, zero, zero, 50.0)
    np.testing.assert_allclose(corrected, curvature, atol=1e-12)


def test_steer_and_curvature_are_inverse() -> None:
    steer = np.linspace(-1, 1, 21)
    curvature = steering.curvature_of_steer(steer)
    np.testing.assert_allclose(steering.steer_of_curvature(curvature), steer, atol=1e-12)
    assert curvature[-1] == steering.MAX_CURVATURE
    beyond = steering.steer_of_curvature(np.array([5.0, -5.0]))
    np.testing.assert_allclose(beyond, [1.0, -1.0], atol=1e-12)


def egos() -> Records:
    ego = np.zeros(6, VEHICLE)
    ego["x"], ego["y"], ego["speed"] = np.arange(6), 2.0, 8.0
    ego["heading"] = np.linspace(-3.0, 3.0, 6)
    return ego


def test_a_shift_is_to_the_left_of_the_heading() -> None:
    ego = np.zeros(2, VEHICLE)
    ego["heading"] = [0.0, math.pi / 2]
    moved = shifted(ego, np.array([1.0, 1.0]), np.array([0.1, 2.0]))
    np.testing.assert_allclose(moved["x"], [0.0, -1.0], atol=1e-15)
    np.testing.assert_allclose(moved["y"], [1.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(moved["heading"], [0.1, math.pi / 2 + 2.0 - 2 * math.pi])


def fake_camera(ego: Records, weather: Records, actors: Actors) -> Array:
    """Paints the lateral position: enough to see which pose was rendered."""
    return np.broadcast_to(
        (100 + 50 * (ego["y"] - 2.0))[:, None, None, None], (len(ego), 4, 6, 3)
    ).astype(np.uint8)


def moved(seed: int, epoch: int, rows: Array, config: ViewpointConfig) -> tuple[Array, Array]:
    return viewpoint(
        np.zeros((len(rows), 4, 6, 3), np.uint8),
        egos()[rows],
        default_weather(len(rows)),
        no_actors(len(rows)),
        np.zeros(len(rows)),
        fake_camera,
        config,
        Draw(seed, epoch, rows),
    )


def test_viewpoints_depend_on_seed_epoch_and_frame_alone() -> None:
    config = ViewpointConfig(probability=1.0)
    pictures, steer = moved(1, 0, ROWS, config)
    order = ROWS[::-1]
    backwards, steer_backwards = moved(1, 0, order, config)
    np.testing.assert_array_equal(pictures[order], backwards)
    np.testing.assert_array_equal(steer[order], steer_backwards)
    assert np.all(steer != moved(1, 1, ROWS, config)[1])
    assert np.all(steer != moved(2, 0, ROWS, config)[1])


def test_with_probability_zero_nothing_moves() -> None:
    pictures, steer = moved(1, 0, ROWS, ViewpointConfig(probability=0.0))
    assert not pictures.any()
    assert not steer.any()


def test_photometric_is_torchvisions_per_picture() -> None:
    rows = np.arange(40)
    pictures = np.random.default_rng(0).integers(0, 256, (40, 8, 12, 3), dtype=np.uint8)
    config = PhotometricConfig(lights=3)
    draw = Draw(4, 2, rows)
    changed, light = photometric(pictures, config, draw), lights_of(config, draw)
    assert set(light) == {-1, 0, 1, 2}
    factors = 1.0 + 0.3 * (2.0 * Draw(4, 2, np.arange(3)).uniform("light", 3) - 1.0)
    for row in rows:
        expected = torch.from_numpy(pictures[row]).permute(2, 0, 1)
        if light[row] >= 0:
            brightness, contrast, saturation = factors[light[row]]
            expected = functional.adjust_brightness(expected, brightness)
            expected = functional.adjust_contrast(expected, contrast)
            expected = functional.adjust_saturation(expected, saturation)
        np.testing.assert_array_equal(changed[row], expected.permute(1, 2, 0).numpy())
    order = rows[::-1]
    np.testing.assert_array_equal(
        changed[order], photometric(pictures[order], config, Draw(4, 2, order))
    )
    assert not np.array_equal(changed, photometric(pictures, config, Draw(4, 3, rows)))


def test_a_share_of_the_pictures_keeps_its_light() -> None:
    draw = Draw(1, 0, np.arange(20_000))
    light = lights_of(PhotometricConfig(probability=0.7), draw)
    np.testing.assert_allclose(
        np.bincount(light + 1) / len(light), [0.3, *(8 * [0.7 / 8])], atol=0.01
    )


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match=r"probability must be in \[0, 1\], got 2"):
        PhotometricConfig(probability=2)
    with pytest.raises(ValueError, match="lights must be at least 1, got 0"):
        PhotometricConfig(lights=0)
    with pytest.raises(ValueError, match="lookahead must be positive"):
        ViewpointConfig(lookahead=0)
