"""Drives on a ring road that a policy sees as a state vector: fast enough to train on in tests."""

from functools import lru_cache

import numpy as np

from drive_il.datatypes import Episode, EpisodeSpec, Floats, Start
from drive_il.experts.planner import Planner
from drive_il.fit import FitConfig
from drive_il.gates import ExpertDrives
from drive_il.maps.routes import plan
from drive_il.networks import NetworkConfig
from drive_il.protocols import Policy
from drive_il.rollout import drive
from drive_il.rounds import Place, RoundsConfig
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World
from tests.roads import ring_road

RADIUS = 30.0
SPEC = ObservationSpec(cameras=(), state=True)
SMALL = NetworkConfig(state_hidden=(24,), branch_hidden=8)
ROUNDS = RoundsConfig(
    n_rounds=3,
    label_budget=500,
    steps_per_label=4,
    steps_per_episode=40,
    n_validation=3,
    validation_steps=100,
    network=SMALL,
    fit=FitConfig(n_steps=120, batch_size=32, learning_rate=3e-3, n_threads=1, device="cpu"),
)


def _points(angle: Floats) -> Floats:
    radius = RADIUS + 1.75
    return np.stack((radius * np.cos(angle), radius * np.sin(angle), 0 * angle), 1)


@lru_cache(maxsize=4)
def place(n_rows: int = 8) -> Place:
    """Returns a ring road with a planner as expert."""
    network = ring_road(RADIUS, speed_limit=8.0)
    routes = [plan(network, _points(a + np.linspace(0.0, 4.0, 5)), id=str(a)) for a in (0.3, 1.5)]
    specs = [
        EpisodeSpec(routes[i % 2], seed=i, max_steps=100, start=Start(s=1.0 + i, speed=5.0))
        for i in range(8)
    ]
    world = World(network, n_rows, routes, 0.05)
    return Place(world, SceneObserver(network, SPEC), Planner(), specs)


@lru_cache(maxsize=1)
def demonstrations() -> tuple[Episode, ...]:
    """Returns four short drives of the expert, 160 labels."""
    at = place()
    specs = [EpisodeSpec(spec.route, 50 + i, 40, spec.start) for i, spec in enumerate(at.specs[:4])]
    driven = drive(at.world, at.observer, None, specs, expert=at.expert, gate=ExpertDrives())
    return tuple(driven)


def distance(policy: Policy) -> float:
    """Returns the mean distance driven before the ego leaves its lane [m]."""
    at = place()
    found = []
    for episode in drive(at.world, at.observer, policy, at.specs, keep_observations=False):
        progress = episode.progress
        out = np.abs(progress["lateral_error"]) > progress["lane_width"] / 2
        found.append(progress["s"][max(np.append(out, True).argmax() - 1, 0)] - progress["s"][0])
    return float(np.mean(found))
