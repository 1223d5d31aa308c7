"""Submitting: what holds together and drives the same again is an entry, nothing else is."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from leaderboard_runs import Unwatched, as_entry

from drive_il import submission
from drive_il.entry import Entry
from drive_il.evaluation import entry_file, replay_log, results, results_check
from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.results_file import Plan, ResultsFile, packed, route_results
from drive_il.maps import library
from tests.test_comparison import CLEAN, MIXED, RED, document

WHO = {"name": "Rough & ready", "date": "2026-03-01", "links": {"code": "https://example.org/r"}}
Run = tuple[Entry, dict[str, Any]]


def submit(run: Run, scratch: Path, n_routes: int = 1, **who: Any) -> entry_file.EntryFile:
    entry, found = run
    return submission.submit(found, entry, WHO | who, scratch, n_routes, 1, Unwatched())


def check(document: dict[str, Any]) -> None:
    results_check.check(document, {"alder": library.load("alder").hash})


@pytest.fixture
def changed(rough: Run) -> dict[str, Any]:
    """The results, to be spoilt."""
    return copy.deepcopy(rough[1])


def recomputed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with all that follows from its records made to follow."""
    plan = Plan.from_facts(document["drive_il"]["plan"])
    file = ResultsFile.of(Path(), plan, document)
    made = results.plain(file.document("Finished"))
    made["drive_il"] = document["drive_il"] | {"scores": made["drive_il"]["scores"]}
    return dict(made)


def test_an_honest_run_becomes_an_entry(rough: Run, tmp_path: Path) -> None:
    made = submit(rough, tmp_path)
    assert made.check["kind"] == "bits"
    assert made.check["n_drives"] == 1
    path = entry_file.write(made, tmp_path / "entries")
    assert path.name == "rough-ready-alder-test-lb2-1.json"
    assert path.stat().st_size <= entry_file.MAX_SIZE
    back = entry_file.load(path)
    assert back.drives == route_results(rough[1])
    assert entry_file.results_of(path) == back.results
    assert back.results["drive_il"]["scores"] == rough[1]["drive_il"]["scores"]
    assert "entry" not in back.results["drive_il"]
    assert str(Path.home()) not in path.read_text()
    logs = [replay_log.unpack(one) for one in back.replays]
    assert {log.route for log in logs} == {"1", "3", "10"}
    for log in logs:
        (drive,) = [one for one in back.drives if one.route == log.route]
        assert [mark[0] for mark in log.marks] == [str(one.kind) for one in drive.infractions]


def test_a_results_file_is_read_like_the_entry_made_of_it(rough: Run, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(rough[1]))
    assert entry_file.results_of(path) == rough[1]
    for content, message in (("[1]", "is no results file"), ("{", "damaged"), ('"replays"', "no")):
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            entry_file.results_of(path)


def test_the_run_has_infractions_to_show(rough: Run) -> None:
    kinds = {one.kind for drive in route_results(rough[1]) for one in drive.infractions}
    assert Kind.VEHICLE in kinds


def test_without_recorded_drives_those_made_again_are_shown(rough: Run, tmp_path: Path) -> None:
    made = submit((replace(rough[0], record=""), rough[1]), tmp_path)
    assert [one["route"] for one in made.replays] == made.check["routes"]


def test_a_score_that_was_raised_is_seen(changed: dict[str, Any]) -> None:
    changed["_checkpoint"]["records"][1]["scores"]["score_composed"] = 99.0
    with pytest.raises(ValueError, match=r"RouteScenario_3_rep0.scores is stated as .*99.0"):
        check(changed)


def test_an_average_that_was_raised_is_seen(changed: dict[str, Any]) -> None:
    changed["drive_il"]["scores"]["mean"]["score_composed"] += 1.0
    with pytest.raises(ValueError, match=r"scores.mean is stated as"):
        check(changed)


def test_errors_that_were_lowered_are_seen(changed: dict[str, Any]) -> None:
    changed["drive_il"]["compounding"]["eps_own"]["value"] = -0.1
    with pytest.raises(ValueError, match="the compounding errors stated"):
        check(changed)


def test_another_protocol_is_seen(changed: dict[str, Any]) -> None:
    changed["drive_il"]["plan"]["protocol"] = "lb2.0"
    with pytest.raises(ValueError, match="is stated as"):
        check(changed)


def test_another_version_of_the_protocol_is_seen(changed: dict[str, Any]) -> None:
    changed["drive_il"]["plan"]["protocol_version"] = 0
    with pytest.raises(ValueError, match=r"version 0 of protocol lb2\.1, this is version 2"):
        check(changed)


def test_other_seeds_are_seen(changed: dict[str, Any]) -> None:
    changed["drive_il"]["plan"]["seed"] = 6
    with pytest.raises(ValueError, match="but seed 6 of the run makes it"):
        check(changed)


def test_another_map_is_seen(rough: Run) -> None:
    with pytest.raises(ValueError, match="another version of alder"):
        results_check.check(rough[1], {"alder": "0" * 64})


def test_a_drive_that_was_left_out_is_seen(changed: dict[str, Any]) -> None:
    del changed["_checkpoint"]["records"][0]
    with pytest.raises(ValueError, match="2 records for 3 planned drives.* route 1 repetition 0"):
        check(changed)


