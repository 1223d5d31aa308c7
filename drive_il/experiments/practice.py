"""Where the learners of a comparison practise and are tested, and on what budget."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from drive_il.actors import Traffic
from drive_il.datatypes import EpisodeSpec, Start
from drive_il.experiments.covariate_shift_specs import suite_routes
from drive_il.experts.planner import Planner
from drive_il.fit import FitConfig
from drive_il.maps import density, library
from drive_il.randomness import derive_seed
from drive_il.rounds import Place, RoundsConfig
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World

ROWS = 16
"""worlds driven at once"""
EPISODE_STEPS = 100
"""of an episode of a round"""
VALIDATION_STEPS = 800
LOST_DISTANCE = 2.5
"""an episode of a round ends this far from the lane centre [m]"""
PATIENCE = 60.0
"""standing still for longer ends a drive; no light is red for so long [s]"""
STEER_WEIGHT = 10.0
"""of every learner's loss: steer errors are small numbers that matter"""
SHORT = 350.0
"""test drives are the routes of the test suite that are shorter [m]"""
TIME_PER_METRE, EXTRA_TIME = 0.6, 45.0  # [s/m], [s] for lights and queues
_N_STARTS = 400  # drives of a place, in turn


def traffic(town: str, share: float) -> Traffic:
    """Returns normal traffic times a share, half as many walkers, lights and signs."""
    vehicles = density.vehicle_count(library.load(town), share)
    return Traffic(vehicles=vehicles, walkers=vehicles // 2, signals=True)


def anywhere(town: str, n: int, steps: int, around: Traffic, seed: int) -> list[EpisodeSpec]:
    """Returns drives from anywhere on the training routes; a route counts by its length."""
    routes = suite_routes(town, training=True)
    lengths = np.array([route.length for route in routes])
    rng = np.random.default_rng(derive_seed(seed, "anywhere", town))
    specs = []
    for i in range(n):
        route = routes[int(rng.choice(len(routes), p=lengths / lengths.sum()))]
        start = Start(s=float(rng.uniform(0.0, 0.8 * route.length)), speed=5.0)
        specs.append(EpisodeSpec(route, derive_seed(seed, "drive", i), steps, start, around))
    return specs


def test_specs(town: str, n: int, around: Traffic, seed: int) -> list[EpisodeSpec]:
    """Returns the test drives: short test routes in turn, from their start, to their end."""
    routes = [route for route in suite_routes(town, training=False) if route.length < SHORT]
    specs = []
    for i in range(n):
        route = routes[i % len(routes)]
        steps = math.ceil((TIME_PER_METRE * route.length + EXTRA_TIME) / 0.05)
        specs.append(EpisodeSpec(route, derive_seed(seed, "test", town, i), steps, traffic=around))
    return specs


def place(
    world: World,
    spec: ObservationSpec,
    around: Traffic,
    n_validation: int,
    purpose: str,
    seed: int,
    steps: int = EPISODE_STEPS,
    validation_steps: int = VALIDATION_STEPS,
) -> Place:
    """Returns where a learner drives: from anywhere on the training routes of a world's map.

    Args:
        world: to drive in.
        spec: what the learner sees.
        around: the traffic.
        n_validation: drives that only validate, the last ones.
        purpose: of the other drives; another purpose begins elsewhere.
        seed: of the starts.
        steps: of a drive.
        validation_steps: of one that validates.
    """
    network = world.network
    town = network.name
    specs = anywhere(town, _N_STARTS, steps, around, derive_seed(seed, purpose))
    specs += anywhere(town, n_validation, validation_steps, around, derive_seed(seed, "validation"))
    return Place(world, SceneObserver(network, spec), Planner(network=network), specs)


def rounds_of(defaults: RoundsConfig, values: dict[str, Any], set_off: float) -> RoundsConfig:
    """Returns a learner's rounds with the experiment's budget, lengths, limits and setting off."""
    fields = {"steps_per_episode": EPISODE_STEPS} | values
    del fields["gradient_steps"]
    return replace(
        defaults,
        network=replace(defaults.network, set_off=set_off),
        lost_distance=LOST_DISTANCE,
        lost_time=PATIENCE,
        validation_steps=VALIDATION_STEPS,
        steer_weight=STEER_WEIGHT,
        fit=fit_config(values["gradient_steps"]),
        **fields,
    )


def fit_config(steps: int) -> FitConfig:
    """Returns the fit of every learner, one thread: jobs run beside each other."""
    return FitConfig(n_steps=steps, batch_size=128, learning_rate=2e-3, n_threads=1, device="cpu")
