"""Runs somebody else's program as it is: its port is ours, its window ends after some pictures.

    python foreign_window.py PORT PICTURES FOLDER PROGRAM [ARGUMENTS]

Runs in that program's environment, so it uses nothing of this project. Of the pictures that the
program shows, the last is kept as FOLDER/last.png; then its window is closed and Escape held
down, as a person would.
"""

import os
import runpy
import signal
import sys
from collections import defaultdict
from typing import Any


def lead_to(port: int) -> None:
    """Takes carla.Client's port, which many programs write down, to the server's."""
    import carla

    real = carla.Client

    def client(_host: str = "127.0.0.1", _port: int = 2000, *rest: Any) -> Any:
        return real("127.0.0.1", port, *rest)

    carla.Client = client


def close_after(pictures: int, folder: str) -> None:
    """Has pygame's window keep its last picture and close after so many."""
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    os.environ["SDL_AUDIODRIVER"] = "dummy"
    import pygame

    shown = 0
    real = pygame.display.flip

    def flip() -> None:
        nonlocal shown
        real()
        shown += 1
        if shown == pictures:
            window = pygame.display.get_surface()
            assert window is not None
            pygame.image.save(window, os.path.join(folder, "last.png"))
        if shown >= pictures:
            pygame.event.post(pygame.event.Event(pygame.QUIT))
            pygame.key.get_pressed = held

    def held() -> Any:
        return defaultdict(bool, {pygame.K_ESCAPE: True})

    pygame.display.flip = flip


if __name__ == "__main__":
    port, pictures, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    sys.argv = sys.argv[4:]
    sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # heard in the background, too
    lead_to(port)
    if pictures:
        close_after(pictures, folder)
    runpy.run_path(sys.argv[0], run_name="__main__")
