"""The learners that only look at demonstrations, and what each paper adds to them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drive_il import learners
from drive_il.cloning import CloningConfig
from drive_il.dataset import Dataset, EpisodeWriter
from drive_il.datatypes import Command, Episode, Who
from drive_il.disturbances import TriangularNoise
from drive_il.fit import FitConfig, labelled_frames
from drive_il.gates import ExpertDrives
from drive_il.heads import HeadConfig
from drive_il.learners import bc, chauffeurnet, cil, cilrs, dagger, pilotnet
from drive_il.maps.network import RoadNetwork
from drive_il.network_inputs import driving_frames
from drive_il.networks import (
    DrivingNetwork,
    DrivingPolicy,
    NetworkConfig,
    driving_loss,
    driving_network,
)
from drive_il.perturbation import PerturbationConfig, bent, perturbed_frames
from drive_il.rollout import drive
from drive_il.sensor_specs import CameraSpec, ObservationSpec
from drive_il.sensors.observer import SceneObserver
from tests.ring_drives import RADIUS, ROUNDS, SMALL, SPEC, demonstrations, distance, place
from tests.roads import ring_road
from tests.toy_drives import demonstration, road_pictures

PICTURE = ObservationSpec(cameras=(CameraSpec(width=32, height=24),))
QUICK = FitConfig(n_steps=150, batch_size=32, learning_rate=5e-3, n_threads=1, device="cpu")


def small(config: CloningConfig, steps: int = 150) -> CloningConfig:
    """A paper's cloning with small layers and a short fit."""
    network = replace(
        config.network, state_hidden=(24,), branch_hidden=8, hidden=16, dropout=0.0, channels=(8, 8)
    )
    return replace(config, network=network, fit=replace(QUICK, n_steps=steps), steer_weight=5.0)


@pytest.mark.parametrize("module", [bc, cil, cilrs, pilotnet], ids=lambda m: m.__name__[18:])
def test_each_paper_drives_further_than_who_learnt_nothing(module: object) -> None:
    given = module.Config()  # type: ignore[attr-defined]
    is_plain = isinstance(given, CloningConfig)
    config = small(given) if is_plain else replace(given, cloning=small(given.cloning))
    policy = module.train(list(demonstrations()), config, 0, spec=SPEC)  # type: ignore[attr-defined]
    untrained = DrivingPolicy(driving_network(SMALL, SPEC, 5), SMALL, SPEC)
    assert distance(policy) > 1.5 * distance(untrained)
    assert policy.card["labels"] == 160
    assert policy.card["learner"] == module.__name__.split(".")[-1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["log_loss", "mixture", "waypoints"])
def test_each_head_drives_further_than_who_learnt_nothing(kind: str) -> None:
    network = replace(SMALL, head=HeadConfig(kind))  # type: ignore[arg-type]
    config = bc.Config(network=network, fit=QUICK)
    policy = bc.train(list(demonstrations()), config, 0, spec=SPEC)
    assert distance(policy) > 1.5 * distance(
        DrivingPolicy(driving_network(SMALL, SPEC, 5), SMALL, SPEC)
    )


def test_waypoints_learn_in_rounds_too_and_are_saved(tmp_path: Path) -> None:
    network = replace(SMALL, head=HeadConfig("waypoints"))
    config = dagger.Config(rounds=replace(ROUNDS, n_rounds=2, network=network))
    policy = dagger.train(place(), demonstrations(), config, 0)
    learners.save(policy, tmp_path)
    loaded = learners.load(tmp_path)
    frames = labelled_frames(list(demonstrations()))
    before, after = (one.act(frames, one.initial_state(160)) for one in (policy, loaded))
    assert before[0].tobytes() == after[0].tobytes()
    assert before[2]["waypoints"].shape == (160, 8, 2)


def test_gradients_flow_in_the_branch_of_the_command_alone() -> None:
    network = driving_network(SMALL, SPEC, 0)
    assert isinstance(network, DrivingNetwork)
    frames = driving_frames(labelled_frames(list(demonstrations())), SPEC)
    frames["command"] = np.full(160, int(Command.RIGHT))
    batch = {name: torch.from_numpy(value) for name, value in frames.items()}
    driving_loss(5.0)(network, batch).backward()  # type: ignore[no-untyped-call]
    for weights in (network.branch_weight, network.branch_bias, network.head_weight):
        assert weights.grad is not None
        moved = weights.grad.flatten(1).abs().sum(1) > 0
        assert moved.tolist() == [False, True, False, False, False, False]


@pytest.mark.parametrize("commands", ["branches", "input", "none"])
def test_commands_are_told_as_the_config_says(commands: str) -> None:
    config = replace(SMALL, commands=commands)  # type: ignore[arg-type]
    policy = DrivingPolicy(driving_network(config, SPEC, 0), config, SPEC)
    frames = labelled_frames(list(demonstrations()))
    left, right = (policy.act(frames | {"command": np.full(160, c)}, {})[0] for c in (1, 2))
    assert (left.tobytes() == right.tobytes()) == (commands == "none")


