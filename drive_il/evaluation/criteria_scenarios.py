"""Criteria of scenarios: those that were never brought to an end, ambulances not let by."""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import Records
from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.sight import Finding, Sight

GIVEN_UP = np.dtype([("last", "i8")])  # scenario given up last, -1 none
"""Memory of `given_up`."""
AMBULANCE = np.dtype(
    [
        ("id", "i8"),  # of the emergency vehicle that wants to pass, 0 none
        ("since", "f8"),  # [s] for which it has wanted to
        ("passed", "?"),  # it was in front of the ego
    ]
)
"""Memory of `lets_by`."""
_PATIENCE = 15.0  # [s] a drive that ends sooner had no time to let it by


def given_up(sight: Sight, memory: Records) -> list[Finding]:
    """Finds scenarios whose time ran out, each once."""
    timed_out = sight.scene.events["scenario_timeout"]
    found = []
    for row in np.flatnonzero((timed_out >= 0) & (timed_out != memory["last"])).tolist():
        memory["last"][row] = timed_out[row]
        found.append(Finding(row, Kind.SCENARIO_TIMEOUT, int(timed_out[row])))
    return found


def lets_by(sight: Sight, memory: Records) -> list[Finding]:
    """Finds emergency vehicles that are still behind the ego when their scenario ends."""
    wanted = sight.scene.progress["emergency"]
    found = []
    for row in np.flatnonzero((wanted != 0) | (memory["id"] != 0)).tolist():
        mine, now = memory[row], int(wanted[row])
        if mine["id"] != 0 and now != mine["id"]:
            if not mine["passed"]:
                found.append(Finding(row, Kind.YIELD, int(mine["id"])))
            mine["id"] = 0
        if now != 0:
            if mine["id"] == 0:
                mine["id"], mine["since"], mine["passed"] = now, 0.0, False
            mine["since"] += sight.scene.dt
            mine["passed"] |= _is_in_front(sight, row, now)
    return found


def _is_in_front(sight: Sight, row: int, number: int) -> bool:
    """Whether an actor is in front of an ego; one that has gone was."""
    actors = sight.scene.actors
    vehicles = actors.vehicles[actors.world[row]]
    slots = np.flatnonzero(vehicles["id"] == number)
    if len(slots) == 0:
        return True
    dx = vehicles["x"][slots[0]] - sight.x[row]
    dy = vehicles["y"][slots[0]] - sight.y[row]
    return bool(dx * sight.cos[row] + dy * sight.sin[row] > 0.0)


def still_waits(mine: np.void) -> bool:
    """Whether a drive ends with an ambulance behind it that it had time to let by."""
    return bool(mine["id"] != 0 and not mine["passed"] and mine["since"] >= _PATIENCE)
