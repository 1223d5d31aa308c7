"""Submitting to the leaderboard: results are checked, and an entry comes out.

Some drives are made again; they are drawn when the entry is submitted, so that nobody can know
them before.
On the same processor, versions and threads every bit of them must match; elsewhere their
driving scores must agree: the 95 % interval of the paired difference, widened by `TOLERANCE`,
holds 0. The entry says which check it has passed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.dataset_file import EpisodeFile
from drive_il.entry import Entry, hashes
from drive_il.entry import run as run_entry
from drive_il.evaluation import (
    comparison,
    entry_file,
    replay_log,
    results,
    results_check,
    results_file,
)
from drive_il.evaluation.entry_file import EntryFile
from drive_il.evaluation.results_file import Plan
from drive_il.evaluation.route_result import RouteResult
from drive_il.experiments import jobs
from drive_il.maps import library

TOLERANCE = 1.0
"""driving score by which another machine's drives may differ on average, beyond chance"""
_FEWEST = 5
"""routes that a check of scores needs"""


def submit(
    document: dict[str, Any],
    entry: Entry,
    who: Mapping[str, Any],
    scratch: Path,
    n_routes: int,
    n_workers: int,
    watcher: jobs.Watcher,
) -> EntryFile:
    """Checks results and returns the entry they make.

    Args:
        document: the results file's content.
        entry: what was run, to run a part of it again; `record` says where its drives lie.
        who: `name`, `date` and `links` of the entry.
        scratch: an empty folder for the drives made again.
        n_routes: routes to drive again, with all repetitions.
        n_workers: processes.
        watcher: is told how the driving goes.

    Raises:
        ValueError: the results are not what they say; what is wrong and what to do.
        RuntimeError: a worker died.
    """
    maps = {town: library.load(town).hash for town in document["drive_il"]["plan"]["maps"]}
    drives = results_check.check(document, maps)
    _same_inputs(document, entry)
    if entry.record and not Path(entry.record).is_dir():
        raise ValueError(f"{entry.record} is no folder of recorded drives: --record says where")
    EntryFile(**who, check={}, results=document, replays=())  # a bad name shows before the drives
    check = check_again(document, entry, scratch, n_routes, n_workers, watcher)
    folder = Path(entry.record) if entry.record else scratch / "episodes"
    logs = tuple(replays(document, drives, folder))
    return EntryFile(**who, check=check, results=document, replays=logs)


def recorded_entry(document: Mapping[str, Any], changes: Mapping[str, str]) -> Entry:
    """Returns what a results file says was run.

    Args:
        document: of a finished run.
        changes: paths that are others now, by the names of `Entry`.

    Raises:
        ValueError: it does not say.
    """
    known = document["drive_il"].get("entry")
    if not isinstance(known, dict) or {one.name for one in fields(Entry)} - set(known):
        raise ValueError("the results do not say what was run: run it again with this version")
    names = {one.name for one in fields(Entry)}
    return Entry.of({k: v for k, v in known.items() if k in names} | dict(changes))


def _same_inputs(document: Mapping[str, Any], entry: Entry) -> None:
    """The agent and the routes are those that were run."""
    options, now = document["drive_il"]["plan"]["options"], hashes(entry)
    for name, what in (("agent", entry.agent_config or entry.path), ("routes", entry.routes)):
        if options[f"{name}_sha256"] != now[f"{name}_sha256"]:
            raise ValueError(
                f"{what} is not what was run: it has changed since, or another is meant; run it "
                f"again, or say where it lies with --{name.replace('_', '-')}"
            )


def check_again(
    document: dict[str, Any],
    entry: Entry,
    scratch: Path,
    n_routes: int,
    n_workers: int,
    watcher: jobs.Watcher,
) -> dict[str, Any]:
    """Drives some routes again and returns what an entry says of the check it has passed.

    Raises:
        ValueError: it has not; says where the drives part.
    """
    if n_routes < 1:
        raise ValueError(f"at least 1 route must be driven again, got {n_routes}")
    names = list(dict.fromkeys(route for route, _ in Plan.from_facts(_plan(document)).drives))
    draw = secrets.randbits(32)
    same = is_same_machine(document, entry)
    n = min(max(n_routes, 1 if same else _FEWEST), len(names))
    chosen = np.random.default_rng(draw).permutation(len(names))[:n]
    subset = ",".join(names[k] for k in sorted(chosen.tolist()))
    asked = replace(entry, routes_subset=subset, record=str(scratch / "episodes"))
    again = run_entry(asked, scratch / "again.json", False, n_workers, watcher)
    facts = {
        "routes": subset.split(","),
        "n_drives": len(again["_checkpoint"]["records"]),
        "draw": draw,
        "machine": again["drive_il"]["machine"],
        "versions": again["drive_il"]["versions"],
    }
    return (same_bits if same else same_scores)(document, again) | facts


