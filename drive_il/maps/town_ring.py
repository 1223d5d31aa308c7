"""Style ring: a dual carriageway ring with interchanges, ramps and lane changes.

Each carriageway has two lanes through an interchange and a third between interchanges:
who comes up a ramp enters the third lane, which leads off again at the next exit, so that
staying on the ring and leaving it both take lane changes. At an interchange a bridge joins
the two carriageways' ramps, and one can leave, turn back, or go straight on up again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drive_il.maps.town_curves import Path, Pose, chain, join, rounded, shifted
from drive_il.maps.town_junctions import build as build_junction
from drive_il.maps.town_junctions import place_signal, speed_signs
from drive_il.maps.town_roads import (
    EDGE,
    LANES,
    NO_MARK,
    YELLOW_BROKEN,
    YELLOW_SOLID,
    Arm,
    Connection,
    Mark,
    Misfit,
    Road,
    Section,
    Strip,
    Town,
    smooth,
)
from drive_il.maps.town_streets import Point

_LANE = 3.6
_MEDIAN = 2.5
_HARD_SHOULDER = 2.5
_RAMP_SHOULDER = 1.5
_NARROW = 0.5  # [m] of hard shoulder left where a ramp meets the carriageway
_LIMIT, _SLIP_LIMIT, _RAMP_LIMIT, _LINK_LIMIT = 90.0, 70.0, 50.0, 40.0
_BRIDGE = 6.0  # [m] above the ring
_ASIDE = 52.0  # [m] from the middle of the ring to a ramp's end
_REACH = 16.0  # [m] from the middle of a ramp junction to its arms
_BEGIN = 225.0  # [m] before the bridge where an exit begins
_SPLIT = 5.0  # [m] between a ramp's lane and the carriageway's where they part
_CORNER_RADIUS = 216.0  # [m]: 2.9 m/s^2 at the limit


def build(town: Town, rng: np.random.Generator) -> None:
    """Fills a town: a ring of 3.4 to 4 km with two interchanges."""
    path, bridges = _ring(rng)
    forth = _carriageway(town, path, bridges)
    length = path.length
    back = _carriageway(town, path.reversed(), [length - s for s in reversed(bridges)])
    for outer, inner in zip(forth, reversed(back), strict=True):
        _link(town, outer, inner)


def _ring(rng: np.random.Generator) -> tuple[Path, list[float]]:
    """The middle of the ring, counter-clockwise, and where on it the bridges are."""
    width, height = float(rng.uniform(1120.0, 1180.0)), float(rng.uniform(860.0, 960.0))
    lean = rng.uniform(-30.0, 30.0, 4)
    corners: list[Point] = [
        (-0.5 * width, -0.5 * height + float(lean[0])),
        (0.5 * width, -0.5 * height + float(lean[1])),
        (0.5 * width + float(lean[2]), 0.5 * height),
        (-0.5 * width + float(lean[3]), 0.5 * height),
    ]
    turn = float(rng.uniform(-math.pi, math.pi))
    c, s = math.cos(turn), math.sin(turn)
    corners = [(c * x - s * y, s * x + c * y) for x, y in corners]
    path = rounded(corners, [_CORNER_RADIUS] * 4, closed=True)
    middles = []
    for i in (0, 2):
        (x0, y0), (x1, y1) = corners[i], corners[i + 1]
        share = 0.5 + float(rng.uniform(-0.01, 0.01))
        middles.append((x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
    return path, [_station(path, middle) for middle in middles]


def _station(path: Path, point: Point) -> float:
    """Returns the arc length of a point on a straight of the path, with room on both sides."""
    begin = 0.0
    for piece in path.pieces:
        dx, dy = point[0] - piece.x, point[1] - piece.y
        c, s = math.cos(piece.heading), math.sin(piece.heading)
        ahead = c * dx + s * dy
        straight = piece.k0 == piece.k1 == 0.0 and abs(c * dy - s * dx) < 1e-3
        if straight and _BEGIN < ahead < piece.length - _BEGIN:
            return begin + ahead
        begin += piece.length
    raise Misfit("a side of the ring is too short for its interchange")


@dataclass(frozen=True)
class _Ramps:
    """The two ramps of one carriageway at one bridge, and the bridge's place there."""

    off: Road
    on: Road
    crossing: Pose
    """the carriageway's reference pose below the bridge"""


