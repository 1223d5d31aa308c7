"""ALVINN on the fly: network, views, what leaves the buffer, and that it learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drive_il import augment, learners, steering
from drive_il.datatypes import Actors, Array, Episode, Floats, Records, check_control
from drive_il.learners import alvinn_1991
from drive_il.learners.alvinn_1991 import Config, Cycles, OnTheFly, leaving, snapshots
from tests.toy_drives import demonstration, road_pictures


def drive(steer: Floats, seed: int = 0) -> Episode:
    """A made-up drive past what ALVINN sees."""
    return demonstration({"retina": road_pictures(np.append(steer, 0.0), 30, 32, seed)}, steer)


def sideways(ego: Records, weather: Records, actors: Actors) -> Array:
    """A camera on the toy road: the road moves to the right as the ego moves to the left."""
    return road_pictures(-ego["y"] / 2.0 - ego["heading"], 30, 32, 0)


CONFIG = Config(snapshots=60, snapshot_every=1)


def test_the_network_has_about_5000_weights() -> None:
    assert sum(weights.numel() for weights in OnTheFly(0).parameters()) == 4985


def test_snapshots_are_taken_at_their_stride_across_drives() -> None:
    data = [drive(np.linspace(-0.2, 0.2, 25)), drive(np.linspace(0.3, 0.1, 25), 1)]
    taken = snapshots(data, Config(snapshots=5, snapshot_every=10))
    steer = np.concatenate([np.linspace(-0.2, 0.2, 25), np.linspace(0.3, 0.1, 25)])[:50:10]
    np.testing.assert_allclose(taken.curvature, steering.curvature_of_steer(steer), rtol=1e-6)


def test_too_few_frames_are_refused_with_what_would_do() -> None:
    with pytest.raises(ValueError, match="need 60 labelled steps, the data hold 20"):
        snapshots([drive(np.zeros(20))], CONFIG)


def test_a_cycle_adds_the_picture_and_its_views_with_corrected_labels() -> None:
    taken = snapshots([drive(np.full(60, 0.1))], CONFIG)
    cycles = Cycles(taken, OnTheFly(0), CONFIG, 3, sideways)
    next(cycles.epoch(0))
    assert len(cycles.curvature) == 15
    assert cycles.curvature[0] == taken.curvature[0]
    np.testing.assert_array_equal(cycles.retina[0], taken.pictures[0, ..., 2])
    draws = augment.Draw(3, 0, np.arange(14)).uniform("views", 2)
    shift, rotation = 0.6 * (2 * draws[:, 0] - 1), np.deg2rad(6.0) * (2 * draws[:, 1] - 1)
    expected = augment.corrected_curvature(np.full(14, taken.curvature[0]), shift, rotation, 3.5)
    np.testing.assert_allclose(cycles.curvature[1:], expected)


@pytest.mark.parametrize(("views", "buffer", "kept"), [(14, 200, 200), (0, 200, 60), (14, 0, 15)])
def test_every_variant_presents_as_many_patterns_a_cycle(
    views: int, buffer: int, kept: int
) -> None:
    config = replace(CONFIG, views=views, buffer=buffer)
    taken = snapshots([drive(np.random.default_rng(0).uniform(-0.5, 0.5, 60))], config)
    cycles = Cycles(taken, OnTheFly(0), config, 0, sideways)
    for cycle in range(60):
        assert sum(len(batch["target"]) for batch in cycles.epoch(cycle)) == 200
    assert len(cycles.curvature) == kept


def test_the_best_known_leave_and_the_rest_from_the_leaning_side() -> None:
    rng = np.random.default_rng(0)
    errors, curvature = rng.random(200), rng.normal(0.05, 0.05, 200)  # leans to the left
    gone = leaving(errors, curvature, 15, key=1)
    assert len(set(gone.tolist())) == 15
    known = set(np.argsort(errors)[:10].tolist())
    assert known <= set(gone.tolist())
    drawn = [i for i in gone if i not in known]
    assert all(curvature[i] > 0 for i in drawn)
    stay = np.delete(np.arange(200), gone)
    assert abs(curvature[stay].mean()) < abs(np.delete(curvature, sorted(known)).mean())


def test_one_leaves_by_error_two_times_in_three() -> None:
    errors = np.arange(50.0)
    curvature = np.full(50, -0.1)
    by_error = [leaving(errors, curvature, 1, key)[0] == 0 for key in range(300)]
    assert 0.6 < np.mean(by_error) < 0.75


def test_it_learns_to_steer_and_gives_the_same_bits_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = [drive(rng.uniform(-0.5, 0.5, 300))]
    config = replace(CONFIG, views=0, snapshots=300, fit=replace(CONFIG.fit, learning_rate=0.1))
    policy = alvinn_1991.train(data, config, seed=1)
    fresh = drive(rng.uniform(-0.5, 0.5, 60), seed=9)
    seen = {name: value[:-1] for name, value in fresh.observations.items()}
    control, state, _ = policy.act(seen, policy.initial_state(60))
    check_control(control, 60)
    assert state == {}
    assert np.abs(control["steer"] - fresh.control["steer"]).mean() < 0.12  # straight on: 0.25
    assert policy.card["labels"] == 300
    learners.save(alvinn_1991.train(data, config, seed=1), tmp_path)
    again, _, _ = learners.load(tmp_path).act(seen, {})
    assert again.tobytes() == control.tobytes()


def test_views_need_a_camera() -> None:
    with pytest.raises(ValueError, match="pass renderer"):
        alvinn_1991.train([drive(np.zeros(60))], CONFIG, 0)


def test_a_buffer_smaller_than_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one cycle's 15 patterns, got 10"):
        Config(buffer=10)
