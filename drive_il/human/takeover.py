"""Who holds the wheel: a person takes it by touching it, and gives it back with a key."""

from __future__ import annotations

from dataclasses import dataclass

from drive_il.human.hands import Hands

TOUCH_STEER = 0.04
"""a wheel that has moved by so much has been touched"""
TOUCH_PEDAL = 0.08
"""and a pedal"""


@dataclass(frozen=True)
class Grip:
    """Whether a person holds the wheel, and where his hands were when he let it go.

    Attributes:
        holds: he does.
        left_at: hands at the last hand-back; a wheel left turned has not been touched.
    """

    holds: bool = False
    left_at: Hands = Hands()

    def after(self, hands: Hands, key_is_down: bool, hands_back: bool) -> Grip:
        """Returns the grip at the next step.

        Args:
            hands: what wheel and pedals say now.
            key_is_down: a key that drives is held.
            hands_back: he has pressed the key that gives the wheel back; it wins over a touch,
                and as long as a key that drives is held the wheel comes back to him at once.
        """
        if hands_back:
            return Grip(False, hands)
        if self.holds or key_is_down or touched(self.left_at, hands):
            return Grip(True, self.left_at)
        return self


def touched(before: Hands, now: Hands) -> bool:
    """Whether wheel or pedals have been moved; a foot that lifts is no touch."""
    return (
        abs(now.steer - before.steer) > TOUCH_STEER
        or now.throttle - before.throttle > TOUCH_PEDAL
        or now.brake - before.brake > TOUCH_PEDAL
    )
