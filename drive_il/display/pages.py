"""Pages of text over a darkened picture: help, how a drive went, questions, calibration."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pygame

from drive_il.display.screen import AMBER, BLUE, DARK, GREEN, GREY, RED, WHITE, Screen

_LINE = 30  # pixels
_WRAP = 84  # letters


def page(
    screen: Screen,
    title: str,
    lines: Sequence[str],
    foot: str = "",
    wide: int = 900,
) -> pygame.Rect:
    """Draws a page of text in the middle of the window; long lines are wrapped.

    Args:
        screen: where.
        title: at its head.
        lines: of text; an empty one is a gap.
        foot: what can be pressed.
        wide: its width [pixels].
    """
    wrapped = [part for line in lines for part in (textwrap.wrap(line, _WRAP) or [""])]
    width, height = screen.size
    place = pygame.Rect(0, 0, min(wide, width - 40), 118 + _LINE * len(wrapped))
    place.center = (width // 2, height // 2)
    screen.shade(place, 215, 12)
    screen.text(title, (place.left + 36, place.top + 26), 40)
    for number, line in enumerate(wrapped):
        screen.text(line, (place.left + 36, place.top + 78 + _LINE * number), 25, (214, 218, 224))
    if foot:
        screen.text(foot, (place.left + 36, place.bottom - 28), 22, AMBER, "midleft")
    return place


def help_page(screen: Screen, rows: Sequence[tuple[str, str]], file: str) -> None:
    """Draws which key does what.

    Args:
        screen: where.
        rows: keys and what they do.
        file: where they can be changed.
    """
    width, height = screen.size
    place = pygame.Rect(0, 0, min(940, width - 40), 128 + 27 * len(rows))
    place.center = (width // 2, height // 2)
    screen.shade(place, 215, 12)
    screen.text("Keys", (place.left + 36, place.top + 22), 40)
    for number, (keys, meaning) in enumerate(rows):
        y = place.top + 66 + 27 * number
        screen.text(keys, (place.left + 36, y), 24, AMBER)
        screen.text(meaning, (place.left + 280, y), 24, (214, 218, 224))
    screen.text(f"change them in {file}", (place.left + 36, place.bottom - 42), 20, GREY)
    screen.text(
        "H goes back to the drive", (place.right - 36, place.bottom - 42), 20, AMBER, "topright"
    )


def question_page(screen: Screen, name: str, said: Sequence[str], live: Sequence[float]) -> None:
    """Draws one step of the calibration of a device.

    Args:
        screen: where.
        name: of the device.
        said: what is to be done.
        live: what its axes say now, in [-1, 1].
    """
    place = page(screen, f"Calibration: {name}", [*said, *[""] * (len(live) + 1)])
    top = place.bottom - 48 - 30 * len(live)
    for number, value in enumerate(live):
        y = top + 30 * number
        screen.text(f"axis {number}", (place.left + 36, y), 20, GREY)
        frame = pygame.Rect(place.left + 110, y, 420, 16)
        pygame.draw.rect(screen.surface, DARK, frame, border_radius=4)
        middle = frame.centerx
        end = middle + round(value * frame.width / 2)
        bar = pygame.Rect(min(middle, end), y, max(abs(end - middle), 2), 16)
        pygame.draw.rect(screen.surface, BLUE, bar, border_radius=4)
        screen.text(f"{value:+.2f}", (frame.right + 14, y), 20, WHITE)


def scrub_bar(screen: Screen, back: float, most: float) -> None:
    """Draws how far a drive has been taken back.

    Args:
        screen: where.
        back: how far [s].
        most: how far it can be [s].
    """
    width, height = screen.size
    panel = pygame.Rect(0, 0, 760, 106)
    panel.midbottom = (width // 2, height - 140)
    screen.shade(panel, 200)
    screen.text(f"taken back {back:.1f} s", (panel.left + 24, panel.top + 12), 32, AMBER)
    line = pygame.Rect(panel.left + 24, panel.top + 52, panel.width - 48, 10)
    pygame.draw.rect(screen.surface, DARK, line, border_radius=5)
    x = line.right - round(line.width * back / max(most, 0.1))
    kept = pygame.Rect(line.left, line.top, x - line.left, line.height)
    pygame.draw.rect(screen.surface, GREEN, kept, border_radius=5)
    pygame.draw.circle(screen.surface, WHITE, (x, line.centery), 10)
    said = "left and right move, RETURN drives on from here, ESCAPE leaves it as it was"
    screen.text(said, (panel.left + 24, panel.bottom - 28), 21, WHITE)


def progress_bar(screen: Screen, share: float, said: str) -> None:
    """Draws how far something has come, in the middle of the window."""
    width, height = screen.size
    panel = pygame.Rect(0, 0, 620, 90)
    panel.center = (width // 2, height // 2)
    screen.shade(panel, 225)
    screen.text(said, (panel.left + 24, panel.top + 16), 26)
    line = pygame.Rect(panel.left + 24, panel.top + 54, panel.width - 48, 12)
    pygame.draw.rect(screen.surface, DARK, line, border_radius=6)
    done = line.copy()
    done.width = round(line.width * min(max(share, 0.0), 1.0))
    pygame.draw.rect(screen.surface, BLUE, done, border_radius=6)


def warning(screen: Screen, said: str) -> None:
    """Draws a line of warning across the window."""
    width, height = screen.size
    panel = pygame.Rect(0, height // 3, width, 60)
    screen.shade(panel, 200, 0)
    screen.text(said, panel.center, 30, RED, "center")
