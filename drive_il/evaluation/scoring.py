"""What judged drives are worth: scores of a route, of an entry, and their intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drive_il.datatypes import Floats
from drive_il.evaluation.abilities import bench2drive
from drive_il.evaluation.conditions import parts_of, weather_set
from drive_il.evaluation.infractions import COLLISIONS, Kind
from drive_il.evaluation.protocol import Penalty, Protocol
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.theory import intervals

NAMES = ("score_composed", "score_route", "score_penalty")
"""CARLA's names of the driving score, the route completion and the penalty"""
_DIGITS = 6
_RESAMPLES = 2000


@dataclass(frozen=True)
class Scores:
    """Of one route, rounded as CARLA does, to 6 digits.

    Attributes:
        route: completion, in [0, 100] [%].
        penalty: in [0, 1].
        composed: driving score, in [0, 100].
    """

    route: float
    penalty: float
    composed: float

    def named(self) -> dict[str, float]:
        """Returns them by CARLA's names."""
        return dict(zip(NAMES, (self.composed, self.route, self.penalty), strict=True))


def route_scores(protocol: Protocol, result: RouteResult) -> Scores:
    """Returns the scores of one drive."""
    if protocol.binary:
        worth = 1.0 if _is_success(protocol, result) else 0.0
        return Scores(round(result.completion, _DIGITS), worth, 100.0 * worth)
    factor, coefficients = 1.0, 0.0
    for one in result.infractions:
        if one.kind == Kind.OUTSIDE_LANES:
            factor *= 1.0 - one.value / 100.0
        if one.kind not in protocol.costs:
            continue
        cost = protocol.costs[one.kind]
        # Slowness costs as much as it is slower than the traffic.
        weight = max(1.0 - one.value / 100.0, 0.0) if one.kind == Kind.MIN_SPEED else 1.0
        if protocol.penalty == Penalty.PRODUCT:
            factor *= 1.0 - (1.0 - cost) * weight
        else:
            coefficients += cost * weight
    penalty = factor / (1.0 + coefficients)
    composed = max(result.completion * penalty, 0.0)
    return Scores(*(round(value, _DIGITS) for value in (result.completion, penalty, composed)))


def _is_success(protocol: Protocol, result: RouteResult) -> bool:
    collided = any(one.kind in COLLISIONS for one in result.infractions)
    return result.ending == Ending.COMPLETED and not (protocol.ends_on_collision and collided)


def status_of(protocol: Protocol, result: RouteResult) -> str:
    """Returns CARLA's status line of one drive."""
    if result.ending != Ending.COMPLETED:
        return f"Failed - {result.ending.value}"
    return "Completed" if protocol.layout == 1 or result.infractions else "Perfect"


def global_scores(
    protocol: Protocol, results: Sequence[RouteResult], n_requested: int, seed: int = 0
) -> dict[str, Any]:
    """Returns the scores of an entry over all requested drives; missing ones count as 0.

    Args:
        protocol: the rules.
        results: of the drives that were made.
        n_requested: drives that were asked for.
        seed: of the bootstrap.

    Returns:
        `mean` and `std_dev` (n - 1; None for a single drive) by CARLA's names; `interval`, 95 %,
        by name, of the mean over routes, which are drawn with replacement with all their
        repetitions; `infractions` per kilometre by kind; `success_rate` [%] for protocols of
        success, and Bench2Drive's numbers for Bench2Drive, else None; `conditions`, see
        `condition_scores`.

    Raises:
        ValueError: for more results than drives, or none asked for.
    """
    if not n_requested > 0 or len(results) > n_requested:
        raise ValueError(f"got {len(results)} results of {n_requested} requested drives")
    made = [route_scores(protocol, result) for result in results]
    n_missing = n_requested - len(results)
    divisor = n_requested
    if protocol.upstream_bugs and protocol.fixed_routes:
        divisor = protocol.fixed_routes
    mean: dict[str, float] = {}
    spread: dict[str, float | None] = {}
    interval: dict[str, tuple[float, float] | None] = {}
    for name in NAMES:
        values = np.array([one.named()[name] for one in made] + [0.0] * n_missing)
        mean[name] = round(float(values.sum()) / divisor, _DIGITS)
        spread[name] = round(float(values.std(ddof=1)), _DIGITS) if len(values) > 1 else None
        interval[name] = _interval(values, [_route_of(protocol, one) for one in results], seed)
    is_bench = protocol.fixed_routes > 0
    return {
        "mean": mean,
        "std_dev": spread,
        "interval": interval,
        "infractions": infractions_per_km(protocol, results),
        "success_rate": mean["score_composed"] if protocol.binary else None,
        "bench2drive": bench2drive(results, divisor) if is_bench else None,
        "conditions": condition_scores(protocol, results, seed) if protocol.weathers else None,
    }


