"""The town generator: joins, limits, reproducible bytes, and how carla.Map reads it."""

import gzip
import json
import math
import subprocess
import sys
import textwrap
from functools import cache

import numpy as np
import pytest
from towns_xml import Xml, curvatures, gap, walk, wrapped

from drive_il.maps import towns
from drive_il.maps.town_checks import check
from drive_il.maps.town_curves import chain, connect, rounded, tangent_ratio
from drive_il.maps.town_roads import Misfit, Section, Strip, Town, hermite
from drive_il.maps.town_writer import write

STYLES = ["urban", "suburb", "ring", "country"]
SHIPPED = ["alder", "birch", "cedar", "dell"]
SWEEP = [(style, seed) for style in STYLES for seed in range(20)]


@cache
def text_of(style: str, seed: int) -> str:
    return towns.generate(style, seed)


@cache
def xml_of(style: str, seed: int) -> Xml:
    return Xml(text_of(style, seed))


def check_pieces_join(xml: Xml) -> None:
    for road in xml.roads.values():
        pieces = road.findall("planView/geometry")
        total = sum(float(piece.get("length")) for piece in pieces)
        assert float(road.get("length")) == pytest.approx(total, abs=1e-6)
        for first, second in zip(pieces[:-1], pieces[1:], strict=True):
            x, y, heading = walk(first, float(first.get("length")))
            x1, y1, heading1 = walk(second, 0.0)
            assert math.hypot(x - x1, y - y1) < 1e-4
            assert abs(wrapped(heading - heading1)) < 1e-5


def check_lanes_join(xml: Xml) -> None:
    joints = xml.joints()
    assert joints
    for here, there in joints:
        distance, step, kink, widening = gap(xml, here, there)
        where = f"{here} -> {there}"
        assert distance < 1e-3, where
        assert step < 1e-3, where
        assert kink < 1e-4, where
        assert widening < 1e-3, where


def check_links_agree(xml: Xml) -> None:
    """A connection's lane links are the connecting road's own, and lead to existing lanes."""
    for junction in xml.junctions.values():
        for connection in junction.findall("connection"):
            connecting = int(connection.get("connectingRoad"))
            road = xml.roads[connecting]
            assert road.get("junction") == junction.get("id")
            before = road.find("link/predecessor")
            assert before.get("elementId") == connection.get("incomingRoad")
            for link in connection.findall("laneLink"):
                lane = xml.lane(connecting, "start", int(link.get("to")))
                assert lane.find("link/predecessor").get("id") == link.get("from")


def check_turns_are_feasible(xml: Xml) -> None:
    for road in xml.roads.values():
        for piece in road.findall("planView/geometry"):
            sharpest = max(abs(k) for k in curvatures(piece))
            assert sharpest <= 1.0 / 6.0 + 1e-9, road.get("id")


@pytest.mark.slow
@pytest.mark.parametrize(("style", "seed"), SWEEP)
def test_any_seed_gives_roads_without_gaps_kinks_or_steps(style: str, seed: int) -> None:
    xml = xml_of(style, seed)
    check_pieces_join(xml)
    check_lanes_join(xml)
    check_links_agree(xml)
    check_turns_are_feasible(xml)


@pytest.mark.parametrize("style", STYLES)
def test_extreme_seeds_and_styles_of_one_seed_differ(style: str) -> None:
    assert towns.generate(style, 2**32 - 1) != text_of(style, 0)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_town_is_what_the_generator_makes(name: str) -> None:
    style, seed = towns.shipped()[name]
    packed = (towns.data_folder() / f"{name}.xodr.gz").read_bytes()
    assert gzip.decompress(packed).decode() == text_of(style, seed)
    assert packed[4:8] == bytes(4), "no time stamp inside"
    check_lanes_join(xml_of(style, seed))
    check_pieces_join(xml_of(style, seed))


def test_generating_twice_in_one_process_gives_the_same_bytes() -> None:
    first = towns.generate("urban", 5)
    towns.generate("suburb", 5)
    assert towns.generate("urban", 5) == first


