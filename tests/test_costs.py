"""When a step fails and what it costs, on tracks made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_il.datatypes import Floats
from drive_il.theory.costs import Tracks, absorbing, failures, first_failure, recoverable


def tracks(
    lateral_error: list[float],
    s: list[float],
    speed: float = 0.0,
    completed_from: int | None = None,
) -> Tracks:
    n = len(s)
    done = np.zeros((1, n), bool)
    if completed_from is not None:
        done[0, completed_from:] = True
    return Tracks(
        lateral_error=np.array([lateral_error]),
        lane_width=np.full((1, n), 3.5),
        s=np.array([s]),
        speed=np.full((1, n), speed),
        completed=done,
        n_steps=np.array([n - 1]),
    )


def test_a_step_fails_beyond_half_the_lane_on_either_side() -> None:
    errors = [0.0, 1.74, 1.76, -1.74, -1.76]
    found = failures(tracks(errors, [0.0] * 5), tracks([0.0] * 5, [0.0] * 5))
    assert found.lateral.tolist() == [[False, True, False, True]]
    assert not found.behind.any()


@pytest.mark.parametrize(("speed", "allowed"), [(0.0, 10.0), (1.0, 10.0), (2.0, 10.0), (8.0, 40.0)])
def test_behind_is_ten_metres_or_five_seconds_of_the_experts_speed(
    speed: float, allowed: float
) -> None:
    there = [0.0, allowed - 0.01, allowed + 0.01]
    found = failures(tracks([0.0] * 3, [0.0] * 3), tracks([0.0] * 3, there, speed))
    assert found.behind.tolist() == [[False, True]]


def test_standing_still_is_a_failure_in_the_end() -> None:
    seconds = np.arange(0, 20.05, 0.05)
    expert = tracks([0.0] * len(seconds), (8.0 * seconds).tolist(), speed=8.0)
    standing = tracks([0.0] * len(seconds), [0.0] * len(seconds))
    first = first_failure(failures(standing, expert).either)[0]
    assert first * 0.05 == pytest.approx(5.0, abs=0.1)


def test_nothing_fails_after_the_route_is_completed() -> None:
    ego = tracks([0.0, 0.0, 9.0, 9.0], [0.0, 1.0, 2.0, 2.0], completed_from=2)
    expert = tracks([0.0] * 4, [0.0, 1.0, 90.0, 90.0])
    assert not failures(ego, expert).either.any()


def test_the_expert_beside_itself_never_fails() -> None:
    expert = tracks([0.02, -0.01, 0.0], [0.0, 0.5, 1.0], speed=10.0)
    assert not failures(expert, expert).either.any()


def test_absorbing_and_recoverable_of_one_excursion() -> None:
    failing = np.array([[False, True, True, False, False]])
    assert absorbing(failing).tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0]]
    assert recoverable(failing).tolist() == [[0.0, 1.0, 2.0, 2.0, 2.0]]
    assert first_failure(failing).tolist() == [2]


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=5))
def test_costs_are_ordered_and_bounded_by_the_horizon(rows: list[list[bool]]) -> None:
    failing = np.array(rows)
    once, again = absorbing(failing), recoverable(failing)
    horizon: Floats = np.arange(1, 8)
    assert (again <= once).all()
    assert (once <= horizon).all()
    assert (np.diff(once, axis=1) >= 0).all()
    never = first_failure(failing) == 0
    assert (once[never] == 0).all()


def test_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="same spec and length"):
        failures(tracks([0.0] * 3, [0.0] * 3), tracks([0.0] * 4, [0.0] * 4))
