"""GNSS against the leaderboard's numbers, the IMU against circles, slopes and differences."""

import math
from dataclasses import replace

import numpy as np
import pytest
from drives import make_scene
from roads import straight_road
from scipy.stats import kstest

from drive_il.datatypes import CONTROL, Floats, Scene
from drive_il.sensor_specs import GnssSpec, ImuSpec
from drive_il.sensors.inertial import Gnss, Imu, speedometer
from drive_il.sim.vehicle import drive_rows, standing

EXACT_GNSS = GnssSpec(noise_lat_stddev=0.0, noise_lon_stddev=0.0, noise_alt_stddev=0.0)
EXACT_IMU = ImuSpec(
    **{f"noise_{kind}_stddev_{axis}": 0.0 for kind in ("accel", "gyro") for axis in "xyz"}
)
MAP = straight_road(100.0)


def locate(scene: Scene, spec: GnssSpec, reference: tuple[float, float]) -> Floats:
    network = replace(MAP, geo_reference=reference)
    return Gnss(network, spec).locate(scene, np.arange(scene.n_rows))


def feel(scene: Scene, spec: ImuSpec = EXACT_IMU) -> Floats:
    return Imu(spec).feel(scene, np.arange(scene.n_rows))


def leaderboard_gps(x: float, y: float, reference: tuple[float, float]) -> tuple[float, float]:
    """Latitude and longitude as the leaderboard has them, of a point in CARLA's frame."""
    radius = 6378137.0
    scale = math.cos(math.radians(reference[0]))
    east = scale * reference[1] * math.pi * radius / 180.0 + x
    north = scale * radius * math.log(math.tan((90.0 + reference[0]) * math.pi / 360.0)) - y
    longitude = east * 180.0 / (math.pi * radius * scale)
    return 360.0 * math.atan(math.exp(north / (radius * scale))) / math.pi - 90.0, longitude


@pytest.mark.parametrize("reference", [(0.0, 0.0), (42.0, 2.0), (-33.5, 151.2)])
def test_gnss_is_the_leaderboards_formula(reference: tuple[float, float]) -> None:
    scene = make_scene(20)
    rng = np.random.default_rng(0)
    scene.ego["x"], scene.ego["y"] = rng.uniform(-5000, 5000, (2, 20))
    scene.ego["z"] = np.arange(20)
    found = locate(scene, replace(EXACT_GNSS, z=1.5), reference)
    for ego, row in zip(scene.ego, found, strict=True):
        latitude, longitude = leaderboard_gps(ego["x"], -ego["y"], reference)
        # 1e-9 degrees are a tenth of a millimetre.
        assert row == pytest.approx((latitude, longitude, ego["z"] + 1.5), abs=1e-9)


def test_a_known_place() -> None:
    # CARLA's (10, 20) on a map at latitude 0 and longitude 0 lies south of the equator.
    scene = make_scene(1)
    scene.ego["x"], scene.ego["y"] = 10.0, -20.0
    latitude, longitude, altitude = locate(scene, EXACT_GNSS, (0.0, 0.0))[0]
    assert latitude == pytest.approx(-0.000179663, abs=1e-9)
    assert longitude == pytest.approx(0.0000898315, abs=1e-9)
    assert altitude == 0.0


def test_the_antenna_turns_with_the_ego() -> None:
    scene = make_scene(1)
    scene.ego["heading"] = math.pi / 2  # north
    found = locate(scene, replace(EXACT_GNSS, x=2.0, y=1.0), (0.0, 0.0))[0]
    per_degree = math.pi / 180.0 * 6378137.0
    assert found[:2] * per_degree == pytest.approx((2.0, -1.0), abs=1e-6)


def test_gnss_noise_has_its_bias_and_deviation() -> None:
    n = 20_000
    scene = make_scene(n, seed=np.arange(n, dtype=np.uint64))
    spec = GnssSpec(noise_lat_bias=3e-5, noise_alt_bias=-2.0, noise_alt_stddev=0.5)
    noise = locate(scene, spec, (0.0, 0.0)) - [3e-5, 0.0, -2.0]
    noise /= [5e-6, 5e-6, 0.5]
    for column in noise.T:
        assert kstest(column, "norm").pvalue > 1e-6
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 5 / math.sqrt(n)


def test_at_rest_the_imu_feels_gravity_alone() -> None:
    scene = make_scene(3)
    scene.ego["pitch"] = 0.0, 0.1, -0.1
    found = feel(scene)
    expected = [(9.81 * math.sin(p), 0.0, 9.81 * math.cos(p)) for p in (0.0, 0.1, -0.1)]
    np.testing.assert_allclose(found[:, :3], expected, atol=1e-12)
    assert not found[:, 3:6].any()


