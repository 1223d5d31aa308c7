"""How errors compound over an entry's drives: closed forms on drives made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from drive_il.datatypes import Episode, Outcome
from drive_il.evaluation.compounding import (
    DELTA,
    DELTAS,
    DriveErrors,
    compounding,
    drive_errors,
    from_plain,
    horizons,
    to_plain,
)
from tests.toy_drives import demonstration

N = 40


def episode(
    lateral_error: float = 0.0, off_from: int = N, steer: float = 0.0, expert_steer: float = 0.0
) -> Episode:
    """A drive at 10 m/s along the lane centre, off it from some state on."""
    made = demonstration({}, np.full(N, expert_steer))
    progress = made.progress.copy()
    progress["lane_width"], progress["s"] = 3.5, 0.5 * np.arange(N + 1)
    progress["lateral_error"][off_from:] = lateral_error
    ego = made.ego.copy()
    ego["speed"] = 10.0
    proposed = made.control.copy()
    proposed["steer"] = steer
    labels = made.control.copy()
    return replace(
        made,
        ego=ego,
        progress=progress,
        control=proposed,
        policy_control=proposed,
        expert_control=labels,
        outcome=Outcome.COMPLETED,
    )


def truth(steer: float = 0.0) -> Episode:
    """The expert's drive along the lane centre, in which the agent answers `steer`."""
    made = episode()
    answer = made.control.copy()
    answer["steer"] = steer
    return replace(made, policy_control=answer)


def test_disagreement_is_counted_on_both_distributions() -> None:
    found = drive_errors(episode(steer=0.06), truth(steer=0.004))
    assert found.own == tuple(N if delta < 0.06 else 0 for delta in DELTAS)
    assert found.expert == (0,) * len(DELTAS)
    assert found.steer_error_own == pytest.approx(0.06)
    assert found.steer_error_expert == pytest.approx(0.004)


def test_an_agent_without_an_answer_is_not_counted() -> None:
    silent = truth(steer=0.2)
    silent.policy_control["steer"][10:] = np.nan
    found = drive_errors(episode(), silent)
    assert (found.n_expert, found.expert[0]) == (10, 10)


def test_failing_steps_are_those_off_the_lane() -> None:
    found = drive_errors(episode(lateral_error=2.0, off_from=11), truth())
    # State 11 is reached by step 10, counted from 0; nothing fails after the end of the route.
    assert (found.failing, found.fails_after) == (((10, N - 1),), False)


def test_an_agent_that_was_stopped_stays_behind_for_ever() -> None:
    own = episode()
    stopped = replace(own, outcome=Outcome.ABORTED)
    far = truth()
    far.progress["s"] *= 10.0  # the expert is at 200 m, 5 s of its speed are 50 m
    found = drive_errors(stopped, far)
    assert found.fails_after
    assert found.failing[0][0] == 11  # behind by 4.5 m a step, 50 m are reached after 12


def test_what_a_results_file_holds_is_read_back() -> None:
    found = drive_errors(episode(lateral_error=2.0, off_from=11), truth(steer=0.1))
    plain = to_plain(found)
    assert from_plain({**plain, "failing": [list(run) for run in plain["failing"]]}) == found
    del plain["n_own"]
    with pytest.raises(ValueError, match="lack n_own"):
        from_plain(plain)


def cliff(failed_at: int, n_steps: int = 320) -> DriveErrors:
    """A drive that fails from one step on, 0 for never, and disagrees in every tenth state."""
    runs = ((failed_at, n_steps),) if failed_at else ()
    tenth = tuple(n_steps // 10 if delta <= DELTA else 0 for delta in DELTAS)
    return DriveErrors(
        n_own=n_steps,
        n_expert=n_steps,
        own=tenth,
        expert=tenth,
        steer_error_own=0.0,
        steer_error_expert=0.0,
        failing=runs,
        fails_after=bool(failed_at),
        expert_failing=(),
        expert_fails_after=False,
        n_steps=n_steps,
        expert_steps=n_steps,
    )


def test_horizons_span_a_factor_of_32_and_end_where_half_of_the_drives_do() -> None:
    steps = horizons([cliff(0, 160), cliff(0, 320), cliff(0, 480)])
    assert (steps[0], steps[-1], len(steps)) == (10, 320, 11)


def test_costs_and_bounds_of_a_cliff() -> None:
    drives = [cliff(160) for _ in range(10)] + [cliff(0) for _ in range(10)]
    found = compounding(drives, seed=0)
    assert found["eps_own"]["value"] == pytest.approx(0.1)
    assert found["absorbing"]["320"]["gap"] == pytest.approx(80.0)  # half of them for 160 steps
    assert found["absorbing"]["160"]["gap"] == pytest.approx(0.0)
    bounds = found["bounds"]
    assert bounds["cloning"] == pytest.approx(320**2 * 0.1)
    assert bounds["cloning_vacuous"] is True
    assert bounds["gap_per_disagreement"] == pytest.approx(80.0 / 32.0)
    assert found["failed_drives"] == 10


def test_an_even_hazard_grows_with_the_square() -> None:
    """A share of drives fails at each step: J(T) is proportional to T^2 for small T."""
    drives = [cliff(4 * k, 320) for k in range(1, 80)] + [cliff(0, 320)] * 400
    found = compounding(drives, seed=0)
    assert found["exponent"]["value"] == pytest.approx(2.0, abs=0.12)


def test_the_expert_beside_itself_has_no_errors() -> None:
    own = episode(lateral_error=3.0, off_from=20)  # around an obstacle
    found = compounding([drive_errors(own, own)] * 3, seed=0)
    assert found["eps_own"]["value"] == found["eps_expert"]["value"] == 0.0
    assert all(one["gap"] == 0.0 for one in found["absorbing"].values())
    assert found["bounds"]["gap_over_cloning"] is None
    with pytest.raises(ValueError, match="no drives"):
        compounding([], seed=0)
