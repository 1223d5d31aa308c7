"""Routes, observers and policies for tests of the loop, without map files or cameras."""

import math
from dataclasses import fields

import numpy as np

from drive_il.datatypes import (
    CONTROL,
    PROGRESS,
    ROUTE_POINT,
    VEHICLE,
    Array,
    Episode,
    EpisodeSpec,
    Ints,
    Observation,
    Outcome,
    Records,
    Route,
    Scene,
    State,
    default_weather,
    no_actors,
    no_events,
)
from drive_il.maps.routes import make_table
from drive_il.sensor_specs import CameraSpec, ObservationSpec


def make_route(
    parts: list[tuple[float, float]], speed_limit: float = 13.9, id: str = "test"
) -> Route:
    """A route of (length [m], curvature [1/m]) pieces from the origin, on the map "straight"."""
    fine = 0.01
    curvature = np.concatenate([np.full(round(length / fine), k) for length, k in parts])
    heading = np.concatenate([[0.0], np.cumsum(curvature) * fine])
    middle = 0.5 * (heading[1:] + heading[:-1])
    x = np.concatenate([[0.0], np.cumsum(np.cos(middle)) * fine])
    y = np.concatenate([[0.0], np.cumsum(np.sin(middle)) * fine])
    index = np.arange(0, len(curvature), 100)
    points = np.zeros(len(index), ROUTE_POINT)
    points["x"], points["y"], points["s"] = x[index], y[index], index * fine
    points["heading"] = (heading[index] + math.pi) % (2 * math.pi) - math.pi
    points["curvature"] = curvature[index]
    points["lane_width"], points["speed_limit"], points["command"] = 3.5, speed_limit, 4
    return Route(id, "straight", points, np.stack([x[[0, -1]], y[[0, -1]], 0 * x[[0, -1]]], 1))


class PoseObserver:
    """Sees a small picture that depends on the pose alone, and the state."""

    spec = ObservationSpec((CameraSpec(width=4, height=2),))

    def __init__(self) -> None:
        self.n_frames = 0

    def observe(self, scene: Scene, rows: Ints) -> Observation:
        ego, progress = scene.ego[rows], scene.progress[rows]
        self.n_frames += len(rows)
        picture = np.zeros((len(rows), 2, 4, 3), np.uint8)
        picture[:] = (ego["x"] * 7 % 256).astype(np.uint8)[:, None, None, None]
        return {
            "rgb": picture,
            "speed": ego["speed"].astype(np.float32),
            "command": progress["command"].astype(np.int64),
            "lateral_error": progress["lateral_error"].astype(np.float32),
        }


class Wobbly:
    """Steers back to the lane centre, later and later; remembers how often it acted."""

    def initial_state(self, n_rows: int) -> State:
        return {"n_acts": np.zeros(n_rows, np.int64)}

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        error = observation["lateral_error"].astype(np.float64)
        control = np.zeros(len(error), CONTROL)
        control["throttle"] = 0.5
        control["steer"] = np.clip(-0.05 * error + 0.01 * np.sin(state["n_acts"]), -1, 1)
        state = {"n_acts": state["n_acts"] + 1}
        return control, state, {"n_acts": state["n_acts"], "frame": observation["rgb"][:, 0, 0]}


def completed(scene: Scene) -> Array:
    """Ends an episode when its route is completed."""
    return np.where(scene.progress["completed"], Outcome.COMPLETED, Outcome.RUNNING)


def specs_on(routes: list[Route], n: int, max_steps: int = 60) -> list[EpisodeSpec]:
    """N specs of different length on these routes."""
    return [EpisodeSpec(routes[i % len(routes)], i, max_steps + 7 * (i % 5)) for i in range(n)]


def make_scene(n_rows: int, seed: Ints | int = 1, step: Ints | int = 0) -> Scene:
    """A scene of vehicles at the origin."""
    return Scene(
        np.zeros(n_rows, VEHICLE),
        np.zeros(n_rows, PROGRESS),
        default_weather(n_rows),
        np.broadcast_to(np.asarray(step, np.int64), n_rows),
        np.broadcast_to(np.asarray(seed, np.uint64), n_rows),
        make_table([Route("origin", "straight", np.zeros(2, ROUTE_POINT), np.zeros((2, 3)))]),
        0.05,
        no_actors(n_rows),
        no_events(n_rows),
    )


def assert_same(a: Episode, b: Episode) -> None:
    """Fails unless two episodes of one spec are the same bits."""
    assert a.spec is b.spec
    assert a.outcome == b.outcome
    for item in fields(Episode):
        left, right = getattr(a, item.name), getattr(b, item.name)
        if isinstance(left, np.ndarray):
            left, right = left.copy(), right.copy()
            if item.name == "progress":
                left["route"] = right["route"] = 0  # counts within the world
            assert left.tobytes() == right.tobytes(), item.name
        elif isinstance(left, dict):
            assert left.keys() == right.keys()
            for name in left:
                assert left[name].dtype == right[name].dtype
                assert left[name].tobytes() == right[name].tobytes(), name
