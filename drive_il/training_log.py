"""A TensorBoard log of a training: `tensorboard --logdir FOLDER` shows it while it runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drive_il.fit import Progress, ProgressFunction


@contextmanager
def tensorboard_log(folder: Path) -> Iterator[ProgressFunction]:
    """Gives a progress function that writes scalars as they come.

    Each stage of a training (a fit, each round of an interactive learner, the rounds as a
    whole) has curves of its own: `loss/training`, `loss/validation`, `learning_rate` over
    epochs, or over rounds. A resumed training goes on writing into the same folder.

    Args:
        folder: of the event files; made when needed.
    """
    from torch.utils.tensorboard.writer import SummaryWriter

    writers: dict[str, SummaryWriter] = {}

    def write(progress: Progress) -> None:
        writer = writers.get(progress.stage)
        if writer is None:
            name = progress.stage.replace(" ", "-").replace(":", "")
            writer = SummaryWriter(str(folder / name))
            writers[progress.stage] = writer
        values = {
            "loss/training": progress.loss,
            "loss/validation": progress.validation_loss,
            "learning_rate": progress.learning_rate,
        }
        for tag, value in values.items():
            if not math.isnan(value):
                writer.add_scalar(tag, value, progress.done)
        writer.flush()

    try:
        yield write
    finally:
        for writer in writers.values():
            writer.close()
