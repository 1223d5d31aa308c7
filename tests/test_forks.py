"""Forking a world: the same bits again, and what one action costs."""

import numpy as np
import pytest
from roads import straight_road

from drive_il.datatypes import CONTROL, EpisodeSpec, Start
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.maps import routes
from drive_il.rollout import drive
from drive_il.sim.world import World
from drive_il.theory import costs
from drive_il.theory.forks import fork, replay, snapshots_at

HORIZON = 60


@pytest.fixture(scope="module")
def driven() -> tuple[World, list[EpisodeSpec], list[np.ndarray], list]:
    network = straight_road()
    route = routes.plan(network, np.array([[5.0, -1.75, 0.0], [490.0, -1.75, 0.0]]))
    specs = [
        EpisodeSpec(route, seed, HORIZON, Start(s=10.0 * seed, lateral_error=0.2 * seed, speed=6.0))
        for seed in range(3)
    ]
    world = World(network, 2)
    episodes = drive(world, None, None, specs, expert=Planner(), gate=ExpertDrives())
    return world, specs, [episode.control for episode in episodes], episodes


def test_a_replay_gives_the_same_bits(driven: tuple) -> None:
    world, specs, controls, episodes = driven
    for again, before in zip(replay(world, specs, controls), episodes, strict=True):
        assert again.ego.tobytes() == before.ego.tobytes()


def test_a_fork_with_the_experts_own_action_changes_nothing(driven: tuple) -> None:
    world, specs, controls, episodes = driven
    places = [(0, 7), (2, 31), (1, 1)]
    snapshots = snapshots_at(world, specs, controls, places)
    first = np.array([step for _, step in places])
    actions = np.concatenate([controls[e][t : t + 1] for e, t in places])
    forked = fork(world, Planner(), [specs[e] for e, _ in places], snapshots, first, actions)
    for (e, t), tail in zip(places, forked, strict=True):
        assert tail.n_steps == HORIZON - t
        assert tail.ego.tobytes() == episodes[e].ego[t:].tobytes()


def test_one_wrong_action_is_recovered_from_and_costs_nothing(driven: tuple) -> None:
    world, specs, controls, episodes = driven
    places = [(0, 10), (1, 20)]
    snapshots = snapshots_at(world, specs, controls, places)
    wrong = np.zeros(2, CONTROL)
    wrong["steer"] = (1.0, -1.0)
    first = np.array([10, 20])
    forked = fork(world, Planner(), [specs[e] for e, _ in places], snapshots, first, wrong)
    assert not np.array_equal(forked[0].ego["y"], episodes[0].ego["y"][10:])
    expert = costs.tracks([episodes[0], episodes[1]], HORIZON)
    failing = costs.failures(costs.tracks(forked, HORIZON, first), expert).either
    assert not failing.any()


def test_a_place_after_the_end_is_refused(driven: tuple) -> None:
    world, specs, controls, _ = driven
    with pytest.raises(ValueError, match="cannot fork episode 1 at step 60"):
        snapshots_at(world, specs, controls, [(1, HORIZON)])
