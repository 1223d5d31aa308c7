"""The arrays of all worlds by name: what there is once per world."""

from __future__ import annotations

import numpy as np

from drive_il.actors import EVENTS, WALKER, LightState
from drive_il.datatypes import CONTROL, VEHICLE, Array, Ints
from drive_il.maps.network import RoadNetwork
from drive_il.sim.drivers import DRIVER
from drive_il.sim.lights import CYCLE, phases_of
from drive_il.sim.programs import ROLE_STATE, SCRIPT_STATE
from drive_il.sim.walker_gaps import PASSAGE_STATE, WALK

PER_VEHICLE = ("vehicles", "drivers", "controls", "contacts")
"""names of the arrays with one column per vehicle"""
PER_WALKER = ("walkers", "walks")
"""names of the arrays with one column per walker"""


def empty_worlds(network: RoadNetwork, n_worlds: int, egos: int) -> dict[str, Array]:
    """Returns the arrays of worlds with nobody but the egos."""
    drivers = np.zeros((n_worlds, egos), DRIVER)
    for name in ("lane", "from_lane", "next_lane", "before", "want", "tail"):
        drivers[name] = -1
    phases = phases_of(network)
    return {
        "vehicles": np.zeros((n_worlds, egos), VEHICLE),
        "drivers": drivers,
        "controls": np.zeros((n_worlds, egos), CONTROL),
        "contacts": np.zeros((n_worlds, egos), EVENTS),
        "walkers": np.zeros((n_worlds, 0), WALKER),
        "walks": np.zeros((n_worlds, 0), WALK),
        "lights": np.full((n_worlds, len(network.signals)), int(LightState.OFF), np.uint8),
        "cycles": np.zeros((n_worlds, len(phases.first) - 1), CYCLE),
        "busy": np.zeros((n_worlds, len(network.crosswalk_first) - 1), np.uint8),
        "waits": np.zeros((n_worlds, len(network.crosswalk_first) - 1), PASSAGE_STATE),
        "signals": np.zeros(n_worlds, np.bool_),
        "slippery": np.zeros(n_worlds, np.bool_),
        "next_id": np.full(n_worlds, egos + 1, np.int64),
        "scripts": np.zeros((n_worlds, 0), SCRIPT_STATE),
        "roles": np.zeros((n_worlds, 0), ROLE_STATE),
        "seats": np.tile(np.array([egos, egos, 0, 0], np.int32), (n_worlds, 1)),
    }


def put(room: Array, worlds: Ints, items: Array) -> None:
    """Writes items into worlds; slots that they do not have become empty."""
    if room.ndim == 1 or room.shape[1] == items.shape[1]:
        room[worlds] = items
        return
    room[worlds] = np.zeros((), room.dtype)
    room[worlds, : items.shape[1]] = items
