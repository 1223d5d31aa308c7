"""One entry of the leaderboard as a file: results, who made them, how they were checked, replays.

The results document stands in it as it is, but for its records, which are deflated, and for the
paths of the machine it was made on, which are nobody's business. At most `MAX_SIZE` bytes, more
only where the records of a large suite need it: as many replay logs as fit, the most telling
drives first.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from drive_il.evaluation import results, results_file
from drive_il.evaluation.protocol import Protocol
from drive_il.evaluation.results_file import EMBEDDED, Plan
from drive_il.evaluation.route_result import RouteResult
from drive_il.evaluation.scoring import route_scores
from drive_il.folders import write_whole

FORMAT = 1
MAX_SIZE = 200_000
"""[bytes] of a file whose results leave room for replay logs"""
MAX_RESULTS = 400_000
"""[bytes] of results; the 900 drives of NoCrash take some 330 000"""
_ROOM = 50_000  # [bytes] that replay logs have in any case
_PRIVATE = ("entry",)
"""what of a results file is not published: paths"""
_MUST = ("name", "date", "links", "check", "results", "replays")


@dataclass(frozen=True)
class EntryFile:
    """An entry.

    Attributes:
        name: for people.
        date: of the entry, YYYY-MM-DD, as the user gave it.
        links: label -> address.
        check: what it passed: `kind` ("bits" or "scores"), what was driven again, and how near.
        results: the document of the run.
        replays: packed replay logs.
    """

    name: str
    date: str
    links: Mapping[str, str]
    check: Mapping[str, Any]
    results: dict[str, Any]
    replays: tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        if not _slug(self.name) or len(self.name) > 80:
            raise ValueError(
                "the name of an entry has 1 to 80 characters, letters or digits among them, got "
                f"{self.name!r}"
            )
        try:
            datetime.date.fromisoformat(self.date)
        except ValueError as error:
            raise ValueError(f"the date of an entry is YYYY-MM-DD, got {self.date!r}") from error
        for label, address in self.links.items():
            if not re.match(r"https?://\S+$", address):
                raise ValueError(f"a link begins with https://, got {label}={address!r}")

    @property
    def slug(self) -> str:
        """Its file's name without the ending, such as "my-agent-alder-test-lb2-1"."""
        suite, world = dict(self.plan.options)["routes"], self.plan.world
        words = [self.name, suite, self.plan.protocol.id]
        return "-".join(map(_slug, words if world == EMBEDDED else [*words, world]))

    @cached_property
    def plan(self) -> Plan:
        """What was driven."""
        return Plan.from_facts(self.results["drive_il"]["plan"])

    @cached_property
    def drives(self) -> list[RouteResult]:
        """How each drive went."""
        return results_file.route_results(self.results)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def telling(protocol: Protocol, drives: Sequence[RouteResult]) -> list[int]:
    """Returns which drives are worth watching, the most telling first: all of them, in order.

    The worst, the median and the best, then those with infractions, the shortest first; then
    the rest.
    """
    score = [route_scores(protocol, one).composed for one in drives]
    ranked = sorted(range(len(drives)), key=lambda k: (score[k], k))
    first = [ranked[0], ranked[len(ranked) // 2], ranked[-1]] if ranked else []
    broken = sorted((k for k in ranked if drives[k].infractions), key=lambda k: drives[k].duration)
    return list(dict.fromkeys([*first, *broken, *ranked]))


def to_json(entry: EntryFile) -> bytes:
    """Returns the file's content: of its replays as many as fit, the first ones first.

    Raises:
        ValueError: the results alone are too large.
    """
    ours = {k: v for k, v in entry.results["drive_il"].items() if k not in _PRIVATE}
    checkpoint = dict(entry.results["_checkpoint"])
    records = _compact([_published(one) for one in checkpoint["records"]]).encode()
    checkpoint["records"] = base64.b64encode(zlib.compress(records, 9)).decode()
    head: dict[str, Any] = {
        "format": FORMAT,
        "name": entry.name,
        "date": entry.date,
        "links": dict(entry.links),
        "check": results.plain(entry.check),
        "results": {**entry.results, "drive_il": ours, "_checkpoint": checkpoint},
    }
    lines = [f"{json.dumps(name)}: {_compact(value)}" for name, value in head.items()]
    size = sum(len(line.encode()) + 2 for line in lines) + 20
    if size > MAX_RESULTS:
        raise ValueError(
            f"the results of {len(entry.drives)} drives take {size} bytes, an entry has at most "
            f"{MAX_RESULTS}: make one entry per suite"
        )
    replays, limit = [], max(MAX_SIZE, size + _ROOM)
    for one in entry.replays:
        text = _compact(one)
        if size + len(text) + 2 <= limit:
            replays.append(text)
            size += len(text) + 2
    lines.append('"replays": [' + ",\n".join(replays) + "]")
    return ("{" + ",\n".join(lines) + "}\n").encode()


def _published(record: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out what an agent said when it failed: tracebacks are full of paths."""
    ours = {k: v for k, v in record["drive_il"].items() if k != "destroy"}
    if "failure" in ours:
        ours["failure"] = {"reason": ours["failure"]["reason"]}
    return {**record, "drive_il": ours}


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def write(entry: EntryFile, folder: Path) -> Path:
    """Writes an entry into a folder of them, whole; returns the file."""
    path = folder / f"{entry.slug}.json"
    write_whole(path, to_json(entry))
    return path


def load(path: Path) -> EntryFile:
    """Reads an entry.

    Raises:
        ValueError: damaged, or no entry; says what is wrong with which file.
    """
    try:
        return from_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"entry {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise ValueError(f"{path} is no entry of this version's leaderboard: {error}") from error


def results_of(path: Path) -> dict[str, Any]:
    """Reads a results file, or the results that an entry holds.

    Raises:
        ValueError: it is neither; says what is wrong with it.
    """
    document = results_file.read(path)
    if isinstance(document, dict) and "replays" in document:
        return load(path).results
    return results_file.checked(document, path)


def from_json(content: bytes) -> EntryFile:
    """Returns the entry that `to_json` wrote.

    Raises:
        ValueError: no JSON, something is missing, or of another format.
        KeyError, TypeError, zlib.error: damaged.
    """
    document = json.loads(content)
    missing = [name for name in _MUST if name not in document]
    if missing or document.get("format") != FORMAT:
        raise ValueError(
            f"it lacks {missing[0]!r}" if missing else f"of format {document.get('format')}"
        )
    found: dict[str, Any] = document["results"]
    packed = found["_checkpoint"]["records"]
    found["_checkpoint"]["records"] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return EntryFile(
        name=document["name"],
        date=document["date"],
        links=document["links"],
        check=document["check"],
        results=found,
        replays=tuple(document["replays"]),
    )


def load_all(folder: Path) -> list[EntryFile]:
    """Reads all entries of a folder, by file name.

    Raises:
        ValueError: no such folder, or a file that is no entry.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of entries; --entries names one")
    return [load(path) for path in sorted(folder.glob("*.json"))]
