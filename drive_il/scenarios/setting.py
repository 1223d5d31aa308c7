"""Where a scenario takes place: what lies along and beside the ego's route, as paths.

All paths are rows x, y, z, heading, about 1 m apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from drive_il.actors import ScenarioSpec
from drive_il.datatypes import Floats, Route
from drive_il.geometry import project, wrap_angle
from drive_il.maps.lane_graph import LaneGraph
from drive_il.maps.network import LaneType, RoadNetwork
from drive_il.maps.planning import RoutePlanner

_STRAIGHT = math.radians(35.0)
_MEETS = 1.5  # [m] ways that come so close meet
_PARKS_IN = 1.8  # [m] wide, at least, a lane to park in is
_SPREAD = 12.0  # [m] roads further from the ego's lane than this are not its own


class Misfit(ValueError):
    """A scenario cannot take place where it is declared."""


graph_of = lru_cache(maxsize=8)(LaneGraph)
"""The graph of a network (remembered)."""
planner_of = lru_cache(maxsize=8)(RoutePlanner)
"""The planner of a network (remembered)."""


@dataclass(frozen=True)
class Junction:
    """One junction on the ego's route.

    Attributes:
        begin_s: where the route enters it [m].
        end_s: where the route has left it [m].
        lane: the junction lane that the route enters by.
        number: OpenDRIVE id.
    """

    begin_s: float
    end_s: float
    lane: int
    number: int


class Setting:
    """One scenario's place on one route.

    Args:
        network: the map.
        route: the ego's.
        spec: what is declared.
        s: of the trigger on the route [m].
    """

    def __init__(self, network: RoadNetwork, route: Route, spec: ScenarioSpec, s: float) -> None:
        self.network, self.route, self.spec, self.s = network, route, spec, s
        self.graph = graph_of(network)

    def misfit(self, what: str) -> Misfit:
        """Returns the error that says why the scenario cannot take place here."""
        spec = self.spec
        return Misfit(
            f"scenario {spec.name} of type {spec.type} at ({spec.x:.1f}, {spec.y:.1f}) on route "
            f"{self.route.id!r}: {what}; move its trigger point or give the route another type"
        )

    def _row(self, s: float) -> int:
        return int(np.clip(np.searchsorted(self.route.points["s"], s) - 1, 0, self._last - 1))

    @property
    def _last(self) -> int:
        return len(self.route.points) - 1

    def lane(self, s: float) -> int:
        """Returns the lane of the route at s."""
        return int(self.route.points["lane"][self._row(s)])

    def limit(self, s: float) -> float:
        """Returns the speed limit at s [m/s]."""
        return float(self.route.points["speed_limit"][self._row(s)])

    def width(self, s: float) -> float:
        """Returns the width of the ego's lane at s [m]."""
        return float(self.route.points["lane_width"][self._row(s)])

    def inside(self, s: float) -> bool:
        """Returns whether the route is in a junction at s."""
        return bool(self.route.points["in_junction"][self._row(s)])

    def open_until(self, s: float, reach: float) -> float:
        """Returns how far the road goes on from s without a junction, at most `reach` m."""
        points = self.route.points
        ahead = points[(points["s"] > s) & points["in_junction"]]
        return float(min(s + reach, ahead["s"][0] if len(ahead) else s + reach))

    def along(self, begin: float, end: float, left: float = 0.0, step: float = 1.0) -> Floats:
        """Returns the ego's way between two places, `left` of the middle, (N, 4).

        Beyond the ends of the route it goes straight on.
        """
        s = np.linspace(begin, end, max(int(abs(end - begin) / step) + 1, 2))
        return self.at(s, left)

    def at(self, s: Floats | float, left: Floats | float = 0.0) -> Floats:
        """Returns places on the route, `left` of its middle, (N, 4)."""
        points = self.route.points
        s = np.atleast_1d(np.asarray(s, float))
        heading = np.unwrap(points["heading"])
        table = [np.interp(s, points["s"], points[name]) for name in ("x", "y", "z")]
        angle = np.interp(s, points["s"], heading)
        beyond = np.minimum(s, 0.0) + np.maximum(s - points["s"][-1], 0.0)
        x = table[0] + beyond * np.cos(angle) - left * np.sin(angle)
        y = table[1] + beyond * np.sin(angle) + left * np.cos(angle)
        return np.stack((x, y, table[2], wrap_angle(angle)), axis=1)

    def junction(self, reach: float = 120.0) -> Junction:
        """Returns the first junction of the route after the trigger.

        Raises:
            Misfit: there is none within reach.
        """
        points = self.route.points
        inside = points["in_junction"]
        i = self._row(self.s)
        while i < self._last and inside[i]:  # the trigger may lie in the one before
            i += 1
        while i < self._last and not inside[i]:
            i += 1
        if not inside[i] or points["s"][i] > self.s + reach:
            raise self.misfit(f"no junction lies on the route within {reach:g} m of its trigger")
        j = i
        while j < self._last and inside[j]:
            j += 1
        lane = int(points["lane"][i])
        number = int(self.network.lanes["junction"][lane])
        return Junction(float(points["s"][i]), float(points["s"][j]), lane, number)

    def neighbours(self, s: float, left: bool) -> list[tuple[int, float]]:
        """Returns the lanes beside the ego's, from near to far: index, and width [m]."""
        lanes = self.network.lanes
        lane, place = self.lane(s), self.at(s)[0]
        found: list[tuple[int, float]] = []
        to_left, seen = left, {lane}
        while True:
            other = int(lanes["left" if to_left else "right"][lane])
            if other < 0 or other in seen:
                return found
            if not lanes["left_same_way" if to_left else "right_same_way"][lane]:
                to_left = not to_left  # it points at us: its right is our left
            seen.add(other)
            found.append((other, self.width_of(other, place)))
            lane = other

    def width_of(self, lane: int, place: Floats) -> float:
        """Returns a lane's width beside a place [m]."""
        one = self.network.lanes[lane]
        points = self.network.points[one["first"] : one["first"] + one["count"]]
        near = np.hypot(points["x"] - place[0], points["y"] - place[1]).argmin()
        return float(points["width"][near])

    def edge(self, s: float, left: bool = False) -> float:
        """Returns how far beside the middle of the ego's lane people walk [m]."""
        total = 0.5 * self.width(s)
        for lane, width in self.neighbours(s, left):
            if self.network.lanes["type"][lane] == LaneType.SIDEWALK or total + width > _SPREAD:
                break
            total += width
        return total

    def parking(self, s: float) -> float:
        """Returns how far right of the ego's middle a parked car stands [m].

        Where there is no lane to park in, half of it is beside the road.
        """
        found = self.parking_lane(s, left=False)
        return 0.5 * self.width(s) + 1.0 if found is None else found

    def parking_lane(self, s: float, left: bool) -> float | None:
        """Returns how far beside the ego's middle the middle of a lane to park in is [m]."""
        total = 0.5 * self.width(s)
        for lane, width in self.neighbours(s, left):
            kind = self.network.lanes["type"][lane]
            if kind == LaneType.PARKING and width > _PARKS_IN:
                return total + 0.5 * width
            if kind == LaneType.SIDEWALK:
                break
            total += width
        return None

    def same_way(self, s: float, left: bool) -> float:
        """Returns the distance to the middle of the next lane of the same direction [m].

        Raises:
            Misfit: there is none on that side.
        """
        lane = self.graph.beside[self.lane(s)][0 if left else 1]
        if lane < 0:
            side = "left" if left else "right"
            raise self.misfit(f"no lane of the same direction runs to the {side} of the route")
        gap = 0.5 * self.width(s) + 0.5 * self.width_of(lane, self.at(s)[0])
        return gap if left else -gap

    def oncoming(self, s: float) -> float:
        """Returns how far left the nearest oncoming lane's middle is [m].

        Raises:
            Misfit: there is none.
        """
        return self._oncoming(s)[1]

    def _oncoming(self, s: float) -> tuple[int, float]:
        """Returns the nearest oncoming lane, and how far left its middle is [m]."""
        total = 0.5 * self.width(s)
        way = float(self.at(s)[0, 3])
        for lane, width in self.neighbours(s, left=True):
            if self.graph.driving[lane]:
                place = self._nearest(lane, self.at(s)[0])
                turned = abs(wrap_angle(float(self.graph.table[place, 3]) - way))
                if turned > math.pi / 2:
                    return lane, total + 0.5 * width
            total += width
        raise self.misfit("no oncoming lane runs beside the route")

    def against(self, s: float, reach: float, end: float) -> Floats:
        """Returns the way of those who come towards the ego on the next lane, (N, 4).

        Args:
            s: of the ego's route where it passes them [m].
            reach: how far beyond that they come from, less where a junction is nearer [m].
            end: s of the ego's route where the way ends [m].

        Raises:
            Misfit: there is no oncoming lane.
        """
        left, last = self.oncoming(s), self.route.length - 1.0
        far = self.open_until(s, reach)
        path = self.along(min(far, last), end, left)
        path[:, 3] = wrap_angle(path[:, 3] + math.pi)
        if far <= last:
            return path
        lane, _ = self._oncoming(last)
        at = self._nearest(lane, path[0])
        left_over, rows = far - last, [path]
        upto = float(self.graph.s[at])
        while lane >= 0 and left_over > 0.0 and not self.graph.junction[lane]:
            length = self.graph.length[lane]
            begin = max(upto - left_over, 0.0)
            rows.insert(0, self.graph.stretch(lane, begin / length, upto / length)[:, :4])
            left_over -= upto
            ways = self.predecessors(lane)
            lane = min(ways, key=lambda other: abs(self.turn(other))) if ways else -1
            upto = self.graph.length[lane]
        rows[-2] = rows[-2][:-1]  # the last is where the route's own stretch begins
        joined = np.concatenate(rows)
        return resampled(joined, 0.0, math.inf)

    def _nearest(self, lane: int, place: Floats) -> int:
        first, count = self.graph.first[lane], self.graph.count[lane]
        xy = self.graph.table[first : first + count, :2]
        return first + int(np.hypot(xy[:, 0] - place[0], xy[:, 1] - place[1]).argmin())

    def across(self, s: float, begin: float, end: float, angle: float = 0.0) -> Floats:
        """Returns a straight way across the road from one offset to another.

        Args:
            s: where on the route it crosses the ego's middle [m].
            begin: offset at its beginning, left positive [m].
            end: offset at its end [m].
            angle: by which it is turned from straight across, against the ego's way [rad].
        """
        offset = np.linspace(begin, end, max(int(abs(end - begin)) + 1, 2))
        middle = self.at(s)[0]
        heading = float(middle[3])
        along = -np.abs(offset - begin) * math.tan(angle) + abs(begin) * math.tan(angle)
        x = middle[0] + along * math.cos(heading) - offset * math.sin(heading)
        y = middle[1] + along * math.sin(heading) + offset * math.cos(heading)
        course = math.atan2(float(y[-1] - y[0]), float(x[-1] - x[0]))
        return np.stack((x, y, np.full_like(x, middle[2]), np.full_like(x, course)), axis=1)

    def through(self, lane: int, back: float, ahead: float) -> tuple[Floats, float]:
        """Returns the way along a junction lane, `back` m before it and `ahead` m after it.

        Of several ways on, the straightest is taken. Also returns where the lane begins [m].
        """
        graph = self.graph
        before, length = lane, 0.0
        chain = [lane]
        while length < back:
            ways = self.predecessors(before)
            if not ways:
                break
            before = min(ways, key=lambda other: abs(self.turn(other)))
            chain.insert(0, before)
            length += graph.length[before]
        begin, after, further = length, lane, 0.0
        while further < ahead:
            onward = graph.successors[after]
            if not onward:
                break
            after = min(onward, key=lambda other: abs(self.turn(other)))
            chain.append(after)
            further += graph.length[after]
        rows = np.concatenate([graph.stretch(one, 0.0, 1.0) for one in chain])
        low, high = max(begin - back, 0.0), begin + graph.length[lane] + min(ahead, further)
        return resampled(rows[:, :4], low, high), begin - low

    def predecessors(self, lane: int) -> list[int]:
        """Returns the driving lanes that lead into a lane."""
        one = self.network.lanes[lane]
        first = int(one["predecessor_first"])
        found = self.network.predecessors[first : first + int(one["predecessor_count"])]
        return [k for k in found.tolist() if self.graph.driving[k]]

    def _begins(self, lane: int) -> bool:
        """Whether a junction lane is entered from outside the junction."""
        return not any(self.graph.junction[other] for other in self.predecessors(lane))

    def turn(self, lane: int) -> float:
        """Returns by how much a lane turns, left positive [rad]."""
        first, last = self.graph.first[lane], self.graph.last[lane]
        return float(self.graph.table[last, 3] - self.graph.table[first, 3])

    def movements(self, junction: Junction, side: str) -> list[int]:
        """Returns the junction lanes that come from one side of the ego, straight ones first.

        Args:
            junction: which.
            side: "opposite", "left" or "right", as the ego comes to the junction.
        """
        graph = self.graph
        entry = float(graph.table[graph.first[junction.lane], 3])
        wanted = {"opposite": math.pi, "left": -math.pi / 2, "right": math.pi / 2}[side]
        found = []
        for lane in np.flatnonzero(self.network.lanes["junction"] == junction.number).tolist():
            if not graph.driving[lane] or not self._begins(lane):
                continue
            course = float(graph.table[graph.first[lane], 3]) - entry
            if abs(wrap_angle(course - wanted)) < math.pi / 4:
                found.append(lane)
        return sorted(found, key=lambda lane: (abs(self.turn(lane)) > _STRAIGHT, lane))

    def crossing(self, junction: Junction, side: str, merging: bool = False) -> tuple[int, float]:
        """Finds who meets the ego's way through a junction.

        Args:
            junction: which.
            side: where they come from, see `movements`.
            merging: they go where the ego goes, rather than straight across.

        Returns:
            Their junction lane, and where on the route the ways meet [m].

        Raises:
            Misfit: nobody does.
        """
        own = self.along(junction.begin_s, junction.end_s + 15.0)
        step = (junction.end_s + 15.0 - junction.begin_s) / (len(own) - 1)
        for lane in self.movements(junction, side):
            way, _ = self.through(lane, 0.0, 60.0)
            gap = np.hypot(way[:, None, 0] - own[None, :, 0], way[:, None, 1] - own[None, :, 1])
            near = gap.min(axis=0)
            if near.min() < _MEETS and (near[-1] < _MEETS) == merging:
                return lane, junction.begin_s + int((near < _MEETS).argmax()) * step
        raise self.misfit(f"no lane from the {side} meets the route in its next junction")

    def room_behind(self) -> float:
        """Returns how far the route's first lane runs straight back behind its start [m]."""
        lane, place = self.lane(0.0), self.at(0.0)[0]
        rows = self.graph.table[self.graph.first[lane] : self._nearest(lane, place) + 1]
        bent = np.abs(wrap_angle(rows[:, 3] - place[3])) > math.radians(3.0)
        rows = rows[int(np.flatnonzero(bent)[-1]) + 1 if bent.any() else 0 :]
        return float(np.hypot(*(rows[0, :2] - place[:2]))) if len(rows) else 0.0

    def way(self, begin: Floats, end: Floats) -> Floats:
        """Plans a way over the lanes from one place to another, (N, 4).

        Raises:
            Misfit: no way leads there.
        """
        try:
            points = planner_of(self.network).plan(np.stack((begin, end)), id=self.spec.name).points
        except ValueError as error:
            raise self.misfit(f"its flow cannot be driven ({error})") from None
        return np.stack([points[name] for name in ("x", "y", "z", "heading")], axis=1)

    def meeting(self, path: Floats) -> tuple[float, float]:
        """Returns where a path first comes close to the ego's further route.

        Returns:
            s on the route and s on the path [m].

        Raises:
            Misfit: it never does.
        """
        own = self.along(self.s, self.route.length)
        gap = np.hypot(path[:, None, 0] - own[None, :, 0], path[:, None, 1] - own[None, :, 1])
        near = np.flatnonzero(gap.min(axis=1) < _MEETS)
        if len(near) == 0:
            raise self.misfit("its actors never come near the route")
        k = int(near[0])
        span = (self.route.length - self.s) / (len(own) - 1)
        return self.s + span * int(gap[k].argmin()), float(lengths(path)[k])

    def s_of(self, xy: Floats) -> float:
        """Returns where on the route, after the trigger, a place is [m]."""
        own = self.along(self.s, self.route.length)
        return self.s + float(project(xy[None, :2], own[:, :2])[0][0])


