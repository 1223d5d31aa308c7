"""Reads generated OpenDRIVE on its own, so that the generator is not judged by itself."""

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad


@dataclass(frozen=True)
class LaneEnd:
    """A lane's centre where it begins or ends, in the direction of the reference line."""

    x: float
    y: float
    z: float
    heading: float
    width: float


def polynomial(records: list[ElementTree.Element], s: float, key: str) -> tuple[float, float]:
    """Value and derivative of the record in force at s."""
    found = [r for r in records if float(r.get(key)) <= s + 1e-9]
    if not found:
        return 0.0, 0.0
    a, b, c, d = (float(found[-1].get(k)) for k in "abcd")
    h = s - float(found[-1].get(key))
    return a + h * (b + h * (c + h * d)), b + h * (2 * c + 3 * h * d)


def walk(geometry: ElementTree.Element, s: float) -> tuple[float, float, float]:
    """The pose s metres along one line, arc or spiral, by quadrature."""
    length = float(geometry.get("length"))
    shape = geometry[0]
    k0 = k1 = 0.0
    if shape.tag == "arc":
        k0 = k1 = float(shape.get("curvature"))
    elif shape.tag == "spiral":
        k0, k1 = float(shape.get("curvStart")), float(shape.get("curvEnd"))
    heading = float(geometry.get("hdg"))
    rate = (k1 - k0) / length

    def angle(u: float) -> float:
        return heading + k0 * u + 0.5 * rate * u * u

    options = {"epsabs": 1e-9, "epsrel": 1e-10, "limit": 200}
    x = float(geometry.get("x")) + quad(lambda u: math.cos(angle(u)), 0.0, s, **options)[0]
    y = float(geometry.get("y")) + quad(lambda u: math.sin(angle(u)), 0.0, s, **options)[0]
    return x, y, angle(s)


def curvatures(geometry: ElementTree.Element) -> tuple[float, float]:
    """Curvature at the start and the end of one piece."""
    shape = geometry[0]
    if shape.tag == "arc":
        return float(shape.get("curvature")), float(shape.get("curvature"))
    if shape.tag == "spiral":
        return float(shape.get("curvStart")), float(shape.get("curvEnd"))
    return 0.0, 0.0


def wrapped(angle: float) -> float:
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


class Xml:
    """An OpenDRIVE text, with just what the tests ask of it."""

    def __init__(self, text: str) -> None:
        self.root = ElementTree.fromstring(text)
        self.roads = {int(road.get("id")): road for road in self.root.findall("road")}
        self.junctions = {int(j.get("id")): j for j in self.root.findall("junction")}

    def reference(self, road: int, end: str) -> tuple[float, float, float]:
        """Pose of a road's reference line at its start or end."""
        pieces = self.roads[road].findall("planView/geometry")
        if end == "start":
            return walk(pieces[0], 0.0)
        return walk(pieces[-1], float(pieces[-1].get("length")))

    def section(self, road: int, end: str) -> ElementTree.Element:
        return self.roads[road].findall("lanes/laneSection")[0 if end == "start" else -1]

    def lane(self, road: int, end: str, lane: int) -> ElementTree.Element:
        found = self.section(road, end).find(f".//lane[@id='{lane}']")
        assert found is not None, f"road {road} has no lane {lane} at its {end}"
        return found

    def lane_end(self, road: int, end: str, lane: int) -> LaneEnd:
        """Centre of a lane at a road's start or end."""
        element = self.roads[road]
        x, y, heading = self.reference(road, end)
        s = 0.0 if end == "start" else float(element.get("length"))
        section = self.section(road, end)
        t, slope = polynomial(element.findall("lanes/laneOffset"), s, "s")
        sign = 1 if lane > 0 else -1
        width = 0.0
        for rank in range(1, abs(lane) + 1):
            item = section.find(f".//lane[@id='{sign * rank}']")
            width, change = polynomial(
                item.findall("width"), s - float(section.get("s")), "sOffset"
            )
            part = 0.5 if rank == abs(lane) else 1.0
            t, slope = t + sign * part * width, slope + sign * part * change
        z, _ = polynomial(element.findall("elevationProfile/elevation"), s, "s")
        return LaneEnd(
            x - t * math.sin(heading),
            y + t * math.cos(heading),
            z,
            heading + math.atan(slope),
            width,
        )

    def joints(self) -> list[tuple[tuple[int, str, int], tuple[int, str, int]]]:
        """Every pair of lane ends that the links call the same place."""
        pairs = []
        for road, element in self.roads.items():
            for way, end in (("predecessor", "start"), ("successor", "end")):
                link = element.find(f"link/{way}")
                if link is None or link.get("elementType") != "road":
                    continue
                other, contact = int(link.get("elementId")), link.get("contactPoint")
                for lane in self.section(road, end).iter("lane"):
                    target = lane.find(f"link/{way}")
                    if target is not None:
                        here = (road, end, int(lane.get("id")))
                        pairs.append((here, (other, contact, int(target.get("id")))))
        return pairs


def gap(xml: Xml, here: tuple[int, str, int], there: tuple[int, str, int]) -> tuple[float, ...]:
    """Distance [m], step [m], kink [rad] and change of width [m] where two lanes meet."""
    a, b = xml.lane_end(*here), xml.lane_end(*there)
    turned = math.pi if here[1] == there[1] else 0.0
    return (
        float(np.hypot(a.x - b.x, a.y - b.y)),
        abs(a.z - b.z),
        abs(wrapped(a.heading - b.heading - turned)),
        abs(a.width - b.width),
    )
