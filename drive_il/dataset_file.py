"""One episode <-> one Parquet file.

One row per state (T + 1 of them); what belongs to steps is null in the last row. Columns:
`ego.x`, `progress.s`, `weather.wetness`, `control.steer`, `policy.steer`, `expert.steer`,
`who`, `asked`, `observation.rgb`, `info.<name>`. Arrays of more than one number per row are
raw bytes of fixed size, whose dtype and shape the metadata give; `progress.route` is 0. The
spec, with the dense route, stands in the metadata: a file alone is enough to drive its episode
again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import drive_il
from drive_il.actors import (
    EVENTS,
    ROUTE_STOP,
    ActorKind,
    Mover,
    ScenarioSpec,
    Spawn,
    Traffic,
)
from drive_il.datatypes import (
    CONTROL,
    PROGRESS,
    ROUTE_POINT,
    VEHICLE,
    WEATHER,
    Array,
    Episode,
    EpisodeSpec,
    Outcome,
    Records,
    Route,
    Start,
)
from drive_il.surroundings import AROUND

FORMAT = 3
"""version of this layout"""
ROWS_PER_GROUP = 128
"""rows that are read together"""
_KEY = b"drive_il"
_STATES = {"ego": VEHICLE, "progress": PROGRESS, "weather": WEATHER, "events": EVENTS}
_CONTROLS = {"control": "control", "policy": "policy_control", "expert": "expert_control"}


def episode_id(spec: EpisodeSpec) -> str:
    """Returns the name of the episode that this spec gives, without its file ending."""
    route = spec.route
    digest = hashlib.sha256()
    facts = [route.id, route.town, spec.seed, spec.max_steps, asdict(spec.start)]
    facts += [asdict(spec.traffic), [asdict(scenario) for scenario in route.scenarios]]
    digest.update(json.dumps(facts).encode())
    for part in (route.points, route.weathers, np.asarray(route.weather_at)):
        digest.update(np.ascontiguousarray(part).tobytes())
    readable = re.sub(r"[^A-Za-z0-9._]+", "_", f"{route.town}-{route.id}")[:80].lstrip(".")
    return f"{readable}-{spec.seed}-{digest.hexdigest()[:10]}"


def write(episode: Episode, path: Path, facts: Mapping[str, Any] | None = None) -> None:
    """Writes an episode, to a temporary name first.

    Args:
        episode: T steps.
        path: the file.
        facts: what else to keep about it, as JSON (e.g. commit, config).
    """
    columns, arrays = _columns(episode)
    header = {
        "format": FORMAT,
        "id": episode_id(episode.spec),
        "n_steps": episode.n_steps,
        "labels": episode.labels,
        "outcome": episode.outcome.name,
        "dt": episode.dt,
        "slot": episode.slot,
        "spec": _pack_spec(episode.spec),
        "arrays": arrays,
        "versions": {
            "drive_il": drive_il.__version__,
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
        "facts": dict(facts or {}),
    }
    table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(header).encode()})
    floats = [name for name, column in columns.items() if pa.types.is_floating(column.type)]
    blobs = [name for name in columns if name in arrays]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        pq.write_table(
            table,
            temporary,
            row_group_size=ROWS_PER_GROUP,
            compression="zstd",
            compression_level=1,
            use_dictionary=[n for n in columns if n not in floats and n not in blobs],
            column_encoding={name: "BYTE_STREAM_SPLIT" for name in floats},
            write_statistics=False,
            write_page_checksum=True,
        )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _columns(episode: Episode) -> tuple[dict[str, Any], dict[str, Any]]:
    n_states = episode.n_steps + 1
    columns: dict[str, Any] = {}
    arrays: dict[str, Any] = {}

    def add(name: str, values: Array) -> None:
        values = np.asarray(values)
        missing = n_states - len(values)
        if values.ndim == 1:
            mask = np.zeros(n_states, np.bool_)
            mask[len(values) :] = True
            padded = np.concatenate((values, np.zeros(missing, values.dtype)))
            columns[name] = pa.array(padded, mask=mask if missing else None)
            return
        shape = values.shape[1:]
        padded = np.concatenate((values, np.zeros((missing, *shape), values.dtype)))
        size = int(np.prod(shape)) * values.dtype.itemsize
        buffers = [None, pa.py_buffer(np.ascontiguousarray(padded))]
        columns[name] = pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), n_states, buffers)
        arrays[name] = {"dtype": values.dtype.str, "shape": list(shape)}

    for prefix in _STATES:
        records: Records = getattr(episode, prefix)
        for field in records.dtype.names or ():
            add(f"{prefix}.{field}", records[field])
    # The number that the route happened to have in the recording world means nothing here.
    add("progress.route", np.zeros(n_states, np.int32))
    for prefix, attribute in _CONTROLS.items():
        for field in CONTROL.names or ():
            add(f"{prefix}.{field}", getattr(episode, attribute)[field])
    for name in AROUND:
        actors: Array = getattr(episode, name)
        if actors.shape[1]:  # one row of bytes per state
            add(name, np.ascontiguousarray(actors).view(np.uint8).reshape(n_states, -1))
    add("who", episode.who)
    add("asked", episode.asked)
    for name, value in episode.observations.items():
        add(f"observation.{name}", value)
    for name, value in episode.info.items():
        add(f"info.{name}", value)
    return columns, arrays


class EpisodeFile:
    """A stored episode, opened; its metadata are read, its columns are not.

    Args:
        path: the file.
        check: also verify the checksum of every page that is read.

    Raises:
        ValueError: the file is damaged, or was not written by this project.
    """

    def __init__(self, path: Path, check: bool = False) -> None:
        self.path = path
        try:
            self._file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=check)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path, error) from error
        stored = (self._file.schema_arrow.metadata or {}).get(_KEY)
        if stored is None:
            raise ValueError(f"{path} is a Parquet file, but not an episode of drive_il")
        self.header: dict[str, Any] = json.loads(stored)
        if self.header.get("format") != FORMAT:
            raise ValueError(
                f"{path} has format {self.header.get('format')}, this version of drive_il reads "
                f"format {FORMAT}; record it again or use the version that wrote it: "
                f"{self.header.get('versions')}"
            )

    @cached_property
    def names(self) -> list[str]:
        """Its columns."""
        return list(self._file.schema_arrow.names)

    @property
    def n_rows(self) -> int:
        """Rows that are really there; T + 1 in a whole file."""
        return int(self._file.metadata.num_rows)

    @property
    def group_rows(self) -> list[int]:
        """Rows of each of the groups that can be read apart."""
        metadata = self._file.metadata
        return [int(metadata.row_group(k).num_rows) for k in range(metadata.num_row_groups)]

    def sensors(self) -> dict[str, Any]:
        """Returns name -> dtype and shape of one frame of each observation."""
        found = {}
        for field in self._file.schema_arrow:
            if field.name.startswith("observation."):
                layout = self.header["arrays"].get(field.name)
                found[field.name.removeprefix("observation.")] = {
                    "dtype": np.dtype(
                        layout["dtype"] if layout else field.type.to_pandas_dtype()
                    ).name,
                    "shape": layout["shape"] if layout else [],
                }
        return found

    def read(self, names: Iterable[str], groups: list[int] | None = None) -> dict[str, Array]:
        """Reads columns.

        Args:
            names: which.
            groups: of which row groups; all of them when not given.

        Returns:
            (n_rows, ...) arrays; the last row of a whole file is no step.
        """
        names = list(names)
        missing = sorted(set(names) - set(self.names))
        if missing:
            raise ValueError(f"{self.path} has no column {missing[0]!r}; it has {self.names}")
        try:
            if groups is None:
                table = self._file.read(names, use_threads=False)
            else:
                table = self._file.read_row_groups(groups, names, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self.path, error) from error
        return {name: self._array(name, table.column(name)) for name in names}

    def _array(self, name: str, column: pa.ChunkedArray) -> Array:
        layout = self.header["arrays"].get(name)
        parts = []
        for chunk in column.chunks:
            if layout is None:
                parts.append(_numbers(chunk))
            else:
                shape, dtype = layout["shape"], np.dtype(layout["dtype"])
                size = int(np.prod(shape)) * dtype.itemsize
                data = memoryview(chunk.buffers()[1])[chunk.offset * size :][: len(chunk) * size]
                parts.append(np.frombuffer(data, dtype).reshape(len(chunk), *shape))
        if not parts:
            return np.zeros(0)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def records(self, prefix: str, dtype: np.dtype[np.void], columns: dict[str, Array]) -> Records:
        """Puts `prefix.field` columns together into one record array."""
        fields = dtype.names or ()
        records = np.zeros(len(columns[f"{prefix}.{fields[0]}"]), dtype)
        for field in fields:
            records[field] = columns[f"{prefix}.{field}"]
        return records

    def width(self, name: str) -> int:
        """Returns how many slots one of `AROUND` has, 0 where nobody was there."""
        layout = self.header["arrays"].get(name)
        return int(layout["shape"][0]) // AROUND[name].itemsize if layout else 0

    def around(self, name: str, columns: dict[str, Array]) -> Array:
        """Returns one of `AROUND` as far as columns were read, (N, `width`)."""
        if name not in columns:
            return np.zeros((len(columns["asked"]), 0), AROUND[name])
        return np.ascontiguousarray(columns[name]).view(AROUND[name])

    def spec(self, route: Route | None = None) -> EpisodeSpec:
        """Returns what the episode came from; `route` saves unpacking it again."""
        packed = self.header["spec"]
        return EpisodeSpec(
            route=route or _unpack_route(packed["route"]),
            seed=packed["seed"],
            max_steps=packed["max_steps"],
            start=Start(**packed["start"]),
            traffic=_unpack_traffic(packed["traffic"]),
        )

    def load(self, route: Route | None = None) -> Episode:
        """Reads the whole episode."""
        columns = self.read(self.names)
        n_steps = self.header["n_steps"]
        states = {name: self.records(name, dtype, columns) for name, dtype in _STATES.items()}
        controls = {
            attribute: self.records(prefix, CONTROL, columns)[:n_steps]
            for prefix, attribute in _CONTROLS.items()
        }
        try:
            return Episode(
                spec=self.spec(route),
                observations=_with_prefix("observation.", columns),
                who=columns["who"][:n_steps].astype(np.uint8),
                asked=columns["asked"][:n_steps].astype(np.bool_),
                info={k: v[:n_steps] for k, v in _with_prefix("info.", columns).items()},
                outcome=Outcome[self.header["outcome"]],
                dt=self.header["dt"],
                slot=self.header["slot"],
                vehicles=self.around("vehicles", columns),
                walkers=self.around("walkers", columns),
                lights=self.around("lights", columns),
                **states,
                **controls,
            )
        except ValueError as error:
            raise _damaged(self.path, error) from error


def _numbers(chunk: pa.Array) -> Array:
    """Returns a chunk of numbers in its own dtype; nulls, if any, become zeros."""
    if chunk.null_count:
        chunk = chunk.fill_null(False if pa.types.is_boolean(chunk.type) else 0)
    return np.asarray(chunk.to_numpy(zero_copy_only=False))


def _with_prefix(prefix: str, columns: dict[str, Array]) -> dict[str, Array]:
    return {k[len(prefix) :]: v for k, v in columns.items() if k.startswith(prefix)}


def _damaged(path: Path, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())[:200]
    return ValueError(
        f"episode file {path} is damaged or no Parquet file ({reason}); delete it and record "
        "it again, or see `drive-il dataset verify` for all damaged files"
    )


def _pack_spec(spec: EpisodeSpec) -> dict[str, Any]:
    route = spec.route
    return {
        "seed": spec.seed,
        "max_steps": spec.max_steps,
        "start": asdict(spec.start),
        "traffic": asdict(spec.traffic),
        "route": {
            "id": route.id,
            "town": route.town,
            "n_points": len(route.points),
            "points": _pack(route.points),
            "keypoints": _pack(np.asarray(route.keypoints, np.float64).reshape(-1, 3)),
            "n_weathers": len(route.weathers),
            "weathers": _pack(route.weathers),
            "weather_at": _pack(np.asarray(route.weather_at, np.float64)),
            "stops": _pack(route.stops),
            "scenarios": [asdict(scenario) for scenario in route.scenarios],
        },
    }


def _unpack_route(packed: dict[str, Any]) -> Route:
    return Route(
        id=packed["id"],
        town=packed["town"],
        points=_unpack(packed["points"], ROUTE_POINT),
        keypoints=_unpack(packed["keypoints"], np.dtype("f8")).reshape(-1, 3),
        weathers=_unpack(packed["weathers"], WEATHER),
        weather_at=_unpack(packed["weather_at"], np.dtype("f8")),
        stops=_unpack(packed["stops"], ROUTE_STOP),
        scenarios=tuple(ScenarioSpec(**scenario) for scenario in packed["scenarios"]),
    )


def _unpack_traffic(packed: dict[str, Any]) -> Traffic:
    spawns = tuple(
        Spawn(**spawn | {"kind": ActorKind(spawn["kind"]), "mover": Mover(spawn["mover"])})
        for spawn in packed["spawns"]
    )
    return Traffic(**packed | {"spawns": spawns})


def _pack(values: Array) -> str:
    """Returns the exact bytes as text; first bytes first of all items, which deflates better."""
    raw = np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.dtype.itemsize)
    return base64.b64encode(zlib.compress(np.ascontiguousarray(raw.T).tobytes())).decode()


def _unpack(text: str, dtype: np.dtype[Any]) -> Array:
    raw = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    items = np.array(raw.reshape(dtype.itemsize, -1).T, order="C")  # a copy that can be written to
    return items.view(dtype).reshape(-1)
