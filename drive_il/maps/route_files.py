"""CARLA's route files: read and written, in both of their forms.

Leaderboard 1.0 lists `<waypoint x y z yaw pitch roll>` below a route, 2.x lists
`<position x y z>` below `<waypoints>`, with `<weathers>` and `<scenarios>` beside it.
Files are in CARLA's left-handed frame (metres, degrees); a `RouteRecord` is in ours.
"""

from __future__ import annotations

import copy
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element

import numpy as np

from drive_il import handedness
from drive_il.datatypes import WEATHER, Floats, Records, default_weather
from drive_il.folders import write_whole

Form = Literal["1.0", "2.x"]
_CLOUDINESS_2X = 50.0  # [%] where a weather of the 2.x form does not say


@dataclass(frozen=True)
class RouteRecord:
    """One route as its file has it: sparse, not planned.

    Attributes:
        id: its name in the file.
        town: name of its map.
        keypoints: (N, 3) [m], N >= 2, our frame.
        headings: direction of travel at each keypoint, NaN where not given, (N,) [rad].
        tilts: pitch and roll at each keypoint, (N, 2) [rad].
        form: of the file it came from.
        extras: all other elements of the route (weather, scenarios, ...), verbatim and
            therefore in CARLA's frame.
        attributes: of the route element, without id and town.
    """

    id: str
    town: str
    keypoints: Floats
    headings: Floats
    tilts: Floats
    form: Form = "2.x"
    extras: tuple[Element, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)

    def weather(self) -> tuple[Records, Floats]:
        """Reads the weather elements.

        Attributes that an element does not give are those of a leaderboard's default.

        Returns:
            weathers: keyframes by place, (M,) WEATHER; empty when there is no element.
            weather_at: where each holds, (M,) [% of the route].

        Raises:
            ValueError: if a number cannot be read.
        """
        elements = [found for extra in self.extras for found in extra.iter("weather")]
        weathers = np.repeat(default_weather(1), len(elements))
        weather_at = np.zeros(len(elements))
        if self.form == "2.x":
            weathers["cloudiness"] = _CLOUDINESS_2X
        for row, element in enumerate(elements):
            where = f"route {self.id}: weather {row}"
            for name in WEATHER.names or ():
                if name in element.attrib:
                    weathers[name][row] = _number(element, name, where)
            weather_at[row] = _number(element, "route_percentage", where, default=0.0)
        order = np.argsort(weather_at, kind="stable")
        return weathers[order], weather_at[order]


def make_record(
    id: str, town: str, keypoints: Floats, headings: Floats | None = None, form: Form = "2.x"
) -> RouteRecord:
    """Returns a record of bare keypoints, (N, 2 or 3) [m], with headings (N,) [rad] if known."""
    keypoints = np.asarray(keypoints, float)
    if keypoints.ndim != 2 or keypoints.shape[1] not in (2, 3):
        raise ValueError(f"route {id}: keypoints must have shape (N, 3), got {keypoints.shape}")
    n, missing = keypoints.shape[0], 3 - keypoints.shape[1]
    return RouteRecord(
        id=id,
        town=town,
        keypoints=np.concatenate((keypoints, np.zeros((n, missing))), axis=1),
        headings=np.full(n, np.nan) if headings is None else np.asarray(headings, float),
        tilts=np.zeros((n, 2)),
        form=form,
    )


