"""B drives at once: the world, the sensors and the judge behind both environments.

A row is an episode that runs; the single environment has one, the vector environment n.
Which route an episode takes, and its seed, are keyed by the row's seed and the number of
episodes since: a row's drives depend on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.actors import Traffic
from drive_il.datatypes import (
    CONTROL,
    Array,
    EpisodeSpec,
    Ints,
    Observation,
    Records,
    Route,
    Start,
)
from drive_il.env import judging, spaces
from drive_il.env.config import EnvConfig
from drive_il.maps import library
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.routes import load_routes, plan_record
from drive_il.maps.suites import test_suite, training_suite
from drive_il.randomness import derive_seed
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World

OPTIONS = ("route", "start", "traffic")
"""what `options` of a reset may hold"""
_ROWS_PER_THREAD = 4096
_NOBODY = np.zeros(0, np.int64)
_SUITES = {"train": training_suite, "test": test_suite}


@lru_cache(maxsize=8)
def _suite(town: str, suite: str, map_hash: str) -> tuple[Route, ...]:
    network = library.load(town)
    assert network.hash == map_hash, "the hash is only there to be part of the key"
    planner = RoutePlanner(network)
    return tuple(plan_record(planner, record) for record in _SUITES[suite](network))


def routes_of(config: EnvConfig) -> tuple[Route, ...]:
    """Returns the routes an environment drives.

    Raises:
        ValueError: there is no such suite or file, or it has no route in the town.
    """
    network = library.load(config.town)
    if config.routes in _SUITES:
        return _suite(config.town, config.routes, network.hash)
    if not Path(config.routes).is_file():
        raise ValueError(
            f'routes must be "train", "test" or the path of a route file, got {config.routes!r}'
        )
    routes = load_routes(config.routes, library.load)
    here = tuple(route for route in routes if route.town == network.name)
    if not here:
        towns = ", ".join(sorted({route.town for route in routes})) or "none"
        raise ValueError(
            f"{config.routes} has no route in {network.name!r}; its towns: {towns}; pass town="
        )
    return here


def with_choices(config: EnvConfig, town: str | None, routes: str | None) -> EnvConfig:
    """Returns a config with town and routes replaced where given."""
    if town is not None:
        config = replace(config, town=town)
    return config if routes is None else replace(config, routes=str(routes))


class Drives:
    """B drives on one map.

    Args:
        config: of the environment.
        n_rows: B.
    """

    def __init__(self, config: EnvConfig, n_rows: int) -> None:
        self.config = config
        self.n_rows = n_rows
        self.routes = routes_of(config)
        self.network = library.load(config.town)
        self.world = World(self.network, n_rows, self.routes, dt=config.dt)
        self._observer = SceneObserver(self.network, config.observation)
        self._all = np.arange(n_rows)
        self._rules = judging.rules_of(config)
        self._memory = np.zeros(n_rows, judging.MEMORY)
        self._seeds: list[int | None] = [None] * n_rows
        self._count = [0] * n_rows
        self.specs: list[EpisodeSpec] = [EpisodeSpec(self.routes[0])] * n_rows
        self._control = np.zeros(n_rows, CONTROL)
        self._pedals = tuple(self._control[name] for name in ("throttle", "brake", "steer"))
        self.action_space = spaces.action_space(config.action)
        self.world.reset(self._all, self.specs)  # something to look at
        self.observation_space = spaces.observation_space(self.observe(self._all[:1]), config)

    def seed(self, row: int, seed: int) -> None:
        """Starts the sequence of a row's episodes anew."""
        self._seeds[row], self._count[row] = seed, 0

    def is_seeded(self, row: int) -> bool:
        """Whether the row has a sequence of episodes."""
        return self._seeds[row] is not None

    def begin(self, rows: Ints, options: Mapping[str, Any] | None = None) -> None:
        """Starts the next episode of some rows.

        Args:
            rows: distinct indices, seeded, (N,).
            options: `route` (index, id or Route), `start` (Start), `traffic` (Traffic) of these
                episodes, instead of what the config says.

        Raises:
            ValueError: for options there are not, or of another kind.
        """
        chosen = self._chosen(options or {})
        for row in rows.tolist():
            self.specs[row] = self._next_spec(row, chosen)
            self._count[row] += 1
        self.world.reset(rows, [self.specs[row] for row in rows.tolist()])
        self._memory[rows] = np.zeros((), judging.MEMORY)
        self._memory["s_max"][rows] = self.world.scene.progress["s_max"][rows]

    def _next_spec(self, row: int, chosen: Mapping[str, Any]) -> EpisodeSpec:
        seed, count, config = self._seeds[row], self._count[row], self.config
        assert seed is not None, "a row is seeded before its first episode"
        route = chosen.get("route")
        if route is None:
            at = count if config.route_order == "in_turn" else derive_seed(seed, "route", count)
            route = self.routes[at % len(self.routes)]
        return EpisodeSpec(
            route,
            seed=derive_seed(seed, "episode", count),
            max_steps=config.horizon * config.frame_skip,
            start=chosen.get("start", config.start),
            traffic=chosen.get("traffic", config.traffic),
        )

    def _chosen(self, options: Mapping[str, Any]) -> dict[str, Any]:
        unknown = [name for name in options if name not in OPTIONS]
        if unknown:
            raise ValueError(f"options may hold {', '.join(OPTIONS)}, got {unknown[0]!r}")
        chosen = dict(options)
        for name, kind in (("start", Start), ("traffic", Traffic)):
            if name in chosen and not isinstance(chosen[name], kind):
                raise ValueError(
                    f"options[{name!r}] must be a {kind.__name__}, got {chosen[name]!r}"
                )
        if "route" in chosen:
            chosen["route"] = self._route(chosen["route"])
        return chosen

    def _route(self, choice: object) -> Route:
        if isinstance(choice, Route):
            return choice
        if isinstance(choice, str):
            for route in self.routes:
                if route.id == choice:
                    return route
            known = ", ".join(route.id for route in self.routes)
            raise ValueError(f"options['route']: there is no route {choice!r}; known: {known}")
        if isinstance(choice, (int, np.integer)) and 0 <= choice < len(self.routes):
            return self.routes[int(choice)]
        raise ValueError(
            f"options['route'] must be a Route, an id or an index below {len(self.routes)}, "
            f"got {choice!r}"
        )

    def step(self, actions: Array, idle: Ints = _NOBODY) -> Records:
        """Drives every row by one action.

        Args:
            actions: (B, 2) or (B, 3), see `RouteEnv`.
            idle: rows whose action is not looked at; they brake.

        Returns:
            What it came to, (B,) VERDICT, a new array.

        Raises:
            ValueError: for actions of another shape, out of range or NaN.
        """
        control = self._controls(actions)
        if len(idle):
            control[idle] = (0.0, 1.0, 0.0)
        world, config = self.world, self.config
        verdict = np.zeros(self.n_rows, judging.VERDICT)
        for k in range(config.frame_skip):
            world.step(control)
            scene = world.scene
            kernels.run(
                judging.judge,
                self.n_rows,
                self._rules,
                scene.ego,
                scene.progress,
                scene.events,
                self._memory,
                k == config.frame_skip - 1,
                config.dt,
                verdict,
                min_rows=_ROWS_PER_THREAD,
                checked=True,  # all of them our own, and the world's
            )
        return verdict

    def _controls(self, actions: Array) -> Records:
        shape = self.action_space.shape
        actions = np.asarray(actions)
        if actions.shape != (self.n_rows, *shape):
            raise ValueError(
                f"actions must have shape {(self.n_rows, *shape)} for action kind "
                f"{self.config.action!r}, got {actions.shape}"
            )
        actions = actions.astype(np.float64)  # once, not in each of the operations
        throttle, brake, steer = self._pedals
        if self.config.action == "control":
            throttle[:], brake[:], steer[:] = actions.T
        else:
            steer[:] = actions[:, 0]
            np.maximum(actions[:, 1], 0.0, out=throttle)
            np.maximum(-actions[:, 1], 0.0, out=brake)
        return self._control

    def observe(self, rows: Ints | None = None) -> Observation:
        """Returns what some rows see, all without `rows`; new arrays with leading rows."""
        rows = self._all if rows is None else rows
        return spaces.shown(self._observer.observe(self.world.scene, rows))
