"""The pictures of the covariate-shift experiment: cost against horizon, and a way off the road."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from drive_il.datatypes import Array, Episode
from drive_il.experiments.drives import read
from drive_il.experiments.reproduction import save_figure
from drive_il.maps import library
from drive_il.rollout import scene_of
from drive_il.sensor_specs import CameraSpec
from drive_il.sensors.camera import Camera
from drive_il.theory import costs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {
    "alvinn": "ALVINN (steers only)",
    "bc": "behaviour cloning",
    "bc_augmented": "cloning, augmented",
    "dagger": "DAgger",
}
COLORS = {"alvinn": "#7a5195", "bc": "#d1495b", "bc_augmented": "#e0912f", "dagger": "#2a7f8e"}
_GREY = "#b5b5b5"
_COSTS = {
    "absorbing": "absorbing: the first failure is final",
    "recoverable": "recoverable: failing steps only",
}
_STRIP_AT = (-4.0, -2.5, -1.5, -0.75, 0.0, 0.75)  # [s] around the first failure
_STRIP_CAMERA = CameraSpec(width=480, height=320)


def growth(result: dict[str, Any], folder: Path) -> None:
    """Draws gap over horizon, log-log, as growth.png and growth.svg."""
    towns = list(result["towns"])
    figure = Figure(figsize=(12.5, 5.0 * len(towns)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(towns), 2, sharex=True, sharey=True, squeeze=False)
    for row, town in enumerate(towns):
        for column, cost in enumerate(_COSTS):
            _panel(grid[row][column], result, town, cost)
    unit, n = result["interval_over"], result["towns"][towns[0]]["n_episodes"]
    figure.suptitle(
        f"Cost above the expert's against the horizon, {result['config']['labels']:,} labels each\n"
        f"95 % intervals over {unit} ({n} paired drives per town)",
        fontsize=13,
    )
    save_figure(figure, folder, "growth")


def _panel(axes: Axes, result: dict[str, Any], town: str, cost: str) -> None:
    horizons = np.array(result["horizons"], float)
    floor = 0.01
    axes.plot(horizons, horizons, color=_GREY, linewidth=1.0)
    axes.annotate(
        "T: every step fails",
        (horizons[-1], horizons[-1]),
        color="#888888",
        fontsize=8,
        xytext=(-6, 4),
        textcoords="offset points",
        ha="right",
    )
    for shift, (learner, numbers) in enumerate(result["towns"][town]["learners"].items()):
        _curve(axes, horizons * 1.03 ** (shift - 1.5), numbers, learner, cost, floor)
        if learner == "bc":
            _bound(
                axes,
                horizons,
                numbers["bounds"],
                "cloning",
                COLORS["bc"],
                "$T^2\\epsilon$, cloning",
            )
        if learner == "dagger":
            label = "$u\\,T\\epsilon$, DAgger"
            _bound(axes, horizons, numbers["bounds"], "interactive", COLORS["dagger"], label)
    axes.set(xscale="log", yscale="log", ylim=(floor, 2.5 * horizons[-1]))
    axes.set_xticks(horizons, [f"{int(horizon)}" for horizon in horizons], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("horizon T [steps of 0.05 s]")
    axes.set_ylabel("J(learner) - J(expert) [steps]")
    kind = "training town" if town == result["config"]["town_train"] else "unseen town"
    axes.set_title(f"{town} ({kind}), {_COSTS[cost]}", fontsize=11)
    axes.grid(True, which="major", color="#eeeeee")
    axes.legend(fontsize=8, loc="upper left", framealpha=0.9)


def _curve(
    axes: Axes, x: Array, numbers: dict[str, Any], learner: str, cost: str, floor: float
) -> None:
    points = list(numbers[cost].values())
    gap, low, high = (np.array([point[key] for point in points]) for key in ("gap", "low", "high"))
    exponent = numbers["exponent" if cost == "absorbing" else "exponent_recoverable"]
    slope = (
        "no slope"
        if exponent["value"] is None
        else (f"slope {exponent['value']:.2f} [{exponent['low']:.2f}, {exponent['high']:.2f}]")
    )
    shown = np.maximum(gap, floor)
    errors = np.stack([shown - np.clip(low, floor, shown), np.maximum(high, shown) - shown])
    axes.errorbar(
        x,
        shown,
        errors,
        color=COLORS[learner],
        marker="o",
        markersize=4.5,
        capsize=2.5,
        linewidth=1.6,
        label=f"{NAMES[learner]}: {slope}",
    )
    zero = gap <= floor
    axes.plot(x[zero], shown[zero], "v", color=COLORS[learner], markersize=7)


def _bound(axes: Axes, x: Array, table: dict[str, Any], kind: str, color: str, label: str) -> None:
    """Dashed where the bound says something, grey where it is vacuous."""
    entries = list(table.values())
    if any(entry[kind] is None for entry in entries):
        return
    value = np.array([entry[kind] for entry in entries])
    vacuous = np.array([entry[f"{kind}_vacuous"] for entry in entries])
    axes.plot(x, value, "--", color=color, linewidth=1.1, alpha=0.8, label=label)
    axes.plot(x[vacuous], value[vacuous], "s", color=_GREY, markersize=4.5)
    axes.plot(x[~vacuous], value[~vacuous], "s", color=color, markersize=4.5, fillstyle="none")


def strip(result: dict[str, Any], folders: dict[str, Path], folder: Path) -> dict[str, Any] | None:
    """Draws what cloning sees as it leaves its lane for the first time, as strip.png.

    Returns:
        What the pictures show, or None when cloning never left its lane.
    """
    town = result["config"]["town_train"]
    driven = read(folders[f"drives/bc/{town}/own_pedals/0"])
    truth = read(folders[f"expert/{town}"])
    last = int(result["horizons"][-1])
    failing = costs.failures(costs.tracks(driven, last), costs.tracks(truth, last))
    first = costs.first_failure(failing.lateral)
    if not (first > 0).any():
        return None
    # The median failure: neither the most hopeless drive nor the luckiest.
    order = np.flatnonzero(first > 0)
    chosen = int(order[np.argsort(first[order], kind="stable")[len(order) // 2]])
    episode, at = driven[chosen], int(first[chosen])
    steps = [min(max(at + round(time / episode.dt), 0), episode.n_steps) for time in _STRIP_AT]
    _draw_strip(episode, steps, at, town, folder / "strip.png")
    return {
        "town": town,
        "route": episode.spec.route.id,
        "step": at,
        "seconds": at * episode.dt,
        "lateral_error": float(episode.progress["lateral_error"][min(at, episode.n_steps)]),
    }


def _draw_strip(episode: Episode, steps: list[int], at: int, town: str, path: Path) -> None:
    scene = scene_of(episode).take(np.array(steps))
    pictures = Camera(library.load(town), _STRIP_CAMERA).render(scene.ego, scene.weather)
    figure = Figure(figsize=(13.0, 6.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, picture, step, progress in zip(
        figure.subplots(2, 3).flat, pictures, steps, scene.progress, strict=True
    ):
        axes.imshow(picture)
        axes.set_axis_off()
        when = (step - at) * episode.dt
        title = f"{when:+.2f} s: {progress['lateral_error']:+.2f} m from the lane centre"
        failing = abs(progress["lateral_error"]) > progress["lane_width"] / 2
        axes.set_title(title, fontsize=10, color=COLORS["bc"] if failing else "black")
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png")
    temporary.replace(path)
