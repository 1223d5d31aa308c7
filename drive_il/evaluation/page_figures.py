"""Cost against horizon as an inline SVG, whose colours are the page's own (light and dark)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drive_il.datatypes import Floats

_WIDTH, _HEIGHT = 640.0, 400.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 148.0, 16.0, 52.0
_LOWEST = 0.5  # [steps] what costs less lies on the axis
_CURVES = (("absorbing", "J, absorbing"), ("recoverable", "J, recoverable"))


class _Axes:
    """Both axes in log scale."""

    def __init__(self, xs: Floats, top: float) -> None:
        self.x0, self.x1 = np.log10(xs[0] / 1.15), np.log10(xs[-1] * 1.15)
        self.y0, self.y1 = np.log10(_LOWEST), np.log10(max(top, 10.0))

    def x(self, value: float) -> float:
        share = (np.log10(value) - self.x0) / (self.x1 - self.x0)
        return float(_LEFT + share * (_WIDTH - _LEFT - _RIGHT))

    def y(self, value: float) -> float:
        share = (np.log10(max(value, _LOWEST)) - self.y0) / (self.y1 - self.y0)
        return float(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM))


def growth(found: Mapping[str, Any]) -> str:
    """Draws J(T) with intervals, the most it can be (T), and cloning's bound T^2 eps.

    Args:
        found: what `compounding.compounding` gave.
    """
    xs = np.array(found["horizons"], float)
    axes = _Axes(xs, 1.6 * xs[-1])
    parts = [_grid(axes, xs)]
    ends: list[tuple[float, str, str]] = []
    parts.append(_line(axes, xs, xs, "most"))
    ends.append((axes.y(xs[-1]), "most", "T: fails always"))
    bound = xs**2 * found["eps_expert"]["value"]
    inside = (bound > _LOWEST) & (bound <= 1.6 * xs[-1])
    if inside.any():
        parts.append(_line(axes, xs[inside], bound[inside], "bound"))
        at = axes.y(float(bound[inside][-1]))
        ends.append((at, "bound", "T² eps, cloning's bound"))
    for name, label in _CURVES:
        gaps = [found[name][str(step)] for step in found["horizons"]]
        parts.append(_curve(axes, xs, gaps, name))
        ends.append((axes.y(gaps[-1]["gap"]), name, label))
    parts.append(_labels(ends))
    return (
        f'<svg class="figure" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        'aria-label="Failing steps above the expert&#39;s against the horizon, both in log scale">'
        + "".join(parts)
        + "</svg>"
    )


def _grid(axes: _Axes, xs: Floats) -> str:
    left, right = _LEFT, _WIDTH - _RIGHT
    low, high = _HEIGHT - _BOTTOM, _TOP
    parts = []
    for value in _ticks(xs[0], xs[-1]):
        at = axes.x(value)
        parts.append(f'<path class="grid" d="M{at:.1f} {low}V{high}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{low + 18}">{value:g}</text>')
    for value in _ticks(1.0, 10.0**axes.y1):
        at = axes.y(value)
        parts.append(f'<path class="grid" d="M{left} {at:.1f}H{right}"/>')
        parts.append(f'<text class="tick y" x="{left - 8}" y="{at + 4:.1f}">{value:g}</text>')
    parts.append(f'<path class="axis" d="M{left} {high}V{low}H{right}"/>')
    middle = 0.5 * (left + right)
    parts.append(f'<text class="title" x="{middle}" y="{_HEIGHT - 12}">horizon T [steps]</text>')
    parts.append(
        f'<text class="title" transform="translate(16 {0.5 * (low + high)}) rotate(-90)">'
        "failing steps above the expert's</text>"
    )
    return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    all_ = [factor * 10.0**power for power in powers for factor in (1.0, 2.0, 5.0)]
    return [value for value in all_ if low <= value <= high]


def _line(axes: _Axes, xs: Floats, ys: Floats, name: str) -> str:
    points = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in zip(xs, ys, strict=True))
    return f'<polyline class="{name}" points="{points}"/>'


def _curve(axes: _Axes, xs: Floats, gaps: Sequence[Mapping[str, float]], name: str) -> str:
    parts = [_line(axes, xs, np.array([one["gap"] for one in gaps]), name)]
    for x, one in zip(xs.tolist(), gaps, strict=True):
        at, value = axes.x(x), axes.y(one["gap"])
        low, high = axes.y(one["low"]), axes.y(one["high"])
        hint = f"T = {x:g}: {one['gap']:.1f} [{one['low']:.1f}, {one['high']:.1f}]"
        parts.append(
            f'<path class="{name}" d="M{at:.1f} {low:.1f}V{high:.1f}"/>'
            f'<circle class="{name}" cx="{at:.1f}" cy="{value:.1f}" r="3.4"><title>{hint}</title>'
            "</circle>"
        )
    return "".join(parts)


def _labels(ends: Sequence[tuple[float, str, str]]) -> str:
    """Names the curves at their right ends, pushed apart where they meet."""
    parts, last = [], -np.inf
    for y, name, label in sorted(ends):
        last = max(y + 4.0, last + 15.0)
        parts.append(
            f'<text class="{name}" x="{_WIDTH - _RIGHT + 4}" y="{last:.1f}">{label}</text>'
        )
    return "".join(parts)
