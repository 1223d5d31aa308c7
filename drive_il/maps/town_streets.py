"""Streets between crossings: from a plane graph to roads and junctions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from drive_il.maps.town_curves import Path, Pose, rounded, tangent_ratio, wrap
from drive_il.maps.town_junctions import (
    MIN_RADIUS,
    add_crosswalk,
    build,
    crossing_rules,
    speed_signs,
)
from drive_il.maps.town_roads import (
    EDGE,
    KERB,
    LANES,
    NO_MARK,
    YELLOW_BROKEN,
    YELLOW_SOLID,
    Arm,
    Mark,
    Misfit,
    Poly,
    Road,
    Section,
    Strip,
    Town,
    hermite,
)

Point = tuple[float, float]
GUTTER = 0.4
SIDEWALK = 2.5
_PARKING = 2.2
_PARKING_FROM = 18.0  # [m] from a junction: clear of crosswalk, stop line and signals
_TAPER = 6.0
_SOLID = 22.0  # [m] of no overtaking before a junction
_TURN_RADIUS = 7.0  # [m] at a lane centre, a little over the least


@dataclass(frozen=True)
class Profile:
    """The cross-section of a street."""

    lanes: int = 1
    lane_width: float = 3.5
    speed: float = 30.0
    center: Mark = YELLOW_BROKEN
    near: Mark = YELLOW_SOLID
    edge: Mark = EDGE
    kind: str = "town"
    rank: int = 0
    """at a crossing the higher rank has right of way"""

    @property
    def half(self) -> float:
        """From the middle to the outside of the sidewalk [m]."""
        return self.lanes * self.lane_width + GUTTER + SIDEWALK


@dataclass(frozen=True)
class Street:
    """An edge of the plane graph."""

    begin: int
    end: int
    profile: Profile
    via: tuple[Point, ...] = ()
    radius: float = 60.0
    parking: tuple[bool, bool] = (False, False)
    """beside the left and the right side"""


@dataclass(frozen=True)
class Terrain:
    """Gentle hills: a sum of plane waves."""

    amplitude: tuple[float, ...] = ()
    """[m]"""
    wave: tuple[Point, ...] = ()
    """wave vectors [1/m]"""
    phase: tuple[float, ...] = ()

    @staticmethod
    def random(rng: np.random.Generator, steepness: float, length: float) -> Terrain:
        """Returns three waves of about `length` [m] whose slopes sum to `steepness`."""
        angles = rng.uniform(0.0, math.pi) + np.array([0.0, 1.1, 2.2])
        numbers = 2.0 * math.pi / (length * rng.uniform(0.8, 1.3, 3))
        amplitudes = steepness / 3.0 / numbers
        waves = [
            (float(k * math.cos(a)), float(k * math.sin(a)))
            for k, a in zip(numbers, angles, strict=True)
        ]
        phases = tuple(float(p) for p in rng.uniform(0.0, 2.0 * math.pi, 3))
        return Terrain(tuple(float(a) for a in amplitudes), tuple(waves), phases)

    def at(self, pose: Pose) -> tuple[float, float]:
        """Returns height [m] and slope along the pose's heading."""
        z = slope = 0.0
        c, s = math.cos(pose[2]), math.sin(pose[2])
        for a, (kx, ky), phase in zip(self.amplitude, self.wave, self.phase, strict=True):
            angle = kx * pose[0] + ky * pose[1] + phase
            z += a * math.sin(angle)
            slope += a * math.cos(angle) * (kx * c + ky * s)
        return z, slope

    def profile(self, path: Path, step: float = 20.0) -> list[Poly]:
        """Returns the elevation along a path; empty on flat ground."""
        if not self.amplitude:
            return []
        count = max(1, math.ceil(path.length / step))
        return hermite(
            [
                (float(s), *self.at(path.at(float(s))))
                for s in np.linspace(0, path.length, count + 1)
            ]
        )


@dataclass
class Crossing:
    """What stands at a node once the streets are laid."""

    arms: list[Arm] = field(default_factory=list)


def setback(arms: Sequence[tuple[float, Profile]]) -> float:
    """How far from a node its junction must reach [m].

    Far enough for every right turn to be gentle and for the arms not to touch each other.

    Args:
        arms: direction seen from the node [rad] and cross-section of each.
    """
    need = 6.0
    ordered = sorted(arms, key=lambda arm: wrap(arm[0]))
    for i, (direction, profile) in enumerate(ordered):
        other, out = ordered[(i + 1) % len(ordered)]
        gap = (other - direction) % (2.0 * math.pi)
        if gap < math.pi - 0.05:
            sine, cosine = math.sin(gap), math.cos(gap)
            touch = max(
                (out.half + profile.half * cosine) / sine,
                (profile.half + out.half * cosine) / sine,
            )
            a = (profile.lanes - 0.5) * profile.lane_width
            b = (out.lanes - 0.5) * out.lane_width
            meet = max((b + a * cosine) / sine, (a + b * cosine) / sine)
            turn = tangent_ratio(math.pi - gap) * _TURN_RADIUS
            need = max(need, touch + 0.8, meet + turn)
    return need


