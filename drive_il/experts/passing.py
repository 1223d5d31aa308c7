"""Moving over: around what stands in the lane, out of the way of an ambulance, into traffic.

An obstacle is a box that stands and will not go on by itself: a prop, a parked vehicle, one
with both indicators on. Obstacles one behind the other are passed as one, on the side that
asks least: within the lane, over the neighbouring lane of the same way, over the oncoming
one. What is remembered of a manoeuvre is where the ego is: beside its lane's centre it has
begun to pass what is beside or before it.
"""

from __future__ import annotations

import math

import numpy as np

from drive_il import kernels
from drive_il.actors import ActorKind, Mover, VehicleLight
from drive_il.datatypes import Records
from drive_il.experts.corridor import find_nearest, overlap
from drive_il.experts.neighbours import HAZARD, Ways, is_slow

PASSING_STEP = 0.35
"""step of the forecasts while it looks whether it can pass: further ahead [s]"""
_RAMP = 24.0  # [m] over which it moves over or back
_RAMP_TIME = 2.9  # [s] for that
_SHORT_RAMP, _LONG_RAMP = 8.0, 70.0  # [m] at least, to go back when slow; at most, between lanes
_AFTER = 1.0  # [m] behind its tail an obstacle must be before it moves back
_BEFORE = 1.5  # [m] ahead of its front where it has moved over
_TOGETHER = 22.0  # [m] obstacles nearer than this are passed as one
_AHEAD, _AHEAD_TIME = 60.0, 3.5  # [m] and [s] in which it looks for obstacles
_BEGUN = 0.25  # share of the way over that counts as begun
_SPARE = 0.05  # [m] of the clearance that is not given up
_BACK = 0.8  # of the way on which it is back in its lane
_EDGE = 0.2  # [m] kept from the edge of the road
_STANDS = 0.1  # [m/s]
_CREEPS = 3.0  # [m/s]
_ALONG = 0.7  # cosine of the angle to the road within which one rides along it
_COMES_IN, _LEFT_FREE = 3.5, 3.0  # [s] to come from behind and [m], nearer it is let by
_QUEUES = 12.0  # [m] behind an obstacle, within which who is slow stays as long as it does
_SIREN = int(VehicleLight.SPECIAL1)
_PROP, _BICYCLE = int(ActorKind.PROP), int(ActorKind.BICYCLE)
_NOBODY, _TRAFFIC = int(Mover.NOBODY), int(Mover.TRAFFIC)
_WAY_ON = 5.0  # [s] for which a slow one rides on while it is passed
_SIREN_BEHIND = 70.0  # [m]
_SIREN_FAR = 150.0  # [m] one that is known to want to pass is waited for, not run away from
_SIREN_RAMP = 35.0  # [m]
_SIREN_AHEAD = 25.0  # [m]
_SIREN_SPEED = 0.5  # of the limit
_THERE = 1.0  # [m] beside its lane's centre it is on its way into the lane there


@kernels.device
def is_obstacle(vehicle: np.record) -> bool:
    """Whether a vehicle stands and will not go on by itself, or is much slower than a car."""
    stays = vehicle.kind == _PROP or vehicle.mover == _NOBODY
    stays = stays or (vehicle.kind == _BICYCLE and vehicle.mover != _TRAFFIC)
    hazard = vehicle.lights & HAZARD == HAZARD or vehicle.lights & _SIREN != 0
    stands = vehicle.speed < _STANDS and (stays or hazard)
    return bool(vehicle.id != 0 and (stands or is_slow(vehicle)))


@kernels.device
def _queues(vehicle: np.record) -> bool:
    """Whether one of traffic is so slow that it comes to stand: behind an obstacle it stays."""
    return bool(vehicle.mover == _TRAFFIC and vehicle.speed < _CREEPS)


@kernels.device
def find_standing(vehicles: Records, slot: int) -> bool:
    """Whether anything but the ego stands somewhere and will not go on by itself."""
    found = False
    for v in range(len(vehicles)):
        found |= v != slot and is_obstacle(vehicles[v])
    return found


@kernels.device
def is_being_passed(plan: np.record, vehicle: np.record) -> bool:
    """Whether an obstacle is near enough to decide where beside its lane the ego drives."""
    dx, dy = vehicle.x - plan.x, vehicle.y - plan.y
    ahead = _ahead(plan)
    return bool(is_obstacle(vehicle) and dx * dx + dy * dy < ahead * ahead)


