"""The class that agents derive from: the leaderboard's interface, all three dialects.

Leaderboard 1.0 makes an agent from its config and calls `setup` in the constructor;
leaderboard 2 makes it from host, port and debug and calls `setup` later, when the plan is
known; Bench2Drive adds the ego's pose and the dense GPS plan.
(CARLA leaderboard documentation, "Creating your autonomous agent".)
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import carla
from drive_il_agent.context import context
from drive_il_agent.hero import Hero, metric_info
from leaderboard.envs.sensor_interface import SensorInterface
from leaderboard.utils.route_manipulation import downsample_route


class Track(Enum):
    """What an agent may see."""

    SENSORS = "SENSORS"
    MAP = "MAP"
    SENSORS_QUALIFIER = "SENSORS_QUALIFIER"
    MAP_QUALIFIER = "MAP_QUALIFIER"


class AutonomousAgent:
    """Base class of agents."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.track = Track.SENSORS
        self._global_plan: Any = None
        self._global_plan_world_coord: Any = None
        self._plan_gps_HACK: Any = None
        self.org_dense_route_gps: Any = None
        self.org_dense_route_world_coord: Any = None
        self.sensor_interface = SensorInterface()
        self.wallclock_t0 = None
        self.hero_actor = Hero()
        if len(arguments) + len(keywords) == 1:  # leaderboard 1.0: one argument, the config
            self.setup(*arguments, *keywords.values())

    def setup(self, path_to_conf_file: str) -> None:
        """Prepares the agent; sets `self.track`."""

    def sensors(self) -> list[dict[str, Any]]:
        """Returns the sensors it wants."""
        return []

    def run_step(self, input_data: dict[str, Any], timestamp: float) -> Any:
        """Returns the carla.VehicleControl of this step."""
        return carla.VehicleControl()

    def destroy(self) -> None:
        """Is called after each route."""

    def set_global_plan(self, global_plan_gps: list[Any], global_plan_world_coord: Any) -> None:
        """Takes the dense route and keeps it downsampled."""
        kept = downsample_route(global_plan_world_coord, context.plan_spacing)
        self._global_plan_world_coord = [tuple(global_plan_world_coord[i][:2]) for i in kept]
        self._global_plan = [global_plan_gps[i] for i in kept]
        self._plan_gps_HACK = global_plan_gps
        self.org_dense_route_gps = global_plan_gps
        self.org_dense_route_world_coord = global_plan_world_coord

    def get_hero(self) -> None:
        """Sets `hero_actor`, as Bench2Drive's constructor does."""
        self.hero_actor = Hero()

    def get_metric_info(self) -> dict[str, list[float]]:
        """Returns the ego's pose and motion, as Bench2Drive has it."""
        return metric_info(self.hero_actor)

    @staticmethod
    def get_ros_version() -> int:
        """Returns -1: no ROS agent."""
        return -1
