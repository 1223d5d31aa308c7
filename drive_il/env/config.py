"""What an environment is made of: town, routes, sensors, traffic, reward, ends."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

from drive_il.actors import Traffic
from drive_il.datatypes import Start
from drive_il.sensor_specs import ObservationSpec

ActionKind = Literal["steer_acceleration", "control"]
"""what an action is: (steer, acceleration), or (throttle, brake, steer)"""
RouteOrder = Literal["random", "in_turn"]
"""how the route of an episode is chosen"""


@dataclass(frozen=True)
class RewardConfig:
    """The reward of a step is the sum of these terms; with the defaults it is in metres.

    Over an episode it adds up to the metres of route driven, less what was done wrong.
    """

    progress: float = 1.0
    """per metre of route reached for the first time [1/m]"""
    speeding: float = 1.0
    """taken off per metre driven beyond what the speed limit allows [1/m]"""
    deviation: float = 0.5
    """taken off per metre from the lane centre and second [1/(m s)]"""
    collision: float = 50.0
    """taken off at the beginning of each contact"""
    red_light: float = 20.0
    """taken off for each red light run"""
    stop_sign: float = 10.0
    """taken off for each stop sign passed without a halt"""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(
                    f"reward.{item.name} must be a finite number >= 0, got {value}; "
                    "0 leaves the term out"
                )


@dataclass(frozen=True)
class EnvConfig:
    """One environment."""

    town: str = "alder"
    """a map by name (`drive-il maps list`), or the path of an .xodr file"""
    routes: str = "train"
    """"train" or "test": the town's own suites; else the path of a route file"""
    route_order: RouteOrder = "random"
    """random: each episode draws a route by its seed; in_turn: one after the other"""
    observation: ObservationSpec = ObservationSpec()
    """which sensors"""
    action: ActionKind = "steer_acceleration"
    """steer_acceleration: 2 numbers; control: throttle, brake and steer"""
    traffic: Traffic = Traffic()
    """who else is on the road; drive_il.maps.density says what is normal"""
    start: Start = Start()
    """where on its route an episode starts"""
    dt: float = 0.05
    """step of the world [s]"""
    frame_skip: int = 1
    """steps of the world for which an action is held"""
    horizon: int = 2000
    """actions after which an episode is truncated"""
    max_deviation: float = 10.0
    """distance from the lane centre that ends an episode; may be infinite [m]"""
    end_on_collision: bool = True
    """whether the first contact ends an episode"""
    reward: RewardConfig | None = RewardConfig()
    """None: the reward is always 0, for imitation"""
    seed: int | None = None
    """of a reset without a seed before any with one; None: from the operating system"""

    def __post_init__(self) -> None:
        for name, kind in (("action", ActionKind), ("route_order", RouteOrder)):
            value, known = getattr(self, name), get_args(kind)
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        for name in ("frame_skip", "horizon"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.max_deviation > 0.0:
            raise ValueError(f"max_deviation must be positive, got {self.max_deviation} m")
        if not 0.0 < self.dt <= 0.5:
            raise ValueError(f"dt must be in (0, 0.5] s, got {self.dt}")
        if self.seed is not None and self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