def _side(lanes: int, shoulder: tuple[float, float] | None) -> tuple[Strip, ...]:
    strips = [Strip("median", _MEDIAN, _MEDIAN, YELLOW_SOLID)]
    strips += [Strip("driving", _LANE, _LANE, LANES) for _ in range(lanes - 1)]
    if shoulder is None:  # beside a slip lane
        return (*strips, Strip("driving", _LANE, _LANE, Mark("broken")))
    return (*strips, Strip("driving", _LANE, _LANE, EDGE), Strip("shoulder", *shoulder))


def _around(path: Path, begin: float, end: float) -> Path:
    """Cuts a closed path, across its start where `end` comes before `begin`."""
    begin, end = begin % path.length, end % path.length
    if begin < end:
        return path.cut(begin, end)
    return join(path.cut(begin, path.length), path.cut(0.0, end))


def _carriageway(town: Town, path: Path, bridges: Sequence[float]) -> list[_Ramps]:
    """One way round the ring, to the right of the reference path, with its ramps."""
    slips = [_slip(path, s) for s in bridges]
    wide, narrow = [], []
    for i, s in enumerate(bridges):
        _, gore = slips[i]
        after = _around(path, s + _BEGIN, bridges[(i + 1) % len(bridges)] - _BEGIN)
        full = (_HARD_SHOULDER, _HARD_SHOULDER)
        wide.append(_main(town, after, [Section(0.0, (), _side(3, full))]))
        middle = _around(path, s - _BEGIN + gore, s + _BEGIN - gore)
        grow, shrink = (_NARROW, _HARD_SHOULDER), (_HARD_SHOULDER, _NARROW)
        sections = [
            Section(0.0, (), _side(2, grow)),
            Section(30.0, (), _side(2, full)),
            Section(middle.length - 30.0, (), _side(2, shrink)),
        ]
        narrow.append(_main(town, middle, sections))
    ramps = []
    for i, s in enumerate(bridges):
        slip, gore = slips[i]
        leave, split = _around(path, s - _BEGIN, s - _BEGIN + gore), _slip_length(slip, gore)
        enter, entry = _around(path, s + _BEGIN - gore, s + _BEGIN), _mirrored(slip, path.at(s))
        climb = slip.length - split
        off = _ramp(town, slip.cut(split, slip.length), (0.0, _BRIDGE))
        on = _ramp(town, entry.cut(0.0, climb), (_BRIDGE, 0.0))
        _gore(town, (wide[i - 1], narrow[i]), off, leave, slip.cut(0.0, split))
        _gore(town, (narrow[i], wide[i]), on, enter, entry.cut(climb, entry.length))
        ramps.append(_Ramps(off, on, path.at(s)))
    return ramps


def _main(town: Town, path: Path, sections: list[Section]) -> Road:
    road = town.road(path, sections, kind="motorway", speed=_LIMIT)
    speed_signs(town, road, 40.0)
    return road


def _slip(path: Path, bridge: float) -> tuple[Path, float]:
    """The lane centre of an exit, and how far along the ring its junction reaches [m]."""
    here = path.at(bridge)
    lane = _MEDIAN + 2.5 * _LANE
    places = [(-_BEGIN, lane), (-165.0, lane), (-85.0, _ASIDE), (-_REACH, _ASIDE)]
    points = [shifted(here, right, ahead)[:2] for ahead, right in places]
    slip = rounded(points, [0.0, 200.0, 200.0, 0.0])
    for gore in np.arange(40.0, 150.0, 0.5):
        if _aside(slip, float(gore), here) >= lane + _SPLIT:
            return slip, float(gore)
    raise Misfit("a ramp never leaves the ring")


def _along(pose: Pose, here: Pose) -> float:
    return (pose[0] - here[0]) * math.cos(here[2]) + (pose[1] - here[1]) * math.sin(here[2])


def _aside(slip: Path, s: float, here: Pose) -> float:
    x, y, _ = slip.at(s)
    return (x - here[0]) * math.sin(here[2]) - (y - here[1]) * math.cos(here[2])