@kernels.device
def _room_beside(way: np.record, ways: Records, half: float) -> tuple[float, float, bool, bool]:
    """How far the ego's centre may go to the left and right of a lane's centre [m].

    Returns:
        Left, right (positive), and whether the lanes there run the same way.
    """
    left = right = 0.5 * way.width
    if way.left >= 0:
        left += ways[way.left].width
    if way.right >= 0:
        right += ways[way.right].width
    return left - half - _EDGE, right - half - _EDGE, way.left_same_way, way.right_same_way


@kernels.device
def _ahead(plan: np.record) -> float:
    """How far ahead it looks for obstacles [m]."""
    return float(_AHEAD + _AHEAD_TIME * plan.speed)


@kernels.device
def _ramp(plan: np.record, least: float, most: float) -> float:
    """Over how much of the road it moves over or back at its speed [m]."""
    return float(min(max(_RAMP_TIME * plan.speed, least), most))


@kernels.device
def find_obstacles(
    config: np.record, plan: np.record, path: Records, vehicles: Records, slot: int
) -> tuple[float, float, float, float]:
    """Finds the obstacles in the lane that the ego meets next, or has not left behind.

    Args:
        config: CONFIG record.
        plan: PLAN record.
        path: PATH array, laid on the route.
        vehicles: of the ego's world, (V,) VEHICLE.
        slot: which of them is the ego.

    Returns:
        First and last s of them (first > last: none), right and left edge [m] of what lies
        in the lane, left of the route positive.
    """
    half = plan.half_width + config.clearance
    first, last, right, left = math.inf, -math.inf, math.inf, -math.inf
    ahead, back = _ahead(plan), _ramp(plan, _RAMP, _LONG_RAMP)
    for grown in range(3):  # later ones join those found before
        for v in range(len(vehicles)):
            vehicle = vehicles[v]
            stays = is_obstacle(vehicle)
            if v == slot or vehicle.id == 0 or (not stays and (grown == 0 or not _queues(vehicle))):
                continue
            dx, dy = vehicle.x - plan.x, vehicle.y - plan.y
            if dx * dx + dy * dy > 4.0 * ahead * ahead:
                continue
            p = path[find_nearest(path, plan.n, vehicle.x, vehicle.y)]
            c, n = math.cos(vehicle.heading), math.sin(vehicle.heading)
            a, b = 0.5 * vehicle.length, 0.5 * vehicle.width
            begin, end, d = overlap(p, half, (vehicle.x, vehicle.y, c, n, a, b))
            if begin > end or abs(vehicle.z - plan.z) > 3.0:
                continue
            if vehicle.speed > _STANDS and abs(c * p.tx + n * p.ty) < _ALONG:
                continue  # it crosses
            if end < plan.s - plan.half_length - _AFTER - back or begin > plan.s + ahead:
                continue
            if grown == 0 and begin >= first:
                continue
            if not stays and not (first - _QUEUES < end and begin < first):
                continue
            if grown > 0 and not (first - _TOGETHER < end and begin < last + _TOGETHER):
                continue
            end += vehicle.speed * _WAY_ON
            wide = abs(a * (n * p.tx - c * p.ty)) + abs(b * (c * p.tx + n * p.ty))
            if grown == 0:
                first, last, right, left = begin, end, d - wide, d + wide
            else:
                first, last = min(first, begin), max(last, end)
                right, left = min(right, d - wide), max(left, d + wide)
    return first, last, right, left


@kernels.device
def _way_over(share: float) -> float:
    """Where on a ramp it has moved over by a share of the whole: 3 t^2 - 2 t^3 = share, t."""
    share = min(max(share, 0.0), 1.0)
    return 0.5 - math.sin(math.asin(1.0 - 2.0 * share) / 3.0)


