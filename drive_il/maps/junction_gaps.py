"""Small areas that the lanes through a junction leave open between them.

OpenDRIVE describes a junction by the lanes through it. Between a left turn and a right turn
of a T-junction a few square metres belong to no lane, which nobody would leave unpaved.
They are found on a raster, and given back as rectangles one cell high, together with the inside
of the junction, where lanes that part leave slits.
"""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import Bools, Floats, Records
from drive_il.maps.network import LaneType, RoadNetwork

MAX_AREA = 60.0
"""a larger gap is an island that is meant, as in a roundabout [m^2]"""
_CELL = 0.25  # [m]
_SQUARE = np.ones((3, 3), np.bool_)
_AROUND = 2.0  # [m] beyond the lanes of a junction that are looked at


def gaps(network: RoadNetwork) -> Floats:
    """Returns rectangles that cover what is open in all junctions.

    They reach below the lanes around, so that no seam remains, and never over a kerb.

    Args:
        network: the map.

    Returns:
        Corners counter-clockwise, (N, 4, 2) [m].
    """
    lanes = network.lanes
    driving = np.flatnonzero(lanes["type"] == LaneType.DRIVING)
    quads = {int(lane): _quads(network, int(lane)) for lane in driving}
    found: list[Floats] = [np.zeros((0, 4, 2))]
    for junction in np.unique(lanes["junction"][driving]).tolist():
        inside = [quads[lane] for lane in driving.tolist() if lanes["junction"][lane] == junction]
        if junction < 0 or len(inside) < 2:
            continue
        corners = np.concatenate(inside).reshape(-1, 2)
        low, high = corners.min(0) - _AROUND, corners.max(0) + _AROUND
        near = [part[_touch(part, low, high)] for part in quads.values()]
        found.append(_open(np.concatenate(near), low, high))
    return np.concatenate(found)


def _quads(network: RoadNetwork, lane: int) -> Floats:
    """The surface of a lane, piece by piece, (K, 4, 2) [m]."""
    first, count = int(network.lanes["first"][lane]), int(network.lanes["count"][lane])
    points: Records = network.points[first : first + count]
    half = 0.5 * points["width"]
    out = np.stack((-np.sin(points["heading"]), np.cos(points["heading"])), 1) * half[:, None]
    xy = np.stack((points["x"], points["y"]), 1)
    right, left = xy - out, xy + out
    return np.stack((right[:-1], right[1:], left[1:], left[:-1]), 1).astype(np.float64)


def _touch(quads: Floats, low: Floats, high: Floats) -> Bools:
    return np.asarray(((quads.max(1) > low) & (quads.min(1) < high)).all(1))


def _open(quads: Floats, low: Floats, high: Floats) -> Floats:
    """Rectangles over what quads enclose but do not cover, (N, 4, 2) [m]."""
    from scipy import ndimage  # slow to load

    shape = np.ceil((high - low) / _CELL).astype(np.int64)
    covered = np.zeros((shape[1], shape[0]), np.bool_)
    for quad in quads:
        _cover(covered, (quad - low) / _CELL)
    enclosed = ndimage.binary_fill_holes(covered) & ~covered
    numbers, n = ndimage.label(enclosed)
    areas = ndimage.sum_labels(enclosed, numbers, np.arange(1, n + 1)) * _CELL**2
    small = np.isin(numbers, np.flatnonzero(areas <= MAX_AREA) + 1)
    # Slits that are too narrow for the raster: all that is a metre or more from any kerb.
    whole = ndimage.binary_closing(covered, _SQUARE, iterations=2) | small
    inner = ndimage.binary_erosion(whole, _SQUARE, iterations=4)
    wanted = ndimage.binary_dilation(small, _SQUARE) | inner
    rectangles = []
    for row in np.flatnonzero(wanted.any(1)).tolist():
        edges = np.flatnonzero(np.diff(np.concatenate(([0], wanted[row], [0]))))
        for begin, end in edges.reshape(-1, 2).tolist():
            box = [(begin, row), (end, row), (end, row + 1), (begin, row + 1)]
            rectangles.append(low + _CELL * np.array(box, np.float64))
    return np.array(rectangles, np.float64).reshape(-1, 4, 2)


def _cover(covered: Bools, quad: Floats) -> None:
    """Marks the cells whose middles lie in a convex quad, given in cells."""
    x0, y0 = np.maximum(np.floor(quad.min(0)).astype(int), 0).tolist()
    x1, y1 = np.ceil(quad.max(0)).astype(int).tolist()
    x = np.arange(x0, min(x1, covered.shape[1])) + 0.5
    y = (np.arange(y0, min(y1, covered.shape[0])) + 0.5)[:, None]
    inside = np.ones((len(y), len(x)), np.bool_)
    for (ax, ay), (bx, by) in zip(quad, np.roll(quad, -1, 0), strict=True):
        inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= -1e-9
    covered[y0 : y0 + len(y), x0 : x0 + len(x)] |= inside
