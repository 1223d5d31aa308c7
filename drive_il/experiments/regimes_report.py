"""How the regimes experiment is told: figures, table, verdict, one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from rich.table import Table

from drive_il.experiments.certify_report import span
from drive_il.experiments.reproduction import inline, save_figure, write_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {
    "cloning": "behaviour cloning",
    "reweighted": "reweighted (ALICE)",
    "dagger": "DAgger",
    "single": "one action at a time",
    "chunk": "chunks of 2 s",
    "noise": "noisy demonstrations",
    "chunk_noise": "chunks and noise",
}
COLORS = {
    "cloning": "#d1495b",
    "reweighted": "#e0912f",
    "dagger": "#2a7f8e",
    "single": "#d1495b",
    "chunk": "#7a5195",
    "noise": "#2a7f8e",
    "chunk_noise": "#e0912f",
}
_FLOOR = 0.03


def gap(one: dict[str, Any]) -> dict[str, float]:
    """Returns the absorbing gap at the longest horizon, as an estimate."""
    found = list(one["absorbing"].values())[-1]
    return {"value": found["gap"], "low": found["low"], "high": found["high"]}


def table(result: dict[str, Any]) -> Table:
    """Returns the gaps, for the terminal."""
    shown = Table(
        "where",
        "learner",
        f"gap of {result['horizons'][-1]} steps",
        "failed",
        "eps, expert's states",
        "eps, own states",
        "never there [%]",
        "exponent",
        title=f"regimes and escapes, 95 % over {result['interval_over']}",
    )
    for group in ("regimes", "escapes"):
        for place, methods in result[group].items():
            for method, one in methods.items():
                shown.add_row(place, NAMES[method], *cells(one))
    return shown


def cells(one: dict[str, Any]) -> list[str]:
    """Returns what tables say of a learner."""
    return [
        span(gap(one), 1),
        f"{one['failed_drives']} of {one['n_drives']}",
        span(one["eps_expert"], 3),
        span(one["eps_own"], 3),
        span(one["density"]["uncovered"], 1, 100),
        "-" if one["exponent"]["value"] is None else span(one["exponent"], 2),
    ]


def verdict(result: dict[str, Any]) -> str:
    """Says of each law whether it is visible."""
    return "\n".join(
        f"{name.replace('_', ', ')}: {law['law']}: "
        f"{'visible' if law['visible'] else 'not found'} ({law['measured']})."
        for name, law in result["laws"].items()
    )


def write(result: dict[str, Any], out: Path) -> Path:
    """Draws the figures and writes report.html; returns its path."""
    save_figure(_regimes(result), out, "regimes")
    save_figure(_escapes(result), out, "escapes")
    return write_page(
        "regimes.html",
        out / "report.html",
        result=result,
        names=NAMES,
        colors=COLORS,
        cells=cells,
        verdict=verdict(result).splitlines(),
        regimes=inline(out / "regimes.png"),
        escapes=inline(out / "escapes.png"),
    )


def _regimes(result: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(13.0, 4.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    steps = np.array(result["horizons"])
    grid = figure.subplots(1, 3, sharey=True)
    for axes, (place, methods) in zip(grid, result["regimes"].items(), strict=True):
        for method, one in methods.items():
            _curve(axes, steps, method, one)
        axes.plot(steps, steps, color="#9aa3a9", linewidth=1.0, label="T")
        axes.set(xscale="log", yscale="log", xlabel="horizon T [steps]", title=place)
        axes.set_ylim(_FLOOR * 0.8, steps[-1] * 1.4)
        axes.set_xticks(steps[::2], [str(step) for step in steps[::2]])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(True, which="both", color="#eef0f1")
        axes.legend(fontsize=8, loc="upper left")
    grid[0].set_ylabel("cost above the expert's [steps]")
    return figure


def _curve(axes: Axes, steps: Any, method: str, one: dict[str, Any]) -> None:
    points = list(one["absorbing"].values())
    value, low, high = (np.array([p[k] for p in points], float) for k in ("gap", "low", "high"))
    shown = np.maximum(value, _FLOOR)
    slope = one["exponent"]["value"]
    label = NAMES[method] + ("" if slope is None else f", slope {slope:.2f}")
    axes.plot(steps, shown, "o-", color=COLORS[method], markersize=4, label=label)
    none = value <= _FLOOR
    axes.plot(steps[none], shown[none], "v", color=COLORS[method], markersize=7)
    some = ~none
    axes.fill_between(
        steps[some],
        np.maximum(low, _FLOOR)[some],
        np.maximum(high, _FLOOR)[some],
        color=COLORS[method],
        alpha=0.13,
        linewidth=0,
    )


def _escapes(result: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(11.0, 4.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(1, 2, sharey=True)
    for axes, (place, methods) in zip(grid, result["escapes"].items(), strict=True):
        for method, one in methods.items():
            steps, deviation = np.array(one["deviation_steps"]), np.array(one["deviation"])
            axes.plot(steps, deviation, color=COLORS[method], label=NAMES[method])
        axes.axhline(1.75, color="#9aa3a9", linewidth=1.0, label="off the lane")
        axes.set(yscale="log", ylim=(3e-3, 30.0), xlabel="step", title=f"{place} car")
        axes.grid(True, which="both", color="#eef0f1")
        axes.legend(fontsize=8, loc="lower right")
    grid[0].set_ylabel("distance from the lane centre, r.m.s. [m]")
    return figure
