"""The designed road instances: one curvy road, a lane keeper, what a learner sees, what pushes.

The expert is a law of curvature, so that classes of linear policies can hold it or not:

    curvature = road's - K_LATERAL beyond(lateral error) - K_HEADING heading error - plant's own

`beyond` is 0 within a dead band. Pedals are the scripted planner's, for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from drive_il.datatypes import (
    CONTROL,
    EpisodeSpec,
    Floats,
    Ints,
    Observation,
    Records,
    Route,
    Scene,
    Start,
    State,
)
from drive_il.experiments.covariate_shift_specs import EXPERT, START_SPEED
from drive_il.maps import library, suites
from drive_il.randomness import derive_seed, uniform
from drive_il.sensor_specs import ObservationSpec
from drive_il.steering import curvature_of_steer, steer_of_curvature

TOWN = "dell"
"""a winding country road without junctions"""
K_LATERAL, K_HEADING = 0.06, 0.35  # [1/m^2], [1/m]: damping ratio 0.7
MARGIN = 8.0
"""mean speed that a drive leaves room for [m/s]"""
GUST_STEPS = 10
"""length of a gust (0.5 s)"""


def specs(n: int, steps: int, seed: int, purpose: str) -> list[EpisodeSpec]:
    """Returns drives from anywhere on the road, on the lane centre."""
    routes = [route for route in _routes() if route.length > MARGIN * steps * 0.05 + 20.0]
    if not routes:
        raise ValueError(f"no route of {TOWN} is long enough for {steps} steps; use fewer")
    rng = np.random.default_rng(derive_seed(seed, purpose))
    made = []
    for i in range(n):
        route = routes[i % len(routes)]
        s = float(rng.uniform(5.0, route.length - MARGIN * steps * 0.05 - 10.0))
        start = Start(s=s, speed=START_SPEED)
        made.append(EpisodeSpec(route, derive_seed(seed, purpose, i), steps, start))
    return made


@lru_cache(maxsize=1)
def _routes() -> tuple[Route, ...]:
    network = library.load(TOWN)
    return tuple(suites.planned(network, suites.training_suite(network)))


@dataclass(frozen=True)
class Plant:
    """What is added to the curvature that a driver asks for: the car variants, and gusts.

    Attributes:
        lateral: pulls back to the lane centre, or away where negative [1/m^2].
        heading: turns back to the lane's heading, or away [1/m].
        gust: curvature of a gust to either side [1/m].
        chance: of a gust in each half second.
        shake: size of noise on steer, new every 5 steps (exploration).
    """

    lateral: float = 0.0
    heading: float = 0.0
    gust: float = 0.0
    chance: float = 0.0
    shake: float = 0.0

    def __call__(self, scene: Scene, control: Records, who: Ints) -> Records:
        """Returns what is executed; keyed by seed and step, the same for every driver."""
        changed = control.copy()
        asked = curvature_of_steer(control["steer"])
        asked = asked + self.own(scene)
        if self.chance > 0:
            drawn = uniform(scene.seed, scene.step // GUST_STEPS, "regimes-gust", 2)
            blows = drawn[:, 0] < self.chance
            asked = asked + np.where(blows, np.where(drawn[:, 1] < 0.5, -1, 1) * self.gust, 0.0)
        steer = steer_of_curvature(asked)
        if self.shake > 0:
            noise = uniform(scene.seed, scene.step // 5, "regimes-shake")[:, 0]
            steer = steer + self.shake * (2.0 * noise - 1.0)
        changed["steer"] = np.clip(steer, -1.0, 1.0)
        return changed

    def own(self, scene: Scene) -> Floats:
        """Returns the curvature that the car itself adds, (B,) [1/m]."""
        at = scene.progress
        return np.asarray(-self.lateral * at["lateral_error"] - self.heading * at["heading_error"])


def beyond(lateral_error: Floats, band: float) -> Floats:
    """Returns by how much a lateral error exceeds a dead band, signed."""
    return np.asarray(np.sign(lateral_error) * np.maximum(np.abs(lateral_error) - band, 0.0))


@dataclass(frozen=True)
class LaneKeeper:
    """The expert.

    Attributes:
        band: lateral errors that it leaves alone [m].
        plant: what it makes up for.
    """

    band: float = 0.0
    plant: Plant = Plant()

    def control(self, scene: Scene) -> Records:
        """Returns its control, (B,) CONTROL."""
        control = EXPERT.control(scene)
        at = scene.progress
        asked = at["curvature"] - K_LATERAL * beyond(at["lateral_error"], self.band)
        asked = asked - K_HEADING * at["heading_error"] - self.plant.own(scene)
        control["steer"] = steer_of_curvature(asked)
        return control


@dataclass(frozen=True)
class Features:
    """What a linear policy sees.

    Attributes:
        names: of road (its curvature here), lateral, beyond, heading.
        band: of `beyond` [m].
        spec: no sensors.
    """

    names: tuple[str, ...]
    band: float = 0.0
    spec: ObservationSpec = ObservationSpec(cameras=())

    def observe(self, scene: Scene, rows: Ints) -> Observation:
        """Returns `features`, (len(rows), F), a constant last."""
        at = scene.progress[rows]
        columns = {
            "road": at["curvature"],
            "lateral": at["lateral_error"],
            "beyond": beyond(at["lateral_error"], self.band),
            "heading": at["heading_error"],
        }
        seen = [columns[name] for name in self.names]
        return {"features": np.stack([*seen, np.ones(len(rows))], 1)}


@dataclass(frozen=True)
class Linear:
    """A linear policy of curvature that plays chunks of one or more actions.

    Attributes:
        weights: (F, chunk_size).
    """

    weights: Floats

    @property
    def chunk_size(self) -> int:
        """Actions that one look decides."""
        return int(self.weights.shape[1])

    def initial_state(self, n_rows: int) -> State:
        """Returns an empty chunk."""
        return {
            "chunk": np.zeros((n_rows, self.chunk_size)),
            "at": np.full(n_rows, self.chunk_size, np.int64),
        }

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Returns (control (B,) CONTROL, state, {}); the pedals are not its own."""
        over = state["at"] >= self.chunk_size
        fresh = (observation["features"][:, :, None] * self.weights[None]).sum(1)
        chunk = np.where(over[:, None], fresh, state["chunk"])
        at = np.where(over, 0, state["at"])
        control = np.zeros(len(at), CONTROL)
        control["steer"] = steer_of_curvature(chunk[np.arange(len(at)), at])
        return control, {"chunk": chunk, "at": at + 1}, {}


def fit(features: Floats, targets: Floats, weights: Any = None, ridge: float = 1e-9) -> Floats:
    """Returns least squares with weights, (F, H).

    Args:
        features: (N, F).
        targets: curvatures, (N, H) [1/m].
        weights: of each row, (N,).
        ridge: against features that never vary.
    """
    scale = np.ones(len(features)) if weights is None else np.sqrt(weights)
    a, b = features * scale[:, None], targets * scale[:, None]
    gram = a.T @ a + ridge * len(a) * np.eye(a.shape[1])
    return np.asarray(np.linalg.solve(gram, a.T @ b))
