"""Where traffic lights and signs stand, and whom they stop.

A signal addresses the lanes of its validity, or those of its orientation. Lights of
CARLA's towns have the validity 0..0, no lane at all: the lanes come from references on the
roads inside the junction. In either case the stop line lies where the approaching lane
enters the junction, or a metre before the crosswalk that it crosses there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drive_il import handedness
from drive_il.datatypes import Floats, Ints, Records
from drive_il.geometry import in_polygon
from drive_il.maps.network import SIGNAL, STOP_LINE, LaneType, SignalKind
from drive_il.maps.opendrive_xml import OpenDrive, SignalUse, XmlSignal

_STOPPING = (SignalKind.LIGHT, SignalKind.STOP, SignalKind.YIELD)
_KINDS = {
    "1000001": SignalKind.LIGHT,
    "206": SignalKind.STOP,
    "205": SignalKind.YIELD,
    "274": SignalKind.SPEED,
}
_CROSSWALK_REACH = 12.0  # [m] before the junction within which a crosswalk belongs to it
_BEFORE_CROSSWALK = 1.0  # [m]
_UNITS = {"mph": 0.44704, "km/h": 1.0 / 3.6, "m/s": 1.0}


def place(
    drive: OpenDrive,
    world_map: Any,
    lanes: Records,
    points: Records,
    links: tuple[Ints, Ints],
    crosswalks: list[Floats],
) -> tuple[Records, Records]:
    """Returns (N,) SIGNAL and (M,) STOP_LINE.

    Args:
        drive: the parsed file.
        world_map: the same file as carla.Map.
        lanes: (L,) LANE with links.
        points: (P,) LANE_POINT.
        links: predecessors and successors of all lanes.
        crosswalks: their corners, each (C, 3) [m].
    """
    graph = _Graph(lanes, points, links, crosswalks)
    signals = np.zeros(len(drive.signals), SIGNAL)
    stop_lines: list[tuple[int, int, float, float, float, float, float]] = []
    poses = {mark.id: mark.transform for mark in world_map.get_all_landmarks()}
    order = sorted(drive.signals)
    for row, number in enumerate(order):
        signal = drive.signals[number]
        uses = [use for use in drive.uses if use.signal == number]
        record = signals[row]
        record["id"], record["kind"] = number, _KINDS.get(signal.type, SignalKind.OTHER)
        record["value"] = _limit(signal) if record["kind"] == SignalKind.SPEED else 0.0
        record["controller"] = drive.controllers.get(number, -1)
        record["junction"] = -1
        pose = poses.get(str(number))
        if pose is not None:
            x, y, z = handedness.vectors_from_carla(
                np.array([pose.location.x, pose.location.y, pose.location.z])
            )
            record["x"], record["y"], record["z"] = np.round((x, y, z), 4)
        addressed = sorted({lane for use in uses for lane in graph.addressed(use)})
        stops = sorted({lane for lane in addressed for lane in graph.approaches(lane)})
        if addressed:
            record["heading"] = graph.end_heading((stops or addressed)[0])
        elif pose is not None:
            # A sign faces those whom it addresses.
            record["heading"] = round(_facing(pose), 6)
        if record["kind"] in _STOPPING:
            for lane in stops:
                record["junction"] = graph.junction_after(lane)
                stop_lines.append((row, lane, *graph.stop_line(lane)))
    lines = np.zeros(len(stop_lines), STOP_LINE)
    for row, line in enumerate(stop_lines):
        lines[row] = line
    return signals, lines


def _limit(signal: XmlSignal) -> float:
    """A speed sign's limit [m/s]; without a unit the value is in km/h, as CARLA takes it."""
    return round(max(signal.value, 0.0) * _UNITS.get(signal.unit, 1.0 / 3.6), 4)


def _facing(pose: Any) -> float:
    return float(handedness.heading_from_carla(pose.rotation.yaw + 90.0))


