"""How the comparison of all learners is told: figure, table, verdict, one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.table import Table

from drive_il.experiments.learners_table import EXPERT_COLOR, LEARNERS
from drive_il.experiments.reproduction import inline, save_figure, write_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EXPECTED = {
    "dagger_beats_cloning": "DAgger beats cloning at as many labels",
    "noise_helps_cloning": "noise while demonstrating helps cloning",
    "shifted_views_help_cloning": "shifted views help cloning",
    "previous_action_is_a_trap": (
        "seeing its last action lowers the open-loop loss of cloning and its driving score"
    ),
}
_PANELS = (
    ("driving_score", "driving score", 1.0),
    ("success", "success [%]", 100.0),
    ("infractions_per_km", "infractions per km", 1.0),
    ("own_eps", "eps on own states [%]", 100.0),
)


def titles(result: dict[str, Any]) -> dict[str, str]:
    """Returns who took part, name -> title."""
    return {name: LEARNERS[name].title for name in result["labels"]}


def number(point: dict[str, Any], scale: float = 1.0, digits: int = 0) -> str:
    """Returns a number with its interval."""
    if point["value"] is None:
        return "-"
    value, low, high = (scale * point[key] for key in ("value", "low", "high"))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def table(result: dict[str, Any]) -> Table:
    """Returns the result for the terminal."""
    towns = list(result["towns"])
    shown = Table(
        "learner",
        "labels",
        *(f"driving score in {town}" for town in towns),
        *(f"success in {town} [%]" for town in towns),
        title=f"all learners, 95 % over {result['interval_over']}",
    )
    for name, title in titles(result).items():
        each = [result["towns"][town]["learners"][name] for town in towns]
        shown.add_row(
            title,
            f"{result['labels'][name]:,.0f}",
            *(number(one["driving_score"]) for one in each),
            *(number(one["success"], 100.0) for one in each),
        )
    return shown


def verdict(result: dict[str, Any]) -> str:
    """Says what was expected and whether it was seen, town by town."""
    lines = []
    for town, found in result["claims"].items():
        for key, claim in found.items():
            holds = "confirmed" if claim["holds"] else "not confirmed"
            more = ""
            if claim.get("loss_with") and claim.get("loss_without"):
                with_it, without = claim["loss_with"]["mean"], claim["loss_without"]["mean"]
                more = f"; open-loop loss {with_it:.4f} with it, {without:.4f} without"
            lines.append(
                f"{town}: {_EXPECTED[key]}: {holds} (difference of the driving score "
                f"{number(claim, digits=1)}{more})."
            )
    return "\n".join(lines)


def write(result: dict[str, Any], times: dict[str, float], out: Path) -> Path:
    """Draws the figure and writes report.html; returns its path.

    Args:
        result: as it stands in results.json.
        times: of each learner's training [s].
        out: folder.
    """
    figure(result, out)
    return write_page(
        "learners.html",
        out / "report.html",
        result=result,
        times=times,
        titles=titles(result),
        seen=_seen(result),
        colors={name: LEARNERS[name].color for name in result["labels"]},
        verdict=verdict(result).splitlines(),
        number=number,
        picture=inline(out / "learners.png"),
    )


def _seen(result: dict[str, Any]) -> str:
    """Says what all learners see."""
    words = {"target_point": ", the next far waypoint", "standing": ", how long it has stood"}
    more = (text for name, text in words.items() if result["config"][name])
    return str(result["config"]["observation"]) + "".join(more)


def figure(result: dict[str, Any], folder: Path) -> None:
    """Draws what matters of each learner as learners.png and learners.svg."""
    towns, names = list(result["towns"]), list(result["labels"])
    height = 1.2 + 0.34 * len(names)
    whole = Figure(figsize=(16, height * len(towns)), dpi=110, layout="constrained")
    FigureCanvasAgg(whole)
    grid = whole.subplots(len(towns), len(_PANELS), squeeze=False)
    for row, town in enumerate(towns):
        for column, (key, label, scale) in enumerate(_PANELS):
            axes = grid[row][column]
            _panel(axes, result["towns"][town], names, key, scale)
            axes.set_xlabel(label)
            axes.set_yticks(
                range(len(names)), [titles(result)[n] if not column else "" for n in names]
            )
            axes.invert_yaxis()
        kind = "training town" if town == result["config"]["town_train"] else "unseen town"
        grid[row][0].set_title(f"{town} ({kind})", fontsize=11, loc="left")
    whole.suptitle(
        f"All learners, {result['config']['labels']:,} labels at most, from {_seen(result)}; "
        f"95 % over {result['interval_over']}",
        fontsize=12,
    )
    save_figure(whole, folder, "learners")


def _panel(axes: Axes, town: dict[str, Any], names: list[str], key: str, scale: float) -> None:
    if key in town["expert"]:
        axes.axvline(scale * town["expert"][key], color=EXPERT_COLOR, linewidth=1.0, linestyle=":")
    for k, name in enumerate(names):
        point = town["learners"][name][key]
        value, low, high = (scale * point[one] for one in ("value", "low", "high"))
        color = LEARNERS[name].color
        axes.plot(
            [low, high], [k, k], color=color, linewidth=2.4, alpha=0.45, solid_capstyle="butt"
        )
        axes.plot(value, k, "o", color=color, markersize=6, clip_on=False)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(True, axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    if key in ("driving_score", "success"):
        axes.set_xlim(-3, 103)
    else:
        axes.set_xlim(left=0)
