"""What the import needs of an OpenDRIVE file besides geometry: structure, marks, signals."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from drive_il.maps.network import LaneType, MarkColor, MarkType

_LANE_TYPES = {
    "driving": LaneType.DRIVING,
    "bidirectional": LaneType.DRIVING,
    "entry": LaneType.DRIVING,
    "exit": LaneType.DRIVING,
    "onramp": LaneType.DRIVING,
    "offramp": LaneType.DRIVING,
    "connectingramp": LaneType.DRIVING,
    "shoulder": LaneType.SHOULDER,
    "stop": LaneType.SHOULDER,
    "sidewalk": LaneType.SIDEWALK,
    "walking": LaneType.SIDEWALK,
    "parking": LaneType.PARKING,
    "biking": LaneType.BIKING,
    "median": LaneType.MEDIAN,
    "restricted": LaneType.RESTRICTED,
}  # the others that have a width, such as border or curb, count as BORDER
_MARK_TYPES = {
    "solid": MarkType.SOLID,
    "broken": MarkType.BROKEN,
    "solid solid": MarkType.SOLID_SOLID,
    "solid broken": MarkType.SOLID_BROKEN,
    "broken solid": MarkType.BROKEN_SOLID,
    "broken broken": MarkType.BROKEN_BROKEN,
    "botts dots": MarkType.BOTTS_DOTS,
    "grass": MarkType.GRASS,
    "curb": MarkType.CURB,
}
_MARK_COLORS = {
    "yellow": MarkColor.YELLOW,
    "blue": MarkColor.BLUE,
    "green": MarkColor.GREEN,
    "red": MarkColor.RED,
}
_SPEED_UNITS = {"mph": 0.44704, "km/h": 1.0 / 3.6, "m/s": 1.0, "": 1.0}
_DEFAULT_SPEED = 50.0 / 3.6  # [m/s] where the file is silent: the usual limit in towns
_DEFAULT_MARK_WIDTH = 0.12  # [m]


@dataclass(frozen=True)
class Mark:
    """A road mark from `s` on [m, within its lane section]."""

    s: float
    kind: MarkType
    color: MarkColor
    width: float
    may_increase: bool  # vehicles may cross towards greater lane ids
    may_decrease: bool


@dataclass(frozen=True)
class XmlLane:
    """One lane of one section."""

    id: int
    type: LaneType | None  # None: no surface
    marks: tuple[Mark, ...]  # at its outer edge; of lane 0: on the centre line
    predecessor: int | None
    successor: int | None


@dataclass(frozen=True)
class Section:
    """One lane section; `begin` and `end` are arc lengths on the road [m]."""

    begin: float
    end: float
    lanes: dict[int, XmlLane]


@dataclass(frozen=True)
class RoadEnd:
    """What a road is linked to at one end."""

    is_junction: bool
    id: str
    at_start: bool  # the contact point on a linked road


@dataclass(frozen=True)
class SignalUse:
    """Where a signal, or a reference to one, applies."""

    signal: int
    road: str
    s: float
    lanes: tuple[tuple[int, int], ...]  # ranges; empty: decided by the orientation
    orientation: str
    is_reference: bool


@dataclass(frozen=True)
class XmlSignal:
    """A signal itself."""

    id: int
    type: str
    value: float
    unit: str
    name: str


@dataclass(frozen=True)
class Road:
    """One road."""

    id: str
    junction: int  # -1 outside junctions
    length: float
    sections: tuple[Section, ...]
    predecessor: RoadEnd | None
    successor: RoadEnd | None
    speeds: tuple[tuple[float, float], ...]  # (s, limit [m/s])

    def speed_limit(self, s: float) -> float:
        """Limit in force at arc length s [m/s]."""
        limit = _DEFAULT_SPEED
        for begin, value in self.speeds:
            if begin <= s + 1e-6:
                limit = value
        return limit


@dataclass(frozen=True)
class Connection:
    """One way through a junction."""

    incoming: str
    connecting: str
    at_start: bool
    lanes: tuple[tuple[int, int], ...]  # (from, to)


@dataclass(frozen=True)
class OpenDrive:
    """A parsed file."""

    geo_reference: tuple[float, float]
    roads: dict[str, Road]
    junctions: dict[str, tuple[Connection, ...]]
    signals: dict[int, XmlSignal]
    uses: tuple[SignalUse, ...]
    controllers: dict[int, int] = field(default_factory=dict)  # signal -> controller


def parse(text: str, where: str) -> OpenDrive:
    """Reads structure, marks and signals.

    Args:
        text: OpenDRIVE.
        where: name of the file, for messages.

    Raises:
        ValueError: one line that names the file and what is wrong with it.
    """
    root = _root(text, where)
    try:
        roads = {road.get("id", ""): _road(road) for road in root.iter("road")}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} is damaged OpenDRIVE: {error}") from None
    if not any(
        lane.type is LaneType.DRIVING
        for road in roads.values()
        for section in road.sections
        for lane in section.lanes.values()
    ):
        raise ValueError(f"{where} has no driving lane; expected at least one road to drive on")
    return OpenDrive(
        geo_reference=_geo_reference(root),
        roads=roads,
        junctions={
            junction.get("id", ""): tuple(_connection(c) for c in junction.iter("connection"))
            for junction in root.iter("junction")
        },
        signals=_signals(root),
        uses=tuple(_uses(root)),
        controllers={
            int(control.get("signalId", "-1")): int(controller.get("id", "-1"))
            for controller in root.findall("controller")
            for control in controller.findall("control")
        },
    )


def _root(text: str, where: str) -> ElementTree.Element:
    if not text.strip():
        raise ValueError(f"{where} is empty; expected an OpenDRIVE file (.xodr)")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{where} is not whole XML ({error}); is the file truncated?") from None
    if root.tag != "OpenDRIVE":
        raise ValueError(f"{where} is XML with root <{root.tag}>; expected <OpenDRIVE>")
    if root.find("road") is None:
        raise ValueError(f"{where} has no <road>; expected at least one")
    return root


def _number(element: ElementTree.Element, name: str, default: float | None = None) -> float:
    text = element.get(name)
    if text is None:
        if default is not None:
            return default
        raise ValueError(f"<{element.tag}> without {name}")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"<{element.tag}> has {name}={text}, expected a finite number")
    return value


def _road(element: ElementTree.Element) -> Road:
    geometry = element.findall("planView/geometry")
    if not geometry:
        raise ValueError(f"road {element.get('id')} has no geometry")
    for piece in geometry:
        for name in ("s", "x", "y", "hdg", "length"):
            _number(piece, name)
        if len(piece) == 0:
            raise ValueError(f"road {element.get('id')} has a geometry without a shape")
    length = _number(element, "length")
    sections = element.findall("lanes/laneSection")
    if not sections:
        raise ValueError(f"road {element.get('id')} has no lane section")
    starts = [_number(section, "s") for section in sections]
    ends = [*starts[1:], length]
    return Road(
        id=element.get("id", ""),
        junction=int(element.get("junction", "-1")),
        length=length,
        sections=tuple(map(_section, sections, starts, ends)),
        predecessor=_road_end(element.find("link/predecessor")),
        successor=_road_end(element.find("link/successor")),
        speeds=tuple(_speeds(element)),
    )


def _speeds(road: ElementTree.Element) -> list[tuple[float, float]]:
    speeds = []
    for kind in road.findall("type"):
        speed = kind.find("speed")
        if speed is not None and speed.get("max", "") not in ("", "no limit", "undefined"):
            factor = _SPEED_UNITS.get(speed.get("unit", ""), 1.0)
            speeds.append((_number(kind, "s"), _number(speed, "max") * factor))
    return speeds


def _section(element: ElementTree.Element, begin: float, end: float) -> Section:
    lanes = {}
    for side in ("left", "center", "right"):
        for lane in element.findall(f"{side}/lane"):
            parsed = _lane(lane)
            lanes[parsed.id] = parsed
    return Section(begin, end, lanes)


def _lane(element: ElementTree.Element) -> XmlLane:
    number = int(element.get("id", ""))
    kind = element.get("type", "none").lower()
    has_surface = number != 0 and kind != "none" and element.find("width") is not None
    return XmlLane(
        id=number,
        type=_LANE_TYPES.get(kind, LaneType.BORDER) if has_surface else None,
        marks=tuple(_mark(mark) for mark in element.findall("roadMark")),
        predecessor=_link(element.find("link/predecessor")),
        successor=_link(element.find("link/successor")),
    )


def _link(element: ElementTree.Element | None) -> int | None:
    return None if element is None else int(element.get("id", ""))


def _mark(element: ElementTree.Element) -> Mark:
    # CARLA lets vehicles change lane both ways where the file says nothing.
    change = element.get("laneChange", "both").lower()
    width = _number(element, "width", _DEFAULT_MARK_WIDTH)
    return Mark(
        s=_number(element, "sOffset", 0.0),
        kind=_MARK_TYPES.get(element.get("type", "none").lower(), MarkType.NONE),
        color=_MARK_COLORS.get(element.get("color", "white").lower(), MarkColor.WHITE),
        width=width if width > 0 else _DEFAULT_MARK_WIDTH,
        may_increase=change in ("both", "increase"),
        may_decrease=change in ("both", "decrease"),
    )


def _road_end(element: ElementTree.Element | None) -> RoadEnd | None:
    if element is None:
        return None
    return RoadEnd(
        is_junction=element.get("elementType") == "junction",
        id=element.get("elementId", ""),
        at_start=element.get("contactPoint") == "start",
    )


def _connection(element: ElementTree.Element) -> Connection:
    return Connection(
        incoming=element.get("incomingRoad", ""),
        connecting=element.get("connectingRoad", ""),
        at_start=element.get("contactPoint", "start") == "start",
        lanes=tuple(
            (int(link.get("from", "0")), int(link.get("to", "0")))
            for link in element.findall("laneLink")
        ),
    )


def _signals(root: ElementTree.Element) -> dict[int, XmlSignal]:
    signals = {}
    for element in root.iter("signal"):
        number = int(element.get("id", "-1"))
        value = element.get("value")
        signals[number] = XmlSignal(
            id=number,
            type=element.get("type", "-1"),
            value=float(value) if value not in (None, "") else -1.0,
            unit=element.get("unit", ""),
            name=element.get("name", ""),
        )
    return signals


def _uses(root: ElementTree.Element) -> list[SignalUse]:
    uses = []
    for road in root.iter("road"):
        for tag in ("signal", "signalReference"):
            for element in road.findall(f"signals/{tag}"):
                ranges = []
                for valid in element.findall("validity"):
                    ends = int(valid.get("fromLane", "0")), int(valid.get("toLane", "0"))
                    ranges.append((min(ends), max(ends)))
                uses.append(
                    SignalUse(
                        signal=int(element.get("id", "-1")),
                        road=road.get("id", ""),
                        s=_number(element, "s"),
                        lanes=tuple(ranges),
                        orientation=element.get("orientation", "none"),
                        is_reference=tag == "signalReference",
                    )
                )
    return uses


def _geo_reference(root: ElementTree.Element) -> tuple[float, float]:
    """Latitude and longitude of the origin [deg]; CARLA's fallback is 42, 2."""
    text = root.findtext("header/geoReference") or ""
    words = dict(word.lstrip("+").split("=", 1) for word in text.split() if "=" in word)
    try:
        return float(words.get("lat_0", 42.0)), float(words.get("lon_0", 2.0))
    except ValueError:
        return 42.0, 2.0


def text_of(path: Path) -> str:
    """Reads a map file.

    Raises:
        ValueError: it is not there, or not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; expected an OpenDRIVE file (.xodr)") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; expected an OpenDRIVE file (.xodr)") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text; expected an OpenDRIVE file (.xodr)") from None
