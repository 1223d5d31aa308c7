"""GAIL: signs of the rewards, absorbing states, gradient penalty, and the survival trap."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from drive_il import learners
from drive_il.adversarial import Adversarial, AdversarialConfig
from drive_il.datatypes import CONTROL, Episode, Outcome, Records, Scene
from drive_il.discriminators import (
    Transitions,
    absorbed,
    absorbing_state,
    demonstrated,
    discriminator_loss,
    features,
    gradient_penalty,
    n_features,
)
from drive_il.gates import ExpertDrives
from drive_il.learners import gail
from drive_il.networks import DrivingPolicy, driving_network
from drive_il.ppo import PpoConfig
from drive_il.rollout import drive
from drive_il.rounds import lost
from drive_il.sensor_specs import ObservationSpec, VectorSpec
from drive_il.thinning import thinned
from tests.ring_drives import SMALL, SPEC, demonstrations, distance, place

PPO = PpoConfig(
    n_rows=16,
    n_steps=60,
    batch_size=320,
    n_epochs=3,
    learning_rate=2e-3,
    gamma=0.95,
    noise_std=(0.05, 0.2),
)
GAME = AdversarialConfig(
    n_iterations=8,
    horizon=100,
    warm_steps=0,
    critic_iterations=1,
    hidden=(32,),
    batch_size=64,
    n_validation=2,
    validation_steps=60,
    validate_every=4,
    ppo=PPO,
    network=SMALL,
)


def transitions(n: int, n_state: int = 3, seed: int = 0) -> Transitions:
    generator = torch.Generator().manual_seed(seed)
    return Transitions(
        torch.randn(n, n_state, generator=generator),
        torch.randn(n, 2, generator=generator),
        torch.randn(n, n_state, generator=generator),
        torch.randn(n, generator=generator),
    )


def test_the_three_rewards_are_what_they_say_of_d() -> None:
    logit = torch.linspace(-8.0, 8.0, 33, dtype=torch.float64)
    d = torch.sigmoid(logit)
    torch.testing.assert_close(gail.reward(logit, "log_d"), d.log())
    torch.testing.assert_close(gail.reward(logit, "minus_log_not_d"), -(1 - d).log())
    torch.testing.assert_close(gail.reward(logit, "logit"), d.log() - (1 - d).log())
    assert (gail.reward(logit, "log_d") <= 0).all()  # whoever ends early is better off
    assert (gail.reward(logit, "minus_log_not_d") >= 0).all()  # whoever survives is
    unsure = torch.zeros(1)
    assert gail.reward(unsure, "logit").item() == 0.0  # and here neither
    for form in gail.REWARDS:  # all of them reward what looks more like the expert
        assert (gail.reward(logit, form).diff() > 0).all()
    with pytest.raises(ValueError, match="reward must be one of log_d, .* got 'log'"):
        gail.Config(reward="log")


def test_the_gradient_penalty_of_a_linear_judge() -> None:
    weight = torch.tensor([0.3, -0.4, 1.2, 2.0, -1.0])

    def judge(steps: Transitions) -> Tensor:
        return torch.cat((steps.state, steps.action), 1) @ weight

    expert, policy = transitions(7), transitions(7, seed=1)
    penalty = gradient_penalty(judge, expert.mixed(policy, torch.rand(7)))
    expected = (weight.square().sum().sqrt() - 1.0) ** 2
    torch.testing.assert_close(penalty, expected)
    loss = discriminator_loss(judge, expert, policy, 10.0, torch.rand(7))
    d_expert, d_policy = torch.sigmoid(judge(expert)), torch.sigmoid(judge(policy))
    cross_entropy = -d_expert.log().mean() - (1 - d_policy).log().mean()
    torch.testing.assert_close(loss, cross_entropy + 10.0 * expected)


def test_the_gradient_is_looked_at_between_expert_and_policy() -> None:
    expert, policy = transitions(4), transitions(4, seed=1)
    share = torch.tensor([0.0, 1.0, 0.5, 0.25])
    mixed = expert.mixed(policy, share)
    for name in ("state", "action", "next_state"):
        ours, theirs = getattr(expert, name), getattr(policy, name)
        expected = share[:, None] * ours + (1 - share[:, None]) * theirs
        torch.testing.assert_close(getattr(mixed, name), expected)


def test_an_episode_that_fails_goes_on_in_the_absorbing_state() -> None:
    steps = transitions(5)
    over = absorbing_state(3)
    assert over.tolist() == [0.0, 0.0, 1.0]
    whole = absorbed(steps, np.array([False, False, True, False, False]), 4)
    assert len(whole) == 9
    assert (whole.next_state[2] == over).all()  # (s_T, a_T, s_a)
    assert (whole.next_state[[0, 1, 3, 4]] == steps.next_state[[0, 1, 3, 4]]).all()
    assert (whole.state[5:] == over).all()  # and (s_a, 0, s_a) from there on
    assert (whole.next_state[5:] == over).all()
    assert (whole.action[5:] == 0).all()
    assert (whole.log_prob[5:] == 0).all()


def test_demonstrations_are_absorbed_up_to_the_horizon() -> None:
    stopped = stops()
    assert {one.outcome for one in stopped} == {Outcome.BLOCKED}
    found = demonstrated(stopped, SPEC, 100)
    assert found.n_after == sum(100 - one.n_steps for one in stopped)
    assert found.ends.sum() == len(stopped)
    assert found.labels == len(found.steps) == sum(one.n_steps for one in stopped)
    few = demonstrated(thinned(stopped, 10), SPEC, 100)
    assert few.labels == pytest.approx(found.labels / 10, abs=len(stopped))
    assert few.n_after == pytest.approx(found.n_after / 10, abs=2 * len(stopped))
    cut = demonstrated(demonstrations(), SPEC, 100)  # cut at 40 steps, not failed
    assert (cut.n_after, int(cut.ends.sum()), cut.labels) == (0, 0, 160)


def test_a_discriminator_sees_the_state_and_never_the_time() -> None:
    at = place(8)
    seen = []
    for seed, max_steps in ((0, 100), (7, 30)):
        specs = [replace(at.specs[k], seed=seed + k, max_steps=max_steps) for k in range(8)]
        at.world.reset(np.arange(8), specs)
        at.world.scene.step[:] = 13 * seed
        observation = at.observer.observe(at.world.scene, np.arange(8))
        inputs = {name: torch.from_numpy(value) for name, value in observation.items()}
        seen.append(features(inputs, SPEC))
    assert (seen[0] == seen[1]).all()
    assert seen[0].shape == (8, n_features(SPEC))
    assert (seen[0][:, -1] == 0).all()  # nobody is absorbed who drives
    with pytest.raises(ValueError, match="compares vectors"):
        features({}, ObservationSpec(state=True))


def test_lanes_and_actors_are_seen_too() -> None:
    at, spec = place(8), ObservationSpec(cameras=(), vectors=VectorSpec(4, 3, 2))
    from drive_il.sensors.observer import SceneObserver

    at.world.reset(np.arange(8), list(at.specs))
    observation = SceneObserver(at.world.network, spec).observe(at.world.scene, np.arange(8))
    inputs = {name: torch.from_numpy(value) for name, value in observation.items()}
    assert features(inputs, spec).shape == (8, n_features(spec))


@pytest.mark.parametrize("form", gail.REWARDS)
def test_with_absorbing_states_an_unsure_judge_makes_no_end_good_or_bad(form: str) -> None:
    value = gail.reward(torch.zeros(1), form).item()
    gamma, horizon = 0.9, 400
    discounts = (1 - gamma) * gamma ** np.arange(horizon)
    # Without: the return of an episode of t steps is its sign times how long it lasts.
    without = [value * discounts[:t].sum() for t in (5, 50)]
    assert np.sign(without[1] - without[0]) == np.sign(value)
    # With: the absorbing state pays the same for ever, so the end changes nothing.
    with_it = [value * discounts[:t].sum() + gamma**t * value for t in (5, 50)]
    np.testing.assert_allclose(with_it, value, atol=1e-12)


@dataclass(frozen=True)
class AlwaysStop:
    """The expert of the trap."""

    def control(self, scene: Scene) -> Records:
        control = np.zeros(scene.n_rows, CONTROL)
        control["brake"] = 1.0
        return control


def gave_up(scene: Scene) -> Any:
    return lost(scene, 2.5, 0.5)


@lru_cache(maxsize=1)
def stops() -> tuple[Episode, ...]:
    at = place()
    return tuple(
        drive(
            at.world,
            at.observer,
            None,
            at.specs[:4],
            expert=AlwaysStop(),
            gate=ExpertDrives(),
            stop=gave_up,
        )
    )


@pytest.mark.parametrize("absorbing", [False, True])
def test_an_always_stop_expert_is_not_solved_by_surviving(absorbing: bool) -> None:
    config = replace(GAME, absorbing=absorbing, n_updates=150, n_validation=0)
    judge = gail.Discriminator(n_features(SPEC), (32,), 0)
    run = Adversarial(place(16), stops(), config, 0, judge)
    survivor = run.collect(1)  # who neither brakes nor stops
    assert not survivor.segment.terminal.any()
    run.teach(1, survivor)
    with torch.inference_mode():
        alive = gail.reward(judge(survivor.steps), "minus_log_not_d")
        over = absorbing_state(n_features(SPEC))[None]
        end = Transitions(over, torch.zeros(1, 2), over, torch.zeros(1))
        after_end = gail.reward(judge(end), "minus_log_not_d").item() if absorbing else 0.0
    # Without absorbing states whatever lives is paid more than who ends, as every demonstration
    # does; with them nothing is better than to end.
    assert alive.min() > 0.0
    assert (alive.max() < after_end) == absorbing


@pytest.mark.parametrize("absorbing", [False, True])
def test_surviving_wins_without_demonstrations_only_where_nothing_comes_after(
    absorbing: bool,
) -> None:
    ppo = replace(PPO, learning_rate=5e-3, noise_std=(0.02, 0.3), target_kl=0.05)
    config = replace(
        GAME,
        absorbing=absorbing,
        n_iterations=14,
        lost_time=0.2,
        lost_distance=1e3,
        n_validation=0,
        ppo=ppo,
    )
    at = place(16)
    slow = [replace(spec, start=replace(spec.start, speed=2.0)) for spec in at.specs]
    judge = gail.Discriminator(n_features(SPEC), (8,), 0)
    for weight in judge.parameters():
        torch.nn.init.zeros_(weight)  # it has seen nobody: D = 1/2 everywhere
    run = Adversarial(replace(at, specs=slow), None, config, 0, judge)
    for i in run.iterations:
        run.improve(i, run.collect(i), lambda at: gail.reward(judge(at), "minus_log_not_d"))
    failed = [one["failed"] for one in run.account]
    if absorbing:  # every advantage is the critic's error: nothing is learnt
        assert failed[-1] > 0.5 * failed[0]
    else:  # the car has learnt to drive on, from nobody
        assert failed[-1] < 0.5 * failed[0]


def test_it_drives_a_ring_better_than_an_untrained_policy(tmp_path: Path) -> None:
    untrained = distance(DrivingPolicy(driving_network(SMALL, SPEC, 5), SMALL, SPEC))
    config = gail.Config(game=replace(GAME, warm_steps=60))
    policy = gail.train(place(16), demonstrations(), config, 0)
    assert distance(policy) > 1.5 * untrained > 0
    card = policy.card
    assert (card["learner"], card["labels"], card["steps"]) == ("gail", 160, 8 * 16 * 60)
    learners.save(policy, tmp_path)
    loaded = learners.load(tmp_path)
    seen = {name: value[:9] for name, value in demonstrations()[0].observations.items()}
    assert loaded.act(seen, {})[0].tobytes() == policy.act(seen, {})[0].tobytes()


class Killed(Exception):
    pass


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    config = gail.Config(game=replace(GAME, warm_steps=20, n_iterations=6))
    whole = gail.train(place(16), demonstrations(), config, 3)

    def kill(at: Any) -> None:
        if at.done == 6:
            raise Killed

    path = tmp_path / "checkpoint"
    with pytest.raises(Killed):
        gail.train(place(16), demonstrations(), config, 3, kill, path)
    assert path.exists()
    with pytest.raises(ValueError, match="belongs to a run with another config"):
        gail.train(place(16), demonstrations(), config, 4, None, path)
    again = gail.train(place(16), demonstrations(), config, 3, None, path)
    assert not path.exists()
    assert again.card == whole.card
    for one, other in zip(
        whole.network.state_dict().values(), again.network.state_dict().values(), strict=True
    ):
        assert one.numpy().tobytes() == other.numpy().tobytes()


def test_what_does_not_fit_is_refused() -> None:
    judge = gail.Discriminator(n_features(SPEC), (8,), 0)
    with pytest.raises(ValueError, match=r"drives 16 rows \(ppo.n_rows\), the world has 8"):
        Adversarial(place(8), demonstrations(), GAME, 0, judge)
    with pytest.raises(ValueError, match="more specs are needed than the 8 that validate"):
        Adversarial(place(16), demonstrations(), replace(GAME, n_validation=8), 0, judge)
