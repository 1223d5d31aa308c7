"""What an ego feels and where it is: GNSS, IMU (accelerometer, gyroscope, compass), speed.

All are exact functions of the Scene plus CARLA's noise, keyed by (seed, step, purpose). An
ego's frame is x forward, y left, z up.
(CARLA documentation, "Sensors reference": GNSS sensor, IMU sensor; the leaderboard's own
conversion of positions, `route_manipulation`.)
"""

from __future__ import annotations

import math

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import VEHICLE, Array, Floats, Ints, Records, Scene
from drive_il.keyed_noise import noise_key, normal_at
from drive_il.maps.network import RoadNetwork
from drive_il.randomness import purpose_key
from drive_il.sensor_specs import GnssSpec, ImuSpec
from drive_il.sensors.targets import mount

EARTH_RADIUS = 6378137.0
"""of the leaderboard's sphere [m]"""
GRAVITY = 9.81
"""CARLA's [m/s^2]"""
_GNSS, _IMU = purpose_key("gnss"), purpose_key("imu")
_QUARTER, _TURN = math.pi / 2.0, 2.0 * math.pi
_DEGREE = math.pi / 180.0


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        nt.float64[::1],
        nt.float64[::1],
        nt.float64[::1],
        nt.float64[::1],
        kernels.record(VEHICLE)[::1],
        nt.int64[::1],
        nt.uint64[::1],
        nt.float64[:, ::1],
    )
)
def _locate(
    first_row: int,
    last_row: int,
    reference: Floats,
    place: Floats,
    bias: Floats,
    deviation: Floats,
    ego: Records,
    step: Ints,
    seed: Ints,
    out: Floats,
) -> None:
    scale = math.cos(reference[0] * _DEGREE) * EARTH_RADIUS
    east0 = scale * reference[1] * _DEGREE
    north0 = scale * math.log(math.tan((90.0 + reference[0]) * 0.5 * _DEGREE))
    for row in range(first_row, last_row):
        x, y = mount(ego[row], place[0], place[1])
        out[row, 0] = 2.0 * math.atan(math.exp((north0 + y) / scale)) / _DEGREE - 90.0
        out[row, 1] = (east0 + x) / scale / _DEGREE
        out[row, 2] = ego[row].z + place[2]
        key = noise_key(seed[row], step[row], _GNSS)
        for k in range(3):
            out[row, k] += bias[k] + deviation[k] * normal_at(key, k)


class Gnss:
    """Satellite navigation on any ego of one map.

    The leaderboard's Mercator projection of a sphere around the map's geo reference. Our y
    points north, so nothing is flipped: it is CARLA's y that points south.
    """

    def __init__(self, network: RoadNetwork, spec: GnssSpec) -> None:
        self._reference = np.array(network.geo_reference, float)
        self._place = np.array([spec.x, spec.y, spec.z])
        axes = ("lat", "lon", "alt")
        self._bias = np.array([getattr(spec, f"noise_{axis}_bias") for axis in axes])
        self._deviation = np.array([getattr(spec, f"noise_{axis}_stddev") for axis in axes])

    def locate(self, scene: Scene, rows: Ints) -> Floats:
        """Returns latitude and longitude [deg] and altitude [m], (N, 3) float64."""
        out = np.empty((len(rows), 3))
        kernels.run(
            _locate,
            len(rows),
            self._reference,
            self._place,
            self._bias,
            self._deviation,
            scene.ego[rows],
            scene.step[rows],
            scene.seed[rows],
            out,
            min_rows=512,
        )
        return out