def lengths(path: Floats) -> Floats:
    """Returns the arc length at each point of a path, (N,) [m]."""
    steps = np.hypot(np.diff(path[:, 0]), np.diff(path[:, 1]))
    return np.concatenate((np.zeros(1), np.cumsum(steps)))


def resampled(path: Floats, low: float, high: float) -> Floats:
    """Returns a stretch of a path with points 1 m apart, (N, 4)."""
    keep = np.concatenate(([True], np.hypot(*np.diff(path[:, :2], axis=0).T) > 1e-6))
    path = path[keep]
    s = lengths(path)
    high = min(high, float(s[-1]))
    at = np.linspace(low, high, max(int(high - low) + 1, 2))
    heading = np.unwrap(path[:, 3])
    columns = [np.interp(at, s, path[:, k]) for k in range(3)]
    return np.stack((*columns, wrap_angle(np.interp(at, s, heading))), axis=1)


def merged(path: Floats, from_left: float, begin: float, length: float) -> Floats:
    """Returns a path that begins beside another and slides onto it.

    Args:
        path: the one to join, (N, 4).
        from_left: offset at first, left positive [m].
        begin: where the slide begins [m].
        length: how long it takes [m].
    """
    s = lengths(path)
    t = np.clip((s - begin) / length, 0.0, 1.0)
    # As smooth at both ends as a lane change of traffic: 10 t^3 - 15 t^4 + 6 t^5.
    left = from_left * (1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t * t))
    slope = -from_left * 30.0 * t * t * (1.0 - t) ** 2 / length
    new = path.copy()
    new[:, 0] = path[:, 0] - left * np.sin(path[:, 3])
    new[:, 1] = path[:, 1] + left * np.cos(path[:, 3])
    new[:, 3] = wrap_angle(path[:, 3] + np.arctan(slope))
    return new
