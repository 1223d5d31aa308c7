"""What stands beside the road: lights and signs, houses, trees and poles.

Deterministic from the network: the same map always has the same scenery. Lights and signs
stand where `signposts` puts them. Nothing else stands on a driving, biking, parking or
shoulder lane or a sidewalk, or closer than 1.5 m to one, or hides a sign from its drivers.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np

from drive_il.datatypes import Floats, Records
from drive_il.maps.kept import kept
from drive_il.maps.land import CELL, CLEARANCE, PRISM, SURFACES, Land, PrismKind, footprint, prism
from drive_il.maps.network import LaneType, RoadNetwork
from drive_il.maps.signposts import signposts

_HOUSE_COLORS = np.array(
    [
        (196, 164, 132),
        (178, 92, 74),
        (214, 202, 180),
        (150, 150, 158),
        (188, 140, 96),
        (222, 214, 204),
        (142, 108, 92),
        (168, 176, 160),
    ]
)
_LEAVES = np.array([(64, 104, 48), (82, 116, 52), (54, 92, 54), (104, 122, 58), (46, 84, 48)])


def _spots(network: RoadNetwork, spacing: float) -> Floats:
    """Places along the outer edges of all roads: x, y, heading, width, side, (N, 5)."""
    lanes, points = network.lanes, network.points
    spots = [np.zeros((0, 5))]
    for side, sign in (("right", -1.0), ("left", 1.0)):
        chosen = (lanes["type"] == LaneType.DRIVING) & (lanes["junction"] < 0)
        neighbour = lanes[side]
        is_drive = (neighbour >= 0) & (lanes["type"][neighbour] == LaneType.DRIVING)
        for lane in lanes[chosen & ~is_drive]:
            mine = points[lane["first"] : lane["first"] + lane["count"]]
            n = int(lane["length"] / spacing)
            at = (np.arange(n) + 0.5) * spacing
            k = np.searchsorted(mine["s"], at).clip(0, len(mine) - 1)
            found = mine[k]
            spots.append(
                np.stack(
                    (found["x"], found["y"], found["heading"], found["width"], np.full(n, sign)),
                    axis=1,
                )
            )
    return np.concatenate(spots)


def _outward(spot: Floats, distance: Floats) -> Floats:
    """Points at some distances sideways from a spot, (N, 2) [m]."""
    angle = spot[2] + spot[4] * np.pi / 2
    direction = np.array((np.cos(angle), np.sin(angle)))
    return spot[:2] + distance[:, None] * direction


def _edge(land: Land, spot: Floats) -> float:
    """How far outward from a spot the last surface ends [m]; infinity if none is near."""
    away = np.arange(1.0, 16.0, 0.5)
    xy = _outward(spot, away)
    if not land.inside(xy):
        return float("inf")
    column, row = land.cell(xy)
    clear = np.flatnonzero(land.distance[row, column] > 0.6)
    return float(away[clear[0]]) if len(clear) else float("inf")


def _house(land: Land, spot: Floats, rng: np.random.Generator) -> list[Records]:
    """A house that faces its street, if there is room for it."""
    length, width = rng.uniform(9.0, 17.0), rng.uniform(8.0, 12.0)
    height = 2.8 * rng.integers(2, 6) + 1.0
    setback = rng.uniform(2.8, 6.5)
    color = _HOUSE_COLORS[rng.integers(len(_HOUSE_COLORS))] + rng.integers(-10, 11)
    edge = _edge(land, spot)
    if not np.isfinite(edge):
        return []
    x, y = _outward(spot, np.array([edge + setback + width / 2]))[0]
    if not land.claim(footprint(x, y, spot[2], length + 1.6, width + 1.6), CLEARANCE):
        return []
    return [prism(x, y, 0.0, spot[2], length, width, height, kind=PrismKind.HOUSE, color=color)]


def _tree(land: Land, x: float, y: float, rng: np.random.Generator) -> list[Records]:
    """A trunk and a crown, if there is room for both."""
    slim = rng.random() < 0.25
    crown = rng.uniform(1.8, 2.8) if slim else rng.uniform(2.8, 5.2)
    height = rng.uniform(5.0, 9.0) if slim else rng.uniform(3.2, 5.6)
    foot = 0.7 if slim else rng.uniform(1.5, 2.4)
    heading = rng.uniform(-np.pi, np.pi)
    leaves = _LEAVES[rng.integers(len(_LEAVES))] + rng.integers(-8, 9)
    if not land.claim(footprint(x, y, heading, crown, crown), CLEARANCE):
        return []
    trunk = (x, y, 0.0, heading, 0.35, 0.35, foot + 0.4 * height)
    top = (x, y, foot, heading, crown, crown, height)
    return [
        prism(*trunk, kind=PrismKind.TRUNK, color=np.array((92, 72, 54))),
        prism(*top, kind=PrismKind.CROWN, color=leaves),
    ]


def _pole(land: Land, spot: Floats, rng: np.random.Generator) -> list[Records]:
    edge = _edge(land, spot)
    if not np.isfinite(edge):
        return []
    x, y = _outward(spot, np.array([edge + 2.2]))[0]
    if not land.claim(footprint(x, y, spot[2], 0.5, 0.5), CLEARANCE):
        return []
    height = rng.uniform(6.5, 8.0)
    grey = np.array((120, 122, 124))
    return [prism(x, y, 0.0, spot[2], 0.18, 0.18, height, kind=PrismKind.POLE, color=grey)]


def _woods(land: Land, rng: np.random.Generator) -> Floats:
    """Where trees could stand: a jittered grid near the roads, in clumps, (N, 2) [m]."""
    rows, columns = land.built.shape
    step = 9.0
    x, y = np.meshgrid(np.arange(step, columns * CELL, step), np.arange(step, rows * CELL, step))
    xy = np.stack((x.ravel(), y.ravel()), axis=1) + rng.uniform(-4.0, 4.0, (x.size, 2))
    column, row = np.minimum((xy / CELL).astype(np.int64), (columns - 1, rows - 1)).T
    away = land.distance[row, column]
    waves = np.sin(xy[:, 0] / 37.0 + 1.3 * np.sin(xy[:, 1] / 61.0)) + np.sin(xy[:, 1] / 43.0)
    chance = np.clip(0.32 + 0.22 * waves, 0.04, 0.8)
    chance[land.is_town(xy + land.origin)] *= 0.5
    kept = (away > 4.5) & (away < 55.0) & (rng.random(len(xy)) < chance)
    return xy[kept] + land.origin


@lru_cache(maxsize=8)
def scenery(network: RoadNetwork) -> Records:
    """Returns what stands beside the roads of a map, (N,) PRISM (kept in the cache folder).

    Lights and signs come first. Houses stand back from streets with sidewalks, lamp posts
    line them, trees stand in the country and between the houses.
    """
    return kept("scenery", network, __file__, lambda: {"prisms": _build(network)})["prisms"]


def _build(network: RoadNetwork) -> Records:
    if not np.isin(network.lanes["type"], SURFACES).any():
        return np.zeros(0, PRISM)
    rng = np.random.default_rng(zlib.crc32(network.hash.encode()))
    land = Land(network)
    prisms: list[Records] = [np.zeros(0, PRISM), signposts(network, land)]
    for spot in _spots(network, 19.0):
        town = land.is_town(spot[None, :2])[0]
        if town and rng.random() < 0.85:
            prisms += _house(land, spot, rng)
    for spot in _spots(network, 32.0):
        if land.is_town(spot[None, :2])[0]:
            prisms += _pole(land, spot, rng)
    for x, y in _woods(land, rng):
        prisms += _tree(land, float(x), float(y), rng)
    return np.concatenate(prisms)
