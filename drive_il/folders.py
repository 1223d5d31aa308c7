"""Where things are kept outside the checkout, and how files are written whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """What can be made again: compiled kernels, ground rasters, imported maps' arrays."""
    override = os.environ.get("DRIVE_IL_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("drive_il"))


def data_folder() -> Path:
    """What belongs to the user: maps of his own."""
    override = os.environ.get("DRIVE_IL_DATA")
    return Path(override) if override else Path(platformdirs.user_data_dir("drive_il"))


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that it is never seen half-written, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_whole(path: Path) -> Iterator[Path]:
    """Gives a folder to fill, which becomes `path` when the context is left; never half of it.

    After an error nothing is left; a killed process leaves a hidden folder beside `path`.

    Raises:
        ValueError: `path` is there already.
    """
    if path.exists():
        raise ValueError(f"{path} exists; give a folder that does not, or delete it first")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
