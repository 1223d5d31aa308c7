"""Two results files side by side: what changed, and whether it is more than chance.

Drives are paired by route, repetition and episode seed; the unit of the intervals is the
route with all its repetitions, as in `scoring`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from drive_il.datatypes import Floats
from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.protocol import Protocol, protocol_of
from drive_il.evaluation.results_file import Plan, route_results
from drive_il.evaluation.route_result import RouteResult
from drive_il.evaluation.scoring import NAMES, kinds_of, route_scores
from drive_il.theory import intervals

_RESAMPLES = 5000
Key = tuple[str, str, int]
"""town, route id, repetition"""


@dataclass(frozen=True)
class Change:
    """How one number changed from A to B.

    Attributes:
        name: CARLA's name of a score, or of a kind of infraction (per km driven).
        a: mean over the paired drives of A.
        b: of B.
        difference: b - a.
        low: lower end of its interval; None for a single route.
        high: upper end.
    """

    name: str
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves out 0; a single route is what it is."""
        if self.low is None or self.high is None:
            return self.difference != 0.0
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True)
class Comparison:
    """What changed between two runs.

    Attributes:
        n_pairs: drives that both have.
        n_routes: different routes among them.
        only_a: drives that only A has.
        only_b: drives that only B has.
        scores: CARLA's three scores.
        infractions: of each kind, per kilometre driven.
    """

    n_pairs: int
    n_routes: int
    only_a: tuple[Key, ...]
    only_b: tuple[Key, ...]
    scores: tuple[Change, ...]
    infractions: tuple[Change, ...]

    def is_regression(self, tolerance: float) -> bool:
        """Whether B's driving score is lower by more than `tolerance`, beyond chance."""
        score = self.scores[0]
        end = score.difference if score.high is None else score.high
        return end < -tolerance


def compare(a: Mapping[str, Any], b: Mapping[str, Any], seed: int = 0) -> Comparison:
    """Compares two results files.

    Args:
        a: as `results_file.load` gave it; the older one.
        b: the newer one.
        seed: of the bootstrap.

    Raises:
        ValueError: they are of different protocols, worlds, maps, traffic, routes or seeds, or
            share no drive.
    """
    plans = [one["drive_il"]["plan"] for one in (a, b)]
    for name, what in (("protocol", "judged by"), ("protocol_version", "of protocol version")):
        if plans[0][name] != plans[1][name]:
            raise ValueError(
                f"A is {what} {plans[0][name]}, B {plans[1][name]}: their scores mean different "
                "things; run one of them again under the other's protocol"
            )
    crowds = [one["options"].get("traffic") for one in plans]
    if crowds[0] != crowds[1]:
        raise ValueError(
            f"A was driven among traffic {crowds[0]!r}, B among {crowds[1]!r}: give both runs the "
            "same --traffic"
        )
    worlds = [Plan.from_facts(one).world for one in plans]
    if worlds[0] != worlds[1]:
        raise ValueError(
            f"A was driven in the {worlds[0]} world, B in the {worlds[1]} one: give both runs the "
            "same --world"
        )
    for town in set(plans[0]["maps"]) & set(plans[1]["maps"]):
        if plans[0]["maps"][town] != plans[1]["maps"][town]:
            raise ValueError(f"A and B were driven on different versions of {town}")
    ours, theirs = ({_key(r): r for r in route_results(dict(one))} for one in (a, b))
    pairs = [key for key in ours if key in theirs]
    if not pairs:
        raise ValueError("A and B share no drive (town, route id, repetition)")
    for key in pairs:
        if _what(ours[key]) != _what(theirs[key]):
            raise ValueError(
                f"route {key[1]} in {key[0]} is another route in B than in A ({_what(ours[key])}, "
                f"{_what(theirs[key])}): give both runs the same --routes and --scenarios"
            )
        if ours[key].seed != theirs[key].seed:
            raise ValueError(
                f"route {key[1]} in {key[0]} was driven with seed {ours[key].seed} in A and "
                f"{theirs[key].seed} in B: what happened around them is not the same; give both "
                "runs the same --seed"
            )
    protocol = protocol_of(plans[0]["protocol"].removesuffix("+upstream-bugs"))
    return _compared(protocol, pairs, ours, theirs, seed)


def _compared(
    protocol: Protocol,
    pairs: Sequence[Key],
    ours: Mapping[Key, RouteResult],
    theirs: Mapping[Key, RouteResult],
    seed: int,
) -> Comparison:
    groups: dict[tuple[str, str], list[Key]] = {}
    for key in pairs:
        groups.setdefault(key[:2], []).append(key)

    def change(name: str, worth: Callable[[RouteResult], float]) -> Change:
        a, b = (
            np.array([np.mean([worth(side[key]) for key in group]) for group in groups.values()])
            for side in (ours, theirs)
        )
        low, high = _interval(b - a, seed)
        return Change(name, float(a.mean()), float(b.mean()), float((b - a).mean()), low, high)

    def score(name: str, result: RouteResult) -> float:
        return route_scores(protocol, result).named()[name]

    scores = tuple(change(name, partial(score, name)) for name in NAMES)
    infractions = tuple(change(str(kind), partial(_per_km, kind)) for kind in kinds_of(protocol))
    return Comparison(
        n_pairs=len(pairs),
        n_routes=len(groups),
        only_a=tuple(key for key in ours if key not in theirs),
        only_b=tuple(key for key in theirs if key not in ours),
        scores=scores,
        infractions=infractions,
    )


def _key(result: RouteResult) -> Key:
    return (result.town, result.route, result.repetition)


def _what(result: RouteResult) -> str:
    """What a route of this name is, as far as results tell."""
    return f"{result.length:.3f} m, {len(result.scenarios)} scenarios"


def _per_km(kind: Kind, result: RouteResult) -> float:
    driven = max(result.length * result.completion / 100.0, 1.0)
    return 1000.0 * sum(one.kind == kind for one in result.infractions) / driven


def _interval(differences: Floats, seed: int) -> tuple[float | None, float | None]:
    if len(differences) < 2:
        return None, None
    if np.ptp(differences) == 0.0:  # every route changed alike, mostly not at all
        return float(differences[0]), float(differences[0])
    weights = intervals.resamples(1, len(differences), _RESAMPLES, seed)[:, 0]
    low, high = intervals.interval(weights @ differences)
    return float(low), float(high)
