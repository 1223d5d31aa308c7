"""Game time by the name that agents import."""

from __future__ import annotations

import time
from typing import Any

from drive_il_agent.absent import way_out
from drive_il_agent.context import context


class GameTime:
    """Time in the game, since the route began."""

    @staticmethod
    def get_time() -> float:
        """Returns game seconds."""
        return context.timestamp

    @staticmethod
    def get_carla_time() -> float:
        """Returns game seconds."""
        return context.timestamp

    @staticmethod
    def get_frame() -> int:
        """Returns the number of the current frame."""
        return context.frame

    @staticmethod
    def get_wallclocktime() -> float:
        """Returns the wall clock [s]."""
        return time.time()


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
