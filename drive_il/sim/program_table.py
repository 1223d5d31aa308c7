"""The scenario programs of a world's routes in growing arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drive_il.datatypes import Route
from drive_il.maps.network import RoadNetwork
from drive_il.scenarios.compiling import compile_route
from drive_il.scenarios.script import PATH_POINT, ROLE, SCRIPT
from drive_il.sim.programs import PROGRAM, ProgramArrays
from drive_il.sim.routes import Growing


class Programs:
    """The programs of one world's routes, parallel to them.

    Args:
        network: the map.
    """

    def __init__(self, network: RoadNetwork) -> None:
        self._network = network
        self._heads, self._scripts = Growing(PROGRAM), Growing(SCRIPT)
        self._roles, self._points = Growing(ROLE), Growing(PATH_POINT)

    def follow(self, routes: Sequence[Route]) -> None:
        """Compiles the scenarios of routes that have come since.

        Raises:
            ValueError: for a scenario of a type that is not known.
        """
        for route in routes[self._heads.n :]:
            program = compile_route(self._network, route)
            head = np.zeros(1, PROGRAM)
            for name, room, items in (
                ("script", self._scripts, program.scripts),
                ("role", self._roles, program.roles),
                ("point", self._points, program.points),
            ):
                head[f"{name}_first"], head[f"{name}_count"] = room.n, len(items)
                room.extend(items)
            head["vehicles"], head["walkers"] = program.vehicles, program.walkers
            head["parked"] = program.parked
            self._heads.extend(head)

    @property
    def arrays(self) -> ProgramArrays:
        """The present arrays."""
        return ProgramArrays(
            self._heads.items, self._scripts.items, self._roles.items, self._points.items
        )
