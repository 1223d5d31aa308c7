"""Drives are scored as they went; the expert stays in its lane on every route."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drive_il.datatypes import CONTROL, Observation, Records, Route, State
from drive_il.evaluation.evaluator import Driving, EvaluationConfig, evaluate, score, summary
from drive_il.evaluation.infractions import Infraction, Kind
from drive_il.evaluation.judge import judge_episode
from drive_il.evaluation.protocol import LB1, TimeLimit
from drive_il.evaluation.results import commit, plain, provenance, write_json
from drive_il.experts.planner import Planner
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.maps.routes import load_routes
from drive_il.rollout import drive
from drive_il.sim import World
from tests.drives import PoseObserver, Wobbly, make_route, specs_on
from tests.roads import straight_road

pytestmark = pytest.mark.usefixtures("open_land")  # routes are drawn freely, not on a map
ROUTES = [make_route([(150, 0)], id="a"), make_route([(40, 0), (60, 0.02)], id="b")]
SUITE_FOLDER = Path(__file__).parents[1] / "routes"
SUITES = sorted(path for path in SUITE_FOLDER.glob("*.xml") if "scenarios" not in path.stem)


def world_of(town: str) -> World:
    return World(network_of(town), 4)


def network_of(town: str) -> RoadNetwork:
    return replace(straight_road(), name=town)


def planner_of(town: str) -> Planner:
    return Planner()


def by_policy(policy: Wobbly) -> Driving:
    return Driving(network_of, world_of, observer_of=lambda town: PoseObserver(), policy=policy)


def test_the_expert_completes_routes_of_several_towns_in_order() -> None:
    other = replace(ROUTES[0], town="elsewhere", id="c")
    driving = Driving(network_of, world_of, expert_of=planner_of)
    results = evaluate([ROUTES[0], other, ROUTES[1]], driving)
    assert [(r["id"], r["town"]) for r in results["routes"]] == [
        ("a", "straight"),
        ("c", "elsewhere"),
        ("b", "straight"),
    ]
    assert all(r["route_completion"] == 100.0 for r in results["routes"])
    assert all(r["outcome"] == "completed" for r in results["routes"])
    assert results["summary"]["success_rate"] == 100.0
    assert results["summary"]["max_lateral_error"] < 0.05
    # A 3.5 m lane leaves a car of 2 m width 0.75 m on either side.
    assert results["summary"]["lane_margin"] == pytest.approx(0.75, abs=0.05)
    assert {"seed", "config", "commit", "versions", "machine"} <= results.keys()


class Idle(Wobbly):
    """Never starts."""

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        return np.zeros(len(observation["speed"]), CONTROL), state, {}


class Leftward(Wobbly):
    """Turns left for good."""

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        control = np.zeros(len(observation["speed"]), CONTROL)
        control["throttle"], control["steer"] = 0.6, 0.05
        return control, state, {}


def test_standing_still_and_leaving_the_route_are_seen() -> None:
    config = EvaluationConfig(blocked_after=5.0)
    blocked = evaluate(ROUTES, by_policy(Idle()), config)
    assert [r["outcome"] for r in blocked["routes"]] == ["blocked", "blocked"]
    assert blocked["routes"][0]["duration"] == pytest.approx(5.0, abs=0.1)
    assert blocked["summary"]["route_completion"] == 0.0
    left = evaluate(ROUTES, by_policy(Leftward()), config)["routes"][0]
    assert left["outcome"] == "deviated"
    assert 15.0 < left["max_lateral_error"] < 31.0  # at 15 m for 30 % of the route, or at 30 m
    assert left["lane_margin"] < 0.0
    assert 0.0 < left["route_completion"] < 100.0


def test_time_runs_out() -> None:
    config = EvaluationConfig(time_per_metre=0.01, extra_time=2.0)
    driving = Driving(network_of, world_of, expert_of=planner_of)
    records = evaluate(ROUTES, driving, config)["routes"]
    assert [r["outcome"] for r in records] == ["truncated", "truncated"]
    assert records[0]["duration"] == pytest.approx(0.01 * ROUTES[0].length + 2.0, abs=0.06)


def test_pedals_drive_a_policy_that_only_steers() -> None:
    driving = replace(by_policy(Wobbly()), pedals_of=planner_of)
    records = evaluate(ROUTES[:1], driving)["routes"]
    assert records[0]["outcome"] == "completed"


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_json(evaluate(ROUTES, by_policy(Wobbly())), tmp_path / name / "results.json")
    files = [tmp_path / name / "results.json" for name in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert [path.name for path in files[0].parent.iterdir()] == ["results.json"]
    assert json.loads(files[0].read_text())["summary"]["n_routes"] == 2


def test_json_holds_no_nan() -> None:
    value = {"a": math.nan, "b": np.array([1.0, np.inf]), "c": (np.float32(2), Path("x"))}
    assert plain(value) == {"a": None, "b": [1.0, None], "c": [2.0, "x"]}
    facts = provenance(3, EvaluationConfig())
    assert facts["seed"] == 3
    assert facts["config"]["blocked_after"] == 30.0
    assert facts["versions"]["numpy"] == np.__version__
    found = commit()
    assert found is None or len(found.rstrip("+")) == 40


def test_the_judge_decides_what_a_drive_was() -> None:
    """A drive is scored as the judge says, from the log as well as live."""
    driven = drive(world_of("straight"), PoseObserver(), Wobbly(), specs_on(ROUTES, 1, 40))[0]
    result = judge_episode(network_of("straight"), EvaluationConfig().rules, driven)
    hit, light = Kind.PEDESTRIAN, Kind.RED_LIGHT
    found = [Infraction(kind, 1, 0.05, 0.0, 0.0, 0.0, 0, 0.0, "") for kind in (hit, hit, light)]
    record = score(driven, replace(result, infractions=tuple(found)))
    assert [record[name] for name in ("collisions", "red_lights", "stop_signs")] == [2, 1, 0]
    assert record["route_completion"] == result.completion
    assert summary([record, record])["collisions"] == 4


def test_rules_are_leaderboard_ones_but_for_what_ends_a_drive() -> None:
    rules = EvaluationConfig(blocked_after=7.0, time_per_metre=0.5, extra_time=3.0).rules
    assert rules == replace(
        LB1, id="evaluate", blocked_after=7.0, time_limit=TimeLimit(fixed=3.0, per_metre=0.5)
    )


def test_bad_evaluations_are_named() -> None:
    with pytest.raises(ValueError, match="no routes"):
        evaluate([], Driving(network_of, world_of, expert_of=planner_of))
    with pytest.raises(ValueError, match="either a policy or an expert"):
        Driving(network_of, world_of)
    with pytest.raises(ValueError, match="observer_of"):
        Driving(network_of, world_of, policy=Wobbly())
    with pytest.raises(ValueError, match="time_per_metre must be positive, got -1"):
        EvaluationConfig(time_per_metre=-1)


def assert_expert_stays_in_lane(path: Path, networks: dict[str, RoadNetwork]) -> None:
    def network_of(town: str) -> RoadNetwork:
        if town not in networks:
            networks[town] = library.load(town)
        return networks[town]

    routes: list[Route] = load_routes(path, network_of)
    driving = Driving(network_of, lambda town: World(network_of(town), 32), expert_of=planner_of)
    results = evaluate(routes, driving)
    for r in results["routes"]:
        assert r["outcome"] == "completed", r
        assert r["max_lateral_error"] <= 0.25, r
        assert r["lane_margin"] > 0.0, r
        assert r["max_off_road"] == 0.0, r


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_the_expert_drives_every_shipped_route_within_its_lane(path: Path) -> None:
    assert_expert_stays_in_lane(path, {})


@pytest.mark.carla_wheel
@pytest.mark.parametrize("name", ["lb1_devtest_town01_town04", "lb1_training_town01_town04"])
def test_the_expert_drives_the_leaderboard_routes_within_its_lane(
    name: str, shared_maps: Path, shared_routes: Path
) -> None:
    pytest.importorskip("carla")
    networks = {town: library.load(shared_maps / f"{town}.xodr") for town in ("Town01", "Town04")}
    assert_expert_stays_in_lane(shared_routes / f"{name}.xml", networks)
