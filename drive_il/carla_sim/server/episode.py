"""One episode as clients see it: a map, its actors, and the messages of each tick."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from drive_il.actors import ActorKind, Mover, Traffic
from drive_il.carla_sim.server import blueprints, catalogue, sensing
from drive_il.carla_sim.server.ackermann import Ackermann
from drive_il.carla_sim.server.actors import (
    Actor,
    number,
    prop_size,
    standing_box,
    values_of,
)
from drive_il.carla_sim.server.frames import Pose, Transform, composed, pose_of, transform_of
from drive_il.carla_sim.server.live_world import LONGEST_STEP, LiveWorld
from drive_il.carla_sim.server.moments import Moment, Sensor
from drive_il.carla_sim.server.signals import signal_actors
from drive_il.carla_sim.server.snapshots import Snapshots, transforms_of
from drive_il.carla_sim.server.wire import (
    WORLD_STREAM,
    Message,
    Payload,
    episode_header,
    framed,
    header,
)
from drive_il.datatypes import WEATHER, Records
from drive_il.maps.network import LaneType, RoadNetwork
from drive_il.sensors.tags import OF_ACTOR, Tag

_log = logging.getLogger("drive_il.server")
CLEAR_NOON = [5.0, 0.0, 0.0, 10.0, -1.0, 45.0, 2.0, 0.75, 0.1, 0.0, 1.0, 0.03, 0.0331, 0.0]
"""CARLA's ClearNoon, in the order of carla.WeatherParameters"""
FRAMES = 1000
"""a world that starts afresh goes on at the next multiple of this"""
_SPAWN_APART, _SPAWN_FROM = 25.0, 6.0  # [m] along a lane
_LED_FOR = 2  # ticks that a client's word about a walker counts
_SCENERY = Actor(0, "static.static")


