"""Style urban: a grid of streets with two avenues, lights, signs and crosswalks."""

from __future__ import annotations

import numpy as np

from drive_il.maps.town_roads import YELLOW_DOUBLE, Town
from drive_il.maps.town_streets import Point, Profile, Street, Terrain, finish, lay, street_signs

_STREET = Profile(speed=30.0, lane_width=3.3)
_EDGE_STREET = Profile(speed=40.0, lane_width=3.5, rank=1)
_AVENUE = Profile(
    lanes=2, lane_width=3.25, speed=50.0, center=YELLOW_DOUBLE, near=YELLOW_DOUBLE, rank=2
)
_SIZE = 5  # nodes along each edge of the grid
_JITTER = 7.0  # [m] of a crossing from the regular grid
_BEND = 13.0  # [m] of a bent street from the straight line
_CORNER_RADIUS = 25.0
_CROSSING_SPEED = 30.0
_MISSING = 4  # streets taken out of the grid


def build(town: Town, rng: np.random.Generator) -> None:
    """Fills a town: 500 to 600 m square."""
    nodes = _nodes(rng)
    avenue_row, avenue_column = (int(i) for i in rng.integers(1, _SIZE - 1, 2))
    streets = _streets(rng, nodes, avenue_row, avenue_column)
    used = {end for street in streets for end in (street.begin, street.end)}
    crossings = lay(town, {node: nodes[node] for node in sorted(used)}, streets, Terrain())
    roads = list(town.roads.values())
    for crossing in crossings.values():
        wide = max(len(arm.incoming()) for arm in crossing.arms)
        if len(crossing.arms) == 4:
            rule = "lights" if wide > 1 or rng.random() < 0.4 else "stop"
            rule = "stop_all" if rule == "stop" and rng.random() < 0.5 else rule
        else:
            rule = "lights" if wide > 1 else str(rng.choice(["stop", "yield"]))
        finish(town, crossing, rule, _CROSSING_SPEED, crosswalks=rule != "yield")
    street_signs(town, roads)


def _nodes(rng: np.random.Generator) -> dict[int, Point]:
    xs = np.concatenate([[0.0], np.cumsum(rng.uniform(112.0, 150.0, _SIZE - 1))])
    ys = np.concatenate([[0.0], np.cumsum(rng.uniform(112.0, 150.0, _SIZE - 1))])
    xs -= xs[-1] / 2.0
    ys -= ys[-1] / 2.0
    shift = rng.uniform(-_JITTER, _JITTER, (_SIZE * _SIZE, 2))
    return {
        row * _SIZE + column: (
            float(xs[column] + shift[row * _SIZE + column, 0]),
            float(ys[row] + shift[row * _SIZE + column, 1]),
        )
        for row in range(_SIZE)
        for column in range(_SIZE)
    }


def _streets(
    rng: np.random.Generator, nodes: dict[int, Point], avenue_row: int, avenue_column: int
) -> list[Street]:
    last = _SIZE - 1
    edges: list[tuple[int, int, Profile]] = []
    for row in range(_SIZE):
        for column in range(_SIZE):
            node = row * _SIZE + column
            if column < last:
                profile = _profile(row, avenue_row)
                edges.append((node, node + 1, profile))
            if row < last:
                profile = _profile(column, avenue_column)
                edges.append((node, node + _SIZE, profile))
    edges = _thinned(rng, edges)
    corners = {0, last, last * _SIZE, _SIZE * _SIZE - 1}
    streets = []
    for begin, end, profile in edges:
        if begin not in corners and end not in corners:
            streets.append(_street(rng, nodes, begin, end, profile))
    for corner in sorted(corners):
        ends = [b if a == corner else a for a, b, _ in edges if corner in (a, b)]
        streets.append(
            Street(ends[0], ends[1], _EDGE_STREET, via=(nodes[corner],), radius=_CORNER_RADIUS)
        )
    return streets


def _profile(line: int, avenue: int) -> Profile:
    if line == avenue:
        return _AVENUE
    return _EDGE_STREET if line in (0, _SIZE - 1) else _STREET


def _thinned(
    rng: np.random.Generator, edges: list[tuple[int, int, Profile]]
) -> list[tuple[int, int, Profile]]:
    """Takes some plain streets out, so that blocks differ; every crossing keeps three arms."""
    degree = dict.fromkeys(range(_SIZE * _SIZE), 0)
    for begin, end, _ in edges:
        degree[begin] += 1
        degree[end] += 1
    kept = list(edges)
    order = [i for i in rng.permutation(len(edges)) if edges[i][2] is _STREET]
    for i in order:
        begin, end, _ = edges[i]
        if len(edges) - len(kept) < _MISSING and degree[begin] > 3 and degree[end] > 3:
            kept.remove(edges[i])
            degree[begin] -= 1
            degree[end] -= 1
    return kept


def _street(
    rng: np.random.Generator, nodes: dict[int, Point], begin: int, end: int, profile: Profile
) -> Street:
    (x0, y0), (x1, y1) = nodes[begin], nodes[end]
    length = float(np.hypot(x1 - x0, y1 - y0))
    bent, bow, park_left, park_right = rng.random(4)
    via: tuple[Point, ...] = ()
    if profile is not _AVENUE and bent < 0.5:
        shift = _BEND * (2.0 * bow - 1.0)
        nx, ny = -(y1 - y0) / length, (x1 - x0) / length
        shifts = ((0.36, shift), (0.64, -shift)) if bent < 0.2 else ((0.5, shift),)
        via = tuple(
            (float(x0 + f * (x1 - x0) + d * nx), float(y0 + f * (y1 - y0) + d * ny))
            for f, d in shifts
        )
    parking = (bool(park_left < 0.35), bool(park_right < 0.35))
    return Street(begin, end, profile, via, radius=90.0, parking=parking)
