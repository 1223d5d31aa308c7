"""Lidars: CARLA's sensor.lidar.ray_cast and sensor.lidar.ray_cast_semantic.

All beams of one azimuth lie in one vertical plane. The scenery is therefore entered target
by target into a buffer of channels by azimuths, as a camera does with columns of pixels: in
plan view a target is met once per azimuth, and only the channels it can cover are looked at.

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
from drive_il.datatypes import VEHICLE, Array, Floats, Ints, Records, Scene
from drive_il.keyed_noise import noise_key, normal_at, uniform_at
from drive_il.maps.network import RoadNetwork
from drive_il.randomness import purpose_key
from drive_il.sensor_specs import LidarSpec
from drive_il.sensors.ground import GROUND_MAP, ground_class, ground_map
from drive_il.sensors.light import GROUND_TAGS
from drive_il.sensors.prisms import NEAR, SOLIDS, solids_of
from drive_il.sensors.targets import (
    ACTORS,
    MAX_SCENERY,
    TARGET,
    actors_of,
    gather_actors,
    gather_scenery,
    incidence,
    meet_ends,
    meet_upright,
    mount,
)

_GROUND, _NOTHING = -1, -2
_FLATTEST = 1e-9
_TURN = 2.0 * math.pi
_WORK = 20_000  # beams that are worth a thread

LASERS = np.dtype(
    [
        ("n_azimuths", "i8"),  # in one frame
        ("frame", "f8"),  # [rad] that one frame sweeps
        ("sweep", "f8"),  # [rad] horizontal field of view
        ("range", "f8"),  # [m]
        ("attenuation", "f8"),  # [1/m]
        ("kept", "f8"),  # share of beams that general drop-off leaves
        ("kept_at_zero", "f8"),  # share of points that is left at intensity 0
        ("kept_slope", "f8"),  # how that grows with the intensity, up to the limit
        ("intensity_limit", "f8"),
        ("noise", "f8"),  # [m]
        ("x", "f8"),  # [m] on the ego, as LidarSpec
        ("y", "f8"),
        ("z", "f8"),
        ("yaw", "f8"),  # [rad]
        ("purpose", "u8"),  # of the numbers that decide which points are lost
        ("noise_purpose", "u8"),  # of its noise
    ]
)
"""A LidarSpec for kernels."""


class Beams(NamedTuple):
    """What does not change from frame to frame, per channel, highest first.

    Attributes:
        rise: metres a beam rises per level metre, (C,).
        slant: length of a beam per level metre, (C,).
        inverse_drop: -1 / rise, (C,).
        far: level distance where it meets the ground or its range ends, (C,) [m].
        ground: whether it meets the ground within its range, (C,).
        intensity: at `far`, (C,).
        kept: share of its points at `far` that is not lost, (C,).
    """

    rise: Floats
    slant: Floats
    inverse_drop: Floats
    far: Floats
    ground: Array
    intensity: Floats
    kept: Floats


BEAMS = nt.NamedTuple((*(nt.float64[::1],) * 4, nt.boolean[::1], *(nt.float64[::1],) * 2), Beams)


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


def _lasers(spec: LidarSpec, dt: float, n_azimuths: int) -> Records:
    lasers = np.zeros(1, LASERS)
    semantic = spec.kind == "semantic"
    zero, limit = spec.dropoff_zero_intensity, spec.dropoff_intensity_limit
    sweep = math.radians(spec.horizontal_fov)
    lasers["n_azimuths"], lasers["sweep"] = n_azimuths, sweep
    lasers["frame"] = spec.rotation_frequency * dt * sweep
    lasers["range"], lasers["attenuation"] = spec.range, spec.atmosphere_attenuation_rate
    lasers["kept"] = 1.0 if semantic else 1.0 - spec.dropoff_general_rate
    lasers["kept_at_zero"] = 1.0 - zero
    lasers["kept_slope"] = zero / limit if limit > 0.0 else 0.0
    lasers["intensity_limit"] = 0.0 if semantic else limit
    lasers["noise"] = spec.noise_stddev
    for name in ("x", "y", "z", "yaw"):
        lasers[name] = getattr(spec, name)
    lasers["purpose"] = purpose_key(f"lidar {spec.name}")
    lasers["noise_purpose"] = purpose_key(f"lidar noise {spec.name}")
    return lasers


def _beams(spec: LidarSpec, lasers: Records) -> Beams:
    rise = np.tan(np.radians(np.linspace(spec.upper_fov, spec.lower_fov, spec.channels)))
    rise = np.where(np.abs(rise) < _FLATTEST, -_FLATTEST, rise)
    slant = np.sqrt(1.0 + rise * rise)
    end = spec.range / slant
    down = np.where(rise < 0.0, spec.z / np.abs(rise), np.inf)
    ground = down <= end
    far = np.where(ground, down, end)
    intensity = np.exp(-spec.atmosphere_attenuation_rate * far * slant)
    weak = intensity <= lasers["intensity_limit"]
    kept = np.where(weak, lasers["kept_at_zero"] + lasers["kept_slope"] * intensity, 1.0)
    return Beams(rise, slant, -1.0 / rise, far, ground, intensity, kept * lasers["kept"])


@kernels.inner
def _set_rays(lasers: Any, step: int, heading: float, rays: Floats) -> float:
    """Sets the directions of all azimuths; returns the angle that the frame starts at [rad].

    Angles count clockwise from where the sweep begins.

    Args:
        lasers: LASERS record.
        step: of the episode.
        heading: of the sensor [rad].
        rays: cosine and sine of each azimuth in the sensor's frame, then in the world's;
            overwritten, (4, A).
    """
    frames = step * (lasers.frame / lasers.sweep)
    start = (frames - math.floor(frames)) * lasers.sweep
    cos, sin = math.cos(heading), math.sin(heading)
    for k in range(lasers.n_azimuths):
        turned = start + lasers.frame * k / lasers.n_azimuths
        turned -= lasers.sweep * math.floor(turned / lasers.sweep)
        azimuth = 0.5 * lasers.sweep - turned
        rays[0, k], rays[1, k] = math.cos(azimuth), math.sin(azimuth)
        rays[2, k] = cos * rays[0, k] - sin * rays[1, k]
        rays[3, k] = sin * rays[0, k] + cos * rays[1, k]
    return start


@kernels.inner
def _cover(lasers: Any, start: float, low: float, high: float, n: int) -> tuple[int, int]:
    """First and last + 1 of the azimuths within two angles of turn n of the sweep [rad]."""
    per_angle = lasers.n_azimuths / lasers.frame
    first = math.ceil((low + n * lasers.sweep - start) * per_angle - 1e-6)
    last = math.floor((high + n * lasers.sweep - start) * per_angle + 1e-6) + 1
    return max(int(first), 0), min(int(last), lasers.n_azimuths)


@kernels.inner
def _enter_azimuths(
    target: Any,
    number: int,
    lasers: Any,
    beams: Any,
    x: float,
    y: float,
    rays: Floats,
    first: int,
    last: int,
    depth: Floats,
    what: Ints,
) -> None:
    """Enters one target into some azimuths of the buffer."""
    gap_x, gap_y = x - target.x, y - target.y
    ox = target.cos * gap_x + target.sin * gap_y
    oy = -target.sin * gap_x + target.cos * gap_y
    height = lasers.z
    up, down = target.high - height, target.low - height
    n_channels, c = len(beams.rise), 0
    for k in range(first, last):
        dx = target.cos * rays[2, k] + target.sin * rays[3, k]
        dy = -target.sin * rays[2, k] + target.cos * rays[3, k]
        enter, leave, wall = meet_ends(target, ox, oy, dx, dy)
        if enter > leave or enter < NEAR or enter > lasers.range:
            continue
        steepest = up / (enter if up > 0.0 else leave)
        lowest = down / (enter if down < 0.0 else leave)
        # The neighbouring azimuth's highest channel is a channel or two away.
        while c > 0 and beams.rise[c - 1] <= steepest:
            c -= 1
        while c < n_channels and beams.rise[c] > steepest:
            c += 1
        for channel in range(c, n_channels):
            rise = beams.rise[channel]
            if rise < lowest:
                break
            t, face = meet_upright(
                target,
                ox,
                oy,
                height,
                dx,
                dy,
                rise,
                beams.inverse_drop[channel],
                enter,
                leave,
                wall,
            )
            if face >= 0 and t < depth[channel, k]:
                depth[channel, k] = t
                what[channel, k] = 4 * number + face


@kernels.inner
def _enter(
    target: Any,
    number: int,
    lasers: Any,
    beams: Any,
    x: float,
    y: float,
    heading: float,
    start: float,
    rays: Floats,
    depth: Floats,
    what: Ints,
) -> None:
    """Enters one target into the buffer."""
    dx, dy = target.x - x, target.y - y
    radius = math.sqrt(target.half_length**2 + target.half_width**2)
    distance = math.sqrt(dx * dx + dy * dy)
    half = math.asin(radius / distance) + 1e-6 if distance > 1.001 * radius else math.pi
    middle = 0.5 * lasers.sweep - (math.atan2(dy, dx) - heading)
    middle -= _TURN * math.floor(middle / _TURN)
    for side in range(-1, 2):  # the sweep's ends may lie within the target
        low = max(middle - half + side * _TURN, 0.0)
        high = min(middle + half + side * _TURN, lasers.sweep)
        if low > high:
            continue
        n = 0
        while low + n * lasers.sweep <= start + lasers.frame:
            first, last = _cover(lasers, start, low, high, n)
            _enter_azimuths(target, number, lasers, beams, x, y, rays, first, last, depth, what)
            n += 1


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
            if what[channel, k] == _NOTHING:
                continue
            t, intensity, kept = depth[channel, k], beams.intensity[channel], beams.kept[channel]
            if what[channel, k] != _GROUND:
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
def _emit_semantic(
    lasers: Any,
    beams: Any,
    targets: Any,
    ground: Any,
    tags: Ints,
    x: float,
    y: float,
    rays: Floats,
    depth: Floats,
    what: Ints,
    points: Floats,
    objects: Ints,
    n_points: Ints,
) -> int:
    """Writes all points of one frame, with what they are; returns how many."""
    n = 0
    x0, y0 = x - ground.origin[0], y - ground.origin[1]
    for channel in range(len(beams.rise)):
        before = n
        rise, slant = beams.rise[channel], beams.slant[channel]
        for k in range(lasers.n_azimuths):
            code, t = what[channel, k], depth[channel, k]
            if code == _NOTHING:
                continue
            points[n, 0], points[n, 1], points[n, 2] = t * rays[0, k], t * rays[1, k], t * rise
            if code == _GROUND:
                points[n, 3] = -rise / slant
                found = ground_class(
                    ground.size[0],
                    ground.size[1],
                    ground.tiles,
                    ground.cells,
                    ground.programs,
                    x0 + t * rays[2, k],
                    y0 + t * rays[3, k],
                )
                objects[n, 0], objects[n, 1] = 0, tags[found]
            else:
                target = targets[code >> 2]
                points[n, 3] = incidence(
                    target, code & 3, x, y, lasers.z, rays[2, k], rays[3, k], rise, t
                )
                objects[n, 0], objects[n, 1] = target.id, target.tag
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
    rays, found = np.empty((4, n_azimuths)), np.empty((4, MAX_SCENERY), np.int64)
    targets = np.empty(MAX_SCENERY + vehicles.shape[1] + walkers.shape[1], TARGET)
    for row in range(first_row, last_row):
        me = ego[row]
        x, y = mount(me, lasers.x, lasers.y)
        heading = me.heading + lasers.yaw
        start = _set_rays(lasers, step[row], heading, rays)
        for channel in range(n_channels):
            depth[channel] = beams.far[channel]
            what[channel] = _GROUND if beams.ground[channel] else _NOTHING
        count = gather_scenery(solids, x, y, 0.0, 0.0, 1.0, lasers.range, found, targets)
        count = gather_actors(
            vehicles, walkers, world[row], slot[row], x, y, me.z, lasers.range, targets, count
        )
        for number in range(count):
            _enter(targets[number], number, lasers, beams, x, y, heading, start, rays, depth, what)
        if objects.shape[1]:
            n = _emit_semantic(
                lasers,
                beams,
                targets,
                ground,
                tags,
                x,
                y,
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
        lasers = _lasers(self.spec, scene.dt, n_azimuths)
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
            _beams(self.spec, lasers),
            scene.ego[rows],
            *actors_of(scene, rows),
            scene.step[rows],
            scene.seed[rows],
            *result,
            min_rows=max(1, _WORK // n_beams),
        )
        return result
