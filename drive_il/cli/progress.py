"""What long commands show while they run: one bar with the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from drive_il.rollout import Step


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
    return Progress(*columns, console=Console(stderr=True))


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
