"""A scenario as a table: what a script and its roles are.

A route's scenarios are compiled once into a `Program` of fixed size: scripts (when something
happens), roles (who does what), and the paths that roles follow. A world steps it as a fold
over a small state, so that it is repeatable, can be copied, and costs nothing where there is
none. Lengths in metres, times in seconds, as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from drive_il.datatypes import Floats, Records

WALKER_KIND = -1
"""`kind` of a role that is a walker"""
NEVER = 1e9
"""a time or distance that does not come"""


class Start(IntEnum):
    """When a role sets out."""

    NEVER = 0  # it stands there
    APPEARING = 1  # as soon as it is there, at the ego's speed
    TRIGGER = 2  # when the script is triggered
    NEAR = 3  # the ego is within `near` of `meet_s`
    IN_TIME = 4  # so that it is at `meet` when the ego is at `meet_s`
    FLOW = 5  # one after the other, at the distances of the script's flow


class Pace(IntEnum):
    """How fast a role goes."""

    STEADY = 0  # up to `speed`
    MEETING = 1  # so that it is at `meet` when the ego is at `meet_s`
    LEADING = 2  # ahead of the ego at a distance; brakes hard once triggered, halts for `hold`


class Ending(IntEnum):
    """What becomes of a role at the end of its path."""

    STAY = 0  # it stands there
    VANISH = 1
    JOIN = 2  # it follows the rules of the road from then on, or vanishes where it cannot


class Noise(IntEnum):
    """What a script adds to the ego's control, x being standard normal."""

    NONE = 0
    HELD = 1  # mean + |x| noise, x drawn once for steer and pedals; never to the right
    JITTER = 2  # mean of either sign, drawn once, + x noise, drawn in each step


SCRIPT = np.dtype(
    [
        ("appear_s", "f8"),  # [m] of the ego on its route, when the actors are put there
        ("trigger_s", "f8"),  # [m] when it begins
        ("end_s", "f8"),  # [m] when it is over
        ("clear_to", "f8"),  # [m] the ego's lane up to here is rid of traffic as they appear; -1
        ("scenario", "i4"),  # index of the scenario of its route that it is part of
        ("oncoming", "?"),  # the ego may use the oncoming lane until it is over
        ("yield_to", "i4"),  # role that the ego is to let by, by number in the script; -1 none
        ("role_first", "i4"),  # roles[role_first : + role_count] of its program
        ("role_count", "i4"),
        ("flow_low", "f8"),  # [m] between two of its flow, at least
        ("flow_high", "f8"),  # [m] at most; 0: no flow
        ("signal", "i4"),  # a light that is set as it begins, by index into signals; -1 none
        ("light", "i4"),  # LightState that it is set to
        ("hold_light", "?"),  # it keeps that state until the script is over
        ("parked", "f8"),  # [m] the ego begins so far left of its route; 0: on it
        ("noise", "i4"),  # Noise, added to the ego's control until it is over
        ("steer_mean", "f8"),
        ("steer_noise", "f8"),  # standard deviation
        ("pedal_mean", "f8"),
        ("pedal_noise", "f8"),
    ]
)
"""One thing that happens."""

ROLE = np.dtype(
    [
        ("kind", "i4"),  # ActorKind, or WALKER_KIND
        ("seat", "i4"),  # number among the program's vehicles, or among its walkers
        ("length", "f8"),  # [m] 0: as usual for its kind
        ("width", "f8"),
        ("height", "f8"),
        ("r", "u1"),
        ("g", "u1"),
        ("b", "u1"),
        ("child", "?"),
        ("lights", "i4"),  # VehicleLight flags that stay on
        ("path_first", "i4"),  # points[path_first : + path_count] of its program
        ("path_count", "i4"),
        ("start", "i4"),  # Start
        ("pace", "i4"),  # Pace
        ("ending", "i4"),  # Ending
        ("careful", "?"),  # it does not drive into what stands on its path
        ("meet_s", "f8"),  # [m] of the ego's route, where the ways meet; for LEADING: its origin
        ("meet", "f8"),  # [m] the same on its own path
        ("near", "f8"),  # [m] of the ego to meet_s: it sets out, or keeps its speed
        ("delay", "f8"),  # [s] between that and setting out
        ("patience", "f8"),  # [s] after the trigger it sets out anyway
        ("speed", "f8"),  # [m/s]
        ("acceleration", "f8"),  # [m/s^2]
        ("braking", "f8"),  # [m/s^2]
        ("hold", "f8"),  # [s]
    ]
)
"""Who does what in a script."""

