"""Pictures for people: what the driver sees, the ego from above, and the classes, side by side.

The view from above is a camera looking straight down, heading up; the ego, which no camera
of its own shows, and the way ahead are drawn over it.
"""

from __future__ import annotations

import math
import re

import numpy as np

from drive_il.actors import LightState, Struck
from drive_il.datatypes import Array, Command, Floats, Scene
from drive_il.geometry import to_ego
from drive_il.maps.network import RoadNetwork, SignalKind
from drive_il.sensor_specs import CameraSpec, ObservationSpec
from drive_il.sensors.observer import SceneObserver

PANELS = ("driver", "above", "semantic")
"""what can be shown, from left to right"""
TAG_COLORS = np.array(
    [
        (0, 0, 0),  # 0 unlabeled
        (128, 64, 128),  # 1 road
        (244, 35, 232),  # 2 sidewalk
        (70, 70, 70),  # 3 building
        (102, 102, 156),  # 4 wall
        (190, 153, 153),  # 5 fence
        (153, 153, 153),  # 6 pole
        (250, 170, 30),  # 7 traffic light
        (220, 220, 0),  # 8 traffic sign
        (107, 142, 35),  # 9 vegetation
        (152, 251, 152),  # 10 terrain
        (70, 130, 180),  # 11 sky
        (220, 20, 60),  # 12 pedestrian
        (255, 0, 0),  # 13 rider
        (0, 0, 142),  # 14 car
        (0, 0, 70),  # 15 truck
        (0, 60, 100),  # 16 bus
        (0, 80, 100),  # 17 train
        (0, 0, 230),  # 18 motorcycle
        (119, 11, 32),  # 19 bicycle
        (110, 190, 160),  # 20 static
        (170, 120, 50),  # 21 dynamic
        (55, 90, 80),  # 22 other
        (45, 60, 150),  # 23 water
        (157, 234, 50),  # 24 road line
        (81, 0, 81),  # 25 ground
        (150, 100, 100),  # 26 bridge
        (230, 150, 140),  # 27 rail track
        (180, 165, 180),  # 28 guard rail
    ],
    np.uint8,
)
"""colour of each class, by CARLA's tag; CARLA's CityScapes palette, (29, 3)"""

_HEIGHT_ABOVE = 60.0  # [m] of the camera that looks down
_SPAN = 60.0  # [m] that it shows from the bottom to the top of the picture
_AHEAD = 14.0  # [m] by which the ego is below the middle of the picture
_EGO_COLOR = (235, 90, 40)
_ROUTE_COLOR = (60, 170, 230)
_GAP = 4  # pixels between panels
_LIGHT_WITHIN = 80.0  # [m] a traffic light is told of


class SideBySide:
    """Draws one row of a scene for people.

    Args:
        network: the map of the scenes.
        panels: which of `PANELS`.
        height: of the picture [pixels]; camera panels are half as wide again as high, the
            view from above is square.

    Raises:
        ValueError: for a panel there is not, or a height below 32 pixels.
    """

    def __init__(
        self, network: RoadNetwork, panels: tuple[str, ...] = PANELS, height: int = 320
    ) -> None:
        unknown = [panel for panel in panels if panel not in PANELS]
        if unknown or not panels:
            raise ValueError(f"panels must be some of {', '.join(PANELS)}, got {panels}")
        if height < 32:
            raise ValueError(f"height must be at least 32 pixels, got {height}")
        self.panels = panels
        self.height = height
        cameras = tuple(_camera(panel, height) for panel in panels)
        self.width = sum(camera.width for camera in cameras) + _GAP * (len(cameras) - 1)
        self._observer = SceneObserver(network, ObservationSpec(cameras=cameras))

    def draw(self, scene: Scene, row: int = 0) -> Array:
        """Returns the picture of one row, (height, width, 3) uint8 RGB."""
        seen = self._observer.observe(scene, np.array([row]))
        picture = np.zeros((self.height, self.width, 3), np.uint8)
        left = 0
        for panel in self.panels:
            image = seen[panel][0]
            if panel == "semantic":
                image = TAG_COLORS[np.minimum(image, len(TAG_COLORS) - 1)]
            if panel == "above":
                image = image.copy()
                _draw_route(image, scene, row)
                _draw_ego(image, scene, row)
            picture[:, left : left + image.shape[1]] = image
            left += image.shape[1] + _GAP
        return picture


