"""Those at the wheel of traffic: what each keeps in mind, and who is where.

A driver follows a chain of lanes. `Street` gathers one world's arrays for a step; `locate`
lists who is on which lane and who has which movement of a junction in mind, so that all later
questions look at few vehicles.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from drive_il import kernels
from drive_il.actors import Mover
from drive_il.datatypes import Ints, Records

N_PATH = 3
"""lanes a driver has chosen beyond the present one"""
TRAFFIC, NOBODY = int(Mover.TRAFFIC), int(Mover.NOBODY)
CLEAR, BEHIND, RED, YIELDING, NO_ROOM, WALKER_AHEAD = range(6)
"""what a driver waits for: nothing, a vehicle, a light, others' way, room to leave, a walker"""

DRIVER = np.dtype(
    [
        ("lane", "i4"),  # it follows
        ("from_lane", "i4"),  # it is leaving in a lane change, -1
        ("next_lane", "i4"),  # it has decided to change into, -1
        ("s", "f8"),  # [m] of its centre on the lane
        ("offset", "f8"),  # [m] left of the lane's middle
        ("change", "f8"),  # [s] into a lane change
        ("change_from", "f8"),  # [m] offset at its beginning
        ("before", "i4"),  # lane it came from, -1: not known
        ("path0", "i4"),  # lanes to follow, -1: not chosen yet
        ("path1", "i4"),
        ("path2", "i4"),
        ("choices", "i4"),  # made so far
        ("want", "i4"),  # junction lane it will enter next, -1
        ("want_s", "f8"),  # [m] of its centre along that lane: negative
        ("granted", "?"),  # it may pass that junction
        ("tail", "i4"),  # junction lane that it, or still its tail, is on, -1
        ("tail_s", "f8"),  # [m] of its centre along that lane
        ("halted", "?"),  # it has halted at the stop sign ahead
        ("waited", "f8"),  # [s] since it last moved
        ("reason", "i4"),  # what it waits for
        ("leader", "i4"),  # slot of the vehicle it follows, -1
        ("temper", "f8"),  # speed it likes as a share of what is allowed
        ("headway", "f8"),  # [s] time gap it keeps
        ("top_speed", "f8"),  # [m/s] of its vehicle
        ("eager", "f8"),  # [m/s^2] acceleration it likes
        ("polite", "f8"),  # MOBIL's p
        ("acceleration", "f8"),  # [m/s^2] decided in this step
    ]
)
"""Mind and place of one driver, one per vehicle slot; of others only the places are used."""


_OFF_ROUTE = 4.0  # [m] an ego further beside its route has none that others could reckon with
_NOTICE = 80.0  # [m] ahead of an ego within which its next junction is noted


class Street(NamedTuple):
    """One world in one step, and scratch that is clean between worlds.

    Attributes:
        vehicles: (V,) VEHICLE.
        drivers: (V,) DRIVER.
        head: first node on each lane, -1; node v is vehicle v, node V + v the same vehicle
            on the lane that it is leaving or about to enter; (L,).
        link: next node, (2 V,).
        want_head: first node that has a junction lane in mind; node V + v is on it already,
            or its tail is; (L,).
        want_link: next node, (2 V,).
        foreign: vehicles that do not follow traffic's rules but may be in the way, (V,).
        n_foreign: how many, (1,).
        grip: largest acceleration that tyres give [m/s^2].
        care: by how much of their usual distance drivers fall back for it, >= 1.
    """

    vehicles: Records
    drivers: Records
    head: Ints
    link: Ints
    want_head: Ints
    want_link: Ints
    foreign: Ints
    n_foreign: Ints
    grip: float
    care: float


@kernels.inner
def path_lane(driver: Any, k: int) -> int:
    """Returns the lane k lanes ahead of a driver's, k in [0, N_PATH]; -1 where not chosen."""
    if k == 0:
        return driver.lane
    if k == 1:
        return driver.path0
    return driver.path1 if k == 2 else driver.path2


@kernels.inner
def slot_of(street: Any, node: int) -> int:
    """Returns the slot of the vehicle that a node of any list stands for."""
    n = len(street.vehicles)
    return node if node < n else node - n


@kernels.inner
def way_place(street: Any, node: int) -> float:
    """Returns where the centre of a node's vehicle is along the junction lane it is listed at."""
    driver = street.drivers[slot_of(street, node)]
    return driver.want_s if node < len(street.vehicles) else driver.tail_s


