"""The mesh that CARLA's client leads walkers on, as its polygons lie in the file."""

import struct

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from drive_il.carla_sim.server import navmesh
from drive_il.datatypes import Array, Floats
from drive_il.maps import library
from drive_il.sim.pavements import ACROSS, pavements_of

_SET, _TILE, _HEAD = 40, 8, 100  # bytes before the tile, of its reference, of its header


def read(town: str) -> tuple[Floats, Array]:
    """Corners in the file's axes (x, z, y of CARLA), and the records of the polygons."""
    content = navmesh.navigation_mesh(library.load(town))
    assert content[:4] == b"TESM"  # little-endian MSET
    tile = content[_SET + _TILE :]
    assert struct.unpack_from("<i", content, _SET + 4) == (len(tile),)
    n_polygons, n_corners = struct.unpack_from("<2i", tile, 24)
    corners = np.frombuffer(tile, "<f4", 3 * n_corners, _HEAD).reshape(-1, 3)
    polygons = np.frombuffer(tile, navmesh._POLY, n_polygons, _HEAD + 12 * n_corners)
    return corners.astype(np.float64), polygons


@pytest.fixture(params=["alder", "birch", "cedar", "dell"])
def town(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_polygons_turn_the_way_the_client_expects(town: str) -> None:
    """Its areas count positive: clockwise in x and CARLA's y."""
    corners, polygons = read(town)
    areas = []
    for one in polygons:
        x, y = corners[one["corners"][: one["count"]]][:, [0, 2]].T
        areas.append(0.5 * float(np.sum(np.roll(x, -1) * y - x * np.roll(y, -1))))
    assert min(areas) > 0.0


def test_neighbours_share_an_edge_and_know_each_other(town: str) -> None:
    _, polygons = read(town)
    for number, one in enumerate(polygons):
        around = one["corners"][: one["count"]]
        for edge in range(one["count"]):
            other = int(one["neighbours"][edge]) - 1
            if other < 0:
                continue
            back = polygons[other]["neighbours"][: polygons[other]["count"]].tolist()
            there = back.index(number + 1)
            theirs = polygons[other]["corners"][: polygons[other]["count"]]
            ours = (around[edge], around[(edge + 1) % len(around)])
            assert ours == (theirs[(there + 1) % len(theirs)], theirs[there])


def test_one_can_walk_as_far_as_on_the_pavements(town: str) -> None:
    """The mesh falls apart into as many pieces as the graph without jaywalkers' ways."""
    _, polygons = read(town)
    rows, edges = np.nonzero(polygons["neighbours"])
    near = polygons["neighbours"][rows, edges].astype(np.int64) - 1
    n = len(polygons)
    pieces, _ = connected_components(coo_array((np.ones(len(rows)), (rows, near)), (n, n)))
    pavements = pavements_of(library.load(town))
    paths = pavements.paths[pavements.paths["kind"] != ACROSS]
    ends = (paths["node"], paths["far_node"])
    size = len(pavements.nodes)
    wanted, label = connected_components(coo_array((np.ones(len(paths)), ends), (size, size)))
    used = np.unique(label[np.concatenate(ends)])
    assert pieces == len(used) <= wanted


def test_every_polygon_is_found_by_its_box(town: str) -> None:
    content = navmesh.navigation_mesh(library.load(town))
    tile = content[_SET + _TILE :]
    corners, polygons = read(town)
    n_boxes = struct.unpack_from("<i", tile, 48)[0]
    factor = struct.unpack_from("<f", tile, 96)[0]
    low = np.array(struct.unpack_from("<3f", tile, 72))
    boxes = np.frombuffer(tile, navmesh._NODE_BOX, n_boxes, len(tile) - 16 * n_boxes)
    assert n_boxes == 2 * len(polygons) - 1
    for number in range(0, len(polygons), 7):
        inside = corners[polygons[number]["corners"][: polygons[number]["count"]]]
        middle = (inside.mean(axis=0) - low) * factor
        k, found = 0, []
        while k < n_boxes:
            hit = bool(np.all(boxes[k]["low"] <= middle) and np.all(middle <= boxes[k]["high"]))
            what = int(boxes[k]["what"])
            if what >= 0 and hit:
                found.append(what)
            k += 1 if what >= 0 or hit else -what
        assert number in found
