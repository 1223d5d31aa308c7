"""What a world remembers, and that logged episodes and forks remember the same."""

import numpy as np
import pytest

from drive_il.actors import Traffic
from drive_il.datatypes import CONTROL, EpisodeSpec, Scene, Start
from drive_il.maps.network import SignalKind
from drive_il.past import FOOTPRINT, Past, past_of_log, signs_ahead
from drive_il.policies import FunctionPolicy
from drive_il.rollout import drive, scene_of
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World
from tests.towns_with_traffic import route_from, town

SPEC = ObservationSpec(cameras=(), roach=True)
ALONE = Traffic()
BUSY = Traffic(vehicles=40, signals=True)


def spec(seed: int = 0, speed: float = 5.0, traffic: Traffic = ALONE) -> EpisodeSpec:
    lane = int(town().stop_lines["lane"][0])
    return EpisodeSpec(route_from(town(), lane, 200.0), seed, 45, Start(speed=speed), traffic)


def control(n_rows: int) -> np.ndarray:
    pressed = np.zeros(n_rows, CONTROL)
    pressed["throttle"] = 0.6
    return pressed


def at(past: Past, world: int, lag: int) -> np.ndarray:
    return past.vehicles[world, :, (past.newest[world] - lag + 1) % past.n_steps]


def test_a_world_remembers_its_last_states_in_order() -> None:
    world = World(town(), 3, history=0.25)
    world.reset(np.arange(3), [spec(0, speed) for speed in (2.0, 5.0, 9.0)])
    seen = [world.scene.actors.vehicles.copy()]
    assert (world.scene.past.count == 0).all()
    for step in range(12):
        world.step(control(3))
        past = world.scene.past
        assert past.n_steps == 5
        assert (past.count == min(step + 1, 5)).all()
        for lag in range(1, min(step + 1, 5) + 1):
            for row in range(3):
                print_, was = at(past, row, lag), seen[-lag][row]
                for name in ("x", "y", "heading"):
                    assert (print_[name] == was[name]).all()
        seen.append(world.scene.actors.vehicles.copy())
    world.reset(np.array([1]), [spec(3)])
    assert world.scene.past.count.tolist() == [5, 0, 5]


@pytest.mark.parametrize("traffic", [ALONE, BUSY])
def test_snapshots_take_the_past_along_into_another_row(traffic: Traffic) -> None:
    world = World(town(), 2, history=1.5)
    world.reset(np.arange(2), [spec(0, 3.0), spec(0, 8.0, traffic)])
    for _ in range(40):
        world.step(control(2))
    snapshot = world.snapshot(np.array([1]))
    observer = SceneObserver(town(), SPEC)
    before = observer.observe(world.scene, np.array([1]))["roach"]
    world.restore(snapshot, np.array([0]))
    after = observer.observe(world.scene, np.array([0]))["roach"]
    assert (before == after).all()
    with pytest.raises(ValueError, match="make both worlds with the same history"):
        World(town(), 1).restore(snapshot, np.array([0]))


@pytest.mark.parametrize("traffic", [ALONE, BUSY])
def test_a_logged_episode_is_observed_as_it_was_live(traffic: Traffic) -> None:
    observer = SceneObserver(town(), SPEC)
    world = World(town(), 2, history=SPEC.history)
    policy = FunctionPolicy(lambda _: (0.6, 0.0, 0.0))
    (episode, _) = drive(world, observer, policy, [spec(0, 5.0, traffic), spec(1, 7.0, traffic)])
    assert (episode.vehicles.shape[1] > 20) == (traffic is BUSY)
    scene = scene_of(episode, SPEC.history)
    rows = np.arange(scene.n_rows)
    again = observer.observe(scene, rows)["roach"]
    assert (again == episode.observations["roach"]).all()
    backwards = observer.observe(scene, rows[::-1])["roach"]
    assert (backwards[::-1] == again).all()


def log(n_states: int) -> tuple[Scene, Past]:
    world = World(town(), 1)
    world.reset(np.arange(1), [spec()])
    vehicles = np.repeat(world.scene.actors.vehicles, n_states, axis=0)
    vehicles["x"] += np.arange(n_states)[:, None]
    walkers = np.repeat(world.scene.actors.walkers, n_states, axis=0)
    lights = np.zeros((n_states, 2), np.uint8)
    lights[:, 1] = np.arange(n_states)
    progress = np.repeat(world.scene.progress, n_states)
    return world.scene, past_of_log(vehicles, walkers, lights, progress, 4)


def test_the_past_of_a_log_is_a_window_of_it() -> None:
    scene, past = log(9)
    assert past.vehicles.dtype == FOOTPRINT
    assert past.count.tolist() == [0, 1, 2, 3, 4, 4, 4, 4, 4]
    for state in range(9):
        for lag in range(1, past.count[state] + 1):
            where = (past.newest[state] - lag + 1) % 4
            assert past.lights[state, 1, where] == state - lag
            assert past.vehicles["x"][state, 0, where] == scene.ego["x"][0] + state - lag
    assert past.vehicles.strides[0] == past.vehicles.strides[2]  # nothing is stored twice


def test_signs_bind_until_served_and_only_nearby() -> None:
    world = World(town(), 1)
    world.reset(np.arange(1), [spec()])
    progress = np.repeat(world.scene.progress, 4)
    progress["stop_kind"] = [SignalKind.STOP, SignalKind.STOP, SignalKind.LIGHT, SignalKind.STOP]
    progress["stop_signal"], progress["stop_distance"] = 3, [10.0, 10.0, 10.0, 30.0]
    progress["stop_served"] = [False, True, False, False]
    assert signs_ahead(progress).tolist() == [3, -1, -1, -1]


def test_taking_rows_copies_their_past() -> None:
    world = World(town(), 3, history=0.5)
    world.reset(np.arange(3), [spec(0, speed) for speed in (2.0, 5.0, 9.0)])
    for _ in range(4):
        world.step(control(3))
    taken = world.scene.take(np.array([2, 0]))
    was = at(taken.past, 0, 1).tobytes()
    assert was == at(world.scene.past, 2, 1).tobytes()
    for _ in range(11):  # the ring has gone round
        world.step(control(3))
    assert at(taken.past, 0, 1).tobytes() == was
    assert taken.past.count.tolist() == [4, 4]


@pytest.mark.parametrize("history", [-1.0, 60.0, float("nan")])
def test_impossible_histories_are_refused(history: float) -> None:
    with pytest.raises(ValueError, match="history must be in"):
        World(town(), 1, history=history)
