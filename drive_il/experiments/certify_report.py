"""How a certificate is told: table, verdict, one page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from drive_il.evaluation.results import plain
from drive_il.experiments import certify_figures as figures
from drive_il.experiments.certify_numbers import Seen
from drive_il.experiments.reproduction import inline, write_page

NAMES = {
    "cloning": "Ross and Bagnell 2010",
    "interactive": "Ross, Gordon, Bagnell 2011",
    "k_step": "k-step recoverable",
    "density_ratio": "density ratio, Spencer et al. 2021",
    "lipschitz": "Lipschitz, continuous actions",
    "log_loss": "log-loss, Foster et al. 2024",
}


def span(one: Mapping[str, Any] | None, digits: int = 3, times: float = 1.0) -> str:
    """Returns a number with its interval, or a dash."""
    if one is None or one["value"] is None:
        return "-"
    value, low, high = (
        "∞" if one[key] is None else f"{times * one[key]:.{digits}f}"
        for key in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


def bound_words(row: Mapping[str, Any]) -> str:
    """Says in a few words what a bound is worth."""
    if row["value"] is None:
        return str(row["reason"])
    if row["vacuous"]:
        return "vacuous: T or more"
    if not row["holds"]:
        why = ": what it rests on is a lower estimate" if row["lower_estimate"] else ""
        if row["high"] is not None:
            why = f", up to {row['high']:.3g} with the upper end of ε"
        return "exceeded by the gap" + why
    if row["gap_over_bound"] is None:
        return "no gap, no bound"
    return f"holds; the gap is {100 * row['gap_over_bound']:.0f} % of it"


def table(result: Mapping[str, Any]) -> Table:
    """Returns the bounds, for the terminal."""
    last = str(result["horizon"])
    gap = result["absorbing"][last]
    shown = Table(
        "bound",
        "promise",
        "value [steps]",
        "what it says",
        title=f"{result['who']}: gap {gap['gap']:.1f} [{gap['low']:.1f}, {gap['high']:.1f}] of "
        f"{last} steps, {result['failed_drives']} of {result['n_drives']} drives failed",
    )
    for row in result["bounds"]:
        value = "-" if row["value"] is None else f"{row['value']:.3g}"
        shown.add_row(NAMES[row["name"]], row["formula"], value, bound_words(row))
    return shown


def verdict(result: Mapping[str, Any]) -> str:
    """Says in sentences what was measured, a line each."""
    delta = result["tolerance"]["delta"]
    lines = [
        f"regime: {result['regime']['name']}: {result['regime']['why']}.",
        f"eps at tolerance {delta:g}: {span(result['eps_expert'], 4)} on the expert's states, "
        f"{span(result['eps_own'], 4)} on its own.",
    ]
    if result["identity"] is None:
        lines.append(f"u and k are not measured: {result['forks_reason']}.")
    else:
        one = result["identity"]
        agrees = "agree" if one["holds"] else "DO NOT AGREE"
        lines.append(
            f"self-check: gap {span(one['gap'], 1)}, explained by {result['n_forks']} forks "
            f"{span(one['explained'], 1)}: they {agrees} (difference {span(one['difference'], 1)})."
        )
    if result["u"] is not None:
        u = result["u"]
        lines.append(
            f"u: mean {u['mean']:.3f} [{u['mean_low']:.3f}, {u['mean_high']:.3f}], 95 % at most "
            f"{u['p95']:.1f} [{u['p95_low']:.1f}, {u['p95_high']:.1f}], largest "
            f"{u['largest']:.0f} of {u['n_forks']} forks."
        )
    if result["no_return"]["n"]:
        late = result["no_return"]
        lines.append(
            f"too late for the expert {late['median']:.2f} s before a failure "
            f"({late['p05']:.2f} to {late['p95']:.2f} s in 9 of 10 of {late['n']} failed drives)."
        )
    best = result["tightest"]
    lines.append(
        "no bound holds and says something."
        if best is None
        else f"tightest bound: {best['formula']} = {best['value']:.3g} steps."
    )
    return "\n".join(lines)


def write(
    result: dict[str, Any], data: Seen, folders: Mapping[str, Path], out: Path
) -> tuple[Path, dict[str, Any]]:
    """Draws the figures and writes the page; returns its path and the content as stored."""
    stored: dict[str, Any] = plain(result)
    figures.write(figures.growth(stored), out / "growth.png")
    figures.write(figures.tolerances(stored), out / "tolerance.png")
    figures.write(figures.heat_map(data), out / "map.png")
    worst = figures.worst_forks(data)
    if worst:
        figures.write(figures.strip(data, worst), out / "forks.png")
    page = write_page(
        "certificate.html",
        out / "certificate.html",
        result=stored,
        names=NAMES,
        span=span,
        bound_words=bound_words,
        verdict=verdict(stored).splitlines(),
        last=str(stored["horizon"]),
        worst=[
            one
            | {
                "route": data.driven[one["drive"]].spec.route.id,
                "town": data.driven[one["drive"]].spec.route.town,
            }
            for one in worst
        ],
        **{
            name: inline(out / f"{name}.png")
            for name in ("growth", "tolerance", "map", *(("forks",) if worst else ()))
        },
    )
    return page, stored
