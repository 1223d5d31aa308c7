"""When people may cross: lights, claims, and vehicles that could not stop any more.

At lights people start in the first seconds in which all who drive straight over the crosswalk
see red. Elsewhere they claim the crosswalk at once; when it has been claimed for long it stays
closed to newcomers for a while, so that drivers get their turn too. Who has waited for very
long goes by gaps alone, whatever the lights show.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.actors import LightState, Mover
from drive_il.datatypes import Ints, Records
from drive_il.sim.drivers import N_PATH, path_lane

CLAIM = 1
"""what `busy` holds for a crosswalk that people claim"""
_RED, _OFF = int(LightState.RED), int(LightState.OFF)
_TRAFFIC = int(Mover.TRAFFIC)
_KEPT_EVERY = 10  # steps
_START_IN_RED = 5.0  # [s] people do not start later than this
_MOST_BUSY = 25.0  # [s] in a row
_DRIVERS_TURN = 6.0  # [s]
_PATIENCE = 60.0  # [s] at a light that does not change
_PUSHY = 15.0  # [s] people who have waited for so long trust drivers to brake hard
_NEAR = 70.0  # [m] vehicles further off are not looked at
_STANDS = 0.3  # [m/s]
_BESIDE = 0.6  # [m] beside a vehicle where nobody wants to stand
_SOON = 1.2  # [s] people stop short of a vehicle that will pass before them by then

WALK = np.dtype(
    [
        ("path", "i4"),  # it is on
        ("forward", "?"),  # from its beginning to its end
        ("follows", "?"),  # it has a path at all
        ("jaywalks", "?"),  # crosses without regard
        ("turns", "?"),  # it aims in every step
        ("s", "f8"),  # [m] along the path, as one walks, of the point that is gone after
        ("offset", "f8"),  # [m] liked beside the middle, left positive as one walks
        ("aside", "f8"),  # [m] added to it to make room
        ("pace", "f8"),  # [m/s] liked
        ("tx", "f8"),  # direction of travel
        ("ty", "f8"),
        ("waited", "f8"),  # [s] at the kerb
        ("choices", "i4"),  # made so far
    ]
)
"""What one walker has in mind; parallel to WALKER."""

PASSAGE_STATE = np.dtype(
    [
        ("busy_for", "f8"),  # [s] claimed without a break
        ("closed_for", "f8"),  # [s] in which nobody new may claim it
        ("red_for", "f8"),  # [s] since all its lights turned red, 0: they have not
        ("lit", "?"),  # its lights run
    ]
)
"""What people know of one crosswalk."""


@kernels.device
def keep_passages(
    pavements: Any, busy: Ints, waits: Records, lights: Ints, step: int, dt: float
) -> None:
    """Brings what people know of the crosswalks of one world up to date, now and then."""
    if step % _KEPT_EVERY != 0:
        return
    time = _KEPT_EVERY * dt
    for c in range(len(waits)):
        state, passage = waits[c], pavements.passages[c]
        all_red, lit = True, False
        for k in range(passage.signal_first, passage.signal_first + passage.signal_count):
            light = lights[pavements.signals[k]]
            lit |= light != _OFF
            all_red &= light in (_RED, _OFF)
        state.lit = lit
        state.red_for = state.red_for + time if lit and all_red else 0.0
        if busy[c] == 0:
            state.busy_for = 0.0
            state.closed_for = max(state.closed_for - time, 0.0)
            continue
        state.busy_for += time
        if state.busy_for > _MOST_BUSY and not lit:
            state.busy_for, state.closed_for = 0.0, _DRIVERS_TURN


@kernels.inner
def may_claim(state: Any, walk: Any) -> bool:
    """Whether someone at the kerb may claim a crosswalk now."""
    if state.closed_for > 0.0:
        return False
    if state.lit and walk.waited < _PATIENCE:
        return 0.0 < state.red_for < _START_IN_RED
    return True


@kernels.inner
def _in_front(vehicle: Any, path: Any, points: Records) -> tuple[float, float]:
    """Where a crossing lies before a vehicle that goes straight on.

    Returns:
        From the vehicle's middle to the nearest and furthest place of the crossing within its
        width [m]; the first is the greater when it will not meet it.
    """
    a, b = points[path.first], points[path.first + path.count - 1]
    cos, sin = math.cos(vehicle.heading), math.sin(vehicle.heading)
    ax, ay, bx, by = a.x - vehicle.x, a.y - vehicle.y, b.x - vehicle.x, b.y - vehicle.y
    u0, v0 = cos * ax + sin * ay, cos * ay - sin * ax
    u1, v1 = cos * bx + sin * by, cos * by - sin * bx
    side = 0.5 * vehicle.width + _BESIDE
    low, high = 0.0, 1.0
    if abs(v1 - v0) < 1e-6:
        if abs(v0) > side:
            return 1.0, -1.0
    else:
        t0, t1 = (-side - v0) / (v1 - v0), (side - v0) / (v1 - v0)
        low, high = max(low, min(t0, t1)), min(high, max(t0, t1))
        if low > high:
            return 1.0, -1.0
    first, last = u0 + low * (u1 - u0), u0 + high * (u1 - u0)
    return min(first, last), max(first, last)


@kernels.inner
def _by_path(driver: Any, half: float, roads: Any, crosswalk: int) -> tuple[float, float]:
    """From a driver's bumpers to a crosswalk on its path.

    Returns:
        Front bumper to its beginning, rear bumper to its end [m]; (1, -1) when it is not there.
    """
    base = -driver.s
    for k in range(N_PATH + 1):
        number = path_lane(driver, k)
        if number < 0 or base > _NEAR:
            break
        lane = roads.lanes[number]
        for c in range(lane.crossing_first, lane.crossing_first + lane.crossing_count):
            crossing = roads.crossings[c]
            if crossing.crosswalk == crosswalk:
                return base + crossing.begin - half, base + crossing.end + half
        base += lane.length
    return 1.0, -1.0


@kernels.device
def is_clear(
    walker: Any,
    walk: Any,
    path: Any,
    points: Records,
    vehicles: Records,
    drivers: Records,
    roads: Any,
) -> bool:
    """Whether nobody is on a crosswalk or comes who could not stop before it.

    Args:
        walker: WALKER record of someone at its kerb.
        walk: WALK record.
        path: PATH record of the crosswalk.
        points: (N,) STEP.
        vehicles: (V,) VEHICLE.
        drivers: (V,) DRIVER.
        roads: see Roads.
    """
    pushy = walk.waited > _PUSHY
    for v in range(len(vehicles)):
        vehicle = vehicles[v]
        dx, dy = vehicle.x - walker.x, vehicle.y - walker.y
        if vehicle.id == 0 or dx * dx + dy * dy > _NEAR * _NEAR:
            continue
        if abs(vehicle.z - walker.z) > 3.0:
            continue
        speed, half = vehicle.speed, 0.5 * vehicle.length
        stands = speed < _STANDS
        near, far = _in_front(vehicle, path, points)
        over = near <= far and near - path.room < half and far + path.room > -half
        if over and not (stands and pushy):
            return False
        if stands:
            continue
        if vehicle.mover == _TRAFFIC:
            gap, left = _by_path(drivers[v], half, roads, path.crosswalk)
            # Drivers who could stop with 5 m/s^2 do, see `traffic`.
            if left > 0.0 and gap < speed * speed / 10.0 + 0.3 * speed + 1.5:
                return False
            continue
        gap = near - path.room - half
        brake, reaction = (6.0, 0.4) if pushy else (2.5, 1.0)
        if near <= far and gap > -half and gap < speed * (0.5 * speed / brake + reaction) + 1.0:
            return False
    return True


@kernels.device
def must_halt(walker: Any, walk: Any, vehicles: Records) -> bool:
    """Whether someone on the road stops short of a vehicle that is about to pass."""
    for v in range(len(vehicles)):
        vehicle = vehicles[v]
        dx, dy = walker.x - vehicle.x, walker.y - vehicle.y
        if vehicle.id == 0 or vehicle.speed < _STANDS or dx * dx + dy * dy > 900.0:
            continue
        cos, sin = math.cos(vehicle.heading), math.sin(vehicle.heading)
        u, side = cos * dx + sin * dy, cos * dy - sin * dx
        half, swath = 0.5 * vehicle.length, 0.5 * vehicle.width + walker.radius + 0.2
        if u < -half or abs(side) < swath:
            continue  # behind it, or before it already: on, quickly
        rate = (cos * walk.ty - sin * walk.tx) * walk.pace
        if rate * side >= 0.0:
            continue  # away from it
        rate, speed = abs(rate), vehicle.speed
        enters, leaves = (abs(side) - swath) / rate, (abs(side) + swath) / rate
        comes, passes = (u - half) / speed, (u + half) / speed
        # One who still has room to stop does.
        stops = u - half > speed * speed / 12.0 + 0.5 and (enters > 0.3 or comes > 1.0)
        if enters < _SOON and comes < leaves and passes > enters and not stops:
            return True
    return False


@kernels.device
def around_vehicles(
    walker: Any, walk: Any, path: Any, points: Records, vehicles: Records, dt: float
) -> bool:
    """Keeps someone on the road out of standing vehicles: along their sides, round the corner.

    Returns:
        Whether the walker was led round one.
    """
    a, b = points[path.first], points[path.first + path.count - 1]
    way = 1.0 if walk.forward else -1.0
    px, py = way * (b.x - a.x), way * (b.y - a.y)
    led = False
    for v in range(len(vehicles)):
        vehicle = vehicles[v]
        dx, dy = walker.x - vehicle.x, walker.y - vehicle.y
        reach = 0.5 * (vehicle.length + vehicle.width) + 1.0
        if vehicle.id == 0 or vehicle.speed > 1.0 or dx * dx + dy * dy > reach * reach:
            continue
        cos, sin = math.cos(vehicle.heading), math.sin(vehicle.heading)
        u, w = cos * dx + sin * dy, cos * dy - sin * dx
        deep_u = 0.5 * vehicle.length + walker.radius + 0.1 - abs(u)
        deep_w = 0.5 * vehicle.width + walker.radius + 0.1 - abs(w)
        if deep_u <= 0.0 or deep_w <= 0.0:
            continue
        led = True
        slide = walk.pace * dt
        if deep_u < deep_w:  # before or behind it: across
            u += deep_u if u >= 0.0 else -deep_u
            w += slide if cos * py - sin * px >= 0.0 else -slide
        else:  # beside it: to the nearer end
            w += deep_w if w >= 0.0 else -deep_w
            u += slide if u >= 0.0 else -slide
        walker.x = vehicle.x + cos * u - sin * w
        walker.y = vehicle.y + sin * u + cos * w
    return led
