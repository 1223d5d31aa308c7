"""Where things are kept outside the checkout, and how files are written whole."""

from __future__ import annotations

import os
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
