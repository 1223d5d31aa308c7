"""Batches: many commands in one call, each answered with its actor or with what was wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drive_il.carla_sim.server.actor_calls import ActorCalls
from drive_il.carla_sim.server.frames import pose_of, transform_from_wire
from drive_il.carla_sim.server.host import BAD, Host
from drive_il.carla_sim.server.vehicle_calls import VehicleCalls
from drive_il.carla_sim.server.wire import COMMANDS, failure, from_optional, value


class Batches:
    """Carries out batches.

    Args:
        host: of the episode.
        actors: calls that commands stand for.
        vehicles: likewise.
    """

    def __init__(self, host: Host, actors: ActorCalls, vehicles: VehicleCalls) -> None:
        self._host = host
        self._spawn_actor = actors
        self._calls: dict[str, Callable[..., Any]] = {
            "DestroyActor": actors.destroy_actor,
            "ApplyVehicleControl": vehicles.apply_control_to_vehicle,
            "ApplyVehicleAckermannControl": vehicles.apply_ackermann_control_to_vehicle,
            "ApplyWalkerControl": vehicles.apply_control_to_walker,
            "ApplyVehiclePhysicsControl": vehicles.apply_physics_control,
            "ApplyTransform": actors.set_actor_transform,
            "ApplyWalkerState": self._apply_walker_state,
            "ApplyTargetVelocity": actors.set_actor_target_velocity,
            "ApplyTargetAngularVelocity": actors.set_actor_target_angular_velocity,
            "ApplyImpulse": actors.add_actor_impulse,
            "ApplyForce": actors.add_actor_force,
            "SetSimulatePhysics": actors.set_actor_simulate_physics,
            "SetEnableGravity": actors.set_actor_enable_gravity,
            "SetAutopilot": vehicles.set_actor_autopilot,
            "ShowDebugTelemetry": vehicles.show_vehicle_debug_telemetry,
            "SetVehicleLightState": vehicles.set_vehicle_light_state,
            "ApplyLocation": actors.set_actor_location,
            "SetTrafficLightState": actors.set_traffic_light_state,
        }

    def apply(self, commands: Any) -> list[Any]:
        """Carries out commands in order; one that fails does not stop the others.

        Args:
            commands: as sent, each [[number, members]].
        """
        return [self._answer(command) for command in commands]

    def _answer(self, command: Any) -> list[Any]:
        try:
            return value(self._do(command[0]))
        except BAD as error:
            return failure(str(error))

    def _do(self, command: Any, spawned: int | None = None) -> int:
        """Carries out one command and returns its actor."""
        number, members = command
        name = COMMANDS[number]
        if name == "SpawnActor":
            return self._spawn(members)
        call = self._calls.get(name)
        if call is None:
            raise ValueError(f"{name} is not there: see docs/carla_server.md")
        id = members[0] if spawned is None else spawned
        if call(id, *members[1:]) is False:
            raise ValueError(f"there is no actor {id}")
        return int(id)

    def _spawn(self, members: Any) -> int:
        description, transform = members[0], transform_from_wire(members[1])
        parent = from_optional(members[2]) or 0
        actor = self._host.episode.spawn(description, transform, parent)
        for then in members[-1]:
            self._do(then[0], actor.id)
        return actor.id

    def _apply_walker_state(self, id: int, transform: Any, speed: float) -> None:
        pose = pose_of(transform_from_wire(transform))
        self._host.episode.lead(id, pose, min(max(float(speed), 0.0), 10.0))
