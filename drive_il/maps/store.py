"""Road networks on disk: small, exact, written whole.

Positions are multiples of 0.1 mm and angles of 1e-6 rad (the import rounds to them), so
they are kept as integers; along a lane their second differences are mostly tiny, and
compress to about two bytes a point. Loading gives the very bits that were saved.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.datatypes import Array, Records
from drive_il.folders import write_whole
from drive_il.maps.network import (
    CONFLICT,
    LANE,
    LANE_POINT,
    SIGNAL,
    STOP_LINE,
    RoadNetwork,
    build_grid,
)

FORMAT = 1
_ANGULAR = ("heading", "curvature")
_RECORDS = {
    "lanes": LANE,
    "points": LANE_POINT,
    "conflicts": CONFLICT,
    "signals": SIGNAL,
    "stop_lines": STOP_LINE,
}
_PLAIN = ("successors", "predecessors", "crosswalks", "crosswalk_first")


def scale_of(field: str) -> float:
    """Steps per unit to which a float field is rounded: 1e6 for angles, 1e4 for the rest."""
    return 1e6 if field in _ANGULAR else 1e4


def save(network: RoadNetwork, path: Path) -> None:
    """Writes a network; the same network gives the same bytes."""
    header = {
        "format": FORMAT,
        "name": network.name,
        "hash": network.hash,
        "geo_reference": network.geo_reference,
    }
    parts: dict[str, Array] = {}
    for name, dtype in _RECORDS.items():
        records = getattr(network, name)
        for field in dtype.names or ():
            parts[f"{name}.{field}"] = _pack(records[field], field)
    for name in _PLAIN:
        parts[name] = _pack(getattr(network, name), name)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        _put(archive, "header.json", json.dumps(header).encode())
        for name, array in parts.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, array, allow_pickle=False)
            _put(archive, f"{name}.npy", data.getvalue())
    write_whole(path, buffer.getvalue())


def load(path: Path) -> RoadNetwork:
    """Reads a network; its arrays are read-only.

    Raises:
        ValueError: the file is missing, damaged, or of another format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("header.json"))
            if header["format"] != FORMAT:
                raise ValueError(f"has format {header['format']}, expected {FORMAT}")
            records = {name: _records(archive, name, _RECORDS[name]) for name in _RECORDS}
            plain = {name: _unpack(_get(archive, name), name) for name in _PLAIN}
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no whole road network: {error}; make it again") from None
    for array in (*records.values(), *plain.values()):
        array.flags.writeable = False
    latitude, longitude = header["geo_reference"]
    return RoadNetwork(
        name=header["name"],
        hash=header["hash"],
        lanes=records["lanes"],
        points=records["points"],
        successors=plain["successors"],
        predecessors=plain["predecessors"],
        conflicts=records["conflicts"],
        signals=records["signals"],
        stop_lines=records["stop_lines"],
        crosswalks=plain["crosswalks"],
        crosswalk_first=plain["crosswalk_first"],
        geo_reference=(latitude, longitude),
        grid=build_grid(records["lanes"], records["points"]),
    )


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A fixed date: the same network is the same file.
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_LZMA)


def _get(archive: zipfile.ZipFile, name: str) -> Array:
    array: Array = np.lib.format.read_array(
        io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False
    )
    return array


def _records(archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any]) -> Records:
    columns = {
        field: _unpack(_get(archive, f"{name}.{field}"), field) for field in dtype.names or ()
    }
    records = np.zeros(len(next(iter(columns.values()))), dtype)
    for field, column in columns.items():
        records[field] = column
    return records


def _pack(array: Array, field: str) -> Array:
    if array.dtype != np.float64:
        return np.ascontiguousarray(array)
    steps = np.round(array * scale_of(field)).astype(np.int64)
    if steps.size == 0:
        return steps.reshape(array.shape)
    twice = np.diff(steps, n=2, axis=0, prepend=np.zeros((2, *steps.shape[1:]), np.int64))
    small = np.abs(twice).max() < 2**31
    return twice.astype(np.int32) if small else twice


def _unpack(array: Array, field: str) -> Array:
    # Only packed float columns are int32 or int64 where the field holds floats; the plain
    # integer columns pass through unchanged.
    if field in _INTEGER or array.dtype.kind not in "i":
        return array
    steps = np.cumsum(np.cumsum(array.astype(np.int64), axis=0), axis=0)
    values: Array = steps / scale_of(field)
    return values


_INTEGER = {
    field
    for dtype in _RECORDS.values()
    for field in dtype.names or ()
    if dtype[field] != np.float64
} | {"successors", "predecessors", "crosswalk_first"}
