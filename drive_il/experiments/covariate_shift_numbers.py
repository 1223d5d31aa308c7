"""From driven episodes to the numbers of the covariate-shift experiment."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drive_il.datatypes import Bools, Floats, Ints
from drive_il.experiments import covariate_shift_jobs as jobs
from drive_il.experiments.drives import ETA, chosen_delta, read, read_json
from drive_il.theory import bounds, costs, intervals, recovery
from drive_il.theory import estimators as est

if TYPE_CHECKING:
    from drive_il.experiments.covariate_shift import Config

N_DRAWS = 2000
"""bootstrap draws"""
Folders = dict[str, Path]


def analyse(config: Config, folders: Folders) -> dict[str, Any]:
    """Returns everything results.json holds, but for provenance and times."""
    from drive_il.experiments.covariate_shift import LEARNERS

    towns = {}
    for town in config.towns:
        truth = read(folders[f"expert/{town}"])
        measured = read_json(folders[f"tolerance/{town}"] / "tolerance.json")
        table = _Table(config, folders, town, truth, chosen_delta(measured))
        towns[town] = {
            "learners": {learner: table.learner(learner) for learner in LEARNERS},
            "expert": table.expert(),
            "tolerance": {**measured, "delta": table.delta, "eta": ETA},
            "n_episodes": len(truth),
        }
    return {
        "experiment": "covariate-shift",
        "towns": towns,
        "horizons": list(config.horizons),
        "interval_level": intervals.LEVEL,
        "interval_over": interval_over(config),
        "claim": claim(towns, config.horizons[-1]),
    }


def interval_over(config: Config) -> str:
    """Says what the intervals range over."""
    return "seeds" if config.n_seeds > 1 else "episodes"


class _Table:
    """The numbers of one town."""

    def __init__(
        self, config: Config, folders: Folders, town: str, truth: list[Any], delta: float
    ) -> None:
        self.config, self.folders, self.town, self.delta = config, folders, town, delta
        self.horizons = np.array(config.horizons)
        self.truth = costs.tracks(truth, int(self.horizons[-1]))
        self.speed = float(np.mean([episode.ego["speed"].mean() for episode in truth]))
        self.weights = intervals.resamples(config.n_seeds, len(truth), N_DRAWS, config.seed)

    def expert(self) -> dict[str, Any]:
        """The expert's own cost, part by part: it must be zero."""
        parts = costs.failures(self.truth, self.truth).parts()
        last = int(self.horizons[-1])
        return {
            "cost": {
                name: {part: float(cost(bad)[:, last - 1].mean()) for part, bad in parts.items()}
                for name, cost in costs.COSTS.items()
            },
            "mean_speed": self.speed,
            "max_lateral_error": float(np.abs(self.truth.lateral_error).max()),
        }

    def learner(self, learner: str) -> dict[str, Any]:
        """All numbers of one learner; the first form stands on the top level."""
        from drive_il.experiments.covariate_shift import forms

        by_form = {form: self._form(learner, form) for form in forms(learner)}
        first = forms(learner)[0]
        card = read_json(self.folders[f"model/{learner}/0"] / "model" / "card.json")
        eps_expert, eps_curve = self._eps_on_expert(learner)
        u = self._recoverability(learner)
        top = by_form[first]
        return {
            "labels": int(card["labels"]),
            "form": first,
            "eps_expert": eps_expert.value,
            "eps_expert_interval": [eps_expert.low, eps_expert.high],
            "eps_expert_by_delta": eps_curve,
            "u": u,
            "bounds": self._bounds(eps_expert.value, top["eps_own"], u),
            **top,
            "forms": by_form,
        }

    def _drives(self, learner: str, form: str) -> list[list[Any]]:
        """Episodes by training seed."""
        return [
            read(self.folders[f"drives/{learner}/{self.town}/{form}/{k}"])
            for k in range(self.config.n_seeds)
        ]

    def _form(self, learner: str, form: str) -> dict[str, Any]:
        driven = self._drives(learner, form)
        last = int(self.horizons[-1])
        failing = [costs.failures(costs.tracks(one, last), self.truth) for one in driven]
        parts = {
            part: np.stack([one.parts()[part] for one in failing])
            for part in ("total", "lateral", "behind")
        }
        errors = _padded([[jobs.steer_errors(episode) for episode in one] for one in driven], last)
        ended = costs.first_failure(parts["total"].reshape(-1, last))
        eps_own = self._mean(self._disagree(errors))
        result: dict[str, Any] = {
            "eps_own": eps_own.value,
            "eps_own_interval": [eps_own.low, eps_own.high],
            "eps_own_by_delta": self._by_delta(errors),
            "steer_error_own": self._mean(np.nanmean(errors, 2)).value,
            "failed_episodes": int((ended > 0).sum()),
            "n_episodes": len(ended),
            "hazard": est.hazard(ended, last),
            "interval_over": interval_over(self.config),
        }
        for name in costs.COSTS:
            result[name] = self._growth(parts["total"], name)
            for part in ("lateral", "behind"):
                result[f"{name}_{part}"] = self._growth(parts[part], name)
        result["exponent"] = self._exponent(parts["total"], "absorbing")
        result["exponent_recoverable"] = self._exponent(parts["total"], "recoverable")
        return result

    def _costs(self, failing: Bools, name: str) -> tuple[Floats, Floats]:
        """Cost of each learner's and the expert's episode at each horizon."""
        cost = costs.COSTS[name]
        mine = np.stack([cost(one)[:, self.horizons - 1] for one in failing])
        none = np.zeros(mine.shape[1:])  # the expert never fails; `expert` checks it
        return mine, none

    def _growth(self, failing: Bools, name: str) -> dict[str, dict[str, float]]:
        mine, none = self._costs(failing, name)
        found = est.gaps(mine, none, self.horizons, self.weights)
        return {
            str(horizon): {"gap": gap.value, "low": gap.low, "high": gap.high}
            for horizon, gap in zip(self.horizons.tolist(), found, strict=True)
        }

    def _exponent(self, failing: Bools, name: str) -> dict[str, Any]:
        mine, none = self._costs(failing, name)
        found = est.growth_exponent(mine, none, self.horizons, self.weights)
        used: Ints = self.horizons[found.used]
        return {
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "used_horizons": used.tolist(),
            "reason": found.reason,
        }

    def _eps_on_expert(self, learner: str) -> tuple[intervals.Estimate, dict[str, float]]:
        last = int(self.horizons[-1])
        stored = [
            read_json(self.folders[f"proposals/{learner}/{self.town}/{k}"] / "errors.json")
            for k in range(self.config.n_seeds)
        ]
        errors = _padded([[np.array(error) for error in one] for one in stored], last)
        return self._mean(self._disagree(errors)), self._by_delta(errors)

    def _disagree(self, errors: Floats, delta: float | None = None) -> Floats:
        """Share of each episode's steps with an error above delta, (S, N)."""
        above = (errors > (self.delta if delta is None else delta)).sum(2)
        return np.asarray(above / np.isfinite(errors).sum(2))

    def _by_delta(self, errors: Floats) -> dict[str, float]:
        return {f"{delta:g}": float(self._disagree(errors, delta).mean()) for delta in est.DELTAS}

    def _mean(self, values: Floats) -> intervals.Estimate:
        return intervals.mean_with_interval(values, self.weights)

    def _recoverability(self, learner: str) -> dict[str, Any]:
        found = [
            read_json(self.folders[f"forks/{learner}/{self.town}/{k}"] / "forks.json")
            for k in range(self.config.n_seeds)
        ]
        summary: dict[str, Any] = {"n_disagreements": sum(one["n_disagreements"] for one in found)}
        for name in costs.COSTS:
            extra = np.concatenate([np.array(one[name], float) for one in found])
            summary[name] = asdict(recovery.recoverability(recovery.Forks.independent(extra)))
        return summary

    def _bounds(self, eps_expert: float, eps_own: float, u: dict[str, Any]) -> dict[str, Any]:
        """T^2 eps and u T eps at each horizon, and where they say nothing."""
        largest = u["absorbing"]["largest"]
        largest = None if not np.isfinite(largest) else largest
        table = {}
        for horizon in self.horizons.tolist():
            cloning = float(bounds.cloning_bound(eps_expert, horizon))
            entry: dict[str, Any] = {
                "cloning": cloning,
                "cloning_vacuous": bool(bounds.is_vacuous(cloning, horizon)),
                "interactive": None,
                "interactive_vacuous": None,
            }
            if largest is not None:
                value = float(bounds.interactive_bound(eps_own, largest, horizon))
                entry["interactive"] = value
                entry["interactive_vacuous"] = bool(bounds.is_vacuous(value, horizon))
            table[str(horizon)] = entry
        return table


