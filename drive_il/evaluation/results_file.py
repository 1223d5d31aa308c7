"""The results file of a leaderboard run: CARLA's structure and names, and ours beside them.

What is ours stands under `drive_il`: in the file (protocol, seed, what was asked for, maps,
provenance, intervals) and in each record (`result`, the whole `RouteResult`, from which it is read
back, and what else the run has to say of that drive).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from drive_il.evaluation import results
from drive_il.evaluation.infractions import Infraction, Kind
from drive_il.evaluation.protocol import Protocol, protocol_of
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.evaluation.scoring import (
    global_scores,
    kinds_of,
    route_scores,
    status_of,
)
from drive_il.randomness import derive_seed

EMBEDDED = "embedded"
"""the world of a plan that names none"""
FORMAT = 1
"""version of what stands under `drive_il`"""
_LABELS = (
    "Avg. driving score",
    "Avg. route completion",
    "Avg. infraction penalty",
    "Collisions with pedestrians",
    "Collisions with vehicles",
    "Collisions with layout",
    "Red lights infractions",
    "Stop sign infractions",
    "Off-road infractions",
    "Route deviations",
    "Route timeouts",
    "Agent blocked",
    "Yield emergency vehicles infractions",
    "Scenario timeouts",
    "Min speed infractions",
)
_LISTED = (
    Kind.PEDESTRIAN,
    Kind.VEHICLE,
    Kind.LAYOUT,
    Kind.RED_LIGHT,
    Kind.STOP_SIGN,
    Kind.OUTSIDE_LANES,
    Kind.DEVIATION,
    Kind.TIMEOUT,
    Kind.BLOCKED,
    Kind.YIELD,
    Kind.SCENARIO_TIMEOUT,
    Kind.MIN_SPEED,
)
_STATUSES = (
    "Started",
    "Finished",
    "Rejected",
    "Crashed",
    "Invalid",
    "Finished with missing data",
    "Finished with agent errors",
)
_MUST = ("_checkpoint", "entry_status", "eligible", "drive_il")
_MUST_WITHIN = (
    ("_checkpoint", ("global_record", "progress", "records")),
    ("drive_il", ("format", "plan", "scores")),
)


@dataclass(frozen=True)
class Plan:
    """What a run was asked to do; a resumed run must have been asked the same.

    Attributes:
        protocol: the rules.
        drives: (route id, repetition), in order.
        seed: of the run.
        maps: name -> hash of each map.
        agent: what drives.
        options: what else decides the drives, by name (crowd, track, ...).
    """

    protocol: Protocol
    drives: tuple[tuple[str, int], ...]
    seed: int
    maps: dict[str, str]
    agent: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Plan:
        """Returns the plan that a results file holds; the inverse of `facts`.

        Raises:
            ValueError: something is missing, or a protocol that nobody knows.
        """
        try:
            name, upstream, _ = facts["protocol"].partition("+upstream-bugs")
            return cls(
                protocol=protocol_of(name, bool(upstream)),
                drives=tuple((route, int(repetition)) for route, repetition in facts["drives"]),
                seed=int(facts["seed"]),
                maps=dict(facts["maps"]),
                agent=facts["agent"],
                options=tuple(facts["options"].items()),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the plan of the results is damaged ({error!r})") from error

    @property
    def world(self) -> str:
        """Where it is driven: `EMBEDDED`, which results do not say, or carla."""
        return dict(self.options).get("world", EMBEDDED)

    def facts(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return {
            "protocol": self.protocol.id,
            "protocol_version": self.protocol.version,
            "seed": self.seed,
            "agent": self.agent,
            "maps": dict(sorted(self.maps.items())),
            "options": dict(self.options),
            "drives": [[route, repetition] for route, repetition in self.drives],
        }


def drive_seed(seed: int, town: str, route: str, repetition: int) -> int:
    """Returns the episode seed of one drive of a run."""
    return derive_seed(seed, "leaderboard", town, route, repetition)


@dataclass(frozen=True)
class Failure:
    """One reason for which an agent failed.

    Attributes:
        reason: one line.
        detail: what it said last on the first of the drives; may be empty.
        drives: those it cost, (route id, repetition), in order.
    """

    reason: str
    detail: str
    drives: tuple[tuple[str, int], ...]


def drive_name(route: str, repetition: int) -> str:
    """Returns what people call a drive: "7", "7, drive 2"."""
    return route + (f", drive {repetition + 1}" if repetition else "")


class ResultsFile:
    """One results file, written whole after each drive or batch of drives.

    Args:
        path: where.
        plan: what is to be driven.

    Raises:
        ValueError: a plan without drives, or that asks for one twice.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        if not plan.drives:
            raise ValueError("a run needs at least one drive, got an empty plan")
        self._asked = frozenset(plan.drives)
        if len(self._asked) < len(plan.drives):
            twice = [one for one in plan.drives if plan.drives.count(one) > 1][0]
            raise ValueError(f"route {twice[0]} repetition {twice[1]} is in the plan twice")
        self.path, self.plan = path, plan
        self._results: dict[tuple[str, int], RouteResult] = {}
        self._extras: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._provenance = results.provenance(plan.seed, plan.facts())

    @classmethod
    def resume(cls, path: Path, plan: Plan) -> ResultsFile:
        """Opens the file of an interrupted run.

        Raises:
            ValueError: damaged, or of another protocol, other routes or another seed.
        """
        document = load(path)
        found, wanted = document["drive_il"]["plan"], results.plain(plan.facts())
        found, wanted = ({**one, **one["options"]} for one in (found, wanted))
        for name, value in wanted.items():
            if name != "options" and found.get(name) != value:
                raise ValueError(
                    f"{path} cannot be resumed: its run had {name} {_short(found.get(name))}, "
                    f"this one has {_short(value)}; ask for the same, or write to another file"
                )
        if document["entry_status"] == "Invalid":
            raise ValueError(f"{path} cannot be resumed: its entry is Invalid; start afresh")
        return cls.of(path, plan, document)

    @classmethod
    def of(cls, path: Path, plan: Plan, document: dict[str, Any]) -> ResultsFile:
        """Returns a file that holds a document's records; nothing is written yet.

        Raises:
            ValueError: a record that is not whole.
        """
        file = cls(path, plan)
        records = document["_checkpoint"]["records"]
        for record, result in zip(records, route_results(document), strict=True):
            key = (result.route, result.repetition)
            more = {k: v for k, v in record["drive_il"].items() if k != "result"}
            file._results[key], file._extras[key] = result, more
        return file

    @property
    def done(self) -> frozenset[tuple[str, int]]:
        """The drives that have a record, (route id, repetition)."""
        return frozenset(self._results)

    @property
    def results(self) -> list[RouteResult]:
        """What has been driven so far, in the order of the plan."""
        return [self._results[one] for one in self.plan.drives if one in self._results]

    def extras(self, name: str) -> list[Any]:
        """Returns what the drives made so far have under a name, in the order of the plan."""
        kept = [self._extras.get(one, {}) for one in self.plan.drives]
        return [one[name] for one in kept if name in one]

    def add(self, result: RouteResult, extras: Mapping[str, Any] | None = None) -> None:
        """Adds the record of one drive and writes the file.

        Args:
            result: the drive.
            extras: what else is to stand in its record, by name; plain values. `sensors` of
                any drive are the entry's, as CARLA names them.

        Raises:
            ValueError: a drive that is not in the plan, or that has a record.
        """
        self.extend([(result, extras or {})])

    def extend(self, drives: Sequence[tuple[RouteResult, Mapping[str, Any]]]) -> None:
        """Adds the records of some drives and writes the file once, see `add`.

        Raises:
            ValueError: a drive that is not in the plan, or that has a record.
        """
        for result, extras in drives:
            key = (result.route, result.repetition)
            if key not in self._asked:
                raise ValueError(
                    f"route {key[0]} repetition {key[1]} was not asked for in this run"
                )
            if key in self._results:
                raise ValueError(f"route {key[0]} repetition {key[1]} has a record already")
            self._results[key], self._extras[key] = result, dict(extras)
        self._write(self.document("Started"))

    def finish(
        self, entry_status: str = "Finished", more: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Writes the global record and the entry's status, and returns what the file holds.

        Args:
            entry_status: as CARLA has it; "Finished" where it is over, see `finished`.
            more: what else is to stand under `drive_il`, by name.

        Raises:
            ValueError: a status that CARLA does not know.
        """
        if entry_status == "Finished":
            entry_status = finished(self.plan.protocol, self.results, len(self.plan.drives))
        document = self.document(entry_status)
        document["drive_il"] |= results.plain(more or {})
        self._write(document)
        return document

    def _write(self, document: dict[str, Any]) -> None:
        results.write_json(document, self.path)

    def document(self, entry_status: str = "Started") -> dict[str, Any]:
        """Returns what the file holds.

        Raises:
            ValueError: a status that CARLA does not know.
        """
        if entry_status not in _STATUSES:
            raise ValueError(f"entry_status must be one of {_STATUSES}, got {entry_status!r}")
        protocol, made = self.plan.protocol, self.results
        over = entry_status != "Started"
        n_asked, seed = len(self.plan.drives), self.plan.seed
        scores = global_scores(protocol, made, n_asked, seed) if over else None
        values = _values(protocol, scores) if scores else []
        index = {drive: k for k, drive in enumerate(self.plan.drives)}
        records = [_record(protocol, one, index[one.route, one.repetition]) for one in made]
        for record, one in zip(records, made, strict=True):
            record["drive_il"] |= self._extras[one.route, one.repetition]
        sensors: list[str] = next(iter(self.extras("sensors")), [])
        return {
            "_checkpoint": {
                "global_record": _global_record(protocol, made, records, scores) if scores else {},
                "progress": [len(made), len(self.plan.drives)],
                "records": records,
            },
            "drive_il": {
                "format": FORMAT,
                "plan": self.plan.facts(),
                "scores": scores,
                **{k: v for k, v in self._provenance.items() if k != "config"},
            },
            "eligible": is_finished(entry_status) and len(made) == len(self.plan.drives),
            "entry_status": entry_status,
            "labels": list(_LABELS[: len(values)]),
            "sensors": sensors,
            "values": values,
        }


def finished(protocol: Protocol, made: Sequence[RouteResult], n_asked: int) -> str:
    """Returns the entry's status when a run is over, as CARLA's version of the file has it.

    Leaderboard 1.0 says there whether a drive is missing or an agent failed, in whatever way.
    """
    if protocol.layout == 1:
        if len(made) < n_asked:
            return "Finished with missing data"
        if any("Agent" in status_of(protocol, one) for one in made):
            return "Finished with agent errors"
    return "Finished"


def is_finished(entry_status: str) -> bool:
    """Whether an entry's status says that its run is over and was not rejected."""
    return entry_status.startswith("Finished")


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 120 else f"{text[:117]}..."


def _record(protocol: Protocol, result: RouteResult, index: int) -> dict[str, Any]:
    """Returns the record of one drive."""
    messages: dict[str, list[str]] = {str(kind): [] for kind in kinds_of(protocol)}
    for one in result.infractions:
        messages.setdefault(str(one.kind), []).append(one.message)
    scenario = result.scenarios[0] if result.scenarios else None
    record: dict[str, Any] = {
        "index": index,
        "route_id": _route_id(protocol, result),
        "status": status_of(protocol, result),
        "infractions": messages,
        "scores": route_scores(protocol, result).named(),
        "meta": {
            "route_length": round(result.length, 3),
            "duration_game": round(result.duration, 3),
            "duration_system": round(result.wall, 3),
        },
        "drive_il": {"result": packed(result)},
    }
    if protocol.layout == 2:
        record["num_infractions"] = len(result.infractions)
    if protocol.fixed_routes:
        record |= {"scenario_name": scenario, "town_name": result.town}
        record |= {"save_name": None, "weather_id": None}
    return record


def _route_id(protocol: Protocol, result: RouteResult) -> str:
    name = f"RouteScenario_{result.route}"
    return name if protocol.layout == 1 else f"{name}_rep{result.repetition}"


def _global_record(
    protocol: Protocol,
    made: Sequence[RouteResult],
    records: Sequence[dict[str, Any]],
    scores: dict[str, Any],
) -> dict[str, Any]:
    statuses = {record["status"] for record in records}
    failed = [record for record in records if record["status"].startswith("Failed")]
    meta = {
        "total_length": round(sum(record["meta"]["route_length"] for record in records), 3),
        "duration_game": sum(one.duration for one in made),
        "duration_system": sum(one.wall for one in made),
        "exceptions": [[one["route_id"], one["index"], one["status"]] for one in failed],
    }
    # What a single drive has: "NaN", as text, in 1.0, and 0 in 2.x.
    single = "NaN" if protocol.layout == 1 else 0
    spread = {name: single if one is None else one for name, one in scores["std_dev"].items()}
    worst = "Failed" if failed else "Completed"
    return {
        "index": -1,
        "route_id": -1,
        "status": "Perfect" if statuses == {"Perfect"} else worst,
        "infractions": scores["infractions"],
        "scores" if protocol.layout == 1 else "scores_mean": scores["mean"],
        "scores_std_dev": spread,
        "meta": meta,
    }


def _values(protocol: Protocol, scores: dict[str, Any]) -> list[str]:
    """Returns the line of the table, as text with three digits."""
    rates = scores["infractions"]
    numbers = list(scores["mean"].values())
    numbers += [rates[str(kind)] for kind in _LISTED if str(kind) in rates]
    return [f"{number:.3f}" for number in numbers]


def packed(result: RouteResult) -> dict[str, Any]:
    """Returns a drive as a record holds it."""
    return asdict(result) | {"ending": result.ending.name}


def unpacked(packed: Mapping[str, Any]) -> RouteResult:
    """Returns the drive that a record holds; the inverse of `packed`."""
    infractions = tuple(
        Infraction(**one | {"kind": Kind(one["kind"])}) for one in packed["infractions"]
    )
    whole = RouteResult(**dict(packed) | {"ending": Ending[packed["ending"]]})
    return replace(
        whole,
        infractions=infractions,
        scenarios=tuple(whole.scenarios),
        speeds=tuple(whole.speeds),
    )


def load(path: Path) -> dict[str, Any]:
    """Reads a results file.

    Raises:
        ValueError: damaged, or not a results file; says what is missing.
    """
    return checked(read(path), path)


def read(path: Path) -> object:
    """Returns the JSON of a file, whatever it holds.

    Raises:
        ValueError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"results file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"results file {path} is damaged: {error}") from error


def checked(document: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401
    """Returns what was read of a file, if it is a results document.

    Raises:
        ValueError: it is none; says what is missing.
    """
    missing = [name for name in _MUST if not isinstance(document, dict) or name not in document]
    missing = missing or [
        f"{part}.{name}"
        for part, names in _MUST_WITHIN
        for name in names
        if not isinstance(document[part], dict) or name not in document[part]
    ]
    if missing:
        raise ValueError(
            f"{path} is no results file of drive_il: it lacks {missing[0]!r}; files of CARLA's own "
            "leaderboard hold messages only, they can be read by CARLA's tools"
        )
    found = document["drive_il"].get("format")
    if found != FORMAT:
        raise ValueError(
            f"{path} has format {found}, this version of drive_il reads format {FORMAT}"
        )
    return dict(document)


def route_results(document: dict[str, Any]) -> list[RouteResult]:
    """Returns the drives of a results file.

    Raises:
        ValueError: a record that is not whole; names it.
    """
    made = []
    for record in document["_checkpoint"]["records"]:
        try:
            made.append(unpacked(record["drive_il"]["result"]))
        except (KeyError, TypeError, ValueError) as error:
            name = record.get("route_id")
            raise ValueError(f"the record {name!r} is damaged ({error!r})") from error
    return made


def failures(document: Mapping[str, Any]) -> list[Failure]:
    """Returns why an agent failed, each reason once; none where it never did."""
    found: dict[str, Failure] = {}
    for record in document["_checkpoint"]["records"]:
        told = record["drive_il"].get("failure")
        if told:
            result = record["drive_il"]["result"]
            new = Failure(told["reason"], told.get("detail", ""), ())
            known = found.get(new.reason, new)
            drives = (*known.drives, (result["route"], result["repetition"]))
            found[new.reason] = replace(known, drives=drives)
    return list(found.values())
