"""How kernels are compiled, cached and run on all cores.

Numba's file cache does not notice a changed callee in another file and silently keeps
the old result. Each kernel is therefore cached in a folder named by the hash of its own
source file and of every file of this project that it imports, directly or not, plus numba
and numpy version and CPU; two copies of the project on one machine share it. Kernels have
one explicit signature each, release the GIL and work on a range of rows; `run` calls them
from one small shared thread pool (numba's own threads kill forked children or abort under
concurrent callers).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar, cast

import numba
import numpy as np

from drive_il.folders import cache_folder
from drive_il.kernel_parts import assembling, part

_IMPORT = re.compile(
    r"^[ \t]*from[ \t]+(drive_il[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE
)
_KEEP = 30 * 24 * 3600.0  # [s] compiled kernels that nobody used for so long are removed
_SCALAR: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_lock = threading.RLock()
F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")
NumbaType: TypeAlias = Any
"""A type or signature as numba writes it."""


def kernel_cache(source: Path) -> Path:
    """Returns the folder for the compiled kernels of one source file, for this machine."""
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {_cpu_name()}".encode())
    for path in sorted(_closure(source.resolve()) | {Path(__file__).resolve()}):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return cache_folder() / "kernels" / digest.hexdigest()[:16]


def _closure(source: Path) -> set[Path]:
    """The file itself and every file of this project it imports, directly or not."""
    found = {source}
    waiting = [source]
    while waiting:
        for path in _imported(waiting.pop()):
            if path not in found:
                found.add(path)
                waiting.append(path)
    return found


@cache
def _imported(source: Path) -> frozenset[Path]:
    folder = Path(__file__).resolve().parent
    found = set()
    for module, names in _IMPORT.findall(source.read_text(encoding="utf-8")):
        base = folder.joinpath(*module.split(".")[1:])
        for name in filter(None, re.split(r"[\s,()]+", names)):
            # A module of a package, else something that the module or package itself defines:
            # what else a package's __init__ imports decides nothing here.
            for path in (
                (base / name).with_suffix(".py"),
                base / name / "__init__.py",
                base.with_suffix(".py"),
                base / "__init__.py",
            ):
                if path.is_file():
                    found.add(path)
                    break
    return frozenset(found)


@cache
def _cpu_name() -> str:
    import llvmlite.binding as llvm  # type: ignore[import-untyped]

    return f"{llvm.get_host_cpu_name()} {sys.platform}"


def record(dtype: np.dtype[np.void]) -> NumbaType:
    """Returns the numba type of a record dtype, for a kernel's signature."""
    return numba.from_dtype(dtype)


def device(function: F) -> F:
    """Marks a scalar function that kernels call; nothing is counted.

    Numba counts references to arrays at every call, which costs tens of nanoseconds. Such
    a function does not count, and in return may not make, return or keep an array.
    """
    return cast(F, part(function, **_SCALAR, inline="never", _nrt=False))


def inner(function: F) -> F:
    """Marks a scalar function for inner loops: as `device`, and always inlined."""
    return cast(F, part(function, **_SCALAR, forceinline=True, _nrt=False))


def maker(function: F) -> F:
    """Marks a scalar function that makes arrays, for itself or its caller: they are counted."""
    return cast(F, part(function, **_SCALAR, inline="never"))


