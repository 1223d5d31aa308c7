"""Which labels of recorded drives are kept: neighbouring states say nearly the same."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from drive_il.datatypes import Array, Bools, Episode

_MORE = 5  # times as many labels at critical steps


def thinned(
    episodes: Sequence[Episode], every: int, critical: Callable[[Episode], Bools] | None = None
) -> list[Episode]:
    """Returns drives of which only every k-th label is kept and counted, `lightened`.

    Ho and Ermon (2016) thin demonstrations to every 20th step, so that neighbouring states say
    something new. Each episode begins with another step, so that its first is not always kept.

    Args:
        episodes: drives, whose `asked` says where there are labels.
        every: one in so many is kept.
        critical: says at which steps five times as many are kept, (T,).
    """
    return [
        thin(episode, every, k, None if critical is None else critical(episode))
        for k, episode in enumerate(episodes)
    ]


def thin(episode: Episode, every: int, k: int, critical: Bools | None = None) -> Episode:
    """Returns drive number k of those that `thinned` makes."""
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    stride = 7 if every % 7 else 1  # no factor in common, so that all beginnings come
    step, first = np.arange(episode.n_steps), (stride * k) % every
    chosen = step % every == first
    if critical is not None:
        often = max(every // _MORE, 1)
        chosen |= critical & (step % often == first % often)
    return lightened(replace(episode, asked=episode.asked & chosen))


def lightened(episode: Episode) -> Episode:
    """Returns the drive with the pictures of its labelled states; all others are black.

    Nobody learns from those, and they are nearly all of a thinned drive's memory: a black page
    that was never written takes none. Sensors that are no pictures stay whole.
    """
    if episode.asked.all():
        return episode
    labelled = np.append(episode.asked, False)  # the last state has no control
    seen = {
        name: _only(value, labelled) if value.dtype == np.uint8 and value.ndim >= 3 else value
        for name, value in episode.observations.items()
    }
    return replace(episode, observations=seen)


def around_labels(episode: Episode) -> Episode:
    """Returns the drive with who else was there at its labelled states; nobody at all others."""
    labelled = np.append(episode.asked, False)
    return replace(
        episode,
        vehicles=_only(episode.vehicles, labelled),
        walkers=_only(episode.walkers, labelled),
        lights=_only(episode.lights, labelled),
    )


def _only(rows: Array, kept: Bools) -> Array:
    """Returns (N, ...) rows of which those not kept are zeros on pages of no memory."""
    if not rows.nbytes:
        return rows
    pages = mmap.mmap(-1, rows.nbytes)  # the allocator would clear what it hands out again
    found: Array = np.frombuffer(pages, rows.dtype).reshape(rows.shape)
    found[kept] = rows[kept]
    return found


def first_labels(episodes: Iterable[Episode], n: int) -> list[Episode]:
    """Returns the episodes with their first n labels, those without any left out.

    Those after that are not looked at: they may come one by one, as they are read.
    """
    found = []
    for episode in episodes:
        if n < 1:
            break
        asked = episode.asked & (episode.asked.cumsum() <= n)
        n -= int(asked.sum())
        if asked.any():
            found.append(replace(episode, asked=asked))
    return found
