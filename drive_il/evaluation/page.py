"""The leaderboard as a static site: a ranking, and a page per entry on which its drives play.

Each page is one file with all it needs inside; it works from file://, without a network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import jinja2

from drive_il.evaluation import page_figures, page_tables
from drive_il.evaluation.entry_file import EntryFile
from drive_il.evaluation.infractions import WORDS, Kind
from drive_il.evaluation.results_file import drive_name, failures
from drive_il.evaluation.scoring import route_scores
from drive_il.folders import write_whole
from drive_il.maps import outline
from drive_il.maps.network import RoadNetwork

Maps = Callable[[str], RoadNetwork]
_TEMPLATES = Path(__file__).parent / "templates"
NONE = "There are no entries yet.\n"
_TABLE = re.compile(r"(<!-- table: .*? -->\n).*?(<!-- end of table -->)", re.DOTALL)


def write(entries: Sequence[EntryFile], out: Path, load_map: Maps) -> Path:
    """Writes the site and returns its first page.

    Args:
        entries: all of them; may be none.
        out: the folder; pages of entries go into `entries/` below.
        load_map: name -> map.

    Raises:
        ValueError: two entries of one name, or a map that is not here.
    """
    slugs = [entry.slug for entry in entries]
    twice = sorted({slug for slug in slugs if slugs.count(slug) > 1})
    if twice:
        raise ValueError(f"two entries would both be entries/{twice[0]}.html: rename one")
    maps = lru_cache(lambda town: _map(load_map(town)))
    for entry in entries:
        page = _render("entry.html", entry=entry, **_entry(entry, maps))
        write_whole(out / "entries" / f"{entry.slug}.html", page)
    index = out / "index.html"
    tables = page_tables.rankings(entries)
    watchable = {entry.slug: bool(entry.replays) for entry in entries}
    write_whole(index, _render("ranking.html", tables=tables, watchable=watchable))
    return index


def update_readme(path: Path, entries: Sequence[EntryFile]) -> bool:
    """Puts the table into a README between its two comments; returns whether there are any."""
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8")
    table = page_tables.markdown(page_tables.rankings(entries))
    changed, n = _TABLE.subn(lambda found: f"{found[1]}\n{table or NONE}\n{found[2]}", text)
    if n:
        write_whole(path, changed.encode())
    return bool(n)


def _render(name: str, **values: Any) -> bytes:  # noqa: ANN401 - whatever a template shows
    return _environment().get_template(name).render(**values).encode()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {"source": lambda file: (_TEMPLATES / file).read_text("utf-8")}
    return environment


def _map(network: RoadNetwork) -> dict[str, Any]:
    """What a page needs of a map, in decimetres."""
    x0, y0, x1, y1 = (value / outline.UNIT for value in outline.box(network))
    return {
        "paths": outline.paths(network),
        "box": f"{x0:.0f} {-y1:.0f} {x1 - x0:.0f} {y1 - y0:.0f}",
        "size": max(x1 - x0, y1 - y0),
    }


def _entry(entry: EntryFile, maps: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """What the page of an entry shows beside the entry itself."""
    plan, drives = entry.plan, entry.drives
    towns = sorted({one.town for one in drives})
    errors = page_tables.errors(entry)
    watchable = {(log["route"], log["repetition"]): k for k, log in enumerate(entry.replays)}
    failed = failures(entry.results)
    reasons = {drive: one.reason for one in failed for drive in one.drives}
    table = page_tables.rankings([entry])[0]
    return {
        "plan": plan,
        "options": dict(plan.options),
        "facts": table.facts,
        "world": table.world,
        "cards": [
            (column, cell)
            for column, cell in zip(table.columns, table.rows[0].cells, strict=True)
            if column in (*table.columns[:3], *page_tables.ERRORS)
        ],
        "is_privileged": page_tables.is_privileged(entry),
        "routes": [
            {
                "drive": one,
                "name": drive_name(one.route, one.repetition),
                "scores": route_scores(plan.protocol, one),
                "status": page_tables.status(plan.protocol, one),
                "reason": reasons.get((one.route, one.repetition), ""),
                "counts": page_tables.counts(plan.protocol, [one]),
                "replay": watchable.get((one.route, one.repetition)),
            }
            for one in drives
        ],
        "failures": [(one.reason, [drive_name(*drive) for drive in one.drives]) for one in failed],
        "parts": page_tables.breakdowns(entry),
        "maps": {town: maps(town) for town in towns},
        "marks": {town: _marks(entry, town, watchable) for town in towns},
        "replays": [_replay(entry, log) for log in entry.replays],
        "kinds": {str(kind): words for kind, words in WORDS.items()},
        "totals": [
            (WORDS[kind][1], n) for kind, n in page_tables.tally(plan.protocol, drives).items()
        ],
        "bench": entry.results["drive_il"]["scores"].get("bench2drive"),
        "errors": errors,
        "growth": page_figures.growth(errors) if errors else "",
    }


def _marks(
    entry: EntryFile, town: str, watchable: Mapping[tuple[str, int], int]
) -> list[dict[str, Any]]:
    """The infractions in a town: where (decimetres), what, and in which replay and when."""
    return [
        {
            "kind": str(one.kind),
            "x": round(one.x / outline.UNIT),
            "y": round(one.y / outline.UNIT),
            "text": f"route {drive.route}, {one.time:.1f} s: {WORDS[one.kind][1]}",
            "time": one.time,
            "replay": watchable.get((drive.route, drive.repetition)),
        }
        for drive in entry.drives
        if drive.town == town
        for one in page_tables.faults(entry.plan.protocol, drive)
    ]


def _replay(entry: EntryFile, log: Mapping[str, Any]) -> dict[str, Any]:
    """A packed log with its name."""
    [drive] = [
        one
        for one in entry.drives
        if (one.route, one.repetition) == (log["route"], log["repetition"])
    ]
    protocol = entry.plan.protocol
    score = route_scores(protocol, drive).composed
    label = f"Route {drive_name(drive.route, drive.repetition)}"
    counts = page_tables.counts(protocol, [drive])
    marks = [mark for mark in log["marks"] if protocol.is_fault(Kind(mark[0]))]
    return {**log, "marks": marks, "label": label, "score": f"{score:.1f}", "counts": counts}
