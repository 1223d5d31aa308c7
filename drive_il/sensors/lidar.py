"""Lidars: CARLA's sensor.lidar.ray_cast and sensor.lidar.ray_cast_semantic.

Everything within one frame sees the same instant; a frame sweeps rotation_frequency * dt of
a turn and begins where step * that much of a turn leaves off, so that any scene can be
observed in any order. Lost points and noise are keyed by (seed, step, sensor's name).
(CARLA documentation, "Sensors reference": LIDAR sensor, Semantic LIDAR sensor.)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import VEHICLE, Floats, Ints, Records, Scene
from drive_il.keyed_noise import noise_key, normal_at, uniform_at
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import LidarSpec
from drive_il.sensors.ground import GROUND_MAP, ground_class, ground_map
from drive_il.sensors.lens import FRAME, set_frame
from drive_il.sensors.lidar_sweep import (
    BEAMS,
    GROUND,
    LASERS,
    NOTHING,
    beams_of,
    clear,
    enter,
    lasers_of,
    set_rays,
)
from drive_il.sensors.prisms import SOLIDS, solids_of
from drive_il.sensors.tags import GROUND_TAGS
from drive_il.sensors.targets import (
    ACTORS,
    MAX_SCENERY,
    TARGET,
    actors_of,
    gather_actors,
    gather_scenery,
    incidence,
)

_WORK = 20_000  # beams that are worth a thread


class Points(NamedTuple):
    """One frame of each of N lidars; channel after channel, in the order they were met.

    Attributes:
        points: x, y, z in the sensor's frame (x forward, y left) [m], then the intensity, or
            of a semantic lidar the cosine of the angle of incidence; the rest is zeros,
            (N, M, 4) float32.
        n_points: points of each channel, highest channel first, (N, C) int32.
        objects: of a semantic lidar the id of the actor (0: none) and CARLA's semantic tag
            of each point, (N, M, 2) int32; of the other (N, 0, 2).
    """

    points: Floats
    n_points: Ints
    objects: Ints


@kernels.inner
def _emit(
    lasers: Any,
    beams: Any,
    key: Any,
    noise: Any,
    rays: Floats,
    depth: Floats,
    what: Ints,
    points: Floats,
    n_points: Ints,
) -> int:
    """Writes the points that are left of one frame; returns how many."""
    n, n_azimuths = 0, lasers.n_azimuths
    for channel in range(len(beams.rise)):
        before = n
        rise, slant = beams.rise[channel], beams.slant[channel]
        for k in range(n_azimuths):
            if what[channel, k] == NOTHING:
                continue
            t, intensity, kept = depth[channel, k], beams.intensity[channel], beams.kept[channel]
            if what[channel, k] != GROUND:
                intensity = math.exp(-lasers.attenuation * t * slant)
                kept = lasers.kept
                if intensity <= lasers.intensity_limit:
                    kept *= lasers.kept_at_zero + lasers.kept_slope * intensity
            beam = channel * n_azimuths + k
            if lasers.noise > 0.0:
                t += lasers.noise * normal_at(noise, beam) / slant
            # Written in any case, since a lost point costs less than a branch.
            points[n, 0], points[n, 1] = t * rays[0, k], t * rays[1, k]
            points[n, 2], points[n, 3] = t * rise, intensity
            n += 1 if uniform_at(key, beam) < kept else 0
        n_points[channel] = n - before
    return n


@kernels.inner
def _ground_tag(ground: Any, tags: Ints, x: float, y: float) -> int:
    """CARLA's tag of the ground at a point of the world [m]."""
    x, y = x - ground.origin[0], y - ground.origin[1]
    columns, rows = ground.size[0], ground.size[1]
    return tags[ground_class(columns, rows, ground.tiles, ground.cells, ground.programs, x, y)]


