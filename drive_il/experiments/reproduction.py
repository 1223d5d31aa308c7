"""What every reproducible claim does: run its jobs, tell how it goes, fill its page."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType

import drive_il
from drive_il.experiments.jobs import Job, hash_of_code, run, seconds
from drive_il.experiments.narration import Narrator, clock
from drive_il.folders import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TEMPLATES = Path(__file__).parent / "templates"


def decisive(config: Any) -> dict[str, Any]:  # noqa: ANN401  (any dataclass)
    """Returns the fields of an experiment's Config that decide its numbers."""
    return {k: v for k, v in asdict(config).items() if k not in ("workers", "out", "full")}


def announce(console: Console, what: str, towns: Sequence[str]) -> None:
    """Says what is to be done before anything that takes a second is loaded.

    Args:
        console: where.
        what: is to be done.
        towns: where; they are looked up.

    Raises:
        ValueError: an unknown town.
    """
    console.print(what, highlight=False)

    from drive_il.maps import library

    for town in towns:
        library.load(town)


def run_all(
    jobs: Sequence[Job], out: Path, n_workers: int, console: Console, not_behind: Sequence[str]
) -> dict[str, Path]:
    """Runs the jobs that are missing and returns the folder of each.

    Args:
        jobs: those that are needed stand before those that need them.
        out: folder of the experiment; jobs write below `steps`.
        n_workers: processes.
        console: where progress is shown.
        not_behind: parts of the package that decide no result, as beginnings of paths.

    Raises:
        RuntimeError: a job failed.
    """
    code = hash_of_code(Path(drive_il.__file__).parent, not_behind)
    try:
        with Narrator(console, n_workers) as narrator:
            folders = run(jobs, out / "steps", code, n_workers, narrator)
            narrator.say("computing intervals and drawing ...")
    except KeyboardInterrupt:
        console.print(f"\nstopped; what is finished is kept in {out}: run it again to go on")
        raise
    return folders


def keep(
    result: dict[str, Any], jobs: Sequence[Job], folders: dict[str, Path], out: Path
) -> tuple[dict[str, Any], float]:
    """Writes results.json and timing.json.

    Returns:
        The result as it stands in the file, and the time of all steps together, those of
        earlier runs included [s].
    """
    from drive_il.evaluation.results import write_json

    write_json(result, out / "results.json")
    # Apart: the results of one seed are the same bits, times never are.
    times = timing(jobs, folders)
    write_json(times, out / "timing.json")
    stored = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return stored, times["total"]


def farewell(
    console: Console,
    page: Path,
    table: RenderableType,
    verdict: Sequence[str],
    seconds_taken: float,
    total: float,
) -> None:
    """Shows what came out, how long it took and where the page is.

    Args:
        console: where.
        page: of the experiment.
        table: its numbers.
        verdict: what they say, line by line; brackets in it are intervals, no markup.
        seconds_taken: by this run [s].
        total: by all steps, those of earlier runs included [s].
    """
    console.print(table)
    time_taken = (
        f"took {clock(seconds_taken)} min; all steps together {clock(total)} "
        "min of one core, earlier runs included"
    )
    for line in (*verdict, time_taken, f"the page: {page}"):
        console.print(line, highlight=False, markup=False)


def timing(jobs: Sequence[Job], folders: dict[str, Path]) -> dict[str, Any]:
    """Returns how long each kind of step took, also in an earlier, interrupted run [s]."""
    kinds: dict[str, float] = {}
    for job in jobs:
        depth = 2 if job.name.startswith("model") else 1
        kind = "/".join(job.name.split("/")[:depth])
        kinds[kind] = kinds.get(kind, 0.0) + seconds(folders[job.name])
    return {"process_seconds": kinds, "total": sum(kinds.values())}


def write_page(template: str, path: Path, **values: object) -> Path:
    """Fills a template of `experiments/templates`; returns the page's path."""
    import jinja2  # only now: what is to be done is said first

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    write_whole(path, environment.get_template(template).render(**values).encode())
    return path


def inline(picture: Path) -> str:
    """Returns a PNG as the source of an image on a page that needs no other file."""
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()


def save_figure(figure: Figure, folder: Path, name: str) -> None:
    """Writes NAME.png and NAME.svg; the same numbers give the same bytes."""
    from matplotlib import rc_context

    for kind in ("png", "svg"):
        temporary = folder / f"{name}.{kind}.tmp"
        # No date in the file and no random names.
        metadata = {"Date": None} if kind == "svg" else None
        with rc_context({"svg.hashsalt": "drive_il"}):
            figure.savefig(temporary, format=kind, metadata=metadata)
        temporary.replace(folder / f"{name}.{kind}")
