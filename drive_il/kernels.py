"""How kernels are compiled, cached and run on all cores.

Numba's file cache does not notice a changed callee in another file and silently keeps
the old result. The cache therefore lives in a folder named by the hash of every kernel
source plus numba version and CPU. Kernels have one explicit signature each, release the
GIL and work on a range of rows; `run` calls them from one small shared thread pool
(numba's own threads kill forked children or abort under concurrent callers).
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
import platformdirs

_MARKER = "from drive_il import kernels"
_lock = threading.RLock()
F = TypeVar("F", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Where this project keeps what can be made again: compiled kernels, ground rasters."""
    override = os.environ.get("DRIVE_IL_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("drive_il"))


@cache
def _kernel_cache() -> Path:
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {_cpu_name()}".encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        text = source.read_text(encoding="utf-8")
        if source == Path(__file__) or _MARKER in text or source.name == "datatypes.py":
            digest.update(str(source.relative_to(Path(__file__).parent)).encode())
            digest.update(text.encode())
    return cache_folder() / "kernels" / digest.hexdigest()[:16]


def _cpu_name() -> str:
    import llvmlite.binding as llvm

    return f"{llvm.get_host_cpu_name()} {sys.platform}"


def record(dtype: np.dtype[np.void]) -> Any:
    """Returns the numba type of a record dtype, for a kernel's signature."""
    return numba.from_dtype(dtype)


def device(function: F) -> F:
    """Marks a scalar function that kernels call; compiled into its callers."""
    return numba.njit(nogil=True, error_model="numpy", inline="never")(function)


class Kernel:
    """A compiled entry point: one explicit signature, compiled at its first call."""

    def __init__(self, function: Callable[..., Any], signature: Any) -> None:
        self._function = function
        self._signature = signature
        self._compiled: Callable[..., Any] | None = None
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __call__(self, *args: Any) -> Any:
        """Runs it, compiling or loading it first when needed."""
        compiled = self._compiled or self.compile()
        return compiled(*args)

    def compile(self) -> Callable[..., Any]:
        """Loads the compiled code from the cache, or compiles it."""
        with _lock:
            if self._compiled is None:
                folder = _kernel_cache()
                folder.mkdir(parents=True, exist_ok=True)
                numba.config.CACHE_DIR = str(folder)
                _say_once(folder)
                self._compiled = numba.njit(
                    self._signature, nogil=True, cache=True, error_model="numpy"
                )(self._function)
            return self._compiled


def kernel(signature: Any) -> Callable[[Callable[..., Any]], Kernel]:
    """Makes a `Kernel` of a function; `signature` is numba's, e.g. void(record(X)[::1], int64)."""
    return lambda function: Kernel(function, signature)


@cache
def _say_once(folder: Path) -> None:
    if not any(folder.iterdir()):
        print(
            "drive_il: compiling its kernels (once per machine and version, under a minute) ...",
            file=sys.stderr,
            flush=True,
        )


def n_threads() -> int:
    """Threads that `run` uses: DRIVE_IL_THREADS, or the cores this process may use."""
    value = os.environ.get("DRIVE_IL_THREADS", "")
    if not value:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not value.isdigit() or int(value) < 1:
        raise ValueError(f"DRIVE_IL_THREADS must be a whole number >= 1, got {value!r}")
    return int(value)


@cache
def _pool(pid: int, size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, thread_name_prefix="drive_il-kernel")


def run(function: Kernel, n_rows: int, *args: Any, min_rows: int = 16) -> None:
    """Calls `function(first, last, *args)` over [0, n_rows), split over the thread pool.

    The result cannot depend on the split: a kernel treats each row on its own.

    Args:
        function: a kernel whose first two arguments are a range of rows.
        n_rows: rows in all.
        args: the rest of its arguments.
        min_rows: below this many rows per thread the call stays on this thread.
    """
    parts = min(n_threads(), n_rows // min_rows)
    if parts <= 1:
        function(0, n_rows, *args)
        return
    bounds = [n_rows * part // parts for part in range(parts + 1)]
    function.compile()
    pool = _pool(os.getpid(), n_threads())
    futures = [
        pool.submit(function, low, high, *args)
        for low, high in zip(bounds[1:-1], bounds[2:], strict=True)
    ]
    function(bounds[0], bounds[1], *args)  # this thread works too
    for future in futures:
        future.result()
