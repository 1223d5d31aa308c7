"""One CARLA server under our control: connected, on our map, in synchronous mode.

Whatever happens, a server is given back as it was found: free running, without our actors.
What a killed program has left behind goes when the next one connects.
"""

from __future__ import annotations

import atexit
import hashlib
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import carla

from drive_il.carla_sim.casting import EGO_ROLE
from drive_il.carla_sim.servers import Address, Lost, ServerProcess
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork

ROLE = "drive_il"
"""attribute `role_name` of what we spawn, but for the ego"""
_CALL_TIMEOUT = 20.0  # [s]
_LOAD_TIMEOUT = 120.0  # [s] a large town takes its time in Unreal
T = TypeVar("T")


class Connection:
    """A server while we drive it.

    Args:
        address: where it listens.
        network: the map that it is to hold.
        dt: length of a tick [s].
        start: command that starts a server, `{port}` in it stands for the port; "" when there is
            none and a server that is gone stays gone.

    Raises:
        Lost: nobody answers.
        ValueError: the server's client is of another version, or its map is not ours.
    """

    def __init__(self, address: Address, network: RoadNetwork, dt: float, start: str = "") -> None:
        self.address, self._network, self._dt = address, network, dt
        self._process = ServerProcess(address, start) if start else None
        self._is_open = False
        atexit.register(self.close)
        _unwind_when_terminated()
        self.open()

    def open(self) -> None:
        """Connects, loads the map where another is there, and takes the ticks over.

        Raises:
            Lost: nobody answers.
            ValueError: another version, or another map of that name.
        """
        if self._process is not None:
            self._process.ensure()
        self.client = carla.Client(*self.address)
        self.client.set_timeout(_CALL_TIMEOUT)
        version = self._try(self.client.get_server_version)
        if version != self.client.get_client_version():
            raise ValueError(
                f"the server at {self.address} is CARLA {version}, the carla wheel here is "
                f"{self.client.get_client_version()}; install the same version of both"
            )
        self.world = self._try(self.client.get_world)
        self._load_map()
        settings = self._try(self.world.get_settings)
        if settings.synchronous_mode:  # left so by somebody: until a tick no actor is told of
            self._try(lambda: self.world.tick(_CALL_TIMEOUT))
        self._clear()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, self._dt
        self._try(lambda: self.world.apply_settings(settings))
        self._is_open = True

    def _load_map(self) -> None:
        name = self._network.name
        if self._map_hash() != self._network.hash:
            self.client.set_timeout(_LOAD_TIMEOUT)
            known = {one.rsplit("/", 1)[-1] for one in self._try(self.client.get_available_maps)}
            if name in known:
                self.world = self._try(lambda: self.client.load_world(name))
            else:
                text = library.opendrive_text(name)
                self.world = self._try(lambda: self.client.generate_opendrive_world(text))
            self.client.set_timeout(_CALL_TIMEOUT)
        if self._map_hash() != self._network.hash:
            raise ValueError(
                f"the map {name!r} of the server at {self.address} is not the one that is known "
                "here by this name: their OpenDRIVE texts differ. `drive-il maps fetch --port "
                f"{self.address.port}` takes in the server's"
            )
        self.map = self._try(self.world.get_map)

    def _map_hash(self) -> str:
        text: str = self._try(lambda: self.world.get_map().to_opendrive())
        return hashlib.sha256(text.encode()).hexdigest()

    def _clear(self) -> None:
        """Destroys what we, or a program of ours that was killed, have in the world."""
        ours = (ROLE, EGO_ROLE)
        actors = self._try(self.world.get_actors)
        stale = {one.id for one in actors if one.attributes.get("role_name") in ours}
        hangers = {one.id for one in actors if one.parent is not None and one.parent.id in stale}
        self.destroy([*hangers, *stale])

    def tick(self) -> Any:
        """Lets the world go on by one step; returns its carla.WorldSnapshot."""
        frame = self._try(lambda: self.world.tick(_CALL_TIMEOUT))
        snapshot = self.world.get_snapshot()
        if snapshot.frame != frame:
            raise Lost(
                f"the server at {self.address} is at frame {snapshot.frame} after tick {frame}: "
                "another client ticks it too; a synchronous world has one master"
            )
        return snapshot

    def send(self, commands: Sequence[Any]) -> None:
        """Sends commands whose answers nobody needs."""
        if commands:
            self._try(lambda: self.client.apply_batch(list(commands)))

    def call(self, commands: Sequence[Any]) -> list[Any]:
        """Sends commands and returns a carla.command.Response for each."""
        if not commands:
            return []
        answers: list[Any] = self._try(lambda: self.client.apply_batch_sync(list(commands), False))
        return answers

    def destroy(self, ids: Sequence[int]) -> None:
        """Destroys actors; those that are gone already do not matter."""
        self.call([carla.command.DestroyActor(id) for id in ids])

    def ask(self, call: Callable[[], T]) -> T:
        """Makes any other call.

        Raises:
            Lost: the server does not answer.
        """
        return self._try(call)

    def _try(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Lost:
            raise
        except RuntimeError as error:
            if not _is_loss(str(error)):
                raise
            self._is_open = False
            raise Lost(f"the server at {self.address} does not answer: {error}") from error

    def close(self) -> None:
        """Gives the server back; a server that we have started ends. May be called twice."""
        atexit.unregister(self.close)
        if self._is_open:
            self._is_open = False
            try:
                self._clear()
                settings = self.world.get_settings()
                settings.synchronous_mode, settings.fixed_delta_seconds = False, None
                self.world.apply_settings(settings)
            except (RuntimeError, Lost):
                pass  # it is gone, and what was in it too
        if self._process is not None:
            self._process.end()


def fetch_map(address: Address, town: str = "") -> str:
    """Takes in the map of a server, so that it can be driven here and there.

    Args:
        address: of the server.
        town: a map that it loads first; "" takes the one that it holds.

    Returns:
        The name by which `maps.library.load` finds it.

    Raises:
        RuntimeError: nobody answers, or there is no such town.
        ValueError: the map is no usable one, or has the name of a shipped town.
    """
    client = carla.Client(*address)
    client.set_timeout(_LOAD_TIMEOUT)
    world = client.load_world(town) if town else client.get_world()
    held = world.get_map()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{held.name.rsplit('/', 1)[-1]}.xodr"
        path.write_text(held.to_opendrive(), encoding="utf-8")
        return library.import_map(path)


def _unwind_when_terminated() -> None:
    """Lets SIGTERM end this process as Ctrl-C does, so that what must be closed is closed."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def _is_loss(message: str) -> bool:
    return any(word in message for word in ("time-out", "rpc::", "failed to connect", "closed"))
