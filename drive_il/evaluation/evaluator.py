"""Drives routes to their end and says how it went, by the judge's word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from drive_il.actors import Traffic
from drive_il.datatypes import Episode, EpisodeSpec, Route
from drive_il.evaluation.infractions import COLLISIONS, Kind
from drive_il.evaluation.judge import Judge
from drive_il.evaluation.protocol import LB1, Protocol, TimeLimit
from drive_il.evaluation.results import provenance
from drive_il.evaluation.route_result import RouteResult
from drive_il.gates import ExpertDrives
from drive_il.maps.network import RoadNetwork
from drive_il.protocols import Expert, Observer, Policy, World
from drive_il.randomness import derive_seed
from drive_il.rollout import Listener, drive

_INFRACTIONS = {
    "collisions": COLLISIONS,
    "red_lights": (Kind.RED_LIGHT,),
    "stop_signs": (Kind.STOP_SIGN,),
}


@dataclass(frozen=True)
class EvaluationConfig:
    """How drives are judged: as leaderboard 1.0 does, but for what ends a drive."""

    seed: int = 0
    """of everything random in the drives"""
    blocked_after: float = 30.0
    """a drive ends after standing still for so long [s]"""
    time_per_metre: float = 0.8
    """time allowed per metre of route [s/m]"""
    extra_time: float = 30.0
    """time allowed beyond that [s]"""
    traffic: Traffic = field(default_factory=Traffic)
    """what else is on the road"""

    def __post_init__(self) -> None:
        for name in ("blocked_after", "time_per_metre"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not self.extra_time >= 0:
            raise ValueError(f"extra_time must not be negative, got {self.extra_time}")

    @property
    def rules(self) -> Protocol:
        """The protocol of judging."""
        limit = TimeLimit(self.extra_time, self.time_per_metre)
        return replace(LB1, id="evaluate", blocked_after=self.blocked_after, time_limit=limit)


@dataclass(frozen=True)
class Driving:
    """Who drives, and how the world is made.

    Attributes:
        network_of: name of a map -> the map.
        world_of: name of a map -> a world that holds it.
        observer_of: name of a map -> what the policy sees there; None when the expert drives.
        policy: drives; None lets the expert drive.
        expert_of: name of a map -> who drives there where there is no policy.
        pedals_of: name of a map -> who presses the pedals there for the policy, which then
            only steers.
    """

    network_of: Callable[[str], RoadNetwork]
    world_of: Callable[[str], World]
    observer_of: Callable[[str], Observer] | None = None
    policy: Policy | None = None
    expert_of: Callable[[str], Expert] | None = None
    pedals_of: Callable[[str], Expert] | None = None

    def __post_init__(self) -> None:
        if (self.policy is None) == (self.expert_of is None):
            raise ValueError("either a policy or an expert drives: give one of the two")
        if self.policy is not None and self.observer_of is None:
            raise ValueError("a policy needs observer_of to see with")


def evaluate(
    routes: Sequence[Route],
    driving: Driving,
    config: EvaluationConfig = EvaluationConfig(),
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Drives every route once.

    Args:
        routes: of any maps; those of one map are driven together.
        driving: who drives, and where.
        config: how drives are judged.
        listener: called after each step, e.g. to show progress.

    Returns:
        `routes` (in the given order, see `score`), `summary` and `provenance`'s keys.

    Raises:
        ValueError: no routes.
    """
    if not routes:
        raise ValueError("no routes to evaluate on; give a route file with at least one route")
    records: dict[int, dict[str, Any]] = {}
    for town in dict.fromkeys(route.town for route in routes):
        index = [i for i, route in enumerate(routes) if route.town == town]
        driven = _drive_town(town, [routes[i] for i in index], driving, config, listener)
        for i, (episode, result) in zip(index, driven, strict=True):
            records[i] = score(episode, result)
    ordered = [records[i] for i in range(len(routes))]
    return {"routes": ordered, "summary": summary(ordered), **provenance(config.seed, config)}


def _drive_town(
    town: str,
    routes: list[Route],
    driving: Driving,
    config: EvaluationConfig,
    listener: Listener | None,
) -> list[tuple[Episode, RouteResult]]:
    world, rules, results = driving.world_of(town), config.rules, dict[int, RouteResult]()
    specs = [
        EpisodeSpec(
            route,
            seed=derive_seed(config.seed, "evaluation", town, route.id),
            max_steps=rules.steps_allowed(route, world.scene.dt),
            traffic=config.traffic,
        )
        for route in routes
    ]

    def keep(spec: EpisodeSpec, result: RouteResult) -> None:
        results[spec.seed] = result

    look = driving.observer_of is not None and driving.policy is not None
    episodes = drive(
        world,
        driving.observer_of(town) if look and driving.observer_of is not None else None,
        driving.policy,
        specs,
        expert=None if driving.expert_of is None else driving.expert_of(town),
        gate=ExpertDrives() if driving.policy is None else None,
        judge=Judge(driving.network_of(town), rules, world.n_rows, on_result=keep),
        pedals=None if driving.pedals_of is None else driving.pedals_of(town),
        keep_observations=False,
        keep_actors=False,
        listener=listener,
    )
    return [(one, results[one.spec.seed]) for one in episodes]


def score(episode: Episode, result: RouteResult) -> dict[str, Any]:
    """Returns how one drive went.

    Args:
        episode: the drive.
        result: what the judge says of it.

    Returns:
        `id`, `town`, `outcome`, `route_completion` in [0, 100], `route_length` [m],
        `max_lateral_error` and `mean_lateral_error` of the ego's centre from the lane centre
        [m], `lane_margin` the least distance between the ego's side and the lane's edge,
        negative when it left its lane (heading neglected) [m], `max_off_road` [m],
        `duration` [s], `mean_speed` [m/s], and how often it ran into somebody or something
        (`collisions`), a red light or a stop sign.
    """
    progress, ego = episode.progress, episode.ego
    error = np.abs(progress["lateral_error"])
    return {
        "id": result.route,
        "town": result.town,
        "outcome": episode.outcome.name.lower(),
        "route_completion": result.completion,
        "route_length": result.length,
        "max_lateral_error": float(error.max()),
        "mean_lateral_error": float(error.mean()),
        "lane_margin": float((0.5 * progress["lane_width"] - 0.5 * ego["width"] - error).min()),
        "max_off_road": result.measures["max_off_road"],
        "duration": result.duration,
        "mean_speed": float(ego["speed"].mean()),
        **{
            name: sum(one.kind in kinds for one in result.infractions)
            for name, kinds in _INFRACTIONS.items()
        },
    }


def summary(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the averages and extremes over routes."""
    completed = [record["route_completion"] for record in records]
    outcomes = Counter(record["outcome"] for record in records)
    return {
        "n_routes": len(records),
        "route_completion": float(np.mean(completed)),
        "completed": outcomes["completed"],
        "success_rate": 100.0 * outcomes["completed"] / len(records),
        "outcomes": dict(sorted(outcomes.items())),
        "max_lateral_error": max(record["max_lateral_error"] for record in records),
        "mean_lateral_error": float(np.mean([r["mean_lateral_error"] for r in records])),
        "lane_margin": min(record["lane_margin"] for record in records),
        "max_off_road": max(record["max_off_road"] for record in records),
        "mean_speed": float(np.mean([record["mean_speed"] for record in records])),
        **{name: sum(r[name] for r in records) for name in _INFRACTIONS},
    }
