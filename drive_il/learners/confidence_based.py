"""Confidence-based autonomy (Chernova and Veloso 2009, JAIR 34).

    D <- demonstrations; pi, decision classifier <- train on D
    drive: confident execution: where  confidence(o) < tau_conf(decision)
                                or     distance to the nearest of D > tau_dist
           the expert drives this step, and D <- D + it; else pi drives
    corrective demonstration: where pi drives badly, the expert says what he would have done,
           and D <- D + it

    tau_conf(k) = mean confidence of the points wrongly put into decision k
    tau_dist    = 3 x mean distance of a point of D to its nearest neighbour

Confidence is low near the borders between decisions, distance large where nothing was
shown: two kinds of ignorance.

Departures: the paper's actions are discrete. Here the control stays continuous, and the
decision is which of nine kinds it is: steer left, straight or right; brake, coast or
drive. Distances are between the policy's features, to at most `n_neighbours` points, and
those of tau_dist to points of other drives: the next frame of the same one, a twentieth of a
second later, is so near that no new drive would ever be near enough. What the person corrects
is what would make him take the wheel (`gates.frightened`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from drive_il.datatypes import Bools, Episode, Floats, Ints, Observation, Records, Scene, State
from drive_il.doubt import Net, features_of, fit_net, net_fit
from drive_il.fit import FitConfig, ProgressFunction, labelled_frames, split
from drive_il.gates import HumanConfig, drivers, frightened
from drive_il.network_inputs import pedals_to_acceleration
from drive_il.networks import DrivingPolicy
from drive_il.protocols import Query
from drive_il.randomness import derive_seed
from drive_il.rounds import IterateSink, Place, Rounds, RoundsConfig, needs_each_label

STEER_BORDER = 0.1
"""a larger steer is a decision to turn"""
PEDAL_BORDER = 0.1
"""a larger acceleration is a decision to drive or to brake"""
N_DECISIONS = 9


@dataclass(frozen=True)
class Config:
    """Confidence-based autonomy."""

    distance: float = 3.0
    """tau_dist in mean distances between nearest neighbours"""
    held_out: float = 0.2
    """share of the labelled episodes that the confidence thresholds are taken from"""
    n_neighbours: int = 2000
    """points that distances are measured to, drawn from all"""
    human: HumanConfig = field(default_factory=HumanConfig)
    """who corrects"""
    decision_fit: FitConfig = field(default_factory=net_fit)
    """optimiser and length of the classifier's fit"""
    rounds: RoundsConfig = field(default_factory=lambda: RoundsConfig(steps_per_label=8))
    """rounds, budget, network and fit"""

    def __post_init__(self) -> None:
        if not self.distance > 0:
            raise ValueError(f"distance must be positive, got {self.distance}")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be in (0, 1), got {self.held_out}")
        if self.n_neighbours < 2:
            raise ValueError(f"n_neighbours must be at least 2, got {self.n_neighbours}")
        needs_each_label("confidence-based autonomy", self.rounds)


def decision(control: Records) -> Ints:
    """Returns which decision each control is, (N,) in [0, 9)."""
    acceleration = pedals_to_acceleration(control)
    turn = 1 + (control["steer"] > STEER_BORDER) - 1 * (control["steer"] < -STEER_BORDER)
    pedal = 1 + (acceleration > PEDAL_BORDER) - 1 * (acceleration < -PEDAL_BORDER)
    return np.asarray(3 * turn + pedal, np.int64)


def confidence_thresholds(confidence: Floats, called: Ints, truth: Ints) -> Floats:
    """Returns tau_conf of each decision: the mean confidence of what was wrongly put there.

    Args:
        confidence: of the decision called, (N,).
        called: decision of the classifier, (N,).
        truth: the expert's, (N,).

    Returns:
        (9,); 0 where nothing was wrong.
    """
    found = np.zeros(N_DECISIONS)
    for k in range(N_DECISIONS):
        wrong = (called == k) & (truth != k)
        if wrong.any():
            found[k] = confidence[wrong].mean()
    return found


def nearest_distances(points: Tensor, to: Tensor) -> Tensor:
    """Returns the distance of each point (N, F) to the nearest of others (M, F), (N,)."""
    return torch.cdist(points, to, compute_mode="donot_use_mm_for_euclid_dist").amin(1)


