"""drive-il drive: sit down and drive."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from drive_il.cli.where import EMBEDDED, Where
from drive_il.experiments.observations import OBSERVATIONS, Observed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drive_il.datatypes import Route
    from drive_il.sitting.take import Course
    from drive_il.worlds import Worlds


def drive(
    town: str = "alder",
    route: str | None = None,
    routes: Path | None = None,
    view: Literal["cockpit", "chase", "bird", "split"] = "cockpit",
    traffic: int = 30,
    walkers: int = 15,
    signals: bool = True,
    weather: str | None = None,
    input: Literal["auto", "keyboard", "gamepad", "wheel"] = "auto",
    record: Path | None = None,
    who: str = "",
    sensors: Observed = "camera",
    protocol: str = "lb2.1",
    guided: Literal["first-time", "always", "never"] = "first-time",
    seed: int = 0,
    size: tuple[int, int] = (1280, 720),
    where: Where = EMBEDDED,
) -> None:
    """Opens a window and lets you drive; every drive is judged, and can be kept.

    W A S D or the arrows drive, SPACE is the hand brake, P lets the expert drive, TAB changes
    the view, Z takes back the last seconds, H shows all keys, ESCAPE leaves. Wheels and
    gamepads are found by themselves; docs/driving.md has the rest.

        drive-il drive                                   a lap through alder
        drive-il drive --town cedar --view chase --weather HardRainSunset --traffic 0
        drive-il drive --record D --who ada              demonstrations: drive-il train bc --data D

    Args:
        town: a map from `drive-il maps list`.
        route: id of the first route; the first long one if not given.
        routes: route file in CARLA's XML; default is the town's training suite.
        view: the first view; TAB changes it.
        traffic: vehicles on the roads.
        walkers: people on the sidewalks and crossings.
        signals: lights run and stop signs bind.
        weather: a preset by CARLA's name, such as ClearSunset; C changes it.
        input: what to drive with; auto takes a wheel, then a gamepad, then the keyboard.
        record: keep every drive in this folder, as a dataset; R changes it.
        who: your name in the files, or whatever you want to be called there.
        sensors: what is kept of each state, for learners.
        protocol: by which drives are judged.
        guided: when to begin with the guided lap.
        seed: of what the others do.
        size: of the window [pixels].
        where: the world, and the CARLA servers.
    """
    from drive_il.actors import Traffic
    from drive_il.display.cameras import View
    from drive_il.human.person import Part
    from drive_il.maps import library
    from drive_il.maps.suites import routes_to_train_on
    from drive_il.sitting.by_hand import Plan, Sitting
    from drive_il.sitting.cabin import Left, sit_down
    from drive_il.sitting.guided import is_first_time
    from drive_il.worlds import Worlds

    network = library.load(town)
    found = routes_to_train_on(network, routes)
    others = Traffic(vehicles=traffic, walkers=walkers, signals=signals)
    check_window(weather, size)
    plan = Plan(found, first_route(found, route), others, weather, seed, record, who)
    with Worlds(where) as worlds:
        cabin = sit_down(network, input, Part.DRIVES, View(view), size)
        try:
            cabin.wait("getting the world ready ...")
            sitting = Sitting(cabin, course(worlds, town, sensors, protocol), plan)
            with suppress(Left):
                if guided == "always" or (guided == "first-time" and is_first_time()):
                    sitting.guided_lap()
                sitting.drive()
        finally:
            cabin.close()
    for path in sitting.kept:
        print(f"kept {path}")


def course(worlds: Worlds, town: str, sensors: Observed, protocol: str) -> Course:
    """Returns where a person drives himself, with the expert as autopilot."""
    from drive_il.evaluation.protocol import protocol_of
    from drive_il.experts.planner import Planner
    from drive_il.gates import ExpertDrives
    from drive_il.maps import library
    from drive_il.sitting.take import Course

    network, spec = library.load(town), OBSERVATIONS[sensors]
    return Course(
        world=worlds.world(network, 1, spec.history),
        expert=Planner(network=network),
        gate=ExpertDrives(),
        policy=None,
        observer=worlds.observer(network, spec, 1),
        protocol=protocol_of(protocol),
        can_take_back=not worlds.choice.is_carla,
    )


def first_route(routes: Sequence[Route], wanted: str | None) -> int:
    """Returns the index of a route by its id, of the first long one where none is wanted."""
    if wanted is None:
        from drive_il.sitting.by_hand import LONG

        return next((k for k, one in enumerate(routes) if one.length >= LONG), 0)
    ids = [one.id for one in routes]
    if wanted not in ids:
        raise ValueError(f"there is no route {wanted!r}; --route takes one of {', '.join(ids)}")
    return ids.index(wanted)


def check_window(weather: str | None, size: tuple[int, int]) -> None:
    """Refuses a weather or a window there cannot be."""
    from drive_il import weathers

    if weather is not None:
        weathers.preset(weather)
    if not (640 <= size[0] <= 3840 and 480 <= size[1] <= 2160):
        raise ValueError(
            f"--size must be from 640 480 to 3840 2160 pixels, got {size[0]} {size[1]}"
        )
