"""From tested iterates to the numbers of the query-efficiency experiment."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drive_il.datatypes import Floats, Ints
from drive_il.experiments.drives import read_json
from drive_il.experiments.query_efficiency_jobs import returned
from drive_il.theory import intervals as est

if TYPE_CHECKING:
    from drive_il.experiments.query_efficiency import Config

N_DRAWS = 2000
"""bootstrap draws"""
SHARE = 0.9
"""of DAgger's success that counts as having reached it"""
Folders = dict[str, Path]
_COUNTED = ("takeovers", "switches", "collided", "deviated", "blocked", "steps", "episodes")


def analyse(config: Config, folders: Folders) -> dict[str, Any]:
    """Returns everything results.json holds, but for provenance and times."""
    cards = {
        name: [read_json(folders[f"model/{name}/{k}"] / "card.json") for k in range(config.n_seeds)]
        for name in config.learners
    }
    grid = label_grid(config.warm, config.labels)
    towns, tables = {}, {}
    for town in config.towns:
        table = _Table(config, folders, town, cards, grid)
        tables[town] = table
        towns[town] = {
            "expert": table.expert(),
            "learners": {name: table.learner(name) for name in config.learners},
        }
    return {
        "experiment": "query-efficiency",
        "grid": grid.tolist(),
        "towns": towns,
        "costs": {name: interventions(cards[name], config.warm) for name in config.learners},
        "interval_level": est.LEVEL,
        "interval_over": "seeds and drives" if config.n_seeds > 1 else "drives",
        "claims": {town: claims(tables[town], cards) for town in config.towns},
    }


def label_grid(warm: int, labels: int, n: int = 25) -> Ints:
    """Returns label counts at which curves are drawn, evenly spaced in their logarithm, (n,)."""
    return np.unique(np.round(np.geomspace(warm, labels, n)).astype(np.int64))


def iterate_at(card: dict[str, Any], labels: int) -> int | None:
    """Returns the iterate that a learner would return after so many labels; None before any.

    A learner that has asked for less than it might keeps its last iterate.
    """
    used = [entry["labels"] for entry in card["rounds"]]
    n = sum(one <= labels for one in used)
    return returned(card)[n - 1] if n else None


class _Table:
    """The tested drives of one town."""

    def __init__(
        self,
        config: Config,
        folders: Folders,
        town: str,
        cards: dict[str, list[dict[str, Any]]],
        grid: Ints,
    ) -> None:
        self.config, self.cards, self.grid = config, cards, grid
        self.weights = est.resamples(config.n_seeds, config.drives, N_DRAWS, config.seed)
        self._expert = read_json(folders[f"expert/{town}"] / "test.json")["expert"]
        self._tests = {
            name: [
                read_json(folders[f"test/{name}/{town}/{k}"] / "test.json")
                for k in range(config.n_seeds)
            ]
            for name in config.learners
        }

    def expert(self) -> dict[str, Any]:
        """How the expert himself fares."""
        success = [one["success"] for one in self._expert]
        return {"success": float(np.mean(success)), "n_drives": len(success)}

    def values(self, name: str, key: str) -> Floats:
        """Returns a number of each test drive along the grid, NaN before the first, (S, N, G)."""
        found = np.full((self.config.n_seeds, self.config.drives, len(self.grid)), np.nan)
        for k, (card, tests) in enumerate(zip(self.cards[name], self._tests[name], strict=True)):
            for g, labels in enumerate(self.grid.tolist()):
                i = iterate_at(card, labels)
                if i is not None:
                    found[k, :, g] = [_number(one, key) for one in tests[str(i)]]
        return found

    def draws(self, name: str, key: str) -> Floats:
        """Returns the mean in each resample, along the grid, (R, G)."""
        return np.asarray(np.einsum("rsn,sng->rg", self.weights, self.values(name, key)))

    def learner(self, name: str) -> dict[str, Any]:
        """Curves along the grid, and what the final policy does."""
        used = [card["rounds"][-1]["labels"] for card in self.cards[name]]
        curves: dict[str, Any] = {"labels": float(np.mean(used)), "labels_by_seed": used}
        for key in ("success", "reach", "collided"):
            values = self.values(name, key)
            low, high = est.interval(self.draws(name, key))
            low, high = widened(values, low, high)
            points = zip(values.mean((0, 1)), low, high, strict=True)
            curves[key] = [_point(*point) for point in points]
        ends = [one["ending"] for k in range(len(used)) for one in self._final(name, k)]
        curves["endings"] = {kind: ends.count(kind) for kind in sorted(set(ends))}
        curves["n_drives"] = len(ends)
        return curves

    def _final(self, name: str, k: int) -> list[dict[str, Any]]:
        final: list[dict[str, Any]] = self._tests[name][k][str(returned(self.cards[name][k])[-1])]
        return final


