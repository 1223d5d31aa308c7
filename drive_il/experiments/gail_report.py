"""From test drives to the numbers, the figure and the page of the comparison of demonstrations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from rich.table import Table

from drive_il.datatypes import Floats
from drive_il.experiments.drives import read_json
from drive_il.experiments.query_efficiency_numbers import N_DRAWS, widened
from drive_il.experiments.reproduction import inline, save_figure, write_page
from drive_il.theory import intervals as est

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from drive_il.experiments.gail import Config

NAMES = {"bc": "behaviour cloning", "dagger": "DAgger", "gail": "GAIL", "airl": "AIRL"}
COLORS = {"bc": "#d1495b", "dagger": "#2a7f8e", "gail": "#4a6fdc", "airl": "#e0912f"}
MOVED = {
    **NAMES,
    "retrained": "AIRL's policy, taught on by its reward",
    "expert": "the expert",
}
KEYS = {"success": "success", "reach": "route driven before the first failure"}
Drives = list[dict[str, Any]]


def analyse(config: Config, folders: dict[str, Path]) -> dict[str, Any]:
    """Returns everything results.json holds, but for provenance and times."""
    weights = est.resamples(config.n_seeds, config.drives, N_DRAWS, config.seed)
    towns = {}
    for town in config.towns:
        values = {name: _curve(config, folders, name, town) for name in config.learners}
        towns[town] = {
            "expert": {key: _mean(_tests(folders["expert"])[town], key) for key in KEYS},
            "learners": {name: _points(values[name], weights) for name in config.learners},
            "claims": _claims(config, values, weights),
        }
    return {
        "experiment": "gail",
        "labels": _labels(config, folders),
        "practice": _practice(config, folders),
        "towns": towns,
        "other_car": _other_car(config, folders, weights),
        "interval_level": est.LEVEL,
        "interval_over": "seeds and drives" if config.n_seeds > 1 else "drives",
    }


def _tests(folder: Path) -> dict[str, Drives]:
    found: dict[str, Drives] = read_json(folder / "test.json")
    return found


def _mean(drives: Drives, key: str) -> float:
    return float(np.mean([one[key] for one in drives]))


def _curve(config: Config, folders: dict[str, Path], name: str, town: str) -> dict[str, Floats]:
    """Returns each number of each test drive, (S, N, G)."""
    tests = [
        [_tests(folders[f"test/{name}/{n}/{k}"])[town] for n in config.counts]
        for k in range(config.n_seeds)
    ]
    return {
        key: np.array([[[d[key] for d in one] for one in seed] for seed in tests], float).swapaxes(
            1, 2
        )
        for key in KEYS
    }


def _points(values: dict[str, Floats], weights: Floats) -> dict[str, list[dict[str, float]]]:
    """Returns each number along the curve, with its interval."""
    found = {}
    for key, one in values.items():
        low, high = est.interval(np.einsum("rsn,sng->rg", weights, one))
        low, high = widened(one, low, high)
        found[key] = [_point(*point) for point in zip(one.mean((0, 1)), low, high, strict=True)]
    return found


def _point(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": float(value), "low": float(low), "high": float(high)}


def _claims(
    config: Config, values: dict[str, dict[str, Floats]], weights: Floats
) -> list[dict[str, Any]]:
    """Returns how far GAIL and AIRL are above cloning and DAgger, at each count."""
    found = []
    for first in ("gail", "airl"):
        for second in ("bc", "dagger"):
            if first in values and second in values:
                for g, n in enumerate(config.counts):
                    gap = (values[first]["reach"] - values[second]["reach"])[:, :, g]
                    low, high = est.interval(np.einsum("rsn,sn->r", weights, gap))
                    point = _point(float(gap.mean()), float(low), float(high))
                    found.append({"first": first, "second": second, "n": n, **point})
    return found


def _labels(config: Config, folders: dict[str, Path]) -> dict[str, list[float]]:
    """Returns the mean labels of each point."""
    return {
        name: [
            float(np.mean([_card(folders, name, n, k)["labels"] for k in range(config.n_seeds)]))
            for n in config.counts
        ]
        for name in config.learners
    }


def _practice(config: Config, folders: dict[str, Path]) -> dict[str, float]:
    """Returns the steps that a learner has driven by itself, with the most demonstrations."""
    most, found = config.counts[-1], {}
    for name in config.learners:
        cards = [_card(folders, name, most, k) for k in range(config.n_seeds)]
        driven = [
            sum(one.get("steps", 0) for one in card.get("rounds", card.get("iterations", [])))
            for card in cards
        ]
        found[name] = float(np.mean(driven))
    return found


def _card(folders: dict[str, Path], name: str, n: int, k: int) -> dict[str, Any]:
    path = folders[f"model/{name}/{n}/{k}"] / "model" / "card.json"
    card: dict[str, Any] = read_json(path)
    return card


def _other_car(config: Config, folders: dict[str, Path], weights: Floats) -> dict[str, Any]:
    """Returns how policies drive a car that they were not trained on, and what retraining gives."""
    town, found = config.town_train, {}
    for name in MOVED:
        jobs = [f"moved/{name}/{k}" for k in range(config.n_seeds)]
        if name == "expert":
            jobs = ["expert-other"] * config.n_seeds
        if jobs[0] not in folders:
            continue
        tests = [_tests(folders[job])[town] for job in jobs]
        values = {key: np.array([[[d[key]] for d in one] for one in tests], float) for key in KEYS}
        found[name] = {key: points[0] for key, points in _points(values, weights).items()}
    return found


def percent(point: dict[str, float]) -> str:
    """Returns a share with its interval, in percent."""
    value, low, high = (100 * point[key] for key in ("value", "low", "high"))
    return f"{value:.0f} [{low:.0f}, {high:.0f}]"


def table(result: dict[str, Any]) -> Table:
    """Returns success at each count, for the terminal."""
    counts = result["config"]["demonstrations"]
    shown = Table(
        "town",
        "learner",
        *(f"{n} demonstration{'s' if n != 1 else ''}" for n in counts),
        title=f"success [%], 95 % over {result['interval_over']}",
    )
    for town, one in result["towns"].items():
        for name, points in one["learners"].items():
            shown.add_row(town, NAMES[name], *(percent(point) for point in points["success"]))
    return shown


def verdict(result: dict[str, Any]) -> list[str]:
    """Says what was expected and whether it was seen."""
    lines = []
    for town, one in result["towns"].items():
        for claim in one["claims"]:
            if claim["second"] != "bc":
                continue
            holds = "confirmed" if claim["low"] > 0 else "not confirmed"
            if claim["high"] < 0:
                holds = "refuted"
            lines.append(
                f"{town}: {NAMES[claim['first']]} beats cloning with {claim['n']} demonstration"
                f"{'s' if claim['n'] != 1 else ''}: "
                f"{holds} (share of the route driven, difference {claim['value']:.2f} "
                f"[{claim['low']:.2f}, {claim['high']:.2f}])."
            )
    return lines


def write(result: dict[str, Any], out: Path) -> Path:
    """Draws the figure and writes report.html; returns its path."""
    figure(result, out)
    return write_page(
        "gail.html",
        out / "report.html",
        result=result,
        names=NAMES,
        moved=MOVED,
        colors=COLORS,
        verdict=verdict(result),
        percent=percent,
        curves=inline(out / "curves.png"),
    )


def figure(result: dict[str, Any], folder: Path) -> None:
    """Draws both numbers over demonstrations as curves.png and curves.svg."""
    towns = list(result["towns"])
    whole = Figure(figsize=(5.4 * len(towns), 7.6), dpi=110, layout="constrained")
    FigureCanvasAgg(whole)
    grid = whole.subplots(len(KEYS), len(towns), sharex=True, sharey=True, squeeze=False)
    for row, (key, title) in enumerate(KEYS.items()):
        for column, town in enumerate(towns):
            _panel(grid[row][column], result, town, key)
            kind = "training town" if town == result["config"]["town_train"] else "unseen town"
            grid[row][column].set_title(f"{town} ({kind})", fontsize=10)
        grid[row][0].set_ylabel(f"{title} [%]")
    for axes in grid[-1]:
        axes.set_xlabel("demonstrations of 10 s")
    handles, labels = grid[0][0].get_legend_handles_labels()
    # In a panel it would hide points.
    whole.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8, frameon=False
    )
    every, drives = result["config"]["every"], result["config"]["drives"]
    whole.suptitle(
        f"Few demonstrations, one label in {every} steps\n95 % over {result['interval_over']}, "
        f"{drives} drives per town and seed",
        fontsize=11,
    )
    save_figure(whole, folder, "curves")


def _panel(axes: Axes, result: dict[str, Any], town: str, key: str) -> None:
    counts = np.array(result["config"]["demonstrations"], float)
    expert = 100 * result["towns"][town]["expert"][key]
    axes.axhline(expert, color="#999999", linewidth=1.0, linestyle=":")
    at = (counts[-1], expert)
    axes.annotate("expert", at, fontsize=8, color="#777777", va="bottom", ha="right")
    names = list(result["towns"][town]["learners"])
    for k, name in enumerate(names):
        points = result["towns"][town]["learners"][name][key]
        value, low, high = (
            100 * np.array([one[part] for one in points]) for part in ("value", "low", "high")
        )
        beside = counts * 1.05 ** (k - (len(names) - 1) / 2)  # so that intervals do not hide
        bars = np.stack((np.maximum(value - low, 0.0), np.maximum(high - value, 0.0)))
        axes.errorbar(
            beside,
            value,
            bars,
            color=COLORS[name],
            label=NAMES[name],
            marker="o",
            markersize=5,
            linewidth=1.6,
            capsize=2.5,
        )
    axes.set(xscale="log", xlim=(counts[0] / 1.4, counts[-1] * 1.4), ylim=(-3, 107))
    axes.xaxis.set_major_locator(FixedLocator(counts.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0f}"))
    axes.grid(True, color="#eeeeee")
