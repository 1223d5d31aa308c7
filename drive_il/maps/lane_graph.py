"""The driving lanes of a network as a graph to plan on: lengths, ways on, lane changes."""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import Bools, Floats, Ints
from drive_il.maps.network import LaneType, RoadNetwork

LEFT, RIGHT = 0, 1

_MIN_WIDTH = 2.0  # [m] a lane narrower than this is still opening or already closing
_ROOM_CAP = 100.0  # [m] more room for a lane change than this makes no difference
_FIELDS = ("x", "y", "z", "heading", "curvature", "width", "speed_limit")


class LaneGraph:
    """What planning asks of a network, in the form that answers fastest.

    Lane changes connect neighbours that run the same way outside junctions, where the marking
    permits it and both lanes are at least 2 m wide.

    Attributes:
        network: what it was made from.
        first: first point of each lane, one int per lane.
        count: number of points of each lane.
        last: last point of each lane.
        length: of each lane [m].
        driving: whether one may drive there, one bool per lane.
        junction: whether the lane lies in a junction.
        entry: x, y of each lane's beginning [m].
        successors: driving lanes that follow each lane.
        s: arc length of every point on its lane, (P,) [m].
        table: x, y, z, heading, curvature, width and speed limit of every point, (P, 7);
            headings are continuous along a lane, so they may be interpolated.
        run: (lane, side) -> the longest stretch where one may change to that side, as
            fractions of the lane; side is LEFT or RIGHT.
        neighbour: (lane, side) -> lane one may change into there.
        beside: for each lane the driving lanes to its left and right that run the same way,
            -1 for none.
        changes: for each lane (neighbour, s where the stretch begins, s on this lane by which
            the change must end; beyond the lane's end where the next lanes permit it too).
    """

    def __init__(self, network: RoadNetwork) -> None:
        lanes, points = network.lanes, network.points
        self.network = network
        self.first: list[int] = lanes["first"].tolist()
        self.count: list[int] = lanes["count"].tolist()
        self.last = [a + n - 1 for a, n in zip(self.first, self.count, strict=True)]
        self.length: list[float] = lanes["length"].tolist()
        usable = (lanes["type"] == LaneType.DRIVING) & (lanes["count"] >= 2)
        usable &= lanes["length"] > 0.0
        self.driving: list[bool] = usable.tolist()
        self.junction: list[bool] = (lanes["junction"] >= 0).tolist()
        self.s: Floats = np.asarray(points["s"], np.float64)
        self.table: Floats = np.stack([points[name] for name in _FIELDS], axis=1)
        self.table[:, 3] = np.unwrap(self.table[:, 3])
        at = np.minimum(lanes["first"], max(len(points) - 1, 0))
        entry = self.table[at, :2].tolist() if len(points) else [[0.0, 0.0]] * len(lanes)
        self.entry: list[tuple[float, float]] = [(x, y) for x, y in entry]
        self.successors = self._successors()
        self.beside = self._beside()
        self.run: dict[tuple[int, int], tuple[float, float]] = {}
        self.neighbour: dict[tuple[int, int], int] = {}
        self._find_changes()
        self.changes = self._rooms()

    def at(self, lane: int, s: Floats) -> Floats:
        """Interpolates the rows of `table` at places on a lane, (n,) [m] -> (n, 7)."""
        rows = slice(self.first[lane], self.first[lane] + self.count[lane])
        lane_s = self.s[rows]
        low = np.clip(np.searchsorted(lane_s, s, side="right") - 1, 0, len(lane_s) - 2)
        t = (s - lane_s[low]) / (lane_s[low + 1] - lane_s[low])
        t = np.clip(t, 0.0, 1.0)[:, None]
        table = self.table[rows]
        result: Floats = table[low] * (1.0 - t) + table[low + 1] * t
        return result

    def near(self, lane: int, s: float) -> tuple[float, float]:
        """Returns x, y within about a metre of a place on a lane [m]."""
        row = self.first[lane] + round(s / self.length[lane] * (self.count[lane] - 1))
        return float(self.table[row, 0]), float(self.table[row, 1])

    def stretch(self, lane: int, begin: float, end: float) -> Floats:
        """Returns the rows of `table` from one place on a lane to another, ends included.

        Args:
            lane: its index.
            begin: fraction of the lane.
            end: fraction of the lane, >= begin.
        """
        first, count = self.first[lane], self.count[lane]
        if begin <= 0.0 and end >= 1.0:
            return self.table[first : first + count]
        ends = np.array([begin, end]) * self.length[lane]
        lane_s = self.s[first : first + count]
        low = int(np.searchsorted(lane_s, ends[0] + 1e-3))
        high = int(np.searchsorted(lane_s, ends[1] - 1e-3))
        borders = self.at(lane, ends)
        return np.concatenate((borders[:1], self.table[first + low : first + high], borders[1:]))

    def driving_rows(self) -> tuple[Ints, Ints]:
        """Returns the indices of all points of driving lanes, and the lane of each."""
        chosen = [lane for lane, driving in enumerate(self.driving) if driving]
        if not chosen:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        rows = [np.arange(self.first[i], self.first[i] + self.count[i]) for i in chosen]
        return np.concatenate(rows), np.repeat(chosen, [self.count[i] for i in chosen])

    def _successors(self) -> list[list[int]]:
        lanes, successors = self.network.lanes, self.network.successors.tolist()
        result = []
        for first, count in zip(
            lanes["successor_first"].tolist(), lanes["successor_count"].tolist(), strict=True
        ):
            result.append([i for i in successors[first : first + count] if self.driving[i]])
        return result

    def _beside(self) -> list[tuple[int, int]]:
        lanes = self.network.lanes
        left = np.where(lanes["left_same_way"], lanes["left"], -1).tolist()
        right = np.where(lanes["right_same_way"], lanes["right"], -1).tolist()

        def usable(lane: int) -> int:
            return lane if lane >= 0 and self.driving[lane] else -1

        return [(usable(a), usable(b)) for a, b in zip(left, right, strict=True)]

    def _find_changes(self) -> None:
        points = self.network.points
        sides = ((LEFT, "left"), (RIGHT, "right"))
        for lane, driving in enumerate(self.driving):
            if not driving or self.junction[lane]:
                continue
            rows = slice(self.first[lane], self.first[lane] + self.count[lane])
            for side, name in sides:
                other = self.beside[lane][side]
                if other < 0 or self.junction[other]:
                    continue
                allowed = points[f"may_change_{name}"][rows]
                if not allowed.any():
                    continue
                fraction = self.s[rows] / self.length[lane]
                width = self.at(other, fraction * self.length[other])[:, 5]
                allowed = allowed & (np.minimum(width, self.table[rows, 5]) >= _MIN_WIDTH)
                run = _longest_run(allowed)
                if run is not None:
                    self.neighbour[lane, side] = other
                    low, high = fraction[run[0]], fraction[run[1]]
                    # The last point is the lane's end, whatever rounding says.
                    at_end = run[1] == self.count[lane] - 1
                    self.run[lane, side] = (float(low), 1.0 if at_end else float(high))

    def _rooms(self) -> list[list[tuple[int, float, float]]]:
        known: dict[tuple[int, int], float] = {}
        result: list[list[tuple[int, float, float]]] = [[] for _ in self.length]
        for (lane, side), other in self.neighbour.items():
            begin = self.run[lane, side][0] * self.length[lane]
            result[lane].append((other, begin, self._room(lane, side, known, 0.0)))
        return result

    def _room(
        self, lane: int, side: int, known: dict[tuple[int, int], float], so_far: float
    ) -> float:
        """Returns the s on this lane by which a change begun on it must end [m]."""
        if (lane, side) in known:
            return known[lane, side]
        end = self.run[lane, side][1]
        room = end * self.length[lane]
        if end >= 1.0 and so_far + room < _ROOM_CAP:
            further = [
                self._room(following, side, known, so_far + room)
                for following in self.following(lane, self.neighbour[lane, side], side)
            ]
            room += max(further, default=0.0)
        if so_far == 0.0:  # deeper values may have been cut short by the cap
            known[lane, side] = room
        return room

    def following(self, lane: int, other: int, side: int) -> list[int]:
        """Returns successors of a lane that still run beside a successor of its neighbour.

        Only those where a change to that side is permitted from their beginning.
        """
        return [
            successor
            for successor in self.successors[lane]
            if self.neighbour.get((successor, side), -1) in self.successors[other]
            and self.run[successor, side][0] <= 0.0
        ]


def _longest_run(allowed: Bools) -> tuple[int, int] | None:
    """Returns first and last index of the longest run of True, at least two long."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], allowed, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2] - 1
    if len(starts) == 0:
        return None
    best = int((ends - starts).argmax())
    return (int(starts[best]), int(ends[best])) if ends[best] > starts[best] else None
