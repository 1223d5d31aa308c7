"""Demonstrations on disk: the expert drives the routes of a suite again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.actors import Traffic
from drive_il.dataset import EpisodeWriter, stray_files
from drive_il.datatypes import EpisodeSpec, Route, Start
from drive_il.disturbances import TriangularNoise
from drive_il.evaluation.criteria import route_ended
from drive_il.evaluation.results import provenance
from drive_il.gates import AskAlways, ExpertDrives
from drive_il.protocols import Expert, Observer, Policy, World
from drive_il.randomness import derive_seed
from drive_il.rollout import Step, drive


@dataclass(frozen=True)
class RecordConfig:
    """What is recorded."""

    episodes: int = 200
    """drives in all"""
    max_steps: int = 1000
    """steps after which a drive is cut"""
    seed: int = 0
    """of the starting places"""
    traffic: Traffic = Traffic()
    """what else is on the road"""
    noise: bool = False
    """push on the steer now and then, so that the expert shows the way back"""

    def __post_init__(self) -> None:
        for name in ("episodes", "max_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class Recorded:
    """What a recording did.

    Attributes:
        n_present: episodes that were there before.
        n_new: episodes driven now.
        strays: what an interrupted recorder had left behind.
    """

    n_present: int
    n_new: int
    strays: tuple[Path, ...]


def demonstration_specs(routes: Sequence[Route], config: RecordConfig) -> list[EpisodeSpec]:
    """Returns what to drive: all routes in turn, first from their start, then from anywhere.

    Args:
        routes: of one map.
        config: how many.
    """
    if not routes:
        raise ValueError("no routes to record on; give a route file with at least one route")
    specs = []
    for i in range(config.episodes):
        route = routes[i % len(routes)]
        start = Start()
        if i >= len(routes):
            rng = np.random.default_rng(derive_seed(config.seed, "start", route.id, i))
            s = float(rng.uniform(0.0, max(0.0, route.length - 50.0)))
            start = Start(s=s, speed=float(rng.uniform(0.0, 8.0)))
        seed = derive_seed(config.seed, "demonstration", i)
        specs.append(EpisodeSpec(route, seed, config.max_steps, start, config.traffic))
    return specs


def record(
    world: World,
    observer: Observer,
    expert: Expert,
    routes: Sequence[Route],
    out: Path | str,
    config: RecordConfig = RecordConfig(),
    listener: Callable[[Step], None] | None = None,
    policy: Policy | None = None,
) -> Recorded:
    """Records demonstrations; run again, it goes on where it was stopped.

    Args:
        world: to drive in; as many drives at once as it has rows.
        observer: what is recorded.
        expert: who drives, and labels.
        routes: of the world's map.
        out: folder of the dataset.
        config: how many, how long.
        listener: called after each step, e.g. to show progress.
        policy: drives in the expert's place, who then labels every state.
    """
    facts: dict[str, Any] = provenance(config.seed, config)
    writer = EpisodeWriter(out, facts=facts)
    specs = demonstration_specs(routes, config)
    missing = writer.missing(specs)
    strays = tuple(stray_files(writer.folder))
    drive(
        world,
        observer,
        policy,
        missing,
        expert=expert,
        gate=ExpertDrives() if policy is None else AskAlways(),
        stop=route_ended(),
        disturbance=TriangularNoise() if config.noise else None,
        listener=listener,
        sink=writer,
    )
    return Recorded(len(specs) - len(missing), len(missing), strays)
