"""Who is compared by `drive-il reproduce learners`: one row each, and how it is trained.

A learner joins the comparison by a row here; a way of training that is not among those below
by a job of its own with the same arguments (see `learners_jobs.clone`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_JOBS = "drive_il.experiments.learners_jobs:"
CLONE, BESIDE, ROUNDS = _JOBS + "clone", _JOBS + "beside", _JOBS + "in_rounds"
PRACTICE = _JOBS + "practise"


@dataclass(frozen=True)
class Entry:
    """One learner.

    Attributes:
        title: what a person reads.
        color: in figures.
        module: of `drive_il.learners`.
        train: module:function of the job that trains it.
        changes: what differs from its Config, by dotted path.
        noise: it learns from demonstrations with pushes on the steer.
        target_point: it sees the next far waypoint.
        previous_action: it sees what the last step did.
        pictures: it makes no sense without a camera.
        vectors: it compares states as vectors, and cannot learn from pictures.
        each_label: none can be left out (`rounds.needs_each_label`).
        weight: expected duration of its training [s].
    """

    title: str
    color: str
    module: str
    train: str = CLONE
    changes: Mapping[str, Any] = field(default_factory=dict)
    noise: bool = False
    target_point: bool = False
    previous_action: bool = False
    pictures: bool = False
    vectors: bool = False
    each_label: bool = False
    weight: float = 20.0


def _head(kind: str) -> dict[str, Any]:
    return {"network.head.kind": kind}


_VIEWS = {"augmentation": "both"}
_PLAYED = {"game.n_iterations": 80}  # as in `reproduce gail`
_WAYPOINT_ROUNDS = {"rounds.network.head.kind": "waypoints"}

LEARNERS: dict[str, Entry] = {
    "bc": Entry("BC, L1", "#d1495b", "bc"),
    "bc_l2": Entry("BC, L2", "#e58a96", "bc", changes=_head("l2")),
    "bc_log_loss": Entry("BC, log-loss on bins", "#a83246", "bc", changes=_head("log_loss")),
    "bc_mixture": Entry("BC, mixture density", "#7d2230", "bc", changes=_head("mixture")),
    "bc_waypoints": Entry(
        "BC, waypoints", "#ef6f4c", "bc", changes=_head("waypoints"), target_point=True
    ),
    "bc_previous": Entry("BC, sees its last action", "#999999", "bc", previous_action=True),
    "bc_noise": Entry("BC, noise while demonstrating", "#f2a541", "bc", noise=True),
    "bc_augmented": Entry(
        "BC, shifted views", "#c77d0a", "bc", changes=_VIEWS, pictures=True, weight=300.0
    ),
    "pilotnet": Entry("PilotNet", "#8c6d46", "pilotnet"),
    "cil": Entry("CIL", "#b8860b", "cil", noise=True, weight=40.0),
    "cilrs": Entry("CILRS", "#6b8e23", "cilrs", noise=True, weight=40.0),
    "chauffeurnet": Entry(
        "ChauffeurNet", "#3b7d4f", "chauffeurnet", train=BESIDE, target_point=True, weight=40.0
    ),
    "dagger": Entry("DAgger", "#2a7f8e", "dagger", train=ROUNDS, weight=25.0),
    "dagger_waypoints": Entry(
        "DAgger, waypoints",
        "#4fb3c4",
        "dagger",
        train=ROUNDS,
        changes=_WAYPOINT_ROUNDS,
        target_point=True,
        weight=25.0,
    ),
    "safe_dagger": Entry("SafeDAgger", "#1b9e4b", "safe_dagger", train=ROUNDS, weight=25.0),
    "safe_dagger_oracle": Entry(
        "SafeDAgger* (oracle)",
        "#7cc48e",
        "safe_dagger",
        train=ROUNDS,
        changes={"oracle": True},
        each_label=True,
        weight=25.0,
    ),
    "hg_dagger": Entry("HG-DAgger", "#e0912f", "hg_dagger", train=ROUNDS, weight=60.0),
    "ensemble_dagger": Entry(
        "EnsembleDAgger", "#7a5195", "ensemble_dagger", train=ROUNDS, each_label=True, weight=60.0
    ),
    "lazy_dagger": Entry(
        "LazyDAgger", "#4a6fdc", "lazy_dagger", train=ROUNDS, each_label=True, weight=25.0
    ),
    "thrifty_dagger": Entry(
        "ThriftyDAgger", "#5b3fa0", "thrifty_dagger", train=ROUNDS, each_label=True, weight=60.0
    ),
    "confidence_based": Entry(
        "confidence-based",
        "#8c564b",
        "confidence_based",
        train=ROUNDS,
        each_label=True,
        weight=25.0,
    ),
    "dart": Entry("DART", "#e377c2", "dart", train=ROUNDS, weight=25.0),
    "stagger": Entry(
        "Warm-Stagger", "#555555", "stagger", train=ROUNDS, each_label=True, weight=25.0
    ),
    "gail": Entry(
        "GAIL", "#0b7285", "gail", train=PRACTICE, changes=_PLAYED, vectors=True, weight=150.0
    ),
    "airl": Entry(
        "AIRL", "#5c940d", "airl", train=PRACTICE, changes=_PLAYED, vectors=True, weight=150.0
    ),
    "sqil": Entry("SQIL", "#862e9c", "sqil", train=PRACTICE, vectors=True, weight=150.0),
}
"""Name on the command line -> learner"""
MAIN = ("bc", "bc_augmented", "bc_waypoints", "bc_noise", "dagger", "safe_dagger")
"""the six that are compared from pictures unless others are asked for"""
EXPERT_COLOR = "#1d2327"


def learners_for(observation: str, every: int) -> tuple[str, ...]:
    """Returns who is compared by default from what is observed, with one label of so many kept."""
    if observation == "camera":
        return MAIN
    as_vectors = observation in ("state", "vectors")
    return tuple(
        name
        for name, entry in LEARNERS.items()
        if not entry.pictures
        and (as_vectors or not entry.vectors)
        and (every == 1 or not entry.each_label)
    )
