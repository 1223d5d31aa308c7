"""What an observer hands over for each sensor: names, shapes and types."""

from typing import Any

import numpy as np
import pytest
from beams import boxes_around

from drive_il.maps.library import load
from drive_il.sensor_specs import (
    CameraSpec,
    GnssSpec,
    ImuSpec,
    LidarSpec,
    ObservationSpec,
    RadarSpec,
)
from drive_il.sensors.observer import SceneObserver

MAP = load("alder")


def test_all_rows_are_seen_as_any_rows_are() -> None:
    scene = boxes_around([(10.0, 0.0, 0.0, 4.0, 2.0, 1.5)], n_rows=3)
    scene.ego["heading"], scene.ego["speed"] = (0.0, 0.5, 1.0), (1.0, 2.0, 3.0)
    observer = SceneObserver(MAP, ObservationSpec())
    everyone = observer.observe(scene, np.arange(3))
    for rows in ([2, 0, 1], [1], [0, 0, 0]):
        some = observer.observe(scene, np.array(rows))
        for name, seen in everyone.items():
            np.testing.assert_array_equal(some[name], seen[rows])
    scene.ego["speed"] = 9.0
    assert everyone["speed"].max() == 3.0


def test_each_sensor_adds_its_arrays() -> None:
    spec = ObservationSpec(
        cameras=(),
        range_finder=True,
        lidars=(LidarSpec(), LidarSpec(name="tags", kind="semantic", channels=8)),
        radars=(RadarSpec(),),
        gnss=GnssSpec(),
        imu=ImuSpec(),
        speedometer=True,
        collision=True,
        lane_invasion=True,
    )
    scene = boxes_around([(10.0, 0.0, 0.0, 4.0, 2.0, 1.5)], n_rows=3)
    seen = SceneObserver(MAP, spec).observe(scene, np.array([2, 0]))
    assert {name: (array.shape[1:], array.dtype.name) for name, array in seen.items()} == {
        "speed": ((), "float32"),
        "command": ((), "int64"),
        "range_finder": ((8, 32), "float32"),
        "lidar": ((64 * 469, 4), "float32"),
        "lidar_count": ((), "int32"),
        "tags": ((8 * 3750, 4), "float32"),
        "tags_count": ((), "int32"),
        "tags_objects": ((8 * 3750, 2), "int32"),
        "radar": ((75, 4), "float32"),
        "radar_count": ((), "int32"),
        "gnss": ((3,), "float64"),
        "imu": ((7,), "float64"),
        "speedometer": ((), "float32"),
        "collision": ((), "int32"),
        "collision_id": ((), "int32"),
        "collision_impulse": ((2,), "float32"),
        "lane_invasion": ((2,), "uint8"),
    }
    assert {len(array) for array in seen.values()} == {2}
    n = seen["lidar_count"][0]
    assert seen["lidar"][0, :n, 3].min() > 0.0
    assert not seen["lidar"][0, n:].any()


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (ObservationSpec(cameras=(CameraSpec(name="imu"),)), "imu"),
        (ObservationSpec(lidars=(LidarSpec(), LidarSpec())), "lidar"),
        (ObservationSpec((), radars=(RadarSpec(name="a"), RadarSpec(name="a_count"))), "a_count"),
    ],
)
def test_two_sensors_of_one_name_are_refused(spec: ObservationSpec, name: str) -> None:
    with pytest.raises(ValueError, match=f"sensor name '{name}' is taken"):
        SceneObserver(MAP, spec)


def test_the_range_finder_sees_cars_and_walkers() -> None:
    spec = ObservationSpec(cameras=(), range_finder=True)
    ahead = boxes_around([(13.3, 0.0, 0.0, 4.0, 2.0, 3.0)])
    seen = SceneObserver(MAP, spec).observe(ahead, np.arange(1))["range_finder"][0]
    # Its rear is 10 m before the sensor; row 1 looks up by 6 - 30 / 7 degrees, the columns
    # in the middle aside by half of 80 / 31.
    up, aside = np.radians((6.0 - 30.0 / 7.0, 40.0 / 31.0))
    expected = 1.0 - 10.0 / np.cos(up) / np.cos(aside) / 30.0
    assert seen[1, 15:17] == pytest.approx([expected] * 2, abs=1e-5)
    assert not seen[1, :10].any()
    walker = boxes_around([], [(5.3, 0.0)])
    seen = SceneObserver(MAP, spec).observe(walker, np.arange(1))["range_finder"][0]
    assert seen[2, 15] == pytest.approx(1.0 - 3.7 / 30.0, abs=0.002)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cameras": ("rgb",)}, r"cameras must be a tuple of CameraSpec, .* got 'rgb' in it"),
        ({"cameras": "rgb"}, "got 'rgb'$"),
        ({"cameras": CameraSpec()}, r"as in cameras=\(CameraSpec\(\),\)"),
        ({"lidars": (CameraSpec(),)}, "lidars must be a tuple of LidarSpec"),
        ({"radars": (None,)}, "radars must be a tuple of RadarSpec"),
    ],
)
def test_what_is_no_sensor_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ObservationSpec(**fields)
