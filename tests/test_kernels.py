"""Kernels: right from any thread, process and cache, whatever was compiled before."""

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import types as nt
from numba.core.codegen import JITCodeLibrary
from numba.core.registry import cpu_target
from numba.core.types.functions import BaseFunction

from drive_il import kernels
from drive_il.datatypes import Floats


@kernels.device
def _squared(x: float) -> float:
    return x * x


@kernels.kernel(nt.void(nt.int64, nt.int64, nt.float64[::1], nt.float64[::1]))
def _square_rows(first_row: int, last_row: int, x: Floats, result: Floats) -> None:
    for row in range(first_row, last_row):
        result[row] += _squared(x[row])


def squares(n: int) -> Floats:
    result = np.zeros(n)
    kernels.run(_square_rows, n, np.arange(n, dtype=np.float64), result)
    return result


@pytest.mark.parametrize("n", [5, 200])
def test_what_has_been_checked_already_gives_the_same(n: int) -> None:
    x, result = np.arange(n, dtype=np.float64), np.zeros(n)
    kernels.run(_square_rows, n, x, result, checked=True)
    np.testing.assert_array_equal(result, squares(n))


def run_python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of the same name with one kernel, its callee and a constant, each in a file."""
    folder = tmp_path / "drive_il"
    folder.mkdir()
    for source in kernels._closure(Path(kernels.__file__)):  # what it needs itself
        shutil.copy(source, folder)
    (folder / "__init__.py").write_text("")
    (folder / "constant.py").write_text("FACTOR = 10.0\n")
    (folder / "callee.py").write_text(
        "from drive_il import (\n    kernels,\n)\nfrom drive_il.constant import FACTOR\n\n"
        "@kernels.device\ndef scaled(x):\n    return FACTOR * x\n"
    )
    (folder / "entry.py").write_text(
        "from numba import types as nt\nfrom drive_il import kernels\n"
        "from drive_il.callee import scaled\n\n"
        "@kernels.kernel(nt.float64(nt.float64))\ndef answer(x):\n    return scaled(x)\n"
    )
    return tmp_path


@pytest.mark.parametrize("n", [0, 1, 15, 16, 33, 1000, 4097])
@pytest.mark.parametrize("threads", ["1", "2", "3", "8"])
def test_every_row_is_done_exactly_once(
    n: int, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", threads)
    assert (squares(n) == np.arange(n) ** 2.0).all()


def test_many_threads_may_call_at_once_and_before_anything_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "2")
    fresh = kernels.Kernel(_square_rows._function, _square_rows._signature)
    start = threading.Barrier(8)

    def work(_: int) -> bool:
        start.wait()
        results = []
        for _ in range(50):
            result = np.zeros(500)
            kernels.run(fresh, 500, np.arange(500.0), result)
            results.append((result == np.arange(500) ** 2.0).all())
        return all(results)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_a_spawned_process_may_call_them() -> None:
    squares(1000)  # the parent's pool is alive
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for result in pool.map(squares, [100, 1000]):
            assert (result == np.arange(len(result)) ** 2.0).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_even_a_forked_child_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", "2")
    squares(1000)
    child = os.fork()
    if child == 0:
        os._exit(0 if (squares(1000) == np.arange(1000) ** 2.0).all() else 1)
    until = time.monotonic() + 30.0
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    pytest.fail("the child hung")


def test_a_changed_callee_or_constant_in_another_file_is_noticed(package: Path) -> None:
    def answer() -> tuple[float, str]:
        code = "from drive_il.entry import answer; print(answer(2.0))"
        done = run_python(code, package, DRIVE_IL_CACHE=str(package / "cache"))
        return float(done.stdout), done.stderr

    value, message = answer()
    assert value == 20.0
    assert "compiling its kernels" in message
    assert answer() == (20.0, "")  # from the cache, without a word
    (package / "drive_il" / "constant.py").write_text("FACTOR = 30.0\n")
    assert answer()[0] == 60.0
    callee = package / "drive_il" / "callee.py"
    callee.write_text(callee.read_text().replace("FACTOR * x", "FACTOR + x"))
    assert answer()[0] == 32.0


def test_a_second_copy_of_the_project_compiles_nothing(package: Path, tmp_path: Path) -> None:
    code = "from drive_il.entry import answer; print(answer(2.0))"
    cache = str(tmp_path / "cache")
    assert "compiling" in run_python(code, package, DRIVE_IL_CACHE=cache).stderr
    kept = sorted(path for path in Path(cache).rglob("*") if path.is_file())
    copy = tmp_path / "copy"
    shutil.copytree(package / "drive_il", copy / "drive_il")
    done = run_python(code, copy, DRIVE_IL_CACHE=cache)
    assert (float(done.stdout), done.stderr) == (20.0, "")
    assert sorted(path for path in Path(cache).rglob("*") if path.is_file()) == kept


def test_numba_is_left_as_it_was() -> None:
    options = ("CACHE_DIR", "CACHE_LOCATOR_CLASSES", "SLP_VECTORIZE")
    before = [getattr(numba.config, name) for name in options]
    squares(3)
    kernels.Kernel(_square_rows._function, _square_rows._signature, is_packed=True).compile()
    assert [getattr(numba.config, name) for name in options] == before
    assert cpu_target.target_context.codegen()._library_class is JITCodeLibrary
    assert "get_executable" not in vars(cpu_target.target_context)
    assert BaseFunction.get_call_type.__module__ == BaseFunction.__module__


@kernels.device
def _fourth(x: float) -> float:
    return _squared(_squared(x))


def test_a_part_of_a_kernel_can_be_called_from_anywhere(tmp_path: Path) -> None:
    """Before it was compiled for a kernel and after, from Python and from a user's own code."""

    def fill(first: int, last: int, result: Floats) -> None:
        for row in range(first, last):
            result[row] = _fourth(float(row))

    result = np.zeros(4)
    assert _squared(5) == 25  # of a type that no kernel gives it
    kernels.Kernel(fill, nt.void(nt.int64, nt.int64, nt.float64[::1])).compile()(0, 4, result)
    assert result.tolist() == [0.0, 1.0, 16.0, 81.0]
    assert _fourth(3.0) == 81.0
    assert numba.njit(lambda x: _fourth(x) + _squared(x))(2.0) == 20.0


