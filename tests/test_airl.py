"""AIRL: its discriminator, the shaping that changes nothing, the reward that is carried over."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drive_il.discriminators import n_features
from drive_il.learners import airl
from drive_il.networks import DrivingPolicy, driving_network
from tests.ring_drives import SMALL, SPEC, demonstrations, distance, place
from tests.test_gail import GAME, transitions


def reward(seed: int = 0, n: int = 3, gamma: float = 0.9) -> airl.Reward:
    return airl.Reward(n, (8,), gamma, seed)


def test_the_discriminator_is_exp_f_over_exp_f_plus_pi() -> None:
    steps, judge = transitions(20), reward()
    f, pi = judge.shaped(steps).exp(), steps.log_prob.exp()
    torch.testing.assert_close(torch.sigmoid(judge(steps)), f / (f + pi))
    # At the optimum f = log pi, D = 1/2 says nothing.
    level = replace(steps, log_prob=judge.shaped(steps).detach())
    torch.testing.assert_close(torch.sigmoid(judge(level)), torch.full((20,), 0.5))


def test_shaping_changes_a_return_by_its_ends_alone() -> None:
    judge, gamma, n = reward(gamma=0.9), 0.9, 12
    path = torch.randn(n + 1, 3)
    zeros = torch.zeros(n, 2)
    steps = transitions(n)
    steps = replace(steps, state=path[:-1], next_state=path[1:], action=zeros)
    discount = gamma ** torch.arange(n)
    shaped = (discount * judge.shaped(steps)).sum()
    plain = (discount * judge.of_state(steps)).sum()
    h = judge.h(path)[:, 0]
    torch.testing.assert_close(shaped - plain, gamma**n * h[-1] - h[0])


def test_the_recovered_reward_is_of_the_state_alone() -> None:
    one, other, judge = transitions(9), transitions(9, seed=1), reward()
    moved = replace(one, action=other.action, next_state=other.next_state, log_prob=other.log_prob)
    assert (judge.of_state(one) == judge.of_state(moved)).all()
    assert (judge.shaped(one) != judge.shaped(moved)).all()


def test_an_action_that_the_policy_never_takes_is_worth_no_more_than_a_bound() -> None:
    steps = replace(transitions(4), log_prob=torch.tensor([-1e6, -11.0, -10.0, 3.0]))
    judge = reward()
    expected = judge.shaped(steps) - torch.tensor([-10.0, -10.0, -10.0, 3.0])
    torch.testing.assert_close(judge(steps), expected)


def test_it_drives_a_ring_and_its_reward_teaches_again(tmp_path: Path) -> None:
    untrained = distance(DrivingPolicy(driving_network(SMALL, SPEC, 5), SMALL, SPEC))
    config = airl.Config(replace(GAME, warm_steps=60))
    policy, found = airl.learn(place(16), demonstrations(), config, 0)
    assert distance(policy) > 1.5 * untrained > 0
    assert policy.card["learner"] == "airl"
    airl.save_reward(found, tmp_path)
    loaded = airl.load_reward(tmp_path)
    steps = transitions(5, n_features(SPEC))
    assert (loaded(steps) == found(steps)).all()
    before = [value.clone() for value in loaded.parameters()]
    again = airl.retrain(place(16), loaded, config, 1, begin=policy)
    assert again.card["labels"] == 0
    assert np.isfinite([one["kl"] for one in again.card["iterations"]]).all()
    assert all((a == b).all() for a, b in zip(before, loaded.parameters(), strict=True))
    (tmp_path / airl.WEIGHTS).write_bytes(b"no")
    with pytest.raises(ValueError, match="is damaged"):
        airl.load_reward(tmp_path)
    (tmp_path / airl.FACTS).unlink()
    with pytest.raises(ValueError, match=r"reward.json is missing"):
        airl.load_reward(tmp_path)
