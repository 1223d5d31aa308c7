"""Plane curves of the town generator: lines, arcs and clothoids that join exactly.

A path is a chain of pieces whose curvature is linear in arc length, which are precisely
OpenDRIVE's line, arc and spiral. Every piece starts where the one before ends, with the
same heading, so a road has neither gaps nor kinks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import Floats

Pose = tuple[float, float, float]
"""x [m], y [m], heading [rad]."""
Bend = tuple[float, float, float]
"""length [m], curvature at its start and at its end [1/m]."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_TINY = 1e-9


@dataclass(frozen=True)
class Piece:
    """One clothoid: curvature runs linearly from k0 to k1 [1/m]."""

    x: float
    y: float
    heading: float
    length: float
    k0: float
    k1: float

    def at(self, s: float) -> Pose:
        """Returns the pose at arc length s [m] from its start."""
        rate = (self.k1 - self.k0) / self.length
        parts = 1 + int(s * max(abs(self.k0), abs(self.k1)))
        edges = np.linspace(0.0, s, parts + 1)
        half = 0.5 * (edges[1:] - edges[:-1])
        u = (edges[:-1] + half)[:, None] + half[:, None] * _NODES
        angle = self.heading + self.k0 * u + 0.5 * rate * u * u
        weight = half[:, None] * _WEIGHTS
        dx = float((weight * np.cos(angle)).sum())
        dy = float((weight * np.sin(angle)).sum())
        return self.x + dx, self.y + dy, self.heading + self.k0 * s + 0.5 * rate * s * s

    def curvature(self, s: float) -> float:
        """Returns the curvature at arc length s [1/m]."""
        return self.k0 + (self.k1 - self.k0) * s / self.length


@dataclass(frozen=True)
class Path:
    """A chain of pieces."""

    pieces: tuple[Piece, ...]

    @property
    def length(self) -> float:
        """Arc length [m]."""
        return math.fsum(piece.length for piece in self.pieces)

    @property
    def start(self) -> Pose:
        """First pose."""
        return self.pieces[0].x, self.pieces[0].y, self.pieces[0].heading

    @property
    def end(self) -> Pose:
        """Last pose."""
        return self.pieces[-1].at(self.pieces[-1].length)

    @property
    def sharpest(self) -> float:
        """Largest absolute curvature [1/m]."""
        return max(max(abs(piece.k0), abs(piece.k1)) for piece in self.pieces)

    def at(self, s: float) -> Pose:
        """Returns the pose at arc length s [m]; beyond the ends the end pieces go on."""
        for piece in self.pieces[:-1]:
            if s <= piece.length:
                return piece.at(s)
            s -= piece.length
        return self.pieces[-1].at(s)

    def sample(self, step: float) -> Floats:
        """Returns poses at most `step` [m] apart, ends included, (N, 3) [m, m, rad]."""
        count = max(1, math.ceil(self.length / step))
        return np.array([self.at(s) for s in np.linspace(0.0, self.length, count + 1)])

    def reversed(self) -> Path:
        """Returns the same curve run the other way."""
        x, y, heading = self.end
        bends = [(piece.length, -piece.k1, -piece.k0) for piece in reversed(self.pieces)]
        return chain((x, y, heading + math.pi), bends)

    def cut(self, first: float, last: float) -> Path:
        """Returns the part between two arc lengths [m]."""
        pieces: list[Piece] = []
        begin = 0.0
        for piece in self.pieces:
            low, high = max(first - begin, 0.0), min(last - begin, piece.length)
            begin += piece.length
            if high - low > 1e-6:
                x, y, heading = piece.at(low)
                k0, k1 = piece.curvature(low), piece.curvature(high)
                pieces.append(Piece(x, y, heading, high - low, k0, k1))
        return Path(tuple(pieces))


def chain(start: Pose, bends: Sequence[Bend]) -> Path:
    """Lays bends one after another from a start pose; those shorter than 1 um are left out."""
    pieces: list[Piece] = []
    pose = start
    for length, k0, k1 in bends:
        if length > 1e-6:
            piece = Piece(*pose, length, k0, k1)
            pieces.append(piece)
            pose = piece.at(length)
    return Path(tuple(pieces))


def join(*paths: Path) -> Path:
    """Puts paths together that follow each other."""
    return Path(tuple(piece for path in paths for piece in path.pieces))


def shifted(pose: Pose, right: float, ahead: float = 0.0) -> Pose:
    """Returns the pose moved to its right and ahead [m], heading unchanged."""
    x, y, heading = pose
    c, s = math.cos(heading), math.sin(heading)
    return x + right * s + ahead * c, y - right * c + ahead * s, heading


def turned(pose: Pose) -> Pose:
    """Returns the pose facing backwards."""
    return pose[0], pose[1], pose[2] + math.pi


