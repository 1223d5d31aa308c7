"""What the leaderboard's tables hold: which entries stand in one, its columns, and the breakdowns.

Entries are set side by side only where everything that was asked for is the same: protocol and its
version, world, routes, crowd, seed, repetitions, maps. What a suite or protocol lacks is a dash.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from drive_il.evaluation.conditions import parts_of, weather_set
from drive_il.evaluation.entry_file import EntryFile
from drive_il.evaluation.infractions import WORDS, Infraction, Kind
from drive_il.evaluation.protocol import Protocol
from drive_il.evaluation.results_file import EMBEDDED
from drive_il.evaluation.route_result import RouteResult
from drive_il.evaluation.scoring import NAMES, global_scores, kinds_of, status_of

DASH = "–"
VACUOUS = "*"
"""after a share of a bound that no policy can exceed"""


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        text: what stands there.
        value: what it is sorted by; None sorts last.
        interval: its interval in brackets, or "".
    """

    text: str
    value: float | None = None
    interval: str = ""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        label: its head.
        hint: what it says, with units.
        is_better_low: small numbers are good, so that a first click sorts upwards.
    """

    label: str
    hint: str
    is_better_low: bool = True


@dataclass(frozen=True)
class Row:
    """One entry in a table.

    Attributes:
        rank: its place, or a dash where it sees the truth and is no contestant.
        entry: itself.
        cells: as many as columns.
    """

    rank: str
    entry: EntryFile
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Ranking:
    """One table.

    Attributes:
        key: of what is comparable, short; unique on a page.
        suite: name of the route file.
        protocol: id of the rules.
        world: where it was driven, "" in the embedded one.
        facts: what else its entries have in common, for people.
        columns: after rank and name.
        rows: the best first.
    """

    key: str
    suite: str
    protocol: str
    world: str
    facts: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def rankings(entries: Sequence[EntryFile]) -> list[Ranking]:
    """Returns one table per protocol, suite and whatever else must be the same."""
    groups: dict[str, list[EntryFile]] = {}
    for entry in entries:
        groups.setdefault(_comparable(entry), []).append(entry)
    made = [_ranking(f"t{k}", group) for k, group in enumerate(groups.values())]
    return sorted(made, key=lambda one: (one.suite, one.protocol, one.world, one.facts))


def _comparable(entry: EntryFile) -> str:
    plan = entry.results["drive_il"]["plan"]
    names = ("protocol", "protocol_version", "seed", "maps", "drives")
    options = ("routes", "routes_sha256", "traffic")
    facts = [plan[name] for name in names] + [plan["options"][name] for name in options]
    facts.append(entry.plan.world)
    return json.dumps(facts, sort_keys=True)


def _ranking(key: str, entries: Sequence[EntryFile]) -> Ranking:
    plan = entries[0].plan
    options = dict(plan.options)
    routes = len({route for route, _ in plan.drives})
    columns = _columns(plan.protocol)
    ordered = sorted(entries, key=lambda one: (-driving_score(one), one.name))
    rows, place = [], 0
    for entry in ordered:
        contestant = not is_privileged(entry)
        place += contestant
        cells = tuple(make(entry) for _, make in columns)
        rows.append(Row(str(place) if contestant else DASH, entry, cells))
    return Ranking(
        key=key,
        suite=options["routes"],
        protocol=plan.protocol.id,
        world="" if plan.world == EMBEDDED else plan.world,
        facts=(
            f"{len(plan.drives)} drives of {routes} routes in {', '.join(sorted(plan.maps))}; "
            f"traffic: {options['traffic']}; seed {plan.seed}; "
            f"routes {options['routes_sha256'][:8]}"
        ),
        columns=tuple(column for column, _ in columns),
        rows=tuple(rows),
    )


def driving_score(entry: EntryFile) -> float:
    """Returns what entries are ranked by."""
    return float(entry.results["drive_il"]["scores"]["mean"][NAMES[0]])


def is_privileged(entry: EntryFile) -> bool:
    """Whether the agent sees the truth; it is shown, and not ranked."""
    return dict(entry.plan.options)["privileged"] == "true"


_Make = Callable[[EntryFile], Cell]


def _columns(protocol: Protocol) -> list[tuple[Column, _Make]]:
    score = "success rate" if protocol.binary else "driving score"
    found: list[tuple[Column, _Make]] = [
        (Column(score, "mean over the drives, 0 to 100, with its 95 % interval", False), _score(0)),
        (Column("completed", "route completion [%]", False), _score(1)),
        (Column("penalty", "what infractions leave of the score, 0 to 1", False), _score(2)),
    ]
    if protocol.fixed_routes:
        for name in ("success_rate", "driving_efficiency", "driving_smoothness"):
            found.append((Column(name.replace("_", " "), "[%]", False), _bench(name)))
    found += _ERRORS
    kinds = kinds_of(protocol)
    for kind, (short, long) in WORDS.items():
        if kind in kinds and protocol.is_fault(kind):
            unit = "[km]" if _is_length(protocol, kind) else "per kilometre"
            found.append((Column(short, f"{long}, {unit}"), _rate(kind)))
    return found


def _is_length(protocol: Protocol, kind: Kind) -> bool:
    """Leaderboard 2 gives kilometres outside the lanes, not their number."""
    return kind == Kind.OUTSIDE_LANES and protocol.layout == 2


def _score(index: int) -> _Make:
    name, digits = NAMES[index], 2 if index == 2 else 1

    def make(entry: EntryFile) -> Cell:
        scores = entry.results["drive_il"]["scores"]
        return number(scores["mean"][name], digits, scores["interval"][name])

    return make


def _bench(name: str) -> _Make:
    return lambda entry: number(
        (entry.results["drive_il"]["scores"]["bench2drive"] or {}).get(name)
    )


_NEEDS = {Kind.YIELD: "YieldToEmergencyVehicle", Kind.SCENARIO_TIMEOUT: ""}
"""what a suite must have (a type of scenario, or any) for a kind to say something"""


def _rate(kind: Kind) -> _Make:
    def make(entry: EntryFile) -> Cell:
        types = {scenario for one in entry.drives for scenario in one.scenarios}
        if kind in _NEEDS and not (_NEEDS[kind] in types if _NEEDS[kind] else types):
            return Cell(DASH)
        return number(entry.results["drive_il"]["scores"]["infractions"].get(str(kind)), 2)

    return make


def _share(name: str) -> _Make:
    def make(entry: EntryFile) -> Cell:
        found = errors(entry)
        one = found[name] if found else None
        return number(one["value"], 3, (one["low"], one["high"])) if one else Cell(DASH)

    return make


def _gap(entry: EntryFile) -> Cell:
    found = errors(entry)
    if not found:
        return Cell(DASH)
    one = found["absorbing"][str(found["horizons"][-1])]
    return number(one["gap"], 0, (one["low"], one["high"]))


def _exponent(entry: EntryFile) -> Cell:
    one = (errors(entry) or {}).get("exponent") or {"value": None}
    if one["value"] is None:
        return Cell(DASH)
    return number(one["value"], 2, (one["low"], one["high"]))


def _bound(entry: EntryFile) -> Cell:
    found = errors(entry)
    if not found:
        return Cell(DASH)
    share = number(found["bounds"]["gap_over_cloning"], 3)
    empty = share.value is not None and found["bounds"]["cloning_vacuous"]
    return replace(share, text=share.text + VACUOUS) if empty else share


_ERRORS: list[tuple[Column, _Make]] = [
    (
        Column("eps", "share of the expert's states in which it steers otherwise"),
        _share("eps_expert"),
    ),
    (
        Column("eps own", "share of its own states in which the expert steers otherwise"),
        _share("eps_own"),
    ),
    (Column("J(T)", "failing steps above the expert's up to the longest horizon T"), _gap),
    (Column("exponent", "of the growth of J with T; cloning's bound has 2, DAgger's 1"), _exponent),
    (
        Column(
            "J / T²eps",
            "J(T) as a share of behaviour cloning's bound; * vacuous: it is T or more, what nobody "
            "can cost",
        ),
        _bound,
    ),
]


ERRORS = tuple(column for column, _ in _ERRORS)
"""The columns that say how errors compound"""


def errors(entry: EntryFile) -> Mapping[str, Any] | None:
    """Returns how an entry's errors compound; None where that was not measured."""
    found: Mapping[str, Any] | None = entry.results["drive_il"].get("compounding")
    return found


