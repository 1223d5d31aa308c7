"""What is driven in the covariate-shift experiment, by whom, and from where."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from drive_il.datatypes import EpisodeSpec, Route, Start
from drive_il.experts.planner import Planner
from drive_il.experts.road_law import PlannerConfig
from drive_il.maps import library, suites
from drive_il.randomness import derive_seed

ROWS = 16
"""worlds driven at once"""
DRIVE_STEPS = 200
"""length of one demonstration; short drives see more places for the same labels"""
START_SPEED = 5.0  # [m/s]
MARGIN = 15.0
"""mean speed that a test drive leaves room for on its route [m/s]"""
MAX_SPEED = 7.4
"""of the expert: what the lowest limit of the shipped towns allows everywhere. No learner
sees the limit; a faster expert asks on other roads for what no picture shows [m/s]"""
EXPERT = Planner(PlannerConfig(max_speed=MAX_SPEED))
"""the experiment's expert, whose speed law also presses the pedals of who only steers"""


@lru_cache(maxsize=4)
def suite_routes(town: str, training: bool) -> tuple[Route, ...]:
    """Returns the routes of a town's training or test suite."""
    network = library.load(town)
    records = suites.training_suite(network) if training else suites.test_suite(network)
    return tuple(suites.planned(network, records))


def demonstration_specs(town: str, labels: int, seed: int) -> list[EpisodeSpec]:
    """Returns short drives from anywhere on the training routes, enough for the labels."""
    routes = suite_routes(town, training=True)
    rng = np.random.default_rng(derive_seed(seed, "demonstrations", town))
    lengths = np.array([route.length for route in routes])
    specs = []
    for i in range(math.ceil(1.5 * labels / DRIVE_STEPS) + 8):
        # A route counts by its length, so that all streets do.
        route = routes[int(rng.choice(len(routes), p=lengths / lengths.sum()))]
        start = Start(s=float(rng.uniform(0.0, 0.8 * route.length)), speed=START_SPEED)
        specs.append(EpisodeSpec(route, derive_seed(seed, "demonstration", i), DRIVE_STEPS, start))
    return specs


def evaluation_specs(town: str, n: int, horizon: int, seed: int) -> list[EpisodeSpec]:
    """Returns paired test drives: the same for the expert and every learner.

    Raises:
        ValueError: no route of the town is long enough for the horizon.
    """
    network_routes = suite_routes(town, training=False)
    reach = MARGIN * horizon * 0.05
    routes = [route for route in network_routes if route.length > reach + 10.0]
    if not routes:
        longest = max(route.length for route in network_routes)
        raise ValueError(
            f"{town}'s longest test route has {longest:.0f} m, {horizon} steps need {reach:.0f} m; "
            "choose shorter horizons"
        )
    rng = np.random.default_rng(derive_seed(seed, "test", town))
    specs = []
    for i in range(n):
        route = routes[i % len(routes)]
        start = Start(s=float(rng.uniform(0.0, route.length - reach)), speed=START_SPEED)
        specs.append(EpisodeSpec(route, derive_seed(seed, "test-drive", town, i), horizon, start))
    return specs
