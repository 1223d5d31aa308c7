"""What one server holds between calls: the running episode, its settings, who manages traffic."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drive_il.actors import Traffic
from drive_il.carla_sim.server.episode import Episode
from drive_il.carla_sim.server.wire import from_optional, optional
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork

log = logging.getLogger("drive_il.server")
BAD = (
    *(ValueError, TypeError, IndexError, KeyError, AttributeError),
    *(RuntimeError, OverflowError, ImportError),
)
"""what arguments that a client made up can lead to: told to that client, who may be wrong"""
STEP = 0.05
"""of a world whose clients leave it open [s]"""
_LONGEST_STEP = 10.0  # [s]
_OPENDRIVE = "OpenDriveMap"


@dataclass(frozen=True)
class Options:
    """How to serve.

    Attributes:
        port: of the calls; streams are on the next.
        host: address to listen on.
        seed: decides traffic, lights and noise.
        traffic: who moves on the world's own account.
        realtime: never faster than the clock.
    """

    port: int = 2000
    host: str = "127.0.0.1"
    seed: int = 0
    traffic: Traffic = Traffic(signals=True)
    realtime: bool = False


class Settings:
    """Whether clients tick the world, and how long a tick is; carla.WorldSettings."""

    def __init__(self) -> None:
        self.sent: list[Any] = [
            *(False, False, optional(None), True, 0.01, 10),
            *(0.0, True, 3000.0, 2000.0, True),
        ]

    @property
    def synchronous(self) -> bool:
        """A client ticks."""
        return bool(self.sent[0])

    @property
    def renders(self) -> bool:
        """Cameras send pictures."""
        return not self.sent[1]

    @property
    def is_fixed(self) -> bool:
        """The length of a tick is told."""
        return bool(from_optional(self.sent[2]))

    @property
    def dt(self) -> float:
        """Length of a tick [s]."""
        return float(from_optional(self.sent[2]) or STEP)

    def take(self, sent: Any) -> None:
        """Takes new settings as sent.

        Raises:
            ValueError: they are none, or the step is out of range.
        """
        if not isinstance(sent, list) or len(sent) != len(self.sent):
            raise ValueError(f"settings have {len(self.sent)} members, got {str(sent)[:80]}")
        step = from_optional(sent[2])
        if step and not 0.0 < step <= _LONGEST_STEP:
            raise ValueError(
                f"fixed_delta_seconds must be in (0, {_LONGEST_STEP}] s in this world, got {step}"
            )
        self.sent = sent


class Host:
    """The episode that is served, and how to begin another.

    Args:
        town: a map's name, or the path of an .xodr file.
        options: how to serve.

    Attributes:
        n_clients: how many are connected.
        managers: address and port of the Traffic Managers that run, by port.
        ended_streams: those that no longer exist, while somebody may read them.
        pending_opendrive: text of the next map.
    """

    def __init__(self, town: str, options: Options) -> None:
        self.options = options
        self.settings = Settings()
        self.n_clients = 0
        self.managers: dict[int, list[Any]] = {}
        self.ended_streams: list[int] = []
        self.pending_opendrive = ""
        self._streams = itertools.count(2)
        self._extra: dict[str, tuple[RoadNetwork, str]] = {}
        if town.endswith(".xodr"):
            self._extra[Path(town).stem] = (library.load(town), _text(town))
            town = Path(town).stem
        self.episode = self._make(town, 1)

    def maps(self) -> list[str]:
        """Names of all maps that can be loaded."""
        return [*library.names(), *(name for name in self._extra if name != _OPENDRIVE)]

    def load(self, name: str, reset: bool) -> None:
        """Begins an episode on a map.

        A client that did not ask for it goes on believing what it knows of an actor's number;
        where there is one, numbers go on where those of the last episode end, as in CARLA.

        Args:
            name: of the map, a path before it and "_Opt" behind it left out; none is the
                present one.
            reset: back to free running and default settings.

        Raises:
            ValueError: there is no such map, or the OpenDRIVE text that was sent is none.
        """
        name = name.rsplit("/", 1)[-1] or self.episode.network.name
        if name == _OPENDRIVE and self.pending_opendrive:
            from drive_il.maps import opendrive

            network = opendrive.read_text(self.pending_opendrive, _OPENDRIVE)
            self._extra[_OPENDRIVE] = (network, self.pending_opendrive)
            self.pending_opendrive = ""
        known = {one.lower(): one for one in (*self.maps(), *self._extra)}
        lower = name.lower()
        found = known.get(lower) or known.get(lower.removesuffix("_opt"))
        if found is None:
            raise ValueError(
                f"there is no map {name!r} here; there are {', '.join(self.maps())}. "
                "`drive-il maps import FILE.xodr` adds one"
            )
        first_id = self.episode.world.next_id if self.n_clients > 1 else 1
        episode = self._make(found, self.episode.number + 1, first_id)
        self.ended_streams += [one.stream for one in self.episode.actors.values() if one.stream]
        self.episode = episode
        if reset:
            self.settings = Settings()
        self.episode.renders = self.settings.renders
        log.info("episode %d on %s", episode.number, found)

    def configure(self, sent: Any) -> None:
        """Takes settings; a world that nobody has touched starts afresh when clients tick it."""
        before = self.settings.synchronous
        self.settings.take(sent)
        self.episode.renders = self.settings.renders
        if self.settings.synchronous and not before and not self.episode.touched:
            self.episode.restart()

    def _make(self, name: str, number: int, first_id: int = 1) -> Episode:
        if name in self._extra:
            network, text = self._extra[name]
        else:
            network, text = library.load(name), library.opendrive_text(name)
        episode = Episode(
            network,
            text,
            number,
            self.options.seed,
            self.options.traffic,
            port=self.options.port + 1,
            streams=self._streams,
            first_id=first_id,
        )
        episode.rehearse()
        return episode


def _text(path: str) -> str:
    from drive_il.maps.opendrive_xml import text_of

    return text_of(Path(path))
