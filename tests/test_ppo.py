"""Proximal policy optimisation: advantages, the clipped objective, segments, keyed noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drive_il.datatypes import Floats, Outcome
from drive_il.network_inputs import observed
from drive_il.ppo import (
    ActorCritic,
    DrawingPolicy,
    Improver,
    Noisy,
    PpoConfig,
    Segment,
    advantages,
    clipped_objective,
    log_density,
    segment_of,
)
from drive_il.rollout import drive
from tests.ring_drives import SMALL, SPEC, place

PPO = PpoConfig(n_rows=8, n_steps=30, batch_size=64, n_epochs=2)


def model(seed: int = 0, config: PpoConfig = PPO) -> ActorCritic:
    return ActorCritic(SMALL, SPEC, config, seed)


def segment(actor_critic: ActorCritic, n_rows: int = 8, n_steps: int = 30) -> Segment:
    at = place(n_rows)
    episodes = drive(
        at.world,
        Noisy(at.observer),
        DrawingPolicy(actor_critic, SPEC, 8),
        at.specs,
        n_steps=n_steps,
        keep_actors=False,
    )
    return segment_of(episodes, SPEC)


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
    st.floats(0.0, 0.99),
    st.floats(0.0, 0.99),
    st.integers(0, 99),
)
def test_advantages_are_the_discounted_sum_of_what_values_did_not_foresee(
    lengths: list[int], gamma: float, lam: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    reward, value, following = rng.normal(size=(3, n))
    found = advantages(reward, value, following, np.array(lengths), gamma, lam)
    delta = (1 - gamma) * reward + gamma * following - value
    first = 0
    for length in lengths:
        for t in range(length):
            parts = [(gamma * lam) ** k * delta[first + t + k] for k in range(length - t)]
            assert found[first + t] == pytest.approx(sum(parts), abs=1e-9)
        first += length


def test_with_lambda_near_one_and_no_critic_they_are_returns() -> None:
    reward = np.array([1.0, 2.0, 3.0])
    zero: Floats = np.zeros(3)
    found = advantages(reward, zero, zero, np.array([3]), 0.5, 0.999999999)
    # (1 - gamma) times 1 + 2/2 + 3/4, 2 + 3/2, 3
    np.testing.assert_allclose(found, [0.5 * 2.75, 0.5 * 3.5, 0.5 * 3.0], rtol=1e-6)


def test_the_clipped_objective_at_known_ratios() -> None:
    ratio = torch.tensor([0.5, 1.0, 1.1, 2.0, 0.5, 2.0])
    gain = torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
    found = clipped_objective(ratio, gain, 0.2)
    # A gain counts up to 1.2, a loss at least as at 0.8; the worse side is never clipped.
    torch.testing.assert_close(found, torch.tensor([0.5, 1.0, 1.1, 1.2, -0.8, -2.0]))
    leaf = ratio.clone().requires_grad_(True)
    clipped_objective(leaf, gain, 0.2).sum().backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    assert (leaf.grad != 0).tolist() == [True, True, True, False, False, True]


def test_the_density_is_the_normal_distributions() -> None:
    mean, std, action = torch.randn(5, 2), torch.tensor([0.1, 0.7]), torch.randn(5, 2)
    expected = torch.distributions.Normal(mean, std).log_prob(action).sum(1)
    torch.testing.assert_close(log_density(mean, std, action), expected)


def test_a_segment_has_its_length_and_goes_on_in_rows_that_ended() -> None:
    found = segment(model(), n_rows=4, n_steps=70)
    # Eight specs of 100 steps in four rows: all four are cut at 70, nobody begins anew.
    assert found.lengths.tolist() == [70] * 4
    assert not found.terminal.any()
    at = place(4)
    short = [replace(spec, max_steps=40) for spec in at.specs]
    policy = DrawingPolicy(model(), SPEC, 8)
    episodes = drive(at.world, Noisy(at.observer), policy, short, n_steps=70)
    assert [one.n_steps for one in episodes] == [40] * 4 + [30] * 4
    assert {one.outcome for one in episodes} == {Outcome.TRUNCATED}


def test_what_was_drawn_does_not_depend_on_the_rows_and_its_density_is_the_networks() -> None:
    one, other = segment(model(), n_rows=8), segment(model(), n_rows=3, n_steps=90)
    for k in range(3):
        a, b = slice(30 * k, 30 * k + 30), slice(90 * k, 90 * k + 30)
        assert one.action[a].numpy().tobytes() == other.action[b].numpy().tobytes()
    torch.testing.assert_close(model().log_prob(one.inputs, one.action), one.log_prob)


def test_noise_is_keyed_by_seed_and_step() -> None:
    at = place(4)
    at.world.reset(
        np.arange(4), [replace(spec, seed=k // 2) for k, spec in enumerate(at.specs[:4])]
    )
    seen = Noisy(at.observer).observe(at.world.scene, np.arange(4))
    noise = seen["noise"]
    assert (noise[0] == noise[1]).all()
    assert (noise[2] == noise[3]).all()
    assert (noise[0] != noise[2]).all()
    assert "noise" not in observed(seen, SPEC)


def test_what_is_rewarded_is_done_more_often() -> None:
    config = replace(PPO, learning_rate=3e-3, gamma=0.5)
    learner = Improver(model(1, config), config, 0)
    before = learner.model.actor(segment(learner.model).inputs)[:, 0].mean().item()
    for i in range(6):
        driven = segment(learner.model)
        learner.improve(i, driven, driven.action[:, 0].numpy().astype(np.float64), 0.0, 0.0)
    after = learner.model.actor(driven.inputs)[:, 0].mean().item()
    assert after > before + 0.02


def test_only_the_critic_learns_where_that_is_asked() -> None:
    learner = Improver(model(1), PPO, 0)
    before = [value.clone() for value in learner.model.actor.state_dict().values()]
    driven = segment(learner.model)
    told = learner.improve(1, driven, np.ones(driven.n_steps), 0.0, 0.0, critic_only=True)
    after = learner.model.actor.state_dict().values()
    assert all((one == other).all() for one, other in zip(before, after, strict=True))
    assert told["kl"] == 0.0


def test_after_a_failure_nothing_comes_or_the_absorbing_state_for_ever() -> None:
    learner = Improver(model(1), replace(PPO, gae_lambda=0.0, gamma=0.9), 0)
    driven = segment(learner.model)
    ended = replace(driven, terminal=np.ones(len(driven.lengths), bool))
    reward = np.full(driven.n_steps, 2.0)
    with torch.inference_mode():
        value = learner.model.values(driven.inputs).numpy()
    for after in (0.0, 2.0):
        gain, target = learner.valued(ended, reward, after)
        # One step is worth (1 - gamma) 2, what comes is worth gamma times its mean reward.
        np.testing.assert_allclose(target[driven.last], 0.1 * 2.0 + 0.9 * after, rtol=1e-6)
        np.testing.assert_allclose(gain + value, target, atol=1e-6)


def test_a_config_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="gamma must be in"):
        PpoConfig(gamma=1.0)
    with pytest.raises(ValueError, match="noise_std must be at least"):
        PpoConfig(noise_std=(0.0, 0.3))
    at = place(4)
    with pytest.raises(ValueError, match="at least one step, got n_steps=0"):
        drive(at.world, at.observer, DrawingPolicy(model(), SPEC, 8), [], n_steps=0)
