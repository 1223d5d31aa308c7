"""Red lights and stop signs, with the geometry of CARLA's criteria.

The world has its own account of both (EVENTS.red_light, EVENTS.stop_sign): of the stop lines
that the route crosses, for everyone the same. The protocols differ from it, and from each
other: they charge whoever drives off the route too, a light that turns red while the tail is
on the line, and they serve a stop sign by a halt further away or nearer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from drive_il.actors import LightState
from drive_il.datatypes import Bools, Floats, Ints, Records
from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.protocol import StopRule
from drive_il.evaluation.sight import Finding, Sight
from drive_il.maps.lane_edges import points_of
from drive_il.maps.lane_queries import locate
from drive_il.maps.network import RoadNetwork, SignalKind

LIGHTS = np.dtype([("last", "i8")])  # line of the light run last, -1 none
"""Memory of `red_lights`."""
SIGNS = np.dtype(
    [
        ("line", "i8"),  # of the sign that is minded, -1 none
        ("halted", "?"),  # at it
        ("entered", "?"),  # the ego's centre was in its box
        ("failed", "i8"),  # line of the sign run last, -1 none
        ("bind", "?"),  # signs bind in this drive
    ]
)
"""Memory of `stop_signs`."""
_SIGHT = 15.0  # [m] a light further from the ego is not looked at, and one is away from a sign
_TAIL = 0.8  # of the half length behind the centre: the part that must be over the line
_BEHIND = 1.0  # [m] behind the rear bumper: the part that must not
_HALT = 0.1  # [m/s]
_HALF_BOX = 1.5  # [m] half the length of a stop sign's box, which lies on its line
_LEVEL = 5.0  # [m] a sign further above or below is on another road
_STEP = 0.5  # [m] between the places ahead that are tried


@dataclass(frozen=True)
class Lines:
    """The stop lines of one kind of signal.

    Attributes:
        x: middle of each, (M,) [m].
        y: (M,) [m].
        z: (M,) [m].
        cos: of the direction of those it stops, (M,).
        sin: (M,).
        half: half its width, (M,) [m].
        signal: index into signals, (M,).
        road: OpenDRIVE id of its road, (M,).
        lane: OpenDRIVE id of its lane, (M,).
    """

    x: Floats
    y: Floats
    z: Floats
    cos: Floats
    sin: Floats
    half: Floats
    signal: Ints
    road: Ints
    lane: Ints


@lru_cache(maxsize=16)
def lines_of(network: RoadNetwork, kind: SignalKind) -> Lines:
    """Returns the stop lines of one kind; several heads over one line count once."""
    lines = network.stop_lines
    lines = lines[network.signals["kind"][lines["signal"]] == kind]
    keep = [
        k
        for k, line in enumerate(lines)
        if not any(line["lane"] == b["lane"] and abs(line["s"] - b["s"]) < 0.5 for b in lines[:k])
    ]
    lines = lines[keep]
    lanes = network.lanes[lines["lane"]]
    # From the left end to the right one; a quarter turn left of that is ahead.
    dx, dy = lines["x1"] - lines["x0"], lines["y1"] - lines["y0"]
    width = np.hypot(dx, dy)
    return Lines(
        0.5 * (lines["x0"] + lines["x1"]),
        0.5 * (lines["y0"] + lines["y1"]),
        _heights(network, lines),
        -dy / width,
        dx / width,
        0.5 * width,
        lines["signal"].astype(np.int64),
        lanes["road"].astype(np.int64),
        lanes["lane"].astype(np.int64),
    )


def _heights(network: RoadNetwork, lines: Records) -> Floats:
    """Returns the height of the road at stop lines [m]."""
    heights = np.zeros(len(lines))
    for k, line in enumerate(lines):
        points = points_of(network, network.lanes[line["lane"]])
        heights[k] = np.interp(line["s"], points["s"], points["z"])
    return heights


def _beside(lines: Lines, line: Ints, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Returns how far points are past lines, and to the left of their middles [m]."""
    dx, dy = x - lines.x[line], y - lines.y[line]
    cos, sin = lines.cos[line], lines.sin[line]
    return dx * cos + dy * sin, dy * cos - dx * sin


def red_lights(
    network: RoadNetwork,
    half_width: float,
    sight: Sight,
    memory: Records,
    upstream_bugs: bool = False,
) -> list[Finding]:
    """Finds egos whose tail is passing a stop line while its light is red.

    Args:
        network: the map.
        half_width: half the line, as a share of the lane's width.
        sight: the state.
        memory: LIGHTS.
        upstream_bugs: the light that was run last is free until another is run, as in CARLA;
            else until the ego is away from it.
    """
    lines, actors = lines_of(network, SignalKind.LIGHT), sight.scene.actors
    if len(lines.x) == 0 or actors.lights.shape[1] == 0:
        return []
    dx, dy = lines.x - sight.x[:, None], lines.y - sight.y[:, None]
    near = dx * dx + dy * dy < _SIGHT * _SIGHT
    if not upstream_bugs:
        for row in np.flatnonzero(memory["last"] >= 0):
            same = lines.signal == lines.signal[memory["last"][row]]
            if not (near[row] & same).any():
                memory["last"][row] = -1
    rows, which = np.nonzero(near)
    if len(rows) == 0:
        return []
    red = actors.lights[actors.world[rows], lines.signal[which]] == LightState.RED
    rows, which = rows[red], which[red]
    crossing = _crosses(lines, which, sight, rows, half_width)
    return _run(network, lines, sight, memory, rows[crossing], which[crossing])


