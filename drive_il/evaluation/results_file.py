"""The results file of a leaderboard run: CARLA's structure and names, and ours beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drive_il.evaluation.protocol import Protocol
from drive_il.evaluation.route_result import RouteResult


@dataclass(frozen=True)
class Plan:
    """What a run was asked to do; a resumed run must have been asked the same.

    Attributes:
        protocol: the rules.
        drives: (route id, repetition), in order.
        seed: of the run.
        maps: name -> hash of each map.
        sensors: of the agent, in CARLA's short names ("carla_camera").
        agent: what drives.
    """

    protocol: Protocol
    drives: tuple[tuple[str, int], ...]
    seed: int
    maps: dict[str, str]
    sensors: tuple[str, ...] = ()
    agent: str = ""


class ResultsFile:
    """One results file, rewritten whole after each drive.

    Args:
        path: where.
        plan: what is to be driven.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        raise NotImplementedError

    @classmethod
    def resume(cls, path: Path, plan: Plan) -> ResultsFile:
        """Opens the file of an interrupted run.

        Raises:
            ValueError: damaged, or of another protocol, other routes or another seed.
        """
        raise NotImplementedError

    @property
    def done(self) -> frozenset[tuple[str, int]]:
        """The drives that have a record."""
        raise NotImplementedError

    def add(self, result: RouteResult) -> None:
        """Adds the record of one drive and writes the file."""
        raise NotImplementedError

    def finish(self, entry_status: str = "Finished") -> None:
        """Writes the global record and the entry's status."""
        raise NotImplementedError


def load(path: Path) -> dict[str, Any]:
    """Reads a results file.

    Raises:
        ValueError: damaged, or not a results file; says what is missing.
    """
    raise NotImplementedError


def route_results(document: dict[str, Any]) -> Sequence[RouteResult]:
    """Returns the drives of a results file."""
    raise NotImplementedError
