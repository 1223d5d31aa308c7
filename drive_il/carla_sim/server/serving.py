"""The server: connections, ticks, and who is sent what."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from drive_il import kernels
from drive_il.carla_sim.server.calls import Calls
from drive_il.carla_sim.server.host import STEP, Host, Options, log
from drive_il.carla_sim.server.link import CallLink, StreamLink, is_behind
from drive_il.carla_sim.server.ordering import Order, hold_time
from drive_il.carla_sim.server.waking import Alarm
from drive_il.carla_sim.server.wire import WORLD_STREAM, Message, done, failure, value

_MOST_HELD = 1 << 27  # [bytes]
_AGAIN = 0.0004  # [s] between two looks whether a tick must wait on
_IDLE = 0.01  # [s] between two looks whether the world should run by itself


class Server:
    """One world, and everybody who is connected to it.

    Args:
        host: what is served.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self._calls = Calls(host)
        self._order = Order()
        self._links: set[CallLink] = set()
        self._readers: dict[int, set[asyncio.Transport]] = defaultdict(set)
        self._slow: set[asyncio.Transport] = set()
        self._held: list[tuple[int, bytes]] = []
        self._is_holding = False
        self._release: asyncio.TimerHandle | None = None
        self._next_tick = 0.0
        self.alarm = Alarm(lambda: self._links)

    def enter(self, link: CallLink) -> None:
        """Takes in a client; for the first the world begins, if nobody has touched it."""
        if not self._links and not self.host.episode.touched:
            self.host.episode.frame = 0
            self.host.episode.restart()
        self._links.add(link)
        self.host.n_clients = len(self._links)

    def leave(self, link: CallLink) -> None:
        """Forgets a client."""
        self._links.discard(link)
        self.host.n_clients = len(self._links)

    def subscribe(self, stream: int, transport: asyncio.Transport) -> None:
        """Sends a stream's messages to a connection from now on."""
        self._readers[stream].add(transport)
        self._order.keep(stream)

    def unsubscribe(self, stream: int, transport: asyncio.Transport) -> None:
        """Ends that."""
        readers = self._readers[stream]
        readers.discard(transport)
        self._slow.discard(transport)
        if not readers:
            del self._readers[stream]

    def is_silent(self) -> bool:
        """Whether a client is exchanging its episode."""
        return self._order.is_silent(time.perf_counter())

    def wait(self) -> float:
        """For how long a tick must wait at least [s], 0 when it need not."""
        now = time.perf_counter()
        if self.host.options.realtime and now < self._next_tick:
            return self._next_tick - now
        return _AGAIN if self._order.must_wait(now) else 0.0

    def call(self, method: Any, arguments: list[Any]) -> tuple[Any, Any]:
        """Returns error and result of a call."""
        if method == "tick_cue":
            return None, self._tick_answer()
        if method == "apply_batch":
            return self._batch(arguments)
        if method == "load_new_episode":
            return self._load(arguments)
        if method == "get_sensor_token" and arguments and isinstance(arguments[0], int):
            if arguments[0] == WORLD_STREAM:
                self._order.swapped()
            self._order.promise(arguments[0], time.perf_counter())
        answer = self._calls.answer(method, arguments)
        if self.host.ended_streams:
            self._end_streams()
        return answer

    def _load(self, arguments: list[Any]) -> tuple[Any, Any]:
        error, result = self._calls.answer("load_new_episode", arguments)
        if result == done():
            self._order.swap(time.perf_counter())
        self._end_streams()
        return error, result

    def _batch(self, arguments: list[Any]) -> tuple[Any, Any]:
        if len(arguments) != 2 or not isinstance(arguments[0], list):
            return "apply_batch takes a list of commands and whether to tick", None
        answers = self._calls.batches.apply(arguments[0])
        self._end_streams()
        if arguments[1]:
            self.tick()
        return None, answers

    def _tick_answer(self) -> list[Any]:
        try:
            return value(self.tick())
        except (ValueError, RuntimeError) as error:
            log.error("the tick failed: %s", error)
            return failure(str(error))

    def tick(self) -> int:
        """Lets the world go on by one step, sends what it shows, and returns the frame."""
        episode = self.host.episode
        dt = self.host.settings.dt
        self._next_tick = time.perf_counter() + dt
        for stream, message in episode.tick(dt, set(self._readers)):
            if self._is_holding and stream != WORLD_STREAM:
                self._held.append((stream, bytes(message)))
            else:
                self._send(stream, message)
        if sum(len(message) for _, message in self._held) > _MOST_HELD:
            self._let_go()
        return episode.frame

    def hold(self) -> None:
        """Holds back what sensors say, because a client will tick with its lock in its hand."""
        self._is_holding = True
        if self._release is not None:
            self._release.cancel()
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        seconds = hold_time(load / kernels.n_threads())
        self._release = asyncio.get_running_loop().call_later(seconds, self._let_go)

    def _let_go(self) -> None:
        self._is_holding = False
        held, self._held = self._held, []
        for stream, message in held:
            self._send(stream, message)

    def _send(self, stream: int, message: Message) -> None:
        for transport in self._readers.get(stream, ()):
            if is_behind(transport):
                self._tell_of_drop(stream, transport)
            elif not transport.is_closing():
                transport.write(message)

    def _tell_of_drop(self, stream: int, transport: asyncio.Transport) -> None:
        """Says once per subscription that its reader misses messages."""
        if transport not in self._slow:
            self._slow.add(transport)
            log.warning("a reader of stream %d is too slow and misses messages", stream)

    def _end_streams(self) -> None:
        for stream in self.host.ended_streams:
            for transport in tuple(self._readers.get(stream, ())):
                transport.close()
        self.host.ended_streams.clear()

    async def run_freely(self) -> None:
        """Lets the world go on by itself while clients are there and none of them ticks it.

        With a fixed step as fast as it can, else by the clock.
        """
        due = time.perf_counter()
        while True:
            now = time.perf_counter()
            if self.host.settings.synchronous or not self._links or self.is_silent():
                await asyncio.sleep(_IDLE)
                due = time.perf_counter()
                continue
            self.tick()
            if self.host.settings.is_fixed and not self.host.options.realtime:
                await asyncio.sleep(0)
                continue
            due = max(due + self.host.settings.dt, now)
            await asyncio.sleep(due - now)


async def serve(town: str, options: Options, ready: Callable[[], None] | None = None) -> None:
    """Serves a town until it is cancelled.

    Args:
        town: a map's name, or the path of an .xodr file.
        options: how.
        ready: called once clients can connect.

    Raises:
        ValueError: there is no such map, or not enough room for the traffic.
        OSError: a port is taken.
    """
    if not _is_loopback(options.host):
        log.warning(
            "listening on %s: anybody who can reach this address can drive this world, and "
            "CARLA's protocol asks for no password",
            options.host,
        )
    host = Host(town, options)
    server = Server(host)
    server.tick()  # compiles what a tick needs
    host.episode.restart()
    loop = asyncio.get_running_loop()
    calls = await loop.create_server(lambda: CallLink(server), options.host, options.port)
    streams = await loop.create_server(lambda: StreamLink(server), options.host, options.port + 1)
    log.info(
        "serving %s as CARLA on %s:%d (streams on %d), %g s a step",
        host.episode.network.name,
        options.host,
        options.port,
        options.port + 1,
        STEP,
    )
    if ready:
        ready()
    async with calls, streams, asyncio.TaskGroup() as group:
        group.create_task(server.alarm.watch())
        await server.run_freely()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
