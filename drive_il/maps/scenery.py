"""What stands beside the road: houses, trees and poles, so that there is something to see.

Deterministic from the network: the same map always has the same scenery. Nothing stands on
a driving, biking, parking or shoulder lane or a sidewalk, or closer than 1.5 m to one.
"""

from __future__ import annotations

import zlib
from enum import IntEnum

import numpy as np
from scipy.ndimage import distance_transform_edt

from drive_il.datatypes import Bools, Floats, Ints, Records
from drive_il.maps.network import LaneType, RoadNetwork


class PrismKind(IntEnum):
    """What a prism is; decides its shape (box or ellipsoid), its pattern and its tag."""

    HOUSE = 0  # box with windows and a dark eave
    POLE = 1  # box
    TRUNK = 2  # box
    CROWN = 3  # ellipsoid that fills the box


PRISM = np.dtype(
    [
        ("x", "f8"),  # [m] centre
        ("y", "f8"),
        ("z", "f8"),  # [m] of its underside above the road
        ("heading", "f8"),  # [rad]
        ("length", "f8"),  # [m] along its heading
        ("width", "f8"),  # [m]
        ("height", "f8"),  # [m]
        ("kind", "i4"),  # PrismKind
        ("r", "u1"),  # colour
        ("g", "u1"),
        ("b", "u1"),
    ]
)
"""One upright box, or the ellipsoid in it."""

CLEARANCE = 1.5
"""nothing stands closer to a surface that people drive or walk on [m]"""
_CELL = 0.5
_MARGIN = 70.0
_SURFACES = (
    LaneType.DRIVING,
    LaneType.SHOULDER,
    LaneType.SIDEWALK,
    LaneType.PARKING,
    LaneType.BIKING,
)
# A sample and a cell's middle are off the true surface by at most half a diagonal each.
_SLACK = 1.0
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


