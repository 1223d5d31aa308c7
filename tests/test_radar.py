"""The radar: where beams go, what they meet, how fast it moves along the beam."""

import math
from dataclasses import replace

import numpy as np
import pytest
from beams import AWAY, Box, boxes_around
from scipy.stats import kstest

from drive_il.datatypes import Floats, Scene
from drive_il.maps.library import load
from drive_il.sensor_specs import RadarSpec
from drive_il.sensors.radar import Detections, Radar

MAP = load("alder")
DENSE = RadarSpec(points_per_second=40_000)
WALL: Box = (52.1, 0.0, 0.0, 0.2, 400.0, 60.0)
"""its near face is 50 m before the radar"""


def scan(spec: RadarSpec, scene: Scene) -> Detections:
    return Radar(MAP, spec).scan(scene, np.arange(scene.n_rows))


def detections(spec: RadarSpec, scene: Scene) -> Floats:
    """The detections of the first row, (N, 4) float64."""
    found = scan(spec, scene)
    return found.points[0, : found.n_points[0]].astype(float)


def cartesian(points: Floats) -> Floats:
    """x, y, z in the radar's frame, (N, 3) [m]."""
    depth, azimuth, altitude, _ = points.T
    level = depth * np.cos(altitude)
    return np.stack(
        (level * np.cos(azimuth), level * np.sin(azimuth), depth * np.sin(altitude)), axis=1
    )


def test_a_wall_is_one_plane_and_the_ground_another() -> None:
    for heading in (0.0, 2.0):
        points = detections(DENSE, boxes_around([WALL], heading=heading))
        x, _, z = cartesian(points).T
        assert len(points) == 2_000
        on_ground = np.abs(z + 1.0) < 1e-4
        np.testing.assert_allclose(x[~on_ground], 50.0, rtol=1e-5)
        assert 100 < on_ground.sum() < 1_900


def test_beams_fill_an_ellipse_evenly_in_radius() -> None:
    spec = replace(DENSE, horizontal_fov=60.0, vertical_fov=20.0, z=8.0)
    wall: Box = (12.1, 0.0, 0.0, 0.2, 400.0, 60.0)
    points = cartesian(detections(spec, boxes_around([wall])))
    across = points[:, 1] / points[:, 0] / math.tan(math.radians(30.0))
    up = points[:, 2] / points[:, 0] / math.tan(math.radians(10.0))
    assert len(points) == 2_000
    # Radius and angle are uniform; Kolmogorov and Smirnov fail fair samples in 1e-6 of cases.
    assert kstest(np.hypot(across, up), "uniform").pvalue > 1e-6
    assert kstest(np.arctan2(up, across) / (2 * np.pi) + 0.5, "uniform").pvalue > 1e-6


def test_the_ground_comes_nearer_as_fast_as_the_ego_drives() -> None:
    scene = boxes_around([WALL], heading=0.4)
    scene.ego["speed"], scene.ego["slip"], scene.ego["yaw_rate"] = 10.0, 0.05, 0.3
    spec = replace(DENSE, y=0.5)
    points = detections(spec, scene)
    beams = cartesian(points) / points[:, :1]
    # At (2, 0.5) on the ego, which turns left by 0.3 rad/s.
    velocity = np.array([10 * math.cos(0.05) - 0.3 * 0.5, 10 * math.sin(0.05) + 0.3 * 2.0, 0.0])
    np.testing.assert_allclose(points[:, 3], -beams @ velocity, atol=1e-5)


def test_a_car_ahead_moves_relative_to_the_ego() -> None:
    scene = boxes_around([(40.0, 0.0, 0.0, 4.0, 2.0, 2.5)])
    scene.ego["speed"] = 10.0
    scene.actors.vehicles["speed"][:, 1] = 13.0
    points = detections(DENSE, scene)
    on_car = np.abs(cartesian(points)[:, 0] - 36.0) < 1e-3
    assert on_car.sum() > 20
    beams = cartesian(points)[on_car] / points[on_car, :1]
    np.testing.assert_allclose(points[on_car, 3], 3.0 * beams[:, 0], atol=1e-5)