def mean_distance(points: Tensor, drive: Tensor) -> float:
    """Returns the mean distance of a point to its nearest neighbour of another drive.

    Args:
        points: (N, F).
        drive: which drive each is from, (N,); where all are from one, its own points count.
    """
    away = torch.cdist(points, points)
    same = drive[:, None] == drive
    if bool(same.all()):
        same = torch.eye(len(points), dtype=torch.bool)
    return float(away.masked_fill(same, torch.inf).amin(1).mean())


@dataclass(frozen=True)
class ConfidenceGate:
    """The expert drives where the policy is unsure or far from what it was shown.

    Attributes:
        policy: whose features are looked at.
        net: logits of the decisions.
        tau_conf: threshold of each decision, (9,).
        shown: features of what was shown, (M, F).
        tau_dist: threshold of the distance.
        human: what is corrected.
    """

    policy: DrivingPolicy
    net: Net
    tau_conf: Floats
    shown: Tensor
    tau_dist: float
    human: HumanConfig

    def initial_memory(self, n_rows: int) -> State:
        """Returns where the last act was bad already."""
        return {"bad": np.zeros(n_rows, np.bool_)}

    def decide(
        self,
        memory: State,
        scene: Scene,
        observation: Observation,
        control: Records,
        query: Query,
    ) -> tuple[State, Ints, Bools]:
        """Returns (memory, who (B,), ask (B,))."""
        confidence, called, distance = self.look(observation)
        unsure = (confidence < self.tau_conf[called]) | (distance > self.tau_dist)
        bad = frightened(scene, self.human)
        corrected = bad & ~memory["bad"]  # once for each act, not for all its consequences
        return {"bad": bad}, drivers(unsure), unsure | corrected

    def look(self, observation: Observation) -> tuple[Floats, Ints, Floats]:
        """Returns confidence (B,), decision (B,) and distance (B,)."""
        features = features_of(self.policy)

        def judge(batch: dict[str, Tensor]) -> Tensor:
            seen = features(batch)
            likely, which = self.net(seen).softmax(1).max(1)
            return torch.stack((likely, which.float(), nearest_distances(seen, self.shown)), 1)

        judged = self.policy.run(judge, observation).astype(np.float64)
        return judged[:, 0], judged[:, 1].astype(np.int64), judged[:, 2]


def gate_of(policy: DrivingPolicy, run: Rounds, config: Config, seed: int) -> ConfidenceGate:
    """Learns from all labels so far when the policy is to be trusted."""
    kept, held = split(len(run.episodes), config.held_out, derive_seed(seed, "held-out"))
    features = features_of(policy)
    learned = [run.episodes[k] for k in kept]
    frames, drive = labelled_frames(learned), np.repeat(kept, [one.labels for one in learned])
    seen = policy.run(features, frames).astype(np.float32)
    net = fit_net(seen, decision(frames["control"]), N_DECISIONS, config.decision_fit, seed)
    rng = np.random.default_rng(derive_seed(seed, "neighbours"))
    chosen = np.sort(rng.permutation(len(seen))[: config.n_neighbours])
    shown = torch.from_numpy(seen[chosen])
    apart = mean_distance(shown, torch.from_numpy(drive[chosen]))
    gate = ConfidenceGate(
        policy,
        net,
        np.zeros(N_DECISIONS),
        shown,
        config.distance * apart,
        config.human,
    )
    others = labelled_frames([run.episodes[k] for k in held or kept])
    confidence, called, _ = gate.look(others)
    tau = confidence_thresholds(confidence, called, decision(others["control"]))
    return ConfidenceGate(policy, net, tau, shown, gate.tau_dist, config.human)


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    sink: IterateSink | None = None,
) -> DrivingPolicy:
    """Runs confidence-based autonomy.

    Args:
        place: where.
        data: demonstrations, round one; driven when there are none.
        config: how.
        seed: of everything random.
        progress: called after every epoch and round.
        sink: is handed every iterate.

    Returns:
        The best iterate on validation.

    Raises:
        ValueError: too few specs, or the demonstrations alone exceed the budget.
    """
    run = Rounds(place, config.rounds, seed, progress, sink)
    run.demonstrate(data)
    policy = run.fit(1)
    for i in run.later:
        gate = gate_of(policy, run, config, derive_seed(seed, "gate", i))
        run.collect(i, gate)
        policy = run.fit(i)
        run.note(tau_conf=gate.tau_conf.tolist(), tau_dist=gate.tau_dist)
    return run.best("confidence_based", config)
