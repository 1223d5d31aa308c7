"""What is ahead on a driver's path, and how hard to accelerate: IDM.

The Intelligent Driver Model (Treiber, Hennecke, Helbing 2000):

    s* = s0 + max(0, v T + v (v - v_leader) / (2 sqrt(a b)))
    dv/dt = a (1 - (v / v0)^4 - (s* / gap)^2)

Leaders are found lane by lane along the path among those who follow lanes; whoever does not
(the ego, scripted actors, walkers) is looked for beside the path itself.
"""

from __future__ import annotations

import math
from typing import Any

from drive_il import kernels
from drive_il.actors import Gait, Mover
from drive_il.datatypes import Records
from drive_il.sim.drivers import N_PATH, path_lane, place_on, slot_of
from drive_il.sim.roads import BRAKING

MIN_GAP = 2.0
"""IDM's s0 [m]"""
COMFORT = 2.5
"""IDM's b [m/s^2]"""
HARDEST = 8.0
"""hardest braking [m/s^2]"""
FAR = 1e9
"""the gap where nobody is ahead [m]"""
_MARGIN = 0.35  # [m] beside the path within which someone is in the way, at most
_SQUEEZE = 0.15  # [m] the same of one who stands; it grows with speed by ...
_SQUEEZE_TIME = 0.04  # [s]
_LEAVE = 40.0  # [m] left to one who comes the wrong way, to go back into its lane
_COURTESY = 3.0  # [m/s^2] at most that one brakes to leave that
_WALKER_MARGIN = 0.7  # [m]
SCRIPT, CONTROL = int(Mover.SCRIPT), int(Mover.CONTROL)
_FACING = 0.7  # cosine of the angle beyond which somebody comes the wrong way
_CROSSING_TIME = 1.5  # [s] one of a scenario who will be in the way by then counts ...
_ACROSS = 0.7  # ... whose way makes such an angle with the driver's (its sine)
_CREEPS = 0.5  # [m/s]
WALKING, WAITING = int(Gait.WALKING), int(Gait.WAITING)
_WALKER_TIME = 1.5  # [s] a walker who will be in the way by then counts


@kernels.inner
def idm(
    speed: float, wanted: float, gap: float, ahead: float, eager: float, headway: float
) -> float:
    """Returns IDM's acceleration, not below -HARDEST [m/s^2].

    Args:
        speed: own [m/s].
        wanted: v0 [m/s].
        gap: bumper to bumper [m].
        ahead: the leader's speed [m/s].
        eager: a [m/s^2].
        headway: T [s].
    """
    ratio = speed / max(wanted, 0.1)
    free = max(eager * (1.0 - ratio * ratio * ratio * ratio), -COMFORT)
    if gap >= 0.5 * FAR:
        return free
    closing = speed * (speed - ahead) / (2.0 * math.sqrt(eager * COMFORT))
    wish = MIN_GAP + max(0.0, speed * headway + closing)
    share = wish / max(gap, 0.1)
    return max(free - eager * share * share, -HARDEST)


@kernels.inner
def leave_room(
    speed: float, wanted: float, gap: float, comes: float, eager: float, headway: float
) -> float:
    """Returns the acceleration that leaves an oncoming one the room to go back [m/s^2].

    Args:
        speed: own [m/s].
        wanted: v0 [m/s].
        gap: to the oncoming one [m].
        comes: its speed along the own way, negative [m/s].
        eager: a [m/s^2].
        headway: T [s].
    """
    if gap >= 0.5 * FAR:
        return idm(speed, wanted, FAR, 0.0, eager, headway)
    return max(idm(speed, wanted, gap - _LEAVE, comes, eager, headway), -_COURTESY)


@kernels.device
def wanted_speed(street: Any, roads: Any, driver: Any) -> float:
    """Returns the speed that limit, temper, the bends ahead and the grip in them permit [m/s]."""
    slower = 1.0 if street.care == 1.0 else math.sqrt(1.0 / street.care)
    lanes, points = roads.lanes, roads.points
    lane = lanes[driver.lane]
    at = points[lane.first + min(int(driver.s * lane.per_metre), lane.count - 1)]
    best = min(min(at.limit * driver.temper, slower * at.safe), driver.top_speed)
    left = lane.length - driver.s
    for k in range(1, N_PATH + 1):
        number = path_lane(driver, k)
        if number < 0 or best * best <= 2.0 * BRAKING * left:
            break
        entry = points[lanes[number].first]
        bound = min(slower * entry.safe, entry.limit * driver.temper)
        best = min(best, math.sqrt(bound * bound + 2.0 * BRAKING * left))
        left += lanes[number].length
    return best


