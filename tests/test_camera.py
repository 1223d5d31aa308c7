"""What cameras see: closed forms on flat ground, two paths with one picture, weather."""

import math
from dataclasses import replace

import numpy as np
import pytest

from drive_il.datatypes import VEHICLE, Array, Records, default_weather
from drive_il.maps import library
from drive_il.maps.network import LaneType, RoadNetwork
from drive_il.sensor_specs import CameraSpec
from drive_il.sensors.camera import Camera
from tests.roads import straight_road

# CARLA's semantic tags, 0.9.14 and later.
ROAD, SKY, ROAD_LINE = 1, 11, 24
STRAIGHT = straight_road()


def at(x: float, y: float, heading: float = 0.0) -> Records:
    ego = np.zeros(1, VEHICLE)
    ego["x"], ego["y"], ego["heading"] = x, y, heading
    return ego


def places(network: RoadNetwork, n: int, seed: int = 0) -> Records:
    """Egos on and beside the driving lanes, turned this way and that."""
    rng = np.random.default_rng(seed)
    driving = np.flatnonzero(network.lanes["type"] == LaneType.DRIVING)
    ego = np.zeros(n, VEHICLE)
    for row in ego:
        lane = network.lanes[rng.choice(driving)]
        point = network.points[lane["first"] + rng.integers(lane["count"])]
        row["x"], row["y"] = point["x"] + rng.normal(), point["y"] + rng.normal()
        row["heading"] = point["heading"] + rng.normal(0.0, 0.4)
    return ego


def picture(spec: CameraSpec, ego: Records, network: RoadNetwork = STRAIGHT) -> Array:
    return Camera(network, spec).render(ego, default_weather(len(ego)))


@pytest.mark.parametrize("kind", ["rgb", "depth", "semantic"])
@pytest.mark.parametrize("town", ["alder", "birch", "cedar", "dell"])
def test_both_paths_draw_the_same_picture(town: str, kind: str) -> None:
    network = library.load(town)
    ego = places(network, 12)
    weather = default_weather(len(ego))
    weather["fog_density"][::3] = 40.0
    weather["sun_altitude_angle"][::4] = -20.0
    spec = CameraSpec(kind=kind, width=160, height=96, fov=100.0, yaw=0.2, y=0.3)
    fast = Camera(network, spec).render(ego, weather)
    exact = Camera(network, spec, exact=True).render(ego, weather)
    np.testing.assert_array_equal(fast, exact)


def test_a_picture_does_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    network = library.load("alder")
    ego = places(network, 40, seed=1)
    camera = Camera(network, CameraSpec())
    together = camera.render(ego, default_weather(40))
    for row in (0, 7, 39):
        alone = camera.render(ego[[row]], default_weather(1))
        np.testing.assert_array_equal(alone[0], together[row])
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    np.testing.assert_array_equal(camera.render(ego, default_weather(40)), together)


def test_a_picture_does_not_depend_on_the_weather_of_the_call_before() -> None:
    network = library.load("alder")
    ego, weather = places(network, 4, seed=2), default_weather(4)
    weather["sun_altitude_angle"] = (-20.0, 45.0, 10.0, -20.0)
    weather["fog_density"] = (0.0, 0.0, 50.0, 0.0)
    camera = Camera(network, CameraSpec())
    together = camera.render(ego, weather)
    for row in (3, 0, 1, 2, 0):
        alone = camera.render(ego[row : row + 1], weather[row : row + 1])
        np.testing.assert_array_equal(alone[0], together[row])


def test_depth_of_flat_ground_is_in_closed_form() -> None:
    spec = CameraSpec(kind="depth", width=64, height=48, fov=90.0, z=1.6)
    depth = picture(spec, at(100.0, -1.75))[0]
    focal = 32.0 / math.tan(math.radians(45.0))
    below = np.arange(24, 48)
    expected = 1.6 * focal / (below + 0.5 - 24.0)
    near = expected < 12.0  # further out something may stand beside the road
    np.testing.assert_allclose(depth[below[near], 32], expected[near], rtol=1e-5)
    assert depth[0, 32] == 1000.0  # the sky


@pytest.mark.parametrize("pitch", [-0.5, -0.2])
def test_a_pitched_camera_meets_the_ground_where_geometry_says(pitch: float) -> None:
    spec = CameraSpec(kind="depth", width=33, height=33, fov=40.0, z=2.0, pitch=pitch)
    middle = picture(spec, at(100.0, -1.75))[0, 16, 16]
    assert middle == pytest.approx(2.0 / math.sin(-pitch), rel=1e-5)


def test_a_rolled_camera_turns_the_horizon() -> None:
    spec = CameraSpec(kind="semantic", width=65, height=65, roll=0.3)
    sky = picture(spec, at(100.0, -1.75))[0] == SKY
    # Right side down: in the picture the ground stands higher on the right.
    assert sky[:, 4].sum() > sky[:, 60].sum() + 5
    level = picture(replace(spec, roll=0.0), at(100.0, -1.75))[0] == SKY
    assert not level[33:].any()


def test_a_thin_marking_is_straight_at_1280x720() -> None:
    """The solid right edge line, 0.12 m wide, fitted by a line through its middles."""
    spec = CameraSpec(kind="semantic", width=1280, height=720)
    line = picture(spec, at(100.0, -1.75))[0] == ROAD_LINE
    line[:, :650] = False  # the centre line is on the left
    rows = np.flatnonzero(line.any(1))
    rows = rows[rows > 400]  # nearer than 64 m
    assert len(rows) > 250
    middles = np.array([np.flatnonzero(line[row]).mean() for row in rows])
    slope, start = np.polyfit(rows, middles, 1)
    assert np.abs(middles - (slope * rows + start)).max() < 1.0
    # The line's middle is 1.75 m to the right of a camera 1.6 m high.
    assert slope == pytest.approx(1.75 / 1.6, rel=0.01)


def test_the_road_ahead_is_road_and_the_sky_is_sky() -> None:
    seen = picture(CameraSpec(kind="semantic"), at(100.0, -1.75))[0]
    assert seen[-1, 48] == ROAD
    assert (seen[0] == SKY).mean() > 0.5


def test_fog_hides_what_is_far_and_night_is_dark() -> None:
    network = library.load("alder")
    ego = places(network, 1, seed=3)
    camera = Camera(network, CameraSpec())
    clear = camera.render(ego, default_weather(1))[0].astype(float)
    weather = default_weather(1)
    weather["fog_density"] = 80.0
    foggy = camera.render(ego, weather)[0].astype(float)
    weather = default_weather(1)
    weather["sun_altitude_angle"] = -80.0
    night = camera.render(ego, weather)[0].astype(float)
    horizon = slice(28, 34)
    assert foggy[horizon].std() < 0.7 * clear[horizon].std()
    assert night.mean() < 0.5 * clear.mean()


def test_cameras_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="must stand above the road"):
        Camera(STRAIGHT, CameraSpec(z=0.0))
    with pytest.raises(ValueError, match="one per ego"):
        Camera(STRAIGHT, CameraSpec()).render(at(0, 0), default_weather(2))
    with pytest.raises(ValueError, match="only rgb and instance can be bgra, got 'depth'"):
        Camera(STRAIGHT, CameraSpec(kind="depth"), as_bgra=True)
    with pytest.raises(ValueError, match=r"rows must lie in \[0, 64\], first below last"):
        Camera(STRAIGHT, CameraSpec(height=64), rows=(20, 65))
    with pytest.raises(ValueError, match="kind must be"):
        CameraSpec(kind="infrared")
