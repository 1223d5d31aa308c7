"""Who else was there at single frames: as arrays that travel with a batch, and as `Actors`.

Drives hold as many vehicles as were there; in a batch of several drives the narrower ones are
filled with empty slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drive_il.actors import WALKER
from drive_il.datatypes import VEHICLE, Actors, Array, Episode, Ints

AROUND: dict[str, np.dtype[Any]] = {
    "vehicles": VEHICLE,
    "walkers": WALKER,
    "lights": np.dtype(np.uint8),
}
"""who else was there, by the names that an Episode has for them"""


def around(episode: Episode, steps: Ints) -> dict[str, Array]:
    """Returns who else was there at some steps of a drive.

    Args:
        episode: as `drive` made it.
        steps: which, (N,).

    Returns:
        `vehicles` (N, V) VEHICLE, `walkers` (N, P) WALKER, `lights` (N, S) uint8, `slot` (N,)
        int32: which of the vehicles is the ego.

    Raises:
        ValueError: it was driven in traffic that was not kept.
    """
    check_kept(
        episode.spec.traffic.vehicles,
        episode.vehicles.shape[1],
        f"the drive on route {episode.spec.route.id!r}",
    )
    found: dict[str, Array] = {name: getattr(episode, name)[steps] for name in AROUND}
    return found | {"slot": np.full(len(steps), episode.slot, np.int32)}


def check_kept(n_asked: int, n_kept: int, drive: str) -> None:
    """Refuses a drive in traffic of which nobody was kept.

    Args:
        n_asked: vehicles that its spec asked for.
        n_kept: vehicles that it holds.
        drive: what the error calls it.

    Raises:
        ValueError: nobody of them is there.
    """
    if n_asked and not n_kept:
        raise ValueError(
            f"{drive} was among {n_asked} vehicles, but does not hold where they were, so that "
            "its views cannot be drawn again; record with keep_actors=True"
        )


def joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Returns what `around` tells of several drives, one after the other."""
    found = {"slot": np.concatenate([part["slot"] for part in parts])}
    for name in AROUND:
        width = max(part[name].shape[1] for part in parts)
        found[name] = np.concatenate([widened(part[name], width) for part in parts])
    return found


def widened(rows: Array, width: int) -> Array:
    """Returns rows with empty slots up to a width, (N, width)."""
    if rows.shape[1] == width:
        return rows
    wider = np.zeros((len(rows), width), rows.dtype)
    wider[:, : rows.shape[1]] = rows
    return wider


def actors_of(frames: Mapping[str, Array]) -> Actors:
    """Returns what a camera sees around each of N frames, each in a world of its own."""
    slot = frames["slot"]
    world = np.arange(len(slot), dtype=np.int32)
    return Actors(frames["vehicles"], frames["walkers"], frames["lights"], world, slot)
