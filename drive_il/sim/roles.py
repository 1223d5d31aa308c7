"""How the actors of a scenario come, move and go."""

from __future__ import annotations

import math
from typing import Any

from drive_il import kernels
from drive_il.actors import Gait, Mover, VehicleLight
from drive_il.datatypes import Records
from drive_il.maps.route_geometry import wrap
from drive_il.scenarios.script import WALKER_KIND, Start
from drive_il.sim.following import FAR, idm, leave_room
from drive_il.sim.programs import Part
from drive_il.sim.spawning import make_driver, make_vehicle

UNSETTLED = -1.0
"""`off_road` of a vehicle that was put somewhere and has yet to find its lane"""
_WAITING, _STOPPING, _HOLDING = int(Part.WAITING), int(Part.STOPPING), int(Part.HOLDING)
_NEVER = int(Start.NEVER)
_TRAFFIC, _SCRIPT, _NOBODY = int(Mover.TRAFFIC), int(Mover.SCRIPT), int(Mover.NOBODY)
_BY_CONTROL = int(Mover.CONTROL)
_BRAKE = int(VehicleLight.BRAKE)
_STANDING, _TOLD = int(Gait.STANDING), int(Gait.SCRIPTED)
_RADIUS, _TALL, _CHILD = 0.3, 1.75, 1.2  # [m] of walkers
_BUMPERS = 2.0  # [m] around an actor that appears, from which traffic is taken away
_BRAKE_LAMPS = -0.6  # [m/s^2]
_REACH = 40.0  # [m] a careful role looks ahead, and as far as it takes to brake with ...
_FIRM = 4.0  # [m/s^2]
_BESIDE = 0.3  # [m] beside its flanks within which somebody is in its way, at most
_SQUEEZE, _SQUEEZE_TIME = 0.15, 0.04  # [m] the same of one who stands, [s] and how it grows
_FACING = -0.7  # cosine of the angle beyond which an ego comes the wrong way


@kernels.inner
def vacate(vehicles: Records, drivers: Records, v: int) -> None:
    """Empties a slot."""
    vehicles[v].id = 0
    drivers[v].lane = drivers[v].from_lane = drivers[v].next_lane = -1
    drivers[v].want = drivers[v].tail = -1


@kernels.device
def appear(stage: Any, r: int, map_: Any, seed: Any) -> None:
    """Puts the actor of a role at the beginning of its path; it waits.

    Args:
        stage: see scripts.Stage.
        r: which role.
        map_: see stepping.Map.
        seed: of the episode.
    """
    role, part = stage.roles[r], stage.parts[r]
    number = stage.next_id[stage.world]
    stage.next_id[stage.world] = number + 1
    part.part, part.id, part.s, part.timer = _WAITING, number, 0.0, 0.0
    point = stage.points[role.path_first]
    if role.kind == WALKER_KIND:
        _stand(stage.walkers[stage.seats[2] + role.seat], role, point, number)
        return
    v = stage.seats[0] + role.seat
    vehicle, model = stage.vehicles[v], map_.models[role.kind]
    make_vehicle(vehicle, model, number, _NOBODY if role.start == _NEVER else _SCRIPT)
    make_driver(stage.drivers[v], model, seed, number)
    if role.length > 0.0:
        vehicle.length, vehicle.width, vehicle.height = role.length, role.width, role.height
    vehicle.r, vehicle.g, vehicle.b = role.r, role.g, role.b
    if role.r == 0 and role.g == 0 and role.b == 0:
        paint = number % len(map_.paints)
        vehicle.r, vehicle.g = map_.paints[paint, 0], map_.paints[paint, 1]
        vehicle.b = map_.paints[paint, 2]
    vehicle.lights = role.lights
    vehicle.x, vehicle.y, vehicle.z = point.x, point.y, point.z
    vehicle.heading = point.heading
    vehicle.off_road = UNSETTLED
    for w in range(len(stage.vehicles)):
        other = stage.vehicles[w]
        dx, dy = other.x - point.x, other.y - point.y
        reach = 0.5 * (other.length + vehicle.length) + _BUMPERS
        near = dx * dx + dy * dy < reach * reach and abs(other.z - vehicle.z) < 3.0
        if near and other.id != 0 and other.mover == _TRAFFIC:
            vacate(stage.vehicles, stage.drivers, w)


