"""How fast the ego may go among others: it follows, gives way, and goes where it is free.

Who is in the strip ahead is followed with the intelligent driver model (Treiber, Hennecke,
Helbing 2000), its braking bounded by what the constant-acceleration heuristic asks for
(Kesting, Treiber, Helbing 2010), so that a car cutting in causes no panic.

Everyone else is forecast. The ego's own plan, s(t) under the road's speeds and behind those
it follows, is held against the interval of s that each of them covers at each time t. Where
the ego has passed first, or comes after, by the gaps it insists on, it drives on. Else it
waits at the line of the junction that it has not entered yet, or keeps the largest constant
acceleration with which it stays behind the interval at all times.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from drive_il import kernels
from drive_il.actors import VehicleLight
from drive_il.datatypes import Floats, Ints, Records
from drive_il.experts.corridor import aside_on, find_nearest, overlap, walk
from drive_il.experts.neighbours import HAZARD, STEPS, Ways, behold, expect_halt, is_slow, roll

_SLOW = 2.5  # [m/s] below this someone ahead may be about to stop
_TIGHT = 1.0  # [m] with less it brakes hard, however fast the other goes
_CREEPS = 1.0  # [m/s] below this who is in the strip may stay there
WALKER_REACH = 10.0
"""walkers matter so far beyond the reach of the plan [m]"""
_MEETING = 0.5  # share of the usual time gaps that is kept from oncoming traffic
_SIREN = int(VehicleLight.SPECIAL1)
_SIGNS = (0, int(VehicleLight.LEFT_BLINKER), int(VehicleLight.RIGHT_BLINKER))
_HEIGHT = 3.0  # [m] others further above or below are on another road
_ROOM = 1.0  # [m] kept from the strip that another covers
_SETS_OUT = 0.3  # [m/s^2] one who stands and does this does not stay
_LATER = 0.3  # [s] for which a place counts as taken after another has covered it
_SQUEEZE, _SQUEEZE_TIME = 0.15, 0.05  # [m] kept beside who is passed at a walk, [s] its growth
_STANDS = 0.2  # [m/s] below this an actor stands
_HAND = 0.2  # [m] who stands before a line does not set out for less
_CLOSES_UP = 0.5  # [m] nor, who stands behind another, for a gap that is wider by less
_SAME_WAY = 0.7  # cosine of the angle up to which another runs the same way
_HELPS = 1.5  # [m/s^2] merging traffic brakes so much for who is before it
_WALKER_TIME = 4.8  # [s] for which a walker's forecast is good
_WALKER_ROOM = 0.6  # [m] kept beside a walker, in addition
_TOUCH = 0.1  # [m] so near beside the ego a walker is as good as run into it
_NEVER = math.inf

Desk: TypeAlias = tuple[Records, Records, Floats, Floats, Floats, Ints]
"""Scratch space: path; other vehicle; tail and speed of the nearest ahead at each step; own
plan; span; slot and nearest point of those who are to be judged, (2, V)."""


@kernels.device
def follow(config: np.record, speed: float, ahead: float, acceleration: float, gap: float) -> float:
    """Returns the acceleration that the gap to someone ahead permits [m/s^2].

    Args:
        config: CONFIG record.
        speed: of the ego [m/s].
        ahead: speed of the other along the ego's path, negative: it comes nearer [m/s].
        acceleration: of the other along that path [m/s^2].
        gap: bumper to bumper [m].
    """
    tight = min(max(1.0 - gap / _TIGHT, 0.0), 1.0)
    gap = max(gap, 0.05)
    closing = speed - ahead
    comfort = 2.0 * math.sqrt(config.max_acceleration * config.comfortable_braking)
    wish = config.standing_gap + max(0.0, speed * config.time_gap + speed * closing / comfort)
    wanted = config.max_acceleration * (1.0 - (wish / gap) * (wish / gap))
    if speed < _STANDS and abs(ahead) < _STANDS and gap < config.standing_gap + _CLOSES_UP:
        wanted = min(wanted, 0.0)
    if wanted > -config.comfortable_braking:
        return float(wanted)
    room = max(gap - 0.5 * config.standing_gap, 0.1)
    needed = 0.0
    braking = min(acceleration, 0.0)
    if ahead > 0.0 and ahead * closing <= -2.0 * room * braking:
        needed = speed * speed * braking / (ahead * ahead - 2.0 * room * braking)
    elif closing > 0.0:
        needed = braking - closing * closing / (2.0 * room)
    bound = min(-config.comfortable_braking, needed - 0.3)
    bound -= tight * (config.emergency_braking - config.comfortable_braking)
    return float(max(wanted, bound, -config.emergency_braking))


@kernels.device
def plan_ahead(config: np.record, plan: np.record, path: Records, lead: Floats, go: Floats) -> None:
    """Rolls the ego along its path behind those it follows.

    Args:
        config: CONFIG record.
        plan: PLAN record.
        path: PATH array.
        lead: tail [m], speed [m/s] of the nearest one ahead at each step, (STEPS + 1, 2).
        go: s of the ego's centre at each step [m], (STEPS + 1,), set.
    """
    s, speed, j, n, dt = plan.s, plan.speed, 0, plan.n, plan.dt
    for k in range(STEPS + 1):
        go[k] = s
        while j < n - 2 and path[j + 1].s <= s:
            j += 1
        # On the profile the acceleration is its slope, as that of the car.
        square = min(path[j].v2, path[j + 1].v2)
        halt = plan.halt_s - plan.half_length - s
        square = min(square, max(2.0 * config.braking * (halt - speed * dt), 0.0))
        wanted = (math.sqrt(square) - speed) / config.speed_time
        wanted = min(max(wanted, -config.max_braking), plan.most)
        if lead[k, 0] < _NEVER:
            gap = lead[k, 0] - s - plan.half_length
            wanted = min(wanted, follow(config, speed, lead[k, 1], 0.0, gap))
        after = max(speed + wanted * dt, 0.0)
        s += 0.5 * (speed + after) * dt
        speed = after


@kernels.device
def halting(config: np.record, plan: np.record, line_s: float) -> float:
    """Returns the acceleration with which the front comes to stand at a line [m/s^2]."""
    distance = line_s - plan.s - plan.half_length
    if plan.speed < _STANDS and distance < _HAND:
        return 0.0
    left = distance - plan.speed * config.speed_time
    target = math.sqrt(max(2.0 * config.braking * left, 0.0))
    wanted = (target - plan.speed) / config.speed_time
    # Later than the profile would have it, as much as it takes.
    if wanted < -config.braking and distance > 0.1:
        needed = -plan.speed * plan.speed / (2.0 * distance)
        wanted = max(wanted, min(needed, -config.braking))
    return float(max(wanted, -config.emergency_braking))


@kernels.device
def judge(
    config: np.record, plan: np.record, go: Floats, span: Floats, n_steps: int, walker: bool
) -> None:
    """Lowers the plan's ceiling for one whose forecast crosses, joins or meets the ego's path.

    Args:
        config: CONFIG record.
        plan: PLAN record, `ceiling` may be lowered.
        go: the ego's plan [m], (STEPS + 1,).
        span: first and last s covered at each step [m], cosine of its angle to the path then,
            (STEPS + 1, 3); first > last where it covers nothing. What does not matter is
            emptied.
        n_steps: steps that are known.
        walker: it is one.
    """
    room = _ROOM + (1.0 if walker else 0.0)
    nearest, k = _NEVER, 0
    while k < n_steps:
        begin = k
        while k < n_steps and span[k, 0] <= span[k, 1]:
            k += 1
        # In each visit to the strip the ego is before it all the time, or behind it.
        if k > begin:
            if _is_clear(config, plan, go, span, (begin, k), room, walker):
                for empty in range(begin, k):
                    span[empty, 0], span[empty, 1] = 1.0, 0.0
            else:
                for met in range(begin, k):
                    nearest = min(nearest, span[met, 0])
        k += 1
    if nearest == _NEVER:
        return
    if aside_on(plan, nearest):
        plan.conflict = True
    front = plan.s + plan.half_length
    if nearest > plan.line_s and front < plan.line_s + 0.5 and not walker:
        stop = plan.speed * plan.speed / (2.0 * config.firm_braking)
        if front + stop < plan.line_s + 0.5:
            plan.ceiling = min(plan.ceiling, halting(config, plan, plan.line_s))
            return
    plan.ceiling = min(plan.ceiling, _stay_behind(config, plan, span, n_steps, room))


@kernels.device
def _is_clear(
    config: np.record,
    plan: np.record,
    go: Floats,
    span: Floats,
    steps: tuple[int, int],
    room: float,
    walker: bool,
) -> bool:
    """Whether the ego's plan and another's visit to the strip keep clear of each other."""
    half, front = plan.half_length, plan.s + plan.half_length
    gap = (config.walker_gap if walker else config.gap_before) * plan.hurry
    wait = config.gap_behind
    if span[steps[0], 2] < -_SAME_WAY:  # it meets the ego: both are known to stay in their lane
        gap, wait = _MEETING * gap, _MEETING * wait
    early, late = int(gap / plan.dt + 0.5), int(wait / plan.dt + 0.5)
    behind = first = barely = True
    nearest, met = _NEVER, False
    for k in range(steps[0], steps[1]):
        if span[k, 1] < plan.s - half:
            continue
        met = True
        credit, lead_in = 0.0, 1.0
        if span[k, 2] > _SAME_WAY:  # it runs the ego's way, and would brake for it
            t = (k - steps[0]) * plan.dt
            credit, lead_in = 0.5 * _HELPS * t * t, 0.0
        nearest = min(nearest, span[k, 0])
        if go[min(k + late, STEPS)] + half > span[k, 0] - room:
            behind = False
        if go[max(k - early, 0)] - half < span[k, 1] - credit + lead_in:
            first = False
        if go[k] - half < span[k, 1] - credit:
            barely = False
    # It cannot stop short any more, but gets through.
    stop = plan.speed * plan.speed / (2.0 * config.emergency_braking)
    return not met or behind or first or (barely and front + stop > nearest)


@kernels.device
def _stay_behind(
    config: np.record, plan: np.record, span: Floats, n_steps: int, room: float
) -> float:
    """Returns the largest constant acceleration that stays behind a span at all times."""
    front, speed, least = plan.s + plan.half_length, plan.speed, _NEVER
    for k in range(1, n_steps):
        if span[k, 0] > span[k, 1] or span[k, 1] < plan.s - plan.half_length:
            continue
        t = k * plan.dt + _LATER
        way = span[k, 0] - room - front
        if way <= 0.0:
            return -float(config.emergency_braking)
        wanted = 2.0 * (way - speed * t) / (t * t)
        if wanted < 0.0 and speed + wanted * t < 0.0:
            wanted = -speed * speed / (2.0 * way)
        least = min(least, wanted)
    return float(max(least, -config.emergency_braking))


@kernels.device
def _clearance(config: np.record, plan: np.record) -> float:
    """Returns what it keeps from others beside it: slowly it squeezes past [m]."""
    return float(min(config.clearance, _SQUEEZE + _SQUEEZE_TIME * plan.speed))


@kernels.device
def _trace_vehicle(
    config: np.record,
    plan: np.record,
    path: Records,
    other: np.record,
    ways: Ways,
    hint: int,
    span: Floats,
) -> int:
    """Fills the span of a vehicle; returns how many steps are known."""
    half, near = plan.half_width + _clearance(config, plan), hint
    for k in range(STEPS + 1):
        near = walk(path, plan.n, near, other.x, other.y)
        p = path[near]
        span[k, 0], span[k, 1] = 1.0, 0.0
        if not _outside(path, plan.n, near, other):
            box = (other.x, other.y, other.cos, other.sin, other.half_length, other.half_width)
            first, last, _ = overlap(p, half, box)
            span[k, 0], span[k, 1] = first, last
            span[k, 2] = other.cos * p.tx + other.sin * p.ty
        before = other.speed
        if not roll(other, k, plan.dt, ways):
            return k + 1
        if before < _STANDS and other.speed < _STANDS:
            for rest in range(k + 1, STEPS + 1):
                for column in range(3):
                    span[rest, column] = span[k, column]
            return STEPS + 1
    return STEPS + 1


@kernels.device
def _outside(path: Records, n: int, i: int, other: np.record) -> bool:
    """Whether an actor is beyond the end of the path that it is nearest to."""
    if 0 < i < n - 1:
        return False
    p = path[i]
    along = (other.x - p.x) * p.tx + (other.y - p.y) * p.ty
    reach = other.half_length + _ROOM
    return bool(along < -reach if i == 0 else along > reach)


@kernels.device
def _follow_vehicle(
    config: np.record,
    plan: np.record,
    vehicle: np.record,
    place: tuple[int, float, float],
    lights: Ints,
    ways: Ways,
    desk: Desk,
) -> None:
    """Lowers the plan's ceiling for who is in the strip ahead, and notes where it will be.

    Args:
        config: CONFIG record.
        plan: PLAN record.
        vehicle: VEHICLE record; its forecast has been started.
        place: nearest point of the path, first s covered [m], cosine of the angle to the path.
        lights: LightState of each signal, (S,).
        ways: of the map.
        desk: scratch; the leaders on it are brought up to date.
    """
    path, other, lead, _, span, _ = desk
    near, first, c = place
    ahead = vehicle.speed * c
    gap = first - plan.s - plan.half_length
    allowed = follow(config, plan.speed, ahead, vehicle.acceleration * c, gap)
    plan.ceiling = min(plan.ceiling, allowed)
    expect_halt(config, plan, other[0], ways, lights)
    n = _trace_vehicle(config, plan, path, other[0], ways, near, span)
    for k in range(n):
        if span[k, 0] <= span[k, 1] and span[k, 0] < lead[k, 0]:
            lead[k, 0] = span[k, 0]
            lead[k, 1] = max(ahead, 0.0)
    _keep_clear(config, plan, first, ahead)


@kernels.device
def mind_vehicles(
    config: np.record,
    plan: np.record,
    vehicles: Records,
    slot: int,
    lights: Ints,
    ways: Ways,
    desk: Desk,
) -> None:
    """Lowers the plan's ceiling for the vehicles around.

    Args:
        config: CONFIG record.
        plan: PLAN record.
        vehicles: of the ego's world, (V,) VEHICLE.
        slot: which of them is the ego.
        lights: LightState of each signal, (S,).
        ways: of the map.
        desk: scratch, with the path laid; the ego's own plan is set.
    """
    path, others, lead, go, span, waiting = desk
    other, half, n_waiting = others[0], plan.half_width + _clearance(config, plan), 0
    for k in range(STEPS + 1):
        lead[k, 0] = _NEVER
    for v in range(len(vehicles)):
        vehicle = vehicles[v]
        if v == slot or vehicle.id == 0 or not concerns(plan, vehicle):
            continue
        if vehicle.lights & _SIREN and vehicle.speed > _CREEPS and _is_behind(plan, vehicle):
            continue  # it is let by
        near = find_nearest(path, plan.n, vehicle.x, vehicle.y)
        p = path[near]
        behold(vehicle, other, ways)
        box = (other.x, other.y, other.cos, other.sin, other.half_length, other.half_width)
        first, last, d = overlap(p, half, box)
        c = other.cos * p.tx + other.sin * p.ty
        if plan.passes and is_slow(vehicle) and abs(c) > _SAME_WAY:
            continue  # the path leads around it
        along = p.s + (vehicle.x - p.x) * p.tx + (vehicle.y - p.y) * p.ty
        crosses = vehicle.speed > _CREEPS and c < _SAME_WAY
        beside = along < plan.s and abs(d) > plan.half_width
        if first > last or crosses or beside or _outside(path, plan.n, near, other):
            if vehicle.speed > _STANDS or vehicle.acceleration > _SETS_OUT:
                waiting[0, n_waiting], waiting[1, n_waiting] = v, near
                n_waiting += 1
        elif along > plan.s:  # else it follows the ego
            _follow_vehicle(config, plan, vehicle, (near, first, c), lights, ways, desk)
    plan_ahead(config, plan, path, lead, go)
    for w in range(n_waiting):
        vehicle = vehicles[waiting[0, w]]
        # Who gives no sign may turn either way: that counts where the ego leaves its lane.
        for way in range(3 if plan.passes and vehicle.lights & HAZARD == 0 else 1):
            behold(vehicle, other, ways)
            other.lights |= _SIGNS[way]
            expect_halt(config, plan, other, ways, lights)
            n = _trace_vehicle(config, plan, path, other, ways, waiting[1, w], span)
            judge(config, plan, go, span, n, False)


@kernels.device
def _is_behind(plan: np.record, vehicle: np.record) -> bool:
    """Whether a vehicle comes from behind the ego's tail, the same way."""
    along = (vehicle.x - plan.x) * plan.cos + (vehicle.y - plan.y) * plan.sin
    same = math.cos(vehicle.heading) * plan.cos + math.sin(vehicle.heading) * plan.sin > _SAME_WAY
    return bool(same and along + 0.5 * vehicle.length < -plan.half_length)


