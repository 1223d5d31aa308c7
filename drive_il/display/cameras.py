"""The pictures that a person drives by, from the simulator's own camera.

A level camera is the fast one, and keeps houses upright: to look down on the car from behind
without pitching it, the window shows the lower part of a higher picture. Nobody draws what is
above that, nor what the dashboard hides.
"""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

import numpy as np

from drive_il.datatypes import Array, Scene
from drive_il.display.hud import dashboard_rows
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import CameraSpec
from drive_il.sensors.camera import Camera

BIRD_SPAN = 70.0
"""what the view from above shows from its bottom to its top [m]"""
_BIRD_HEIGHT = 60.0  # [m] above the road
_SEAT = CameraSpec("cockpit", fov=88.0, x=0.3, y=0.35, z=1.3)
_BEHIND = CameraSpec("chase", fov=75.0, x=-9.5, z=3.3)
_ABOVE = CameraSpec("bird", x=16.0, z=_BIRD_HEIGHT, pitch=-0.5 * math.pi)


class View(StrEnum):
    """From where a person looks."""

    COCKPIT = "cockpit"
    CHASE = "chase"
    BIRD = "bird"
    SPLIT = "split"

    def next(self) -> View:
        """Returns the one after it; the first after the last."""
        views = list(View)
        return views[(views.index(self) + 1) % len(views)]


@dataclass(frozen=True)
class Pane:
    """A part of the window.

    Attributes:
        view: what it shows; never SPLIT.
        left: [pixels].
        top: [pixels].
        width: [pixels].
        height: [pixels].
        has_dashboard: a dashboard hides its lower part.
    """

    view: View
    left: int
    top: int
    width: int
    height: int
    has_dashboard: bool = False


def panes(view: View, width: int, height: int) -> list[Pane]:
    """Returns how a view fills a window."""
    if view is not View.SPLIT:
        return [Pane(view, 0, 0, width, height, has_dashboard=view is View.COCKPIT)]
    wide = width * 5 // 8 // 2 * 2
    return [
        Pane(View.COCKPIT, 0, 0, wide, height),
        Pane(View.BIRD, wide + 2, 0, width - wide - 2, height),
    ]


class PaneCamera:
    """Draws one pane.

    Args:
        network: the map.
        pane: which.
    """

    def __init__(self, network: RoadNetwork, pane: Pane) -> None:
        spec, self._rows = _spec(pane)
        self._camera = Camera(network, spec, as_bgra=True, rows=self._rows)
        self._out = np.empty(self._camera.shape(1), np.uint8)
        self._begun: tuple[Scene, Future[None]] | None = None

    def begin(self, scene: Scene) -> None:
        """Begins to draw a scene while the caller does something else; `draw` takes it up.

        It overwrites what `draw` has returned.
        """
        self._begun = scene, _artist().submit(self._render, scene)

    def draw(self, scene: Scene) -> Array:
        """Returns what is seen of a scene of one row, (rows, width, 4) uint8 in the order BGRA.

        It begins at the top of the pane. The next call overwrites it.
        """
        begun, self._begun = self._begun, None
        if begun is not None:
            begun[1].result()
        if begun is None or begun[0] is not scene:
            self._render(scene)
        return np.asarray(self._out[0, slice(*self._rows)])

    def _render(self, scene: Scene) -> None:
        self._camera.render(scene.ego, scene.weather, scene.actors, self._out)


@cache
def _artist() -> ThreadPoolExecutor:
    """The thread that draws ahead; kernels bring in the others."""
    return ThreadPoolExecutor(1, thread_name_prefix="drive_il-artist")


def _spec(pane: Pane) -> tuple[CameraSpec, tuple[int, int]]:
    """Returns the camera of a pane, and first and last + 1 of its rows that can be seen."""
    if pane.view is View.COCKPIT:
        seen = pane.height - (dashboard_rows(pane.height) if pane.has_dashboard else 0)
        return replace(_SEAT, width=pane.width, height=pane.height), (0, seen)
    if pane.view is View.CHASE:
        height = pane.height + pane.height // 4
        return replace(_BEHIND, width=pane.width, height=height), (pane.height // 4, height)
    span = BIRD_SPAN * pane.width / pane.height
    fov = math.degrees(2.0 * math.atan(0.5 * span / _BIRD_HEIGHT))
    return replace(_ABOVE, width=pane.width, height=pane.height, fov=fov), (0, pane.height)