@kernels.inner
def _stand(walker: Any, role: Any, point: Any, number: int) -> None:
    walker.x, walker.y, walker.z, walker.heading = point.x, point.y, point.z, point.heading
    walker.speed, walker.radius = 0.0, _RADIUS
    walker.height = _CHILD if role.child else _TALL
    walker.id, walker.gait, walker.child = number, _STANDING, role.child
    walker.r, walker.g, walker.b = role.r, role.g, role.b
    if role.r == 0 and role.g == 0 and role.b == 0:
        walker.r, walker.g, walker.b = 176, 48, 52


@kernels.inner
def arrival(role: Any) -> float:
    """Returns how long a role takes from setting out to where the ways meet [s]."""
    run_up = 0.5 * role.speed * role.speed / role.acceleration
    if role.meet <= run_up:
        return math.sqrt(2.0 * role.meet / role.acceleration)
    return role.meet / role.speed + 0.5 * role.speed / role.acceleration


@kernels.device
def walk(stage: Any, role: Any, part: Any, walker: Any, dt: float) -> bool:
    """Lets a walker go on along its path, which is straight; returns whether it has arrived.

    Only its speed is set: all walkers who are told where to go are moved alike.
    """
    last = stage.points[role.path_first + role.path_count - 1]
    walker.speed = min(walker.speed + role.acceleration * dt, role.speed)
    part.s += walker.speed * dt
    if part.s < last.s:
        return False
    walker.speed, walker.gait = 0.0, _STANDING
    return True


@kernels.inner
def _point_at(stage: Any, role: Any, s: float) -> int:
    """Returns the last path point before s, never the path's last."""
    first, last = role.path_first, role.path_first + role.path_count - 2
    i = min(max(first + int(s), first), last)
    while i < last and stage.points[i + 1].s <= s:
        i += 1
    while i > first and stage.points[i].s > s:
        i -= 1
    return i


@kernels.device
def gap_ahead(stage: Any, role: Any, part: Any, v: int) -> tuple[float, float, float, float]:
    """Finds what stands or drives on a role's path in front of it.

    Args:
        stage: see scripts.Stage.
        role: ROLE record.
        part: ROLE_STATE record.
        v: slot of its vehicle.

    Returns:
        Gap from bumper to body [m], FAR when there is none; its speed along the path [m/s];
        the same of the nearest ego that comes the wrong way, its speed negative.
    """
    me, points = stage.vehicles[v], stage.points
    best, speed, faced, comes = FAR, 0.0, FAR, 0.0
    beyond = _REACH + me.speed * me.speed / (2.0 * _FIRM)
    room = min(_SQUEEZE + _SQUEEZE_TIME * me.speed, _BESIDE)
    begin, end = _point_at(stage, role, part.s), role.path_first + role.path_count
    for w in range(len(stage.vehicles)):
        other = stage.vehicles[w]
        if w == v or other.id == 0 or abs(other.z - me.z) > 4.0:
            continue
        dx, dy = other.x - me.x, other.y - me.y
        far = beyond + 0.5 * (me.length + other.length)
        if dx * dx + dy * dy > far * far:
            continue
        nearest, at = 1e18, begin
        i = begin
        while i < end and points[i].s < part.s + far:
            dx, dy = other.x - points[i].x, other.y - points[i].y
            square = dx * dx + dy * dy
            skip = 1
            if square < nearest:
                nearest, at = square, i
            else:  # on the way to anything nearer lie at least so many points
                skip = max(int(math.sqrt(square) - math.sqrt(nearest)), 1)
            i += skip
        point = points[at]
        cos, sin = math.cos(point.heading), math.sin(point.heading)
        dx, dy = other.x - point.x, other.y - point.y
        on, beside = cos * dx + sin * dy, cos * dy - sin * dx
        turned = other.heading - point.heading
        c, s = abs(math.cos(turned)), abs(math.sin(turned))
        along = 0.5 * (other.length * c + other.width * s)
        across = 0.5 * (other.length * s + other.width * c)
        found = point.s + on - part.s
        if found <= 0.0 or abs(on) > along + 1.5:
            continue
        if abs(beside) > 0.5 * me.width + across + room:
            continue
        gap = found - along - 0.5 * me.length
        if gap < best:
            best, speed = gap, max(other.speed * math.cos(turned), 0.0)
        if gap < faced and other.mover == _BY_CONTROL and math.cos(turned) < _FACING:
            faced, comes = gap, other.speed * math.cos(turned)
    return best, speed, faced, comes


