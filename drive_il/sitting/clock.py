"""Real time: a step of the world lasts as long on the clock, with pictures between steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Picture = TypeVar("Picture")

_LATE = 0.25  # [s] a world that is so late has slowed down, and is not hurried after it
_AHEAD = 0.5  # of a picture's time, left for the next step of the world before its picture is due


class RealTime(Generic[Picture]):
    """Spaces the pictures of each step evenly over its time.

    The last picture of a step is kept back and shown first in the next one: it is drawn while
    the world computes that step, so that no picture has to wait for both.

    A machine that cannot draw so many draws fewer; one that cannot draw one a step shows the
    world in slow motion.

    Args:
        dt: length of a step [s].
        fps: pictures a second.
        show: shows a picture; it is told the next one, which can be begun already, or None
            where time is short.
        now: the clock [s].
        sleep: waits [s].
    """

    def __init__(
        self,
        dt: float,
        fps: float,
        show: Callable[[Picture, Picture | None], None],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_step = max(1, round(dt * fps))
        self._slot = dt / self._per_step
        self._show, self._now, self._sleep = show, now, sleep
        self.restart()

    def restart(self) -> None:
        """Begins anew, after a pause."""
        self._due = math.nan  # when the first picture of the next step is to be seen
        self._kept = list[Picture]()

    def step(self, picture: Callable[[float], Picture]) -> None:
        """Shows the pictures of one step but the last, and returns when the next one may begin.

        Args:
            picture: makes the one that lies a share, in (0, 1], of the way from the last state to
                this one.
        """
        now = self._now()
        if math.isnan(self._due) or now - self._due > _LATE:
            self._due = now
        shares = [(k + 1) / self._per_step for k in range(self._per_step)]
        self._show_in_turn([*self._kept, *(picture(share) for share in shares)])
        self._wait_for(self._due - _AHEAD * self._slot)

    def _show_in_turn(self, pictures: Sequence[Picture]) -> None:
        """Shows all but the last, which is kept: a step's own state is never left out."""
        has_kept, is_begun = bool(self._kept), False
        *shown, last = pictures
        for k, (one, following) in enumerate(zip(shown, pictures[1:], strict=True)):
            self._wait_for(self._due)
            self._due += self._slot
            in_time = self._now() < self._due
            if in_time or is_begun or (has_kept and k == 0):
                is_begun = in_time
                self._show(one, following if is_begun else None)
        self._kept = [last]

    def _wait_for(self, moment: float) -> None:
        wait = moment - self._now()
        if wait > 0.0:
            self._sleep(wait)
