"""Criteria along the route: how far one has come, how far one strays, how fast one is."""

from __future__ import annotations

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import Mover
from drive_il.datatypes import VEHICLE, Bools, Floats, Ints, Records
from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.sight import Finding, Sight

WAY = np.dtype(
    [
        ("index", "i8"),  # last route point passed
        ("s", "f8"),  # [m] of the route up to it
        ("completed", "?"),
    ]
)
"""Memory of `follow`."""
STRAY = np.dtype(
    [
        ("index", "i8"),  # route point that was nearest last
        ("out", "f8"),  # [m] of the route that was driven far from it
        ("is_out", "?"),
    ]
)
"""Memory of `strays`."""
PACE = np.dtype(
    [
        ("checkpoint", "i8"),  # number of the part of the route one is in
        ("own", "f8"),  # [m/s] sum of the ego's speeds in it
        ("others", "f8"),  # [m/s] sum of the mean speed of the traffic nearby
        ("n", "i8"),  # steps summed
    ]
)
"""Memory of `paces`."""

GOAL_DISTANCE = 10.0
"""a drive is complete so near to the end of its route [m] ..."""
GOAL_SHARE = 99.0
"""... with more than this completed [%] ..."""
GOAL_REST = 1.001
"""... or with no more than the last point left, a metre away: on a route shorter than 100 m [m]"""
_AHEAD = np.arange(3)  # route points looked at: the last one passed and two more
_AROUND = np.arange(6)  # route points among which the nearest is looked for
_FAR = 30.0  # [m] from the route one has left it
_OUT = 15.0  # [m] from the route what one drives is not on it
_OUT_SHARE = 30.0  # [%] of the route may be driven so
_LAST_CHECKPOINT = 95.0  # [%] of the route that the last checkpoint needs
NEARBY = 100.0
"""traffic whose speed the ego is compared with is within this distance of it [m]; leaderboard 2
has no other: its background activity puts vehicles on the ego's road up to 4 ahead and 3 behind,
on the opposite one 60 m ahead, and 40 m before the next junction, and takes them away again"""
_TRAFFIC = int(Mover.TRAFFIC)


def follow(sight: Sight, memory: Records) -> Floats:
    """Advances along the route: a point is passed when the ego is in front of it.

    Only the next two points are looked at in a step: whoever cuts off a part of the route that
    leads away stays at its beginning.

    Returns:
        How far this step came along the route, (N,) [m].
    """
    index = memory["index"]
    points = sight.points(index[:, None] + _AHEAD)
    dx, dy = sight.x[:, None] - points[:, :, 0], sight.y[:, None] - points[:, :, 1]
    passed = dx * points[:, :, 3] + dy * points[:, :, 4] > 0.0
    # The furthest that is passed; the first stays when none is.
    step = np.where(passed[:, 2], 2, np.where(passed[:, 1], 1, 0))
    s = np.where(step > 0, np.where(step > 1, points[:, 2, 2], points[:, 1, 2]), memory["s"])
    advanced: Floats = s - memory["s"]
    memory["index"] = np.minimum(index + step, sight.last)
    memory["s"] = s
    near_end = (100.0 * s > GOAL_SHARE * sight.length) | (s >= sight.length - GOAL_REST)
    if near_end.any():
        goal = sight.points(sight.last[:, None])
        dx, dy = sight.x - goal[:, 0, 0], sight.y - goal[:, 0, 1]
        memory["completed"] |= near_end & (dx * dx + dy * dy < GOAL_DISTANCE * GOAL_DISTANCE)
    return advanced


def completion(way: np.void, length: float) -> float:
    """Returns the completion of one drive [%]."""
    return 100.0 if way["completed"] else 100.0 * float(way["s"]) / length


