"""Episodes as a Minari data set, and back.

    NAME-v0/data/metadata.json            spaces as JSON, counts
    NAME-v0/data/EPISODE/part-0.parquet   a row a state: T + 1 of them
    NAME-v0/data/EPISODE/metadata.json    seed, length, route, outcome
    NAME-v0/drive_il/                     what the format has no place for (`sidecar`)

`actions` are what was executed; the expert's labels are in `infos`. `rewards` are what
`drive_il.env` would have given. Observations are all there, T + 1 of each, without loss.
Source of the layout: the library's Parquet storage (minari.dataset, 0.5.4 and later, which can
hold pictures without JPEG).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from drive_il.dataset import Dataset
from drive_il.dataset_file import EpisodeFile, episode_id, write
from drive_il.datatypes import Array, Episode, Floats
from drive_il.exchange import flat
from drive_il.exchange.sidecar import Sidecar, SidecarWriter, same_sensors
from drive_il.folders import folder_whole

VERSION = "0.5.4"
"""of Minari, the first that reads what is written here"""
METADATA = "data/metadata.json"
_ROWS = 1 << 17  # Minari reads an episode in one piece of at most so many
Told = Callable[[int, int], None]
"""(episodes done, episodes in all)"""


def dataset_id(name: str) -> str:
    """Returns the id of a data set by this name: letters, digits, - and _, with a version.

    Raises:
        ValueError: there is nothing of the kind in it.
    """
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", re.sub(r"-v\d+$", "", name)).strip("_")
    if not plain:
        raise ValueError(f"{name!r} gives no name for a Minari data set; use letters and digits")
    version = re.search(r"-v\d+$", name)
    return plain + (version.group() if version else "-v0")


def export(dataset: Dataset, out: Path, told: Told = lambda done, total: None) -> Path:
    """Writes a data set as Minari's; whole, or not at all.

    Args:
        dataset: of episodes with the same sensors.
        out: where Minari looks for data sets (MINARI_DATASETS_PATH), and in it the folder of
            the data set: its last part is made an id, as `dataset_id` does.
        told: called after each episode.

    Returns:
        The folder of the data set.

    Raises:
        ValueError: the folder exists, or the episodes differ in sensors, or hold no step or
            more than Minari reads at once.
    """
    target = out.with_name(dataset_id(out.name))
    files = [EpisodeFile(path) for path in dataset.paths]
    sensors = same_sensors(file.sensors() for file in files)
    for file in files:
        if not 0 < file.header["n_steps"] < _ROWS:
            raise ValueError(
                f"{file.path.name} holds {file.header['n_steps']} steps, Minari takes 1 to "
                f"{_ROWS - 1} an episode; leave it out"
            )
    with folder_whole(target) as folder:
        (folder / "data").mkdir()
        sidecar = SidecarWriter(folder, "minari", True, list(sensors), last=0)
        for i, file in enumerate(files):
            episode = dataset.load(i)
            _write_episode(episode, sensors, folder / "data" / str(i), i)
            sidecar.write(episode, file.header["facts"])
            told(i + 1, len(files))
        sidecar.close()
        _write_metadata(folder, target.name, sensors, files)
    return target


def _write_episode(episode: Episode, sensors: dict[str, Any], folder: Path, i: int) -> None:
    n_steps = episode.n_steps
    terminal = flat.is_terminal(episode)
    last = np.arange(n_steps) == n_steps - 1
    columns = {
        "observations": _struct({name: _rows(episode.observations[name]) for name in sensors}),
        "actions": _rows(_padded(flat.actions(episode.control))),
        "rewards": pa.array(_padded(flat.rewards(episode))),
        "terminations": pa.array(_padded(last & terminal)),
        "truncations": pa.array(_padded(last & (not terminal))),
        "infos": _struct(
            {
                "expert_action": _rows(_padded(flat.actions(episode.expert_control), np.nan)),
                "is_labelled": pa.array(_padded(episode.asked)),
                "is_intervention": pa.array(_padded(flat.is_taken_over(episode))),
                "command": pa.array(episode.progress["command"]),
                "speed": pa.array(episode.ego["speed"]),
                "lateral_error": pa.array(episode.progress["lateral_error"]),
                "route_s": pa.array(episode.progress["s"]),
            }
        ),
    }
    folder.mkdir()
    table = pa.table(columns)
    pq.write_table(table, folder / "part-0.parquet", row_group_size=_ROWS, compression="zstd")
    facts = {
        "id": i,
        "total_steps": n_steps,
        "seed": episode.spec.seed,
        "drive_il_id": episode_id(episode.spec),
        "route": episode.spec.route.id,
        "town": episode.spec.route.town,
        "outcome": episode.outcome.name,
        "dt": episode.dt,
    }
    (folder / "metadata.json").write_text(json.dumps(facts))


def _padded(values: Array, value: float = 0.0) -> Array:
    """Returns T rows as T + 1."""
    width = [(0, 1)] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, width, constant_values=values.dtype.type(value))


def _rows(values: Array) -> pa.Array:
    """Returns rows as a column of lists of fixed length."""
    flattened = np.ascontiguousarray(values).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flattened), flattened.size // len(values))


def _struct(columns: dict[str, pa.Array]) -> pa.Array:
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _write_metadata(
    folder: Path, name: str, sensors: dict[str, Any], files: list[EpisodeFile]
) -> None:
    low, high = np.array([-1.0, 0.0, -1.0]), np.ones(3)
    spaces = {"type": "Dict", "subspaces": {n: _space(one) for n, one in sensors.items()}}
    content = {
        "total_episodes": len(files),
        "total_steps": sum(file.header["n_steps"] for file in files),
        "data_format": "parquet",
        "jpeg_encoding": False,
        "observation_space": json.dumps(spaces),
        "action_space": json.dumps(_box("float64", low, high)),
        "dataset_id": name,
        "minari_version": VERSION,
        "description": "Drives of drive_il; actions are throttle, brake and steer (left +).",
    }
    size = sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())
    content["dataset_size"] = round(size / 1e6, 1)
    (folder / METADATA).write_text(json.dumps(content))


def _space(layout: dict[str, Any]) -> dict[str, Any]:
    dtype, shape = np.dtype(layout["dtype"]), tuple(layout["shape"])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return _box(dtype.name, np.full(shape, limits.min), np.full(shape, limits.max))
    if dtype.kind == "b":
        return _box("bool", np.zeros(shape, bool), np.ones(shape, bool))
    return _box(dtype.name, np.full(shape, -np.inf), np.full(shape, np.inf))


def _box(dtype: str, low: Floats, high: Floats) -> dict[str, Any]:
    limits = {"low": low.tolist(), "high": high.tolist()}
    return {"type": "Box", "dtype": dtype, "shape": list(low.shape), **limits}


def import_back(source: Path, out: Path, told: Told = lambda done, total: None) -> bool:
    """Makes episodes of an exported data set again, bit for bit.

    Args:
        source: written by `export`.
        out: a folder that does not exist; whole, or not at all.
        told: called after each episode.

    Returns:
        True: every bit is as it was.

    Raises:
        ValueError: it is no Minari data set of ours, or was changed or damaged since.
    """
    try:
        metadata = json.loads((source / METADATA).read_text())
        n_episodes, form = metadata["total_episodes"], metadata["data_format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{source / METADATA} is missing or damaged ({error}); no Minari data set"
        ) from error
    sidecar = Sidecar(source, "minari")
    if form != "parquet" or n_episodes != len(sidecar):
        raise ValueError(
            f"{source} has {n_episodes} episodes as {form}, expected {len(sidecar)} as parquet; "
            "it was changed since the export"
        )
    with folder_whole(out) as folder:
        for i in range(len(sidecar)):
            episode, facts = sidecar.read(i)
            seen = _observations(source / "data" / str(i) / "part-0.parquet", episode)
            whole = sidecar.put_back(i, episode, seen)
            write(whole, folder / f"{sidecar.manifest.episodes[i]}.parquet", facts)
            told(i + 1, len(sidecar))
    return True


def _observations(path: Path, episode: Episode) -> dict[str, Array]:
    try:
        table = pq.read_table(path, columns=["observations"])
        column = table["observations"].combine_chunks()
        return {
            name: np.asarray(column.field(name).flatten().to_numpy(zero_copy_only=False)).reshape(
                episode.n_steps + 1, *like.shape[1:]
            )
            for name, like in episode.observations.items()
        }
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"{path} is missing or damaged ({error}); export it again") from error
