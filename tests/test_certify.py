"""Forks of real drives: they add up to the gap exactly, whatever runs beside them."""

from dataclasses import replace

import numpy as np
import pytest

from drive_il.datatypes import Episode
from drive_il.experiments import certify
from drive_il.experiments import certify_forks as forking
from drive_il.experiments.covariate_shift_specs import EXPERT
from drive_il.experiments.drives import expert_episodes, never_blocked
from drive_il.experiments.regimes_road import TOWN, Features, Linear, specs
from drive_il.experts.planner import Planner
from drive_il.gates import AskAlways
from drive_il.maps import library
from drive_il.rollout import drive
from drive_il.sim.world import World
from drive_il.theory import costs

HORIZON = 70


@pytest.fixture(scope="module")
def driven() -> tuple[list[Episode], list[Episode]]:
    """A lane keeper that pulls to the left and leaves its lane, and the expert."""
    network, expert = library.load(TOWN), Planner(network=library.load(TOWN))
    some = specs(3, HORIZON, 5, "test-certify")
    policy = Linear(np.array([[1.0], [-0.3], [0.035]]))
    own = drive(
        World(network, 3),
        Features(("road", "heading")),
        policy,
        some,
        expert=expert,
        gate=AskAlways(),
        stop=never_blocked(),
        pedals=EXPERT,
        keep_observations=False,
    )
    return own, expert_episodes(World(network, 3), some, expert)


def test_forks_of_every_step_add_up_to_the_gap(driven: tuple) -> None:
    """Extra costs telescope: what the drive cost minus what handing over at step 1 costs."""
    own, truth = driven
    tracks = costs.tracks(truth, HORIZON)
    errs = forking.disagreements(own, tracks)
    assert (errs.failed_at > 0).all()
    total = costs.absorbing(costs.failures(costs.tracks(own, HORIZON), tracks).either)[:, -1]
    places = [(e, t) for e, t in np.argwhere(errs.alive).tolist() if t >= 1]
    pairs = forking.fork_pairs(TOWN, own, places)
    told = forking.compare(pairs, places, tracks, truth)
    summed = np.zeros(len(own))
    for (e, _), one in zip(places, told, strict=True):
        summed[e] += one["absorbing"]
    np.testing.assert_array_equal(summed, total)  # the expert fails from none of the starts


def test_a_fork_is_the_same_whatever_runs_beside_it(driven: tuple) -> None:
    own, _ = driven
    many, reference = forking.fork_pairs(TOWN, own, [(0, 9), (1, 20), (2, 13), (0, 30)])
    [alone], [beside] = forking.fork_pairs(TOWN, own, [(2, 13)])
    assert alone.ego.tobytes() == many[2].ego.tobytes()
    assert beside.ego.tobytes() == reference[2].ego.tobytes()
    assert many[2].ego.tobytes() != reference[2].ego.tobytes()


def test_strata_are_disjoint_and_hold_every_step_that_can_be_forked(driven: tuple) -> None:
    own, truth = driven
    errs = forking.disagreements(own, costs.tracks(truth, HORIZON))
    strata = np.stack(errs.strata(0.05))
    assert strata.sum(0).max() == 1
    can = errs.alive & (np.arange(HORIZON) >= 1)
    np.testing.assert_array_equal(strata.any(0), can)


def test_a_config_wants_somebody_and_says_so() -> None:
    with pytest.raises(ValueError, match="give either who"):
        certify.Config(routes="routes/birch_test.xml")
    with pytest.raises(ValueError, match="horizon must be at least 20"):
        certify.Config(routes="routes/birch_test.xml", who="expert", horizon=5)
    nobody = certify.Config(routes="routes/birch_test.xml", who="runs/nobody")
    with pytest.raises(ValueError, match="runs/nobody is no model folder"):
        certify.plan(nobody)
    config = certify.Config(routes="routes/birch_test.xml", who="expert", drives=3)
    assert not certify.can_fork(config)
    names = [job.name for job in certify.plan(config, "expert/")]
    assert names == ["tolerance/birch", "expert/own/0", "expert/truth/0"]
    other = certify.plan(replace(config, drives=40), "")
    assert [job.name for job in other] == [
        "tolerance/birch",
        *("own/0", "truth/0", "own/32", "truth/32"),
    ]
