"""What happened at keyboard, buttons and window since the last look, as actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pygame

from drive_il.human.bindings import HELD, PAD_BUTTONS, Action, Bindings
from drive_il.human.devices import Device
from drive_il.human.hands import Pressed

_PRESSES = (
    *(pygame.KEYDOWN, pygame.KEYUP),
    *(pygame.JOYBUTTONDOWN, pygame.JOYBUTTONUP),
    *(pygame.CONTROLLERBUTTONDOWN, pygame.CONTROLLERBUTTONUP),
)


class Inputs:
    """Reads SDL's events.

    Args:
        bindings: what does what.
        device: a gamepad or wheel, beside the keyboard.

    Raises:
        ValueError: a key in the bindings has a name that is none.
    """

    def __init__(self, bindings: Bindings, device: Device | None = None) -> None:
        self.device = device
        self.closed = False
        self.unplugged = False
        self._keys = _by_code(bindings.keys)
        self._pad = {n: a for a, names in bindings.gamepad.items() for n in names}
        self._wheel = {int(n): a for a, names in bindings.wheel.items() for n in names}
        self._down: set[tuple[Action, int]] = set()

    def look(self) -> list[Action]:
        """Returns the actions that were begun since the last look, in order.

        `closed` says whether the window was to be closed, `unplugged` whether the device went
        away since the last look.
        """
        self.unplugged = False
        begun: list[Action] = []
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self.closed = True
            elif event.type == pygame.WINDOWFOCUSLOST:
                self._down.clear()  # keys released elsewhere are never told of
            elif event.type in (pygame.JOYDEVICEREMOVED, pygame.CONTROLLERDEVICEREMOVED):
                self._unplug(event.instance_id)
            else:
                begun += self._press(event)
        return begun

    @property
    def pressed(self) -> Pressed:
        """Which of the keys that are held are down."""
        actions = {action for action, _ in self._down}
        return Pressed(*(action in actions for action in HELD))

    def release_all(self) -> None:
        """Forgets what is down, and what was pressed since the last look."""
        pygame.event.clear(_PRESSES)
        self._down.clear()

    def _press(self, event: pygame.event.Event) -> Sequence[Action]:
        action, code, is_down = self._action(event)
        if action is None:
            return ()
        if action in HELD:
            (self._down.add if is_down else self._down.discard)((action, code))
            return ()
        return (action,) if is_down else ()

    def _action(self, event: pygame.event.Event) -> tuple[Action | None, int, bool]:
        if event.type in (pygame.KEYDOWN, pygame.KEYUP):
            return self._keys.get(event.key), event.key, event.type == pygame.KEYDOWN
        if self.device is None or getattr(event, "instance_id", -1) != self.device.instance:
            return None, 0, False
        if self.device.kind == "gamepad":
            if event.type in (pygame.CONTROLLERBUTTONDOWN, pygame.CONTROLLERBUTTONUP):
                name = PAD_BUTTONS[event.button] if event.button < len(PAD_BUTTONS) else ""
                is_down = event.type == pygame.CONTROLLERBUTTONDOWN
                return self._pad.get(name), -1 - event.button, is_down
        elif event.type in (pygame.JOYBUTTONDOWN, pygame.JOYBUTTONUP):
            is_down = event.type == pygame.JOYBUTTONDOWN
            return self._wheel.get(event.button), -1 - event.button, is_down
        return None, 0, False

    def _unplug(self, instance: int) -> None:
        if self.device is not None and instance == self.device.instance:
            self.device.is_gone = True
            self.unplugged = True
            self._down.clear()


def _by_code(bound: Mapping[Action, tuple[str, ...]]) -> dict[int, Action]:
    codes = {}
    for action, names in bound.items():
        for name in names:
            try:
                codes[pygame.key.key_code(name)] = action
            except ValueError:
                raise ValueError(
                    f"[keys] {action}: there is no key {name!r}; keys have pygame's names, such "
                    'as "w", "left shift" or "keypad 4"'
                ) from None
    return codes
