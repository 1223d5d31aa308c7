"""Behaviour cloning on made-up demonstrations."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drive_il.augment import ViewpointConfig
from drive_il.dataset import Dataset, EpisodeWriter
from drive_il.datatypes import Actors, Array, Episode, Floats, Records
from drive_il.fit import FitConfig, Progress, labelled_frames
from drive_il.learners import bc
from drive_il.networks import NetworkConfig
from drive_il.sensor_specs import CameraSpec, ObservationSpec
from tests.toy_drives import demonstration, road_pictures

SPEC = ObservationSpec(cameras=(CameraSpec(width=32, height=24),))
QUICK = bc.Config(
    network=NetworkConfig(channels=(8, 12), hidden=24, branch_hidden=8),
    fit=FitConfig(n_epochs=8, batch_size=16, learning_rate=3e-3, n_threads=1),
)


def drives(n_drives: int = 5, n_steps: int = 60) -> list[Episode]:
    steers = np.random.default_rng(0).uniform(-0.8, 0.8, (n_drives, n_steps))
    return [
        demonstration({"rgb": road_pictures(np.append(steer, 0.0), 24, 32, seed)}, steer, seed)
        for seed, steer in enumerate(steers)
    ]


def test_it_learns_the_mapping_from_picture_to_control() -> None:
    reports: list[Progress] = []
    policy = bc.train(drives(), QUICK, seed=1, spec=SPEC, progress=reports.append)
    steer = np.linspace(-0.7, 0.7, 15)
    seen = {
        "rgb": road_pictures(steer, 24, 32, seed=77),
        "speed": np.full(15, 5.0, np.float32),
        "command": np.full(15, 4),
    }
    control, _, _ = policy.act(seen, {})
    assert np.abs(control["steer"] - steer).mean() < 0.1
    assert np.abs(control["throttle"] - 0.5).max() < 0.2
    assert policy.card["labels"] == 300
    assert len(reports) == 8


def test_the_same_seed_gives_the_same_weights() -> None:
    short = replace(QUICK, augmentation="photometric", fit=replace(QUICK.fit, n_epochs=2))

    def weights(seed: int) -> bytes:
        network = bc.train(drives(2), short, seed, spec=SPEC).network
        return b"".join(value.numpy().tobytes() for value in network.state_dict().values())

    assert weights(3) == weights(3)
    assert weights(3) != weights(4)


def test_viewpoint_augmentation_renders_where_the_ego_never_was() -> None:
    rendered: list[Records] = []

    def render(ego: Records, weather: Records, actors: Actors) -> Array:
        assert len(weather) == len(actors.slot) == len(ego)
        rendered.append(ego)
        return np.zeros((len(ego), 24, 32, 3), np.uint8)

    config = replace(
        QUICK,
        augmentation="viewpoint",
        viewpoint=ViewpointConfig(probability=0.5, shift=0.8),
        fit=replace(QUICK.fit, n_epochs=2),
    )
    bc.train(drives(4), config, seed=0, renderer=render, spec=SPEC)
    lateral = np.concatenate([ego["y"] for ego in rendered])  # all were at the origin
    # 180 frames are trained on twice, half of them moved: 180 of 360, sigma 9.5;
    # 6 sigma give a false alarm once in 5e8.
    assert abs(len(lateral) - 180) < 57
    assert np.abs(lateral).max() <= 0.8
    assert lateral.min() < -0.6
    assert lateral.max() > 0.6


def test_only_paid_labels_are_learnt_from() -> None:
    whole = drives(1)[0]
    asked = np.arange(whole.n_steps) % 3 == 0
    frames = labelled_frames([replace(whole, asked=asked)])
    assert len(frames["rgb"]) == asked.sum()
    np.testing.assert_array_equal(frames["rgb"], whole.observations["rgb"][:-1][asked])


def test_a_set_on_disk_teaches_as_well_as_one_in_memory(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path)
    for episode in drives(4):
        writer(episode)
    policy = bc.train(Dataset(tmp_path), QUICK, seed=1, spec=SPEC)
    losses = policy.card["losses"]
    assert losses[-1] < 0.3 * losses[0]
    assert policy.card["labels"] == 240


def pictures_of(steer: Floats) -> list[Episode]:
    return [demonstration({"rgb": road_pictures(np.zeros(len(steer) + 1), 24, 32, 0)}, steer)]


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="augmentation must be one of none"):
        bc.Config(augmentation="mirror")
    with pytest.raises(ValueError, match="pass renderer"):
        bc.train(drives(1), replace(QUICK, augmentation="both"), seed=0, spec=SPEC)
    with pytest.raises(
        ValueError, match="must hold 'rgb' of shape .64, 96, 3. per row, got .24, 32, 3. uint8"
    ):
        bc.train(drives(2), QUICK, seed=0)
    unlabelled = [replace(episode, asked=np.zeros(60, bool)) for episode in drives(2)]
    with pytest.raises(ValueError, match="no expert labels"):
        bc.train(unlabelled, QUICK, seed=0, spec=SPEC)
    with pytest.raises(ValueError, match="no expert control"):
        bc.train(pictures_of(np.full(5, np.nan)), QUICK, seed=0, spec=SPEC)
