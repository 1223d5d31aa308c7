"""A map seen from above, as a person would draw it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drive_il.datatypes import Floats
from drive_il.maps.junction_gaps import gaps
from drive_il.maps.lane_edges import offset, points_of
from drive_il.maps.network import LaneType, MarkColor, MarkType, RoadNetwork, SignalKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GRASS = "#dfe8d3"
_SURFACES = {
    LaneType.SIDEWALK: "#cfc9c0",
    LaneType.MEDIAN: "#b9c9a3",
    LaneType.RESTRICTED: "#a9a9a4",
    LaneType.BORDER: "#c3c6b6",
    LaneType.SHOULDER: "#b4b2ab",
    LaneType.PARKING: "#7d8a99",
    LaneType.BIKING: "#a56b5d",
    LaneType.DRIVING: "#85878b",
}  # painted in this order
_MARKS = {
    MarkColor.WHITE: "#ffffff",
    MarkColor.YELLOW: "#f2c230",
    MarkColor.BLUE: "#4a74d8",
    MarkColor.GREEN: "#3f9a55",
    MarkColor.RED: "#d2453c",
}
_SIGNS = {
    SignalKind.LIGHT: ("o", "#d22b2b", "traffic light"),
    SignalKind.STOP: ("8", "#8e1212", "stop sign"),
    SignalKind.YIELD: ("v", "#e07a1f", "yield sign"),
    SignalKind.SPEED: ("s", "#2f5fb3", "speed limit"),
}
_ARROW_EVERY = 40.0  # [m]
_DETAIL = 250.0  # [m] closer than this, markings are drawn to scale and dashes told apart


def draw(
    network: RoadNetwork,
    path: Path,
    center: tuple[float, float] | None = None,
    span: float | None = None,
) -> None:
    """Writes a PNG of a map or of a part of it.

    Args:
        network: the map.
        path: the picture.
        center: middle of a close-up, x y [m]; None shows all of it.
        span: edge of the close-up [m].

    Raises:
        ValueError: a close-up of no size, or a file that is no .png.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if path.suffix.lower() != ".png":
        raise ValueError(f"the picture is a PNG: expected a name ending in .png, got {path}")
    if span is not None and not span > 0:
        raise ValueError(f"span must be positive metres, got {span}")
    x0, y0, x1, y1 = _window(network, center, span)
    longest = max(x1 - x0, y1 - y0)
    size = (12.0 * (x1 - x0) / longest, 12.0 * (y1 - y0) / longest + 0.6)
    figure = Figure(figsize=size, dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlim=(x0, x1), ylim=(y0, y1), aspect="equal", facecolor=_GRASS)
    axes.set(xlabel="x [m]", ylabel="y [m]")
    axes.set_title(_title(network))
    detail = longest <= _DETAIL
    surfaces(axes, network)
    _crosswalks(axes, network)
    _marks(axes, network, detail, 72.0 * size[0] / (x1 - x0) * 0.85)
    _arrows(axes, network, longest)
    _stops_and_signs(axes, network, detail)
    _scale_bar(axes, x0, y0, longest)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png")
    temporary.replace(path)


def _title(network: RoadNetwork) -> str:
    driving = network.lanes[network.lanes["type"] == LaneType.DRIVING]
    kilometres = driving["length"].sum() / 1000.0
    return f"{network.name}: {kilometres:.1f} km of driving lanes"


def _window(
    network: RoadNetwork, center: tuple[float, float] | None, span: float | None
) -> tuple[float, float, float, float]:
    if center is not None and span is not None:
        x, y = center
        return x - span / 2, y - span / 2, x + span / 2, y + span / 2
    xs, ys = network.points["x"], network.points["y"]
    margin = 0.03 * max(np.ptp(xs), np.ptp(ys)) + 5.0
    return xs.min() - margin, ys.min() - margin, xs.max() + margin, ys.max() + margin


def surfaces(axes: Axes, network: RoadNetwork) -> None:
    """Paints the lanes, for whoever draws something over them."""
    from matplotlib.collections import PolyCollection

    height = np.array([points_of(network, lane)["z"].mean() for lane in network.lanes])
    for kind, color in _SURFACES.items():
        rows = np.flatnonzero(network.lanes["type"] == kind)
        rows = rows[np.argsort(height[rows], kind="stable")]  # what is higher covers
        outlines = []
        for row in rows:
            points = points_of(network, network.lanes[row])
            outlines.append(np.concatenate((offset(points, 1.0), offset(points, -1.0)[::-1])))
        if kind == LaneType.DRIVING:
            outlines = [*gaps(network), *outlines]
        # A hairline in the same colour closes the seams between polygons.
        axes.add_collection(
            PolyCollection(outlines, facecolors=color, edgecolors=color, linewidths=0.3)
        )