PATH_POINT = np.dtype(
    [
        ("x", "f8"),  # [m] world frame
        ("y", "f8"),
        ("z", "f8"),
        ("heading", "f8"),  # [rad] of whoever is there
        ("s", "f8"),  # [m] from the first point
    ]
)
"""One point of a role's path, about 1 m from the next; a single point is a place to stand."""


@dataclass(frozen=True)
class Program:
    """All that the scenarios of one route do.

    Attributes:
        scripts: (K,) SCRIPT.
        roles: (R,) ROLE, script after script.
        points: (N,) PATH_POINT, role after role.
        vehicles: seats for vehicles.
        walkers: seats for walkers.
        parked: how far left of its route the ego begins [m].
    """

    scripts: Records
    roles: Records
    points: Records
    vehicles: int
    walkers: int
    parked: float = 0.0


EMPTY = Program(np.zeros(0, SCRIPT), np.zeros(0, ROLE), np.zeros(0, PATH_POINT), 0, 0)
"""Nothing happens."""


@dataclass(frozen=True)
class Role:
    """One role before it is seated.

    Attributes:
        record: (1,) ROLE with kind and behaviour.
        path: x, y, z, heading, (N, 4).
    """

    record: Records
    path: Floats


@dataclass(frozen=True)
class Script:
    """One script before it is part of a program.

    Attributes:
        record: (1,) SCRIPT without its roles.
        roles: who takes part.
    """

    record: Records
    roles: tuple[Role, ...] = ()


def role(kind: int, path: Floats, **fields: Any) -> Role:
    """Makes a role.

    Args:
        kind: ActorKind or WALKER_KIND.
        path: x, y, z, heading, (N, 4) or (4,).
        **fields: of ROLE; the others are those of one that stands.
    """
    record = np.zeros(1, ROLE)
    record["kind"] = kind
    record["acceleration"], record["braking"], record["patience"] = 3.0, 6.0, NEVER
    record["meet_s"] = NEVER
    for name, value in fields.items():
        record[name] = value
    return Role(record, np.atleast_2d(np.asarray(path, float)))


def script(trigger_s: float, end_s: float, roles: list[Role], **fields: Any) -> Script:
    """Makes a script; the other `fields` are those of SCRIPT."""
    record = np.zeros(1, SCRIPT)
    record["trigger_s"], record["end_s"] = trigger_s, end_s
    record["appear_s"], record["clear_to"], record["signal"] = trigger_s - 80.0, -1.0, -1
    record["yield_to"] = -1
    for name, value in fields.items():
        record[name] = value
    return Script(record, tuple(roles))


def assemble(scripts: list[Script]) -> Program:
    """Seats all roles and puts scripts into one program."""
    if not scripts:
        return EMPTY
    heads = np.zeros(len(scripts), SCRIPT)
    roles: list[Records] = []
    points: list[Records] = []
    seats, n_points = [0, 0], 0
    known: dict[int, int] = {}  # roles of one flow share their path
    for index, one in enumerate(scripts):
        heads[index] = one.record[0]
        heads[index]["role_first"], heads[index]["role_count"] = len(roles), len(one.roles)
        for each in one.roles:
            record = each.record.copy()
            is_walker = int(record["kind"][0] == WALKER_KIND)
            record["seat"] = seats[is_walker]
            seats[is_walker] += 1
            if id(each.path) not in known:
                known[id(each.path)] = n_points
                n_points += len(each.path)
                points.append(_points(each.path))
            record["path_first"], record["path_count"] = known[id(each.path)], len(each.path)
            roles.append(record)
    return Program(
        heads,
        np.concatenate(roles) if roles else np.zeros(0, ROLE),
        np.concatenate(points) if points else np.zeros(0, PATH_POINT),
        seats[0],
        seats[1],
        float(heads["parked"].sum()),
    )


def _points(path: Floats) -> Records:
    points = np.zeros(len(path), PATH_POINT)
    for column, name in enumerate(("x", "y", "z", "heading")):
        points[name] = path[:, column]
    points["s"][1:] = np.cumsum(np.hypot(np.diff(path[:, 0]), np.diff(path[:, 1])))
    return points
