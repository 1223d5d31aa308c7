"""Which lane is below a point, and how far off the road it is: exact geometry.

The surface of a lane is the chain of quadrilaterals between its cross-sections (centre
point, plus and minus half the width across the heading). A point is on a lane when one of
its quadrilaterals holds it. Driving, parking and biking lanes, inside junctions too, are
drivable; all else is off the road.

Lanes overlap in junctions and where roads cross over each other. Lanes more than 3 m above
or below a point do not count, unless there is no other within 10 m. Among those that hold
the point the vehicle's present lane is kept, or else one of its successors is taken, a
neighbour, or the lane with the nearest centreline. All of this reads the point, its height
and its present lane, and nothing else: no path by which it came there. The grid cell of the
point lists every segment that can hold it, so that one look is both the local and the full
search.

Joints between lanes are not gaps: points closer than 5 cm to a lane are on it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Floats, Ints, Records
from drive_il.maps.ground import GROUND, Ground, ground
from drive_il.maps.network import LaneType, RoadNetwork

HEIGHT_LIMIT = 3.0
"""a lane further above or below than this is another road [m]"""
JOINT = 0.05
"""a point this close to a lane is on it [m]"""
HEIGHT_REACH = 10.0
"""with no lane at its height within this distance, a point's height does not count [m]"""
_DRIVING = int(LaneType.DRIVING)

PLACE = np.dtype(
    [
        ("lane", "i4"),  # index of the driving lane below, -1 when there is none
        ("surface", "i4"),  # index of the lane of any drivable type below or nearest
        ("segment", "i4"),  # index of the first point of its nearest segment
        ("s", "f8"),  # [m] along that lane
        ("lateral_error", "f8"),  # [m] from that lane's centreline, left positive
        ("z", "f8"),  # [m] height of the road
        ("slope_x", "f8"),  # rise of the road per metre along world x
        ("slope_y", "f8"),
        ("off_road", "f8"),  # [m] to the nearest drivable surface, 0 on it
    ]
)
"""Where a point is with respect to the lanes."""


