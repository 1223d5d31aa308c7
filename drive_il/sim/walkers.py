"""People on foot: along sidewalks, over crosswalks, and over the street without regard.

A walker goes after a point that moves along its path a step ahead of it, so that it cuts
corners as people do. At a node it chooses a way on, keyed by (seed, choice, walker). Who wants
to cross claims the crosswalk, which makes the drivers who can stop do so, waits at the kerb
until nobody who cannot comes, and crosses.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import WALKER, Gait
from drive_il.datatypes import Ints, Records
from drive_il.keyed_noise import noise_key, normal_at, uniform_at
from drive_il.randomness import purpose_key
from drive_il.sim.pavements import ACROSS, CROSSWALK, PAVEMENTS, SIDEWALK
from drive_il.sim.walker_gaps import (
    CLAIM,
    WALK,
    around_vehicles,
    is_clear,
    keep_passages,
    may_claim,
    must_halt,
)

_WALKING, _WAITING, _CROSSING, _SCRIPTED, _STANDING = (
    int(Gait.WALKING),
    int(Gait.WAITING),
    int(Gait.CROSSING),
    int(Gait.SCRIPTED),
    int(Gait.STANDING),
)
_WAY, _PLACE, _WHO = (
    purpose_key("walker way"),
    purpose_key("walker place"),
    purpose_key("walker"),
)
_AHEAD = 0.7  # [m] the point that a walker goes after is so far ahead
_TURN = 5.0  # [rad/s] fastest turn on the spot
_BEFORE_KERB = 0.35  # [m] where people wait
_LOOK_EVERY = 0.2  # [s] between two looks at others; who goes straight on aims no oftener
_BENDS = 0.997  # cosine of the turn below which someone aims in every step
_SEES = 2.0  # [m] other walkers within which one makes room for
_ROOM = 0.15  # [m] kept beside others
_SIDESTEP = 0.8  # [m/s] fastest
_OVER, _ASTRAY = 0.5, 0.25  # how often a crosswalk, or the bare street, is taken, to a sidewalk 1
_CHILDREN = 0.15  # share
_CLOTHES = np.array(
    [(52, 58, 74), (122, 44, 42), (44, 92, 84), (196, 176, 132), (84, 84, 90), (58, 82, 132)],
    np.uint8,
)
_TRIES = 20


@kernels.inner
def _begin(walk: Any, path: Any, forward: bool) -> None:
    """Puts the point that a walker goes after at the beginning of a path, seen its way."""
    walk.forward = forward
    walk.s = 0.0
    walk.offset = min(max(walk.offset, -path.room), path.room)


@kernels.device
def choose_way(walker: Any, walk: Any, pavements: Any, seed: Any) -> None:
    """Chooses the path after the present one and takes the walker there.

    Args:
        walker: WALKER record; its id makes its choices its own.
        walk: WALK record.
        pavements: see Pavements.
        seed: of the episode.
    """
    paths, came = pavements.paths, walk.path
    path = paths[came]
    node = pavements.nodes[path.far_node if walk.forward else path.node]
    arrival = 2 * came + (1 if walk.forward else 0)
    total = 0.0
    for k in range(node.first, node.first + node.count):
        total += _liking(walk, paths, pavements.links[k], arrival)
    left = walk.s - path.length
    if total == 0.0:  # the end of the way
        _begin(walk, path, not walk.forward)
        return
    key = noise_key(seed, walk.choices, _WAY)
    coin = uniform_at(key, 2 * walker.id) * total
    walk.choices += 1
    chosen = -1
    for k in range(node.first, node.first + node.count):
        liking = _liking(walk, paths, pavements.links[k], arrival)
        if liking > 0.0:
            chosen = pavements.links[k]
            coin -= liking
            if coin < 0.0:
                break
    walk.path = chosen // 2
    _begin(walk, paths[walk.path], chosen % 2 == 0)
    walk.s = left
    if path.kind == SIDEWALK and paths[walk.path].kind != SIDEWALK:
        walk.waited = 0.0
        walk.offset = paths[walk.path].room * (2.0 * uniform_at(key, 2 * walker.id + 1) - 1.0)


@kernels.inner
def _liking(walk: Any, paths: Records, link: int, arrival: int) -> float:
    """How readily a walker takes a link of the node that it comes to."""
    kind = paths[link // 2].kind
    if link == arrival or (kind == ACROSS and not walk.jaywalks):
        return 0.0
    if kind == SIDEWALK:
        return 1.0
    if paths[arrival // 2].kind != SIDEWALK:
        return 0.0  # not from one crossing onto the next: people land on the sidewalk first
    return _OVER if kind == CROSSWALK else _ASTRAY


@kernels.inner
def _kerbs(walk: Any, path: Any) -> tuple[float, float]:
    """Where the road begins and ends along a crossing as one walks [m]."""
    if walk.forward:
        return path.kerb, path.far_kerb
    return path.length - path.far_kerb, path.length - path.kerb


@kernels.inner
def _passed(walker: Any, walk: Any, path: Any, points: Records) -> float:
    """How much of a crossing, which is all but straight, lies behind a walker [m]."""
    a, b = points[path.first], points[path.first + path.count - 1]
    dx, dy = (b.x - a.x) / path.length, (b.y - a.y) / path.length
    s = dx * (walker.x - a.x) + dy * (walker.y - a.y)
    return s if walk.forward else path.length - s


@kernels.inner
def _aim(walk: Any, path: Any, points: Records) -> tuple[float, float, float]:
    """The point that a walker goes after: x, y, z [m]."""
    s = walk.s if walk.forward else path.length - walk.s
    at = s * path.per_metre
    i = min(max(int(at), 0), path.count - 2)
    a, b = points[path.first + i], points[path.first + i + 1]
    t = at - i
    side = walk.offset + walk.aside
    if not walk.forward:
        side = -side
    x = a.x + t * (b.x - a.x) - a.ty * side
    y = a.y + t * (b.y - a.y) + a.tx * side
    return x, y, a.z + t * (b.z - a.z)


@kernels.inner
def _go(walker: Any, walk: Any, aim: tuple[float, float, float], halt: bool, dt: float) -> float:
    """Walks one step towards a point; returns how far that still is [m]."""
    dx, dy = aim[0] - walker.x, aim[1] - walker.y
    away = math.sqrt(dx * dx + dy * dy)
    wish = 0.0 if halt else min(walk.pace, 2.0 * away)
    if away > 0.05:
        dx, dy = dx / away, dy / away
        along, across = walk.tx * dx + walk.ty * dy, walk.tx * dy - walk.ty * dx
        most = _TURN * dt
        walk.turns = along < _BENDS
        if along > 1.0 - 0.5 * most * most:
            walk.tx, walk.ty = dx, dy
        else:
            cos, sin = 1.0 - 0.5 * most * most, most if across >= 0.0 else -most
            tx, ty = cos * walk.tx - sin * walk.ty, sin * walk.tx + cos * walk.ty
            norm = math.sqrt(tx * tx + ty * ty)
            walk.tx, walk.ty = tx / norm, ty / norm
            wish *= max(along, 0.2)  # who turns round does not run on
        walker.heading = math.atan2(walk.ty, walk.tx)
    # 2 m/s^2: people are quick to start and to stop.
    walker.speed = min(max(wish, walker.speed - 4.0 * dt), walker.speed + 2.0 * dt)
    if halt:
        walker.speed = 0.0
    walker.x += walker.speed * dt * walk.tx
    walker.y += walker.speed * dt * walk.ty
    walker.z = aim[2]
    return away


@kernels.device
def _make_room(walkers: Records, walks: Records, p: int, room: float, time: float) -> None:
    """Steps aside for those who come near, and out of those who are too near."""
    walker, walk = walkers[p], walks[p]
    wish = 0.0
    for q in range(len(walkers)):
        other = walkers[q]
        dx, dy = other.x - walker.x, other.y - walker.y
        if abs(dx) > _SEES or abs(dy) > _SEES or q == p or other.id == 0:
            continue
        if abs(other.z - walker.z) > 2.5:
            continue
        along, across = walk.tx * dx + walk.ty * dy, walk.tx * dy - walk.ty * dx
        near = walker.radius + other.radius
        square = dx * dx + dy * dy
        if square < near * near and walker.gait != _WAITING:
            away = math.sqrt(square)
            back = 0.5 * (near - away) / max(away, 1e-6)
            if away < 1e-6:
                dx, back = 1.0, 0.5 * near * (1.0 if p < q else -1.0)
            walker.x -= dx * back
            walker.y -= dy * back
        faster = walk.pace - other.speed * math.cos(other.heading - walker.heading)
        if along > 0.0 and faster > 0.1 and abs(across) < near + _ROOM:
            # Those who meet pass on the right; who overtakes takes the freer side.
            meets = faster > walk.pace
            side = -1.0 if meets or across > 0.0 else 1.0
            wish = side * (near + _ROOM - side * across)
    low, high = -room - walk.offset, room - walk.offset
    wish = min(max(wish, min(low, 0.0)), max(high, 0.0))
    most = _SIDESTEP * time
    walk.aside += min(max(wish - walk.aside, -most), most)


@kernels.device
def step_walkers(
    walkers: Records,
    walks: Records,
    vehicles: Records,
    drivers: Records,
    busy: Ints,
    waits: Records,
    lights: Ints,
    pavements: Any,
    roads: Any,
    seed: Any,
    step: int,
    dt: float,
) -> None:
    """Lets the people of one world walk for one step.

    Args:
        walkers: (P,) WALKER. Those who are SCRIPTED go straight on by their heading and speed
            and are never decided for.
        walks: (P,) WALK.
        vehicles: (V,) VEHICLE.
        drivers: (V,) DRIVER.
        busy: set to whether people claim each crosswalk, (C,).
        waits: (C,) PASSAGE_STATE.
        lights: (S,) LightState.
        pavements: see Pavements.
        roads: see Roads.
        seed: of the episode.
        step: of the episode.
        dt: [s].
    """
    keep_passages(pavements, busy, waits, lights, step, dt)
    for c in range(len(busy)):
        busy[c] = 0
    every = max(int(_LOOK_EVERY / dt + 0.5), 1)
    for p in range(len(walkers)):
        walker, walk = walkers[p], walks[p]
        if walker.id == 0:
            continue
        if walker.gait == _SCRIPTED:
            walker.x += walker.speed * dt * math.cos(walker.heading)
            walker.y += walker.speed * dt * math.sin(walker.heading)
            continue
        if not walk.follows or walker.gait == _STANDING:
            continue
        looks = (step + p) % every == 0
        if not (looks or walk.turns):
            walker.x += walker.speed * dt * walk.tx
            walker.y += walker.speed * dt * walk.ty
            walk.s += walker.speed * dt
            continue
        path = pavements.paths[walk.path]
        if looks:
            _make_room(walkers, walks, p, path.room, every * dt)
        halt = False
        if path.kind != SIDEWALK:
            halt = _cross(walker, walk, path, vehicles, drivers, busy, waits, pavements, roads, dt)
        away = _go(walker, walk, _aim(walk, path, pavements.points), halt, dt)
        walk.s += min(max(_AHEAD - away + walker.speed * dt, 0.0), 0.5)
        if path.kind != SIDEWALK and walker.gait != _CROSSING:
            kerb, far_kerb = _kerbs(walk, path)
            if walk.s < far_kerb:  # held at the kerb
                walk.s = min(walk.s, kerb - _BEFORE_KERB)
        walk.turns |= path.kind != SIDEWALK
        if walk.s >= path.length:
            choose_way(walker, walk, pavements, seed)
            walk.turns = True
            if walker.gait == _CROSSING:
                walker.gait = _WALKING


@kernels.device
def _cross(
    walker: Any,
    walk: Any,
    path: Any,
    vehicles: Records,
    drivers: Records,
    busy: Ints,
    waits: Records,
    pavements: Any,
    roads: Any,
    dt: float,
) -> bool:
    """Waits, goes and lands on a crossing; returns whether the walker stops dead now."""
    kerb, far_kerb = _kerbs(walk, path)
    claimed = path.crosswalk
    if walker.gait == _CROSSING:
        if walk.s > far_kerb + _AHEAD + 0.3:
            walker.gait = _WALKING
            return False
        if claimed >= 0:
            busy[claimed] = CLAIM
        if not walk.jaywalks and must_halt(walker, walk, vehicles):
            return True
        if around_vehicles(walker, walk, path, pavements.points, vehicles, dt):
            # What is gone after comes along.
            walk.s = max(walk.s, _passed(walker, walk, path, pavements.points) + _AHEAD)
        return False
    if walk.s >= far_kerb or walk.s < kerb - _BEFORE_KERB - 1e-6:
        return False  # across, or not there yet
    if walk.jaywalks:
        walker.gait = _CROSSING
        return False
    walk.waited += dt
    if may_claim(waits[claimed], walk):
        busy[claimed] = CLAIM
        if is_clear(walker, walk, path, pavements.points, vehicles, drivers, roads):
            walker.gait = _CROSSING
            return False
    if walker.speed < 0.3:
        walker.gait = _WAITING
    return False


@kernels.kernel(
    nt.int64(
        kernels.record(WALKER)[::1],
        kernels.record(WALK)[::1],
        nt.int64,
        nt.int64,
        PAVEMENTS,
        nt.uint64,
        nt.float64,
    )
)
def spawn_walkers(
    walkers: Records,
    walks: Records,
    count: int,
    number: int,
    pavements: Any,
    seed: Any,
    jaywalkers: float,
) -> int:
    """Puts people on the sidewalks of one world that has none.

    Args:
        walkers: (P,) WALKER, empty.
        walks: (P,) WALK.
        count: how many.
        number: id of the first.
        pavements: see Pavements.
        seed: of the episode.
        jaywalkers: share that crosses without regard.

    Returns:
        How many found a place.
    """
    reach, placed = pavements.reach, 0
    for k in range(count):
        walker, walk = walkers[placed], walks[placed]
        key = noise_key(seed, k, _PLACE)
        for trial in range(_TRIES):
            at = uniform_at(key, 2 * trial) * reach[-1]
            number_of_path = np.searchsorted(reach, at, side="right")
            path = pavements.paths[number_of_path]
            make_walker(walker, walk, number + placed, seed, k, jaywalkers)
            walk.path = number_of_path
            _begin(walk, path, uniform_at(key, 2 * trial + 1) < 0.5)
            walk.s = path.length - (reach[number_of_path] - at)
            walker.x, walker.y, walker.z = _aim(walk, path, pavements.points)
            if _is_free(walkers, placed):
                point = pavements.points[path.first + min(int(walk.s), path.count - 1)]
                way = 1.0 if walk.forward else -1.0
                walk.tx, walk.ty = way * point.tx, way * point.ty
                walker.heading = math.atan2(walk.ty, walk.tx)
                placed += 1
                break
            walker.id = 0
    return placed


@kernels.inner
def _is_free(walkers: Records, p: int) -> bool:
    for q in range(p):
        dx, dy = walkers[q].x - walkers[p].x, walkers[q].y - walkers[p].y
        if dx * dx + dy * dy < 1.0:
            return False
    return True


@kernels.device
def make_walker(walker: Any, walk: Any, number: int, seed: Any, k: int, jaywalkers: float) -> None:
    """Makes an empty slot a person at the origin, keyed by the episode and k."""
    key = noise_key(seed, k, _WHO)
    walker.id, walker.gait = number, _WALKING
    walker.child = uniform_at(key, 0) < _CHILDREN
    tall = 1.7 + 0.08 * min(max(normal_at(key, 3), -2.0), 2.0)
    walker.height = tall - 0.5 if walker.child else tall
    walker.radius = 0.22 if walker.child else 0.3
    quick = uniform_at(key, 1)
    walk.pace = 1.2 + 0.6 * quick if walker.child else 0.8 + 0.8 * quick
    walker.speed = walk.pace
    colour = min(int(uniform_at(key, 2) * len(_CLOTHES)), len(_CLOTHES) - 1)
    walker.r, walker.g, walker.b = (
        _CLOTHES[colour, 0],
        _CLOTHES[colour, 1],
        _CLOTHES[colour, 2],
    )
    walk.jaywalks = uniform_at(key, 3) < jaywalkers
    # Most keep to the right of the middle of their way.
    walk.offset = -0.25 + 0.35 * min(max(normal_at(key, 4), -2.0), 2.0)
    walk.aside = walk.waited = walk.s = 0.0
    walk.choices = 0
    walk.follows = walk.turns = True
