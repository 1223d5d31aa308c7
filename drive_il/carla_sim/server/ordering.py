"""When a tick must wait: what 0.9.16's client cannot bear, met by the order of answers.

Three races in the client are cured here, each by waiting (a fourth, of which waiting is no cure,
in `waking.py`):

- listen() connects in the background; who ticks at once and then waits for the first frame
  waits for ever. A tick waits for streams whose place has been asked for (at most 1 s).
- load_world takes the episode away while a Traffic Manager's thread uses it. That thread's poll
  of the settings stays unanswered, and all streams silent, until the client asks for the new
  world's stream (at most 2 s).
- apply_batch_sync(commands, True) waits for the tick's snapshot with Python's lock in its hand;
  sensor messages that come first wait for that lock in all of the client's threads, and
  nobody is left to take in the snapshot. What sensors say after such a tick is held back for
  40 ms (`hold_time`), longer while the next such batch is under way.
"""

from __future__ import annotations

from collections import Counter

PATIENCE = 1.0
"""a stream that has been promised is waited for so long [s]"""
HOLD = 0.04
"""what sensors say after a batch that ticks is held back for so long on a quiet machine [s]"""
_MOST_CROWDED = 4.0  # programs per core
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

    def must_wait(self, now: float) -> bool:
        """Whether a tick must wait."""
        if self._promised and now >= self._until:
            self._promised.clear()
        return bool(self._promised) or self.is_silent(now)


def hold_time(programs_per_core: float) -> float:
    """Returns for how long sensors are held back after a batch that ticks [s].

    The client's thread that takes in the snapshot waits for its turn among others.

    Args:
        programs_per_core: that want to run.
    """
    return HOLD * min(max(programs_per_core, 1.0), _MOST_CROWDED)
