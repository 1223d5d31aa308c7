"""Other people's learners run on the environment; skipped where they are not installed."""

from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
import torch

from drive_il.env import ENV_ID, EnvConfig
from drive_il.sensor_specs import CameraSpec, ObservationSpec

ID = f"drive_il.env:{ENV_ID}"
HOW = "not installed: uv sync --group friends"
STATE = ObservationSpec(cameras=(), state=True)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The networks are tiny: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_stable_baselines3_accepts_and_ppo_learns_on_it() -> None:
    pytest.importorskip("stable_baselines3", reason=f"stable-baselines3 is {HOW}")
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env

    pixels = ObservationSpec((CameraSpec(width=48, height=40),), state=True)
    env = gymnasium.make(ID, config=EnvConfig(observation=pixels, horizon=40)).unwrapped
    check_env(env)
    learner = PPO("MultiInputPolicy", env, n_steps=64, batch_size=32, n_epochs=1, seed=0)
    before = [value.detach().clone() for value in learner.policy.parameters()]
    learner.learn(128)
    after = list(learner.policy.parameters())
    assert all(bool(value.isfinite().all()) for value in after)
    assert any(bool((a != b).any()) for a, b in zip(after, before, strict=True))
    assert learner.num_timesteps == 128


def test_a_torchrl_collector_gathers_what_the_env_says() -> None:
    pytest.importorskip("torchrl", reason=f"torchrl is {HOW}")
    from torchrl.collectors import Collector
    from torchrl.envs.libs.gym import GymEnv

    config = EnvConfig(observation=STATE, horizon=20, route_order="in_turn", seed=3)
    collector = Collector(GymEnv(ID, config=config), None, frames_per_batch=50, total_frames=50)
    (batch,) = list(collector)
    ends = batch["next", "done"].flatten().nonzero().flatten().tolist()
    assert ends == [19, 39]  # truncated by the horizon, then started again
    alone = gymnasium.make(ID, config=config)
    seen, _ = alone.reset()
    for t in range(20):  # the same actions again, without TorchRL between
        seen_there = batch["observation"][t]  # what TorchRL calls a key named "state"
        np.testing.assert_array_equal(seen_there.numpy(), seen["state"])
        seen, reward, _, _, _ = alone.step(batch["action"][t].numpy())
        assert batch["next", "reward"][t].item() == pytest.approx(reward, rel=1e-6)
