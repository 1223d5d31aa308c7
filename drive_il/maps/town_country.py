"""Style country: one winding road without markings, and a loop to turn at each end."""

from __future__ import annotations

import math

import numpy as np

from drive_il.maps.town_curves import Path, Pose, chain, rounded
from drive_il.maps.town_junctions import chain_roads, height, speed_signs
from drive_il.maps.town_roads import Arm, Connection, Section, Strip, Town, hermite, lane_pose
from drive_il.maps.town_streets import Point, Terrain

_LANE = 3.25
_SHOULDER = 1.0
_PARTS = 5
_LEGS = 26
_LOOP_RADIUS = 16.0
_SIDE = (Strip("driving", _LANE, _LANE), Strip("shoulder", _SHOULDER, _SHOULDER))


def build(town: Town, rng: np.random.Generator) -> None:
    """Fills a town: a road of 2.5 to 4 km."""
    path = _winding(rng)
    terrain = Terrain.random(rng, steepness=0.045, length=500.0)
    roads = []
    for part in range(_PARTS):
        piece = path.cut(path.length * part / _PARTS, path.length * (part + 1) / _PARTS)
        roads.append(
            town.road(
                piece,
                [Section(0.0, _SIDE, _SIDE)],
                kind="rural",
                speed=60.0 if part in (0, _PARTS - 1) else 70.0,
                elevation=terrain.profile(piece),
            )
        )
    chain_roads(roads)
    for road in roads:
        speed_signs(town, road)
    _turning_loop(town, Arm(roads[0], "start"))
    _turning_loop(town, Arm(roads[-1], "end"))


def _winding(rng: np.random.Generator) -> Path:
    """A road that meanders, sways more and less, and never meets itself."""
    points: list[Point] = [(0.0, 0.0)]
    x, drift, side = 0.0, 0.0, 1.0
    base = rng.uniform(-0.3, 0.3)
    for leg in range(_LEGS):
        x += float(rng.uniform(80.0, 125.0))
        drift += float(rng.uniform(-25.0, 25.0))
        sway = float(rng.choice([15.0, 40.0, 65.0, 90.0]) * rng.uniform(0.8, 1.2))
        if rng.random() < 0.75:
            side = -side
        wander = 160.0 * math.sin(2.0 * math.pi * leg / _LEGS + base)
        points.append((x, drift + wander + side * sway))
    x += 110.0
    points.append((x, points[-1][1]))
    radii = [0.0, *[float(r) for r in rng.uniform(40.0, 130.0, len(points) - 2)], 0.0]
    return rounded(points, radii, keep=(30.0, 30.0))


def _turning_loop(town: Town, arm: Arm) -> None:
    """A junction of one connecting road: out to the right, round to the left and back."""
    junction = town.junction()
    arm.attach(junction)
    lane, back = arm.incoming()[0], arm.outgoing()[0]
    path = _balloon(lane_pose(arm, lane, True), lane.right + back.right)
    z0, slope = height(arm)
    road = town.road(
        path,
        [Section(0.0, (), _SIDE)],
        kind="rural",
        speed=30.0,
        junction=junction.id,
        offset=(0.5 * _LANE, 0.5 * _LANE),
        before=arm.link(),
        after=arm.link(),
        links={
            ("start", -1): lane.id,
            ("end", -1): back.id,
            ("start", -2): arm.outer(True)[0][0],
            ("end", -2): arm.outer(False)[0][0],
        },
        elevation=hermite(
            [
                (0.0, z0, slope),
                (25.0, z0 + 12.5 * slope, 0.0),
                (path.length - 25.0, z0 + 12.5 * slope, 0.0),
                (path.length, z0, -slope),
            ]
        ),
    )
    shoulders = (arm.outer(True)[0][0], -2)
    junction.connections.append(Connection(arm.road.id, road.id, [(lane.id, -1), shoulders]))


def _balloon(start: Pose, apart: float) -> Path:
    """A loop that ends `apart` [m] to the left of its start, heading back."""
    ramp = 7.0
    curvature = 1.0 / _LOOP_RADIUS

    def loop(aside: float) -> Path:
        # right by `aside`, left by half a turn and twice that, right by `aside` again
        right = (aside - ramp * curvature) / curvature
        left = (math.pi + 2.0 * aside - ramp * curvature) / curvature
        k = curvature
        bends = [
            (ramp, 0.0, -k), (right, -k, -k), (ramp, -k, 0.0), (ramp, 0.0, k), (left, k, k),
            (ramp, k, 0.0), (ramp, 0.0, -k), (right, -k, -k), (ramp, -k, 0.0),
        ]  # fmt: skip
        return chain(start, bends)

    def miss(aside: float) -> float:
        x, y, _ = loop(aside).end
        left = -(x - start[0]) * math.sin(start[2]) + (y - start[1]) * math.cos(start[2])
        return left - apart

    low, high = ramp * curvature, 1.5
    assert miss(low) > 0.0 > miss(high), f"no loop ends {apart} m beside its start"
    for _ in range(80):
        middle = 0.5 * (low + high)
        if miss(middle) > 0.0:
            low = middle
        else:
            high = middle
    return loop(0.5 * (low + high))