def test_only_a_kernel_is_optimised_and_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    finished = []
    finalize = JITCodeLibrary._finalize_specific

    def note(library: JITCodeLibrary) -> None:
        finished.append(library.name)
        finalize(library)

    monkeypatch.setattr(JITCodeLibrary, "_finalize_specific", note)

    @kernels.device
    def one_more(x: float) -> float:
        return x + 1.0

    @kernels.device
    def two_more(x: float) -> float:
        return one_more(one_more(x))

    def answer(x: float) -> float:
        return two_more(x)

    assert kernels.Kernel(answer, nt.float64(nt.float64))(40.0) == 42.0
    assert len(finished) == 1
    assert finished[0].endswith("answer")


def test_a_file_that_no_kernel_imports_leaves_the_cache_alone(package: Path) -> None:
    code = (
        "from pathlib import Path; from drive_il import kernels;"
        "print(kernels.kernel_cache(Path('drive_il/entry.py')).name)"
    )
    before = run_python(code, package).stdout
    (package / "drive_il" / "page.py").write_text("from drive_il import kernels\n")
    assert run_python(code, package).stdout == before
    (package / "drive_il" / "constant.py").write_text("FACTOR = 1.0\n")
    assert run_python(code, package).stdout != before


def test_of_a_package_only_the_modules_that_are_named_count(package: Path) -> None:
    room = package / "drive_il" / "room"
    room.mkdir()
    (package / "drive_il" / "page.py").write_text("PAGE = 1.0\n")
    (room / "__init__.py").write_text("from drive_il.page import PAGE\nLIMIT = 2.0\n")
    (room / "depth.py").write_text("DEPTH = 1.0\n")
    entry = package / "drive_il" / "entry.py"
    code = (
        "from pathlib import Path; from drive_il import kernels;"
        "found = kernels._closure(Path('drive_il/entry.py').resolve());"
        "print(*('/'.join(path.parts[-2:]) for path in found))"
    )
    without = entry.read_text()
    for line, comes, stays in [
        ("from drive_il.room import depth", {"room/depth.py"}, {"room/__init__.py"}),
        ("from drive_il.room import LIMIT", {"room/__init__.py", "drive_il/page.py"}, set()),
    ]:
        entry.write_text(f"{line}\n{without}")
        found = set(run_python(code, package).stdout.split())
        assert comes <= found
        assert not stays & found


def test_without_a_folder_to_write_kernels_still_run_and_say_so(package: Path) -> None:
    code = "from drive_il.entry import answer; print(answer(2.0))"
    done = run_python(code, package, DRIVE_IL_CACHE="/dev/null/nowhere")
    assert float(done.stdout) == 20.0
    assert "cannot keep compiled kernels" in done.stderr
    assert "set DRIVE_IL_CACHE" in done.stderr


def test_kernels_nobody_used_for_a_month_are_removed(tmp_path: Path) -> None:
    for name, days in (("old", 31), ("recent", 29)):
        (tmp_path / name / "deeper").mkdir(parents=True)
        then = time.time() - days * 24 * 3600
        os.utime(tmp_path / name, (then, then))
    kernels._remove_old(tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == ["recent"]


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_bad_thread_count_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVE_IL_THREADS", value)
    with pytest.raises(
        ValueError, match=f"DRIVE_IL_THREADS must be a whole number >= 1, got '{value}'"
    ):
        kernels.n_threads()
