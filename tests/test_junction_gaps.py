"""What lanes through a junction leave open is paved, islands are not."""

from dataclasses import replace

import numpy as np
import pytest

from drive_il.maps import library
from drive_il.maps.junction_gaps import MAX_AREA, gaps
from drive_il.maps.network import RoadNetwork
from tests.roads import ring_road


def junction(radius: float) -> RoadNetwork:
    """A ring of one lane 4 m wide inside one junction; its hole has the given radius."""
    network = ring_road(radius + 2.0, two_way=False, lane_width=4.0)
    # Lane 0 runs outside of the reference line.
    lanes = network.lanes.copy()
    lanes["junction"] = 0
    return replace(network, lanes=np.concatenate((lanes, lanes[:1])))


def test_a_small_hole_is_covered_whole() -> None:
    quads = gaps(junction(2.0))
    area = np.prod(quads[:, 2] - quads[:, 0], axis=1).sum()
    # The lane lies between the radii 4 and 8; nothing is paved nearer than a metre to its edge.
    assert np.pi * 6.5**2 < area < np.pi * 7.25**2
    assert np.hypot(*quads.reshape(-1, 2).T).max() < 7.25


def test_an_island_stays() -> None:
    radius = np.sqrt(MAX_AREA / np.pi) - 1.5
    quads = gaps(junction(radius))
    assert np.hypot(*quads.mean(1).T).min() > radius + 2.5


@pytest.mark.parametrize("town", ["alder", "birch", "cedar", "dell"])
def test_gaps_of_a_town_are_rows_of_cells(town: str) -> None:
    quads = gaps(library.load(town))
    size = quads.max(1) - quads.min(1)
    assert (size[:, 1] == pytest.approx(0.25)) if len(quads) else True
    assert len(quads) < 8000
