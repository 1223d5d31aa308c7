"""DAgger: schedules, budget, and driving on a ring with a toy camera."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from drive_il.datatypes import Episode, EpisodeSpec, Floats, Ints, Observation, Scene, Start, Who
from drive_il.experts.planner import Planner
from drive_il.fit import FitConfig, Progress
from drive_il.gates import ExpertDrives
from drive_il.learners import (
    confidence_based,
    dagger,
    ensemble_dagger,
    lazy_dagger,
    safe_dagger,
    stagger,
    thrifty_dagger,
)
from drive_il.maps.routes import plan
from drive_il.networks import DrivingPolicy, NetworkConfig, driving_network
from drive_il.protocols import Policy
from drive_il.rollout import drive
from drive_il.rounds import Place, Rounds, RoundsConfig
from drive_il.sensor_specs import CameraSpec, ObservationSpec
from drive_il.sim.world import World
from tests.roads import ring_road
from tests.toy_drives import road_pictures

RADIUS = 30.0
SMALL = NetworkConfig(channels=(8, 12), hidden=24, branch_hidden=8)
FIT = FitConfig(n_steps=150, batch_size=32, learning_rate=3e-3, n_threads=1)
ROUNDS = RoundsConfig(
    n_rounds=4,
    label_budget=900,
    steps_per_episode=60,
    n_validation=4,
    validation_steps=150,
    network=SMALL,
    fit=FIT,
)
CONFIG = dagger.Config(rounds=ROUNDS)


class ToyCamera:
    """Paints a bright road; it lies to the left when the ego should steer left."""

    spec = ObservationSpec(cameras=(CameraSpec(width=32, height=24),))

    def observe(self, scene: Scene, rows: Ints) -> Observation:
        at = scene.progress[rows]
        to_the_left = -0.3 * at["lateral_error"] - 1.0 * at["heading_error"]
        return {
            "rgb": np.concatenate(
                [road_pictures(row[None], 24, 32, seed=0) for row in np.clip(to_the_left, -1, 1)]
            ),
            "speed": scene.ego["speed"][rows].astype(np.float32),
            "command": at["command"].astype(np.int64),
        }


def ring(angle: Floats) -> Floats:
    """Points on the ring's counter-clockwise lane, (N, 3)."""
    radius = RADIUS + 1.75
    return np.stack((radius * np.cos(angle), radius * np.sin(angle), 0 * angle), 1)


@pytest.fixture(scope="module")
def drives() -> tuple[World, list[EpisodeSpec], list[Episode]]:
    network = ring_road(RADIUS, speed_limit=8.0)
    routes = [plan(network, ring(a + np.linspace(0.0, 4.0, 5)), id=str(a)) for a in (0.3, 1.5)]
    world = World(network, 8, routes, 0.05)
    specs = [
        EpisodeSpec(routes[i % 2], seed=i, max_steps=150, start=Start(s=1.0 + i, speed=5.0))
        for i in range(8)
    ]
    data = drive(world, ToyCamera(), None, specs[:3], expert=Planner(), gate=ExpertDrives())
    return world, specs, data


def driven(world: World, policy: Policy, specs: list[EpisodeSpec]) -> float:
    """Mean distance driven before |lateral_error| exceeds half a lane [m]."""
    distances = []
    for episode in drive(world, ToyCamera(), policy, specs, keep_observations=False):
        at = episode.progress
        out = np.append(np.abs(at["lateral_error"]) > at["lane_width"] / 2, True)
        distances.append(at["s"][max(out.argmax() - 1, 0)] - at["s"][0])
    return float(np.mean(distances))


@pytest.mark.parametrize(
    ("schedule", "closed_form"),
    [
        ("first", lambda i: float(i == 1)),
        ("exponential", lambda i: 0.5 ** (i - 1)),
        ("linear", lambda i: 1 - (i - 1) / 5),
    ],
)
def test_beta_has_its_closed_form(schedule: str, closed_form: Callable[[int], float]) -> None:
    config = dagger.Config(schedule, beta0=0.5, rounds=replace(ROUNDS, n_rounds=6))
    assert [dagger.beta(config, i) for i in range(1, 7)] == pytest.approx(
        [closed_form(i) for i in range(1, 7)]
    )
    assert dagger.beta(config, 1) == 1.0


def test_a_thinned_round_sees_more_places_for_as_many_labels(
    drives: tuple[World, list[EpisodeSpec], list[Episode]],
) -> None:
    world, specs, _ = drives
    seen = {}
    for every in (1, 5):
        config = replace(ROUNDS, every=every, label_budget=200, n_rounds=2)
        run = Rounds(Place(world, ToyCamera(), Planner(), specs), config, seed=0)
        episodes = run.collect(1, ExpertDrives())
        assert run.labels == sum(one.labels for one in episodes) == 100
        assert all((np.diff(np.flatnonzero(one.asked)) == every).all() for one in episodes)
        seen[every] = sum(one.n_steps for one in episodes)
    assert 95 <= seen[1] <= 125
    assert seen[5] > 4 * seen[1]
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        RoundsConfig(every=0)