@kernels.device
def _crosses(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> bool:
    """Whether the ray from (x, y) towards +x meets the edge a-b.

    Says the same of b-a, bit for bit, so that of two quadrilaterals that share an edge
    exactly one holds a point on it.
    """
    if (ay > y) == (by > y):
        return False
    if ay > by:
        ax, ay, bx, by = bx, by, ax, ay
    return (bx - ax) * (y - ay) - (x - ax) * (by - ay) > 0.0


@kernels.device
def holds(a: np.record, b: np.record, x: float, y: float) -> bool:
    """Whether the quadrilateral between two cross-sections holds a point (even-odd rule)."""
    inside = _crosses(a.right_x, a.right_y, b.right_x, b.right_y, x, y)
    inside ^= _crosses(b.right_x, b.right_y, b.left_x, b.left_y, x, y)
    inside ^= _crosses(b.left_x, b.left_y, a.left_x, a.left_y, x, y)
    inside ^= _crosses(a.left_x, a.left_y, a.right_x, a.right_y, x, y)
    return inside


@kernels.device
def _edge_distance(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> float:
    """Squared distance from (x, y) to the edge a-b [m^2]."""
    dx, dy = bx - ax, by - ay
    px, py = x - ax, y - ay
    length = dx * dx + dy * dy
    t = min(max((px * dx + py * dy) / length, 0.0), 1.0) if length > 0.0 else 0.0
    px -= t * dx
    py -= t * dy
    return px * px + py * py


@kernels.device
def _distance(a: np.record, b: np.record, x: float, y: float) -> float:
    """Squared distance from a point outside to the quadrilateral of two cross-sections."""
    nearest = _edge_distance(a.right_x, a.right_y, b.right_x, b.right_y, x, y)
    nearest = min(nearest, _edge_distance(a.left_x, a.left_y, b.left_x, b.left_y, x, y))
    nearest = min(nearest, _edge_distance(a.left_x, a.left_y, a.right_x, a.right_y, x, y))
    return min(nearest, _edge_distance(b.left_x, b.left_y, b.right_x, b.right_y, x, y))


@kernels.device
def project(points: Floats, segment: int, x: float, y: float) -> tuple[float, float]:
    """Finds where beside one segment of a lane's centreline a point is.

    Args:
        points: x, y, s of every lane point, (P, 3) [m].
        segment: index of the segment's first point.
        x: of the point [m].
        y: of the point [m].

    Returns:
        Fraction along the segment, in [0, 1]; signed distance from it, left positive [m].
    """
    ax, ay = points[segment, 0], points[segment, 1]
    dx, dy = points[segment + 1, 0] - ax, points[segment + 1, 1] - ay
    px, py = x - ax, y - ay
    length = dx * dx + dy * dy
    t = min(max((px * dx + py * dy) / length, 0.0), 1.0) if length > 0.0 else 0.0
    gap_x, gap_y = px - t * dx, py - t * dy
    gap = math.sqrt(gap_x * gap_x + gap_y * gap_y)
    return t, gap if dx * py - dy * px >= 0.0 else -gap


@kernels.device
def project_near(points: Floats, first: int, count: int, hint: int, x: float, y: float) -> int:
    """Walks along one lane from a segment to the locally nearest one.

    Args:
        points: x, y, s of every lane point, (P, 3) [m].
        first: first point of the lane.
        count: number of its points.
        hint: index of the first point of a segment nearby; any other is brought into range.
        x: of the point [m].
        y: of the point [m].

    Returns:
        Index of the segment's first point; see `project`.
    """
    last = first + count - 2
    i = min(max(hint, first), last)
    _, offset = project(points, i, x, y)
    best = abs(offset)
    for direction in (1, -1):
        j = i + direction
        while first <= j <= last:
            _, offset = project(points, j, x, y)
            if abs(offset) > best:
                break
            best = abs(offset)
            i = j
            j += direction
    return i


@kernels.device
def _height(sections: Records, segment: int, t: float) -> float:
    return float(sections[segment].z + t * (sections[segment + 1].z - sections[segment].z))


@kernels.device
def _rank(lanes: Records, successors: Ints, previous: int, lane: int) -> int:
    """How much a lane is preferred, less is more: 0 the present one, 4 not for driving."""
    if lanes[lane].type != _DRIVING:
        return 4
    if previous < 0:
        return 3
    now = lanes[previous]
    if lane == previous:
        return 0
    for k in range(now.successor_first, now.successor_first + now.successor_count):
        if successors[k] == lane:
            return 1
    return 2 if lane == now.left or lane == now.right else 3


@kernels.device
def _holding(ground: Ground, x: float, y: float, z: float, previous: int) -> tuple[int, int]:
    """Returns (segment, lane) of the preferred lane that holds a point, (-1, -1) if none."""
    heads, lanes, successors, sections, points, first, segments, owners, _ = ground
    grid = heads[0]
    column = math.floor((x - grid.x0) / grid.cell)
    row = math.floor((y - grid.y0) / grid.cell)
    found, owner = -1, -1
    if not (0 <= column < grid.columns and 0 <= row < grid.rows):
        return found, owner
    cell = int(row) * grid.columns + int(column)
    best_rank, best_offset = 5, math.inf
    for entry in range(first[cell], first[cell + 1]):
        i = segments[entry]
        a = sections[i]
        dx, dy = x - a.middle_x, y - a.middle_y
        if dx * dx + dy * dy > a.radius * a.radius or not holds(a, sections[i + 1], x, y):
            continue
        t, offset = project(points, i, x, y)
        # A height that is not a number asks nothing: the comparison is false.
        if abs(_height(sections, i, t) - z) > HEIGHT_LIMIT:
            continue
        lane = owners[entry]
        rank = _rank(lanes, successors, previous, lane)
        offset = abs(offset)
        if rank > best_rank:
            continue
        if rank == best_rank and (offset > best_offset or (offset == best_offset and i > found)):
            continue
        best_rank, best_offset, found, owner = rank, offset, i, lane
    return found, owner


@kernels.device
def _nearest_in_cell(
    ground: Ground, cell: int, x: float, y: float, z: float, best: tuple[float, int, int]
) -> tuple[float, int, int]:
    sections, points, first, segments, owners = (
        ground[3],
        ground[4],
        ground[5],
        ground[6],
        ground[7],
    )
    distance, found, owner = best
    for entry in range(first[cell], first[cell + 1]):
        i = segments[entry]
        a = sections[i]
        dx, dy = x - a.middle_x, y - a.middle_y
        reach = distance + a.radius
        if dx * dx + dy * dy > reach * reach:
            continue
        away = math.sqrt(_distance(a, sections[i + 1], x, y))
        if away > distance or (away == distance and i >= found):
            continue
        t, _ = project(points, i, x, y)
        if abs(_height(sections, i, t) - z) > HEIGHT_LIMIT:
            continue
        distance, found, owner = away, i, owners[entry]
    return distance, found, owner


@kernels.device
def _beyond(grid: np.record, column: int, row: int, ring: int, x: float, y: float) -> float:
    """Returns a distance that no cell of this ring or further out falls short of [m]."""
    west, south = grid.x0 + column * grid.cell, grid.y0 + row * grid.cell
    out_x = max(grid.x0 - x, x - grid.x0 - grid.columns * grid.cell, 0.0)
    out_y = max(grid.y0 - y, y - grid.y0 - grid.rows * grid.cell, 0.0)
    reach = (ring - 1) * grid.cell
    bound = math.inf
    if column - ring >= 0:
        bound = min(bound, math.hypot(max(x - west + reach, 0.0), out_y))
    if column + ring < grid.columns:
        bound = min(bound, math.hypot(max(west + grid.cell - x + reach, 0.0), out_y))
    if row - ring >= 0:
        bound = min(bound, math.hypot(max(y - south + reach, 0.0), out_x))
    if row + ring < grid.rows:
        bound = min(bound, math.hypot(max(south + grid.cell - y + reach, 0.0), out_x))
    return bound


@kernels.device
def _nearest_in_line(
    ground: Ground,
    line: tuple[int, int, int, int, int],
    point: tuple[float, float, float],
    best: tuple[float, int, int],
) -> tuple[float, int, int]:
    """Looks through a line of cells: column, row, step in either, number of steps."""
    grid, rings = ground[0][0], ground[8]
    column, row, right, up, n_steps = line
    x, y, z = point
    k = max(-column if right else 0, -row if up else 0, 0)
    while k <= n_steps:
        i, j = column + k * right, row + k * up
        if i >= grid.columns or j >= grid.rows:
            break
        cell = j * grid.columns + i
        if rings[cell] == 0:
            west, south = grid.x0 + i * grid.cell, grid.y0 + j * grid.cell
            dx = max(west - x, x - west - grid.cell, 0.0)
            dy = max(south - y, y - south - grid.cell, 0.0)
            if dx * dx + dy * dy <= best[0] * best[0]:
                best = _nearest_in_cell(ground, cell, x, y, z, best)
        k += max(rings[cell], 1)  # the cells between are empty
    return best


@kernels.device
def _nearest(ground: Ground, x: float, y: float, z: float, limit: float) -> tuple[float, int, int]:
    """Returns (distance, segment, lane) of the nearest surface: cells, ring after ring.

    Segment and lane are -1 when there is none nearer than the limit.
    """
    grid = ground[0][0]
    column = int(min(max(math.floor((x - grid.x0) / grid.cell), 0), grid.columns - 1))
    row = int(min(max(math.floor((y - grid.y0) / grid.cell), 0), grid.rows - 1))
    best = (limit, -1, -1)
    point = (x, y, z)
    for ring in range(ground[8][row * grid.columns + column], max(grid.columns, grid.rows)):
        if ring > 0 and best[0] < _beyond(grid, column, row, ring, x, y):
            break
        west, east, south, north = column - ring, column + ring, row - ring, row + ring
        if south >= 0:
            best = _nearest_in_line(ground, (west, south, 1, 0, 2 * ring), point, best)
        if north < grid.rows and ring > 0:
            best = _nearest_in_line(ground, (west, north, 1, 0, 2 * ring), point, best)
        if west >= 0 and ring > 0:
            best = _nearest_in_line(ground, (west, south + 1, 0, 1, 2 * ring - 2), point, best)
        if east < grid.columns and ring > 0:
            best = _nearest_in_line(ground, (east, south + 1, 0, 1, 2 * ring - 2), point, best)
    return best


@kernels.device
def find(
    ground: Ground, x: float, y: float, z: float, previous: int
) -> tuple[int, int, int, float]:
    """Finds the lane below a point.

    Args:
        ground: see `ground`.
        x: of the point [m].
        y: of the point [m].
        z: its height, NaN when unknown [m].
        previous: index of its present lane, -1 when unknown.

    Returns:
        Index of the driving lane below or -1, index of the drivable lane below or nearest
        (-1 in a network without any), index of the first point of its segment there, and
        the distance to it, 0 on it [m].
    """
    distance, segment, surface = 0.0, -1, -1
    for limit in (HEIGHT_REACH, math.inf):
        distance = 0.0
        segment, surface = _holding(ground, x, y, z, previous)
        if segment < 0:
            distance, segment, surface = _nearest(ground, x, y, z, limit)
        if segment >= 0:
            break
        z = math.nan  # nothing at this height hereabouts: any height will do
    if distance <= JOINT:
        distance = 0.0
    drives = distance == 0.0 and ground[1][surface].type == _DRIVING
    return surface if drives else -1, surface, segment, distance


@kernels.device
def height_and_slope(ground: Ground, segment: int, t: float) -> tuple[float, float, float]:
    """Returns the height of the road at a fraction of a segment [m], its rise along x and y."""
    sections, points = ground[3], ground[4]
    dx = points[segment + 1, 0] - points[segment, 0]
    dy = points[segment + 1, 1] - points[segment, 1]
    length = dx * dx + dy * dy
    rise = (sections[segment + 1].z - sections[segment].z) / length if length > 0.0 else 0.0
    return _height(sections, segment, t), rise * dx, rise * dy


@kernels.device
def settle(ground: Ground, ego: np.record) -> int:
    """Sets lane, height, pitch and off-road distance of a vehicle from where it is.

    Args:
        ground: see `ground`.
        ego: VEHICLE record; its z and lane from the step before tell roads that cross
            over each other apart.

    Returns:
        Index of the first point of the lane segment below or nearest, -1 when there is none.
    """
    lane, _, segment, distance = find(ground, ego.x, ego.y, ego.z, ego.lane)
    ego.lane = lane
    ego.off_road = distance
    if segment >= 0:
        points = ground[4]
        t, _ = project(points, segment, ego.x, ego.y)
        ego.lane_s = points[segment, 2] + t * (points[segment + 1, 2] - points[segment, 2])
        z, slope_x, slope_y = height_and_slope(ground, segment, t)
        ego.z = z
        ego.pitch = math.atan(slope_x * math.cos(ego.heading) + slope_y * math.sin(ego.heading))
    return segment


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        GROUND,
        nt.float64[:, ::1],
        nt.int64[::1],
        kernels.record(PLACE)[::1],
    )
)
def _locate_rows(
    first_row: int, last_row: int, ground: Ground, xyz: Floats, previous: Ints, places: Records
) -> None:
    points = ground[4]
    for row in range(first_row, last_row):
        x, y = xyz[row, 0], xyz[row, 1]
        lane, surface, segment, distance = find(ground, x, y, xyz[row, 2], previous[row])
        place = places[row]
        place.lane = lane
        place.surface = surface
        place.segment = segment
        place.off_road = distance
        if segment >= 0:
            t, offset = project(points, segment, x, y)
            place.s = points[segment, 2] + t * (points[segment + 1, 2] - points[segment, 2])
            place.lateral_error = offset
            z, slope_x, slope_y = height_and_slope(ground, segment, t)
            place.z = z
            place.slope_x = slope_x
            place.slope_y = slope_y


