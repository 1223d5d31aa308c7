"""The window, on SDL's dummy screen."""

import numpy as np
import pygame
import pytest

from drive_il.display.window import Window


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Window:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    return Window("test", 1000.0)


def gradient() -> np.ndarray:
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[..., 0] = np.arange(90)
    picture[..., 1] = np.arange(60)[:, None]
    return picture


def test_a_picture_is_shown_as_it_is(window: Window) -> None:
    assert window.pixels().shape == (0, 0, 3)
    window.show(gradient())
    np.testing.assert_array_equal(window.pixels(), gradient())
    window.show(gradient()[:20, :30])  # the window takes its size
    np.testing.assert_array_equal(window.pixels(), gradient()[:20, :30])
    window.close()


def test_text_covers_the_upper_left_corner_only(window: Window) -> None:
    window.show(np.full((200, 400, 3), 90, np.uint8), ["10 km/h", "left"])
    shown = window.pixels()
    changed = np.argwhere((shown != 90).any(axis=2))
    assert (shown == 255).all(axis=2).any()
    assert changed.min() == 0
    assert changed[:, 0].max() < 70
    assert changed[:, 1].max() < 120
    window.close()


def test_closing_it_ends_it_quietly(window: Window) -> None:
    window.show(gradient())
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    window.show(gradient())
    assert not window.is_open
    window.show(gradient())
    window.close()
