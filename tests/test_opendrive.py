"""The import of OpenDRIVE, against CARLA's own reader and the real towns."""

import math
from pathlib import Path

import numpy as np
import pytest

from drive_il import handedness
from drive_il.maps import library, opendrive, store
from drive_il.maps.network import LaneType, MarkType, RoadNetwork, SignalKind

carla = pytest.importorskip("carla", reason="reading OpenDRIVE needs the carla wheel")


@pytest.fixture(scope="module", params=["Town01", "Town04", "alder", "birch", "cedar", "dell"])
def network(request: pytest.FixtureRequest) -> RoadNetwork:
    if request.param.startswith("Town"):
        folder: Path = request.getfixturevalue("shared_maps")
        return opendrive.read(folder / f"{request.param}.xodr")
    return library.load(request.param)


def ends(network: RoadNetwork, row: int) -> tuple[np.void, np.void]:
    lane = network.lanes[row]
    return network.points[lane["first"]], network.points[lane["first"] + lane["count"] - 1]


def successors(network: RoadNetwork, row: int) -> list[int]:
    lane = network.lanes[row]
    first = lane["successor_first"]
    return network.successors[first : first + lane["successor_count"]].tolist()


def driving(network: RoadNetwork) -> list[int]:
    return np.flatnonzero(network.lanes["type"] == LaneType.DRIVING).tolist()


def test_every_driving_lane_goes_on_without_gap_or_kink(network: RoadNetwork) -> None:
    for row in driving(network):
        after = successors(network, row)
        assert after, f"lane {network.lanes[row]} ends nowhere"
        _, end = ends(network, row)
        for other in after:
            start, _ = ends(network, other)
            assert math.hypot(end["x"] - start["x"], end["y"] - start["y"]) < 0.01
            turn = end["heading"] - start["heading"]
            assert abs(math.remainder(turn, 2 * math.pi)) < 1e-3


def test_predecessors_are_the_inverse_of_successors(network: RoadNetwork) -> None:
    forward = {
        (row, after) for row in range(len(network.lanes)) for after in successors(network, row)
    }
    backward = set()
    for row, lane in enumerate(network.lanes):
        first = lane["predecessor_first"]
        before = network.predecessors[first : first + lane["predecessor_count"]]
        backward |= {(other, row) for other in before.tolist()}
    assert forward == backward


def test_points_are_dense_and_arc_length_is_their_distance(network: RoadNetwork) -> None:
    for lane in network.lanes:
        points = network.points[lane["first"] : lane["first"] + lane["count"]]
        steps = np.hypot(np.diff(points["x"]), np.diff(points["y"]))
        assert steps.max() < 0.5002
        np.testing.assert_allclose(np.diff(points["s"]), steps, atol=4e-4)
        assert lane["length"] == points["s"][-1]


def test_heading_is_the_direction_of_the_centreline(network: RoadNetwork) -> None:
    for row in driving(network):
        lane = network.lanes[row]
        points = network.points[lane["first"] : lane["first"] + lane["count"]]
        chord = np.arctan2(np.diff(points["y"]), np.diff(points["x"]))
        middle = points["heading"][:-1] + 0.5 * (
            (np.diff(points["heading"]) + np.pi) % (2 * np.pi) - np.pi
        )
        off = (chord - middle + np.pi) % (2 * np.pi) - np.pi
        long_enough = np.diff(points["s"]) > 0.3
        assert np.abs(off[long_enough]).max(initial=0.0) < 0.02


def test_neighbours_lie_side_by_side(network: RoadNetwork) -> None:
    for row in driving(network):
        lane = network.lanes[row]
        start, _ = ends(network, row)
        if lane["left"] >= 0 and lane["left_same_way"]:
            other, _ = ends(network, lane["left"])
            dx, dy = other["x"] - start["x"], other["y"] - start["y"]
            left = -math.sin(start["heading"]) * dx + math.cos(start["heading"]) * dy
            assert left == pytest.approx(0.5 * (start["width"] + other["width"]), abs=0.05)
            assert network.lanes[lane["left"]]["right"] == row


