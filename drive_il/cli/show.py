"""drive-il show: a clip of the expert driving through a town."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drive_il import weathers

if TYPE_CHECKING:
    from drive_il.datatypes import EpisodeSpec
    from drive_il.maps.network import RoadNetwork

_RATE = 20.0  # [1/s] steps and pictures


def show(
    town: str = "alder",
    density: float = 1.0,
    out: Path = Path("clip.mp4"),
    seconds: float = 20.0,
    seed: int = 0,
    weather: str = "ClearNoon",
    walkers: int | None = None,
    width: int = 1280,
) -> None:
    """Lets the expert drive through a town's traffic and writes what it looks like as a clip.

    Side by side: what the driver sees, the car (orange, its route in blue dots) from above with
    its heading up, and what each pixel of the driver's view is, in CARLA's colours. The same
    town, density, seed and weather give the same drive.

        drive-il show --town alder --density 1.0 --out clip.mp4
        drive-il show --town cedar --seconds 8 --weather HardRainSunset --out rain.gif

    Args:
        town: a name from `drive-il maps list`, or the path of an .xodr file.
        density: vehicles, as a share of normal traffic: 1 is one per 100 m of lane, 0 is none.
        out: the clip to write; .mp4, or .gif (10 pictures a second, larger).
        seconds: length of the clip; it ends earlier where the route does [s].
        seed: which route, and what happens on it.
        weather: a preset by CARLA's name, such as ClearSunset, HardRainNoon or CloudyNight.
        walkers: people on foot; as many as half the vehicles, if not given.
        width: of the clip, rounded down to what the three panels fill [pixels].
    """
    from drive_il.maps import library

    if not 0.1 <= seconds <= 3600.0:
        raise ValueError(f"--seconds must be in [0.1, 3600], got {seconds}")
    if not 160 <= width <= 7680:
        raise ValueError(f"--width must be in [160, 7680] pixels, got {width}")
    network = library.load(town)
    spec = _spec(network, density, walkers, seed, weather)
    _film(network, replace(spec, max_steps=math.ceil(seconds * _RATE)), out, width)


def _film(network: RoadNetwork, spec: EpisodeSpec, out: Path, width: int) -> None:
    """Drives an episode, writes a picture of every step, and says how it went."""
    from drive_il.cli.progress import bar
    from drive_il.evaluation.criteria import route_ended
    from drive_il.experts.planner import Planner
    from drive_il.gates import ExpertDrives
    from drive_il.rollout import Step, drive
    from drive_il.sensors.views import SideBySide, caption, captioned
    from drive_il.sim.world import World
    from drive_il.video import ClipWriter

    world = World(network, 1, [spec.route], dt=1.0 / _RATE)
    view = SideBySide(network, height=(width - 8) // 8 * 2)
    n_contacts = 0
    with ClipWriter(out, _RATE) as clip, bar() as progress:
        task = progress.add_task(f"driving {network.name}", total=spec.max_steps)

        def listener(step: Step) -> None:
            nonlocal n_contacts
            n_contacts += int(step.scene.events["struck"][0] != 0)
            clip.write(captioned(view.draw(step.scene), caption(step.scene)))
            progress.advance(task)

        drive(
            world,
            None,
            None,
            [spec],
            expert=Planner(network=network),
            gate=ExpertDrives(),
            stop=route_ended(max_deviation=math.inf, blocked_after=math.inf),
            keep_observations=False,
            listener=listener,
        )
    way = world.scene.progress[0]
    print(
        f"wrote {out}: {clip.n_frames / _RATE:.1f} s, {view.width}x{view.height}, "
        f"{way['s']:.0f} of {way['route_length']:.0f} m of the route, "
        f"{spec.traffic.vehicles} vehicles and {spec.traffic.walkers} walkers asked for, "
        f"the ego touched something for {n_contacts / _RATE:.1f} s"
    )


def _spec(
    network: RoadNetwork, density: float, walkers: int | None, seed: int, weather: str
) -> EpisodeSpec:
    from drive_il.actors import Traffic
    from drive_il.datatypes import EpisodeSpec
    from drive_il.maps.density import vehicle_count
    from drive_il.maps.routes import RoutePlanner, plan_record
    from drive_il.maps.suites import make_suite
    from drive_il.randomness import derive_seed

    vehicles = vehicle_count(network, density)
    traffic = Traffic(
        vehicles=vehicles,
        walkers=vehicles // 2 if walkers is None else walkers,
        signals=density > 0.0,
    )
    (record,) = make_suite(network, n_short=0, n_long=1, seed=seed)
    route = plan_record(RoutePlanner(network), record)
    route = replace(route, weathers=weathers.preset(weather), weather_at=np.zeros(1))
    return EpisodeSpec(route, seed=derive_seed(seed, "show"), traffic=traffic)
