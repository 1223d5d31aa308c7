"""Model folders: bit-exact round trips, and clear errors for broken ones."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from drive_il import learners
from drive_il.datatypes import Array
from drive_il.heads import HeadConfig
from drive_il.learners.alvinn import SPEC, Alvinn, AlvinnPolicy
from drive_il.networks import DrivingPolicy, NetworkConfig, driving_network
from drive_il.sensor_specs import (
    CameraSpec,
    GnssSpec,
    ImuSpec,
    LidarSpec,
    ObservationSpec,
    RadarSpec,
)
from drive_il.waypoints import TrackerConfig


def driving() -> DrivingPolicy:
    camera = CameraSpec(name="front", width=48, height=32, fov=100.0)
    config = NetworkConfig(channels=(8, 12), hidden=16)
    spec = ObservationSpec(cameras=(camera,))
    card = {"learner": "bc", "labels": 12, "seed": 4}
    return DrivingPolicy(driving_network(config, spec, 1), config, spec, card)


def alvinn() -> AlvinnPolicy:
    return AlvinnPolicy(Alvinn(2).eval(), 0.15, SPEC, {"learner": "alvinn", "labels": 3})


def observation(n_rows: int) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {
        "front": rng.integers(0, 256, (n_rows, 32, 48, 3), dtype=np.uint8),
        "retina": rng.integers(0, 256, (n_rows, 30, 32, 3), dtype=np.uint8),
        "range_finder": rng.random((n_rows, 8, 32), np.float32),
        "speed": rng.random(n_rows, np.float32),
        "command": np.full(n_rows, 4),
    }


@pytest.mark.parametrize("make", [driving, alvinn])
def test_loading_gives_the_same_policy_to_the_bit(make: type, tmp_path: Path) -> None:
    policy = make()
    learners.save(policy, tmp_path / "model", scores={"driving_score": 12.5})
    loaded = learners.load(tmp_path / "model")
    seen = observation(21)
    before, _, _ = policy.act(seen, policy.initial_state(21))
    after, _, _ = loaded.act(seen, loaded.initial_state(21))
    assert before.tobytes() == after.tobytes()
    assert loaded.spec == policy.spec
    assert loaded.card == policy.card | {"scores": {"driving_score": 12.5}}


def test_a_model_folder_keeps_all_its_sensors(tmp_path: Path) -> None:
    made = driving()
    spec = ObservationSpec(
        made.spec.cameras,
        lidars=(LidarSpec(channels=16), LidarSpec(name="tags", kind="semantic")),
        radars=(RadarSpec(pitch=0.1),),
        gnss=GnssSpec(noise_lat_bias=1e-5),
        imu=ImuSpec(x=0.5),
        speedometer=True,
        lane_invasion=True,
    )
    learners.save(DrivingPolicy(made.network, made.config, spec, made.card), tmp_path)
    assert learners.load(tmp_path).spec == spec
    # Folders written before these sensors existed still load.
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    for name in ("lidars", "radars", "gnss", "imu", "speedometer", "collision", "lane_invasion"):
        del config["observation"][name]
    path.write_text(json.dumps(config))
    assert learners.load(tmp_path).spec == ObservationSpec(made.spec.cameras)


def test_a_default_model_is_small(tmp_path: Path) -> None:
    config = NetworkConfig()
    spec = ObservationSpec()
    learners.save(DrivingPolicy(driving_network(config, spec, 1), config, spec), tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * 2**20
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "card.json", "config.json", "model.safetensors",
    ]  # fmt: skip
    versions = json.loads((tmp_path / "config.json").read_text())["versions"]
    assert set(versions) == {"drive_il", "python", "torch", "torchvision", "numpy"}


def test_broken_folders_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no model folder: config.json is missing"):
        learners.load(tmp_path / "nowhere")
    learners.save(driving(), tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    whole, text = weights.read_bytes(), config.read_text()
    weights.write_bytes(whole[:-50])
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        learners.load(tmp_path)
    weights.unlink()
    with pytest.raises(ValueError, match="holds no model.safetensors"):
        learners.load(tmp_path)
    weights.write_bytes(whole)
    for old, new, message in (
        ('"format": 1', '"format": 99', "has model format 99"),
        ('"policy": "driving"', '"policy": "magic"', "names the policy 'magic'"),
        ('"hidden": 16', '"hidden": 17', "do not agree"),
        ('"hidden"', '"hiden"', "do not agree"),
        ("{", "[", "config.json is damaged"),
    ):
        config.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=message):
            learners.load(tmp_path)


def test_scores_are_added_to_the_card(tmp_path: Path) -> None:
    learners.save(driving(), tmp_path)
    learners.add_scores(tmp_path, "alder_test", {"success_rate": 50.0})
    learners.add_scores(tmp_path, "birch_test", {"success_rate": 25.0})
    card = learners.load(tmp_path).card
    assert card["labels"] == 12
    assert card["scores"]["alder_test"] == {"success_rate": 50.0}
    assert card["scores"]["birch_test"] == {"success_rate": 25.0}
    with pytest.raises(ValueError, match="is no model folder: card.json is missing"):
        learners.add_scores(tmp_path / "nowhere", "alder_test", {})


def test_heads_and_layers_come_back(tmp_path: Path) -> None:
    head = HeadConfig("waypoints", tracker=TrackerConfig(integral=0.3))
    config = NetworkConfig(head=head, state_hidden=(8,), commands="input", speed_loss=0.1)
    spec = ObservationSpec(
        cameras=(), state=True, target_point=True, previous_action=True, standing=True
    )
    learners.save(DrivingPolicy(driving_network(config, spec, 1), config, spec), tmp_path)
    loaded = learners.load(tmp_path)
    assert isinstance(loaded, DrivingPolicy)
    assert (loaded.config, loaded.spec) == (config, spec)
    path = tmp_path / "config.json"
    stored = json.loads(path.read_text())
    stored["network"]["head"]["kind"] = "softmax"
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="head.kind must be one of"):
        learners.load(tmp_path)


def test_only_trained_policies_can_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only trained policies"):
        learners.save(type("Other", (), {"card": {}})(), tmp_path)


def test_the_room_loads_no_torch() -> None:
    code = "import sys, drive_il.learners; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
