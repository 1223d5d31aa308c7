"""The work behind ALVINN's ablation, one function per kind of job."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.datatypes import EpisodeSpec, Route, Start
from drive_il.experiments.alvinn import TOWN
from drive_il.experiments.covariate_shift_specs import EXPERT, ROWS, START_SPEED
from drive_il.experiments.drives import expert_episodes, listener, never_blocked, read, write
from drive_il.experiments.jobs import Report
from drive_il.gates import ExpertDrives
from drive_il.maps import library, suites
from drive_il.randomness import derive_seed
from drive_il.rollout import drive
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World

MIDDLE = 1300.0
"""the road is taught east of this and driven west of it, both ways [m]"""
TEACHING_STEPS = 1200
"""of one teaching drive, 60 s"""
SNAPSHOT_EVERY = 10
"""steps"""
MARGIN = 8.0
"""mean speed that a drive leaves room for [m/s]"""


def _drives(east: bool, n: int, n_steps: int, seed: int, purpose: str) -> list[EpisodeSpec]:
    """Draws drives that stay in one half of the road, from anywhere on the suite's routes."""
    network = library.load(TOWN)
    routes = suites.planned(network, suites.training_suite(network))
    reach = MARGIN * n_steps * 0.05
    rng = np.random.default_rng(derive_seed(seed, purpose))
    specs: list[EpisodeSpec] = []
    for _ in range(1000 * n):
        if len(specs) == n:
            return specs
        route = routes[int(rng.integers(len(routes)))]
        s = float(rng.uniform(0.0, max(0.0, route.length - reach)))
        if _stays(route, s, reach, east):
            start = Start(s=s, speed=START_SPEED)
            specs.append(EpisodeSpec(route, derive_seed(seed, purpose, len(specs)), n_steps, start))
    raise ValueError(
        f"no {reach:.0f} m of a route of {TOWN} stay in one half of the road; "
        "choose a shorter horizon"
    )


def _stays(route: Route, s: float, reach: float, east: bool) -> bool:
    if route.length < reach:
        return False
    driven = route.points[(route.points["s"] >= s) & (route.points["s"] <= s + reach)]
    return bool(((driven["x"] >= MIDDLE) == east).all())


def demonstrations(
    folder: Path, inputs: dict[str, Path], report: Report, snapshots: int, seed: int
) -> None:
    """Records the teaching drives with what ALVINN sees."""
    from drive_il.learners import alvinn

    network = library.load(TOWN)
    n = math.ceil(snapshots * SNAPSHOT_EVERY / TEACHING_STEPS) + 1
    episodes = drive(
        World(network, ROWS),
        SceneObserver(network, alvinn.SPEC),
        None,
        _drives(True, n, TEACHING_STEPS, seed, "teaching"),
        expert=EXPERT,
        gate=ExpertDrives(),
        stop=never_blocked(),
        listener=listener(report),
    )
    write(folder, episodes)


def train(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    snapshots: int,
    seed: int,
    changes: dict[str, Any] | None,
) -> None:
    """Teaches one variant on the fly, or ALVINN of 1989 offline where there are no changes."""
    from drive_il import learners
    from drive_il.fit import Progress
    from drive_il.learners import alvinn, alvinn_1991
    from drive_il.sensors.camera import Camera

    [source] = inputs.values()
    episodes = read(source)

    def progress(at: Progress) -> None:
        report(at.share, at.stage)

    policy: learners.TrainedPolicy
    if changes is None:
        config = alvinn.Config()
        config = replace(config, fit=replace(config.fit, device="cpu"))
        policy = alvinn.train(_thinned(episodes, snapshots), config, seed, progress)
    else:
        onthefly = alvinn_1991.Config(snapshots=snapshots, snapshot_every=SNAPSHOT_EVERY, **changes)
        camera = Camera(library.load(TOWN), alvinn_1991.CAMERA)
        policy = alvinn_1991.train(episodes, onthefly, seed, camera.render, progress)
    learners.save(policy, folder / "model")


def _thinned(episodes: list[Any], snapshots: int) -> list[Any]:
    """The same snapshots as labels of whole drives: everything else counts as not asked."""
    thinned, at = [], 0
    for episode in episodes:
        asked = np.zeros(episode.n_steps, bool)
        index = at + np.arange(episode.n_steps)
        asked[(index % SNAPSHOT_EVERY == 0) & (index < snapshots * SNAPSHOT_EVERY)] = True
        at += episode.n_steps
        if asked.any():
            thinned.append(replace(episode, asked=asked))
    return thinned


def expert_drives(
    folder: Path, inputs: dict[str, Path], report: Report, n: int, horizon: int, seed: int
) -> None:
    """Drives the test specs with the expert."""
    specs = _drives(False, n, horizon, seed, "test")
    write(folder, expert_episodes(World(library.load(TOWN), ROWS), specs, EXPERT))


def drives(folder: Path, inputs: dict[str, Path], report: Report) -> None:
    """Drives the test specs with a model that steers; the expert's law presses the pedals."""
    from drive_il import learners

    [model] = [path for name, path in inputs.items() if name.startswith("model/")]
    policy, network = learners.load(model / "model"), library.load(TOWN)
    episodes = drive(
        World(network, ROWS),
        SceneObserver(network, policy.spec),
        policy,
        [episode.spec for episode in read(inputs["expert"])],
        stop=never_blocked(),
        pedals=EXPERT,
        keep_observations=False,
        listener=listener(report),
    )
    write(folder, episodes)
