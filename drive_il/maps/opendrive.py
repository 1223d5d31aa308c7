"""OpenDRIVE to RoadNetwork: structure from the file, geometry from CARLA's own reader.

Lane centres come from `carla.Map`, so that a place means the same here as on a CARLA
server; the wheel needs no server for that. All numbers are rounded to 0.1 mm and
1e-6 rad, which makes the compact files of `store` exact.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from drive_il import handedness
from drive_il.datatypes import Floats, Ints, Records
from drive_il.folders import cache_folder
from drive_il.geometry import wrap_angle
from drive_il.maps import opendrive_signals, store
from drive_il.maps.network import (
    CONFLICT,
    LANE,
    LANE_POINT,
    LaneType,
    MarkType,
    RoadNetwork,
    build_grid,
)
from drive_il.maps.opendrive_xml import Mark, OpenDrive, Road, RoadEnd, Section, parse, text_of

FORMAT = 3
"""raised whenever the same file would give other arrays"""
_SPACING = 0.5  # [m] at most, between points of a lane
_INSET = 1e-4  # [m] CARLA finds sections in single precision: keep off their very ends
_JOINT = 1.0  # [m] links between lanes whose ends lie further apart are errors of the file
_SAME_LEVEL = 3.0  # [m] lanes further apart in height do not conflict


def read(path: str | Path, name: str | None = None) -> RoadNetwork:
    """Reads an OpenDRIVE file; the arrays are cached by the file's content.

    Args:
        path: the .xodr file.
        name: of the map; the file's stem when not given.

    Raises:
        ValueError: one line that names the file and what is wrong with it.
        ImportError: the carla wheel is not installed; shipped towns need none.
    """
    path = Path(path)
    return read_text(text_of(path), name or path.stem, str(path))


def read_text(text: str, name: str, where: str | None = None) -> RoadNetwork:
    """As `read`, from text; `where` names its origin in messages."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    cached = cache_folder() / "maps" / f"{name}-{digest[:24]}-{FORMAT}.npz"
    if cached.exists():
        try:
            return store.load(cached)
        except ValueError:
            cached.unlink()  # damaged: made again below
    network = build(text, name, where or name)
    store.save(network, cached)
    return network


def build(text: str, name: str, where: str) -> RoadNetwork:
    """Makes the arrays, without the cache."""
    drive = parse(text, where)
    carla = _carla()
    try:
        world_map = carla.Map(name, text)
    except RuntimeError as error:
        raise ValueError(f"{where} cannot be read by CARLA's OpenDRIVE reader: {error}") from None
    sampled = _sample(drive, world_map, where)
    lanes, points = sampled.arrays()
    successors, predecessors = _link(drive, sampled, lanes, points)
    conflicts = _conflicts(lanes, points, predecessors)
    corners, first = _crosswalks(world_map)
    crosswalks = [corners[a:b] for a, b in zip(first[:-1], first[1:], strict=True)]
    signals, stop_lines = opendrive_signals.place(
        drive, world_map, lanes, points, (predecessors, successors), crosswalks
    )
    return RoadNetwork(
        name=name,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        lanes=lanes,
        points=points,
        successors=successors,
        predecessors=predecessors,
        conflicts=conflicts,
        signals=signals,
        stop_lines=stop_lines,
        crosswalks=corners,
        crosswalk_first=first,
        geo_reference=drive.geo_reference,
        grid=build_grid(lanes, points),
    )


def _carla() -> ModuleType:
    try:
        import carla
    except ImportError:
        raise ImportError(
            "reading OpenDRIVE needs the carla wheel, which exists for Python 3.10 to 3.12 on "
            "Linux and Windows (pip install carla==0.9.16); the shipped towns work without it"
        ) from None
    return carla  # type: ignore[no-any-return]


@dataclass
class _Sampled:
    """Lanes as they are collected; `index` finds one by (road, section, lane)."""

    lanes: list[tuple[str, int, int, int, int]]  # road, section, lane id, type, junction
    points: list[Records]
    index: dict[tuple[str, int, int], int]

    def arrays(self) -> tuple[Records, Records]:
        """Returns (L,) LANE without links yet, and (P,) LANE_POINT."""
        lanes = np.zeros(len(self.lanes), LANE)
        first = 0
        for row, (road, section, lane, kind, junction) in enumerate(self.lanes):
            points = self.points[row]
            record = lanes[row]
            record["road"], record["section"], record["lane"] = int(road), section, lane
            record["type"], record["junction"] = kind, junction
            record["first"], record["count"] = first, len(points)
            record["length"] = points["s"][-1]
            first += len(points)
            inner = lane - 1 if lane > 1 else lane + 1 if lane < -1 else -lane
            outer = lane + (1 if lane > 0 else -1)
            record["left"] = self.index.get((road, section, inner), -1)
            record["right"] = self.index.get((road, section, outer), -1)
            record["left_same_way"] = record["left"] >= 0 and inner * lane > 0
            record["right_same_way"] = record["right"] >= 0
        return lanes, np.concatenate(self.points)


