"""Junctions of the town generator: connecting roads, traffic lights, signs, crosswalks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from drive_il.maps.town_curves import Path, connect, wrap
from drive_il.maps.town_roads import (
    NO_MARK,
    Arm,
    Connection,
    Crosswalk,
    Junction,
    Lane,
    Misfit,
    Poly,
    Road,
    Section,
    Signal,
    Strip,
    Town,
    bearing,
    hermite,
    lane_pose,
)

MIN_RADIUS = 6.0
"""The sharpest turn at a lane centre [m]; a car's own least radius is about 5.5 m."""
CROSSWALK_AT = 3.0
"""Middle of a crosswalk before the junction [m]."""
CROSSWALK_DEPTH = 3.0
_STRAIGHT = math.radians(40.0)
_FILLED_FROM = math.radians(15.0)
_FILLING = 2.5
"""Pavement left of a turn, so that no grass shows between the lanes of a junction [m]."""


def build(town: Town, arms: Sequence[Arm], speed: float) -> Junction:
    """Adds a junction that joins every arm with every other one.

    Left turns leave from the inner lane, right turns from the outer one, all lanes go
    straight on. Kerbs and sidewalks run round the corners with the rightmost turns.

    Args:
        town: what it is added to.
        arms: road ends that face the junction.
        speed: limit on the connecting roads [km/h].
    """
    junction = town.junction()
    middle = (
        sum(arm.pose[0] for arm in arms) / len(arms),
        sum(arm.pose[1] for arm in arms) / len(arms),
    )
    ordered = sorted(arms, key=lambda arm: bearing(arm.pose, middle))
    for arm in ordered:
        arm.attach(junction)
    for i, arm in enumerate(ordered):
        right, left = ordered[(i + 1) % len(ordered)], ordered[i - 1]
        for target in ordered:
            if target is not arm:
                for origin, goal in _lane_pairs(arm, target):
                    corner = target is right and origin == arm.incoming()[-1]
                    _connecting_road(
                        town, junction, (arm, origin), (target, goal), speed, corner, target is left
                    )
    return junction


def _lane_pairs(arm: Arm, target: Arm) -> list[tuple[Lane, Lane]]:
    """Which incoming lane may go to which outgoing lane."""
    origins, goals = arm.incoming(), target.outgoing()
    if not origins or not goals:
        return []
    turn = wrap(target.pose[2] + math.pi - arm.pose[2])
    if abs(turn) < _STRAIGHT:
        return [
            (lane, goals[min(i, len(goals) - 1)])
            for i, lane in enumerate(origins)
            if i < len(goals) or i == len(origins) - 1
        ]
    return [(origins[0], goals[0])] if turn > 0 else [(origins[-1], goals[-1])]


def _lane_curvature(arm: Arm, lane: Lane, incoming: bool) -> float:
    """Curvature of a lane centre at a road end, in the direction of travel [1/m]."""
    path = arm.road.path
    along = path.pieces[-1].k1 if arm.contact == "end" else -path.pieces[0].k0
    curvature = along if incoming else -along
    return curvature / (1.0 + curvature * lane.right)


def _connecting_road(
    town: Town,
    junction: Junction,
    origin: tuple[Arm, Lane],
    goal: tuple[Arm, Lane],
    speed: float,
    corner: bool,
    left_corner: bool,
) -> None:
    (arm, lane), (target, out) = origin, goal
    path = connect(
        lane_pose(arm, lane, True),
        lane_pose(target, out, False),
        _lane_curvature(arm, lane, True),
        _lane_curvature(target, out, False),
    )
    if path.sharpest > 1.0 / MIN_RADIUS:
        raise Misfit(
            f"{town.name}: a turn of radius {1.0 / path.sharpest:.1f} m at {path.start[:2]}"
        )
    right = [Strip("driving", lane.width, out.width)]
    left: list[Strip] = []
    two_way = arm.outgoing() and target.incoming()
    if two_way and abs(wrap(path.end[2] - path.start[2])) > _FILLED_FROM:
        left.append(Strip("shoulder", 0.0, 0.0, bulge=_FILLING))
    links = {("start", -1): lane.id, ("end", -1): out.id}
    lanes = [(lane.id, -1)]
    sides: list[tuple[int, list[Strip], bool]] = []
    if corner:
        sides.append((-1, right, True))
    if left_corner and not arm.outgoing() and not target.incoming():
        sides.append((1, left, False))
    for sign, strips, own_right in sides:
        pairs = zip(arm.outer(own_right), target.outer(not own_right), strict=False)
        for (id0, strip0, width0), (id1, strip1, width1) in pairs:
            if strip0.kind == strip1.kind:
                strips.append(Strip(strip0.kind, width0, width1, strip0.mark))
                links["start", sign * len(strips)] = id0
                links["end", sign * len(strips)] = id1
                lanes.append((id0, sign * len(strips)))
    road = town.road(
        path,
        [Section(0.0, tuple(left), tuple(right), ((0.0, NO_MARK),))],
        speed=speed,
        junction=junction.id,
        kind=arm.road.kind,
        offset=(0.5 * lane.width, 0.5 * out.width),
        before=arm.link(),
        after=target.link(),
        links=links,
        elevation=_elevation(arm, target, path),
    )
    junction.connections.append(Connection(arm.road.id, road.id, lanes))


