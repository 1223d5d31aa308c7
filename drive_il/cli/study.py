"""drive-il study ...: several people drive, in balanced orders, without names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from drive_il.folders import write_whole
from drive_il.sitting import study as studies
from drive_il.sitting.study import ALONE, CONSENT, Condition, Study, StudyFolder

if TYPE_CHECKING:
    from drive_il.datatypes import Route
    from drive_il.sitting.study_sitting import CourseOf

Folder = Annotated[Path, tyro.conf.Positional]


def create(
    folder: Folder,
    /,
    title: str,
    models: tuple[Path, ...] = (),
    method: Literal["hg-dagger", "dagger"] = "hg-dagger",
    alone: bool = True,
    consent: Path | None = None,
    town: str = "alder",
    routes: tuple[str, ...] = ("12",),
    lap_seconds: float = 90.0,
    traffic: int = 0,
    walkers: int = 0,
    signals: bool = False,
    seed: int = 0,
) -> None:
    """Begins a study: a folder with study.toml and consent.txt, both to be edited.

        drive-il study create S --title "Who takes over when?" --models M1 M2 --routes 12 13

    Args:
        folder: of the study.
        title: what people read first.
        models: a condition each, named after its folder.
        method: what people do while a model drives.
        alone: another condition, in which they drive themselves.
        consent: text that people agree to; a placeholder is written if not given.
        town: a map from `drive-il maps list`.
        routes: ids of the laps of each condition, in the town's training suite.
        lap_seconds: length of a lap, at most [s].
        traffic: vehicles on the roads.
        walkers: people on the sidewalks and crossings.
        signals: lights run and stop signs bind.
        seed: of what the others do; the same for everybody.
    """
    conditions = [Condition(model.name, str(model.resolve()), method) for model in models]
    if alone:
        conditions.insert(0, Condition(ALONE))
    study = Study(
        title, tuple(conditions), town, routes, lap_seconds, traffic, walkers, signals, seed
    )
    text = CONSENT if consent is None else consent.read_text(encoding="utf-8")
    studies.create(folder, study, text)
    print(
        f"wrote {folder}/study.toml and consent.txt; edit them, then: drive-il study sit {folder}"
    )


def sit(
    folder: Folder,
    /,
    person: str | None = None,
    input: Literal["auto", "keyboard", "gamepad", "wheel"] = "auto",
    view: Literal["cockpit", "chase", "bird", "split"] = "cockpit",
) -> None:
    """One sitting: consent, then every condition in the order that is this person's.

    Args:
        folder: of the study.
        person: id of somebody who left early, to go on; a new person if not given.
        input: what to drive with.
        view: the first view.
    """
    from drive_il.display.cameras import View
    from drive_il.human.person import Part
    from drive_il.maps import library
    from drive_il.sitting.cabin import Left, sit_down
    from drive_il.sitting.study_sitting import StudySitting, agrees

    opened = StudyFolder(folder)
    known = None if person is None else opened.find(person)
    routes = _routes(opened.study)
    cabin = sit_down(library.load(opened.study.town), input, Part.DRIVES, View(view))
    said = "nobody was admitted"
    try:
        if known is not None or agrees(cabin, opened):
            sitter = known or opened.admit()
            said = f"{sitter.id} left early; --person {sitter.id} goes on"
            if StudySitting(cabin, opened, sitter, _courses(opened.study), routes).drive():
                said = f"{sitter.id} has driven everything"
    except Left:
        pass
    finally:
        cabin.close()
    print(said)


def export(
    folder: Folder, /, out: Path | None = None, format: Literal["csv", "json"] = "csv"
) -> None:
    """Writes what everybody did, a row per lap: takeovers, when, how long, at what doubt.

    Args:
        folder: of the study.
        out: file; printed if not given.
        format: csv or json.
    """
    rows = StudyFolder(folder).rows()
    text = studies.table(rows, format)
    if out is None:
        print(text, end="")
        return
    write_whole(out, text.encode())
    print(f"wrote {len(rows)} laps to {out}")


def _routes(study: Study) -> list[Route]:
    from drive_il.maps import library
    from drive_il.maps.suites import routes_to_train_on

    known = {one.id: one for one in routes_to_train_on(library.load(study.town))}
    odd = [name for name in study.routes if name not in known]
    if odd:
        raise ValueError(f"{study.town} has no route {odd[0]!r}; it has {', '.join(known)}")
    return [known[name] for name in study.routes]


def _courses(study: Study) -> CourseOf:
    from drive_il.cli.drive import course as alone
    from drive_il.cli.teach import course
    from drive_il.sitting.take import Course
    from drive_il.sitting.teach import teachable
    from drive_il.worlds import Worlds

    worlds = Worlds()

    def course_of(condition: Condition) -> Course:
        if not condition.model:
            return alone(worlds, study.town, "camera", "lb2.1")
        return course(worlds, study.town, teachable(Path(condition.model)))

    return course_of
