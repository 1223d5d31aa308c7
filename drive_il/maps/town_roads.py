"""What a town is made of, before it is written: roads, junctions, signals, crosswalks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from drive_il.maps.town_curves import Path, Pose, shifted, turned

Contact = Literal["start", "end"]
Poly = tuple[float, float, float, float, float]
"""s [m] and the coefficients a, b, c, d of a cubic in the distance from there."""


class Misfit(ArithmeticError):
    """The parts drawn for a town do not fit together; another draw is needed."""


@dataclass(frozen=True)
class Mark:
    """One road mark: OpenDRIVE's type, colour and permission to change lanes."""

    type: str = "none"
    color: str = "white"
    change: str = "none"
    width: float = 0.12


NO_MARK = Mark()
EDGE = Mark("solid")
LANES = Mark("broken", change="both")
YELLOW_BROKEN = Mark("broken", "yellow")
YELLOW_SOLID = Mark("solid", "yellow")
YELLOW_DOUBLE = Mark("solid_solid", "yellow")
WHITE_BROKEN = Mark("broken")
KERB = Mark("curb", width=0.15)


@dataclass(frozen=True)
class Strip:
    """One lane: its kind, its width at both ends [m] and the mark on its outer border."""

    kind: str
    begin: float
    end: float
    mark: Mark = NO_MARK
    bulge: float = 0.0
    """wider by this in the middle, along a parabola [m]"""


@dataclass(frozen=True)
class Section:
    """A lane section; strips count from the reference line outwards."""

    s: float
    left: tuple[Strip, ...]
    right: tuple[Strip, ...]
    center: tuple[tuple[float, Mark], ...] = ((0.0, NO_MARK),)


@dataclass(frozen=True)
class Link:
    """What follows at one end of a road."""

    element: Literal["road", "junction"]
    id: int
    contact: Contact | None = None


@dataclass
class Signal:
    """A traffic light or sign, for the lanes [first, last] of its road."""

    id: int
    type: str
    s: float
    t: float
    along: bool
    """it speaks to traffic in the direction of the reference line"""
    lanes: tuple[int, int]
    value: float | None = None
    """[km/h], for speed signs"""
    heading_offset: float = 0.0
    dynamic: bool = False
    height: float = 2.2


@dataclass
class Crosswalk:
    """A zebra across a road: its middle and its size [m]."""

    id: int
    s: float
    depth: float
    left: float
    right: float


@dataclass
class Road:
    """One OpenDRIVE road."""

    id: int
    path: Path
    sections: list[Section]
    kind: str = "town"
    speed: float = 50.0
    """limit [km/h]"""
    name: str = ""
    junction: int = -1
    offset: tuple[float, float] = (0.0, 0.0)
    """lane offset at both ends [m], left positive"""
    elevation: list[Poly] = field(default_factory=list)
    before: Link | None = None
    after: Link | None = None
    links: dict[tuple[Contact, int], int] = field(default_factory=dict)
    """lane links across the ends: (end of this road, lane) -> lane of the other road"""
    signals: list[Signal] = field(default_factory=list)
    crosswalks: list[Crosswalk] = field(default_factory=list)

    @property
    def length(self) -> float:
        """Arc length of the reference line [m]."""
        return self.path.length


@dataclass
class Connection:
    """How a connecting road leaves an incoming road."""

    incoming: int
    connecting: int
    lanes: list[tuple[int, int]]


@dataclass
class Junction:
    """One OpenDRIVE junction."""

    id: int
    connections: list[Connection] = field(default_factory=list)
    controllers: list[int] = field(default_factory=list)


@dataclass
class Controller:
    """Signals that switch together."""

    id: int
    signals: list[int]


