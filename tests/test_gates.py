"""Who drives and who is asked."""

import math

import numpy as np
import pytest

from drive_il.datatypes import CONTROL, Ints, Records, Scene, Who
from drive_il.gates import AskAlways, ExpertDrives, Mixture
from tests.drives import make_scene


def decide(gate: ExpertDrives | AskAlways | Mixture, at: Scene) -> tuple[Ints, Ints]:
    def query(rows: Ints) -> Records:
        raise AssertionError("these gates decide without a peek")

    memory = gate.initial_memory(at.n_rows)
    memory, who, ask = gate.decide(memory, at, {}, np.zeros(at.n_rows, CONTROL), query)
    assert memory == {}
    assert who.shape == ask.shape == (at.n_rows,)
    assert who.dtype == np.uint8
    assert ask.dtype == np.bool_
    return who, ask


def test_plain_gates() -> None:
    for gate, driver in ((ExpertDrives(), Who.EXPERT), (AskAlways(), Who.POLICY)):
        who, ask = decide(gate, make_scene(5))
        assert (who == driver).all()
        assert ask.all()


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_mixture_lets_the_expert_drive_with_probability_beta(beta: float) -> None:
    n = 40_000
    who, ask = decide(
        Mixture(beta), make_scene(n, seed=np.arange(n) // 200, step=np.arange(n) % 200)
    )
    # Six standard deviations: false alarms below 1e-8.
    margin = 6 * math.sqrt(beta * (1 - beta) / n)
    assert abs((who == Who.EXPERT).mean() - beta) <= margin
    assert ask.all()


def test_the_coin_depends_on_seed_and_step_alone() -> None:
    seed, step = np.arange(64) % 8, np.arange(64) // 8
    whole, _ = decide(Mixture(0.5), make_scene(64, seed, step))
    order = np.random.default_rng(0).permutation(64)
    shuffled, _ = decide(Mixture(0.5), make_scene(64, seed[order], step[order]))
    assert np.array_equal(shuffled, whole[order])
    # A larger beta only adds expert steps: the coins are the same.
    more, _ = decide(Mixture(0.7), make_scene(64, seed, step))
    assert (more >= whole).all()


def test_beta_is_checked() -> None:
    with pytest.raises(ValueError, match="beta is a probability, got 1.5"):
        Mixture(1.5)
