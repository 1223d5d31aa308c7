"""Follows drives as they happen, or as they were logged, and says how they went."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drive_il.datatypes import Episode, EpisodeSpec, Ints, Outcome, Scene
from drive_il.evaluation.protocol import Protocol
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.maps.network import RoadNetwork

OnResult = Callable[[EpisodeSpec, RouteResult], None]


class Judge:
    """Judges B drives on one map; give it to `rollout.drive(judge=...)`.

    Args:
        network: the map.
        protocol: the rules.
        n_rows: B, rows of the world.
        on_result: told of each drive as soon as it is over, before its episode is handed out.
        repetition_of: which repetition of its route a spec is; 0 when not given.
    """

    def __init__(
        self,
        network: RoadNetwork,
        protocol: Protocol,
        n_rows: int,
        on_result: OnResult | None = None,
        repetition_of: Callable[[EpisodeSpec], int] = lambda spec: 0,
    ) -> None:
        raise NotImplementedError

    def begin(self, rows: Ints, specs: Sequence[EpisodeSpec]) -> None:
        """Starts judging new drives in these rows; `drive` calls it after each reset."""
        raise NotImplementedError

    def watch(self, scene: Scene, rows: Ints) -> Ints:
        """Judges one state of these rows, the first included; call it once per step.

        Args:
            scene: of these rows, in their order.
            rows: (N,).

        Returns:
            Outcome of each, RUNNING where the drive goes on, (N,).
        """
        raise NotImplementedError

    def fail(self, row: int, ending: Ending) -> None:
        """Ends the drive of a row at the next `watch`: the agent or the world has failed."""
        raise NotImplementedError

    def end(self, row: int, outcome: Outcome) -> None:
        """Closes the drive of a row; `drive` calls it, and `on_result` is told."""
        raise NotImplementedError

    def result(self, row: int) -> RouteResult:
        """Returns how the drive of a row went; holds from its end until the next `begin`.

        Raises:
            RuntimeError: while it is running.
        """
        raise NotImplementedError


def judge_episode(
    network: RoadNetwork, protocol: Protocol, episode: Episode, repetition: int = 0
) -> RouteResult:
    """Judges a logged drive; the result is that of a live judge, bit for bit."""
    raise NotImplementedError