def read_routes(path: str | Path) -> list[RouteRecord]:
    """Reads a route file of either form.

    Returns:
        The routes in the file's order, in our frame.

    Raises:
        ValueError: if the file is missing, empty, not XML, holds no routes, or a route lacks
            its id or town, has fewer than two keypoints or a coordinate that is not a number.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"routes file {path} does not exist; expected CARLA route XML")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"routes file {path} cannot be read: {error.strerror}") from None
    if not data.strip():
        raise ValueError(f"routes file {path} is empty; expected CARLA route XML")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError(f"routes file {path} is not XML: {error}") from None
    found = list(root.iter("route"))
    if not found:
        raise ValueError(
            f"routes file {path} holds no <route>; its root is <{root.tag}>, expected <routes>"
        )
    return [_read_route(element, path) for element in found]


def _read_route(element: Element, path: Path) -> RouteRecord:
    if "id" not in element.attrib:
        raise ValueError(f"a route in {path} has no id; expected <route id=... town=...>")
    where = f"route {element.get('id')} in {path}"
    if not element.get("town"):
        raise ValueError(f"{where} has no town; expected <route id=... town=...>")
    block = element.find("waypoints")
    form: Form = "1.0" if block is None else "2.x"
    places = element.findall("waypoint") if block is None else list(block)
    if len(places) < 2:
        raise ValueError(f"{where} has {len(places)} keypoints; a route needs at least 2")
    table = np.zeros((len(places), 6))
    for row, place in enumerate(places):
        at = f"{where}: keypoint {row}"
        table[row, :3] = [_number(place, name, at) for name in ("x", "y", "z")]
        table[row, 3] = _number(place, "yaw", at) if "yaw" in place.attrib else np.nan
        table[row, 4:] = [_number(place, name, at, default=0.0) for name in ("pitch", "roll")]
    others = {key: value for key, value in element.attrib.items() if key not in ("id", "town")}
    return RouteRecord(
        id=element.attrib["id"],
        town=element.attrib["town"],
        keypoints=handedness.vectors_from_carla(table[:, :3]),
        headings=handedness.heading_from_carla(table[:, 3]),
        tilts=np.deg2rad(table[:, 4:]),
        form=form,
        extras=tuple(child for child in element if child.tag not in ("waypoint", "waypoints")),
        attributes=others,
    )


def _number(element: Element, name: str, where: str, default: float | None = None) -> float:
    text = element.get(name)
    if text is None:
        if default is None:
            raise ValueError(f"{where} has no {name}; expected a number")
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where} has {name}={text!r}; expected a finite number")
    return value


def write_routes(
    path: str | Path, records: Iterable[RouteRecord], form: Form | None = None
) -> None:
    """Writes a route file in CARLA's frame, whole or not at all.

    Args:
        path: the file to write.
        records: the routes, in this order.
        form: "1.0" or "2.x"; None writes each route in its own form.
    """
    root = Element("routes")
    root.extend(_route_element(record, form or record.form) for record in records)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    write_whole(Path(path), f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n".encode())


def _route_element(record: RouteRecord, form: Form) -> Element:
    element = Element("route", {"id": record.id, "town": record.town, **record.attributes})
    extras = [copy.deepcopy(extra) for extra in record.extras]
    # The weather comes first in both forms; scenarios come last.
    element.extend(extra for extra in extras if extra.tag != "scenarios")
    parent = element
    if form == "2.x":
        parent = ElementTree.SubElement(element, "waypoints")
    xyz = handedness.vectors_to_carla(record.keypoints)
    yaw = handedness.heading_to_carla(record.headings)
    for row in range(len(xyz)):
        values = dict(zip("xyz", xyz[row].tolist(), strict=True))
        if not np.isnan(yaw[row]):
            angles = (yaw[row], *np.rad2deg(record.tilts[row]))
            # Degrees to nine digits: 90.0 comes back as 90.0, not as 90.00000000000001.
            rounded = (round(float(angle), 9) + 0.0 for angle in angles)
            values |= dict(zip(("yaw", "pitch", "roll"), rounded, strict=True))
        attributes = {name: repr(value) for name, value in values.items()}
        ElementTree.SubElement(parent, "position" if form == "2.x" else "waypoint", attributes)
    scenarios = [extra for extra in extras if extra.tag == "scenarios"]
    if form == "2.x" and not scenarios:
        scenarios = [Element("scenarios")]  # CARLA's reader of this form fails without one
    element.extend(scenarios)
    return element
