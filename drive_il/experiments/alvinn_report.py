"""The numbers of ALVINN's ablation, its figures and its page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.table import Table

from drive_il import augment
from drive_il.datatypes import Bools, Floats
from drive_il.experiments.alvinn import TOWN
from drive_il.experiments.alvinn_jobs import SNAPSHOT_EVERY
from drive_il.experiments.drives import read, read_json
from drive_il.experiments.reproduction import inline, save_figure, write_page
from drive_il.theory import costs
from drive_il.theory import intervals as est

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from drive_il.experiments.alvinn import Config

NAMES = {
    "plain": "on the fly, plain",
    "buffer": "with the buffer",
    "views": "with shifted views",
    "both": "with both (ALVINN 1991)",
    "1989": "ALVINN 1989, offline",
}
COLORS = {
    "plain": "#d1495b",
    "buffer": "#e0912f",
    "views": "#5b8c5a",
    "both": "#2a7f8e",
    "1989": "#7a5195",
}
N_DRAWS = 2000
"""bootstrap draws"""


def analyse(config: Config, folders: dict[str, Path]) -> dict[str, Any]:
    """Returns everything results.json holds, but for provenance."""
    truth = read(folders["expert"])
    expert = costs.tracks(truth, config.horizon)
    weights = est.resamples(config.n_seeds, len(truth), N_DRAWS, config.seed)
    variants = {}
    for name in NAMES:
        failing, lateral = [], []
        for k in range(config.n_seeds):
            tracks = costs.tracks(read(folders[f"drives/{name}/{k}"]), config.horizon)
            bad = costs.failures(tracks, expert).either
            failing.append(bad)
            lateral.append(_lateral_error(tracks.lateral_error[:, 1:], bad))
        variants[name] = _variant(np.stack(failing), np.stack(lateral), weights) | _card(
            folders[f"model/{name}/0"]
        )
    nothing = not costs.failures(expert, expert).either.any()
    return {
        "experiment": "alvinn",
        "variants": variants,
        "horizon": config.horizon,
        "n_episodes": len(truth),
        "expert_costs_nothing": nothing,
        "interval_level": est.LEVEL,
        "interval_over": "seeds" if config.n_seeds > 1 else "episodes",
        "verdict": verdict(variants),
    }


def _lateral_error(error: Floats, bad: Bools) -> Floats:
    """Mean distance from the lane centre before the first failure of each drive, (N,) [m]."""
    fine = ~np.logical_or.accumulate(bad, axis=1)
    return np.asarray((np.abs(error) * fine).sum(1) / np.maximum(fine.sum(1), 1))


def _variant(failing: Bools, lateral: Floats, weights: Floats) -> dict[str, Any]:
    """Numbers of one variant; failing is (S, N, T), lateral (S, N)."""
    horizon = failing.shape[2]
    numbers: dict[str, Any] = {}
    for name, cost in costs.COSTS.items():
        each = cost(failing.reshape(-1, horizon))[:, -1].reshape(failing.shape[:2])
        numbers[name] = _estimate(each, weights, (0.0, horizon))
        numbers[f"{name}_by_seed"] = each.mean(1).tolist()
    kept = (~failing.any(2)).astype(float)
    numbers["success"] = _estimate(kept, weights, (0.0, 1.0))
    numbers["lateral_error"] = _estimate(lateral, weights)
    alive = 1.0 - np.logical_or.accumulate(failing, axis=2).mean(1)  # (S, T)
    every = max(1, horizon // 100)
    numbers["still_in_lane_by_seed"] = alive[:, ::every].round(4).tolist()
    numbers["still_in_lane_every"] = every
    return numbers


def _estimate(
    values: Floats, weights: Floats, limits: tuple[float, float] | None = None
) -> dict[str, float]:
    found = est.mean_with_interval(values, weights, limits)
    return {"value": found.value, "low": found.low, "high": found.high}


def _card(folder: Path) -> dict[str, Any]:
    card = read_json(folder / "model" / "card.json")
    return {"labels": int(card["labels"])}


def verdict(variants: dict[str, Any]) -> list[str]:
    """Says of each remedy whether it lowers the cost, with disjoint intervals or not."""
    lines = []
    for name, against in (("views", "plain"), ("buffer", "plain"), ("both", "views")):
        better, worse = variants[name]["absorbing"], variants[against]["absorbing"]
        if better["high"] < worse["low"]:
            found = "less, intervals disjoint: the remedy works"
        elif better["value"] < worse["value"]:
            found = "less, but the intervals overlap: not shown"
        else:
            found = "no less: the remedy does NOT help here"
        lines.append(
            f"{NAMES[name]}: {better['value']:.0f} failing steps against {worse['value']:.0f} "
            f"{NAMES[against]}; {found}."
        )
    return lines


def table(result: dict[str, Any]) -> Table:
    """Returns the result for the terminal."""
    shown = Table(
        *("learner", "labels", "drives without failure", "failing steps", "lateral error [m]"),
        title=f"dell, the half not taught on; {result['horizon']} steps, 95 % over "
        f"{result['interval_over']}",
    )
    for name, one in result["variants"].items():
        shown.add_row(
            NAMES[name],
            f"{one['labels']:,}",
            spread(one["success"], 100, "%"),
            spread(one["absorbing"]),
            spread(one["lateral_error"], digits=2),
        )
    return shown


def spread(estimate: dict[str, float], times: float = 1.0, unit: str = "", digits: int = 0) -> str:
    """Returns an estimate with its interval."""
    value, low, high = (times * estimate[key] for key in ("value", "low", "high"))
    tail = f" {unit}" if unit else ""
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]{tail}"


def write(result: dict[str, Any], folders: dict[str, Path], out: Path) -> Path:
    """Draws the figures and writes report.html; returns its path."""
    _survival(result, out)
    _views(result, folders, out)
    return write_page(
        "alvinn.html",
        out / "report.html",
        result=result,
        names=NAMES,
        colors=COLORS,
        spread=spread,
        every=SNAPSHOT_EVERY,
        survival=inline(out / "survival.png"),
        views=inline(out / "views.png"),
    )


def _survival(result: dict[str, Any], out: Path) -> None:
    figure = Figure(figsize=(12.5, 4.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name, one in result["variants"].items():
        curves = np.array(one["still_in_lane_by_seed"])
        time = 0.05 * one["still_in_lane_every"] * np.arange(curves.shape[1])
        left.plot(time, 100 * curves.mean(0), color=COLORS[name], label=NAMES[name])
        left.fill_between(
            time, 100 * curves.min(0), 100 * curves.max(0), color=COLORS[name], alpha=0.15
        )
    left.set(xlabel="time [s]", ylabel="drives without a failure so far [%]", ylim=(-3, 103))
    left.set_title("Staying in lane (band: least and most of all seeds)", fontsize=11)
    left.grid(True, color="#eeeeee")
    left.legend(fontsize=8)
    _costs(right, result)
    save_figure(figure, out, "survival")


def _costs(axes: Axes, result: dict[str, Any]) -> None:
    for at, (name, one) in enumerate(result["variants"].items()):
        cost = one["absorbing"]
        span = [[cost["value"] - cost["low"]], [cost["high"] - cost["value"]]]
        axes.errorbar(cost["value"], at, xerr=span, fmt="o", color=COLORS[name], capsize=3)
        by_seed = one["absorbing_by_seed"]
        axes.plot(by_seed, [at] * len(by_seed), "|", color=COLORS[name], markersize=12)
    axes.set_yticks(range(len(result["variants"])), [NAMES[name] for name in result["variants"]])
    axes.invert_yaxis()
    axes.set(xlabel=f"failing steps of {result['horizon']}, first failure final", xlim=(0, None))
    axes.set_title(f"Cost, 95 % over {result['interval_over']}; strokes: seeds", fontsize=11)
    axes.grid(True, axis="x", color="#eeeeee")


def _views(result: dict[str, Any], folders: dict[str, Path], out: Path) -> None:
    """Draws one snapshot and its 14 views with their labels."""
    from drive_il.learners.alvinn_1991 import CAMERA, Config, Cycles, OnTheFly, snapshots
    from drive_il.maps import library
    from drive_il.sensors.camera import Camera

    cycle = result["config"]["snapshots"] // 2
    config = Config(snapshots=result["config"]["snapshots"], snapshot_every=SNAPSHOT_EVERY)
    taken = snapshots(read(folders["demonstrations/0"]), config)
    camera = Camera(library.load(TOWN), CAMERA)
    cycles = Cycles(taken, OnTheFly(0), config, result["config"]["seed"], camera.render)
    next(cycles.epoch(cycle))
    draws = augment.Draw(result["config"]["seed"], cycle, np.arange(config.views))
    at = draws.uniform("views", 2) * 2.0 - 1.0
    figure = Figure(figsize=(12.5, 5.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(3, 5).flat
    for i, axes in enumerate(grid):
        axes.imshow(cycles.retina[i], cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
        place = "as driven"
        if i:
            shift, turn = config.shift * at[i - 1, 0], config.rotation * at[i - 1, 1]
            place = f"{shift:+.2f} m, {turn:+.1f}°"
        axes.set_title(f"{place}: {1000 * cycles.curvature[i]:+.0f}/km", fontsize=9)
    save_figure(figure, out, "views")
