"""CarlaDataProvider without the world: the ego where the protocol shows it, and the own map."""

from __future__ import annotations

from typing import Any

import carla
from drive_il_agent.absent import way_out
from drive_il_agent.context import context
from drive_il_agent.hero import Hero


class _Provider(type):
    def __getattr__(cls, name: str) -> Any:
        raise way_out("CarlaDataProvider", name)


class CarlaDataProvider(metaclass=_Provider):
    """What of CarlaDataProvider an agent may know."""

    @staticmethod
    def get_hero_actor() -> Hero:
        """Returns the ego; its pose is known where the protocol shows it."""
        return Hero()

    @staticmethod
    def get_map(world: Any = None) -> Any:
        """Returns the carla.Map of an agent whose track has the map, where CARLA's wheel is."""
        if context.opendrive is None:
            raise RuntimeError(
                "the map is for agents of a MAP track: set self.track = Track.MAP, run with "
                "--track MAP and ask for sensor.opendrive_map"
            )
        return carla.Map(context.town, context.opendrive)


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
