"""The vector environment: bit for bit many single ones, in Gymnasium's form."""

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode

from drive_il.actors import Traffic
from drive_il.datatypes import Start
from drive_il.env import ENV_ID, EnvConfig
from drive_il.env.route_env import RouteEnv
from drive_il.env.vector_env import RouteVectorEnv
from drive_il.sensor_specs import CameraSpec, ObservationSpec

ID = f"drive_il.env:{ENV_ID}"
SPEC = ObservationSpec((CameraSpec(width=12, height=8),), state=True)
# Short horizons and a narrow way, so that rows end often, by both kinds of end, apart.
CONFIG = EnvConfig(
    observation=SPEC, horizon=23, max_deviation=1.0, start=Start(s=5.0, speed=8.0), town="dell"
)
STEPS = 60


def make(mode: str, n: int = 3, config: EnvConfig = CONFIG, **more: Any) -> Any:
    return gymnasium.make_vec(ID, n, vectorization_mode=mode, config=config, **more)


def actions(n: int, space: Any) -> np.ndarray:
    rng = np.random.default_rng(8)
    drawn = rng.uniform(-1.0, 1.0, (STEPS, n, 2))
    drawn[:, ::2, 0] = np.abs(drawn[:, ::2, 0])  # even rows leave the road to the left
    return np.asarray(drawn, space.dtype)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize(("frame_skip", "vehicles"), [(1, 0), (3, 0), (1, 20)])
def test_it_says_what_gymnasiums_own_vector_of_single_ones_says(
    mode: str, frame_skip: int, vehicles: int
) -> None:
    traffic = Traffic(vehicles=vehicles, signals=vehicles > 0)
    config = replace(
        CONFIG, frame_skip=frame_skip, horizon=23 // frame_skip, traffic=traffic, routes="test"
    )
    ours = make("vector_entry_point", config=config, autoreset_mode=mode)
    theirs = make("sync", config=config, vector_kwargs={"autoreset_mode": AutoresetMode(mode)})
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    for name in ("observation_space", "action_space", "single_observation_space"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert data_equivalence(ours.reset(seed=40), theirs.reset(seed=40), exact=True)
    n_ends = [0, 0]
    for action in actions(3, ours.action_space):
        left, right = ours.step(action), theirs.step(action)
        assert data_equivalence(left, right, exact=True)
        assert mode == "SameStep" or left[0] in ours.observation_space
        n_ends[0] += int(left[2].sum())
        n_ends[1] += int(left[3].sum())
    assert min(n_ends) > 0  # both kinds of end were met


def test_row_i_is_the_single_env_with_seed_plus_i() -> None:
    n = 7
    env = make("vector_entry_point", n)
    seen, _ = env.reset(seed=100)
    many = actions(n, env.action_space)
    singles = [RouteEnv(CONFIG) for _ in range(n)]
    over = [False] * n
    for i, single in enumerate(singles):
        first, _ = single.reset(seed=100 + i)
        assert all(seen[name][i].tobytes() == first[name].tobytes() for name in seen)
    for action in many:
        seen, reward, terminated, truncated, _ = env.step(action)
        for i, single in enumerate(singles):
            if over[i]:
                alone: Any = (single.reset()[0], 0.0, False, False)
            else:
                alone = single.step(action[i])
            assert all(seen[name][i].tobytes() == alone[0][name].tobytes() for name in seen)
            assert (reward[i], terminated[i], truncated[i]) == alone[1:4]
            over[i] = bool(terminated[i] or truncated[i])


def test_next_step_does_not_look_at_the_action_of_a_finished_row() -> None:
    env = make("vector_entry_point", 1)
    env.reset(seed=0)
    ended = False
    while not ended:
        _, _, terminated, truncated, _ = env.step(np.array([[1.0, 1.0]]))
        ended = bool(terminated[0] or truncated[0])
    _, reward, terminated, truncated, infos = env.step(np.full((1, 2), np.nan))
    assert reward[0] == 0.0
    assert not terminated[0]
    assert not truncated[0]
    assert infos["_route"][0]
    assert "reward_terms" not in infos


def test_disabled_resets_are_the_callers() -> None:
    env = make("vector_entry_point", 2, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    for _ in range(40):
        _, _, terminated, truncated, _ = env.step(np.array([[1.0, 1.0], [0.0, -1.0]]))
        if terminated[0]:
            break
    assert terminated[0]
    assert not (terminated[1])
    assert not (truncated[1])
    with pytest.raises(RuntimeError, match="sub-environment 0 is over; call reset"):
        env.step(np.zeros((2, 2)))
    before = env.unwrapped.drives.world.scene.ego["x"][1]
    mask = np.array([True, False])
    _, infos = env.reset(seed=[77, None], options={"reset_mask": mask})
    assert infos["_route"].tolist() == [True, False]
    assert infos["episode_seed"][0] == RouteEnv(CONFIG).reset(seed=77)[1]["episode_seed"]
    assert env.unwrapped.drives.world.scene.ego["x"][1] == before
    env.step(np.zeros((2, 2)))


def test_nothing_handed_out_changes_later() -> None:
    env = make("vector_entry_point", 2)
    env.reset(seed=0)
    first = env.step(np.full((2, 2), 0.4))
    kept = [{k: v.copy() for k, v in first[0].items()}, *(part.copy() for part in first[1:4])]
    for _ in range(30):
        env.step(np.full((2, 2), 0.9))
    assert data_equivalence(tuple(kept), first[:4], exact=True)


def test_torch_takes_all_that_comes_back() -> None:
    env = make("vector_entry_point", 3)
    env.reset(seed=0)
    seen, *rest, infos = env.step(np.full((3, 2), 0.4))
    for array in (*seen.values(), *rest, infos["collided"], infos["reward_terms"]["progress"]):
        np.testing.assert_array_equal(torch.from_numpy(array).numpy(), array)


def test_without_a_seed_rows_differ_and_config_seed_counts_up() -> None:
    _, infos = make("vector_entry_point", 4).reset()
    assert len(set(infos["episode_seed"].tolist())) == 4
    config = replace(CONFIG, seed=9)
    mine, theirs = (make("vector_entry_point", 2, c) for c in (config, CONFIG))
    assert data_equivalence(mine.reset(), theirs.reset(seed=9), exact=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": [1, 2, 3]}, "seed must hold 2 seeds, got 3"),
        ({"seed": -4}, "greater or equal to zero, actual value: -4"),
        ({"seed": [-1, 2]}, "seeds must not be negative, got -1"),
        ({"options": {"reset_mask": [True, True]}}, "must be a bool array"),
        ({"options": {"reset_mask": np.zeros(2, bool)}}, "with a True in it"),
        ({"options": {"reset_mask": np.array([True, False])}}, "first reset must be of all"),
        ({"options": {"weather": 1}}, "options may hold route, start, traffic"),
    ],
)
def test_resets_there_are_not(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, gymnasium.error.Error), match=message):
        RouteVectorEnv(2, CONFIG).reset(**arguments)


def test_it_must_be_reset_first_and_have_a_row() -> None:
    with pytest.raises(RuntimeError, match=r"Cannot call step\(\) before reset"):
        RouteVectorEnv(2, CONFIG).step(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="num_envs must be at least 1, got 0"):
        RouteVectorEnv(0, CONFIG)


def test_each_row_has_its_picture() -> None:
    env = make("vector_entry_point", 2, render_mode="rgb_array")
    env.reset(seed=[1, 5])
    pictures = env.render()
    assert [picture.shape for picture in pictures] == [(320, 804, 3)] * 2
    assert (pictures[0] != pictures[1]).any()