class _Land:
    """Distance to the nearest surface on a grid of half metres, and what is built on."""

    def __init__(self, network: RoadNetwork) -> None:
        samples, streets = _surface_samples(network)
        self.origin = np.floor(samples.min(axis=0)) - _MARGIN
        shape = np.ceil((samples.max(axis=0) + _MARGIN - self.origin) / _CELL).astype(int)[::-1]
        free = np.ones(shape, bool)
        column, row = self.cell(samples)
        free[row, column] = False
        self.distance = distance_transform_edt(free).astype(np.float32) * np.float32(_CELL)
        self.built = np.zeros(shape, bool)
        self.streets = np.zeros((shape[0] // 64 + 1, shape[1] // 64 + 1), bool)
        column, row = self.cell(streets)
        self.streets[row // 64, column // 64] = True

    def cell(self, xy: Floats) -> tuple[Ints, Ints]:
        column, row = np.floor((xy - self.origin) / _CELL).astype(np.int64).T
        return column, row

    def is_town(self, xy: Floats) -> Bools:
        """Whether there is a sidewalk within some 32 m, (N,)."""
        column, row = self.cell(xy)
        return self.streets[row // 64, column // 64]

    def inside(self, xy: Floats) -> bool:
        column, row = self.cell(xy)
        rows, columns = self.built.shape
        return bool(
            (column >= 0).all()
            and (row >= 0).all()
            and (column < columns).all()
            and (row < rows).all()
        )

    def claim(self, xy: Floats, clearance: float) -> bool:
        """Takes the cells of a footprint if all are free and far enough from surfaces."""
        if not self.inside(xy):
            return False
        column, row = self.cell(xy)
        if self.built[row, column].any():
            return False
        if self.distance[row, column].min() < clearance + _SLACK:
            return False
        self.built[row, column] = True
        return True


def _surface_samples(network: RoadNetwork) -> tuple[Floats, Floats]:
    """Points on all surfaces, at most 0.4 m apart across, and centres of the sidewalks."""
    lanes, points = network.lanes, network.points
    lane_type = np.repeat(lanes["type"], lanes["count"])
    index = np.concatenate(
        [np.arange(lane["first"], lane["first"] + lane["count"]) for lane in lanes]
    )
    kept = index[np.isin(lane_type, _SURFACES)]
    points_kept = points[kept]
    half = points_kept["width"] / 2
    across = np.stack((-np.sin(points_kept["heading"]), np.cos(points_kept["heading"])), axis=1)
    centre = np.stack((points_kept["x"], points_kept["y"]), axis=1)
    n_across = int(np.ceil(2 * half.max() / 0.4)) + 1
    samples = []
    for u in np.linspace(-1, 1, n_across):
        samples.append(centre + across * (u * half)[:, None])
    # Half way between two points, so that the tail of a tight curve has no holes either.
    for u in np.linspace(-1, 1, n_across):
        edge = centre + across * (u * half)[:, None]
        near = np.linalg.norm(np.diff(edge, axis=0), axis=1) < 2.0
        samples.append(((edge[1:] + edge[:-1]) / 2)[near])
    walks = points[index[lane_type == LaneType.SIDEWALK]]
    return np.concatenate(samples), np.stack((walks["x"], walks["y"]), axis=1).reshape(-1, 2)


def _footprint(x: float, y: float, heading: float, length: float, width: float) -> Floats:
    """Points of a rectangle at most 0.5 m apart, edges included, (N, 2) [m]."""
    u = np.linspace(-length / 2, length / 2, max(2, int(np.ceil(length / 0.45)) + 1))
    v = np.linspace(-width / 2, width / 2, max(2, int(np.ceil(width / 0.45)) + 1))
    u, v = (array.ravel() for array in np.meshgrid(u, v))
    cos, sin = np.cos(heading), np.sin(heading)
    return np.stack((x + cos * u - sin * v, y + sin * u + cos * v), axis=1)


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


def _edge(land: _Land, spot: Floats) -> float:
    """How far outward from a spot the last surface ends [m]; infinity if none is near."""
    away = np.arange(1.0, 16.0, 0.5)
    xy = _outward(spot, away)
    if not land.inside(xy):
        return float("inf")
    column, row = land.cell(xy)
    clear = np.flatnonzero(land.distance[row, column] > 0.6)
    return float(away[clear[0]]) if len(clear) else float("inf")


def _row(*values: float, kind: PrismKind, color: Ints) -> Records:
    prism = np.zeros(1, PRISM)
    prism[0] = (*values, int(kind), *np.clip(color, 0, 255).astype(np.uint8))
    return prism


def _house(land: _Land, spot: Floats, rng: np.random.Generator) -> list[Records]:
    """A house that faces its street, if there is room for it."""
    length, width = rng.uniform(9.0, 17.0), rng.uniform(8.0, 12.0)
    height = 2.8 * rng.integers(2, 6) + 1.0
    setback = rng.uniform(2.8, 6.5)
    color = _HOUSE_COLORS[rng.integers(len(_HOUSE_COLORS))] + rng.integers(-10, 11)
    edge = _edge(land, spot)
    if not np.isfinite(edge):
        return []
    x, y = _outward(spot, np.array([edge + setback + width / 2]))[0]
    if not land.claim(_footprint(x, y, spot[2], length + 1.6, width + 1.6), CLEARANCE):
        return []
    return [_row(x, y, 0.0, spot[2], length, width, height, kind=PrismKind.HOUSE, color=color)]


def _tree(land: _Land, x: float, y: float, rng: np.random.Generator) -> list[Records]:
    """A trunk and a crown, if there is room for both."""
    slim = rng.random() < 0.25
    crown = rng.uniform(1.8, 2.8) if slim else rng.uniform(2.8, 5.2)
    height = rng.uniform(5.0, 9.0) if slim else rng.uniform(3.2, 5.6)
    foot = 0.7 if slim else rng.uniform(1.5, 2.4)
    heading = rng.uniform(-np.pi, np.pi)
    leaves = _LEAVES[rng.integers(len(_LEAVES))] + rng.integers(-8, 9)
    if not land.claim(_footprint(x, y, heading, crown, crown), CLEARANCE):
        return []
    trunk = (x, y, 0.0, heading, 0.35, 0.35, foot + 0.4 * height)
    top = (x, y, foot, heading, crown, crown, height)
    return [
        _row(*trunk, kind=PrismKind.TRUNK, color=np.array((92, 72, 54))),
        _row(*top, kind=PrismKind.CROWN, color=leaves),
    ]


def _pole(land: _Land, spot: Floats, rng: np.random.Generator) -> list[Records]:
    edge = _edge(land, spot)
    if not np.isfinite(edge):
        return []
    x, y = _outward(spot, np.array([edge + 2.2]))[0]
    if not land.claim(_footprint(x, y, spot[2], 0.5, 0.5), CLEARANCE):
        return []
    height = rng.uniform(6.5, 8.0)
    grey = np.array((120, 122, 124))
    return [_row(x, y, 0.0, spot[2], 0.18, 0.18, height, kind=PrismKind.POLE, color=grey)]


def _woods(land: _Land, rng: np.random.Generator) -> Floats:
    """Where trees could stand: a jittered grid near the roads, in clumps, (N, 2) [m]."""
    rows, columns = land.built.shape
    step = 9.0
    x, y = np.meshgrid(np.arange(step, columns * _CELL, step), np.arange(step, rows * _CELL, step))
    xy = np.stack((x.ravel(), y.ravel()), axis=1) + rng.uniform(-4.0, 4.0, (x.size, 2))
    column, row = np.minimum((xy / _CELL).astype(np.int64), (columns - 1, rows - 1)).T
    away = land.distance[row, column]
    waves = np.sin(xy[:, 0] / 37.0 + 1.3 * np.sin(xy[:, 1] / 61.0)) + np.sin(xy[:, 1] / 43.0)
    chance = np.clip(0.32 + 0.22 * waves, 0.04, 0.8)
    chance[land.is_town(xy + land.origin)] *= 0.5
    kept = (away > 4.5) & (away < 55.0) & (rng.random(len(xy)) < chance)
    return xy[kept] + land.origin


def scenery(network: RoadNetwork) -> Records:
    """Returns what stands beside the roads of a map, (N,) PRISM.

    Houses stand back from streets with sidewalks, lamp posts line them, trees stand in the
    country and between the houses.
    """
    if not np.isin(network.lanes["type"], _SURFACES).any():
        return np.zeros(0, PRISM)
    rng = np.random.default_rng(zlib.crc32(network.hash.encode()))
    land = _Land(network)
    prisms: list[Records] = [np.zeros(0, PRISM)]
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
