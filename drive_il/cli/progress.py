"""What long commands show while they run: a bar with the time left; lines without a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from drive_il.rollout import Step

_LINE_EVERY = 20.0  # [s] between lines where no bars can be drawn


class _Bars(Progress):
    """Bars, and now and then a line in a log, where rich would draw nothing before the end."""

    _line_at = 0.0

    def start(self) -> None:
        """Starts the display."""
        super().start()
        self._line_at = time.monotonic() + _LINE_EVERY

    def update(self, task_id: TaskID, **changes: Any) -> None:  # noqa: ANN401  (as rich has it)
        """Changes a bar."""
        super().update(task_id, **changes)
        if self.console.is_terminal or time.monotonic() < self._line_at:
            return
        self._line_at = time.monotonic() + _LINE_EVERY
        with self._lock:
            task = self._tasks[task_id]
        shown = [one for one in self.columns if isinstance(one, ProgressColumn)]
        words = [one.render(task) for one in shown if not isinstance(one, BarColumn)]
        self.console.print(*words, highlight=False)


def bar() -> Progress:
    """Returns a progress display on stderr, to be used as a context."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return _Bars(*columns, console=Console(stderr=True))


@contextmanager
def episodes_bar(description: str) -> Iterator[Callable[[Step], None]]:
    """Gives a listener for `rollout.drive` that shows how many episodes are finished."""
    with bar() as progress:
        task = progress.add_task(description, total=None)

        def listener(step: Step) -> None:
            progress.update(task, completed=step.n_finished, total=step.n_specs)

        yield listener


@contextmanager
def told_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Gives a function to be told (done, in all) of some work."""
    with bar() as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
