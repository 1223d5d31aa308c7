"""What a person sees while an experiment runs: what is going on, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from drive_il.experiments.jobs import Job

_LINE_EVERY = 20.0  # [s] between lines where no bars can be drawn


def clock(seconds: float) -> str:
    """Returns a duration as minutes and seconds."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


class Narrator:
    """Shows one bar over everything and one per running job; plain lines without a terminal.

    Args:
        console: where to.
        n_workers: jobs that run at a time.
    """

    def __init__(self, console: Console, n_workers: int) -> None:
        self.console = console
        self._n_workers = n_workers
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            transient=True,
        )
        self._shares: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._total: TaskID | None = None
        self._start = time.monotonic()
        self._last_line = 0.0

    def __enter__(self) -> Narrator:
        """Starts the display."""
        if self.console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the display."""
        if self.console.is_terminal:
            self._bars.stop()

    def say(self, text: str) -> None:
        """Prints a line above the bars."""
        self.console.print(text, highlight=False)

    def begin(self, jobs: Sequence[Job], n_finished: int) -> None:
        """Hears what is to be done."""
        self._start = time.monotonic()
        self._weights = {job.name: job.weight for job in jobs}
        self._shares = dict.fromkeys(self._weights, 0.0)
        if n_finished:
            self.say(f"{n_finished} of {n_finished + len(jobs)} steps are already done")
        if jobs:
            self._total = self._bars.add_task("[bold]all steps", total=1.0, note="")
            self.say(f"{len(jobs)} steps to do, about {clock(self.remaining())} min")

    def update(self, job: Job, share: float, note: str) -> None:
        """Hears how far a job is."""
        is_new = job.name not in self._tasks
        if is_new:
            self._tasks[job.name] = self._bars.add_task(job.title, total=1.0, note=note)
        self._shares[job.name] = share
        self._bars.update(self._tasks[job.name], completed=share, note=note)
        if share >= 1.0:
            self._bars.update(self._tasks[job.name], visible=False)
            self.say(f"[green]done[/] {job.title}")
        if self._total is not None:
            left = f"{clock(self.remaining())} left"
            self._bars.update(self._total, completed=self.share(), note=left)
        self._line(job, note, is_new)

    def share(self) -> float:
        """Returns the share of the work that is done."""
        whole = sum(self._weights.values())
        done = sum(self._weights[name] * share for name, share in self._shares.items())
        return done / whole if whole else 1.0

    def remaining(self) -> float:
        """Estimates the time left [s], from the weights at first, then from what was done."""
        whole = sum(self._weights.values())
        elapsed = time.monotonic() - self._start
        share = self.share()
        expected = whole / self._n_workers * (1.0 - share)
        if share < 0.01:
            return expected
        trust = min(1.0, share / 0.1)
        return (1 - trust) * expected + trust * elapsed * (1.0 - share) / share

    def _line(self, job: Job, note: str, is_new: bool) -> None:
        now = time.monotonic()
        if self.console.is_terminal or not (is_new or now - self._last_line > _LINE_EVERY):
            return
        self._last_line = now
        left = clock(self.remaining())
        at = f"{100 * self._shares[job.name]:.0f} % {note}".strip()
        self.say(rf"\[{100 * self.share():3.0f} %, {left} left] {job.title}: {at}")
