"""Protocols of judging: which rules bind, what ends a drive, what a breach costs.

Numbers as in leaderboard 1.0 (2165f5e), 2.0 (a87a341), 2.1 (cfecdc8), scenario_runner d7bcaf0 and
Bench2Drive 0.0.4 (7ec25d1); NoCrash: Codevilla et al. 2019; CoRL2017: Dosovitskiy et al. 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from drive_il.actors import Traffic
from drive_il.datatypes import Route
from drive_il.evaluation.infractions import Kind
from drive_il.maps.density import vehicle_count
from drive_il.maps.network import RoadNetwork


class Penalty(Enum):
    """How infractions lower a score."""

    PRODUCT = "product"  # of a factor for each
    QUOTIENT = "quotient"  # 1 / (1 + sum of a coefficient for each)


@dataclass(frozen=True)
class CollisionRule:
    """Which contacts are one collision.

    Attributes:
        near: a contact so near to where a collision was counted is none of its own [m].
        forget: such a place is forgotten when the ego is further away [m].
        same_actor: time in which the actor hit last is not counted again [s].
        standing: an ego slower than this did not cause what happens to it [m/s].
    """

    near: float
    forget: float
    standing: float
    same_actor: float = 5.0


@dataclass(frozen=True)
class StopRule:
    """How a stop sign is obeyed: halt while the sign's box is ahead, before one leaves it.

    Attributes:
        search: a sign nearer than this to the ego's centre is minded [m].
        reach: how far ahead of its centre the ego is in the box already [m].
        scale: of the box, along and across.
        must_enter: only an ego whose centre was in the box can break the rule.
    """

    search: float
    reach: float
    scale: float
    must_enter: bool


@dataclass(frozen=True)
class TimeLimit:
    """Time allowed for a route.

    Attributes:
        fixed: [s].
        per_metre: [s/m].
        limit_share: beside that the time to drive it at this share of its speed limits; 0: none.
    """

    fixed: float
    per_metre: float = 0.0
    limit_share: float = 0.0


def time_allowed(limit: TimeLimit, route: Route) -> float:
    """Returns the time allowed for a route [s]."""
    allowed = limit.fixed + limit.per_metre * route.length
    if limit.limit_share > 0.0:
        gaps, speeds = np.diff(route.points["s"]), route.points["speed_limit"][:-1]
        allowed += float((gaps / (limit.limit_share * speeds)).sum())
    return allowed


@dataclass(frozen=True)
class Crowd:
    """How many others there are.

    Attributes:
        towns: (vehicles, walkers) of each of CARLA's towns.
        density: of vehicles elsewhere, see maps/density.py.
        walkers: per vehicle elsewhere.
    """

    towns: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    density: float = 1.0
    walkers: float = 0.0


@dataclass(frozen=True)
class Protocol:
    """One way of judging drives.

    Attributes:
        id: stands in every result.
        version: of our reading of it; results of different versions are not compared.
        layout: 1 or 2, whose results file is written: leaderboard 1.0's or 2.x's.
        penalty: how infractions lower the score.
        costs: factor or coefficient of each kind that costs anything.
        collisions: which contacts are one collision.
        light_half_width: half a stop line at a light, as a share of the lane's width.
        stop_sign: how a stop sign is obeyed; None where it does not bind.
        lane_margin: how far off the lanes the ego's centre may be [m].
        blocked_after: time of standing that ends a drive [s].
        time_limit: for a route.
        max_steps: steps of 0.05 s that end a drive; 0 for none.
        speed_checkpoints: parts of a route with a minimum speed each; 0 where none binds.
        all_speeds: record every checkpoint, not only those slower than the traffic.
        scenarios: scenario timeouts and emergency vehicles are judged, and an oncoming lane is
            free while a scenario leaves no other way.
        deviation: leaving the route ends a drive.
        ends_on_collision: any collision ends a drive.
        comfort: is measured.
        binary: a drive is worth 100 or 0: success.
        fixed_routes: routes that the averages divide by, whatever was asked for; 0: those.
        crowds: by name, the first is the default.
        weathers: sets of weathers by CARLA's names, in all of which every route is driven, among
            every crowd (`conditions.py`); none where a route is driven once, as its file says.
        upstream_bugs: reproduce known faults of the original (docs/leaderboard.md).
    """

    id: str
    version: int
    layout: int
    penalty: Penalty
    costs: Mapping[Kind, float]
    collisions: CollisionRule
    light_half_width: float
    stop_sign: StopRule | None
    lane_margin: float
    blocked_after: float
    time_limit: TimeLimit
    max_steps: int = 0
    speed_checkpoints: int = 0
    all_speeds: bool = False
    scenarios: bool = False
    deviation: bool = True
    ends_on_collision: bool = False
    comfort: bool = False
    binary: bool = False
    fixed_routes: int = 0
    crowds: Mapping[str, Crowd] = field(default_factory=lambda: {"standard": Crowd()})
    weathers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    upstream_bugs: bool = False

    def is_fault(self, kind: Kind) -> bool:
        """Whether what is recorded as this kind is a fault: not where every speed is recorded."""
        return not (self.all_speeds and kind == Kind.MIN_SPEED)

    def steps_allowed(self, route: Route, dt: float) -> int:
        """Returns a horizon that the judge's own limits come before, for EpisodeSpec.max_steps."""
        steps = int(time_allowed(self.time_limit, route) / dt) + 2
        return min(steps, self.max_steps + 1) if self.max_steps else steps

    def traffic(self, network: RoadNetwork, crowd: str | None = None) -> Traffic:
        """Returns the background traffic of a drive.

        Args:
            network: the map.
            crowd: one of `crowds`; None for the default.

        Raises:
            ValueError: for a crowd that the protocol does not know.
        """
        name = next(iter(self.crowds)) if crowd is None else crowd
        if name not in self.crowds:
            raise ValueError(
                f"protocol {self.id} knows the crowds {', '.join(self.crowds)}, got {name!r}"
            )
        chosen = self.crowds[name]
        town = network.name.removesuffix("_Opt")
        if town in chosen.towns:
            vehicles, walkers = chosen.towns[town]
        else:
            vehicles = vehicle_count(network, chosen.density)
            walkers = round(chosen.walkers * vehicles)
        return Traffic(vehicles=vehicles, walkers=walkers, signals=True)