@pytest.mark.parametrize(("style", "seed"), [("rural", 1), ("urban", -1), ("urban", 2**32)])
def test_unknown_styles_and_seeds_are_refused(style: str, seed: int) -> None:
    with pytest.raises(ValueError, match=r"urban, suburb|2\*\*32"):
        towns.generate(style, seed)


def test_speed_limits_are_those_of_the_style() -> None:
    allowed = {
        "urban": {30.0, 40.0, 50.0},
        "suburb": {30.0, 40.0},
        "ring": {30.0, 40.0, 50.0, 70.0, 90.0},
        "country": {30.0, 60.0, 70.0},
    }
    for style in STYLES:
        speeds = xml_of(style, 1).root.findall("road/type/speed")
        assert {speed.get("unit") for speed in speeds} == {"km/h"}
        assert {float(speed.get("max")) for speed in speeds} == allowed[style]


def test_comfortable_at_the_limit_on_the_open_road() -> None:
    """Ring and avenues can be driven at their limit with at most 3 m/s^2 across."""
    for road in xml_of("ring", 1).roads.values():
        limit = float(road.find("type/speed").get("max")) / 3.6
        if limit > 20.0:
            for piece in road.findall("planView/geometry"):
                assert limit**2 * max(abs(k) for k in curvatures(piece)) <= 3.0


@pytest.mark.parametrize("name", ["alder", "birch"])
def test_towns_have_lights_with_controllers_and_all_signs(name: str) -> None:
    xml = xml_of(*towns.shipped()[name])
    kinds = {signal.get("type") for signal in xml.root.iter("signal")}
    assert kinds == {"1000001", "205", "206", "274"}
    lights = {s.get("id") for s in xml.root.iter("signal") if s.get("type") == "1000001"}
    controlled = {c.get("signalId") for c in xml.root.findall("controller/control")}
    assert controlled == lights
    listed = {c.get("id") for c in xml.root.findall("junction/controller")}
    assert listed == {c.get("id") for c in xml.root.findall("controller")}


def test_lights_stand_before_the_junction_and_address_the_lanes_that_enter_it() -> None:
    xml = xml_of(*towns.shipped()["alder"])
    for road in xml.roads.values():
        length = float(road.get("length"))
        for signal in road.findall("signals/signal[@type='1000001']"):
            validity = signal.find("validity")
            lanes = [int(validity.get("fromLane")), int(validity.get("toLane"))]
            along = signal.get("orientation") == "+"
            assert all((lane < 0) == along for lane in lanes)
            to_go = length - float(signal.get("s")) if along else float(signal.get("s"))
            assert 0.5 < to_go < 8.0
            end = "successor" if along else "predecessor"
            assert road.find(f"link/{end}").get("elementType") == "junction"


def test_dell_has_no_markings_and_is_long() -> None:
    xml = xml_of(*towns.shipped()["dell"])
    assert {mark.get("type") for mark in xml.root.iter("roadMark")} == {"none"}
    open_road = [r for r in xml.roads.values() if r.get("junction") == "-1"]
    assert sum(float(road.get("length")) for road in open_road) > 2500.0


def two_roads(height: float) -> Town:
    town = Town("cross")
    side = (Strip("driving", 3.0, 3.0),)
    section = [Section(0.0, side, side)]
    town.road(chain((0.0, 0.0, 0.0), [(100.0, 0.0, 0.0)]), section)
    town.road(
        chain((50.0, -50.0, math.pi / 2), [(100.0, 0.0, 0.0)]),
        section,
        elevation=[(0.0, height, 0.0, 0.0, 0.0)],
    )
    return town


def test_roads_may_cross_over_each_other_but_not_through() -> None:
    check(two_roads(6.0))
    with pytest.raises(Misfit, match="roads 1 and 2 overlap"):
        check(two_roads(2.0))


