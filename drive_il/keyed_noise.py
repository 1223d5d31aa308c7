"""Noise keyed by (episode seed, step, purpose) inside kernels; the same bits as `randomness`.

A kernel makes one key per row and step, then asks for its numbers by index, in any order:

    key = noise_key(seed[row], step[row], PURPOSE)      # PURPOSE = purpose_key("lidar")
    coin = uniform_at(key, 0)                           # randomness.uniform(...)[row, 0]
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drive_il import kernels

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ONE, _TWO = np.uint64(1), np.uint64(2)
_BY_30, _BY_27, _BY_31, _BY_11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 2.0**-53
_TURN = 2.0 * math.pi


@kernels.inner
def _mix(z: Any) -> Any:
    z = (z ^ (z >> _BY_30)) * _FIRST
    z = (z ^ (z >> _BY_27)) * _SECOND
    return z ^ (z >> _BY_31)


@kernels.inner
def noise_key(seed: Any, step: Any, purpose: int) -> Any:
    """Returns the key of one row's numbers in one step, uint64.

    Args:
        seed: of the episode, uint64.
        step: of the episode.
        purpose: what the numbers are for: `randomness.purpose_key` of its name.
    """
    key = _mix(np.uint64(seed) + _GOLDEN * np.uint64(purpose))
    return _mix(key + _GOLDEN * (np.uint64(step) + _ONE))


@kernels.inner
def uniform_at(key: Any, n: Any) -> float:
    """Returns number n (from 0) of a key, in [0, 1)."""
    bits = _mix(np.uint64(key) + _GOLDEN * (np.uint64(n) + _ONE))
    return float(bits >> _BY_11) * _UNIT


@kernels.inner
def normal_at(key: Any, n: Any) -> float:
    """Returns a deviate of the standard normal distribution (Box and Muller 1958).

    Normal n is made of uniforms 2n and 2n + 1: take both kinds from different keys.
    """
    first = np.uint64(n) * _TWO
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform_at(key, first)))
    return radius * math.cos(_TURN * uniform_at(key, first + _ONE))
