"""Which key or button does what: one file that can be edited.

The file is TOML, `controls.toml` in the user's folder; it is written with the defaults when
there is none. What it leaves out keeps its default, an empty list takes an action away.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from drive_il.folders import data_folder, write_whole


class Action(StrEnum):
    """What a person can do; the values are the names in the file."""

    THROTTLE = "throttle"
    BRAKE = "brake"
    LEFT = "left"
    RIGHT = "right"
    HAND_BRAKE = "hand_brake"
    REVERSE = "reverse"
    AUTOPILOT = "autopilot"
    HAND_BACK = "hand_back"
    TAKE_BACK = "take_back"
    RECORD = "record"
    DISCARD = "discard"
    WEATHER = "weather"
    VIEW = "view"
    HELP = "help"
    CALIBRATE = "calibrate"
    RESTART = "restart"
    CONFIRM = "confirm"
    QUIT = "quit"


MEANING: Mapping[Action, str] = {
    Action.THROTTLE: "throttle",
    Action.BRAKE: "brake",
    Action.LEFT: "steer left",
    Action.RIGHT: "steer right",
    Action.HAND_BRAKE: "hand brake",
    Action.REVERSE: "reverse gear in or out",
    Action.AUTOPILOT: "autopilot (the expert) on or off",
    Action.HAND_BACK: "teaching: hand the wheel back to the policy",
    Action.TAKE_BACK: "take back the last seconds and drive them again",
    Action.RECORD: "keep this drive, or not",
    Action.DISCARD: "throw the drive that has just ended away",
    Action.WEATHER: "next weather",
    Action.VIEW: "next view: cockpit, chase, bird, split",
    Action.HELP: "this page",
    Action.CALIBRATE: "calibrate the wheel or gamepad",
    Action.RESTART: "restart the route",
    Action.CONFIRM: "go on",
    Action.QUIT: "leave",
}
"""for the help page"""

_KEYS: Mapping[Action, tuple[str, ...]] = {
    Action.THROTTLE: ("w", "up"),
    Action.BRAKE: ("s", "down"),
    Action.LEFT: ("a", "left"),
    Action.RIGHT: ("d", "right"),
    Action.HAND_BRAKE: ("space",),
    Action.REVERSE: ("q",),
    Action.AUTOPILOT: ("p",),
    Action.HAND_BACK: ("f",),
    Action.TAKE_BACK: ("z",),
    Action.RECORD: ("r",),
    Action.DISCARD: ("delete", "x"),
    Action.WEATHER: ("c",),
    Action.VIEW: ("tab",),
    Action.HELP: ("h",),
    Action.CALIBRATE: ("k",),
    Action.RESTART: ("backspace",),
    Action.CONFIRM: ("return",),
    Action.QUIT: ("escape",),
}
_PAD: Mapping[Action, tuple[str, ...]] = {
    Action.HAND_BRAKE: ("x",),
    Action.REVERSE: ("b",),
    Action.AUTOPILOT: ("y",),
    Action.HAND_BACK: ("leftshoulder",),
    Action.TAKE_BACK: ("dpad_left",),
    Action.RECORD: ("dpad_up",),
    Action.DISCARD: ("dpad_down",),
    Action.WEATHER: ("dpad_right",),
    Action.VIEW: ("rightshoulder",),
    Action.CONFIRM: ("a",),
    Action.RESTART: ("back",),
    Action.QUIT: ("start",),
}
_WHEEL: Mapping[Action, tuple[str, ...]] = {
    Action.REVERSE: ("1",),
    Action.HAND_BACK: ("2",),
    Action.CONFIRM: ("0",),
    Action.VIEW: ("3",),
    Action.HAND_BRAKE: ("4",),
    Action.TAKE_BACK: ("5",),
}
PAD_BUTTONS = (
    "a",
    "b",
    "x",
    "y",
    "back",
    "guide",
    "start",
    "leftstick",
    "rightstick",
    "leftshoulder",
    "rightshoulder",
    "dpad_up",
    "dpad_down",
    "dpad_left",
    "dpad_right",
)
"""SDL's names of a gamepad's buttons, in the order of their numbers"""
HELD = (Action.THROTTLE, Action.BRAKE, Action.LEFT, Action.RIGHT, Action.HAND_BRAKE)
"""actions that last as long as their key is down"""
_HEAD = """\
# Which key or button does what. Keys have pygame's names ("w", "left shift", "keypad 4"),
# gamepad buttons SDL's (a, b, x, y, leftshoulder, dpad_up, ...), wheel buttons their numbers.
# A line that is missing keeps its default, [] takes an action away.
"""


@dataclass(frozen=True)
class Bindings:
    """Keys of the keyboard, buttons of gamepads and of wheels, by action.

    Raises:
        ValueError: a key or button does two things.
    """

    keys: Mapping[Action, tuple[str, ...]] = field(default_factory=lambda: dict(_KEYS))
    gamepad: Mapping[Action, tuple[str, ...]] = field(default_factory=lambda: dict(_PAD))
    wheel: Mapping[Action, tuple[str, ...]] = field(default_factory=lambda: dict(_WHEEL))

    def __post_init__(self) -> None:
        for table, bound in self.tables().items():
            taken: dict[str, Action] = {}
            for action, names in bound.items():
                for name in names:
                    if name in taken:
                        raise ValueError(
                            f"[{table}] gives {name!r} to both {taken[name]} and {action}; "
                            "each key or button can do one thing"
                        )
                    taken[name] = action
        odd = {n for names in self.gamepad.values() for n in names} - set(PAD_BUTTONS)
        if odd:
            raise ValueError(
                f"[gamepad] names {', '.join(sorted(odd))}; buttons are {', '.join(PAD_BUTTONS)}"
            )
        bad = [n for names in self.wheel.values() for n in names if not n.isdigit()]
        if bad:
            raise ValueError(f"[wheel] buttons are numbers as text, such as '4', got {bad[0]!r}")

    def tables(self) -> dict[str, Mapping[Action, tuple[str, ...]]]:
        """Returns the three tables under their names in the file."""
        return {"keys": self.keys, "gamepad": self.gamepad, "wheel": self.wheel}

    def text(self) -> str:
        """Returns them as the file has them."""
        lines = [_HEAD]
        for table, bound in self.tables().items():
            lines.append(f"[{table}]")
            for action, names in bound.items():
                listed = ", ".join(f'"{name}"' for name in names)
                lines.append(f"{action} = [{listed}]  # {MEANING[action]}")
            lines.append("")
        return "\n".join(lines)


def parse(text: str, source: str = "controls.toml") -> Bindings:
    """Reads bindings.

    Args:
        text: TOML.
        source: what messages call it.

    Raises:
        ValueError: it is no TOML, or names a table, action or button there is not.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source} is not TOML: {error}") from None
    default = Bindings().tables()
    _refuse(source, "table", found, default)
    merged = {}
    for table, bound in default.items():
        given = found.get(table, {})
        if not isinstance(given, dict):
            raise ValueError(f"{source}: {table} must be a table, [{table}], got {given!r}")
        _refuse(f"{source} [{table}]", "action", given, [action.value for action in Action])
        chosen = dict(bound)
        for name, names in given.items():
            one = [names] if isinstance(names, str) else names
            if not isinstance(one, list) or not all(isinstance(key, str) for key in one):
                raise ValueError(
                    f'{source} [{table}]: {name} must be a list of names, such as ["w", "up"], '
                    f"got {names!r}"
                )
            chosen[Action(name)] = tuple(one)
        merged[table] = chosen
    try:
        return Bindings(merged["keys"], merged["gamepad"], merged["wheel"])
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _refuse(source: str, what: str, given: Mapping[str, object], known: object) -> None:
    names = list(known)  # type: ignore[call-overload]
    for name in given:
        if name not in names:
            raise ValueError(f"{source}: there is no {what} {name!r}; known: {', '.join(names)}")


def controls_file() -> Path:
    """Where the bindings are kept."""
    return data_folder() / "controls.toml"


def load() -> Bindings:
    """Reads the user's bindings; writes the file with the defaults when there is none.

    Raises:
        ValueError: the file cannot be understood.
    """
    path = controls_file()
    if not path.exists():
        write_whole(path, Bindings().text().encode())
    return parse(path.read_text(encoding="utf-8"), str(path))
