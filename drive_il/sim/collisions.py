"""Contacts of an ego: oriented boxes by the separating axis, walkers as discs, houses and trees.

A contact is inelastic: along its normal the closing speed is shared by the masses, and the ego
is put back so far that the bodies only touch. Vehicles roll, so that of the push each keeps
what points along its heading. Who, where and how hard go into EVENTS.
"""

from __future__ import annotations

import math
from typing import Any

from numba import types as nt

from drive_il import kernels
from drive_il.actors import ActorKind, Mover, Struck
from drive_il.datatypes import VEHICLE, Ints, Records

_VEHICLE, _WALKER, _STATIC = int(Struck.VEHICLE), int(Struck.WALKER), int(Struck.STATIC)
_PROP, _NOBODY = int(ActorKind.PROP), int(Mover.NOBODY)
_WALKER_MASS = 80.0  # [kg]
_HEIGHTS = 4.0  # [m] bodies further apart in height do not meet
_INFINITE = 1e12  # [kg] of what does not move


@kernels.inner
def _project(half_length: float, half_width: float, cos: float, sin: float) -> float:
    """Half extent of a box along an axis at this angle to its heading."""
    return half_length * abs(cos) + half_width * abs(sin)


@kernels.device
def box_overlap(a: Any, b: Any) -> tuple[float, float, float]:
    """Finds how deep two vehicles overlap (separating axis theorem).

    Args:
        a: VEHICLE record.
        b: VEHICLE record.

    Returns:
        Depth, 0 when they are apart [m]; unit normal from a to b.
    """
    dx, dy = b.x - a.x, b.y - a.y
    best, nx, ny = 1e9, 0.0, 0.0
    ca, sa = math.cos(a.heading), math.sin(a.heading)
    cb, sb = math.cos(b.heading), math.sin(b.heading)
    cos, sin = ca * cb + sa * sb, ca * sb - sa * cb  # of b's heading against a's
    la, wa, lb, wb = 0.5 * a.length, 0.5 * a.width, 0.5 * b.length, 0.5 * b.width
    for k in range(4):
        if k == 0:
            ax, ay, reach = ca, sa, la + _project(lb, wb, cos, sin)
        elif k == 1:
            ax, ay, reach = -sa, ca, wa + _project(lb, wb, sin, cos)
        elif k == 2:
            ax, ay, reach = cb, sb, lb + _project(la, wa, cos, sin)
        else:
            ax, ay, reach = -sb, cb, wb + _project(la, wa, sin, cos)
        along = dx * ax + dy * ay
        depth = reach - abs(along)
        if depth <= 0.0:
            return 0.0, 0.0, 0.0
        if depth < best:
            side = 1.0 if along >= 0.0 else -1.0
            best, nx, ny = depth, ax * side, ay * side
    return best, nx, ny


@kernels.device
def disc_overlap(a: Any, x: float, y: float, radius: float) -> tuple[float, float, float]:
    """Finds how deep a disc overlaps a vehicle; as `box_overlap`."""
    cos, sin = math.cos(a.heading), math.sin(a.heading)
    dx, dy = x - a.x, y - a.y
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    cu = min(max(u, -0.5 * a.length), 0.5 * a.length)
    cv = min(max(v, -0.5 * a.width), 0.5 * a.width)
    gu, gv = u - cu, v - cv
    gap = math.sqrt(gu * gu + gv * gv)
    if gap >= radius:
        return 0.0, 0.0, 0.0
    if gap < 1e-9:  # its centre is inside: out through the nearer of front and rear
        side = 1.0 if u >= 0.0 else -1.0
        return radius + 0.5 * a.length - abs(u), cos * side, sin * side
    gu, gv = gu / gap, gv / gap
    return radius - gap, cos * gu - sin * gv, sin * gu + cos * gv


@kernels.inner
def _push(
    ego: Any,
    events: Any,
    contact: tuple[float, float, float, float, float],
    mass: tuple[float, float],
) -> float:
    """Shares the closing speed of a contact; returns the impulse [N s] on the other body.

    Args:
        ego: VEHICLE record.
        events: EVENTS record.
        contact: normal away from the ego, depth [m], velocity of the other body [m/s].
        mass: of the ego and of the other, (ego, other) [kg].
    """
    nx, ny, depth, vx, vy = contact
    cos, sin = math.cos(ego.heading + ego.slip), math.sin(ego.heading + ego.slip)
    closing = (ego.speed * cos - vx) * nx + (ego.speed * sin - vy) * ny
    ego.x -= nx * depth
    ego.y -= ny * depth
    if closing <= 0.0:
        return 0.0
    own, other = mass
    impulse = closing * own * other / (own + other)
    ego.speed = max(ego.speed - impulse / own * (cos * nx + sin * ny), 0.0)
    if closing >= events.struck_speed:
        events.struck_speed = closing
        events.impulse_x, events.impulse_y = -impulse * nx, -impulse * ny
    return impulse


