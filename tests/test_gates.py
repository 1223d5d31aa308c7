"""Who drives and who is asked."""

import math

import numpy as np
import pytest

from drive_il.actors import LightState
from drive_il.datatypes import CONTROL, VEHICLE, Actors, Bools, Ints, Records, Scene, Who
from drive_il.gates import (
    AskAlways,
    ExpertDrives,
    HumanConfig,
    Mixture,
    ScriptedHuman,
    action_error,
    ahead,
    frightened,
    held,
)
from drive_il.maps.network import SignalKind
from tests.drives import make_scene


def decide(gate: ExpertDrives | AskAlways | Mixture, at: Scene) -> tuple[Ints, Ints]:
    def query(rows: Ints) -> Records:
        raise AssertionError("these gates decide without a peek")

    memory = gate.initial_memory(at.n_rows)
    memory, who, ask = gate.decide(memory, at, {}, np.zeros(at.n_rows, CONTROL), query)
    assert memory == {}
    assert who.shape == ask.shape == (at.n_rows,)
    assert who.dtype == np.uint8
    assert ask.dtype == np.bool_
    return who, ask


def test_plain_gates() -> None:
    for gate, driver in ((ExpertDrives(), Who.EXPERT), (AskAlways(), Who.POLICY)):
        who, ask = decide(gate, make_scene(5))
        assert (who == driver).all()
        assert ask.all()


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_mixture_lets_the_expert_drive_with_probability_beta(beta: float) -> None:
    n = 40_000
    who, ask = decide(
        Mixture(beta), make_scene(n, seed=np.arange(n) // 200, step=np.arange(n) % 200)
    )
    # Six standard deviations: false alarms below 1e-8.
    margin = 6 * math.sqrt(beta * (1 - beta) / n)
    assert abs((who == Who.EXPERT).mean() - beta) <= margin
    assert ask.all()


def test_the_coin_depends_on_seed_and_step_alone() -> None:
    seed, step = np.arange(64) % 8, np.arange(64) // 8
    whole, _ = decide(Mixture(0.5), make_scene(64, seed, step))
    order = np.random.default_rng(0).permutation(64)
    shuffled, _ = decide(Mixture(0.5), make_scene(64, seed[order], step[order]))
    assert np.array_equal(shuffled, whole[order])
    # A larger beta only adds expert steps: the coins are the same.
    more, _ = decide(Mixture(0.7), make_scene(64, seed, step))
    assert (more >= whole).all()


def test_beta_is_checked() -> None:
    with pytest.raises(ValueError, match="beta is a probability, got 1.5"):
        Mixture(1.5)


def test_actions_are_compared_by_steer_and_a_tenth_of_the_pedals() -> None:
    control, label = np.zeros(3, CONTROL), np.zeros(3, CONTROL)
    control["steer"][0], control["throttle"][1], control["brake"][2] = 0.05, 0.5, 1.0
    np.testing.assert_allclose(action_error(control, label), [0.0025, 0.0025, 0.01])
    assert (action_error(control, label) == action_error(label, control)).all()


def test_hysteresis_has_one_rule_for_each_driver() -> None:
    drove = np.array([False, False, True, True])
    takes, keeps = np.array([True, False] * 2), np.array([False, True, False, True])
    assert held(drove, takes, keeps).tolist() == [True, False, False, True]


def on_the_road(n: int, **progress: float) -> Scene:
    at = make_scene(n)
    at.progress["lane_width"], at.progress["speed_limit"] = 3.5, 10.0
    at.progress["stop_distance"], at.progress["stop_light"] = 1000.0, LightState.OFF
    for name, value in progress.items():
        at.progress[name] = value
    return at


def test_a_person_takes_the_wheel_after_a_while_and_holds_it_for_a_while() -> None:
    human = HumanConfig(lateral_error=0.8, reaction_time=0.2, hold=0.3, calm=0.5)
    gate = ScriptedHuman(human)

    def query(rows: Ints) -> Records:
        raise AssertionError("a person looks at the road, not at labels")

    # Too far for 8 steps of 0.05 s, then neither near nor far for 2, then near for 10.
    errors = [0.9] * 8 + [0.6] * 2 + [0.3] * 10
    memory, drives = gate.initial_memory(1), []
    for error in errors:
        at = on_the_road(1, lateral_error=error)
        memory, who, ask = gate.decide(memory, at, {}, np.zeros(1, CONTROL), query)
        assert (ask == (who == Who.EXPERT)).all()
        drives.append(bool(who[0] == Who.EXPERT))
    # 0.2 s of fright are 4 steps; 0.3 s of calm are over at the 6th step of calm.
    assert drives == [False] * 4 + [True] * 11 + [False] * 5


def test_a_short_fright_moves_nobody() -> None:
    gate = ScriptedHuman(HumanConfig(lateral_error=0.8, reaction_time=0.2))
    memory = gate.initial_memory(1)
    for error in [0.9, 0.9, 0.9, 0.9, 0.1] * 5:
        at = on_the_road(1, lateral_error=error)
        memory, who, _ = gate.decide(memory, at, {}, np.zeros(1, CONTROL), lambda rows: None)  # type: ignore[arg-type,return-value]
        assert who[0] == Who.POLICY


@pytest.mark.parametrize(
    ("ego", "progress", "afraid"),
    [
        ({"speed": 8.0}, {}, False),
        ({}, {"lateral_error": -0.9}, True),
        ({}, {"heading_error": 0.4}, True),
        # 1.15 m of room, drifting out at 10 sin(0.3) = 3 m/s: 0.39 s; inwards never.
        ({"speed": 10.0}, {"lateral_error": 0.6, "heading_error": 0.3}, True),
        ({"speed": 10.0}, {"lateral_error": 0.6, "heading_error": -0.3}, False),
        # A stop from 10 m/s within 9 m takes 5.6 m/s^2, within 11 m 4.5.
        ({"speed": 10.0}, {"stop_distance": 9.0, "stop_light": LightState.RED}, True),
        ({"speed": 10.0}, {"stop_distance": 11.0, "stop_light": LightState.RED}, False),
        ({"speed": 10.0}, {"stop_distance": 9.0, "stop_light": LightState.GREEN}, False),
        ({"speed": 10.0}, {"stop_distance": 9.0, "stop_kind": SignalKind.STOP}, True),
        ({"speed": 14.5}, {}, True),
        ({}, {"standing": 9.0}, True),
        ({}, {"standing": 9.0, "stop_distance": 2.0, "stop_light": LightState.RED}, False),
    ],
)
def test_what_frightens(ego: dict, progress: dict, afraid: bool) -> None:
    at = on_the_road(2, **progress)
    for name, value in ego.items():
        at.ego[name] = value
    assert frightened(at, HumanConfig()).tolist() == [afraid, afraid]


def test_the_gap_ahead_is_from_bumper_to_bumper() -> None:
    at = on_the_road(2)
    at.ego["length"], at.ego["width"], at.ego["speed"] = 4.0, 2.0, 10.0
    others = np.zeros((2, 3), VEHICLE)
    others["id"], others["length"], others["width"] = [[1, 2, 3]] * 2, 4.0, 2.0
    others["x"], others["y"] = [[0.0, 30.0, 20.0]] * 2, [[0.0, 0.5, 2.5]] * 2
    others["speed"] = 4.0
    others["heading"][1, 1] = math.pi  # oncoming
    scene = Scene(
        **{
            **vars(at),
            "actors": Actors(
                others, at.actors.walkers, at.actors.lights, np.arange(2), np.zeros(2, int)
            ),
        }
    )
    gap, closing = ahead(scene)
    # The third is beside the strip: 2.5 m > 1 + 1 + 0.3.
    np.testing.assert_allclose(gap, [26.0, 26.0])
    np.testing.assert_allclose(closing, [6.0, 14.0])
    afraid: Bools = frightened(scene, HumanConfig(time_to_collision=2.0))
    assert afraid.tolist() == [False, True]
