"""What a killed recorder left: finished episodes are rescued, the rest is put aside.

An episode is written to a temporary name and renamed when it is whole. So a recorder that is
killed at any moment leaves whole episodes and at most one temporary file for each process. Where
that one is whole, it only lacks its name; where it is not, its episode was still being written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from drive_il.dataset import load_whole, stray_files
from drive_il.dataset_file import episode_id

ASIDE = "damaged"
"""folder, inside the data set, of what could not be rescued"""


@dataclass
class Repaired:
    """What a repair did; names of files.

    Attributes:
        whole: episodes that were whole all along.
        rescued: finished episodes that had not got their name, or a wrong one.
        aside: moved into `damaged`, with the reason of each.
    """

    whole: int = 0
    rescued: list[str] = field(default_factory=list)
    aside: dict[str, str] = field(default_factory=dict)


def repair(folder: Path, told: Callable[[int, int], None] = lambda done, total: None) -> Repaired:
    """Rescues every finished episode of an interrupted recording. Nothing is deleted.

    A file that holds a whole episode under another name gets its own; every other file that
    cannot be read through is moved into the folder `damaged`. To be run when no recorder is
    at work in the folder. Run twice, it does nothing the second time.

    Args:
        folder: of the data set.
        told: (files looked at, files in all), after each.

    Raises:
        ValueError: there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give the folder of a recording")
    done = Repaired()
    paths = [*sorted(folder.glob("*.parquet")), *stray_files(folder)]
    for i, path in enumerate(paths):
        _mend(path, folder, done)
        told(i + 1, len(paths))
    return done


def _mend(path: Path, folder: Path, done: Repaired) -> None:
    try:
        _, episode = load_whole(path)
    except ValueError as error:
        _put_aside(path, folder, str(error), done)
        return
    name = f"{episode_id(episode.spec)}.parquet"
    if path.name == name:
        done.whole += 1
    elif not (folder / name).exists():
        path.rename(folder / name)
        done.rescued.append(name)
    else:
        _put_aside(path, folder, f"the episode is there already, as {name}", done)


def _put_aside(path: Path, folder: Path, reason: str, done: Repaired) -> None:
    place = folder / ASIDE
    place.mkdir(exist_ok=True)
    target = place / path.name.lstrip(".")
    for k in range(1, 1 << 20):
        if not target.exists():
            break
        target = place / f"{k}-{path.name.lstrip('.')}"
    path.rename(target)
    done.aside[path.name] = reason
