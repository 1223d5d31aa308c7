"""Figures of a certificate: growth and bounds, tolerance curve, heat map, pictures of forks."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from PIL import Image

from drive_il.datatypes import Episode, Floats, Ints
from drive_il.experiments import certify_numbers as numbers
from drive_il.experiments.certify_forks import disagreements, forked
from drive_il.folders import write_whole
from drive_il.maps import library, picture
from drive_il.rollout import scene_of
from drive_il.sensors.views import SideBySide
from drive_il.theory import bounds, costs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, RED, BLUE, ORANGE, GREY = "#1d2327", "#c0392b", "#2a6fb0", "#d98324", "#9aa3a9"
_STRIP_AT = (0.0, 0.5, 1.0, 2.0, 3.5)  # [s] after the fork
_N_WORST = 3
_CELL = 20.0  # [m] of the heat map
_LEAST = 2.0  # [m] cells driven for less say nothing


def growth(result: dict[str, Any]) -> Figure:
    """The gap against the horizon beside the bounds; where a bound is vacuous it is grey."""
    figure = Figure(figsize=(7.2, 4.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps = np.array(result["horizons"])
    for cost, color, mark, size in (("recoverable", ORANGE, "s", 8), ("absorbing", RED, "o", 4)):
        points = [result[cost][str(step)] for step in steps]
        gap, low, high = (
            np.array([p[key] for p in points], float) for key in ("gap", "low", "high")
        )
        positive = gap > 0
        error = np.stack([gap - np.maximum(low, 1e-4), high - gap]).clip(0)[:, positive]
        label = f"gap, {cost}"
        style: dict[str, Any] = {"color": color, "marker": mark, "markersize": size, "capsize": 2.5}
        style |= {"markerfacecolor": "none"} if cost == "recoverable" else {}  # often one below
        axes.errorbar(steps[positive], gap[positive], error, label=label, **style)
    rows = {row["name"]: row for row in result["bounds"]}
    last = result["horizon"]
    lines = [("cloning", 2.0, "T² ε, expert's states", BLUE)]
    lines += [("interactive", 1.0, "u T ε, own states", "#2a7f5e")]
    for name, power, label, color in lines:
        if rows[name]["value"]:
            value = rows[name]["value"] * (steps / last) ** power
            axes.plot(steps, value, "--", color=color, linewidth=1.1, label=label)
            empty = bounds.is_vacuous(value, steps)
            axes.plot(steps[empty], value[empty], "s", color=GREY, markersize=5)
    axes.plot(steps, steps, color=GREY, linewidth=1.0, label="T: nobody can cost more")
    axes.set(
        xscale="log", yscale="log", xlabel="horizon T [steps]", ylabel="cost above the expert's"
    )
    axes.set_ylim(bottom=1e-2)
    axes.set_xticks(steps[::2], [str(step) for step in steps[::2]])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(True, which="both", color="#eef0f1")
    axes.legend(fontsize=8)
    axes.set_title(_slope(result["exponent"]), fontsize=10)
    return figure


def _slope(exponent: dict[str, Any]) -> str:
    if exponent["value"] is None:
        return "no exponent: too few failures, or saturated"
    return "exponent {value:.2f} [{low:.2f}, {high:.2f}]".format(**exponent)


def tolerances(result: dict[str, Any]) -> Figure:
    """The 0-1 loss at every tolerance, on the expert's states and on its own."""
    figure = Figure(figsize=(5.2, 4.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, color, label in (("expert", BLUE, "expert's states"), ("own", RED, "own states")):
        curve = result[f"eps_{name}_by_delta"]
        delta = np.array([float(one) for one in curve])
        value, low, high = (
            np.array([one[key] for one in curve.values()]) for key in ("value", "low", "high")
        )
        axes.plot(delta, value, "o-", color=color, markersize=4, label=label)
        # Who disagrees by more than a large tolerance does so by more than a small one: where none
        # is left the exact limit of no drive in N is wider than what smaller ones have shown.
        high = np.minimum.accumulate(high)
        axes.fill_between(delta, low, high, color=color, alpha=0.15, linewidth=0)
    axes.axvline(result["tolerance"]["delta"], color=GREY, linestyle=":", label="chosen")
    axes.axhline(
        1.0 / result["horizon"], color=GREY, linewidth=1.0, label="1 / T: T² ε is vacuous above"
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="tolerance of steer",
        ylabel="share of steps that disagree",
    )
    axes.set_ylim(1e-5, 1.2)
    axes.grid(True, which="both", color="#eef0f1")
    axes.legend(fontsize=8)
    return figure


def heat_map(data: numbers.Seen) -> Figure:
    """Where errors begin and where they end, on each town's map."""
    towns = list(dict.fromkeys(one.spec.route.town for one in data.driven))
    figure = Figure(figsize=(11.5, 5.9 * len(towns)), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(towns), 2, squeeze=False)
    truth = costs.tracks(data.truth, data.driven[0].spec.max_steps)
    errs = disagreements(data.driven, truth)
    begins = numbers.onsets(data, errs)
    for (left, right), town in zip(grid, towns, strict=True):
        here = [i for i, one in enumerate(data.driven) if one.spec.route.town == town]
        begun = [_places(data.driven[i], np.flatnonzero(begins[i])) for i in here]
        been = [np.flatnonzero(errs.alive[i]) for i in here]
        places = [_places(data.driven[i], steps) for i, steps in zip(here, been, strict=True)]
        metres = [_metres(data.driven[i], steps) for i, steps in zip(here, been, strict=True)]
        for axes in (left, right):
            _ground(axes, town)
        _density(figure, left, *(np.concatenate(one) for one in (begun, places, metres)))
        left.set_title(f"{town}: errors that begin, per 100 m driven", fontsize=10)
        _ends(right, data, errs.failed_at, here)
        right.set_title(f"{town}: too late for the expert (blue), failed (red)", fontsize=10)
    return figure


def _ground(axes: Axes, town: str) -> None:
    network = library.load(town)
    picture.surfaces(axes, network)
    axes.autoscale_view()
    axes.set_aspect("equal")
    axes.set_facecolor("#eef2ea")
    axes.set_axis_off()
    for collection in axes.collections:
        collection.set_alpha(0.45)


def _places(episode: Episode, steps: Any) -> Floats:
    ego = episode.ego[np.minimum(steps, episode.n_steps)]
    return np.stack((ego["x"], ego["y"]), 1)


def _metres(episode: Episode, steps: Ints) -> Floats:
    """How far each step went, 0 after the end of the drive."""
    driven = episode.ego["speed"][np.minimum(steps, episode.n_steps)] * episode.dt
    return np.asarray(np.where(steps < episode.n_steps, driven, 0.0))


def _density(figure: Figure, axes: Axes, begun: Floats, been: Floats, metres: Floats) -> None:
    """Colours cells by errors that begin there, per 100 m that were driven there.

    Args:
        figure: takes the bar of colours.
        axes: take the cells.
        begun: where errors begin, (E, 2) [m].
        been: where each step was, (N, 2) [m].
        metres: how far each went, (N,) [m].
    """
    low, high = been.min(0) - _CELL, been.max(0) + _CELL
    edges = [np.arange(low[k], high[k] + _CELL, _CELL) for k in (0, 1)]
    driven, _, _ = np.histogram2d(been[:, 0], been[:, 1], edges, weights=metres)
    starts, _, _ = np.histogram2d(begun[:, 0], begun[:, 1], edges)
    told = (driven > _LEAST) & (starts > 0)
    rate = np.where(told, 100.0 * starts / np.maximum(driven, _LEAST), np.nan)
    if np.isfinite(rate).any():
        norm = LogNorm(max(0.5, float(np.nanmin(rate))), max(1.0, float(np.nanmax(rate))))
        drawn = axes.pcolormesh(*edges, rate.T, cmap="YlOrRd", norm=norm, zorder=3)
        figure.colorbar(drawn, ax=axes, shrink=0.6)


def _ends(axes: Axes, data: numbers.Seen, failed_at: Any, here: Sequence[int]) -> None:
    for i in here:
        line = _places(data.driven[i], np.arange(0, data.driven[i].n_steps, 4))
        axes.plot(line[:, 0], line[:, 1], color=INK, linewidth=0.4, alpha=0.25, zorder=2)
    late = numbers.too_late(data)
    for i in here:
        if failed_at[i] > 0:
            at = _places(data.driven[i], np.array([failed_at[i]]))[0]
            if i in late:
                begin = _places(data.driven[i], np.array([late[i][0]]))[0]
                axes.plot(*np.stack((begin, at)).T, color=RED, linewidth=1.0, zorder=3)
                axes.plot(*begin, ".", color=BLUE, markersize=7, zorder=4)
            axes.plot(*at, "x", color=RED, markersize=6, zorder=5)


def worst_forks(data: numbers.Seen) -> list[dict[str, Any]]:
    """Returns the forks that cost most, then those longest away; one of a drive."""
    ranked = sorted(
        data.forks or [],
        key=lambda one: (
            -one["absorbing"],
            -(1e9 if one["back"] is None else one["back"]),
            -one["error"],
        ),
    )
    chosen: dict[int, dict[str, Any]] = {}
    for one in ranked:
        chosen.setdefault(one["drive"], one)
    return list(chosen.values())[:_N_WORST]


def strip(data: numbers.Seen, worst: Sequence[dict[str, Any]]) -> Figure:
    """Pictures from above: the learner's action then the expert, and the learner going on."""
    figure = Figure(figsize=(11.5, 4.7 * len(worst)), dpi=72, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2 * len(worst), len(_STRIP_AT), squeeze=False)
    for k, one in enumerate(worst):
        episode = data.driven[one["drive"]]
        town = episode.spec.route.town
        [[played]] = forked(town, data.driven, [(one["drive"], one["step"])], ("control",))
        view = SideBySide(library.load(town), ("above",), 224)
        shown = (("its action, then the expert", played, 0), ("it goes on", episode, one["step"]))
        for row, (who, drive, first) in enumerate(shown):
            for axes, at in zip(grid[2 * k + row], _STRIP_AT, strict=True):
                _picture(axes, view, drive, first, round(at / drive.dt))
            grid[2 * k + row][0].set_ylabel(f"fork {k + 1}: {who}", fontsize=9)
    return figure


def _picture(axes: Axes, view: SideBySide, drive: Episode, first: int, after: int) -> None:
    """One picture; empty where the drive is over."""
    axes.set_xticks([])
    axes.set_yticks([])
    step = first + after
    if step > drive.n_steps:
        axes.set_title("over", fontsize=9, color=GREY)
        return
    axes.imshow(view.draw(scene_of(drive).take(np.array([step]))))
    way = drive.progress[step]
    out = abs(way["lateral_error"]) > way["lane_width"] / 2
    where = f"{way['lateral_error']:+.2f} m" + (", off the lane" if out else "")
    where += f"\n{drive.ego['speed'][step]:.1f} m/s, {way['s']:.0f} m on"
    axes.set_title(f"{after * drive.dt:.1f} s: {where}", fontsize=9, color=RED if out else INK)


def write(figure: Figure, path: Path) -> None:
    """Writes a PNG of at most 256 colours, whole."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    small = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    write_whole(path, small.getvalue())
