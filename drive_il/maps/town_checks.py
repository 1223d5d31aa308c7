"""What must hold of every generated town, checked before it is written."""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import Bools, Floats, Ints
from drive_il.maps.town_roads import Misfit, Road, Town, half_width

_STEP = 4.0  # [m] between the points compared
_CLEARANCE = 4.5  # [m] of height between roads that cross
_GAP = -0.3  # [m] between surfaces: carriageways may touch, not overlap


def check(town: Town) -> None:
    """Refuses a town in which two roads overlap at the same height.

    Connecting roads of one junction may overlap each other; roads that meet at a junction or
    follow each other are compared away from where they meet.

    Raises:
        Misfit: naming the roads and the place.
    """
    plain = [road for road in town.roads.values() if road.junction < 0]
    points = np.concatenate([_surface(road) for road in plain])
    owner = np.repeat(np.arange(len(plain)), [len(_surface(road)) for road in plain])
    arcs = points[:, 4]
    for i, road in enumerate(plain):
        own = points[owner == i]
        delta = own[:, None, :2] - points[None, :, :2]
        near = np.hypot(delta[..., 0], delta[..., 1])
        near -= own[:, None, 3] + points[None, :, 3] + _GAP
        level = np.abs(own[:, None, 2] - points[None, :, 2]) < _CLEARANCE
        # along itself a road is its own neighbour, and near its ends that of others
        same = owner[None, :] == i
        apart = np.where(same, np.abs(own[:, None, 4] - arcs[None, :]) > 60.0, True)
        hit = (near < 0.0) & level & apart & ~(_meet(road, plain, owner) & ~same)
        if hit.any():
            a, b = np.argwhere(hit)[0]
            other = plain[owner[b]].id
            x, y = own[a, :2]
            raise Misfit(f"roads {road.id} and {other} overlap at ({x:.0f}, {y:.0f})")


def _meet(road: Road, plain: list[Road], owner: Ints) -> Bools:
    """Which points belong to roads that touch this one at an end."""
    ends = {(link.element, link.id) for link in (road.before, road.after) if link}
    touching = np.zeros(len(plain), dtype=bool)
    for j, other in enumerate(plain):
        links = {(link.element, link.id) for link in (other.before, other.after) if link}
        touching[j] = bool(ends & links) or ("road", other.id) in ends
    return touching[owner][None, :]


def _surface(road: Road) -> Floats:
    """Points on the middle of the road's surface: x, y, z, half width, s, (N, 5) [m]."""
    count = max(2, int(road.length / _STEP))
    arcs = np.linspace(0.0, road.length, count)
    rows = []
    section = road.sections[len(road.sections) // 2]
    left, right = half_width(section.left), half_width(section.right)
    left, right = left + road.offset[0], right - road.offset[0]
    for s in arcs:
        x, y, heading = road.path.at(float(s))
        shift = 0.5 * (right - left)
        rows.append(
            (
                x + shift * np.sin(heading),
                y - shift * np.cos(heading),
                _height(road, float(s)),
                0.5 * (left + right),
                s,
            )
        )
    return np.array(rows)


def _height(road: Road, s: float) -> float:
    z = 0.0
    for begin, a, b, c, d in road.elevation:
        if s >= begin:
            h = s - begin
            z = a + h * (b + h * (c + h * d))
    return z
