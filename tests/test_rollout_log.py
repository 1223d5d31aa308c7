"""What a rollout's log holds: every episode whole, and no more memory than rows that drive need."""

import numpy as np
import pytest

from drive_il.rollout_log import NOTHING, Log

N_ROWS, N_TICKS = 16, 320


def values(tick: int) -> dict[str, np.ndarray]:
    """What is recorded at one tick: every number tells its tick and row."""
    return {"x": 1000.0 * tick + np.arange(N_ROWS)[:, None] * np.ones(50)}


def filled(needed: list[int]) -> Log:
    """A log whose rows have needed this from half time on, told after each tick as `drive` does."""
    log = Log(N_ROWS)
    for tick in range(N_TICKS):
        log.write(tick, values(tick))
        if tick >= N_TICKS // 2:
            log.forget(np.array(needed))
    return log


def share(log: Log) -> float:
    """What it holds, as a share of everything that was written."""
    return log.nbytes / (N_TICKS * values(0)["x"].nbytes)


def test_everything_is_held_while_every_row_needs_it() -> None:
    assert share(filled([0] * N_ROWS)) == 1.0


@pytest.mark.parametrize("n_driving", [1, 2, 5, 8, 12])
def test_rows_that_have_ended_give_their_memory_back(n_driving: int) -> None:
    log = filled([0] * n_driving + [NOTHING] * (N_ROWS - n_driving))
    newest = 32 / N_TICKS  # the piece that is being written holds every row
    assert share(log) <= newest + 2.0 * n_driving / N_ROWS
    assert n_driving > 8 or share(log) <= newest + n_driving / N_ROWS


def test_a_row_that_began_later_needs_nothing_from_before() -> None:
    log = filled([N_TICKS // 2] * N_ROWS)
    assert share(log) == 0.5


@pytest.mark.parametrize("row", [0, 3, 15])
def test_what_is_cut_out_is_what_was_written(row: int) -> None:
    needed = [NOTHING] * N_ROWS
    needed[row] = 70
    found = filled(needed).cut(row, 70, N_TICKS - 1)["x"]
    assert (found[:, 0] == 1000.0 * np.arange(70, N_TICKS) + row).all()
    assert (found == found[:, :1]).all()
