"""Calibration of a wheel or gamepad: the person moves it, and what moved is what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drive_il.display.pages import question_page
from drive_il.display.screen import Screen
from drive_il.human import axes
from drive_il.human.axes import Axis, Calibration, moved_most
from drive_il.human.bindings import Action
from drive_il.human.devices import Device
from drive_il.human.inputs import Inputs

_RATE = 30.0  # pictures a second
_DEAD_ZONES = {"wheel": 0.01, "gamepad": 0.12}


@dataclass(frozen=True)
class Step:
    """One thing to be moved and held.

    Attributes:
        name: of what is found out.
        said: what is to be done.
    """

    name: str
    said: str


STEPS = (
    Step("rest", "Take your hands and feet off: wheel straight, pedals up."),
    Step("left", "Turn the wheel (or left stick) all the way to the LEFT and hold it."),
    Step("right", "Now all the way to the RIGHT and hold it."),
    Step("throttle", "Wheel straight. Press the THROTTLE all the way down and hold it."),
    Step("brake", "Let it go. Press the BRAKE all the way down and hold it."),
)


def calibration_of(name: str, kind: str, held: dict[str, Sequence[float]]) -> Calibration:
    """Returns the calibration that some held positions give.

    Args:
        name: of the device.
        kind: wheel or gamepad; decides the dead zone.
        held: raw axes at each of `STEPS`, by name; throttle and brake may be missing.

    Raises:
        ValueError: nothing moved where something had to, or left and right moved different
            axes.
    """
    rest, zone = held["rest"], _DEAD_ZONES[kind]
    left, right = moved_most(rest, held["left"]), moved_most(rest, held["right"])
    if left < 0 or left != right:
        what = "no axis moved" if min(left, right) < 0 else f"axes {left} and {right} moved"
        raise ValueError(f"left and right must move one and the same axis, {what}")
    steer = Axis(left, rest[left], held["left"][left], held["right"][left], zone)

    def pedal(held_down: Sequence[float] | None) -> Axis | None:
        at = -1 if held_down is None else moved_most(rest, held_down)
        return None if held_down is None or at < 0 else Axis(at, rest[at], held_down[at], rest[at])

    return Calibration(name, steer, pedal(held.get("throttle")), pedal(held.get("brake")))


def calibrate(screen: Screen, inputs: Inputs, device: Device) -> bool:
    """Leads through a calibration and saves it; returns False when it was left with ESCAPE."""
    said = ""
    while True:
        held = _positions(screen, inputs, device, said)
        if held is None:
            return False
        try:
            found = calibration_of(device.name, device.kind, held)
        except ValueError as error:
            said = f"That did not work: {error}. Once more."
            continue
        device.calibration, device.is_calibrated = found, True
        axes.save(found, device.guid)
        return True


def _positions(
    screen: Screen, inputs: Inputs, device: Device, said: str
) -> dict[str, Sequence[float]] | None:
    held: dict[str, Sequence[float]] = {}
    for number, step in enumerate(STEPS):
        foot = "RETURN takes it over, ESCAPE leaves the old calibration."
        if step.name in ("throttle", "brake"):
            foot += " Without that pedal: RETURN without moving anything."
        lines = [
            line for line in (said, f"{number + 1} of {len(STEPS)}: {step.said}", foot) if line
        ]
        while step.name not in held:
            screen.surface.fill((30, 34, 40))
            live = list(device.raw())
            question_page(screen, device.name, lines, live)
            screen.flip()
            screen.clock.tick(_RATE)
            for action in inputs.look():
                if action is Action.CONFIRM:
                    held[step.name] = live
                elif action is Action.QUIT:
                    return None
            if inputs.closed or inputs.unplugged:
                return None
        said = ""
    return held
