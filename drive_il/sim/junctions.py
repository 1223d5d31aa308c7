"""Who may pass a junction: every driver asks for its movement before the stop line.

A movement is granted when the light allows it, nobody who was granted a conflicting one would
be met, nobody with the right of way would be held up, and there is room behind the junction.
Grants are given one after the other, so that two drivers never get conflicting ones at once;
who has one does not wait inside. That is what keeps junctions from locking up.
"""

from __future__ import annotations

import math
from typing import Any

from drive_il import kernels
from drive_il.actors import LightState
from drive_il.datatypes import Ints
from drive_il.sim.drivers import (
    CLEAR,
    N_PATH,
    NO_ROOM,
    RED,
    TRAFFIC,
    YIELDING,
    path_lane,
    place_on,
    slot_of,
    way_place,
)
from drive_il.sim.following import FAR

_GREEN, _YELLOW, _RED = int(LightState.GREEN), int(LightState.YELLOW), int(LightState.RED)
_AFTER = 0.6  # [s] that must pass between two who cross each other's way
_PATIENCE = 4.0  # [s] after which a driver insists against others who stand too
_COURTESY = 8.0  # [s] after which others let a driver in who can do so gently
_GENTLE = 2.0  # [m/s^2]
_ROOM = 2.0  # [m] kept free behind the junction
_FIRM = 4.0  # [m/s^2] who would have to brake harder for a yellow light goes on
_CRAWL = 2.0  # [m/s] slower than this one is not reckoned with
_BRISK = 9.0  # [m/s] nobody is expected to become faster in a junction
_OPTIMISM = 2.0  # [m/s^2] how fast others may speed up


@kernels.inner
def travel_time(distance: float, speed: float, eager: float, top: float) -> float:
    """Returns the time to cover a distance, speeding up as far as `top` [s]."""
    if distance <= 0.0:
        return 0.0
    top = max(speed, top)
    until_top = (top * top - speed * speed) / (2.0 * eager)
    if distance <= until_top:
        return (math.sqrt(speed * speed + 2.0 * eager * distance) - speed) / eager
    return (top - speed) / eager + (distance - until_top) / top


@kernels.inner
def _last_before(driver: Any, roads: Any) -> int:
    """Returns the lane of a driver's path from which it enters its junction lane."""
    if driver.path0 == driver.want:
        return driver.lane
    return driver.path0 if driver.path1 == driver.want else driver.path1


@kernels.inner
def line_gap(driver: Any, roads: Any, half: float) -> float:
    """Returns how far a driver's front is before its stop line [m]; negative beyond it."""
    lane = roads.lanes[_last_before(driver, roads)]
    return -driver.want_s - (lane.length - lane.stop_s) - half


@kernels.inner
def _light_of(driver: Any, roads: Any, lights: Ints) -> int:
    """Returns what a driver's light shows; GREEN where none rules the junction."""
    before = _last_before(driver, roads)
    signal = roads.lanes[before].light
    return _GREEN if signal < 0 or lights[signal] > _GREEN else lights[signal]


@kernels.inner
def _has_room(street: Any, roads: Any, v: int, lights: Ints) -> bool:
    """Whether a driver would get out of the junction behind those before it.

    A lane behind it that is shorter than the vehicle is no place to wait: then the next
    junction must be open too, and there must be room behind that, as far as the way is known.
    """
    vehicles, drivers, lanes = street.vehicles, street.drivers, roads.lanes
    me = drivers[v]
    need = vehicles[v].length + _ROOM
    claimed = _claimed(street, roads, v)
    room, inside = 0.0, False
    for k in range(1, N_PATH + 1):
        number = path_lane(me, k)
        if number < 0 or room > need:
            break
        if inside:
            lane = lanes[number]
            # Who drives briskly will have made room by then, unless a line is before it.
            brisk = 2.0 if lane.length > need else 0.0
            node = street.head[number]
            while node >= 0:
                w = slot_of(street, node)
                end = place_on(street, roads, number, node) - 0.5 * vehicles[w].length
                if w != v and room + end + brisk * vehicles[w].speed - claimed <= need:
                    return False
                node = street.link[node]
            room += lane.length
            if lane.junction >= 0:
                signal = lanes[path_lane(me, k - 1)].light
                red = signal >= 0 and lights[signal] == _RED
                if red or claimed > 0.0 or _is_stopped_up(street, roads, v, number):
                    return False
                room = 0.0
        inside = inside or number == me.want
    return True