@kernels.inner
def _emit_semantic(
    beams: Any,
    frame: Any,
    targets: Any,
    ground: Any,
    tags: Ints,
    rays: Floats,
    depth: Floats,
    what: Ints,
    points: Floats,
    objects: Ints,
    n_points: Ints,
) -> int:
    """Writes all points of one frame, with what they are; returns how many."""
    n = 0
    for channel in range(len(beams.rise)):
        before = n
        rise, slant = beams.rise[channel], beams.slant[channel]
        for k in range(rays.shape[1]):
            code, t = what[channel, k], depth[channel, k]
            if code == NOTHING:
                continue
            points[n, 0], points[n, 1], points[n, 2] = t * rays[0, k], t * rays[1, k], t * rise
            x, y = rays[2, k] + rise * frame.up_x, rays[3, k] + rise * frame.up_y
            z = rays[4, k] + rise * frame.up_z
            if code >= 0:
                target, face = targets[code >> 2], code & 3
                points[n, 3] = incidence(target, face, frame.x, frame.y, frame.z, x, y, z, slant, t)
                objects[n, 0], objects[n, 1] = target.id, target.tag
            else:
                points[n, 3] = -z / slant
                objects[n, 0] = 0
                objects[n, 1] = _ground_tag(ground, tags, frame.x + t * x, frame.y + t * y)
            n += 1
        n_points[channel] = n - before
    return n


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        GROUND_MAP,
        SOLIDS,
        nt.uint8[::1],
        kernels.record(LASERS)[::1],
        BEAMS,
        kernels.record(VEHICLE)[::1],
        *ACTORS,
        nt.int64[::1],
        nt.uint64[::1],
        nt.float32[:, :, ::1],
        nt.int32[:, ::1],
        nt.int32[:, :, ::1],
    )
)
def _scan(
    first_row: int,
    last_row: int,
    ground: Any,
    solids: Any,
    tags: Ints,
    all_lasers: Records,
    beams: Any,
    ego: Records,
    vehicles: Records,
    walkers: Records,
    world: Ints,
    slot: Ints,
    step: Ints,
    seed: Ints,
    points: Floats,
    n_points: Ints,
    objects: Ints,
) -> None:
    lasers = all_lasers[0]
    n_channels, n_azimuths = len(beams.rise), lasers.n_azimuths
    depth = np.empty((n_channels, n_azimuths), np.float32)
    what = np.empty((n_channels, n_azimuths), np.int32)
    rays, found = np.empty((5, n_azimuths)), np.empty((4, MAX_SCENERY), np.int64)
    targets = np.empty(MAX_SCENERY + vehicles.shape[1] + walkers.shape[1], TARGET)
    frames, far = np.zeros(1, FRAME), lasers.range
    for row in range(first_row, last_row):
        me, frame = ego[row], frames[0]
        set_frame(frame, lasers, me)
        x, y = frame.x, frame.y
        start = set_rays(lasers, frame, step[row], rays)
        count = gather_scenery(solids, x, y, 0.0, 0.0, 1.0, far, found, targets)
        count = gather_actors(
            vehicles, walkers, world[row], slot[row], x, y, me.z, far, targets, count
        )
        clear(lasers, beams, frame, rays, depth, what)
        for number in range(count):
            enter(targets[number], number, lasers, beams, frame, start, rays, depth, what)
        if objects.shape[1]:
            n = _emit_semantic(
                beams,
                frame,
                targets,
                ground,
                tags,
                rays,
                depth,
                what,
                points[row],
                objects[row],
                n_points[row],
            )
            objects[row, n:] = 0
        else:
            key = noise_key(seed[row], step[row], lasers.purpose)
            noise = noise_key(seed[row], step[row], lasers.noise_purpose)
            n = _emit(lasers, beams, key, noise, rays, depth, what, points[row], n_points[row])
        points[row, n:] = 0.0


class Lidar:
    """One lidar, on any ego of one map."""

    def __init__(self, network: RoadNetwork, spec: LidarSpec) -> None:
        """Builds or loads what stands beside the roads of a map (and lies on its ground)."""
        self.spec = spec
        self._ground = ground_map(network)
        self._solids = solids_of(network)

    def n_azimuths(self, dt: float) -> int:
        """Returns how often each laser fires in a frame of dt seconds.

        Raises:
            ValueError: if it does not fire at all.
        """
        spec = self.spec
        n = int(spec.points_per_second * dt / spec.channels + 0.5)
        if n < 1:
            raise ValueError(
                f"lidar {spec.name!r} has no point in a frame of {dt} s: "
                f"{spec.points_per_second} points_per_second over {spec.channels} channels; "
                f"needed are at least {math.ceil(0.5 * spec.channels / dt)}"
            )
        return n

    def scan(self, scene: Scene, rows: Ints) -> Points:
        """Returns what the lidar of each row measures in one frame of scene.dt.

        Args:
            scene: of the lidar's map.
            rows: indices of the rows, (N,) int.

        Raises:
            ValueError: if no laser fires within scene.dt.
        """
        n_azimuths = self.n_azimuths(scene.dt)
        lasers = lasers_of(self.spec, scene.dt, n_azimuths)
        n_rows, n_beams = len(rows), n_azimuths * self.spec.channels
        is_semantic = self.spec.kind == "semantic"
        result = Points(
            np.empty((n_rows, n_beams, 4), np.float32),
            np.empty((n_rows, self.spec.channels), np.int32),
            np.empty((n_rows, n_beams if is_semantic else 0, 2), np.int32),
        )
        kernels.run(
            _scan,
            n_rows,
            self._ground,
            self._solids,
            GROUND_TAGS,
            lasers,
            beams_of(self.spec, lasers),
            scene.ego[rows],
            *actors_of(scene, rows),
            scene.step[rows],
            scene.seed[rows],
            *result,
            min_rows=max(1, _WORK // n_beams),
        )
        return result
