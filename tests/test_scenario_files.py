"""Scenarios of CARLA's files: read, turned into our frame, matched to routes, written."""

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from drive_il.maps import library
from drive_il.maps.route_files import read_routes, write_routes
from drive_il.maps.routes import RoutePlanner, load_routes, plan_record
from drive_il.maps.scenario_files import (
    interval,
    number,
    on_the_way,
    place,
    places,
    read_scenarios,
    read_town_scenarios,
    scenarios_element,
    unreachable,
    word,
)
from drive_il.scenarios.suites import LONG, make_suite
from tests.roads import straight_road
from tests.test_world import route_along

ROUTES = Path(__file__).parents[1] / "routes"
XML = """
<scenarios>
  <scenario name="Accident_1" type="Accident">
    <trigger_point x="120.0" y="1.75" z="0.5" yaw="0"/>
    <distance value="80"/>
    <direction value="left"/>
    <frequency from="20" to="70"/>
    <start_actor_flow x="1.5" y="-20" z="3"/>
    <other_actor model="vehicle.tesla.model3"/>
    <other_actor model="walker.pedestrian.0001"/>
  </scenario>
  <scenario name="Loss" type="ControlLoss">
    <trigger_point x="10.0" y="-4" z="0" yaw="90"/>
  </scenario>
</scenarios>
"""


def test_a_declaration_is_read_in_our_frame() -> None:
    accident, loss = read_scenarios([ElementTree.fromstring(XML)], "route 0")
    assert (accident.name, accident.type) == ("Accident_1", "Accident")
    assert (accident.x, accident.y, accident.z, accident.heading) == (120.0, -1.75, 0.5, 0.0)
    assert loss.y == 4.0
    assert loss.heading == pytest.approx(-math.pi / 2)  # yaw is clockwise seen from above
    assert number(accident, "distance", 5.0) == 80.0
    assert number(accident, "speed", 5.0) == 5.0
    assert word(accident, "direction", "right", ("left", "right")) == "left"
    assert interval(accident, "frequency", (1.0, 2.0)) == (20.0, 70.0)
    assert place(accident, "start_actor_flow").tolist() == [1.5, 20.0, 3.0]
    assert place(accident, "end_actor_flow") is None
    assert accident.parameters["other_actor 2"] == {"model": "walker.pedestrian.0001"}


def test_what_is_written_is_what_was_read() -> None:
    specs = read_scenarios([ElementTree.fromstring(XML)], "route 0")
    again = read_scenarios([scenarios_element(specs)], "route 0")
    for old, new in zip(specs, again, strict=True):
        assert new.heading == pytest.approx(old.heading)
        assert replace(new, heading=0.0) == replace(old, heading=0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('name="Loss"', ""), "lacks its name or type"),
        (('name="Loss"', 'name="Accident_1"'), "Accident_1 is declared twice"),
        (('x="10.0"', 'x="ten"'), "scenario Loss: x='ten' is not a finite number"),
        (('<trigger_point x="10.0" y="-4" z="0" yaw="90"/>', ""), "Loss has no trigger_point"),
    ],
)
def test_a_bad_declaration_is_named(change: tuple[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_scenarios([ElementTree.fromstring(XML.replace(*change))], "route 0")


def test_a_trigger_point_counts_within_2_m_and_10_degrees() -> None:
    road = route_along(straight_road(500.0), 0)
    accident = read_scenarios([ElementTree.fromstring(XML)], "route 0")[0]
    s, offset, angle = places(road, [accident])
    assert (s[0], offset[0], angle[0]) == pytest.approx((120.0, 0.0, 0.0), abs=1e-9)
    nearly = replace(accident, name="nearly", y=accident.y + 1.99, heading=math.radians(9.9))
    beside = replace(accident, name="beside", y=accident.y + 2.01)
    turned = replace(accident, name="turned", heading=math.radians(10.1))
    route = replace(road, scenarios=(accident, nearly, beside, turned))
    assert [spec.name for spec in unreachable(route)] == ["beside", "turned"]
    further = replace(accident, name="further", x=300.0)
    assert [spec.name for spec in on_the_way(road, [further, beside, accident, nearly])] == [
        "Accident_1",  # one per place, in the order of the route
        "further",
    ]


def test_town_files_of_leaderboard_1_0(shared_routes: Path, shared_maps: Path) -> None:
    path = shared_routes / "lb1_scenarios_town01_town04.json"
    towns = read_town_scenarios(path)
    kinds = [spec.type for spec in towns["Town01"]]
    assert [kinds.count(kind) for kind in dict.fromkeys(kinds)] == [35, 18, 40]
    assert set(kinds) == {"VehicleTurningRoute", "DynamicObjectCrossing", "ControlLoss"}
    losses = [spec.parameters for spec in towns["Town01"] if spec.type == "ControlLoss"]
    assert losses == [{"noise": {"value": "held"}}] * len(losses)
    routes = load_routes(
        shared_routes / "lb1_devtest_town01_town04.xml",
        lambda town: library.load(shared_maps / f"{town}.xodr"),
        path,
    )
    assert all(route.scenarios and not unreachable(route) for route in routes)


def test_a_town_file_of_another_form_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scenarios.json"
    with pytest.raises(ValueError, match="does not exist"):
        read_town_scenarios(path)
    path.write_text('{"scenarios": []}')
    with pytest.raises(ValueError, match="is not in leaderboard 1.0's form"):
        read_town_scenarios(path)


def test_the_shipped_suites_are_what_their_seed_gives(tmp_path: Path) -> None:
    path = tmp_path / "dell.xml"
    write_routes(path, make_suite(library.load("dell"), seed=3))
    assert path.read_bytes() == (ROUTES / "dell_scenarios.xml").read_bytes()


@pytest.mark.parametrize("town", ["alder", "birch", "cedar"])
def test_long_routes_have_several_scenarios_each(town: str) -> None:
    routes = load_routes(ROUTES / f"{town}_long_scenarios.xml", library.load)
    assert len(routes) == LONG.n_routes
    for route in routes:
        assert LONG.bounds[0] <= route.length <= LONG.bounds[1]
        assert 4 <= len(route.scenarios) <= LONG.per_route
        assert not unreachable(route)
        s, _, _ = places(route, route.scenarios)
        assert np.diff(np.sort(s)).min() > 45.0  # one is over before the next begins
    assert len({spec.type for route in routes for spec in route.scenarios}) >= 20


def test_scenarios_survive_planning() -> None:
    record = read_routes(ROUTES / "dell_scenarios.xml")[0]
    route = plan_record(RoutePlanner(library.load("dell")), record)
    assert route.scenarios
    s, offset, _ = places(route, route.scenarios)
    assert (np.abs(offset) < 0.1).all()
    assert ((s > 0.0) & (s < route.length)).all()
