"""A drive as a compact log that a browser can play: who was where, a few times a second.

Positions are whole numbers of `UNIT`, headings whole degrees, one number per frame. What is stored
of each channel is its second difference (0 as long as speed holds) as a zigzag varint; all
channels stand one after the other, deflated, in base64:

    data = base64(zlib(varints of: route x y | ego x y heading speed | vehicle x y heading ... |
                       walker x y ...))

An actor is logged while it is near the ego; one that comes back is another trail.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from drive_il.actors import LightState
from drive_il.datatypes import Array, Bools, Episode, Floats, Ints, Records
from drive_il.evaluation.route_result import RouteResult
from drive_il.maps.network import RoadNetwork, SignalKind

FORMAT = 1
UNIT = 0.05
"""[m] of positions"""
SPEED_UNIT = 0.1
"""[m/s]"""
FRAME = 0.25
"""time from one frame to the next [s]"""
NEAR = 60.0
"""others further from the ego are left out [m]"""
MOST = 16
"""so many vehicles, and so many walkers, are logged at once: the nearest"""
_ROUTE_SPACING = 4.0  # [m]
_LIGHTS_NEAR = 70.0  # [m] of the ego at any time


@dataclass(frozen=True)
class Trail:
    """One actor while it is near the ego.

    Attributes:
        first: frame at which it is first there.
        x: world frame, (n,) [m].
        y: [m].
        heading: (n,) [rad]; zeros for a walker.
        length: [m]; a walker's diameter.
        width: [m].
        kind: ActorKind of a vehicle, -1 for a walker.
        color: of its paint, #rrggbb.
    """

    first: int
    x: Floats
    y: Floats
    heading: Floats
    length: float
    width: float
    kind: int
    color: str


@dataclass(frozen=True)
class Light:
    """A stop line with the light that guards it.

    Attributes:
        line: its two ends, (x0, y0, x1, y1) [m].
        changes: (frame, LightState) from which on it shows that.
    """

    line: tuple[float, float, float, float]
    changes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ReplayLog:
    """What a log holds, in metres and radians.

    Attributes:
        route: id of the route.
        repetition: which drive of it.
        town: name of the map.
        frame: time from frame to frame [s].
        duration: of the drive [s].
        line: the route to be driven, (K, 2) [m].
        ego: its trail.
        speed: of the ego, (F,) [m/s].
        vehicles: others.
        walkers: people.
        lights: near the ego's way.
        marks: infractions: (kind, time [s], x, y [m]).
    """

    route: str
    repetition: int
    town: str
    frame: float
    duration: float
    line: Floats
    ego: Trail
    speed: Floats
    vehicles: tuple[Trail, ...]
    walkers: tuple[Trail, ...]
    lights: tuple[Light, ...]
    marks: tuple[tuple[str, float, float, float], ...]

    @property
    def n_frames(self) -> int:
        """F."""
        return len(self.speed)


def make(episode: Episode, result: RouteResult, network: RoadNetwork) -> ReplayLog:
    """Returns the log of a recorded drive.

    Args:
        episode: the drive.
        result: what the judge said of it.
        network: its map.

    Raises:
        ValueError: the result is not this drive's.
    """
    spec = episode.spec
    took, same = episode.n_steps * episode.dt, (spec.route.id, spec.seed)
    if same != (result.route, result.seed) or abs(took - result.duration) > episode.dt:
        raise ValueError(
            f"the recorded drive (route {spec.route.id}, seed {spec.seed}, {took:.2f} s) is not "
            f"the judged one (route {result.route}, seed {result.seed}, {result.duration:.2f} s)"
        )
    every = max(round(FRAME / episode.dt), 1)
    at = np.arange(0, episode.n_steps + 1, every)
    ego, egos = episode.ego[at], np.arange(len(at))
    vehicles, walkers = episode.vehicles[at], episode.walkers[at]
    others = np.array([k for k in range(vehicles.shape[1]) if k != episode.slot], np.intp)
    return ReplayLog(
        route=result.route,
        repetition=result.repetition,
        town=spec.route.town,
        frame=every * episode.dt,
        duration=episode.n_steps * episode.dt,
        line=_thinned(spec.route.points),
        ego=_trail(ego, egos),
        speed=ego["speed"],
        vehicles=_trails(vehicles[:, others], ego),
        walkers=_trails(walkers, ego),
        lights=_lights(episode.lights[at], ego, network),
        marks=tuple((str(one.kind), one.time, one.x, one.y) for one in result.infractions),
    )


def _thinned(points: Records) -> Floats:
    marks = np.arange(0.0, points["s"][-1] + _ROUTE_SPACING, _ROUTE_SPACING)
    rows = np.unique(np.searchsorted(points["s"], marks).clip(max=len(points) - 1))
    return np.stack((points["x"][rows], points["y"][rows]), 1)


def _trail(states: Records, frames: Ints) -> Trail:
    first = states[0]
    walker = "radius" in (states.dtype.names or ())
    return Trail(
        first=int(frames[0]),
        x=states["x"],
        y=states["y"],
        heading=np.zeros(len(states)) if walker else states["heading"],
        length=float(2.0 * first["radius"] if walker else first["length"]),
        width=float(2.0 * first["radius"] if walker else first["width"]),
        kind=-1 if walker else int(first["kind"]),
        color=f"#{first['r']:02x}{first['g']:02x}{first['b']:02x}",
    )


def _trails(actors: Records, ego: Records) -> tuple[Trail, ...]:
    """Cuts (F, V) states into trails: stretches in which one actor is near in one slot."""
    if not actors.shape[1]:
        return ()
    distance = np.hypot(actors["x"] - ego["x"][:, None], actors["y"] - ego["y"][:, None])
    distance[actors["id"] == 0] = np.inf
    rank = distance.argsort(axis=1, kind="stable").argsort(axis=1)
    near = _closed((distance < NEAR) & (rank < MOST), actors["id"])
    trails = []
    for slot in np.flatnonzero(near.any(axis=0)):
        ids = np.where(near[:, slot], actors["id"][:, slot], 0)
        cuts = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist(), len(ids)]
        for first, end in zip(cuts[:-1], cuts[1:], strict=True):
            if ids[first]:
                frames = np.arange(first, end)
                trails.append(_trail(actors[first:end, slot], frames))
    return tuple(sorted(trails, key=lambda trail: trail.first))


def _closed(near: Bools, ids: Ints) -> Bools:
    """Keeps an actor through gaps of up to 2 s: fewer trails, and nobody flickers."""
    gap = round(2.0 / FRAME)
    closed = near.copy()
    for slot in np.flatnonzero(near.any(axis=0)):
        seen = np.flatnonzero(near[:, slot])
        for a, b in zip(seen[:-1], seen[1:], strict=True):
            if 1 < b - a <= gap and (ids[a : b + 1, slot] == ids[a, slot]).all():
                closed[a:b, slot] = True
    return closed


def _lights(states: Array, ego: Records, network: RoadNetwork) -> tuple[Light, ...]:
    found = []
    for line in network.stop_lines:
        signal = int(line["signal"])
        if signal >= states.shape[1] or network.signals[signal]["kind"] != SignalKind.LIGHT:
            continue
        x, y = 0.5 * (line["x0"] + line["x1"]), 0.5 * (line["y0"] + line["y1"])
        if np.hypot(ego["x"] - x, ego["y"] - y).min() > _LIGHTS_NEAR:
            continue
        shown = states[:, signal].astype(int)
        if (shown == LightState.OFF).all():
            continue
        at = [0, *(np.flatnonzero(np.diff(shown)) + 1).tolist()]
        ends = (float(line["x0"]), float(line["y0"]), float(line["x1"]), float(line["y1"]))
        found.append(Light(ends, tuple((k, int(shown[k])) for k in at)))
    return tuple(found)


def pack(log: ReplayLog) -> dict[str, Any]:
    """Returns a log as JSON holds it; `unpack` gives it back, rounded."""
    channels = [_units(log.line[:, 0]), _units(log.line[:, 1])]
    channels += [*_channels(log.ego), np.rint(log.speed / SPEED_UNIT).astype(np.int64)]
    for trail in (*log.vehicles, *log.walkers):
        channels += _channels(trail)
    raw = b"".join(_varints(channel) for channel in channels)
    return {
        "format": FORMAT,
        "route": log.route,
        "repetition": log.repetition,
        "town": log.town,
        "frame": log.frame,
        "unit": UNIT,
        "speed_unit": SPEED_UNIT,
        "duration": round(log.duration, 3),
        "n_frames": log.n_frames,
        "n_line": len(log.line),
        "ego": _head(log.ego),
        "vehicles": [_head(trail) for trail in log.vehicles],
        "walkers": [_head(trail) for trail in log.walkers],
        "lights": [
            [[round(end, 2) for end in one.line], [list(change) for change in one.changes]]
            for one in log.lights
        ],
        "marks": [[m[0], round(m[1], 2), round(m[2], 2), round(m[3], 2)] for m in log.marks],
        "data": base64.b64encode(zlib.compress(raw, 9)).decode(),
    }


def _head(trail: Trail) -> list[Any]:
    """First frame, number of frames, length and width [m], kind, colour."""
    size = (round(trail.length, 2), round(trail.width, 2))
    return [trail.first, len(trail.x), *size, trail.kind, trail.color]


def _channels(trail: Trail) -> list[Ints]:
    channels = [_units(trail.x), _units(trail.y)]
    if trail.kind >= 0:
        channels.append(np.rint(np.degrees(np.unwrap(trail.heading))).astype(np.int64))
    return channels


def _units(metres: Floats) -> Ints:
    units: Ints = np.rint(metres / UNIT).astype(np.int64)
    return units


def _varints(values: Ints) -> bytes:
    """Second differences (the first two values as they are differences to 0), 7 bits a byte."""
    second = np.diff(values, n=2, prepend=(0, 0))
    zigzag = ((second << 1) ^ (second >> 63)).tolist()
    out = bytearray()
    for value in zigzag:
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        out.append(value)
    return bytes(out)


class _Reader:
    def __init__(self, text: str) -> None:
        self._raw, self._at = zlib.decompress(base64.b64decode(text)), 0

    def channel(self, n: int) -> Floats:
        """The next n values, as floats."""
        second = np.zeros(n, np.int64)
        for k in range(n):
            value = shift = 0
            while True:
                byte = self._raw[self._at]
                self._at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            second[k] = (value >> 1) ^ -(value & 1)
        return np.cumsum(np.cumsum(second)).astype(np.float64)

    def trail(self, head: list[Any]) -> Trail:
        first, n, length, width, kind, color = head
        x, y = self.channel(n) * UNIT, self.channel(n) * UNIT
        heading = np.radians(self.channel(n)) if kind >= 0 else np.zeros(n)
        return Trail(first, x, y, heading, length, width, kind, color)


def unpack(packed: Mapping[str, Any]) -> ReplayLog:
    """Reads a log; positions are right to half a UNIT, headings to half a degree.

    Raises:
        ValueError: of another format, or damaged.
    """
    if packed.get("format") != FORMAT:
        raise ValueError(
            f"the replay log has format {packed.get('format')}, this version reads {FORMAT}"
        )
    try:
        reader = _Reader(packed["data"])
        n_line = packed["n_line"]
        line = np.stack((reader.channel(n_line), reader.channel(n_line)), 1) * UNIT
        ego = reader.trail(packed["ego"])
        speed = reader.channel(packed["n_frames"]) * SPEED_UNIT
        vehicles = tuple(reader.trail(head) for head in packed["vehicles"])
        walkers = tuple(reader.trail(head) for head in packed["walkers"])
    except (KeyError, IndexError, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"the replay log is damaged ({error!r})") from error
    return ReplayLog(
        route=packed["route"],
        repetition=packed["repetition"],
        town=packed["town"],
        frame=packed["frame"],
        duration=packed["duration"],
        line=line,
        ego=ego,
        speed=speed,
        vehicles=vehicles,
        walkers=walkers,
        lights=tuple(
            Light(tuple(ends), tuple((int(k), int(state)) for k, state in changes))
            for ends, changes in packed["lights"]
        ),
        marks=tuple((m[0], m[1], m[2], m[3]) for m in packed["marks"]),
    )
