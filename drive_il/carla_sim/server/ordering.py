"""When a tick must wait: what 0.9.16's client cannot bear, met by the order of answers.

Four races in the client are cured here, each by waiting:

- listen() connects in the background; who ticks at once and then waits for the first frame
  waits for ever. A tick waits for streams whose place has been asked for (at most 1 s).
- Traffic Manager polls the settings and then falls asleep until the next tick; a tick that
  comes back between the two is lost, and both threads wait for ever. With a manager
  registered, a tick waits until its connection has said nothing else for a moment, longer
  where more programs want to run than there are cores (`settle_time`). That makes the loss
  rare, not impossible: the thread may be kept from running for longer still.
- load_world takes the episode away while a manager's thread uses it. That thread's poll of the
  settings stays unanswered, and all streams silent, until the client asks for the new world's
  stream (at most 2 s).
- apply_batch_sync(commands, True) waits for the tick's snapshot with Python's lock in its hand;
  sensor messages that come first wait for that lock in all of the client's threads, and
  nobody is left to take in the snapshot. What sensors say after such a tick is held back for
  10 ms, longer while the next such batch is under way.
"""

from __future__ import annotations

from collections import Counter

PATIENCE = 1.0
"""a stream that has been promised is waited for so long [s]"""
SETTLE = 0.0004
"""quiet that a Traffic Manager needs to fall asleep where it has a core to itself [s]"""
_MOST_CROWDED = 4.0  # programs per core
HOLD = 0.01
"""what sensors say after a batch that ticks is held back for so long [s]"""
SWAP = 2.0
"""the longest silence after load_world [s]"""


class Order:
    """Which ticks and answers must wait. Times are in seconds on any one clock."""

    def __init__(self) -> None:
        self._promised: Counter[int] = Counter()
        self._until = 0.0
        self._silent_until = 0.0

    def promise(self, stream: int, now: float) -> None:
        """Notes that a client has asked where a stream is and will connect to it."""
        self._promised[stream] += 1
        self._until = now + PATIENCE

    def keep(self, stream: int) -> None:
        """Notes that a client has connected to a stream."""
        self._promised[stream] -= 1
        if self._promised[stream] <= 0:
            del self._promised[stream]

    def swap(self, now: float) -> None:
        """Notes that a client is about to exchange its episode."""
        self._silent_until = now + SWAP

    def swapped(self) -> None:
        """Notes that it has."""
        self._silent_until = 0.0

    def is_silent(self, now: float) -> bool:
        """Whether streams must be silent."""
        return now < self._silent_until

    def must_wait(self, settle: float, spoke: float, now: float) -> bool:
        """Whether a tick must wait.

        Args:
            settle: quiet that a Traffic Manager needs, 0 where none is registered.
            spoke: when the connection last asked for something else.
            now: the time.
        """
        if self._promised and now >= self._until:
            self._promised.clear()
        quiet_for = now - spoke
        return bool(self._promised) or self.is_silent(now) or quiet_for < settle


def settle_time(programs_per_core: float) -> float:
    """Returns the quiet that a Traffic Manager needs on a machine [s].

    A thread whose core is wanted by others starts later; with four programs per core 16 times
    as much is waited, which is enough for most of its turns, not for all.

    Args:
        programs_per_core: that want to run.
    """
    return SETTLE * min(max(programs_per_core, 1.0), _MOST_CROWDED) ** 2
