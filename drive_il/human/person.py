"""The person as a `Driver`: keyboard or axes in, controls of one car out."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np

from drive_il.datatypes import Bools, Records, Scene, nan_control
from drive_il.human.hands import Hands, KeyboardConfig, Pressed, by_keys
from drive_il.human.takeover import Grip, touched

_KEYBOARD = KeyboardConfig()
Axes = Callable[[], Hands | None]
"""what a wheel or gamepad says now; None when there is none"""


class Part(Enum):
    """What the person is there for."""

    DRIVES = "drives"  # holds the wheel from the start; the autopilot is a switch
    CORRECTS = "corrects"  # takes the wheel by touching it, hands it back with a key
    LABELS = "labels"  # says what he would do, and the policy drives on


class Person:
    """Drives the first row of a world.

    Args:
        part: what he is there for.
        axes: of a wheel or gamepad.
        config: how keys move the wheel.
    """

    def __init__(
        self, part: Part, axes: Axes = lambda: None, config: KeyboardConfig = _KEYBOARD
    ) -> None:
        self.part, self._axes, self._config = part, axes, config
        self.pressed = Pressed()
        self.hands = Hands()
        self.autopilot = False
        self.reverse = False
        self.hands_back = False
        self.grip = Grip()
        self._turned = False

    @property
    def drives(self) -> bool:
        """Whether the car obeys him."""
        if self.part is Part.DRIVES:
            return not self.autopilot
        return self.part is Part.CORRECTS and self.grip.holds

    def sit_down(self) -> None:
        """Begins a drive: keys let go; wheel and pedals are where they are."""
        self.hands, self.hands_back, self.autopilot = self._axes() or Hands(), False, False
        self.reverse = False
        self.grip = Grip(False, self.hands)

    def switch_autopilot(self) -> None:
        """Lets the expert drive, or takes the wheel again."""
        self.autopilot = not self.autopilot
        self.reverse = False
        self.grip = Grip(False, self.hands)

    def act(self, scene: Scene) -> tuple[Records, Bools]:
        """Returns (what he does (B,) CONTROL, whether the cars obey (B,)); see `Driver`."""
        self._move(scene)
        said = nan_control(scene.n_rows)
        self.reverse &= self.drives
        if self.drives or self._labels():
            said[0] = self.hands.control()[0]
            if self.reverse:
                said["throttle"][0] *= -1.0  # of nought, too
        obeyed = np.zeros(scene.n_rows, np.bool_)
        obeyed[0] = self.drives
        return said, obeyed

    def _labels(self) -> bool:
        """Whether he says what he would do: with keys only while one is down."""
        if self.part is not Part.LABELS:
            return False
        return self.pressed.any or (self._turned and touched(Hands(), self.hands))

    def _move(self, scene: Scene) -> None:
        ego = scene.ego[0]
        turned = self._axes()
        self._turned = turned is not None and not self.pressed.any
        if self.pressed.any or (turned is not None and touched(self.grip.left_at, turned)):
            self.autopilot = False
        watches = self.part is Part.CORRECTS and not self.grip.holds
        if turned is None and (self.autopilot or watches):
            # He takes the wheel and the pedals where the other has them.
            self.hands = Hands(float(ego["throttle"]), float(ego["brake"]), float(ego["steer"]))
            self.grip = Grip(False, self.hands)
        if turned is not None and not self.pressed.any:
            self.hands = turned
        elif self.drives or self.pressed.any or self.part is Part.LABELS:
            speed = float(ego["speed"])
            self.hands = by_keys(self.hands, self.pressed, speed, scene.dt, self._config)
        self.grip = self.grip.after(self.hands, self.pressed.any, self.hands_back)
        self.hands_back = False