def condition_scores(
    protocol: Protocol, results: Sequence[RouteResult], seed: int = 0
) -> list[dict[str, Any]]:
    """Returns the success under each condition, as the papers' tables have it.

    Args:
        protocol: the rules.
        results: of the drives that were made.
        seed: of the bootstrap.

    Returns:
        `crowd`, `town`, `weathers` (the set's name), `n_drives`, `success_rate` [%], its 95 %
        `interval`, and `reasons`: ending -> drives that failed so. Crowds and sets of weathers
        are in the protocol's order; drives that were not made are not in it.
    """
    groups: dict[tuple[str, str, str], list[RouteResult]] = {}
    for one in results:
        _, condition = parts_of(protocol, one.route)
        if condition is not None:
            among = weather_set(protocol, condition.weather)
            groups.setdefault((condition.crowd, one.town, among), []).append(one)
    order = {name: k for k, name in enumerate((*protocol.crowds, *protocol.weathers))}
    found = []
    for crowd, town, among in sorted(
        groups, key=lambda one: (order.get(one[0], -1), one[0], one[1], order.get(one[2], -1))
    ):
        drives = groups[crowd, town, among]
        worth = np.array([route_scores(protocol, one).composed for one in drives])
        failed = [one for one in drives if not _is_success(protocol, one)]
        found.append(
            {
                "crowd": crowd,
                "town": town,
                "weathers": among,
                "n_drives": len(drives),
                "success_rate": round(float(worth.mean()), _DIGITS),
                "interval": _interval(worth, [_route_of(protocol, one) for one in drives], seed),
                "reasons": dict(sorted(Counter(one.ending.name for one in failed).items())),
            }
        )
    return found


def _route_of(protocol: Protocol, result: RouteResult) -> tuple[str, str]:
    """Returns what the bootstrap draws: town and route, the same under all conditions."""
    return result.town, parts_of(protocol, result.route)[0]


def _interval(
    values: Floats, names: Sequence[tuple[str, str]], seed: int
) -> tuple[float, float] | None:
    """Returns the bootstrap interval of the mean; None for fewer than two routes.

    Args:
        values: of the results, then of the drives that are missing.
        names: of the results' routes; those of one route are drawn together.
        seed: of the draws.
    """
    routes: dict[tuple[str, str], list[float]] = {}
    for k, value in enumerate(values.tolist()):
        key = names[k] if k < len(names) else ("", str(k))
        routes.setdefault(key, []).append(value)
    if len(routes) < 2:
        return None
    sums = np.array([sum(one) for one in routes.values()])
    counts = np.array([float(len(one)) for one in routes.values()])
    if np.ptp(sums) == 0.0 and np.ptp(counts) == 0.0:  # every draw is the same
        return (float(sums[0] / counts[0]),) * 2
    weights = intervals.resamples(1, len(routes), _RESAMPLES, seed)[:, 0]
    low, high = intervals.interval(weights @ sums / (weights @ counts))
    return round(float(low), _DIGITS), round(float(high), _DIGITS)


def infractions_per_km(protocol: Protocol, results: Sequence[RouteResult]) -> dict[str, float]:
    """Returns how often each rule was broken per kilometre driven, by CARLA's two rules.

    Leaderboard 1.0 sums the rates of the routes; 2.x divides all infractions by all kilometres,
    and for driving outside the lanes gives the kilometres themselves.
    """
    kinds = kinds_of(protocol)
    driven = [result.length * result.completion / 1e5 for result in results]
    rates = {}
    for kind in kinds:
        counts = [sum(one.kind == kind for one in result.infractions) for result in results]
        if protocol.layout == 1:
            rate = sum(n / km for n, km in zip(counts, driven, strict=True) if km > 0.0)
        elif kind == Kind.OUTSIDE_LANES:
            rate = sum(_outside(result) for result in results)
        else:
            rate = sum(counts) / max(sum(driven), 0.001)
        rates[str(kind)] = round(float(rate), 3)
    return rates


def _outside(result: RouteResult) -> float:
    """Returns how far a drive went outside the lanes [km]."""
    shares = [one.value for one in result.infractions if one.kind == Kind.OUTSIDE_LANES]
    return sum(shares) / 100.0 * result.length * result.completion / 1e5


def kinds_of(protocol: Protocol) -> list[Kind]:
    """Returns the kinds of infraction that a protocol's results list."""
    later = (Kind.MIN_SPEED, Kind.YIELD, Kind.SCENARIO_TIMEOUT)
    return [kind for kind in Kind if protocol.layout == 2 or kind not in later]
