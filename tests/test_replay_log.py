"""Replay logs: what a browser is given of a drive is where everyone was, and it is small."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toy_drives import demonstration

from drive_il.actors import WALKER, ActorKind, LightState
from drive_il.datatypes import VEHICLE, Episode, Records
from drive_il.evaluation import replay_log
from drive_il.evaluation.infractions import Infraction, Kind
from drive_il.evaluation.replay_log import MOST, NEAR, Trail
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork, SignalKind

MINUTE = 1200
CROWD = 40


@pytest.fixture(scope="module")
def network() -> RoadNetwork:
    return library.load("alder")


def circling(n: int, radius: float, speed: float, phase: float, dtype: np.dtype[Any]) -> Records:
    """Someone on a circle about the map's first light, (n,)."""
    angle = phase + speed / radius * 0.05 * np.arange(n)
    states = np.zeros(n, dtype)
    states["x"], states["y"] = radius * np.cos(angle), radius * np.sin(angle)
    states["heading"] = (angle + math.pi / 2 + math.pi) % (2 * math.pi) - math.pi
    states["speed"] = speed
    return states


@pytest.fixture(scope="module")
def drive(network: RoadNetwork) -> Episode:
    """A minute in a crowd: everyone circles at another speed, one walker is there for a while."""
    n = MINUTE + 1
    light = network.signals[network.signals["kind"] == SignalKind.LIGHT][0]
    ego = circling(n, 50.0, 12.0, 0.0, VEHICLE)
    ego["id"], ego["length"], ego["width"] = 1, 4.9, 1.85
    ego["x"] += light["x"]
    ego["y"] += light["y"]
    vehicles = np.zeros((n, CROWD), VEHICLE)
    vehicles[:, 0] = ego
    for k in range(1, CROWD):
        other = circling(n, 20.0 + 2.0 * k, 3.0 + 0.4 * k, 0.7 * k, VEHICLE)
        other["id"], other["kind"], other["length"], other["width"] = k + 1, ActorKind.VAN, 5.5, 2
        other["r"], other["b"] = 200, k
        other["x"] += light["x"]
        other["y"] += light["y"]
        vehicles[:, k] = other
    walkers = np.zeros((n, 1), WALKER)
    walkers["x"], walkers["y"] = light["x"], light["y"] + 0.07 * np.arange(n)[:, None] * 0.05
    walkers["radius"], walkers["height"] = 0.3, 1.7
    walkers["id"][200:600] = 77
    lights = np.full((n, len(network.signals)), LightState.RED, np.uint8)
    lights[600:] = LightState.GREEN
    toy = demonstration({}, np.zeros(MINUTE))
    return replace(toy, ego=ego, vehicles=vehicles, walkers=walkers, lights=lights)


def judged(episode: Episode) -> RouteResult:
    x, y = float(episode.ego["x"][440]), float(episode.ego["y"][440])
    hit = Infraction(Kind.VEHICLE, 440, 22.0, x, y, 0.0, 5, 0.0, "hit")
    return RouteResult(
        *("toy", "toy", 0, episode.spec.seed, (), Ending.BLOCKED, 40.0, 100.0),
        *(episode.n_steps * episode.dt, 1.0, (hit,), (), None, 100.0, {}),
    )


@pytest.fixture(scope="module")
def packed(drive: Episode, network: RoadNetwork) -> dict[str, Any]:
    """As JSON gives it back."""
    log = replay_log.pack(replay_log.make(drive, judged(drive), network))
    return dict(json.loads(json.dumps(log)))


def angle_between(a: Any, b: Any) -> float:
    return float(np.abs((a - b + math.pi) % (2 * math.pi) - math.pi).max())


def test_the_ego_is_where_it_was_to_5_cm_and_1_degree(
    drive: Episode, packed: dict[str, Any]
) -> None:
    log = replay_log.unpack(packed)
    truth = drive.ego[::5]
    assert log.frame == pytest.approx(0.25)
    assert log.n_frames == len(truth) == 241
    assert np.abs(log.ego.x - truth["x"]).max() < 0.05
    assert np.abs(log.ego.y - truth["y"]).max() < 0.05
    assert angle_between(log.ego.heading, truth["heading"]) < math.radians(1.0)
    assert np.abs(log.speed - truth["speed"]).max() < 0.1


