"""What a policy sees of the embedded world: an ObservationSpec, built."""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import Ints, Observation, ObservationSpec, Scene
from drive_il.maps.network import RoadNetwork
from drive_il.sensors.camera import Camera
from drive_il.sensors.range_finder import RangeFinder
from drive_il.sensors.state import state_vector


class SceneObserver:
    """Draws and measures what the spec asks for, from Scenes of one map.

    Args:
        network: the map.
        spec: the sensors.

    Raises:
        ValueError: two sensors of one name.
    """

    def __init__(self, network: RoadNetwork, spec: ObservationSpec) -> None:
        names = [camera.name for camera in spec.cameras]
        taken = {"speed", "command", "range_finder", "birdview", "state"}
        if len(set(names)) < len(names) or taken & set(names):
            raise ValueError(
                f"every camera needs a name of its own, none of {', '.join(sorted(taken))}; "
                f"got {', '.join(names)}"
            )
        self._spec = spec
        self._cameras = {camera.name: Camera(network, camera) for camera in spec.cameras}
        self._range_finder = RangeFinder(network) if spec.range_finder else None

    @property
    def spec(self) -> ObservationSpec:
        """The sensors."""
        return self._spec

    def observe(self, scene: Scene, rows: Ints) -> Observation:
        """Returns named arrays with one row per index in `rows`.

        Always `speed` (N,) float32 [m/s] and `command` (N,) int64; each camera by its name;
        `range_finder` (N, 8, 32) float32 and `state` (N, F) float32 when asked for.
        """
        seen = scene.take(rows)
        observation: Observation = {
            "speed": seen.ego["speed"].astype(np.float32),
            "command": seen.progress["command"].astype(np.int64),
        }
        for name, camera in self._cameras.items():
            observation[name] = camera.render(seen.ego, seen.weather)
        if self._range_finder is not None:
            observation["range_finder"] = self._range_finder.scan(seen.ego, seen.weather)
        if self._spec.state:
            observation["state"] = state_vector(seen)
        return observation
