"""The kernels' noise: the bits of `randomness.uniform`, and normal deviates."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import types as nt
from scipy.stats import kstest

from drive_il import kernels
from drive_il.datatypes import Floats, Ints
from drive_il.keyed_noise import noise_key, normal_at, uniform_at
from drive_il.randomness import purpose_key, uniform

_COIN = purpose_key("dagger-coin")


@kernels.kernel(nt.void(nt.uint64[::1], nt.int64[::1], nt.float64[:, ::1], nt.float64[:, ::1]))
def _draw(seed: Ints, step: Ints, uniforms: Floats, normals: Floats) -> None:
    for row in range(len(seed)):
        key = noise_key(seed[row], step[row], _COIN)
        for n in range(uniforms.shape[1]):
            uniforms[row, n] = uniform_at(key, n)
            normals[row, n] = normal_at(key, n)


def _drawn(seed: Ints, step: Ints, n: int) -> tuple[Floats, Floats]:
    uniforms, normals = np.empty((len(seed), n)), np.empty((len(seed), n))
    _draw(seed, step, uniforms, normals)
    return uniforms, normals


@settings(max_examples=50, deadline=None)  # the first example compiles
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5), st.integers(0, 2**40))
def test_uniforms_are_the_bits_of_randomness(seeds: list[int], step: int) -> None:
    seed = np.array(seeds, np.uint64)
    steps = step + np.arange(len(seeds))
    assert (_drawn(seed, steps, 3)[0] == uniform(seed, steps, "dagger-coin", 3)).all()


def test_a_known_number() -> None:
    uniforms, _ = _drawn(np.array([7], np.uint64), np.array([3]), 2)
    assert uniforms.tolist() == [[0.29322808172063175, 0.898904250270545]]


def test_normals_are_normal_and_neighbours_independent() -> None:
    n = 50_000
    _, normals = _drawn(np.arange(n, dtype=np.uint64), np.arange(n) % 100, 2)
    # Kolmogorov and Smirnov: a fair sample fails with probability 1e-6.
    assert kstest(normals.reshape(-1), "norm").pvalue > 1e-6
    # A correlation's deviation is 1 / sqrt(n): five of them, below 1e-6 each.
    assert abs(np.corrcoef(normals[1:, 0], normals[:-1, 0])[0, 1]) < 5.0 / np.sqrt(n)
    assert abs(np.corrcoef(normals.T)[0, 1]) < 5.0 / np.sqrt(n)
