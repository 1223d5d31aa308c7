"""drive-il evaluate: drive the expert or a model over routes and score it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from drive_il.cli.progress import episodes_bar


def evaluate(
    who: Annotated[str, tyro.conf.Positional],
    /,
    routes: Path,
    json: Path | None = None,
    seed: int = 0,
    rows: int = 16,
    steering_only: bool = False,
) -> None:
    """Drives every route of a file once and reports how far it came and how it ended.

    Args:
        who: "expert", or the folder of a trained model.
        routes: route file in CARLA's XML, for example routes/alder_test.xml.
        json: also write the result here (`routes[]` and `summary`).
        seed: decides coins and sensor noise.
        rows: worlds driven at once; changes the speed, never the result.
        steering_only: the model steers, the expert's speed law presses the pedals (ALVINN
            only steers and always drives like this).
    """
    from drive_il.evaluation import evaluator, results
    from drive_il.maps import library
    from drive_il.maps.routes import load_routes

    driving = _driving(who, rows, steering_only)
    loaded = load_routes(routes, library.load)
    config = evaluator.EvaluationConfig(seed=seed)
    with episodes_bar(f"driving {routes.name}") as listener:
        result = evaluator.evaluate(loaded, driving, config, listener)
    result["who"] = who
    if json is not None:
        results.write_json(result, json)
        print(f"wrote {json}")
    Console().print(_table(result))


def _driving(who: str, rows: int, steering_only: bool) -> Any:
    from drive_il.evaluation.evaluator import Driving
    from drive_il.experts.planner import Planner
    from drive_il.maps import library
    from drive_il.sim.world import World

    def world_of(town: str) -> World:
        return World(library.load(town), rows)

    if who == "expert":
        return Driving(world_of, expert=Planner())
    from drive_il import learners
    from drive_il.sensors.observer import SceneObserver

    policy = learners.load(who)
    steers_only = steering_only or policy.card.get("learner") == "alvinn"
    return Driving(
        world_of,
        observer_of=lambda town: SceneObserver(library.load(town), policy.spec),
        policy=policy,
        pedals=Planner() if steers_only else None,
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
        title=f"{result['who']}: {summary['route_completion']:.2f} % route completion, "
        f"{summary['completed']} of {summary['n_routes']} routes completed",
    )
    for route in result["routes"]:
        table.add_row(
            route["id"],
            route["town"],
            route["outcome"],
            f"{route['route_completion']:.1f}",
            f"{route['route_length']:.0f}",
            f"{route['max_lateral_error']:.3f}",
        )
    return table