def strays(sight: Sight, memory: Records) -> list[Finding]:
    """Finds egos that have left their route: too far, or for too much of it at a distance."""
    points = sight.points(memory["index"][:, None] + _AROUND)
    dx, dy = sight.x[:, None] - points[:, :, 0], sight.y[:, None] - points[:, :, 1]
    square = dx * dx + dy * dy
    least = square.min(axis=1)
    off = ~(least < _FAR * _FAR)  # true for what is no number
    nearest = _AROUND[-1] - np.argmin(square[:, ::-1], axis=1)  # of several the furthest
    moved = nearest > 0
    is_out = np.where(off, memory["is_out"], least >= _OUT * _OUT)
    if moved.any():
        at = np.arange(len(nearest))
        gone = np.where(moved & is_out, points[at, nearest, 2] - points[:, 0, 2], 0.0)
        memory["out"] += gone
        off |= moved & is_out & (100.0 * memory["out"] > _OUT_SHARE * sight.length)
        memory["index"] = np.minimum(memory["index"] + nearest, sight.last)
    memory["is_out"] = is_out
    return [
        Finding(int(row), Kind.DEVIATION, value=float(np.sqrt(least[row])))
        for row in np.flatnonzero(off)
    ]


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(VEHICLE)[:, ::1],
        nt.int64[::1],
        nt.int64[::1],
        nt.float64,
        nt.float64[::1],
        nt.int64[::1],
    )
)
def _sum_speeds(
    first: int,
    last: int,
    vehicles: Records,
    world: Ints,
    slot: Ints,
    reach: float,
    total: Floats,
    n: Ints,
) -> None:
    for row in range(first, last):
        others = vehicles[world[row]]
        ego = others[slot[row]]
        speed, found = 0.0, 0
        for v in range(len(others)):  # in order: a sum must not depend on empty slots
            other = others[v]
            if other.id == 0 or other.mover != _TRAFFIC or v == slot[row]:
                continue
            dx, dy = other.x - ego.x, other.y - ego.y
            if dx * dx + dy * dy < reach * reach:
                speed += other.speed
                found += 1
        total[row], n[row] = speed, found


def traffic_speed(sight: Sight) -> tuple[Floats, Bools]:
    """Returns the mean speed of the traffic near each ego [m/s], and whether there is any, (N,)."""
    actors, n_rows = sight.scene.actors, len(sight.x)
    total, n = np.zeros(n_rows), np.zeros(n_rows, np.int64)
    if actors.vehicles.shape[1] > 0:
        _sum_speeds(
            0,
            n_rows,
            np.ascontiguousarray(actors.vehicles),
            actors.world.astype(np.int64),
            actors.slot.astype(np.int64),
            NEARBY,
            total,
            n,
        )
    return total / np.maximum(n, 1), n > 0


def paces(sight: Sight, memory: Records, s: Floats, n_checkpoints: int) -> list[tuple[int, float]]:
    """Compares the ego's mean speed with the traffic's in each part of the route.

    Args:
        sight: the state.
        memory: PACE.
        s: of the route completed, (N,) [m].
        n_checkpoints: parts of equal length.

    Returns:
        (row, own mean speed as a share of the traffic's [%]) of the parts that end here.
    """
    mean, there = traffic_speed(sight)
    ended = s * n_checkpoints >= (memory["checkpoint"] + 1) * sight.length
    found = []
    for row in np.flatnonzero(ended):
        found += [(int(row), share) for share in close_pace(memory, int(row))]
        # Each ends once, also where its end is a route point and rounding decides.
        reached = int(s[row] * n_checkpoints / sight.length[row])
        memory["checkpoint"][row] = max(int(memory["checkpoint"][row]) + 1, reached)
    memory["own"] += np.where(there, sight.speed, 0.0)
    memory["others"] += mean
    memory["n"] += there
    return found


def close_pace(memory: Records, row: int) -> list[float]:
    """Ends a checkpoint; returns its share [%], or nothing where no traffic moved."""
    own, others = float(memory["own"][row]), float(memory["others"][row])
    memory["own"][row] = memory["others"][row] = 0.0
    memory["n"][row] = 0
    return [round(100.0 * own / others, 2)] if others > 0.0 else []


def last_pace(memory: Records, row: int, completed: float) -> list[float]:
    """Ends the checkpoint in which a drive ended, if it came so far [%]."""
    return close_pace(memory, row) if completed > _LAST_CHECKPOINT else []
