"""A window on a screen of its own, with real keys: Xvfb and xdotool."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageGrab

PATIENCE = 300.0
"""what anything may take on a busy machine, compilation included [s]; tests wait for events"""
HAS_SCREEN = shutil.which("Xvfb") is not None and shutil.which("xdotool") is not None
needs_screen = pytest.mark.skipif(
    not HAS_SCREEN, reason="needs Xvfb and xdotool (apt-get install xvfb xdotool)"
)


class Screen:
    """A virtual screen of 1280x720."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        reader, writer = os.pipe()
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x720x24", "-noreset"],
            pass_fds=[writer],
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        with os.fdopen(reader) as told:
            self.display = f":{told.readline().strip()}"
        data = {"DRIVE_IL_DATA": str(folder / "data"), "DISPLAY": self.display}
        self.env = {**os.environ, **data, "SDL_VIDEODRIVER": "x11"}
        self.program: subprocess.Popen[str] | None = None

    def start(self, *words: str) -> None:
        """Runs drive-il."""
        self.program = subprocess.Popen(
            [sys.executable, "-m", "drive_il", *words],
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def xdotool(self, *words: str) -> str:
        """Runs xdotool; returns what it prints."""
        done = subprocess.run(
            ["xdotool", *words], env=self.env, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()

    def title(self) -> str:
        """Returns the title of the window below the pointer, nothing while there is none.

        Without a window manager nothing is found by name, and nobody gives windows the focus:
        keys go where the pointer is.
        """
        place = self.xdotool("getmouselocation", "--shell")
        found = dict(line.split("=") for line in place.splitlines())
        return self.xdotool("getwindowname", found["WINDOW"]) if "WINDOW" in found else ""

    def seconds(self) -> int:
        """Returns how long the drive has lasted, by the window's title; -1 before it begins."""
        words = self.title().split()
        return int(words[-2]) if words[:1] == ["drive_il:"] and words[-1] == "s" else -1

    def wait(self, what: str, is_so: Callable[[], bool]) -> None:
        """Waits until something is so; fails when it does not become so."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            if self.program is not None and self.program.poll() is not None:
                out = self.program.stdout.read() if self.program.stdout else ""
                pytest.fail(f"drive-il ended while waiting for {what}: {out}")
            if time.monotonic() > end:
                pytest.fail(f"waited {PATIENCE:.0f} s for {what}; the title is {self.title()!r}")
            time.sleep(0.2)

    def wait_seconds(self, more: int) -> None:
        """Waits until the drive has gone on for so long, in its own time [s]."""
        goal = self.seconds() + more
        self.wait(f"second {goal} of the drive", lambda: self.seconds() >= goal)

    def picture(self) -> np.ndarray:
        """Returns what is on the screen, (720, 1280, 3) uint8."""
        return np.asarray(ImageGrab.grab(xdisplay=self.display).convert("RGB"))

    def keep(self, name: str) -> None:
        """Writes what is on the screen, to be looked at."""
        Image.fromarray(self.picture()).save(self.folder / f"{name}.png")

    def wait_change(self, before: np.ndarray, what: str) -> None:
        """Waits until much of the screen is another than before."""
        self.wait(what, lambda: bool((self.picture() != before).mean() > 0.2))

    def ended(self) -> str:
        """Waits until the program is over; returns what it has printed."""
        assert self.program is not None
        out, _ = self.program.communicate(timeout=PATIENCE)
        assert self.program.returncode == 0, out
        return out

    def close(self) -> None:
        """Ends program and screen."""
        for process in (self.program, self._server):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait()