def _sample(drive: OpenDrive, world_map: Any, where: str) -> _Sampled:
    sampled = _Sampled([], [], {})
    for road in drive.roads.values():
        for number, section in enumerate(road.sections):
            if section.end - section.begin < 100 * _INSET:
                continue
            for lane in section.lanes.values():
                if lane.type is None:
                    continue
                points = _lane_points(road, section, lane.id, world_map, where)
                sampled.index[road.id, number, lane.id] = len(sampled.lanes)
                sampled.lanes.append((road.id, number, lane.id, int(lane.type), road.junction))
                sampled.points.append(points)
    return sampled


def _lane_points(road: Road, section: Section, lane: int, world_map: Any, where: str) -> Records:
    """Points of one lane in its direction of travel."""
    inset = max(_INSET, 4.0 * float(np.spacing(np.float32(section.end))))
    begin, end = section.begin + inset, section.end - inset
    count = max(2, math.ceil((end - begin) / _SPACING) + 1)
    for _ in range(4):  # an outer lane is longer than the reference line
        s = np.linspace(begin, end, count)
        rows = _waypoints(road, lane, s, world_map, where)
        gaps = np.hypot(np.diff(rows[:, 0]), np.diff(rows[:, 1]))
        if gaps.max() <= _SPACING:
            break
        count = math.ceil((count - 1) * gaps.max() / _SPACING * 1.001) + 1
    if lane > 0:
        s, rows, gaps = s[::-1], rows[::-1], gaps[::-1]
    points = np.zeros(len(s), LANE_POINT)
    for column, field in enumerate(("x", "y", "z", "heading", "width")):
        points[field] = rows[:, column]
    points["s"] = np.concatenate(([0.0], np.cumsum(gaps)))
    points["heading"] = wrap_angle(points["heading"])
    points["curvature"] = _curvature(points["heading"], points["s"])
    points["speed_limit"] = [road.speed_limit(at) for at in s]
    _mark(points, section, lane, s - section.begin)
    return quantise(points)


def _waypoints(road: Road, lane: int, s: Floats, world_map: Any, where: str) -> Floats:
    """Rows x, y, z, heading, width, in our frame."""
    number = int(road.id)
    rows = np.empty((len(s), 5))
    for row, at in enumerate(s):
        waypoint = world_map.get_waypoint_xodr(number, lane, float(at))
        if waypoint is None:
            raise ValueError(f"{where}: road {road.id} has no lane {lane} at s = {at:.2f} m")
        transform = waypoint.transform
        place = transform.location
        rows[row] = (place.x, place.y, place.z, transform.rotation.yaw, waypoint.lane_width)
    rows[:, :3] = handedness.vectors_from_carla(rows[:, :3])
    rows[:, 3] = handedness.heading_from_carla(rows[:, 3])
    return rows


def _curvature(heading: Floats, s: Floats) -> Floats:
    steps = np.diff(s)
    if len(s) < 3 or steps.min() <= 1e-9:
        total = float(s[-1] - s[0])
        bend = float(wrap_angle(heading[-1] - heading[0])) / total if total > 1e-6 else 0.0
        return np.full(len(s), bend)
    return np.asarray(np.gradient(np.unwrap(heading), s))


def _mark(points: Records, section: Section, lane: int, s: Floats) -> None:
    """Marks at both edges, as one drives: the inner edge is always to the left."""
    inner = lane - 1 if lane > 0 else lane + 1
    outwards_increases = lane > 0
    for side, edge in (("left", inner), ("right", lane)):
        if edge not in section.lanes:
            continue
        marks = section.lanes[edge].marks
        for order, mark in enumerate(marks):
            until = marks[order + 1].s if order + 1 < len(marks) else math.inf
            here = (s >= mark.s - 1e-6) & (s < until - 1e-6)
            _put_mark(points, here, side, mark, outwards_increases == (side == "right"))


def _put_mark(points: Records, here: Any, side: str, mark: Mark, increases: bool) -> None:
    points[f"{side}_mark"][here] = mark.kind
    points[f"{side}_color"][here] = mark.color
    width = mark.width if mark.kind is not MarkType.NONE else 0.0
    points[f"{side}_mark_width"][here] = round(width, 4)
    points[f"may_change_{side}"][here] = mark.may_increase if increases else mark.may_decrease


def quantise(records: Records) -> Records:
    """Rounds every float64 field, to 1e-6 for angles and curvatures and 1e-4 for the rest."""
    for field in records.dtype.names or ():
        if records.dtype[field] == np.float64:
            scale = store.scale_of(field)
            # Adding zero turns -0.0, which integers do not know, into 0.0.
            records[field] = np.round(records[field] * scale) / scale + 0.0
    return records


def _link(
    drive: OpenDrive, sampled: _Sampled, lanes: Records, points: Records
) -> tuple[Ints, Ints]:
    """Fills in successors and predecessors of all lanes."""
    follows: list[set[int]] = [set() for _ in range(len(lanes))]
    for (road_id, section, lane), row in sampled.index.items():
        for target in _continuations(drive, road_id, section, lane):
            after = sampled.index.get(target)
            if after is not None and _joined(lanes, points, row, after):
                follows[row].add(after)
    precedes: list[set[int]] = [set() for _ in range(len(lanes))]
    for row, targets in enumerate(follows):
        for after in targets:
            precedes[after].add(row)
    return _packed(lanes, "successor", follows), _packed(lanes, "predecessor", precedes)


