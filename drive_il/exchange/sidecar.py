"""What travels beside an exported data set: all that its format has no place for.

A folder `drive_il` in the exported one holds, for every episode, its own file without the
pixels that the foreign format carries (they are zeros there, which take no room), and a
manifest that says in what order they come and what their pixels must add up to.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.dataset_file import EpisodeFile, episode_id, write
from drive_il.datatypes import Array, Episode

FOLDER = "drive_il"
"""of the sidecar, inside the exported data set"""
VERSION = 1
"""of this layout"""
_MANIFEST = "manifest.json"


@dataclass
class Manifest:
    """What an exported data set says of itself.

    Attributes:
        format: lerobot or minari.
        lossless: whether it can come back bit for bit.
        carried: observations whose values stand in the foreign format alone.
        episodes: ids, in the order of the foreign format.
        checks: for each episode, the CRC-32 of each carried observation.
        version: of this layout.
    """

    format: str
    lossless: bool
    carried: tuple[str, ...]
    episodes: list[str] = field(default_factory=list)
    checks: list[dict[str, int]] = field(default_factory=list)
    version: int = VERSION


class SidecarWriter:
    """Writes the sidecar of an export, episode by episode.

    Args:
        out: the exported data set.
        format: lerobot or minari.
        lossless: whether the carried observations come back bit for bit.
        carried: names of observations that the foreign format holds.
        last: how many of the last states' values it has no place for.
    """

    def __init__(
        self, out: Path, format: str, lossless: bool, carried: Sequence[str], last: int
    ) -> None:
        self._folder = out / FOLDER
        self._folder.mkdir()
        self._last = last
        self._manifest = Manifest(format, lossless, tuple(carried))

    def write(self, episode: Episode, facts: dict[str, Any]) -> None:
        """Adds the next episode."""
        observations = dict(episode.observations)
        checks = {}
        for name in self._manifest.carried:
            value = np.ascontiguousarray(observations[name])
            checks[name] = _check(value)
            rest = np.zeros_like(value)
            if self._last:
                rest[-self._last :] = value[-self._last :]
            observations[name] = rest
        name = episode_id(episode.spec)
        write(replace(episode, observations=observations), self._folder / f"{name}.parquet", facts)
        self._manifest.episodes.append(name)
        self._manifest.checks.append(checks)

    def close(self) -> None:
        """Writes the manifest."""
        text = json.dumps(asdict(self._manifest), indent=1)
        (self._folder / _MANIFEST).write_text(text)


class Sidecar:
    """The sidecar of an exported data set, opened.

    Args:
        source: the exported data set.
        format: which the caller reads.

    Raises:
        ValueError: there is none, or it is of another version or format.
    """

    def __init__(self, source: Path, format: str) -> None:
        path = source / FOLDER / _MANIFEST
        if not path.is_file():
            raise ValueError(
                f"{source} has no {FOLDER}/{_MANIFEST}: it was not exported by drive_il, or its "
                f"{FOLDER} folder was left behind. An episode needs its route and everyone's "
                "states, which only that folder holds; copy it along"
            )
        try:
            content = json.loads(path.read_text())
            self.manifest = Manifest(**content | {"carried": tuple(content["carried"])})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is damaged ({error}); export the data set again") from error
        if self.manifest.version != VERSION or self.manifest.format != format:
            raise ValueError(
                f"{path} is version {self.manifest.version} of format {self.manifest.format!r}, "
                f"expected version {VERSION} of {format!r}; export the data set again"
            )
        self._folder = source / FOLDER

    def __len__(self) -> int:
        return len(self.manifest.episodes)

    def read(self, i: int) -> tuple[Episode, dict[str, Any]]:
        """Returns episode i without the carried values, and the facts kept with it.

        Raises:
            ValueError: its file is missing or damaged.
        """
        path = self._folder / f"{self.manifest.episodes[i]}.parquet"
        if not path.is_file():
            raise ValueError(f"{path} is missing; export the data set again")
        file = EpisodeFile(path, check=True)
        return file.load(), file.header["facts"]

    def put_back(self, i: int, episode: Episode, carried: dict[str, Array]) -> Episode:
        """Returns episode i with the values that the foreign format carried.

        Args:
            i: which.
            episode: from `read`.
            carried: by name; where it has fewer rows than the episode has states, the last
                ones stand in the sidecar.

        Raises:
            ValueError: they are not what was exported.
        """
        observations = dict(episode.observations)
        for name, value in carried.items():
            mine = observations[name] = np.array(observations[name])
            if value.shape[1:] != mine.shape[1:] or len(value) > len(mine):
                raise ValueError(
                    f"{name} of episode {self.manifest.episodes[i]} has shape {value.shape}, "
                    f"expected up to {mine.shape}; the data set was changed after its export"
                )
            mine[: len(value)] = value
            if self.manifest.lossless and _check(mine) != self.manifest.checks[i][name]:
                raise ValueError(
                    f"{name} of episode {self.manifest.episodes[i]} is not what was exported: the "
                    "data set was re-encoded or damaged after its export"
                )
        return replace(episode, observations=observations)


def _check(value: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(value).data)


def same_sensors(sensors: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Returns the sensors that all episodes have in common.

    Raises:
        ValueError: they differ; a foreign data set has one shape for each observation.
    """
    found: dict[str, Any] | None = None
    for one in sensors:
        if found is None:
            found = one
        if one != found:
            name = next(n for n in {**one, **found} if one.get(n) != found.get(n))
            raise ValueError(
                f"the episodes have different sensors: {name} is {found.get(name)} in one and "
                f"{one.get(name)} in another; export episodes of one kind at a time"
            )
    return found or {}
