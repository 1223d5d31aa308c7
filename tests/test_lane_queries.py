"""Which lane is below: against brute force, closed forms and roads that cross over."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Floats
from drive_il.maps import lane_queries, opendrive
from drive_il.maps.ground import Ground
from drive_il.maps.lane_queries import HEIGHT_LIMIT, HEIGHT_REACH, locate
from drive_il.maps.network import LaneType, RoadNetwork, build_grid
from tests.roads import ring_road, straight_road

_DRIVABLE = (LaneType.DRIVING, LaneType.PARKING, LaneType.BIKING)


pytestmark = pytest.mark.filterwarnings("ignore:divide by zero")


def merge(*networks: RoadNetwork) -> RoadNetwork:
    """Several networks laid over each other, with a grid over all of them."""
    lanes, points = [], []
    n_lanes = n_points = 0
    for network in networks:
        part = network.lanes.copy()
        part["first"] += n_points
        for side in ("left", "right"):
            part[side] += np.where(part[side] >= 0, n_lanes, 0)
        part["successor_count"] = part["predecessor_count"] = 0
        lanes.append(part)
        points.append(network.points)
        n_lanes += len(part)
        n_points += len(network.points)
    all_lanes, all_points = np.concatenate(lanes), np.concatenate(points)
    return replace(
        networks[0],
        name="merged",
        hash="".join(network.hash for network in networks),
        lanes=all_lanes,
        points=all_points,
        successors=np.zeros(0, np.int32),
        predecessors=np.zeros(0, np.int32),
        grid=build_grid(all_lanes, all_points),
    )


def moved(network: RoadNetwork, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> RoadNetwork:
    points = network.points.copy()
    for name, value in (("x", x), ("y", y), ("z", z)):
        points[name] += value
    return replace(network, points=points, grid=build_grid(network.lanes, points))


def linked(network: RoadNetwork, links: dict[int, list[int]]) -> RoadNetwork:
    """The same network with these successors."""
    lanes = network.lanes.copy()
    successors: list[int] = []
    for lane, following in links.items():
        lanes[lane]["successor_first"] = len(successors)
        lanes[lane]["successor_count"] = len(following)
        successors += following
    return replace(network, lanes=lanes, successors=np.array(successors, np.int32))


def flyover() -> RoadNetwork:
    """A road along x, and 6 m above it one along y."""
    below = moved(straight_road(200.0), x=-100.0)
    above = moved(straight_road(200.0, heading=np.pi / 2), y=-100.0, z=6.0)
    return merge(below, above)


def brute_force(network: RoadNetwork, x: float, y: float, z: float, previous: int) -> tuple:
    """(lane, off_road) from every quadrilateral of the network, slowly."""
    lanes, points = network.lanes, network.points
    across = points["heading"] + np.pi / 2
    half = np.stack([np.cos(across), np.sin(across)], 1) * points["width"][:, None] / 2
    centre = np.stack([points["x"], points["y"]], 1)
    left, right = centre + half, centre - half
    p = np.array([x, y])
    holding, nearest = [], np.inf
    for index, lane in enumerate(lanes):
        if lane["type"] not in _DRIVABLE:
            continue
        i = np.arange(lane["first"], lane["first"] + lane["count"] - 1)
        corners = np.stack([right[i], right[i + 1], left[i + 1], left[i]], 1)
        ends = np.roll(corners, -1, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            meets = corners[..., 0] + (y - corners[..., 1]) / (ends[..., 1] - corners[..., 1]) * (
                ends[..., 0] - corners[..., 0]
            )
        crosses = ((corners[..., 1] > y) != (ends[..., 1] > y)) & (x < meets)
        inside = crosses.sum(1) % 2 == 1
        t, gap = _foot(centre[i], centre[i + 1], p)
        height = points["z"][i] + t * (points["z"][i + 1] - points["z"][i])
        counts = ~(np.abs(height - z) > HEIGHT_LIMIT)
        for k in np.flatnonzero(inside & counts):
            holding.append((_rank(network, previous, index), gap[k], i[k], index))
        _, edge = _foot(corners, ends, p)
        if counts.any():
            nearest = min(nearest, edge[counts].min())
    if not holding and not nearest < HEIGHT_REACH and not np.isnan(z):
        return brute_force(network, x, y, np.nan, previous)
    if not holding:
        return -1, nearest
    rank, _, _, lane = min(holding)
    return lane if rank < 4 else -1, 0.0


def _foot(a: Floats, b: Floats, p: Floats) -> tuple[Floats, Floats]:
    step = b - a
    length = np.maximum((step**2).sum(-1), 1e-300)
    t = np.clip(((p - a) * step).sum(-1) / length, 0.0, 1.0)
    return t, np.linalg.norm(p - a - t[..., None] * step, axis=-1)


def _rank(network: RoadNetwork, previous: int, lane: int) -> int:
    if network.lanes[lane]["type"] != LaneType.DRIVING:
        return 4
    if previous < 0:
        return 3
    if lane == previous:
        return 0
    now = network.lanes[previous]
    low = now["successor_first"]
    if lane in network.successors[low : low + now["successor_count"]]:
        return 1
    return 2 if lane in (now["left"], now["right"]) else 3


def parking(network: RoadNetwork) -> RoadNetwork:
    """Its shoulders become parking lanes."""
    lanes = network.lanes.copy()
    lanes["type"][lanes["type"] == LaneType.SHOULDER] = LaneType.PARKING
    return replace(network, lanes=lanes, grid=build_grid(lanes, network.points))


@given(st.floats(0.01, 499.99), st.floats(-3.49, 3.49))
@settings(deadline=None)  # the first example compiles
def test_on_a_straight_road_place_is_in_closed_form(x: float, y: float) -> None:
    place = locate(straight(), np.array([[x, y]]))[0]
    rightwards = y < 0.0
    assert place["off_road"] == 0.0
    if abs(y) > 1e-9:
        assert place["lane"] == (0 if rightwards else 3)
        assert place["s"] == pytest.approx(x if rightwards else 500.0 - x)
        lateral = y + 1.75 if rightwards else 1.75 - y
        assert place["lateral_error"] == pytest.approx(lateral)


@cache
def straight() -> RoadNetwork:
    return straight_road()


@cache
def doubled() -> RoadNetwork:
    return merge(straight(), moved(straight(), y=0.001))


@given(st.floats(-300.0, 800.0), st.floats(-400.0, 400.0))
@settings(deadline=None)
def test_off_road_is_the_distance_to_a_rectangle(x: float, y: float) -> None:
    distance = np.hypot(max(-x, x - 500.0, 0.0), max(abs(y) - 3.5, 0.0))
    assume(abs(distance - lane_queries.JOINT) > 1e-9)  # there rounding decides
    place = locate(straight(), np.array([[x, y]]))[0]
    expected = 0.0 if distance <= lane_queries.JOINT else distance
    assert place["off_road"] == pytest.approx(expected, abs=1e-9)
    assert (place["lane"] >= 0) == (expected == 0.0)


@pytest.mark.parametrize("radius", [4.0, 12.0, 50.0])
def test_on_a_ring_lane_and_distance_follow_the_radius(radius: float) -> None:
    network = ring_road(radius, two_way=False)
    rng = np.random.default_rng(0)
    r = rng.uniform(radius - 3.0, radius + 8.0, 2000)
    angle = rng.uniform(-np.pi, np.pi, 2000)
    places = locate(network, np.stack([r * np.cos(angle), r * np.sin(angle)], 1))
    sagitta = 0.5**2 / 8.0 / radius * 1.5
    away = np.maximum(np.maximum(radius - r, r - radius - 3.5), 0.0)
    # Where the joint tolerance does not blur it:
    clear = (away == 0.0) | (away > lane_queries.JOINT + sagitta)
    np.testing.assert_allclose(places["off_road"][clear], away[clear], atol=sagitta + 1e-3)
    on = (r > radius + 0.01) & (r < radius + 3.49)
    assert (places["lane"][on] == 0).all()
    np.testing.assert_allclose(
        places["lateral_error"][on], radius + 1.75 - r[on], atol=sagitta + 1e-3
    )


@pytest.mark.parametrize(
    "network",
    [
        flyover(),
        parking(ring_road(9.0, lanes_per_way=2)),
        merge(parking(ring_road(30.0)), moved(straight_road(120.0, lanes_per_way=2), x=-60.0)),
        linked(merge(ring_road(20.0), moved(ring_road(20.0), x=3.0)), {0: [6], 6: [0, 3], 3: [9]}),
    ],
    ids=["flyover", "narrow", "crossing", "overlapping"],
)
def test_agrees_with_brute_force_from_any_height_and_lane(network: RoadNetwork) -> None:
    n = 400
    rng = np.random.default_rng(3)
    near = network.points[rng.integers(0, len(network.points), n)]
    xy = np.stack([near["x"], near["y"]], 1) + rng.normal(0.0, 4.0, (n, 2))
    xy[: n // 8] += rng.normal(0.0, 100.0, (n // 8, 2))
    z = np.where(rng.random(n) < 0.5, np.nan, near["z"] + rng.normal(0.0, 2.0, n))
    previous = rng.integers(-1, len(network.lanes), n)
    places = locate(network, xy, z, previous)
    for k in range(n):
        lane, distance = brute_force(network, xy[k, 0], xy[k, 1], z[k], int(previous[k]))
        assert places["off_road"][k] == pytest.approx(
            distance if distance > lane_queries.JOINT else 0.0, abs=1e-9
        )
        if distance == 0.0:
            assert places["lane"][k] == lane


def test_following_a_lane_step_by_step_is_the_same_as_looking_afresh() -> None:
    network = ring_road(25.0, lanes_per_way=2)
    angle = np.linspace(0.0, 40.0, 4000)
    radius = 25.0 + 6.9 * np.sin(angle * 1.7)
    xy = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    afresh = locate(network, xy)
    lane = -1
    for k in range(len(xy)):
        place = locate(network, xy[k : k + 1], previous_lane=np.array([lane]))[0]
        lane = int(place["lane"])
        assert place == afresh[k]


def test_height_tells_crossing_roads_apart_and_so_does_the_present_lane() -> None:
    network = flyover()
    rng = np.random.default_rng(4)
    xy = rng.uniform(-3.4, 3.4, (200, 2))
    low = locate(network, xy, z=np.full(200, 0.4))
    high = locate(network, xy, z=np.full(200, 5.7))
    n_below = len(network.lanes) // 2
    assert (low["lane"] < n_below).all()
    assert (low["z"] == 0.0).all()
    assert (high["lane"] >= n_below).all()
    assert (high["z"] == 6.0).all()
    kept = locate(network, xy, previous_lane=high["lane"])
    assert (kept["lane"] == high["lane"]).all()
    # Beside the bridge it is the road below that is missing, not the bridge that is near.
    beside = locate(network, np.array([[5.0, 3.0]]), z=np.array([6.0]))[0]
    assert beside["lane"] == -1
    assert beside["off_road"] == pytest.approx(1.5)
    # Further away the bridge is no longer what counts.
    fallen = locate(network, np.array([[20.0, 3.0]]), z=np.array([6.0]))[0]
    assert (fallen["lane"], fallen["off_road"], fallen["z"]) == (3, 0.0, 0.0)


def test_a_height_at_which_there_is_no_road_is_ignored() -> None:
    place = locate(straight(), np.array([[10.0, -1.0]]), z=np.array([500.0]))[0]
    assert (place["lane"], place["off_road"]) == (0, 0.0)


def test_present_lane_then_successor_then_neighbour_then_nearest_centre() -> None:
    network = merge(straight(), moved(straight(), y=0.4))
    xy = np.array([[100.0, -1.7]])

    def lane(net: RoadNetwork, previous: int) -> int:
        return int(locate(net, xy, previous_lane=np.array([previous]))["lane"][0])

    other = len(straight().lanes)
    assert lane(network, -1) == 0  # 5 cm from its centre, 35 cm from the other's
    assert lane(network, other) == other
    assert lane(linked(network, {3: [other]}), 3) == other
    assert lane(network, other + 3) == other  # its neighbour


def test_height_and_slope_follow_the_points() -> None:
    network = straight_road(100.0, heading=0.6)
    points = network.points.copy()
    along = points["x"] * np.cos(0.6) + points["y"] * np.sin(0.6)
    points["z"] = 0.1 * along
    hill = replace(network, points=points, grid=build_grid(network.lanes, points))
    place = locate(hill, np.array([[20.0 * np.cos(0.6), 20.0 * np.sin(0.6)]]))[0]
    assert place["z"] == pytest.approx(2.0)
    assert place["slope_x"] == pytest.approx(0.1 * np.cos(0.6))
    assert place["slope_y"] == pytest.approx(0.1 * np.sin(0.6))


def test_a_joint_between_lanes_is_not_a_gap() -> None:
    network = merge(straight_road(50.0), moved(straight_road(50.0), x=50.03))
    places = locate(network, np.stack([np.linspace(49.9, 50.2, 301), np.full(301, -1.0)], 1))
    assert (places["off_road"] == 0.0).all()
    assert (places["lane"] >= 0).all()


def test_parking_lanes_are_road_but_no_driving_lane() -> None:
    network = parking(straight_road())
    place = locate(network, np.array([[100.0, -4.0]]))[0]
    assert (place["lane"], place["off_road"]) == (-1, 0.0)
    assert network.lanes[place["surface"]]["type"] == LaneType.PARKING


@given(st.integers(1, 999), st.floats(0.001, 3.499), st.booleans())
@settings(deadline=None)
def test_a_point_on_a_cross_section_belongs_to_exactly_one_segment(
    i: int, offset: float, leftwards: bool
) -> None:
    y = offset if leftwards else -offset
    network = doubled()
    for previous in (0, 3, 6, 9):
        place = locate(network, np.array([[0.5 * i, y]]), previous_lane=np.array([previous]))[0]
        if 0.002 < offset < 3.498 and (previous in (0, 6)) != leftwards:
            assert place["lane"] == previous


def test_bad_input_is_named() -> None:
    network = straight()
    with pytest.raises(ValueError, match=r"shape \(N, 2\), got \(2,\)"):
        locate(network, np.zeros(2))
    with pytest.raises(ValueError, match="point 1 must be finite"):
        locate(network, np.array([[0.0, 0.0], [np.nan, 0.0]]))
    with pytest.raises(ValueError, match=r"previous_lane must be in \[-1, 5\], got 6"):
        locate(network, np.zeros((1, 2)), previous_lane=np.array([6]))


@pytest.mark.carla_wheel
@pytest.mark.parametrize("town", ["Town01", "Town04"])
def test_real_lanes_have_no_gaps_and_every_point_is_on_its_lane(
    town: str, shared_maps: Path
) -> None:
    pytest.importorskip("carla")
    network = opendrive.read(shared_maps / f"{town}.xodr")
    owner = np.repeat(np.arange(len(network.lanes)), network.lanes["count"])
    driving = network.lanes["type"][owner] == LaneType.DRIVING
    points, owner = network.points[driving], owner[driving]
    inner = (points["s"] > 0.01) & (points["s"] < network.lanes["length"][owner] - 0.01)
    for share in (-0.49, 0.0, 0.49):
        across = points["heading"] + np.pi / 2
        offset = share * points["width"]
        xy = np.stack([points["x"], points["y"]], 1)
        xy += np.stack([np.cos(across), np.sin(across)], 1) * offset[:, None]
        places = locate(network, xy, points["z"], owner)
        assert (places["off_road"] == 0.0).all()
        assert (places["lane"] == owner)[inner].all()
        np.testing.assert_allclose(places["z"], points["z"], atol=0.02)
        np.testing.assert_allclose(places["lateral_error"][inner], offset[inner], atol=0.05)


@pytest.mark.carla_wheel
def test_on_the_flyover_of_town04_height_or_the_present_lane_decides(shared_maps: Path) -> None:
    pytest.importorskip("carla")
    network = opendrive.read(shared_maps / "Town04.xodr")
    owner = np.repeat(np.arange(len(network.lanes)), network.lanes["count"])
    driving = network.lanes["type"][owner] == LaneType.DRIVING
    points, owner = network.points[driving], owner[driving]
    xy = np.stack([points["x"], points["y"]], 1)
    other = {}
    for way, height in (("above", 8.0), ("below", -8.0)):
        place = locate(network, xy, points["z"] + height)
        gap = (place["z"] - points["z"]) * np.sign(height)
        other[way] = (place["lane"] >= 0) & (gap > 2.0 * HEIGHT_LIMIT)
    under, over = other["above"], other["below"]
    assert under.sum() > 100
    assert over.sum() > 100
    for here in (under, over):
        by_height = locate(network, xy[here], points["z"][here] + 1.0)
        by_lane = locate(network, xy[here], previous_lane=owner[here])
        for place in (by_height, by_lane):
            assert np.abs(place["z"] - points["z"][here]).max() < 0.5
        assert (by_lane["lane"] == owner[here]).mean() > 0.98  # the rest are shared end points


@pytest.mark.carla_wheel
def test_a_car_driven_over_and_under_the_flyover_keeps_its_height(shared_maps: Path) -> None:
    pytest.importorskip("carla")
    network = opendrive.read(shared_maps / "Town04.xodr")
    lanes, points = network.lanes, network.points
    driving = np.flatnonzero((lanes["type"] == LaneType.DRIVING) & (lanes["length"] > 150.0))
    for lane in driving[::4]:
        part = points[lanes["first"][lane] : lanes["first"][lane] + lanes["count"][lane]]
        z, now = np.array([part["z"][0]]), np.array([lane])
        for point in part[::8]:
            place = locate(network, np.array([[point["x"], point["y"]]]), z, now)
            assert place["lane"][0] >= 0
            assert abs(place["z"][0] - point["z"]) < 0.05
            z, now = place["z"], place["lane"]


@kernels.kernel(nt.int64(lane_queries.GROUND, nt.int64, nt.int64, nt.int64, nt.float64, nt.float64))
def _near(ground: Ground, first: int, count: int, hint: int, x: float, y: float) -> int:
    return lane_queries.project_near(ground[4], first, count, hint, x, y)


@given(st.floats(-5.0, 505.0), st.integers(-50, 2000))
@settings(deadline=None)
def test_walking_along_a_lane_from_any_hint_ends_at_the_nearest_segment(
    x: float, hint: int
) -> None:
    segment = _near(lane_queries.ground(straight()), 0, 1001, hint, x, 3.0)
    assert abs(segment * 0.5 + 0.25 - np.clip(x, 0.0, 500.0)) <= 0.25 + 1e-9
