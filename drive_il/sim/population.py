"""Who is in a world: filling it when it starts, adding and removing actors while it runs."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np

from drive_il.actors import ActorKind, Mover, Spawn, Traffic
from drive_il.datatypes import Array, Records
from drive_il.maps import lane_queries
from drive_il.maps.ground import ground
from drive_il.maps.network import LaneType, RoadNetwork
from drive_il.sim.models import MODELS, PAINTS
from drive_il.sim.pavements import pavements_of
from drive_il.sim.roads import Roads
from drive_il.sim.spawning import adopt, spawn_traffic
from drive_il.sim.walkers import spawn_walkers

Worlds: TypeAlias = dict[str, Array]
"""The arrays of all worlds by name, see `World`."""
_PER_METRE = 2.0  # people per metre of sidewalk, more than ever find a place
_PARKED_APART = 7.0  # [m]


def room_for(traffic: Traffic, n_egos: int) -> int:
    """Returns the vehicle slots that a world needs for what an episode asks for."""
    return n_egos + traffic.vehicles + traffic.parked + len(traffic.spawns)


class Population:
    """Fills the worlds of one map.

    Args:
        network: the map.
        roads: its tables for traffic.
    """

    def __init__(self, network: RoadNetwork, roads: Roads) -> None:
        self._network, self._roads = network, roads

    def fill(self, worlds: Worlds, world: int, traffic: Traffic, seed: int, n_egos: int) -> None:
        """Puts what an episode asks for into one world whose other slots are empty.

        Raises:
            ValueError: more vehicles or walkers than the map has room for, or a spawn off the
                road.
        """
        vehicles, drivers = worlds["vehicles"][world], worlds["drivers"][world]
        slot = n_egos
        for spawn in traffic.spawns:
            self.put(vehicles, drivers, slot, slot + 1, spawn, seed)
            slot += 1
        slot += self._park(vehicles, slot, traffic.parked, seed)
        if traffic.vehicles:
            n = spawn_traffic(
                vehicles,
                drivers,
                slot,
                traffic.vehicles,
                MODELS,
                PAINTS,
                self._roads,
                np.uint64(seed),
                traffic.cars_only,
            )
            if n < 0.8 * traffic.vehicles:
                raise ValueError(
                    f"traffic.vehicles={traffic.vehicles} do not fit on {self._network.name}: "
                    f"{n} found a place; ask for at most {n}"
                )

        if traffic.walkers:
            self._people(worlds, world, traffic, seed, room_for(traffic, n_egos) + 1)

    def _people(self, worlds: Worlds, world: int, traffic: Traffic, seed: int, number: int) -> None:
        """Puts people on the sidewalks; `number` is the first one's id."""
        pavements, n = pavements_of(self._network), 0
        walkers, walks = worlds["walkers"][world], worlds["walks"][world]
        room = int(_PER_METRE * pavements.reach[-1]) if len(pavements.reach) else 0
        if 0 < room < traffic.walkers:  # no use to look for a place for each
            raise ValueError(
                f"traffic.walkers={traffic.walkers} do not fit on {self._network.name}: its "
                f"sidewalks hold at most {room}; ask for fewer"
            )
        if room:
            n = spawn_walkers(
                walkers,
                walks,
                traffic.walkers,
                number,
                pavements,
                np.uint64(seed),
                traffic.jaywalkers,
            )
        if n < 0.8 * traffic.walkers:
            raise ValueError(
                f"traffic.walkers={traffic.walkers} do not fit on {self._network.name}: {n} found "
                f"a place on its sidewalks; ask for at most {n}"
            )

    def put(
        self,
        vehicles: Records,
        drivers: Records,
        slot: int,
        number: int,
        spawn: Spawn,
        seed: int,
    ) -> None:
        """Puts one vehicle into a slot of one world.

        Raises:
            ValueError: a vehicle of traffic that is not on a driving lane.
        """
        height = self._height(spawn)
        pose = np.array([spawn.x, spawn.y, height, spawn.heading, spawn.speed])
        if not np.isfinite(pose).all():
            raise ValueError(f"a spawn must be finite, got {spawn}")
        kind, paint = int(spawn.kind), number % len(PAINTS)
        ok = adopt(
            vehicles,
            drivers,
            slot,
            number,
            np.array([int(spawn.mover), kind, paint]),
            pose,
            MODELS,
            PAINTS,
            self._roads,
            ground(self._network),
            np.uint64(seed),
        )
        if not ok:
            raise ValueError(
                f"a vehicle that follows the rules must start on a driving lane, but "
                f"({spawn.x:.1f}, {spawn.y:.1f}) on {self._network.name} is none; move it, or "
                f"give it another mover than {Mover.TRAFFIC.name}"
            )

    def _height(self, spawn: Spawn) -> float:
        place = lane_queries.locate(self._network, np.array([[spawn.x, spawn.y]]))[0]
        return float(place["z"])

    def _park(self, vehicles: Records, slot: int, count: int, seed: int) -> int:
        """Parks vehicles beside the road; returns how many."""
        if count == 0:
            return 0
        rng = np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32, 77])
        places = _parking_places(self._network)
        if 0 < len(places) < count:
            raise ValueError(
                f"traffic.parked={count} do not fit on {self._network.name}: it has "
                f"{len(places)} parking places; ask for at most {len(places)}"
            )
        order = rng.permutation(len(places))[:count]
        models = MODELS[rng.choice([ActorKind.CAR, ActorKind.CAR, ActorKind.VAN], len(order))]
        for k, (place, model) in enumerate(zip(places[order], models, strict=True)):
            vehicle = vehicles[slot + k]
            for name in ("x", "y", "z", "heading"):
                vehicle[name] = place[name]
            for name in ("kind", "length", "width", "height", "rear_wheelbase", "power"):
                vehicle[name] = model[name]
            vehicle["id"], vehicle["mover"], vehicle["lane"] = slot + k + 1, Mover.NOBODY, -1
            vehicle["r"], vehicle["g"], vehicle["b"] = PAINTS[int(rng.integers(len(PAINTS)))]
        return len(order)


@lru_cache(maxsize=8)
def _parking_places(network: RoadNetwork) -> Records:
    """Points in the middle of the parking lanes, a car's length apart."""
    lanes, found = network.lanes, []
    for lane in np.flatnonzero(lanes["type"] == LaneType.PARKING):
        points = network.points[lanes["first"][lane] : lanes["first"][lane] + lanes["count"][lane]]
        points = points[points["width"] > 1.8]
        if len(points) < 2:
            continue
        at = np.arange(points["s"][0] + 4.0, points["s"][-1] - 4.0, _PARKED_APART)
        found.append(points[np.searchsorted(points["s"], at)])
    return np.concatenate(found) if found else network.points[:0]
