"""The mesh on which CARLA's client leads walkers that have an AI, made from the pavements.

The client plans with Recast's Detour and reads its own file format: a set of tiles, here one,
with convex polygons that name their neighbours ("dtMeshHeader", "dtPoly", "dtBVNode" in
DetourNavMesh.h, version 7; areas and flags: "Generate pedestrian navigation" in CARLA's docs).
Its axes are CARLA's x, z and y.

Every sidewalk and crosswalk is a strip of quadrangles, every place where some meet a polygon
with one edge for each of them. Ways across streets without a crosswalk are left out.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import numpy as np

from drive_il import handedness
from drive_il.datatypes import Array, Floats, Records
from drive_il.maps.network import RoadNetwork
from drive_il.sim.pavements import ACROSS, CROSSWALK, Pavements, pavements_of

_SET, _SET_VERSION = int.from_bytes(b"MSET"), 1
_TILE, _TILE_VERSION = int.from_bytes(b"DNAV"), 7
_SIDEWALK_AREA, _CROSSWALK_AREA = (1, 0x02), (2, 0x04)  # area and flag
_MOST_CORNERS = 6
_WALKER = (1.8, 0.3, 0.4)  # [m] height, radius, step that it can climb
_NARROWEST, _NODE, _CLEAR = 0.15, (0.4, 1.0), 0.2  # [m]
_BENT, _LONGEST = 0.05, 12.0  # [m] a quadrangle leaves the middle by, is long, at most
_QUARTER = 0.25 * np.pi
_MOST_POLYGONS = 1 << 16

_POLY = np.dtype(
    [
        ("first_link", "<u4"),
        ("corners", "<u2", (_MOST_CORNERS,)),
        ("neighbours", "<u2", (_MOST_CORNERS,)),  # one more than the polygon across each edge
        ("flags", "<u2"),
        ("count", "u1"),
        ("area", "u1"),
    ]
)
_LINK_SIZE = 12
_DETAIL = np.dtype([("v0", "<u4"), ("first", "<u4"), ("n_v", "u1"), ("n_t", "u1"), ("_", "V2")])
_NODE_BOX = np.dtype([("low", "<u2", (3,)), ("high", "<u2", (3,)), ("what", "<i4")])


class _Mesh:
    """Polygons while they are made; corners in our frame, counter-clockwise."""

    def __init__(self) -> None:
        self.places: list[tuple[float, float, float]] = []
        self.polygons: list[list[int]] = []
        self.neighbours: list[list[int]] = []
        self.areas: list[tuple[int, int]] = []

    def corner(self, x: float, y: float, z: float) -> int:
        self.places.append((x, y, z))
        return len(self.places) - 1

    def polygon(self, corners: list[int], area: tuple[int, int]) -> int:
        self.polygons.append(corners)
        self.neighbours.append([-1] * len(corners))
        self.areas.append(area)
        return len(self.polygons) - 1

    def join(self, a: int, edge_of_a: int, b: int, edge_of_b: int) -> None:
        self.neighbours[a][edge_of_a], self.neighbours[b][edge_of_b] = b, a


@lru_cache(maxsize=8)
def navigation_mesh(network: RoadNetwork) -> bytes:
    """Returns a map's mesh as CARLA's client reads it; nothing for a map where nobody walks."""
    pavements = pavements_of(network)
    mesh = _Mesh()
    gates: dict[int, tuple[int, int, int, int]] = {}
    for node in range(len(pavements.nodes)):
        _add_node(mesh, pavements, node, gates)
    for number, path in enumerate(pavements.paths):
        if path["kind"] != ACROSS:
            _add_strip(mesh, pavements, number, gates)
    return _packed(mesh) if mesh.polygons else b""


def _way(pavements: Pavements, path: Records) -> Floats:
    points = pavements.points[path["first"] : path["first"] + path["count"]]
    return np.stack([points["x"], points["y"], points["z"]], axis=1)


def _add_node(
    mesh: _Mesh, pavements: Pavements, node: int, gates: dict[int, tuple[int, int, int, int]]
) -> None:
    """Adds the polygon of one meeting place.

    Args:
        mesh: it is added to.
        pavements: the graph.
        node: which.
        gates: for each end of a path (2 * path, + 1 for its far end) the polygon, its edge, and
            that edge's corners on the right and left of who leaves; set.
    """
    record = pavements.nodes[node]
    links = pavements.links[record["first"] : record["first"] + record["count"]]
    leaving = []
    for link in links:
        path = pavements.paths[link // 2]
        way = _way(pavements, path)
        way = way[::-1] if link % 2 else way
        ahead = way[min(2, len(way) - 1)] - way[0]
        if path["kind"] != ACROSS and np.any(ahead):
            leaving.append((float(np.arctan2(ahead[1], ahead[0])), int(link), way[0]))
    leaving = sorted(leaving, key=lambda one: one[0])[:_MOST_CORNERS]
    if len(leaving) < 2:
        return
    rooms = [float(pavements.paths["room"][link // 2]) for _, link, _ in leaving]
    radius = min(max(*rooms, _NODE[0]), _NODE[1])
    middle = np.mean([place for _, _, place in leaving], axis=0)
    edges = _edges(np.array([angle for angle, _, _ in leaving]))
    angles = sorted({angle for edge in edges for angle in edge})
    corners = {
        angle: mesh.corner(
            middle[0] + radius * np.cos(angle), middle[1] + radius * np.sin(angle), middle[2]
        )
        for angle in angles
    }
    polygon = mesh.polygon([corners[angle] for angle in angles], _SIDEWALK_AREA)
    for (right, left), (_, link, _) in zip(edges, leaving, strict=True):
        gates[link] = (polygon, angles.index(right), corners[right], corners[left])


def _edges(angles: Floats) -> list[tuple[float, float]]:
    """Where on a circle the edge towards each direction begins and ends.

    Args:
        angles: of the directions, rising, in [-pi, pi), (D,) with D in 2..6 [rad].

    Returns:
        Pairs of angles in [0, 2 pi); neighbours share one where the polygon would otherwise
        have too many corners.
    """
    n = len(angles)
    gaps = np.diff(angles, append=angles[0] + 2.0 * np.pi)
    half_after = 0.5 * gaps
    half_before = np.roll(half_after, 1)
    if 2 * n <= _MOST_CORNERS:
        half_after = np.minimum(half_after, _QUARTER)
        half_before = np.minimum(half_before, _QUARTER)
    turn = 2.0 * np.pi
    begins = np.round((angles - half_before) % turn, 9) % turn
    ends = np.round((angles + half_after) % turn, 9) % turn
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _add_strip(
    mesh: _Mesh,
    pavements: Pavements,
    number: int,
    gates: dict[int, tuple[int, int, int, int]],
) -> None:
    """Adds the quadrangles of one path, from gate to gate."""
    path = pavements.paths[number]
    way, half = _way(pavements, path), max(float(path["room"]), _NARROWEST)
    begin, end = gates.get(2 * number), gates.get(2 * number + 1)
    s = np.hypot(*np.diff(way[:, :2], axis=0).T).cumsum()
    s = np.concatenate([[0.0], s])
    keep = np.ones(len(way), np.bool_)
    if begin is not None:
        keep &= s > _reach(mesh, begin, way[0]) + _CLEAR
    if end is not None:
        keep &= s < s[-1] - _reach(mesh, end, way[-1]) - _CLEAR
    way = _thinned(way[keep])
    sections = [] if begin is None else [(begin[2], begin[3])]
    for place, ahead in zip(way, _directions(way), strict=True):
        x, y = half * ahead[1], -half * ahead[0]  # to the right
        right = mesh.corner(place[0] + x, place[1] + y, place[2])
        sections.append((right, mesh.corner(place[0] - x, place[1] - y, place[2])))
    if end is not None:
        sections.append((end[3], end[2]))
    area = _CROSSWALK_AREA if path["kind"] == CROSSWALK else _SIDEWALK_AREA
    before = begin[:2] if begin is not None else None
    for (right, left), (far_right, far_left) in zip(sections[:-1], sections[1:], strict=True):
        quadrangle = mesh.polygon([right, far_right, far_left, left], area)
        if before is not None:
            mesh.join(*before, quadrangle, 3)
        before = (quadrangle, 1)
    if end is not None and before is not None:
        mesh.join(*before, *end[:2])


def _reach(mesh: _Mesh, gate: tuple[int, int, int, int], place: Floats) -> float:
    """How far from a path's end its gate lies, at most [m]."""
    corners = np.array([mesh.places[gate[2]], mesh.places[gate[3]]])
    return float(np.hypot(*(corners - place)[:, :2].T).max())


