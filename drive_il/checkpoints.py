"""Where long training goes on after an interruption: one file, whole or absent."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from drive_il.folders import write_whole


def fingerprint(*facts: object) -> str:
    """Names a run by what decides it; a checkpoint of another one must not be gone on with."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def write(path: Path, run: str, content: Mapping[str, Any]) -> None:
    """Writes everything that the next step of a run needs.

    Args:
        path: the file, replaced.
        run: `fingerprint` of the run.
        content: tensors, numbers, text, and lists and dicts of them.
    """
    buffer = io.BytesIO()
    torch.save({"run": run, **content}, buffer)
    write_whole(path, buffer.getvalue())


def read(path: Path, run: str, device: torch.device | None = None) -> dict[str, Any]:
    """Reads what `write` has written.

    Raises:
        ValueError: the file cannot be read, or belongs to another run.
    """
    try:
        content: dict[str, Any] = torch.load(path, device or "cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ValueError(
            f"checkpoint {path} cannot be read ({error}); delete it to start over"
        ) from error
    if content.pop("run", None) != run:
        raise ValueError(
            f"checkpoint {path} belongs to a run with another config, seed, network or "
            "amount of data; delete it to start over"
        )
    return content
