"""What all rows of a rollout record, in blocks of ticks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from drive_il.actors import LightState
from drive_il.datatypes import Array, Bools, Ints, Records

_BLOCK = 32  # ticks recorded in one piece of memory
NOTHING = int(np.iinfo(np.int64).max)
"""tick that never comes: what a row needs of the log that drives nothing"""


class _Block:
    """The ticks of one piece of memory, of all rows or of those that still need them.

    Attributes:
        rows: whose they are, in the order of the columns, (R,).
        arrays: by name, (_BLOCK, R, ...).
    """

    def __init__(self, n_rows: int) -> None:
        self.rows: Ints = np.arange(n_rows)
        self.arrays: dict[str, Array] = {}

    def thin(self, wanted: Bools) -> None:
        """Gives back the memory of rows that are not wanted, where that is half of it or more.

        Args:
            wanted: of `rows`, (R,).
        """
        columns = np.flatnonzero(wanted)
        if 2 * len(columns) <= len(self.rows):
            self.rows = self.rows[columns]
            self.arrays = {name: array[:, columns] for name, array in self.arrays.items()}


class Log:
    """Whole batches in, episodes out: an episode is cut out of its row when it ends.

    Rows end at different times, and a long drive among many others fills a gigabyte: what is
    held is at most twice what rows that are still driving need.

    Args:
        n_rows: B.
    """

    def __init__(self, n_rows: int) -> None:
        self._blocks: dict[int, _Block] = {}
        self._needed: Ints = np.zeros(n_rows, np.int64)

    @property
    def nbytes(self) -> int:
        """What is held [bytes]."""
        return sum(a.nbytes for block in self._blocks.values() for a in block.arrays.values())

    def slot(self, tick: int, name: str, like: Array) -> Array:
        """Returns the (B, ...) place of one quantity at one tick, zeros at first.

        Ticks are written one after the other; `forget` may have taken those before the last.
        """
        number = tick // _BLOCK
        if number not in self._blocks:
            self._thin(number - 1)  # nothing is written there any more
            self._blocks[number] = _Block(len(self._needed))
        arrays = self._blocks[number].arrays
        shape = (_BLOCK, len(self._needed), *like.shape[1:])
        if name not in arrays:
            arrays[name] = np.zeros(shape, like.dtype)
        elif arrays[name].shape != shape:  # a world has made room for more actors
            arrays[name] = _widened(arrays[name], shape)
        place: Array = arrays[name][tick % _BLOCK]
        return place

    def write(self, tick: int, values: Mapping[str, Array], prefix: str = "") -> None:
        """Records whole batches."""
        for name, value in values.items():
            value = np.asarray(value)
            self.slot(tick, prefix + name, value)[...] = value

    def cut(self, row: int, first: int, last: int) -> dict[str, Array]:
        """Returns everything of one row from tick `first` to `last`, both included."""
        blocks = {n: self._blocks[n] for n in range(first // _BLOCK, last // _BLOCK + 1)}
        columns = {n: int(np.flatnonzero(one.rows == row)[0]) for n, one in blocks.items()}
        whole = {}
        for name in dict.fromkeys(name for one in blocks.values() for name in one.arrays):
            found = {n: one.arrays[name] for n, one in blocks.items() if name in one.arrays}
            like = max(found.values(), key=lambda array: array.shape[2:3])
            # Filled piece by piece: joining records field by field is slow.
            whole[name] = np.zeros((last - first + 1, *like.shape[2:]), like.dtype)
            for number, array in found.items():  # the last tick has no control
                low = max(first - number * _BLOCK, 0)
                high = min(last - number * _BLOCK, _BLOCK - 1) + 1
                at = number * _BLOCK + low - first
                part = array[low:high, columns[number]]
                if part.ndim > 1:
                    whole[name][at : at + high - low, : part.shape[1]] = part
                else:
                    whole[name][at : at + high - low] = part
        return whole

    def forget(self, needed: Ints) -> None:
        """Drops what no row needs any more; rows that need nothing go on being written.

        Args:
            needed: first tick that each row will ask for, NOTHING for none, (B,).
        """
        if not np.array_equal(needed, self._needed):
            self._needed = needed.copy()
            newest = max(self._blocks, default=0)
            for number in [one for one in self._blocks if one != newest]:
                self._thin(number)

    def _thin(self, number: int) -> None:
        block = self._blocks.get(number)
        if block is not None:
            wanted = self._needed[block.rows] < (number + 1) * _BLOCK
            if wanted.any():
                block.thin(wanted)
            else:
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