def test_between_frames_a_straight_line_is_near_enough(
    drive: Episode, packed: dict[str, Any]
) -> None:
    log = replay_log.unpack(packed)
    at = np.arange(MINUTE + 1) * 0.05
    shown = [np.interp(at, np.arange(log.n_frames) * log.frame, v) for v in (log.ego.x, log.ego.y)]
    # 12 m/s on a radius of 50 m: a chord of a quarter second is v^2 t^2 / 8 r = 2.3 cm off.
    assert np.hypot(shown[0] - drive.ego["x"], shown[1] - drive.ego["y"]).max() < 0.06


def test_others_are_where_they_were_and_all_that_is_near_is_there(
    drive: Episode, packed: dict[str, Any]
) -> None:
    log = replay_log.unpack(packed)
    ego, others = drive.ego[::5], drive.vehicles[::5, 1:]
    found = np.zeros(len(ego), int)
    for trail in log.vehicles:
        k = int(trail.color[5:7], 16) - 1  # each has its own blue
        frames = slice(trail.first, trail.first + len(trail.x))
        found[frames] += 1
        assert np.abs(trail.x - others["x"][frames, k]).max() < 0.05
        assert np.abs(trail.y - others["y"][frames, k]).max() < 0.05
        assert angle_between(trail.heading, others["heading"][frames, k]) < math.radians(1.0)
        assert (trail.length, trail.width, trail.kind) == (5.5, 2.0, ActorKind.VAN)
    away = np.hypot(others["x"] - ego["x"][:, None], others["y"] - ego["y"][:, None])
    assert (found >= np.minimum((away < NEAR).sum(axis=1), MOST)).all()


def test_a_walker_is_there_while_it_is_there(packed: dict[str, Any]) -> None:
    (walker,) = replay_log.unpack(packed).walkers
    assert (walker.first, len(walker.x)) == (40, 80)
    assert (walker.length, walker.kind) == (0.6, -1)


def test_lights_change_when_they_changed(packed: dict[str, Any]) -> None:
    lights = replay_log.unpack(packed).lights
    assert lights
    assert all(one.changes == ((0, LightState.RED), (120, LightState.GREEN)) for one in lights)


def test_infractions_are_marked(drive: Episode, packed: dict[str, Any]) -> None:
    ((kind, time, x, y),) = replay_log.unpack(packed).marks
    assert (kind, time) == ("collisions_vehicle", 22.0)
    assert (x, y) == pytest.approx((drive.ego["x"][440], drive.ego["y"][440]), abs=0.01)


def test_a_minute_in_a_crowd_takes_some_10_kilobytes(packed: dict[str, Any]) -> None:
    assert len(json.dumps(packed)) < 20_000


def test_whoever_leaves_and_comes_back_is_another_trail() -> None:
    ego = np.zeros(100, VEHICLE)
    other = np.zeros((100, 1), VEHICLE)
    other["id"], other["x"] = 9, np.where(np.arange(100)[:, None] // 30 == 1, 500.0, 5.0)
    trails: tuple[Trail, ...] = replay_log._trails(other, ego)
    assert [(one.first, len(one.x)) for one in trails] == [(0, 30), (60, 40)]


def test_another_drives_result_is_refused(drive: Episode, network: RoadNetwork) -> None:
    with pytest.raises(ValueError, match="is not the judged one"):
        replay_log.make(drive, replace(judged(drive), seed=5), network)
    with pytest.raises(ValueError, match=r"60\.00 s\) is not the judged one"):
        replay_log.make(drive, replace(judged(drive), duration=50.0), network)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": 7}, "has format 7"), ({"data": "AAAA"}, "damaged"), ({"n_line": 9999}, "damaged")],
)
def test_damage_is_told(packed: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replay_log.unpack(packed | change)
