"""The state of everybody after a tick, as the bytes of one message."""

from __future__ import annotations

import numpy as np

from drive_il import handedness
from drive_il.actors import ActorKind, LightState, Mover
from drive_il.carla_sim.server.actors import Actor
from drive_il.carla_sim.server.light_cycle import GREEN, RED, YELLOW
from drive_il.carla_sim.server.live_world import LiveWorld
from drive_il.carla_sim.server.signals import SpeedLimits, StopLines, light_groups, opendrive_id
from drive_il.carla_sim.server.wire import (
    ACTOR_STATE,
    LIGHT_STATE,
    SIGN_STATE,
    VEHICLE_STATE,
    WALKER_STATE,
)
from drive_il.datatypes import Bools, Floats, Ints, Records

_FIRST_LIMIT = 30.0  # [km/h] of a vehicle that has not been on a lane yet, as in CARLA


class Snapshots:
    """Writes the state of one live world.

    Args:
        world: whose vehicles, walkers and lights are written.
        signals: the lights and signs among the actors.
    """

    def __init__(self, world: LiveWorld, signals: list[Actor]) -> None:
        self._world = world
        self._lines = StopLines(world.network)
        self._limits = SpeedLimits(world.network)
        self._limit_now = np.zeros(0)
        lights = [one for one in signals if one.type_id == "traffic.traffic_light"]
        self._lights, self._signal_of = _lights(world, lights)
        self._actor_of_signal = np.zeros(len(world.network.signals) + 1, np.int64)
        for one in lights:
            self._actor_of_signal[one.signal] = one.id
        signs = [one for one in signals if one.type_id != "traffic.traffic_light"]
        self._signs = _standing(signs, SIGN_STATE)
        for record, one in zip(self._signs, signs, strict=True):
            record["sign_id"] = opendrive_id(world.network, one.signal)
        groups = light_groups(world.network)
        self._junction = np.array([groups[one.signal][0] for one in lights], np.int64)

    def bodies(self, others: list[Actor]) -> bytes:
        """Returns the record of every actor, one after the other.

        Args:
            others: actors that are neither vehicles nor walkers, lights or signs, with their
                transforms in the world.
        """
        return b"".join(
            (
                self._vehicles().tobytes(),
                _walkers(self._world.walkers).tobytes(),
                self._lights_now().tobytes(),
                self._signs.tobytes(),
                _standing(others, ACTOR_STATE).tobytes(),
            )
        )

    def forget(self, slot: int) -> None:
        """Forgets the speed limit of the vehicle that had a slot."""
        if slot < len(self._limit_now):
            self._limit_now[slot] = _FIRST_LIMIT

    def _vehicles(self) -> Records:
        world = self._world
        vehicles = world.vehicles
        slots = np.flatnonzero((vehicles["id"] > 0) & (vehicles["kind"] != ActorKind.PROP))
        if len(slots) == 0:
            return np.zeros(0, VEHICLE_STATE)
        vehicles, orders, controls = vehicles[slots], world.orders[slots], world.controls[slots]
        states = np.zeros(len(slots), VEHICLE_STATE)
        _set_motion(states, vehicles)
        driven = vehicles["mover"] == Mover.CONTROL
        for name in ("throttle", "brake"):
            states[name] = np.where(driven, controls[name], vehicles[name])
        states["steer"] = handedness.steer_to_carla(
            np.where(driven, controls["steer"], vehicles["steer"])
        )
        states["hand_brake"], states["reverse"] = orders["hand_brake"], orders["reverse"]
        states["gear"] = np.where(orders["reverse"], -1, 1)
        states["speed_limit"] = self._speed_limits(slots, vehicles)
        light = self._lines.at(vehicles)
        states["has_light"], states["light_id"] = light >= 0, self._actor_of_signal[light]
        shown = np.append(world.lights, np.uint8(LightState.GREEN))
        states["light_state"] = shown[light]
        return states

    def _speed_limits(self, slots: Ints, vehicles: Records) -> Floats:
        missing = len(self._world.vehicles) - len(self._limit_now)
        if missing > 0:
            self._limit_now = np.append(self._limit_now, np.full(missing, _FIRST_LIMIT))
        now = self._limits.of(vehicles)
        on_lane: Bools = ~np.isnan(now)
        self._limit_now[slots[on_lane]] = now[on_lane]
        return self._limit_now[slots]

    def _lights_now(self) -> Records:
        if len(self._lights):
            world, states, signals = self._world, self._lights, self._signal_of
            states["elapsed"] = world.light_elapsed[signals]
            states["light_state"] = world.lights[signals]
            states["frozen"] = world.cycles["frozen"][self._junction]
            for name, column in (("green_time", GREEN), ("yellow_time", YELLOW), ("red_time", RED)):
                states[name] = world.light_times[signals, column]
        return self._lights


