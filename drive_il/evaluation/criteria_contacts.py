"""Collisions: which contacts are one, whose they are, and with what."""

from __future__ import annotations

import numpy as np

from drive_il.actors import Struck
from drive_il.datatypes import Ints, Records
from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.protocol import CollisionRule
from drive_il.evaluation.sight import Finding, Sight

_PLACES = 16  # more places 3 m apart do not fit into the 5 m in which they are remembered
CONTACTS = np.dtype(
    [
        ("other", "i8"),  # id of the actor hit last, 0 none
        ("since", "f8"),  # [s] since that was counted
        ("places", "f8", (_PLACES, 2)),  # [m] where the ego was, NaN where none is remembered
        ("n", "i8"),  # places remembered
        ("speed", "f8"),  # [m/s] of the ego in the state before
    ]
)
"""Memory of `collisions`."""
_KINDS = {
    int(Struck.VEHICLE): Kind.VEHICLE,
    int(Struck.WALKER): Kind.PEDESTRIAN,
    int(Struck.STATIC): Kind.LAYOUT,
}


def collisions(rule: CollisionRule, sight: Sight, memory: Records) -> list[Finding]:
    """Finds contacts that are collisions of their own.

    A contact does not count with the actor that was hit last, for a while; near to where one
    was counted; or while the ego stood in the state before. Going up a kerb is none, as CARLA
    leaves out sidewalks.
    """
    memory["since"] += sight.scene.dt
    remembered = memory["n"] > 0
    if remembered.any():
        _forget(rule, sight, memory, np.flatnonzero(remembered))
    found = []
    for row in np.flatnonzero(sight.scene.events["struck"]):
        finding = _contact(rule, sight, memory, int(row))
        if finding is not None:
            found.append(finding)
    memory["speed"] = sight.speed
    return found


def _forget(rule: CollisionRule, sight: Sight, memory: Records, rows: Ints) -> None:
    places = memory["places"][rows]
    dx = places[:, :, 0] - sight.x[rows, None]
    dy = places[:, :, 1] - sight.y[rows, None]
    far = dx * dx + dy * dy > rule.forget * rule.forget
    if far.any():
        places[far] = np.nan
        memory["places"][rows] = places
        memory["n"][rows] = np.isfinite(places[:, :, 0]).sum(axis=1)


def _contact(rule: CollisionRule, sight: Sight, memory: Records, row: int) -> Finding | None:
    event, mine = sight.scene.events[row], memory[row]
    other = int(event["struck_id"])
    is_static = event["struck"] == Struck.STATIC and other == 0
    if is_static and event["impulse_x"] == 0.0 == event["impulse_y"] and event["struck_speed"] > 0:
        return None  # a kerb
    if other != 0 and other == mine["other"] and mine["since"] <= rule.same_actor:
        return None
    x, y = float(sight.x[row]), float(sight.y[row])
    places = mine["places"]
    if bool((np.hypot(places[:, 0] - x, places[:, 1] - y) <= rule.near).any()):
        return None
    if max(float(mine["speed"]), float(sight.speed[row])) < rule.standing:
        return None
    if other != 0:
        mine["other"], mine["since"] = other, 0.0
    free = int(np.argmax(np.isnan(places[:, 0])))
    places[free] = x, y
    mine["n"] = int(np.isfinite(places[:, 0]).sum())
    place = float(event["struck_x"]), float(event["struck_y"])
    return Finding(row, _KINDS[int(event["struck"])], other, place=place)