def test_stop_lines_lie_where_a_junction_or_its_crosswalk_begins(network: RoadNetwork) -> None:
    for line in network.stop_lines:
        assert network.lanes[line["lane"]]["junction"] == -1
        after = successors(network, line["lane"])
        assert any(network.lanes[other]["junction"] >= 0 for other in after)
        width = math.hypot(line["x1"] - line["x0"], line["y1"] - line["y0"])
        _, end = ends(network, line["lane"])
        assert width == pytest.approx(end["width"], abs=0.02)
        assert end["s"] - 13.5 < line["s"] <= end["s"]


def test_stop_lines_lie_before_the_crosswalk() -> None:
    network = library.load("alder")
    first = network.crosswalk_first
    before = 0
    for line in network.stop_lines:
        middle = np.array([line["x0"] + line["x1"], line["y0"] + line["y1"]]) / 2
        lane = network.lanes[line["lane"]]
        for a, b in zip(first[:-1], first[1:], strict=True):
            walk = network.crosswalks[a:b, :2].mean(0)
            if math.dist(walk, middle) < 6.0:
                _, end = ends(network, line["lane"])
                ahead = (walk - middle) @ (math.cos(end["heading"]), math.sin(end["heading"]))
                assert ahead > 1.0, lane
                before += 1
    assert before > 10


def test_lights_and_stop_signs_stop_somebody(network: RoadNetwork) -> None:
    kinds = network.signals["kind"]
    stopping = np.flatnonzero(np.isin(kinds, [SignalKind.LIGHT, SignalKind.STOP, SignalKind.YIELD]))
    assert set(stopping.tolist()) <= set(network.stop_lines["signal"].tolist())


def test_conflicts_are_mutual_and_inside_the_lane(network: RoadNetwork) -> None:
    pairs = set()
    for row, lane in enumerate(network.lanes):
        first = lane["conflict_first"]
        for conflict in network.conflicts[first : first + lane["conflict_count"]]:
            assert 0.0 <= conflict["begin"] <= conflict["end"] <= lane["length"]
            assert network.lanes[conflict["lane"]]["junction"] == lane["junction"] >= 0
            pairs.add((row, int(conflict["lane"])))
    assert pairs == {(b, a) for a, b in pairs}


