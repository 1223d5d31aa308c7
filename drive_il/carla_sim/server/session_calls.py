"""Calls about the session: version, maps, settings, weather, blueprints, traffic managers."""

from __future__ import annotations

import hashlib
from typing import Any

from drive_il.carla_sim.server import blueprints
from drive_il.carla_sim.server.frames import numbers, pose_of, transform_to_wire
from drive_il.carla_sim.server.host import Host
from drive_il.carla_sim.server.navmesh import navigation_mesh
from drive_il.carla_sim.server.wire import VERSION, WORLD_STREAM, token

_LABEL_NONE = 0


class SessionCalls:
    """See the module; a method's name is the call's, its return annotation says if it answers."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def version(self) -> Any:
        """The version whose client is understood."""
        return VERSION

    def get_available_maps(self) -> Any:
        """All maps that load_world finds."""
        return [f"/Game/Carla/Maps/{name}" for name in self._host.maps()]

    def get_episode_info(self) -> Any:
        """Number of the episode, and where its snapshots are found."""
        return [self._host.episode.number, [self._token(WORLD_STREAM)]]

    def get_sensor_token(self, stream: int) -> Any:
        """Where a stream is found."""
        return [self._token(stream)]

    def get_map_info(self) -> Any:
        """The map's name and where vehicles may be spawned."""
        episode = self._host.episode
        points = [transform_to_wire(point) for point in episode.spawn_points]
        return [f"Carla/Maps/{episode.network.name}", points]

    def get_map_data(self) -> Any:
        """The map's OpenDRIVE text."""
        return self._host.episode.opendrive

    def get_required_files(self, folder: str = "", download: bool = True) -> Any:
        """Files that the client should fetch: the mesh it plans walks on, where people walk.

        It keeps them by name between sessions, so a mesh is named by its content.
        """
        if folder != "Nav" or not navigation_mesh(self._host.episode.network):
            return []
        return [self._mesh_name()]

    def request_file(self, name: str) -> Any:
        """One of those files."""
        if name != self._mesh_name():
            raise ValueError(f"there is no file {str(name)[:60]!r} here, only {self._mesh_name()}")
        return navigation_mesh(self._host.episode.network)

    def get_navigation_mesh(self) -> Any:
        """The mesh that the client plans walks on."""
        return navigation_mesh(self._host.episode.network)

    def load_new_episode(self, name: str, reset: bool, layers: int) -> None:
        """Begins an episode on a map; layers mean nothing here."""
        self._host.load(name, reset)

    def copy_opendrive_to_file(self, text: str, parameters: Any) -> None:
        """Takes the OpenDRIVE text of the next map."""
        if not isinstance(text, str) or not text.strip():
            raise ValueError("generate_opendrive_world needs the text of an OpenDRIVE file")
        self._host.pending_opendrive = text

    def get_episode_settings(self) -> Any:
        """See Settings."""
        return self._host.settings.sent

    def set_episode_settings(self, sent: Any) -> Any:
        """Takes settings and returns the frame."""
        self._host.configure(sent)
        return self._host.episode.frame

    def get_weather_parameters(self) -> Any:
        """See carla.WeatherParameters."""
        return self._host.episode.weather

    def set_weather_parameters(self, sent: Any) -> None:
        """Sets the weather from now on."""
        weather = self._host.episode.weather
        self._host.episode.weather = numbers(sent, len(weather), "the weather")

    def update_day_night_cycle(self, client: Any, on: bool) -> None:
        """Lamps of streets follow the sun: there are none."""

    def get_actor_definitions(self) -> Any:
        """The blueprint library."""
        return blueprints.definitions()

    def get_spectator(self) -> Any:
        """The actor that people look from."""
        return self._host.episode.spectator.on_wire(self._host.options.port + 1)

    def query_lights_state(self, client: Any) -> Any:
        """Lamps of streets and buildings: none."""
        return []

    def update_lights_state(self, client: Any, lights: Any) -> None:
        """Sets such lamps."""

    def get_all_level_BBs(self, tag: int) -> Any:
        """Boxes of the scenery: none are told."""
        return []

    def get_environment_objects(self, tag: int) -> Any:
        """Objects of the scenery: none are told."""
        return []

    def get_names_of_all_objects(self) -> Any:
        """Names of the scenery: none are told."""
        return []

    def project_point(self, location: Any, direction: Any, distance: float) -> Any:
        """Meets the ground along a ray, which is the only thing it can meet.

        The ground is the height of the nearest road.
        """
        x, y, z = numbers(location, 3, "a location")
        dx, dy, dz = numbers(direction, 3, "a direction")
        below = pose_of((x, y, z, 0.0, 0.0, 0.0))
        ground = self._host.episode.world.ground_height(below.x, below.y, below.z)
        length = (ground - z) / dz if dz else -1.0
        if not 0.0 <= length <= distance:
            return [False, [[0.0, 0.0, 0.0], _LABEL_NONE]]
        return [True, [[x + dx * length, y + dy * length, ground], 1]]

    def cast_ray(self, start: Any, end: Any) -> Any:
        """Things along a line: none are told."""
        return []

    def draw_debug_shape(self, shape: Any) -> None:
        """Accepted, and seen by nobody: there is no window."""

    def clear_debug_shape(self) -> None:
        """Nothing to clear."""

    def is_traffic_manager_running(self, port: int) -> Any:
        """Whether a client's Traffic Manager has registered at a port."""
        return port in self._host.managers

    def get_traffic_manager_running(self, port: int) -> Any:
        """Address and port of that Traffic Manager."""
        return self._host.managers.get(port, ["", 0])

    def add_traffic_manager_running(self, info: Any) -> Any:
        """Registers one; False when the port is taken."""
        if not (isinstance(info[1], int) and 0 < info[1] < 1 << 16):
            raise ValueError(f"a Traffic Manager's port is in [1, 65535], got {str(info[1])[:60]}")
        is_new = info[1] not in self._host.managers
        self._host.managers.setdefault(info[1], info)
        return is_new

    def destroy_traffic_manager(self, port: int) -> Any:
        """Forgets one."""
        return self._host.managers.pop(port, None) is not None

    def _mesh_name(self) -> str:
        network = self._host.episode.network
        content = hashlib.sha256(navigation_mesh(network)).hexdigest()[:12]
        return f"drive_il/Nav/{network.name}-{content}.bin"

    def _token(self, stream: int) -> bytes:
        return token(stream, self._host.options.port + 1)
