"""Traffic lights that run: the phases of each junction follow one another.

A phase is what one OpenDRIVE controller groups (a light without a controller is a phase of
its own, as in CARLA's towns); it is green, then yellow, and all are red before the next.
CARLA's default durations. Where in its cycle a junction starts is keyed by the episode.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import LightState
from drive_il.datatypes import Ints, Records
from drive_il.keyed_noise import noise_key, uniform_at
from drive_il.maps.network import RoadNetwork, SignalKind
from drive_il.randomness import purpose_key

GREEN_TIME = 10.0
"""[s]"""
YELLOW_TIME = 3.0
"""[s]"""
CLEARING_TIME = 2.0
"""all are red between two phases [s]"""
_PHASE_TIME = GREEN_TIME + YELLOW_TIME + CLEARING_TIME
_RED, _YELLOW, _GREEN, _OFF = (
    int(LightState.RED),
    int(LightState.YELLOW),
    int(LightState.GREEN),
    int(LightState.OFF),
)
_START = purpose_key("light cycle")

CYCLE = np.dtype(
    [
        ("elapsed", "f8"),  # [s] in the present phase
        ("phase", "i4"),  # which is green or yellow, or was last
        ("frozen", "?"),  # nothing changes
    ]
)
"""Where one junction's lights are in their cycle."""


class Phases(NamedTuple):
    """Which lights are green together.

    Attributes:
        first: first phase of each junction with lights, then their number, (J + 1,).
        signal_first: first entry of each phase, then their number, (F + 1,).
        signals: the signals of each phase, by index into RoadNetwork.signals.
    """

    first: Ints
    signal_first: Ints
    signals: Ints


PHASES = nt.NamedUniTuple(nt.int32[::1], 3, Phases)
"""Numba type of `Phases`."""


@lru_cache(maxsize=8)
def phases_of(network: RoadNetwork) -> Phases:
    """Returns the phases of a map's lights (remembered)."""
    signals = network.signals
    groups: dict[int, dict[int, list[int]]] = {}
    for index in np.flatnonzero(signals["kind"] == SignalKind.LIGHT).tolist():
        junction, controller = int(signals["junction"][index]), int(signals["controller"][index])
        alone = -2 - index  # neither a controller nor -1
        phase = controller if controller >= 0 else alone
        # A light that guards no junction is on its own.
        groups.setdefault(junction if junction >= 0 else alone, {}).setdefault(phase, []).append(
            index
        )
    first, signal_first, members = [0], [0], []
    for junction in sorted(groups):
        for phase in sorted(groups[junction]):
            members += groups[junction][phase]
            signal_first.append(len(members))
        first.append(len(signal_first) - 1)
    return Phases(*(np.array(part, np.int32) for part in (first, signal_first, members)))


@kernels.inner
def _show(phases: Any, junction: int, phase: int, state: int, lights: Ints) -> None:
    first = phases.first[junction] + phase
    for k in range(phases.signal_first[first], phases.signal_first[first + 1]):
        lights[phases.signals[k]] = state


@kernels.device
def start_lights(phases: Any, cycles: Records, lights: Ints, seed: Any, on: bool) -> None:
    """Starts the lights of one world.

    Args:
        phases: see Phases.
        cycles: (J,) CYCLE.
        lights: (S,) LightState.
        seed: of the episode.
        on: False switches them off.
    """
    for signal in range(len(lights)):
        lights[signal] = _OFF
    key = noise_key(seed, 0, _START)
    for junction in range(len(cycles)):
        cycle = cycles[junction]
        n = phases.first[junction + 1] - phases.first[junction]
        place = uniform_at(key, junction) * n
        cycle.phase = min(int(place), n - 1)
        cycle.elapsed = (place - cycle.phase) * _PHASE_TIME
        cycle.frozen = not on
        if on:
            for phase in range(n):
                _show(phases, junction, phase, _RED, lights)
            _show(phases, junction, cycle.phase, _state(cycle.elapsed), lights)


@kernels.inner
def _state(elapsed: float) -> int:
    if elapsed < GREEN_TIME:
        return _GREEN
    return _YELLOW if elapsed < GREEN_TIME + YELLOW_TIME else _RED


@kernels.device
def step_lights(phases: Any, cycles: Records, lights: Ints, dt: float) -> None:
    """Lets time pass for the lights of one world; see `start_lights` for the arguments."""
    for junction in range(len(cycles)):
        cycle = cycles[junction]
        if cycle.frozen:
            continue
        n = phases.first[junction + 1] - phases.first[junction]
        before = _state(cycle.elapsed)
        cycle.elapsed += dt
        if cycle.elapsed >= _PHASE_TIME:
            cycle.elapsed -= _PHASE_TIME
            cycle.phase = cycle.phase + 1 if cycle.phase + 1 < n else 0
            _show(phases, junction, cycle.phase, _GREEN, lights)
        elif _state(cycle.elapsed) != before:
            _show(phases, junction, cycle.phase, _state(cycle.elapsed), lights)


@kernels.device
def set_phase(phases: Any, cycles: Records, lights: Ints, signal: int, state: int) -> int:
    """Brings a junction to the phase in which one of its lights is green, or just was.

    Args:
        phases: see Phases.
        cycles: (J,) CYCLE.
        lights: (S,) LightState.
        signal: the light, by index into the signals.
        state: GREEN begins its phase; any other begins the all-red time after it.

    Returns:
        The junction, -1 when the signal is no light.
    """
    for junction in range(len(cycles)):
        n = phases.first[junction + 1] - phases.first[junction]
        for phase in range(n):
            first = phases.first[junction] + phase
            for k in range(phases.signal_first[first], phases.signal_first[first + 1]):
                if phases.signals[k] != signal:
                    continue
                for other in range(n):
                    _show(phases, junction, other, _RED, lights)
                cycles[junction].phase = phase
                cycles[junction].elapsed = 0.0
                if state == _GREEN:
                    _show(phases, junction, phase, _GREEN, lights)
                else:
                    cycles[junction].elapsed = GREEN_TIME + YELLOW_TIME
                return junction
    return -1


@kernels.kernel(nt.void(PHASES, kernels.record(CYCLE)[::1], nt.uint8[::1]))
def show_cycle(phases: Any, cycles: Records, lights: Ints) -> None:
    """Shows again what the cycles of one world say; see `start_lights` for the arguments."""
    for junction in range(len(cycles)):
        cycle = cycles[junction]
        for phase in range(phases.first[junction + 1] - phases.first[junction]):
            _show(phases, junction, phase, _RED, lights)
        _show(phases, junction, cycle.phase, _state(cycle.elapsed), lights)
