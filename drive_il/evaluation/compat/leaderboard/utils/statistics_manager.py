"""The leaderboard's score keeper: not in the agent's process; imports of its names say so."""

from __future__ import annotations

from typing import Any

from drive_il_agent.absent import absent, way_out

StatisticsManager = absent(__name__, "StatisticsManager")


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
