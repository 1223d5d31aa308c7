"""How a world remembers: before each step it writes down where everyone is.

A kernel of its own, so that a world that nobody asked to remember pays nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import WALKER
from drive_il.datatypes import VEHICLE, Array, Ints, Records
from drive_il.past import FOOTPRINT, Past, signs_ahead


def row_memory(n_rows: int, n_steps: int) -> dict[str, Array]:
    """Returns the part of the memory that belongs to the egos, to be kept with the rows."""
    return {"past_stops": np.full((n_rows, n_steps), -1, np.int32)}


def world_memory(worlds: dict[str, Array], n_steps: int) -> dict[str, Array]:
    """Returns the part that belongs to the worlds, with a ring for each of their slots."""
    n_worlds = len(worlds["vehicles"])
    return {
        "past_vehicles": np.zeros((*worlds["vehicles"].shape, n_steps), FOOTPRINT),
        "past_walkers": np.zeros((*worlds["walkers"].shape, n_steps), FOOTPRINT),
        "past_lights": np.zeros((*worlds["lights"].shape, n_steps), np.uint8),
        "past_newest": np.full(n_worlds, -1, np.int32),
        "past_count": np.zeros(n_worlds, np.int32),
    }


def fit(worlds: dict[str, Array]) -> None:
    """Widens the rings to as many slots as the worlds have."""
    for name in ("vehicles", "walkers", "lights"):
        ring, n_slots = worlds[f"past_{name}"], worlds[name].shape[1]
        if ring.shape[1] < n_slots:
            wider = np.zeros((len(ring), n_slots, ring.shape[2]), ring.dtype)
            wider[:, : ring.shape[1]] = ring
            worlds[f"past_{name}"] = wider


def n_steps(rows: Mapping[str, Array]) -> int:
    """Returns how many states rows of a world or snapshot remember."""
    return rows["past_stops"].shape[1] if "past_stops" in rows else 0


def past(rows: dict[str, Array], worlds: dict[str, Array]) -> Past:
    """Returns the memory as a scene shows it, as views."""
    return Past(
        worlds["past_vehicles"],
        worlds["past_walkers"],
        worlds["past_lights"],
        rows["past_stops"],
        worlds["past_newest"],
        worlds["past_count"],
    )


def forget(rows: dict[str, Array], worlds: dict[str, Array], reset: Ints) -> None:
    """Forgets the past of rows that begin an episode; a world's first ego begins its world."""
    rows["past_stops"][reset] = -1
    n_egos = len(rows["past_stops"]) // len(worlds["past_count"])
    worlds["past_count"][reset[reset % n_egos == 0] // n_egos] = 0


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(VEHICLE)[:, ::1],
        kernels.record(WALKER)[:, ::1],
        nt.uint8[:, ::1],
        kernels.record(FOOTPRINT)[:, :, ::1],
        kernels.record(FOOTPRINT)[:, :, ::1],
        nt.uint8[:, :, ::1],
        nt.int32[::1],
        nt.int32[::1],
    )
)
def _remember(
    first_world: int,
    last_world: int,
    vehicles: Records,
    walkers: Records,
    lights: Ints,
    past_vehicles: Records,
    past_walkers: Records,
    past_lights: Ints,
    newest: Ints,
    count: Ints,
) -> None:
    """Writes the present of some worlds into their rings; see `Past` for the arrays."""
    n_steps = past_vehicles.shape[2]
    for world in range(first_world, last_world):
        at = (newest[world] + 1) % n_steps
        newest[world] = at
        count[world] = min(count[world] + 1, n_steps)
        for slot in range(vehicles.shape[1]):
            actor, mark = vehicles[world, slot], past_vehicles[world, slot, at]
            mark.x = actor.x
            mark.y = actor.y
            mark.heading = actor.heading
            mark.z = actor.z
            mark.length = actor.length if actor.id != 0 else 0.0
            mark.width = actor.width
            mark.kind = actor.kind
        for slot in range(walkers.shape[1]):
            walker, mark = walkers[world, slot], past_walkers[world, slot, at]
            mark.x = walker.x
            mark.y = walker.y
            mark.heading = walker.heading
            mark.z = walker.z
            mark.length = 2.0 * walker.radius if walker.id != 0 else 0.0
            mark.width = mark.length
        for signal in range(lights.shape[1]):
            past_lights[world, signal, at] = lights[world, signal]


def remember(rows: dict[str, Array], worlds: dict[str, Array]) -> None:
    """Writes the present of all worlds into their rings."""
    kernels.run(
        _remember,
        len(worlds["vehicles"]),
        *(worlds[name] for name in ("vehicles", "walkers", "lights")),
        *(worlds[f"past_{name}"] for name in ("vehicles", "walkers", "lights", "newest", "count")),
        min_rows=1024,
    )
    n_rows, n_worlds = len(rows["progress"]), len(worlds["vehicles"])
    at = np.repeat(worlds["past_newest"], n_rows // n_worlds)
    rows["past_stops"][np.arange(n_rows), at] = signs_ahead(rows["progress"])
