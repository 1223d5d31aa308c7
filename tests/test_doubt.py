"""Thresholds, noise and distances of gated learners: closed forms."""

import math

import numpy as np
import pytest
import torch

from drive_il.datatypes import CONTROL, Outcome, Who
from drive_il.disturbances import GaussianNoise
from drive_il.learners import confidence_based, dart, hg_dagger, thrifty_dagger
from tests.drives import make_scene
from tests.toy_drives import demonstration


def test_the_threshold_is_the_mean_of_the_last_quarter_of_takeovers() -> None:
    assert hg_dagger.threshold(np.arange(1.0, 9.0)) == 7.5
    assert hg_dagger.threshold(np.array([3.0])) == 3.0
    assert hg_dagger.threshold(np.zeros(0)) is None


def test_dart_scales_the_covariance_of_errors_to_its_prior() -> None:
    errors = np.array([[0.1, 0.2], [-0.1, 0.4], [0.3, 0.0]])
    sigma = dart.covariance(errors)
    np.testing.assert_allclose(sigma, [[0.11 / 3, -0.02 / 3], [-0.02 / 3, 0.2 / 3]])
    scaled = dart.scaled(sigma, alpha=6.0, horizon=50)
    assert math.isclose(50 * np.trace(scaled), 6.0)
    np.testing.assert_allclose(scaled / scaled[0, 0], sigma / sigma[0, 0])
    assert (dart.scaled(np.zeros((2, 2)), 6.0, 50) == 0).all()


def test_noise_has_its_covariance_and_leaves_the_policy_alone() -> None:
    n = 40_000
    covariance = np.array([[0.01, 0.006], [0.006, 0.02]])
    control = np.zeros(n, CONTROL)
    control["throttle"] = 0.5
    scene = make_scene(n, seed=np.arange(n) // 200, step=np.arange(n) % 200)
    noisy = GaussianNoise(covariance)(scene, control, np.full(n, Who.EXPERT, np.uint8))
    noise = np.stack((noisy["steer"], noisy["throttle"] - noisy["brake"] - 0.5), 1)
    # Clipping at full throttle is 3.5 standard deviations away.
    measured = noise.T @ noise / n
    # A covariance has a standard deviation of at most sqrt(2) 0.02 / sqrt(n): six of them.
    assert np.abs(measured - covariance).max() < 6 * math.sqrt(2) * 0.02 / math.sqrt(n)
    assert np.abs(noise.mean(0)).max() < 6 * math.sqrt(0.02 / n)
    alone = GaussianNoise(covariance)(scene, control, np.full(n, Who.POLICY, np.uint8))
    assert alone.tobytes() == control.tobytes()
    with pytest.raises(ValueError, match="positive semidefinite"):
        GaussianNoise(np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_thrifty_thresholds_call_at_the_given_rate() -> None:
    novelty = np.random.default_rng(0).permutation(1000) / 1000
    found = thrifty_dagger.thresholds(novelty, novelty[::-1], np.array([1.0, 3.0]), rate=0.01)
    assert (novelty > found.delta_h).sum() == 10
    assert (novelty > found.beta_h).sum() == 10
    assert found.delta_r == 2.0
    assert found.beta_r == 0.4995


def test_returns_are_discounted_while_the_policy_drives() -> None:
    made = demonstration({}, np.zeros(6))
    who = np.array([0, 0, 1, 1, 0, 0], np.uint8)
    episode = type(made)(**{**vars(made), "who": who, "outcome": Outcome.COMPLETED})
    steps, target = thrifty_dagger.returns(episode, 0.5, lambda t: {2: 0.8}[t])
    assert steps.tolist() == [0, 1, 4, 5]
    assert target.tolist() == [0.2, 0.4, 0.5, 1.0]
    failed = type(made)(**{**vars(episode), "outcome": Outcome.COLLIDED})
    assert thrifty_dagger.returns(failed, 0.5, lambda t: 0.8)[1].tolist() == [0.2, 0.4, 0.0, 0.0]


def test_decisions_are_nine() -> None:
    control = np.zeros(3, CONTROL)
    control["steer"], control["throttle"], control["brake"] = [-0.5, 0, 0.5], [0, 0, 1], [1, 0, 0]
    assert confidence_based.decision(control).tolist() == [0, 4, 8]


def test_confidence_thresholds_are_the_mean_confidence_of_mistakes() -> None:
    confidence = np.array([0.9, 0.6, 0.8, 0.7, 0.5])
    called, truth = np.array([1, 1, 1, 2, 2]), np.array([1, 0, 2, 2, 2])
    found = confidence_based.confidence_thresholds(confidence, called, truth)
    assert math.isclose(found[1], 0.7)
    assert found[2] == 0.0  # no mistake
    assert found.shape == (9,)


def test_what_is_near_is_measured_between_drives() -> None:
    points = torch.tensor([[0.0], [0.1], [3.0], [3.1]])
    assert confidence_based.mean_distance(points, torch.tensor([0, 0, 1, 1])) == pytest.approx(2.95)
    assert confidence_based.mean_distance(points, torch.zeros(4)) == pytest.approx(0.1)


def test_the_nearest_neighbour_is_found() -> None:
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    shown = torch.tensor([[0.0, 1.0], [3.0, 0.0], [10.0, 10.0]])
    assert confidence_based.nearest_distances(points, shown).tolist() == [1.0, 4.0]
