"""drive-il record and dataset ...: demonstrations on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from drive_il.cli.where import EMBEDDED, Where
from drive_il.experiments.observations import OBSERVATIONS, spec_of
from drive_il.sensor_specs import ObservationSpec

Folder = Annotated[Path, tyro.conf.Positional]


def record(
    town: str,
    out: Path,
    routes: Path | None = None,
    episodes: int = 200,
    max_steps: int = 1000,
    sensors: Literal["camera", "alvinn", "both", "birdview", "state", "vectors"] = "both",
    policy: Path | None = None,
    traffic: int = 0,
    walkers: int = 0,
    signals: bool = False,
    noise: bool = False,
    seed: int = 0,
    rows: int = 16,
    where: Where = EMBEDDED,
) -> None:
    """Lets the expert drive a town and keeps every step; run again, it goes on where it was.

    Args:
        town: a map from `drive-il maps list`.
        out: folder of the dataset.
        routes: route file in CARLA's XML; default is the town's training suite.
        episodes: drives in all.
        max_steps: steps after which a drive is cut, 20 a second.
        sensors: the 96x64 colour camera, ALVINN's retina and range finder, or both; the view from
            above; the state vector; lanes and actors as vectors. All but ALVINN's come with
            the target point and the previous action, which a learner may or may not be shown.
        policy: model folder that drives in the expert's place, with its own sensors; the expert
            labels every state.
        traffic: vehicles on the roads of each drive.
        walkers: people on its sidewalks and crossings.
        signals: lights run and stop signs bind.
        noise: push on the steer now and then (Codevilla et al. 2018), so that the demonstrations
            show the way back; labels stay clean.
        seed: of the starting places.
        rows: worlds driven at once; changes the speed, never the data.
        where: the world, and the CARLA servers.
    """
    from drive_il import learners
    from drive_il.actors import Traffic
    from drive_il.cli.progress import episodes_bar
    from drive_il.experiments.record import RecordConfig
    from drive_il.experiments.record import record as record_episodes
    from drive_il.experts.planner import Planner
    from drive_il.maps import library
    from drive_il.maps.suites import routes_to_train_on
    from drive_il.worlds import Worlds

    network = library.load(town)
    chosen = routes_to_train_on(network, routes)
    driver = None if policy is None else learners.load(policy)
    planner = Planner(network=network)
    others = Traffic(vehicles=traffic, walkers=walkers, signals=signals)
    config = RecordConfig(episodes, max_steps, seed, others, noise)
    spec = _sensors(sensors) if driver is None else driver.spec
    with Worlds(where) as worlds, episodes_bar(f"recording {town}") as listener:
        world = worlds.world(network, rows, spec.history)
        observer = worlds.observer(network, spec, rows)
        done = record_episodes(world, observer, planner, chosen, out, config, listener, driver)
    if done.strays:
        print(f"left aside: {len(done.strays)} unfinished files of an interrupted recording")
    print(f"{out}: {done.n_new} episodes recorded, {done.n_present} were there before")


def _sensors(name: str) -> ObservationSpec:
    if name in OBSERVATIONS:
        return spec_of(name, target_point=True, previous_action=True, standing=True)
    from drive_il.learners import alvinn

    if name == "alvinn":
        return alvinn.SPEC
    cameras = ObservationSpec().cameras + alvinn.SPEC.cameras
    shown = spec_of("camera", target_point=True, previous_action=True, standing=True)
    return replace(shown, cameras=cameras, range_finder=True)


def info(folder: Folder, /) -> None:
    """Says what a dataset holds: episodes, steps, labels, towns, sensors, commands, size.

    Args:
        folder: of the dataset.
    """
    from drive_il.dataset import Dataset

    table = Table("", "", title=str(folder), show_header=False)
    for name, value in Dataset(folder).info().items():
        table.add_row(name.replace("_", " "), _text(value))
    Console().print(table)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return "x".join(str(entry) for entry in value) or "one number"
    return f"{value:,}" if isinstance(value, int) else str(value)


def verify(folder: Folder, /) -> None:
    """Checks every file of a dataset: whole, undamaged, counts that agree.

    Args:
        folder: of the dataset.
    """
    from drive_il.dataset import Dataset

    dataset = Dataset(folder)
    problems = dataset.verify()
    for problem in problems:
        print(problem)
    if problems:
        raise ValueError(f"{folder}: {len(problems)} problems in {len(dataset)} episodes")
    print(f"{folder}: {len(dataset)} episodes, all whole")