def _crosses(lines: Lines, line: Ints, sight: Sight, row: Ints, half_width: float) -> Bools:
    """Whether the end of an ego's tail lies across a line, in its direction."""
    half = 0.5 * sight.scene.ego["length"][row]
    x, y, cos, sin = sight.x[row], sight.y[row], sight.cos[row], sight.sin[row]
    ahead = _TAIL * half
    past, left = _beside(lines, line, x - ahead * cos, y - ahead * sin)
    behind = half + _BEHIND
    short, far_left = _beside(lines, line, x - behind * cos, y - behind * sin)
    along = cos * lines.cos[line] + sin * lines.sin[line] > 0.0
    share = past / np.where(past > short, past - short, 1.0)
    where = left + share * (far_left - left)
    inside = np.abs(where) <= 2.0 * half_width * lines.half[line]
    crossing: Bools = along & (past >= 0.0) & (short <= 0.0) & (past > short) & inside
    return crossing


def _run(
    network: RoadNetwork, lines: Lines, sight: Sight, memory: Records, rows: Ints, which: Ints
) -> list[Finding]:
    """Charges those whose tail comes from the lane that the light is for."""
    found = []
    for row, line in zip(rows.tolist(), which.tolist(), strict=True):
        ego, last = sight.scene.ego[row], int(memory["last"][row])
        if last >= 0 and lines.signal[last] == lines.signal[line]:
            continue
        behind = 0.5 * float(ego["length"]) + _BEHIND
        tail = np.array(
            [[sight.x[row] - behind * sight.cos[row], sight.y[row] - behind * sight.sin[row]]]
        )
        below = int(locate(network, tail, np.array([ego["z"]]))["lane"][0])
        if below < 0:
            continue
        lane = network.lanes[below]
        if lane["road"] == lines.road[line] and lane["lane"] == lines.lane[line]:
            memory["last"][row] = line
            found.append(Finding(row, Kind.RED_LIGHT, int(lines.signal[line])))
    return found


def stop_signs(
    network: RoadNetwork,
    rule: StopRule,
    sight: Sight,
    memory: Records,
    upstream_bugs: bool = False,
) -> list[Finding]:
    """Finds egos that left the box of a stop sign without having halted.

    Args:
        network: the map.
        rule: the protocol's.
        sight: the state.
        memory: SIGNS.
        upstream_bugs: boxes lie along the axes of the map instead of along their lanes, and the
            sign that was run last is free until another is run, as in CARLA; else until the ego
            is away from it.
    """
    lines = lines_of(network, SignalKind.STOP)
    if len(lines.x) == 0:
        return []
    found, boxes = [], _Boxes(lines, rule, sight, along_axes=upstream_bugs)
    if not upstream_bugs:
        failed: Ints = np.flatnonzero(memory["failed"] >= 0)
        sign = memory["failed"][failed]
        away = np.hypot(lines.x[sign] - sight.x[failed], lines.y[sign] - sight.y[failed])
        memory["failed"][failed[away > _SIGHT]] = -1
    for row in np.flatnonzero(memory["line"] >= 0).tolist():
        found += _mind(boxes, memory[row], row)
    free = memory["bind"] & (memory["line"] < 0)
    dx, dy = lines.x - sight.x[:, None], lines.y - sight.y[:, None]
    near = (dx * dx + dy * dy < rule.search * rule.search) & free[:, None]
    for row, line in zip(*(part.tolist() for part in np.nonzero(near)), strict=True):
        mine = memory[row]
        if mine["line"] < 0 and boxes.are_for(row, line) and boxes.hold(row, line, rule.reach):
            mine["line"], mine["halted"], mine["entered"] = line, False, False
            _note(boxes, mine, row)
    return found


@dataclass(frozen=True)
class _Boxes:
    """The boxes of stop signs, in one state."""

    lines: Lines
    rule: StopRule
    sight: Sight
    along_axes: bool

    def are_for(self, row: int, line: int) -> bool:
        """Whether a sign faces an ego, at its height."""
        lines, sight = self.lines, self.sight
        along = sight.cos[row] * lines.cos[line] + sight.sin[row] * lines.sin[line] > 0.0
        return bool(along and abs(sight.scene.ego["z"][row] - lines.z[line]) < _LEVEL)

    def hold(self, row: int, line: int, reach: float) -> bool:
        """Whether an ego's centre, or a place up to `reach` ahead of it [m], is in a box."""
        lines, sight = self.lines, self.sight
        ahead = np.arange(0.0, reach + 0.5 * _STEP, _STEP)
        dx = sight.x[row] + ahead * sight.cos[row] - lines.x[line]
        dy = sight.y[row] + ahead * sight.sin[row] - lines.y[line]
        if not self.along_axes:
            cos, sin = lines.cos[line], lines.sin[line]
            dx, dy = dx * cos + dy * sin, dy * cos - dx * sin
        half_length, half_width = self.rule.scale * _HALF_BOX, self.rule.scale * lines.half[line]
        return bool(((np.abs(dx) <= half_length) & (np.abs(dy) <= half_width)).any())


def _mind(boxes: _Boxes, mine: np.void, row: int) -> list[Finding]:
    """Goes on minding a sign; forgets it when it is left behind."""
    rule, line = boxes.rule, int(mine["line"])
    if boxes.hold(row, line, rule.reach):
        _note(boxes, mine, row)
        return []
    broken = not mine["halted"] and (mine["entered"] or not rule.must_enter)
    mine["line"] = -1
    if not broken or mine["failed"] == line:
        return []
    mine["failed"] = line
    return [Finding(row, Kind.STOP_SIGN, int(boxes.lines.signal[line]))]


def _note(boxes: _Boxes, mine: np.void, row: int) -> None:
    """Takes note of a halt at the sign that is minded, and of the ego in its box."""
    if boxes.sight.speed[row] < _HALT:
        mine["halted"] = True
    if boxes.hold(row, int(mine["line"]), 0.0):
        mine["entered"] = True
