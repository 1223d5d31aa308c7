"""ALVINN's hill, decoder, road intensity and network."""

import numpy as np
import pytest

from drive_il import steering
from drive_il.datatypes import Episode, Floats, check_control
from drive_il.fit import FitConfig
from drive_il.learners import alvinn
from tests.toy_drives import demonstration, road_pictures

QUICK = FitConfig(n_epochs=40, batch_size=16, optimizer="sgd", learning_rate=0.05, n_threads=1)


def drive(steer: Floats, seed: int = 0) -> Episode:
    """A made-up drive past what ALVINN sees."""
    observations = {
        "retina": road_pictures(np.append(steer, 0.0), 30, 32, seed),
        "range_finder": np.ones((len(steer) + 1, 8, 32), np.float32),
    }
    return demonstration(observations, steer, seed)


def test_the_network_has_the_papers_size() -> None:
    network = alvinn.Alvinn(0)
    assert network.hidden.weight.shape == (29, 1217)
    assert network.output.weight.shape == (46, 29)


def test_road_intensity_says_lighter_darker_or_the_same() -> None:
    retina = np.full((3, 30, 32), 100, np.uint8)
    retina[1, :, 8:24] = 180
    retina[2, :, 8:24] = 40
    same, lighter, darker = alvinn.road_intensity(retina, 20.0)
    assert same == 0.5
    assert lighter > 0.9
    assert darker < 0.1


def test_training_feeds_back_the_label_of_the_frame_before() -> None:
    frames = alvinn.training_frames([drive(np.linspace(-0.3, 0.3, 8))], alvinn.Config())
    assert frames["intensity"][0] == 0.5
    np.testing.assert_array_equal(frames["intensity"][1:], frames["target"][:-1, 45])


def test_the_policy_carries_the_road_intensity_in_its_state() -> None:
    policy = alvinn.AlvinnPolicy(alvinn.Alvinn(0).eval(), 0.2)
    seen = {name: value[:3] for name, value in drive(np.zeros(4)).observations.items()}
    state = policy.initial_state(3)
    assert state["road_intensity"].tolist() == [0.5, 0.5, 0.5]
    control, after, info = policy.act(seen, state)
    check_control(control, 3)
    assert not control["throttle"].any()
    assert not control["brake"].any()
    np.testing.assert_array_equal(after["road_intensity"], info["activation"][:, 45])
    other, _, _ = policy.act(seen, {"road_intensity": np.ones(3, np.float32)})
    assert np.any(other != control)


@pytest.mark.parametrize("seed", range(4))
def test_a_row_does_not_depend_on_position_or_other_rows(seed: int) -> None:
    policy = alvinn.AlvinnPolicy(alvinn.Alvinn(seed).eval(), 0.2)
    seen = drive(np.random.default_rng(seed).uniform(-1, 1, 40)).observations
    state = {"road_intensity": np.random.default_rng(seed + 1).random(41, np.float32)}
    _, _, whole = policy.act(dict(seen), state)
    for row in range(41):  # every place in a batch, the last one too
        _, _, alone = policy.act(
            {name: value[row : row + 1] for name, value in seen.items()},
            {"road_intensity": state["road_intensity"][row : row + 1]},
        )
        assert alone["activation"].tobytes() == whole["activation"][row : row + 1].tobytes()


def test_training_learns_to_follow_a_bright_road() -> None:
    rng = np.random.default_rng(0)
    data = [drive(rng.uniform(-0.5, 0.5, 100), seed) for seed in range(4)]
    policy = alvinn.train(data, alvinn.Config(fit=QUICK), seed=1)
    fresh = drive(rng.uniform(-0.5, 0.5, 60), seed=9)
    seen = {name: value[:-1] for name, value in fresh.observations.items()}
    control, _, _ = policy.act(seen, policy.initial_state(60))
    error = np.abs(control["steer"] - fresh.control["steer"]).mean()
    assert error < 0.1  # the untrained network is 0.25 away, always straight
    assert policy.card["labels"] == 400


def test_labels_saturate_at_the_outermost_unit() -> None:
    steer = np.array([1.0, -1.0])
    assert np.all(np.abs(steering.curvature_of_steer(steer)) > 0.2)
    frames = alvinn.training_frames([drive(steer)], alvinn.Config())
    assert frames["target"][:, :45].argmax(1).tolist() == [0, 44]


def test_other_sensors_are_refused() -> None:
    episode = drive(np.zeros(3))
    del episode.observations["range_finder"]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="the data lack"):
        alvinn.training_frames([episode], alvinn.Config())
    with pytest.raises(ValueError, match="hill must be gaussian or 1989"):
        alvinn.Config(hill="square")
