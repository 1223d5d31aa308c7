"""The strip of road that the ego is about to drive over, and who is in it.

The path is the route from a little behind the ego to the end of what concerns it now, moved
aside where the ego passes an obstacle. Others are described in its coordinates: s along the
route, d left of the path, and the interval of s in which their box overlaps the strip.
"""

from __future__ import annotations

import math

import numpy as np

from drive_il import kernels
from drive_il.actors import LightState
from drive_il.datatypes import Records
from drive_il.experts.road_law import allowed
from drive_il.maps.network import SignalKind
from drive_il.maps.route_geometry import tangent, wrap

MAX_POINTS = 256
"""points of a path, about 1 m apart"""
_BEHIND = 40  # points of the route behind the ego
_MARGIN = 0.8  # [m] it halts so far before a stop line
_LOOK_AROUND = 0.5  # [s] for which it stands at a stop sign
_LINE_BEFORE = 20.0  # [m] a stop line so far before a junction belongs to it
_LINE_BEHIND = 3.0  # [m] or so little behind its edge
_TAIL = 1.8  # half lengths from the front to what must be past a line, as the leaderboard has it
_REAR = 1.2  # [m] behind that: its rear bumper and what the leaderboard adds
_YELLOW_LEFT = 1.5  # [s] for which a yellow light is trusted to stay that
_NEVER = math.inf
_LIGHT, _STOP, _YIELD = int(SignalKind.LIGHT), int(SignalKind.STOP), int(SignalKind.YIELD)
_RED, _YELLOW, _OFF = int(LightState.RED), int(LightState.YELLOW), int(LightState.OFF)

PATH = np.dtype(
    [
        ("x", "f8"),  # [m]
        ("y", "f8"),
        ("tx", "f8"),  # unit vector along the path
        ("ty", "f8"),
        ("s", "f8"),  # [m] along the route
        ("v2", "f8"),  # [m^2/s^2] squared speed that the road allows here, braking ahead in time
    ]
)
"""One point of the path."""

PLAN = np.dtype(
    [
        ("n", "i8"),  # points of the path
        ("s", "f8"),  # [m] the ego's centre along the route
        ("speed", "f8"),  # [m/s]
        ("half_length", "f8"),  # [m]
        ("half_width", "f8"),  # [m]
        ("dt", "f8"),  # [s] step of the forecasts
        ("reach", "f8"),  # [m] how far ahead others matter
        ("x", "f8"),  # the ego's pose
        ("y", "f8"),
        ("z", "f8"),
        ("cos", "f8"),
        ("sin", "f8"),
        ("hurry", "f8"),  # share of the usual time gaps that it insists on, in (0, 1]
        ("halt_s", "f8"),  # [m] its front must stand before this: light or sign
        ("most", "f8"),  # [m/s^2] it does not speed up faster
        ("shift", "f8"),  # [m] how far it moves over, left positive
        ("passes", "?"),  # around an obstacle
        ("up_from", "f8"),  # [m] s where moving over begins and where it is complete
        ("up_to", "f8"),
        ("down_from", "f8"),  # [m] s where moving back begins and where it is complete
        ("down_to", "f8"),
        ("shift_v2", "f8"),  # [m^2/s^2] squared speed not to exceed meanwhile
        ("committed", "?"),  # it has begun to move over
        ("astray", "f8"),  # [m] how far left of that line it is now
        ("astray_for", "f8"),  # [m] within which it is back there
        ("conflict", "?"),  # somebody is in the way of moving over
        ("entry_s", "f8"),  # [m] where the next junction begins; it is in it when behind
        ("exit_s", "f8"),  # [m] where that junction ends
        ("line_s", "f8"),  # [m] where it gives way to the traffic of that junction
        ("rank", "i8"),  # right of way there, see `rank_of`
        ("by_light", "?"),  # a light rules there
        ("heading", "f8"),  # [rad] when entering it
        ("turn", "f8"),  # [rad] heading when leaving it minus when entering
        ("ceiling", "f8"),  # [m/s^2] acceleration that the others permit
    ]
)
"""What is known about one ego's next seconds."""


@kernels.device
def shift_at(plan: np.record, s: float) -> tuple[float, float, float]:
    """Returns how far left of the route the path runs [m], its slope, its curvature [1/m]."""
    if plan.shift == 0.0 or s <= plan.up_from or s >= plan.down_to:
        return 0.0, 0.0, 0.0
    length, t = plan.up_to - plan.up_from, 1.0
    if s < plan.up_to:
        t = (s - plan.up_from) / length
    elif s > plan.down_from:
        length = plan.down_from - plan.down_to
        t = (s - plan.down_to) / length
    if t >= 1.0:
        return plan.shift, 0.0, 0.0
    slope = plan.shift * 6.0 * t * (1.0 - t) / length
    bend = plan.shift * (6.0 - 12.0 * t) / (length * length)
    return plan.shift * t * t * (3.0 - 2.0 * t), slope, bend


