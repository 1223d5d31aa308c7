"""Whole drives, judged as they happen: in any batch, and from the log, the same result."""

from pathlib import Path

import numpy as np
import pytest

from drive_il.datatypes import CONTROL, Episode, EpisodeSpec, Outcome, Records, Scene
from drive_il.evaluation.judge import Judge, judge_episode
from drive_il.evaluation.protocol import BENCH2DRIVE, LB1, LB21, NO_CRASH, Protocol
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.evaluation.scoring import route_scores
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.maps import library
from drive_il.maps.routes import load_routes
from drive_il.protocols import Expert
from drive_il.rollout import drive
from drive_il.sim import World

SUITE = Path(__file__).parents[1] / "routes" / "alder_scenarios.xml"


class Reckless:
    """Full throttle along the route, whoever is in the way and whatever the light shows."""

    def control(self, scene: Scene) -> Records:
        at = scene.progress
        control = np.zeros(scene.n_rows, CONTROL)
        control["throttle"] = np.where(scene.ego["speed"] < 9.0, 0.8, 0.3)
        aim = 4.0 * at["curvature"] - 0.1 * at["lateral_error"] - 0.8 * at["heading_error"]
        control["steer"] = np.clip(aim, -1.0, 1.0)
        return control


def drives(
    protocol: Protocol, expert: Expert, n_rows: int, n_routes: int
) -> tuple[list[Episode], list[RouteResult]]:
    network = library.load("alder")
    routes = load_routes(SUITE, library.load)[:n_routes]
    specs = [
        EpisodeSpec(route, k, max_steps=3000, traffic=protocol.traffic(network))
        for k, route in enumerate(routes)
    ]
    results: list[RouteResult] = []
    judge = Judge(network, protocol, n_rows, on_result=lambda spec, one: results.append(one))
    world = World(network, n_rows, routes)
    gate = ExpertDrives()
    made = drive(
        world, None, None, specs, expert=expert, gate=gate, judge=judge, keep_observations=False
    )
    return made, sorted(results, key=lambda one: one.seed)


def test_the_expert_is_judged_alike_live_logged_and_in_any_batch() -> None:
    planner = Planner(network=library.load("alder"))
    episodes, results = drives(BENCH2DRIVE, planner, 2, 3)
    logged = [judge_episode(library.load("alder"), BENCH2DRIVE, one) for one in episodes]
    assert logged == results
    assert drives(BENCH2DRIVE, planner, 3, 3)[1] == results
    assert [one.ending for one in results] == [Ending.COMPLETED] * 3
    assert all(route_scores(BENCH2DRIVE, one).composed == 100.0 for one in results)
    assert all(len(one.speeds) >= 15 and one.comfort is not None for one in results)


@pytest.mark.parametrize(
    ("protocol", "at_least"), [(LB21, 4), (NO_CRASH, 1)], ids=["lb2.1", "nocrash"]
)
def test_a_reckless_driver_is_charged_alike_live_and_logged(
    protocol: Protocol, at_least: int
) -> None:
    episodes, results = drives(protocol, Reckless(), 4, 4)
    network = library.load("alder")
    assert [judge_episode(network, protocol, one) for one in episodes] == results
    assert sum(len(one.infractions) for one in results) >= at_least
    for episode, result in zip(episodes, results, strict=True):
        assert (episode.outcome == Outcome.COLLIDED) == (result.ending == Ending.COLLIDED)
        assert result.duration == pytest.approx(episode.n_steps * episode.dt)


def test_a_logged_drive_can_be_judged_by_another_protocol() -> None:
    """A collision that leaderboard 2.1 lets pass ends the drive for NoCrash."""
    episodes, results = drives(LB21, Reckless(), 4, 4)
    network = library.load("alder")
    shorter = [judge_episode(network, NO_CRASH, one) for one in episodes]
    collided = [one for one in shorter if one.ending == Ending.COLLIDED]
    assert collided
    for short, whole in zip(shorter, results, strict=True):
        assert short.duration <= whole.duration
    assert all(judge_episode(network, LB1, one).completion >= 0.0 for one in episodes[:1])
