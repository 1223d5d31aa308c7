"""What all rows of a rollout record, in blocks of ticks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from drive_il.actors import LightState
from drive_il.datatypes import Array, Ints, Records

_BLOCK = 32  # ticks recorded in one piece of memory


class Log:
    """Whole batches in, episodes out: an episode is cut out of its row when it ends.

    Args:
        n_rows: B.
    """

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        self._blocks: dict[int, dict[str, Array]] = {}

    def slot(self, tick: int, name: str, like: Array) -> Array:
        """Returns the (B, ...) place of one quantity at one tick, zeros at first."""
        block = self._blocks.setdefault(tick // _BLOCK, {})
        shape = (_BLOCK, self._n_rows, *like.shape[1:])
        if name not in block:
            block[name] = np.zeros(shape, like.dtype)
        elif block[name].shape != shape:  # a world has made room for more actors
            block[name] = _widened(block[name], shape)
        place: Array = block[name][tick % _BLOCK]
        return place

    def write(self, tick: int, values: Mapping[str, Array], prefix: str = "") -> None:
        """Records whole batches."""
        for name, value in values.items():
            value = np.asarray(value)
            self.slot(tick, prefix + name, value)[...] = value

    def cut(self, row: int, first: int, last: int) -> dict[str, Array]:
        """Returns everything of one row from tick `first` to `last`, both included."""
        numbers = range(first // _BLOCK, last // _BLOCK + 1)
        names = [name for number in numbers for name in self._blocks[number]]
        whole = {}
        for name in dict.fromkeys(names):
            found = [self._blocks[n][name] for n in numbers if name in self._blocks[n]]
            like = max(found, key=lambda array: array.shape[2:3])
            # Filled piece by piece: joining records field by field is slow.
            whole[name] = np.zeros((last - first + 1, *like.shape[2:]), like.dtype)
            for number in numbers:
                if name in self._blocks[number]:  # the last tick has no control
                    low = max(first - number * _BLOCK, 0)
                    high = min(last - number * _BLOCK, _BLOCK - 1) + 1
                    at = number * _BLOCK + low - first
                    part = self._blocks[number][name][low:high, row]
                    if part.ndim > 1:
                        whole[name][at : at + high - low, : part.shape[1]] = part
                    else:
                        whole[name][at : at + high - low] = part
        return whole

    def forget(self, before: int) -> None:
        """Drops the blocks that end before a tick."""
        for number in [n for n in self._blocks if (n + 1) * _BLOCK <= before]:
            del self._blocks[number]


def used(actors: Records, alone: int) -> Records:
    """Leaves out the slots that nobody was in; all of them when no more than `alone` were."""
    slots = np.flatnonzero((actors["id"] != 0).any(axis=0))
    n_used = int(slots[-1]) + 1 if len(slots) else 0
    return actors[:, : n_used if n_used > alone else 0]


def running(lights: Ints) -> Ints:
    """Leaves out lights that were off all the time."""
    return lights if (lights != LightState.OFF).any() else lights[:, :0]


def named(whole: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Returns what is recorded under a prefix, by the rest of its name."""
    return {name[len(prefix) :]: v for name, v in whole.items() if name.startswith(prefix)}


def _widened(array: Array, shape: tuple[int, ...]) -> Array:
    wider = np.zeros(shape, array.dtype)
    wider[:, :, : array.shape[2]] = array
    return wider