@kernels.inner
def _is_stopped_up(street: Any, roads: Any, v: int, number: int) -> bool:
    """Whether somebody stands where another way crosses this one."""
    lane = roads.lanes[number]
    for r in range(lane.rival_first, lane.rival_first + lane.rival_count):
        rival = roads.rivals[r]
        node = street.head[rival.lane]
        while node >= 0 and not rival.sibling:
            w = slot_of(street, node)
            at, reach = street.drivers[w].s, 0.5 * street.vehicles[w].length
            stands = w != v and street.vehicles[w].speed < _CRAWL
            if stands and at + reach > rival.other_begin and at - reach < rival.other_end:
                return True
            node = street.link[node]
    return False


@kernels.inner
def _claimed(street: Any, roads: Any, v: int) -> float:
    """Room behind the junction that others who were let in before still need [m]."""
    vehicles, drivers, lanes = street.vehicles, street.drivers, roads.lanes
    me, n = drivers[v], len(vehicles)
    lane = lanes[me.want]
    claimed = 0.0
    for r in range(-1, lane.rival_count):
        other = me.want if r < 0 else roads.rivals[lane.rival_first + r].lane
        if r >= 0 and roads.ways[lanes[other].way_first] != roads.ways[lane.way_first]:
            continue
        node = street.want_head[other]
        while node >= 0:
            w = slot_of(street, node)
            # Of those on it, who has its centre out already is seen there.
            if w != v and (drivers[w].granted if node < n else drivers[w].lane == other):
                claimed += vehicles[w].length + _ROOM
            node = street.want_link[node]
    return claimed


@kernels.inner
def _lets_in(street: Any, roads: Any, v: int, w: int) -> bool:
    """Whether a driver with the right of way lets another go first who has waited for long."""
    me, other = street.drivers[v], street.drivers[w]
    if other.reason != YIELDING or other.waited < _COURTESY or me.waited > other.waited:
        return False
    speed, half = street.vehicles[v].speed, 0.5 * street.vehicles[v].length
    can_stop = line_gap(me, roads, half) > speed * speed / (2.0 * _GENTLE) + 2.0
    return can_stop and street.vehicles[w].mover == TRAFFIC


@kernels.inner
def _collides(
    street: Any, roads: Any, v: int, w: int, rival: Any, is_tail: bool, lights: Ints
) -> bool:
    """Whether a driver should not set out because of another on a conflicting way."""
    me, other = street.drivers[v], street.drivers[w]
    mine, theirs = street.vehicles[v], street.vehicles[w]
    at = other.tail_s if is_tail else other.want_s
    half = 0.5 * theirs.length
    there, gone = rival.other_begin - at - half, rival.other_end - at + half
    if gone < 0.0:
        return False
    granted = is_tail or other.granted
    if not granted:
        if not rival.yields:
            return _lets_in(street, roads, v, w)
        if theirs.speed < _CRAWL and me.waited > _PATIENCE:
            return False
        if theirs.mover == TRAFFIC and _light_of(other, roads, lights) == _RED:
            return False
        if theirs.speed < 0.5 and me.waited > other.waited + 0.5:
            return False  # both stand: who has waited longer goes
        if theirs.mover == TRAFFIC and me.waited > _COURTESY:
            gap = line_gap(other, roads, half)
            if gap > theirs.speed * theirs.speed / (2.0 * _GENTLE) + 2.0:
                return False  # it will see the grant in time and let this one go
    own_half = 0.5 * mine.length
    begin = travel_time(rival.begin - me.want_s - own_half, mine.speed, _OPTIMISM, _BRISK)
    pace = min(roads.lanes[me.want].pace, _BRISK)
    out = rival.end - me.want_s + own_half
    end = travel_time(out, min(mine.speed, pace), me.eager, pace)
    their_begin = travel_time(there, theirs.speed, _OPTIMISM, _BRISK)
    their_end = gone / max(min(theirs.speed, roads.lanes[rival.lane].pace), _CRAWL)
    after = _AFTER if me.waited < 15.0 else 0.5 * _AFTER
    return begin < their_end + after and their_begin < end + after


