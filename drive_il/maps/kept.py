"""What is made from a map once and kept in the cache folder."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from drive_il import kernels
from drive_il.datatypes import Array
from drive_il.folders import cache_folder, write_whole
from drive_il.maps.network import RoadNetwork


def kept(
    kind: str, network: RoadNetwork, source: str, build: Callable[[], Mapping[str, Array]]
) -> dict[str, Array]:
    """Returns arrays made from a map: from the cache folder, or built now and put there.

    They are built anew when the map's arrays have changed, or the source that makes them or
    any file of this project that it imports.

    Args:
        kind: of the arrays; names their folder.
        network: the map.
        source: `__file__` of the module that makes them.
        build: makes them.
    """
    made_by = kernels.kernel_cache(Path(source)).name
    path = cache_folder() / kind / f"{made_by}-{_content(network)}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, KeyError, EOFError):  # not there, or cut short by a full disk
        arrays = dict(build())
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        write_whole(path, content.getvalue())
        return arrays


@lru_cache(maxsize=8)
def _content(network: RoadNetwork) -> str:
    """A name for all that a map holds; made-up maps may share the hash of their text."""
    digest = hashlib.sha256(network.hash.encode())
    for array in (
        network.lanes,
        network.points,
        network.successors,
        network.predecessors,
        network.conflicts,
        network.signals,
        network.stop_lines,
        network.crosswalks,
        network.crosswalk_first,
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]
