"""drive-il theory ...: what theory promises, on ground where everything is known."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from drive_il.theory.coverage import Covered
    from drive_il.theory.exact import Row


_WIDTH = 130
"""columns that the table needs: folded numbers cannot be read"""


def exact(json: bool = False, episodes: int = 2000, seed: int = 0) -> None:
    """Small processes: exact cost, simulated cost with its interval, bound, and their ratio.

    The bound is on J(learner) - J(expert); one of T or more is vacuous, and marked so.

    Args:
        json: print `rows` (one object per row), `n_inside` and `n_rows` instead of a table.
        episodes: of each simulation.
        seed: of the simulations; the same seed gives the same numbers.
    """
    from drive_il.theory.exact import table

    rows = table(episodes, seed)
    inside = sum(row.inside for row in rows)
    if json:
        document = {"n_rows": len(rows), "n_inside": inside, "rows": [_plain(row) for row in rows]}
        print(json_module.dumps(document, indent=2))
        return
    console = Console()
    console.width = max(console.width, _WIDTH)
    console.print(_table(rows))
    console.print(
        f"ratio: (J - J of the expert) / bound; * vacuous: no policy can cost more than T.\n"
        f"{inside} of {len(rows)} exact costs lie in the simulation's 95 % interval.\n"
        "docs/theory.md says what the instances and bounds are."
    )


def coverage(json: bool = False, repetitions: int = 1000, seed: int = 0) -> None:
    """How often the estimators' 95 % intervals hold the truth, on processes where it is known.

    Takes about a minute of one core for 1000 repetitions.

    Args:
        json: print `rows` (one object per row) and `all_kept` instead of a table.
        repetitions: of each case.
        seed: of all of it; the same seed gives the same numbers.
    """
    from drive_il.theory.coverage import study

    say = None if json else Console(stderr=True).print
    rows = study(repetitions, seed, say)
    kept = all(row.kept is not False for row in rows)
    if json:
        plain = [{**asdict(row), "kept": row.kept} for row in rows]
        print(json_module.dumps({"all_kept": kept, "rows": plain}, indent=2))
        return
    console = Console()
    console.width = max(console.width, 100)
    console.print(_coverage_table(rows))
    console.print(
        "Promised: 92 to 98 % for eps, J, gap and mean u"
        + (", kept for all." if kept else "; * marks those that are outside.")
        + "\nOf a largest value (no interval): how often it was at least the truth."
    )


def _coverage_table(rows: list[Covered]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("case and quantity", no_wrap=True)
    for name in ("truth", "median estimate", "coverage [%]", "repetitions"):
        shown.add_column(name, justify="right", no_wrap=True)
    last = ""
    for row in rows:
        case = f"{row.case}, {row.n_seeds} seed" + ("s" if row.n_seeds > 1 else "")
        if case != last:
            shown.add_row(f"[bold]{case}[/bold]")
            last = case
        shown.add_row(
            f"  {row.quantity}",
            "varies" if row.truth is None else f"{row.truth:.4f}",
            f"{row.middle:.4f}",
            f"{100 * row.coverage:.1f}" + ("*" if row.kept is False else " "),
            str(row.n),
        )
    return shown


def _plain(row: Row) -> dict[str, Any]:
    return {**asdict(row), "ratio": row.ratio, "inside": row.inside}


_BOUNDS = {
    "cloning_bound": "T^2 eps_expert",
    "interactive_bound": "u T eps_own",
    "k_step_bound": "k T eps_own",
    "density_ratio_bound": "u C T eps_expert",
    "tabular_bound": "S T^2 / (2 e N)",
    "exponential_bound": "exponential",
}


def _table(rows: list[Row]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("instance and learner", no_wrap=True)
    for name in ("T", "eps", "k", "J exact", "J simulated", "bound"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)  # the bound's formula
    shown.add_column("ratio", justify="right", no_wrap=True)
    last = ""
    for row in rows:
        if row.instance != last:
            shown.add_row(f"[bold]{row.instance}[/bold]")
            last = row.instance
        sim = row.simulated
        shown.add_row(
            f"  {row.learner}",
            str(row.horizon),
            "" if row.eps is None else f"{row.eps:.4f}",
            "" if row.k is None else str(row.k),
            f"{row.cost:.6f}",
            f"{sim.value:.2f} [{sim.low:.2f}, {sim.high:.2f}]".replace("[", r"\["),
            f"{row.bound:.4g}" + ("*" if row.vacuous else " "),
            _BOUNDS[row.bound_name],
            "-" if row.ratio is None else f"{row.ratio:.3f}",
        )
    return shown