@kernels.device
def ask(street: Any, roads: Any, v: int, first_in_line: bool, lights: Ints) -> int:
    """Decides whether a driver may pass the junction ahead.

    Args:
        street: see Street, located.
        roads: see Roads.
        v: slot of the driver.
        first_in_line: nobody stands between it and the stop line.
        lights: LightState of each signal.

    Returns:
        CLEAR, or what it has to wait for.
    """
    me, n = street.drivers[v], len(street.vehicles)
    speed = street.vehicles[v].speed
    gap = line_gap(me, roads, 0.5 * street.vehicles[v].length)
    light = _light_of(me, roads, lights)
    if light == _RED:
        return RED
    # At yellow who can stop does, but for one who has waited in vain through the green.
    if light == _YELLOW and gap > speed * speed / (2.0 * _FIRM) and me.waited < 3.0:
        return RED
    if not first_in_line:
        return YIELDING
    if roads.lanes[_last_before(me, roads)].must_halt and not me.halted:
        return YIELDING
    lane = roads.lanes[me.want]
    for r in range(lane.rival_first, lane.rival_first + lane.rival_count):
        rival = roads.rivals[r]
        if rival.sibling:
            continue
        node = street.want_head[rival.lane]
        while node >= 0:
            w = slot_of(street, node)
            if w != v and _collides(street, roads, v, w, rival, node >= n, lights):
                return YIELDING
            node = street.want_link[node]
    before = roads.lanes[_last_before(me, roads)]
    if before.length < street.vehicles[v].length + _ROOM:
        return CLEAR  # between two halves of a junction, where it cannot wait: out of the way
    return CLEAR if _has_room(street, roads, v, lights) else NO_ROOM


@kernels.device
def keep_grant(street: Any, roads: Any, v: int, first_in_line: bool, lights: Ints) -> bool:
    """Whether a driver still before its stop line keeps what it was granted."""
    me, vehicle = street.drivers[v], street.vehicles[v]
    gap = line_gap(me, roads, 0.5 * vehicle.length)
    if gap < vehicle.speed * vehicle.speed / (2.0 * _FIRM):
        return True  # it could not stop any more
    return first_in_line and _light_of(me, roads, lights) == _GREEN


@kernels.device
def blocked_zone(street: Any, roads: Any, v: int, number: int, at: float) -> float:
    """Returns the gap to a conflict zone that somebody still fills, FAR when all are free [m].

    Those who were granted conflicting movements one after the other are kept apart by time;
    this holds when somebody was slower than expected.

    Args:
        street: see Street, located.
        roads: see Roads.
        v: slot of a driver that was granted its junction.
        number: the junction lane.
        at: where its centre is along it, negative before it [m].
    """
    half = 0.5 * street.vehicles[v].length
    lane, best = roads.lanes[number], FAR
    for r in range(lane.rival_first, lane.rival_first + lane.rival_count):
        rival = roads.rivals[r]
        gap = rival.begin - at - half
        if rival.sibling or gap < 0.0 or gap > best:
            continue
        node = street.want_head[rival.lane]
        while node >= 0:
            w = slot_of(street, node)
            place = way_place(street, node)
            reach = 0.5 * street.vehicles[w].length
            if w != v and place + reach > rival.other_begin and place - reach < rival.other_end:
                best = gap
            node = street.want_link[node]
    return best


@kernels.device
def merging_leader(street: Any, roads: Any, v: int, number: int, at: float) -> tuple[float, float]:
    """Finds whom a driver will follow where ways merge: the next nearer to the merge.

    Args:
        street: see Street, located.
        roads: see Roads.
        v: slot of a driver that was granted its junction.
        number: the junction lane.
        at: where its centre is along it, negative before it [m].

    Returns:
        Gap as if both drove on one lane [m], FAR when there is none; its speed [m/s].
    """
    drivers, n = street.drivers, len(street.vehicles)
    lane = roads.lanes[number]
    left = lane.length - at
    best, speed = FAR, 0.0
    for r in range(lane.rival_first, lane.rival_first + lane.rival_count):
        rival = roads.rivals[r]
        other = roads.lanes[rival.lane]
        if rival.sibling or roads.ways[other.way_first] != roads.ways[lane.way_first]:
            continue
        node = street.want_head[rival.lane]
        while node >= 0:
            w = slot_of(street, node)
            if w != v and (node >= n or drivers[w].granted):
                place = way_place(street, node)
                their_left = other.length - place
                reach = 0.5 * (street.vehicles[v].length + street.vehicles[w].length)
                gap = left - their_left - reach
                if (their_left < left or (their_left == left and w < v)) and gap < best:
                    best, speed = gap, street.vehicles[w].speed
            node = street.want_link[node]
    return best, speed