def test_store_gives_back_the_same_bits(network: RoadNetwork, tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    store.save(network, path)
    assert path.stat().st_size < 1_000_000
    again = store.load(path)
    for name in (
        "lanes",
        "points",
        "conflicts",
        "signals",
        "stop_lines",
        "successors",
        "crosswalks",
    ):
        assert getattr(network, name).tobytes() == getattr(again, name).tobytes(), name
    assert not again.points.flags.writeable


@pytest.mark.parametrize("town", ["Town01", "Town04"])
def test_carlas_waypoints_lie_on_our_lane_centres(town: str, shared_maps: Path) -> None:
    path = shared_maps / f"{town}.xodr"
    network = opendrive.read(path)
    world_map = carla.Map(town, path.read_text())
    index = {
        (lane["road"], lane["lane"]): row
        for row, lane in enumerate(network.lanes)
        if lane["section"] == 0
    }
    for waypoint in world_map.generate_waypoints(7.0)[::3]:
        row = index.get((waypoint.road_id, waypoint.lane_id))
        if row is None or waypoint.section_id != 0:
            continue
        lane = network.lanes[row]
        points = network.points[lane["first"] : lane["first"] + lane["count"]]
        place = waypoint.transform.location
        y = handedness.y_from_carla(place.y)
        near = np.hypot(points["x"] - place.x, points["y"] - y)
        at = points[near.argmin()]
        across = -np.sin(at["heading"]) * (place.x - at["x"]) + np.cos(at["heading"]) * (
            y - at["y"]
        )
        assert near.min() < 0.26
        assert abs(across) < 0.02
        assert at["width"] == pytest.approx(waypoint.lane_width, abs=0.05)


@pytest.mark.parametrize("town", ["Town01", "Town04"])
def test_marks_and_permission_to_change_lane_are_carlas(town: str, shared_maps: Path) -> None:
    path = shared_maps / f"{town}.xodr"
    network = opendrive.read(path)
    world_map = carla.Map(town, path.read_text())
    kinds = {"NONE": "NONE", "Solid": "SOLID", "Broken": "BROKEN", "SolidSolid": "SOLID_SOLID"}
    compared = 0
    for lane in network.lanes[network.lanes["type"] == LaneType.DRIVING][::5]:
        at = network.points[lane["first"] + lane["count"] // 2]
        place = carla.Location(at["x"], handedness.y_to_carla(float(at["y"])), at["z"])
        waypoint = world_map.get_waypoint(place)
        if (waypoint.road_id, waypoint.lane_id) != (lane["road"], lane["lane"]):
            continue  # another road crosses here
        for side, theirs in (
            ("left", waypoint.left_lane_marking),
            ("right", waypoint.right_lane_marking),
        ):
            name = str(theirs.type)
            if name in kinds:
                assert MarkType(at[f"{side}_mark"]).name == kinds[name], (lane, side)
                compared += 1
    assert compared > 10


def test_town01_has_36_lights_that_stop_one_lane_each(shared_maps: Path) -> None:
    network = opendrive.read(shared_maps / "Town01.xodr")
    assert (network.signals["kind"] == SignalKind.LIGHT).sum() == 36
    assert len(network.stop_lines) == 36


def test_town04_flies_over_itself(shared_maps: Path) -> None:
    network = opendrive.read(shared_maps / "Town04.xodr")
    rows = np.repeat(np.arange(len(network.lanes)), network.lanes["count"])
    on_road = network.lanes["type"][rows] == LaneType.DRIVING
    points = network.points[on_road]
    cells: dict[tuple[int, int], list[float]] = {}
    for x, y, z in zip(points["x"], points["y"], points["z"], strict=True):
        cells.setdefault((round(x), round(y)), []).append(z)
    assert sum(max(z) - min(z) > 5.0 for z in cells.values()) > 10


BAD_FILES = {
    "empty": ("", "is empty"),
    "truncated": ('<OpenDRIVE><road id="0"', "is not whole XML"),
    "other": ("<html><body/></html>", "expected <OpenDRIVE>"),
    "no road": ("<OpenDRIVE><header/></OpenDRIVE>", "has no <road>"),
    "no geometry": ('<OpenDRIVE><road id="0" length="1"/></OpenDRIVE>', "no geometry"),
    "no number": (
        '<OpenDRIVE><road id="0" length="1"><planView><geometry s="0" x="a" y="0" hdg="0" '
        'length="1"><line/></geometry></planView></road></OpenDRIVE>',
        "could not convert",
    ),
    "not finite": (
        '<OpenDRIVE><road id="0" length="1"><planView><geometry s="0" x="nan" y="0" hdg="0" '
        'length="1"><line/></geometry></planView></road></OpenDRIVE>',
        "expected a finite number",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_get_one_clear_line(kind: str, tmp_path: Path) -> None:
    text, message = BAD_FILES[kind]
    path = tmp_path / "bad.xodr"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        opendrive.read(path)
    assert "bad.xodr" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.37, 0.5, 0.8, 0.99])
def test_a_truncated_town_is_an_error(share: float, shared_maps: Path, tmp_path: Path) -> None:
    text = (shared_maps / "Town01.xodr").read_text()
    path = tmp_path / "Town01.xodr"
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(ValueError, match="is not whole XML"):
        opendrive.read(path)


def test_missing_file_folder_and_binary(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        opendrive.read(tmp_path / "none.xodr")
    with pytest.raises(ValueError, match="is a folder"):
        opendrive.read(tmp_path)
    (tmp_path / "b.xodr").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="not text"):
        opendrive.read(tmp_path / "b.xodr")
