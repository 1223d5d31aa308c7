"""Routes: files in both forms, plans against closed forms and brute force, commands."""

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lane_networks import Lane, crossing, line, multi_lane_road, network, one_way_grid, turn
from roads import ring_road, straight_road

from drive_il.datatypes import Command, Records, Route
from drive_il.geometry import wrap_angle
from drive_il.maps.network import RoadNetwork
from drive_il.maps.routes import (
    RoutePlanner,
    load_routes,
    make_record,
    make_table,
    plan,
    plan_record,
    read_routes,
    write_routes,
)

FOLLOW, LEFT, RIGHT = Command.LANEFOLLOW, Command.LEFT, Command.RIGHT

FORM_1 = """<?xml version='1.0' encoding='utf-8'?>
<routes>
  <route id="7" town="Town01">
    <weather cloudiness="10" sun_altitude_angle="45" wetness="20"/>
    <waypoint x="338.7027893066406" y="226.75" z="0.5" yaw="269.9790954589844" roll="0.0"
      pitch="360.0"/>
    <waypoint x="1.5" y="-2.25" z="0.0" yaw="90.0" pitch="0.0" roll="0.0"/>
  </route>
</routes>"""

FORM_2 = """<routes>
  <route id="a" town="Town12" name="kept">
    <weathers>
      <weather route_percentage="100" cloudiness="90" wetness="60"/>
      <weather route_percentage="0" cloudiness="5"/>
    </weathers>
    <waypoints>
      <position x="1.0" y="2.0" z="3.0"/>
      <position x="101.0" y="2.0" z="3.0"/>
    </waypoints>
    <scenarios>
      <scenario name="Accident_1" type="Accident">
        <trigger_point x="50.1" y="2.0" z="3.0" yaw="0.0"/>
        <distance value="40"/>
      </scenario>
    </scenarios>
  </route>
</routes>"""


def commands(points: Records) -> list[Command]:
    return [Command(int(value)) for value, _ in groupby(points["command"])]


def check_smooth(route: Route, kink: float = 0.02) -> None:
    """Points are evenly spaced and heading is the direction of travel."""
    points = route.points
    step = np.diff(points["s"])
    assert step.max() <= 1.0 + 1e-9
    assert step.min() == pytest.approx(step.max())
    chord = np.hypot(np.diff(points["x"]), np.diff(points["y"]))
    # A chord is shorter than its arc, and cuts the corner where lanes meet at an angle.
    assert np.abs(chord / step - 1.0).max() < 0.01
    direction = np.arctan2(np.diff(points["y"]), np.diff(points["x"]))
    turning = wrap_angle(np.diff(points["heading"]))
    middle = points["heading"][:-1] + 0.5 * turning
    assert np.abs(wrap_angle(direction - middle)).max() < kink


# files


@pytest.mark.parametrize(("text", "form"), [(FORM_1, "1.0"), (FORM_2, "2.x")])
def test_nothing_is_lost_from_file_to_file(tmp_path: Path, text: str, form: str) -> None:
    (tmp_path / "in.xml").write_text(text)
    records = read_routes(tmp_path / "in.xml")
    write_routes(tmp_path / "out.xml", records)
    before, after = ElementTree.fromstring(text), ElementTree.parse(tmp_path / "out.xml").getroot()

    def facts(root: ElementTree.Element) -> list[object]:
        return [(e.tag, {k: _angle(k, v) for k, v in e.attrib.items()}) for e in root.iter()]

    assert facts(before) == facts(after)
    assert records[0].form == form


def _angle(name: str, value: str) -> object:
    """The numbers of a file, with yaw as the direction it is."""
    try:
        number = float(value)
    except ValueError:
        return value
    return round(number % 360.0, 6) if name in ("yaw", "pitch", "roll") else number


def test_files_are_left_handed_and_records_right_handed(tmp_path: Path) -> None:
    (tmp_path / "in.xml").write_text(FORM_1)
    record = read_routes(tmp_path / "in.xml")[0]
    np.testing.assert_array_equal(record.keypoints[0], [338.7027893066406, -226.75, 0.5])
    assert record.headings[1] == pytest.approx(-math.pi / 2)
    assert record.headings[0] == pytest.approx(math.radians(90.0209045), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-1e5, 1e5)] * 3), min_size=2, max_size=6),
    st.sampled_from(["1.0", "2.x"]),
    st.data(),
)
def test_keypoints_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    keypoints: list[tuple[float, float, float]],
    form: str,
    data: st.DataObject,
) -> None:
    angle = st.floats(-math.pi, math.pi, exclude_max=True)
    headings = np.array([data.draw(angle) for _ in keypoints])
    record = make_record("x", "Town", np.array(keypoints), headings)
    path = tmp_path_factory.mktemp("routes") / "routes.xml"
    write_routes(path, [record], form=form)  # type: ignore[arg-type]
    back = read_routes(path)[0]
    np.testing.assert_array_equal(back.keypoints, record.keypoints)
    assert np.abs(wrap_angle(back.headings - headings)).max() < 1e-10
    assert (back.id, back.town, back.form) == ("x", "Town", form)


