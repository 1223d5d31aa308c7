"""The land beside the roads: what stands there, and where there is room for it."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from drive_il.datatypes import Bools, Floats, Ints, Records
from drive_il.maps.network import LaneType, RoadNetwork


class PrismKind(IntEnum):
    """What a prism is; decides its shape, its pattern and its tag."""

    HOUSE = 0  # box with windows and a dark eave
    POLE = 1  # box
    TRUNK = 2  # box
    CROWN = 3  # ellipsoid that fills the box
    STOP = 4  # octagon on a thin plate; from here on each belongs to a signal
    YIELD = 5  # triangle
    SPEED = 6  # disc with a number
    LIGHT = 7  # head with three lamps


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
        ("signal", "i4"),  # index into the network's signals, -1 none
        ("number", "i4"),  # what is written on it, -1 nothing
    ]
)
"""One upright box, or what is inscribed in it. Signs and lights face along their heading."""


CLEARANCE = 1.5
"""nothing stands closer to a surface that people drive or walk on [m]"""
CELL = 0.5
_MARGIN = 70.0
SURFACES = (
    LaneType.DRIVING,
    LaneType.SHOULDER,
    LaneType.SIDEWALK,
    LaneType.PARKING,
    LaneType.BIKING,
)
# A sample and a cell's middle are off the true surface by at most half a diagonal each.
_SLACK = 1.0


class Land:
    """Distance to the nearest surface on a grid of half metres, and what is built on."""

    def __init__(self, network: RoadNetwork) -> None:
        from scipy.ndimage import distance_transform_edt  # slow to load

        samples, streets = _surface_samples(network)
        self.origin = np.floor(samples.min(axis=0)) - _MARGIN
        shape = np.ceil((samples.max(axis=0) + _MARGIN - self.origin) / CELL).astype(int)[::-1]
        free = np.ones(shape, bool)
        column, row = self.cell(samples)
        free[row, column] = False
        self.distance = distance_transform_edt(free).astype(np.float32) * np.float32(CELL)
        self.built = np.zeros(shape, bool)
        self.streets = np.zeros((shape[0] // 64 + 1, shape[1] // 64 + 1), bool)
        column, row = self.cell(streets)
        self.streets[row // 64, column // 64] = True

    def cell(self, xy: Floats) -> tuple[Ints, Ints]:
        """Column and row of points, (N,) each."""
        column, row = np.floor((xy - self.origin) / CELL).astype(np.int64).T
        return column, row

    def is_town(self, xy: Floats) -> Bools:
        """Whether there is a sidewalk within some 32 m, (N,)."""
        column, row = self.cell(xy)
        return self.streets[row // 64, column // 64]

    def inside(self, xy: Floats) -> bool:
        """Whether all points lie on the grid."""
        column, row = self.cell(xy)
        rows, columns = self.built.shape
        return bool(
            (column >= 0).all()
            and (row >= 0).all()
            and (column < columns).all()
            and (row < rows).all()
        )

    def reserve(self, xy: Floats) -> None:
        """Takes the cells of a footprint, wherever it lies."""
        column, row = self.cell(xy)
        rows, columns = self.built.shape
        inside = (column >= 0) & (row >= 0) & (column < columns) & (row < rows)
        self.built[row[inside], column[inside]] = True

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
    kept = index[np.isin(lane_type, SURFACES)]
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


def footprint(x: float, y: float, heading: float, length: float, width: float) -> Floats:
    """Points of a rectangle at most 0.5 m apart, edges included, (N, 2) [m]."""
    u = np.linspace(-length / 2, length / 2, max(2, int(np.ceil(length / 0.45)) + 1))
    v = np.linspace(-width / 2, width / 2, max(2, int(np.ceil(width / 0.45)) + 1))
    u, v = (array.ravel() for array in np.meshgrid(u, v))
    cos, sin = np.cos(heading), np.sin(heading)
    return np.stack((x + cos * u - sin * v, y + sin * u + cos * v), axis=1)


def prism(
    *values: float, kind: PrismKind, color: Ints, signal: int = -1, number: int = -1
) -> Records:
    """Returns one PRISM of x, y, z, heading, length, width, height, (1,)."""
    made = np.zeros(1, PRISM)
    made[0] = (*values, int(kind), *np.clip(color, 0, 255).astype(np.uint8), signal, number)
    return made
