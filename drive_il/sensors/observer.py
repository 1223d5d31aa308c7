"""What a policy sees of the embedded world, built from an ObservationSpec."""

from __future__ import annotations

from collections import Counter

import numpy as np

from drive_il.datatypes import Ints, Observation, Scene
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.birdview import BirdView
from drive_il.sensors.camera import Camera
from drive_il.sensors.range_finder import RangeFinder
from drive_il.sensors.state import state_vector

_RESERVED = ("speed", "command", "range_finder", "birdview", "state")


class SceneObserver:
    """Renders observations from Scenes of one map. Implements the Observer protocol."""

    def __init__(self, network: RoadNetwork, spec: ObservationSpec) -> None:
        """Prepares the sensors; the first on a map builds what its ground looks like.

        Args:
            network: the map of the scenes that will be observed.
            spec: which sensors.

        Raises:
            ValueError: if two sensors have the same name.
        """
        names = Counter(camera.name for camera in spec.cameras) + Counter(_RESERVED)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(
                f"camera name {twice[0]!r} is taken; names must differ from each other and "
                f"from {', '.join(_RESERVED)}"
            )
        self._spec = spec
        self._cameras = {camera.name: Camera(network, camera) for camera in spec.cameras}
        self._range_finder = RangeFinder(network) if spec.range_finder else None
        self._birdview = BirdView(network) if spec.birdview else None

    @property
    def spec(self) -> ObservationSpec:
        """The sensors."""
        return self._spec

    def observe(self, scene: Scene, rows: Ints) -> Observation:
        """Returns what some rows of a scene look like.

        Args:
            scene: of the observer's map.
            rows: indices of the rows, (N,) int.

        Returns:
            `speed` (N,) float32 [m/s] and `command` (N,) int64, every camera by its name,
            and where the spec asks for them `range_finder` (N, 8, 32) float32, `birdview`
            (N, 4, 96, 96) uint8 and `state` (N, F) float32.
        """
        rows = np.asarray(rows)
        ego = scene.ego[rows]
        weather = scene.weather[rows]
        seen: Observation = {
            "speed": ego["speed"].astype(np.float32),
            "command": scene.progress["command"][rows].astype(np.int64),
        }
        for name, camera in self._cameras.items():
            seen[name] = camera.render(ego, weather)
        if self._range_finder is not None:
            seen["range_finder"] = self._range_finder.scan(ego)
        if self._birdview is not None:
            seen["birdview"] = self._birdview.draw(scene, rows)
        if self._spec.state:
            seen["state"] = state_vector(scene, rows)
        return seen
