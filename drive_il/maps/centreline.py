"""From a chain of lanes to dense route points, lane changes blended.

CARLA's planner jumps sideways where it changes lane. Here the route moves over on a smooth
curve (the quintic 10 t^3 - 15 t^4 + 6 t^5, so heading and curvature are continuous), so that
the lateral error always refers to a path that a car can follow. The blend begins where the
change is first permitted and lasts 3 s at the speed limit, at least 15 m and at most 75 m, or
as long as marking and lanes allow.

Commands are CARLA's: LEFT, RIGHT or STRAIGHT for the whole passage of a junction, decided
from the direction on leaving it; CHANGELANELEFT or CHANGELANERIGHT along a blend; LANEFOLLOW
elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from drive_il.datatypes import ROUTE_POINT, Bools, Command, Floats, Ints, Records
from drive_il.geometry import arc_length, wrap_angle
from drive_il.maps.lane_graph import LEFT, LaneGraph

_CHANGE_TIME = 3.0  # [s] a comfortable lane change
_CHANGE_MIN = 15.0  # [m]
_CHANGE_MAX = 75.0  # [m]
_REACH = 120.0  # [m] how far along the road a lane change may be moved
_STRAIGHT = math.radians(35.0)  # a smaller turn than this is STRAIGHT, as in CARLA
_JOINT = 0.02  # [m] samples closer than this are the same place
_U_TURN = math.radians(170.0)  # beyond this a turn's sine does not tell its side
_FINE = 0.5  # [m] between samples of a blend
_SPACING = 1.0  # [m] between route points


@dataclass
class Column:
    """One road cross-section of the route: the lane it follows, more where it changes.

    Attributes:
        lanes: driven one after the other, each the neighbour of the one before.
        begin: where the route enters it, a fraction of its length.
        end: where the route leaves it, a fraction of its length.
    """

    lanes: list[int]
    begin: float = 0.0
    end: float = 1.0


@dataclass
class Change:
    """One lane change.

    Attributes:
        column: where the search put it.
        index: it leads from lanes[index] to lanes[index + 1] of that column.
        side: LEFT or RIGHT.
        after: column and fraction before which it should not begin (a keypoint).
        before: column and fraction by which it should end (a keypoint).
        pairs: column -> (from, to), wherever the two lanes run side by side.
        c0: where the blend begins, along the chain [m].
        c1: where it ends [m].
    """

    column: int
    index: int
    side: int
    after: tuple[int, float]
    before: tuple[int, float]
    pairs: dict[int, tuple[int, int]] = field(default_factory=dict)
    c0: float = 0.0
    c1: float = 0.0

    @property
    def command(self) -> Command:
        """The order that goes with it."""
        return Command.CHANGELANELEFT if self.side == LEFT else Command.CHANGELANERIGHT


def trace(graph: LaneGraph, columns: list[Column], changes: list[Change]) -> Records:
    """Turns a chain of columns into route points.

    Args:
        graph: the lanes.
        columns: what the route drives through, in order.
        changes: lane changes in order; their pairs and blends are filled in.

    Returns:
        (K,) ROUTE_POINT, evenly spaced by at most 1 m.
    """
    columns[-1].end = max(columns[-1].end, columns[-1].begin if len(columns) == 1 else 0.0)
    spans = [(column.end - column.begin) * graph.length[column.lanes[-1]] for column in columns]
    start = np.concatenate((np.zeros(1), np.cumsum(spans))).tolist()
    _place_changes(graph, columns, changes, start)
    commands = junction_commands(graph, columns)
    touching: dict[int, list[Change]] = {}
    for change in changes:
        for k in change.pairs:
            touching.setdefault(k, []).append(change)
    tables, lanes, orders, junctions = [], [], [], []
    for k, column in enumerate(columns):
        span = (start[k], start[k + 1])
        lane, active = _lane_and_blends(column, touching.get(k, []), k, span)
        if active:
            table, lane_of, order = _blended(graph, column, active, k, span)
        else:
            table = graph.stretch(lane, column.begin, column.end)
            lane_of, order = np.full(len(table), lane), np.full(len(table), int(commands[k]))
        tables.append(table)
        lanes.append(lane_of)
        orders.append(order)
        junctions.append(np.full(len(table), graph.junction[lane]))
    return _resampled(
        np.concatenate(tables),
        np.concatenate(lanes),
        np.concatenate(orders),
        np.concatenate(junctions),
    )


def junction_commands(graph: LaneGraph, columns: list[Column]) -> list[Command]:
    """Decides each column's command by CARLA's rule.

    A passage through a junction is STRAIGHT when the direction on leaving it differs by less
    than 35 degrees from that on entering; else LEFT when it turns further left than every other
    way through, RIGHT when further right; else whichever side it turns to. (So the leftmost of
    several right turns is LEFT, as in CARLA.) Within 10 degrees of a U-turn it is the side to which
    the way bends, where CARLA leaves it to rounding.
    """
    commands = [Command.LANEFOLLOW] * len(columns)
    k = 0
    while k < len(columns):
        if not graph.junction[columns[k].lanes[0]]:
            k += 1
            continue
        last = k
        while last + 1 < len(columns) and graph.junction[columns[last + 1].lanes[0]]:
            last += 1
        before = columns[k - 1].lanes[-1] if k > 0 else -1
        command = _turn(graph, before, [column.lanes[0] for column in columns[k : last + 1]])
        commands[k : last + 1] = [command] * (last + 1 - k)
        k = last + 1
    return commands


def _turn(graph: LaneGraph, before: int, way: list[int]) -> Command:
    """Returns the command for a way through a junction, entered from a lane (or -1)."""
    table, first = graph.table, graph.first
    came = float(table[graph.last[before] if before >= 0 else first[way[0]], 3])
    turn = wrap_angle(float(table[graph.last[way[-1]], 3]) - came)
    if abs(turn) < _STRAIGHT:
        return Command.STRAIGHT
    if abs(turn) > _U_TURN:  # its sine is noise; the side is the one it bends to
        bend = sum(float(table[graph.last[lane], 3] - table[first[lane], 3]) for lane in way)
        return Command.LEFT if bend > 0.0 else Command.RIGHT
    # CARLA compares sines: of the exit direction here, of the chords of the alternatives.
    sine = math.sin(turn)
    sines = []
    for lane in graph.successors[before] if before >= 0 else []:
        if lane != way[0]:
            dx, dy = table[graph.last[lane], :2] - table[first[lane], :2]
            sines.append(math.sin(math.atan2(dy, dx) - came))
    if sine > max(sines, default=0.0):
        return Command.LEFT
    if sine < min(sines, default=0.0):
        return Command.RIGHT
    return Command.LEFT if sine > 0.0 else Command.RIGHT


def _place_changes(
    graph: LaneGraph, columns: list[Column], changes: list[Change], start: list[float]
) -> None:
    """Fills in pairs and blends."""
    cursor = 0.0
    for number, change in enumerate(changes):
        low, high = _window(graph, columns, change, start)
        low = max(low, cursor)
        together = sum(other.column == change.column for other in changes[number:])
        lane = columns[change.column].lanes[change.index]
        speed = float(graph.table[graph.first[lane], 6])
        wanted = min(max(_CHANGE_TIME * speed, _CHANGE_MIN), _CHANGE_MAX)
        after = _place(graph, columns, start, change.after)
        before = _place(graph, columns, start, change.before)
        begin = min(max(low, after), high)
        end = max(min(high, before), begin)
        # Keypoints yield before the lane change becomes too sharp to drive.
        if end - begin < wanted * together:
            end = max(end, min(high, begin + wanted * together))
        if end - begin < wanted * together:
            begin = min(begin, max(low, end - wanted * together))
        change.c0 = begin
        change.c1 = begin + max(min(wanted, (end - begin) / together), 1e-3)
        cursor = change.c1


def _place(
    graph: LaneGraph, columns: list[Column], start: list[float], at: tuple[int, float]
) -> float:
    """Returns how far along the chain a fraction of a column lies [m]."""
    k, fraction = at
    return start[k] + (fraction - columns[k].begin) * graph.length[columns[k].lanes[-1]]


def _window(
    graph: LaneGraph, columns: list[Column], change: Change, start: list[float]
) -> tuple[float, float]:
    """Finds the stretch of the chain on which a lane change is permitted, and its pairs."""
    k, side = change.column, change.side
    column = columns[k]
    lane, other = column.lanes[change.index : change.index + 2]
    change.pairs[k] = (lane, other)
    run = graph.run[lane, side]
    low = _place(graph, columns, start, (k, max(run[0], column.begin)))
    high = _place(graph, columns, start, (k, min(run[1], column.end)))
    later = len(column.lanes) - 2 - change.index  # changes after this one, to the same side
    pair, j = (lane, other), k
    while run[1] >= 1.0 and j + 1 < len(columns) and high - start[k] < _REACH:
        to = columns[j + 1].lanes[0]
        for _ in range(later):
            to = graph.beside[to][1 - side] if to >= 0 else -1
        origin = graph.beside[to][1 - side] if to >= 0 else -1
        if to not in graph.successors[pair[1]] or origin not in graph.following(*pair, side):
            break
        j, pair, run = j + 1, (origin, to), graph.run[origin, side]
        change.pairs[j] = pair
        high = _place(graph, columns, start, (j, min(run[1], columns[j].end)))
    pair, j, run = (lane, other), k, graph.run[lane, side]
    while run[0] <= 0.0 and j > 0 and start[k] - low < _REACH and len(columns[j - 1].lanes) == 1:
        origin = columns[j - 1].lanes[0]
        for _ in range(change.index):  # changes before this one, to the same side
            origin = graph.beside[origin][side] if origin >= 0 else -1
        to = graph.neighbour.get((origin, side), -1)
        if to < 0 or pair[0] not in graph.following(origin, to, side):
            break
        run = graph.run[origin, side]
        if run[1] < 1.0:
            break
        j, pair = j - 1, (origin, to)
        change.pairs[j] = pair
        low = _place(graph, columns, start, (j, max(run[0], columns[j].begin)))
    return low, high


def _lane_and_blends(
    column: Column, changes: list[Change], k: int, span: tuple[float, float]
) -> tuple[int, list[Change]]:
    """Returns the lane on which a column begins and the blends that are under way in it."""
    lane, active = -1, []
    for change in changes:
        origin, to = change.pairs[k]
        if change.c1 <= span[0]:
            lane = to
        elif change.c0 >= span[1]:
            lane = origin if lane < 0 else lane
            break
        else:
            lane = origin if lane < 0 else lane
            active.append(change)
    return (column.lanes[0] if lane < 0 else lane), active


def _blended(
    graph: LaneGraph,
    column: Column,
    active: list[Change],
    k: int,
    span: tuple[float, float],
) -> tuple[Floats, Ints, Ints]:
    """Samples a column in which lane changes are under way.

    Returns:
        table: as `LaneGraph.table`, (n, 7).
        lane: the nearer lane at each sample, (n,).
        command: (n,).
    """
    n = max(2, math.ceil((span[1] - span[0]) / _FINE) + 1)
    fraction = np.linspace(column.begin, column.end, n)
    along = np.linspace(*span, n)
    rate = (span[1] - span[0]) / max(column.end - column.begin, 1e-9)  # d along / d fraction
    lane_of = np.full(n, active[0].pairs[k][0])
    command = np.full(n, int(Command.LANEFOLLOW))
    table, tangent = _lane_samples(graph, active[0].pairs[k][0], fraction)
    lowest, lowest_tangent = table, tangent
    for change in active:
        to = change.pairs[k][1]
        higher, higher_tangent = _lane_samples(graph, to, fraction)
        # Whole turns between the unwrapped headings of two lanes mean nothing.
        turns = np.round((higher[0, 3] - lowest[0, 3]) / (2.0 * math.pi))
        higher[:, 3] -= 2.0 * math.pi * turns
        length = change.c1 - change.c0
        t = np.clip((along - change.c0) / length, 0.0, 1.0)
        weight = (t**3 * (10.0 - 15.0 * t + 6.0 * t * t))[:, None]
        slope = (30.0 * t**2 * (1.0 - t) ** 2)[:, None] / length * rate
        gap = higher[:, :2] - lowest[:, :2]
        table = table + weight * (higher - lowest)
        tangent = tangent + weight * (higher_tangent - lowest_tangent) + slope * gap
        lane_of[weight[:, 0] >= 0.5] = to
        command[(along >= change.c0) & (along <= change.c1)] = int(change.command)
        lowest, lowest_tangent = higher, higher_tangent
    turn = wrap_angle(np.arctan2(tangent[:, 1], tangent[:, 0]) - table[:, 3])
    table[:, 3] += turn
    bend = np.gradient(table[:, 3], arc_length(table[:, :2])) if n > 2 else table[:, 4]
    table[:, 4] = bend
    return table, lane_of, command


def _lane_samples(graph: LaneGraph, lane: int, fraction: Floats) -> tuple[Floats, Floats]:
    """Samples one lane, and its tangent per fraction of the lane, (n, 7) and (n, 2) [m]."""
    table = graph.at(lane, fraction * graph.length[lane])
    direction = np.stack((np.cos(table[:, 3]), np.sin(table[:, 3])), axis=1)
    return table, direction * graph.length[lane]


def _resampled(table: Floats, lane: Ints, command: Ints, junction: Bools) -> Records:
    """Spaces the samples of a whole route evenly, (K,) ROUTE_POINT."""
    step = np.hypot(np.diff(table[:, 0]), np.diff(table[:, 1]))
    keep = np.concatenate((step > _JOINT, [True]))  # the end of a lane is the next one's begin
    table, lane, command, junction = table[keep], lane[keep], command[keep], junction[keep]
    s = arc_length(table[:, :2])
    n = math.ceil(s[-1] / _SPACING - 1e-9) + 1
    points = np.zeros(max(n, 2), ROUTE_POINT)
    points["s"] = np.linspace(0.0, s[-1], len(points))
    if len(s) < 2:
        return points
    table[:, 3] = np.unwrap(table[:, 3])
    low = np.clip(np.searchsorted(s, points["s"], side="right") - 1, 0, len(s) - 2)
    t = ((points["s"] - s[low]) / (s[low + 1] - s[low]))[:, None]
    mixed = table[low] * (1.0 - t) + table[low + 1] * t
    names = ("x", "y", "z", "heading", "curvature", "lane_width", "speed_limit")
    for name, values in zip(names, mixed.T, strict=True):
        points[name] = values
    points["heading"] = wrap_angle(points["heading"])
    points["lane"], points["command"], points["in_junction"] = (
        lane[low],
        command[low],
        junction[low],
    )
    return points
