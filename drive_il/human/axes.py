"""Wheels and sticks: raw axes become hands, by a calibration that is kept for each device."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from drive_il.folders import data_folder, write_whole
from drive_il.human.hands import Hands

FORMAT = 1


@dataclass(frozen=True)
class Axis:
    """How one axis is read.

    A steering axis rests between its ends, a pedal at one of them.

    Attributes:
        index: which of the device's axes.
        rest: raw value when nobody touches it, in [-1, 1].
        full: raw value at full left, or of a pedal all the way down.
        other: raw value at full right; of a pedal it is `rest`.
        dead_zone: share of the way from rest to an end that does nothing, in [0, 0.9].
        gamma: 1 is even, above 1 is finer around the middle.
    """

    index: int
    rest: float
    full: float
    other: float
    dead_zone: float = 0.05
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ValueError(f"an axis is numbered from 0, got {self.index}")
        if abs(self.full - self.rest) < 0.1:
            raise ValueError(
                f"axis {self.index} must move at least 0.1 between rest and full, got "
                f"{self.rest:.2f} and {self.full:.2f}; move it all the way while calibrating"
            )
        if not 0.0 <= self.dead_zone <= 0.9:
            raise ValueError(f"dead_zone must be in [0, 0.9], got {self.dead_zone}")
        if not self.gamma > 0.0:
            raise ValueError(f"gamma must be positive, got {self.gamma}")

    def value(self, raw: float) -> float:
        """Returns where the axis is: 1 at full, 0 at rest, -1 at the other end."""
        way = (raw - self.rest) / (self.full - self.rest)
        if way < 0.0:
            if abs(self.other - self.rest) < 0.1:
                return 0.0
            way = -(raw - self.rest) / (self.other - self.rest)
        free = max(abs(way) - self.dead_zone, 0.0) / (1.0 - self.dead_zone)
        size = float(min(free, 1.0) ** self.gamma)
        return size if way > 0.0 else -size


@dataclass(frozen=True)
class Calibration:
    """How a device is read.

    Attributes:
        device: its name, for people.
        steer: full is left.
        throttle: None where there is no such pedal.
        brake: None where there is none; throttle and brake may be the two ends of one axis.
    """

    device: str
    steer: Axis
    throttle: Axis | None = None
    brake: Axis | None = None

    def hands(self, raw: Sequence[float]) -> Hands:
        """Returns what the hands do.

        Args:
            raw: of every axis of the device, in [-1, 1].

        Raises:
            ValueError: the device has fewer axes than were calibrated.
        """
        return Hands(
            throttle=max(self._read(self.throttle, raw), 0.0),
            brake=max(self._read(self.brake, raw), 0.0),
            steer=self._read(self.steer, raw),
        )

    def _read(self, axis: Axis | None, raw: Sequence[float]) -> float:
        if axis is None:
            return 0.0
        if axis.index >= len(raw):
            raise ValueError(
                f"{self.device} was calibrated with axis {axis.index} and now has "
                f"{len(raw)} axes; calibrate it again"
            )
        return axis.value(raw[axis.index])


GAMEPAD = Calibration(
    "gamepad",
    steer=Axis(0, 0.0, -1.0, 1.0, dead_zone=0.12, gamma=1.6),
    throttle=Axis(5, 0.0, 1.0, 0.0),
    brake=Axis(4, 0.0, 1.0, 0.0),
)
"""of any gamepad that SDL knows: left stick, right and left trigger"""


def guessed(name: str, n_axes: int) -> Calibration:
    """Returns the usual layout of a wheel that nobody has calibrated.

    Wheel on axis 0, negative on the left; throttle on axis 2 and brake on axis 3, or 1 and 2
    where there are three axes, both 1 when up and -1 when down.
    """
    first = 2 if n_axes >= 4 else 1

    def pedal(index: int) -> Axis | None:
        return Axis(index, 1.0, -1.0, 1.0) if index < n_axes else None

    steer = Axis(0, 0.0, -1.0, 1.0, dead_zone=0.01)
    return Calibration(name, steer, pedal(first), pedal(first + 1))


def moved_most(rest: Sequence[float], now: Sequence[float]) -> int:
    """Returns which axis is furthest from where it rested; -1 when none has moved by 0.4."""
    moves = [abs(b - a) for a, b in zip(rest, now, strict=True)]
    if not moves or max(moves) < 0.4:
        return -1
    return moves.index(max(moves))


def calibration_file(guid: str) -> Path:
    """Where the calibration of a device is kept."""
    return data_folder() / "devices" / f"{re.sub(r'[^A-Za-z0-9_-]+', '_', guid)}.json"


def save(calibration: Calibration, guid: str) -> None:
    """Keeps a calibration."""
    text = json.dumps({"format": FORMAT, **asdict(calibration)}, indent=2)
    write_whole(calibration_file(guid), text.encode())


def load(guid: str) -> Calibration | None:
    """Returns the calibration of a device; None when it has none.

    Raises:
        ValueError: the file cannot be understood.
    """
    path = calibration_file(guid)
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise ValueError("it is of another version")
        axes = {name: _axis(found[name]) for name in ("steer", "throttle", "brake")}
        return Calibration(found["device"], **axes)  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no calibration ({error}); delete it, calibrate anew") from None


def _axis(found: Mapping[str, float] | None) -> Axis | None:
    return None if found is None else Axis(**found)  # type: ignore[arg-type]
