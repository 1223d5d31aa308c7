"""What goes over the socket between the runner and an agent's process; both sides import it.

A message is a header (magic, kind, length) and a body: JSON, or one of two fixed structs.
The runner trusts nothing that it reads: kinds, lengths and values are checked, and nothing
is ever unpickled. Images and other arrays lie in shared memory, which the agent's side can
only read; a few slots take turns, so that what an agent keeps is not overwritten.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct("<4sBI")
"""magic, kind, length of the body"""
MAGIC = b"dIL1"
MAX_REPLY = 1 << 20
"""a longer reply is a broken one [bytes]"""

LOAD, CONSTRUCT, PLAN, SETUP, SENSORS, MEMORY, STEP, DESTROY = range(1, 9)
"""kinds of requests; bodies are JSON but for STEP, and MEMORY comes with a descriptor"""
DONE, FAILED, CONTROL = range(101, 104)
"""kinds of replies; bodies are JSON but for CONTROL"""

STEP_BODY = struct.Struct("<Bqd15d")
"""slot, frame, game time [s], and the ego as Context has it (NaN where it is not shown)"""
CONTROL_BODY = struct.Struct("<3d2B")
"""throttle, steer, brake; flags: 1 hand brake, 2 reverse; bit mask of the free slots"""
N_SLOTS = 3
"""of shared memory"""


def message(kind: int, body: bytes) -> bytes:
    """Returns a message, header and body."""
    return HEADER.pack(MAGIC, kind, len(body)) + body