def test_an_unfinished_run_is_refused(changed: dict[str, Any]) -> None:
    changed["entry_status"] = "Started"
    with pytest.raises(ValueError, match=r"the run is Started: .* --resume"):
        check(changed)


def test_another_agent_is_refused(rough: Run, tmp_path: Path) -> None:
    other = tmp_path / "rough.py"
    other.write_text(Path(rough[0].agent).read_text().replace("0.7", "0.6"))
    with pytest.raises(ValueError, match="is not what was run"):
        submit((replace(rough[0], agent=str(other)), rough[1]), tmp_path)


def test_recorded_drives_that_are_gone_are_told(rough: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere is no folder of recorded drives"):
        submit((replace(rough[0], record=str(tmp_path / "nowhere")), rough[1]), tmp_path)


def test_what_a_failed_agent_said_is_not_published(changed: dict[str, Any]) -> None:
    ours = changed["_checkpoint"]["records"][0]["drive_il"]
    ours["failure"] = {"reason": "it raised", "detail": "File /home/me/agent.py"}
    ours["destroy"] = "/home/me"
    back = entry_file.from_json(entry_file.to_json(as_entry(changed)))
    kept = back.results["_checkpoint"]["records"][0]["drive_il"]
    assert kept["failure"] == {"reason": "it raised"}
    assert "destroy" not in kept
    assert kept["result"] == ours["result"]


def test_records_that_were_made_up_fail_when_they_are_driven_again(
    changed: dict[str, Any], rough: Run, tmp_path: Path
) -> None:
    for record, drive in zip(
        changed["_checkpoint"]["records"], route_results(changed), strict=True
    ):
        better = tuple(one for one in drive.infractions if one.kind != Kind.VEHICLE)
        record["drive_il"]["result"] = packed(replace(drive, infractions=better))
    polished = recomputed(results.plain(changed))
    check(polished)  # it holds together
    with pytest.raises(ValueError, match="went another way .* the same machine .infractions: "):
        submit((rough[0], polished), tmp_path, n_routes=3)


def test_a_bad_name_shows_before_anything_is_driven(rough: Run, tmp_path: Path) -> None:
    for change, message in (
        ({"name": "!"}, "1 to 80 characters"),
        ({"date": "1 March"}, "YYYY-MM-DD, got '1 March'"),
        ({"links": {"code": "javascript:alert(1)"}}, "begins with https://"),
    ):
        with pytest.raises(ValueError, match=message):
            submit(rough, tmp_path, **change)
    assert not list(tmp_path.iterdir())


def test_elsewhere_scores_need_only_agree(rough: Run) -> None:
    assert submission.is_same_machine(rough[1], rough[0])
    other = copy.deepcopy(rough[1])
    other["drive_il"]["machine"]["processor"] = "another"
    assert not submission.is_same_machine(other, rough[0])
    found = submission.same_scores(document(MIXED), document([*CLEAN[:2], *MIXED[2:]]))
    assert found["kind"] == "scores"
    assert found["difference"] == pytest.approx(6.0)  # two of ten routes, 30 points each
    assert found["interval"][0] <= 0.0
    with pytest.raises(ValueError, match=r"10 routes score -30\.00"):
        submission.same_scores(document(CLEAN), document(RED))
    with pytest.raises(ValueError, match="at least 5 routes"):
        submission.same_scores(document(CLEAN[:4]), document(CLEAN[:4]))


def test_the_most_telling_drives_come_first(rough: Run) -> None:
    plan, drives = Plan.from_facts(rough[1]["drive_il"]["plan"]), route_results(rough[1])
    order = entry_file.telling(plan.protocol, drives)
    assert sorted(order) == [0, 1, 2]
    scores = [one["scores"]["score_composed"] for one in rough[1]["_checkpoint"]["records"]]
    assert scores[order[0]] == min(scores)
    assert scores[order[2]] == max(scores)


def test_replays_that_do_not_fit_are_left_out(rough: Run) -> None:
    big = {"data": "x" * 90_000}
    content = entry_file.to_json(as_entry(rough[1], replays=(big, big, big, {"data": "small"})))
    assert len(content) <= entry_file.MAX_SIZE
    assert content.count(b"xxxx" * 22_000) == 2
    assert b'"small"' in content


def test_large_results_keep_some_room_for_replays(
    rough: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_file, "MAX_SIZE", 100)
    one = {"data": "x" * 20_000}
    content = entry_file.to_json(as_entry(rough[1], replays=(one, one, one)))
    assert content.count(b"x" * 20_000) == 2  # of 50 kB
    monkeypatch.setattr(entry_file, "MAX_RESULTS", 1000)
    with pytest.raises(ValueError, match="3 drives take .* an entry has at most 1000"):
        entry_file.to_json(as_entry(rough[1]))


def test_what_is_no_entry_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for content, message in (
        ("{", "Expecting"),
        ("{}", "lacks 'name'"),
        ('{"name":1,"date":1,"links":1,"check":1,"results":1,"replays":1}', "format None"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=f"x.json is no entry .*{message}"):
            entry_file.load(path)
    with pytest.raises(ValueError, match="no folder of entries"):
        entry_file.load_all(tmp_path / "none")