@pytest.mark.parametrize("backbone", ["small", "cil", "pilotnet", "resnet18"])
def test_backbones_see_pictures_and_rasters_row_by_row(backbone: str) -> None:
    spec = replace(PICTURE, birdview=backbone in ("small", "resnet18"))
    config = NetworkConfig(backbone=backbone, hidden=16, speed_loss=0.1)  # type: ignore[arg-type]
    policy = DrivingPolicy(driving_network(config, spec, 0), config, spec)
    rng = np.random.default_rng(0)
    seen = {
        "rgb": rng.integers(0, 256, (3, 24, 32, 3), dtype=np.uint8),
        "birdview": rng.integers(0, 256, (3, 4, 96, 96), dtype=np.uint8),
        "speed": np.full(3, 5.0, np.float32),
        "command": np.full(3, 4),
    }
    together, _, _ = policy.act(seen, {})
    last, _, _ = policy.act({name: value[2:] for name, value in seen.items()}, {})
    assert together[2:].tobytes() == last.tobytes()
    for name in ("rgb", "birdview")[: 1 + spec.birdview]:
        changed = seen | {name: 255 - seen[name]}
        assert policy.act(changed, {})[0].tobytes() != together.tobytes()


def test_a_speed_head_learns_the_speed_from_the_picture() -> None:
    # The brightness of the picture is the speed.
    speed = np.random.default_rng(0).uniform(0, 12, 129).astype(np.float32)
    pictures = np.repeat((10 * speed).astype(np.uint8), 24 * 32 * 3).reshape(129, 24, 32, 3)
    drive_ = demonstration({"rgb": pictures}, np.zeros(128))
    shown = replace(drive_, observations={**drive_.observations, "speed": speed})
    cloning = replace(small(cilrs.Config().cloning), validation_fraction=0.0, augmentation="none")
    network = replace(cloning.network, backbone="small", speed_loss=1.0)
    config = cilrs.Config(replace(cloning, network=network))
    policy = cilrs.train([shown], config, 0, spec=PICTURE)
    assert policy.card["losses"][-1] < 0.4 * policy.card["losses"][0]


def test_the_previous_action_is_what_was_executed_the_step_before() -> None:
    spec = replace(SPEC, previous_action=True, target_point=True)
    at = place()
    observer = SceneObserver(_map(), spec)
    push = TriangularNoise(share=1.0)
    [one] = drive(
        at.world, observer, None, at.specs[:1],
        expert=at.expert, gate=ExpertDrives(), disturbance=push,
    )  # fmt: skip
    seen = one.observations["previous_action"]
    np.testing.assert_allclose(seen[1:, 0], one.control["steer"], atol=1e-6)
    assert not np.allclose(seen[:-1, 0], one.control["steer"], atol=1e-3)  # nor is it the label
    target = one.observations["target_point"]
    away = np.hypot(target[:, 0], target[:, 1])
    progress = one.progress
    world = np.hypot(progress["target_x"] - one.ego["x"], progress["target_y"] - one.ego["y"])
    np.testing.assert_allclose(away, world, rtol=1e-5)
    assert "previous_action" not in driving_frames(labelled_frames([one]), SPEC)
    assert "previous_action" in driving_frames(labelled_frames([one]), spec)


def _map() -> RoadNetwork:
    return ring_road(RADIUS, speed_limit=8.0)


def test_noise_is_triangles_and_labels_stay_clean() -> None:
    noise, step = TriangularNoise(share=1.0), np.arange(400)
    push = noise.push(np.full(400, 7, np.uint64), step, 0.05)
    assert np.abs(push).max() <= noise.peak + 1e-12
    for window in push.reshape(5, 80):
        where = np.flatnonzero(window)
        assert noise.shortest / 0.05 - 2 <= len(where) <= noise.longest / 0.05 + 1
        assert (np.diff(where) == 1).all()  # one push
        assert len(set(np.sign(window[where]))) == 1
        # Linear up and down: all second differences but those at the peak vanish.
        bend = np.abs(np.diff(window[where], 2)) > 1e-9
        assert bend.sum() <= 2
    assert (noise.push(np.full(400, 7, np.uint64), step, 0.05) == push).all()
    none = TriangularNoise(share=0.0)
    assert (none.push(np.full(400, 7, np.uint64), step, 0.05) == 0).all()
    at = place()
    [one] = drive(
        at.world, at.observer, None, at.specs[:1],
        expert=at.expert, gate=ExpertDrives(), disturbance=noise,
    )  # fmt: skip
    expected = noise.push(
        np.full(one.n_steps, one.spec.seed, np.uint64), np.arange(one.n_steps), 0.05
    )
    np.testing.assert_allclose(
        one.control["steer"],
        np.clip(one.expert_control["steer"] + expected, -1, 1),
    )
    assert (one.who == Who.EXPERT).all()


