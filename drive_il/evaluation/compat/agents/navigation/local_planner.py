"""RoadOption, CARLA's navigation orders."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from drive_il_agent.absent import absent, way_out


class RoadOption(IntEnum):
    """What to do next along a route."""

    VOID = -1
    LEFT = 1
    RIGHT = 2
    STRAIGHT = 3
    LANEFOLLOW = 4
    CHANGELANELEFT = 5
    CHANGELANERIGHT = 6


LocalPlanner = absent(__name__, "LocalPlanner")


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
