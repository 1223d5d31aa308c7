"""Resumable work: named jobs that need each other, run by a few processes.

Each job writes one folder. It is written under a temporary name and renamed when it is
whole, and its final name holds a key: the hash of everything that decides the job, of the
jobs it needs and of the code behind it. What exists is therefore finished and up to date,
and an interrupted run goes on with what is missing.

Results do not depend on the number of processes: every job computes on one thread.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

Report = Callable[[float, str], None]
"""(share done in [0, 1], what is going on)"""


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes:
        name: unique, also the beginning of its folder's name.
        title: what a person reads.
        target: module:function, called with (folder, inputs, report, **arguments), where
            inputs are the folders of the jobs it needs, by name.
        arguments: plain values.
        needs: names of jobs that come first.
        weight: expected duration on one core [s].
    """

    name: str
    title: str
    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    weight: float = 1.0


class Watcher(Protocol):
    """Is told how jobs get on."""

    def begin(self, jobs: Sequence[Job], n_finished: int) -> None:
        """Hears what is to be done; n_finished more were found finished."""
        ...

    def update(self, job: Job, share: float, note: str) -> None:
        """Hears how far a job is; 1 is finished."""
        ...


def keys(jobs: Sequence[Job], code: str) -> dict[str, str]:
    """Returns the key of each job.

    Args:
        jobs: those that are needed stand before those that need them.
        code: hash of the code behind them.
    """
    found: dict[str, str] = {}
    for job in jobs:
        facts = asdict(job) | {"needs": [found[name] for name in job.needs], "code": code}
        del facts["title"], facts["weight"]
        text = json.dumps(facts, sort_keys=True, default=str)
        found[job.name] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return found


def hash_of_code(folder: Path, leave_out: Sequence[str]) -> str:
    """Returns the hash of all Python files below a folder, some parts left out."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if not name.startswith(tuple(leave_out)):
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def run(
    jobs: Sequence[Job], folder: Path, code: str, n_workers: int, watcher: Watcher
) -> dict[str, Path]:
    """Runs what is missing and returns each job's folder.

    Args:
        jobs: those that are needed stand before those that need them.
        folder: of all results.
        code: hash of the code behind the jobs.
        n_workers: processes; 1 works in this one.
        watcher: is told how it goes.

    Raises:
        ValueError: fewer than one process.
        RuntimeError: a job failed; the message ends with its traceback.
    """
    if n_workers < 1:
        raise ValueError(f"jobs need at least 1 process, got {n_workers}")
    key = keys(jobs, code)
    folders = {job.name: folder / f"{job.name.replace('/', '-')}-{key[job.name]}" for job in jobs}
    missing = [job for job in jobs if not folders[job.name].is_dir()]
    watcher.begin(missing, len(jobs) - len(missing))
    folder.mkdir(parents=True, exist_ok=True)
    if n_workers == 1 or len(missing) == 1:
        for job in missing:
            _do(job, folders, partial(_almost, watcher, job))
            watcher.update(job, 1.0, "")
    elif missing:
        _run_in_processes(missing, folders, min(n_workers, len(missing)), watcher)
    return folders


_ALMOST = 0.999
"""no job is finished before its folder is, whatever it says of itself"""


def _almost(watcher: Watcher, job: Job, share: float, note: str) -> None:
    watcher.update(job, min(share, _ALMOST), note)


def seconds(folder: Path) -> float:
    """Returns how long the job that wrote a folder took [s]."""
    return float(json.loads((folder / "job.json").read_text(encoding="utf-8"))["seconds"])


def _do(job: Job, folders: Mapping[str, Path], report: Report) -> None:
    """Runs one job; its folder is whole or absent."""
    start = time.monotonic()
    final = folders[job.name]
    temporary = final.with_name(f".{final.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    module, _, name = job.target.partition(":")
    function = getattr(importlib.import_module(module), name)
    report(0.0, "")
    function(temporary, {name: folders[name] for name in job.needs}, report, **job.arguments)
    facts = {"job": job.name, "arguments": job.arguments, "seconds": time.monotonic() - start}
    (temporary / "job.json").write_text(json.dumps(facts, indent=2, default=str), encoding="utf-8")
    temporary.replace(final)


def _end_with_parent() -> None:
    """A killed parent stops nobody: without it a worker would work on, beside the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _serve(connection: Connection) -> None:
    """What a worker process does: jobs, until the other end hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in ("DRIVE_IL_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    while True:
        try:
            job, folders = connection.recv()
        except EOFError:
            return
        last = [0.0]

        def report(share: float, note: str, last: list[float] = last) -> None:
            if time.monotonic() - last[0] > 0.2:
                last[0] = time.monotonic()
                connection.send(("at", min(share, _ALMOST), note))

        try:
            _do(job, folders, report)
            connection.send(("done", 1.0, ""))
        except Exception:
            connection.send(("failed", 0.0, traceback.format_exc()))


@dataclass
class _Worker:
    process: multiprocessing.process.BaseProcess
    connection: Connection
    job: Job | None = None


def _start_workers(n_workers: int) -> list[_Worker]:
    context = multiprocessing.get_context("spawn")
    workers = []
    for _ in range(n_workers):
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        workers.append(_Worker(process, ours))
    return workers


def _run_in_processes(
    missing: list[Job], folders: Mapping[str, Path], n_workers: int, watcher: Watcher
) -> None:
    waiting = list(missing)
    unfinished = {job.name for job in missing}
    workers = _start_workers(n_workers)
    try:
        while unfinished:
            for worker in workers:
                if worker.job is None:
                    _give(worker, waiting, unfinished, folders)
            busy = [worker for worker in workers if worker.job is not None]
            ready = wait([worker.connection for worker in busy])
            for worker in busy:
                if worker.connection in ready:
                    _hear(worker, unfinished, watcher)
    finally:
        for worker in workers:
            worker.process.terminate()
            worker.process.join()


def _give(
    worker: _Worker, waiting: list[Job], unfinished: set[str], folders: Mapping[str, Path]
) -> None:
    """Hands out the longest job whose needs are finished, if there is one."""
    ready = [job for job in waiting if not unfinished.intersection(job.needs)]
    if ready:
        worker.job = max(ready, key=lambda job: job.weight)
        waiting.remove(worker.job)
        worker.connection.send((worker.job, dict(folders)))


def _hear(worker: _Worker, unfinished: set[str], watcher: Watcher) -> None:
    job = worker.job
    assert job is not None
    try:
        kind, share, note = worker.connection.recv()
    except EOFError:
        raise RuntimeError(
            f"the process that worked on {job.title!r} died (out of memory?); finished parts "
            "are kept, run the same command again, perhaps with --workers 1"
        ) from None
    if kind == "failed":
        raise RuntimeError(f"{job.title} failed:\n{note}")
    if kind == "done":
        unfinished.remove(job.name)
        worker.job = None
    watcher.update(job, share, note)