def test_a_walker_to_the_left_who_comes_nearer() -> None:
    scene = boxes_around([], [(2.0, 10.0)])
    scene.actors.walkers["speed"], scene.actors.walkers["heading"] = 1.5, -math.pi / 2
    spec = replace(DENSE, yaw=math.pi / 2, horizontal_fov=10.0, vertical_fov=5.0)
    points = detections(spec, scene)
    met = points[points[:, 0] < 9.75]
    assert len(met) > 20
    assert met[:, 3].min() > -1.5 - 1e-6
    assert met[:, 3].max() < -1.4


def test_a_pitched_radar_looks_where_it_points() -> None:
    scene = boxes_around([])
    down = detections(
        replace(DENSE, pitch=-math.pi / 4, horizontal_fov=2.0, vertical_fov=2.0), scene
    )
    np.testing.assert_allclose(down[:, 0], math.sqrt(2.0), rtol=0.05)
    rolled = replace(DENSE, roll=math.pi / 2, horizontal_fov=40.0, vertical_fov=1.0)
    # The right side is down: what is right of the radar's axis looks at the ground.
    assert (detections(rolled, scene)[:, 1] < 0).all()
    assert len(detections(rolled, scene)) > 500


def test_nothing_is_detected_beyond_the_range() -> None:
    assert len(detections(replace(DENSE, range=49.9, vertical_fov=0.0), boxes_around([WALL]))) == 0
    assert (
        len(detections(replace(DENSE, range=50.1, vertical_fov=0.0), boxes_around([WALL]))) == 2_000
    )


def test_scenery_is_met() -> None:
    lane = MAP.lanes[np.flatnonzero(MAP.lanes["type"] == 1)[3]]
    place = MAP.points[lane["first"]]
    scene = boxes_around([])
    for name in ("x", "y", "heading"):
        scene.ego[name] = place[name]
    met = [
        (cartesian(detections(replace(DENSE, yaw=yaw), scene))[:, 2] > -0.9).sum()
        for yaw in np.arange(12) * math.pi / 6
    ]
    assert sum(met) > 1_000
    # A radar that is pitched by a hair finds the same scenery.
    tilted = [
        (cartesian(detections(replace(DENSE, yaw=yaw, pitch=1e-9), scene))[:, 2] > -0.9).sum()
        for yaw in np.arange(12) * math.pi / 6
    ]
    assert met == tilted


def test_a_row_depends_on_its_own_scene_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = boxes_around([WALL], n_rows=70, seed=np.arange(70) // 2, step=np.arange(70) * 3)
    radar = Radar(MAP, RadarSpec())
    together = radar.scan(scene, np.arange(70))
    monkeypatch.setenv("DRIVE_IL_THREADS", "2")
    for other, order in (
        (radar.scan(scene, np.arange(70)), slice(None)),
        (radar.scan(scene, np.arange(70)[::-1]), slice(None, None, -1)),
    ):
        assert together.points.tobytes() == other.points[order].tobytes()
    alone = radar.scan(scene.take(np.array([41])), np.arange(1))
    assert together.points[41].tobytes() == alone.points[0].tobytes()
    assert len({frame.tobytes() for frame in together.points}) == 70
    assert not together.points[0, together.n_points[0] :].any()
    assert together.points.shape == (70, 75, 4)


def test_bad_radars_are_refused() -> None:
    with pytest.raises(ValueError, match=r"horizontal_fov must be in \[0, 180\) degrees, got 200"):
        RadarSpec(horizontal_fov=200)
    with pytest.raises(ValueError, match="needed are at least 20"):
        scan(RadarSpec(points_per_second=19), boxes_around([]))
    assert np.abs(MAP.points["x"]).max() + 1_000 < AWAY
