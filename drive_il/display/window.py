"""A window with a picture and a few lines of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pygame

from drive_il.datatypes import Array

_MARGIN = 8  # pixels
_SHADE = (0, 0, 0, 130)


class Window:
    """Shows pictures, no faster than a given rate.

    Args:
        title: of the window.
        fps: pictures per second at most; `show` waits.
    """

    def __init__(self, title: str, fps: float) -> None:
        pygame.display.init()
        pygame.font.init()
        self._title = title
        self._fps = fps
        self._clock = pygame.time.Clock()
        self._font = pygame.font.Font(None, 22)
        self._surface: pygame.Surface | None = None
        self.is_open = True

    def show(self, picture: Array, lines: Sequence[str] = ()) -> None:
        """Shows a picture with text in its upper left corner.

        Someone closing the window sets `is_open` to False; what is shown after that is not seen.

        Args:
            picture: (H, W, 3) uint8 RGB; the window takes its size.
            lines: of text.
        """
        if not self.is_open:
            return
        height, width = picture.shape[:2]
        if self._surface is None or self._surface.get_size() != (width, height):
            self._surface = pygame.display.set_mode((width, height))
            pygame.display.set_caption(self._title)
        self._surface.blit(pygame.surfarray.make_surface(picture.swapaxes(0, 1)), (0, 0))
        self._write(self._surface, lines)
        pygame.display.flip()
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self.close()
                return
        self._clock.tick(self._fps)

    def _write(self, surface: pygame.Surface, lines: Sequence[str]) -> None:
        if not lines:
            return
        texts = [self._font.render(line, True, (255, 255, 255)) for line in lines]
        width = max(text.get_width() for text in texts) + 2 * _MARGIN
        height = sum(text.get_height() for text in texts) + 2 * _MARGIN
        shade = pygame.Surface((width, height), pygame.SRCALPHA)
        shade.fill(_SHADE)
        surface.blit(shade, (0, 0))
        top = _MARGIN
        for text in texts:
            surface.blit(text, (_MARGIN, top))
            top += text.get_height()

    def pixels(self) -> Array:
        """Returns what the window shows, (H, W, 3) uint8; (0, 0, 3) before the first picture."""
        if self._surface is None:
            return np.zeros((0, 0, 3), np.uint8)
        return np.ascontiguousarray(pygame.surfarray.array3d(self._surface).swapaxes(0, 1))

    def close(self) -> None:
        """Closes the window; a second time does nothing."""
        if self.is_open:
            self.is_open = False
            self._surface = None
            pygame.display.quit()