def _directions(way: Floats) -> Floats:
    """Unit vectors along a way, (N, 2)."""
    if len(way) < 2:
        return np.tile([1.0, 0.0], (len(way), 1))
    ahead = np.gradient(way[:, :2], axis=0)
    return np.asarray(ahead / np.maximum(np.hypot(*ahead.T), 1e-9)[:, None])


def _thinned(way: Floats) -> Floats:
    """Leaves out points between which a way is nearly straight."""
    if len(way) < 3:
        return way if len(way) > 1 else way[:0]
    kept, last = [0], 0
    for k in range(2, len(way)):
        chord = way[k] - way[last]
        between = way[last + 1 : k] - way[last]
        length = max(float(np.linalg.norm(chord)), 1e-9)
        along = np.clip(between @ chord / length**2, 0.0, 1.0)
        off = np.linalg.norm(between - along[:, None] * chord, axis=1).max()
        if off > _BENT or length > _LONGEST:
            kept.append(k - 1)
            last = k - 1
    return np.asarray(way[[*kept, len(way) - 1]])


def _packed(mesh: _Mesh) -> bytes:
    """The file: header of the set, of its tile, and the tile."""
    polygons, corners = _polygons(mesh)
    places = np.array(mesh.places)
    verts = np.stack(
        [places[:, 0], places[:, 2], handedness.y_to_carla(places[:, 1])], axis=1
    ).astype("<f4")
    low, high = verts.min(axis=0) - 1.0, verts.max(axis=0) + 1.0
    tile = _tile(verts, polygons, corners, low, high)
    size = [float(high[0] - low[0]), float(high[2] - low[2])]
    head = struct.pack("<3i5f2i", _SET, _SET_VERSION, 1, *low, *size, 1, _MOST_POLYGONS)
    reference = _MOST_POLYGONS  # salt 1, tile 0, polygon 0
    return b"".join((head, struct.pack("<Ii", reference, len(tile)), tile))


