"""What an environment shows to people: a picture, or a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drive_il.datatypes import Array, Command
from drive_il.env.drives import Drives
from drive_il.sensors.views import SideBySide

if TYPE_CHECKING:
    from drive_il.display.window import Window

_PANELS = ("driver", "above")


class Screen:
    """Draws rows of some drives; sensors and window are made when first asked for."""

    def __init__(self, drives: Drives, fps: float) -> None:
        self._drives = drives
        self._fps = fps
        self._view: SideBySide | None = None
        self._window: Window | None = None

    def picture(self, row: int) -> Array:
        """Returns the driver's view of a row and its ego from above, (320, 804, 3) uint8."""
        if self._view is None:
            self._view = SideBySide(self._drives.network, _PANELS)
        return self._view.draw(self._drives.world.scene, row)

    def show(self, row: int) -> None:
        """Shows a row in a window, no faster than in real time."""
        if self._window is None:
            from drive_il.display.window import Window

            self._window = Window("drive_il", self._fps)
        scene = self._drives.world.scene
        ego, progress = scene.ego[row], scene.progress[row]
        lines = (
            f"{3.6 * ego['speed']:5.1f} km/h   limit {3.6 * progress['speed_limit']:.0f}",
            f"{Command(int(progress['command'])).name.lower()}   "
            f"{progress['s']:.0f} of {progress['route_length']:.0f} m",
        )
        self._window.show(self.picture(row), lines)

    def close(self) -> None:
        """Closes the window."""
        if self._window is not None:
            self._window.close()
            self._window = None
