"""Adding, driving, handing over and removing actors while a world runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from drive_il.actors import EVENTS, ActorKind, Gait, LightState, Mover, Spawn
from drive_il.datatypes import CONTROL, Array, Ints, Records
from drive_il.maps import lane_queries
from drive_il.maps.ground import ground
from drive_il.maps.network import RoadNetwork, SignalKind
from drive_il.sim.collisions import overlaps
from drive_il.sim.lights import phases_of, show_cycle
from drive_il.sim.models import MODELS
from drive_il.sim.population import Population
from drive_il.sim.roads import Roads
from drive_il.sim.spawning import enlist
from drive_il.sim.vehicle import MAX_SPEED
from drive_il.sim.world_arrays import PER_VEHICLE, PER_WALKER

_SPARE = 4  # columns added at once
_FASTEST_WALK = 10.0  # [m/s]


class LiveActors:
    """What a World offers to those who bring actors of their own.

    Every call names a world by its index (row // egos). All of it is part of the world's state:
    snapshots carry it, a reset forgets it. Ids are never used again within an episode.
    """

    network: RoadNetwork
    _rows: dict[str, Array]
    _worlds: dict[str, Array]
    _roads: Roads
    _population: Population
    _egos: int

    def _make_room(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        raise NotImplementedError

    def _check_begun(self, rows: Ints, action: str) -> None:
        raise NotImplementedError

    def spawn(self, world: int, spawn: Spawn) -> int:
        """Adds a vehicle and returns its id.

        One that is moved by CONTROL stands on the brake until `set_control`; SCRIPT and NOBODY
        leave it where it is.

        Raises:
            ValueError: no such world; a pose that is not finite, a speed out of range, a place
                where a vehicle is already; or a vehicle of traffic that is not on a driving lane.
            RuntimeError: the world has not been reset.
        """
        self._check_world(world, "spawn")
        if not 0.0 <= spawn.speed <= MAX_SPEED:
            raise ValueError(f"speed must be in [0, {MAX_SPEED:g}] m/s, got {spawn.speed}")
        _check_rules(spawn.kind, spawn.mover)
        slot = self._free("vehicles", int(self._worlds["seats"][world, 1]), world)
        vehicles, drivers = self._worlds["vehicles"][world], self._worlds["drivers"][world]
        number = self._next_id(world)
        seed = int(self._rows["seed"][world * self._egos])
        try:
            self._population.put(vehicles, drivers, slot, number, spawn, seed)
        except ValueError:
            self._empty(world, slot)
            raise
        pairs = np.zeros((len(vehicles), 2), np.int32)
        for pair in pairs[: overlaps(vehicles, pairs)].tolist():
            if slot in pair:
                other = int(vehicles["id"][pair[0] if pair[1] == slot else pair[1]])
                self._empty(world, slot)
                raise ValueError(
                    f"vehicle {other} stands at ({spawn.x:.1f}, {spawn.y:.1f}) of world {world} "
                    "already; spawn elsewhere or remove it first"
                )
        control = np.zeros((), CONTROL)
        control["brake"] = 1.0
        self._worlds["controls"][world, slot] = control
        return number

    def remove(self, world: int, id: int) -> None:
        """Removes a vehicle.

        Raises:
            ValueError: no such world, no vehicle of this id, or an ego.
            RuntimeError: the world has not been reset.
        """
        self._check_world(world, "remove")
        self._empty(world, self._slot(world, id))

    def set_control(self, world: int, id: int, control: Records) -> None:
        """Sets how a vehicle is driven until the next call.

        Args:
            world: its world.
            id: of a vehicle whose mover is CONTROL.
            control: () or (1,) CONTROL.

        Raises:
            ValueError: no such world or vehicle, an ego, another mover, or a control that no
                vehicle can execute.
            RuntimeError: the world has not been reset.
        """
        self._check_world(world, "set_control")
        slot = self._driven(world, id)
        control = np.asarray(control)
        if control.dtype != CONTROL or control.size != 1:
            raise ValueError(
                f"control must be one CONTROL, got dtype {control.dtype}, shape {control.shape}"
            )
        one = control.reshape(1)[0]
        for name, low in (("throttle", -1.0), ("brake", 0.0), ("steer", -1.0)):
            if not low <= one[name] <= 1.0:
                raise ValueError(
                    f"{name} of vehicle {id} must be in [{low:g}, 1], got {one[name]!r}"
                )
        self._worlds["controls"][world, slot] = one

    def contact(self, world: int, id: int) -> Records:
        """Returns what a vehicle that is driven from outside met in the last step.

        Contacts with vehicles, walkers and what stands beside the road, kerbs and markings
        crossed, as an ego's; the signs and lights of a route it has none of stay -1.

        Args:
            world: its world.
            id: of a vehicle whose mover is CONTROL; an ego's are in `Scene.events`.

        Returns:
            A copy, () EVENTS.

        Raises:
            ValueError: no such world or vehicle, an ego, or another mover.
            RuntimeError: the world has not been reset.
        """
        self._check_world(world, "contact")
        slot = self._driven(world, id)
        found: Records = self._worlds["contacts"][world, slot].copy()
        found["red_light"] = found["stop_sign"] = -1
        return found

    def set_mover(self, world: int, id: int, mover: Mover) -> None:
        """Hands a vehicle to somebody else: to traffic, to a control, or to nobody.

        Raises:
            ValueError: no such world or vehicle, an ego, or traffic off the driving lanes.
            RuntimeError: the world has not been reset.
        """
        self._check_world(world, "set_mover")
        slot = self._slot(world, id)
        vehicles, drivers = self._worlds["vehicles"][world], self._worlds["drivers"][world]
        if vehicles["mover"][slot] == mover:
            return
        _check_rules(ActorKind(int(vehicles["kind"][slot])), mover)
        _leave_traffic(drivers, slot)
        if mover == Mover.TRAFFIC:
            seed = np.uint64(self._rows["seed"][world * self._egos])
            if not enlist(vehicles, drivers, slot, MODELS, self._roads, ground(self.network), seed):
                x, y = float(vehicles["x"][slot]), float(vehicles["y"][slot])
                raise ValueError(
                    f"vehicle {id} of world {world} cannot follow the rules of the road: "
                    f"({x:.1f}, {y:.1f}) is on no driving lane; drive it onto one first"
                )
            return
        vehicles["mover"][slot] = int(mover)
        self._worlds["contacts"][world, slot] = np.zeros((), EVENTS)
        if mover != Mover.CONTROL:
            for name in ("speed", "acceleration", "yaw_rate"):
                vehicles[name][slot] = 0.0
        control = np.zeros((), CONTROL)
        control["brake"] = 1.0
        self._worlds["controls"][world, slot] = control

    def spawn_walker(
        self, world: int, x: float, y: float, heading: float, speed: float = 0.0
    ) -> int:
        """Adds a walker, who goes straight on as told, and returns its id.

        Args:
            world: which.
            x: world frame [m].
            y: [m].
            heading: [rad].
            speed: in [0, 10] [m/s].

        Raises:
            ValueError: no such world, values that are not finite, or a speed out of range.
            RuntimeError: the world has not been reset.
        """
        self._check_world(world, "spawn_walker")
        _check_walk(x=x, y=y, heading=heading, speed=speed)
        slot = self._free("walkers", int(self._worlds["seats"][world, 3]), world)
        walker = self._worlds["walkers"][world]
        place = lane_queries.locate(self.network, np.array([[x, y]]))[0]
        walker["x"][slot], walker["y"][slot], walker["z"][slot] = x, y, place["z"]
        walker["radius"][slot], walker["height"][slot] = 0.3, 1.75
        number = self._next_id(world)
        walker["id"][slot] = number
        for name, value in zip("rgb", (66, 82, 120), strict=True):
            walker[name][slot] = value
        self.set_walker(world, number, heading, speed)
        return number

    def set_walker(self, world: int, id: int, heading: float, speed: float) -> None:
        """Tells a walker where to go, and how fast, until the next call.

        Raises:
            ValueError: no such world or walker, or values out of range.
            RuntimeError: the world has not been reset.
        """
        self._check_world(world, "set_walker")
        _check_walk(heading=heading, speed=speed)
        slot, walkers = self._walker(world, id), self._worlds["walkers"][world]
        walkers["heading"][slot], walkers["speed"][slot] = heading, speed
        walkers["gait"][slot] = int(Gait.SCRIPTED if speed > 0.0 else Gait.STANDING)

    def remove_walker(self, world: int, id: int) -> None:
        """Removes a walker.

        Raises:
            ValueError: no such world or walker.
            RuntimeError: the world has not been reset.
        """
        self._check_world(world, "remove_walker")
        slot = self._walker(world, id)
        for name in PER_WALKER:
            self._worlds[name][world, slot] = np.zeros((), self._worlds[name].dtype)

    def set_light(self, world: int, signal: int, state: LightState) -> None:
        """Sets one traffic light until its junction's cycle sets it again.

        Args:
            world: which.
            signal: index into RoadNetwork.signals.
            state: RED, YELLOW, GREEN or OFF.

        Raises:
            ValueError: no such world, a signal that is no light, or lights that do not run.
            RuntimeError: the world has not been reset.
        """
        self._check_world(world, "set_light")
        self._check_lights(world)
        signals = self.network.signals
        lights = np.flatnonzero(signals["kind"] == SignalKind.LIGHT).tolist()
        if signal not in lights:
            raise ValueError(
                f"signal {signal} of {self.network.name} is no traffic light; its lights are "
                f"{lights}"
            )
        self._worlds["lights"][world, signal] = int(LightState(state))

    def freeze_lights(self, world: int, frozen: bool = True) -> None:
        """Stops the cycles of all lights of a world as they are, or lets them go on.

        Raises:
            ValueError: no such world, or lights that do not run.
            RuntimeError: the world has not been reset.
        """
        self._check_world(world, "freeze_lights")
        self._check_lights(world)
        self._worlds["cycles"]["frozen"][world] = frozen
        if not frozen:  # what was set meanwhile is what the cycle says again
            phases = phases_of(self.network)
            show_cycle(phases, self._worlds["cycles"][world], self._worlds["lights"][world])

    def _check_world(self, world: int, action: str) -> None:
        n = len(self._worlds["vehicles"])
        if not 0 <= world < n:
            raise ValueError(f"world must be in [0, {n - 1}], got {world}")
        self._check_begun(np.array([world * self._egos]), action)

    def _check_lights(self, world: int) -> None:
        if not self._worlds["signals"][world]:
            raise ValueError(
                f"the lights of world {world} do not run; start its episode with "
                "Traffic(signals=True)"
            )

    def _slot(self, world: int, id: int) -> int:
        """Returns the slot of a vehicle that is no ego."""
        ids = self._worlds["vehicles"]["id"][world]
        found = np.flatnonzero(ids == id)
        if id <= 0 or len(found) == 0:
            raise ValueError(
                f"world {world} has no vehicle {id}; there are {ids[ids > 0].tolist()}"
            )
        if found[0] < self._egos:
            raise ValueError(
                f"vehicle {id} of world {world} is an ego: it is driven by step and placed by "
                "reset and place"
            )
        return int(found[0])

    def _driven(self, world: int, id: int) -> int:
        """Returns the slot of a vehicle that a Control moves and that is no ego."""
        slot = self._slot(world, id)
        mover = Mover(int(self._worlds["vehicles"]["mover"][world, slot]))
        if mover != Mover.CONTROL:
            raise ValueError(
                f"vehicle {id} of world {world} is moved by {mover.name}; call set_mover(world, "
                "id, Mover.CONTROL) first"
            )
        return slot

    def _walker(self, world: int, id: int) -> int:
        ids = self._worlds["walkers"]["id"][world]
        found = np.flatnonzero(ids == id)
        if id <= 0 or len(found) == 0:
            raise ValueError(f"world {world} has no walker {id}; there are {ids[ids > 0].tolist()}")
        return int(found[0])

    def _free(self, name: str, first: int, world: int) -> int:
        """Returns the first empty slot behind those of the episode's own actors."""
        ids = self._worlds[name]["id"][world]
        empty = np.flatnonzero(ids[first:] == 0)
        if len(empty):
            return first + int(empty[0])
        slot = max(len(ids), first)
        names = PER_VEHICLE if name == "vehicles" else PER_WALKER
        self._make_room({one: (slot + _SPARE,) for one in names})
        return slot

    def _next_id(self, world: int) -> int:
        number = int(self._worlds["next_id"][world])
        self._worlds["next_id"][world] = number + 1
        return number

    def _empty(self, world: int, slot: int) -> None:
        for name in PER_VEHICLE:
            self._worlds[name][world, slot] = np.zeros((), self._worlds[name].dtype)
        _leave_traffic(self._worlds["drivers"][world], slot)


def _leave_traffic(drivers: Records, slot: int) -> None:
    for name in ("lane", "from_lane", "next_lane", "path0", "path1", "path2", "want", "tail"):
        drivers[name][slot] = -1


def _check_rules(kind: ActorKind, mover: Mover) -> None:
    if kind == ActorKind.PROP and mover in (Mover.TRAFFIC, Mover.CONTROL):
        raise ValueError(f"a PROP stands where it is, it cannot be moved by {mover.name}")


def _check_walk(**values: float) -> None:
    for name, value in values.items():
        if not np.isfinite(value):
            raise ValueError(f"{name} of a walker must be finite, got {value}")
    if not 0.0 <= values["speed"] <= _FASTEST_WALK:
        raise ValueError(
            f"speed of a walker must be in [0, {_FASTEST_WALK:g}] m/s, got {values['speed']}"
        )
