"""Resumable jobs: what exists is finished, and what is said about them is true."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from drive_il.experiments.jobs import Job, run
from drive_il.experiments.narration import Narrator

Report = Callable[[float, str], None]


def boast(folder: Path, inputs: dict[str, Path], report: Report, **_: Any) -> None:
    """Says that it is finished after each of three rounds."""
    for i in range(3):
        for share in (0.5, 1.0):
            report(share, f"round {i}")
            time.sleep(0.25)
    (folder / "made").write_text(str(len(inputs)))


def dawdle(folder: Path, inputs: dict[str, Path], report: Report, **_: Any) -> None:
    """Works for a minute without a word."""
    (folder.parent / "pid").write_text(str(os.getpid()))
    time.sleep(60.0)


def jobs(target: str, n: int = 2) -> Sequence[Job]:
    return [Job(f"job/{i}", f"job {i}", f"tests.test_jobs:{target}") for i in range(n)]


@pytest.mark.parametrize("n_workers", [0, -3])
def test_jobs_need_a_process(tmp_path: Path, n_workers: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1 process, got {n_workers}"):
        run(jobs("boast"), tmp_path, "code", n_workers, Narrator(Console(), 1))


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_job_is_said_to_be_done_once_and_at_its_end(tmp_path: Path, n_workers: int) -> None:
    console = Console(file=io.StringIO(), width=100)
    with Narrator(console, n_workers) as narrator:
        folders = run(jobs("boast"), tmp_path, "code", n_workers, narrator)
    assert all((folder / "made").exists() for folder in folders.values())
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count("done job 0") == said.count("done job 1") == 1


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_workers_of_a_killed_run_end_too(tmp_path: Path) -> None:
    code = (
        "import io\n"
        "from pathlib import Path\n"
        "from rich.console import Console\n"
        "from drive_il.experiments.jobs import run\n"
        "from drive_il.experiments.narration import Narrator\n"
        "from tests.test_jobs import jobs\n"
        "if __name__ == '__main__':\n"
        f"    run(jobs('dawdle'), Path({str(tmp_path)!r}), '', 2, "
        "Narrator(Console(file=io.StringIO()), 2))\n"
    )
    root = Path(__file__).parents[1]
    script = tmp_path / "parent.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(root)}
    parent = subprocess.Popen([sys.executable, str(script)], cwd=root, env=environment)
    written = tmp_path / "pid"
    assert _soon(lambda: written.exists() and bool(written.read_text()), 120.0)
    worker = int(written.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _soon(lambda: not _alive(worker), 30.0)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _soon(happens: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happens():
            return True
        time.sleep(0.05)
    return happens()
