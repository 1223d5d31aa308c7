"""When a drive is over."""

import math

import numpy as np
import pytest

from drive_il.datatypes import Outcome
from drive_il.evaluation.criteria import route_ended
from tests.drives import make_scene


def test_a_route_ends_completed_left_or_blocked() -> None:
    at = make_scene(7)
    at.progress["lateral_error"] = [0.0, -30.1, 29.9, 0.0, 0.0, math.nan, 40.0]
    at.progress["standing"] = [0.0, 0.0, 179.9, 180.0, 999.0, 0.0, 999.0]
    at.progress["completed"] = [0, 0, 0, 0, 1, 0, 0]
    assert [Outcome(value) for value in route_ended()(at)] == [
        Outcome.RUNNING,
        Outcome.DEVIATED,
        Outcome.RUNNING,
        Outcome.BLOCKED,
        Outcome.COMPLETED,
        Outcome.DEVIATED,
        Outcome.DEVIATED,
    ]


def test_limits_may_be_infinite_but_not_absurd() -> None:
    at = make_scene(2)
    at.progress["lateral_error"] = [1e6, 0.0]
    at.progress["standing"] = [0.0, 1e6]
    assert (route_ended(math.inf, math.inf)(at) == Outcome.RUNNING).all()
    assert np.array_equal(route_ended(2.0, 5.0)(at), [Outcome.DEVIATED, Outcome.BLOCKED])
    with pytest.raises(ValueError, match="max_deviation must be positive, got 0"):
        route_ended(max_deviation=0.0)
    with pytest.raises(ValueError, match="blocked_after must be positive, got nan"):
        route_ended(blocked_after=math.nan)
