"""Which labels of recorded drives are kept: neighbouring states say nearly the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from drive_il.datatypes import Episode


def thinned(episodes: Sequence[Episode], every: int) -> list[Episode]:
    """Returns drives of which only every k-th label is kept and counted.

    Ho and Ermon (2016) thin demonstrations to every 20th step, so that neighbouring states say
    something new. Each episode begins with another step, so that its first is not always kept.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    stride = 7 if every % 7 else 1  # no factor in common, so that all beginnings come
    found = []
    for k, episode in enumerate(episodes):
        chosen = np.arange(episode.n_steps) % every == (stride * k) % every
        found.append(replace(episode, asked=episode.asked & chosen))
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