def _polygons(mesh: _Mesh) -> tuple[Array, list[list[int]]]:
    """The records of all polygons, and their corners."""
    if len(mesh.polygons) >= _MOST_POLYGONS or len(mesh.places) >= _MOST_POLYGONS:
        raise ValueError(f"a map of {len(mesh.polygons)} pieces of pavement is too large to walk")
    records = np.zeros(len(mesh.polygons), _POLY)
    records["first_link"] = 0xFFFFFFFF
    for record, corners, near, (area, flag) in zip(
        records, mesh.polygons, mesh.neighbours, mesh.areas, strict=True
    ):
        record["corners"][: len(corners)] = corners
        record["neighbours"][: len(near)] = np.array(near) + 1
        record["flags"], record["count"], record["area"] = flag, len(corners), area
    return records, mesh.polygons


def _tile(
    verts: Array, polygons: Array, corners: list[list[int]], low: Array, high: Array
) -> bytes:
    n_links = int(np.count_nonzero(polygons["neighbours"]))
    details = np.zeros(len(polygons), _DETAIL)
    details["n_t"] = polygons["count"] - 2
    details["first"] = np.concatenate([[0], details["n_t"].cumsum(dtype=np.int64)[:-1]])
    fans = [_fan(int(count), k) for count in polygons["count"] for k in range(1, int(count) - 1)]
    factor = 65000.0 / float((high - low).max())
    boxes = _boxes(verts, corners, low, factor)
    counts = [len(polygons), len(verts), n_links, len(details), 0, len(fans), len(boxes), 0]
    head = struct.pack("<5iI", _TILE, _TILE_VERSION, 0, 0, 0, 0)
    head += struct.pack("<9i", *counts, len(polygons))
    head += struct.pack("<10f", *_WALKER, *low, *high, factor)
    return b"".join(
        (
            *(head, verts.tobytes(), polygons.tobytes(), bytes(_LINK_SIZE * n_links)),
            *(details.tobytes(), np.array(fans, np.uint8).tobytes(), boxes.tobytes()),
        )
    )


def _fan(count: int, k: int) -> tuple[int, int, int, int]:
    """One triangle of a polygon, and which of its edges are the polygon's (bits 0, 2, 4)."""
    return (0, k, k + 1, (k == 1) | 1 << 2 | (k + 2 == count) << 4)


def _boxes(verts: Array, corners: list[list[int]], low: Array, factor: float) -> Array:
    """The tree of boxes in which polygons are looked for.

    A leaf names its polygon; a branch, how many nodes to skip when its box is missed.
    """
    bounds = np.array([(verts[one].min(axis=0), verts[one].max(axis=0)) for one in corners])
    bounds = (bounds - low) * factor
    bounds[:, 0], bounds[:, 1] = np.floor(bounds[:, 0]), np.ceil(bounds[:, 1])
    nodes: list[tuple[Any, Any, int]] = []
    waiting = [(np.arange(len(corners)), -1)]
    while waiting:
        members, branch = waiting.pop()
        if branch >= 0:  # both halves of a branch are there: it is known how many they are
            nodes[branch] = (*nodes[branch][:2], branch - len(nodes))
            continue
        inside = bounds[members]
        least, most = inside[:, 0].min(axis=0), inside[:, 1].max(axis=0)
        if len(members) == 1:
            nodes.append((least, most, int(members[0])))
            continue
        axis = int(np.argmax(most - least))
        order = members[np.argsort(inside[:, :, axis].sum(axis=1), kind="stable")]
        waiting.append((members, len(nodes)))
        nodes.append((least, most, 0))
        half = len(order) // 2
        waiting += [(order[half:], -1), (order[:half], -1)]
    return np.array(nodes, _NODE_BOX)
