"""Made-up demonstrations: the picture says where to steer, without any world."""

import numpy as np

from drive_il.actors import WALKER
from drive_il.datatypes import (
    CONTROL,
    PROGRESS,
    ROUTE_POINT,
    VEHICLE,
    WEATHER,
    Array,
    Episode,
    EpisodeSpec,
    Floats,
    Outcome,
    Route,
    default_weather,
    nan_control,
    no_events,
)


def road_pictures(steer: Floats, height: int, width: int, seed: int) -> Array:
    """Returns a bright road on dark ground, (N, height, width, 3) uint8.

    The road's column says where to steer: full left is at the left edge.
    """
    pictures = np.random.default_rng(seed).integers(
        60, 80, (len(steer), height, width, 3), dtype=np.uint8
    )
    middle = np.round(width * (0.5 - 0.4 * steer)).astype(int)
    for picture, column in zip(pictures, middle, strict=True):
        picture[height // 2 :, max(0, column - width // 8) : column + width // 8] = 200
    return pictures


def demonstration(observations: dict[str, Array], steer: Floats, seed: int = 0) -> Episode:
    """Returns a drive whose expert steers so and presses the throttle by half.

    Args:
        observations: (T + 1, ...) each; speed and command are added.
        steer: (T,).
        seed: of the episode.
    """
    n_steps = len(steer)
    control = np.zeros(n_steps, CONTROL)
    control["steer"], control["throttle"] = steer, 0.5
    points = np.zeros(2, ROUTE_POINT)
    points["s"] = [0, 100]
    progress = np.zeros(n_steps + 1, PROGRESS)
    progress["command"] = 4
    assert all(len(value) == n_steps + 1 for value in observations.values())
    return Episode(
        spec=EpisodeSpec(Route("toy", "toy", points, np.zeros((2, 3))), seed=seed),
        ego=np.zeros(n_steps + 1, VEHICLE),
        progress=progress,
        weather=default_weather(n_steps + 1).astype(WEATHER),
        observations=observations
        | {
            "speed": np.full(n_steps + 1, 5.0, np.float32),
            "command": np.full(n_steps + 1, 4),
        },
        control=control,
        policy_control=nan_control(n_steps),
        expert_control=control,
        who=np.ones(n_steps, np.uint8),
        asked=np.ones(n_steps, bool),
        info={},
        outcome=Outcome.TRUNCATED,
        dt=0.05,
        vehicles=np.zeros((n_steps + 1, 0), VEHICLE),
        walkers=np.zeros((n_steps + 1, 0), WALKER),
        lights=np.zeros((n_steps + 1, 0), np.uint8),
        events=no_events(n_steps + 1),
    )
