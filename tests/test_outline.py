"""A map as SVG paths: it is the map, it is small, and overlapping surfaces leave no holes."""

import re

import numpy as np
import pytest

from drive_il.datatypes import Floats
from drive_il.maps import library, outline
from drive_il.maps.network import LaneType

TOWNS = ("alder", "dell")
FILLED = ("sidewalk", "shoulder", "parking", "driving", "house", "pole", "crown")


def subpaths(path: str) -> list[Floats]:
    """The points of each subpath [m]."""
    found = []
    for part in re.findall(r"M[^M]*", path):
        start, _, rest = part[1:].rstrip("z").partition("l")
        steps = np.array(rest.split(), float).reshape(-1, 2)
        first = np.array(start.split(), float)
        found.append(np.concatenate((first[None], first + np.cumsum(steps, axis=0))) * outline.UNIT)
    return found


def area(points: Floats) -> float:
    x, y = points.T
    return float(0.5 * (x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


@pytest.mark.parametrize("town", TOWNS)
def test_the_driving_surface_has_the_lanes_area(town: str) -> None:
    network = library.load(town)
    lanes = network.lanes[network.lanes["type"] == LaneType.DRIVING]
    points = [network.points[one["first"] : one["first"] + one["count"]] for one in lanes]
    truth = [float(np.trapezoid(one["width"], one["s"])) for one in points]
    made = [-area(one) for one in subpaths(outline.paths(network)["driving"])[: len(lanes)]]
    # An edge is off by at most 0.12 m and half a decimetre.
    assert made == pytest.approx(truth, abs=6.0, rel=0.08)
    assert sum(made) == pytest.approx(sum(truth), rel=0.02)


@pytest.mark.parametrize("town", TOWNS)
def test_all_surfaces_run_clockwise(town: str) -> None:
    paths = outline.paths(library.load(town))
    for name in FILLED:
        areas = [area(one) for one in subpaths(paths.get(name, ""))]
        assert max(areas, default=0.0) <= 0.2, name  # slivers of a lane that begins at no width


@pytest.mark.parametrize("town", TOWNS)
def test_a_map_is_small_and_inside_its_box(town: str) -> None:
    network = library.load(town)
    paths = outline.paths(network)
    assert sum(map(len, paths.values())) < 350_000
    x0, y0, x1, y1 = outline.box(network)
    points = np.concatenate(subpaths(paths["driving"]))
    assert (points.min(axis=0) > (x0, y0)).all()
    assert (points.max(axis=0) < (x1, y1)).all()


def test_what_is_left_out_of_a_line_lies_near_what_is_left() -> None:
    angle = np.linspace(0.0, 3.0, 400)
    line = 50.0 * np.stack((np.cos(angle), np.sin(angle)), 1)
    kept = outline.thinned(line, 0.1)
    assert len(kept) < 40
    assert (kept[[0, -1]] == line[[0, -1]]).all()
    # A chord of an arc is at most `off` inside it.
    middle = 0.5 * (kept[1:] + kept[:-1])
    assert np.hypot(*middle.T).min() > 50.0 - 0.11


def test_a_straight_line_is_two_points() -> None:
    line = np.stack((np.arange(100.0), 2.0 * np.arange(100.0)), 1)
    assert outline.thinned(line, 0.01).tolist() == [[0.0, 0.0], [99.0, 198.0]]


def test_a_closed_line_is_kept() -> None:
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]], float)
    assert outline.thinned(square, 0.1).tolist() == square.tolist()
