"""What else is in a world beside the ego: kinds, records and what traffic an episode asks for.

A world holds W boxes-with-wheels-or-without in one (W, V) array of VEHICLE (the egos are its
first slots), walkers in another, and one state per traffic light. A slot whose `id` is 0 is
empty; ids are never used again within an episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

import numpy as np


class ActorKind(IntEnum):
    """What a vehicle slot holds; decides size, dynamics, look and CARLA's tag."""

    CAR = 0
    VAN = 1
    TRUCK = 2
    BUS = 3
    MOTORCYCLE = 4
    BICYCLE = 5
    PROP = 6  # a box that stands there: barrier, cone, container


class Mover(IntEnum):
    """Who moves an actor."""

    TRAFFIC = 0  # the rules of the road
    CONTROL = 1  # a Control from outside; the ego is moved so
    SCRIPT = 2  # a scenario
    NOBODY = 3  # it stands where it is: parked


class VehicleLight(IntFlag):
    """Lamps of a vehicle; CARLA's VehicleLightState."""

    NONE = 0
    POSITION = 0x1
    LOW_BEAM = 0x2
    HIGH_BEAM = 0x4
    BRAKE = 0x8
    RIGHT_BLINKER = 0x10
    LEFT_BLINKER = 0x20
    REVERSE = 0x40
    FOG = 0x80
    INTERIOR = 0x100
    SPECIAL1 = 0x200  # emergency lights
    SPECIAL2 = 0x400


class LightState(IntEnum):
    """State of a traffic light; CARLA's TrafficLightState."""

    RED = 0
    YELLOW = 1
    GREEN = 2
    OFF = 3
    UNKNOWN = 4


class Struck(IntEnum):
    """What the ego has run into."""

    NOTHING = 0
    VEHICLE = 1
    WALKER = 2
    STATIC = 3  # scenery, a prop, a kerb


class Gait(IntEnum):
    """What a walker is doing."""

    WALKING = 0  # along a sidewalk
    WAITING = 1  # at the kerb, for a gap or a light
    CROSSING = 2  # over the road
    SCRIPTED = 3  # told where to go by a scenario or from outside
    STANDING = 4


WALKER = np.dtype(
    [
        ("x", "f8"),  # [m] world frame
        ("y", "f8"),
        ("z", "f8"),  # [m] height of the ground below
        ("heading", "f8"),  # [rad]
        ("speed", "f8"),  # [m/s]
        ("radius", "f8"),  # [m] walkers collide as discs
        ("height", "f8"),  # [m]
        ("id", "i4"),  # 0: empty slot
        ("gait", "i4"),  # Gait
        ("child", "?"),
        ("r", "u1"),  # colour of the clothes
        ("g", "u1"),
        ("b", "u1"),
    ]
)
"""State of one walker."""

EVENTS = np.dtype(
    [
        ("struck", "i4"),  # Struck: what the ego ran into in this step, NOTHING mostly
        ("struck_id", "i4"),  # id of that vehicle or walker, 0 for scenery and kerbs
        ("struck_x", "f8"),  # [m] where, world frame
        ("struck_y", "f8"),
        ("struck_speed", "f8"),  # [m/s] how hard: closing speed along the normal
        ("impulse_x", "f8"),  # [N s] on the ego, world frame
        ("impulse_y", "f8"),
        ("red_light", "i4"),  # index into signals of a light run at red in this step, -1
        ("stop_sign", "i4"),  # index of a stop sign passed without a halt in this step, -1
        ("left_mark", "u1"),  # MarkType that the ego's left side crossed in this step, 0 none
        ("right_mark", "u1"),
        ("scenario_timeout", "i4"),  # index of a scenario of the route given up in this step, -1
    ]
)
"""What happened to one ego in the last step. A contact is reported in every step it lasts."""

ROUTE_STOP = np.dtype(
    [
        ("s", "f8"),  # [m] of the stop line, along the route
        ("signal", "i4"),  # index into RoadNetwork.signals
        ("kind", "i4"),  # SignalKind: LIGHT, STOP or YIELD
        ("exit_s", "f8"),  # [m] where the route leaves the junction behind the line
    ]
)
"""A stop line that a route crosses."""


@dataclass(frozen=True)
class Spawn:
    """One vehicle to be put into a world.

    Attributes:
        kind: of vehicle.
        x: world frame [m].
        y: [m].
        heading: [rad].
        speed: [m/s].
        mover: who moves it.
    """

    kind: ActorKind
    x: float
    y: float
    heading: float
    speed: float = 0.0
    mover: Mover = Mover.TRAFFIC


@dataclass(frozen=True)
class Traffic:
    """What else is on the road in an episode. The default is an empty, lawless map."""

    vehicles: int = 0
    """vehicles that follow the rules of the road, spawned on free lanes"""
    walkers: int = 0
    """people on the sidewalks and crossings"""
    parked: int = 0
    """parked vehicles, where the map has parking lanes"""
    signals: bool = False
    """traffic lights run and stop signs bind the ego"""
    jaywalkers: float = 0.1
    """share of the walkers that cross without regard for traffic"""
    slippery: bool = False
    """a wet road holds tyres less, by the weather of the (first) ego's route; else nothing slips"""
    cars_only: bool = False
    """no vans, trucks, buses, motorcycles and bicycles"""
    spawns: tuple[Spawn, ...] = ()
    """further vehicles, by list"""

    def __post_init__(self) -> None:
        for name in ("vehicles", "walkers", "parked"):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f"traffic.{name} must be >= 0, got {value}")
            if value % 1:  # also true for infinity
                raise ValueError(
                    f"traffic.{name} is a number of actors, got {value}; "
                    "drive_il.maps.density turns a density into one"
                )
        if not 0.0 <= self.jaywalkers <= 1.0:
            raise ValueError(f"traffic.jaywalkers must be in [0, 1], got {self.jaywalkers}")

    @property
    def is_empty(self) -> bool:
        """Whether nobody else is there."""
        return not (self.vehicles or self.walkers or self.parked or self.spawns)


@dataclass(frozen=True)
class ScenarioSpec:
    """A scenario as a route file declares it, in our frame.

    Attributes:
        name: unique within the route.
        type: CARLA's name, such as "DynamicObjectCrossing".
        x: trigger point [m].
        y: [m].
        z: [m].
        heading: [rad].
        parameters: attributes of each parameter element, by its tag, as text (speeds in m/s,
            positions still in CARLA's frame).
    """

    name: str
    type: str
    x: float
    y: float
    z: float
    heading: float
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