@kernels.device
def meet_vehicles(ego: Any, slot: int, vehicles: Records, models: Records, events: Any) -> None:
    """Lets an ego meet the other vehicles of its world; the events of the step are set.

    Args:
        ego: VEHICLE record.
        slot: its own slot, which is skipped.
        vehicles: (V,) VEHICLE; those that are hit are slowed or pushed along.
        models: one MODEL per kind.
        events: EVENTS record, its contact cleared.
    """
    own = models[ego.kind].mass
    for w in range(len(vehicles)):
        other = vehicles[w]
        if w == slot or other.id == 0:
            continue
        dx, dy = other.x - ego.x, other.y - ego.y
        reach = 0.5 * (ego.length + other.length + ego.width + other.width)
        if dx * dx + dy * dy > reach * reach or abs(other.z - ego.z) > _HEIGHTS:
            continue
        depth, nx, ny = box_overlap(ego, other)
        if depth <= 0.0:
            continue
        events.struck = _STATIC if other.kind == _PROP else _VEHICLE
        events.struck_id = other.id
        events.struck_x, events.struck_y = ego.x + 0.5 * dx, ego.y + 0.5 * dy
        cos, sin = math.cos(other.heading), math.sin(other.heading)
        fixed = other.kind == _PROP or other.mover == _NOBODY
        mass = _INFINITE if fixed else models[other.kind].mass
        contact = (nx, ny, depth, other.speed * cos, other.speed * sin)
        impulse = _push(ego, events, contact, (own, mass))
        if not fixed:
            other.speed = max(other.speed + impulse / mass * (cos * nx + sin * ny), 0.0)


@kernels.device
def meet_walkers(ego: Any, walkers: Records, events: Any) -> None:
    """Lets an ego meet the walkers of its world; who is hit does not stop a car."""
    for p in range(len(walkers)):
        walker = walkers[p]
        dx, dy = walker.x - ego.x, walker.y - ego.y
        reach = 0.5 * (ego.length + ego.width) + walker.radius
        if walker.id == 0 or dx * dx + dy * dy > reach * reach:
            continue
        depth, nx, ny = disc_overlap(ego, walker.x, walker.y, walker.radius)
        if depth <= 0.0 or abs(walker.z - ego.z) > _HEIGHTS:
            continue
        cos, sin = math.cos(walker.heading), math.sin(walker.heading)
        # The walker is the one who is put aside.
        walker.x += nx * depth
        walker.y += ny * depth
        contact = (nx, ny, 0.0, walker.speed * cos, walker.speed * sin)
        events.struck, events.struck_id = _WALKER, walker.id
        events.struck_x, events.struck_y = walker.x, walker.y
        _push(ego, events, contact, (1500.0, _WALKER_MASS))


@kernels.device
def meet_obstacles(ego: Any, obstacles: Any, models: Records, events: Any) -> None:
    """Lets an ego meet what stands beside the road, which does not give way.

    Args:
        ego: VEHICLE record.
        obstacles: see Obstacles.
        models: one MODEL per kind.
        events: EVENTS record; a harder contact of this step stays.
    """
    field = obstacles.field[0]
    i = int(math.floor((ego.x - field.x0) / field.cell))
    j = int(math.floor((ego.y - field.y0) / field.cell))
    if not (0 <= i < field.columns and 0 <= j < field.rows):
        return
    cell = j * field.columns + i
    for k in range(obstacles.first[cell], obstacles.first[cell + 1]):
        box = obstacles.boxes[k]
        dx, dy = box.x - ego.x, box.y - ego.y
        reach = box.radius + 0.5 * (ego.length + ego.width)
        if dx * dx + dy * dy > reach * reach:
            continue
        depth, nx, ny = box_overlap(ego, box)
        if depth <= 0.0:
            continue
        before = events.struck_speed
        contact = (nx, ny, depth, 0.0, 0.0)
        _push(ego, events, contact, (models[ego.kind].mass, _INFINITE))
        if events.struck == 0 or events.struck_speed > before:
            events.struck, events.struck_id = _STATIC, 0
            events.struck_x = ego.x + nx * _reach_along(ego, nx, ny)
            events.struck_y = ego.y + ny * _reach_along(ego, nx, ny)


@kernels.inner
def _reach_along(ego: Any, nx: float, ny: float) -> float:
    """From an ego's centre to its surface in a direction, at most [m]."""
    cos, sin = math.cos(ego.heading), math.sin(ego.heading)
    along, across = cos * nx + sin * ny, cos * ny - sin * nx
    return _project(0.5 * ego.length, 0.5 * ego.width, along, across)


@kernels.inner
def clear_contact(events: Any) -> None:
    """Forgets what was met and crossed in the step before."""
    events.left_mark = events.right_mark = 0
    events.struck, events.struck_id = 0, 0
    events.struck_x = events.struck_y = events.struck_speed = 0.0
    events.impulse_x = events.impulse_y = 0.0


@kernels.kernel(nt.int64(kernels.record(VEHICLE)[::1], nt.int32[:, ::1]))
def overlaps(vehicles: Records, pairs: Ints) -> int:
    """Lists the pairs of vehicles of one world that overlap now.

    Args:
        vehicles: (V,) VEHICLE.
        pairs: slots of each pair, overwritten; what does not fit is left out, (N, 2) int32.

    Returns:
        How many there are.
    """
    found = 0
    for a in range(len(vehicles)):
        if vehicles[a].id == 0:
            continue
        for b in range(a + 1, len(vehicles)):
            one, two = vehicles[a], vehicles[b]
            dx, dy = two.x - one.x, two.y - one.y
            reach = 0.5 * (one.length + two.length + one.width + two.width)
            if two.id == 0 or dx * dx + dy * dy > reach * reach:
                continue
            if abs(two.z - one.z) < _HEIGHTS and box_overlap(one, two)[0] > 0.0:
                if found < len(pairs):
                    pairs[found, 0], pairs[found, 1] = a, b
                found += 1
    return found
