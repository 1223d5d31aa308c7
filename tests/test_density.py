"""Density -> number of vehicles."""

from pathlib import Path

import pytest

from drive_il.maps import library
from drive_il.maps.density import vehicle_count
from tests.roads import ring_road


def test_one_vehicle_per_hundred_metres_of_lane() -> None:
    network = ring_road(50.0)
    metres = network.lanes["length"][network.lanes["type"] == 1].sum()
    assert vehicle_count(network, 1.0) == round(metres / 100.0)
    assert vehicle_count(network, 3.0) == round(3.0 * metres / 100.0)
    assert vehicle_count(network, 0.0) == 0


def test_known_towns(shared_maps: Path) -> None:
    assert vehicle_count(library.load("alder"), 1.0) == 91
    town01 = library.load(shared_maps / "Town01.xodr")
    assert vehicle_count(town01, 1.0) == 50
    assert vehicle_count(town01, 2.42) == 120  # as the leaderboard has


@pytest.mark.parametrize("density", [-1.0, float("nan"), float("inf")])
def test_a_density_is_a_number(density: float) -> None:
    with pytest.raises(ValueError, match="density must be a number >= 0, got"):
        vehicle_count(ring_road(50.0), density)
