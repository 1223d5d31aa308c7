"""What a CARLA server holds, as an embedded world would hold it.

A mirror is an embedded world whose bodies somebody else moves: routes, scenarios, lights and
who is there at the start come about exactly as in an embedded episode of the same spec, which
is what makes the two comparable.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drive_il.actors import WALKER, Mover
from drive_il.carla_sim import mirroring
from drive_il.datatypes import EpisodeSpec, Ints, Records, Route, no_events
from drive_il.maps.network import RoadNetwork
from drive_il.sim import memory
from drive_il.sim.world import World

_CALM = no_events(1)[0]


class Mirror(World):
    """An embedded world of one ego each that is not stepped but told; see `sim.World`."""

    def __init__(
        self,
        network: RoadNetwork,
        n_rows: int,
        routes: Sequence[Route] = (),
        dt: float = 0.05,
        history: float = 0.0,
    ) -> None:
        super().__init__(network, n_rows, routes, dt, history=history)
        self._background = [False] * n_rows

    def leads_traffic(self, row: int) -> bool:
        """Whether the mirror moves those who follow the rules of the road, not CARLA.

        So it is where nobody but a scenario's actors can: they are then the same in both worlds.
        """
        return not self._background[row]

    def reset(self, rows: Ints, specs: list[EpisodeSpec]) -> None:
        """Starts episodes, see `sim.World.reset`."""
        for row, spec in zip(np.atleast_1d(rows).tolist(), specs, strict=True):
            by_rules = any(one.mover == Mover.TRAFFIC for one in spec.traffic.spawns)
            self._background[row] = bool(spec.traffic.vehicles) or by_rules
        super().reset(rows, specs)

    def lead(self, row: int) -> tuple[float, float]:
        """Plays scenarios and lights of one step; returns what shakes pedals and steer."""
        shaken = np.zeros(2)
        self._rows["events"][row] = _CALM
        mirroring.lead(row, self._held, shaken, self.leads_traffic(row), self.dt)
        return float(shaken[0]), float(shaken[1])

    def follow(self, row: int, moves_on: bool = True) -> None:
        """Finds out what the bodies' new places mean; `moves_on` lets a step pass."""
        mirroring.follow(row, self._held, self.leads_traffic(row), self.dt if moves_on else 0.0)
        if moves_on:
            self._rows["step"][row] += 1

    def touches(self, row: int) -> bool:
        """Whether the ego is within reach of anything that it could be in contact with."""
        return bool(mirroring.touches(row, self._held))

    def remember(self) -> None:
        """Writes down where everyone is, if the world was made to remember."""
        if self._n_past:
            memory.remember(self._rows, self._worlds)

    def vehicles(self, row: int) -> Records:
        """(V,) VEHICLE of a row's world, the ego first."""
        vehicles: Records = self._worlds["vehicles"][row]
        return vehicles

    def walkers(self, row: int) -> Records:
        """(P,) WALKER of a row's world."""
        walkers: Records = self._worlds["walkers"][row]
        return walkers

    def lights(self, row: int) -> Ints:
        """(S,) LightState of a row's world."""
        lights: Ints = self._worlds["lights"][row]
        return lights

    def make_place(self, row: int, walks: bool) -> tuple[int, int]:
        """Returns an empty slot for somebody who was not foreseen, and an id for him."""
        name, seat = ("walkers", 3) if walks else ("vehicles", 1)
        slot = self._free(name, int(self._worlds["seats"][row, seat]), row)
        if walks:
            self._worlds[name][row][slot] = np.zeros((), WALKER)
        else:
            self._empty(row, slot)
        return slot, self._next_id(row)