def lay(
    town: Town,
    nodes: dict[int, Point],
    streets: Sequence[Street],
    terrain: Terrain,
    fixed: dict[int, float] | None = None,
) -> dict[int, Crossing]:
    """Lays the streets between the nodes' junctions.

    Args:
        town: what the roads are added to.
        nodes: where streets meet [m].
        streets: edges of the graph.
        terrain: the ground.
        fixed: setback of nodes that are not plain junctions [m].

    Returns:
        the road ends at each node.
    """
    arms: dict[int, list[tuple[float, Profile]]] = {node: [] for node in nodes}
    polygons = []
    for street in streets:
        polygon = [nodes[street.begin], *street.via, nodes[street.end]]
        polygons.append(polygon)
        for node, near in ((street.begin, polygon[1]), (street.end, polygon[-2])):
            x, y = nodes[node]
            arms[node].append((math.atan2(near[1] - y, near[0] - x), street.profile))
    setbacks = {node: setback(entry) for node, entry in arms.items()} | (fixed or {})
    crossings = {node: Crossing() for node in nodes}
    for street, polygon in zip(streets, polygons, strict=True):
        low, high = setbacks[street.begin], setbacks[street.end]
        radii = [0.0, *[street.radius] * len(street.via), 0.0]
        whole = rounded(polygon, radii, keep=(low + 8.0, high + 8.0))
        if whole.sharpest > 1.0 / MIN_RADIUS:
            raise Misfit(f"{town.name}: a street bends too sharply")
        path = whole.cut(low, whole.length - high)
        if path.length < 20.0:
            raise Misfit(f"{town.name}: a street of {path.length:.1f} m is too short")
        road = town.road(
            path,
            sections(street, path.length),
            speed=street.profile.speed,
            kind=street.profile.kind,
            elevation=terrain.profile(path),
        )
        crossings[street.begin].arms.append(Arm(road, "start"))
        crossings[street.end].arms.append(Arm(road, "end"))
    return crossings


def _side(profile: Profile, parking: tuple[float, float] | None) -> tuple[Strip, ...]:
    width = profile.lane_width
    inner = [Strip("driving", width, width, LANES) for _ in range(profile.lanes - 1)]
    outer = [Strip("driving", width, width, profile.edge)]
    if parking is not None:
        outer.append(Strip("parking", *parking))
    return (
        *inner,
        *outer,
        Strip("shoulder", GUTTER, GUTTER, KERB),
        Strip("sidewalk", SIDEWALK, SIDEWALK, NO_MARK),
    )


def sections(street: Street, length: float) -> list[Section]:
    """Returns the lane sections of a street: with parking away from its junctions."""
    profile = street.profile
    begins = [0.0]
    widths: list[tuple[float, float] | None] = [None]
    if any(street.parking) and length > 2.0 * (_PARKING_FROM + _TAPER) + 20.0:
        begins += [
            _PARKING_FROM,
            _PARKING_FROM + _TAPER,
            length - _PARKING_FROM - _TAPER,
            length - _PARKING_FROM,
        ]
        widths += [(0.0, _PARKING), (_PARKING, _PARKING), (_PARKING, 0.0), None]
    made = []
    for i, (begin, width) in enumerate(zip(begins, widths, strict=True)):
        end = begins[i + 1] if i + 1 < len(begins) else length
        left, right = (_side(profile, width if side else None) for side in street.parking)
        made.append(Section(begin, left, right, _center(profile, begin, end, length)))
    return made


def _center(
    profile: Profile, begin: float, end: float, length: float
) -> tuple[tuple[float, Mark], ...]:
    """Centre marks of one section: no overtaking near the junctions."""
    if length < 3.0 * _SOLID or profile.near == profile.center:
        changes = [(0.0, profile.near)]
    else:
        changes = [(0.0, profile.near), (_SOLID, profile.center), (length - _SOLID, profile.near)]
    before = [mark for s, mark in changes if s <= begin]
    return ((0.0, before[-1]), *[(s - begin, mark) for s, mark in changes if begin < s < end])


def finish(town: Town, crossing: Crossing, rule: str, speed: float, crosswalks: bool) -> None:
    """Builds the junction of a crossing, with its lights, signs and crosswalks."""
    arms = by_priority(crossing.arms)
    junction = build(town, arms, speed)
    if crosswalks:
        for arm in arms:
            add_crosswalk(town, arm)
    crossing_rules(town, junction, arms, rule)


def by_priority(arms: Sequence[Arm]) -> list[Arm]:
    """Returns the arms with the two of the main road first: fastest, then straightest."""
    pairs = [(a, b) for i, a in enumerate(arms) for b in arms[i + 1 :]]

    def worth(pair: tuple[Arm, Arm]) -> tuple[float, float]:
        a, b = pair
        lanes = len(a.incoming()) + len(b.incoming())
        return lanes * 100.0 + a.road.speed + b.road.speed, -_bent(a, b)

    straight = [pair for pair in pairs if _bent(*pair) < math.radians(50.0)] or pairs
    main = max(straight, key=worth)
    return [*main, *[arm for arm in arms if arm not in main]]


def _bent(a: Arm, b: Arm) -> float:
    return abs(wrap(b.pose[2] + math.pi - a.pose[2]))


def street_signs(town: Town, roads: Sequence[Road]) -> None:
    """Speed signs along these roads."""
    for road in roads:
        speed_signs(town, road)
