"""The first lap: one thing at a time, each done before the next is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drive_il.datatypes import Scene
from drive_il.folders import data_folder, write_whole


@dataclass(frozen=True)
class Lesson:
    """One thing to learn.

    Attributes:
        said: what is to be done, keys in braces by the names of their actions.
        is_done: whether it has been, by what the scene shows of the first row.
        praise: said then.
    """

    said: str
    is_done: Callable[[Scene], bool]
    praise: str


def _speed(scene: Scene) -> float:
    return 3.6 * float(scene.ego["speed"][0])


LESSONS = (
    Lesson("Hold {throttle} until the car does 15 km/h", lambda s: _speed(s) > 15.0, "That is it"),
    Lesson(
        "Now brake to a halt with {brake}",
        lambda s: _speed(s) < 0.5,
        "The brakes work; {hand_brake} is the hand brake",
    ),
    Lesson(
        "Drive on, {left} and {right} steer: follow the blue line on the map for 60 m",
        lambda s: float(s.progress["s"][0]) > 80.0,
        "Well steered; {view} shows other views, {help} all keys",
    ),
    Lesson(
        "The sign above says what comes next. Drive to the flag",
        lambda s: bool(s.progress["completed"][0]),
        "You have arrived",
    ),
)
"""in order; each is done once, however the car moves afterwards"""


class Guide:
    """Goes through the lessons.

    Args:
        keys: names of keys by action, for the texts.
    """

    def __init__(self, keys: dict[str, str]) -> None:
        self._keys = keys
        self.at = 0

    @property
    def text(self) -> str:
        """What is to be done now; empty when all has been."""
        return "" if self.is_over else self._named(LESSONS[self.at].said)

    @property
    def is_over(self) -> bool:
        """Whether every lesson has been learnt."""
        return self.at >= len(LESSONS)

    def watch(self, scene: Scene) -> str:
        """Looks at a state; returns praise when a lesson is learnt, else nothing."""
        if self.is_over or not LESSONS[self.at].is_done(scene):
            return ""
        self.at += 1
        return self._named(LESSONS[self.at - 1].praise)

    def _named(self, said: str) -> str:
        return said.format(**self._keys)


def _mark() -> Path:
    return data_folder() / "guided_lap_done"


def is_first_time() -> bool:
    """Whether nobody has driven the guided lap on this account."""
    return not _mark().exists()


def remember() -> None:
    """Does not offer it again."""
    write_whole(_mark(), b"the guided lap was driven or skipped; delete this to see it again\n")
