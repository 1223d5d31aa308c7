"""How a lidar's beams sweep over what is around it: one buffer of channels by azimuths.

All beams of one azimuth of a level lidar lie in one vertical plane. What is around is
therefore entered target by target, as a camera does with columns of pixels: in plan view a
target is met once per azimuth, and only the channels it can cover are looked at. The beams of
a pitched or rolled lidar meet a target one by one, those that lie within the cone around it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Array, Floats, Ints, Records
from drive_il.randomness import purpose_key
from drive_il.sensor_specs import LidarSpec
from drive_il.sensors.prisms import NEAR
from drive_il.sensors.targets import meet_ends, meet_upright

GROUND, NOTHING, SLOPING_GROUND = -1, -2, -3
"""what a beam can meet besides targets: the ground, of a level or another lidar, or nothing"""
_FLATTEST = 1e-9
_TURN = 2.0 * math.pi
_UPRIGHT = 0.499 * math.pi

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
        ("level", "?"),  # neither pitched nor rolled
        ("focal", "f8"),  # 1: these seven are what `lens.set_frame` needs
        ("x", "f8"),  # [m] on the ego, as LidarSpec
        ("y", "f8"),
        ("z", "f8"),
        ("yaw", "f8"),  # [rad]
        ("pitch", "f8"),
        ("roll", "f8"),
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
"""Numba type of Beams."""


def lasers_of(spec: LidarSpec, dt: float, n_azimuths: int) -> Records:
    """Returns one LASERS record of a lidar whose frame takes dt seconds, (1,)."""
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
    lasers["level"], lasers["focal"] = spec.pitch == 0.0 and spec.roll == 0.0, 1.0
    for name in ("x", "y", "z", "yaw", "pitch", "roll"):
        lasers[name] = getattr(spec, name)
    lasers["purpose"] = purpose_key(f"lidar {spec.name}")
    lasers["noise_purpose"] = purpose_key(f"lidar noise {spec.name}")
    return lasers


def beams_of(spec: LidarSpec, lasers: Records) -> Beams:
    """Returns what the beams of a lidar have in common in all frames."""
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
def set_rays(lasers: Any, frame: Any, step: int, rays: Floats) -> float:
    """Sets the directions of all azimuths; returns the angle that the frame starts at [rad].

    Angles count clockwise from where the sweep begins. A beam of azimuth k and channel c
    points along rays[2:, k] + rise[c] * the sensor's up axis.

    Args:
        lasers: LASERS record.
        frame: FRAME record of the sensor.
        step: of the episode.
        rays: x and y of each azimuth in the sensor's frame, then x, y and z in the world's;
            overwritten, (5, A).
    """
    frames = step * (lasers.frame / lasers.sweep)
    start = (frames - math.floor(frames)) * lasers.sweep
    for k in range(lasers.n_azimuths):
        turned = start + lasers.frame * k / lasers.n_azimuths
        turned -= lasers.sweep * math.floor(turned / lasers.sweep)
        azimuth = 0.5 * lasers.sweep - turned
        cos, sin = math.cos(azimuth), math.sin(azimuth)
        rays[0, k], rays[1, k] = cos, sin
        rays[2, k] = cos * frame.forward_x - sin * frame.right_x
        rays[3, k] = cos * frame.forward_y - sin * frame.right_y
        rays[4, k] = cos * frame.forward_z - sin * frame.right_z
    return start


@kernels.inner
def _rise(beams: Any, frame: Any, rays: Floats, channel: int, k: int) -> tuple[float, float]:
    """Metres that a beam of a sloping lidar rises per level metre, and its level length.

    The length is that of its direction, see `set_rays`.
    """
    x = rays[2, k] + beams.rise[channel] * frame.up_x
    y = rays[3, k] + beams.rise[channel] * frame.up_y
    z = rays[4, k] + beams.rise[channel] * frame.up_z
    flat = max(math.sqrt(x * x + y * y), _FLATTEST)
    return z / flat if abs(z) > _FLATTEST * flat else -_FLATTEST, flat


@kernels.inner
def clear(lasers: Any, beams: Any, frame: Any, rays: Floats, depth: Floats, what: Ints) -> None:
    """Fills the buffer with what the beams meet where nobody is; arguments as of `enter`."""
    if lasers.level:
        for channel in range(len(beams.rise)):
            depth[channel] = beams.far[channel]
            what[channel] = GROUND if beams.ground[channel] else NOTHING
        return
    for channel in range(len(beams.rise)):
        end = lasers.range / beams.slant[channel]
        for k in range(lasers.n_azimuths):
            rise, flat = _rise(beams, frame, rays, channel, k)
            t = frame.z / -rise / flat if rise < 0.0 else math.inf
            depth[channel, k] = min(t, end)
            what[channel, k] = SLOPING_GROUND if t <= end else NOTHING


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
def _enter_beams(
    target: Any,
    number: int,
    beams: Any,
    frame: Any,
    rays: Floats,
    first: int,
    last: int,
    lowest: float,
    steepest: float,
    depth: Floats,
    what: Ints,
) -> None:
    """Enters one target into some azimuths of a sloping lidar, between two rises."""
    gap_x, gap_y = frame.x - target.x, frame.y - target.y
    ox = target.cos * gap_x + target.sin * gap_y
    oy = -target.sin * gap_x + target.cos * gap_y
    for channel in range(len(beams.rise)):
        up = beams.rise[channel]
        if up > steepest or up < lowest:
            continue
        for k in range(first, last):
            rise, flat = _rise(beams, frame, rays, channel, k)
            look_x = (rays[2, k] + up * frame.up_x) / flat
            look_y = (rays[3, k] + up * frame.up_y) / flat
            dx = target.cos * look_x + target.sin * look_y
            dy = -target.sin * look_x + target.cos * look_y
            enter, leave, wall = meet_ends(target, ox, oy, dx, dy)
            if enter > leave or enter < NEAR or enter >= depth[channel, k] * flat:
                continue
            inverse_drop = -1.0 / rise
            t, face = meet_upright(
                target, ox, oy, frame.z, dx, dy, rise, inverse_drop, enter, leave, wall
            )
            if face >= 0 and t < depth[channel, k] * flat:
                depth[channel, k] = t / flat
                what[channel, k] = 4 * number + face


@kernels.inner
def _half_angle(radius: float, distance: float) -> float:
    """Half of the angle that a circle or sphere fills [rad]; all around from within."""
    return math.asin(radius / distance) + 1e-6 if distance > 1.001 * radius else math.pi


@kernels.inner
def enter(
    target: Any,
    number: int,
    lasers: Any,
    beams: Any,
    frame: Any,
    start: float,
    rays: Floats,
    depth: Floats,
    what: Ints,
) -> None:
    """Enters one target into the buffer.

    Args:
        target: TARGET record.
        number: its index.
        lasers: LASERS record.
        beams: see Beams.
        frame: FRAME record of the sensor.
        start: angle that the frame starts at [rad].
        rays: as `set_rays` makes them.
        depth: distance of the nearest yet, in lengths of the level part of the beam in the
            sensor's frame, (C, A) [m].
        what: 4 * index of that target + face, GROUND, SLOPING_GROUND or NOTHING, (C, A).
    """
    dx, dy = target.x - frame.x, target.y - frame.y
    square = target.half_length**2 + target.half_width**2
    lowest, steepest = -math.inf, math.inf
    ahead = frame.forward_x * dx + frame.forward_y * dy
    left = -(frame.right_x * dx + frame.right_y * dy)
    if not lasers.level:
        # The cone around the target's sphere, in the sensor's own frame.
        dz = 0.5 * (target.high + target.low) - frame.z
        square += (0.5 * (target.high - target.low)) ** 2
        ahead, left = ahead + frame.forward_z * dz, left - frame.right_z * dz
        up = frame.up_x * dx + frame.up_y * dy + frame.up_z * dz
        distance = math.sqrt(dx * dx + dy * dy + dz * dz)
        middle = math.atan2(up, math.sqrt(ahead * ahead + left * left))
        half = _half_angle(math.sqrt(square), distance)
        if middle - half > -_UPRIGHT:
            lowest = math.tan(middle - half)
        if middle + half < _UPRIGHT:
            steepest = math.tan(middle + half)
    half = _half_angle(math.sqrt(square), math.sqrt(ahead * ahead + left * left))
    middle = 0.5 * lasers.sweep - math.atan2(left, ahead)
    middle -= _TURN * math.floor(middle / _TURN)
    for side in range(-1, 2):  # the sweep's ends may lie within the target
        low = max(middle - half + side * _TURN, 0.0)
        high = min(middle + half + side * _TURN, lasers.sweep)
        if low > high:
            continue
        n = 0
        while low + n * lasers.sweep <= start + lasers.frame:
            first, last = _cover(lasers, start, low, high, n)
            if lasers.level:
                _enter_azimuths(
                    target, number, lasers, beams, frame.x, frame.y, rays, first, last, depth, what
                )
            else:
                _enter_beams(
                    target,
                    number,
                    beams,
                    frame,
                    rays,
                    first,
                    last,
                    lowest,
                    steepest,
                    depth,
                    what,
                )
            n += 1