def geolocations(network: RoadNetwork, xyz: Floats) -> Floats:
    """Returns latitude, longitude [deg] and altitude [m] of places as `Gnss` has them, exactly.

    Args:
        network: the map.
        xyz: places in the world frame, (N, 3) [m].
    """
    there = np.zeros(len(xyz), VEHICLE)
    there["x"], there["y"], there["z"] = np.asarray(xyz, float).T
    out, nothing = np.empty((len(xyz), 3)), np.zeros(3)
    step, seed = np.zeros(len(xyz), np.int64), np.zeros(len(xyz), np.uint64)
    reference = np.array(network.geo_reference, float)
    kernels.run(_locate, len(xyz), reference, nothing, nothing, nothing, there, step, seed, out)
    return out


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        nt.float64[::1],
        nt.float64[::1],
        nt.float64[::1],
        kernels.record(VEHICLE)[::1],
        nt.int64[::1],
        nt.uint64[::1],
        nt.float64[:, ::1],
    )
)
def _feel(
    first_row: int,
    last_row: int,
    place: Floats,
    bias: Floats,
    deviation: Floats,
    ego: Records,
    step: Ints,
    seed: Ints,
    out: Floats,
) -> None:
    for row in range(first_row, last_row):
        me = ego[row]
        sine, cosine = math.sin(me.slip), math.cos(me.slip)
        turn, along = me.yaw_rate, me.acceleration
        inward = me.speed * turn  # to the left of the velocity
        out[row, 0] = along * cosine - inward * sine - turn * turn * place[0]
        out[row, 0] += GRAVITY * math.sin(me.pitch)
        out[row, 1] = along * sine + inward * cosine - turn * turn * place[1]
        out[row, 2] = GRAVITY * math.cos(me.pitch)
        out[row, 3], out[row, 4], out[row, 5] = 0.0, 0.0, turn
        compass = _QUARTER - me.heading
        out[row, 6] = compass - _TURN * math.floor(compass / _TURN)
        key = noise_key(seed[row], step[row], _IMU)
        for k in range(6):
            out[row, k] += bias[k] + deviation[k] * normal_at(key, k)


class Imu:
    """Accelerometer, gyroscope and compass on any ego.

    The accelerometer feels gravity as a push upwards: at rest on level ground it reads
    (0, 0, 9.81). Of the motion it feels the acceleration along the velocity, the turn of the
    velocity (speed times yaw rate, with a steady slip) and the pull outward where it is
    mounted; how fast yaw rate and slip change is not in a Scene and not felt. The gyroscope
    is positive to the left about z. The compass is the heading clockwise from north, which is
    our y: 0 north, pi / 2 east, in [0, 2 pi); it has no noise.
    """

    def __init__(self, spec: ImuSpec) -> None:
        axes = "xyz"
        gyro = [getattr(spec, f"noise_gyro_stddev_{axis}") for axis in axes]
        self._place = np.array([spec.x, spec.y])
        self._bias = np.array([0.0] * 3 + [getattr(spec, f"noise_gyro_bias_{a}") for a in axes])
        self._deviation = np.array([getattr(spec, f"noise_accel_stddev_{a}") for a in axes] + gyro)

    def feel(self, scene: Scene, rows: Ints) -> Floats:
        """Returns specific force [m/s^2], turn rates [rad/s], compass [rad], (N, 7) float64."""
        out = np.empty((len(rows), 7))
        kernels.run(
            _feel,
            len(rows),
            self._place,
            self._bias,
            self._deviation,
            scene.ego[rows],
            scene.step[rows],
            scene.seed[rows],
            out,
            min_rows=512,
        )
        return out


@kernels.kernel(nt.void(nt.int64, nt.int64, kernels.record(VEHICLE)[::1], nt.float32[::1]))
def _gauge(first_row: int, last_row: int, ego: Records, out: Array) -> None:
    for row in range(first_row, last_row):
        out[row] = ego[row].speed * math.cos(ego[row].slip)


def speedometer(scene: Scene, rows: Ints) -> Floats:
    """Returns the velocity along the ego's own axis, forward positive, (N,) float32 [m/s]."""
    out = np.empty(len(rows), np.float32)
    kernels.run(_gauge, len(rows), scene.ego[rows], out, min_rows=4096)
    return out