def locate(
    network: RoadNetwork, xy: Floats, z: Floats | None = None, previous_lane: Ints | None = None
) -> Records:
    """Finds the lanes below points.

    Args:
        network: the map.
        xy: world frame, (N, 2) [m].
        z: heights, where roads cross over each other; NaN or None where unknown, (N,) [m].
        previous_lane: present lane of each point, which is kept where lanes overlap; -1 or
            None where unknown, (N,).

    Returns:
        (N,) PLACE.

    Raises:
        ValueError: for arrays of other shapes, coordinates that are not finite, or lane
            indices the network does not have.
    """
    xy = np.asarray(xy, np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"xy must have shape (N, 2), got {xy.shape}")
    if not np.isfinite(xy).all():
        row = int(np.flatnonzero(~np.isfinite(xy).all(axis=1))[0])
        raise ValueError(f"xy of point {row} must be finite, got {xy[row].tolist()}")
    xyz = np.full((len(xy), 3), np.nan)
    xyz[:, :2] = xy
    if z is not None:
        xyz[:, 2] = z
    previous = np.full(len(xy), -1, np.int64)
    if previous_lane is not None:
        previous[:] = previous_lane
    bad = (previous < -1) | (previous >= len(network.lanes))
    if bad.any():
        raise ValueError(
            f"previous_lane must be in [-1, {len(network.lanes) - 1}], got {previous[bad][0]}"
        )
    places = np.zeros(len(xy), PLACE)
    kernels.run(_locate_rows, len(xy), ground(network), xyz, previous, places, min_rows=256)
    return places
