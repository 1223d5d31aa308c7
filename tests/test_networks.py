"""The shared camera network and its fixed batch shape."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from drive_il.datatypes import CONTROL, Array, Command, check_control
from drive_il.network_inputs import driving_camera, driving_frames
from drive_il.networks import (
    DrivingPolicy,
    Ensemble,
    NetworkConfig,
    driving_network,
    in_fixed_batches,
)
from drive_il.sensor_specs import ObservationSpec, VectorSpec
from drive_il.sim import vehicle
from drive_il.vector_layouts import ACTOR, LANE, STATE

SMALL = NetworkConfig(channels=(8, 12, 16), hidden=32, branch_hidden=8)


def observation(n_rows: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        "rgb": rng.integers(0, 256, (n_rows, 64, 96, 3), dtype=np.uint8),
        "speed": rng.uniform(0, 15, n_rows).astype(np.float32),
        "command": rng.integers(1, 7, n_rows),
    }


def policy(config: NetworkConfig = SMALL, seed: int = 3) -> DrivingPolicy:
    return DrivingPolicy(
        driving_network(config, ObservationSpec(), seed), config, ObservationSpec()
    )


@pytest.mark.parametrize("config", [NetworkConfig(), SMALL], ids=["default", "small"])
def test_a_row_does_not_depend_on_position_or_other_rows(config: NetworkConfig) -> None:
    driver, seen = policy(config), observation(50)
    together, _, _ = driver.act(seen, {})
    order = np.random.default_rng(1).permutation(50)
    shuffled, _, _ = driver.act({name: value[order] for name, value in seen.items()}, {})
    alone = [
        driver.act({name: value[i : i + 1] for name, value in seen.items()}, {})[0][0]
        for i in range(50)
    ]
    assert together[order].tobytes() == shuffled.tobytes()
    assert together.tobytes() == np.array(alone, CONTROL).tobytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_policy_does_not_depend_on_the_callers_threads(threads: int) -> None:
    before = torch.get_num_threads()
    expected, _, _ = policy().act(observation(20), {})
    try:
        torch.set_num_threads(threads)
        control, _, _ = policy().act(observation(20), {})
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert control.tobytes() == expected.tobytes()


def test_weights_are_a_function_of_the_seed_alone() -> None:
    torch.manual_seed(1)
    one = driving_network(SMALL, ObservationSpec(), 5).state_dict()
    torch.manual_seed(2)
    two = driving_network(SMALL, ObservationSpec(), 5).state_dict()
    other = driving_network(SMALL, ObservationSpec(), 6).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["trunk.weight"], other["trunk.weight"])


def test_only_the_branch_in_force_gets_a_gradient() -> None:
    network = driving_network(SMALL, ObservationSpec(), 0)
    seen = observation(12)
    commands = torch.tensor([Command.LEFT, Command.LANEFOLLOW] * 6)
    outputs = network(
        {name: torch.from_numpy(seen[name]) for name in ("rgb", "speed")} | {"command": commands}
    )
    outputs.abs().sum().backward()
    for parameter in (network.head_weight, network.head_bias, network.branch_weight):
        assert parameter.grad is not None
        touched = parameter.grad.flatten(1).abs().sum(1) > 0
        assert touched.tolist() == [True, False, False, True, False, False]


def test_void_drives_as_lane_following() -> None:
    seen = observation(4)
    void = seen | {"command": np.full(4, int(Command.VOID))}
    follow = seen | {"command": np.full(4, int(Command.LANEFOLLOW))}
    left = seen | {"command": np.full(4, int(Command.LEFT))}
    assert policy().act(void, {})[0].tobytes() == policy().act(follow, {})[0].tobytes()
    assert policy().act(void, {})[0].tobytes() != policy().act(left, {})[0].tobytes()


def test_controls_can_be_executed_and_never_press_both_pedals() -> None:
    control, state, info = policy().act(observation(33), {})
    check_control(control, 33)
    assert not np.any((control["throttle"] > 0) & (control["brake"] > 0))
    assert (state, info) == ({}, {})


def test_who_stands_and_says_to_go_presses_what_moves_a_car() -> None:
    seen = observation(512) | {"speed": np.linspace(0.0, 2.0, 512).astype(np.float32)}
    said, _, _ = policy().act(seen, {})
    done, _, _ = policy(replace(SMALL, set_off=0.55)).act(seen, {})
    goes = (seen["speed"] < 1.0) & (said["throttle"] > 0.1)
    assert 10 < goes.sum() < 250
    assert np.array_equal(
        done["throttle"], np.where(goes, np.maximum(said["throttle"], 0.55), said["throttle"])
    )
    for name in ("steer", "brake"):
        assert np.array_equal(done[name], said[name])
    # The law of the car's drive: 0.3 does not overcome what holds it, 0.55 does.
    pull = vehicle.acceleration_rows(np.zeros(2), np.array([0.3, 0.55]), np.zeros(2))
    assert pull[0] <= 0.0 < pull[1]
    with pytest.raises(ValueError, match=r"set_off must be in \[0, 1\], got 1.5"):
        replace(SMALL, set_off=1.5)


@pytest.mark.parametrize(("crop_top", "first_row"), [(0.0, 0), (0.25, 16)])
def test_what_is_cropped_is_not_looked_at(crop_top: float, first_row: int) -> None:
    driver = policy(replace(SMALL, crop_top=crop_top))
    seen = observation(4)
    before, _, _ = driver.act(seen, {})
    seen["rgb"] = seen["rgb"].copy()
    seen["rgb"][:, :first_row] = 255
    same, _, _ = driver.act(seen, {})
    assert before.tobytes() == same.tobytes()
    seen["rgb"][:, first_row] = 255
    other, _, _ = driver.act(seen, {})
    assert before.tobytes() != other.tobytes()


def test_the_speed_can_be_hidden() -> None:
    blind = policy(NetworkConfig(channels=(8,), hidden=8, branch_hidden=4, use_speed=False))
    seen = observation(3)
    fast = seen | {"speed": seen["speed"] + 10}
    assert blind.act(seen, {})[0].tobytes() == blind.act(fast, {})[0].tobytes()


def test_padding_is_cut_off_again() -> None:
    rows = np.arange(37, dtype=np.float32)[:, None]
    doubled = in_fixed_batches(lambda x: 2 * x, rows)
    np.testing.assert_array_equal(doubled, 2 * rows)


def test_labels_become_steer_and_acceleration() -> None:
    control = np.zeros(2, CONTROL)
    control["steer"], control["throttle"], control["brake"] = [0.5, -1], [0.75, 0], [0, 0.25]
    frames = driving_frames(observation(2) | {"control": control}, ObservationSpec())
    assert frames["target"].tolist() == [[0.5, 0.75], [-1.0, -0.25]]


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match=r"got \(32, 48, 3\) uint8; observe and"):
        policy().act(observation(2) | {"rgb": np.zeros((2, 32, 48, 3), np.uint8)}, {})
    with pytest.raises(ValueError, match="exactly one rgb camera"):
        driving_camera(ObservationSpec(cameras=()))
    with pytest.raises(ValueError, match="channels must be"):
        NetworkConfig(channels=())
    frames = observation(1) | {"control": np.full(1, np.nan, "f8").astype(CONTROL)}
    with pytest.raises(ValueError, match="no expert control"):
        driving_frames(frames, ObservationSpec())
    with pytest.raises(ValueError, match="must hold 'rgb' of shape .64, 96, 3. per row, got none"):
        driving_frames({"control": np.zeros(1, CONTROL)}, ObservationSpec())


STATE_SPEC = ObservationSpec(cameras=(), state=True, state_actors=3)
VECTOR_SPEC = ObservationSpec(cameras=(), vectors=VectorSpec(lanes=5, points=4, actors=3))


def vectors(n_rows: int) -> dict[str, Array]:
    rng = np.random.default_rng(4)

    def draw(*shape: int) -> Array:
        return rng.normal(size=(n_rows, *shape)).astype(np.float32)

    state = draw(len(STATE) + 3 * (1 + len(ACTOR)))
    state[:, len(STATE) :: 1 + len(ACTOR)] = 1.0
    return {
        "speed": rng.uniform(0, 15, n_rows).astype(np.float32),
        "command": rng.integers(1, 7, n_rows),
        "state": state,
        "lanes": draw(5, 4, len(LANE)),
        "lanes_mask": rng.random((n_rows, 5)) < 0.7,
        "actors": draw(3, len(ACTOR)),
        "actors_mask": rng.random((n_rows, 3)) < 0.7,
    }


@pytest.mark.parametrize("spec", [STATE_SPEC, VECTOR_SPEC], ids=["state", "vectors"])
@pytest.mark.parametrize("members", [1, 3])
def test_vectors_drive_too_and_rows_stay_apart(spec: ObservationSpec, members: int) -> None:
    config = NetworkConfig(members=members)
    driver, seen = DrivingPolicy(driving_network(config, spec, 3), config, spec), vectors(37)
    together, _, _ = driver.act(seen, {})
    alone = [
        driver.act({name: value[i : i + 1] for name, value in seen.items()}, {})[0][0]
        for i in range(37)
    ]
    assert together.tobytes() == np.array(alone, CONTROL).tobytes()
    assert len(np.unique(together["steer"])) > 10


def test_a_set_has_no_order_and_nobody_there_is_not_seen() -> None:
    config = NetworkConfig()
    driver = DrivingPolicy(driving_network(config, VECTOR_SPEC, 3), config, VECTOR_SPEC)
    seen = vectors(8)
    before, _, _ = driver.act(seen, {})
    turned = {name: value.copy() for name, value in seen.items()}
    for name in ("lanes", "lanes_mask", "actors", "actors_mask"):
        turned[name] = turned[name][:, ::-1].copy()
    turned["actors"][~turned["actors_mask"]] = 99.0
    after, _, _ = driver.act(turned, {})
    assert before.tobytes() == after.tobytes()


def test_the_mean_of_an_ensemble_drives() -> None:
    config = NetworkConfig(members=3)
    whole = DrivingPolicy(driving_network(config, STATE_SPEC, 3), config, STATE_SPEC)
    assert isinstance(whole.network, Ensemble)
    seen = vectors(5)
    each = whole.run(whole.network.each, seen)
    assert each.shape == (5, 3, 2)
    np.testing.assert_allclose(whole.run(whole.network, seen), each.mean(1), rtol=1e-6)
    assert each.std(1).min() > 0
