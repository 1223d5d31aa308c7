"""The Gymnasium environment: the contract, seeds, reward, ends."""

import math
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

import drive_il.env as env_room
from drive_il.actors import EVENTS, Struck, Traffic
from drive_il.datatypes import PROGRESS, VEHICLE, Route, Start, no_events
from drive_il.env import EnvConfig, RewardConfig, judging
from drive_il.env.route_env import RouteEnv
from drive_il.experts.planner import Planner
from drive_il.sensor_specs import (
    CameraSpec,
    GnssSpec,
    ImuSpec,
    LidarSpec,
    ObservationSpec,
    RadarSpec,
)

STATE = ObservationSpec(cameras=(), state=True)
SMALL = CameraSpec(width=24, height=16)
ALL_SENSORS = ObservationSpec(
    (SMALL, replace(SMALL, name="depth", kind="depth"), replace(SMALL, name="s", kind="semantic")),
    range_finder=True,
    birdview=True,
    state=True,
    lidars=(
        LidarSpec(channels=4, points_per_second=2000),
        LidarSpec("classes", "semantic", channels=4, points_per_second=2000),
    ),
    radars=(RadarSpec(points_per_second=200),),
    gnss=GnssSpec(),
    imu=ImuSpec(),
    speedometer=True,
    collision=True,
    lane_invasion=True,
)
AHEAD = np.array([0.0, 0.5], np.float32)
ID = f"drive_il.env:{env_room.ENV_ID}"


@pytest.fixture(autouse=True)
def no_screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    return


def run_alone(code: str) -> str:
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return result.stdout.strip()


def test_gymnasium_makes_it_without_an_import_and_loads_no_torch() -> None:
    code = (
        "import sys, gymnasium\n"
        f"env = gymnasium.make({ID!r}, town='dell')\n"
        "seen, info = env.reset(seed=1)\n"
        "print(env.unwrapped.spec.id, seen['rgb'].shape)\n"
        "print([name for name in ('torch', 'pygame', 'carla', 'av') if name in sys.modules])"
    )
    assert run_alone(code).splitlines() == ["drive_il/Route-v0 (64, 96, 3)", "[]"]


def test_registering_loads_neither_simulator_nor_sensors() -> None:
    code = (
        "import sys, drive_il.env\n"
        "print([n for n in ('numba', 'torch', 'drive_il.sim', 'drive_il.sensors') "
        "if n in sys.modules])"
    )
    assert run_alone(code) == "[]"


