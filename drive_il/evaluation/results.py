"""Result files: JSON that says where its numbers come from."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import drive_il
from drive_il.folders import write_whole

_LIBRARIES = ("numpy", "numba", "llvmlite", "torch", "torchvision", "scipy", "pyarrow", "carla")


def provenance(seed: int, config: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Returns what decided a result: seed, config, commit, versions, machine.

    Args:
        seed: of the run.
        config: a dataclass or mapping.
    """
    return {
        "seed": seed,
        "config": plain(config),
        "commit": commit(),
        "versions": versions(),
        "machine": machine(),
    }


def commit() -> str | None:
    """Returns the git commit of a source checkout, "+" when changed since; else None.

    Entries of the leaderboard decide nothing, and are written by what asks here.
    """
    root = Path(drive_il.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = ("status", "--porcelain", "--untracked-files=no", "--", ".", ":!leaderboard/entries")
    return head + ("+" if _git(root, *changed) else "")


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """Returns the versions of this project, Python and the libraries that decide results."""
    found = {"drive_il": drive_il.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Returns the system, the processor and how many threads kernels use."""
    from drive_il import kernels  # loaded when needed: numba takes a second

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": kernels.n_threads(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def plain(value: Any) -> Any:  # noqa: ANN401 - anything that JSON can hold, and more
    """Returns the value in JSON's own types; numbers that are not finite become None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value


def write_json(value: Any, path: Path | str) -> None:  # noqa: ANN401 - see `plain`
    """Writes a result file, to a temporary name first.

    Args:
        value: see `plain`.
        path: the file; its folder is made.
    """
    text = json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False)
    write_whole(Path(path), f"{text}\n".encode())
