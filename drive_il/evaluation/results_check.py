"""Whether a results file is what it says: whole, of its plan, and with the scores of its records.

What this cannot see is a record that was made up. That needs another drive: `submission.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drive_il.evaluation import compounding, results, results_file
from drive_il.evaluation.results_file import Plan, ResultsFile, drive_seed
from drive_il.evaluation.route_result import RouteResult

_DIGEST = {"code_sha256", "routes_sha256", "agent_sha256"}
_RECOMPUTED = ("eligible", "labels", "values")


def check(document: dict[str, Any], maps: Mapping[str, str]) -> list[RouteResult]:
    """Returns the drives of a results file that holds together.

    Args:
        document: as `results_file.load` gave it.
        maps: hash of each map as it is here.

    Raises:
        ValueError: says what is wrong and what to do.
    """
    ours = document["drive_il"]
    if not results_file.is_finished(document["entry_status"]):
        raise ValueError(
            f"the run is {document['entry_status']}: only a finished one is an entry; go on with "
            "`drive-il leaderboard run ... --resume`"
        )
    plan = Plan.from_facts(ours["plan"])
    _plan(plan, ours["plan"], maps)
    drives = results_file.route_results(document)
    _drives(plan, drives)
    _scores(plan, document)
    _errors(document)
    return drives


def _plan(plan: Plan, facts: Mapping[str, Any], maps: Mapping[str, str]) -> None:
    if facts.get("protocol_version") != plan.protocol.version:
        raise ValueError(
            f"judged by version {facts.get('protocol_version')} of protocol {plan.protocol.id}, "
            f"this is version {plan.protocol.version}: run it again"
        )
    missing = sorted(
        ({"routes", "track", "traffic", "privileged"} | _DIGEST) - {*dict(plan.options)}
    )
    if missing:
        raise ValueError(f"the plan of the results does not say its {missing[0]}: run it again")
    for town, found in plan.maps.items():
        if maps.get(town) != found:
            raise ValueError(
                f"driven on another version of {town} ({found[:12]}) than is here "
                f"({maps.get(town, 'none')[:12]}): run it again"
            )


def _drives(plan: Plan, drives: list[RouteResult]) -> None:
    """Each drive of the plan has one record, in a town of the plan, with the plan's seed."""
    made = [(one.route, one.repetition) for one in drives]
    if made != list(plan.drives):
        lost = [one for one in plan.drives if one not in made] or [made[0] if made else ("?", 0)]
        raise ValueError(
            f"{len(made)} records for {len(plan.drives)} planned drives, or in another order; "
            f"see route {lost[0][0]} repetition {lost[0][1]}"
        )
    for one in drives:
        if one.town not in plan.maps:
            raise ValueError(f"route {one.route} was driven in {one.town}, which is not planned")
        seed = drive_seed(plan.seed, one.town, one.route, one.repetition)
        if one.seed != seed:
            raise ValueError(
                f"route {one.route} repetition {one.repetition} was driven with seed {one.seed}, "
                f"but seed {plan.seed} of the run makes it {seed}"
            )


def _scores(plan: Plan, document: dict[str, Any]) -> None:
    """All that follows from the drives is what follows from them."""
    stated = document["_checkpoint"]
    file = ResultsFile.of(Path(), plan, document)
    truth = results.plain(file.document(document["entry_status"]))
    pairs: list[tuple[str, Any, Any]] = [
        (f"scores.{name}", document["drive_il"]["scores"].get(name), value)
        for name, value in truth["drive_il"]["scores"].items()
    ]
    for record, right in zip(stated["records"], truth["_checkpoint"]["records"], strict=True):
        pairs += [
            (f"{right['route_id']}.{name}", record.get(name), value)
            for name, value in right.items()
            if name != "drive_il"
        ]
    pairs += [
        (name, stated.get(name), truth["_checkpoint"][name])
        for name in ("global_record", "progress")
    ]
    pairs += [(name, document.get(name), truth[name]) for name in _RECOMPUTED]
    for name, found, right in pairs:
        if found != right:
            raise ValueError(
                f"{name} is stated as {_short(found)}, the records make it {_short(right)}: the "
                "file was changed, or written by another version"
            )


def _errors(document: Mapping[str, Any]) -> None:
    ours = document["drive_il"]
    errors = [
        compounding.from_plain(record["drive_il"]["errors"])
        for record in document["_checkpoint"]["records"]
        if "errors" in record["drive_il"]
    ]
    made = results.plain(compounding.compounding(errors, ours["plan"]["seed"])) if errors else None
    if ours.get("compounding") != made:
        raise ValueError("the compounding errors stated are not those that the records make")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 160 else f"{text[:157]}..."
