"""What the beams of lidars, radars and range finders can meet: scenery, vehicles, walkers.

Around each sensor everything within reach is listed once, as upright shapes in one array:
boxes (houses, trunks, vehicles), ellipsoids (crowns of trees) and cylinders (walkers). All
of them stand on the flat ground that sensors see, which lies at the height of the ego's own
road; who drives on another level, over or under a bridge, is not met.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import WALKER, ActorKind
from drive_il.datatypes import VEHICLE, Ints, Records, Scene
from drive_il.sensors.prisms import CROWN, NEAR, meet_ellipsoid, meet_height, meet_plan, visible
from drive_il.sensors.tags import OF_ACTOR, Tag

BOX, ELLIPSOID, CYLINDER = 0, 1, 2
END, SIDE, TOP, UNDERSIDE = 0, 1, 2, 3
"""faces: front or rear (or any curved wall), left or right, top, underside"""
MAX_SCENERY = 4096
TAG_WALKER = int(Tag.PEDESTRIAN)
_VEHICLE_TAGS = tuple(int(OF_ACTOR[kind]) for kind in ActorKind)
"""CARLA's semantic tag of each ActorKind: car (vans too), truck, bus, motorcycle, bicycle,
dynamic"""
_STEP, _SLOPE = 3.0, 0.1
"""actors further up or down than 3 m and a slope of 10 % explain are on another level"""

TARGET = np.dtype(
    [
        ("x", "f8"),  # [m] centre, world frame
        ("y", "f8"),
        ("low", "f8"),  # [m] underside above the road
        ("high", "f8"),  # [m] top above the road
        ("cos", "f8"),  # of the heading
        ("sin", "f8"),
        ("half_length", "f8"),  # [m]
        ("half_width", "f8"),  # [m]
        ("velocity_x", "f8"),  # [m/s] world frame
        ("velocity_y", "f8"),
        ("shape", "i8"),  # BOX, ELLIPSOID or CYLINDER
        ("tag", "i8"),  # CARLA's semantic tag
        ("id", "i8"),  # of the actor, 0 for scenery
    ]
)
"""One thing that a beam can meet."""

ACTORS = (
    kernels.record(VEHICLE)[:, ::1],
    kernels.record(WALKER)[:, ::1],
    nt.int32[::1],
    nt.int32[::1],
)
"""Numba types of `actors_of`."""


def actors_of(scene: Scene, rows: Ints) -> tuple[Records, Records, Ints, Ints]:
    """Returns vehicles (W, V), walkers (W, P), and world and slot of these rows, for kernels."""
    actors = scene.actors
    return (
        np.ascontiguousarray(actors.vehicles),
        np.ascontiguousarray(actors.walkers),
        actors.world[rows].astype(np.int32),
        actors.slot[rows].astype(np.int32),
    )


@kernels.inner
def mount(ego: Any, x: float, y: float) -> tuple[float, float]:
    """Returns where a point of the ego's frame is in the world [m]."""
    cos, sin = math.cos(ego.heading), math.sin(ego.heading)
    return ego.x + cos * x - sin * y, ego.y + sin * x + cos * y


@kernels.inner
def _set_solid(target: Any, item: Any) -> None:
    target.x, target.y, target.low, target.high = item.x, item.y, item.low, item.high
    target.cos, target.sin = item.cos, item.sin
    target.half_length, target.half_width = item.half_length, item.half_width
    target.velocity_x, target.velocity_y = 0.0, 0.0
    target.shape = ELLIPSOID if item.kind == CROWN else BOX
    target.tag, target.id = item.tag, 0


@kernels.inner
def _set_vehicle(target: Any, vehicle: Any) -> None:
    target.x, target.y, target.low, target.high = vehicle.x, vehicle.y, 0.0, vehicle.height
    target.cos, target.sin = math.cos(vehicle.heading), math.sin(vehicle.heading)
    target.half_length, target.half_width = 0.5 * vehicle.length, 0.5 * vehicle.width
    course = vehicle.heading + vehicle.slip
    target.velocity_x = vehicle.speed * math.cos(course)
    target.velocity_y = vehicle.speed * math.sin(course)
    target.shape, target.tag, target.id = BOX, _VEHICLE_TAGS[vehicle.kind], vehicle.id