def test_heights_join_smoothly() -> None:
    knots = [(0.0, 1.0, 0.05), (20.0, 2.5, -0.02), (35.0, 2.0, 0.0)]
    pieces = hermite(knots)
    for (s, z, slope), (begin, a, b, _, _) in zip(knots[:-1], pieces, strict=True):
        assert (begin, a, b) == (s, z, slope)
    (_, a, b, c, d), h = pieces[0], 20.0
    assert a + h * (b + h * (c + h * d)) == pytest.approx(2.5)
    assert b + h * (2 * c + 3 * d * h) == pytest.approx(-0.02)


def test_connect_ends_where_it_should_with_continuous_curvature() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        end = (rng.uniform(25, 40), rng.uniform(-12, 12), rng.uniform(-0.6, 0.6))
        k0, k1 = rng.choice([0.0, 0.04], 2)
        path = connect((0.0, 0.0, 0.0), end, float(k0), float(k1))
        assert path.end == pytest.approx(end, abs=1e-7)
        assert path.pieces[0].k0 == k0
        assert path.pieces[-1].k1 == k1
        for first, second in zip(path.pieces[:-1], path.pieces[1:], strict=True):
            assert first.k1 == pytest.approx(second.k0, abs=1e-12)


def test_a_right_angle_has_the_radius_its_tangents_allow() -> None:
    path = rounded([(0.0, 0.0), (50.0, 0.0), (50.0, 50.0)], [0.0, 20.0, 0.0])
    assert path.end == pytest.approx((50.0, 50.0, math.pi / 2), abs=1e-9)
    assert 1.0 / path.sharpest == pytest.approx(20.0)
    assert path.pieces[0].length == pytest.approx(50.0 - 20.0 * tangent_ratio(math.pi / 2))


def test_a_reversed_path_is_the_same_curve() -> None:
    path = chain((1.0, 2.0, 0.3), [(10.0, 0.0, 0.1), (20.0, 0.1, 0.1), (5.0, 0.1, -0.05)])
    back = path.reversed()
    assert back.end[:2] == pytest.approx(path.start[:2], abs=1e-9)
    for s in (0.0, 7.0, 18.0, 34.0):
        assert back.at(path.length - s)[:2] == pytest.approx(path.at(s)[:2], abs=1e-9)


def test_an_arc_closes_a_circle() -> None:
    path = chain((0.0, 0.0, 0.0), [(2.0 * math.pi * 20.0, 0.05, 0.05)])
    assert path.end[:2] == pytest.approx((0.0, 0.0), abs=1e-9)


def test_the_writer_needs_no_roads_beyond_one() -> None:
    town = Town("line")
    side = (Strip("driving", 3.0, 3.0),)
    town.road(chain((0.0, 0.0, 0.0), [(50.0, 0.0, 0.0)]), [Section(0.0, side, side)])
    xml = Xml(write(town))
    assert xml.lane_end(1, "end", -1).y == pytest.approx(-1.5)
    assert "+lat_0=0 +lon_0=0" in xml.root.find("header/geoReference").text


