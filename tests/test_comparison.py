"""Two runs side by side: pairs, intervals, and what must not be compared."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drive_il.evaluation.comparison import compare
from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.protocol import LB1, LB21, Protocol
from drive_il.evaluation.results_file import Plan, ResultsFile
from drive_il.evaluation.route_result import RouteResult
from tests.test_scoring import drive, fault


def document(
    made: Sequence[RouteResult],
    protocol: Protocol = LB1,
    maps: str = "abc",
    traffic: str = "protocol",
    **options: str,
) -> dict[str, Any]:
    drives = tuple((one.route, one.repetition) for one in made)
    options["traffic"] = traffic
    plan = Plan(protocol, drives, 3, {"alder": maps}, options=tuple(options.items()))
    file = ResultsFile(Path("/nowhere/r.json"), plan)
    for one in made:
        file._results[one.route, one.repetition], file._extras[one.route, one.repetition] = one, {}
    return file.document("Finished")


CLEAN = [drive(route=str(k)) for k in range(10)]
RED = [drive(fault(Kind.RED_LIGHT), route=str(k)) for k in range(10)]
MIXED = [*RED[:5], *CLEAN[5:]]


def test_a_run_is_no_worse_than_itself() -> None:
    found = compare(document(MIXED), document(MIXED))
    assert [one.difference for one in found.scores] == [0.0, 0.0, 0.0]
    assert not found.is_regression(0.0)
    assert not any(one.is_certain for one in (*found.scores, *found.infractions))


def test_red_lights_on_every_route_are_a_regression_of_thirty_points() -> None:
    found = compare(document(CLEAN), document(RED))
    score = found.scores[0]
    assert (score.a, score.b, score.difference) == pytest.approx((100.0, 70.0, -30.0))
    assert (score.low, score.high) == pytest.approx((-30.0, -30.0))
    assert found.is_regression(0.0)
    assert not found.is_regression(30.0)
    lights = next(one for one in found.infractions if one.name == "red_light")
    assert (lights.a, lights.b) == pytest.approx((0.0, 1.0))  # on routes of a kilometre


def test_one_route_among_ten_is_within_chance() -> None:
    found = compare(document(CLEAN), document([*RED[:1], *CLEAN[1:]]))
    assert found.scores[0].difference == pytest.approx(-3.0)
    assert not found.is_regression(0.0)


def test_drives_are_paired_wherever_they_stand() -> None:
    found = compare(document(MIXED), document(list(reversed(MIXED[2:]))))
    assert (found.n_pairs, found.n_routes, found.scores[0].difference) == (8, 8, 0.0)
    assert found.only_a == (("alder", "0", 0), ("alder", "1", 0))


@pytest.mark.parametrize(
    ("b", "message"),
    [
        (document(CLEAN, LB21), "judged by lb1, B lb2.1"),
        (document(CLEAN, maps="xyz"), "different versions of alder"),
        (document([replace(one, seed=4) for one in CLEAN]), "seed 3 in A and 4 in B"),
        (document([drive(route="other")]), "share no drive"),
        (document(CLEAN, traffic="none"), "among traffic 'protocol', B among 'none'"),
        (document(CLEAN, world="carla"), "the embedded world, B in the carla one: .* --world"),
        (document([replace(one, length=900.0) for one in CLEAN]), "another route .* 900.000 m"),
        (document([replace(one, scenarios=()) for one in CLEAN]), "another route .* 0 scenarios"),
    ],
)
def test_what_cannot_be_compared_is_not(b: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(document(CLEAN), b)
