"""Where traffic lights and signs hang, so that those whom they address can see them.

A sign stands where the map puts its signal, moved to the right off the lanes where need be.
A light has two heads: one on a post where the map puts the signal, and one over the middle
of its lanes on the far side of the junction, on an arm from a mast on the right, because
a camera at the stop line does not see what hangs beside it. Where the map itself puts the
signal on the far side (as CARLA's Town04 does) that is where the mast stands. Where no mast
finds room within 14 m the far head hangs from a wire. Heights are above the road, which is
flat in the eyes of sensors, so that the signal's own z is not used.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drive_il.datatypes import Records
from drive_il.maps.land import PRISM, Land, PrismKind, footprint, prism
from drive_il.maps.network import LaneType, RoadNetwork, SignalKind

HEAD = (0.3, 0.62, 1.5)
"""length, width and height of a light's head with its back plate [m]"""
_PLATES = {
    SignalKind.STOP: (PrismKind.STOP, 0.95, 0.95),
    SignalKind.YIELD: (PrismKind.YIELD, 1.0, 0.9),
    SignalKind.SPEED: (PrismKind.SPEED, 0.8, 0.8),
}
"""kind, width and height [m]"""
_PLATE_LOW = 1.9  # [m] underside of a sign
_NEAR_LOW, _FAR_LOW = 2.2, 4.8  # [m] underside of a light's heads
_IS_FAR = 6.0  # [m] past the stop line, from which a signal counts as on the far side
_BEYOND = 1.5  # [m] a mast stands behind the last lane of the junction
_ROOM = 0.4  # [m] between a post and the lanes
_CORRIDOR = 14.0  # [m] before a sign that nothing may hide it in
_GREY, _DARK = np.array((126, 128, 130)), np.array((32, 34, 36))
_DRIVABLE = (LaneType.DRIVING, LaneType.SHOULDER, LaneType.PARKING, LaneType.BIKING)


class _Lanes:
    """How far a place is from the surfaces that vehicles use."""

    def __init__(self, network: RoadNetwork) -> None:
        from scipy.spatial import cKDTree  # slow to load

        used = np.isin(np.repeat(network.lanes["type"], network.lanes["count"]), _DRIVABLE)
        order = np.concatenate(
            [np.arange(lane["first"], lane["first"] + lane["count"]) for lane in network.lanes]
        )
        points = network.points[order[used]]
        self._half = points["width"] / 2
        self._tree = cKDTree(np.stack((points["x"], points["y"]), axis=1))

    def clearance(self, x: float, y: float) -> float:
        """Distance to the nearest such surface, negative on it [m]."""
        distance, index = self._tree.query((x, y), k=min(24, len(self._half)))
        return float((np.atleast_1d(distance) - self._half[np.atleast_1d(index)]).min())

    def room_to_the_right(
        self, x: float, y: float, heading: float, first: float, last: float
    ) -> float | None:
        """How far to the right of a place a post can stand [m]; None if nowhere in reach."""
        for right in np.arange(first, last, 0.25):
            if self.clearance(*_beside(x, y, heading, -right)) >= _ROOM:
                return float(right)
        return None


def _beside(x: float, y: float, heading: float, left: float) -> tuple[float, float]:
    return x - left * math.sin(heading), y + left * math.cos(heading)


def _ahead(x: float, y: float, heading: float, distance: float) -> tuple[float, float]:
    return x + distance * math.cos(heading), y + distance * math.sin(heading)


def _post(x: float, y: float, heading: float, height: float, thick: float) -> Records:
    return prism(x, y, 0.0, heading, thick, thick, height, kind=PrismKind.POLE, color=_GREY)


def _plate(network: RoadNetwork, index: int, lanes: _Lanes) -> list[Records]:
    """A sign on its post; none where it would stand in the way."""
    signal = network.signals[index]
    kind, width, height = _PLATES[SignalKind(signal["kind"])]
    heading = float(signal["heading"])
    right = lanes.room_to_the_right(signal["x"], signal["y"], heading, 0.0, 10.0)
    if right is None:
        return []
    x, y = _beside(signal["x"], signal["y"], heading, -right)
    number = round(signal["value"] * 3.6) if kind == PrismKind.SPEED else -1
    facing = _ahead(x, y, heading, -0.07)
    plate = (*facing, _PLATE_LOW, heading + math.pi, 0.04, width, height)
    return [
        _post(x, y, heading, _PLATE_LOW + 0.9 * height, 0.08),
        prism(*plate, kind=kind, color=_GREY, signal=index, number=number),
    ]


