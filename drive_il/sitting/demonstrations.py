"""Drives by hand become episodes: kept at once, thrown away at once when they were bad."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from drive_il.dataset import EpisodeWriter
from drive_il.dataset_file import episode_id
from drive_il.datatypes import Episode, EpisodeSpec
from drive_il.evaluation.results import provenance


class Demonstrations:
    """A folder of drives by hand.

    Args:
        folder: made when it does not exist.
        seed: of the sitting.
        who: the person, as he wants to be called in the files.
        device: what he drives with.
    """

    def __init__(self, folder: Path, seed: int, who: str, device: str) -> None:
        pa.array(np.zeros(1))  # loads pandas, for seconds: now, and not at the first drive's end
        self.folder = folder
        self._facts = {**provenance(seed, None), "who": who, "device": device}

    def keep(self, episode: Episode, facts: Mapping[str, Any]) -> Path:
        """Writes a drive, over an earlier state of the same one; returns its file.

        Args:
            episode: the drive.
            facts: what else is to be known about it.
        """
        writer = EpisodeWriter(self.folder, overwrite=True, facts={**self._facts, **facts})
        writer(episode)
        return self._path(episode.spec)

    def discard(self, spec: EpisodeSpec) -> bool:
        """Deletes a drive; returns whether it was there."""
        path = self._path(spec)
        was_there = path.exists()
        path.unlink(missing_ok=True)
        return was_there

    def has(self, spec: EpisodeSpec) -> bool:
        """Whether this very drive, route and seed, is there already."""
        return self._path(spec).exists()

    def _path(self, spec: EpisodeSpec) -> Path:
        return self.folder / f"{episode_id(spec)}.parquet"
