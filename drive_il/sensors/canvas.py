"""Drawing boxes, lines and quadrilaterals into pictures from above, heading up.

A picture is one channel of a (C, H, W) array; pixel (i, j) shows the point at its middle,
and a shape covers the pixels whose middle it holds, its edge included. Nothing is sampled
on the way: shapes are turned into the picture's frame and filled there, so that a picture
depends on where things are relative to the ego and on nothing else.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from drive_il import kernels
from drive_il.datatypes import Array

View: TypeAlias = tuple[float, float, float, float, float, float, float]
"""Where a picture looks: see `look`."""
Whole: TypeAlias = int | np.int64
"""Kernels hand over np.int64: each literal would be compiled anew."""
Four: TypeAlias = tuple[float, float, float, float]


@kernels.inner
def look(x: float, y: float, heading: float, scale: float, ego_row: float, columns: int) -> View:
    """Returns how world points become pixels.

    Args:
        x: of the ego [m].
        y: of the ego [m].
        heading: of the ego, which points up in the picture [rad].
        scale: pixels per metre.
        ego_row: rows above the ego's centre.
        columns: width of the picture; the ego is in the middle.
    """
    cos, sin = math.cos(heading), math.sin(heading)
    return x, y, cos * scale, sin * scale, ego_row - 0.5, columns / 2 - 0.5, scale


@kernels.inner
def to_pixel(at: View, x: float, y: float) -> tuple[float, float]:
    """Returns row and column of a world point; whole numbers are middles of pixels."""
    dx, dy = x - at[0], y - at[1]
    return at[4] - (at[2] * dx + at[3] * dy), at[5] - (at[2] * dy - at[3] * dx)


@kernels.device
def _meet(
    i: float, a: float, b: float, column_a: float, column_b: float, span: tuple[float, float]
) -> tuple[float, float]:
    """Widens the span of a row to where an edge meets it."""
    if a == b or not min(a, b) <= i <= max(a, b):
        return span
    column = column_a + (i - a) / (b - a) * (column_b - column_a)
    return min(span[0], column), max(span[1], column)


@kernels.device
def fill(out: Array, channel: Whole, rows: Four, columns: Four, value: Whole) -> None:
    """Fills a convex quadrilateral given by its corners in pixels, in order."""
    a, b, c, d = rows
    e, f, g, h = columns
    first = max(math.ceil(min(min(a, b), min(c, d))), 0)
    last = min(math.floor(max(max(a, b), max(c, d))), out.shape[1] - 1)
    width = out.shape[2]
    for i in range(first, last + 1):
        span = _meet(i, a, b, e, f, (math.inf, -math.inf))
        span = _meet(i, b, c, f, g, span)
        span = _meet(i, c, d, g, h, span)
        span = _meet(i, d, a, h, e, span)
        if span[0] <= span[1]:
            left = math.ceil(max(span[0], 0.0))
            for j in range(left, math.floor(min(span[1], width - 1.0)) + 1):
                out[channel, i, j] = value


@kernels.device
def disc(
    out: Array, channel: Whole, row: float, column: float, radius: float, value: Whole
) -> None:
    """Fills a disc given in pixels."""
    last = min(math.floor(row + radius), out.shape[1] - 1)
    for i in range(max(math.ceil(row - radius), 0), last + 1):
        half = math.sqrt(max(radius * radius - (i - row) * (i - row), 0.0))
        first = max(math.ceil(column - half), 0)
        for j in range(first, min(math.floor(column + half), out.shape[2] - 1) + 1):
            out[channel, i, j] = value


@kernels.device
def stroke(
    out: Array,
    channel: Whole,
    start: tuple[float, float],
    end: tuple[float, float],
    radius: float,
    value: Whole,
) -> None:
    """Draws a line with round ends between two points in pixels (row, column)."""
    up, across = end[0] - start[0], end[1] - start[1]
    length = math.sqrt(up * up + across * across)
    if length > 0.0:
        up, across = up * radius / length, across * radius / length
        fill(
            out,
            channel,
            (start[0] + across, start[0] - across, end[0] - across, end[0] + across),
            (start[1] - up, start[1] + up, end[1] + up, end[1] - up),
            value,
        )
    disc(out, channel, start[0], start[1], radius, value)
    disc(out, channel, end[0], end[1], radius, value)


@kernels.device
def box(
    out: Array,
    channel: Whole,
    at: View,
    x: float,
    y: float,
    heading: float,
    half_length: float,
    half_width: float,
    value: Whole,
) -> None:
    """Fills a box given in the world by centre, heading and half sizes [m]."""
    row, column = to_pixel(at, x, y)
    reach = (half_length + half_width) * at[6]
    if not (-reach <= row < out.shape[1] + reach and -reach <= column < out.shape[2] + reach):
        return
    cos, sin = math.cos(heading), math.sin(heading)
    up, across = at[2] * cos + at[3] * sin, at[2] * sin - at[3] * cos
    r, c = half_length * up, half_length * across
    u, v = half_width * across, half_width * up
    fill(
        out,
        channel,
        (row - r + u, row - r - u, row + r - u, row + r + u),
        (column - c - v, column - c + v, column + c + v, column + c - v),
        value,
    )