def _plan(document: Mapping[str, Any]) -> Mapping[str, Any]:
    plan: Mapping[str, Any] = document["drive_il"]["plan"]
    return plan


def is_same_machine(document: Mapping[str, Any], entry: Entry) -> bool:
    """Whether processor, threads, code and versions are those that the results were made with.

    Of a CARLA server nobody can tell, and CARLA's own promises no bits.
    """
    if entry.world.is_carla:
        return False
    ours, machine = document["drive_il"], results.machine()
    same = all(
        ours["machine"].get(name) == machine[name] for name in ("system", "processor", "threads")
    )
    code = _plan(document)["options"]["code_sha256"] == hashes(entry)["code_sha256"]
    return same and code and ours["versions"] == results.versions()


def same_bits(document: dict[str, Any], again: dict[str, Any]) -> dict[str, Any]:
    """Every bit of the drives that were made again is the recorded one.

    Raises:
        ValueError: it is not.
    """
    recorded = _by_drive(document)
    for key, (result, errors) in _by_drive(again).items():
        was, were = recorded[key]
        if was != result or errors != were:
            raise ValueError(
                f"route {key[0]} repetition {key[1]} went another way when it was driven again on "
                f"the same machine ({_difference(was, result)}): the agent is not deterministic, "
                "or the records are not its own"
            )
    return {"kind": "bits"}


def _by_drive(document: dict[str, Any]) -> dict[tuple[str, int], tuple[RouteResult, Any]]:
    """(route, repetition) -> result, without the time it took, and errors."""
    records = document["_checkpoint"]["records"]
    return {
        (one.route, one.repetition): (replace(one, wall=0.0), record["drive_il"].get("errors"))
        for one, record in zip(results_file.route_results(document), records, strict=True)
    }


def _difference(was: RouteResult, result: RouteResult) -> str:
    for one in fields(RouteResult):
        a, b = getattr(was, one.name), getattr(result, one.name)
        if one.name == "infractions" and len(a) == len(b):
            a, b = next(((x, y) for x, y in zip(a, b, strict=True) if x != y), (a, b))
        if a != b:
            return f"{one.name}: {a}, now {b}"
    return "its errors differ"


def same_scores(document: dict[str, Any], again: dict[str, Any]) -> dict[str, Any]:
    """The driving scores of the drives that were made again agree with the recorded ones.

    Raises:
        ValueError: they do not, or are too few to say.
    """
    found = comparison.compare(document, again)
    score = found.scores[0]
    if score.low is None or score.high is None or found.n_routes < _FEWEST:
        raise ValueError(
            f"on another machine than the results' at least {_FEWEST} routes must be compared, "
            f"the run has {found.n_routes}: submit it from where it was run"
        )
    if score.low > TOLERANCE or score.high < -TOLERANCE:
        raise ValueError(
            f"driven again, {found.n_routes} routes score {score.difference:+.2f}, 95 % "
            f"[{score.low:+.2f}, {score.high:+.2f}]: more than {TOLERANCE:g} apart"
        )
    return {
        "kind": "scores",
        "difference": score.difference,
        "interval": [score.low, score.high],
        "tolerance": TOLERANCE,
    }


def replays(
    document: dict[str, Any], drives: Sequence[RouteResult], folder: Path
) -> list[dict[str, Any]]:
    """Returns packed replay logs of the drives that were recorded, the most telling first.

    Raises:
        ValueError: a recorded drive is not the one of the results.
    """
    records = document["_checkpoint"]["records"]
    protocol = Plan.from_facts(_plan(document)).protocol
    found, size = [], 0
    for k in entry_file.telling(protocol, drives):
        name = records[k]["drive_il"].get("episode") or _episode_name(drives[k], folder)
        if size > entry_file.MAX_SIZE or not name or not (folder / name).is_file():
            continue
        episode = EpisodeFile(folder / name).load()
        log = replay_log.pack(replay_log.make(episode, drives[k], library.load(drives[k].town)))
        size += len(json.dumps(log))
        found.append(log)
    return found


def _episode_name(result: RouteResult, folder: Path) -> str:
    """The file of a drive that was recorded when it was made again."""
    names = sorted(path.name for path in folder.glob(f"*-{result.seed}-*.parquet"))
    return names[0] if names else ""
