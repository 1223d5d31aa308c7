"""A server's traffic lights, led by the mirror: an episode's lights come from its seed.

CARLA's own cycles are frozen; each light shows what the mirror's cycle says, so that the same
episode has the same lights in both worlds, and a scenario can set them.
"""

from __future__ import annotations

import logging
from typing import Any

import carla
import numpy as np

from drive_il.actors import LightState
from drive_il.carla_sim.connection import Connection
from drive_il.datatypes import Ints
from drive_il.maps.network import RoadNetwork, SignalKind

_log = logging.getLogger("drive_il.carla")
_STATES = {
    LightState.RED: carla.TrafficLightState.Red,
    LightState.YELLOW: carla.TrafficLightState.Yellow,
    LightState.GREEN: carla.TrafficLightState.Green,
    LightState.OFF: carla.TrafficLightState.Off,
    LightState.UNKNOWN: carla.TrafficLightState.Unknown,
}


class Lights:
    """The lights of one server.

    Args:
        connection: of the server.
        network: its map.
    """

    def __init__(self, connection: Connection, network: RoadNetwork) -> None:
        self._connection = connection
        signals = network.signals
        is_light = np.flatnonzero(signals["kind"] == SignalKind.LIGHT)
        by_id = {str(int(signals["id"][k])): int(k) for k in is_light}
        actors = connection.ask(connection.world.get_actors).filter("traffic.traffic_light*")
        self._actors: dict[int, Any] = {}
        for actor in actors:
            signal = by_id.get(connection.ask(actor.get_opendrive_id))
            if signal is not None:
                self._actors[signal] = actor
        missing = len(is_light) - len(self._actors)
        if missing:
            _log.warning("%d of %s's lights are not on the server", missing, network.name)
        self._shown: dict[int, int] = {}

    def freeze(self, frozen: bool) -> None:
        """Takes the lights over, or gives them back to CARLA's cycles."""
        self._shown.clear()
        if self._actors:
            self._connection.ask(lambda: self._connection.world.freeze_all_traffic_lights(frozen))

    def show(self, lights: Ints) -> None:
        """Sets those that have changed, (S,) LightState; they show it after the next tick."""
        for signal, actor in self._actors.items():
            state = int(lights[signal])
            if self._shown.get(signal) != state:
                self._shown[signal] = state
                actor.set_state(_STATES[LightState(state)])

    @property
    def ids(self) -> set[int]:
        """Their actors."""
        return {actor.id for actor in self._actors.values()}
