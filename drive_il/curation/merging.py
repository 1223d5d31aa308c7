"""Several data sets become one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from drive_il.dataset import Dataset
from drive_il.dataset_file import EpisodeFile
from drive_il.folders import folder_whole


@dataclass(frozen=True)
class Merged:
    """What a merge did.

    Attributes:
        n_episodes: in the new data set.
        n_same: files that several sources had, the same to the bit; kept once.
    """

    n_episodes: int
    n_same: int


def merge(
    sources: Sequence[Dataset],
    out: Path,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Merged:
    """Copies the episodes of several data sets into a new one.

    Args:
        sources: with the same sensors and step.
        out: a folder that does not exist; whole, or not at all.
        told: (episodes done, episodes in all), after each.

    Raises:
        ValueError: the sources differ in sensors or step, or hold different drives of the same
            spec; the message names both.
    """
    paths = [path for source in sources for path in source.paths]
    check_alike(paths)
    taken: dict[str, Path] = {}
    n_same = 0
    for path in paths:
        other = taken.get(path.name)
        if other is None:
            taken[path.name] = path
            continue
        if other.read_bytes() != path.read_bytes():
            raise ValueError(
                f"{other} and {path} are different drives of the same episode (route, seed, start "
                "and traffic are the same); keep one of them, or record with another --seed"
            )
        n_same += 1
    with folder_whole(out) as folder:
        for i, path in enumerate(taken.values()):
            shutil.copyfile(path, folder / path.name)
            told(i + 1, len(taken))
    return Merged(len(taken), n_same)


def check_alike(paths: Sequence[Path]) -> None:
    """Refuses episodes that a learner could not take together.

    Raises:
        ValueError: two files differ in sensors or step; names both and what differs.
    """
    first: EpisodeFile | None = None
    for path in paths:
        file = EpisodeFile(path)
        if first is None:
            first = file
            continue
        if file.header["dt"] != first.header["dt"]:
            raise ValueError(
                f"{file.path} has steps of {file.header['dt']} s, {first.path} of "
                f"{first.header['dt']} s; merge data sets of one step length"
            )
        here, there = file.sensors(), first.sensors()
        for name in {**here, **there}:
            if here.get(name) != there.get(name):
                raise ValueError(
                    f"{file.path} has {name} {_said(here.get(name))}, {first.path} "
                    f"{_said(there.get(name))}; merge data sets of the same sensors"
                )


def _said(layout: dict[str, object] | None) -> str:
    return "not at all" if layout is None else f"as {layout['dtype']} {layout['shape']}"