@pytest.mark.parametrize(
    "config",
    [
        EnvConfig(),
        EnvConfig(observation=ALL_SENSORS, action="control", frame_skip=4),
        EnvConfig(town="dell", routes="test", observation=STATE, reward=None),
    ],
    ids=["default", "all sensors", "no reward"],
)
def test_gymnasiums_checker_has_nothing_to_say(config: EnvConfig) -> None:
    env = gymnasium.make(ID, config=config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.close()


def drive(env: Any, seed: int, n_steps: int) -> list[Any]:
    """What an environment says under a fixed sequence of actions, over several episodes."""
    said: list[Any] = [env.reset(seed=seed)]
    actions = np.random.default_rng(5).uniform(-1.0, 1.0, (n_steps, 2)).astype(np.float32)
    for action in actions:
        said.append(env.step(action))
        if said[-1][2] or said[-1][3]:
            said.append(env.reset())
    return said


def test_a_seed_repeats_routes_seeds_and_everything_seen() -> None:
    config = EnvConfig(observation=ALL_SENSORS, horizon=7)
    one = drive(RouteEnv(config), 11, 40)
    env = RouteEnv(config)
    drive(env, 4, 10)  # what ran before does not matter
    again = drive(env, 11, 40)
    for left, right in zip(one, again, strict=True):
        assert data_equivalence(left, right, exact=True)
    routes = {said[1]["route"] for said in one if len(said) == 2}
    assert len(routes) > 1
    other = drive(RouteEnv(config), 12, 40)
    assert [s[1] for s in one if len(s) == 2] != [s[1] for s in other if len(s) == 2]


def test_without_a_seed_the_configs_is_used_then_chance() -> None:
    first = [RouteEnv(EnvConfig(seed=5)).reset()[1] for _ in range(2)]
    assert first[0] == first[1] == RouteEnv(EnvConfig()).reset(seed=5)[1]
    assert RouteEnv().reset()[1]["episode_seed"] != RouteEnv().reset()[1]["episode_seed"]


def test_routes_in_turn() -> None:
    env = RouteEnv(EnvConfig(route_order="in_turn", observation=STATE))
    ids = [env.reset(seed=3)[1]["route"], *(env.reset()[1]["route"] for _ in range(3))]
    assert ids == [route.id for route in env.drives.routes[:4]]


def test_options_decide_the_next_episode_only() -> None:
    env = RouteEnv(EnvConfig(observation=STATE))
    plain = env.reset(seed=1)[1]
    start = Start(s=20.0, lateral_error=0.5, speed=7.0)
    seen, info = env.reset(options={"route": "3", "start": start, "traffic": Traffic()})
    assert info["route"] == "3"
    np.testing.assert_allclose(seen["state"][[0, 4]], [7.0, 0.5], atol=1e-3)
    assert env.drives.world.scene.progress["s"][0] == pytest.approx(20.0, abs=0.1)
    route = env.drives.routes[2]
    assert env.reset(options={"route": 2})[1]["route"] == route.id
    assert env.reset(options={"route": replace(route, id="mine")})[1]["route"] == "mine"
    assert env.reset()[0]["speed"][0] == 0.0
    assert env.reset(seed=1)[1] == plain


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 3}, "options may hold route, start, traffic, got 'seed'"),
        ({"route": "x"}, "there is no route 'x'; known: 0, 1"),
        ({"route": 99}, "an index below 24, got 99"),
        ({"start": 3.0}, "must be a Start, got 3.0"),
        ({"traffic": 8}, "must be a Traffic, got 8"),
        ({"start": Start(s=1e9)}, "start.s must be on route"),
    ],
)
def test_options_there_are_not(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RouteEnv(EnvConfig(observation=STATE)).reset(options=options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"town": "atlantis"}, "no map 'atlantis'"),
        ({"routes": "many"}, "or the path of a route file, got 'many'"),
        ({"action": "pedals"}, "action must be one of steer_acceleration, control"),
        ({"horizon": 0}, "horizon must be at least 1, got 0"),
        ({"frame_skip": 0}, "frame_skip must be at least 1"),
        ({"max_deviation": math.nan}, "max_deviation must be positive, got nan m"),
        ({"dt": 0.0}, "dt must be in"),
        ({"seed": -1}, "seed must not be negative, got -1"),
    ],
)
def test_configs_there_are_not(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RouteEnv(EnvConfig(**change))


def test_weights_are_not_negative() -> None:
    with pytest.raises(ValueError, match=r"reward.collision must be a finite number >= 0, got -1"):
        RewardConfig(collision=-1.0)


def test_a_route_file_and_its_town() -> None:
    path = Path(__file__).parents[1] / "routes" / "birch_test.xml"
    env = RouteEnv(EnvConfig(observation=STATE), town="birch", routes=str(path))
    assert env.config.town == "birch"
    assert len(env.drives.routes) == 24
    with pytest.raises(ValueError, match="has no route in 'alder'; its towns: birch; pass town="):
        RouteEnv(EnvConfig(), routes=str(path))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.array([0.0, 1.5]), "throttle of row 0 at step 0 must be in"),
        (np.array([math.nan, 0.0]), "steer of row 0 at step 0 must be in"),
        (np.zeros(3), r"actions must have shape \(1, 2\) for action kind 'steer_acceleration'"),
    ],
)
def test_actions_there_are_not(action: np.ndarray, message: str) -> None:
    env = RouteEnv(EnvConfig(observation=STATE))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(action)


def test_both_action_kinds_drive_alike() -> None:
    both = [RouteEnv(EnvConfig(observation=STATE, action=kind)) for kind in env_kinds()]
    for env in both:
        env.reset(seed=2)
    for steer, acceleration in [(0.1, 0.8), (-0.2, 0.5), (0.0, -0.7)]:
        pedals = [max(acceleration, 0.0), max(-acceleration, 0.0), steer]
        seen = [
            both[0].step(np.array([steer, acceleration]))[0],
            both[1].step(np.array(pedals))[0],
        ]
        assert data_equivalence(*seen, exact=True)


def env_kinds() -> tuple[Any, ...]:
    return ("steer_acceleration", "control")


def test_left_is_positive() -> None:
    env = RouteEnv(EnvConfig(observation=STATE))
    env.reset(seed=2, options={"start": Start(s=10.0, speed=5.0)})
    for _ in range(10):
        seen = env.step(np.array([0.3, 0.2]))[0]
    assert seen["state"][5] > 0.1  # heading error, counter-clockwise


def test_the_order_of_calls_is_kept() -> None:
    env = RouteEnv(EnvConfig(observation=STATE, horizon=1))
    with pytest.raises(RuntimeError, match=r"Cannot call step\(\) before reset\(\)"):
        env.step(AHEAD)
    env.reset(seed=0)
    assert env.step(AHEAD)[2:4] == (False, True)
    with pytest.raises(RuntimeError, match="after an episode's end"):
        env.step(AHEAD)


def short_route(env: RouteEnv) -> Route:
    return min(env.drives.routes, key=lambda route: route.length)


def expert_action(env: RouteEnv, planner: Planner) -> np.ndarray:
    control = planner.control(env.drives.world.scene)
    return np.array([control["throttle"][0], control["brake"][0], control["steer"][0]])


