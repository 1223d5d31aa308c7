"""ALVINN's output code: the hill, its decoder, units linear in curvature."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_il.direction_units import curvature_of_unit, decode, hill, unit_of_curvature


def test_the_gaussian_hill_has_its_closed_form() -> None:
    activation = hill(np.array([22.0, 10.5]), "gaussian", 45)
    for d in range(6):
        assert activation[0, 22 + d] == pytest.approx(math.exp(-(d**2) / 10))
        assert activation[0, 22 - d] == activation[0, 22 + d]
    assert activation[1, 10] == activation[1, 11] == pytest.approx(math.exp(-0.025))


def test_the_hill_of_1989_has_the_papers_values() -> None:
    activation = hill(np.array([20.0]), "1989", 45)[0]
    values = [0.10, 0.32, 0.61, 0.89, 1.00, 0.89, 0.61, 0.32, 0.10]
    np.testing.assert_allclose(activation[16:25], values)
    assert not activation[:16].any()
    assert not activation[25:].any()


@pytest.mark.parametrize("kind", ["gaussian", "1989"])
def test_decoding_a_perfect_hill_returns_its_centre(kind: str) -> None:
    centres = np.arange(45.0)
    np.testing.assert_allclose(decode(hill(centres, kind, 45)), centres, atol=1e-9)


@given(st.floats(0.0, 44.0))
def test_decoding_between_units_is_close(centre: float) -> None:
    decoded = decode(hill(np.array([centre]), "gaussian", 45))[0]
    # At the very edge only the outermost unit can be looked at symmetrically.
    assert abs(decoded - centre) < (0.06 if 6 <= centre <= 38 else 0.51)


def test_silence_means_straight_on() -> None:
    assert decode(np.zeros((2, 45))).tolist() == [22.0, 22.0]


@given(st.floats(-0.2, 0.2))
def test_units_are_linear_in_curvature(curvature: float) -> None:
    unit = unit_of_curvature(np.array([curvature]), 0.2, 45)
    assert curvature_of_unit(unit, 0.2, 45)[0] == pytest.approx(curvature, abs=1e-12)
    assert unit_of_curvature(np.array([0.2, 0.0, -0.2]), 0.2, 45).tolist() == [
        0,
        22,
        44,
    ]
