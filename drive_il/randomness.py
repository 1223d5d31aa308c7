"""Noise keyed by (episode seed, step, purpose), never drawn from a shared generator.

A counter-based hash (SplitMix64's finaliser, Steele, Lea, Flood 2014) turns the key into
bits, so that a row's noise depends on nothing but its own episode.
"""

from __future__ import annotations

import zlib

import numpy as np

from drive_il.datatypes import Floats, Ints

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def purpose_key(purpose: str) -> int:
    """Returns a stable 32-bit number for a purpose such as "dagger-coin"."""
    return zlib.crc32(purpose.encode())


def _mix(z: Ints) -> Ints:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed: Ints, step: Ints, purpose: str, n: int = 1) -> Floats:
    """Returns uniform numbers in [0, 1) that depend on the key alone.

    Args:
        seed: episode seeds, (B,) uint64.
        step: step counters, (B,) int.
        purpose: what the numbers are for; different purposes are independent.
        n: numbers per row.

    Returns:
        (B, n) float64.
    """
    with np.errstate(over="ignore"):
        key = _mix(np.asarray(seed).astype(np.uint64) + _GOLDEN * np.uint64(purpose_key(purpose)))
        key = _mix(key + _GOLDEN * (np.asarray(step).astype(np.uint64) + np.uint64(1)))
        lanes = np.arange(1, n + 1, dtype=np.uint64)
        bits = _mix(key[:, None] + _GOLDEN * lanes[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def derive_seed(seed: int, *path: str | int) -> int:
    """Makes a new 63-bit seed for a named part of a run, such as (7, "train", 3)."""
    words = [seed & 0xFFFFFFFF, seed >> 32, *(purpose_key(str(part)) for part in path)]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
