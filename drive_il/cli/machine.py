"""drive-il speed and warmup: this machine and its compiled kernels."""

from __future__ import annotations

import json as json_module
import time

from rich.console import Console
from rich.table import Table


def speed(json: bool = False, seconds: float = 1.0) -> None:
    """Measures how fast this machine runs the world, the sensors, planning and the expert.

    Args:
        json: print `cases.<name>.{per_core, all_cores, unit}` instead of a table.
        seconds: length of each measurement [s].
    """
    from drive_il import speed as speeds

    if not 0.05 <= seconds <= 60:
        raise ValueError(f"--seconds must be in [0.05, 60], got {seconds}")
    report = speeds.measure(seconds, say=None if json else Console(stderr=True).print)
    if json:
        print(json_module.dumps(report, indent=2))
        return
    table = Table("case", "per core", "all cores", "unit", title=report["machine"])
    for name, case in report["cases"].items():
        everywhere = f"{case['all_cores']:,.4g}" if case["all_cores"] is not None else "-"
        table.add_row(name, f"{case['per_core']:,.4g}", everywhere, case["unit"])
    Console().print(table)


def warmup() -> None:
    """Compiles the kernels of world, sensors and expert and prepares the shipped towns ahead.

    Uses all cores; what is there already stays, so that a second call takes seconds.
    """
    from drive_il import folders
    from drive_il import warmup as ahead

    start = time.perf_counter()
    ahead.warm_up(say=Console(highlight=False).print)
    took = time.perf_counter() - start
    print(f"ready after {took:.1f} s; compiled code is in {folders.cache_folder()}")
