"""How the covariate-shift experiment is told: table, verdict and one self-contained page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from drive_il.experiments import covariate_shift_figures as figures
from drive_il.experiments.reproduction import inline, write_page


def table(result: dict[str, Any]) -> Table:
    """Returns the result at the longest horizon, for the terminal."""
    last = str(result["horizons"][-1])
    shown = Table(
        *("town", "learner", "eps expert", "eps own", "exponent", "gap"),
        title=f"absorbing cost above the expert's, T = {last} steps, "
        f"{result['config']['labels']:,} labels, 95 % over {result['interval_over']}",
    )
    for town, numbers in result["towns"].items():
        for learner, one in numbers["learners"].items():
            shown.add_row(
                town,
                learner,
                f"{one['eps_expert']:.4f}",
                f"{one['eps_own']:.4f}",
                slope(one["exponent"]),
                gap(one["absorbing"][last]),
            )
    return shown


def slope(exponent: dict[str, Any]) -> str:
    """Returns an exponent with its interval, or a dash."""
    if exponent["value"] is None:
        return "-"
    return f"{exponent['value']:.2f} [{exponent['low']:.2f}, {exponent['high']:.2f}]"


def gap(estimate: dict[str, float]) -> str:
    """Returns a gap with its interval."""
    return f"{estimate['gap']:.1f} [{estimate['low']:.1f}, {estimate['high']:.1f}]"


def verdict(result: dict[str, Any]) -> str:
    """Says whether the expected result holds, town by town."""
    lines = []
    for town, found in result["claim"].items():
        times = (
            "no cost of DAgger's at all"
            if found["ratio"] is None
            else (f"{found['ratio']:.1f} times DAgger's")
        )
        apart = "disjoint" if found["disjoint"] else "overlapping"
        holds = "holds" if found["holds"] else "does NOT hold"
        expert = "0 in every part" if found["expert_costs_nothing"] else "NOT 0"
        lines.append(
            f"{town}: cloning's gap at the longest horizon is {times}, intervals {apart}; the "
            f"expert's own cost is {expert}. The expected result (at least 3 times, disjoint) "
            f"{holds}."
        )
        if "augmentation" in found:
            lines.append(f"{town}: {_augmentation(found['augmentation'])}")
    return "\n".join(lines)


def _augmentation(found: dict[str, Any]) -> str:
    """Says where cloning with augmentation lies."""
    way = found["from_dagger_to_cloning"]
    text = f"cloning with augmentation costs {found['gap']:.1f} steps there"
    if way is None:
        return f"{text}; DAgger is no better than plain cloning, so that there is no way between."
    if way < 0:
        return f"{text}, less than DAgger."
    if way > 1:
        return f"{text}, more than plain cloning."
    return f"{text}, {100 * way:.0f} % of the way from DAgger to plain cloning."


def write(result: dict[str, Any], folders: dict[str, Path], out: Path) -> Path:
    """Draws the figures and writes report.html; returns its path."""
    figures.growth(result, out)
    story = figures.strip(result, folders, out)
    return write_page(
        "covariate_shift.html",
        out / "report.html",
        result=result,
        last=str(result["horizons"][-1]),
        names=figures.NAMES,
        colors=figures.COLORS,
        verdict=verdict(result).splitlines(),
        slope=slope,
        gap=gap,
        growth=inline(out / "growth.png"),
        strip=inline(out / "strip.png") if story else None,
        story=story,
    )
