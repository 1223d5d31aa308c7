"""Who plays whom: the actors of one world on a server, kept as its mirror says.

The mirror holds vehicles and walkers in slots, as an embedded world does. Those that scenarios
move, and those that stand, are put where the mirror has them; all others are moved by the
server, and the mirror is told where they are.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import carla
import numpy as np

from drive_il import handedness
from drive_il.actors import ActorKind, Gait, Mover
from drive_il.carla_sim.casting import kind_of, vehicle_blueprint, walker_blueprint
from drive_il.carla_sim.connection import ROLE, Connection
from drive_il.carla_sim.reading import states_of, write_vehicles, write_walkers
from drive_il.carla_sim.server.frames import Pose, transform_of
from drive_il.carla_sim.traffic import Autopilot
from drive_il.datatypes import Records

_log = logging.getLogger("drive_il.carla")
_DROP = 0.3  # [m] above the road a body with physics is put down
_CELLAR = -200.0  # [m] where bodies without physics come into the world: there they meet nobody
_APART = 20.0  # [m] between them there
_UNKNOWN = -1  # mover of one that has been told nothing yet


def carla_transform(pose: Pose) -> Any:
    """Returns the carla.Transform of a pose."""
    x, y, z, pitch, yaw, roll = transform_of(pose)
    return carla.Transform(carla.Location(x, y, z), carla.Rotation(pitch, yaw, roll))


def pose_of_record(actor: Any, z: float = 0.0) -> Pose:
    """Returns where a VEHICLE or WALKER record is, so much above it [m]."""
    pitch = float(actor["pitch"]) if "pitch" in actor.dtype.names else 0.0
    at = [float(actor[name]) for name in ("x", "y", "z", "heading")]
    return Pose(at[0], at[1], at[2] + z, at[3], pitch)


@dataclass
class _Part:
    """One actor on the server.

    Attributes:
        slot: in the mirror.
        mover: who moved it when we last looked.
        lights: lamps it was last told to show; of a walker its heading and speed.
    """

    slot: int
    mover: int
    told: tuple[float, ...] = ()


@dataclass
class _Troupe:
    """Vehicles, or walkers: mirror id -> actor id, and parts by actor id."""

    ids: dict[int, int] = field(default_factory=dict)
    parts: dict[int, _Part] = field(default_factory=dict)

    def add(self, id: int, actor: int, part: _Part) -> None:
        self.ids[id], self.parts[actor] = actor, part

    def leavers(self, present: set[int]) -> list[int]:
        """Takes out those whose mirror id is no longer there; returns their actors."""
        gone = [id for id in self.ids if id not in present]
        actors = [self.ids.pop(id) for id in gone]
        for actor in actors:
            self.parts.pop(actor, None)
        return actors


class Cast:
    """The actors of one world but for its ego.

    Args:
        connection: of the server.
        autopilot: drives traffic.
        leads_traffic: no, it is put where the mirror has it.
    """

    def __init__(self, connection: Connection, autopilot: Autopilot, leads_traffic: bool) -> None:
        self._connection, self._autopilot = connection, autopilot
        self._put = {int(Mover.SCRIPT)} | ({int(Mover.TRAFFIC)} if leads_traffic else set())
        self._library = connection.ask(connection.world.get_blueprint_library)
        self._vehicles, self._walkers = _Troupe(), _Troupe()
        self._guides: list[int] = []  # controllers of walkers
        self._strangers: set[int] = set()  # whom somebody else has brought

    def follow(self, vehicles: Records, walkers: Records) -> list[Any]:
        """Lets actors come, go and change hands as the mirror has them.

        Args:
            vehicles: (V,) VEHICLE, the ego in the first slot.
            walkers: (P,) WALKER.

        Returns:
            Commands that are to be carried out before the next tick.
        """
        gone = self._vehicles.leavers(set(vehicles["id"][1:].tolist()))
        gone += self._walkers.leavers(set(walkers["id"].tolist()))
        self._connection.destroy(gone)
        self._spawn_vehicles(vehicles)
        self._spawn_walkers(walkers)
        commands: list[Any] = []
        for actor, part in self._vehicles.parts.items():
            commands += self._direct(actor, part, vehicles[part.slot])
        for actor, part in self._walkers.parts.items():
            if walkers["gait"][part.slot] in (Gait.SCRIPTED, Gait.STANDING):
                commands += self._walk(actor, part, walkers[part.slot])
        return commands

    def _spawn_vehicles(self, vehicles: Records) -> None:
        new = [
            slot
            for slot in np.flatnonzero(vehicles["id"]).tolist()
            if slot and int(vehicles["id"][slot]) not in self._vehicles.ids
        ]
        commands = []
        for k, slot in enumerate(new):
            vehicle = vehicles[slot]
            blueprint = vehicle_blueprint(self._library, vehicle, ROLE)
            if self._drives_itself(vehicle):
                at = carla_transform(pose_of_record(vehicle, _DROP))
                commands.append(carla.command.SpawnActor(blueprint, at))
                continue
            at = carla_transform(Pose(_APART * k, 0.0, _CELLAR, 0.0))
            spawn = carla.command.SpawnActor(blueprint, at)
            still = carla.command.SetSimulatePhysics(carla.command.FutureActor, False)
            commands.append(spawn.then(still))
        for slot, answer in zip(new, self._connection.call(commands), strict=True):
            if answer.error:
                _log.warning("no %s: %s", ActorKind(int(vehicles["kind"][slot])).name, answer.error)
                vehicles["id"][slot] = 0
                continue
            self._vehicles.add(int(vehicles["id"][slot]), answer.actor_id, _Part(slot, _UNKNOWN))
        self._measure(vehicles, [self._vehicles.ids.get(int(vehicles["id"][k]), 0) for k in new])

    def _drives_itself(self, vehicle: Any) -> bool:
        return vehicle["mover"] == Mover.TRAFFIC and int(Mover.TRAFFIC) not in self._put

    def has_mass(self, vehicle: Any) -> bool:
        """Whether a VEHICLE gives way when it is hit: what is put somewhere does not."""
        return int(vehicle["mover"]) == Mover.CONTROL or self._drives_itself(vehicle)

    def _measure(self, vehicles: Records, actors: Sequence[int]) -> None:
        """Gives vehicles in the mirror the size that they have on the server."""
        ids = [actor for actor in actors if actor]
        if not ids:
            return
        for actor in self._connection.ask(lambda: self._connection.world.get_actors(ids)):
            slot, half = self._vehicles.parts[actor.id].slot, actor.bounding_box.extent
            if half.x > 0.0 and half.y > 0.0:
                vehicles["length"][slot], vehicles["width"][slot] = 2.0 * half.x, 2.0 * half.y
                vehicles["height"][slot] = 2.0 * half.z

    def _direct(self, actor: int, part: _Part, vehicle: Any) -> list[Any]:
        """Returns what one vehicle is told."""
        mover, command = int(vehicle["mover"]), carla.command
        changed, part.mover = mover != part.mover, mover
        if actor in self._strangers:
            return []
        if self._drives_itself(vehicle):
            if changed:
                self._autopilot.take(actor, vehicle)
            return []
        if mover == Mover.NOBODY and not changed:
            return []
        commands = [command.ApplyTransform(actor, carla_transform(pose_of_record(vehicle)))]
        if vehicle["kind"] == ActorKind.PROP:
            return commands
        if mover in self._put:
            course = float(vehicle["heading"])
            speed = float(vehicle["speed"])
            x, y = speed * math.cos(course), handedness.y_to_carla(speed * math.sin(course))
            commands.append(command.ApplyTargetVelocity(actor, carla.Vector3D(x, y, 0.0)))
        lights = (float(vehicle["lights"]),)
        if lights != part.told:
            part.told = lights
            state = carla.VehicleLightState(int(lights[0]))
            commands.append(command.SetVehicleLightState(actor, state))
        return commands

    def _spawn_walkers(self, walkers: Records) -> None:
        new = [
            slot
            for slot in np.flatnonzero(walkers["id"]).tolist()
            if int(walkers["id"][slot]) not in self._walkers.ids
        ]
        commands = []
        for slot in new:
            walker = walkers[slot]
            middle = 0.5 * float(walker["height"]) + _DROP
            at = carla_transform(pose_of_record(walker, middle))
            blueprint = walker_blueprint(self._library, walker, ROLE)
            commands.append(carla.command.SpawnActor(blueprint, at))
        found: dict[int, int] = {}
        for slot, answer in zip(new, self._connection.call(commands), strict=True):
            if answer.error:
                _log.warning("no walker: %s", answer.error)
                walkers["id"][slot] = 0
                continue
            found[answer.actor_id] = slot
            self._walkers.add(int(walkers["id"][slot]), answer.actor_id, _Part(slot, _UNKNOWN))
        if not found:
            return
        for actor in self._connection.ask(lambda: self._connection.world.get_actors(list(found))):
            half, slot = actor.bounding_box.extent, found[actor.id]
            if half.z > 0.0:
                walkers["radius"][slot] = max(half.x, half.y)
                walkers["height"][slot] = 2.0 * half.z
        strollers = [a for a, slot in found.items() if walkers["gait"][slot] == Gait.WALKING]
        paces = {actor: float(walkers["speed"][found[actor]]) for actor in strollers}
        self._guides += self._autopilot.guide(self._library, paces)

    def _walk(self, actor: int, part: _Part, walker: Any) -> list[Any]:
        """Returns what a walker of a scenario is told, where that is news."""
        told = (float(walker["heading"]), float(walker["speed"]))
        if told == part.told:
            return []
        part.told = told
        x, y = math.cos(told[0]), handedness.y_to_carla(math.sin(told[0]))
        control = carla.WalkerControl(carla.Vector3D(x, y, 0.0), told[1], False)
        return [carla.command.ApplyWalkerControl(actor, control)]

    def read(self, snapshot: Any, vehicles: Records, walkers: Records) -> None:
        """Tells the mirror where those are whom the server moves."""
        parts = self._vehicles.parts
        moved = [a for a, part in parts.items() if self.has_mass(vehicles[part.slot])]
        if moved:
            states, there = states_of(snapshot, moved)
            slots = np.array([parts[actor].slot for actor in moved])
            write_vehicles(vehicles, slots[there], states[there])
            vehicles["id"][slots[~there]] = 0  # somebody destroyed them
            self._autopilot.read_lamps(vehicles, {actor: parts[actor].slot for actor in moved})
        if self._walkers.parts:
            actors = list(self._walkers.parts)
            states, there = states_of(snapshot, actors)
            slots = np.array([self._walkers.parts[actor].slot for actor in actors])
            is_led = np.isin(walkers["gait"][slots], (Gait.SCRIPTED, Gait.STANDING))
            write_walkers(walkers, slots[there], states[there], is_led[there])
            walkers["id"][slots[~there]] = 0

    def who(self, actor: int) -> tuple[int, bool] | None:
        """Returns the slot of an actor and whether it is a walker; None for strangers."""
        for troupe, walks in ((self._vehicles, False), (self._walkers, True)):
            part = troupe.parts.get(actor)
            if part is not None:
                return part.slot, walks
        return None

    def strangers(self, snapshot: Any, known: set[int]) -> list[Any]:
        """Returns vehicles and walkers that somebody else has brought since we last looked.

        Args:
            snapshot: the present.
            known: actors that are ours, beside the cast.
        """
        mine = known | self._strangers | set(self._guides)
        mine |= set(self._vehicles.parts) | set(self._walkers.parts)
        new = [one.id for one in snapshot if one.id not in mine]
        if not new:
            return []
        self._strangers.update(new)
        actors = self._connection.ask(lambda: self._connection.world.get_actors(new))
        return [one for one in actors if one.type_id.startswith(("vehicle.", "walker."))]

    def adopt(self, actor: Any, record: Any, slot: int, id: int) -> None:
        """Lets somebody else's actor be mirrored in a slot.

        Args:
            actor: a carla.Vehicle or carla.Walker.
            record: the slot's VEHICLE or WALKER record.
            slot: which.
            id: in the mirror.
        """
        half = actor.bounding_box.extent
        record["id"], record["height"] = id, 2.0 * half.z
        if actor.type_id.startswith("walker."):
            record["radius"], record["gait"] = max(half.x, half.y), int(Gait.WALKING)
            self._walkers.add(id, actor.id, _Part(slot, _UNKNOWN))
            return
        record["kind"], record["mover"] = int(kind_of(actor)), int(Mover.CONTROL)
        record["length"], record["width"] = 2.0 * half.x, 2.0 * half.y
        record["lane"] = -1
        self._vehicles.add(id, actor.id, _Part(slot, int(Mover.CONTROL)))

    def ours(self) -> list[int]:
        """Returns all actors that we have brought, who hang on others first."""
        cast = [*self._guides, *self._vehicles.parts, *self._walkers.parts]
        return [actor for actor in cast if actor not in self._strangers]
