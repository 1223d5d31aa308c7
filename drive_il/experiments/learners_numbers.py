"""From tested drives to the numbers of the comparison of all learners."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drive_il.datatypes import Floats
from drive_il.experiments.drives import read_json
from drive_il.experiments.jobs import seconds
from drive_il.experiments.learners_jobs import DELTA, HORIZONS
from drive_il.theory import estimators as est
from drive_il.theory import intervals

if TYPE_CHECKING:
    from drive_il.experiments.learners import Config

N_DRAWS = 2000
"""bootstrap draws"""
Folders = dict[str, Path]
_LIMITS = {"driving_score": (0.0, 100.0), "success": (0.0, 1.0), "completion": (0.0, 100.0)}
_EPS = ("own_eps", "expert_eps", "own_steer", "expert_steer")


def analyse(config: Config, folders: Folders) -> dict[str, Any]:
    """Returns everything results.json holds, but for provenance and times."""
    cards = {
        name: [
            read_json(folders[f"model/{name}/{k}"] / "model" / "card.json")
            for k in range(config.form.seeds)
        ]
        for name in config.names
    }
    tables = {town: Table(config, folders, town) for town in config.towns}
    return {
        "experiment": "learners",
        "towns": {
            town: {
                "expert": table.expert(),
                "learners": {name: table.learner(name) for name in config.names},
            }
            for town, table in tables.items()
        },
        "labels": {
            name: float(np.mean([card["labels"] for card in of])) for name, of in cards.items()
        },
        "open_loop": {name: open_loop(of) for name, of in cards.items()},
        "delta": DELTA,
        "horizons": list(HORIZONS),
        "interval_level": intervals.LEVEL,
        "interval_over": "seeds and drives" if config.form.seeds > 1 else "drives",
        "claims": {town: claims(tables[town], cards) for town in config.towns},
    }


def training_times(config: Config, folders: Folders) -> dict[str, float]:
    """Returns how long each learner trained, mean over seeds [s]; apart, because times vary."""
    return {
        name: float(
            np.mean([seconds(folders[f"model/{name}/{k}"]) for k in range(config.form.seeds)])
        )
        for name in config.names
    }


class Table:
    """The tested drives of one town."""

    def __init__(self, config: Config, folders: Folders, town: str) -> None:
        self.names, n_seeds = config.names, config.form.seeds
        self.weights = intervals.resamples(n_seeds, config.drives, N_DRAWS, config.seed)
        self._expert = read_json(folders[f"expert/{town}"] / "test.json")
        self._tests = {
            name: [
                read_json(folders[f"test/{name}/{town}/{k}"] / "test.json") for k in range(n_seeds)
            ]
            for name in self.names
        }

    def expert(self) -> dict[str, Any]:
        """How the expert himself fares."""
        drives = self._expert["drives"]
        km = sum(one["km"] for one in drives)
        return {
            "driving_score": float(np.mean([one["driving_score"] for one in drives])),
            "success": float(np.mean([one["success"] for one in drives])),
            "infractions_per_km": sum(one["infractions"] for one in drives) / max(km, 1e-9),
            "n_drives": len(drives),
        }

    def values(self, name: str, key: str) -> Floats:
        """Returns a number of each test drive, (S, N)."""
        return np.array([[float(one[key]) for one in test["drives"]] for test in self._tests[name]])

    def learner(self, name: str) -> dict[str, Any]:
        """All numbers of one learner."""
        found: dict[str, Any] = {}
        for key, limits in _LIMITS.items():
            values = self.values(name, key)
            found[key] = asdict(intervals.mean_with_interval(values, self.weights, limits))
        for key in _EPS:
            found[key] = asdict(
                intervals.mean_with_interval(self.values(name, key), self.weights, (0.0, 1.0))
            )
        found["infractions_per_km"] = asdict(self._rate(name))
        found["exponent"] = self._exponent(name)
        ends = [one["ending"] for test in self._tests[name] for one in test["drives"]]
        kinds = [
            kind for test in self._tests[name] for one in test["drives"] for kind in one["kinds"]
        ]
        found["endings"] = {kind: ends.count(kind) for kind in sorted(set(ends))}
        found["infractions"] = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
        return found

    def _rate(self, name: str) -> intervals.Estimate:
        """Estimates infractions per kilometre.

        Where there was none, the upper end is the exact one of a Poisson count of none, over the
        kilometres of one seed: seeds share their drives.
        """
        count = self.values(name, "infractions")
        # A drive that never left its place has driven no kilometre; all together have.
        km = np.maximum(self.values(name, "km"), 1e-6)
        if not count.any():
            tail = (1.0 - intervals.LEVEL) / 2.0
            return intervals.Estimate(0.0, 0.0, float(-np.log(tail) / km.sum(1).mean()))
        return intervals.ratio_with_interval(count, km, self.weights)

    def _exponent(self, name: str) -> dict[str, Any]:
        mine = np.array([test["costs"] for test in self._tests[name]])
        theirs = np.array(self._expert["costs"])
        found = est.growth_exponent(mine, theirs, np.array(HORIZONS), self.weights)
        used = np.array(HORIZONS)[found.used].tolist()
        return {
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "used_horizons": used,
            "reason": found.reason,
            "gap": {
                str(T): float((mine[..., h] - theirs[:, h]).mean()) for h, T in enumerate(HORIZONS)
            },
        }

    def difference(self, first: str, second: str, key: str) -> dict[str, Any]:
        """Returns a number of two learners, first minus second, paired by drive."""
        values = self.values(first, key) - self.values(second, key)
        found = intervals.mean_with_interval(values, self.weights, (-100.0, 100.0))
        return asdict(found)


def open_loop(cards: list[dict[str, Any]]) -> dict[str, float] | None:
    """Returns the least validation loss of each seed and their mean; None for who has none."""
    losses = [min(card["validation_losses"]) for card in cards if card.get("validation_losses")]
    return (
        {"mean": float(np.mean(losses)), "least": min(losses), "most": max(losses)}
        if losses
        else None
    )


def claims(table: Table, cards: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """What the literature lets expect, and whether it was seen; only of those who took part."""
    found: dict[str, Any] = {}
    names = set(table.names)
    for key, better, worse in (
        ("dagger_beats_cloning", "dagger", "bc"),
        ("noise_helps_cloning", "bc_noise", "bc"),
        ("shifted_views_help_cloning", "bc_augmented", "bc"),
    ):
        if {better, worse} <= names:
            gain = table.difference(better, worse, "driving_score")
            found[key] = gain | {"holds": gain["low"] > 0.0}
    if {"bc", "bc_previous"} <= names:
        change = table.difference("bc_previous", "bc", "driving_score")
        before, after = (open_loop(cards[name]) for name in ("bc", "bc_previous"))
        lowers = before is not None and after is not None and after["mean"] < before["mean"]
        found["previous_action_is_a_trap"] = change | {
            "holds": lowers and change["high"] < 0.0,
            "loss_without": before,
            "loss_with": after,
        }
    return found
