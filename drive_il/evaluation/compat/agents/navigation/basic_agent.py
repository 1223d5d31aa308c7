"""CARLA's own driving agents need its world: imports of their names say so when called."""

from __future__ import annotations

from typing import Any

from drive_il_agent.absent import absent, way_out

BasicAgent = absent(__name__, "BasicAgent")


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