def test_each_form_can_be_written_as_the_other(tmp_path: Path) -> None:
    (tmp_path / "in.xml").write_text(FORM_2)
    record = read_routes(tmp_path / "in.xml")[0]
    write_routes(tmp_path / "out.xml", [record], form="1.0")
    assert len(ElementTree.parse(tmp_path / "out.xml").getroot().findall("route/waypoint")) == 2
    np.testing.assert_array_equal(read_routes(tmp_path / "out.xml")[0].keypoints, record.keypoints)


def test_weather_keyframes_are_ordered_and_missing_fields_are_the_leaderboards(
    tmp_path: Path,
) -> None:
    (tmp_path / "in.xml").write_text(FORM_2)
    weathers, at = read_routes(tmp_path / "in.xml")[0].weather()
    assert at.tolist() == [0.0, 100.0]
    assert weathers["cloudiness"].tolist() == [5.0, 90.0]
    assert weathers["wetness"].tolist() == [0.0, 60.0]
    assert weathers["sun_altitude_angle"].tolist() == [70.0, 70.0]
    (tmp_path / "in.xml").write_text(FORM_1)
    weathers, at = read_routes(tmp_path / "in.xml")[0].weather()
    assert (at.tolist(), weathers["cloudiness"].tolist()) == ([0.0], [10.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("hello", "is not XML"),
        (FORM_1[:200], "is not XML"),
        ("<OpenDRIVE/>", "holds no <route>; its root is <OpenDRIVE>"),
        ("<routes/>", "holds no <route>"),
        (FORM_1.replace(' town="Town01"', ""), "route 7 in .* has no town"),
        (FORM_1.replace('id="7" ', ""), "has no id"),
        (FORM_1.replace('x="1.5" ', ""), "keypoint 1 has no x; expected a number"),
        (FORM_1.replace('"1.5"', '"nan"'), "keypoint 1 has x='nan'; expected a finite number"),
        (FORM_1.replace('"1.5"', '"wide"'), "keypoint 1 has x='wide'"),
        ('<routes><route id="3" town="T"/></routes>', "route 3 in .* has 0 keypoints"),
        (
            '<routes><route id="3" town="T"><waypoints><position x="0" y="0" z="0"/>'
            "</waypoints></route></routes>",
            "route 3 in .* has 1 keypoints; a route needs at least 2",
        ),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.xml").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_routes(tmp_path / "bad.xml")
    assert "\n" not in str(caught.value)
    assert "bad.xml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere.xml does not exist"):
        read_routes(tmp_path / "nowhere.xml")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "routes.xml"
    path.write_text("old")
    record = make_record("1", "T", np.array([[0.0, 0.0], [1.0, 0.0]]))
    broken = replace(record, id="\ud800")  # half of a surrogate pair has no UTF-8
    with pytest.raises(UnicodeEncodeError):
        write_routes(path, [broken])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# plans


def test_a_straight_road_is_planned_as_a_straight_line() -> None:
    route = plan(straight_road(), np.array([[20.0, -1.0], [321.5, -2.0]]))
    check_smooth(route)
    assert route.length == pytest.approx(301.5)
    np.testing.assert_allclose(route.points["y"], -1.75, atol=1e-9)
    np.testing.assert_allclose(route.points["heading"], 0.0, atol=1e-9)
    assert commands(route.points) == [FOLLOW]
    assert set(route.points["lane_width"]) == {3.5}


def test_the_heading_of_a_keypoint_decides_between_close_lanes() -> None:
    keypoints = np.array([[321.5, 0.1], [20.0, 0.1]])
    route = plan(straight_road(), keypoints, np.array([math.pi, math.pi]))
    np.testing.assert_allclose(route.points["y"], 1.75, atol=1e-9)
    assert route.length == pytest.approx(301.5)


def test_a_ring_road_is_planned_as_an_arc() -> None:
    radius = 51.75  # lane 0 runs outside the reference line
    angle = np.array([0.5, 2.0, 4.0])
    keypoints = radius * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    route = plan(ring_road(), keypoints)
    check_smooth(route)
    assert route.length == pytest.approx(3.5 * radius, abs=0.02)
    np.testing.assert_allclose(np.hypot(route.points["x"], route.points["y"]), radius, atol=1e-3)
    np.testing.assert_allclose(route.points["curvature"], 1 / radius, rtol=1e-3)


def test_a_goal_behind_the_start_leads_once_round_the_ring() -> None:
    radius = 51.75
    angle = np.array([1.0, 0.5])
    keypoints = radius * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    route = plan(ring_road(), keypoints)
    assert route.length == pytest.approx((2 * math.pi - 0.5) * radius, abs=0.05)


def test_keypoints_given_twice_or_slightly_behind_make_no_loop_and_no_step() -> None:
    plain = plan(straight_road(), np.array([[20.0, -1.75], [100.0, -1.75], [200.0, -1.75]]))
    xy = [[20.0, -1.75], [20.0, -1.75], [100.0, -1.75], [99.0, -1.75], [100.0, -1.75]]
    route = plan(straight_road(), np.array([*xy, [200.0, -1.75], [200.0, -1.75]]))
    check_smooth(route)
    np.testing.assert_array_equal(route.points, plain.points)


@pytest.mark.parametrize(("goal", "command"), [(4, LEFT), (5, Command.STRAIGHT), (6, RIGHT)])
def test_a_crossing_is_commanded_by_the_way_taken(goal: int, command: Command) -> None:
    roads = crossing()
    end = roads.points[roads.lanes["first"][goal] + 100]
    route = plan(roads, np.array([[-50.0, 0.0], [end["x"], end["y"]]]))
    check_smooth(route, kink=0.06)  # radius 10 m, no clothoid
    assert commands(route.points) == [FOLLOW, command, FOLLOW]
    inside = route.points[route.points["command"] == command]
    assert inside["in_junction"].all()
    assert inside["s"][0] == pytest.approx(50.0, abs=1.0)
    assert not route.points[route.points["command"] == FOLLOW]["in_junction"].any()


@pytest.mark.parametrize(("degrees", "command"), [(34.0, Command.STRAIGHT), (36.0, LEFT)])
def test_less_than_35_degrees_is_straight(degrees: float, command: Command) -> None:
    roads = crossing(math.radians(degrees))
    end = roads.points[roads.lanes["first"][4] + 150]
    route = plan(roads, np.array([[-50.0, 0.0], [end["x"], end["y"]]]))
    assert commands(route.points) == [FOLLOW, command, FOLLOW]


def test_the_leftmost_of_two_right_turns_is_left_as_in_carla() -> None:
    ways = [turn(0.0, 0.0, 0.0, 15.0, -math.radians(a)) for a in (40.0, 90.0)]
    lanes = [Lane(line(-100.0, 0.0, 0.0, 0.0), [1, 2])]
    lanes += [Lane(xy, [3 + i], junction=1) for i, xy in enumerate(ways)]
    for xy, degrees in zip(ways, (40.0, 90.0), strict=True):
        a, (x, y) = math.radians(degrees), xy[-1].tolist()
        lanes.append(Lane(line(x, y, x + 80.0 * math.cos(a), y - 80.0 * math.sin(a))))
    roads = network(lanes)
    found = []
    for goal in (3, 4):
        end = roads.points[roads.lanes["first"][goal] + 100]
        route = plan(roads, np.array([[-50.0, 0.0], [end["x"], end["y"]]]))
        found.append(commands(route.points)[1])
    # It leaves at 40 degrees to the right; the chord of the other way lies at 45.
    assert found == [LEFT, RIGHT]


@pytest.mark.parametrize(("side", "command"), [(1.0, LEFT), (-1.0, RIGHT)])
@pytest.mark.parametrize("degrees", [179.5, 180.0, 180.5])
def test_a_u_turn_is_commanded_by_the_side_it_bends_to(
    side: float, command: Command, degrees: float
) -> None:
    angle = side * math.radians(degrees)
    loop = turn(0.0, 0.0, 0.0, 12.0, angle)
    x, y = loop[-1].tolist()
    away = line(x, y, x + 90.0 * math.cos(angle), y + 90.0 * math.sin(angle))
    roads = network(
        [Lane(line(-90.0, 0.0, 0.0, 0.0), [1]), Lane(loop, [2], junction=1), Lane(away)]
    )
    route = plan(roads, np.array([[-50.0, 0.0], away[120]]))
    assert commands(route.points) == [FOLLOW, command, FOLLOW]


def test_a_keypoint_inside_a_junction_does_not_decide_the_turn() -> None:
    roads = crossing()
    on_straight_way = np.array([[-50.0, 0.0], [2.0, 0.0], [10.0, 60.0]])
    route = plan(roads, on_straight_way)
    assert commands(route.points) == [FOLLOW, LEFT, FOLLOW]
    check_smooth(route, kink=0.06)


def test_a_lane_change_is_smooth_and_commanded() -> None:
    route = plan(multi_lane_road(), np.array([[10.0, 0.0], [390.0, 3.5]]))
    check_smooth(route)
    points = route.points
    assert commands(points) == [Command.CHANGELANELEFT, FOLLOW]
    moving = points[points["command"] == Command.CHANGELANELEFT]
    # 3 s at 13.9 m/s
    assert moving["s"][-1] - moving["s"][0] == pytest.approx(41.7, abs=1.5)
    assert (np.diff(points["y"]) >= -1e-9).all()
    assert points["y"][0] == pytest.approx(0.0, abs=1e-9)
    assert points["y"][-1] == pytest.approx(3.5, abs=1e-9)
    # The quintic's largest second derivative: 10 / sqrt(3) times width over length squared.
    assert np.abs(points["curvature"]).max() == pytest.approx(
        10 / math.sqrt(3) * 3.5 / 41.7**2, rel=0.03
    )
    # And its largest third derivative, 60: curvature has no jumps.
    assert np.abs(np.diff(points["curvature"])).max() < 60 * 3.5 / 41.7**3
    assert points["lane"][[0, -1]].tolist() == [0, 4]


def test_two_lane_changes_follow_one_another() -> None:
    route = plan(multi_lane_road(), np.array([[10.0, 7.0], [190.0, 0.0], [390.0, 0.0]]))
    check_smooth(route)
    assert route.points["command"][0] == Command.CHANGELANERIGHT
    assert route.points["y"][-1] == pytest.approx(0.0, abs=1e-9)
    assert np.abs(route.points["curvature"]).max() < 0.02
    at_keypoint = np.hypot(route.points["x"] - 190.0, route.points["y"]).min()
    assert at_keypoint < 0.6


def test_a_late_keypoint_does_not_make_a_lane_change_sharp() -> None:
    keypoints = np.array([[10.0, 0.0], [190.0, 0.0], [199.0, 7.0], [202.0, 7.0]])
    route = plan(multi_lane_road(), keypoints)
    check_smooth(route)
    assert np.abs(route.points["curvature"]).max() < 0.02


def test_a_keypoint_yields_before_a_solid_line_is_crossed() -> None:
    roads = multi_lane_road(n_lanes=5, may_change=False)
    route = plan(roads, np.array([[10.0, 0.0], [390.0, 3.5]]))
    assert commands(route.points) == [FOLLOW]
    assert np.ptp(route.points["y"]) < 1e-9
    with pytest.raises(ValueError, match="no way leads from keypoint 0 .* to keypoint 1"):
        plan(roads, np.array([[10.0, -7.0], [390.0, 14.0 + 7.0]]))


def brute_force(roads: RoadNetwork, start: int, goal: int) -> float:
    """Length of the shortest way from the middle of one lane to that of another (Bellman-Ford)."""
    length = roads.lanes["length"]
    reach = np.full(len(length), np.inf)  # to the beginning of each lane
    successors = [
        roads.successors[lane["successor_first"] :][: lane["successor_count"]]
        for lane in roads.lanes
    ]
    reach[successors[start]] = length[start] / 2
    for _ in range(len(length)):
        for lane, following in enumerate(successors):
            reach[following] = np.minimum(reach[following], reach[lane] + length[lane])
    return float(reach[goal] + length[goal] / 2)


@pytest.mark.parametrize("seed", range(4))
def test_plans_are_as_short_as_brute_force(seed: int) -> None:
    roads = one_way_grid(seed)
    planner = RoutePlanner(roads)
    rng = np.random.default_rng(seed)
    middle = roads.points[roads.lanes["first"] + roads.lanes["count"] // 2]
    xy = np.stack((middle["x"], middle["y"]), axis=1)
    reached = 0
    for _ in range(60):
        start, goal = rng.choice(len(xy), 2, replace=False)
        expected = brute_force(roads, start, goal)
        if math.isinf(expected):
            with pytest.raises(ValueError, match="no way leads"):
                planner.plan(xy[[start, goal]])
        else:
            assert planner.plan(xy[[start, goal]]).length == pytest.approx(expected, abs=0.01)
            reached += 1
    assert reached > 3


@pytest.mark.parametrize(
    ("keypoints", "message"),
    [
        ([[0, 0], [500, 30]], r"route r in made: keypoint 1 at \(500.0, 30.0\) is 10[0-9.]+ m"),
        ([[0, 0], [np.nan, 0]], r"keypoint 1 is \(nan, 0.0\); expected numbers"),
        ([[0, 0]], r"shape \(N >= 2, 2 or 3\), got \(1, 2\)"),
        ([[5, 0], [5.5, 0]], "is 0.50 m long; expected keypoints at least 1 m apart"),
    ],
)
def test_bad_keypoints_are_named(keypoints: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(multi_lane_road(), np.array(keypoints), id="r")


def test_a_keypoint_beside_the_road_is_snapped_up_to_10_m() -> None:
    route = plan(multi_lane_road(), np.array([[10.0, -9.9], [390.0, 0.0]]))
    np.testing.assert_allclose(route.points["y"], 0.0, atol=1e-9)
    with pytest.raises(ValueError, match="is 10.1 m from the nearest driving lane"):
        plan(multi_lane_road(), np.array([[10.0, -10.1], [390.0, 0.0]]))


def test_a_table_holds_all_routes_in_order() -> None:
    roads = straight_road()
    routes = [plan(roads, np.array([[0.0, -1.75], [end, -1.75]])) for end in (50.0, 80.0, 20.0)]
    table = make_table(routes)
    assert table.count.tolist() == [51, 81, 21]
    assert table.first.tolist() == [0, 51, 132]
    for route, first, count in zip(routes, table.first, table.count, strict=True):
        np.testing.assert_array_equal(table.points[first : first + count], route.points)
    assert len(make_table([]).first) == 0


# the leaderboard's own routes


@pytest.fixture(scope="module")
def towns(shared_maps: Path) -> dict[str, RoadNetwork]:
    pytest.importorskip("carla")
    from drive_il.maps import opendrive

    return {name: opendrive.read(shared_maps / f"{name}.xodr") for name in ("Town01", "Town04")}


@pytest.mark.carla_wheel
@pytest.mark.parametrize(("name", "n"), [("training", 20), ("devtest", 2)])
def test_all_routes_of_the_leaderboard_are_planned(
    towns: dict[str, RoadNetwork], shared_routes: Path, name: str, n: int
) -> None:
    routes = load_routes(shared_routes / f"lb1_{name}_town01_town04.xml", towns.__getitem__)
    assert len(routes) == n
    for route in routes:
        assert 500.0 < route.length < 4000.0, route.id
        check_smooth(route, kink=0.06)
        assert np.abs(route.points["curvature"]).max() < 0.4, route.id
        missed = [
            np.hypot(route.points["x"] - x, route.points["y"] - y).min()
            for x, y, _ in route.keypoints
        ]
        assert max(missed) < 9.5, route.id
        assert np.median(missed) < 0.6, route.id


@pytest.mark.carla_wheel
def test_the_keypoint_beside_the_road_is_the_one_upstream_got_wrong(
    towns: dict[str, RoadNetwork], shared_routes: Path
) -> None:
    planner = RoutePlanner(towns["Town04"])
    records = read_routes(shared_routes / "lb1_training_town01_town04.xml")
    far = [
        (record.id, row, snaps[0].distance)
        for record in records
        if record.town == "Town04"
        for row, keypoint in enumerate(record.keypoints)
        if (snaps := planner.snap(keypoint))[0].distance > 2.0
    ]
    assert [(route, row) for route, row, _ in far] == [("35", 30)]
    assert far[0][2] == pytest.approx(9.3, abs=0.15)
    record = next(record for record in records if record.id == "35")
    assert plan_record(planner, record).length > 3000.0


@pytest.mark.carla_wheel
def test_a_route_of_town01_has_the_turns_that_carla_gives_it(
    towns: dict[str, RoadNetwork], shared_routes: Path
) -> None:
    record = read_routes(shared_routes / "lb1_training_town01_town04.xml")[0]
    route = plan_record(RoutePlanner(towns["Town01"]), record)
    turns = [LEFT, LEFT, RIGHT]
    assert [c for c in commands(route.points) if c != FOLLOW] == turns
    assert route.length == pytest.approx(760.0, abs=3.0)