@kernels.inner
def _set_walker(target: Any, walker: Any) -> None:
    target.x, target.y, target.low, target.high = walker.x, walker.y, 0.0, walker.height
    target.cos, target.sin = math.cos(walker.heading), math.sin(walker.heading)
    target.half_length = target.half_width = walker.radius
    target.velocity_x = walker.speed * target.cos
    target.velocity_y = walker.speed * target.sin
    target.shape, target.tag, target.id = CYLINDER, TAG_WALKER, walker.id


@kernels.inner
def _is_near(actor: Any, x: float, y: float, z: float, reach: float) -> bool:
    dx, dy, dz = actor.x - x, actor.y - y, abs(actor.z - z)
    square = dx * dx + dy * dy
    return square < reach * reach and dz <= _STEP + _SLOPE * math.sqrt(square)


@kernels.inner
def gather_actors(
    vehicles: Any,
    walkers: Any,
    world: int,
    slot: int,
    x: float,
    y: float,
    z: float,
    far: float,
    targets: Any,
    count: int,
) -> int:
    """Appends the vehicles (but the ego) and walkers of one world that a sensor may meet.

    Args:
        vehicles: (W, V) VEHICLE.
        walkers: (W, P) WALKER.
        world: which world.
        slot: of the ego.
        x: of the sensor [m].
        y: likewise [m].
        z: height of the ego's road [m].
        far: how far the sensor reaches [m].
        targets: TARGET records, appended to; room for V + P of them.
        count: targets that are there already.

    Returns:
        How many there are now.
    """
    for k in range(vehicles.shape[1]):
        vehicle = vehicles[world, k]
        if vehicle.id == 0 or k == slot:
            continue
        if _is_near(vehicle, x, y, z, far + 0.5 * (vehicle.length + vehicle.width)):
            _set_vehicle(targets[count], vehicle)
            count += 1
    for k in range(walkers.shape[1]):
        walker = walkers[world, k]
        if walker.id != 0 and _is_near(walker, x, y, z, far + walker.radius):
            _set_walker(targets[count], walker)
            count += 1
    return count


@kernels.inner
def gather_scenery(
    solids: Any,
    x: float,
    y: float,
    look_x: float,
    look_y: float,
    tangent: float,
    far: float,
    found: Ints,
    targets: Any,
) -> int:
    """Lists the scenery that a sensor may meet as targets (room for MAX_SCENERY of them).

    The other arguments are those of `prisms.visible`. Returns how many there are.
    """
    count = visible(solids, x, y, look_x, look_y, tangent, far, 0.0, found)
    for k in range(count):
        _set_solid(targets[k], solids.items[found[0, k]])
    return count


@kernels.inner
def meet_circle(ox: float, oy: float, dx: float, dy: float, radius: float) -> tuple[float, float]:
    """Meets a ray with a circle around the origin.

    Returns:
        Where it enters and leaves, in lengths of (dx, dy), which must be 1. It misses when
        it leaves first.
    """
    middle = -(ox * dx + oy * dy)
    aside = ox * dy - oy * dx
    square = radius * radius - aside * aside
    if square < 0.0:
        return 1.0, 0.0
    half = math.sqrt(square)
    return middle - half, middle + half


@kernels.inner
def meet_ends(target: Any, ox: float, oy: float, dx: float, dy: float) -> tuple[float, float, int]:
    """Meets a level ray with a target in plan view, in the target's own frame.

    Returns:
        Where it enters and leaves [m] (it misses when it leaves first), and through which
        wall: END or SIDE.
    """
    if target.shape == CYLINDER:
        enter, leave = meet_circle(ox, oy, dx, dy, target.half_length)
        return enter, leave, END
    enter, leave, is_end = meet_plan(ox, oy, dx, dy, target.half_length, target.half_width)
    return enter, leave, END if is_end else SIDE


