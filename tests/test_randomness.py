"""Keyed noise: uniform, independent between keys, and a function of the key alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_il.randomness import derive_seed, purpose_key, uniform

seeds = st.integers(0, 2**64 - 1)
_N = 20_000


def test_known_numbers_never_change() -> None:
    values = uniform(np.array([0, 7], np.uint64), np.array([0, 3]), "dagger-coin", 2)
    expected = [
        [0.2269652219765974, 0.7728973250643819],
        [0.29322808172063175, 0.898904250270545],
    ]
    assert values.tolist() == expected
    assert derive_seed(7, "train", 3) == 6474909948937843329


@given(seeds, st.integers(0, 2**31), st.integers(2, 20))
def test_a_row_depends_on_its_own_key_alone(seed: int, step: int, n_rows: int) -> None:
    alone = uniform(np.array([seed], np.uint64), np.array([step]), "coin", 3)[0]
    many_seeds = np.arange(n_rows, dtype=np.uint64) * np.uint64(977)
    many_seeds[-1] = seed
    many_steps = np.arange(n_rows) * 13
    many_steps[-1] = step
    many = uniform(many_seeds, many_steps, "coin", 3)
    assert (many[-1] == alone).all()
    # The first numbers do not depend on how many are asked for.
    assert (uniform(many_seeds, many_steps, "coin", 1)[-1] == alone[:1]).all()


@pytest.mark.parametrize("vary", ["seed", "step", "number"])
def test_uniform_over_neighbouring_keys(vary: str) -> None:
    seed, step, n = np.zeros(_N, np.uint64), np.zeros(_N, np.int64), 1
    if vary == "seed":
        seed = np.arange(_N, dtype=np.uint64)
    elif vary == "step":
        step = np.arange(_N)
    else:
        seed, step, n = seed[:1], step[:1], _N
    values = uniform(seed, step, "coin", n).reshape(-1)
    assert values.min() >= 0.0
    assert values.max() < 1.0
    # 50 bins: chi-square with 49 degrees of freedom exceeds 112 with probability < 1e-6.
    counts = np.bincount((values * 50).astype(int), minlength=50)
    assert ((counts - _N / 50) ** 2 / (_N / 50)).sum() < 112.0
    # The correlation of neighbours has deviation 1/sqrt(N): 5 deviations, < 1e-6.
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 5.0 / np.sqrt(_N)


def test_purposes_and_numbers_of_one_key_are_independent() -> None:
    seed, step = np.arange(_N, dtype=np.uint64), np.arange(_N) % 100
    first = uniform(seed, step, "dagger-coin", 2)
    second = uniform(seed, step, "sensor-noise", 2)
    table = np.concatenate([first, second], axis=1)
    correlation = np.corrcoef(table, rowvar=False) - np.eye(4)
    assert np.abs(correlation).max() < 5.0 / np.sqrt(_N)


def test_neighbouring_steps_and_seeds_do_not_repeat_each_other() -> None:
    seed, step = np.meshgrid(np.arange(300, dtype=np.uint64), np.arange(300))
    values = uniform(seed.reshape(-1), step.reshape(-1), "coin")
    assert len(np.unique(values)) == 300 * 300


@given(seeds.filter(lambda s: s < 2**63))
def test_derived_seeds_differ_by_path_and_fit_an_episode(seed: int) -> None:
    derived = {
        derive_seed(seed, "train"),
        derive_seed(seed, "test"),
        derive_seed(seed, "train", 0),
        derive_seed(seed, "train", 1),
        derive_seed(seed, 0, "train"),
    }
    assert len(derived) == 5
    assert all(0 <= value < 2**63 for value in derived)
    assert derive_seed(seed, "train") in derived


def test_purpose_keys_are_the_crc_and_stay_so() -> None:
    assert purpose_key("123456789") == 0xCBF43926  # the standard's check value
