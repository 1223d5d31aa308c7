"""Radar: CARLA's sensor.other.radar.

Beams point anywhere within an elliptic cone, denser around its axis: their radius in the
cone and their angle around the axis are uniform, keyed by (seed, step, sensor's name). A
beam that meets something within range gives one detection.
(CARLA documentation, "Sensors reference": Radar sensor.)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import VEHICLE, Floats, Ints, Records, Scene
from drive_il.keyed_noise import noise_key, uniform_at
from drive_il.maps.network import RoadNetwork
from drive_il.randomness import purpose_key
from drive_il.sensor_specs import RadarSpec
from drive_il.sensors.lens import FRAME, set_frame
from drive_il.sensors.prisms import SOLIDS, solids_of
from drive_il.sensors.targets import (
    ACTORS,
    MAX_SCENERY,
    TARGET,
    actors_of,
    gather_actors,
    gather_scenery,
    meet_first,
)

_TURN = 2.0 * math.pi
_FLATTEST = 1e-9
_WORK = 2_000  # beams that are worth a thread

ANTENNA = np.dtype(
    [
        ("n_beams", "i8"),  # in one frame
        ("wide", "f8"),  # tangent of half the horizontal field of view
        ("tall", "f8"),  # tangent of half the vertical field of view
        ("range", "f8"),  # [m]
        ("level", "?"),  # neither pitched nor rolled
        ("purpose", "u8"),  # key of its beams
        ("focal", "f8"),  # 1: these seven are what `lens.set_frame` needs
        ("x", "f8"),  # [m] on the ego, as RadarSpec
        ("y", "f8"),
        ("z", "f8"),
        ("yaw", "f8"),  # [rad]
        ("pitch", "f8"),
        ("roll", "f8"),
    ]
)
"""A RadarSpec for kernels."""


class Detections(NamedTuple):
    """One frame of each of N radars.

    Attributes:
        points: depth [m], azimuth (left positive) and altitude (up positive) in the radar's
            frame [rad], velocity along the beam relative to the radar, positive when the
            distance grows [m/s]; the rest is zeros, (N, M, 4) float32.
        n_points: how many there are, (N,) int32.
    """

    points: Floats
    n_points: Ints


def _antenna(spec: RadarSpec, n_beams: int) -> Records:
    antenna = np.zeros(1, ANTENNA)
    antenna["n_beams"], antenna["range"], antenna["focal"] = n_beams, spec.range, 1.0
    antenna["wide"] = math.tan(math.radians(spec.horizontal_fov) / 2.0)
    antenna["tall"] = math.tan(math.radians(spec.vertical_fov) / 2.0)
    antenna["level"] = spec.pitch == 0.0 and spec.roll == 0.0
    antenna["purpose"] = purpose_key(f"radar {spec.name}")
    for name in ("x", "y", "z", "yaw", "pitch", "roll"):
        antenna[name] = getattr(spec, name)
    return antenna


@kernels.inner
def _measure(
    antenna: Any,
    frame: Any,
    targets: Any,
    count: int,
    key: Any,
    velocity_x: float,
    velocity_y: float,
    points: Floats,
) -> int:
    """Writes the detections of one frame; returns how many."""
    n = 0
    for k in range(antenna.n_beams):
        radius, angle = uniform_at(key, 2 * k), _TURN * uniform_at(key, 2 * k + 1)
        right = -antenna.wide * radius * math.cos(angle)
        up = antenna.tall * radius * math.sin(angle)
        x = frame.forward_x + right * frame.right_x + up * frame.up_x
        y = frame.forward_y + right * frame.right_y + up * frame.up_y
        z = frame.forward_z + right * frame.right_z + up * frame.up_z
        flat = max(math.sqrt(x * x + y * y), _FLATTEST)
        rise = z / flat
        if abs(rise) < _FLATTEST:
            rise = -_FLATTEST
        t, _, met = meet_first(targets, count, frame.x, frame.y, frame.z, x / flat, y / flat, rise)
        if t > antenna.range * flat:
            continue
        along_x, along_y = -velocity_x, -velocity_y
        if met >= 0:
            along_x += targets[met].velocity_x
            along_y += targets[met].velocity_y
        length = math.sqrt(1.0 + right * right + up * up)
        points[n, 0] = t / flat * length
        points[n, 1] = math.atan(-right)
        points[n, 2] = math.atan2(up, math.sqrt(1.0 + right * right))
        points[n, 3] = (along_x * x + along_y * y) / length
        n += 1
    return n


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        SOLIDS,
        kernels.record(ANTENNA)[::1],
        kernels.record(VEHICLE)[::1],
        *ACTORS,
        nt.int64[::1],
        nt.uint64[::1],
        nt.float32[:, :, ::1],
        nt.int32[::1],
    )
)
def _sweep(
    first_row: int,
    last_row: int,
    solids: Any,
    antennas: Records,
    ego: Records,
    vehicles: Records,
    walkers: Records,
    world: Ints,
    slot: Ints,
    step: Ints,
    seed: Ints,
    points: Floats,
    n_points: Ints,
) -> None:
    antenna = antennas[0]
    frames, found = np.zeros(1, FRAME), np.empty((4, MAX_SCENERY), np.int64)
    targets = np.empty(MAX_SCENERY + vehicles.shape[1] + walkers.shape[1], TARGET)
    wide, tall = antenna.wide, antenna.tall
    far = antenna.range * math.sqrt(1.0 + wide * wide + tall * tall)
    for row in range(first_row, last_row):
        me, frame = ego[row], frames[0]
        set_frame(frame, antenna, me)
        ahead_x, ahead_y = frame.forward_x, frame.forward_y
        if not antenna.level:
            ahead_x, ahead_y = 0.0, 0.0  # look for scenery all around
        count = gather_scenery(
            solids, frame.x, frame.y, ahead_x, ahead_y, wide, far, found, targets
        )
        count = gather_actors(
            vehicles, walkers, world[row], slot[row], frame.x, frame.y, me.z, far, targets, count
        )
        course = me.heading + me.slip
        velocity_x = me.speed * math.cos(course) - me.yaw_rate * (frame.y - me.y)
        velocity_y = me.speed * math.sin(course) + me.yaw_rate * (frame.x - me.x)
        key = noise_key(seed[row], step[row], antenna.purpose)
        n = _measure(antenna, frame, targets, count, key, velocity_x, velocity_y, points[row])
        n_points[row] = n
        points[row, n:] = 0.0


class Radar:
    """One radar, on any ego of one map."""

    def __init__(self, network: RoadNetwork, spec: RadarSpec) -> None:
        self.spec = spec
        self._solids = solids_of(network)

    def scan(self, scene: Scene, rows: Ints) -> Detections:
        """Returns what the radar of each row detects in one frame of scene.dt.

        Args:
            scene: of the radar's map.
            rows: indices of the rows, (N,) int.

        Raises:
            ValueError: if it sends no beam within scene.dt.
        """
        spec = self.spec
        n_beams = int(spec.points_per_second * scene.dt + 1e-9)
        if n_beams < 1:
            raise ValueError(
                f"radar {spec.name!r} has no point in a frame of {scene.dt} s: "
                f"{spec.points_per_second} points_per_second; needed are at least "
                f"{math.ceil(1.0 / scene.dt)}"
            )
        result = Detections(
            np.empty((len(rows), n_beams, 4), np.float32), np.empty(len(rows), np.int32)
        )
        kernels.run(
            _sweep,
            len(rows),
            self._solids,
            _antenna(spec, n_beams),
            scene.ego[rows],
            *actors_of(scene, rows),
            scene.step[rows],
            scene.seed[rows],
            *result,
            min_rows=max(1, _WORK // n_beams),
        )
        return result