@kernels.device
def move_over(
    config: np.record,
    plan: np.record,
    at: np.record,
    lane: int,
    is_one_lane: bool,
    ways: Ways,
    obstacles: tuple[float, float, float, float],
) -> bool:
    """Chooses the side on which obstacles are passed.

    Args:
        config: CONFIG record.
        plan: PLAN record; its shift is set.
        at: PROGRESS record.
        lane: of the route beside the obstacles.
        is_one_lane: the route does not change lanes before them.
        ways: of the map.
        obstacles: as `find_obstacles` returns them.

    Returns:
        Whether there is a way around.
    """
    first, last, right, left = obstacles
    over = plan.half_width + config.passing_clearance
    to_left, to_right = left + over, over - right
    own = 0.5 * at.lane_width - plan.half_width - _EDGE + 0.3
    room_left = room_right = own
    same_left = same_right = False
    centre_left = centre_right = 0.0
    if 0 <= lane < len(ways[0]):
        way = ways[0][lane]
        room_left, room_right, same_left, same_right = _room_beside(way, ways[0], plan.half_width)
        if same_left:
            centre_left = 0.5 * (way.width + ways[0][way.left].width)
        if same_right:
            centre_right = 0.5 * (way.width + ways[0][way.right].width)
    best, shift, changes = math.inf, 0.0, False
    for side in (1.0, -1.0):
        asked, room, same, centre = to_left, room_left, same_left, centre_left
        if side < 0.0:
            asked, room, same, centre = to_right, room_right, same_right, centre_right
        asked = max(asked, 0.0)
        if own < asked < own + config.passing_clearance - config.clearance - _SPARE:
            asked = own  # closer by, and within its lane
        if asked > room or (side < 0.0 and asked > own and not same):
            continue
        cost = asked
        over_there = asked > own
        if over_there:
            cost += 10.0 if same else 20.0
            asked = max(asked, min(centre, room))
        if at.lateral_error * side > _THERE:
            cost -= 15.0  # it is there already
        if cost < best:
            best, shift, changes = cost, side * asked, over_there and same
    if best == math.inf:
        return False
    plan.shift, plan.passes = shift, True
    up_to, down_from = first - plan.half_length - _BEFORE, last + plan.half_length + _AFTER
    ramp = _ramp(plan, _RAMP, _LONG_RAMP) if changes else _RAMP
    up_from = up_to - ramp
    if changes and is_one_lane:  # as soon as there is room, from where it is
        up_from = min(up_from, plan.s - ramp * _way_over(at.lateral_error / shift))
    plan.up_from, plan.up_to = up_from, up_from + ramp
    plan.down_from, plan.down_to = down_from, down_from + ramp
    plan.shift_v2 = math.inf
    if shift != 0.0:  # the ramp bends by 6 shift / length^2 at its ends
        plan.shift_v2 = config.passing_acceleration * ramp * ramp / (6.0 * abs(shift))
    side = 1.0 if shift > 0.0 else -1.0
    plan.committed = at.lateral_error * side > max(_BEGUN * abs(shift), 0.3)
    # As long as there is room to go back behind them it has not.
    plan.committed &= first < plan.s + plan.half_length + _BACK * plan.astray_for
    if plan.committed:  # slowly it can be back sooner
        plan.down_to = down_from + _ramp(plan, _SHORT_RAMP, ramp)
    return True


@kernels.device
def slow_for_shift(config: np.record, plan: np.record) -> float:
    """Returns the acceleration that moving over permits, infinite when it is over [m/s^2]."""
    if plan.shift == 0.0 or plan.s > plan.down_to:
        return math.inf
    left = max(plan.up_from - plan.s - plan.speed * config.speed_time, 0.0)
    top = math.sqrt(plan.shift_v2 + 2.0 * config.braking * left)
    return float(max((top - plan.speed) / config.speed_time, -config.max_braking))


@kernels.device
def _siren(plan: np.record, at: np.record, vehicles: Records, slot: int) -> float:
    """Returns how far ahead the emergency vehicle is that wants to pass, NaN when none [m]."""
    for v in range(len(vehicles)):
        vehicle = vehicles[v]
        if v == slot or vehicle.id == 0 or vehicle.lights & _SIREN == 0:
            continue
        known = vehicle.id == at.emergency  # wherever it is, and before it has set out
        if vehicle.speed < 1.0 and not known:
            continue
        dx, dy = vehicle.x - plan.x, vehicle.y - plan.y
        along, aside = dx * plan.cos + dy * plan.sin, dy * plan.cos - dx * plan.sin
        c = math.cos(vehicle.heading) * plan.cos + math.sin(vehicle.heading) * plan.sin
        in_lane = c > 0.7 and abs(aside + at.lateral_error) < 0.5 * at.lane_width + 1.0
        behind = _SIREN_FAR if known else _SIREN_BEHIND
        if (known or in_lane) and -behind < along < _SIREN_AHEAD:
            return float(along)
    return math.nan