def number(
    value: float | None, digits: int = 1, interval: Sequence[float | None] | None = None
) -> Cell:
    """Returns a cell; a dash for None."""
    if value is None:
        return Cell(DASH)
    ends = ""
    if interval is not None and None not in interval:
        ends = f"[{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
    return Cell(f"{value:.{digits}f}", float(value), ends)


@dataclass(frozen=True)
class Part:
    """The drives of an entry that have something in common.

    Attributes:
        label: what.
        n_drives: how many.
        scores: driving score, completion, penalty, with intervals.
        counts: infractions, in words.
    """

    label: str
    n_drives: int
    scores: tuple[Cell, Cell, Cell]
    counts: str


def breakdowns(entry: EntryFile) -> dict[str, list[Part]]:
    """Returns the parts of an entry by condition, town and type of scenario; empty where none."""
    conditions: dict[str, list[RouteResult]] = {}
    towns: dict[str, list[RouteResult]] = {}
    types: dict[str, list[RouteResult]] = {}
    protocol = entry.plan.protocol
    for one in entry.drives:
        towns.setdefault(one.town, []).append(one)
        for scenario in sorted(set(one.scenarios)):
            types.setdefault(scenario, []).append(one)
        _, condition = parts_of(protocol, one.route)
        if condition is not None:
            among = weather_set(protocol, condition.weather)
            label = f"{condition.crowd}, {one.town}, {among} weathers"
            conditions.setdefault(label, []).append(one)
    return {
        name: [_part(protocol, label, drives) for label, drives in sorted(groups.items())]
        for name, groups in (("condition", conditions), ("town", towns), ("scenario", types))
    }