@kernels.device
def follow_path(
    stage: Any,
    role: Any,
    part: Any,
    vehicle: Any,
    wanted: float,
    others: tuple[float, float, float, float],
    dt: float,
) -> bool:
    """Drives a vehicle on along its path; returns whether it has come to the end.

    Args:
        stage: see scripts.Stage.
        role: ROLE record.
        part: ROLE_STATE record.
        vehicle: VEHICLE record.
        wanted: speed that it would like [m/s].
        others: whom it minds, see `gap_ahead`.
        dt: [s].
    """
    change = (wanted - vehicle.speed) / max(dt, 1e-3)
    rate = min(max(change, -role.braking), role.acceleration)
    gap, ahead, faced, comes = others
    if gap < 0.5 * FAR:
        top, eager = max(wanted, 1.0), role.acceleration
        rate = min(rate, idm(vehicle.speed, top, gap, ahead, eager, 1.0))
        rate = min(rate, leave_room(vehicle.speed, top, faced, comes, eager, 1.0))
    return _drive(stage, role, part, vehicle, rate, dt)


@kernels.device
def halt(stage: Any, role: Any, part: Any, vehicle: Any, dt: float) -> bool:
    """Brakes a vehicle to a halt and lets it stand; returns whether it may drive on."""
    if part.part == _STOPPING:
        _drive(stage, role, part, vehicle, -role.braking, dt)
        if vehicle.speed > 0.0:
            return False
        part.part, part.timer = _HOLDING, 0.0
    vehicle.acceleration = vehicle.yaw_rate = 0.0
    part.timer += dt
    return part.timer >= role.hold


@kernels.device
def _drive(stage: Any, role: Any, part: Any, vehicle: Any, rate: float, dt: float) -> bool:
    """Moves a vehicle along its path with an acceleration; returns whether it is at the end."""
    before, heading = vehicle.speed, vehicle.heading
    speed = max(before + rate * dt, 0.0)
    part.s += 0.5 * (before + speed) * dt
    i = _point_at(stage, role, part.s)
    a, b = stage.points[i], stage.points[i + 1]
    t = (part.s - a.s) / max(b.s - a.s, 1e-6)
    arrived = part.s >= b.s and i == role.path_first + role.path_count - 2
    t = min(t, 1.0)
    vehicle.x, vehicle.y = a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)
    vehicle.z = a.z + t * (b.z - a.z)
    vehicle.heading = wrap(a.heading + t * wrap(b.heading - a.heading))
    vehicle.speed = speed
    if dt > 0.0:
        vehicle.acceleration = (speed - before) / dt
        vehicle.yaw_rate = wrap(vehicle.heading - heading) / dt
    lamps = role.lights & ~_BRAKE
    vehicle.lights = lamps | _BRAKE if vehicle.acceleration < _BRAKE_LAMPS else lamps
    vehicle.off_road = UNSETTLED
    return arrived
