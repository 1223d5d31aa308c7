"""When a driver changes lane: MOBIL (Kesting, Treiber, Helbing 2007).

A change is made when it is safe for who would follow (it need not brake harder than b_safe)
and worth it: own gain in acceleration, plus p times what the two followers gain, above a
threshold. Drivers look every second, each at its own moment.
"""

from __future__ import annotations

from typing import Any

from drive_il import kernels
from drive_il.sim.drivers import place_on, slot_of
from drive_il.sim.following import FAR, idm, wanted_speed

DURATION = 3.5
"""of a lane change [s]"""
SAFE_BRAKING = 2.5
"""b_safe [m/s^2]"""
_THRESHOLD = 0.25  # [m/s^2]
_MIN_SPEED = 3.0  # [m/s]
_KEEP_OFF = 35.0  # [m] before a junction
_LOOK_BACK = 60.0  # [m]
_BEND = 7.0  # [m/s] where bends permit no more, long vehicles need all of their own lane


@kernels.inner
def _neighbours(
    street: Any, roads: Any, v: int, number: int, s: float
) -> tuple[float, float, float, float, int]:
    """Who is ahead and behind at a place of a lane.

    Returns:
        Gap and speed ahead, gap and speed behind [m, m/s], slot of the one behind or -1.
    """
    vehicles, lanes = street.vehicles, roads.lanes
    half = 0.5 * vehicles[v].length
    ahead, ahead_speed, behind, behind_speed, who = FAR, 0.0, FAR, 0.0, -1
    lane = lanes[number]
    for k in range(-1, lane.before_count + lane.way_count):
        # The lane itself, those before it, those after it.
        if k < 0:
            other_lane, shift = number, 0.0
        elif k < lane.before_count:
            other_lane = roads.befores[lane.before_first + k]
            shift = -lanes[other_lane].length
        else:
            other_lane = roads.ways[lane.way_first + k - lane.before_count]
            shift = lane.length
        node = street.head[other_lane]
        while node >= 0:
            w = slot_of(street, node)
            away = place_on(street, roads, other_lane, node) + shift - s
            gap = abs(away) - half - 0.5 * vehicles[w].length
            if w != v and away >= 0.0 and gap < ahead:
                ahead, ahead_speed = gap, vehicles[w].speed
            elif w != v and -_LOOK_BACK < away < 0.0 and gap < behind:
                behind, behind_speed, who = gap, vehicles[w].speed, w
            node = street.link[node]
    return ahead, ahead_speed, behind, behind_speed, who


@kernels.inner
def _near_strangers(street: Any, v: int, x: float, y: float) -> bool:
    """Whether somebody who does not follow traffic's rules is near a place."""
    for f in range(street.n_foreign[0]):
        other = street.vehicles[street.foreign[f]]
        dx, dy = other.x - x, other.y - y
        reach = 6.0 + 0.5 * other.length + 1.5 * max(other.speed, street.vehicles[v].speed)
        if dx * dx + dy * dy < reach * reach:
            return True
    return False


@kernels.inner
def _gain(street: Any, roads: Any, v: int, number: int, now: float) -> float:
    """MOBIL's incentive to change into a lane, -1 when that is not safe [m/s^2]."""
    me, vehicle = street.drivers[v], street.vehicles[v]
    lanes = roads.lanes
    s = me.s * lanes[number].length / lanes[me.lane].length
    ahead, ahead_speed, behind, behind_speed, who = _neighbours(street, roads, v, number, s)
    if ahead < 3.0 or behind < 3.0:
        return -1.0
    point = roads.points[lanes[number].first + int(s * lanes[number].per_metre)]
    if _near_strangers(street, v, point.x, point.y):
        return -1.0
    wanted = wanted_speed(street, roads, me)
    then = idm(vehicle.speed, wanted, ahead, ahead_speed, me.eager, me.headway)
    loss = 0.0
    if who >= 0:
        other = street.drivers[who]
        before = other.acceleration
        after = idm(
            behind_speed,
            wanted_speed(street, roads, other),
            behind,
            vehicle.speed,
            2.0,
            other.headway,
        )
        if after < -SAFE_BRAKING:
            return -1.0
        loss = before - after
    return then - now - me.polite * max(loss, 0.0)


@kernels.inner
def _safe_at(roads: Any, lane: Any, s: float) -> float:
    """Returns the speed that the bends from a place of a lane on permit [m/s]."""
    return roads.points[lane.first + min(int(s * lane.per_metre), lane.count - 1)].safe


@kernels.device
def consider(street: Any, roads: Any, v: int) -> int:
    """Returns the lane a driver changes into now, -1 to stay.

    Args:
        street: see Street, located; accelerations decided.
        roads: see Roads.
        v: slot of the driver.
    """
    me, vehicle = street.drivers[v], street.vehicles[v]
    lane = roads.lanes[me.lane]
    room = lane.stop_s - me.s
    if me.from_lane >= 0 or me.tail >= 0 or vehicle.speed < _MIN_SPEED or me.s < 10.0:
        return -1
    into_junction = me.path0 >= 0 and roads.lanes[me.path0].junction >= 0
    need = vehicle.speed * DURATION + (_KEEP_OFF if into_junction else 0.0)
    if room < need or (me.granted and me.want >= 0 and -me.want_s < need):
        return -1
    if _safe_at(roads, lane, me.s) < _BEND or _safe_at(roads, lane, me.s + need) < _BEND:
        return -1
    best, found = _THRESHOLD, -1
    if lane.left >= 0 and lane.left_from <= me.s and me.s + need <= lane.left_to + 1e-6:
        gain = _gain(street, roads, v, lane.left, me.acceleration)
        if gain > best:
            best, found = gain, lane.left
    if lane.right >= 0 and lane.right_from <= me.s and me.s + need <= lane.right_to + 1e-6:
        gain = _gain(street, roads, v, lane.right, me.acceleration)
        if gain > best:
            best, found = gain, lane.right
    return found