class Town:
    """Collects roads and junctions and numbers them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.roads: dict[int, Road] = {}
        self.junctions: dict[int, Junction] = {}
        self.controllers: list[Controller] = []
        self._road_id = 0
        self._junction_id = 1000
        self._signal_id = 2000
        self._controller_id = 3000
        self._object_id = 4000

    def road(self, path: Path, sections: Sequence[Section], **details: object) -> Road:
        """Adds a road; `details` are the other fields of Road."""
        self._road_id += 1
        road = Road(self._road_id, path, list(sections), **details)  # type: ignore[arg-type]
        self.roads[road.id] = road
        return road

    def junction(self) -> Junction:
        """Adds a junction."""
        self._junction_id += 1
        junction = Junction(self._junction_id)
        self.junctions[junction.id] = junction
        return junction

    def controller(self, junction: Junction, signals: list[int]) -> None:
        """Adds a controller of these signals to a junction."""
        self._controller_id += 1
        self.controllers.append(Controller(self._controller_id, signals))
        junction.controllers.append(self._controller_id)

    def signal_id(self) -> int:
        """Returns a new signal id."""
        self._signal_id += 1
        return self._signal_id

    def object_id(self) -> int:
        """Returns a new object id."""
        self._object_id += 1
        return self._object_id


@dataclass(frozen=True)
class Lane:
    """A driving lane where it meets a junction, seen by one who drives into the road end.

    Attributes:
        id: OpenDRIVE lane id.
        right: of its centre from the reference line, right positive as one drives [m].
        width: [m].
    """

    id: int
    right: float
    width: float


@dataclass(frozen=True)
class Arm:
    """A road end at a junction."""

    road: Road
    contact: Contact

    @property
    def pose(self) -> Pose:
        """The reference line's pose at the end, facing into the junction."""
        return self.road.path.end if self.contact == "end" else turned(self.road.path.start)

    @property
    def _right_side(self) -> tuple[tuple[Strip, ...], int]:
        section = self.road.sections[-1 if self.contact == "end" else 0]
        return (section.right, -1) if self.contact == "end" else (section.left, 1)

    @property
    def _left_side(self) -> tuple[tuple[Strip, ...], int]:
        section = self.road.sections[-1 if self.contact == "end" else 0]
        return (section.left, 1) if self.contact == "end" else (section.right, -1)

    def _width(self, strip: Strip) -> float:
        return strip.end if self.contact == "end" else strip.begin

    @property
    def shift(self) -> float:
        """Lane offset here, right positive for one driving into the junction [m]."""
        return -self.road.offset[1] if self.contact == "end" else self.road.offset[0]

    def incoming(self) -> list[Lane]:
        """Driving lanes into the junction, from the middle of the road outwards."""
        return self._lanes(*self._right_side, 1.0)

    def outgoing(self) -> list[Lane]:
        """Driving lanes out of it, seen by one who drives out: right positive."""
        return self._lanes(*self._left_side, -1.0)

    def _lanes(self, strips: tuple[Strip, ...], sign: int, way: float) -> list[Lane]:
        lanes = []
        edge = way * self.shift
        for i, strip in enumerate(strips):
            width = self._width(strip)
            if strip.kind == "driving":
                lanes.append(Lane(sign * (i + 1), edge + 0.5 * width, width))
            edge += width
        return lanes

    def outer(self, incoming: bool) -> list[tuple[int, Strip, float]]:
        """Strips outside the driving lanes on the side of in- or outgoing traffic.

        Returns:
            lane id, strip and width here [m], from the inside out.
        """
        strips, sign = self._right_side if incoming else self._left_side
        driving = [i for i, strip in enumerate(strips) if strip.kind == "driving"]
        first = driving[-1] + 1 if driving else 0
        rest = list(enumerate(strips))[first:]
        return [(sign * (i + 1), strip, self._width(strip)) for i, strip in rest]

    def link(self) -> Link:
        """How a connecting road refers to this end."""
        return Link("road", self.road.id, self.contact)

    def attach(self, junction: Junction) -> None:
        """Notes at the road's end that the junction follows."""
        if self.contact == "end":
            self.road.after = Link("junction", junction.id)
        else:
            self.road.before = Link("junction", junction.id)


def half_width(strips: Sequence[Strip]) -> float:
    """Returns the full width of one side at its wider end [m]."""
    return max(sum(strip.begin for strip in strips), sum(strip.end for strip in strips))


def smooth(s: float, length: float, begin: float, end: float) -> Poly:
    """Returns the cubic from `begin` to `end` with no slope at both ends."""
    rise = end - begin
    return s, begin, 0.0, 3.0 * rise / length**2, -2.0 * rise / length**3


def hermite(knots: Sequence[tuple[float, float, float]]) -> list[Poly]:
    """Returns cubics through (s, value, slope) knots, smooth at each."""
    pieces: list[Poly] = []
    for (s0, z0, m0), (s1, z1, m1) in zip(knots[:-1], knots[1:], strict=True):
        h = s1 - s0
        d = (z1 - z0) / h
        pieces.append((s0, z0, m0, (3.0 * d - 2.0 * m0 - m1) / h, (m0 + m1 - 2.0 * d) / h**2))
    return pieces


def lane_pose(arm: Arm, lane: Lane, incoming: bool) -> Pose:
    """Returns the centre of a lane at a road end, in the direction of travel."""
    return shifted(arm.pose if incoming else turned(arm.pose), lane.right)


def bearing(pose: Pose, point: tuple[float, float]) -> float:
    """Returns the direction from a point to a pose's position [rad]."""
    return math.atan2(pose[1] - point[1], pose[0] - point[0])
