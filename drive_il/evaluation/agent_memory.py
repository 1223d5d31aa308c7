"""What an agent senses, in CARLA's formats, in memory that it can read and not write.

Formats (CARLA leaderboard, `sensor_interface`): cameras (H, W, 4) uint8 BGRA; lidars (N, 4)
float32 x, y, z, intensity with y right; radars (N, 4) float32 depth, altitude, azimuth,
velocity with azimuth right, which is CARLA's raw order reversed; GNSS (3,) float64; IMU (7,)
float64 in the left-handed frame; the speedometer a dictionary.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import Any

import numpy as np
from numba import types as nt

from drive_il import handedness, kernels
from drive_il.datatypes import Array, Observation
from drive_il.evaluation.agent_sensors import AgentSensor
from drive_il.evaluation.compat.drive_il_agent import wire

_ALIGNED = 64
_F_SEAL_FUTURE_WRITE = 0x0010  # Linux 5.1; fcntl names it from Python 3.13 on
_KINDS = {
    "sensor.camera.rgb": "image",
    "sensor.lidar.ray_cast": "points",
    "sensor.other.radar": "points",
    "sensor.other.gnss": "numbers",
    "sensor.other.imu": "numbers",
    "sensor.speedometer": "speed",
}
_DTYPES = {"image": "u1", "points": "f4", "numbers": "f8", "speed": "f8"}


_OPAQUE = np.uint32(0xFF000000)
_8, _16 = np.uint32(8), np.uint32(16)


@kernels.kernel(nt.void(nt.int64, nt.int64, nt.uint8[::1], nt.uint32[::1]))
def _to_bgra(first_row: int, last_row: int, rgb: Array, out: Array) -> None:
    # Whole words, counted from 0: only such a loop is vectorised, which is six times as fast.
    seen, words = rgb[3 * first_row : 3 * last_row], out[first_row:last_row]
    for k in range(len(words)):
        red, green, blue = seen[3 * k], seen[3 * k + 1], seen[3 * k + 2]
        # blue comes first in memory
        words[k] = _OPAQUE | (np.uint32(red) << _16) | (np.uint32(green) << _8) | np.uint32(blue)


class AgentMemory:
    """Shared memory of one route: a few slots with all sensors of one frame each.

    Attributes:
        layout: what the agent's side needs to find its way, see `Senses`.
        descriptor: a read-only file descriptor of it, to be sent and closed.
    """

    def __init__(self, sensors: tuple[AgentSensor, ...], observation: Observation) -> None:
        """Lays the sensors out by what the first observation looks like."""
        self._sensors = [sensor for sensor in sensors if sensor.type in _KINDS]
        entries: list[dict[str, Any]] = []
        size = 0
        for sensor in self._sensors:
            kind = _KINDS[sensor.type]
            shape = _shape(sensor, observation)
            entry = {"id": sensor.id, "kind": kind, "shape": shape, "offset": size}
            size = _after(size, int(np.prod(shape)) * np.dtype(_DTYPES[kind]).itemsize)
            if kind == "points":
                entry["count"] = size
                size = _after(size, 4)
            entries.append(entry)
        size = max(size, _ALIGNED)
        self.layout: dict[str, Any] = {"size": size, "entries": entries}
        self._memory, self.descriptor = _shared(size * wire.N_SLOTS)
        self._places = [
            [self._place(entry, slot * size) for entry in entries] for slot in range(wire.N_SLOTS)
        ]

    def _place(self, entry: dict[str, Any], start: int) -> tuple[Array, Array | None]:
        """Returns where one sensor's data, and the number of its points, go."""
        dtype = _DTYPES[entry["kind"]]
        data = np.ndarray(entry["shape"], dtype, self._memory, start + entry["offset"])
        if "count" not in entry:
            return data, None
        return data, np.ndarray((1,), "i4", self._memory, start + entry["count"])

    def write(self, slot: int, observation: Observation) -> None:
        """Writes the one row of an observation into a slot."""
        for sensor, (data, count) in zip(self._sensors, self._places[slot], strict=True):
            seen = observation[_key(sensor)][0]
            if count is not None:
                n_points = int(observation[f"{sensor.name}_count"][0])
                count[0] = n_points
                _write_points(sensor.type, seen[:n_points], data[:n_points])
            elif sensor.type == "sensor.camera.rgb":
                words = data.reshape(-1).view(np.uint32)
                pixels = np.ascontiguousarray(seen).reshape(-1)
                kernels.run(_to_bgra, len(words), pixels, words, min_rows=1 << 20)
            elif sensor.type == "sensor.other.imu":
                data[:3] = handedness.vectors_to_carla(seen[:3])
                data[3:6] = handedness.turn_rates_to_carla(seen[3:6])
                data[6] = seen[6]
            else:
                data[...] = seen


def _write_points(kind: str, seen: Array, out: Array) -> None:
    if kind == "sensor.lidar.ray_cast":
        out[:] = seen
        out[:, 1] = handedness.y_to_carla(seen[:, 1])
    else:
        depth, azimuth, altitude, velocity = seen.T
        out[:, 0], out[:, 1] = depth, altitude
        out[:, 2], out[:, 3] = handedness.azimuth_to_carla(azimuth), velocity


def _key(sensor: AgentSensor) -> str:
    names = {
        "sensor.other.gnss": "gnss",
        "sensor.other.imu": "imu",
        "sensor.speedometer": "speedometer",
    }
    return names.get(sensor.type, sensor.name)


def _shape(sensor: AgentSensor, observation: Observation) -> tuple[int, ...]:
    seen = observation[_key(sensor)].shape[1:]
    if sensor.type == "sensor.camera.rgb":
        return (*seen[:2], 4)
    return seen or (1,)


def _after(offset: int, size: int) -> int:
    """Returns the next aligned offset behind something."""
    return -(-(offset + size) // _ALIGNED) * _ALIGNED


def _shared(size: int) -> tuple[mmap.mmap, int]:
    """Returns memory for us to write, and a descriptor by which it can be read only.

    The kernel seals it: once we have it mapped, nobody can map it for writing any more.
    """
    writable = os.memfd_create("drive_il_agent", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    try:
        os.ftruncate(writable, size)
        memory = mmap.mmap(writable, size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
        try:
            fcntl.fcntl(writable, fcntl.F_ADD_SEALS, seals | _F_SEAL_FUTURE_WRITE)
        except OSError:  # an older kernel: the read-only descriptor has to do
            fcntl.fcntl(writable, fcntl.F_ADD_SEALS, seals)
        return memory, os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)