@pytest.mark.parametrize("frame_skip", [1, 3])
def test_the_expert_completes_a_route_and_earns_its_length(frame_skip: int) -> None:
    env = RouteEnv(EnvConfig(observation=STATE, action="control", frame_skip=frame_skip))
    env.reset(seed=0, options={"route": short_route(env)})
    planner, total, terms = Planner(), 0.0, dict.fromkeys(judging.TERMS, 0.0)
    terminated = truncated = False
    while not (terminated or truncated):
        _, reward, terminated, truncated, info = env.step(expert_action(env, planner))
        total += reward
        for name, value in info["reward_terms"].items():
            terms[name] += value
    assert terminated
    assert info["completed"]
    assert info["route_completion"] == 100.0
    assert total == pytest.approx(sum(terms.values()))
    assert terms["progress"] == pytest.approx(short_route(env).length, abs=3.0)
    assert terms["collision"] == terms["red_light"] == terms["stop_sign"] == 0.0


def test_leaving_the_route_terminates_and_the_horizon_truncates() -> None:
    env = RouteEnv(EnvConfig(observation=STATE, max_deviation=3.0, horizon=50))
    start = Start(s=10.0, speed=8.0)
    env.reset(seed=0, options={"start": start})
    ended, n_steps = False, 0
    while not ended:
        _, _, terminated, truncated, info = env.step(np.array([0.5, 0.2]))
        ended, n_steps = terminated or truncated, n_steps + 1
    assert terminated
    assert not truncated
    assert info["off_route"]
    assert n_steps < 50
    env.reset(options={"start": start})
    for n_steps in range(50):
        _, _, terminated, truncated, info = env.step(np.array([0.0, -1.0]))
        assert not terminated
        assert truncated == (n_steps == 49)


def verdict_of(
    config: EnvConfig, *events: dict[str, Any], speed: float = 10.0, lateral_error: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """What one action came to whose steps reported these events; the memory after it."""
    ego, progress = np.zeros(1, VEHICLE), np.zeros(1, PROGRESS)
    ego["speed"], progress["speed_limit"], progress["route_length"] = speed, 8.0, 100.0
    progress["lateral_error"] = lateral_error
    memory, verdict = np.zeros(1, judging.MEMORY), np.zeros(1, judging.VERDICT)
    for k, event in enumerate(events):
        reported = no_events(1)
        for name, value in event.items():
            assert name in (EVENTS.names or ())
            reported[name] = value
        progress["s_max"] += 0.5
        is_last = k == len(events) - 1
        judging.judge(
            0, 1, judging.rules_of(config), ego, progress, reported, memory, is_last, 0.05, verdict
        )
    return verdict, memory


def test_every_term_in_closed_form() -> None:
    config = EnvConfig(end_on_collision=False, frame_skip=4)
    crash = {"struck": Struck.VEHICLE}
    verdict, memory = verdict_of(
        config, crash, crash, {"red_light": 3}, {"stop_sign": 2}, lateral_error=-1.5
    )
    said = verdict[0]
    assert said["progress"] == pytest.approx(4 * 0.5)
    assert said["speeding"] == pytest.approx(-4 * 2.0 * 0.05)  # 2 m/s too fast for 0.2 s
    assert said["deviation"] == pytest.approx(-0.5 * 1.5 * 0.2)
    assert said["collision"] == -50.0  # one contact of two steps
    assert said["red_light"] == -20.0
    assert said["stop_sign"] == -10.0
    assert said["reward"] == pytest.approx(sum(said[name] for name in judging.TERMS))
    assert said["collided"]
    assert said["ran_red_light"]
    assert said["ran_stop_sign"]
    assert not said["terminated"]
    assert said["route_completion"] == pytest.approx(2.0)
    assert memory["steps"][0] == 1


def test_a_collision_ends_it_and_nothing_counts_after() -> None:
    verdict, _ = verdict_of(EnvConfig(), {"struck": Struck.WALKER}, {"red_light": 0})
    assert verdict["terminated"][0]
    assert verdict["collided"][0]
    assert verdict["red_light"][0] == 0.0
    assert verdict["progress"][0] == pytest.approx(0.5)


def test_no_reward_is_zero_but_ends_are_the_same() -> None:
    verdict, _ = verdict_of(EnvConfig(reward=None), {"struck": Struck.STATIC}, lateral_error=2.0)
    assert verdict["reward"][0] == 0.0
    assert verdict["terminated"][0]


def test_pictures_show_the_driver_and_the_car_from_above() -> None:
    env = gymnasium.make(ID, render_mode="rgb_array", config=EnvConfig(observation=STATE))
    env.reset(seed=1)
    picture = env.render()
    assert isinstance(picture, np.ndarray)
    assert picture.shape == (320, 804, 3)
    assert picture.dtype == np.uint8
    above = picture[:, 484:]
    ego = (above == (235, 90, 40)).all(axis=2)
    assert ego.any()
    assert abs(np.nonzero(ego)[1].mean() - 160.0) < 2.0
    assert np.nonzero(ego)[0].mean() > 200  # in the lower part: most of the picture is ahead


def test_a_window_shows_every_step() -> None:
    env = RouteEnv(EnvConfig(observation=STATE), render_mode="human")
    env.reset(seed=1)
    env.step(AHEAD)
    window = env._screen._window
    assert window is not None
    assert window.is_open
    shown = window.pixels()
    assert shown.shape == (320, 804, 3)
    assert shown.std() > 10.0
    assert env.render() is None
    env.close()
    env.close()
    assert not window.is_open
