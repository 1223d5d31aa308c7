"""Which world is driven in: the embedded one, or CARLA servers. All else is the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from drive_il.carla_sim.world import World as CarlaWorld
    from drive_il.maps.network import RoadNetwork
    from drive_il.protocols import Observer, World
    from drive_il.sensor_specs import ObservationSpec


@lru_cache(maxsize=4)
def _embedded(network: RoadNetwork, rows: int, dt: float, history: float) -> World:
    from drive_il.sim.world import World as EmbeddedWorld

    return EmbeddedWorld(network, rows, dt=dt, history=history)


@dataclass(frozen=True)
class WorldChoice:
    """Where to drive; plain values, so that a worker process can be told."""

    world: Literal["embedded", "carla"] = "embedded"
    """embedded, or carla for CARLA 0.9.16 servers (docs/carla_world.md)"""
    host: str = "127.0.0.1"
    """of the CARLA servers"""
    port: str = "2000"
    """of a CARLA server; 2000,2010 or 2000-2030 (steps of 10) for several: who answers is used"""
    start: str = ""
    """command that starts a CARLA server; {port} in it stands for the port"""

    def __post_init__(self) -> None:
        if self.world not in ("embedded", "carla"):
            raise ValueError(f"world must be embedded or carla, got {self.world!r}")
        if self.is_carla:
            from drive_il.carla_sim.servers import Servers

            Servers(self.host, self.port, self.start)

    @property
    def is_carla(self) -> bool:
        """Whether CARLA servers are driven."""
        return self.world == "carla"

    def workers(self, wanted: int) -> int:
        """Returns how many processes can drive at once: one per CARLA server, else as wanted."""
        if not self.is_carla:
            return wanted
        from drive_il.carla_sim.servers import Servers

        return max(min(wanted, Servers(self.host, self.port, self.start).count()), 1)


class Worlds:
    """Makes worlds of one choice, one after the other.

    A server holds one map at a time: a world on another map gives the servers of the one
    before back. A context manager, or call `close`.

    Args:
        choice: which.
        dt: step length [s].
        patience: for so long CARLA servers that others drive are waited for [s].
    """

    def __init__(
        self, choice: WorldChoice = WorldChoice(), dt: float = 0.05, patience: float = 0.0
    ) -> None:
        self.choice, self._dt, self._patience = choice, dt, patience
        self._key: tuple[str, int, float] | None = None
        self._carla: CarlaWorld | None = None

    def world(self, network: RoadNetwork, rows: int, history: float = 0.0) -> World:
        """Returns a world on a map, the one before where that will do.

        Args:
            network: the map.
            rows: B; of CARLA servers at most so many are used.
            history: as of `sim.World` [s].

        Raises:
            RuntimeError: no CARLA server is free.
        """
        if not self.choice.is_carla:
            return _embedded(network, rows, self._dt, history)
        key = (network.hash, rows, history)
        if self._carla is None or key != self._key:
            from drive_il.carla_sim.servers import Claim, Servers
            from drive_il.carla_sim.world import World as CarlaWorld

            self.close()
            servers = Servers(self.choice.host, self.choice.port, self.choice.start)
            claim = Claim(servers, rows, self._patience)
            self._carla = CarlaWorld(network, claim, dt=self._dt, history=history)
            self._key = key
        return self._carla

    def observer(self, network: RoadNetwork, spec: ObservationSpec, rows: int) -> Observer:
        """Returns what is seen in `world(network, rows, history=spec.history)`.

        On a CARLA server egos carry these sensors from their next episode on.

        Args:
            network: the map.
            spec: the sensors.
            rows: as of `world`.
        """
        if not self.choice.is_carla:
            from drive_il.sensors.observer import scene_observer

            return scene_observer(network, spec)
        from drive_il.carla_sim.observer import CarlaObserver

        self.world(network, rows, history=spec.history)
        assert self._carla is not None, "made just now"
        return CarlaObserver(self._carla, spec)

    def close(self) -> None:
        """Gives servers back."""
        if self._carla is not None:
            self._carla.close()
            self._carla = None
        self._key = None

    def __enter__(self) -> Worlds:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
