"""Drives routes to their end and says how it went."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from drive_il.actors import Struck, Traffic
from drive_il.datatypes import Episode, EpisodeSpec, Outcome, Route
from drive_il.evaluation.criteria import route_ended
from drive_il.evaluation.results import provenance
from drive_il.gates import ExpertDrives
from drive_il.protocols import Expert, Observer, Policy, World
from drive_il.randomness import derive_seed
from drive_il.rollout import Listener, drive

_INFRACTIONS = ("collisions", "red_lights", "stop_signs")


@dataclass(frozen=True)
class EvaluationConfig:
    """How drives are judged."""

    seed: int = 0
    """of everything random in the drives"""
    max_deviation: float = 30.0
    """a drive ends this far from the route's lane centre [m]"""
    blocked_after: float = 30.0
    """a drive ends after standing still for so long [s]"""
    time_per_metre: float = 0.8
    """time allowed per metre of route [s/m]"""
    extra_time: float = 30.0
    """time allowed beyond that [s]"""
    traffic: Traffic = field(default_factory=Traffic)
    """what else is on the road"""

    def __post_init__(self) -> None:
        for name in ("max_deviation", "blocked_after", "time_per_metre"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not self.extra_time >= 0:
            raise ValueError(f"extra_time must not be negative, got {self.extra_time}")


@dataclass(frozen=True)
class Driving:
    """Who drives, and how the world is made.

    Attributes:
        world_of: name of a map -> a world that holds it.
        observer_of: name of a map -> what the policy sees there; None when the expert drives.
        policy: drives; None lets the expert drive.
        expert_of: name of a map -> who drives there where there is no policy.
        pedals_of: name of a map -> who presses the pedals there for the policy, which then
            only steers.
    """

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
        for i, episode in zip(
            index,
            _drive_town(town, [routes[i] for i in index], driving, config, listener),
            strict=True,
        ):
            records[i] = score(episode)
    ordered = [records[i] for i in range(len(routes))]
    return {"routes": ordered, "summary": summary(ordered), **provenance(config.seed, config)}


def _drive_town(
    town: str,
    routes: list[Route],
    driving: Driving,
    config: EvaluationConfig,
    listener: Listener | None,
) -> list[Episode]:
    world = driving.world_of(town)
    dt = world.scene.dt
    specs = [
        EpisodeSpec(
            route,
            seed=derive_seed(config.seed, "evaluation", town, route.id),
            max_steps=math.ceil((config.time_per_metre * route.length + config.extra_time) / dt),
            traffic=config.traffic,
        )
        for route in routes
    ]
    look = driving.observer_of is not None and driving.policy is not None
    return drive(
        world,
        driving.observer_of(town) if look and driving.observer_of is not None else None,
        driving.policy,
        specs,
        expert=None if driving.expert_of is None else driving.expert_of(town),
        gate=ExpertDrives() if driving.policy is None else None,
        stop=route_ended(config.max_deviation, config.blocked_after),
        pedals=None if driving.pedals_of is None else driving.pedals_of(town),
        keep_observations=False,
        listener=listener,
    )


def score(episode: Episode) -> dict[str, Any]:
    """Returns how one drive went.

    Returns:
        `id`, `town`, `outcome`, `route_completion` in [0, 100], `route_length` [m],
        `max_lateral_error` and `mean_lateral_error` of the ego's centre from the lane centre
        [m], `lane_margin` the least distance between the ego's side and the lane's edge,
        negative when it left its lane (heading neglected) [m], `max_off_road` [m],
        `duration` [s], `mean_speed` [m/s], and how often it ran into somebody or something
        (`collisions`, one for each contact that begins), a red light or a stop sign.
    """
    progress, ego, events = episode.progress, episode.ego, episode.events
    error = np.abs(progress["lateral_error"])
    completed = episode.outcome == Outcome.COMPLETED
    length = float(progress["route_length"][-1])
    share = 1.0 if completed else min(float(progress["s_max"][-1]) / length, 1.0)
    return {
        "id": episode.spec.route.id,
        "town": episode.spec.route.town,
        "outcome": episode.outcome.name.lower(),
        "route_completion": 100.0 * share,
        "route_length": length,
        "max_lateral_error": float(error.max()),
        "mean_lateral_error": float(error.mean()),
        "lane_margin": float((0.5 * progress["lane_width"] - 0.5 * ego["width"] - error).min()),
        "max_off_road": float(ego["off_road"].max()),
        "duration": episode.n_steps * episode.dt,
        "mean_speed": float(ego["speed"].mean()),
        "collisions": _contacts(episode),
        "red_lights": int((events["red_light"] >= 0).sum()),
        "stop_signs": int((events["stop_sign"] >= 0).sum()),
    }


def _contacts(episode: Episode) -> int:
    """How often the ego touched somebody whom it did not touch in the step before."""
    struck, who = episode.events["struck"], episode.events["struck_id"]
    is_new = (struck[1:] != struck[:-1]) | (who[1:] != who[:-1])
    return int(((struck[1:] != Struck.NOTHING) & is_new).sum() + (struck[0] != Struck.NOTHING))


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
