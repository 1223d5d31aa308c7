"""From driven episodes to the numbers of the regimes experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drive_il.datatypes import Array, Floats, Ints
from drive_il.randomness import derive_seed
from drive_il.theory import certificate, costs, density, intervals

if TYPE_CHECKING:
    from drive_il.experiments.regimes import Config

DELTA = 0.02
"""steer errors above it are disagreements; a tenth of full steer is a curve of the road"""
N_DRAWS = 2000
N_HORIZONS = 9
SPAN = 16.0
"""the longest horizon is so many times the shortest"""
Measured = list[Mapping[str, Array]]


def analyse(config: Config, folders: Mapping[str, Path]) -> dict[str, Any]:
    """Returns everything results.json holds, but for provenance."""
    from drive_il.experiments.regimes import METHODS, REGIMES
    from drive_il.experiments.regimes_escapes import METHODS as ESCAPES
    from drive_il.experiments.regimes_escapes import PLANTS

    table = _Table(config, folders)
    regimes = {one: {m: table.learner(one, m) for m in METHODS} for one in REGIMES}
    escapes = {one: {m: table.learner(one, m) for m in ESCAPES} for one in PLANTS}
    return {
        "experiment": "regimes",
        "delta": DELTA,
        "horizons": table.steps.tolist(),
        "interval_level": intervals.LEVEL,
        "interval_over": "seeds and drives" if config.seeds > 1 else "drives",
        "regimes": regimes,
        "escapes": escapes,
        "laws": {**laws(regimes, config.horizon), **escape_laws(escapes, config.horizon)},
    }


class _Table:
    """The numbers of one run."""

    def __init__(self, config: Config, folders: Mapping[str, Path]) -> None:
        self.config, self.folders = config, folders
        shortest = config.horizon / SPAN
        self.steps: Ints = np.unique(
            np.round(np.geomspace(shortest, config.horizon, N_HORIZONS)).astype(np.int64)
        )
        seed = derive_seed(config.seed, "regimes")
        self.weights = intervals.resamples(config.seeds, config.drives, N_DRAWS, seed)

    def learner(self, place: str, method: str) -> dict[str, Any]:
        """All numbers of one method in one place."""
        found: Measured = [
            np.load(self.folders[f"learn/{place}/{method}/{k}"] / "measured.npz")
            for k in range(self.config.seeds)
        ]
        failing = np.stack([one["failing"] for one in found])
        amiss = found[0]["expert_failing"]  # all seeds drive the same specs
        grown = certificate.growth(failing, amiss, self.steps, self.weights)
        deviation = np.stack([np.abs(one["lateral"]) for one in found])
        return grown | {
            "failed_drives": int(
                (costs.first_failure(failing.reshape(-1, failing.shape[2])) > 0).sum()
            ),
            "n_drives": int(failing.shape[0] * failing.shape[1]),
            "expert_failed_drives": int(amiss.any(1).sum()),
            "eps_expert": self._eps(found, "expert"),
            "eps_own": self._eps(found, "own"),
            "density": asdict(self._density(found)),
            "deviation": np.sqrt((deviation**2).mean((0, 1)))[:: self._every].tolist(),
            "deviation_steps": list(range(0, self.config.horizon + 1, self._every)),
            "weights": [one["weights"][:, 0].tolist() for one in found],
        }

    @property
    def _every(self) -> int:
        return max(1, self.config.horizon // 100)

    def _eps(self, found: Measured, whose: str) -> dict[str, float]:
        error = np.stack([np.abs(one[whose]) for one in found])
        share = (error > DELTA).sum(2) / np.maximum(np.isfinite(error).sum(2), 1)
        return asdict(intervals.mean_with_interval(share, self.weights, limits=(0.0, 1.0)))

    def _density(self, found: Measured) -> density.DensityRatio:
        mine = np.stack([self._shares(one["cells"]) for one in found])
        return density.density_ratio(mine, self._shares(found[0]["expert_cells"]), self.weights)

    @staticmethod
    def _shares(cells: Array) -> Floats:
        return density.shares(cells, density.N_CELLS)


def laws(regimes: Mapping[str, Any], horizon: int) -> dict[str, Any]:
    """Says of each regime whether its law is visible."""
    gap = {
        (place, method): _gap(one, horizon)
        for place, methods in regimes.items()
        for method, one in methods.items()
    }
    covered, uncovered = regimes["covered"], regimes["uncovered"]
    none = [gap["realisable", method] for method in regimes["realisable"]]
    c = covered["cloning"]
    return {
        "realisable": {
            "law": "nobody loses anything, however it is taught",
            "visible": all(one["value"] <= 0.01 * horizon for one in none),
            "measured": ", ".join(_words(m, gap["realisable", m]) for m in regimes["realisable"]),
        },
        "covered": {
            "law": "cloning is worse than the same demonstrations reweighted, which come close to "
            "DAgger without another label",
            "visible": _below(gap["covered", "reweighted"], gap["covered", "cloning"]),
            "measured": ", ".join(_words(m, gap["covered", m]) for m in covered),
        },
        "covered_ratio": {
            "law": "the expert has been where cloning goes, and its eps on own states is at most C "
            "times its eps on the expert's states",
            "visible": c["density"]["uncovered"]["value"] <= certificate.NEVER_THERE
            and c["eps_own"]["value"] <= c["density"]["ratio"]["value"] * c["eps_expert"]["value"],
            "measured": f"{c['eps_own']['value']:.3f} against C = "
            f"{c['density']['ratio']['value']:.1f} times {c['eps_expert']['value']:.3f}; "
            f"{100 * c['density']['uncovered']['value']:.1f} % of its states in cells where the "
            "expert never was",
        },
        "uncovered": {
            "law": "no weights help; only asking the expert does",
            "visible": _below(gap["uncovered", "dagger"], gap["uncovered", "cloning"])
            and not _below(gap["uncovered", "reweighted"], gap["uncovered", "cloning"]),
            "measured": ", ".join(_words(m, gap["uncovered", m]) for m in uncovered),
        },
        "uncovered_growth": {
            "law": "cloning's cost grows like T squared before it saturates",
            "visible": _holds_two(uncovered["cloning"]["exponent"]),
            "measured": _exponent(uncovered["cloning"]["exponent"]),
        },
    }


def escape_laws(escapes: Mapping[str, Any], horizon: int) -> dict[str, Any]:
    """Says of each escape whether it works where theory says so."""
    gap = {
        (place, method): _gap(one, horizon)
        for place, methods in escapes.items()
        for method, one in methods.items()
    }

    def said(place: str, *methods: str) -> str:
        return ", ".join(_words(method, gap[place, method]) for method in methods)

    return {
        "chunk_stable": {
            "law": "chunks of actions help where the car is stable by itself",
            "visible": _below(gap["stable", "chunk"], gap["stable", "single"]),
            "measured": said("stable", "single", "chunk"),
        },
        "chunk_unstable": {
            "law": "and do not where it is not",
            "visible": not _below(gap["unstable", "chunk"], gap["unstable", "single"]),
            "measured": said("unstable", "single", "chunk"),
        },
        "noise_unstable": {
            "law": "noise in the demonstrations helps where the car is unstable",
            "visible": _below(gap["unstable", "noise"], gap["unstable", "single"]),
            "measured": said("unstable", "single", "noise", "chunk_noise"),
        },
    }


def _gap(one: Mapping[str, Any], horizon: int) -> dict[str, float]:
    found = one["absorbing"][str(horizon)]
    return {"value": found["gap"], "low": found["low"], "high": found["high"]}


def _below(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether one gap is certainly smaller than another: their intervals do not meet."""
    return one["high"] < other["low"]


def _words(method: str, gap: Mapping[str, float]) -> str:
    name = method.replace("_", " and ")
    return f"{name} {gap['value']:.1f} [{gap['low']:.1f}, {gap['high']:.1f}]"


def _holds_two(exponent: Mapping[str, Any]) -> bool:
    return exponent["value"] is not None and exponent["low"] <= 2.0 <= exponent["high"]


def _exponent(exponent: Mapping[str, Any]) -> str:
    if exponent["value"] is None:
        return f"no exponent: {exponent['reason']}"
    return f"exponent {exponent['value']:.2f} [{exponent['low']:.2f}, {exponent['high']:.2f}]"
