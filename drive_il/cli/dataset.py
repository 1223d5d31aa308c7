"""drive-il dataset stats, merge, split, view, repair and review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from drive_il.cli.progress import told_bar

if TYPE_CHECKING:
    from drive_il.curation.review import Review

Folder = Annotated[Path, tyro.conf.Positional]


def stats(
    folder: Folder, /, plot: Path | None = None, out: Path | None = None, episodes: bool = False
) -> None:
    """Says what a dataset teaches: steering, speeds, commands, outcomes, labels, reviews.

        drive-il dataset stats runs/data --plot stats.png --out stats.json

    Args:
        folder: of the dataset.
        plot: also draw it, into a .png, .svg or .pdf file.
        out: also write every number as JSON.
        episodes: also list every episode.
    """
    from drive_il.curation import statistics
    from drive_il.dataset import Dataset
    from drive_il.folders import write_whole

    with told_bar("reading") as told:
        found = statistics.statistics(Dataset(folder), told)
    summary = found.summary()
    console = Console()
    console.print(_overview(folder, summary))
    console.print(_quantiles(summary["quantiles"]))
    if episodes:
        console.print(_listed(summary["per_episode"]))
    if out is not None:
        write_whole(out, json.dumps(summary, indent=1).encode())
        print(f"wrote {out}")
    if plot is not None:
        statistics.plot(found, plot)
        print(f"wrote {plot}")


def _overview(folder: Path, summary: dict[str, Any]) -> Table:
    table = Table("", "", title=str(folder), show_header=False)
    for name in ("episodes", "steps", "hours", "kilometres", "labels", "routes"):
        table.add_row(name, f"{summary[name]:,}")
    share = summary["straight_share"]
    table.add_row("straight on", f"{100.0 * share:.1f} % of the steps, |steer| < 0.02")
    for name in ("towns", "outcomes", "commands", "who", "reviewed"):
        counts = summary[name]
        table.add_row(name, ", ".join(f"{k.lower()} {v:,}" for k, v in counts.items()) or "-")
    return table


def _quantiles(quantiles: dict[str, dict[str, float]]) -> Table:
    names = {"steer": "steer", "speed": "speed [m/s]", "lateral_error": "lateral [m]"}
    table = Table("", *(f"{100 * float(q):g} %" for q in next(iter(quantiles.values()))))
    for name, values in quantiles.items():
        table.add_row(names[name], *(f"{value:.3f}" for value in values.values()))
    return table


def _listed(rows: list[dict[str, Any]]) -> Table:
    keys = ("steps", "metres", "mean_speed", "max_lateral_error", "labels", "outcome", "reviewed")
    heads = ("steps", "[m]", "[m/s]", "lateral [m]", "labels", "outcome", "reviewed")
    table = Table("", "id", *heads)
    for i, row in enumerate(rows):
        table.add_row(str(i), row["id"], *(_text(row[key]) for key in keys))
    return table


def _text(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def merge(folders: Annotated[tuple[Path, ...], tyro.conf.Positional], /, out: Path) -> None:
    """Makes one dataset of several with the same sensors.

        drive-il dataset merge runs/day runs/night --out runs/both

    Args:
        folders: of the datasets.
        out: folder to write, which must not exist.
    """
    from drive_il.curation import merging
    from drive_il.dataset import Dataset

    if len(folders) < 2:
        raise ValueError(f"give two datasets or more to merge, got {len(folders)}")
    with told_bar("merging") as told:
        done = merging.merge([Dataset(folder) for folder in folders], out, told)
    same = f" ({done.n_same} were in several of them)" if done.n_same else ""
    print(f"wrote {out}: {done.n_episodes} episodes{same}")


def split(
    folder: Folder,
    /,
    out: Path,
    parts: tuple[str, ...] = ("train", "validation", "test"),
    fractions: tuple[float, ...] = (0.8, 0.1, 0.1),
    by: Literal["episode", "route"] = "episode",
    seed: int = 0,
) -> None:
    """Divides a dataset into parts, each a folder in OUT.

        drive-il dataset split runs/data --out runs/parts --by route --seed 3
        drive-il dataset split runs/data --out runs/parts --parts train test --fractions 0.9 0.1

    Args:
        folder: of the dataset.
        out: folder to write, which must not exist.
        parts: names.
        fractions: share of the episodes of each, adding up to 1.
        by: route keeps all drives on one route in one part, so that nothing is tested on a
            route that was learned from.
        seed: decides who goes where.
    """
    from drive_il.curation import splitting
    from drive_il.dataset import Dataset

    if len(parts) != len(fractions) or len(set(parts)) != len(parts):
        raise ValueError(
            f"give one fraction for each part, and different names, got parts {parts} and "
            f"fractions {fractions}"
        )
    shares = dict(zip(parts, fractions, strict=True))
    with told_bar("splitting") as told:
        counts = splitting.split(Dataset(folder), out, shares, seed, by, told)
    print(f"wrote {out}: " + ", ".join(f"{name} {n}" for name, n in counts.items()))


def view(
    folder: Folder,
    /,
    out: Path = Path("episode.png"),
    episode: str = "0",
    camera: str | None = None,
    pictures: int = 8,
) -> None:
    """Shows an episode: a strip of pictures over its curves (.png), or a clip (.mp4, .gif).

        drive-il dataset view runs/data --episode 3 --out drive.png
        drive-il dataset view runs/data --episode alder-7 --out drive.mp4

    Args:
        folder: of the dataset.
        out: file to write.
        episode: its number from 0, its name, or how that begins.
        camera: which pictures, if there are several.
        pictures: in the strip.
    """
    from drive_il.curation.pictures import view as draw
    from drive_il.curation.review import Review
    from drive_il.dataset import Dataset
    from drive_il.dataset_file import EpisodeFile

    path = Review(Dataset(folder)).find(episode)
    with told_bar("drawing") as told:
        draw(EpisodeFile(path, check=True).load(), out, camera, pictures, told)
    print(f"wrote {out}: {path.stem}")


def repair(folder: Folder, /) -> None:
    """Rescues all finished episodes of a recording that was killed, and puts the rest aside.

    No file is deleted: what cannot be read goes into DIR/damaged. Not while a recorder is at
    work in the folder.

    Args:
        folder: of the dataset.
    """
    from drive_il.curation.repair import ASIDE
    from drive_il.curation.repair import repair as mend

    with told_bar("reading") as told:
        done = mend(folder, told)
    for name in done.rescued:
        print(f"rescued {name}")
    for name, reason in done.aside.items():
        print(f"moved to {ASIDE}/: {name}: {reason}")
    n = done.whole + len(done.rescued)
    print(f"{folder}: {n} episodes, {len(done.rescued)} of them rescued, {len(done.aside)} aside")


def review(
    folder: Folder,
    /,
    episode: str | None = None,
    keep: bool = False,
    drop: bool = False,
    cut: tuple[int, int] | None = None,
    label: tuple[str, ...] = (),
    note: str = "",
    list: bool = False,
    apply: Path | None = None,
) -> None:
    """Watch, keep, drop, cut and label episodes; then make the dataset that comes of it.

        drive-il dataset review runs/data                          one after the other, by key
        drive-il dataset review runs/data --episode 3 --drop
        drive-il dataset review runs/data --episode 4 --cut 40 300 --label night clean
        drive-il dataset review runs/data --list
        drive-il dataset review runs/data --apply runs/chosen

    Decisions stand in DIR/review.json; the recorded files are never changed.

    Args:
        folder: of the dataset.
        episode: which one the decision is about: number from 0, name, or how that begins.
        keep: keep it.
        drop: leave it out.
        cut: keep its steps from the first to before the second number.
        label: words for it.
        note: a sentence about it.
        list: show what was decided.
        apply: write the dataset that comes of the decisions here, a folder that does not exist.
    """
    from drive_il.curation.review import Decision, Review
    from drive_il.curation.review import apply as make
    from drive_il.dataset import Dataset

    sitting = Review(Dataset(folder))
    decides = keep or drop or cut is not None or bool(label) or bool(note)
    if decides and episode is None:
        raise ValueError("a decision is about one episode; say which with --episode")
    if drop and (keep or cut is not None):
        raise ValueError("--drop leaves the episode out; it goes with neither --keep nor --cut")
    if episode is not None:
        path = sitting.find(episode)
        if not decides:
            from drive_il.cli.review import ask

            ask(sitting, [path])
        else:
            sitting.decide(path, Decision(not drop, cut, label, note))
            print(f"{path.stem}: {_decided(sitting, path.stem)}")
    elif not (list or apply):
        from drive_il.cli.review import ask

        ask(sitting, [sitting.find(name) for name in sitting.undecided()])
    if list:
        table = Table("", "episode", "decision")
        for i, path in enumerate(sitting.dataset.paths):
            table.add_row(str(i), path.stem, _decided(sitting, path.stem))
        Console().print(table)
    if apply is not None:
        with told_bar("writing") as told:
            n = make(sitting, apply, told)
        print(f"wrote {apply}: {n} of {len(sitting.dataset)} episodes")


def _decided(sitting: Review, name: str) -> str:
    decision = sitting.decisions.get(name)
    if decision is None:
        return "-"
    parts = ["keep" if decision.keep else "drop"]
    if decision.cut is not None:
        parts.append(f"steps {decision.cut[0]} to {decision.cut[1]}")
    if decision.labels:
        parts.append("labels " + " ".join(decision.labels))
    return ", ".join(parts + [decision.note] * bool(decision.note))
