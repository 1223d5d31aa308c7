"""How does the expert fare? Every route of some suites, among normal traffic, for some seeds.

    uv run python benchmarks/expert_report.py [--suites routes/dell_scenarios.xml ...]
        [--seeds 0 1 2] [--pictures docs/pictures]

Prints, per suite and seed, driving score, route completion and infractions, and what is not
perfect, route by route. The score is route completion times a factor per infraction, those of
CARLA's leaderboard 1.0 and 2.0: 0.6 per vehicle struck, 0.5 per walker, 0.65 per thing, 0.7 per
red light and 0.8 per stop sign run. A contact that begins again within 5 s counts once. With
`--pictures`, writes what driver and bird see when each failure begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from drive_il.actors import Struck, Traffic
from drive_il.datatypes import Episode, EpisodeSpec, Outcome, Route
from drive_il.evaluation.criteria import route_ended
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.maps import library
from drive_il.maps.density import vehicle_count
from drive_il.maps.network import RoadNetwork
from drive_il.maps.routes import load_routes
from drive_il.randomness import derive_seed
from drive_il.rollout import Listener, Step, drive
from drive_il.sensors.views import SideBySide
from drive_il.sim import World

FACTORS = {Struck.VEHICLE: 0.6, Struck.WALKER: 0.5, Struck.STATIC: 0.65}
RED_LIGHT, STOP_SIGN = 0.7, 0.8
SAME_CONTACT = 5.0  # [s]
TIME_PER_METRE, EXTRA_TIME = 0.8, 30.0  # [s/m], [s]
SUITES = tuple(f"routes/{town}_scenarios.xml" for town in ("alder", "birch", "cedar", "dell"))


@dataclass(frozen=True)
class Config:
    """What is driven."""

    suites: tuple[str, ...] = SUITES
    """route files"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """of traffic, people and scenarios"""
    density: float = 1.0
    """1 is normal: a vehicle per 100 m of lane outside junctions"""
    walkers: int = 30
    """people in each town"""
    pictures: Path | None = None
    """folder for a picture of each failure"""


@dataclass(frozen=True)
class Drive:
    """How one drive went.

    Attributes:
        score: driving score, in [0, 100].
        completion: route completion, in [0, 100].
        struck: what was run into, and when [steps].
        signals: red lights and stop signs run.
        fails_at: when its first failure begins, -1: it is perfect.
        text: what happened.
    """

    score: float
    completion: float
    struck: list[tuple[Struck, int]]
    signals: tuple[int, int]
    fails_at: int
    text: str


def contacts(episode: Episode) -> list[tuple[Struck, int]]:
    """Returns what the ego ran into, and at which step."""
    found: list[tuple[Struck, int]] = []
    last: dict[tuple[int, int], int] = {}
    for t in np.flatnonzero(episode.events["struck"]):
        key = (int(episode.events["struck"][t]), int(episode.events["struck_id"][t]))
        if (t - last.get(key, -math.inf)) * episode.dt > SAME_CONTACT:
            found.append((Struck(key[0]), int(t)))
        last[key] = int(t)
    return found


def judge(episode: Episode) -> Drive:
    """Scores one drive."""
    at, events = episode.progress, episode.events
    share = min(float(at["s_max"][-1]) / float(at["route_length"][-1]), 1.0)
    completion = 100.0 if episode.outcome == Outcome.COMPLETED else 100.0 * share
    struck = contacts(episode)
    red, stop = int((events["red_light"] >= 0).sum()), int((events["stop_sign"] >= 0).sum())
    score = completion * math.prod(FACTORS[kind] for kind, _ in struck)
    score *= RED_LIGHT**red * STOP_SIGN**stop
    ends = len(at) - 1 - int(float(at["standing"][-1]) / episode.dt)
    fails_at = struck[0][1] if struck else -1 if completion == 100.0 else max(ends, 0)
    said = [f"{episode.outcome.name.lower()} at {at['s'][-1]:.0f} m"]
    said += [
        f"struck a {kind.name.lower()} after {t * episode.dt:.1f} s at {at['s'][t]:.0f} m, "
        f"itself at {episode.ego['speed'][max(t - 1, 0)]:.1f} m/s"
        for kind, t in struck
    ]
    kinds = ", ".join(scenario.type for scenario in episode.spec.route.scenarios)
    return Drive(score, completion, struck, (red, stop), fails_at, f"{'; '.join(said)} ({kinds})")


def spec_of(route: Route, seed: int, network: RoadNetwork, config: Config) -> EpisodeSpec:
    """Returns the episode of one route, as `drive-il evaluate` drives it."""
    return EpisodeSpec(
        route,
        seed=derive_seed(seed, "evaluation", route.town, route.id),
        max_steps=math.ceil((TIME_PER_METRE * route.length + EXTRA_TIME) / 0.05),
        traffic=Traffic(
            vehicles=vehicle_count(network, config.density), walkers=config.walkers, signals=True
        ),
    )


def run(
    network: RoadNetwork, specs: list[EpisodeSpec], listener: Listener | None = None
) -> list[Episode]:
    """Lets the expert drive."""
    return drive(
        World(network, min(len(specs), 16)),
        None,
        None,
        specs,
        expert=Planner(network=network),
        gate=ExpertDrives(),
        stop=route_ended(),
        keep_observations=False,
        listener=listener,
    )


def picture(network: RoadNetwork, spec: EpisodeSpec, step: int, path: Path) -> None:
    """Drives one route again and writes what one of its steps looks like."""
    view = SideBySide(network, panels=("driver", "above"), height=240)

    def listener(one: Step) -> None:
        if int(one.scene.step[0]) == step:
            image = Image.fromarray(view.draw(one.scene))
            image.quantize(96).save(path, optimize=True)

    path.parent.mkdir(parents=True, exist_ok=True)
    run(network, [spec], listener)


def main(config: Config) -> None:
    """Prints the report."""
    for suite in config.suites:
        routes = load_routes(suite, library.load)
        for seed in config.seeds:
            drives = []
            for town in dict.fromkeys(route.town for route in routes):
                network = library.load(town)
                specs = [
                    spec_of(route, seed, network, config) for route in routes if route.town == town
                ]
                drives += [
                    (spec, judge(one)) for spec, one in zip(specs, run(network, specs), strict=True)
                ]
            score = np.mean([one.score for _, one in drives])
            completion = np.mean([one.completion for _, one in drives])
            n_struck = sum(len(one.struck) for _, one in drives)
            red, stop = np.sum([one.signals for _, one in drives], axis=0)
            print(
                f"{Path(suite).stem} seed {seed}: driving score {score:.2f}, completion "
                f"{completion:.2f} %, {n_struck} contacts, {red} red lights, {stop} stop signs",
                flush=True,
            )
            for spec, one in drives:
                if one.score > 99.99:
                    continue
                print(f"  route {spec.route.id}: {one.score:.1f}, {one.text}", flush=True)
                if config.pictures is not None and one.fails_at >= 0:
                    name = f"expert_{Path(suite).stem}_{spec.route.id}_seed{seed}.png"
                    network = library.load(spec.route.town)
                    picture(network, spec, one.fails_at, config.pictures / name)


if __name__ == "__main__":
    main(tyro.cli(Config))
