"""Thresholds of the leaderboard's route parser, for agents that import them."""

from __future__ import annotations

from typing import Any

from drive_il_agent.absent import way_out

DIST_THRESHOLD = 2.0
"""a scenario's trigger is this near to its route [m]"""
ANGLE_THRESHOLD = 10.0
"""and turned by less than this [deg]"""


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
