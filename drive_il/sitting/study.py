"""Studies with several people: who drives what in which order, and what came of it.

A study is a folder: `study.toml` (what is driven, under which conditions), `consent.txt` (what
people agree to before they drive), `people/ID.json` (one anonymous person each) and
`laps/ID/*.parquet` (their drives). Orders are counterbalanced by a Williams design (Williams
1949): every condition stands equally often in every place, and follows every other equally
often.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from drive_il.dataset import Dataset
from drive_il.dataset_file import EpisodeFile
from drive_il.datatypes import Episode, Who
from drive_il.folders import write_whole
from drive_il.rounds import interventions, takeovers

ALONE = "alone"
"""the condition in which a person drives without any policy"""
CONSENT = """\
You are asked to take part in a study about driving with a learnt driver in a simulator.

What happens: you drive, or watch a policy drive and take the wheel when you want to, for some
minutes. What is kept: how the car was driven, and whether you or the policy drove it. Your
name is not asked for and not kept; your drives are filed under a random number that nobody can
lead back to you. You can stop at any time with ESCAPE, without giving a reason.
"""
"""the text that a new study begins with; to be replaced by what an ethics board has approved"""


@dataclass(frozen=True)
class Condition:
    """One thing that every person drives.

    Attributes:
        name: in the tables; people never see it.
        model: folder of the policy; empty for driving alone.
        method: hg-dagger (take over) or dagger (label), with a model.
    """

    name: str
    model: str = ""
    method: str = "hg-dagger"

    def __post_init__(self) -> None:
        if self.method not in ("hg-dagger", "dagger"):
            raise ValueError(f"method must be hg-dagger or dagger, got {self.method!r}")


@dataclass(frozen=True)
class Study:
    """What is driven.

    Attributes:
        title: for people.
        conditions: what everybody drives, each in an order of his own.
        town: name of the map.
        routes: ids of the routes of one condition, in the town's training suite.
        lap_seconds: length of a lap, at most [s].
        vehicles: on the roads.
        walkers: on foot.
        signals: lights run and stop signs bind.
        seed: of what the others do: the same for everybody.
    """

    title: str
    conditions: tuple[Condition, ...]
    town: str = "alder"
    routes: tuple[str, ...] = ("12",)
    lap_seconds: float = 90.0
    vehicles: int = 0
    walkers: int = 0
    signals: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        names = [one.name for one in self.conditions]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a study needs conditions with different names, got {names}")
        if not self.routes:
            raise ValueError("a study needs at least one route")
        if not self.lap_seconds > 0:
            raise ValueError(f"lap_seconds must be positive, got {self.lap_seconds}")


@dataclass(frozen=True)
class Sitter:
    """One person of a study.

    Attributes:
        id: random.
        number: how many came before.
        order: names of the conditions, as this person drives them.
        consent: hash of the text agreed to.
        day: of the sitting, without the time.
    """

    id: str
    number: int
    order: tuple[str, ...]
    consent: str
    day: str


def williams(n: int) -> list[list[int]]:
    """Returns balanced orders of n conditions: n of them, or 2 n where n is odd.

    Each condition stands equally often in each place and directly after each other one.
    """
    if n < 1:
        raise ValueError(f"a design needs at least one condition, got {n}")
    first = [0]
    for k in range(1, n):
        first.append((k + 1) // 2 if k % 2 else n - k // 2)
    rows = [[(one + shift) % n for one in first] for shift in range(n)]
    return rows if n % 2 == 0 or n == 1 else rows + [row[::-1] for row in rows]


class StudyFolder:
    """A study on disk.

    Args:
        folder: of the study.

    Raises:
        ValueError: there is no study in it, or its files cannot be understood.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "study.toml"
        if not path.exists():
            raise ValueError(f"{folder} holds no study.toml; begin one: drive-il study create")
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8"))
            conditions = tuple(Condition(**one) for one in found.pop("conditions", []))
            routes = tuple(found.pop("routes", ("12",)))
            self.study = Study(conditions=conditions, routes=routes, **found)
        except (tomllib.TOMLDecodeError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None

    @property
    def consent(self) -> str:
        """What people agree to."""
        return (self.folder / "consent.txt").read_text(encoding="utf-8")

    def sitters(self) -> list[Sitter]:
        """Returns everybody, in the order in which they came."""
        found = []
        for path in (self.folder / "people").glob("*.json"):
            facts = json.loads(path.read_text(encoding="utf-8"))
            found.append(Sitter(**{**facts, "order": tuple(facts["order"])}))
        return sorted(found, key=lambda one: one.number)

    def admit(self) -> Sitter:
        """Takes in the next person, who has agreed, under a random id."""
        known = self.sitters()
        taken = {one.id for one in known}
        while (name := secrets.token_hex(3)) in taken:
            pass
        number = max((one.number for one in known), default=-1) + 1
        orders = williams(len(self.study.conditions))
        names = [one.name for one in self.study.conditions]
        order = tuple(names[k] for k in orders[number % len(orders)])
        digest = hashlib.sha256(self.consent.encode()).hexdigest()
        sitter = Sitter(name, number, order, digest, date.today().isoformat())
        text = json.dumps(asdict(sitter), indent=2)
        write_whole(self.folder / "people" / f"{sitter.id}.json", text.encode())
        return sitter

    def find(self, name: str) -> Sitter:
        """Returns a person by id, to go on with a sitting that was left.

        Raises:
            ValueError: nobody has that id.
        """
        for one in self.sitters():
            if one.id == name:
                return one
        raise ValueError(f"nobody in {self.folder} has the id {name!r}")

    def laps(self, sitter: Sitter) -> Path:
        """Where a person's drives are kept."""
        return self.folder / "laps" / sitter.id

    def rows(self) -> list[dict[str, Any]]:
        """Returns what everybody did, a row per lap."""
        found = []
        for sitter in self.sitters():
            folder = self.laps(sitter)
            if folder.is_dir() and any(folder.glob("*.parquet")):
                for path in Dataset(folder).paths:
                    file = EpisodeFile(path)
                    facts = file.header["facts"]
                    found.append(lap_row(sitter, facts, file.load()))
        return sorted(found, key=lambda row: (row["number"], row["place"], row["lap"]))


def create(folder: Path, study: Study, consent: str) -> None:
    """Writes a new study.

    Raises:
        ValueError: there is one already.
    """
    path = folder / "study.toml"
    if path.exists():
        raise ValueError(f"{path} exists; give another folder, or edit it")
    write_whole(folder / "consent.txt", consent.encode())
    write_whole(path, _toml(study).encode())


def _toml(study: Study) -> str:
    lines = ["# A study: drive-il study sit FOLDER; export with drive-il study export FOLDER."]
    for name, value in asdict(study).items():
        if name != "conditions":
            lines.append(f"{name} = {_value(value)}")
    for condition in study.conditions:
        lines += ["", "[[conditions]]"]
        lines += [f"{name} = {_value(value)}" for name, value in asdict(condition).items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """Returns a plain value as TOML, which JSON's are too."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def lap_row(sitter: Sitter, facts: Mapping[str, Any], lap: Episode) -> dict[str, Any]:
    """Returns what a lap was, as a flat row.

    `place` is where its condition stands in the person's order, from 1; `takeover_at` are the
    times at which the person took over [s], `takeover_doubt` the policy's doubt there.
    """
    found = interventions([lap])
    at = takeovers(lap)
    metres = float(lap.progress["s_max"][-1] - lap.progress["s"][0])
    doubts = lap.info.get("doubt")
    return {
        "person": sitter.id,
        "number": sitter.number,
        "place": sitter.order.index(facts["condition"]) + 1,
        "condition": facts["condition"],
        "lap": facts["lap"],
        "route": lap.spec.route.id,
        "device": facts["device"],
        "outcome": lap.outcome.name,
        "seconds": round(lap.n_steps * lap.dt, 3),
        "metres": round(metres, 2),
        "score": facts["score"],
        "infractions": facts["infractions"],
        "by_hand_share": round(float((lap.who == Who.HUMAN).mean()), 6) if lap.n_steps else 0.0,
        "takeovers": found["takeovers"],
        "takeovers_per_km": round(1000.0 * found["takeovers"] / metres, 3) if metres > 1 else None,
        "mean_takeover_seconds": round(found["takeover_steps"] * lap.dt, 3),
        "takeover_at": [round(float(step) * lap.dt, 3) for step in at],
        "takeover_doubt": [] if doubts is None else np.round(doubts[at], 6).tolist(),
    }


def table(rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """Returns rows as json or csv; lists become text with spaces in csv."""
    if form == "json":
        return json.dumps(list(rows), indent=2) + "\n"
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            flat = {k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in row.items()}
            writer.writerow(flat)
    return out.getvalue()