def _padded(errors: list[list[Floats]], horizon: int) -> Floats:
    """Lays per-episode errors side by side, NaN after an episode's end, (S, N, T)."""
    whole = np.full((len(errors), len(errors[0]), horizon), np.nan)
    for s, one in enumerate(errors):
        for e, values in enumerate(one):
            whole[s, e, : len(values)] = values[:horizon]
    return whole


def claim(towns: dict[str, Any], horizon: int) -> dict[str, Any]:
    """What the experiment is expected to show, and whether it does, town by town."""
    found = {}
    for town, numbers in towns.items():
        cloning = numbers["learners"]["bc"]["absorbing"][str(horizon)]
        dagger = numbers["learners"]["dagger"]["absorbing"][str(horizon)]
        ratio = cloning["gap"] / dagger["gap"] if dagger["gap"] > 0 else None
        parts = numbers["expert"]["cost"].values()
        found[town] = {
            "ratio": ratio,
            "three_times": ratio is None or ratio >= 3.0,
            "disjoint": cloning["low"] > dagger["high"],
            "expert_costs_nothing": all(value == 0.0 for part in parts for value in part.values()),
        }
        found[town]["holds"] = all(value for key, value in found[town].items() if key != "ratio")
        augmented = numbers["learners"].get("bc_augmented")
        if augmented is not None:
            gap = augmented["absorbing"][str(horizon)]["gap"]
            found[town]["augmentation"] = _place(gap, dagger["gap"], cloning["gap"])
    return found


def _place(gap: float, dagger: float, cloning: float) -> dict[str, Any]:
    """Says where augmented cloning lies: 0 is as good as DAgger, 1 as bad as plain cloning."""
    way = (gap - dagger) / (cloning - dagger) if cloning > dagger else None
    return {"gap": gap, "from_dagger_to_cloning": way}
