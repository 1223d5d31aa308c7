"""Routes from sparse keypoints: snapping and A* over the lane graph.

A keypoint is snapped to the driving lanes around it. Where lanes overlap (in a junction) or
run close, several candidates are kept, and the cheapest way through one candidate of each
keypoint is the route, so a keypoint in the middle of a junction does not decide the turn.
Where the likely lanes cannot be joined, the other lanes within 10 m are tried: a keypoint
yields before a solid line is crossed.

The search is A* between consecutive keypoints. Following a lane costs its length; changing
into the neighbour where the marking permits costs a constant, more where little room is left.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import WEATHER, Floats, Ints, Records, Route
from drive_il.maps.centreline import Change, Column, trace
from drive_il.maps.lane_graph import LEFT, RIGHT, LaneGraph
from drive_il.maps.network import RoadNetwork
from drive_il.maps.stops import stops_along

SNAP_LIMIT = 10.0
"""[m] A keypoint further than this from every driving lane is an error."""

_SNAP_COST = 10.0  # [m of way per m] for a candidate away from its keypoint
_TURN_COST = 8.0  # [m of way per rad] against the heading: CARLA ignores it, so position wins
_TURN_FREE = math.radians(30.0)  # up to this angle a keypoint's heading is taken to agree
_HEIGHT_FREE = 2.0  # [m] files often give the height of the road only roughly
_RIVAL_COST = 10.0  # [m of way] candidates cost at most this more than the best one
_REACH = 5.5  # [m] how much further than the nearest lane a candidate may be
_CELL = SNAP_LIMIT + 1.0  # [m] so that the cells around a keypoint's hold all lanes in reach
_NOWHERE: Ints = np.zeros(0, np.int64)
_CHANGE_COST = 20.0  # [m of way] for one lane change
_CHANGE_ROOM = 10.0  # [m] a lane change on less is not planned
_ROOM_COST = 200.0  # [m of way times m] divided by the room for a lane change
_LATER_COST = 1e-4  # [m of way per m] makes the earlier of two equal lane changes the cheaper
_BACKWARD = 2.0  # [m] a keypoint this far behind its predecessor counts as the same place
_SLACK = 60.0  # [m of way] goals that cost this much more than the best are given up

Steps = list[tuple[int, bool]]
"""Lanes in order; True where a lane was entered by a lane change."""


@dataclass(frozen=True)
class Snap:
    """One lane place that a keypoint may mean.

    Attributes:
        lane: index of the driving lane.
        s: on that lane [m].
        distance: to the keypoint [m].
        cost: of choosing it [m of way].
    """

    lane: int
    s: float
    distance: float
    cost: float


@dataclass(frozen=True)
class _Leg:
    """The best way to one candidate of a keypoint."""

    cost: float
    previous: int  # candidate of the keypoint before, -1 at the start
    steps: Steps
    goal: Snap


class RoutePlanner:
    """Plans routes on one network; what it prepares serves any number of routes."""

    def __init__(self, network: RoadNetwork) -> None:
        self.network = network
        self.graph = LaneGraph(network)
        self._rows, self._lane_of_row = self.graph.driving_rows()
        if len(self._rows) == 0:
            raise ValueError(f"map {network.name} has no driving lanes to plan a route on")
        self._xy = self.graph.table[self._rows, :2]
        self._cells = _cells(self._xy)

    def plan(
        self,
        keypoints: Floats,
        headings: Floats | None = None,
        *,
        id: str = "route",
        weathers: Records | None = None,
        weather_at: Floats | None = None,
    ) -> Route:
        """Plans a route through keypoints.

        Args:
            keypoints: (N, 2 or 3) [m], N >= 2; z tells roads apart that cross over each other.
            headings: direction of travel at each keypoint, NaN where not known, (N,) [rad].
            id: the route's name.
            weathers: keyframes, (M,) WEATHER.
            weather_at: [%] of the route, (M,).

        Returns:
            A route with points about 1 m apart.

        Raises:
            ValueError: if a keypoint is no finite place, further than 10 m from every
                driving lane, or cannot be reached from the one before.
        """
        where = f"route {id} in {self.network.name}"
        keypoints = _checked(keypoints, where)
        headings = np.full(len(keypoints), np.nan) if headings is None else headings
        if len(headings) != len(keypoints):
            raise ValueError(
                f"{where} has {len(keypoints)} keypoints and {len(headings)} headings; "
                "expected one heading each, NaN where not known"
            )
        columns, changes = self._chain(self._search(where, keypoints, headings))
        points = trace(self.graph, columns, changes)
        if points["s"][-1] < 1.0:
            raise ValueError(
                f"{where} is {points['s'][-1]:.2f} m long; "
                "expected keypoints at least 1 m apart along their lanes"
            )
        return Route(
            id=id,
            town=self.network.name,
            points=points,
            keypoints=keypoints,
            weathers=np.zeros(0, WEATHER) if weathers is None else weathers,
            weather_at=np.zeros(0) if weather_at is None else weather_at,
            stops=stops_along(self.network, points),
        )

    def snap(self, keypoint: Floats, heading: float = math.nan) -> list[Snap]:
        """Returns the lane places that a keypoint may mean, the likeliest first.

        Args:
            keypoint: (2 or 3,) [m].
            heading: direction of travel, NaN when not known [rad].

        Returns:
            One candidate per lane; empty when no driving lane is within 10 m.
        """
        snaps = self._in_reach(keypoint, heading)
        return [snap for snap in snaps if snap.cost <= snaps[0].cost + _RIVAL_COST]

    def _in_reach(self, keypoint: Floats, heading: float, reach: float | None = None) -> list[Snap]:
        """Returns all candidates, the cheapest first."""
        xy = keypoint[:2]
        column, row = (int(i) for i in np.floor(xy / _CELL))
        near = np.concatenate(
            [
                self._cells.get((column + i, row + j), _NOWHERE)
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
            ]
        )
        distance = np.hypot(*(self._xy[near] - xy).T)
        if reach is None:
            reach = float(distance.min(initial=SNAP_LIMIT)) + _REACH
        # Lane points are 0.5 m apart, so a lane may be a little nearer than its points.
        close = distance <= min(reach, SNAP_LIMIT) + 0.3
        near, distance = near[close], distance[close]
        if len(near) == 0:
            return []
        rows, lanes = self._rows[near], self._lane_of_row[near]
        order = np.lexsort((distance, lanes))
        lanes, rows = lanes[order], rows[order]
        nearest = np.concatenate(([True], lanes[1:] != lanes[:-1]))
        height = float(keypoint[2]) if len(keypoint) > 2 else math.nan
        snaps = [
            self._on_lane(lane, row, (float(xy[0]), float(xy[1])), height, heading)
            for lane, row in zip(lanes[nearest].tolist(), rows[nearest].tolist(), strict=True)
        ]
        snaps = [snap for snap in snaps if snap.distance <= SNAP_LIMIT]
        return sorted(snaps, key=lambda snap: (snap.cost, snap.lane))

    def _on_lane(
        self, lane: int, row: int, xy: tuple[float, float], height: float, heading: float
    ) -> Snap:
        """Projects a keypoint onto a lane near its nearest point `row`."""
        graph = self.graph
        first, last = graph.first[lane], graph.first[lane] + graph.count[lane] - 1
        best, s = math.inf, 0.0
        for a in (row - 1, row):
            if not first <= a < last:
                continue
            (ax, ay), (bx, by) = graph.table[a : a + 2, :2].tolist()
            dx, dy, px, py = bx - ax, by - ay, xy[0] - ax, xy[1] - ay
            t = min(max((px * dx + py * dy) / max(dx * dx + dy * dy, 1e-12), 0.0), 1.0)
            gap = math.hypot(px - t * dx, py - t * dy)
            if gap < best:
                best, s = gap, float(graph.s[a] + t * (graph.s[a + 1] - graph.s[a]))
        cost = _SNAP_COST * best
        if not math.isnan(heading):
            angle = abs(math.remainder(float(graph.table[row, 3]) - heading, 2.0 * math.pi))
            cost += _TURN_COST * max(0.0, angle - _TURN_FREE)
        if not math.isnan(height):
            # A road on a flyover is not the road below it.
            step = abs(float(graph.table[row, 2]) - height)
            cost += _SNAP_COST * max(0.0, step - _HEIGHT_FREE)
        return Snap(lane, s, best, cost)

    def _search(self, where: str, keypoints: Floats, headings: Floats) -> list[_Leg]:
        """Returns the legs of the cheapest way through one candidate of each keypoint."""
        table: list[list[_Leg]] = []
        for index, keypoint in enumerate(keypoints):
            goals = self.snap(keypoint, headings[index])
            if not goals:
                raise ValueError(_too_far(where, index, keypoint, self._xy))
            if index == 0:
                table.append(_first_legs(goals))
                continue
            legs = self._next_legs(table[-1], goals)
            if not legs:
                # The likely lanes may lead elsewhere: try every lane in reach at both ends.
                goals = self._in_reach(keypoint, headings[index], SNAP_LIMIT)
                starts = self._in_reach(keypoints[index - 1], headings[index - 1], SNAP_LIMIT)
                wider = self._next_legs(table[-2], starts) if index > 1 else _first_legs(starts)
                legs = self._next_legs(wider, goals)
                table[-1] = wider
            if not legs:
                raise ValueError(
                    f"{where}: no way leads from keypoint {index - 1} at "
                    f"{_text(keypoints[index - 1])} to keypoint {index} at {_text(keypoint)}; "
                    "check on which side of the road they are"
                )
            table.append(legs)
        leg = min(table[-1], key=lambda leg: leg.cost)
        way = [leg]
        for legs in reversed(table[:-1]):
            way.append(legs[way[-1].previous])
        return way[::-1]

    def _next_legs(self, legs: list[_Leg], goals: list[Snap]) -> list[_Leg]:
        """Returns the best leg to each goal that can be reached within the slack."""
        if not legs:
            return []
        sources = [(leg.cost, leg.goal.lane, leg.goal.s) for leg in legs]
        return [
            _Leg(cost + goal.cost, source, steps, goal)
            for goal, found in zip(goals, self._astar(sources, goals), strict=True)
            for cost, source, steps in found
        ]

    def _astar(
        self, sources: Sequence[tuple[float, int, float]], goals: Sequence[Snap]
    ) -> list[list[tuple[float, int, Steps]]]:
        """Searches from several lane places to several.

        A node is a lane as entered at its beginning, or, with number
        n_lanes * (1 + source) + lane, a lane reached from a source by lane changes alone:
        that one is entered where the source is.

        Args:
            sources: (cost so far, lane, s) of each start.
            goals: where to go; not necessarily all are reached.

        Returns:
            For each goal nothing, or one (cost, index of the source, lanes).
        """
        graph, n = self.graph, len(self.graph.first)
        length, entry = graph.length, graph.entry
        fraction = [0.0] + [s / length[lane] for _, lane, s in sources]
        on_lane: dict[int, list[int]] = {}
        for number, goal in enumerate(goals):
            on_lane.setdefault(goal.lane, []).append(number)
        target = graph.near(goals[0].lane, goals[0].s)
        radius = 2.0 * SNAP_LIMIT + 2.0  # all goals lie this close to the target
        cost: dict[int, float] = {}
        parent: dict[int, tuple[int, bool]] = {}
        queue: list[tuple[float, int, float]] = []

        def push(node: int, lane: int, g: float, came: int, changed: bool) -> None:
            if g < cost.get(node, math.inf):
                cost[node], parent[node] = g, (came, changed)
                x, y = entry[lane]
                # Rounded lane ends leave gaps, so the way may be a little shorter than lanes are.
                h = 0.98 * math.hypot(x - target[0], y - target[1]) - radius
                heapq.heappush(queue, (g + max(0.0, h), node, g))

        for number, (g, lane, _) in enumerate(sources):
            push(n * (1 + number) + lane, lane, g - fraction[1 + number] * length[lane], -1, False)
        best: dict[int, tuple[float, int]] = {}
        bound = math.inf
        while queue:
            f, node, g = heapq.heappop(queue)
            if f > bound + _SLACK:
                break
            if g > cost[node]:
                continue
            group, lane = divmod(node, n)
            begin = fraction[group] * length[lane]
            for number in on_lane.get(lane, ()):
                s = goals[number].s
                if s < begin - (_BACKWARD if group else 0.0):
                    continue
                total = g + max(s, begin)
                if total < best.get(number, (math.inf, 0))[0]:
                    best[number] = (total, node)
                    bound = min(bound, total)
            for successor in graph.successors[lane]:
                push(successor, successor, g + length[lane], node, False)
            for other, low, high in graph.changes[lane]:
                room = high - max(begin, low)
                if room >= _CHANGE_ROOM:
                    price = _CHANGE_COST + _ROOM_COST / room + _LATER_COST * max(g, 0.0)
                    # Both lanes are entered at the same fraction: the difference in length
                    # up to there is not driven.
                    shift = fraction[group] * (length[lane] - length[other])
                    push(node - lane + other, other, g + price + shift, node, True)
        result: list[list[tuple[float, int, Steps]]] = [[] for _ in goals]
        for number, (total, node) in best.items():
            result[number] = [(total, *_backtrack(node, parent, n))]
        return result

    def _chain(self, way: list[_Leg]) -> tuple[list[Column], list[Change]]:
        """Joins the legs into one chain of columns, and lists the lane changes in it."""
        length = self.graph.length
        first = way[0].goal
        columns = [Column([first.lane], begin=first.s / length[first.lane])]
        changes: list[Change] = []
        for before, leg in zip(way[:-1], way[1:], strict=True):
            leg_begin = (len(columns) - 1, before.goal.s / length[before.goal.lane])
            new: list[Change] = []
            for lane, changed in leg.steps[1:]:
                if not changed:
                    columns.append(Column([lane]))
                    continue
                lanes, last = columns[-1].lanes, len(columns) - 1
                side = LEFT if self.graph.beside[lanes[-1]][LEFT] == lane else RIGHT
                new.append(Change(last, len(lanes) - 1, side, leg_begin, leg_begin))
                lanes.append(lane)
            leg_end = (len(columns) - 1, leg.goal.s / length[leg.goal.lane])
            for change in new:
                change.before = leg_end
            changes += new
        last_goal = way[-1].goal
        columns[-1].end = last_goal.s / length[last_goal.lane]
        return columns, changes


def _first_legs(starts: list[Snap]) -> list[_Leg]:
    return [_Leg(snap.cost, -1, [(snap.lane, False)], snap) for snap in starts]


def _backtrack(node: int, parent: dict[int, tuple[int, bool]], n: int) -> tuple[int, Steps]:
    """Returns the index of the source and the lanes on the way to a node."""
    steps: Steps = []
    while True:
        came, changed = parent[node]
        steps.append((node % n, changed))
        if came < 0:
            return node // n - 1, steps[::-1]
        node = came


def _checked(keypoints: Floats, where: str) -> Floats:
    keypoints = np.asarray(keypoints, np.float64)
    if keypoints.ndim != 2 or keypoints.shape[0] < 2 or keypoints.shape[1] not in (2, 3):
        raise ValueError(
            f"{where}: keypoints must have shape (N >= 2, 2 or 3), got {keypoints.shape}"
        )
    bad = ~np.isfinite(keypoints).all(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{where}: keypoint {row} is {_text(keypoints[row])}; expected numbers")
    return keypoints


def _cells(xy: Floats) -> dict[tuple[int, int], Ints]:
    """Sorts points into square cells, (N, 2) [m] -> indices of the points of each cell."""
    cell = np.floor(xy / _CELL).astype(np.int64)
    order = np.lexsort((cell[:, 1], cell[:, 0]))
    cell = cell[order]
    begins = np.flatnonzero(np.any(cell[1:] != cell[:-1], axis=1)) + 1
    groups = np.split(order, begins)
    keys = cell[np.concatenate(([0], begins))].tolist()
    return {(x, y): group for (x, y), group in zip(keys, groups, strict=True)}


def _too_far(where: str, index: int, keypoint: Floats, xy: Floats) -> str:
    distance = float(np.hypot(*(xy - keypoint[:2]).T).min())
    return (
        f"{where}: keypoint {index} at {_text(keypoint)} is {distance:.1f} m "
        f"from the nearest driving lane; expected at most {SNAP_LIMIT:g} m: move it onto a road "
        "of this map"
    )


def _text(keypoint: Floats) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in keypoint) + ")"
