"""GlobalRoutePlannerDAO of CARLA 0.9.10: a map and a resolution."""

from __future__ import annotations

from typing import Any

from drive_il_agent.absent import way_out


class GlobalRoutePlannerDAO:
    """Holds what GlobalRoutePlanner was made from."""

    def __init__(self, wmap: Any, sampling_resolution: float = 1.0) -> None:
        self._wmap, self._sampling_resolution = wmap, sampling_resolution


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