class Kernel(Generic[P, R]):
    """A compiled entry point: one explicit signature, compiled at its first call."""

    def __init__(
        self, function: Callable[P, R], signature: NumbaType, is_packed: bool = False
    ) -> None:
        self._function = function
        self._is_packed = is_packed
        self._signature = signature
        self._compiled: Callable[P, R] | None = None
        self._entry: Callable[P, R] | None = None
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.module = function.__module__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs it, compiling or loading it first when needed."""
        compiled = self._compiled or self.compile()
        return compiled(*args, **kwargs)

    def compile(self) -> Callable[P, R]:
        """Loads the compiled code from the cache, or compiles it."""
        with _lock:
            if self._compiled is None:
                folder = _open_cache(Path(self._function.__code__.co_filename))
                with _numba_configured(folder, self._is_packed), assembling():
                    self._compiled = numba.njit(
                        self._signature,
                        nogil=True,
                        cache=folder is not None,
                        error_model="numpy",
                    )(self._function)
            return self._compiled

    def is_kept(self) -> bool:
        """Returns whether the compiled code is in the cache."""
        folder = kernel_cache(Path(self._function.__code__.co_filename))
        return any(folder.glob(f"*.{self.__name__}-*.nbi"))

    def unchecked(self) -> Callable[P, R]:
        """Returns the compiled code, which takes its arguments for what the signature says.

        Numba looks at the type of each argument at each call: for tuples of arrays of records
        that takes longer than one world's step. Only for callers that have looked themselves:
        what is of another dtype, shape or layout ends the process, or worse.
        """
        if self._entry is None:
            dispatcher: Any = self.compile()
            [compiled] = dispatcher.overloads.values()
            self._entry = compiled.entry_point
        assert self._entry is not None
        return self._entry


_known: dict[str, Kernel[..., Any]] = {}


class FolderLocator:
    """Where numba keeps what it compiled: in the folder it is pointed at, as it is.

    Its own locator puts the path of the source file into the folder's name, so that a second
    copy of the project compiles everything again; here the folder's name already says all
    that decides the code. The interface is that of numba's cache locators.
    """

    def __init__(self, line: int, folder: str) -> None:
        self._line, self._folder = line, folder

    @classmethod
    def from_function(cls, function: Callable[..., Any], source: str) -> FolderLocator:
        """Returns the locator of a function."""
        folder: str = numba.config.CACHE_DIR  # type: ignore[attr-defined]
        return cls(function.__code__.co_firstlineno, folder)

    def ensure_cache_path(self) -> None:
        """Makes the folder where it is not."""
        os.makedirs(self._folder, exist_ok=True)

    def get_cache_path(self) -> str:
        """Returns the folder."""
        return self._folder

    def get_source_stamp(self) -> str:
        """Returns what changes with the source: nothing, the folder does."""
        return ""

    def get_disambiguator(self) -> str:
        """Returns what tells functions of one name in one file apart."""
        return str(self._line)


@contextmanager
def _numba_configured(folder: Path | None, is_packed: bool) -> Iterator[None]:
    """Sets numba's options for one compilation, and puts back whatever they were."""
    options: dict[str, Any] = {"SLP_VECTORIZE": int(is_packed)}
    if folder is not None:
        locator = f"{FolderLocator.__module__}.{FolderLocator.__name__}"
        options |= {"CACHE_DIR": str(folder), "CACHE_LOCATOR_CLASSES": locator}
    before = {name: getattr(numba.config, name) for name in options}
    try:
        for name, value in options.items():
            setattr(numba.config, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(numba.config, name, value)


def _open_cache(source: Path) -> Path | None:
    """Returns the cache folder of a source file, made and in use; None where there can be none."""
    if not source.is_file():  # typed into a prompt
        return None
    folder = kernel_cache(source)
    try:
        is_new = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        if is_new:
            _remove_old(folder.parent)
        if not any(folder.iterdir()):
            _say_once(
                "drive_il: compiling its kernels (once per machine and version, a minute or two; "
                "`drive-il warmup` does it ahead, on all cores) ..."
            )
    except OSError as error:
        _say_once(
            f"drive_il: cannot keep compiled kernels ({error}), so each start compiles them "
            "again; set DRIVE_IL_CACHE to a folder that can be written"
        )
        return None
    return folder


def _remove_old(parent: Path) -> None:
    for folder in parent.iterdir():
        if folder.is_dir() and time.time() - folder.stat().st_mtime > _KEEP:
            shutil.rmtree(folder, ignore_errors=True)


def kernel(
    signature: NumbaType, is_packed: bool = False
) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Makes a `Kernel` of a function.

    Args:
        signature: numba's, e.g. void(record(X)[::1], int64).
        is_packed: also pack what stands side by side outside of loops into vector
            instructions: the same bits, faster for some kernels and slower for others.
    """

    def make(function: Callable[P, R]) -> Kernel[P, R]:
        made = Kernel(function, signature, is_packed)
        _known[f"{made.module}.{made.__name__}"] = made
        return made

    return make


def known() -> list[Kernel[..., Any]]:
    """Returns the kernels of all modules that were imported so far."""
    return list(_known.values())


@cache
def _say_once(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def n_threads() -> int:
    """Threads that `run` uses: DRIVE_IL_THREADS, or the cores this process may use."""
    value = os.environ.get("DRIVE_IL_THREADS", "")
    if not value:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if not value.isdigit() or int(value) < 1:
        raise ValueError(f"DRIVE_IL_THREADS must be a whole number >= 1, got {value!r}")
    return int(value)


@cache
def _pool(pid: int, size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, thread_name_prefix="drive_il-kernel")


def run(
    function: Kernel[..., None],
    n_rows: int,
    *args: object,
    min_rows: int = 16,
    checked: bool = False,
) -> None:
    """Calls `function(first, last, *args)` over [0, n_rows), split over the thread pool.

    The result cannot depend on the split: a kernel treats each row on its own.

    Args:
        function: a kernel whose first two arguments are a range of rows.
        n_rows: rows in all.
        args: the rest of its arguments.
        min_rows: below this many rows per thread the call stays on this thread.
        checked: the caller knows all arguments to be as the signature says, see
            `Kernel.unchecked`.
    """
    call = function.unchecked() if checked else function
    parts = n_rows // min_rows
    if parts > 1:
        parts = min(parts, n_threads())
    if parts <= 1:
        call(0, n_rows, *args)
        return
    bounds = [n_rows * part // parts for part in range(parts + 1)]
    function.compile()
    pool = _pool(os.getpid(), n_threads())
    futures = [
        pool.submit(call, low, high, *args)
        for low, high in zip(bounds[1:-1], bounds[2:], strict=True)
    ]
    call(bounds[0], bounds[1], *args)  # this thread works too
    for future in futures:
        future.result()
