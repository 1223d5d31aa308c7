"""Episodes as a LeRobot data set, format v3.0, and back.

    meta/info.json                             features, counts, where files are
    meta/stats.json                            of each feature
    meta/tasks.parquet                         commands in words
    meta/episodes/chunk-000/file-000.parquet   where each episode is
    data/chunk-000/file-000.parquet            a row a step, episodes one after the other
    videos/KEY/chunk-000/file-000.mp4          pictures, episodes one after the other
    drive_il/                                  what the format has no place for (`sidecar`)

`action` is what a learner should do: the expert's label where there is one, else what was
executed. `observation.state` are all observations that are numbers or rows of numbers;
`observation.images.NAME` are the cameras. Source of the layout: the library's own reader and
writer (lerobot.datasets, version 0.4 and later).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from drive_il.dataset import Dataset
from drive_il.dataset_file import EpisodeFile, episode_id, write
from drive_il.datatypes import Array, Command, Episode, Outcome
from drive_il.exchange import flat
from drive_il.exchange.films import VIDEO, Films, place
from drive_il.exchange.lerobot_stats import Stats, of_vectors
from drive_il.exchange.sidecar import Sidecar, SidecarWriter, same_sensors
from drive_il.folders import folder_whole
from drive_il.video import read_clip

VERSION = "v3.0"
"""of the layout"""
INFO = "meta/info.json"
_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_EPISODES = "meta/episodes/chunk-000/file-000.parquet"
_IMAGES = "observation.images."
_DATA_BYTES = 100 << 20  # after which a new file is begun
_TASKS = list(Command)  # a task's index is its place here
_COUNTERS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
Told = Callable[[int, int], None]
"""(episodes done, episodes in all)"""


@dataclass(frozen=True)
class LeRobotConfig:
    """How a data set is exported."""

    lossless: bool = False
    """videos keep every bit of the pictures (about ten times the size), so that the set comes
    back as it was; else H.264 as for films"""
    videos: tuple[str, ...] = ()
    """observations that become videos; all (H, W, 3) uint8 ones if not given. Name the colour
    cameras where an instance camera is among them: a film blurs its numbers"""


def export(
    dataset: Dataset,
    out: Path,
    config: LeRobotConfig = LeRobotConfig(),
    told: Told = lambda done, total: None,
) -> None:
    """Writes a data set as LeRobot's; whole, or not at all.

    Args:
        dataset: of episodes with the same sensors and step.
        out: a folder that does not exist.
        config: how.
        told: called after each episode.

    Raises:
        ValueError: `out` exists; the episodes differ in sensors or step, or hold no step; a
            picture that is named is none.
    """
    files = [EpisodeFile(path) for path in dataset.paths]
    sensors = same_sensors(file.sensors() for file in files)
    steps = {file.header["dt"] for file in files}
    if len(steps) > 1:
        raise ValueError(f"the episodes have different steps, {sorted(steps)} s; export them apart")
    empty = [file.path.name for file in files if file.header["n_steps"] == 0]
    if empty:
        raise ValueError(f"{empty[0]} holds no step, which LeRobot cannot have; leave it out")
    pictures = _pictures(sensors, config.videos)
    rate = flat.fps(steps.pop())
    with folder_whole(out) as folder, ExitStack() as stack:
        films = {
            name: Films(folder, f"{_IMAGES}{name}", rate, config.lossless) for name in pictures
        }
        for film in films.values():
            stack.push(film.leave)
        frames = _Frames(folder, sensors, films, rate)
        sidecar = SidecarWriter(folder, "lerobot", config.lossless, pictures, last=1)
        for i, file in enumerate(files):
            episode = dataset.load(i)
            frames.add(episode)
            sidecar.write(episode, file.header["facts"])
            told(i + 1, len(files))
        stack.close()  # the films are whole
        frames.finish()
        sidecar.close()


def _pictures(sensors: dict[str, Any], wanted: tuple[str, ...]) -> list[str]:
    able = [name for name, layout in sensors.items() if flat.is_picture(layout)]
    unknown = sorted(set(wanted) - set(able))
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} cannot be a video: it must be one of {able}, (H, W, 3) uint8 each"
        )
    return [name for name in able if not wanted or name in wanted]


class _Frames:
    """The tables of an export, and what `meta` says of them.

    Args:
        folder: of the export.
        sensors: of every episode.
        films: by name of the observation.
        fps: frames per second.
    """

    def __init__(
        self, folder: Path, sensors: dict[str, Any], films: dict[str, Films], fps: int
    ) -> None:
        self._folder, self._sensors, self._films, self._fps = folder, sensors, films, fps
        self._features = _features(sensors, films, fps)
        self._episodes: list[dict[str, Any]] = []
        self._columns: dict[str, list[Array]] = {}
        self._n_frames = 0
        self._file_index = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, episode: Episode) -> None:
        """Adds an episode: its rows, its pictures, and where they are."""
        columns = self._rows(episode)
        table = pa.table({name: _column(values) for name, values in columns.items()})
        where = self._append(table)
        row = {
            "episode_index": len(self._episodes),
            "tasks": [flat.TASKS[_TASKS[k]] for k in np.unique(columns["task_index"])],
            "length": episode.n_steps,
            **{f"data/{name}": value for name, value in where.items()},
            "dataset_from_index": self._n_frames,
            "dataset_to_index": self._n_frames + episode.n_steps,
        }
        for name, film in self._films.items():
            row |= film.add(episode.observations[name][: episode.n_steps])
        row |= {f"meta/episodes/{name}": value for name, value in place(0).items()}
        row |= {
            "drive_il/id": episode_id(episode.spec),
            "drive_il/route": episode.spec.route.id,
            "drive_il/town": episode.spec.route.town,
            "drive_il/outcome": episode.outcome.name,
        }
        for name, values in columns.items():
            for key, value in of_vectors(values).items():
                row[f"stats/{name}/{key}"] = value.tolist()
            if values.ndim <= 2:  # kept for the statistics of the whole set
                self._columns.setdefault(name, []).append(values)
        self._episodes.append(row)
        self._n_frames += episode.n_steps

    def _rows(self, episode: Episode) -> dict[str, Array]:
        n_steps = episode.n_steps
        ends = np.arange(n_steps) == n_steps - 1
        command = episode.progress["command"][:n_steps]
        columns = {}
        if flat.vector_names(self._sensors):
            columns["observation.state"] = flat.vector(episode, self._sensors)[:n_steps]
        for name, layout in self._sensors.items():
            if len(layout["shape"]) > 1 and name not in self._films:
                columns[f"observation.{name}"] = episode.observations[name][:n_steps]
        return columns | {
            "action": flat.labels(episode).astype(np.float32),
            "complementary_info.executed_action": flat.actions(episode.control).astype(np.float32),
            "complementary_info.is_intervention": flat.is_taken_over(episode),
            "complementary_info.is_labelled": episode.asked,
            "next.reward": flat.rewards(episode).astype(np.float32),
            "next.done": ends,
            "next.success": ends & (episode.outcome == Outcome.COMPLETED),
            "timestamp": (np.arange(n_steps) / self._fps).astype(np.float32),
            "frame_index": np.arange(n_steps),
            "episode_index": np.full(n_steps, len(self._episodes)),
            "index": self._n_frames + np.arange(n_steps),
            "task_index": np.array([_TASKS.index(Command(int(one))) for one in command]),
        }

    def _append(self, table: pa.Table) -> dict[str, int]:
        """Writes rows into the current data file, or a new one; returns which."""
        path = self._folder / _DATA.format(**place(self._file_index))
        if self._writer is not None and path.stat().st_size > _DATA_BYTES:
            self._close()
            self._file_index += 1
            path = self._folder / _DATA.format(**place(self._file_index))
        if self._writer is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(path, table.schema)
        self._writer.write_table(table)
        return place(self._file_index)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def finish(self) -> None:
        """Writes the last rows and everything under `meta`."""
        self._close()
        meta = self._folder / "meta"
        for name, film in self._films.items():
            self._features[_IMAGES + name]["info"] |= film.info()
        info = {
            "codebase_version": VERSION,
            "robot_type": "drive_il",
            "total_episodes": len(self._episodes),
            "total_frames": self._n_frames,
            "total_tasks": len(_TASKS),
            "chunks_size": 1000,
            "data_files_size_in_mb": _DATA_BYTES >> 20,
            "video_files_size_in_mb": 200,
            "fps": self._fps,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": _DATA,
            "video_path": VIDEO if self._films else None,
            "features": self._features,
        }
        path = self._folder / _EPISODES
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(self._episodes), path)
        _write_tasks(meta / "tasks.parquet")
        (self._folder / INFO).write_text(json.dumps(info, indent=1))
        (meta / "stats.json").write_text(json.dumps(self._stats(), indent=1))

    def _stats(self) -> dict[str, dict[str, Any]]:
        found: dict[str, Stats] = {
            name: of_vectors(np.concatenate(parts)) for name, parts in self._columns.items()
        }
        found |= {_IMAGES + name: film.stats.stats() for name, film in self._films.items()}
        return {
            name: {key: value.tolist() for key, value in stats.items()}
            for name, stats in found.items()
        }


def _features(sensors: dict[str, Any], films: dict[str, Films], fps: int) -> dict[str, Any]:
    def feature(dtype: str, names: list[str] | None = None, shape: list[int] | None = None) -> Any:
        return {"dtype": dtype, "shape": shape or [len(names or "1")], "names": names}

    features = {}
    for name in films:
        features[_IMAGES + name] = {
            "dtype": "video",
            "shape": sensors[name]["shape"],
            "names": ["height", "width", "channels"],
            "info": {"video.fps": fps, "is_depth_map": False, "has_audio": False},
        }
    if names := flat.vector_names(sensors):
        features["observation.state"] = feature("float32", names)
    for name, layout in sensors.items():
        if len(layout["shape"]) > 1 and name not in films:
            features[f"observation.{name}"] = feature(layout["dtype"], None, layout["shape"])
    action = list(flat.ACTION)
    return features | {
        "action": feature("float32", action),
        "complementary_info.executed_action": feature("float32", action),
        "complementary_info.is_intervention": feature("bool"),
        "complementary_info.is_labelled": feature("bool"),
        "next.reward": feature("float32"),
        "next.done": feature("bool"),
        "next.success": feature("bool"),
        "timestamp": feature("float32"),
        **{name: feature("int64") for name in _COUNTERS if name != "timestamp"},
    }


def _column(values: Array) -> pa.Array:
    """Returns rows as a column: numbers, lists of fixed length, or lists of lists."""
    flattened = pa.array(np.ascontiguousarray(values).reshape(-1))
    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(flattened, values.shape[1])
    for axis in range(values.ndim - 1, 0, -1):
        n, size = int(np.prod(values.shape[:axis])), values.shape[axis]
        flattened = pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * size, flattened)
    return flattened


def _write_tasks(path: Path) -> None:
    """Writes the tasks as pandas would: their words are the index of the table."""
    table = pa.table(
        {
            "task_index": np.arange(len(_TASKS)),
            "task": [flat.TASKS[command] for command in _TASKS],
        }
    )
    index = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64",
             "numpy_type": "int64", "metadata": None},
            {"name": "task", "field_name": "task", "pandas_type": "unicode",
             "numpy_type": "object", "metadata": None},
        ],
    }  # fmt: skip
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(index)}), path)


def import_back(source: Path, out: Path, told: Told = lambda done, total: None) -> bool:
    """Makes episodes of an exported data set again.

    Args:
        source: written by `export`.
        out: a folder that does not exist; whole, or not at all.
        told: called after each episode.

    Returns:
        Whether every bit is as it was: False where pictures went through a film with loss.

    Raises:
        ValueError: it is no LeRobot data set of v3.0, was not exported by drive_il, or was
            changed, damaged or lost a file since.
    """
    info = _info(source)
    sidecar = Sidecar(source, "lerobot")
    if info["total_episodes"] != len(sidecar):
        raise ValueError(
            f"{source} has {info['total_episodes']} episodes, its sidecar {len(sidecar)}; episodes "
            "were added or removed since the export"
        )
    rows = _episode_rows(source)
    carried = sidecar.manifest.carried
    films = {
        name: _pictures_of(source, info["video_path"], _IMAGES + name, rows) for name in carried
    }
    with folder_whole(out) as folder:
        for i in range(len(sidecar)):
            episode, facts = sidecar.read(i)
            seen = {name: list(islice(films[name], episode.n_steps)) for name in carried}
            for name, pictures in seen.items():
                if len(pictures) != episode.n_steps:
                    raise ValueError(
                        f"the video of {name} ends in episode {i}, after {len(pictures)} of "
                        f"{episode.n_steps} pictures; it was cut or damaged since the export"
                    )
            whole = sidecar.put_back(i, episode, {n: np.stack(p) for n, p in seen.items()})
            write(whole, folder / f"{sidecar.manifest.episodes[i]}.parquet", facts)
            told(i + 1, len(sidecar))
    return sidecar.manifest.lossless or not carried


def _info(source: Path) -> dict[str, Any]:
    path = source / INFO
    try:
        info: dict[str, Any] = json.loads(path.read_text())
        version = info["codebase_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}); no LeRobot data set") from error
    if version != VERSION:
        raise ValueError(
            f"{source} is a LeRobot data set of {version}, expected {VERSION}; convert it with "
            "LeRobot's own script first"
        )
    return info


def _episode_rows(source: Path) -> list[dict[str, Any]]:
    path = source / _EPISODES
    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} is missing or damaged ({error})") from error
    return rows


def _pictures_of(
    source: Path, pattern: str, key: str, rows: list[dict[str, Any]]
) -> Iterator[Array]:
    """Yields all pictures of one camera, episode after episode."""
    places = [(row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"]) for row in rows]
    for chunk, file in dict.fromkeys(places):
        where = pattern.format(video_key=key, chunk_index=chunk, file_index=file)
        yield from read_clip(source / where)