def _packed(lanes: Records, field: str, sets: list[set[int]]) -> Ints:
    counts = np.array([len(one) for one in sets], np.int32)
    lanes[f"{field}_count"] = counts
    lanes[f"{field}_first"] = np.cumsum(counts) - counts
    return np.array([index for one in sets for index in sorted(one)], np.int32)


def _joined(lanes: Records, points: Records, before: int, after: int) -> bool:
    end = points[lanes["first"][before] + lanes["count"][before] - 1]
    start = points[lanes["first"][after]]
    return math.dist((end["x"], end["y"], end["z"]), (start["x"], start["y"], start["z"])) < _JOINT


def _continuations(
    drive: OpenDrive, road_id: str, section: int, lane: int
) -> list[tuple[str, int, int]]:
    """What follows a lane as one drives, by the file's links: (road, section, lane)."""
    road = drive.roads[road_id]
    forward = lane < 0
    here = road.sections[section].lanes[lane]
    linked = here.successor if forward else here.predecessor
    beyond = section + (1 if forward else -1)
    if 0 <= beyond < len(road.sections):
        return [] if linked is None else [(road_id, beyond, linked)]
    end = road.successor if forward else road.predecessor
    if end is None:
        return []
    if not end.is_junction:
        return _on_road(drive, end, linked)
    found = []
    for connection in drive.junctions.get(end.id, ()):
        if connection.incoming == road_id:
            target = RoadEnd(False, connection.connecting, connection.at_start)
            for origin, to in connection.lanes:
                if origin == lane:
                    found += _on_road(drive, target, to)
    return found


def _on_road(drive: OpenDrive, end: RoadEnd, lane: int | None) -> list[tuple[str, int, int]]:
    road = drive.roads.get(end.id)
    if road is None or lane is None:
        return []
    return [(end.id, 0 if end.at_start else len(road.sections) - 1, lane)]


def _conflicts(lanes: Records, points: Records, predecessors: Ints) -> Records:
    """Where driving lanes of one junction overlap, lane by lane."""
    found: list[tuple[int, int, float, float]] = []
    inside = np.flatnonzero((lanes["junction"] >= 0) & (lanes["type"] == LaneType.DRIVING))
    for junction in np.unique(lanes["junction"][inside]):
        members = inside[lanes["junction"][inside] == junction]
        for a in members:
            for b in members:
                if a == b or _from_same(lanes, predecessors, a, b):
                    continue
                zone = _overlap(lanes, points, a, b)
                if zone is not None:
                    found.append((int(a), int(b), *zone))
    conflicts = np.zeros(len(found), CONFLICT)
    owner = np.array([row[0] for row in found], np.int64)
    for position, (_, other, begin, end) in enumerate(found):
        conflicts[position] = (other, begin, end)
    lanes["conflict_count"] = np.bincount(owner, minlength=len(lanes)) if len(found) else 0
    lanes["conflict_first"] = np.cumsum(lanes["conflict_count"]) - lanes["conflict_count"]
    return conflicts


def _from_same(lanes: Records, predecessors: Ints, a: int, b: int) -> bool:
    def before(row: int) -> set[int]:
        first = lanes["predecessor_first"][row]
        return set(predecessors[first : first + lanes["predecessor_count"][row]].tolist())

    return bool(before(a) & before(b))


def _overlap(lanes: Records, points: Records, a: int, b: int) -> tuple[float, float] | None:
    """First and last place on lane a where its surface meets lane b's [m]."""
    one = points[lanes["first"][a] : lanes["first"][a] + lanes["count"][a]]
    two = points[lanes["first"][b] : lanes["first"][b] + lanes["count"][b]]
    apart = np.hypot(one["x"][:, None] - two["x"], one["y"][:, None] - two["y"])
    reach = 0.5 * (one["width"][:, None] + two["width"])
    touching = (apart < reach) & (np.abs(one["z"][:, None] - two["z"]) < _SAME_LEVEL)
    at = one["s"][touching.any(1)]
    return (float(at[0]), float(at[-1])) if len(at) else None


def _crosswalks(world_map: Any) -> tuple[Floats, Ints]:
    """Corners of all crosswalks; CARLA repeats the first corner of each at its end."""
    corners: list[tuple[float, float, float]] = []
    first, start = [0], None
    for place in world_map.get_crosswalks():
        here = (place.x, place.y, place.z)
        if start is None:
            start = here
        elif math.dist(start, here) < 1e-3:
            first.append(len(corners))
            start = None
            continue
        corners.append(here)
    xyz = np.array(corners[: first[-1]], float).reshape(-1, 3)
    rounded = np.round(handedness.vectors_from_carla(xyz) * 1e4) / 1e4 + 0.0
    return rounded, np.array(first, np.int32)
