"""An episode is the same bits whatever it is driven with, where, in which order and after what."""

import pytest

from benchmarks.determinism import ALONE, WAYS, Config, digests

CONFIG = Config(episodes=1000, seconds=4.0)
_PARTS = 10  # of 100 episodes each, from all towns


@pytest.mark.slow
@pytest.mark.parametrize("part", range(_PARTS))
def test_1000_episodes_among_full_traffic_are_the_same_in_every_way(part: int) -> None:
    chosen = range(part * 100, part * 100 + 100)
    alone = digests(CONFIG, chosen, ALONE)
    assert len(set(alone)) == len(alone)
    for way in WAYS:
        found = digests(CONFIG, chosen, way)
        differ = [k for k, a, b in zip(chosen, alone, found, strict=True) if a != b]
        assert not differ, f"{way.name}: episodes {differ}"


def test_a_difference_of_one_bit_is_noticed() -> None:
    same, other = Config(4, 0.2), Config(4, 0.2, seed=1)
    alone = digests(same, range(4), ALONE)
    assert digests(same, (2,), ALONE) == alone[2:3]
    assert not set(alone) & set(digests(other, range(4), ALONE))
