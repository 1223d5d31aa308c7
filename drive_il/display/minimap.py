"""A small map with the route on it, north up, the car in its middle."""

from __future__ import annotations

import math

import numpy as np
import pygame

from drive_il.datatypes import Floats, Scene
from drive_il.display.screen import AMBER, BLUE, WHITE, Screen
from drive_il.display.wayfinding import way_ahead, whole_way
from drive_il.maps.network import LaneType, RoadNetwork

_SPAN = 260.0  # [m] that it shows
_STRIDE = 4  # route points, 1 m apart, per corner of the line drawn
_ROAD = (96, 102, 112)
_GROUND = (38, 42, 48)
_MOST = 4096  # pixels that the drawing of a town may be wide


class Minimap:
    """Draws the surroundings of one car.

    Args:
        network: the map.
        size: of the square it fills [pixels].
    """

    def __init__(self, network: RoadNetwork, size: int = 190) -> None:
        self.size = size
        lanes, points = network.lanes, network.points
        driving = lanes[lanes["type"] == LaneType.DRIVING]
        ways = [points[int(n["first"]) : int(n["first"]) + int(n["count"])] for n in driving]
        every = np.concatenate(ways)
        self._low = np.array([every["x"].min(), every["y"].min()]) - _SPAN
        high = np.array([every["x"].max(), every["y"].max()]) + _SPAN
        self._scale = min(size / _SPAN, _MOST / float((high - self._low).max()))
        self._height = float((high - self._low)[1]) * self._scale
        width = float((high - self._low)[0]) * self._scale
        self._town = pygame.Surface((math.ceil(width), math.ceil(self._height)))
        self._town.fill(_GROUND)
        thick = max(2, round(3.4 * self._scale))
        for way in ways:
            if len(way) > 1:
                xy = np.stack([way["x"], way["y"]], axis=1)
                pygame.draw.lines(self._town, _ROAD, False, self._pixels(xy).tolist(), thick)

    def draw(self, screen: Screen, scene: Scene, left: int, top: int) -> None:
        """Draws the map around the first row of a scene."""
        ego = scene.ego[0]
        middle = self._pixels(np.array([[float(ego["x"]), float(ego["y"])]]))[0]
        corner = np.round(middle - self.size / 2)
        place = pygame.Rect(left, top, self.size, self.size)
        part = pygame.Rect(int(corner[0]), int(corner[1]), self.size, self.size)
        surface = screen.surface
        surface.blit(self._town, place, part)
        surface.set_clip(place)
        shift = np.array([left, top]) - corner
        passed, ahead = whole_way(scene), way_ahead(scene)
        goal = self._pixels(passed[-1:])[0] + shift
        passed, ahead = passed[::_STRIDE], ahead[::_STRIDE]
        rest = np.stack([ahead["x"], ahead["y"]], axis=1)
        for way, color, thick in ((passed, (60, 92, 128), 3), (rest, BLUE, 4)):
            if len(way) > 1:
                pygame.draw.lines(
                    surface, color, False, (self._pixels(way) + shift).tolist(), thick
                )
        pygame.draw.circle(surface, AMBER, goal.tolist(), 5)
        self._arrow(surface, middle + shift, float(ego["heading"]))
        surface.set_clip(None)
        pygame.draw.rect(surface, (12, 14, 17), place, 2, border_radius=4)

    def _pixels(self, xy: Floats) -> Floats:
        """Returns where world points are in the drawing of the town, y down."""
        at = (xy - self._low) * self._scale
        return np.stack([at[:, 0], self._height - at[:, 1]], axis=1)

    def _arrow(self, surface: pygame.Surface, at: Floats, heading: float) -> None:
        cos, sin = math.cos(heading), -math.sin(heading)
        shape = np.array([(10.0, 0.0), (-7.0, 6.0), (-4.0, 0.0), (-7.0, -6.0)])
        turned = shape @ np.array([[cos, sin], [-sin, cos]])
        pygame.draw.polygon(surface, WHITE, (turned + at).tolist())
