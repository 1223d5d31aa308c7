"""drive-il evaluate: drive the expert or a model over routes and score it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from drive_il.cli.progress import episodes_bar
from drive_il.cli.where import EMBEDDED, Where

if TYPE_CHECKING:
    from drive_il.worlds import Worlds

_BLOCKED_IN_TRAFFIC = 180.0  # [s] of standing still that end a drive, as in the leaderboard


def evaluate(
    who: Annotated[str, tyro.conf.Positional],
    /,
    routes: Path,
    json: Path | None = None,
    card: bool = False,
    seed: int = 0,
    rows: int = 16,
    traffic: int = 0,
    walkers: int = 0,
    signals: bool = False,
    steering_only: bool = False,
    where: Where = EMBEDDED,
) -> None:
    """Drives every route of a file once and reports how far it came and how it ended.

    Judged as leaderboard 1.0 does, but that a drive may take 30 s more than there and ends
    after 30 s of standing still where there is no traffic. Scores and all rules:
    drive-il leaderboard run.

    Args:
        who: "expert", or the folder of a trained model.
        routes: route file in CARLA's XML, for example routes/alder_test.xml.
        json: also write the result here (`routes[]` and `summary`).
        card: also write the summary into the model's card, with seed and traffic.
        seed: decides coins and sensor noise.
        rows: worlds driven at once; changes the speed, never the result.
        traffic: vehicles on the roads of each drive.
        walkers: people on its sidewalks and crossings.
        signals: lights run and stop signs bind.
        steering_only: the model steers, the expert's speed law presses the pedals (ALVINN
            only steers and always drives like this).
        where: the world, and the CARLA servers.
    """
    from drive_il.actors import Traffic
    from drive_il.evaluation import evaluator, results
    from drive_il.maps import library
    from drive_il.maps.routes import load_routes
    from drive_il.worlds import Worlds

    loaded = load_routes(routes, library.load)
    others = Traffic(vehicles=traffic, walkers=walkers, signals=signals)
    config = evaluator.EvaluationConfig(seed=seed, traffic=others)
    if others != Traffic():  # a red light alone can take half a minute
        config = replace(config, blocked_after=_BLOCKED_IN_TRAFFIC)
    with Worlds(where) as worlds:
        driving = _driving(worlds, who, rows, steering_only)
        with episodes_bar(f"driving {routes.name}") as listener:
            result = evaluator.evaluate(loaded, driving, config, listener)
    result["who"] = who
    if json is not None:
        results.write_json(result, json)
        print(f"wrote {json}")
    if card:
        _note(who, routes, result)
    Console().print(_table(result))


def _note(who: str, routes: Path, result: dict[str, Any]) -> None:
    from drive_il import learners

    if who == "expert":
        raise ValueError("the expert has no card; --card is for the folder of a trained model")
    facts = {name: result[name] for name in ("seed", "config", "commit", "versions")}
    learners.add_scores(who, routes.stem, result["summary"] | facts)


def _driving(worlds: Worlds, who: str, rows: int, steering_only: bool) -> Any:
    from drive_il import learners
    from drive_il.evaluation.evaluator import Driving
    from drive_il.experts.planner import Planner
    from drive_il.maps import library
    from drive_il.protocols import World

    policy = None if who == "expert" else learners.load(who)
    history = 0.0 if policy is None else policy.spec.history

    def world_of(town: str) -> World:
        return worlds.world(library.load(town), rows, history)

    def planner_of(town: str) -> Planner:
        return Planner(network=library.load(town))

    if policy is None:
        return Driving(library.load, world_of, expert_of=planner_of)
    steers_only = steering_only or policy.card.get("learner") in learners.STEER_ONLY
    return Driving(
        library.load,
        world_of,
        observer_of=lambda town: worlds.observer(library.load(town), policy.spec, rows),
        policy=policy,
        pedals_of=planner_of if steers_only else None,
    )


def _table(result: dict[str, Any]) -> Table:
    summary = result["summary"]
    table = Table(
        "route",
        "town",
        "outcome",
        "completed [%]",
        "length [m]",
        "max lateral error [m]",
        "collisions",
        "red lights",
        "stop signs",
        title=f"{result['who']}: {summary['route_completion']:.2f} % route completion, "
        f"{summary['completed']} of {summary['n_routes']} routes completed, "
        f"{summary['collisions']} collisions, {summary['red_lights']} red lights and "
        f"{summary['stop_signs']} stop signs run",
    )
    for route in result["routes"]:
        table.add_row(
            route["id"],
            route["town"],
            route["outcome"],
            f"{route['route_completion']:.1f}",
            f"{route['route_length']:.0f}",
            f"{route['max_lateral_error']:.3f}",
            str(route["collisions"]),
            str(route["red_lights"]),
            str(route["stop_signs"]),
        )
    return table
