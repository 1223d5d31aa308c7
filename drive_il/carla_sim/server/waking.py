"""Wakes a Traffic Manager that has missed its tick, over the manager's own port.

0.9.16's client tells its manager's thread of a tick without holding the lock that the thread falls
asleep under: a thread between its last look and its sleep misses the call, and it and the program
that ticked wait for each other for ever. No order of answers prevents that, since the server
cannot see a thread fall asleep (it happens once in 10,000 to 30,000 ticks, on a crowded machine
also where ticks wait until the client has been quiet for a while).

It can see that a manager has missed a tick: every step begins with a question about the lamps of
vehicles, so a manager that has not asked it since its client's tick was answered, while the client
says nothing at all, is asleep. Every manager also listens, on the port that it has registered.
Told there to leave synchronous mode its thread looks again whether a step is due, and one is;
told at once to enter the mode again it notices nothing else, for each step asks this server
several things. So the step that was missed is made late, on the frame that it was meant for, with
the same result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import msgpack

from drive_il.carla_sim.server.host import log

MISSED = 0.5
"""a client that is silent for so long, while its manager owes a step, waits for it [s]"""
STEPS = "get_vehicle_light_states"
"""what every step of a manager asks, once"""
_LOOK_EVERY = 0.1  # [s]
_LONGEST = 2.0  # [s] that waking may take
_LARGEST = 1 << 12  # [bytes] of an answer
_DOZE = 0.1  # [s] in which a program that only stood still would speak


class Sleeper(Protocol):
    """A client that may have missed a tick."""

    name: str
    address: str

    def sleeping_manager(self) -> int | None:
        """Port of its Traffic Manager that has missed the last tick, None if none has."""


class Alarm:
    """Wakes the managers of clients.

    Args:
        clients: those that are connected, at any time.
    """

    def __init__(self, clients: Callable[[], Iterable[Sleeper]]) -> None:
        self._clients = clients
        self._rung: set[Sleeper] = set()

    async def watch(self) -> None:
        """Keeps looking who has missed a tick, until it is cancelled; each is woken once."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            found = {one: one.sleeping_manager() for one in self._clients()}
            asleep = {one: port for one, port in found.items() if port is not None}
            new = {one: port for one, port in asleep.items() if one not in self._rung}
            self._rung = set(asleep)
            await asyncio.gather(*(_wake(one, port) for one, port in new.items()))


async def _wake(client: Sleeper, port: int) -> None:
    missed = "the Traffic Manager of %s at port %d has missed a tick in the client"
    try:
        async with asyncio.timeout(_LONGEST):
            if await _ring(client, port):
                log.warning(f"{missed} and was woken", client.name, port)
    except (OSError, TimeoutError, msgpack.UnpackException, ValueError) as error:
        reason = f"{type(error).__name__} {error}".strip()
        log.warning(f"{missed} and cannot be woken: %s", client.name, port, reason)


async def _ring(client: Sleeper, port: int) -> bool:
    """Wakes a manager unless it steps once its program answers; returns whether it did not."""
    reader, writer = await asyncio.open_connection(client.address, port)
    try:
        await _ask(reader, writer, "health_check_remote_TM")
        await asyncio.sleep(_DOZE)
        if client.sleeping_manager() != port:
            return False
        await _ask(reader, writer, "set_synchronous_mode", False)
        await _ask(reader, writer, "set_synchronous_mode", True)
        return True
    finally:
        writer.close()


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, *arguments: bool
) -> None:
    """One call of a manager; its own protocol has no metadata before the arguments.

    Raises:
        ConnectionError: it hung up.
    """
    writer.write(msgpack.packb([0, 1, method, arguments]))
    unpacker = msgpack.Unpacker(max_buffer_size=_LARGEST)
    while True:
        data = await reader.read(_LARGEST)
        if not data:
            raise ConnectionError("it hung up")
        unpacker.feed(data)
        if any(True for _ in unpacker):
            return