# What carla.Map makes of it, in a process of its own: it ends the process on bad input.
READ = textwrap.dedent("""
    import json, sys
    import carla
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    carla_map = carla.Map("town", sys.stdin.read())
    waypoints = carla_map.generate_waypoints(2.0)
    key = lambda w: (w.road_id, w.section_id, w.lane_id)
    lanes = {}
    for w in waypoints:
        if w.lane_type == carla.LaneType.Driving:
            lanes.setdefault(key(w), []).append(w)
    index = {k: i for i, k in enumerate(sorted(lanes))}
    edges, dead_ends, jumps = [], [], []
    for k, found in lanes.items():
        last = (max if k[2] < 0 else min)(found, key=lambda w: w.s)  # left lanes run against s
        for _ in range(40):
            ahead = last.next(0.25)
            other = [n for n in ahead if key(n) != k]
            if other or not ahead:
                break
            last = ahead[0]
        if not other:
            dead_ends.append(k)
        for n in other:
            a, b = last.transform.location, n.transform.location
            jumps.append(a.distance(b))
            edges.append((index[k], index[key(n)]))
        for w in found:
            for neighbour, wanted in (
                (w.get_left_lane(), carla.LaneChange.Left),
                (w.get_right_lane(), carla.LaneChange.Right),
            ):
                if (
                    w.lane_change & wanted
                    and neighbour is not None
                    and neighbour.lane_type == carla.LaneType.Driving
                    and neighbour.lane_id * w.lane_id > 0
                ):
                    edges.append((index[k], index[key(neighbour)]))
    n = len(index)
    rows, columns = np.array(edges).T
    graph = coo_matrix((np.ones(len(edges)), (rows, columns)), shape=(n, n))
    crosswalks, corners = [], []
    for p in carla_map.get_crosswalks():
        corners.append((p.x, p.y, p.z))
        if len(corners) > 1 and corners[-1] == corners[0]:
            crosswalks.append(np.array(corners[:-1]))
            corners = []

    # Driving lanes of different roads, outside junctions and not one after the other, that
    # come closer than lane centres may at the same height.
    names = sorted(lanes)
    linked = {(names[a][0], names[b][0]) for a, b in edges}
    flat = [w for found in lanes.values() for w in found if not w.is_junction]
    places = np.array([(w.transform.location.x, w.transform.location.y) for w in flat])
    overlaps = [
        (flat[i].road_id, flat[j].road_id)
        for i, j in cKDTree(places).query_pairs(3.0)
        if flat[i].road_id != flat[j].road_id
        and abs(flat[i].transform.location.z - flat[j].transform.location.z) < 4.0
        and not {(flat[i].road_id, flat[j].road_id), (flat[j].road_id, flat[i].road_id)} & linked
    ]

    def on_road(p):
        place = carla.Location(*(float(v) for v in p))
        found = carla_map.get_waypoint(place, project_to_road=False, lane_type=carla.LaneType.Any)
        return found is not None and found.lane_type != carla.LaneType.Sidewalk

    print(json.dumps({
        "lanes": n,
        "components": int(connected_components(graph, connection="strong")[0]),
        "dead_ends": dead_ends,
        "jump": max(jumps),
        "overlaps": overlaps,
        "length": 2.0 * sum(len(v) for v in lanes.values()),
        "landmarks": sorted({m.type for m in carla_map.get_all_landmarks()}),
        "topology": len(carla_map.get_topology()),
        "crosswalks": len(crosswalks),
        "on_road": all(
            on_road(0.95 * corner + 0.05 * polygon.mean(axis=0))
            for polygon in crosswalks for corner in polygon
        ),
    }))
""")


def as_carla_reads(text: str) -> dict[str, object]:
    pytest.importorskip("carla")
    done = subprocess.run(
        [sys.executable, "-c", READ], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check_reads_well(text: str) -> dict[str, object]:
    facts = as_carla_reads(text)
    assert facts["components"] == 1, "one can drive from every lane to every other"
    assert facts["dead_ends"] == []
    assert facts["overlaps"] == []
    assert facts["jump"] < 0.35  # a step of 0.25 m and single precision
    return facts


@pytest.mark.carla_wheel
@pytest.mark.parametrize("name", SHIPPED)
def test_carla_reads_a_shipped_town_as_one_network(name: str) -> None:
    facts = check_reads_well(text_of(*towns.shipped()[name]))
    assert facts["length"] > 5000.0
    if name in ("alder", "birch"):
        assert facts["landmarks"] == ["1000001", "205", "206", "274"]
    if name == "alder":
        assert facts["crosswalks"] >= 20
        assert facts["on_road"]


@pytest.mark.slow
@pytest.mark.carla_wheel
@pytest.mark.parametrize(("style", "seed"), SWEEP)
def test_carla_reads_any_seed_as_one_network(style: str, seed: int) -> None:
    check_reads_well(text_of(style, seed))