@pytest.mark.parametrize(
    "made",
    [
        partial(safe_dagger.Config, oracle=True),
        ensemble_dagger.Config,
        lazy_dagger.Config,
        thrifty_dagger.Config,
        stagger.Config,
        confidence_based.Config,
    ],
)
def test_who_needs_each_label_cannot_thin(made: Callable[..., object]) -> None:
    made(rounds=RoundsConfig(every=1))
    with pytest.raises(ValueError, match=r"pays for each look .*: every must be 1, got 5"):
        made(rounds=RoundsConfig(every=5))


def test_episodes_of_a_round_begin_at_the_speeds_of_the_road(
    drives: tuple[World, list[EpisodeSpec], list[Episode]],
) -> None:
    world, specs, _ = drives
    run = Rounds(Place(world, ToyCamera(), Planner(), specs), ROUNDS, seed=0)
    share = []
    for spec in run.specs(2, 400):
        points = spec.route.points
        limit = points["speed_limit"][np.searchsorted(points["s"], spec.start.s)]
        share.append(spec.start.speed / limit)
    assert min(share) >= 0.0
    assert max(share) < 0.9
    np.testing.assert_allclose(
        np.quantile(share, [0.25, 0.5, 0.75]), [0.225, 0.45, 0.675], atol=0.06
    )


def test_it_drives_a_ring_better_than_an_untrained_policy(
    drives: tuple[World, list[EpisodeSpec], list[Episode]],
) -> None:
    world, specs, data = drives
    reports: list[Progress] = []
    iterates: dict[int, DrivingPolicy] = {}
    place = Place(world, ToyCamera(), Planner(), specs)
    policy = dagger.train(place, data, CONFIG, 0, reports.append, iterates.__setitem__)
    assert policy.card["labels"] == ROUNDS.label_budget
    assert len(policy.card["validation_scores"]) == ROUNDS.n_rounds
    assert policy.network is iterates[policy.card["best_round"]].network
    assert [one["labels"] for one in policy.card["rounds"]] == [450, 600, 750, 900]
    best = policy.card["validation_scores"][policy.card["best_round"] - 1]
    assert best == max(policy.card["validation_scores"])
    network = driving_network(SMALL, ToyCamera.spec, 5)
    untrained = DrivingPolicy(network, SMALL, ToyCamera.spec)
    assert driven(world, policy, specs) > 2 * driven(world, untrained, specs) > 0
    assert [r.done for r in reports if r.stage == "rounds"] == [1, 2, 3, 4]
    shares = [r.share for r in reports]
    assert shares == sorted(shares)  # what is done never becomes undone
    assert 0.0 < shares[0] <= 0.25
    assert shares[-1] == 1.0


def test_the_last_round_may_take_more_steps(
    drives: tuple[World, list[EpisodeSpec], list[Episode]],
) -> None:
    world, specs, data = drives
    reports: list[Progress] = []
    rounds = replace(ROUNDS, n_rounds=2, label_budget=600, fit=replace(FIT, n_steps=20))
    place = Place(world, ToyCamera(), Planner(), specs)
    config = dagger.Config(rounds=replace(rounds, last_steps=60))
    dagger.train(place, data, config, 0, reports.append)
    # 450 frames are 15 batches a pass, 600 frames 19: passes of each round, the last cut short.
    assert [r.total for r in reports if r.stage == "round 1 of 2"] == [2, 2]
    assert [r.total for r in reports if r.stage == "round 2 of 2"] == [4, 4, 4, 4]


def test_the_same_seed_gives_the_same_bits_for_any_number_of_rows(
    drives: tuple[World, list[EpisodeSpec], list[Episode]],
) -> None:
    world, specs, data = drives
    rounds = replace(ROUNDS, n_rounds=2, label_budget=700, fit=replace(FIT, n_steps=20))
    config = dagger.Config(rounds=rounds)
    other = World(ring_road(RADIUS, speed_limit=8.0), 3, [spec.route for spec in specs[:2]], 0.05)
    weights = []
    for place in (world, other):
        network = dagger.train(Place(place, ToyCamera(), Planner(), specs), data, config, 1).network
        weights.append([value.numpy().tobytes() for value in network.state_dict().values()])
    assert weights[0] == weights[1]


def test_without_demonstrations_the_expert_drives_round_one(
    drives: tuple[World, list[EpisodeSpec], list[Episode]],
) -> None:
    world, specs, _ = drives
    run = Rounds(Place(world, ToyCamera(), Planner(), specs), ROUNDS, 0)
    episodes = run.demonstrate()
    assert run.labels == ROUNDS.label_budget // ROUNDS.n_rounds
    assert all((episode.who == Who.EXPERT).all() for episode in episodes)


def test_errors_say_what_to_do(
    drives: tuple[World, list[EpisodeSpec], list[Episode]],
) -> None:
    world, specs, data = drives
    with pytest.raises(ValueError, match="more specs than the 4 they validate on, got 3"):
        dagger.train(Place(world, ToyCamera(), Planner(), specs[:3]), data, CONFIG, 0)
    config = dagger.Config(rounds=replace(ROUNDS, label_budget=100))
    with pytest.raises(ValueError, match="hold 450 labels, more than label_budget 100"):
        dagger.train(Place(world, ToyCamera(), Planner(), specs), data, config, 0)
    with pytest.raises(ValueError, match="schedule must be one of"):
        dagger.Config(schedule="cosine")
    with pytest.raises(ValueError, match="beta0 is a probability"):
        dagger.Config(beta0=1.5)