@kernels.device
def concerns(plan: np.record, vehicle: np.record) -> bool:
    """Whether a vehicle could meet the ego within the forecast."""
    dx, dy = vehicle.x - plan.x, vehicle.y - plan.y
    reach = plan.reach + vehicle.speed * plan.dt * STEPS
    if dx * dx + dy * dy > reach * reach or abs(vehicle.z - plan.z) > _HEIGHT:
        return False
    if dx * plan.cos + dy * plan.sin > -_ROOM - plan.half_length:
        return True
    # Behind the ego, and going away or standing.
    going = dx * math.cos(vehicle.heading) + dy * math.sin(vehicle.heading)
    return bool(going < 0.0 and vehicle.speed > _STANDS)


@kernels.device
def _keep_clear(config: np.record, plan: np.record, first: float, ahead: float) -> None:
    """Waits before a junction that someone slow would not let it leave."""
    if plan.s + plan.half_length > plan.line_s + 0.5 or ahead > _SLOW:
        return
    if plan.entry_s - _ROOM < first < plan.exit_s + 2.0 * plan.half_length + config.standing_gap:
        plan.ceiling = min(plan.ceiling, halting(config, plan, plan.line_s))


@kernels.device
def mind_walkers(
    config: np.record, plan: np.record, path: Records, walkers: Records, go: Floats, span: Floats
) -> None:
    """Lowers the plan's ceiling for people on the road and those about to step on it.

    Args:
        config: CONFIG record.
        plan: PLAN record.
        path: PATH array, laid.
        walkers: of the ego's world, (P,) WALKER.
        go: the ego's plan [m], (STEPS + 1,).
        span: (STEPS + 1, 3), scratch.
    """
    reach = plan.reach + WALKER_REACH
    for w in range(len(walkers)):
        walker = walkers[w]
        dx, dy = walker.x - plan.x, walker.y - plan.y
        if walker.id == 0 or dx * dx + dy * dy > reach * reach:
            continue
        if abs(walker.z - plan.z) > _HEIGHT:
            continue
        near = find_nearest(path, plan.n, walker.x, walker.y)
        steps = _trace_walker(plan, path, walker, near, _WALKER_ROOM, span)
        if span[0, 0] > span[0, 1]:
            judge(config, plan, go, span, steps, True)
        elif span[0, 1] > plan.s + plan.half_length:
            gap = span[0, 0] - plan.s - plan.half_length
            p = path[near]
            along = math.cos(walker.heading) * p.tx + math.sin(walker.heading) * p.ty
            wanted = follow(config, plan.speed, walker.speed * along, 0.0, gap)
            plan.ceiling = min(plan.ceiling, wanted)
        elif span[0, 1] > plan.s - plan.half_length and walker.speed > _STANDS:  # beside it
            steps = _trace_walker(plan, path, walker, near, _TOUCH, span)
            if _would_touch(plan, go, span, steps):
                plan.ceiling = -config.emergency_braking


