"""drive-il teach: a policy drives, you correct it, it learns."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from drive_il.cli.where import EMBEDDED, Where
from drive_il.sitting.teach import Method, TeachConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drive_il.actors import Traffic
    from drive_il.datatypes import Episode, Route
    from drive_il.networks import DrivingPolicy
    from drive_il.rounds import Place
    from drive_il.sitting.take import Course
    from drive_il.worlds import Worlds

_VALIDATION_ROWS = 8
Flat = Annotated[TeachConfig, tyro.conf.arg(name="")]


def teach(
    model: Annotated[Path, tyro.conf.Positional],
    /,
    out: Path,
    method: Method = "hg-dagger",
    town: str = "alder",
    routes: Path | None = None,
    data: Path | None = None,
    record: Path | None = None,
    who: str = "",
    config: Flat = TeachConfig(),
    traffic: int = 0,
    walkers: int = 0,
    signals: bool = False,
    view: Literal["cockpit", "chase", "bird", "split"] = "cockpit",
    input: Literal["auto", "keyboard", "gamepad", "wheel"] = "auto",
    seed: int = 0,
    where: Where = EMBEDDED,
) -> None:
    """Teaches a trained policy by hand: it drives, you correct it, between laps it learns.

    hg-dagger: touch the wheel or a key to take over, F hands back; what you drive is learnt.
    dagger: the policy keeps driving; hold the keys (or turn the wheel) as you would drive, and
    those states get your labels. Z takes back the last seconds, to correct them after the
    fact. The bar on the right is the doubt of an ensemble, with the line above which it is not
    trusted.

        drive-il train bc --data D --out M --network.members 5
        drive-il teach M --data D --out M2 --record LAPS

    Args:
        model: folder of a model of bc or of a DAgger; its doubt is shown if it is an ensemble.
        out: folder of the taught model: the best iterate on held-back drives.
        method: hg-dagger or dagger.
        town: a map from `drive-il maps list`.
        routes: route file in CARLA's XML; default is the town's training suite.
        data: dataset that the model has learnt from; without it, it may forget that.
        record: folder of the laps; beside `out` if not given.
        who: your name in the files, or whatever you want to be called there.
        config: how long, how much.
        traffic: vehicles on the roads.
        walkers: people on the sidewalks and crossings.
        signals: lights run and stop signs bind.
        view: the first view; TAB changes it.
        input: what to drive with; auto takes a wheel, then a gamepad, then the keyboard.
        seed: of laps and fits.
        where: the world, and the CARLA servers; validation drives in the embedded one.
    """
    from drive_il import learners
    from drive_il.actors import Traffic
    from drive_il.display.cameras import View
    from drive_il.maps import library
    from drive_il.maps.suites import routes_to_train_on
    from drive_il.sitting.by_hand import long_first
    from drive_il.sitting.cabin import Left, sit_down
    from drive_il.sitting.demonstrations import Demonstrations
    from drive_il.sitting.teach import PARTS, Lessons, teachable
    from drive_il.worlds import Worlds

    policy, network = teachable(model), library.load(town)
    found = long_first(routes_to_train_on(network, routes))
    others = Traffic(vehicles=traffic, walkers=walkers, signals=signals)
    with Worlds(where) as worlds:
        cabin = sit_down(network, input, PARTS[method], View(view))
        try:
            cabin.wait("getting the world ready ...")
            validation = _validation(town, policy, config, found, others, seed)
            place = course(worlds, town, policy)
            laps = record or out.with_name(out.name + "-laps")
            files = Demonstrations(laps, seed, who, cabin.device_name)
            cabin.wait("seeing how the policy drives now ...")
            lessons = Lessons(
                cabin, place, validation, policy, _episodes(data), config, seed, files
            )
            with suppress(Left):
                lessons.teach(found, others)
        finally:
            cabin.close()
    best = lessons.best(method, who)
    learners.save(best, out)
    print(
        f"laps kept in {laps}; iterate {best.card['best_round']} of {lessons.n_iterates} in {out}"
    )
    print(f"drive-il evaluate {out} --routes FILE.xml  drives it")


def _episodes(data: Path | None) -> list[Episode]:
    if data is None:
        return []
    from drive_il.dataset import Dataset

    return list(Dataset(data).episodes())


def course(worlds: Worlds, town: str, policy: DrivingPolicy) -> Course:
    """Returns where a policy drives and a person corrects it; its doubt is said with it."""
    from drive_il.evaluation.protocol import protocol_of
    from drive_il.experts.planner import Planner
    from drive_il.maps import library
    from drive_il.sitting.take import Course
    from drive_il.sitting.teach import Doubting

    network = library.load(town)
    return Course(
        world=worlds.world(network, 1, policy.spec.history),
        expert=Planner(network=network),
        gate=None,
        policy=Doubting(policy),
        observer=worlds.observer(network, policy.spec, 1),
        protocol=protocol_of("lb2.1"),
        can_take_back=not worlds.choice.is_carla,
    )


def _validation(
    town: str,
    policy: DrivingPolicy,
    config: TeachConfig,
    routes: Sequence[Route],
    traffic: Traffic,
    seed: int,
) -> Place:
    """Returns where every iterate drives alone, from places of the last routes."""
    from drive_il.datatypes import EpisodeSpec, Start
    from drive_il.experts.planner import Planner
    from drive_il.maps import library
    from drive_il.randomness import derive_seed
    from drive_il.rounds import Place
    from drive_il.sensors.observer import scene_observer
    from drive_il.sim.world import World

    network = library.load(town)
    specs = []
    for k in range(config.n_validation + 1):
        route = routes[-1 - k % len(routes)]
        start = Start(s=0.3 * route.length, speed=5.0)
        drive_seed = derive_seed(seed, "teach-validation", k)
        specs.append(EpisodeSpec(route, drive_seed, config.validation_steps, start, traffic))
    world = World(network, _VALIDATION_ROWS, history=policy.spec.history)
    return Place(world, scene_observer(network, policy.spec), Planner(network=network), specs)