def _camera(panel: str, height: int) -> CameraSpec:
    if panel == "above":
        fov = math.degrees(2.0 * math.atan(0.5 * _SPAN / _HEIGHT_ABOVE))
        return CameraSpec(
            panel,
            "rgb",
            width=height,
            height=height,
            fov=fov,
            x=_AHEAD,
            z=_HEIGHT_ABOVE,
            pitch=-0.5 * math.pi,
        )
    kind = "semantic" if panel == "semantic" else "rgb"
    return CameraSpec(panel, kind, width=3 * height // 2, height=height, fov=100.0)


def _pixels(xy_ego: Floats, size: int) -> tuple[Floats, Floats]:
    """Returns row and column of points around the ego in the view from above."""
    per_metre = size / _SPAN
    return (
        0.5 * size - (xy_ego[..., 0] - _AHEAD) * per_metre,
        0.5 * size - xy_ego[..., 1] * per_metre,
    )


def _fill(image: Array, top: float, bottom: float, left: float, right: float, color: Array) -> None:
    low_i, low_j = max(round(top), 0), max(round(left), 0)
    image[low_i : max(round(bottom), low_i), low_j : max(round(right), low_j)] = color


def _draw_route(image: Array, scene: Scene, row: int) -> None:
    """Draws a dot at every second metre of the way ahead."""
    progress, ego = scene.progress[row], scene.ego[row]
    first = int(scene.routes.first[progress["route"]])
    last = first + int(scene.routes.count[progress["route"]])
    points = scene.routes.points[first + int(progress["index"]) : last][: int(_SPAN)]
    points = points[points["s"].astype(np.int64) % 2 == 0]
    xy = np.stack([points["x"], points["y"]], axis=1)
    xy_ego = to_ego(xy, np.array([ego["x"], ego["y"]]), float(ego["heading"]))
    size = image.shape[0]
    half = max(0.25 * size / _SPAN, 1.0)
    for i, j in zip(*_pixels(xy_ego[xy_ego[:, 0] > 0.5 * ego["length"]], size), strict=True):
        _fill(image, i - half, i + half, j - half, j + half, np.array(_ROUTE_COLOR))


def _draw_ego(image: Array, scene: Scene, row: int) -> None:
    """Draws the ego with a darker front window, so that its heading shows."""
    ego, size = scene.ego[row], image.shape[0]
    half_length, half_width = 0.5 * float(ego["length"]), 0.5 * float(ego["width"])
    for front, back, color in (
        (half_length, -half_length, _EGO_COLOR),
        (0.5 * half_length, 0.15 * half_length, (40, 40, 50)),
    ):
        corners = np.array([[front, half_width], [back, -half_width]])
        rows, columns = _pixels(corners, size)
        _fill(image, rows[0], rows[1], columns[0], columns[1], np.array(color))


def caption(scene: Scene) -> str:
    """Returns what happens in the first row of a scene, one line for people."""
    ego, progress, events = scene.ego[0], scene.progress[0], scene.events[0]
    parts = [
        f"{int(scene.step[0]) * scene.dt:5.1f} s",
        f"{3.6 * ego['speed']:.0f} km/h (limit {3.6 * progress['speed_limit']:.0f})",
        Command(int(progress["command"])).name.lower(),
    ]
    if progress["stop_kind"] == SignalKind.LIGHT and progress["stop_distance"] < _LIGHT_WITHIN:
        light = LightState(int(progress["stop_light"])).name.lower()
        parts.append(f"{light} light in {progress['stop_distance']:.0f} m")
    if events["struck"]:
        parts.append(f"CONTACT with {Struck(int(events['struck'])).name.lower()}")
    return "   ".join(parts)


def captioned(picture: Array, text: str) -> Array:
    """Returns the picture with text in its lower left corner.

    What is too long for one line goes on in the next: the text breaks where it has two blanks.
    """
    from PIL import Image, ImageDraw, ImageFont  # 0.1 s that only clips need

    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    size = max(9, picture.shape[0] // 20)
    font = ImageFont.load_default(size)
    lines = [""]
    for part in re.split(r" {2,}", text):
        longer = f"{lines[-1]}   {part}" if lines[-1] else part
        if lines[-1] and size + pen.textlength(longer, font) > picture.shape[1]:
            lines.append(part)
        else:
            lines[-1] = longer
    for number, line in enumerate(reversed(lines)):
        place = (size // 2, picture.shape[0] - (5 * number + 6) * size // 4)
        pen.text(place, line, (255, 255, 255), font, stroke_width=2, stroke_fill=(0, 0, 0))
    return np.asarray(image)
