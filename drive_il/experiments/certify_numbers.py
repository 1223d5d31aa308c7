"""From a certificate's drives and forks to its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drive_il.datatypes import Bools, Episode, Floats, Ints
from drive_il.experiments import certify_log_loss as log_loss
from drive_il.experiments.certify_forks import Disagreements, disagreements, handed_over
from drive_il.experiments.certify_jobs import delta_of, gathered, of_kind
from drive_il.experiments.drives import ETA, read_json
from drive_il.randomness import derive_seed
from drive_il.theory import certificate, costs, density, handovers, intervals, recovery
from drive_il.theory import estimators as est

if TYPE_CHECKING:
    from drive_il.experiments.certify import Config

N_DRAWS = 2000
"""bootstrap draws"""
N_HORIZONS = 11
SPAN = 20.0
"""the longest horizon is so many times the shortest"""
NOT_FORKED = "an agent in CARLA's interface keeps its memory to itself and cannot be forked"
EXPERT_ERRS_NOT = "the expert never differs from itself: there is nothing to fork"


@dataclass(frozen=True)
class Seen:
    """What a certificate is computed from.

    Attributes:
        driven: drives of who is certified.
        truth: the expert's, of the same specs.
        forks: what `certify_forks.forks` found; None where nothing can be forked.
        handovers: of each failed drive that was searched, what it costs when the expert takes
            over after t steps, at some t; None where nothing can be forked.
        delta: tolerance of the 0-1 loss.
        measured: of each town, what steer errors cost the expert.
        log_probability: of the expert's actions on its states, NaN after the end, (N, T); None
            where the policy has none.
        log_loss_reason: why None, or empty.
    """

    driven: list[Episode]
    truth: list[Episode]
    forks: list[dict[str, Any]] | None
    handovers: dict[int, dict[int, float]] | None
    delta: float
    measured: dict[str, dict[str, list[float]]]
    log_probability: Floats | None
    log_loss_reason: str


def seen(folders: Mapping[str, Path]) -> Seen:
    """Reads what the jobs of one certificate have written."""
    parts = of_kind(folders, "forks").values()
    found = [one for folder in parts for one in read_json(folder / "forks.json")]
    truth = gathered(folders, "truth")
    beside = list(of_kind(folders, "truth").values())
    return Seen(
        gathered(folders, "own"),
        truth,
        sorted(found, key=lambda one: (one["drive"], one["step"])) if parts else None,
        handed_over(folders) if parts else None,
        delta_of(folders),
        {
            town: read_json(folder / "tolerance.json")
            for town, folder in of_kind(folders, "tolerance").items()
        },
        *log_loss.read(beside, truth[0].spec.max_steps),
    )


def analyse(config: Config, data: Seen) -> dict[str, Any]:
    """Returns everything certificate.json holds, but for provenance."""
    return _Certificate(config, data).result()


class _Certificate:
    """The numbers of one certificate, one group after the other."""

    def __init__(self, config: Config, data: Seen) -> None:
        self.config, self.data = config, data
        self.horizon = config.horizon
        self.steps = np.unique(
            np.round(np.geomspace(self.horizon / SPAN, self.horizon, N_HORIZONS)).astype(np.int64)
        )
        self.truth = costs.tracks(data.truth, self.horizon)
        self.own = costs.tracks(data.driven, self.horizon)
        n = len(data.driven)
        self.weights = intervals.resamples(1, n, N_DRAWS, derive_seed(config.seed, "certificate"))
        self.failing = costs.failures(self.own, self.truth)
        self.amiss = costs.failures(self.truth, self.truth).either
        self.errs = disagreements(data.driven, self.truth)

    def result(self) -> dict[str, Any]:
        """Puts all groups together."""
        last = str(self.horizon)
        grown = certificate.growth(self.failing.either[None], self.amiss, self.steps, self.weights)
        gap = grown["absorbing"][last]
        forked = self._forks()
        errors = self._errors()
        ratio = self._density()
        loss = errors["log_loss"]
        measured = self._measured(gap["gap"], forked, ratio, loss and loss["value"])
        rows = certificate.bound_table(measured)
        eps_expert = self._over_horizon(self._expert_errors(), None)
        return {
            "n_drives": len(self.data.driven),
            "horizon": self.horizon,
            "dt": self.data.driven[0].dt,
            "horizons": self.steps.tolist(),
            "interval_over": "drives",
            "interval_level": intervals.LEVEL,
            "failed_drives": int((self.errs.failed_at > 0).sum()),
            "cost": self._cost(),
            **grown,
            "gap_parts": self._parts(),
            "tolerance": {"delta": self.data.delta, "eta": ETA, "by_town": self.data.measured},
            **errors,
            **forked,
            "density": asdict(ratio),
            "no_return": self._no_return(),
            "bounds": rows,
            "tightest": certificate.tightest(rows),
            "regime": certificate.regime(
                eps_expert,
                gap["low"],
                ratio.uncovered,
                ratio.effective.value,
                self.horizon,
            ),
        }

    def _cost(self) -> dict[str, Any]:
        """J at the longest horizon, with its interval."""
        limits = (0.0, float(self.horizon))
        found = {}
        for who, failing in (("learner", self.failing.either), ("expert", self.amiss)):
            total = costs.absorbing(failing)[:, -1]
            found[who] = asdict(intervals.mean_with_interval(total[None], self.weights, limits))
        return found

    def _parts(self) -> dict[str, float]:
        """The absorbing gap by what fails: off the lane, behind the expert."""
        theirs = costs.absorbing(self.amiss)[:, -1].mean()
        return {
            name: float(costs.absorbing(failing)[:, -1].mean() - theirs)
            for name, failing in self.failing.parts().items()
        }

    def _expert_errors(self) -> Floats:
        """Signed steer errors on the expert's states, (N, T)."""
        found = np.full((len(self.data.truth), self.horizon), np.nan)
        for row, episode in zip(found, self.data.truth, strict=True):
            n = min(episode.n_steps, self.horizon)
            proposed = episode.policy_control["steer"][:n]
            row[:n] = proposed - episode.control["steer"][:n]
            if self.config.is_expert:
                row[:n] = 0.0
        return found

    def _errors(self) -> dict[str, Any]:
        delta = self.data.delta
        found: dict[str, Any] = {}
        for name, difference in (("expert", self._expert_errors()), ("own", self.errs.error)):
            one = est.errors(difference[None], delta, est.DELTAS, self.weights)
            found[f"eps_{name}"] = asdict(one.eps)
            found[f"eps_{name}_by_delta"] = {f"{d:g}": asdict(e) for d, e in one.by_delta.items()}
            found[f"steer_error_{name}"] = asdict(one.absolute)
            found[f"steer_l2_{name}"] = asdict(one.root_mean_square)
        likely = self.data.log_probability
        loss = None if likely is None else est.log_loss(likely[None], self.weights)
        found["log_loss"] = None if loss is None else asdict(loss)
        found["log_loss_reason"] = self.data.log_loss_reason
        return found

    def _over_horizon(self, error: Floats, alive: Bools | None) -> intervals.Estimate:
        """Share of all T steps that disagree; steps after the end count as agreement."""
        wrong = np.abs(error) > self.data.delta
        if alive is not None:
            wrong &= alive
        share = wrong.sum(1) / self.horizon
        return intervals.mean_with_interval(share[None], self.weights, limits=(0.0, 1.0))

    def _forks(self) -> dict[str, Any]:
        """u, k and the identity, or why there are none."""
        gap = costs.absorbing(self.failing.either)[:, -1] - costs.absorbing(self.amiss)[:, -1]
        if self.data.forks is None:
            reason = EXPERT_ERRS_NOT if self.config.is_expert else NOT_FORKED
            return {"u": None, "u_recoverable": None, "k": None, "identity": None} | {
                "n_forks": 0,
                "n_handovers": 0,
                "forks_reason": reason,
            }
        at = self.data.forks
        seed = derive_seed(self.config.seed, "forks")
        wrong = [one for one in at if one["error"] > self.data.delta]
        back = np.array([math.inf if one["back"] is None else one["back"] for one in wrong])
        whole = recovery.gap_identity(gap[None], self._of(at), self.weights)
        seen = self._of(wrong).per_episode(self._of(wrong).extra).mean() if wrong else 0.0
        return {
            "u": _or_none(recovery.recoverability(self._of(wrong), seed)),
            "u_recoverable": _or_none(
                recovery.recoverability(self._of(wrong, "recoverable"), seed)
            ),
            "k": asdict(recovery.return_time(back, seed, probability=self._of(wrong).probability)),
            "identity": asdict(whole)
            | {"holds": whole.holds, "explained_by_disagreements": float(seen)},
            "n_forks": len(at),
            "n_handovers": sum(len(known) - 1 for known in (self.data.handovers or {}).values()),
            "n_forks_at_disagreements": len(wrong),
            "forks_reason": "",
        }

    def _of(self, at: Sequence[dict[str, Any]], cost: str = "absorbing") -> recovery.Forks:
        return recovery.Forks(
            np.array([one[cost] for one in at], np.float64),
            np.array([one["drive"] for one in at], np.int64),
            np.array([one["chance"] for one in at], np.float64),
            (1, len(self.data.driven)),
        )

    def _density(self) -> density.DensityRatio:
        """C on coarse cells, and where the expert never was."""
        mine, theirs = (
            density.shares(_cells(episodes, self.horizon), density.N_CELLS)
            for episodes in (self.data.driven, self.data.truth)
        )
        return density.density_ratio(mine[None], theirs, self.weights)

    def _measured(
        self,
        gap: float,
        forked: Mapping[str, Any],
        ratio: density.DensityRatio,
        loss: float | None,
    ) -> certificate.Measured:
        u = k = slope = None
        alive = self.errs.alive
        if self.data.forks is not None:
            wrong = [one for one in self.data.forks if one["error"] > self.data.delta]
            u = max([one["absorbing"] for one in wrong], default=0.0)
            back = [math.inf if one["back"] is None else one["back"] for one in wrong]
            k = max(back, default=0.0)
            tiny = 1e-3
            slope = max(
                [one["absorbing"] / max(one["error"], tiny) for one in self.data.forks], default=0.0
            )
            u, k, slope = max(u, 0.0), max(k, 0.0), max(slope, 0.0)
        size = np.where(alive & np.isfinite(self.errs.error), self.errs.error, 0.0)
        return certificate.Measured(
            gap=gap,
            horizon=self.horizon,
            eps_expert=self._over_horizon(self._expert_errors(), None).value,
            eps_own=self._over_horizon(self.errs.error, alive).value,
            error_own=float(size.sum(1).mean() / self.horizon),
            u=u,
            k=k,
            ratio=math.inf if ratio.uncovered.value > 0 else ratio.ratio.value,
            slope=slope,
            log_loss=loss,
            eps_expert_high=self._over_horizon(self._expert_errors(), None).high,
        )

    def _no_return(self) -> dict[str, Any]:
        """How long before a failure it was too late, [s]."""
        dt = self.data.driven[0].dt
        late = np.array([end - step for step, end in too_late(self.data).values()]) * dt
        if len(late) == 0:
            return {"n": 0, "median": None, "p05": None, "p95": None}
        low, middle, high = np.quantile(late, (0.05, 0.5, 0.95))
        return {"n": len(late), "median": middle, "p05": low, "p95": high}


def too_late(data: Seen) -> dict[int, tuple[int, int]]:
    """Returns the last step at which the expert could save a failed drive, and the failure's."""
    return {
        drive: (handovers.last_saved(costs), max(costs))
        for drive, costs in sorted((data.handovers or {}).items())
    }


def _or_none(found: recovery.Recoverability) -> dict[str, Any] | None:
    return asdict(found) if found.n_forks else None


def _cells(episodes: Sequence[Episode], horizon: int) -> Ints:
    """The cell of each state that was acted in, -1 after the end, (N, T)."""
    found = np.full((len(episodes), horizon), -1, np.int64)
    for row, episode in zip(found, episodes, strict=True):
        n = min(episode.n_steps, horizon)
        at = episode.progress[:n]
        row[:n] = density.cells(at["lateral_error"], at["heading_error"], episode.ego["speed"][:n])
    return found


def onsets(data: Seen, errs: Disagreements) -> Bools:
    """Where errors begin: disagreements after an agreement, before the first failure, (N, T)."""
    return recovery.onsets((errs.error > data.delta) & errs.alive)
