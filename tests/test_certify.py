"""Forks of real drives add up to the gap exactly, whatever runs beside them; pages of anybody."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from drive_il.datatypes import Episode
from drive_il.experiments import certificates, certify
from drive_il.experiments import certify_forks as forking
from drive_il.experiments.certify_handovers import search
from drive_il.experiments.covariate_shift_specs import EXPERT
from drive_il.experiments.drives import expert_episodes, never_blocked
from drive_il.experiments.regimes_road import TOWN, Features, Linear, specs
from drive_il.experts.planner import Planner
from drive_il.gates import AskAlways
from drive_il.maps import library
from drive_il.rollout import drive
from drive_il.sim.world import World
from drive_il.theory import costs, handovers

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


@pytest.fixture(scope="module")
def every_fork(driven: tuple) -> dict[tuple[int, int], float]:
    """Of each step before the failure but the first: what its one action costs more."""
    own, truth = driven
    tracks = costs.tracks(truth, HORIZON)
    places = [(e, t) for e, t in np.argwhere(forking.disagreements(own, tracks).alive) if t >= 1]
    told = forking.compare(forking.fork_pairs(TOWN, own, places), places, tracks)
    return {(int(e), int(t)): one["absorbing"] for (e, t), one in zip(places, told, strict=True)}


def gap(driven: tuple) -> np.ndarray:
    """What each drive cost."""
    own, truth = (costs.tracks(one, HORIZON) for one in driven)
    return costs.absorbing(costs.failures(own, truth).either)[:, -1]


def test_forks_of_every_step_add_up_to_the_gap(driven: tuple, every_fork: dict) -> None:
    """Extra costs telescope: what the drive cost minus what handing over at step 1 costs."""
    summed = np.zeros(len(driven[0]))
    for (e, _), extra in every_fork.items():
        summed[e] += extra
    assert (gap(driven) > 0).all()
    np.testing.assert_array_equal(summed, gap(driven))  # the expert fails from none of the starts


def searched(driven: tuple) -> dict[int, dict[int, float]]:
    own, truth = driven
    tracks = costs.tracks(truth, HORIZON)
    failed_at = forking.disagreements(own, tracks).failed_at
    ends = {e: int(f) for e, f in enumerate(failed_at)}
    return search(own, tracks, ends, 0, lambda share, note: None)


def test_handing_over_costs_what_the_forks_before_it_add_up_to(
    driven: tuple, every_fork: dict
) -> None:
    """And halving finds the last step from which the expert never fails, as all forks tell it."""
    for e, known in searched(driven).items():
        for step, cost in known.items():
            assert cost == sum(every_fork[e, t] for t in range(1, step))
        sums = np.cumsum([every_fork[e, t] for t in range(1, max(known))])
        assert handovers.last_saved(known) == 2 + np.flatnonzero(sums == 0)[-1]  # V_2 first
        assert len(known) < 12


def test_few_forks_explain_the_gap_once_the_steps_that_decide_are_known(
    driven: tuple, every_fork: dict
) -> None:
    """The identity on a real road: 24 of some 150 steps are forked, 200 times drawn anew."""
    own, truth = driven
    errs = forking.disagreements(own, costs.tracks(truth, HORIZON))
    known = searched(driven)
    places = list(every_fork)
    extra, drive = np.array([every_fork[one] for one in places]), np.array([e for e, _ in places])
    worst = {}
    for name, found in (("blind", {}), ("searched", known)):
        chance = forking.chances(errs, 0.05, found, 24)
        some = np.array([chance[one] for one in places])
        assert some.min() > 0
        drawn = np.random.default_rng(0).random((200, len(places))) < some
        sums = np.stack([(drawn * extra / some)[:, drive == e].sum(1) for e in range(3)])
        worst[name] = np.abs(sums.mean(0) - gap(driven).mean()).mean()
    assert worst["searched"] < 3.0
    assert worst["blind"] > 4 * worst["searched"]


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


def test_who_was_trained_before_is_not_trained_again(tmp_path: Path) -> None:
    config = certificates.Config(out=tmp_path / "out", who=("expert", "bc", "gail", "bc_camera"))
    assert [job.name for job in certificates.training_jobs(config)] == [
        "demonstrations",
        "model/bc",
        "model/gail",
    ]
    (tmp_path / "models" / "bc").mkdir(parents=True)
    later = replace(config, models=tmp_path / "models")
    assert [job.name for job in certificates.training_jobs(later)][1:] == ["model/gail"]
    assert later.certificate("bc").who == str(tmp_path / "models" / "bc")
    assert later.certificate("gail").who == str(tmp_path / "out" / "models" / "gail")
    assert later.certificate("bc_camera").who.endswith("leaderboard/models/bc")


@pytest.mark.slow
@pytest.mark.parametrize("who", ["expert", "policy", "agent"])
def test_a_certificate_of_anybody_is_a_page_and_the_same_numbers_again(
    who: str, tmp_path: Path
) -> None:
    """Three short drives: what cannot be measured is null, with its reason on the page."""
    root = Path(__file__).parents[1]
    driver = {
        "expert": {"who": "expert"},
        "policy": {"who": str(root / "leaderboard" / "models" / "bc")},
        "agent": {"agent": str(root / "leaderboard" / "agents" / "follow_route.py")},
    }[who]
    config = certify.Config(
        routes=root / "routes" / "birch_test.xml",
        drives=2 if who == "agent" else 3,
        horizon=60,
        forks=10,
        workers=1,
        out=tmp_path / "out",
        **driver,
    )
    silent = Console(file=io.StringIO(), width=200)
    page = certify.certify(config, silent)
    first = (config.out / "certificate.json").read_bytes()
    told = json.loads(first)
    assert told["n_drives"] == config.drives
    assert {"eps_expert", "eps_own", "density", "exponent", "renewal", "regime"} <= set(told)
    assert len(told["eps_own_by_delta"]) == 10
    assert len(told["bounds"]) == 6
    text = page.read_text()
    assert "Where errors begin and where they end" in text
    assert text.count("data:image/png;base64,") == (4 if told["n_forks"] else 3)
    if who == "policy":
        assert told["n_forks"] > 0
        assert told["identity"] is not None
        assert "The worst forks" in text
    else:
        assert told["u"] is told["k"] is told["identity"] is None
        assert told["forks_reason"] in text.replace("&#39;", "'")
    certify.certify(config, silent)
    assert (config.out / "certificate.json").read_bytes() == first
