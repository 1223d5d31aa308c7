"""Style suburb: winding streets round a roundabout, gently hilly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from drive_il.maps.town_curves import chain
from drive_il.maps.town_junctions import build as build_junction
from drive_il.maps.town_junctions import place_signal
from drive_il.maps.town_roads import (
    EDGE,
    KERB,
    NO_MARK,
    WHITE_BROKEN,
    Arm,
    Mark,
    Section,
    Strip,
    Town,
    bearing,
)
from drive_il.maps.town_streets import (
    GUTTER,
    SIDEWALK,
    Point,
    Profile,
    Street,
    Terrain,
    finish,
    lay,
    street_signs,
)

_MAIN = Profile(lane_width=3.25, speed=40.0, rank=2)
_OUTER = Profile(lane_width=3.25, speed=40.0, rank=1)
_LOCAL = Profile(lane_width=3.25, speed=30.0, center=WHITE_BROKEN, near=Mark("solid"))
_APPROACH = 18.0  # [m] from a roundabout's lane to where its arms begin
_RING_LANE = 4.5
_CENTER = 0


def build(town: Town, rng: np.random.Generator) -> None:
    """Fills a town: a web of rings and radials about 550 m across."""
    n_arms = int(rng.choice([3, 4, 4, 5]))
    radius = 28.0 if n_arms == 5 else 18.0
    terrain = Terrain.random(rng, steepness=0.05, length=400.0)
    nodes, streets = _web(rng, n_arms)
    crossings = lay(town, nodes, streets, terrain, {_CENTER: radius + _APPROACH})
    roads = list(town.roads.values())
    with_lights = 1 + int(rng.integers(0, n_arms))
    for node, crossing in crossings.items():
        if node == _CENTER:
            roundabout(town, nodes[node], crossing.arms, radius, terrain)
        elif len(crossing.arms) == 4:
            other = "stop_all" if rng.random() < 0.5 else "stop"
            lit = node == with_lights or rng.random() < 0.3
            finish(town, crossing, "lights" if lit else other, 30.0, crosswalks=lit)
        else:
            rule = "stop" if rng.random() < 0.4 else "yield"
            finish(town, crossing, rule, 30.0, crosswalks=False)
    street_signs(town, roads)


def _polar(radius: float, angle: float) -> Point:
    return radius * math.cos(angle), radius * math.sin(angle)


def _web(rng: np.random.Generator, n_arms: int) -> tuple[dict[int, Point], list[Street]]:
    """Nodes: the roundabout, one on each radial, one at its end, and where links meet rings."""
    step = 2.0 * math.pi / n_arms
    first = float(rng.uniform(0.0, step))
    angles = [first + step * i + float(rng.uniform(-0.4, 0.4)) / n_arms for i in range(n_arms)]
    angles.append(angles[0] + 2.0 * math.pi)
    nodes: dict[int, Point] = {_CENTER: (0.0, 0.0)}
    inner = [float(r) for r in rng.uniform(128.0, 150.0, n_arms)]
    outer = [float(r) for r in rng.uniform(250.0, 285.0, n_arms)]
    for i in range(n_arms):
        nodes[1 + i] = _polar(inner[i], angles[i])
        nodes[1 + n_arms + i] = _polar(outer[i], angles[i] + float(rng.uniform(-0.06, 0.06)))
    streets = []
    for i in range(n_arms):
        streets.append(_wavy(rng, _CENTER, 1 + i, nodes, _MAIN, (0.66,), 9.0))
        streets.append(_wavy(rng, 1 + i, 1 + n_arms + i, nodes, _MAIN, (0.35, 0.65), 9.0))
    without = int(rng.integers(0, n_arms))
    for i in range(n_arms):
        j = (i + 1) % n_arms
        rings = [(1 + i, 1 + j, _LOCAL), (1 + n_arms + i, 1 + n_arms + j, _OUTER)]
        if i == without:
            streets.append(_bowed(rng, *rings[1][:2], nodes, _OUTER))
            continue
        middle = 0.5 * (angles[i] + angles[i + 1]) + float(rng.uniform(-0.08, 0.08))
        near, far = len(nodes), len(nodes) + 1
        nodes[near] = _polar(float(rng.uniform(128.0, 150.0)), middle)
        nodes[far] = _polar(
            float(rng.uniform(255.0, 290.0)), middle + float(rng.uniform(-0.1, 0.1))
        )
        for (begin, end, profile), link in zip(rings, (near, far), strict=True):
            streets.append(_bowed(rng, begin, link, nodes, profile))
            streets.append(_bowed(rng, link, end, nodes, profile))
        streets.append(_wavy(rng, near, far, nodes, _LOCAL, (0.35, 0.65), 11.0))
    return nodes, streets


def _wavy(
    rng: np.random.Generator,
    begin: int,
    end: int,
    nodes: dict[int, Point],
    profile: Profile,
    at: Sequence[float],
    sway: float,
) -> Street:
    """A street that sways about the straight line."""
    (x0, y0), (x1, y1) = nodes[begin], nodes[end]
    length = math.hypot(x1 - x0, y1 - y0)
    side = float(rng.choice([-1.0, 1.0]))
    via = []
    for fraction in at:
        shift = side * sway * float(rng.uniform(0.6, 1.0))
        side = -side
        via.append(
            (
                x0 + fraction * (x1 - x0) - shift * (y1 - y0) / length,
                y0 + fraction * (y1 - y0) + shift * (x1 - x0) / length,
            )
        )
    park = rng.random(2) < 0.25
    return Street(begin, end, profile, tuple(via), 80.0, (bool(park[0]), bool(park[1])))


def _bowed(
    rng: np.random.Generator, begin: int, end: int, nodes: dict[int, Point], profile: Profile
) -> Street:
    """A street along a ring round the middle of town, weaving in and out."""
    (r0, a0), (r1, a1) = (
        (math.hypot(*nodes[node]), math.atan2(nodes[node][1], nodes[node][0]))
        for node in (begin, end)
    )
    span = (a1 - a0) % (2.0 * math.pi)
    count = max(1, round(span * 0.5 * (r0 + r1) / 75.0) - 1)
    weave = 11.0 if count > 1 else 5.0
    via = []
    for i in range(count):
        fraction = (i + 1) / (count + 1)
        shift = weave * float(rng.uniform(-1.0, 1.0))
        via.append(_polar(r0 + fraction * (r1 - r0) + shift, a0 + fraction * span))
    park = rng.random(2) < 0.25
    return Street(begin, end, profile, tuple(via), 220.0, (bool(park[0]), bool(park[1])))


def roundabout(
    town: Town, middle: Point, arms: Sequence[Arm], radius: float, terrain: Terrain
) -> None:
    """Builds a one-way ring that the arms yield to: one junction for each arm.

    Args:
        town: what it is added to.
        middle: its centre [m].
        arms: the road ends that face it, radially.
        radius: of the ring's lane centre [m].
        terrain: the ground.
    """
    ordered = sorted(arms, key=lambda arm: bearing(arm.pose, middle))
    angles = [bearing(arm.pose, middle) for arm in ordered]
    angles.append(angles[0] + 2.0 * math.pi)
    narrowest = min(second - first for first, second in pairwise(angles))
    half = min(math.radians(43.0), 0.5 * narrowest - math.radians(5.0))
    right = (
        Strip("driving", _RING_LANE, _RING_LANE, EDGE),
        Strip("shoulder", GUTTER, GUTTER, KERB),
        Strip("sidewalk", SIDEWALK, SIDEWALK, NO_MARK),
    )
    left = (Strip("shoulder", GUTTER, GUTTER, KERB),)
    ring = []
    for first, second in pairwise(angles):
        begin, end = first + half, second - half
        x, y = _polar(radius, begin)
        start = (middle[0] + x, middle[1] + y, begin + 0.5 * math.pi)
        path = chain(start, [(radius * (end - begin), 1.0 / radius, 1.0 / radius)])
        ring.append(
            town.road(
                path,
                [Section(0.0, left, right, ((0.0, EDGE),))],
                kind="town",
                speed=30.0,
                offset=(0.5 * _RING_LANE, 0.5 * _RING_LANE),
                elevation=terrain.profile(path, step=10.0),
            )
        )
    for i, arm in enumerate(ordered):
        build_junction(town, [arm, Arm(ring[i - 1], "end"), Arm(ring[i], "start")], 30.0)
        place_signal(town, arm, "205", 1.0)