@kernels.device
def leader(street: Any, roads: Any, v: int, reach: float) -> tuple[float, float, int]:
    """Finds the next vehicle of traffic along a driver's path.

    Args:
        street: see Street, located.
        roads: see Roads.
        v: slot of the driver.
        reach: how far to look [m].

    Returns:
        Gap bumper to bumper [m], FAR when there is none; its speed [m/s]; its slot.
    """
    vehicles, drivers, lanes = street.vehicles, street.drivers, roads.lanes
    me = drivers[v]
    half = 0.5 * vehicles[v].length
    base, best, speed, who = -me.s, FAR, 0.0, -1
    for k in range(N_PATH + 1):
        number = path_lane(me, k)
        if number < 0 or base > reach or best < base:
            break
        node = street.head[number]
        while node >= 0:
            w = slot_of(street, node)
            if w != v:
                at = base + place_on(street, roads, number, node)
                if at > 0.0 or (at == 0.0 and w < v):
                    gap = at - half - 0.5 * vehicles[w].length
                    if gap < best:
                        best, speed, who = gap, vehicles[w].speed, w
            node = street.link[node]
        if lanes[number].junction >= 0:
            best, speed, who = _beside(street, roads, v, number, base, best, speed, who)
        base += lanes[number].length
    return best, speed, who


@kernels.inner
def _beside(
    street: Any, roads: Any, v: int, number: int, base: float, best: float, speed: float, who: int
) -> tuple[float, float, int]:
    """Also minds those on other ways from the same lane, until the ways have parted."""
    vehicles, drivers, lane = street.vehicles, street.drivers, roads.lanes[number]
    own_half = 0.5 * vehicles[v].length
    for r in range(lane.rival_first, lane.rival_first + lane.rival_count):
        rival = roads.rivals[r]
        if not rival.sibling or -base - own_half > rival.end:
            continue
        node = street.head[rival.lane]
        while node >= 0:
            w = slot_of(street, node)
            half = 0.5 * vehicles[w].length
            at = base + drivers[w].s + rival.begin - rival.other_begin
            if w != v and at > 0.0 and drivers[w].s - half < rival.other_end:
                gap = at - half - own_half
                if gap < best:
                    best, speed, who = gap, vehicles[w].speed, w
            node = street.link[node]
    return best, speed, who


@kernels.device
def in_the_way(
    driver: Any, roads: Any, free: tuple[float, float], body: Any, reach: float
) -> tuple[float, float]:
    """Finds where a body is in the way of a driver's path.

    Beside its path, as in a lane change, a driver also minds what lies between.

    Args:
        driver: DRIVER record.
        roads: see Roads.
        free: half length of the driver's own vehicle, and the half width that must stay free
            on both sides of the path [m].
        body: x, y of its centre [m], heading [rad], half length and half width [m].
        reach: how far along the path to look [m].

    Returns:
        Gap from bumper to body along the path, FAR when it is not in the way [m]; heading of
        the path there [rad].
    """
    lanes, points = roads.lanes, roads.points
    x, y, turned, half_length, half_width = body
    base, best, found_s = -driver.s, 1e18, -1.0
    heading, on, beside = 0.0, 0.0, 0.0
    for k in range(N_PATH + 1):
        number = path_lane(driver, k)
        if number < 0 or base > reach:
            break
        lane = lanes[number]
        i = int(driver.s * lane.per_metre) if k == 0 else 0
        while i < lane.count and base + i / lane.per_metre <= reach:
            point = points[lane.first + i]
            dx, dy = x - point.x, y - point.y
            square = dx * dx + dy * dy
            skip = 1
            if square < best:
                cos, sin = math.cos(point.heading), math.sin(point.heading)
                best, found_s, heading = square, base + i / lane.per_metre, point.heading
                on, beside = cos * dx + sin * dy, cos * dy - sin * dx
            else:  # on the way to anything nearer lie at least so many points
                skip = int((math.sqrt(square) - math.sqrt(best)) * lane.per_metre)
            i += max(skip, 1)
        base += lane.length
    angle = turned - heading
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    along = half_length * cos + half_width * sin
    across = half_length * sin + half_width * cos
    found_s += on
    side = free[1] + across
    outside = beside > side + max(driver.offset, 0.0) or beside < min(driver.offset, 0.0) - side
    if outside or abs(on) > along + 1.0 or found_s <= 0.0:
        return FAR, heading
    return found_s - along - free[0], heading