@kernels.device
def let_pass(
    plan: np.record, at: np.record, lane: int, ways: Ways, vehicles: Records, slot: int
) -> float:
    """Moves over for an emergency vehicle from behind, and slows down.

    Into the lane to the right, else to the left, that runs the same way, and stays in the left
    one once it is there, even where a lane begins on the right; to the right edge of its own
    lane where there is none.

    Args:
        plan: PLAN record; its shift is set where there is one.
        at: PROGRESS record.
        lane: of the route.
        ways: of the map.
        vehicles: of the ego's world, (V,) VEHICLE.
        slot: which of them is the ego.

    Returns:
        Speed not to exceed, infinite where there is none [m/s].
    """
    along = _siren(plan, at, vehicles, slot)
    if math.isnan(along):
        return math.inf
    over = -edge_of(plan, at)
    if 0 <= lane < len(ways[0]):
        way = ways[0][lane]
        is_left = way.left_same_way and at.lateral_error > (_THERE if along < 0.0 else 0.0)
        if way.right_same_way and not is_left:
            over = -0.5 * (way.width + ways[0][way.right].width)
        elif way.left_same_way:
            over = 0.5 * (way.width + ways[0][way.left].width)
    near = min((along + _SIREN_BEHIND) / _SIREN_RAMP, (_SIREN_AHEAD - along) / _SIREN_AHEAD, 1.0)
    near = max(near, 0.0)
    plan.shift = over * near * near * (3.0 - 2.0 * near)
    plan.up_from, plan.up_to = plan.s - 2.0, plan.s - 1.0
    plan.down_from, plan.down_to = plan.s + 1000.0, plan.s + 1001.0
    plan.committed = abs(at.lateral_error) > 0.5 * abs(over)
    slow = _SIREN_SPEED * at.speed_limit
    if at.emergency == 0 or along > 0.0 or abs(over) <= edge_of(plan, at):
        slow += (1.0 - near) * 10.0  # only who has a lane to go to waits for one far behind
    plan.shift_v2 = slow * slow
    return float(slow)


@kernels.device
def edge_of(plan: np.record, at: np.record) -> float:
    """Returns how far from its lane's centre the ego can drive within the lane [m]."""
    return float(max(0.5 * at.lane_width - plan.half_width - 0.1, 0.0))


@kernels.device
def is_beside_road(plan: np.record, at: np.record, lane: int, ways: Ways) -> bool:
    """Whether the ego sets out from beside the road, where no lane runs."""
    if abs(plan.astray) < 0.5 * at.lane_width or plan.speed > _CREEPS:
        return False
    if lane < 0 or lane >= len(ways[0]):
        return False
    return bool((ways[0][lane].left if plan.astray > 0.0 else ways[0][lane].right) < 0)


@kernels.device
def let_by(
    config: np.record,
    plan: np.record,
    lane_width: float,
    path: Records,
    vehicles: Records,
    slot: int,
) -> None:
    """Waits beside the road for those who come from behind in the lane that the ego drives into.

    Args:
        config: CONFIG record.
        plan: PLAN record, `ceiling` may be lowered.
        lane_width: of that lane [m].
        path: PATH array, laid: behind the ego it runs as far beside the lane as the ego is.
        vehicles: of the ego's world, (V,) VEHICLE.
        slot: which of them is the ego.
    """
    for v in range(len(vehicles)):
        other = vehicles[v]
        if v == slot or other.id == 0 or other.speed < _STANDS or abs(other.z - plan.z) > 3.0:
            continue
        dx, dy = other.x - plan.x, other.y - plan.y
        both = plan.half_length + 0.5 * other.length
        reach = both + _LEFT_FREE + _COMES_IN * plan.hurry * other.speed
        if dx * dx + dy * dy > reach * reach + lane_width * lane_width:
            continue
        p = path[find_nearest(path, plan.n, other.x, other.y)]
        along = p.s + (other.x - p.x) * p.tx + (other.y - p.y) * p.ty - plan.s
        aside = (other.y - p.y) * p.tx - (other.x - p.x) * p.ty + plan.astray
        same = math.cos(other.heading) * p.tx + math.sin(other.heading) * p.ty > _ALONG
        if same and abs(aside) < 0.5 * lane_width and -reach < along < both:
            plan.ceiling = min(plan.ceiling, -float(config.comfortable_braking))