@kernels.device
def aside_on(plan: np.record, s: float) -> bool:
    """Whether the path runs beside the route at s, or moves over there."""
    return bool(plan.shift != 0.0 and plan.up_from < s < plan.down_to)


@kernels.device
def lay(
    config: np.record,
    plan: np.record,
    points: Records,
    low: int,
    high: int,
    index: int,
    path: Records,
) -> None:
    """Lays the path.

    Args:
        config: CONFIG record.
        plan: PLAN record, `n` is set.
        points: ROUTE_POINT array.
        low: first point of the route.
        high: last point of the route.
        index: last point passed.
        path: PATH array, filled.
    """
    i, n = max(low, index - _BEHIND), 0
    while i <= high and n < MAX_POINTS and points[i].s <= plan.s + plan.reach:
        a, p = points[i], path[n]
        dx, dy = tangent(points, low, high, i)
        scale = 1.0 / math.sqrt(dx * dx + dy * dy)
        p.tx, p.ty = dx * scale, dy * scale
        p.x, p.y, p.s = a.x, a.y, a.s
        p.v2 = allowed(config, a.curvature, a.speed_limit)
        if plan.astray != 0.0 or aside_on(plan, a.s):
            aside, slope, _ = shift_at(plan, a.s)
            t = min(max((a.s - plan.s) / plan.astray_for, 0.0), 1.0)
            aside += plan.astray * (1.0 - t * t * (3.0 - 2.0 * t))
            slope -= plan.astray * 6.0 * t * (1.0 - t) / plan.astray_for
            p.x -= aside * p.ty
            p.y += aside * p.tx
            scale = 1.0 / math.sqrt(1.0 + slope * slope)
            p.tx, p.ty = (p.tx - slope * p.ty) * scale, (p.ty + slope * p.tx) * scale
            if aside_on(plan, a.s):
                p.v2 = min(p.v2, plan.shift_v2)
        n += 1
        i += 1
    if i > high:
        path[n - 1].v2 = min(path[n - 1].v2, config.end_speed * config.end_speed)
    plan.n = n
    for j in range(n - 2, -1, -1):
        slack = 2.0 * config.braking * (path[j + 1].s - path[j].s)
        path[j].v2 = min(path[j].v2, path[j + 1].v2 + slack)


@kernels.device
def find_nearest(path: Records, n: int, x: float, y: float) -> int:
    """Returns the point of the path nearest to (x, y), looking at every part of it."""
    best, found = _NEVER, 0
    for i in range(0, n, 6):
        dx, dy = x - path[i].x, y - path[i].y
        away = dx * dx + dy * dy
        if away < best:
            best, found = away, i
    return walk(path, n, found, x, y)


@kernels.device
def walk(path: Records, n: int, i: int, x: float, y: float) -> int:
    """Walks from point i of the path to the locally nearest one."""
    dx, dy = x - path[i].x, y - path[i].y
    best = dx * dx + dy * dy
    for step in (1, -1):
        j = i + step
        while 0 <= j < n:
            dx, dy = x - path[j].x, y - path[j].y
            away = dx * dx + dy * dy
            if away > best:
                break
            best, i = away, j
            j += step
    return i


@kernels.device
def _edge(
    ps: float, pd: float, qs: float, qd: float, half: float, low: float, high: float
) -> tuple[float, float]:
    """Widens [low, high] by the part of the edge p-q that lies within |d| <= half."""
    if (pd > half and qd > half) or (pd < -half and qd < -half):
        return low, high
    t0, t1 = 0.0, 1.0
    rise = qd - pd
    if rise != 0.0:
        a, b = (-half - pd) / rise, (half - pd) / rise
        t0, t1 = max(t0, min(a, b)), min(t1, max(a, b))
    sa, sb = ps + t0 * (qs - ps), ps + t1 * (qs - ps)
    return min(low, sa, sb), max(high, sa, sb)


