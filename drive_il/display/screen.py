"""The window that a person drives in: pictures, shapes and text on one surface."""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np
import pygame

from drive_il.datatypes import Array

Color = tuple[int, int, int]
WHITE: Color = (240, 242, 245)
GREY: Color = (150, 156, 165)
DARK: Color = (22, 25, 30)
RED: Color = (226, 62, 54)
GREEN: Color = (80, 190, 110)
BLUE: Color = (80, 160, 240)
AMBER: Color = (242, 172, 50)


class Screen:
    """A window of a fixed size.

    Args:
        title: of the window.
        size: width and height [pixels].

    Raises:
        RuntimeError: there is no display to open a window on.
    """

    def __init__(self, title: str, size: tuple[int, int]) -> None:
        # Pictures are made by our own camera: OpenGL would only copy them, and its software driver
        # brings an LLVM along that crashes the one torch loads when it learns.
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
        try:
            pygame.display.init()
            self.surface = pygame.display.set_mode(size)
        except pygame.error as error:
            raise RuntimeError(
                f"no window can be opened ({error}; DISPLAY is "
                f"{os.environ.get('DISPLAY') or 'not set'}). Run it on a desktop, over ssh -X, or "
                "without a screen under Xvfb: xvfb-run -s '-screen 0 1280x720x24' drive-il ..."
            ) from None
        pygame.font.init()
        pygame.mouse.set_visible(False)
        self.title(title)
        self.clock = pygame.time.Clock()

    def title(self, words: str) -> None:
        """Changes the title of the window."""
        pygame.display.set_caption(words)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height [pixels]."""
        return self.surface.get_size()

    def picture(self, picture: Array, left: int = 0, top: int = 0) -> None:
        """Puts a picture down, (H, W, 4) uint8 blue, green, red and anything, contiguous."""
        height, width = picture.shape[:2]
        image = pygame.image.frombuffer(picture.data, (width, height), "BGRA")
        image.set_alpha(None)  # the fourth byte is not looked at, which makes it a plain copy
        self.surface.blit(image, (left, top))

    def text(
        self,
        words: str,
        at: tuple[float, float],
        size: int = 22,
        color: Color = WHITE,
        anchor: str = "topleft",
        outlined: bool = False,
    ) -> pygame.Rect:
        """Writes a line; `anchor` names the point of the line that `at` is, as pygame does."""
        image = _words(words, size, color)
        place = image.get_rect(**{anchor: (round(at[0]), round(at[1]))})
        if outlined:
            dark = _words(words, size, (0, 0, 0))
            for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1), (1, 1)):
                self.surface.blit(dark, place.move(dx, dy))
        self.surface.blit(image, place)
        return place

    def shade(self, place: pygame.Rect, alpha: int = 150, radius: int = 8) -> None:
        """Darkens a part, so that text on it can be read."""
        self.surface.blit(_shade(place.width, place.height, alpha, radius), place)

    def flip(self) -> None:
        """Shows what has been drawn."""
        pygame.display.flip()

    def pixels(self) -> Array:
        """Returns what has been drawn, (H, W, 3) uint8."""
        return np.ascontiguousarray(pygame.surfarray.array3d(self.surface).swapaxes(0, 1))

    def save(self, path: str) -> None:
        """Writes what has been drawn as a picture."""
        pygame.image.save(self.surface, path)

    def close(self) -> None:
        """Closes the window."""
        pygame.display.quit()


@lru_cache(maxsize=32)
def _font(size: int) -> pygame.font.Font:
    return pygame.font.Font(None, size)


@lru_cache(maxsize=512)
def _words(words: str, size: int, color: Color) -> pygame.Surface:
    return _font(size).render(words, True, color).convert_alpha()


@lru_cache(maxsize=64)
def _shade(width: int, height: int, alpha: int, radius: int) -> pygame.Surface:
    image = pygame.Surface((width, height), pygame.SRCALPHA)
    pygame.draw.rect(image, (0, 0, 0, alpha), image.get_rect(), border_radius=radius)
    return image.convert_alpha()
