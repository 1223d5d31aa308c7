"""Shared memory as an agent's `input_data`: views of it, and which slots it still holds."""

from __future__ import annotations

import mmap
import os
import sys
from typing import Any

import numpy as np
from drive_il_agent import wire

_DTYPES = {"image": "u1", "points": "f4", "numbers": "f8", "speed": "f8"}


class Senses:
    """The sensor data of the route in progress.

    Images and points are read-only views; a slot that the agent holds on to (a list of past
    images, say) is not written to again until it lets go. Should it hold all but one, it
    gets copies from that one. Everything small is a copy.
    """

    def __init__(self, descriptor: int, layout: dict[str, Any]) -> None:
        """Maps the memory.

        Args:
            descriptor: of the shared memory; closed here.
            layout: `size` of a slot [bytes] and its `entries`, each with the sensor's `id`,
                `kind`, `shape`, and the `offset`s of its data and, of points, their `count`.
        """
        self._size: int = layout["size"]
        total = self._size * wire.N_SLOTS
        self._memory = mmap.mmap(descriptor, total, mmap.MAP_SHARED, mmap.PROT_READ)
        os.close(descriptor)
        self._entries: list[dict[str, Any]] = layout["entries"]
        self._arrays = [self._slot(k) for k in range(wire.N_SLOTS)]
        self._unused = [_references(slot) for slot in self._arrays]

    def _slot(self, slot: int) -> list[Any]:
        """Returns the arrays of one slot; views of them refer to them, not to each other."""
        start = slot * self._size
        return [
            np.ndarray(e["shape"], _DTYPES[e["kind"]], self._memory, start + e["offset"])
            for e in self._entries
        ]

    def free(self) -> list[int]:
        """Returns the slots that nothing of the agent looks into any more."""
        return [k for k, slot in enumerate(self._arrays) if _references(slot) == self._unused[k]]

    def look(self, slot: int, frame: int) -> dict[str, tuple[int, Any]]:
        """Returns {id: (frame, data)} of one slot."""
        is_last = self.free() == [slot]
        seen: dict[str, tuple[int, Any]] = {}
        for entry, array in zip(self._entries, self._arrays[slot]):
            kind = entry["kind"]
            data: Any
            if kind == "speed":
                data = {"speed": float(array[0])}
            elif kind == "numbers":
                data = np.array(array)
            else:
                data = array[: self._count(slot, entry)] if kind == "points" else array[:]
                if is_last:
                    data = np.array(data)
            seen[entry["id"]] = (frame, data)
        return seen

    def _count(self, slot: int, entry: dict[str, Any]) -> int:
        at = slot * self._size + entry["count"]
        return int(np.frombuffer(self._memory, "i4", 1, at)[0])


def _references(slot: list[Any]) -> list[int]:
    return [sys.getrefcount(array) for array in slot]