def _head(x: float, y: float, low: float, heading: float, index: int) -> Records:
    """A light's head in front of a place, facing those who drive along a heading."""
    place = _ahead(x, y, heading, -0.2)
    return prism(
        *place, low, heading + math.pi, *HEAD, kind=PrismKind.LIGHT, color=_DARK, signal=index
    )


def _near_light(network: RoadNetwork, index: int, lanes: _Lanes) -> list[Records]:
    signal = network.signals[index]
    heading = float(signal["heading"])
    right = lanes.room_to_the_right(signal["x"], signal["y"], heading, 0.0, 4.0)
    if right is None:
        return []
    x, y = _beside(signal["x"], signal["y"], heading, -right)
    post = _post(x, y, heading, _NEAR_LOW + HEAD[2], 0.14)
    return [post, _head(x, y, _NEAR_LOW, heading, index)]


def _far_side(network: RoadNetwork, signal: Any, x: float, y: float, heading: float) -> float:
    """How far beyond a stop line the junction ends, straight ahead, from 8 to 40 [m]."""
    if signal["junction"] < 0:
        return 8.0
    lanes = network.lanes
    chosen = lanes[(lanes["junction"] == signal["junction"]) & (lanes["type"] == LaneType.DRIVING)]
    reach = 0.0
    for lane in chosen:
        points = network.points[lane["first"] : lane["first"] + lane["count"]]
        dx, dy = points["x"] - x, points["y"] - y
        ahead = dx * math.cos(heading) + dy * math.sin(heading)
        across = np.abs(dy * math.cos(heading) - dx * math.sin(heading))
        edge = ahead + points["width"] / 2 * np.abs(np.sin(points["heading"] - heading))
        reach = max(reach, float(edge[across < 3.0].max(initial=0.0)))
    return min(max(reach, 8.0), 40.0)


def _light(network: RoadNetwork, index: int, lanes: _Lanes) -> list[Records]:
    """Both heads of a light, or the one where the map has it on the far side itself."""
    signal = network.signals[index]
    lines = network.stop_lines[network.stop_lines["signal"] == index]
    if not len(lines):
        return _near_light(network, index, lanes)
    heading = float(signal["heading"])
    x = float((lines["x0"] + lines["x1"]).mean() / 2)
    y = float((lines["y0"] + lines["y1"]).mean() / 2)
    dx, dy = signal["x"] - x, signal["y"] - y
    ahead = dx * math.cos(heading) + dy * math.sin(heading)
    if ahead >= _IS_FAR:
        right = max(dx * math.sin(heading) - dy * math.cos(heading), 0.0)
        return _far_light(*_ahead(x, y, heading, min(ahead, 40.0)), heading, index, right, lanes)
    far = _ahead(x, y, heading, _far_side(network, signal, x, y, heading) + _BEYOND)
    near = _near_light(network, index, lanes)
    return near + _far_light(*far, heading, index, 2.0, lanes)


def _far_light(
    x: float, y: float, heading: float, index: int, right: float, lanes: _Lanes
) -> list[Records]:
    """A head over the road with its arm and mast, at least `right` metres to its right."""
    head = _head(x, y, _FAR_LOW, heading, index)
    mast = lanes.room_to_the_right(x, y, heading, right, 14.0)
    if mast is None:
        return [head]
    top = _FAR_LOW + HEAD[2]
    middle = _beside(x, y, heading, -mast / 2)
    arm = (*middle, top - 0.3, heading, 0.12, mast, 0.14)
    return [
        head,
        _post(*_beside(x, y, heading, -mast), heading, top, 0.2),
        prism(*arm, kind=PrismKind.POLE, color=_GREY),
    ]


def signposts(network: RoadNetwork, land: Land) -> Records:
    """Returns posts, arms, signs and lights of a map, (N,) PRISM.

    Args:
        network: the map.
        land: its free land; what the posts need and what would hide a sign is taken from it.
    """
    lanes = _Lanes(network)
    made: list[Records] = [np.zeros(0, PRISM)]
    for index, signal in enumerate(network.signals):
        found: list[Records] = []
        if signal["kind"] in _PLATES:
            found = _plate(network, index, lanes)
        elif signal["kind"] == SignalKind.LIGHT:
            found = _light(network, index, lanes)
        for part in found:
            heading = float(signal["heading"])
            x, y = _ahead(float(part["x"][0]), float(part["y"][0]), heading, -_CORRIDOR / 2)
            land.reserve(footprint(x, y, heading, _CORRIDOR, 2.0))
        made += found
    return np.concatenate(made)
