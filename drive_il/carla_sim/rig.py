"""The sensors that an ego carries on a server: CARLA's own, one message each per tick."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import carla

from drive_il.carla_sim.cast import carla_transform
from drive_il.carla_sim.casting import with_role
from drive_il.carla_sim.connection import ROLE, Connection
from drive_il.carla_sim.contacts import Detector
from drive_il.carla_sim.server.frames import Pose
from drive_il.carla_sim.servers import Lost
from drive_il.datatypes import Array, State

_PATIENCE = 20.0  # [s] for a sensor's message of the present tick
_SEEDS = 2**31


@dataclass(frozen=True)
class Sensor:
    """One of CARLA's sensors, and what it becomes.

    Attributes:
        blueprint: its name.
        attributes: CARLA's, by name; those that the blueprint lacks are left out.
        mount: where on the ego.
        read: its message -> named arrays of an observation, without a leading row.
    """

    blueprint: str
    attributes: Mapping[str, str]
    mount: Pose
    read: Callable[[Any], Mapping[str, Array]]


class Rig:
    """The sensors of one ego, with its collision detector.

    Args:
        connection: of the server.
        ego: the carla.Vehicle that carries them.
        sensors: which.
        detector: is told of contacts.
        seed: of the episode; CARLA's noise starts from it.
    """

    def __init__(
        self,
        connection: Connection,
        ego: Any,
        sensors: Sequence[Sensor],
        detector: Detector,
        seed: int,
    ) -> None:
        self._connection, self._sensors = connection, tuple(sensors)
        self.seen: State = {}
        self._queues: list[queue.SimpleQueue[Any]] = []
        self._actors: list[Any] = []
        self._spawn(ego, "sensor.other.collision", {}, Pose(0.0, 0.0, 0.0, 0.0), detector.hear)
        for k, sensor in enumerate(self._sensors):
            messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
            self._queues.append(messages)
            attributes = {**sensor.attributes, "noise_seed": str((seed + k) % _SEEDS)}
            self._spawn(ego, sensor.blueprint, attributes, sensor.mount, messages.put)

    def _spawn(
        self,
        ego: Any,
        name: str,
        attributes: Mapping[str, str],
        mount: Pose,
        hear: Callable[[Any], None],
    ) -> None:
        world = self._connection.world
        blueprint = with_role(world.get_blueprint_library().find(name), ROLE)
        for one, value in attributes.items():
            if blueprint.has_attribute(one):
                blueprint.set_attribute(one, value)
        at = carla_transform(mount)
        rigid = carla.AttachmentType.Rigid
        sensor = self._connection.ask(lambda: world.spawn_actor(blueprint, at, ego, rigid))
        self._actors.append(sensor)
        self._connection.ask(lambda: sensor.listen(hear))

    @property
    def ids(self) -> set[int]:
        """Their actors."""
        return {sensor.id for sensor in self._actors}

    def take(self, frame: int) -> None:
        """Waits for what every sensor says of a tick, and reads it.

        Raises:
            Lost: a sensor is silent.
        """
        for sensor, messages in zip(self._sensors, self._queues, strict=True):
            self.seen.update(sensor.read(self._message(sensor, messages, frame)))

    def _message(self, sensor: Sensor, messages: queue.SimpleQueue[Any], frame: int) -> Any:
        try:
            message = messages.get(timeout=_PATIENCE)
            while message.frame < frame:
                message = messages.get(timeout=_PATIENCE)
        except queue.Empty:
            raise Lost(
                f"{sensor.blueprint} on the server at {self._connection.address} says nothing of "
                f"frame {frame} within {_PATIENCE:g} s; is no_rendering_mode on?"
            ) from None
        return message

    def stop(self) -> None:
        """Lets them fall silent; whoever made them destroys them."""
        for sensor in self._actors:
            self._connection.ask(sensor.stop)
