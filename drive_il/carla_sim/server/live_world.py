"""The embedded world without an ego: whoever is in it can be driven from outside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from drive_il.actors import ActorKind, LightState, Mover, Spawn, Traffic
from drive_il.carla_sim.server.frames import Pose
from drive_il.carla_sim.server.light_cycle import (
    begin_lights,
    default_times,
    pass_time,
    restart_cycle,
)
from drive_il.carla_sim.server.live_stepping import ORDER, LiveMap, settle_one, step_live
from drive_il.datatypes import Array, Ints, Records
from drive_il.maps import lane_queries
from drive_il.maps.ground import ground
from drive_il.maps.network import RoadNetwork
from drive_il.sim.actors_api import LiveActors
from drive_il.sim.collisions import overlaps
from drive_il.sim.lights import phases_of
from drive_il.sim.models import MODELS
from drive_il.sim.obstacles import obstacles_of
from drive_il.sim.pavements import pavements_of
from drive_il.sim.population import Population, room_for
from drive_il.sim.roads import roads_of
from drive_il.sim.stepping import Surroundings
from drive_il.sim.world_arrays import PER_VEHICLE, PER_WALKER, empty_worlds, put

LONGEST_STEP = 0.5
"""that physics and traffic bear [s]"""
_BURIED = 3.0  # [m] further below the road than this a vehicle is out of the world


class LiveWorld(LiveActors):
    """One world on one map in which nobody has a route; everyone has an id.

    Args:
        network: the map.
        seed: of the episode.
        traffic: who moves on the world's own account; its signals always run.
        first_id: of its actors.

    Raises:
        ValueError: for more traffic than the map has room for.
    """

    def __init__(
        self, network: RoadNetwork, seed: int, traffic: Traffic, first_id: int = 1
    ) -> None:
        self.network = network
        self.step_number = 0
        self._egos = 0
        self._rows = {"seed": np.array([seed], np.uint64)}
        self._worlds = empty_worlds(network, 1, 0)
        self._roads = roads_of(network)
        self._population = Population(network, self._roads)
        self._phases = phases_of(network)
        self._map = LiveMap(
            ground(network), self._roads, MODELS, pavements_of(network), obstacles_of(network)
        )
        self.orders = np.zeros(0, ORDER)
        self.light_times = default_times(len(network.signals))
        self.light_elapsed = np.zeros(len(network.signals))
        self._make_room(
            {name: (room_for(traffic, 0),) for name in PER_VEHICLE}
            | {name: (traffic.walkers,) for name in PER_WALKER}
        )
        self._bind()
        self._worlds["signals"][:] = True
        self._worlds["seats"][:] = 0
        begin_lights(self._phases, self.cycles, self.lights, np.uint64(seed))
        if not traffic.is_empty:
            self._population.fill(self._worlds, 0, traffic, seed, 0)
        for own in (self.vehicles, self.walkers):
            own["id"][own["id"] > 0] += first_id - 1
        self._worlds["next_id"][:] = first_id + room_for(traffic, 0) + traffic.walkers

    @property
    def vehicles(self) -> Records:
        """(V,) VEHICLE; `id` 0 is an empty slot."""
        vehicles: Records = self._worlds["vehicles"][0]
        return vehicles

    @property
    def walkers(self) -> Records:
        """(P,) WALKER; `id` 0 is an empty slot."""
        walkers: Records = self._worlds["walkers"][0]
        return walkers

    @property
    def lights(self) -> Ints:
        """LightState of each of the map's signals, (S,)."""
        lights: Ints = self._worlds["lights"][0]
        return lights

    @property
    def cycles(self) -> Records:
        """(J,) CYCLE of the junctions with lights."""
        cycles: Records = self._worlds["cycles"][0]
        return cycles

    @property
    def controls(self) -> Records:
        """(V,) CONTROL of the vehicles that are driven from outside."""
        controls: Records = self._worlds["controls"][0]
        return controls

    @property
    def events(self) -> Records:
        """(V,) EVENTS: whom and what the vehicles driven from outside met in the last step."""
        events: Records = self._worlds["contacts"][0]
        return events

    @property
    def seed(self) -> int:
        """Of the episode."""
        return int(self._rows["seed"][0])

    @property
    def next_id(self) -> int:
        """That of whoever comes next."""
        return int(self._worlds["next_id"][0])

    def ground_height(self, x: float, y: float, z: float) -> float:
        """Returns the height of the road nearest to a place, on its own level [m]."""
        place = lane_queries.locate(self.network, np.array([[x, y]]), np.array([z]))[0]
        return float(place["z"])

    def take_id(self) -> int:
        """Returns an id that nobody has had in this episode."""
        return self._next_id(0)

    def take_ids(self, count: int) -> None:
        """Leaves out the next ids, which somebody else has given away."""
        self._worlds["next_id"][0] += count

    def step(self, dt: float) -> None:
        """Lets everyone go on by dt, in (0, 0.5] [s]."""
        pass_time(self._phases, self.cycles, self.light_times, self.light_elapsed, self.lights, dt)
        seed = self._rows["seed"][0]
        step_live(self._around, self._map, self.orders, seed, self.step_number, dt)
        self.step_number += 1

    def spawn_vehicle(
        self, kind: ActorKind, size: tuple[float, float, float], pose: Pose, mover: Mover
    ) -> int:
        """Adds a vehicle or prop of a size and returns its id.

        Args:
            kind: of vehicle.
            size: length, width, height [m].
            pose: where its centre is on the ground; far below the road it stays there.
            mover: who moves it.

        Raises:
            ValueError: for a place where somebody is already.
        """
        if self._is_buried(pose):  # there it cannot be in anybody's way
            spawn = Spawn(kind, pose.x, pose.y, pose.heading, 0.0, Mover.NOBODY)
            number = self._spawn_anywhere(spawn)
        else:
            number = self.spawn(0, Spawn(kind, pose.x, pose.y, pose.heading, 0.0, mover))
        slot = self.slot_of(number)
        vehicle = self.vehicles[slot]
        vehicle["length"], vehicle["width"], vehicle["height"] = size
        vehicle["z"] = pose.z
        self.orders[slot] = np.zeros((), ORDER)
        if not self._is_buried(pose):
            settle_one(self.vehicles, slot, self._map.ground)
            self._check_free(slot, number)
        return number

    def slot_of(self, id: int) -> int:
        """Returns the slot of a vehicle.

        Raises:
            ValueError: there is no such vehicle.
        """
        return self._slot(0, id)

    def walker_slot_of(self, id: int) -> int:
        """Returns the slot of a walker.

        Raises:
            ValueError: there is no such walker.
        """
        return self._walker(0, id)

    def place(self, id: int, pose: Pose, mover: Mover) -> None:
        """Puts a vehicle somewhere else; it keeps its speed.

        Args:
            id: its id.
            pose: where; onto the road, unless it is far below it.
            mover: who moves it there.
        """
        slot = self.slot_of(id)
        vehicle = self.vehicles[slot]
        vehicle["x"], vehicle["y"], vehicle["z"] = pose.x, pose.y, pose.z
        vehicle["heading"] = pose.heading
        if self._is_buried(pose) or mover != Mover.CONTROL:
            vehicle["mover"] = int(Mover.NOBODY)
            vehicle["pitch"] = pose.pitch
            if mover != Mover.CONTROL:
                vehicle["speed"] = vehicle["acceleration"] = vehicle["yaw_rate"] = 0.0
            return
        vehicle["mover"] = int(Mover.CONTROL)
        settle_one(self.vehicles, slot, self._map.ground)

    def place_walker(self, id: int, pose: Pose) -> None:
        """Puts a walker somewhere else, onto the ground."""
        walker = self.walkers[self.walker_slot_of(id)]
        walker["x"], walker["y"] = pose.x, pose.y
        walker["z"] = self.ground_height(pose.x, pose.y, pose.z)
        walker["heading"] = pose.heading

    def set_velocity(self, id: int, x: float, y: float) -> None:
        """Sets a vehicle's velocity to the part along its axis of (x, y), world frame [m/s]."""
        vehicle = self.vehicles[self.slot_of(id)]
        heading = float(vehicle["heading"])
        along = x * math.cos(heading) + y * math.sin(heading)
        vehicle["speed"] = min(abs(along), 80.0)
        vehicle["slip"] = 0.0 if along >= 0.0 else -math.pi

    def push(self, id: int, x: float, y: float) -> None:
        """Gives a vehicle an impulse (x, y), world frame [N s]; it rolls along its axis."""
        vehicle = self.vehicles[self.slot_of(id)]
        mass = float(MODELS["mass"][int(vehicle["kind"])])
        course = float(vehicle["heading"] + vehicle["slip"])
        vx = float(vehicle["speed"]) * math.cos(course) + x / mass
        vy = float(vehicle["speed"]) * math.sin(course) + y / mass
        self.set_velocity(id, vx, vy)

    def stand_still(self, id: int) -> None:
        """Stops a walker where it is."""
        heading = float(self.walkers["heading"][self.walker_slot_of(id)])
        self.set_walker(0, id, heading, 0.0)

    def begin_cycles(self, junctions: list[int]) -> None:
        """Begins the cycles of some junctions afresh, with their first phase."""
        for junction in junctions:
            signal = int(self._phases.signals[self._phases.signal_first[self._first(junction)]])
            restart_cycle(self._phases, self.cycles, self.light_elapsed, self.lights, signal)

    def phase_of(self, signal: int) -> Ints:
        """Returns all lights that are green together with one."""
        for first, last in pairwise(self._phases.signal_first.tolist()):
            members = self._phases.signals[first:last]
            if signal in members:
                return members
        raise ValueError(f"signal {signal} of {self.network.name} is no traffic light")

    def _first(self, junction: int) -> int:
        return int(self._phases.first[junction])

    def set_signal(self, signal: int, state: LightState) -> None:
        """Sets one light until its cycle comes to its next state."""
        self.lights[signal] = int(state)
        self.light_elapsed[signal] = 0.0

    def _check_free(self, slot: int, number: int) -> None:
        """Takes a vehicle away again if in its true size it overlaps another."""
        pairs = np.zeros((len(self.vehicles), 2), np.int32)
        for pair in pairs[: overlaps(self.vehicles, pairs)].tolist():
            if slot in pair:
                other = int(self.vehicles["id"][pair[0] if pair[1] == slot else pair[1]])
                self.remove(0, number)
                raise ValueError(f"vehicle {other} stands there already; spawn elsewhere")

    def _spawn_anywhere(self, spawn: Spawn) -> int:
        slot = self._free("vehicles", 0, 0)
        number = self._next_id(0)
        vehicles, drivers = self.vehicles, self._worlds["drivers"][0]
        self._population.put(vehicles, drivers, slot, number, spawn, self.seed)
        return number

    def _is_buried(self, pose: Pose) -> bool:
        return pose.z < self.ground_height(pose.x, pose.y, pose.z) - _BURIED

    def _bind(self) -> None:
        """Points the kernel's arguments at the present arrays."""
        self._around = Surroundings(*(self._worlds[name] for name in Surroundings._fields))

    def _make_room(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            old: Array = self._worlds[name]
            if shape[0] > old.shape[1]:
                wider = np.zeros((1, *shape), old.dtype)
                put(wider, np.zeros(1, np.int64), old)
                self._worlds[name] = wider
        n_slots = self._worlds["vehicles"].shape[1]
        orders = np.zeros(n_slots, ORDER)
        orders[: len(self.orders)] = self.orders
        self.orders = orders
        self._bind()

    def _check_begun(self, rows: Ints, action: str) -> None:
        """A live world has begun when it is made."""