@kernels.device
def stranger(street: Any, roads: Any, v: int, reach: float) -> tuple[float, float, float, float]:
    """Finds the nearest vehicle on a driver's path that does not follow traffic's rules.

    Returns:
        Gap [m], FAR when there is none, and its speed along the path [m/s]; the same of the
        nearest ego that comes the wrong way, its speed negative.
    """
    vehicles, driver = street.vehicles, street.drivers[v]
    me = vehicles[v]
    best, speed, faced, comes = FAR, 0.0, FAR, 0.0
    margin = min(_SQUEEZE + _SQUEEZE_TIME * me.speed, _MARGIN)
    free = (0.5 * me.length, 0.5 * me.width + margin)
    for f in range(street.n_foreign[0]):
        other = vehicles[street.foreign[f]]
        dx, dy = other.x - me.x, other.y - me.y
        far = reach + 0.5 * (me.length + other.length)
        if dx * dx + dy * dy > far * far or abs(other.z - me.z) > 4.0:
            continue
        body = (other.x, other.y, other.heading, 0.5 * other.length, 0.5 * other.width)
        gap, heading = in_the_way(driver, roads, free, body, reach)
        if gap == FAR and other.mover == SCRIPT and other.speed > _CREEPS:
            gap, heading = _crossing(me, driver, roads, free, other, reach)
        if gap < best:
            best, speed = gap, max(other.speed * math.cos(other.heading - heading), 0.0)
        along = math.cos(other.heading - heading)
        if gap < faced and other.mover == CONTROL and along < -_FACING:
            faced, comes = gap, other.speed * along
    return best, speed, faced, comes


@kernels.inner
def _crossing(
    me: Any, driver: Any, roads: Any, free: tuple[float, float], other: Any, reach: float
) -> tuple[float, float]:
    """As `in_the_way`, where one of a scenario will be that comes across a driver's path."""
    ahead = 0.5 * other.speed * _CROSSING_TIME
    x = other.x + ahead * math.cos(other.heading)
    y = other.y + ahead * math.sin(other.heading)
    body = (x, y, other.heading, 0.5 * other.length + ahead, 0.5 * other.width)
    gap, heading = in_the_way(driver, roads, free, body, reach)
    across = abs(math.sin(other.heading - heading)) > _ACROSS
    # Who could not stop any more goes on.
    stops = gap > me.speed * me.speed / (2.0 * HARDEST)
    return (gap if across and stops else FAR), heading


@kernels.device
def walker_ahead(vehicle: Any, driver: Any, roads: Any, walkers: Records, reach: float) -> float:
    """Returns the gap to the nearest walker who is, or soon will be, on a driver's path [m]."""
    best = FAR
    free = (0.5 * vehicle.length, 0.5 * vehicle.width + _WALKER_MARGIN)
    for p in range(len(walkers)):
        walker = walkers[p]
        if walker.id == 0 or walker.gait == WALKING or walker.gait == WAITING:
            continue
        dx, dy = walker.x - vehicle.x, walker.y - vehicle.y
        if dx * dx + dy * dy > (reach + 5.0) * (reach + 5.0):
            continue
        ahead = 0.5 * walker.speed * _WALKER_TIME
        cos, sin = math.cos(walker.heading), math.sin(walker.heading)
        # All of the stretch that it covers within that time.
        body = (
            walker.x + ahead * cos,
            walker.y + ahead * sin,
            walker.heading,
            ahead + walker.radius,
            walker.radius,
        )
        gap, _ = in_the_way(driver, roads, free, body, reach)
        best = min(best, gap)
    return best
