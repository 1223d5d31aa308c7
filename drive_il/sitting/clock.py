"""Real time: a step of the world lasts as long on the clock, with pictures between steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

_LATE = 0.25  # [s] a world that is so late has slowed down, and is not hurried after it


class RealTime:
    """Spaces the pictures of each step evenly over its time.

    A machine that cannot draw so many draws fewer; one that cannot draw one a step shows the
    world in slow motion.

    Args:
        dt: length of a step [s].
        fps: pictures a second.
        now: the clock [s].
        sleep: waits [s].
    """

    def __init__(
        self,
        dt: float,
        fps: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._dt, self._per_step = dt, max(1, round(dt * fps))
        self._now, self._sleep = now, sleep
        self._due = math.nan

    def restart(self) -> None:
        """Begins anew, after a pause."""
        self._due = math.nan

    def step(self, draw: Callable[[float, float | None], None]) -> None:
        """Draws the pictures of one step, and returns when its time is over.

        Args:
            draw: is told how far between the last state and this one to draw, in (0, 1], and
                how far the next picture will be, which can be begun already; None where the
                next step is awaited first, or time is short.
        """
        now = self._now()
        if math.isnan(self._due) or now - self._due > _LATE:
            self._due = now
        begin, is_begun = self._due, False
        for k in range(1, self._per_step + 1):
            end = begin + self._dt * k / self._per_step
            is_last, in_time = k == self._per_step, self._now() < end
            if in_time or is_last or is_begun:
                is_begun = in_time and not is_last
                draw(k / self._per_step, (k + 1) / self._per_step if is_begun else None)
                wait = end - self._now()
                if wait > 0.0:
                    self._sleep(wait)
        self._due = begin + self._dt
