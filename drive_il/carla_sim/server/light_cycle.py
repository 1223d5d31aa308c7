"""Cycles of traffic lights whose times can be told: phases in turn, each green, yellow, red.

Junctions, phases and defaults are those of `sim.lights`; a phase lasts as long as the times of
its first light say. Red is the time in which all are red before the next phase, as in CARLA.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import LightState
from drive_il.datatypes import Floats, Ints, Records
from drive_il.sim.lights import (
    CLEARING_TIME,
    CYCLE,
    GREEN_TIME,
    PHASES,
    YELLOW_TIME,
    Phases,
    set_phase,
    start_lights,
)

GREEN, YELLOW, RED = 0, 1, 2
"""columns of a light's times"""
_ROUNDING = 1e-9  # [s] that a sum of steps may fall short of a time
_RED, _YELLOW, _GREEN = int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN)


def default_times(n_signals: int) -> Floats:
    """Returns green, yellow and red of each signal, (S, 3) [s]."""
    return np.tile([GREEN_TIME, YELLOW_TIME, CLEARING_TIME], (n_signals, 1))


@kernels.kernel(nt.void(PHASES, kernels.record(CYCLE)[::1], nt.uint8[::1], nt.uint64))
def begin_lights(phases: Phases, cycles: Records, lights: Ints, seed: Any) -> None:
    """Starts the lights of an episode, (J,) CYCLE and (S,) LightState."""
    start_lights(phases, cycles, lights, seed, True)


@kernels.inner
def _show(phases: Any, first: int, state: int, lights: Ints, elapsed: Floats) -> None:
    for k in range(phases.signal_first[first], phases.signal_first[first + 1]):
        signal = phases.signals[k]
        if lights[signal] != state:
            lights[signal], elapsed[signal] = state, 0.0


@kernels.kernel(
    nt.void(
        PHASES,
        kernels.record(CYCLE)[::1],
        nt.float64[:, ::1],
        nt.float64[::1],
        nt.uint8[::1],
        nt.float64,
    )
)
def pass_time(
    phases: Phases, cycles: Records, times: Floats, elapsed: Floats, lights: Ints, dt: float
) -> None:
    """Lets time pass for the lights.

    A state that was set from outside stays until the cycle comes to the next one.

    Args:
        phases: which lights are green together.
        cycles: (J,) CYCLE.
        times: green, yellow and red of each signal, (S, 3) [s].
        elapsed: since each signal shows what it shows, (S,) [s].
        lights: (S,) LightState.
        dt: [s].
    """
    for signal in range(len(elapsed)):
        elapsed[signal] += dt
    for junction in range(len(cycles)):
        cycle = cycles[junction]
        if cycle.frozen:
            continue
        n = phases.first[junction + 1] - phases.first[junction]
        first = phases.first[junction] + cycle.phase
        its = times[phases.signals[phases.signal_first[first]]]
        yellow_at = its[GREEN]
        red_at = yellow_at + its[YELLOW]
        end = red_at + its[RED]
        before = cycle.elapsed + _ROUNDING
        cycle.elapsed += dt
        now = cycle.elapsed + _ROUNDING
        if now >= end:
            _show(phases, first, _RED, lights, elapsed)
            cycle.elapsed = 0.0
            cycle.phase = cycle.phase + 1 if cycle.phase + 1 < n else 0
            _show(phases, phases.first[junction] + cycle.phase, _GREEN, lights, elapsed)
        elif before < yellow_at <= now:
            _show(phases, first, _YELLOW, lights, elapsed)
        elif before < red_at <= now:
            _show(phases, first, _RED, lights, elapsed)


@kernels.kernel(
    nt.void(PHASES, kernels.record(CYCLE)[::1], nt.float64[::1], nt.uint8[::1], nt.int64)
)
def restart_cycle(
    phases: Phases, cycles: Records, elapsed: Floats, lights: Ints, signal: int
) -> None:
    """Begins the phase of a light; arguments as of `pass_time`."""
    set_phase(phases, cycles, lights, signal, _GREEN)
    for other in range(len(elapsed)):
        elapsed[other] = 0.0