def _part(protocol: Protocol, label: str, drives: Sequence[RouteResult]) -> Part:
    whole = replace(protocol, fixed_routes=0)
    found = global_scores(whole, drives, len(drives))
    cells = [
        number(found["mean"][name], 2 if name == NAMES[2] else 1, found["interval"][name])
        for name in NAMES
    ]
    return Part(label, len(drives), (cells[0], cells[1], cells[2]), counts(protocol, drives))


def faults(protocol: Protocol, drive: RouteResult) -> list[Infraction]:
    """Returns the infractions of a drive, without what is only recorded."""
    return [one for one in drive.infractions if protocol.is_fault(one.kind)]


def tally(protocol: Protocol, drives: Sequence[RouteResult]) -> dict[Kind, int]:
    """Returns how often each kind of fault was found, those that were not left out."""
    found = Counter(one.kind for drive in drives for one in faults(protocol, drive))
    return {kind: found[kind] for kind in WORDS if found[kind]}


def counts(protocol: Protocol, drives: Sequence[RouteResult]) -> str:
    """Returns faults in words, "2 red light, vehicle"."""
    number_of = tally(protocol, drives).items()
    parts = [WORDS[kind][0] if n == 1 else f"{n} {WORDS[kind][0]}" for kind, n in number_of]
    return ", ".join(parts) or "none"


def status(protocol: Protocol, drive: RouteResult) -> str:
    """Returns how a drive ended, for people."""
    return status_of(protocol, drive).removeprefix("Failed - Agent ").removeprefix("Failed - ")


def markdown(tables: Sequence[Ranking]) -> str:
    """Returns the tables as README shows them: the first columns, and how errors compound."""
    lines = []
    for table in tables:
        shown = [k for k, one in enumerate(table.columns) if k < 3 or one in ERRORS]
        heads = ["", "entry", *(table.columns[k].label for k in shown), "check", "date"]
        world = f", world `{table.world}`" if table.world else ""
        lines += [f"### {table.suite}, `{table.protocol}`{world}", "", f"{table.facts}.", ""]
        lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        for row in table.rows:
            cells = [f"{one.text} {one.interval}".strip() for one in (row.cells[k] for k in shown)]
            entry = row.entry
            name = entry.name.replace("|", "\\|") + (" (privileged)" if row.rank == DASH else "")
            words = [row.rank, name, *cells, entry.check["kind"], entry.date]
            lines.append("| " + " | ".join(words) + " |")
        lines.append("")
    return "\n".join(lines)
