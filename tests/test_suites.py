"""The shipped route suites, and how they are drawn."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from lane_networks import multi_lane_road, one_way_grid

from drive_il.datatypes import Command, Floats, Route
from drive_il.maps.routes import RoutePlanner, load_routes, plan_record, read_routes
from drive_il.maps.suites import make_suite

ROUTES = Path(__file__).parents[1] / "routes"
TOWNS = ("alder", "birch", "cedar")
SUITES = [f"{town}_{part}" for town in TOWNS for part in ("train", "test")] + ["dell"]


def ends(path: Path, index: int) -> Floats:
    return np.array([record.keypoints[index, :2] for record in read_routes(path)])


def closest(a: Floats, b: Floats) -> float:
    return float(np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1)).min())


def planned(name: str) -> list[Route]:
    from drive_il.maps import library

    return load_routes(ROUTES / f"{name}.xml", library.load)


def commands(routes: list[Route]) -> set[str]:
    return {
        Command(int(value)).name
        for route in routes
        for value, _ in groupby(route.points["command"])
    }


@pytest.mark.parametrize("name", SUITES)
def test_a_shipped_suite_is_planned_and_has_short_and_long_routes(name: str) -> None:
    routes = planned(name)
    town = name.partition("_")[0]
    assert {route.town for route in routes} == {town}
    assert len({route.id for route in routes}) == len(routes)
    assert len(routes) >= 20
    lengths = np.array([route.length for route in routes])
    short = (lengths >= 100.0) & (lengths <= 300.0)
    long = (lengths >= 800.0) & (lengths <= 2000.0)
    assert (short | long).all(), lengths[~(short | long)]
    assert short.sum() >= 4
    assert long.sum() >= 4
    for route in routes:
        assert np.abs(route.points["curvature"]).max() < 0.25
        assert np.diff(route.points["s"]).max() <= 1.0 + 1e-9
        gaps = np.hypot(np.diff(route.points["x"]), np.diff(route.points["y"]))
        assert gaps.max() < 1.01


@pytest.mark.parametrize("name", [f"{town}_{part}" for town in TOWNS for part in ("train", "test")])
def test_a_towns_suite_has_every_command_that_fits_it(name: str) -> None:
    expected = {"LEFT", "RIGHT", "STRAIGHT", "LANEFOLLOW"}
    if name.startswith("cedar"):
        expected = {"LANEFOLLOW", "CHANGELANELEFT", "CHANGELANERIGHT"}
    assert expected <= commands(planned(name))


@pytest.mark.parametrize("town", TOWNS)
def test_training_and_test_routes_start_and_end_elsewhere(town: str) -> None:
    train, test = ROUTES / f"{town}_train.xml", ROUTES / f"{town}_test.xml"
    assert closest(ends(train, 0), ends(test, 0)) >= 20.0
    assert closest(ends(train, -1), ends(test, -1)) >= 20.0


def test_a_suite_is_decided_by_its_seed() -> None:
    roads = one_way_grid(0, n=8)
    first, again, other = (make_suite(roads, 4, 0, seed) for seed in (5, 5, 6))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
    assert not np.array_equal(first[0].keypoints[0], other[0].keypoints[0])
    planner = RoutePlanner(roads)
    for record in first:
        assert 100.0 <= plan_record(planner, record).length <= 300.0


def test_a_town_too_small_for_the_suite_says_so() -> None:
    with pytest.raises(ValueError, match="map made has no room for 1 short and 1 long routes"):
        make_suite(multi_lane_road(), 1, 1, seed=0)
