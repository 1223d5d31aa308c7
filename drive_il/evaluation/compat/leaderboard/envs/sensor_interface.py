"""The errors of an agent's sensors, by the names that agents import."""

from __future__ import annotations

from typing import Any

from drive_il_agent.absent import way_out


class SensorConfigurationInvalid(Exception):
    """The sensors an agent wants are against the rules."""


class SensorReceivedNoData(Exception):
    """A sensor has said nothing for too long."""


class SensorInterface:
    """Stands where CARLA's holds sensor data: `run_step` is handed its data here."""


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
