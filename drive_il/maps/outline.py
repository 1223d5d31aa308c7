"""A map as SVG path data: small enough for a page, the same paths for <path> and Path2D.

Whole decimetres in the world frame, y up: whoever draws them turns y over and scales by `UNIT`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drive_il.datatypes import Bools, Floats, Records
from drive_il.maps.junction_gaps import gaps
from drive_il.maps.kept import kept
from drive_il.maps.land import PrismKind
from drive_il.maps.lane_edges import offset, points_of
from drive_il.maps.network import LaneType, MarkColor, MarkType, RoadNetwork
from drive_il.maps.scenery import scenery

UNIT = 0.1
"""[m]"""
_OFF = 0.12  # [m] that a drawn edge may be off
_SURFACES = {
    "sidewalk": (LaneType.SIDEWALK,),
    "verge": (LaneType.MEDIAN, LaneType.BORDER, LaneType.RESTRICTED),
    "shoulder": (LaneType.SHOULDER,),
    "parking": (LaneType.PARKING,),
    "biking": (LaneType.BIKING,),
    "driving": (LaneType.DRIVING,),
}
"""class of a path -> the lanes in it; painted in this order"""
_STANDING = {
    "house": (PrismKind.HOUSE,),
    "pole": (PrismKind.POLE, PrismKind.TRUNK),
    "crown": (PrismKind.CROWN,),
}
_CROWN_CORNERS = 7
_BROKEN = (MarkType.BROKEN, MarkType.BROKEN_BROKEN, MarkType.BOTTS_DOTS)
_NO_MARKS = (MarkType.NONE, MarkType.CURB, MarkType.GRASS)


def paths(network: RoadNetwork) -> dict[str, str]:
    """Returns class name -> SVG path data, in the order to paint in (kept in the cache folder).

    To be filled: sidewalk, verge, shoulder, parking, biking, driving, crosswalk, house, pole (and
    trunk), crown. To be stroked: stop, and mark-white or mark-yellow, -solid or -broken. All that
    is filled runs clockwise, so that what overlaps adds up.
    """
    made = kept(
        "outlines",
        network,
        __file__,
        lambda: {k: np.frombuffer(v.encode(), np.uint8) for k, v in _build(network).items()},
    )
    return {name: text.tobytes().decode() for name, text in made.items()}


def _build(network: RoadNetwork) -> dict[str, str]:
    found = {}
    for name, kinds in _SURFACES.items():
        lanes = network.lanes[np.isin(network.lanes["type"], kinds)]
        outlines = [_outline(points_of(network, lane)) for lane in lanes]
        if name == "driving":
            outlines += [one[::-1] for one in gaps(network)]  # the way round that lanes have
        found[name] = "".join(_path(outline, closed=True) for outline in outlines)
    first = network.crosswalk_first
    crosswalks = [
        network.crosswalks[a:b, :2] for a, b in zip(first[:-1], first[1:], strict=True) if b > a
    ]
    found["crosswalk"] = "".join(_path(one, closed=True) for one in crosswalks)
    found |= _marks(network)
    lines = network.stop_lines
    ends = np.stack((lines["x0"], lines["y0"], lines["x1"], lines["y1"]), 1).reshape(-1, 2, 2)
    found["stop"] = "".join(_path(one) for one in ends)
    found |= _beside(network)
    return {name: path for name, path in found.items() if path}


def box(network: RoadNetwork, margin: float = 12.0) -> tuple[float, float, float, float]:
    """Returns what a map covers, (x0, y0, x1, y1) [m]."""
    xs, ys = network.points["x"], network.points["y"]
    return (
        float(xs.min() - margin),
        float(ys.min() - margin),
        float(xs.max() + margin),
        float(ys.max() + margin),
    )


def _outline(points: Records) -> Floats:
    edges = [thinned(offset(points, side), _OFF) for side in (1.0, -1.0)]
    return np.concatenate((edges[0], edges[1][::-1]))


def _marks(network: RoadNetwork) -> dict[str, str]:
    kept: dict[str, str] = {}
    marked = (LaneType.DRIVING, LaneType.SHOULDER, LaneType.PARKING, LaneType.BIKING)
    for lane in network.lanes[np.isin(network.lanes["type"], marked)]:
        points = points_of(network, lane)
        for side, sign in (("left", 1.0), ("right", -1.0)):
            kinds, edge = points[f"{side}_mark"], offset(points, sign)
            cuts = (np.flatnonzero(np.diff(kinds)) + 1).tolist()
            for first, last in zip([0, *cuts], [*cuts, len(kinds) - 1], strict=True):
                if kinds[first] in _NO_MARKS or first == last:
                    continue
                yellow = points[f"{side}_color"][first] == MarkColor.YELLOW
                name = f"mark-{'yellow' if yellow else 'white'}"
                name += "-broken" if kinds[first] in _BROKEN else "-solid"
                line = _path(thinned(edge[first : last + 1], _OFF))
                kept[name] = kept.get(name, "") + line
    return dict(sorted(kept.items()))


def _beside(network: RoadNetwork) -> dict[str, str]:
    """What stands beside the road, as the map's scenery has it."""
    prisms = scenery(network)
    found = {}
    for name, kinds in _STANDING.items():
        some = prisms[np.isin(prisms["kind"], kinds)]
        n = _CROWN_CORNERS if name == "crown" else 4
        angle = -2.0 * np.pi * (np.arange(n) + 0.5) / n
        reach = 1.0 if name == "crown" else np.sqrt(2.0)  # to the corners of a box
        ahead = 0.5 * reach * some["length"][:, None] * np.cos(angle)
        aside = 0.5 * reach * some["width"][:, None] * np.sin(angle)
        cos, sin = np.cos(some["heading"])[:, None], np.sin(some["heading"])[:, None]
        x = some["x"][:, None] + ahead * cos - aside * sin
        y = some["y"][:, None] + ahead * sin + aside * cos
        found[name] = "".join(_path(one, closed=True) for one in np.stack((x, y), 2))
    return found


def thinned(line: Floats, off: float) -> Floats:
    """Leaves out points of a polyline that lie within `off` of what remains.

    Ramer 1972, Douglas and Peucker 1973: the furthest point from the chord is kept, again and
    again.

    Args:
        line: (K, 2) [m], K >= 2.
        off: [m].
    """
    kept: Bools = np.zeros(len(line), np.bool_)
    kept[[0, -1]] = True
    parts = [(0, len(line) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        chord, rest = line[last] - line[first], line[first + 1 : last] - line[first]
        length = float(np.hypot(*chord))
        if length > 0.0:
            away = np.abs(chord[0] * rest[:, 1] - chord[1] * rest[:, 0]) / length
        else:
            away = np.hypot(rest[:, 0], rest[:, 1])
        middle = int(away.argmax())
        if away[middle] > off:
            kept[first + 1 + middle] = True
            parts += [(first, first + 1 + middle), (first + 1 + middle, last)]
    return line[kept]


def _path(line: Floats | Sequence[Sequence[float]], closed: bool = False) -> str:
    """One subpath: absolute start, then relative whole steps."""
    at = np.rint(np.asarray(line) / UNIT).astype(np.int64)
    steps = np.diff(at, axis=0)
    steps = steps[(steps != 0).any(axis=1)]
    text = f"M{at[0, 0]} {at[0, 1]}l" + " ".join(f"{x} {y}" for x, y in steps.tolist())
    return (text if len(steps) else text[:-1]) + ("z" if closed else "")