@kernels.device
def overlap(
    p: np.record, half: float, box: tuple[float, float, float, float, float, float]
) -> tuple[float, float, float]:
    """Finds the part of the strip that a box covers.

    Args:
        p: PATH record nearest to the box's centre.
        half: half the width of the strip [m].
        box: x, y, cosine and sine of its heading, half its length and half its width.

    Returns:
        First and last s of the overlap (first > last: there is none), and d of its centre [m].
    """
    x, y, cosine, sine, a, b = box
    dx, dy = x - p.x, y - p.y
    s, d = p.s + dx * p.tx + dy * p.ty, dy * p.tx - dx * p.ty
    c, n = cosine * p.tx + sine * p.ty, sine * p.tx - cosine * p.ty
    if abs(d) > half + abs(a * n) + abs(b * c):
        return 1.0, 0.0, d
    s1, d1 = s + a * c - b * n, d + a * n + b * c
    s2, d2 = s + a * c + b * n, d + a * n - b * c
    s3, d3 = s - a * c + b * n, d - a * n - b * c
    s4, d4 = s - a * c - b * n, d - a * n + b * c
    first, last = _NEVER, -_NEVER
    first, last = _edge(s1, d1, s2, d2, half, first, last)
    first, last = _edge(s2, d2, s3, d3, half, first, last)
    first, last = _edge(s3, d3, s4, d4, half, first, last)
    first, last = _edge(s4, d4, s1, d1, half, first, last)
    return first, last, d


@kernels.device
def rank_of(kind: int, state: int) -> int:
    """Returns the right of way at a stop line: 0 red, 1 stop sign, 2 yield sign, 3 no sign."""
    if kind == _STOP:
        return 1
    if kind == _YIELD:
        return 2
    return 0 if kind == _LIGHT and state in (_RED, _YELLOW) else 3


@kernels.device
def _time_over(config: np.record, speed: float, way: float) -> float:
    """Returns how long the ego takes for a way when it speeds up [s]."""
    a = config.max_acceleration
    return float((math.sqrt(speed * speed + 2.0 * a * way) - speed) / a)


@kernels.device
def mind_signal(config: np.record, plan: np.record, at: np.record) -> None:
    """Sets where the light or stop sign ahead makes the ego halt, infinite when nowhere.

    A yellow light is one to stop at as long as that can be done with firm braking. Over the
    line what counts is the tail: the ego goes on at yellow if it will soon be across, else it
    stays where it is until the light is green, as it does at red.
    """
    plan.halt_s = _NEVER
    distance = at.stop_distance - _MARGIN
    halts = False
    if at.stop_kind == _LIGHT and at.stop_light in (_RED, _YELLOW):
        room, binds = at.stop_distance, at.stop_light == _RED
        halts = True
        if room < 0.0:
            tail = room + _TAIL * plan.half_length
            halts = binds or _time_over(config, plan.speed, tail + _REAR) > _YELLOW_LEFT
            room, binds = max(tail - _MARGIN, 0.0), False
        if not binds:
            halts &= plan.speed * plan.speed <= 2.0 * config.firm_braking * room
    elif at.stop_kind == _STOP:
        halts = not at.stop_served
        if at.stop_served and 0.0 < at.standing < _LOOK_AROUND:
            halts, distance = True, 0.0
    if halts:
        plan.halt_s = plan.s + plan.half_length + distance


@kernels.device
def find_junction(
    plan: np.record,
    at: np.record,
    points: Records,
    low: int,
    high: int,
    stops: Records,
    first: int,
    count: int,
) -> None:
    """Sets the junction that the ego is in or comes to next, and its right of way there."""
    plan.entry_s = plan.exit_s = plan.line_s = _NEVER
    plan.rank, plan.by_light, plan.heading, plan.turn = 3, False, 0.0, 0.0
    i = low + at.index
    if not points[i].in_junction:
        while i <= high and not points[i].in_junction:
            if points[i].s > plan.s + plan.reach:
                return
            i += 1
        if i > high:
            return
    entry = i
    while entry > low and points[entry - 1].in_junction:
        entry -= 1
    leave = i
    while leave < high and points[leave].in_junction:
        leave += 1
    entry_s, heading = float(points[entry].s), float(points[max(entry - 1, low)].heading)
    plan.entry_s, plan.exit_s, plan.line_s = entry_s, points[leave].s, entry_s - 1.0
    plan.heading, plan.turn = heading, wrap(points[leave].heading - heading)
    for k in range(first, first + count):
        stop = stops[k]
        if entry_s - _LINE_BEFORE < stop.s < entry_s + _LINE_BEHIND:
            plan.line_s = min(stop.s - _MARGIN, entry_s - 1.0)
            plan.by_light = stop.kind == _LIGHT and at.stop_light != _OFF
            plan.rank = rank_of(stop.kind, _OFF)
            return
