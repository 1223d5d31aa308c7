"""Heads: likelihoods against scipy, bins, decoding, and what each of them learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from drive_il.datatypes import CONTROL
from drive_il.fit import ArrayBatches, FitConfig, fit
from drive_il.heads import (
    HeadConfig,
    bin_centres,
    bin_edges,
    bin_of,
    cell_log_probability,
    decode,
    log_density,
    log_probabilities,
    terms,
)
from drive_il.networks import DrivingPolicy, NetworkConfig, driving_loss, driving_network
from drive_il.sensor_specs import ObservationSpec
from drive_il.vector_layouts import STATE

SPEC = ObservationSpec(cameras=(), state=True)
KINDS = ("l1", "l2", "log_loss", "mixture", "waypoints")


def test_the_mixtures_density_is_scipys() -> None:
    head = HeadConfig("mixture", components=3, least_std=0.05)
    rng = np.random.default_rng(0)
    outputs = torch.tensor(rng.normal(size=(5, head.n_outputs)))
    action = torch.tensor(rng.uniform(-1, 1, (5, 2)))
    found = log_density(head, outputs, action).numpy()
    parts = outputs.float().numpy().reshape(5, 3, 5).astype(np.float64)
    weight = np.exp(parts[..., 0]) / np.exp(parts[..., 0]).sum(1, keepdims=True)
    std = 0.05 + np.log1p(np.exp(parts[..., 3:]))
    each = stats.norm(parts[..., 1:3], std).pdf(action.numpy()[:, None]).prod(2)
    np.testing.assert_allclose(found, np.log((weight * each).sum(1)), rtol=1e-5)
    np.testing.assert_allclose(terms(head, outputs, action, None)[:, 0].numpy(), -found)


def test_the_mode_of_a_mixture_is_never_between_two_ways() -> None:
    head = HeadConfig("mixture", components=2)
    low = float(np.log(np.expm1(0.05)))
    # Two narrow kernels at steer -0.5 and 0.5; the left one has a little more weight.
    left, right = [0.1, 0.5, 0.2, low, low], [0.0, -0.5, 0.2, low, low]
    outputs = torch.tensor([[*left, *right]])
    np.testing.assert_allclose(decode(head, outputs).numpy(), [[0.5, 0.2]])
    # A narrower kernel is higher with less weight.
    right[3:] = [low - 2.0, low - 2.0]
    np.testing.assert_allclose(decode(head, torch.tensor([[*left, *right]])).numpy(), [[-0.5, 0.2]])


def test_bins_are_fine_about_zero_and_hold_their_centres() -> None:
    centres = bin_centres(63)
    assert centres[31] == 0.0
    assert (centres.diff() > 0).all()
    assert centres.diff().min() == centres[32]  # one 31st, squared
    assert bin_of(centres, 63).tolist() == list(range(63))
    assert bin_of(torch.tensor([-1.0, 0.0, 1.0]), 5).tolist() == [0, 2, 4]


def test_probabilities_of_bins_sum_to_one_and_decoding_finds_the_likeliest() -> None:
    head = HeadConfig("log_loss", bins=9)
    outputs = torch.randn(4, head.n_outputs, generator=torch.Generator().manual_seed(0))
    whole = sum(
        log_probabilities(head, outputs, torch.full((4, 2), float(one))).exp()
        for one in bin_centres(9)
    )
    np.testing.assert_allclose(whole.numpy(), 1.0, rtol=1e-5)  # type: ignore[union-attr]
    sharp = torch.zeros(1, 2, 9)
    sharp[0, 0, 6], sharp[0, 1, 0] = 50.0, 50.0
    expected = [[float(bin_centres(9)[6]), -1.0]]
    np.testing.assert_allclose(decode(head, sharp.flatten(1)).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["log_loss", "mixture"])
def test_probabilities_of_all_cells_sum_to_one(kind: str) -> None:
    head = HeadConfig(kind, bins=9)  # type: ignore[arg-type]
    outputs = torch.randn(1, head.n_outputs, generator=torch.Generator().manual_seed(1))
    cells = torch.cartesian_prod(bin_centres(9), bin_centres(9))
    found = cell_log_probability(head, outputs.expand(81, -1), cells)
    assert found.exp().sum().item() == pytest.approx(1.0, rel=1e-5)
    assert (found <= 0).all()


def test_a_mixtures_cell_holds_its_density_times_its_size() -> None:
    """Scipy's normal over a cell; and a cell 40 standard deviations away is not log 0."""
    head = HeadConfig("mixture", bins=63, components=1, least_std=0.01)
    narrow = float(np.log(np.expm1(0.01)))
    outputs = torch.tensor([[0.0, 0.3, -0.2, narrow, narrow]])
    edges = bin_edges(63).double().numpy()
    for steer, acceleration in ((0.31, -0.2), (0.28, -0.23)):
        at = [int(bin_of(torch.tensor(one), 63)) for one in (steer, acceleration)]
        parts = [
            np.diff(stats.norm(mean, 0.02).cdf(edges[i - 1 : i + 1]))[0]
            for i, mean in zip(at, (0.3, -0.2), strict=True)
        ]
        found = cell_log_probability(head, outputs, torch.tensor([[steer, acceleration]]))
        assert found.item() == pytest.approx(np.log(parts).sum(), rel=1e-4)
    far = cell_log_probability(head, outputs, torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
    assert far.isfinite().all()
    assert (far < -500).all()


def test_only_heads_with_probabilities_are_asked_for_them() -> None:
    control = np.zeros(3, CONTROL)
    control["steer"] = (0.0, 0.1, -0.4)
    frames = state_frames(3)
    seen = {name: frames[name] for name in ("state", "speed", "command")}

    def policy(kind: str, members: int = 1) -> DrivingPolicy:
        config = NetworkConfig(
            head=HeadConfig(kind),  # type: ignore[arg-type]
            state_hidden=(8,),
            branch_hidden=4,
            members=members,
        )
        return DrivingPolicy(driving_network(config, SPEC, 3), config, SPEC)

    binned = policy("log_loss")
    assert binned.no_probabilities == ""
    found = binned.log_probability(seen, control)
    assert found.shape == (3,)
    assert (found < 0).all()
    alone = binned.log_probability({name: one[1:2] for name, one in seen.items()}, control[1:2])
    assert alone[0] == found[1]
    assert "l1" in policy("l1").no_probabilities
    with pytest.raises(ValueError, match="the mean of what several networks decide"):
        policy("log_loss", members=2).log_probability(seen, control)


def state_frames(n: int = 256) -> dict[str, np.ndarray]:
    """Steer is half the lateral error, acceleration a tenth of the speed."""
    rng = np.random.default_rng(1)
    state = np.zeros((n, len(STATE)), np.float32)
    state[:, 4] = rng.uniform(-1, 1, n)
    speed = rng.uniform(0, 8, n).astype(np.float32)
    target = np.stack((-0.5 * state[:, 4], 0.1 * speed), 1).astype(np.float32)
    from drive_il.waypoints import held

    control = np.zeros(n, CONTROL)
    control["steer"], control["throttle"] = target[:, 0], target[:, 1]
    return {
        "state": state,
        "speed": speed,
        "command": np.full(n, 4),
        "target": target,
        "places": held(control, speed).astype(np.float32),
    }


@pytest.mark.parametrize(("kind", "members"), [*((kind, 1) for kind in KINDS), ("waypoints", 2)])
def test_every_head_learns_to_drive(kind: str, members: int) -> None:
    config = NetworkConfig(
        head=HeadConfig(kind),  # type: ignore[arg-type]
        state_hidden=(32,),
        branch_hidden=16,
        members=members,
    )
    frames = state_frames()
    network = driving_network(config, SPEC, 3)
    how = FitConfig(n_steps=150, batch_size=64, learning_rate=1e-2, n_threads=1, device="cpu")
    before, after = (
        fit(network, ArrayBatches(frames, 64), driving_loss(5.0), replace(how, n_steps=n), seed=1)
        for n in (4, 150)
    )
    assert after.losses[-1] < before.losses[0]
    policy = DrivingPolicy(network, config, SPEC)
    moving = frames["speed"] > 2.0
    seen = {name: frames[name][moving] for name in ("state", "speed", "command")}
    control, state, _ = policy.act(seen, policy.initial_state(int(moving.sum())))
    error = np.abs(control["steer"] - frames["target"][moving, 0])
    # Straight on is wrong by 0.25.
    assert error.mean() < (0.13 if kind == "waypoints" else 0.06)
    assert set(state) == ({"speed_errors"} if kind == "waypoints" else set())
    if members > 1:
        assert policy.each(seen).shape == (int(moving.sum()), 2, 2)


def test_bad_heads_are_named() -> None:
    with pytest.raises(ValueError, match="head.kind must be one of l1, l2, log_loss"):
        HeadConfig("softmax")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="odd and at least 3, got 10"):
        HeadConfig(bins=10)
