"""Conditions of NoCrash and CoRL2017: which drives they make, and the papers' table of success."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from leaderboard_runs import Unwatched, as_entry

from drive_il import weathers
from drive_il.entry import Entry, run
from drive_il.evaluation import page_tables
from drive_il.evaluation.conditions import Condition, conditions, parts_of, under
from drive_il.evaluation.infractions import Infraction, Kind
from drive_il.evaluation.protocol import CORL2017, LB21, NO_CRASH
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.evaluation.scoring import condition_scores, global_scores
from drive_il.maps import library

SUITE = Path(__file__).parents[1] / "routes" / "nocrash.xml"
ENTRY = Entry("expert", str(SUITE), protocol="nocrash", errors=False)


def drive(route: str, town: str = "alder", ending: Ending = Ending.COMPLETED) -> RouteResult:
    hit = Infraction(Kind.VEHICLE, 1, 0.05, 0.0, 0.0, 0.0, 0, 0.0, "")
    return RouteResult(
        route=route,
        town=town,
        repetition=0,
        seed=1,
        scenarios=(),
        ending=ending,
        completion=100.0 if ending == Ending.COMPLETED else 30.0,
        length=500.0,
        duration=80.0,
        wall=0.0,
        infractions=(hit,) if ending == Ending.COLLIDED else (),
        speeds=(),
        comfort=None,
        junction=100.0,
        measures={},
    )


def test_nocrash_drives_the_papers_900_drives() -> None:
    """25 routes x 2 towns x (4 training + 2 new weathers) x 3 crowds (Codevilla et al. 2019)."""
    routes = ENTRY.loaded_routes()
    assert len(routes) == len({route.id for route in routes}) == 900
    for town in ("alder", "birch"):
        for crowd in ("empty", "regular", "dense"):
            some = [one for one in routes if one.town == town and f"_{crowd}_" in one.id]
            assert len(some) == 25 * 6
            assert min(one.length for one in some) >= 300.0
            assert max(one.length for one in some) <= 1000.0
    assert len({name for group in CORL2017.weathers.values() for name in group}) == 6
    assert conditions(LB21, "protocol") == []


def test_a_condition_sets_crowd_and_weather_of_a_route() -> None:
    entry = replace(ENTRY, routes_subset="7")
    routes = entry.loaded_routes()
    assert [one.id for one in routes[:2]] == ["7_empty_ClearNoon", "7_empty_WetNoon"]
    alder = library.load("alder")
    for route in routes:
        base, condition = parts_of(NO_CRASH, route.id)
        assert base == "7"
        assert condition is not None
        np.testing.assert_array_equal(route.weathers, weathers.preset(condition.weather))
        assert entry.spec(route, 0).traffic == NO_CRASH.traffic(alder, condition.crowd)
    crowds = [entry.spec(route, 0).traffic.vehicles for route in routes]
    assert crowds == sorted(crowds)  # crowd by crowd
    assert len(set(crowds)) == 3
    assert crowds[0] == 0
    assert len({entry.spec(route, 0).seed for route in routes}) == len(routes)


def test_one_crowd_and_single_conditions_can_be_asked_for() -> None:
    dense = replace(ENTRY, traffic="dense").loaded_routes()
    assert len(dense) == 300
    assert all("_dense_" in one.id for one in dense)
    named = replace(ENTRY, routes_subset="7_dense_WetSunset,30_empty_WetNoon").loaded_routes()
    assert [one.id for one in named] == ["30_empty_WetNoon", "7_dense_WetSunset"]
    (few,) = replace(ENTRY, traffic="12", routes_subset="7_12_WetNoon").loaded_routes()
    assert replace(ENTRY, traffic="12").spec(few, 0).traffic.vehicles == 12
    with pytest.raises(ValueError, match="knows the crowds empty, regular, dense, got 'full'"):
        replace(ENTRY, traffic="full").spec(replace(few, id="7_full_WetNoon"), 0)


def test_a_route_with_weather_of_its_own_is_driven_in_that() -> None:
    bare = replace(ENTRY, traffic="none", routes_subset="7_none_WetNoon").loaded_routes()[0]
    own = replace(bare, id="a_b", weathers=weathers.preset("CloudyNight"))
    made = under([own], conditions(NO_CRASH, "protocol"))
    assert [one.id for one in made] == ["a_b_empty_own", "a_b_regular_own", "a_b_dense_own"]
    assert parts_of(NO_CRASH, made[0].id) == ("a_b", Condition("empty", "own"))
    np.testing.assert_array_equal(made[0].weathers, own.weathers)
    assert parts_of(NO_CRASH, "a_b_c") == ("a_b_c", None)
    assert parts_of(LB21, made[0].id) == (made[0].id, None)


def test_the_table_counts_success_under_each_condition() -> None:
    results = [
        drive("0_dense_ClearNoon"),
        drive("0_dense_WetNoon", ending=Ending.COLLIDED),
        drive("1_dense_ClearNoon", ending=Ending.TIMED_OUT),
        drive("1_dense_WetNoon"),
        drive("0_dense_WetSunset"),
        drive("25_empty_ClearNoon", "birch"),
        drive("25_dense_ClearNoon", "birch", Ending.COLLIDED),
    ]
    found = condition_scores(NO_CRASH, results)
    keys = ("crowd", "town", "weathers", "n_drives", "success_rate")
    assert [tuple(one[key] for key in keys) for one in found] == [
        ("empty", "birch", "training", 1, 100.0),
        ("dense", "alder", "training", 4, 50.0),
        ("dense", "alder", "new", 1, 100.0),
        ("dense", "birch", "training", 1, 0.0),
    ]
    assert found[1]["reasons"] == {"COLLIDED": 1, "TIMED_OUT": 1}
    # Both routes succeed in half of their weathers: drawn whole, every draw has the mean 50.
    assert found[1]["interval"] == (50.0, 50.0)
    whole = global_scores(NO_CRASH, results, len(results))
    assert whole["conditions"] == found
    assert global_scores(LB21, results, len(results))["conditions"] is None


def test_a_run_of_nocrash_reports_its_conditions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from drive_il.cli.leaderboard import show

    out = tmp_path / "r.json"
    wanted = "9_empty_ClearNoon,9_empty_SoftRainSunset,9_regular_ClearNoon"
    document = run(replace(ENTRY, routes_subset=wanted), out, False, 1, Unwatched())
    found = document["drive_il"]["scores"]["conditions"]
    assert [(one["crowd"], one["weathers"], one["n_drives"]) for one in found] == [
        ("empty", "training", 1),
        ("empty", "new", 1),
        ("regular", "training", 1),
    ]
    show(out)
    printed = capsys.readouterr().out
    assert "success rate" in printed
    assert "alder, new weathers" in printed
    parts = page_tables.breakdowns(as_entry(document))["condition"]
    assert [one.label for one in parts] == [
        "empty, alder, new weathers",
        "empty, alder, training weathers",
        "regular, alder, training weathers",
    ]
    assert parts[0].scores[0].value == found[1]["success_rate"]
