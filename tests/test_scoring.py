"""Scores by hand for each protocol, and what must hold for any drive."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_il.evaluation.abilities import ABILITIES, by_ability, efficiency, succeeded
from drive_il.evaluation.infractions import Infraction, Kind
from drive_il.evaluation.protocol import (
    BENCH2DRIVE,
    CORL2017,
    LB1,
    LB20,
    LB21,
    NO_CRASH,
    PROTOCOLS,
    Protocol,
)
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.evaluation.scoring import (
    global_scores,
    infractions_per_km,
    route_scores,
    status_of,
)


def fault(kind: Kind, value: float = 0.0) -> Infraction:
    return Infraction(kind, 1, 0.05, 0.0, 0.0, 0.0, 0, value, "")


def drive(
    *faults: Infraction,
    completion: float = 100.0,
    ending: Ending = Ending.COMPLETED,
    route: str = "1",
    length: float = 1000.0,
    scenario: str = "ControlLoss",
) -> RouteResult:
    return RouteResult(
        route=route,
        town="alder",
        repetition=0,
        seed=3,
        scenarios=(scenario,),
        ending=ending,
        completion=completion,
        length=length,
        duration=80.0,
        wall=1.5,
        infractions=tuple(faults),
        speeds=(),
        comfort=None,
        junction=50.0,
        measures={},
    )


ALL = (
    fault(Kind.PEDESTRIAN),
    fault(Kind.VEHICLE),
    fault(Kind.LAYOUT),
    fault(Kind.RED_LIGHT),
    fault(Kind.STOP_SIGN),
    fault(Kind.SCENARIO_TIMEOUT),
    fault(Kind.YIELD),
    fault(Kind.MIN_SPEED, 40.0),
    fault(Kind.OUTSIDE_LANES, 10.0),
    fault(Kind.BLOCKED),
)
_BASIC = 0.5 * 0.6 * 0.65 * 0.7 * 0.8 * 0.9


@pytest.mark.parametrize(
    ("rules", "penalty"),
    [
        (LB1, _BASIC),
        (LB20, _BASIC * 0.7 * 0.7 * (1 - 0.3 * 0.6)),
        (BENCH2DRIVE, _BASIC * 0.7 * 0.7),
        (LB21, 0.9 / (1 + 1.0 + 0.7 + 0.6 + 0.4 + 0.25 + 0.4 + 0.4 + 0.4 * 0.6)),
    ],
    ids=lambda value: getattr(value, "id", None),
)
def test_every_infraction_at_its_price(rules: Protocol, penalty: float) -> None:
    scores = route_scores(rules, drive(*ALL, completion=80.0, ending=Ending.BLOCKED))
    assert scores.penalty == round(penalty, 6)
    assert scores.composed == round(80.0 * penalty, 6)
    assert scores.route == 80.0


def test_two_red_lights_cost_twice() -> None:
    twice = drive(fault(Kind.RED_LIGHT), fault(Kind.RED_LIGHT))
    assert route_scores(LB1, twice).composed == pytest.approx(49.0)
    assert route_scores(LB21, twice).composed == pytest.approx(100 / 1.8, abs=1e-6)


def test_driving_faster_than_the_traffic_costs_nothing() -> None:
    assert route_scores(LB20, drive(fault(Kind.MIN_SPEED, 130.0))).penalty == 1.0
    assert route_scores(LB21, drive(fault(Kind.MIN_SPEED, 130.0))).penalty == 1.0


def test_success_of_the_older_benchmarks() -> None:
    hit = drive(fault(Kind.VEHICLE))
    assert route_scores(NO_CRASH, hit).composed == 0.0
    assert route_scores(CORL2017, hit).composed == 100.0
    ran_light = drive(fault(Kind.RED_LIGHT))
    assert route_scores(NO_CRASH, ran_light).composed == 100.0
    late = drive(ending=Ending.TIMED_OUT, completion=99.0)
    assert route_scores(CORL2017, late).composed == 0.0
    entry = global_scores(NO_CRASH, [hit, drive(route="2"), drive(route="3")], 4)
    assert entry["success_rate"] == 50.0
    assert entry["bench2drive"] is None


def test_status_lines() -> None:
    clean, slow = drive(), drive(fault(Kind.MIN_SPEED, 80.0))
    assert (status_of(LB1, clean), status_of(LB20, clean)) == ("Completed", "Perfect")
    assert status_of(LB20, slow) == "Completed"
    stuck = drive(ending=Ending.BLOCKED)
    assert status_of(LB1, stuck) == status_of(LB21, stuck) == "Failed - Agent got blocked"
    assert status_of(BENCH2DRIVE, drive(ending=Ending.TICKS)) == "Failed - TickRuntime"


def test_averages_are_over_all_requested_drives() -> None:
    """100, 50 and 0 with one of four missing: mean 37.5, sample deviation sqrt(6875 / 3)."""
    made = [
        drive(route="1"),
        drive(route="2", completion=50.0, ending=Ending.BLOCKED),
        drive(route="3", completion=0.0, ending=Ending.NOT_SET_UP),
    ]
    entry = global_scores(LB20, made, 4)
    assert entry["mean"]["score_composed"] == 37.5
    assert entry["mean"]["score_penalty"] == 0.75
    assert entry["std_dev"]["score_composed"] == pytest.approx(np.sqrt(6875.0 / 3.0), abs=1e-6)
    low, high = entry["interval"]["score_composed"]
    assert 0.0 <= low < 37.5 < high <= 100.0
    assert global_scores(LB20, made, 4) == entry  # the draws are seeded


def test_a_single_drive_has_no_deviation_and_no_interval() -> None:
    entry = global_scores(LB20, [drive()], 1)
    assert entry["std_dev"]["score_composed"] is None
    assert entry["interval"]["score_composed"] is None
    with pytest.raises(ValueError, match="got 1 results of 0 requested"):
        global_scores(LB20, [drive()], 0)


def test_repetitions_of_a_route_are_drawn_together() -> None:
    """Two routes, one always 100 and one always 0: the mean of a draw is 0, 50 or 100."""
    made = [replace(drive(), repetition=k) for k in range(20)]
    made += [replace(drive(route="2", completion=0.0), repetition=k) for k in range(20)]
    assert global_scores(LB20, made, 40)["interval"]["score_route"] == (0.0, 100.0)


def test_infractions_per_kilometre_by_both_rules() -> None:
    """2 red lights in 0.5 km, 1 in 2 km; 10 % of 2 km outside the lanes."""
    made = [
        drive(fault(Kind.RED_LIGHT), fault(Kind.RED_LIGHT), completion=50.0),
        drive(fault(Kind.RED_LIGHT), fault(Kind.OUTSIDE_LANES, 10.0), length=2000.0),
        drive(fault(Kind.RED_LIGHT), completion=0.0),
    ]
    first, second = infractions_per_km(LB1, made), infractions_per_km(LB20, made)
    assert first["red_light"] == pytest.approx(2 / 0.5 + 1 / 2)
    assert first["outside_route_lanes"] == pytest.approx(0.5)
    assert second["red_light"] == pytest.approx(4 / 2.5)
    assert second["outside_route_lanes"] == pytest.approx(0.2)
    assert len(first) == 9
    assert len(second) == 12


def test_abilities_have_bench2drives_sizes() -> None:
    sizes = {name: len(types) for name, types in ABILITIES.items()}
    assert sizes == {
        "Overtaking": 9,
        "Merging": 16,
        "Emergency_Brake": 12,
        "Give_Way": 2,
        "Traffic_Signs": 19,
    }


def test_success_efficiency_and_abilities() -> None:
    slow = drive(fault(Kind.MIN_SPEED, 50.0), scenario="Accident")
    assert succeeded(slow)
    assert not succeeded(drive(fault(Kind.STOP_SIGN)))
    quick = [replace(slow, speeds=(90.0, 110.0, 2000.0)), replace(slow, speeds=(200.0,)), slow]
    assert efficiency(quick) == pytest.approx((100.0 + 200.0) / 2)
    assert efficiency([slow]) is None
    # T_Junction counts for signs alone; its drive failed 20 m past the junction, as signs ask.
    failed = drive(ending=Ending.BLOCKED, completion=52.0, scenario="T_Junction")
    rates = by_ability([slow, drive(ending=Ending.BLOCKED, scenario="Accident"), failed])
    assert rates["Overtaking"] == 50.0
    assert rates["Traffic_Signs"] == 100.0
    assert rates["Give_Way"] is None
    assert rates["mean"] is None
    too_soon = replace(failed, completion=50.7)
    assert by_ability([too_soon])["Traffic_Signs"] == 0.0
    broke = replace(failed, infractions=(fault(Kind.RED_LIGHT),))
    assert by_ability([broke])["Traffic_Signs"] == 0.0


def test_bench2drive_divides_by_220_only_as_upstream_does() -> None:
    made = [drive(route=str(k)) for k in range(10)]
    right = global_scores(BENCH2DRIVE, made, 10)
    upstream = global_scores(replace(BENCH2DRIVE, upstream_bugs=True), made, 10)
    assert right["mean"]["score_composed"] == right["bench2drive"]["success_rate"] == 100.0
    assert upstream["mean"]["score_composed"] == pytest.approx(1000 / 220, abs=1e-6)


_FAULTS = st.lists(st.builds(fault, st.sampled_from(list(Kind)), st.floats(0.0, 100.0)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(PROTOCOLS.values())), _FAULTS, st.floats(0.0, 100.0), _FAULTS)
def test_a_driving_score_is_no_more_than_the_completion_and_falls_with_each_fault(
    rules: Protocol, faults: list[Infraction], completion: float, more: list[Infraction]
) -> None:
    few = route_scores(rules, drive(*faults, completion=completion, ending=Ending.BLOCKED))
    many = route_scores(rules, drive(*faults, *more, completion=completion, ending=Ending.BLOCKED))
    assert 0.0 <= many.composed <= few.composed <= few.route + 1e-6
    assert 0.0 <= many.penalty <= few.penalty <= 1.0