@kernels.inner
def left_of(point: Any, x: float, y: float) -> float:
    """Returns how far left of a lane's middle a place beside one of its points is [m]."""
    return math.cos(point.heading) * (y - point.y) - math.sin(point.heading) * (x - point.x)


@kernels.inner
def place_on(street: Any, roads: Any, number: int, node: int) -> float:
    """Returns where on a lane a node of its list is [m]; lanes side by side differ in length."""
    driver = street.drivers[slot_of(street, node)]
    if driver.lane == number:
        return driver.s
    return driver.s * roads.lanes[number].length / roads.lanes[driver.lane].length


@kernels.inner
def enter(head: Ints, link: Ints, lane: int, node: int) -> None:
    """Puts a node at the head of a lane's list."""
    link[node] = head[lane]
    head[lane] = node


@kernels.device
def locate(street: Any, roads: Any) -> None:
    """Fills the lists of a street.

    Args:
        street: see Street; lists empty.
        roads: see Roads.
    """
    vehicles, drivers, lanes = street.vehicles, street.drivers, roads.lanes
    n, n_foreign = len(vehicles), 0
    for v in range(n):
        vehicle, driver = vehicles[v], drivers[v]
        if vehicle.id == 0:
            continue
        if vehicle.mover != TRAFFIC:
            if vehicle.lane >= 0 or vehicle.mover != NOBODY:
                street.foreign[n_foreign] = v
                n_foreign += 1
        else:
            enter(street.head, street.link, driver.lane, v)
            if driver.from_lane >= 0:
                enter(street.head, street.link, driver.from_lane, n + v)
            _foresee(driver, lanes)
        if driver.want >= 0:
            enter(street.want_head, street.want_link, driver.want, v)
        if driver.tail >= 0:
            enter(street.want_head, street.want_link, driver.tail, n + v)
    street.n_foreign[0] = n_foreign


@kernels.inner
def _foresee(driver: Any, lanes: Records) -> None:
    """Sets which junction lane a driver is on, which it comes to next, and where it is on both."""
    if lanes[driver.lane].junction >= 0:
        driver.tail = driver.lane
        driver.tail_s = driver.s
    left = lanes[driver.lane].length - driver.s
    for k in range(1, N_PATH + 1):
        lane = path_lane(driver, k)
        if lane < 0:
            break
        if lanes[lane].junction >= 0:
            if driver.want != lane:
                driver.granted = False
                driver.halted = False
            driver.want = lane
            driver.want_s = -left
            return
        left += lanes[lane].length
    driver.want = -1
    driver.granted = False


@kernels.device
def clear(street: Any) -> None:
    """Empties the lists of a street again, in the time that the vehicles take."""
    drivers = street.drivers
    for v in range(len(street.vehicles)):
        driver = drivers[v]
        if street.vehicles[v].id == 0:
            continue
        if driver.lane >= 0:
            street.head[driver.lane] = -1
        if driver.from_lane >= 0:
            street.head[driver.from_lane] = -1
        if driver.next_lane >= 0:
            street.head[driver.next_lane] = -1
        if driver.want >= 0:
            street.want_head[driver.want] = -1
        if driver.tail >= 0:
            street.want_head[driver.tail] = -1


@kernels.device
def note_ego(
    driver: Any, ego: Any, progress: Any, points: Records, first: int, count: int, lanes: Records
) -> None:
    """Notes which movement of a junction an ego is in or comes to, by its route.

    Args:
        driver: DRIVER record of its slot.
        ego: VEHICLE record.
        progress: PROGRESS record.
        points: all ROUTE_POINTs.
        first: first point of its route.
        count: number of them.
        lanes: (L,) ROAD.
    """
    driver.want, driver.tail, driver.granted = -1, -1, False
    if abs(progress.lateral_error) > _OFF_ROUTE:
        return
    i, last = first + progress.index, first + count - 1
    while i < last and points[i].s - progress.s < _NOTICE and not points[i].in_junction:
        i += 1
    point = points[i]
    if not point.in_junction or point.lane < 0 or lanes[point.lane].junction < 0:
        return
    begin = i
    while begin > first and points[begin - 1].lane == point.lane:
        begin -= 1
    at = progress.s - points[begin].s
    if at + 0.5 * ego.length > 0.0:
        driver.tail, driver.tail_s = point.lane, at
    else:
        driver.want, driver.want_s = point.lane, at
    driver.waited = progress.standing
