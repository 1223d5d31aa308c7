"""What judged drives are worth: scores of a route, of an entry, and their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drive_il.evaluation.protocol import Protocol
from drive_il.evaluation.route_result import RouteResult


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


def route_scores(protocol: Protocol, result: RouteResult) -> Scores:
    """Returns the scores of one drive."""
    raise NotImplementedError


def status_of(protocol: Protocol, result: RouteResult) -> str:
    """Returns CARLA's status line of one drive."""
    raise NotImplementedError


def global_scores(
    protocol: Protocol, results: Sequence[RouteResult], n_requested: int, seed: int = 0
) -> dict[str, Any]:
    """Returns the scores of an entry over all requested drives; missing ones count as 0."""
    raise NotImplementedError