def widened(values: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Gives shares of which every drive was the same an interval: resamples have none.

    Args:
        values: (S, N, G) in [0, 1].
        low: lower ends, (G,).
        high: upper ends, (G,).

    Returns:
        (low, high): after N drives that all failed the upper end is the exact one, after N
        that all succeeded the lower one; seeds share their drives, so that N counts.
    """
    limit = est.none_of(values.shape[1])
    all_zero, all_one = (values == 0.0).all((0, 1)), (values == 1.0).all((0, 1))
    return np.where(all_one, 1.0 - limit, low), np.where(all_zero, limit, high)


def _number(drive: dict[str, Any], key: str) -> float:
    return float(drive["ending"] == "collided") if key == "collided" else float(drive[key])


def _point(value: float, low: float, high: float) -> dict[str, float | None]:
    if math.isnan(value):
        return {"value": None, "low": None, "high": None}
    return {"value": float(value), "low": float(low), "high": float(high)}


def interventions(cards: list[dict[str, Any]], warm: int) -> dict[str, Any]:
    """Returns what training has cost beside labels, after the demonstrations.

    Args:
        cards: of each seed.
        warm: labels of the demonstrations.

    Returns:
        Per seed means: labels bought after the demonstrations; steps driven; takeovers,
        their mean length [s] and changes of driver per 1000 steps; failures in training.
        None for who does not drive in rounds.
    """
    if "steps" not in cards[0]["rounds"][0]:
        return {"driven": False}
    later = [entry for card in cards for entry in card["rounds"][1:]]
    total = {key: sum(entry[key] for entry in later) for key in _COUNTED}
    held = sum(entry["expert_share"] * entry["steps"] for entry in later)
    steps, n = max(total["steps"], 1), len(cards)
    return {
        "driven": True,
        "labels_bought": sum(card["rounds"][-1]["labels"] - warm for card in cards) / n,
        "steps": total["steps"] / n,
        "expert_share": held / steps,
        "takeovers": total["takeovers"] / n,
        "takeover_seconds": 0.05 * held / total["takeovers"] if total["takeovers"] else None,
        "switches_per_1000_steps": 1000 * total["switches"] / steps,
        "collisions": total["collided"] / n,
        "failures": (total["collided"] + total["deviated"] + total["blocked"]) / n,
    }


def labels_to_reach(curve: Floats, grid: Ints, level: float) -> float:
    """Returns the labels at which a curve first reaches a level; infinite where it never does."""
    reached = np.flatnonzero(curve >= level)  # NaN is not
    return float(grid[reached[0]]) if len(reached) else math.inf


def claims(table: _Table, cards: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """What the literature lets expect, and whether it was seen; None where it was not run."""
    found: dict[str, Any] = {}
    names = set(table.config.learners)
    if {"dagger", "safe_dagger"} <= names:
        found["safe_dagger_needs_fewer_labels"] = _fewer_labels(table)
    if {"dagger", "hg_dagger"} <= names:
        found["hg_dagger_collides_less"] = _difference(table, "hg_dagger", "dagger", "collided")
    if {"dagger", "bc"} <= names:
        gain = _difference(table, "dagger", "bc", "success")
        gain["holds"] = gain["low"] is not None and gain["low"] > 0
        found["dagger_beats_cloning"] = gain
    if {"safe_dagger", "lazy_dagger"} <= names:
        found["lazy_dagger_switches_less"] = _switches(cards)
    return found


def _fewer_labels(table: _Table) -> dict[str, Any]:
    """Labels with which SafeDAgger reaches 90 % of DAgger's final success, as a share."""
    theirs, ours = table.draws("dagger", "success"), table.draws("safe_dagger", "success")
    with np.errstate(invalid="ignore"):
        ratios = np.array(
            [
                labels_to_reach(b, table.grid, SHARE * a[-1])
                / labels_to_reach(a, table.grid, SHARE * a[-1])
                for a, b in zip(theirs, ours, strict=True)
            ]
        )
    low, high = np.quantile(ratios, [0.025, 0.975], method="nearest")
    mean_a = table.values("dagger", "success").mean((0, 1))
    mean_b = table.values("safe_dagger", "success").mean((0, 1))
    level = SHARE * mean_a[-1]
    value = labels_to_reach(mean_b, table.grid, level) / labels_to_reach(mean_a, table.grid, level)
    return {"value": value, "low": low, "high": high, "holds": bool(high < 1.0)}


def _difference(table: _Table, first: str, second: str, key: str) -> dict[str, Any]:
    """A number of two learners, first minus second, at the most labels that both have used."""
    last = [min(card["rounds"][-1]["labels"] for card in table.cards[n]) for n in (first, second)]
    g = max(int(np.searchsorted(table.grid, min(last), side="right")) - 1, 0)
    difference = table.draws(first, key)[:, g] - table.draws(second, key)[:, g]
    low, high = est.interval(difference)
    values = [table.values(name, key)[:, :, g].mean() for name in (first, second)]
    point = _point(float(values[0] - values[1]), float(low), float(high))
    holds = point["high"] is not None and point["high"] < 0
    return {**point, "labels": int(table.grid[g]), "holds": holds}


def _switches(cards: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Changes of driver of LazyDAgger per step as a share of SafeDAgger's, over seeds."""
    rates = {}
    for name in ("lazy_dagger", "safe_dagger"):
        later = [card["rounds"][1:] for card in cards[name]]
        rates[name] = np.array(
            [
                sum(e["switches"] for e in one) / max(sum(e["steps"] for e in one), 1)
                for one in later
            ]
        )
    ratio = rates["lazy_dagger"] / np.maximum(rates["safe_dagger"], 1e-9)
    return {
        "value": float(ratio.mean()),
        "low": float(ratio.min()),
        "high": float(ratio.max()),
        "holds": bool(ratio.max() < 1.0),
    }
