"""Where everyone was in the last moments, for those who ask a world to remember.

A world that remembers keeps a ring of H states beside its actors; a scene shows it as it
shows all else, so that any row can still be observed at any time, in any order. Memory is
by slot, not by actor: at every moment a slot shows who was in it then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FOOTPRINT = np.dtype(
    [
        ("x", "f8"),  # [m] centre, world frame
        ("y", "f8"),
        ("heading", "f8"),  # [rad]
        ("z", "f4"),  # [m]
        ("length", "f4"),  # [m] 0: nobody was there
        ("width", "f4"),  # [m]
        ("kind", "i4"),  # ActorKind of a vehicle, 0 of a walker
    ]
)
"""The ground that one actor covered at one moment; walkers cover a square around their disc."""

_STOP_SIGN = 2  # SignalKind.STOP: the maps lie above this file
_SIGN_SIGHT = 20.0  # [m] Roach's stop sign criterion looks so far along the route


@dataclass(frozen=True)
class Past:
    """The last H states of W worlds and their B egos. H is 0 where nobody remembers.

    What was k steps ago (k = 1 ... count) lies at `(newest - k + 1) % H` of the last axis.

    Attributes:
        vehicles: (W, V, H) FOOTPRINT.
        walkers: (W, P, H) FOOTPRINT.
        lights: LightState of each of the map's signals, (W, S, H) uint8.
        stops: stop sign at which each ego still had to halt, as an index into signals, -1
            where there was none, (B, H) int32.
        newest: where the state before the present lies, (W,) int32.
        count: states remembered since the world's reset, at most H, (W,) int32.
    """

    vehicles: npt.NDArray[np.void]
    walkers: npt.NDArray[np.void]
    lights: npt.NDArray[np.integer[Any]]
    stops: npt.NDArray[np.integer[Any]]
    newest: npt.NDArray[np.integer[Any]]
    count: npt.NDArray[np.integer[Any]]

    @property
    def n_steps(self) -> int:
        """H."""
        return int(self.stops.shape[1])

    def take(
        self, rows: npt.NDArray[np.integer[Any]], worlds: npt.NDArray[np.integer[Any]]
    ) -> Past:
        """Returns a copy for egos that each have a world of their own; see `Actors.take`."""
        if self.n_steps == 0:
            return no_past(len(rows))
        return Past(
            self.vehicles[worlds],
            self.walkers[worlds],
            self.lights[worlds],
            self.stops[rows],
            self.newest[worlds],
            self.count[worlds],
        )


def no_past(n_rows: int) -> Past:
    """Returns the past of B egos in as many worlds that remember nothing."""
    return Past(
        np.zeros((n_rows, 0, 0), FOOTPRINT),
        np.zeros((n_rows, 0, 0), FOOTPRINT),
        np.zeros((n_rows, 0, 0), np.uint8),
        np.zeros((n_rows, 0), np.int32),
        np.full(n_rows, -1, np.int32),
        np.zeros(n_rows, np.int32),
    )


def n_past_steps(history: float, dt: float) -> int:
    """Returns how many past states reach back so far, H.

    Args:
        history: in [0, 60) [s].
        dt: time between two states [s].

    Raises:
        ValueError: for a history out of range.
    """
    if not 0.0 <= history < 60.0:
        raise ValueError(f"history must be in [0, 60) seconds, got {history}")
    return math.ceil(history / dt - 1e-9)


def past_of_log(
    vehicles: npt.NDArray[np.void],
    walkers: npt.NDArray[np.void],
    lights: npt.NDArray[np.integer[Any]],
    progress: npt.NDArray[np.void],
    n_steps: int,
) -> Past:
    """Returns what each state of one logged episode remembered, as read-only views.

    Args:
        vehicles: (T, V) VEHICLE, state after state.
        walkers: (T, P) WALKER.
        lights: (T, S) uint8.
        progress: (T,) PROGRESS.
        n_steps: H.
    """
    n_states = len(progress)
    if n_steps == 0:
        return no_past(n_states)
    return Past(
        _windows(footprints(vehicles), n_steps),
        _windows(footprints(walkers), n_steps),
        _windows(lights, n_steps),
        _windows(signs_ahead(progress), n_steps),
        np.full(n_states, n_steps - 1, np.int32),
        np.minimum(np.arange(n_states, dtype=np.int32), np.int32(n_steps)),
    )


def footprints(actors: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Returns the ground that VEHICLE or WALKER records cover, as FOOTPRINT records."""
    prints = np.zeros(actors.shape, FOOTPRINT)
    for name in ("x", "y", "heading", "z"):
        prints[name] = actors[name]
    is_there = actors["id"] != 0
    if "radius" in (actors.dtype.names or ()):
        prints["length"] = prints["width"] = np.where(is_there, 2.0 * actors["radius"], 0.0)
    else:
        prints["length"] = np.where(is_there, actors["length"], 0.0)
        prints["width"] = actors["width"]
        prints["kind"] = actors["kind"]
    return prints


def signs_ahead(progress: npt.NDArray[np.void]) -> npt.NDArray[np.integer[Any]]:
    """Returns at which stop sign near ahead each ego still has to halt, (B,) int32 signals.

    -1 where there is none, or where it has halted already.
    """
    must_halt = (progress["stop_kind"] == _STOP_SIGN) & ~progress["stop_served"]
    must_halt &= progress["stop_distance"] < _SIGN_SIGHT
    return np.where(must_halt, progress["stop_signal"], np.int32(-1)).astype(np.int32)


def _windows(states: npt.NDArray[Any], n_steps: int) -> npt.NDArray[Any]:
    """Returns the n_steps states before each one, (T, ..., n_steps), a view of one copy."""
    before = np.zeros((n_steps, *states.shape[1:]), states.dtype)
    padded = np.concatenate((before, states[:-1]))
    return np.lib.stride_tricks.sliding_window_view(padded, n_steps, axis=0)