def _elevation(arm: Arm, target: Arm, path: Path) -> list[Poly]:
    z0, m0 = height(arm)
    z1, m1 = height(target)
    if z0 == z1 == m0 == m1 == 0.0:
        return []
    return hermite([(0.0, z0, m0), (path.length, z1, -m1)])


def height(arm: Arm) -> tuple[float, float]:
    """Returns height [m] and slope of a road end, facing into the junction."""
    if not arm.road.elevation:
        return 0.0, 0.0
    if arm.contact == "start":
        return arm.road.elevation[0][1], -arm.road.elevation[0][2]
    s, a, b, c, d = arm.road.elevation[-1]
    h = arm.road.length - s
    return a + h * (b + h * (c + h * d)), b + h * (2.0 * c + 3.0 * h * d)


def crossing_rules(town: Town, junction: Junction, arms: Sequence[Arm], rule: str) -> None:
    """Puts lights or signs at the arms' ends, and at lights and stops crosswalks.

    Args:
        town: what they are added to.
        junction: the junction of the arms.
        arms: its arms, those of the road with right of way first, as (main, main, others).
        rule: "lights", "stop" or "yield" (both for the minor arms), or "stop_all".
    """
    if rule == "lights":
        phases = [list(arms[:2]), list(arms[2:])]
        for phase in phases:
            ids = [_sign(town, arm, "1000001") for arm in phase if arm.incoming()]
            if ids:
                town.controller(junction, ids)
        return
    for arm in arms if rule == "stop_all" else arms[2:]:
        if arm.incoming():
            _sign(town, arm, "205" if rule == "yield" else "206")


def _sign(town: Town, arm: Arm, kind: str) -> int:
    back = CROSSWALK_AT + 0.5 * CROSSWALK_DEPTH + 1.0 if arm.road.crosswalks else 1.0
    return place_signal(town, arm, kind, back)


def place_signal(town: Town, arm: Arm, kind: str, back: float, value: float | None = None) -> int:
    """Adds a signal for the traffic towards an arm's junction, `back` [m] before its end.

    Returns:
        its id.
    """
    lanes = arm.incoming()
    along = arm.contact == "end"
    s = arm.road.length - back if along else back
    section = [section for section in arm.road.sections if section.s <= s][-1]
    strips = section.right if along else section.left
    aside = arm.shift + 0.6
    aside += sum(max(strip.begin, strip.end) for strip in strips if strip.kind != "sidewalk")
    ids = [lane.id for lane in lanes]
    signal = Signal(
        town.signal_id(),
        kind,
        s,
        -aside if along else aside,
        along,
        (min(ids), max(ids)),
        value,
        heading_offset=0.0 if along else math.pi,
        dynamic=kind == "1000001",
        height=2.6 if kind == "1000001" else 1.8,
    )
    arm.road.signals.append(signal)
    return signal.id


def add_crosswalk(town: Town, arm: Arm) -> None:
    """Adds a crosswalk over the whole carriageway just before an arm's junction."""
    section = arm.road.sections[-1 if arm.contact == "end" else 0]
    reach = [
        sum(max(strip.begin, strip.end) for strip in side if strip.kind != "sidewalk")
        for side in (section.left, section.right)
    ]
    s = arm.road.length - CROSSWALK_AT if arm.contact == "end" else CROSSWALK_AT
    arm.road.crosswalks.append(Crosswalk(town.object_id(), s, CROSSWALK_DEPTH, reach[0], reach[1]))


def speed_signs(town: Town, road: Road, back: float = 25.0) -> None:
    """Adds the road's own limit as a sign behind its beginning, for each way it is driven."""
    for contact in ("end", "start"):
        arm = Arm(road, contact)
        if arm.incoming() and road.length > 2.0 * back:
            place_signal(town, arm, "274", road.length - back, road.speed)


def chain_roads(roads: Sequence[Road]) -> None:
    """Links roads of one cross-section that follow each other, lane to same lane."""
    for first, second in pairwise(roads):
        first.after = Arm(second, "start").link()
        second.before = Arm(first, "end").link()
        for side, sign in ((first.sections[-1].left, 1), (first.sections[-1].right, -1)):
            for i in range(len(side)):
                first.links["end", sign * (i + 1)] = sign * (i + 1)
                second.links["start", sign * (i + 1)] = sign * (i + 1)
