"""Connections: calls on one port, streams on the next.

A client is never trusted: what is no call ends its connection with a line in the log, and so
does sending without reading the answers. Who reads a stream too slowly misses messages, as
with CARLA. Nobody else notices.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import msgpack

from drive_il.carla_sim.server.host import log
from drive_il.carla_sim.server.waking import MISSED, STEPS

if TYPE_CHECKING:
    from drive_il.carla_sim.server.serving import Server

_REQUEST, _ANSWER, _NOTE = 0, 1, 2
_LARGEST = 1 << 26  # [bytes] of a call: an OpenDRIVE file has a few million
_BACKLOG = 1 << 26  # [bytes] a client may leave unread on each connection
_SWAP_PAUSE = 0.05  # [s] between load_world and its answer, for what is on its way already
_UNPARK_PAUSE = 0.005  # [s]
_TIMER = 0.001  # [s] no shorter time can be set
_TURN = 0.005  # [s] that one client's calls are answered without a look at the others
_BROKEN = (msgpack.UnpackException, ValueError, RecursionError, OverflowError)


def tune(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """Lets small messages leave at once."""
    assert isinstance(transport, asyncio.Transport)
    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return transport


def is_behind(transport: asyncio.Transport) -> bool:
    """Whether a client has left so much unread that it gets no more."""
    return transport.get_write_buffer_size() > _BACKLOG


class CallLink(asyncio.Protocol):
    """One client's calls.

    Attributes:
        name: what the log calls the client.
        address: where it is.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._unpacker = msgpack.Unpacker(
            raw=False,
            strict_map_key=False,
            unicode_errors="replace",
            max_buffer_size=_LARGEST,
        )
        self._held: deque[list[Any]] = deque()
        self._is_waiting = False
        self._spoke = 0.0
        self._sent_batch = False
        self._parked: list[Any] = []
        self._managers: list[int] = []
        self._owing: list[int] = []  # managers that have not stepped since the last tick
        self.name, self.address = "a client", ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets a client."""
        self._transport = tune(transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self.name, self.address = f"client {peer[0]}:{peer[1]}", peer[0]
        self._server.enter(self)
        log.debug("%s connected", self.name)

    def connection_lost(self, error: Exception | None) -> None:
        """Forgets a client, and the Traffic Managers that ran in it."""
        self._held.clear()
        self._server.leave(self)
        for port in self._managers:
            self._server.host.managers.pop(port, None)
        log.debug("%s left%s", self.name, f": {error}" if error else "")

    def sleeping_manager(self) -> int | None:
        """Port of its Traffic Manager that has missed the last tick, None if none has."""
        if self._held or self._spoke > time.perf_counter() - MISSED:
            return None
        return next((port for port in self._owing if port in self._server.host.managers), None)

    def data_received(self, data: bytes) -> None:
        """Takes in what has come, answers what is whole."""
        try:
            self._unpacker.feed(data)
        except _BROKEN as error:
            self._cut(f"what it sent is too large ({error})")
            return
        self._drain()

    def _drain(self) -> None:
        """Answers calls, but no longer than the others can wait; the rest has its turn later."""
        until = time.perf_counter() + _TURN
        try:
            for message in self._unpacker:
                if self._transport.is_closing():
                    return
                self._take(message)
                if time.perf_counter() > until:
                    self._transport.pause_reading()
                    asyncio.get_running_loop().call_soon(self._drain)
                    return
        except _BROKEN as error:
            self._cut(f"what it sent is no call ({type(error).__name__}: {error})")
            return
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _take(self, message: Any) -> None:
        if not isinstance(message, list) or not message or message[0] not in (_REQUEST, _NOTE):
            self._cut(f"expected a call, got {str(message)[:60]!r}")
            return
        if message[0] == _NOTE:
            return
        if len(message) != 4 or not isinstance(message[3], list) or not message[3]:
            self._cut(f"expected [0, number, method, arguments], got {str(message)[:60]!r}")
            return
        if _ticks(message):
            self._held.append(message)
            self._go_on()
        else:
            self._spoke = time.perf_counter()
            if message[2] == STEPS and self._owing:
                self._owing.pop(0)
            self._answer(message)

    def _cut(self, why: str) -> None:
        log.warning("%s is cut off: %s", self.name, why)
        self._transport.abort()

    def _go_on(self) -> None:
        """Ticks as soon as nothing must be waited for."""
        self._is_waiting = False
        while self._held:
            seconds = self._server.wait()
            if seconds > 0.0:
                self._wait(seconds)
                return
            message = self._held.popleft()
            self._answer(message)
            if message[2] == "tick_cue":
                self._spoke = time.perf_counter()
                self._owing = sorted(self._managers)  # the order in which they step

    def _wait(self, seconds: float) -> None:
        if self._is_waiting:
            return
        self._is_waiting = True
        loop = asyncio.get_running_loop()
        if seconds < _TIMER:  # spent looking for what has come meanwhile
            loop.call_soon(self._go_on)
        else:
            loop.call_later(seconds, self._go_on)

    def _answer(self, message: list[Any]) -> None:
        _, number, method, arguments = message
        if method == "get_episode_settings" and self._server.is_silent():
            self._parked.append(number)
            return
        is_async = isinstance(arguments[0], list) and arguments[0][:1] == [True]
        self._mind_batch(method, is_async)
        error, result = self._server.call(method, arguments[1:])
        if method == "load_new_episode":
            asyncio.get_running_loop().call_later(
                _SWAP_PAUSE, self._send, [_ANSWER, number, error, result]
            )
            return
        if method == "get_sensor_token" and self._parked:
            asyncio.get_running_loop().call_later(_UNPARK_PAUSE, self._unpark)
        if method == "add_traffic_manager_running" and error is None and result[0][1] is True:
            self._managers.append(arguments[1][1])
        self._send([_ANSWER, number, error, None if is_async else result])

    def _mind_batch(self, method: Any, is_async: bool) -> None:
        """Has sensors held back from a batch that is waited for until after the next tick.

        A Traffic Manager sends such batches all the time, from a thread that holds no lock.
        """
        if method == "apply_batch" and not is_async and not self._server.host.managers:
            self._sent_batch = True
            self._server.hold()
        elif method == "tick_cue" and self._sent_batch:
            self._sent_batch = False
            self._server.hold()

    def _unpark(self) -> None:
        parked, self._parked = self._parked, []
        for number in parked:
            self._send([_ANSWER, number, *self._server.call("get_episode_settings", [])])

    def _send(self, answer: list[Any]) -> None:
        if is_behind(self._transport):
            self._cut(f"it left {_BACKLOG >> 20} MB of answers unread")
        elif not self._transport.is_closing():
            self._transport.write(msgpack.packb(answer))


def _ticks(message: list[Any]) -> bool:
    """Whether a call lets time pass."""
    method, arguments = message[2], message[3]
    return method == "tick_cue" or (
        method == "apply_batch" and len(arguments) == 3 and bool(arguments[2])
    )


class StreamLink(asyncio.Protocol):
    """One subscription: the client sends a stream's number and gets its messages."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._head = b""
        self._stream: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the number."""
        self._transport = tune(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Ends the subscription."""
        if self._stream is not None:
            self._server.unsubscribe(self._stream, self._transport)

    def data_received(self, data: bytes) -> None:
        """Takes the number; whatever follows is ignored."""
        if self._stream is not None:
            return
        self._head += data[: 4 - len(self._head)]
        if len(self._head) == 4:
            self._stream = int.from_bytes(self._head, "little")
            self._server.subscribe(self._stream, self._transport)