def test_on_a_circle_the_imu_feels_the_square_of_the_speed_over_the_radius() -> None:
    ego = standing(2)
    ego["speed"] = 9.0
    control = np.zeros(2, CONTROL)
    control["steer"] = 0.4, -0.4
    for _ in range(100):
        control["throttle"] = 0.3
        drive_rows(ego, control, 0.05)
    scene = replace(make_scene(2), ego=ego)
    radius = ego["rear_wheelbase"] / np.sin(np.abs(ego["slip"]))
    found = feel(scene)
    across = -found[:, 0] * np.sin(ego["slip"]) + found[:, 1] * np.cos(ego["slip"])
    np.testing.assert_allclose(across, [1, -1] * (ego["speed"] ** 2 / radius), rtol=1e-12)
    assert found[:, 5] == pytest.approx([1, -1] * (ego["speed"] / radius))
    # On the rear axle there is no slip: the velocity there is along the axis.
    rear = feel(scene, replace(EXACT_IMU, x=-float(ego["rear_wheelbase"][0])))
    turn = ego["yaw_rate"]
    along = ego["speed"] * np.cos(ego["slip"])
    np.testing.assert_allclose(
        rear[:, 1] - ego["acceleration"] * np.sin(ego["slip"]), along * turn, rtol=1e-9
    )


def test_the_accelerometer_is_the_second_difference_of_the_path() -> None:
    ego, control, dt = standing(1), np.zeros(1, CONTROL), 0.001
    control["throttle"], control["steer"] = 0.6, 0.3
    drive_rows(ego, control, 6.0 / 20)
    for _ in range(60):
        drive_rows(ego, control, 0.1)  # the actuators have settled
    path, states = [], []
    for _ in range(3):
        path.append((ego["x"][0], ego["y"][0]))
        states.append(ego.copy())
        drive_rows(ego, control, dt)
    world = np.diff(np.array(path), n=2, axis=0)[0] / dt**2
    heading = states[1]["heading"][0]
    cos, sin = math.cos(heading), math.sin(heading)
    found = feel(replace(make_scene(1), ego=states[1]))[0]
    expected = (cos * world[0] + sin * world[1], -sin * world[0] + cos * world[1])
    assert found[:2] == pytest.approx(expected, abs=1e-3)


def test_the_compass_is_clockwise_from_north() -> None:
    scene = make_scene(5)
    scene.ego["heading"] = np.array([0.5, 0.0, -0.5, -1.0, 0.25]) * math.pi
    north, east, south, west, north_east = (k * math.pi for k in (0.0, 0.5, 1.0, 1.5, 0.25))
    assert feel(scene)[:, 6] == pytest.approx([north, east, south, west, north_east])


def test_imu_noise_has_its_bias_and_deviation() -> None:
    n = 20_000
    scene = make_scene(n, step=np.arange(n))
    spec = ImuSpec(noise_gyro_bias_x=0.1, noise_gyro_bias_z=-0.2)
    noise = feel(scene, spec)[:, :6] - [0, 0, 9.81, 0.1, 0, -0.2]
    noise /= [0.001, 0.001, 0.015, 0.001, 0.001, 0.001]
    for column in noise.T:
        assert kstest(column, "norm").pvalue > 1e-6
    assert np.abs(np.corrcoef(noise.T) - np.eye(6)).max() < 5 / math.sqrt(n)


def test_the_speedometer_reads_the_velocity_along_the_axis() -> None:
    scene = make_scene(3)
    scene.ego["speed"] = 10.0
    scene.ego["slip"] = 0.0, 0.2, math.pi  # the last one rolls backwards
    expected = (10.0, 10.0 * math.cos(0.2), -10.0)
    assert speedometer(scene, np.arange(3)) == pytest.approx(expected, rel=1e-6)


def test_a_row_depends_on_itself_alone() -> None:
    scene = make_scene(1500, seed=np.arange(1500, dtype=np.uint64), step=np.arange(1500) % 7)
    scene.ego["heading"] = np.linspace(-3, 3, 1500)
    for measured in (locate(scene, GnssSpec(), (42.0, 2.0)), feel(scene, ImuSpec())):
        one = scene.take(np.array([700]))
        again = (
            locate(one, GnssSpec(), (42.0, 2.0)) if measured.shape[1] == 3 else feel(one, ImuSpec())
        )
        assert again[0].tobytes() == measured[700].tobytes()


def test_a_negative_deviation_is_refused() -> None:
    with pytest.raises(ValueError, match="noise_alt_stddev must be >= 0, got -1"):
        GnssSpec(noise_alt_stddev=-1)
    with pytest.raises(ValueError, match="noise_gyro_stddev_z must be >= 0, got nan"):
        ImuSpec(noise_gyro_stddev_z=math.nan)
