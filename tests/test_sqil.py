"""SQIL: the soft Bellman equation, the grid of actions, its policy, resume."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from drive_il import learners
from drive_il.learners import sqil
from drive_il.networks import DrivingNetwork, DrivingPolicy, driving_network
from tests.ring_drives import SMALL, SPEC, demonstrations, distance, place

CONFIG = sqil.Config(
    n_iterations=6,
    n_rows=8,
    n_steps=30,
    n_updates=25,
    batch_size=64,
    learning_rate=3e-3,
    target_rate=0.05,
    gamma=0.9,
    horizon=60,
    n_validation=2,
    validation_steps=60,
    validate_every=3,
    network=SMALL,
)


def test_the_soft_bellman_equation_of_two_states() -> None:
    gamma, alpha = 0.9, 0.3
    # Action 0 of state 0 stays and is demonstrated (1), action 1 leads to state 1 for ever (0).
    reward = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    goes_to = torch.tensor([0, 1, 1, 1])
    q = torch.zeros(2, 2, dtype=torch.float64)
    for _ in range(600):
        never = torch.zeros(4, dtype=torch.bool)
        q = sqil.targets(q[goes_to], reward, never, gamma, alpha).reshape(2, 2)
    lost = alpha * math.log(2) / (1 - gamma)  # nothing but the entropy of two equal actions

    def gap(v: float) -> float:
        stay, go = 1 + gamma * v, gamma * lost
        return alpha * math.log(math.exp(stay / alpha) + math.exp(go / alpha)) - v

    value = brentq(gap, 0.0, 50.0)
    expected = [[1 + gamma * value, gamma * lost], [gamma * lost, gamma * lost]]
    np.testing.assert_allclose(q.numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(sqil.soft_value(q, alpha).numpy(), [value, lost], rtol=1e-9)


def test_nothing_comes_after_an_end() -> None:
    q = torch.randn(3, 4)
    ends = torch.tensor([True, False, True])
    found = sqil.targets(q, 1.0, ends, 0.9, 0.1)
    assert found[[0, 2]].tolist() == [1.0, 1.0]
    assert found[1] == 1.0 + 0.9 * sqil.soft_value(q, 0.1)[1]


def test_a_cold_soft_value_is_the_best_actions() -> None:
    q = torch.tensor([[0.1, 0.7, 0.3]], dtype=torch.float64)
    assert sqil.soft_value(q, 1e-3).item() == pytest.approx(0.7, abs=1e-9)
    assert sqil.soft_value(q, 100.0).item() == pytest.approx(100 * math.log(3), rel=0.01)


def test_demonstrated_actions_are_rounded_to_the_grid() -> None:
    grid = CONFIG.grid
    assert grid.shape == (len(CONFIG.steers) * len(CONFIG.accelerations), 2)
    assert (sqil.nearest(grid, grid) == torch.arange(len(grid))).all()
    found = grid[sqil.nearest(torch.tensor([[0.04, 0.45], [-0.9, -0.8]]), grid)]
    torch.testing.assert_close(found, torch.tensor([[0.03, 0.5], [-0.6, -1.0]]))
    with pytest.raises(ValueError, match=r"steers must be one or more numbers in \[-1, 1\]"):
        sqil.Config(steers=(2.0,))


def test_actions_are_drawn_as_often_as_they_are_likely() -> None:
    network = DrivingNetwork(SMALL, SPEC, len(CONFIG.grid)).initialise(1)
    policy = sqil.SoftQPolicy(network, CONFIG, SPEC)
    at = place(8)
    at.world.reset(np.arange(8), list(at.specs))
    seen = at.observer.observe(at.world.scene, np.zeros(1, np.int64))
    n = 20_000
    many = {name: np.repeat(value, n, 0) for name, value in seen.items()}
    many["noise"] = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    likely = policy.probabilities(seen)[0]
    _, _, info = sqil.DrawingSoftQ(policy, 500).act(many, {})
    chosen = sqil.nearest(torch.from_numpy(info["action"]), CONFIG.grid).numpy()
    counts = np.bincount(chosen, minlength=len(likely))
    # Six standard deviations of each count: a false alarm is rarer than one in a million.
    assert (np.abs(counts - n * likely) < 6 * np.sqrt(n * likely) + 6).all()
    np.testing.assert_allclose(info["log_prob"], np.log(likely[chosen]), atol=1e-3)


def test_it_drives_a_ring_better_than_an_untrained_policy(tmp_path: Path) -> None:
    untrained = distance(DrivingPolicy(driving_network(SMALL, SPEC, 5), SMALL, SPEC))
    policy = sqil.train(place(8), demonstrations(), CONFIG, 0)
    assert distance(policy) > 1.2 * untrained > 0
    assert (policy.card["learner"], policy.card["labels"]) == ("sqil", 160)
    learners.save(policy, tmp_path)
    loaded = learners.load(tmp_path)
    seen = {name: value[:9] for name, value in demonstrations()[0].observations.items()}
    assert loaded.act(seen, {})[0].tobytes() == policy.act(seen, {})[0].tobytes()


class Killed(Exception):
    pass


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = sqil.train(place(8), demonstrations(), CONFIG, 3)

    def kill(at: Any) -> None:
        if at.done == 4:
            raise Killed

    path = tmp_path / "checkpoint"
    with pytest.raises(Killed):
        sqil.train(place(8), demonstrations(), CONFIG, 3, kill, path)
    again = sqil.train(place(8), demonstrations(), CONFIG, 3, None, path)
    assert again.card == whole.card
    for one, other in zip(
        whole.network.state_dict().values(), again.network.state_dict().values(), strict=True
    ):
        assert one.numpy().tobytes() == other.numpy().tobytes()
