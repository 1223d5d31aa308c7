"""The scenario programs of a world's routes as kernels see them, and how far each has come."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import Records
from drive_il.scenarios.script import PATH_POINT, ROLE, SCRIPT


class Act(IntEnum):
    """How far a script has come."""

    AHEAD = 0
    SET = 1  # its actors are there
    RUNNING = 2  # it was triggered
    OVER = 3


class Part(IntEnum):
    """How far a role has come."""

    ABSENT = 0
    WAITING = 1
    MOVING = 2
    STOPPING = 3
    HOLDING = 4
    ARRIVED = 5
    DONE = 6


SCRIPT_STATE = np.dtype(
    [
        ("act", "i4"),  # Act
        ("last", "i4"),  # role of its flow that set out last, -1
        ("released", "i4"),  # by its flow so far
        ("held", "i4"),  # junction whose lights it holds, -1
        ("since", "f8"),  # [s] since it was triggered
        ("gap", "f8"),  # [m] that the last of its flow must be ahead before the next sets out
    ]
)
"""How far one script has come."""

ROLE_STATE = np.dtype(
    [
        ("part", "i4"),  # Part
        ("id", "i4"),  # of its actor
        ("s", "f8"),  # [m] along its path
        ("timer", "f8"),  # [s] since it was to set out, or since it halted
    ]
)
"""How far one role has come; its speed is its actor's."""

PROGRAM = np.dtype(
    [
        ("script_first", "i4"),
        ("script_count", "i4"),
        ("role_first", "i4"),
        ("role_count", "i4"),
        ("point_first", "i4"),
        ("point_count", "i4"),
        ("vehicles", "i4"),  # seats
        ("walkers", "i4"),
        ("parked", "f8"),  # [m] the ego begins so far left of its route
    ]
)
"""Where the program of one route lies."""


class ProgramArrays(NamedTuple):
    """What the kernels take.

    Attributes:
        routes: one PROGRAM per route.
        scripts: all SCRIPTs.
        roles: all ROLEs.
        points: all PATH_POINTs.
    """

    routes: Records
    scripts: Records
    roles: Records
    points: Records


PROGRAMS = nt.NamedTuple(
    tuple(kernels.record(one)[::1] for one in (PROGRAM, SCRIPT, ROLE, PATH_POINT)),
    ProgramArrays,
)
"""Numba type of `ProgramArrays`."""