def _slip_length(slip: Path, gore: float) -> float:
    """Returns the arc length of a slip lane where it is `gore` [m] along the carriageway."""
    start = slip.start
    low, high = gore, gore + 20.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _along(slip.at(middle), start) < gore:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _mirrored(slip: Path, here: Pose) -> Path:
    """The entry that mirrors an exit at the bridge, in the direction of travel."""
    x, y, heading = slip.end
    ahead = _along((x, y, heading), here)
    start = shifted((x, y, here[2]), 0.0, -2.0 * ahead)
    bends = [(piece.length, piece.k1, piece.k0) for piece in reversed(slip.pieces)]
    return chain(start, bends)


def _ramp(town: Town, path: Path, heights: tuple[float, float]) -> Road:
    right = (
        Strip("driving", _LANE, _LANE, EDGE),
        Strip("shoulder", _RAMP_SHOULDER, _RAMP_SHOULDER),
    )
    road = town.road(
        path,
        [Section(0.0, (), right, ((0.0, YELLOW_SOLID),))],
        kind="motorway",
        speed=_RAMP_LIMIT,
        offset=(0.5 * _LANE, 0.5 * _LANE),
        elevation=[smooth(0.0, path.length, *heights)],
    )
    speed_signs(town, road)
    return road


def _gore(town: Town, main: tuple[Road, Road], ramp: Road, path: Path, slip: Path) -> None:
    """Joins the carriageway with an off-ramp (three lanes become two) or an on-ramp."""
    junction = town.junction()
    exits = len(main[0].sections[-1].right) > len(main[1].sections[0].right)
    first, second = Arm(main[0], "end"), Arm(main[1], "start")
    side = Arm(ramp, "start" if exits else "end")
    for arm in (first, second, side):
        arm.attach(junction)
    through = [-1, -2, -3]
    road = town.road(
        path,
        [Section(0.0, (), _side(2, None))],
        kind="motorway",
        speed=_LIMIT,
        junction=junction.id,
        before=first.link(),
        after=second.link(),
        links={(end, lane): lane for end in ("start", "end") for lane in through},
    )
    junction.connections.append(Connection(main[0].id, road.id, [(i, i) for i in through]))
    outer, inner = (_HARD_SHOULDER, _RAMP_SHOULDER), (_RAMP_SHOULDER, _HARD_SHOULDER)
    ring_end, ramp_end = ("start", "end") if exits else ("end", "start")
    slip_road = town.road(
        slip,
        [
            Section(
                0.0,
                (),
                (
                    Strip("driving", _LANE, _LANE, EDGE),
                    Strip("shoulder", *(outer if exits else inner)),
                ),
                ((0.0, NO_MARK),),
            )
        ],
        kind="motorway",
        speed=_SLIP_LIMIT,
        junction=junction.id,
        offset=(0.5 * _LANE, 0.5 * _LANE),
        before=(first if exits else side).link(),
        after=(side if exits else second).link(),
        links={(ring_end, -1): -4, (ring_end, -2): -5, (ramp_end, -1): -1, (ramp_end, -2): -2},
    )
    incoming, lanes = (main[0].id, (-4, -5)) if exits else (ramp.id, (-1, -2))
    junction.connections.append(
        Connection(incoming, slip_road.id, [(lanes[0], -1), (lanes[1], -2)])
    )


def _link(town: Town, outer: _Ramps, inner: _Ramps) -> None:
    """The bridge over the ring, between the ramps of both carriageways."""
    side = (Strip("driving", 3.5, 3.5, EDGE), Strip("shoulder", 1.0, 1.0))
    x, y, heading = shifted(outer.crossing, _ASIDE - _REACH)
    points = [(x, y), shifted(outer.crossing, _REACH - _ASIDE)[:2]]
    road = town.road(
        rounded(points, [0.0, 0.0]),
        [Section(0.0, side, side, ((0.0, YELLOW_BROKEN),))],
        kind="rural",
        speed=_LINK_LIMIT,
        elevation=[(0.0, _BRIDGE, 0.0, 0.0, 0.0)],
    )
    for ramps, arm in ((outer, Arm(road, "start")), (inner, Arm(road, "end"))):
        off = Arm(ramps.off, "end")
        build_junction(town, [off, Arm(ramps.on, "start"), arm], 30.0)
        place_signal(town, off, "205", 1.0)