def test_a_bent_path_keeps_its_ends_and_is_smooth() -> None:
    angle = np.linspace(0.0, 1.0, 41)
    path = 20.0 * np.stack((np.sin(angle), 1.0 - np.cos(angle)), 1)
    way = bent(path, angle, 0.6, np.tan(0.1))
    np.testing.assert_allclose(way[[0, -1]], path[[0, -1]], atol=1e-12)
    normal = np.array([-np.sin(0.5), np.cos(0.5)])
    np.testing.assert_allclose(way[20] - path[20], 0.6 * normal, atol=1e-12)
    turn = np.unwrap(np.arctan2(*np.diff(way, axis=0).T[::-1]))
    old = np.unwrap(np.arctan2(*np.diff(path, axis=0).T[::-1]))
    assert np.abs(turn - old)[[0, -1]].max() < 0.03  # the ends' directions stay too
    middle = 0.5 * (turn[19] + turn[20]) - 0.5 * (old[19] + old[20])
    # In a bend to the left the inner path is shorter: 20 m of radius seem 19.4.
    assert abs(middle - np.arctan(np.tan(0.1) * 20.0 / 19.4)) < 0.02
    assert np.abs(np.diff(turn)).max() < 0.12  # no kink
    np.testing.assert_allclose(bent(path, angle, 0.0, 0.0), path)


@pytest.fixture(scope="module")
def long_drives() -> list[Episode]:
    at = place()
    return drive(at.world, at.observer, None, at.specs[:4], expert=at.expert, gate=ExpertDrives())


def test_perturbed_frames_are_seen_from_beside_the_path(long_drives: list[Episode]) -> None:
    config = PerturbationConfig(share=1.0)
    observer = SceneObserver(_map(), SPEC)
    made = perturbed_frames(long_drives, observer, config, 0)
    assert made is not None
    n = len(made["control"])
    assert n > 40
    lateral, heading = made["state"][:, 4], made["state"][:, 5]
    assert 0.4 < np.abs(lateral).max() < 0.7
    assert 0.2 < np.abs(heading).max() < 0.4
    # Who is to the left, or turned left, is led to the right.
    assert np.corrcoef(made["control"]["steer"], lateral + 4.0 * heading)[0, 1] < -0.9
    assert made["waypoints"].shape == (n, 8, 2)
    assert (made["weight"] == np.float32(0.1)).all()
    plain = labelled_frames(long_drives)
    assert set(made) == set(plain) | {"weight"}


def test_chauffeurnet_drives_further_than_who_learnt_nothing(long_drives: list[Episode]) -> None:
    observer = SceneObserver(_map(), SPEC)
    config = chauffeurnet.Config(cloning=small(chauffeurnet.Config().cloning))
    policy = chauffeurnet.train(long_drives, config, 0, observer)
    assert distance(policy) > 1.5 * distance(
        DrivingPolicy(driving_network(SMALL, SPEC, 5), SMALL, SPEC)
    )
    assert policy.card["labels"] == sum(one.labels for one in long_drives)  # no more
    with pytest.raises(ValueError, match="record longer episodes"):
        chauffeurnet.train(list(demonstrations()), config, 0, observer)


def test_augmentation_of_pictures_is_for_pictures() -> None:
    pictures = [
        demonstration({"rgb": road_pictures(np.zeros(21), 24, 32, k)}, np.zeros(20), k)
        for k in range(2)
    ]
    with pytest.raises(ValueError, match="pass renderer"):
        pilotnet.train(pictures, pilotnet.Config(), 0, spec=PICTURE)


def test_frames_from_disk_have_the_same_waypoints_as_those_in_memory(tmp_path: Path) -> None:
    whole = list(demonstrations())
    writer = EpisodeWriter(tmp_path)
    for episode in whole:
        writer(episode)
    dataset = Dataset(tmp_path)
    batches = dataset.batches(
        ("state", "speed", "command"), batch_size=64, shuffled=False, waypoints=True
    )
    found = np.concatenate([batch["waypoints"] for batch in batches.epoch(0)])
    np.testing.assert_array_equal(found, labelled_frames(list(dataset.episodes()))["waypoints"])
    assert np.isfinite(found).all()
    assert found.shape == (160, 8, 2)


def test_the_view_from_above_is_learnt_from() -> None:
    at, spec = place(), ObservationSpec(cameras=(), birdview=True, birdview_actors=True)
    specs = [replace(one, max_steps=20) for one in at.specs[:2]]
    observer = SceneObserver(_map(), spec)
    seen = drive(at.world, observer, None, specs, expert=at.expert, gate=ExpertDrives())
    network = NetworkConfig(channels=(4, 4), hidden=8)
    config = bc.Config(network=network, fit=replace(QUICK, n_steps=30), validation_fraction=0.0)
    policy = bc.train(seen, config, 0, spec=spec)
    assert policy.card["losses"][-1] < policy.card["losses"][0]
    assert policy.card["data"] == {"episodes": 2, "towns": [at.specs[0].route.town]}
