"""All certificates side by side: a table, a figure, one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.table import Table

from drive_il.experiments.certify_report import span
from drive_il.experiments.reproduction import inline, save_figure, write_page

NAMES = {
    "expert": "expert",
    "bc": "behaviour cloning",
    "bc_log_loss": "behaviour cloning, log-loss",
    "dagger": "DAgger",
    "safe_dagger": "SafeDAgger",
    "hg_dagger": "HG-DAgger",
    "gail": "GAIL",
    "bc_camera": "behaviour cloning, camera",
    "bc_camera_augmented": "behaviour cloning, camera, augmented",
}
COLORS = {
    "expert": "#1d2327",
    "bc": "#d1495b",
    "bc_log_loss": "#e58a96",
    "dagger": "#2a7f8e",
    "safe_dagger": "#1b9e4b",
    "hg_dagger": "#e0912f",
    "gail": "#5b6abf",
    "bc_camera": "#8c3b48",
    "bc_camera_augmented": "#7a5195",
}
_KEYS = (
    "failed_drives",
    "n_drives",
    "horizon",
    "cost",
    "eps_expert",
    "eps_own",
    "u",
    "k",
    "identity",
    "density",
    "exponent",
    "renewal",
    "no_return",
    "bounds",
    "tightest",
    "regime",
)


def summary(certificates: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what results.json holds of each certificate."""
    return {
        "experiment": "certificates",
        "certificates": {
            name: {key: one[key] for key in _KEYS} | {"gap": gap_of(one)}
            for name, one in certificates.items()
        },
    }


def gap_of(one: Mapping[str, Any]) -> Any:
    """Returns the absorbing gap at the longest horizon, as an estimate."""
    found = one["absorbing"][str(one["horizon"])]
    return {"value": found["gap"], "low": found["low"], "high": found["high"]}


def row(name: str, one: Mapping[str, Any]) -> list[str]:
    """Returns the cells of one certificate."""
    rows = {bound["name"]: bound for bound in one["bounds"]}

    def bound(which: str) -> str:
        at = rows[which]
        if at["value"] is None:
            return "-"
        return f"{at['value']:.3g}" + ("*" if at["vacuous"] else "")

    u, k = one["u"], one["k"]
    return [
        NAMES[name],
        f"{one['failed_drives']} of {one['n_drives']}",
        span(gap_of(one), 1),
        span(one["eps_expert"], 3),
        span(one["eps_own"], 3),
        "-" if u is None else f"{u['mean']:.3f}, {u['largest']:.0f}",
        "-" if not k or not k["n_left"] else f"{k['longest']:.0f}",
        span(one["density"]["uncovered"], 1, 100),
        "-" if one["exponent"]["value"] is None else span(one["exponent"], 2),
        bound("cloning"),
        bound("interactive"),
        one["regime"]["name"],
    ]


HEAD = (
    "policy",
    "failed",
    "gap [steps]",
    "eps, expert's states",
    "eps, own states",
    "u mean, largest",
    "k",
    "never there [%]",
    "exponent",
    "T² eps",
    "u T eps",
    "regime",
)


def table(certificates: Mapping[str, Mapping[str, Any]]) -> Table:
    """Returns all of them, for the terminal."""
    shown = Table(*HEAD, title="certificates; * vacuous: T or more")
    for name, one in certificates.items():
        shown.add_row(*row(name, one))
    return shown


def write(
    certificates: Mapping[str, Mapping[str, Any]], result: Mapping[str, Any], out: Path
) -> Path:
    """Draws the figure and writes report.html; returns its path."""
    save_figure(figure(certificates), out, "gaps")
    return write_page(
        "certificates.html",
        out / "report.html",
        head=HEAD,
        rows=[(name, row(name, one)) for name, one in certificates.items()],
        whys=[(NAMES[name], one["regime"]) for name, one in certificates.items()],
        gaps=inline(out / "gaps.png"),
        result=result,
    )


def figure(certificates: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Left: the gap against the horizon. Right: it beside both bounds at the longest."""
    whole = Figure(figsize=(12.5, 4.8), dpi=100, layout="constrained")
    FigureCanvasAgg(whole)
    left, right = whole.subplots(1, 2)
    for name, one in certificates.items():
        steps = np.array(one["horizons"])
        points = [one["absorbing"][str(step)] for step in steps]
        gap, low, high = (np.array([p[k] for p in points], float) for k in ("gap", "low", "high"))
        some = gap > 0
        if not some.any():
            continue
        left.plot(steps[some], gap[some], "o-", color=COLORS[name], markersize=4, label=NAMES[name])
        left.fill_between(
            steps[some],
            low[some].clip(1e-3),
            high[some],
            color=COLORS[name],
            alpha=0.1,
            linewidth=0,
        )
    longest = max(one["horizon"] for one in certificates.values())
    left.plot([1, longest], [1, longest], color="#9aa3a9", linewidth=1, label="T")
    shortest = min(one["horizons"][0] for one in certificates.values())
    left.set(
        xscale="log", yscale="log", xlabel="horizon T [steps]", ylabel="gap, absorbing [steps]"
    )
    left.set_xlim(shortest, longest * 1.1)
    left.set_ylim(bottom=1e-2)
    left.legend(fontsize=8)
    left.grid(True, which="both", color="#eef0f1")
    _beside(right, certificates)
    return whole


def _beside(axes: Any, certificates: Mapping[str, Mapping[str, Any]]) -> None:
    names = [name for name in certificates if name != "expert"]
    for place, name in enumerate(names):
        one = certificates[name]
        gap = gap_of(one)
        rows = {bound["name"]: bound for bound in one["bounds"]}
        axes.plot(
            [place, place], [max(gap["low"], 1e-2), max(gap["high"], 1e-2)], color=COLORS[name]
        )
        axes.plot(place, max(gap["value"], 1e-2), "o", color=COLORS[name])
        for which, mark in (("cloning", "_"), ("interactive", "x")):
            value = rows[which]["value"]
            if value is not None:
                color = "#9aa3a9" if rows[which]["vacuous"] else COLORS[name]
                axes.plot(
                    place, max(value, 1e-2), mark, color=color, markersize=14 if mark == "_" else 7
                )
    horizon = next(iter(certificates.values()))["horizon"]
    axes.axhline(horizon, color="#9aa3a9", linewidth=1)
    axes.set(yscale="log", ylabel=f"steps of {horizon}")
    axes.set_xticks(
        range(len(names)), [NAMES[n] for n in names], rotation=25, ha="right", fontsize=8
    )
    axes.set_title("dot: gap; bar: T² ε; cross: u T ε; grey: vacuous", fontsize=9)
    axes.grid(True, axis="y", color="#eef0f1")
