"""Instruments over the picture: what a driver has to know at a glance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pygame

from drive_il.datatypes import Command
from drive_il.display.screen import AMBER, BLUE, DARK, GREEN, GREY, RED, WHITE, Color, Screen
from drive_il.display.wayfinding import Order

_DASHBOARD = 0.8  # of the window is above it
_SLOPE = 26  # pixels, which it falls from the middle to the sides
_PEDAL = (14, 74)  # pixels
_WHEEL_TURN = math.radians(450.0)  # of the drawn wheel at full steer
_ORDERS = {
    Command.LEFT: "turn left",
    Command.RIGHT: "turn right",
    Command.STRAIGHT: "go straight on",
    Command.CHANGELANELEFT: "change to the left lane",
    Command.CHANGELANERIGHT: "change to the right lane",
    Command.LANEFOLLOW: "finish",
    Command.VOID: "finish",
}
_TURNS = {Command.LEFT: 90.0, Command.RIGHT: -90.0}  # [deg] of the arrow, left positive
_LEANS = {Command.CHANGELANELEFT: 35.0, Command.CHANGELANERIGHT: -35.0}


@dataclass(frozen=True)
class Message:
    """A line that is shown for a while."""

    text: str
    is_bad: bool = False


@dataclass(frozen=True)
class Instruments:
    """What the instruments show.

    Attributes:
        speed_kmh: of the car.
        limit_kmh: of the road.
        gear: one letter.
        throttle: in [0, 1].
        brake: in [0, 1].
        steer: in [-1, 1], left positive.
        order: the next thing to do.
        seconds: since the start [s].
        way: how much of the route is done, in [0, 1].
        who: who drives, for people.
        by_hand: a person drives.
        recording: this drive is kept.
        messages: newest last.
        doubt: of the policy as a share of where it is trusted no more, in [0, inf); None without.
        hint: one line about keys.
    """

    speed_kmh: float
    limit_kmh: float
    gear: str
    throttle: float
    brake: float
    steer: float
    order: Order
    seconds: float
    way: float
    who: str
    by_hand: bool
    recording: bool
    messages: Sequence[Message] = ()
    doubt: float | None = None
    hint: str = ""


def draw_hud(screen: Screen, seen: Instruments) -> None:
    """Draws all instruments."""
    _speed(screen, seen)
    _controls(screen, seen)
    _order(screen, seen.order)
    _status(screen, seen)
    _messages(screen, seen.messages)
    if seen.doubt is not None:
        draw_doubt(screen, seen.doubt)
    if seen.hint:
        screen.text(seen.hint, (screen.size[0] / 2, 92), 26, WHITE, "midtop", outlined=True)


def dashboard_rows(height: int) -> int:
    """Returns how many rows of a window, from the bottom, the dashboard hides all across."""
    return height - round(_DASHBOARD * height) - _SLOPE - 1


def draw_dashboard(screen: Screen, steer: float) -> None:
    """Draws the inside of the car: pillars, dashboard and the steering wheel."""
    width, height = screen.size
    top = round(_DASHBOARD * height)
    surface = screen.surface
    dash = [(0, height), (0, top + _SLOPE), (0.16 * width, top + 4), (0.5 * width, top)]
    dash += [(0.84 * width, top + 4), (width, top + _SLOPE), (width, height)]
    pygame.draw.polygon(surface, (30, 32, 36), dash)
    pygame.draw.lines(surface, (58, 61, 67), False, dash[1:-1], 3)
    hood = pygame.Rect(0, 0, round(0.26 * width), round(0.17 * height))
    hood.midtop = (width // 2, top - 14)
    pygame.draw.ellipse(surface, (21, 23, 26), hood)
    left = [(0, 0), (0.045 * width, 0), (0.0, 0.55 * height)]
    right = [(width, 0), (0.965 * width, 0), (width, 0.45 * height)]
    for pillar in (left, right):
        pygame.draw.polygon(surface, (26, 28, 31), pillar)
    _wheel(screen, (0.5 * width, 1.02 * height), 0.235 * height, steer, 16)


def draw_doubt(screen: Screen, doubt: float) -> None:
    """Draws the policy's doubt as a bar with the threshold at two thirds of it."""
    width, height = screen.size
    place = pygame.Rect(width - 46, height // 2 - 110, 22, 220)
    screen.shade(place.inflate(30, 64), 140)
    share = min(doubt / 1.5, 1.0)
    color = RED if doubt >= 1.0 else AMBER if doubt >= 0.6 else GREEN
    filled = place.copy()
    filled.height = round(share * place.height)
    filled.bottom = place.bottom
    pygame.draw.rect(screen.surface, DARK, place, border_radius=4)
    pygame.draw.rect(screen.surface, color, filled, border_radius=4)
    y = place.bottom - round(place.height / 1.5)
    pygame.draw.line(screen.surface, WHITE, (place.left - 6, y), (place.right + 5, y), 2)
    screen.text("doubt", (place.centerx, place.top - 8), 18, WHITE, "midbottom")


def _speed(screen: Screen, seen: Instruments) -> None:
    height = screen.size[1]
    panel = pygame.Rect(16, height - 122, 300, 106)
    screen.shade(panel)
    fast = seen.speed_kmh > seen.limit_kmh + 3.0
    at = (panel.left + 108, panel.bottom - 12)
    screen.text(f"{seen.speed_kmh:.0f}", at, 96, RED if fast else WHITE, "bottomright")
    screen.text("km/h", (panel.left + 116, panel.bottom - 22), 22, GREY, "bottomleft")
    screen.text(
        seen.gear, (panel.left + 118, panel.top + 12), 40, AMBER if seen.gear == "R" else GREEN
    )
    sign = (panel.left + 186, panel.centery)
    pygame.draw.circle(screen.surface, WHITE, sign, 27)
    pygame.draw.circle(screen.surface, RED, sign, 27, 6)
    screen.text(f"{seen.limit_kmh:.0f}", sign, 30, (20, 20, 24), "center")


def _controls(screen: Screen, seen: Instruments) -> None:
    height = screen.size[1]
    left, bottom = 16 + 232, height - 32
    pedals = ((seen.throttle, GREEN), (seen.brake, RED))
    for number, (share, color) in enumerate(pedals):
        frame = pygame.Rect(left + number * 22, bottom - _PEDAL[1], *_PEDAL)
        pygame.draw.rect(screen.surface, DARK, frame, border_radius=3)
        filled = frame.copy()
        filled.height = round(share * frame.height)
        filled.bottom = frame.bottom
        pygame.draw.rect(screen.surface, color, filled, border_radius=3)
        pygame.draw.rect(screen.surface, GREY, frame, 1, border_radius=3)
    panel = pygame.Rect(328, height - 122, 106, 106)
    screen.shade(panel)
    _wheel(screen, panel.center, 40, seen.steer, 7)


def _wheel(
    screen: Screen, middle: tuple[float, float], radius: float, steer: float, thick: int
) -> None:
    surface, turn = screen.surface, -steer * _WHEEL_TURN / 2
    x, y = middle
    for angle in (90.0, 210.0, 330.0):
        at = math.radians(angle) + turn
        end = (x + radius * math.cos(at), y + radius * math.sin(at))
        pygame.draw.line(surface, (70, 74, 80), middle, end, thick)
    pygame.draw.circle(surface, (52, 55, 60), middle, radius, thick)
    pygame.draw.circle(surface, (90, 95, 102), middle, radius, 1)
    top = math.radians(-90.0) + turn
    mark = (x + (radius - thick / 2) * math.cos(top), y + (radius - thick / 2) * math.sin(top))
    pygame.draw.circle(surface, AMBER, mark, max(thick // 2, 3))
    pygame.draw.circle(surface, (40, 43, 48), middle, radius * 0.28)


def _order(screen: Screen, order: Order) -> None:
    width = screen.size[0]
    panel = pygame.Rect(0, 16, 330, 64)
    panel.centerx = width // 2
    screen.shade(panel)
    near = order.distance < 40.0
    color = AMBER if near else WHITE
    _arrow(screen, (panel.left + 36, panel.centery), order.command, color)
    screen.text(_ORDERS[order.command], (panel.left + 72, panel.top + 9), 28, color)
    screen.text(distance_text(order.distance), (panel.left + 72, panel.top + 38), 24, GREY)


def distance_text(metres: float) -> str:
    """Returns a distance as people say it."""
    if metres < 5.0:
        return "now"
    if metres < 100.0:
        return f"in {10 * max(round(metres / 10), 1)} m"
    return f"in {50 * round(metres / 50)} m" if metres < 1000.0 else f"in {metres / 1000.0:.1f} km"


def _arrow(screen: Screen, middle: tuple[float, float], command: Command, color: Color) -> None:
    x, y = middle
    surface = screen.surface
    if command in (Command.LANEFOLLOW, Command.VOID):  # a flag
        for i in range(4):
            for j in range(3):
                if (i + j) % 2 == 0:
                    pygame.draw.rect(surface, color, (x - 14 + 8 * i, y - 16 + 8 * j, 8, 8))
        pygame.draw.line(surface, color, (x - 15, y - 18), (x - 15, y + 22), 3)
        return
    turn = math.radians(_TURNS.get(command, _LEANS.get(command, 0.0)))
    if command in _TURNS:
        x += 14 * math.sin(turn)  # so that its middle, and not its foot, is in the middle
    knee = (x, y - 2) if command in _TURNS else (x, y + 8)
    tip = (knee[0] - 20 * math.sin(turn), knee[1] - 20 * math.cos(turn))
    pygame.draw.line(surface, color, (x, y + 20), knee, 7)
    pygame.draw.line(surface, color, knee, tip, 7)
    ahead = (-math.sin(turn), -math.cos(turn))
    side = (-ahead[1], ahead[0])
    head = [(tip[0] + 12 * ahead[0], tip[1] + 12 * ahead[1])]
    head += [(tip[0] + 11 * k * side[0], tip[1] + 11 * k * side[1]) for k in (1, -1)]
    pygame.draw.polygon(surface, color, head)


def _status(screen: Screen, seen: Instruments) -> None:
    panel = pygame.Rect(16, 16, 230, 64)
    screen.shade(panel)
    clock = f"{int(seen.seconds) // 60}:{int(seen.seconds) % 60:02d}"
    screen.text(clock, (panel.left + 14, panel.top + 10), 28)
    screen.text(f"{100 * seen.way:.0f} %", (panel.left + 84, panel.top + 12), 24, GREY)
    if seen.recording:
        pygame.draw.circle(screen.surface, RED, (panel.left + 160, panel.top + 20), 8)
        screen.text("REC", (panel.left + 174, panel.top + 12), 24, RED)
    color = GREEN if seen.by_hand else BLUE
    screen.text(seen.who, (panel.left + 14, panel.top + 38), 24, color)


def _messages(screen: Screen, messages: Sequence[Message]) -> None:
    width = screen.size[0]
    for number, message in enumerate(reversed(messages[-4:])):
        at = (width / 2, 124 + 32 * number)
        color = RED if message.is_bad else WHITE
        screen.text(message.text, at, 30, color, "midtop", outlined=True)