def transforms_of(vehicles: Records) -> Floats:
    """Returns the transforms of vehicles, (V, 6): x, y, z [m], pitch, yaw, roll [deg]."""
    transforms = np.zeros((len(vehicles), 6))
    transforms[:, 0], transforms[:, 2] = vehicles["x"], vehicles["z"]
    transforms[:, 1] = handedness.y_to_carla(vehicles["y"])
    transforms[:, 3] = np.rad2deg(vehicles["pitch"])
    transforms[:, 4] = handedness.heading_to_carla(vehicles["heading"])
    return transforms


def _set_motion(states: Records, vehicles: Records) -> None:
    """Writes pose and motion of vehicles, converted to CARLA's frame."""
    course = vehicles["heading"] + vehicles["slip"]
    cos, sin = np.cos(course), np.sin(course)
    speed, turn, along = vehicles["speed"], vehicles["yaw_rate"], vehicles["acceleration"]
    states["id"], states["state"] = vehicles["id"], 1
    states["transform"] = transforms_of(vehicles)
    states["velocity"][:, 0] = speed * cos
    states["velocity"][:, 1] = handedness.y_to_carla(speed * sin)
    states["angular_velocity"][:, 2] = handedness.yaw_rate_to_carla(turn)
    inward = speed * turn  # to the left of the velocity
    states["acceleration"][:, 0] = along * cos - inward * sin
    states["acceleration"][:, 1] = handedness.y_to_carla(along * sin + inward * cos)


def _walkers(walkers: Records) -> Records:
    walkers = walkers[walkers["id"] > 0]
    states = np.zeros(len(walkers), WALKER_STATE)
    if len(walkers) == 0:
        return states
    cos, sin = np.cos(walkers["heading"]), handedness.y_to_carla(np.sin(walkers["heading"]))
    states["id"], states["state"] = walkers["id"], 1
    transform = states["transform"]
    transform[:, 0], transform[:, 1] = walkers["x"], handedness.y_to_carla(walkers["y"])
    transform[:, 2] = walkers["z"] + 0.5 * walkers["height"]  # CARLA's is in the middle
    transform[:, 4] = handedness.heading_to_carla(walkers["heading"])
    states["velocity"][:, 0] = walkers["speed"] * cos
    states["velocity"][:, 1] = walkers["speed"] * sin
    states["direction"][:, 0], states["direction"][:, 1] = cos, sin
    states["speed"] = walkers["speed"]
    return states


def _standing(actors: list[Actor], dtype: np.dtype[np.void]) -> Records:
    states = np.zeros(len(actors), dtype)
    if actors:
        states["id"], states["state"] = [one.id for one in actors], 1
        states["transform"] = [one.transform for one in actors]
    return states


def _lights(world: LiveWorld, lights: list[Actor]) -> tuple[Records, Ints]:
    states = _standing(lights, LIGHT_STATE)
    for record, one in zip(states, lights, strict=True):
        record["sign_id"] = opendrive_id(world.network, one.signal)
    return states, np.array([one.signal for one in lights], np.int64)
