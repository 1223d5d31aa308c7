"""The results file: CARLA's structure, read back as written, and no resuming of something else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.protocol import BENCH2DRIVE, LB1, LB20, Protocol
from drive_il.evaluation.results_file import Plan, ResultsFile, load, route_results
from drive_il.evaluation.route_result import Ending, RouteResult
from tests.test_scoring import drive, fault

PLAN = Plan(LB20, (("1", 0), ("1", 1), ("2", 0)), 7, {"alder": "abc"}, "me.py")
SENSORS = {"sensors": ["carla_camera"]}
FAULTY = replace(
    drive(fault(Kind.RED_LIGHT), fault(Kind.OUTSIDE_LANES, 12.5), completion=80.0),
    ending=Ending.DEVIATED,
    repetition=1,
    speeds=(97.5, 120.0),
    measures={"distance": 812.25},
)
CLEAN, LOST = drive(), replace(drive(route="2", completion=0.0), ending=Ending.AGENT_CRASHED)


def written(path: Path, plan: Plan, *made: RouteResult) -> dict[str, object]:
    file = ResultsFile(path, plan)
    for one in made:
        file.add(one, SENSORS)
    file.finish()
    return load(path)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    document = written(tmp_path / "r.json", PLAN, FAULTY, LOST, CLEAN)
    assert route_results(document) == [CLEAN, FAULTY, LOST]  # in the order of the plan
    assert list(tmp_path.iterdir()) == [tmp_path / "r.json"]


def test_what_else_is_known_of_a_drive_outlives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    ResultsFile(path, PLAN).add(FAULTY, {"errors": {"n_own": 3}, "episode": "a.parquet"})
    again = ResultsFile.resume(path, PLAN)
    again.add(CLEAN, {"errors": {"n_own": 4}})
    assert again.extras("errors") == [{"n_own": 4}, {"n_own": 3}]  # in the order of the plan
    assert again.extras("episode") == ["a.parquet"]
    document = again.finish("Finished", {"compounding": {"n_drives": 2}})
    assert load(path) == json.loads(json.dumps(document))
    assert document["drive_il"]["compounding"] == {"n_drives": 2}


def test_records_have_carlas_names(tmp_path: Path) -> None:
    document = json.loads(json.dumps(written(tmp_path / "r.json", PLAN, CLEAN, FAULTY, LOST)))
    checkpoint = document["_checkpoint"]
    assert checkpoint["progress"] == [3, 3]
    assert document["entry_status"] == "Finished"
    assert document["eligible"] is True
    assert document["sensors"] == ["carla_camera"]
    record = checkpoint["records"][1]
    assert (record["index"], record["route_id"]) == (1, "RouteScenario_1_rep1")
    assert record["status"] == "Failed - Agent deviated from the route"
    assert record["num_infractions"] == 2
    assert len(record["infractions"]) == 12
    assert record["scores"] == {
        "score_route": 80.0,
        "score_penalty": 0.6125,
        "score_composed": 49.0,
    }
    assert record["meta"] == {
        "route_length": 1000.0,
        "duration_game": 80.0,
        "duration_system": 1.5,
    }
    total = checkpoint["global_record"]
    assert (total["index"], total["route_id"], total["status"]) == (-1, -1, "Failed")
    assert total["scores_mean"]["score_composed"] == pytest.approx(149.0 / 3.0, abs=1e-6)
    assert total["meta"]["exceptions"] == [  # every drive that failed, in whatever way
        ["RouteScenario_1_rep1", 1, "Failed - Agent deviated from the route"],
        ["RouteScenario_2_rep0", 2, "Failed - Agent crashed"],
    ]
    assert total["meta"]["total_length"] == 3000.0  # of the routes, however far they were driven
    assert len(document["values"]) == len(document["labels"]) == 15
    assert document["values"][0] == "49.667"
    assert document["labels"][6] == "Red lights infractions"
    assert document["values"][6] == "0.556"  # one in 1.8 km
    assert document["drive_il"]["plan"]["protocol"] == "lb2.0"
    assert document["drive_il"]["plan"]["maps"] == {"alder": "abc"}


def test_leaderboard_1_and_bench2drive_differ_as_theirs_do(tmp_path: Path) -> None:
    first = json.loads(
        json.dumps(written(tmp_path / "a.json", replace(PLAN, protocol=LB1), CLEAN, FAULTY))
    )
    record = first["_checkpoint"]["records"][0]
    assert record["route_id"] == "RouteScenario_1"
    assert "num_infractions" not in record
    assert len(record["infractions"]) == 9
    assert "scores" in first["_checkpoint"]["global_record"]
    assert len(first["values"]) == 12
    assert first["eligible"] is False  # a drive is missing
    assert first["entry_status"] == "Finished with missing data"
    bench = written(tmp_path / "b.json", replace(PLAN, protocol=BENCH2DRIVE), CLEAN)
    record = json.loads(json.dumps(bench))["_checkpoint"]["records"][0]
    assert (record["scenario_name"], record["town_name"]) == ("ControlLoss", "alder")


@pytest.mark.parametrize(("rules", "deviation"), [(LB1, "NaN"), (LB20, 0)])
def test_the_deviation_of_a_single_drive_is_carlas(
    rules: Protocol, deviation: object, tmp_path: Path
) -> None:
    plan = Plan(rules, (("1", 0),), 7, {})
    document = json.loads(json.dumps(written(tmp_path / "r.json", plan, CLEAN)))
    assert document["_checkpoint"]["global_record"]["scores_std_dev"]["score_route"] == deviation
    assert document["drive_il"]["scores"]["std_dev"]["score_route"] is None


@pytest.mark.parametrize(
    ("rules", "last", "status"),
    [
        (LB1, LOST, "Finished with agent errors"),
        (LB1, replace(CLEAN, route="2"), "Finished"),
        (LB20, LOST, "Finished"),
    ],
)
def test_leaderboard_1_says_in_the_entrys_status_that_an_agent_failed(
    rules: Protocol, last: RouteResult, status: str, tmp_path: Path
) -> None:
    plan = Plan(rules, (("1", 0), ("2", 0)), 7, {})
    document = written(tmp_path / "r.json", plan, CLEAN, last)
    assert (document["entry_status"], document["eligible"]) == (status, True)


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    first = ResultsFile(path, PLAN)
    first.add(FAULTY, SENSORS)
    document = load(path)
    assert (document["entry_status"], document["eligible"]) == ("Started", False)
    assert document["_checkpoint"]["global_record"] == {}
    again = ResultsFile.resume(path, PLAN)
    assert again.done == {("1", 1)}
    again.add(CLEAN, SENSORS)
    again.add(LOST, SENSORS)
    again.finish()
    whole = tmp_path / "whole.json"
    assert written(whole, PLAN, CLEAN, FAULTY, LOST) == load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": LB1}, 'had protocol "lb2.0", this one has "lb1"'),
        ({"seed": 8}, "had seed 7, this one has 8"),
        ({"drives": (("1", 0), ("3", 0))}, "had drives .* this one has .*3"),
        ({"maps": {"alder": "other"}}, "had maps .*abc.* this one has .*other"),
        ({"agent": "you.py"}, 'had agent "me.py", this one has "you.py"'),
        ({"options": (("crowd", "dense"),)}, 'had crowd null, this one has "dense"'),
    ],
)
def test_another_run_is_not_resumed(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    written(tmp_path / "r.json", PLAN, CLEAN)
    with pytest.raises(ValueError, match=message):
        ResultsFile.resume(tmp_path / "r.json", replace(PLAN, **change))  # type: ignore[arg-type]


def test_what_is_no_results_file_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        load(path)
    path.write_text('{"_checkpoint": ')
    with pytest.raises(ValueError, match="is damaged"):
        load(path)
    path.write_text('{"_checkpoint": {}, "entry_status": "Finished", "eligible": true}')
    with pytest.raises(ValueError, match="it lacks 'drive_il'"):
        load(path)
    path.write_text(
        '{"_checkpoint": 1, "entry_status": "Finished", "eligible": true, "drive_il": {}}'
    )
    with pytest.raises(ValueError, match="it lacks '_checkpoint.global_record'"):
        load(path)
    written(path, PLAN, CLEAN)
    document = load(path)
    del document["_checkpoint"]["records"][0]["drive_il"]["result"]["town"]
    with pytest.raises(ValueError, match="the record 'RouteScenario_1_rep0' is damaged"):
        route_results(document)
    document["drive_il"]["format"] = 99
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="has format 99, this version of drive_il reads format 1"):
        load(path)


def test_a_run_keeps_to_its_plan(tmp_path: Path) -> None:
    file = ResultsFile(tmp_path / "r.json", PLAN)
    file.add(CLEAN)
    with pytest.raises(ValueError, match="route 1 repetition 0 has a record already"):
        file.add(CLEAN)
    with pytest.raises(ValueError, match="route 9 repetition 0 was not asked for"):
        file.add(replace(CLEAN, route="9"))
    with pytest.raises(ValueError, match="entry_status must be one of"):
        file.finish("Done")
    with pytest.raises(ValueError, match="is in the plan twice"):
        ResultsFile(tmp_path / "x.json", replace(PLAN, drives=(("1", 0), ("1", 0))))
    with pytest.raises(ValueError, match="at least one drive"):
        ResultsFile(tmp_path / "x.json", replace(PLAN, drives=()))
