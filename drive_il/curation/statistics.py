"""What a data set teaches, in numbers and one figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drive_il.dataset import Dataset
from drive_il.dataset_file import EpisodeFile
from drive_il.datatypes import Array, Command, Floats, Who

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRAIGHT = 0.02
"""steer below which a step counts as straight ahead"""
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_COLUMNS = (
    "ego.speed",
    "progress.s_max",
    "progress.s",
    "progress.lateral_error",
    "progress.command",
    "control.steer",
    "expert.steer",
    "who",
    "asked",
)


@dataclass(frozen=True)
class Statistics:
    """Numbers of a data set.

    Attributes:
        episodes: one row an episode: id, route, town, outcome, steps, seconds, metres, labels,
            mean speed, largest lateral error, what a review said.
        steer: what a learner should steer, of every step, (N,); the expert's label where there
            is one, else as executed.
        speed: (N,) [m/s].
        lateral_error: (N,) [m].
        commands: steps by command.
        who: steps by who drove.
    """

    episodes: list[dict[str, Any]]
    steer: Floats
    speed: Floats
    lateral_error: Floats
    commands: dict[str, int]
    who: dict[str, int]

    def summary(self) -> dict[str, Any]:
        """Returns everything but the single steps, as JSON."""
        rows = self.episodes
        return {
            "episodes": len(rows),
            "steps": len(self.steer),
            "hours": round(sum(row["seconds"] for row in rows) / 3600.0, 4),
            "kilometres": round(sum(row["metres"] for row in rows) / 1000.0, 3),
            "labels": sum(row["labels"] for row in rows),
            "straight_share": float((np.abs(self.steer) < STRAIGHT).mean()),
            "outcomes": dict(Counter(row["outcome"] for row in rows)),
            "towns": dict(Counter(row["town"] for row in rows)),
            "routes": len({(row["town"], row["route"]) for row in rows}),
            "commands": self.commands,
            "who": self.who,
            "reviewed": dict(Counter(one for row in rows for one in row["reviewed"])),
            "quantiles": {
                name: dict(zip(map(str, _QUANTILES), self._quantiles(name), strict=True))
                for name in ("steer", "speed", "lateral_error")
            },
            "per_episode": rows,
        }

    def _quantiles(self, name: str) -> list[float]:
        values: Array = getattr(self, name)
        return [float(value) for value in np.quantile(values, _QUANTILES)]


def statistics(
    dataset: Dataset, told: Callable[[int, int], None] = lambda done, total: None
) -> Statistics:
    """Reads the numbers of a data set, without its pictures.

    Args:
        dataset: at least one step.
        told: (episodes done, episodes in all), after each.

    Raises:
        ValueError: a damaged file, or no step at all.
    """
    rows: list[dict[str, Any]] = []
    steps: dict[str, list[Array]] = {"steer": [], "speed": [], "lateral_error": []}
    commands, who = Counter[str](), Counter[str]()
    for i, path in enumerate(dataset.paths):
        file = EpisodeFile(path)
        n = file.header["n_steps"]
        columns = {name: value[:n] for name, value in file.read(_COLUMNS).items()}
        asked = columns["asked"].astype(bool)
        steps["steer"].append(np.where(asked, columns["expert.steer"], columns["control.steer"]))
        steps["speed"].append(columns["ego.speed"])
        steps["lateral_error"].append(columns["progress.lateral_error"])
        for number in columns["progress.command"]:
            commands[Command(int(number)).name] += 1
        for number in columns["who"]:
            who[Who(int(number)).name] += 1
        rows.append(_row(file, columns))
        told(i + 1, len(dataset))
    joined = {name: np.concatenate(parts) for name, parts in steps.items()}
    if not len(joined["steer"]):
        raise ValueError(f"{dataset.folder} holds no step; record some")
    return Statistics(rows, **joined, commands=dict(commands), who=dict(who))


def _row(file: EpisodeFile, columns: dict[str, Array]) -> dict[str, Any]:
    header, n = file.header, file.header["n_steps"]
    driven = columns["progress.s_max"][-1] - columns["progress.s"][0] if n else 0.0
    return {
        "id": file.path.stem,
        "town": header["spec"]["route"]["town"],
        "route": header["spec"]["route"]["id"],
        "outcome": header["outcome"],
        "steps": n,
        "seconds": round(n * header["dt"], 3),
        "metres": round(float(driven), 1),
        "labels": header["labels"],
        "mean_speed": round(float(columns["ego.speed"].mean()), 2) if n else 0.0,
        "max_lateral_error": (
            round(float(np.abs(columns["progress.lateral_error"]).max()), 2) if n else 0.0
        ),
        "reviewed": header["facts"].get("review", {}).get("labels", []),
    }


def plot(stats: Statistics, out: Path) -> None:
    """Draws steering, speeds, commands and outcomes into a .png, .svg or .pdf file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    _steering(axes[0, 0], stats)
    _histogram(axes[0, 1], stats.speed, "speed [m/s]")
    _bars(axes[1, 0], {name.lower(): n for name, n in stats.commands.items()}, "steps by command")
    outcomes = Counter(row["outcome"].lower() for row in stats.episodes)
    _bars(axes[1, 1], dict(outcomes), "episodes by outcome")
    summary = stats.summary()
    figure.suptitle(
        f"{summary['episodes']} episodes, {summary['kilometres']:.1f} km, {summary['steps']:,} "
        f"steps, {summary['labels']:,} labels"
    )
    figure.savefig(out, dpi=120)


def _steering(axes: Axes, stats: Statistics) -> None:
    _histogram(axes, stats.steer, "steer (left +)", 61)
    axes.set_yscale("log")
    share = 100.0 * float((np.abs(stats.steer) < STRAIGHT).mean())
    axes.set_title(f"{share:.0f} % of the steps go straight on (|steer| < {STRAIGHT})", fontsize=10)


def _histogram(axes: Axes, values: Floats, label: str, n_bins: int = 40) -> None:
    axes.hist(values, bins=n_bins, color="#2a7f8e")
    axes.set_xlabel(label)
    axes.set_ylabel("steps")


def _bars(axes: Axes, counts: dict[str, int], title: str) -> None:
    names = sorted(counts, key=lambda name: counts[name])
    bars = axes.barh(names, [counts[name] for name in names], color="#e0912f")
    axes.bar_label(bars, [f" {counts[name]:,}" for name in names])
    axes.margins(x=0.15)
    axes.set_title(title, fontsize=10)
