"""How the query-efficiency experiment is told: figure, table, verdict, one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from rich.table import Table

from drive_il.experiments.reproduction import inline, save_figure, write_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {
    "bc": "behaviour cloning",
    "dagger": "DAgger",
    "safe_dagger": "SafeDAgger",
    "safe_dagger_oracle": "SafeDAgger* (oracle)",
    "hg_dagger": "HG-DAgger",
    "ensemble_dagger": "EnsembleDAgger",
    "lazy_dagger": "LazyDAgger",
    "thrifty_dagger": "ThriftyDAgger",
    "confidence_based": "confidence-based",
    "dart": "DART",
    "stagger": "Warm-Stagger",
}
COLORS = {
    "bc": "#d1495b",
    "dagger": "#2a7f8e",
    "safe_dagger": "#1b9e4b",
    "safe_dagger_oracle": "#7cc48e",
    "hg_dagger": "#e0912f",
    "ensemble_dagger": "#7a5195",
    "lazy_dagger": "#4a6fdc",
    "thrifty_dagger": "#b8860b",
    "confidence_based": "#8c564b",
    "dart": "#e377c2",
    "stagger": "#555555",
}
_EXPECTED = {
    "safe_dagger_needs_fewer_labels": (
        "SafeDAgger reaches 90 % of DAgger's success with fewer labels",
        "its labels as a share of DAgger's",
    ),
    "hg_dagger_collides_less": (
        "HG-DAgger collides less at equal labels",
        "share of drives with a collision, HG-DAgger minus DAgger",
    ),
    "dagger_beats_cloning": (
        "DAgger beats cloning with as many labels",
        "success, DAgger minus cloning",
    ),
    "lazy_dagger_switches_less": (
        "LazyDAgger changes the driver less often than SafeDAgger",
        "changes per step as a share of SafeDAgger's, range over seeds",
    ),
}


def table(result: dict[str, Any]) -> Table:
    """Returns the result at the end of training, for the terminal."""
    towns = list(result["towns"])
    shown = Table(
        "learner",
        "labels",
        *(f"success in {town} [%]" for town in towns),
        "takeovers",
        "length [s]",
        "switches / 1000 steps",
        "collisions in training",
        title=f"success and its price, 95 % over {result['interval_over']}",
    )
    for name in result["costs"]:
        cost = result["costs"][name]
        one = [result["towns"][town]["learners"][name] for town in towns]
        shown.add_row(
            NAMES[name],
            f"{one[0]['labels']:,.0f}",
            *(percent(each["success"][-1]) for each in one),
            *prices(cost),
        )
    return shown


def prices(cost: dict[str, Any]) -> tuple[str, str, str, str]:
    """Returns takeovers, their length, switches and collisions, or dashes."""
    if not cost["driven"]:
        return ("-",) * 4
    length = cost["takeover_seconds"]
    return (
        f"{cost['takeovers']:.0f}",
        "-" if length is None else f"{length:.2f}",
        f"{cost['switches_per_1000_steps']:.1f}",
        f"{cost['collisions']:.1f}",
    )


def percent(point: dict[str, float | None]) -> str:
    """Returns a share with its interval, in percent."""
    if point["value"] is None:
        return "-"
    value, low, high = (100 * float(point[key] or 0.0) for key in ("value", "low", "high"))
    return f"{value:.0f} [{low:.0f}, {high:.0f}]"


def verdict(result: dict[str, Any]) -> str:
    """Says what was expected and whether it was seen, town by town."""
    lines = []
    for town, found in result["claims"].items():
        for key, claim in found.items():
            expected, measured = _EXPECTED[key]
            holds = "confirmed" if claim["holds"] else "not confirmed"
            lines.append(
                f"{town}: {expected}: {holds} ({measured}: {_number(claim['value'])} "
                f"[{_number(claim['low'])}, {_number(claim['high'])}])."
            )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f}"


def write(result: dict[str, Any], out: Path) -> Path:
    """Draws the figure and writes report.html; returns its path."""
    figure(result, out)
    return write_page(
        "query_efficiency.html",
        out / "report.html",
        result=result,
        names=NAMES,
        colors=COLORS,
        verdict=verdict(result).splitlines(),
        percent=percent,
        prices=prices,
        curves=inline(out / "curves.png"),
    )


def figure(result: dict[str, Any], folder: Path) -> None:
    """Draws success over labels as curves.png and curves.svg: few learners to a panel."""
    towns = list(result["towns"])
    groups = _groups(list(result["costs"]))
    whole = Figure(figsize=(5.2 * len(groups), 4.4 * len(towns)), dpi=110, layout="constrained")
    FigureCanvasAgg(whole)
    grid = whole.subplots(len(towns), len(groups), sharex=True, sharey=True, squeeze=False)
    for row, town in enumerate(towns):
        for column, (title, names) in enumerate(groups):
            _panel(grid[row][column], result, town, names)
            kind = "training town" if town == result["config"]["town_train"] else "unseen town"
            grid[row][column].set_title(f"{town} ({kind}): {title}", fontsize=10)
        grid[row][0].set_ylabel("success [%]")
    for axes in grid[-1]:
        axes.set_xlabel("expert labels used")
        below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13)}
        axes.legend(**below, fontsize=8, ncols=3, frameon=False)
    whole.suptitle(
        f"Success against expert labels\n95 % over {result['interval_over']}, "
        f"{result['config']['drives']} drives per town and seed",
        fontsize=11,
    )
    save_figure(whole, folder, "curves")


def _groups(names: list[str]) -> list[tuple[str, list[str]]]:
    """Returns the panels of a town: DAgger and cloning are in each of them."""
    always = [name for name in names if name in ("bc", "dagger")]
    groups = [
        ("who forecasts errors", ("safe_dagger", "safe_dagger_oracle", "lazy_dagger")),
        ("people and ensembles", ("hg_dagger", "ensemble_dagger", "thrifty_dagger")),
        ("other ways", ("confidence_based", "dart", "stagger")),
    ]
    chosen = [(title, [n for n in members if n in names]) for title, members in groups]
    shown = [(title, [*always, *members]) for title, members in chosen if members]
    return shown or [("no gates", always)]


def _panel(axes: Axes, result: dict[str, Any], town: str, names: list[str]) -> None:
    labels = np.array(result["grid"], float)
    expert = result["towns"][town]["expert"]["success"]
    axes.axhline(100 * expert, color="#999999", linewidth=1.0, linestyle=":")
    at = (labels[-1], 100 * expert)
    axes.annotate("expert", at, fontsize=8, color="#777777", va="bottom", ha="right")
    for name in names:
        one = result["towns"][town]["learners"][name]
        points = [point for point in one["success"] if point["value"] is not None]
        used = labels[len(labels) - len(points) :]
        value, low, high = (
            100 * np.array([point[key] for point in points]) for key in ("value", "low", "high")
        )
        # It ends where it stopped asking, with what it returned then.
        own = np.append(np.flatnonzero(used < one["labels"]), len(used) - 1)
        x = np.append(used[own[:-1]], one["labels"])
        color = COLORS[name]
        # Steps: between two rounds nothing changes.
        style: dict[str, Any] = {"drawstyle": "steps-post", "linewidth": 1.8}
        axes.plot(x, value[own], color=color, label=NAMES[name], **style)
        band: dict[str, Any] = {"step": "post", "alpha": 0.12, "linewidth": 0}
        axes.fill_between(x, low[own], high[own], color=color, **band)
        axes.plot(x[-1], value[-1], "o", color=color, markersize=5)
        axes.vlines(x[-1], low[-1], high[-1], color=color, alpha=0.4, linewidth=1.2)
    axes.set(xscale="log", ylim=(-3, 107))
    ticks = np.unique(np.round(np.geomspace(labels[0], labels[-1], 5), -2))
    axes.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.grid(True, color="#eeeeee")