def wrap(angle: float) -> float:
    """Returns the angle in [-pi, pi) [rad]."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


def tangent_ratio(angle: float) -> float:
    """Tangent length of a bend by `angle` [rad] as a multiple of its least radius.

    The bend is clothoid, arc, clothoid of equal lengths, the gentlest to steer.
    """
    angle = abs(angle)
    if angle < 1e-4:
        return 0.75 * angle  # its limit
    x, y, _ = chain((0.0, 0.0, 0.0), _bend(angle, 1.0)).end
    return x - y / math.tan(angle)


def _bend(angle: float, radius: float) -> list[Bend]:
    curvature = math.copysign(1.0 / radius, angle)
    length = abs(angle) * radius / 2.0
    return [(length, 0.0, curvature), (length, curvature, curvature), (length, curvature, 0.0)]


def rounded(
    points: Sequence[tuple[float, float]],
    radii: Sequence[float],
    keep: tuple[float, float] = (0.0, 0.0),
    closed: bool = False,
) -> Path:
    """Drives along a polygon with every corner replaced by a bend.

    Args:
        points: corners, N >= 2 [m].
        radii: the largest radius wanted at each corner; smaller where edges are short [m].
        keep: straight length left at the two ends [m].
        closed: the last corner is followed by the first; the path starts mid-edge.

    Returns:
        a path with continuous curvature, zero at its ends.
    """
    corners = np.asarray(points, dtype=float)
    if closed:
        corners = np.vstack([corners[-1], corners, corners[0]])
        radii = [0.0, *radii, 0.0]
        corners[0] = 0.5 * (corners[0] + corners[1])
        corners[-1] = corners[0]
    edges = np.diff(corners, axis=0)
    lengths = np.hypot(edges[:, 0], edges[:, 1])
    headings = np.unwrap(np.arctan2(edges[:, 1], edges[:, 0]))
    angles = np.diff(headings)
    free = lengths.copy()
    free[0] -= keep[0]
    free[-1] -= keep[1]
    ratios = np.array([tangent_ratio(angle) for angle in angles])
    wanted = np.maximum(ratios * np.asarray(radii[1:-1]), _TINY)
    demand = np.concatenate([[0.0], wanted, [0.0]])
    share = np.minimum(1.0, 0.999 * free / np.maximum(demand[:-1] + demand[1:], _TINY))
    tangents = wanted * np.minimum(share[:-1], share[1:])
    bends: list[Bend] = []
    used = 0.0
    for i, angle in enumerate(angles):
        straight = lengths[i] - used - tangents[i]
        bends.append((float(straight), 0.0, 0.0))
        if abs(angle) > 1e-7:
            bends += _bend(float(angle), float(tangents[i] / ratios[i]))
            used = tangents[i]
        else:
            bends.append((2.0 * float(tangents[i]), 0.0, 0.0))
            used = tangents[i]
    bends.append((float(lengths[-1] - used), 0.0, 0.0))
    return chain((float(corners[0, 0]), float(corners[0, 1]), float(headings[0])), bends)


def connect(start: Pose, end: Pose, k0: float = 0.0, k1: float = 0.0) -> Path:
    """Joins two poses with continuous curvature.

    Where both tangents meet ahead of the start and behind the end, and no curvature is
    asked for at the ends, it is a straight, a symmetric bend and a straight; else three
    clothoids of equal length.

    Args:
        start: where it begins.
        end: where it ends.
        k0: curvature at its start [1/m].
        k1: curvature at its end [1/m].
    """
    angle = wrap(end[2] - start[2])
    dx, dy = end[0] - start[0], end[1] - start[1]
    c, s = math.cos(start[2]), math.sin(start[2])
    ahead, left = c * dx + s * dy, c * dy - s * dx
    if k0 == 0.0 and k1 == 0.0:
        if abs(angle) < 1e-7 and abs(left) < 1e-7:
            return chain(start, [(ahead, 0.0, 0.0)])
        if 0.02 < abs(angle) < 2.8:
            before, after = ahead - left / math.tan(angle), left / math.sin(angle)
            tangent = min(before, after)
            if tangent > 0.5:
                bends = _bend(angle, tangent / tangent_ratio(angle))
                straights = (before - tangent, 0.0, 0.0), (after - tangent, 0.0, 0.0)
                return chain(start, [straights[0], *bends, straights[1]])
    return _three_clothoids(start, end, k0, k1)


def _three_clothoids(start: Pose, end: Pose, k0: float, k1: float) -> Path:
    """Newton's method on the two inner curvatures and the length."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    chord = math.hypot(dx, dy)
    bearing = math.atan2(dy, dx)
    a, b = wrap(start[2] - bearing), wrap(end[2] - bearing)
    target = np.array([end[0], end[1], start[2] + wrap(end[2] - start[2])])
    guess = np.array([-2.0 * a / chord, 2.0 * b / chord, chord * (1.0 + (a * a + b * b) / 20.0)])

    def path(unknown: Floats) -> Path:
        ka, kb, length = (float(value) for value in unknown)
        third = length / 3.0
        return chain(start, [(third, k0, ka), (third, ka, kb), (third, kb, k1)])

    def miss(unknown: Floats) -> Floats:
        error: Floats = np.array(path(unknown).end) - target
        return error

    error = miss(guess)
    for _ in range(60):
        jacobian = np.empty((3, 3))
        for i, step in enumerate((1e-7, 1e-7, 1e-5)):
            moved = guess.copy()
            moved[i] += step
            jacobian[:, i] = (miss(moved) - error) / step
        move = np.linalg.solve(jacobian, error)
        for _ in range(40):
            moved = guess - move
            new = miss(moved)
            if moved[2] > 0.9 * chord and np.abs(new).max() < np.abs(error).max():
                guess, error = moved, new
                break
            move = 0.5 * move
        else:
            break  # as near as rounding allows
    if np.abs(error).max() < 1e-8:
        return path(guess)
    raise ArithmeticError(f"no curve found from {start} to {end}")
