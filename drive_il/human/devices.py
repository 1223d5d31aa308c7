"""Gamepads and steering wheels, by SDL."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pygame
from pygame._sdl2 import controller

from drive_il.human import axes
from drive_il.human.axes import Calibration
from drive_il.human.hands import Hands

Kind = Literal["gamepad", "wheel"]
Wanted = Literal["auto", "keyboard", "gamepad", "wheel"]
_WHEELS = re.compile(r"wheel|racing|driving force|\bG(25|27|29|920|923)\b|T\d{3}|fanatec", re.I)
_FULL_SCALE = 32767.0  # of SDL's gamepad axes
_N_PAD_AXES = 6


@dataclass
class Device:
    """One gamepad or wheel that is plugged in.

    Attributes:
        kind: gamepad where SDL knows its layout, else wheel.
        name: for people.
        guid: SDL's name of this model; calibrations are kept by it.
        instance: SDL's number of this very device.
        calibration: how its axes are read.
        is_calibrated: a person has calibrated it.
        raw: returns what its axes say, in [-1, 1].
    """

    kind: Kind
    name: str
    guid: str
    instance: int
    calibration: Calibration
    is_calibrated: bool
    raw: Callable[[], Sequence[float]]
    is_gone: bool = False

    def hands(self) -> Hands | None:
        """Returns what wheel and pedals say; None once it has been unplugged."""
        return None if self.is_gone else self.calibration.hands(self.raw())


def present() -> list[Device]:
    """Returns every gamepad and wheel that is plugged in."""
    pygame.joystick.init()
    controller.init()
    return [_open(number) for number in range(pygame.joystick.get_count())]


def choose(wanted: Wanted, found: Sequence[Device]) -> Device | None:
    """Returns the device to drive with; None is the keyboard.

    Args:
        wanted: auto takes a wheel before a gamepad, and what calls itself a wheel first.
        found: devices that are plugged in.

    Raises:
        ValueError: there is no such device; the message says what is there.
    """
    if wanted == "keyboard":
        return None
    wheels = [one for one in found if one.kind == "wheel"]
    wheels.sort(key=lambda one: _WHEELS.search(one.name) is None)
    pads = [one for one in found if one.kind == "gamepad"]
    if wanted == "auto":
        # A joystick that nobody calls a wheel may be anything: only if it was calibrated once.
        sure = [one for one in wheels if one.is_calibrated or _WHEELS.search(one.name)]
        return next(iter(sure + pads), None)
    right = wheels if wanted == "wheel" else pads
    if not right:
        others = ", ".join(f"{one.name} ({one.kind})" for one in found) or "nothing"
        raise ValueError(
            f"no {wanted} found: plugged in is {others}. Plug it in and try again, or drive "
            "with --input keyboard"
        )
    return right[0]


def _open(number: int) -> Device:
    stick = pygame.joystick.Joystick(number)
    name, guid, instance = stick.get_name(), stick.get_guid(), stick.get_instance_id()
    saved = axes.load(guid)
    if controller.is_controller(number):
        pad: Any = controller.Controller(number)

        def pad_axes() -> list[float]:
            return [pad.get_axis(i) / _FULL_SCALE for i in range(_N_PAD_AXES)]

        usual = axes.GAMEPAD
        return Device("gamepad", name, guid, instance, saved or usual, saved is not None, pad_axes)

    def wheel_axes() -> list[float]:
        return [stick.get_axis(i) for i in range(stick.get_numaxes())]

    usual = axes.guessed(name, stick.get_numaxes())
    return Device("wheel", name, guid, instance, saved or usual, saved is not None, wheel_axes)
