"""Episodes on disk: a folder with one Parquet file per episode.

Files appear whole or not at all, so that a killed recorder loses the episodes in progress
and no others; what it leaves behind is a temporary file, ignored here and named by `verify`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.dataset_batches import FrameBatches, Transform
from drive_il.dataset_file import EpisodeFile, episode_id, write
from drive_il.datatypes import Command, Episode, EpisodeSpec, Route


def stray_files(folder: Path) -> list[Path]:
    """Returns what killed recorders left behind in a folder, sorted."""
    return sorted(path for path in folder.glob(".*.tmp") if path.is_file())


class EpisodeWriter:
    """Writes episodes into a folder; a `sink` for `rollout.drive`.

    Args:
        folder: made when it does not exist.
        overwrite: an episode of the same spec is replaced instead of refused.
        facts: kept in each file, as JSON (e.g. commit, config).

    Raises:
        ValueError: the folder is a file.
    """

    def __init__(
        self, folder: Path | str, overwrite: bool = False, facts: Mapping[str, Any] | None = None
    ) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{folder} is a file; give a folder to record into")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.overwrite = overwrite
        self._facts = dict(facts or {})

    def missing(self, specs: Iterable[EpisodeSpec]) -> list[EpisodeSpec]:
        """Returns the specs that are not recorded yet, to go on where a recorder stopped."""
        present = {path.stem for path in self.folder.glob("*.parquet")}
        return [spec for spec in specs if episode_id(spec) not in present]

    def __call__(self, episode: Episode) -> None:
        """Writes one episode.

        Raises:
            ValueError: it is there already, and `overwrite` is off.
        """
        path = self.folder / f"{episode_id(episode.spec)}.parquet"
        if path.exists() and not self.overwrite:
            raise ValueError(
                f"{path} exists: drive only writer.missing(specs), or pass overwrite=True"
            )
        write(episode, path, self._facts)


class Dataset:
    """A folder of episodes, in the order of their file names.

    Args:
        folder: written by `EpisodeWriter`.

    Raises:
        ValueError: there is no such folder, or no episode in it.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ValueError(
                f"{folder} is no folder; record episodes first: drive-il record --out {folder}"
            )
        self.paths = sorted(self.folder.glob("*.parquet"))
        if not self.paths:
            raise ValueError(f"{folder} holds no episodes (*.parquet); is it the right folder?")
        self._routes: dict[str, Route] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, i: int) -> Episode:
        """Reads episode i; episodes on the same route share one Route.

        Raises:
            ValueError: the file is damaged.
        """
        file = EpisodeFile(self.paths[i])
        packed = file.header["spec"]["route"]
        key = f"{packed['town']} {packed['id']} {packed['points']} {packed['weathers']}"
        episode = file.load(self._routes.get(key))
        self._routes.setdefault(key, episode.spec.route)
        return episode

    def episodes(self) -> Iterator[Episode]:
        """Reads one episode after the other."""
        return (self.load(i) for i in range(len(self)))

    def info(self) -> dict[str, Any]:
        """Returns what the set holds, as JSON: counts, towns, sensors, size, commands."""
        towns, outcomes, commands = Counter[str](), Counter[str](), Counter[str]()
        steps, labels, seconds = 0, 0, 0.0
        sensors: dict[str, Any] = {}
        for path in self.paths:
            file = EpisodeFile(path)
            header = file.header
            towns[header["spec"]["route"]["town"]] += 1
            outcomes[header["outcome"]] += 1
            steps += header["n_steps"]
            labels += header["labels"]
            seconds += header["n_steps"] * header["dt"]
            at = file.read(["progress.command"])["progress.command"][: header["n_steps"]]
            for number, count in zip(*np.unique(at, return_counts=True), strict=True):
                commands[Command(int(number)).name] += int(count)
            sensors |= file.sensors()
        return {
            "folder": str(self.folder),
            "episodes": len(self),
            "steps": steps,
            "labels": labels,
            "hours": round(seconds / 3600.0, 4),
            "bytes": sum(path.stat().st_size for path in self.paths),
            "towns": dict(sorted(towns.items())),
            "outcomes": dict(sorted(outcomes.items())),
            "commands": dict(sorted(commands.items())),
            "sensors": sensors,
        }

    def verify(self) -> list[str]:
        """Reads every byte of every file and returns what is wrong, one line each."""
        found = [
            f"{path.name}: left behind by an interrupted recorder; run `drive-il dataset repair`"
            for path in stray_files(self.folder)
        ]
        for path in self.paths:
            found += [f"{path.name}: {problem}" for problem in problems(path)]
        return found

    def batches(
        self,
        names: Sequence[str] | None = None,
        *,
        batch_size: int = 64,
        seed: int = 0,
        memory_budget: int = 1 << 30,
        shuffled: bool = True,
        only_labelled: bool = True,
        episodes: Sequence[int] | None = None,
        transform: Transform | None = None,
        states: bool = True,
        waypoints: bool = False,
        surroundings: bool = False,
    ) -> FrameBatches:
        """Returns shuffled batches of frames that need not fit in memory; see `FrameBatches`.

        Args:
            names: observations to give; all of them when not given.
            batch_size: frames per batch.
            seed: of the shuffling.
            memory_budget: what the frames in memory may take [bytes].
            shuffled: False keeps the order.
            only_labelled: True leaves out steps without an expert label.
            episodes: which episodes; all of them when not given.
            transform: applied to every batch.
            states: False leaves out `ego` and `weather`, which only some transforms need.
            waypoints: add the waypoint labels.
            surroundings: add who else was there, to draw views again.
        """
        chosen = range(len(self)) if episodes is None else episodes
        return FrameBatches(
            [self.paths[i] for i in chosen],
            tuple(names) if names is not None else None,
            batch_size,
            seed,
            memory_budget,
            shuffled,
            only_labelled,
            transform,
            states,
            waypoints,
            surroundings,
        )


def load_whole(path: Path) -> tuple[EpisodeFile, Episode]:
    """Reads every byte of an episode's file.

    Raises:
        ValueError: it is damaged, or rows are missing.
    """
    file = EpisodeFile(path, check=True)
    n_steps = file.header["n_steps"]
    if file.n_rows != n_steps + 1:
        raise ValueError(f"holds {file.n_rows} states, expected {n_steps + 1} for {n_steps} steps")
    return file, file.load()


def problems(path: Path) -> list[str]:
    """Reads every byte of an episode's file and returns what is wrong with it, one line each."""
    try:
        file, episode = load_whole(path)
    except ValueError as error:
        return [str(error)]
    found = []
    if path.stem != episode_id(episode.spec):
        found.append(f"holds episode {episode_id(episode.spec)}; the file was renamed or changed")
    if file.header["labels"] != episode.labels:
        found.append(f"says {file.header['labels']} labels, holds {episode.labels}")
    asked = episode.asked
    for name, records in (
        ("ego", episode.ego),
        ("progress", episode.progress),
        ("weather", episode.weather),
        ("control", episode.control),
        ("expert", episode.expert_control[asked]),
    ):
        for column in records.dtype.names or ():
            if not np.isfinite(records[column]).all():
                at = int(np.flatnonzero(~np.isfinite(records[column]))[0])
                found.append(f"{name}.{column} is {records[column][at]} at row {at}")
    for name, value in episode.observations.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            found.append(f"observation {name} holds a value that is not finite")
    return found
