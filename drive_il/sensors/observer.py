"""What a policy sees of the embedded world, built from an ObservationSpec."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache

import numpy as np

from drive_il.datatypes import Ints, Observation, Scene
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.birdview import BirdView
from drive_il.sensors.camera import Camera
from drive_il.sensors.contacts import collision, lane_invasion
from drive_il.sensors.inertial import Gnss, Imu, speedometer
from drive_il.sensors.lidar import Lidar
from drive_il.sensors.radar import Radar
from drive_il.sensors.range_finder import RangeFinder
from drive_il.sensors.roach import RoachView
from drive_il.sensors.state import previous_action, standing, state_vector, target_point
from drive_il.sensors.vectors import VectorView

_RESERVED = (
    "speed",
    "command",
    "range_finder",
    "birdview",
    "state",
    "gnss",
    "imu",
    "speedometer",
    "collision",
    "collision_id",
    "collision_impulse",
    "lane_invasion",
    "roach",
    "lanes",
    "lanes_mask",
    "actors",
    "actors_mask",
    "target_point",
    "previous_action",
    "standing",
)


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
        _check_names(spec)
        self._spec = spec
        self._cameras = {camera.name: Camera(network, camera) for camera in spec.cameras}
        self._range_finder = RangeFinder(network) if spec.range_finder else None
        self._birdview: BirdView | None = None
        if spec.birdview:
            self._birdview = BirdView(network, spec.birdview_actors)
        self._roach = RoachView(network) if spec.roach else None
        self._vectors = VectorView(network, spec.vectors) if spec.vectors else None
        self._lidars = {lidar.name: Lidar(network, lidar) for lidar in spec.lidars}
        self._radars = {radar.name: Radar(network, radar) for radar in spec.radars}
        self._gnss = Gnss(network, spec.gnss) if spec.gnss else None
        self._imu = Imu(spec.imu) if spec.imu else None

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
            (N, 4 or 7, 96, 96) uint8, `state` (N, F) float32 and the others as it says.

        Raises:
            ValueError: when the scene remembers less than the sensors show.
        """
        rows = np.asarray(rows)
        ego, weather, around = scene.ego, scene.weather, scene.actors
        command = scene.progress["command"]
        n_rows = len(ego)
        if len(rows) != n_rows or (rows != np.arange(n_rows)).any():  # else nothing is copied
            ego, weather, command = ego[rows], weather[rows], command[rows]
            around = replace(around, world=around.world[rows], slot=around.slot[rows])
        seen: Observation = {
            "speed": ego["speed"].astype(np.float32),
            "command": command.astype(np.int64),
        }
        for name, camera in self._cameras.items():
            seen[name] = camera.render(ego, weather, around)
        if self._range_finder is not None:
            seen["range_finder"] = self._range_finder.scan(scene, rows)
        if self._birdview is not None:
            seen["birdview"] = self._birdview.draw(scene, rows)
        if self._spec.state:
            seen["state"] = state_vector(scene, rows, self._spec.state_actors)
        if self._roach is not None:
            seen["roach"] = self._roach.draw(scene, rows)
        if self._vectors is not None:
            seen |= self._vectors.look(scene, rows)
        if self._spec.target_point:
            seen["target_point"] = target_point(ego, scene.progress[rows])
        if self._spec.previous_action:
            seen["previous_action"] = previous_action(ego)
        if self._spec.standing:
            seen["standing"] = standing(scene.progress[rows])
        self._measure(scene, rows, seen)
        return seen

    def _measure(self, scene: Scene, rows: Ints, seen: Observation) -> None:
        """Adds what lidars, radars and the sensors of motion and contact say."""
        for name, lidar in self._lidars.items():
            frame = lidar.scan(scene, rows)
            seen[name] = frame.points
            seen[f"{name}_count"] = frame.n_points.sum(axis=1, dtype=np.int32)
            if lidar.spec.kind == "semantic":
                seen[f"{name}_objects"] = frame.objects
        for name, radar in self._radars.items():
            seen[name], seen[f"{name}_count"] = radar.scan(scene, rows)
        if self._gnss is not None:
            seen["gnss"] = self._gnss.locate(scene, rows)
        if self._imu is not None:
            seen["imu"] = self._imu.feel(scene, rows)
        if self._spec.speedometer:
            seen["speedometer"] = speedometer(scene, rows)
        if self._spec.collision:
            seen |= collision(scene, rows)
        if self._spec.lane_invasion:
            seen["lane_invasion"] = lane_invasion(scene, rows)


def _check_names(spec: ObservationSpec) -> None:
    """Refuses two arrays of one name."""
    names = Counter([*_RESERVED, *(camera.name for camera in spec.cameras)])
    for lidar in spec.lidars:
        names.update((lidar.name, f"{lidar.name}_count", f"{lidar.name}_objects"))
    for radar in spec.radars:
        names.update((radar.name, f"{radar.name}_count"))
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(
            f"sensor name {twice[0]!r} is taken; names must differ from each other, from the "
            f"NAME_count and NAME_objects of others and from {', '.join(_RESERVED)}"
        )


@lru_cache(maxsize=8)
def scene_observer(network: RoadNetwork, spec: ObservationSpec) -> SceneObserver:
    """Returns a SceneObserver (remembered: what the ground looks like takes time to build)."""
    return SceneObserver(network, spec)