class _Graph:
    """Driving lanes by road, and what lies before and after them."""

    def __init__(
        self,
        lanes: Records,
        points: Records,
        links: tuple[Ints, Ints],
        crosswalks: list[Floats],
    ) -> None:
        self.lanes, self.points = lanes, points
        self._before, self._after = links
        self._crosswalks = crosswalks
        self._by_road: dict[int, list[int]] = {}
        for row in np.flatnonzero(lanes["type"] == LaneType.DRIVING):
            self._by_road.setdefault(int(lanes["road"][row]), []).append(int(row))

    def _linked(self, row: int, field: str, links: Ints) -> list[int]:
        first = self.lanes[f"{field}_first"][row]
        found = links[first : first + self.lanes[f"{field}_count"][row]]
        return [int(lane) for lane in found if self.lanes["type"][lane] == LaneType.DRIVING]

    def addressed(self, use: SignalUse) -> list[int]:
        """Driving lanes on the road of this use that it is meant for."""
        rows = self._by_road.get(int(use.road), [])
        if use.lanes:
            return [
                row
                for row in rows
                if any(low <= self.lanes["lane"][row] <= high for low, high in use.lanes)
            ]
        if use.orientation == "+":
            return [row for row in rows if self.lanes["lane"][row] < 0]
        if use.orientation == "-":
            return [row for row in rows if self.lanes["lane"][row] > 0]
        return rows

    def approaches(self, row: int) -> list[int]:
        """Lanes whose end enters the junction that a signal over lane `row` guards."""
        if self.lanes["junction"][row] >= 0:
            before = self._linked(row, "predecessor", self._before)
            return [lane for lane in before if self.lanes["junction"][lane] < 0]
        seen = set()
        while row not in seen:  # to the last section of the road
            seen.add(row)
            after = self._linked(row, "successor", self._after)
            if any(self.lanes["junction"][lane] >= 0 for lane in after):
                return [row]
            same_road = [
                lane for lane in after if self.lanes["road"][lane] == self.lanes["road"][row]
            ]
            if not same_road:
                return []
            row = same_road[0]
        return []

    def junction_after(self, row: int) -> int:
        """OpenDRIVE id of the junction that lane `row` enters."""
        after = self._linked(row, "successor", self._after)
        return max((int(self.lanes["junction"][lane]) for lane in after), default=-1)

    def _end(self, row: int) -> Any:
        return self.points[self.lanes["first"][row] + self.lanes["count"][row] - 1]

    def _stop_index(self, points: Records) -> int:
        """Which point of a lane carries the stop line."""
        last = len(points) - 1
        near = np.flatnonzero(points["s"] > points["s"][last] - _CROSSWALK_REACH)
        places = np.stack((points["x"][near], points["y"][near]), 1)
        crossing = [near[in_polygon(places, corners)] for corners in self._crosswalks]
        begin = min((int(hit[0]) for hit in crossing if len(hit)), default=None)
        if begin is None:
            return last
        back = points["s"][begin] - _BEFORE_CROSSWALK
        return max(int(np.searchsorted(points["s"], back)), 1)

    def end_heading(self, row: int) -> float:
        """Direction of travel at the end of lane `row` [rad]."""
        return float(self._end(row)["heading"])

    def stop_line(self, row: int) -> tuple[float, float, float, float, float]:
        """Arc length, left end and right end of the stop line on lane `row`."""
        first, count = self.lanes["first"][row], self.lanes["count"][row]
        end = self.points[first + self._stop_index(self.points[first : first + count])]
        half = 0.5 * end["width"]
        across = -math.sin(end["heading"]) * half, math.cos(end["heading"]) * half
        left = end["x"] + across[0], end["y"] + across[1]
        right = end["x"] - across[0], end["y"] - across[1]
        x0, y0, x1, y1 = (round(float(value), 4) for value in (*left, *right))
        return float(end["s"]), x0, y0, x1, y1