def _marks(axes: Axes, network: RoadNetwork, detail: bool, points_per_metre: float) -> None:
    from matplotlib.collections import LineCollection

    lines: dict[tuple[str, str], list[Floats]] = {}
    for lane in network.lanes[np.isin(network.lanes["type"], (1, 2, 4, 5))]:
        points = points_of(network, lane)
        for side, share in (("left", 1.0), ("right", -1.0)):
            kinds = points[f"{side}_mark"]
            edge = offset(points, share)
            for first, last in _runs(kinds):
                kind = int(kinds[first])
                if kind in (MarkType.NONE, MarkType.CURB, MarkType.GRASS):
                    continue
                color = _MARKS[MarkColor(points[f"{side}_color"][first])]
                dashes = kind in (MarkType.BROKEN, MarkType.BROKEN_BROKEN, MarkType.BOTTS_DOTS)
                lines.setdefault((color, "--" if dashes else "-"), []).append(
                    edge[first : last + 1]
                )
    width = max(0.12 * points_per_metre, 0.35) if detail else 0.35
    for (color, style), found in lines.items():
        shown = (0, (3.0 * points_per_metre / width, 4.5 * points_per_metre / width))
        axes.add_collection(
            LineCollection(
                found,
                colors=color,
                linewidths=width,
                linestyles=[shown] if style == "--" and detail else "-",
            )
        )


def _runs(values: Any) -> list[tuple[int, int]]:
    """Stretches of equal values as (first, last)."""
    cuts = np.flatnonzero(np.diff(values)) + 1
    return list(zip([0, *cuts], [*cuts, len(values) - 1], strict=True))


def _crosswalks(axes: Axes, network: RoadNetwork) -> None:
    from matplotlib.collections import PolyCollection

    first = network.crosswalk_first
    outlines = [
        network.crosswalks[a:b, :2] for a, b in zip(first[:-1], first[1:], strict=True) if b > a
    ]
    axes.add_collection(
        PolyCollection(outlines, facecolors="#f4f4f4", edgecolors="none", alpha=0.55, hatch="|||")
    )


def _arrows(axes: Axes, network: RoadNetwork, longest: float) -> None:
    """Which way each lane runs."""
    every = max(_ARROW_EVERY * longest / 500.0, 12.0)
    places = []
    for lane in network.lanes[network.lanes["type"] == LaneType.DRIVING]:
        if lane["junction"] >= 0 and longest > _DETAIL:
            continue
        points = points_of(network, lane)
        marks = np.arange(0.5 * min(every, lane["length"]), lane["length"], every)
        places.append(points[np.searchsorted(points["s"], marks).clip(max=len(points) - 1)])
    at = np.concatenate(places)
    axes.quiver(
        at["x"],
        at["y"],
        np.cos(at["heading"]),
        np.sin(at["heading"]),
        color="#2b2d30",
        scale=max(longest / 2.5, 40.0) / 1.2,
        width=0.0011,
        headwidth=6,
        headlength=6,
        headaxislength=5,
        pivot="mid",
    )


def _stops_and_signs(axes: Axes, network: RoadNetwork, detail: bool) -> None:
    for line in network.stop_lines:
        axes.plot(
            (line["x0"], line["x1"]),
            (line["y0"], line["y1"]),
            color="#ffffff" if detail else "#d22b2b",
            linewidth=2.0 if detail else 0.8,
        )
    for kind, (marker, color, label) in _SIGNS.items():
        found = network.signals[network.signals["kind"] == kind]
        if len(found):
            axes.scatter(
                found["x"],
                found["y"],
                s=60 if detail else 12,
                marker=marker,
                c=color,
                label=f"{label} ({len(found)})",
                edgecolors="white",
                linewidths=0.4,
                zorder=5,
            )
    if len(network.signals):
        axes.legend(loc="upper right", framealpha=0.9, fontsize=8)


def _scale_bar(axes: Axes, x0: float, y0: float, longest: float) -> None:
    length = 10.0 ** np.floor(np.log10(longest / 4.0))
    length *= max(factor for factor in (1, 2, 5) if factor * length <= longest / 4.0)
    x, y = x0 + 0.03 * longest, y0 + 0.03 * longest
    axes.plot((x, x + length), (y, y), color="black", linewidth=2.5, solid_capstyle="butt")
    axes.text(x + length / 2, y + 0.008 * longest, f"{length:g} m", ha="center", fontsize=9)
