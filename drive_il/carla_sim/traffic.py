"""Traffic that CARLA moves: vehicles by its Traffic Manager, walkers by its AI."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import carla

from drive_il import handedness
from drive_il.carla_sim.connection import Connection
from drive_il.datatypes import Records

_PORT_APART = 6000  # CARLA's own habit: 8000 beside 2000
_LAST_PORT = 65535
_SEEDS = 2**31


def manager_port(port: int) -> int:
    """Where the Traffic Manager listens, beside the server's port: above it, or else below."""
    above = port + _PORT_APART
    return above if above <= _LAST_PORT else port - _PORT_APART


class Autopilot:
    """A Traffic Manager and guides for walkers, made when they are first needed.

    Args:
        connection: of the server.
        seed: of the episode.
        jaywalkers: share of the walkers that cross the road anywhere.
    """

    def __init__(self, connection: Connection, seed: int, jaywalkers: float) -> None:
        self._connection, self._seed, self._jaywalkers = connection, seed, jaywalkers
        self._manager: Any = None
        self._port = 0

    def take(self, actor: int, vehicle: Any) -> None:
        """Hands a vehicle to the Traffic Manager, at its speed.

        A client registers it only with a batch whose answers it waits for.

        Args:
            actor: which.
            vehicle: its VEHICLE record.
        """
        if self._manager is None:
            self._port = manager_port(self._connection.address.port)
            make = self._connection.client.get_trafficmanager
            self._manager = self._connection.ask(lambda: make(self._port))
            self._manager.set_synchronous_mode(True)
            self._manager.set_random_device_seed(self._seed % _SEEDS)
            self._port = self._manager.get_port()
        speed, heading = float(vehicle["speed"]), float(vehicle["heading"])
        x, y = speed * math.cos(heading), handedness.y_to_carla(speed * math.sin(heading))
        command = carla.command
        self._connection.call(
            [
                command.SetSimulatePhysics(actor, True),
                command.ApplyTargetVelocity(actor, carla.Vector3D(x, y, 0.0)),
                command.SetAutopilot(actor, True, self._port),
            ]
        )

    def read_lamps(self, vehicles: Records, slots: Mapping[int, int]) -> None:
        """Tells the mirror which lamps vehicles show, by actor."""
        ask = self._connection.world.get_vehicles_light_states
        for actor, state in self._connection.ask(ask).items():
            if actor in slots:
                vehicles["lights"][slots[actor]] = int(state)

    def guide(self, library: Any, paces: Mapping[int, float]) -> list[int]:
        """Lets walkers stroll, each at its pace [m/s]; returns the guides, by CARLA's AI."""
        if not paces:
            return []
        world, origin = self._connection.world, carla.Transform()
        blueprint = library.find("controller.ai.walker")
        commands = [carla.command.SpawnActor(blueprint, origin, walker) for walker in paces]
        answers = self._connection.call(commands)
        ids = [one.actor_id for one in answers if not one.error]
        self._connection.ask(lambda: world.set_pedestrians_cross_factor(self._jaywalkers))
        self._connection.ask(lambda: world.set_pedestrians_seed(self._seed % _SEEDS))
        self._connection.tick()  # a guide must be in the world before it starts
        guides = self._connection.ask(lambda: world.get_actors(ids))
        for guide in guides:
            self._send_off(guide, paces[guide.parent.id])
        return ids

    def _send_off(self, guide: Any, pace: float) -> None:
        self._connection.ask(guide.start)
        world = self._connection.world
        goal = self._connection.ask(world.get_random_location_from_navigation)
        if goal is not None:  # else the server itself knows where people walk, and how fast
            self._connection.ask(lambda: guide.go_to_location(goal))
            self._connection.ask(lambda: guide.set_max_speed(pace))

    def dismiss(self) -> None:
        """Ends the Traffic Manager."""
        if self._manager is not None:
            self._manager.set_synchronous_mode(False)
            self._manager.shut_down()
            self._manager = None