@kernels.inner
def meet_upright(
    target: Any,
    ox: float,
    oy: float,
    height: float,
    dx: float,
    dy: float,
    rise: float,
    inverse_drop: float,
    enter: float,
    leave: float,
    wall: int,
) -> tuple[float, int]:
    """Meets a beam with a target whose plan it crosses.

    Args:
        target: TARGET record.
        ox: of the sensor in the target's frame [m].
        oy: likewise [m].
        height: of the sensor above the road [m].
        dx: level direction of the beam in the target's frame, unit vector.
        dy: likewise.
        rise: metres it rises per level metre.
        inverse_drop: -1 / rise.
        enter: where it enters the plan [m].
        leave: where it leaves the plan [m].
        wall: through which wall.

    Returns:
        Level distance to where it meets the target [m], and the face, -1 when it misses.
    """
    if target.shape == ELLIPSOID:
        low, high = np.float32(target.low), np.float32(target.high)  # rounded as cameras do
        flat = float(2.0 / (high - low))
        sx, sy = 1.0 / target.half_length, 1.0 / target.half_width
        oz = float(height - 0.5 * (high + low)) * flat
        t = meet_ellipsoid(ox * sx, oy * sy, oz, dx * sx, dy * sy, rise * flat)
        return t, END if t >= NEAR else -1
    t, face = meet_height(enter, leave, height, target.low, target.high, inverse_drop)
    return t, wall if face == 0 else face + 1 if face > 0 else -1


@kernels.inner
def meet_first(
    targets: Any,
    count: int,
    x: float,
    y: float,
    height: float,
    look_x: float,
    look_y: float,
    rise: float,
) -> tuple[float, int, int]:
    """Finds what one beam meets first, of all targets and the ground.

    Args:
        targets: TARGET records.
        count: how many of them there are.
        x: of the sensor, world frame [m].
        y: likewise [m].
        height: of the sensor above the road [m].
        look_x: level direction of the beam, world frame, unit vector.
        look_y: likewise.
        rise: metres it rises per level metre, not 0.

    Returns:
        Level distance [m], infinity where it meets nothing; the face; and which target, -1
        for the ground or nothing.
    """
    inverse_drop = -1.0 / rise
    nearest, nearest_face, met = math.inf, -1, -1
    if rise < 0.0:
        nearest = height / -rise
    for k in range(count):
        target = targets[k]
        gap_x, gap_y = x - target.x, y - target.y
        ox = target.cos * gap_x + target.sin * gap_y
        oy = -target.sin * gap_x + target.cos * gap_y
        dx = target.cos * look_x + target.sin * look_y
        dy = -target.sin * look_x + target.cos * look_y
        enter, leave, wall = meet_ends(target, ox, oy, dx, dy)
        if enter > leave or enter < NEAR or enter >= nearest:
            continue
        t, face = meet_upright(
            target, ox, oy, height, dx, dy, rise, inverse_drop, enter, leave, wall
        )
        if face >= 0 and t < nearest:
            nearest, nearest_face, met = t, face, k
    return nearest, nearest_face, met


@kernels.inner
def incidence(
    target: Any,
    face: int,
    x: float,
    y: float,
    height: float,
    look_x: float,
    look_y: float,
    look_z: float,
    length: float,
    t: float,
) -> float:
    """Cosine of the angle between a beam and the normal of the face that it meets.

    Args:
        target: TARGET record.
        face: that it meets.
        x: of the sensor, world frame [m].
        y: likewise [m].
        height: of the sensor above the road [m].
        look_x: direction of the beam, world frame.
        look_y: likewise.
        look_z: likewise.
        length: of that direction.
        t: where it meets the face, in lengths of the direction.
    """
    if face == TOP or face == UNDERSIDE:
        return abs(look_z) / length
    dx = target.cos * look_x + target.sin * look_y
    dy = -target.sin * look_x + target.cos * look_y
    if target.shape == BOX:
        return abs(dx if face == END else dy) / length
    gap_x, gap_y = x - target.x, y - target.y
    nx = target.cos * gap_x + target.sin * gap_y + t * dx
    ny = -target.sin * gap_x + target.cos * gap_y + t * dy
    nz = 0.0
    if target.shape == ELLIPSOID:
        half = 0.5 * (target.high - target.low)
        nx /= target.half_length * target.half_length
        ny /= target.half_width * target.half_width
        nz = (height + t * look_z - 0.5 * (target.high + target.low)) / (half * half)
    size = math.sqrt(nx * nx + ny * ny + nz * nz)
    return -(nx * dx + ny * dy + nz * look_z) / (size * length)