class Episode:
    """Who is on a map, from its loading to the next.

    Args:
        network: the map.
        opendrive: its OpenDRIVE text.
        number: of the episode.
        seed: decides traffic, lights and noise.
        traffic: who moves on the world's own account.
        port: of the streams.
        streams: numbers of streams that nobody has used.
        first_id: of its actors.
    """

    def __init__(
        self,
        network: RoadNetwork,
        opendrive: str,
        number: int,
        seed: int,
        traffic: Traffic,
        *,
        port: int,
        streams: Iterator[int],
        first_id: int = 1,
    ) -> None:
        self.network, self.opendrive, self.number = network, opendrive, number
        self.weather = list(CLEAR_NOON)
        self.renders = True
        self.frame, self.elapsed, self.dt = 0, 0.0, 0.05
        self.touched = False
        self._seed, self._traffic, self._port, self._streams = seed, traffic, port, streams
        self._first_id = first_id
        self.spawn_points = _spawn_points(network)
        self._begin()

    def restart(self) -> None:
        """Starts afresh what nobody has touched, so that nothing depends on how long it ran."""
        self.frame = -(-self.frame // FRAMES) * FRAMES
        self.elapsed = 0.0
        self._begin()

    def rehearse(self) -> None:
        """Lets a sensor of every kind sense once, so that nobody waits for it later.

        Compiled and built in passing: kernels, what the map's ground looks like, what stands
        beside its roads.
        """
        weather = self._weather()
        high = self.spawn_points[0][:2] + (5.0, 0.0, 0.0, 0.0)
        slanted = (*high[:3], -30.0, 0.0, 0.0)
        for blueprint in blueprints.library().values():
            if blueprint.id.startswith("sensor.") and blueprints.is_made(blueprint.id):
                values = {one.id: one.value for one in blueprint.attributes}
                if "image_size_x" in values:
                    values |= {"image_size_x": "8", "image_size_y": "8"}
                find, port = self.find, self._port
                sensor = sensing.sensor_of(self.network, "", blueprint.id, values, find, port)
                for at in (high, slanted):
                    if sensor is not None:
                        actor = Actor(0, blueprint.id, values, at)
                        sensor.sense(self._moment(actor, weather, at, -1))

    def _begin(self) -> None:
        self.world = LiveWorld(self.network, self._seed, self._traffic, self._first_id)
        self.actors: dict[int, Actor] = {}
        self.ackermann: dict[int, Ackermann] = {}
        self.led: dict[int, int] = {}  # frame in which a client last led a walker
        self._sensors: dict[int, tuple[Sensor, float, float]] = {}  # its tick, last time [s]
        self._n_sensors = 0
        self._silent: set[int] = set()
        self._others: list[Actor] = []
        self._adopt_traffic()
        self.spectator = self._add(Actor(self.world.take_id(), "spectator"))
        signals = signal_actors(self.network, self.spectator.id + 1)
        for one in signals:
            self.actors[one.id] = one
        self.world.take_ids(len(signals))
        self._snapshots = Snapshots(self.world, signals)

    def _adopt_traffic(self) -> None:
        """Gives the world's own vehicles and walkers a name."""
        world = self.world
        for vehicle in world.vehicles[world.vehicles["id"] > 0]:
            kind = ActorKind(int(vehicle["kind"]))
            size = tuple(float(vehicle[name]) for name in ("length", "width", "height"))
            color = ",".join(str(int(vehicle[name])) for name in "rgb")
            _, values = values_of([0, f"vehicle.{catalogue.LIKE[kind]}", []])
            self.actors[int(vehicle["id"])] = Actor(
                int(vehicle["id"]),
                f"vehicle.{catalogue.LIKE[kind]}",
                values | {"color": color, "role_name": "traffic"},
                box=standing_box((size[0], size[1], size[2])),
                tags=bytes([OF_ACTOR[kind]]),
            )
        for walker in world.walkers[world.walkers["id"] > 0]:
            child = bool(walker["child"])
            name = f"walker.pedestrian.{min(catalogue.CHILDREN) if child else 1:04}"
            wide = 2.0 * float(walker["radius"])
            _, values = values_of([0, name, []])
            self.actors[int(walker["id"])] = Actor(
                int(walker["id"]),
                name,
                values | {"role_name": "traffic"},
                box=standing_box((wide, wide, float(walker["height"])), centred=True),
                tags=bytes([Tag.PEDESTRIAN]),
            )

    def _add(self, actor: Actor) -> Actor:
        self.actors[actor.id] = actor
        if actor.kind not in ("vehicle", "walker", "traffic"):
            self._others.append(actor)
        return actor

    def find(self, id: int) -> Actor:
        """Returns an actor; 0 is the scenery.

        Raises:
            ValueError: there is none.
        """
        if id == 0:
            return _SCENERY
        actor = self.actors.get(id)
        if actor is None:
            raise ValueError(f"there is no actor {id}; it has been destroyed or never was")
        return actor

    def spawn(self, description: Any, transform: Transform, parent: int = 0) -> Actor:
        """Adds an actor and returns it.

        Args:
            description: as sent: a blueprint's name and attributes.
            transform: where, in CARLA's frame; relative to the parent where there is one.
            parent: id, 0 none.

        Raises:
            ValueError: there is no such blueprint or parent, an attribute is out of range, or
                somebody is there already.
        """
        type_id, values = values_of(description)
        if parent:
            self.find(parent)
        self.touched = True
        kind = type_id.partition(".")[0]
        if kind == "vehicle":
            return self._spawn_vehicle(type_id, values, transform)
        if kind == "walker":
            return self._spawn_walker(type_id, values, transform)
        if kind == "sensor":
            return self._spawn_sensor(type_id, values, transform, parent)
        if kind == "static" and not parent:
            return self._spawn_prop(type_id, values, transform)
        return self._add(Actor(self.world.take_id(), type_id, values, transform, parent))

    def _spawn_vehicle(self, type_id: str, values: dict[str, str], at: Transform) -> Actor:
        model = catalogue.VEHICLES[type_id.removeprefix("vehicle.")]
        id = self._put(model.kind, model.size, at, Mover.CONTROL)
        slot = self.world.slot_of(id)
        self._snapshots.forget(slot)
        color = values["color"].split(",")
        if len(color) == 3 and all(part.strip().isdigit() for part in color):
            for name, part in zip("rgb", color, strict=True):
                self.world.vehicles[name][slot] = min(int(part), 255)
        box, tags = standing_box(model.size), bytes([OF_ACTOR[model.kind]])
        return self._add(Actor(id, type_id, values, at, box=box, tags=tags))

    def _spawn_prop(self, type_id: str, values: dict[str, str], at: Transform) -> Actor:
        size = prop_size(type_id, values)
        if size is None:
            return self._add(Actor(self.world.take_id(), type_id, values, at))
        id = self._put(ActorKind.PROP, size, at, Mover.NOBODY)
        tags = bytes([Tag.DYNAMIC])
        return self._add(Actor(id, type_id, values, at, box=standing_box(size), tags=tags))

    def _put(
        self, kind: ActorKind, size: tuple[float, float, float], at: Transform, mover: Mover
    ) -> int:
        try:
            return self.world.spawn_vehicle(kind, size, pose_of(at), mover)
        except ValueError as error:
            raise ValueError(
                f"Spawn failed because of collision at spawn position: {error}"
            ) from None

    def _spawn_walker(self, type_id: str, values: dict[str, str], at: Transform) -> Actor:
        pose, world = pose_of(at), self.world
        size = catalogue.CHILD_SIZE if values["age"] == "child" else catalogue.WALKER_SIZE
        walkers = world.walkers[world.walkers["id"] > 0]
        away = np.hypot(walkers["x"] - pose.x, walkers["y"] - pose.y)
        if len(away) and away.min() < size[0]:
            other = int(walkers["id"][away.argmin()])
            raise ValueError(
                "Spawn failed because of collision at spawn position: walker "
                f"{other} stands at ({pose.x:.1f}, {at[1]:.1f})"
            )
        id = world.spawn_walker(0, pose.x, pose.y, pose.heading)
        walker = world.walkers[world.walker_slot_of(id) : world.walker_slot_of(id) + 1]
        walker["height"], walker["radius"] = size[2], 0.5 * size[0]
        walker["child"] = values["age"] == "child"
        world.place_walker(id, pose)
        box, tags = standing_box(size, centred=True), bytes([Tag.PEDESTRIAN])
        return self._add(Actor(id, type_id, values, at, box=box, tags=tags))

    def _spawn_sensor(
        self, type_id: str, values: dict[str, str], at: Transform, parent: int
    ) -> Actor:
        name = f"{type_id} {self._n_sensors}"
        sensor = sensing.sensor_of(self.network, name, type_id, values, self.find, self._port)
        tick = number(values, "sensor_tick") if "sensor_tick" in values else 0.0
        actor = Actor(self.world.take_id(), type_id, values, at, parent)
        actor.stream = next(self._streams)
        self._n_sensors += 1
        if sensor is not None:
            self._sensors[actor.id] = (sensor, tick, -np.inf)
        return self._add(actor)

    def destroy(self, id: int) -> list[int]:
        """Removes an actor and what hangs on it; returns the streams that end, [] if none.

        Raises:
            ValueError: there is none, or it belongs to the map.
        """
        actor = self.find(id)
        if actor.kind == "traffic" or actor is self.spectator:
            raise ValueError(f"actor {id}, {actor.type_id}, belongs to the map")
        self.touched = True
        streams = [actor.stream] if actor.stream else []
        for child in [one.id for one in self._others if one.parent == id]:
            streams += self.destroy(child)
        if actor.kind == "vehicle" or self._has_body(actor):
            self.world.remove(0, id)
        elif actor.kind == "walker":
            self.world.remove_walker(0, id)
        elif actor.kind == "controller" and actor.parent in self.actors:
            self.world.stand_still(actor.parent)
        if actor in self._others:
            self._others.remove(actor)
        self._sensors.pop(id, None)
        self.ackermann.pop(id, None)
        del self.actors[id]
        return streams

    def _has_body(self, actor: Actor) -> bool:
        return actor.kind == "static" and not actor.parent and any(actor.box[1])

    def transform_of(self, actor: Actor) -> Transform:
        """Returns where an actor is in the world, in CARLA's frame."""
        if actor.parent:
            parent = self.actors.get(actor.parent)
            return (
                composed(self.transform_of(parent), actor.transform) if parent else actor.transform
            )
        if actor.kind == "vehicle":
            one = self.world.vehicles[self.world.slot_of(actor.id)]
            return transform_of(
                Pose(*(float(one[name]) for name in ("x", "y", "z", "heading", "pitch")))
            )
        if actor.kind == "walker":
            one = self.world.walkers[self.world.walker_slot_of(actor.id)]
            z = float(one["z"]) + 0.5 * float(one["height"])
            return transform_of(Pose(float(one["x"]), float(one["y"]), z, float(one["heading"])))
        return actor.transform

    def move(self, actor: Actor, transform: Transform) -> None:
        """Puts an actor somewhere else; relative to its parent where it has one."""
        self.touched = True
        pose = pose_of(transform)
        if actor.kind == "traffic":
            raise ValueError(f"actor {actor.id}, {actor.type_id}, belongs to the map")
        actor.transform = transform
        if actor.parent:
            return
        if actor.kind == "vehicle":
            self.world.place(actor.id, pose, Mover.CONTROL if actor.has_physics else Mover.NOBODY)
        elif self._has_body(actor):
            self.world.place(actor.id, pose, Mover.NOBODY)
        elif actor.kind == "walker":
            self.world.place_walker(actor.id, pose)

    def lead(self, id: int, pose: Pose, speed: float) -> None:
        """Puts a walker where its client's AI has it, walking for as long as that goes on.

        Args:
            id: its id.
            pose: where.
            speed: straight on [m/s].
        """
        self.touched = True
        self.world.place_walker(id, pose)
        self.world.set_walker(0, id, pose.heading, speed)
        self.led[id] = self.frame

    def _leave_alone(self) -> None:
        """Has those stand whom no client leads any more: a controller's stop() is not told."""
        for id in [id for id, last in self.led.items() if self.frame > last + _LED_FOR]:
            del self.led[id]
            if id in self.actors:
                self.world.stand_still(id)

    def tick(self, dt: float, listened: set[int]) -> list[tuple[int, Message]]:
        """Lets the world go on by one step; one too long for its physics is made in parts.

        Args:
            dt: longer than 0 [s].
            listened: numbers of the streams that somebody reads.

        Returns:
            Numbers of streams, and a message for each; the snapshot first.
        """
        for id, controller in self.ackermann.items():
            slot = self.world.slot_of(id)
            told = (self.world.controls[slot], self.world.orders[slot])
            controller.drive(self.world.vehicles[slot], *told, dt)
        self._leave_alone()
        parts = math.ceil(dt / LONGEST_STEP)
        for _ in range(parts):
            self.world.step(dt / parts)
        self.frame += 1
        self.elapsed += dt
        self.dt = dt
        slots, carried = self._carried()
        messages: list[tuple[int, Message]] = [(WORLD_STREAM, self._snapshot(carried))]
        weather = self._weather()
        for id, (sensor, tick, last) in self._sensors.items():
            actor = self.actors[id]
            if actor.stream not in listened or self.elapsed - last < tick - 1e-6:
                continue
            if not self.renders and actor.type_id.startswith("sensor.camera"):
                continue
            self._sensors[id] = (sensor, tick, self.elapsed)
            at, slot = carried.get(id, actor.transform), slots.get(actor.parent, -1)
            try:
                found = sensor.sense(self._moment(actor, weather, at, slot))
            except ValueError as error:  # nobody else's tick fails because of it
                self._tell_of_silence(actor, str(error))
                continue
            messages += [(actor.stream, message) for message in found]
        return messages

    def _tell_of_silence(self, actor: Actor, reason: str) -> None:
        """Says once why a sensor has nothing to say."""
        if actor.id not in self._silent:
            self._silent.add(actor.id)
            _log.warning("sensor %d, %s, is silent: %s", actor.id, actor.type_id, reason)

    def _carried(self) -> tuple[dict[int, int], dict[int, Transform]]:
        """Returns the slots of vehicles, and where in the world is what others carry, by id."""
        carried = [one for one in self._others if one.parent]
        if not carried:
            return {}, {}
        vehicles = self.world.vehicles
        slots = {id: slot for slot, id in enumerate(vehicles["id"].tolist()) if id > 0}
        transforms = transforms_of(vehicles).tolist()
        where = {}
        for one in carried:
            slot = slots.get(one.parent)
            where[one.id] = (
                self.transform_of(one)
                if slot is None
                else composed(tuple(transforms[slot]), one.transform)
            )
        return slots, where

    def _snapshot(self, carried: dict[int, Transform]) -> bytes:
        """Returns the state of everybody as a message.

        Args:
            carried: where in the world is what others carry, by id.
        """
        others = [
            Actor(one.id, one.type_id, transform=carried[one.id]) if one.parent else one
            for one in self._others
        ]
        return framed(
            header(Payload.SNAPSHOT, self.frame, self.elapsed, (0.0,) * 6),
            episode_header(self.number, time.time(), self.dt),
            self._snapshots.bodies(others),
        )

    def _moment(self, actor: Actor, weather: Records, at: Transform, slot: int) -> Moment:
        return Moment(self.world, weather, self.frame, self.elapsed, self.dt, actor, at, slot)

    def _weather(self) -> Records:
        return np.array([tuple(self.weather[: len(WEATHER.names or ())])], WEATHER)


def _spawn_points(network: RoadNetwork) -> list[Transform]:
    """Returns places on the driving lanes outside junctions, a little above the road."""
    found = []
    lanes = network.lanes
    for lane in lanes[(lanes["type"] == LaneType.DRIVING) & (lanes["junction"] < 0)]:
        points = network.points[lane["first"] : lane["first"] + lane["count"]]
        last = float(points["s"][-1]) - _SPAWN_FROM
        for s in np.arange(_SPAWN_FROM, last, _SPAWN_APART):
            point = points[min(int(np.searchsorted(points["s"], s)), len(points) - 1)]
            if point["width"] > 2.0:
                x, y, z, heading = (float(point[name]) for name in ("x", "y", "z", "heading"))
                found.append(transform_of(Pose(x, y, z + 0.3, heading)))
    return found