_FACTORS = {
    Kind.PEDESTRIAN: 0.50,
    Kind.VEHICLE: 0.60,
    Kind.LAYOUT: 0.65,
    Kind.RED_LIGHT: 0.70,
    Kind.STOP_SIGN: 0.80,
}
_SCENARIO_FACTORS = {Kind.SCENARIO_TIMEOUT: 0.70, Kind.YIELD: 0.70}
_COEFFICIENTS = {
    Kind.PEDESTRIAN: 1.0,
    Kind.VEHICLE: 0.70,
    Kind.LAYOUT: 0.60,
    Kind.RED_LIGHT: 0.40,
    Kind.STOP_SIGN: 0.25,
    Kind.SCENARIO_TIMEOUT: 0.40,
    Kind.YIELD: 0.40,
    Kind.MIN_SPEED: 0.40,
}
_BACKGROUND = {
    f"Town{number}": (count, 0)
    for number, count in (
        ("01", 120),
        ("02", 100),
        ("03", 120),
        ("04", 200),
        ("05", 120),
        ("06", 150),
        ("07", 110),
        ("10HD", 120),
    )
}

LB1 = Protocol(
    id="lb1",
    version=1,
    layout=1,
    penalty=Penalty.PRODUCT,
    costs=_FACTORS,
    collisions=CollisionRule(near=3.0, forget=5.0, standing=0.0),
    light_half_width=0.4,
    stop_sign=StopRule(search=50.0, reach=20.0, scale=1.0, must_enter=True),
    lane_margin=1.3,
    blocked_after=180.0,
    time_limit=TimeLimit(fixed=5.0, per_metre=0.8),
    crowds={"standard": Crowd(_BACKGROUND)},
)
"""CARLA leaderboard 1.0."""

LB20 = Protocol(
    id="lb2.0",
    version=2,  # 1 compared speed with traffic however far away
    layout=2,
    penalty=Penalty.PRODUCT,
    costs={**_FACTORS, **_SCENARIO_FACTORS, Kind.MIN_SPEED: 0.7},
    collisions=CollisionRule(near=5.0, forget=5.0, standing=0.1),
    light_half_width=0.6,
    stop_sign=StopRule(search=4.0, reach=4.0, scale=1.2, must_enter=False),
    lane_margin=0.5,
    blocked_after=180.0,
    time_limit=TimeLimit(fixed=300.0, limit_share=0.1),
    speed_checkpoints=4,
    scenarios=True,
)
"""CARLA leaderboard 2.0."""

LB21 = replace(LB20, id="lb2.1", penalty=Penalty.QUOTIENT, costs=_COEFFICIENTS)
"""CARLA leaderboard 2.1."""

BENCH2DRIVE = replace(
    LB20,
    id="bench2drive",
    costs={**_FACTORS, **_SCENARIO_FACTORS},
    blocked_after=60.0,
    max_steps=4000,
    speed_checkpoints=20,
    all_speeds=True,
    comfort=True,
    fixed_routes=220,
)
"""Bench2Drive."""

_NO_CRASH = {
    "empty": Crowd({"Town01": (0, 0), "Town02": (0, 0)}, density=0.0),
    "regular": Crowd({"Town01": (20, 50), "Town02": (15, 50)}, density=0.4, walkers=2.5),
    "dense": Crowd({"Town01": (100, 250), "Town02": (70, 150)}, density=2.0, walkers=2.5),
}
_TRAINING_WEATHERS = ("ClearNoon", "WetNoon", "HardRainNoon", "ClearSunset")

NO_CRASH = replace(
    LB1,
    id="nocrash",
    costs={},
    time_limit=TimeLimit(fixed=0.0, per_metre=0.36),  # 10 km/h
    ends_on_collision=True,
    binary=True,
    crowds=_NO_CRASH,
    weathers={"training": _TRAINING_WEATHERS, "new": ("WetSunset", "SoftRainSunset")},
)
"""NoCrash."""

CORL2017 = replace(
    NO_CRASH,
    id="corl2017",
    ends_on_collision=False,
    deviation=False,
    crowds={
        "static": Crowd({"Town01": (0, 0), "Town02": (0, 0)}, density=0.0),
        "dynamic": Crowd({"Town01": (20, 50), "Town02": (15, 50)}, density=0.4, walkers=2.5),
    },
    weathers={"training": _TRAINING_WEATHERS, "new": ("WetCloudyNoon", "SoftRainSunset")},
)
"""The benchmark of the CARLA paper."""

PROTOCOLS: Mapping[str, Protocol] = {
    one.id: one for one in (LB1, LB20, LB21, BENCH2DRIVE, NO_CRASH, CORL2017)
}
"""Every protocol, by id."""


def protocol_of(name: str, upstream_bugs: bool = False) -> Protocol:
    """Returns a protocol.

    Args:
        name: its id.
        upstream_bugs: reproduce known faults of the original; the id then says so.

    Raises:
        ValueError: for a name that is none.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"there is no protocol {name!r}; known are {', '.join(PROTOCOLS)}")
    found = PROTOCOLS[name]
    if upstream_bugs:
        return replace(found, id=f"{found.id}+upstream-bugs", upstream_bugs=True)
    return found
