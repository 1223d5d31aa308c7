"""Writes a town as OpenDRIVE 1.4 text, the form that carla.Map reads.

The same town gives the same bytes: numbers are rounded far below any tolerance and far
above the noise of different maths libraries, and nothing of the day is written.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from scenariogeneration import xodr

from drive_il.maps.town_curves import wrap
from drive_il.maps.town_roads import Contact, Link, Mark, Poly, Road, Section, Strip, Town, smooth

GEO_REFERENCE = (
    "+proj=tmerc +lat_0=0 +lon_0=0 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +vunits=m +no_defs"
)
_DATE = "2000-01-01T00:00:00"


def write(town: Town) -> str:
    """Returns the OpenDRIVE text of a town."""
    # The library numbers signals and objects through shared class dictionaries.
    xodr.signals_objects._SignalObjectBase._usedIDs.clear()
    xodr.signals_objects._SignalObjectBase._IDCounter.clear()
    document = xodr.OpenDrive(town.name, revMinor="4", geo_reference=GEO_REFERENCE)
    for road in town.roads.values():
        document.add_road(_road(road))
    for junction in town.junctions.values():
        made = xodr.Junction(f"junction{junction.id}", junction.id)
        for connection in junction.connections:
            item = xodr.Connection(
                connection.incoming, connection.connecting, xodr.ContactPoint.start
            )
            for first, last in connection.lanes:
                item.add_lanelink(first, last)
            made.add_connection(item)
        document.add_junction(made)
    root = document.get_element()
    _finish(root, town)
    ElementTree.indent(root, " ")
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _finish(root: ElementTree.Element, town: Town) -> None:
    """Adds what the library has no class for."""
    header = root.find("header")
    assert header is not None, "the library always writes a header"
    header.set("date", _DATE)
    header.set("vendor", "drive_il")
    points = [road.path.sample(10.0) for road in town.roads.values()]
    header.set("west", _text(min(float(p[:, 0].min()) for p in points) - 10.0, 1))
    header.set("east", _text(max(float(p[:, 0].max()) for p in points) + 10.0, 1))
    header.set("south", _text(min(float(p[:, 1].min()) for p in points) - 10.0, 1))
    header.set("north", _text(max(float(p[:, 1].max()) for p in points) + 10.0, 1))
    for element in root.iter("object"):  # OpenDRIVE 1.4 knows no <outlines>
        for wrapper in element.findall("outlines"):
            element.remove(wrapper)
            element.extend(list(wrapper))
    first_junction = next((i for i, child in enumerate(root) if child.tag == "junction"), len(root))
    for i, controller in enumerate(town.controllers):
        made = ElementTree.Element(
            "controller", name=f"ctrl{controller.id}", id=str(controller.id), sequence=str(i)
        )
        for signal in controller.signals:
            ElementTree.SubElement(made, "control", signalId=str(signal), type="")
        root.insert(first_junction + i, made)
    for element in root.findall("junction"):
        junction = town.junctions[int(element.get("id", ""))]
        for i, controller_id in enumerate(junction.controllers):
            ElementTree.SubElement(
                element, "controller", id=str(controller_id), type="0", sequence=str(i)
            )


def _text(value: float, digits: int) -> str:
    return str(round(value, digits) + 0.0)


def _number(value: float, digits: int = 7) -> float:
    return round(float(value), digits) + 0.0  # + 0.0 makes -0.0 plain


def _cubic(poly: Poly) -> tuple[float, float, float, float, float]:
    s, a, b, c, d = poly
    return _number(s), _number(a), _number(b, 9), _number(c, 11), _number(d, 13)


def _road(road: Road) -> Any:
    planview = xodr.PlanView()
    s = 0.0
    for piece in road.path.pieces:
        length = _number(piece.length)
        k0, k1 = _number(piece.k0, 10), _number(piece.k1, 10)
        geometry: Any
        if max(abs(k0), abs(k1)) < 1e-8:
            geometry = xodr.Line(length)
        elif abs(k1 - k0) < 1e-7:
            geometry = xodr.Arc(_number(0.5 * (k0 + k1), 10), length=length)
        else:
            geometry = xodr.Spiral(k0, k1, length=length)
        planview.add_fixed_geometry(
            geometry,
            _number(piece.x),
            _number(piece.y),
            _number(wrap(piece.heading), 9),
            _number(s),
        )
        s = _number(s + length)
    planview.present_s = s
    made = xodr.Road(
        road.id,
        planview,
        _lanes(road),
        road_type=road.junction,
        name=road.name or f"Road {road.id}",
    )
    _link(made.add_predecessor, road.before)
    _link(made.add_successor, road.after)
    made.add_type(
        getattr(xodr.RoadType, road.kind), 0, speed=_number(road.speed, 3), speed_unit="km/h"
    )
    for poly in road.elevation or [(0.0, 0.0, 0.0, 0.0, 0.0)]:
        made.add_elevation(*_cubic(poly))
    _furniture(made, road)
    return made


def _link(add: Any, link: Link | None) -> None:
    if link is None:
        return
    if link.element == "junction":
        add(xodr.ElementType.junction, link.id)
    else:
        add(xodr.ElementType.road, link.id, getattr(xodr.ContactPoint, link.contact or "start"))


def _lanes(road: Road) -> Any:
    lanes = xodr.Lanes()
    if any(road.offset):
        begin, end = road.offset
        lanes.add_laneoffset(xodr.LaneOffset(*_cubic(smooth(0.0, road.length, begin, end))))
    for i, section in enumerate(road.sections):
        last = i + 1 == len(road.sections)
        length = (road.length if last else road.sections[i + 1].s) - section.s
        center = xodr.Lane(a=0)
        for s, mark in section.center:
            center.add_roadmark(_mark(mark, s))
        made = xodr.LaneSection(_number(section.s), center)
        for sign, strips, add in (
            (1, section.left, made.add_left_lane),
            (-1, section.right, made.add_right_lane),
        ):
            for rank, strip in enumerate(strips):
                lane = _lane(strip, length)
                add(lane)
                _lane_links(lane, road, i, sign, rank)
        lanes.add_lanesection(made)
    return lanes


def _lane(strip: Strip, length: float) -> Any:
    s, a, b, c, d = smooth(0.0, length, strip.begin, strip.end)
    hump = 4.0 * strip.bulge / length
    _, a, b, c, d = _cubic((s, a, b + hump, c - hump / length, d))
    lane = xodr.Lane(getattr(xodr.LaneType, strip.kind), a, b, c, d)
    lane.add_roadmark(_mark(strip.mark, 0.0))
    return lane


def _mark(mark: Mark, s: float) -> Any:
    return xodr.RoadMark(
        getattr(xodr.RoadMarkType, mark.type),
        width=mark.width,
        soffset=_number(s),
        color=getattr(xodr.RoadMarkColor, mark.color),
        laneChange=getattr(xodr.LaneChange, mark.change),
    )


def _lane_links(lane: Any, road: Road, index: int, sign: int, rank: int) -> None:
    for step, way, contact in ((-1, "predecessor", "start"), (1, "successor", "end")):
        other = index + step
        if 0 <= other < len(road.sections):
            target = matching(road.sections[index], road.sections[other], sign * (rank + 1))
        else:
            side: Contact = "start" if contact == "start" else "end"
            target = road.links.get((side, sign * (rank + 1)))
        if target is not None:
            lane.add_link(way, target)


def matching(here: Section, there: Section, lane_id: int) -> int | None:
    """Returns the lane of another section that continues a lane: same side, kind and rank."""
    own, others = (here.left, there.left) if lane_id > 0 else (here.right, there.right)
    index = abs(lane_id) - 1
    kind = own[index].kind
    rank = sum(strip.kind == kind for strip in own[:index])
    same = [i for i, strip in enumerate(others) if strip.kind == kind]
    if rank >= len(same):
        return None
    return (same[rank] + 1) * (1 if lane_id > 0 else -1)


def _furniture(made: Any, road: Road) -> None:
    for signal in road.signals:
        value = -1.0 if signal.value is None else signal.value
        item = xodr.Signal(
            _number(signal.s, 3),
            _number(signal.t, 3),
            "OpenDRIVE",
            signal.type,
            id=str(signal.id),
            name=_SIGNAL_NAMES[signal.type],
            dynamic=xodr.Dynamic.yes if signal.dynamic else xodr.Dynamic.no,
            value=value,
            unit="km/h",
            zOffset=signal.height,
            orientation=xodr.Orientation.positive if signal.along else xodr.Orientation.negative,
            hOffset=_number(signal.heading_offset, 6),
            height=1.0 if signal.dynamic else 0.8,
            width=0.5 if signal.dynamic else 0.8,
        )
        item.add_validity(*signal.lanes)
        made.add_signal(item)
    for crosswalk in road.crosswalks:
        middle = 0.5 * (crosswalk.left - crosswalk.right)
        reach = 0.5 * (crosswalk.left + crosswalk.right)
        item = xodr.Object(
            _number(crosswalk.s, 3),
            _number(middle, 3),
            xodr.ObjectType.crosswalk,
            id=str(crosswalk.id),
            name="Crosswalk",
            orientation=xodr.Orientation.none,
            length=_number(crosswalk.depth, 3),
            width=_number(2.0 * reach, 3),
            height=0.0,
        )
        outline = xodr.Outline()
        depth = 0.5 * crosswalk.depth
        corners = [(-depth, -reach), (depth, -reach), (depth, reach), (-depth, reach)]
        for u, v in [*corners, corners[0]]:
            outline.add_corner(xodr.CornerLocal(_number(u, 3), _number(v, 3), 0.0, 0.0))
        item.add_outline(outline)
        made.add_object(item)


_SIGNAL_NAMES = {
    "1000001": "Signal_3Light_Post01",
    "206": "Sign_Stop",
    "205": "Sign_Yield",
    "274": "Sign_Speed",
}