@kernels.device
def _trace_walker(
    plan: np.record, path: Records, walker: np.record, near: int, room: float, span: Floats
) -> int:
    """Fills the span of a walker who goes straight on; returns how many steps are known."""
    half = plan.half_width + room
    c, n, r = math.cos(walker.heading), math.sin(walker.heading), walker.radius
    steps = int(_WALKER_TIME / plan.dt) if walker.speed > _STANDS else 1
    for k in range(steps):
        way = walker.speed * k * plan.dt
        x, y = walker.x + c * way, walker.y + n * way
        near = walk(path, plan.n, near, x, y)
        p = path[near]
        first, last, _ = overlap(p, half, (x, y, c, n, r, r))
        along = (x - p.x) * p.tx + (y - p.y) * p.ty
        if (near == 0 and along < -_ROOM) or (near == plan.n - 1 and along > _ROOM):
            first, last = 1.0, 0.0
        span[k, 0], span[k, 1], span[k, 2] = first, last, 0.0
    return steps


@kernels.device
def _would_touch(plan: np.record, go: Floats, span: Floats, n_steps: int) -> bool:
    """Whether the ego, if it goes on as planned, is where another will be."""
    half = plan.half_length
    for k in range(n_steps):
        if span[k, 0] <= span[k, 1] and go[k] - half < span[k, 1] and go[k] + half > span[k, 0]:
            return True
    return False
