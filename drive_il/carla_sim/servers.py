"""CARLA servers: which there are, whose each is, and starting one with a command.

A server has one master: whoever drives it holds a lock named by its address, so that several
programs and worker processes share out the servers of a machine among themselves.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from filelock import FileLock, Timeout

from drive_il.folders import cache_folder

_PROBE_TIMEOUT = 0.5  # [s]
_START_TIMEOUT = 600.0  # [s] our own server may have to compile its kernels first
_POLL = 0.2  # [s]
_GRACE = 20.0  # [s] that a server has to end by itself


class Lost(RuntimeError):
    """A server does not answer, or not as one that is ours alone."""


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Servers:
    """Which CARLA servers may be driven; plain values, so that a worker can be told."""

    host: str = "127.0.0.1"
    """where they listen"""
    ports: str = "2000"
    """2000, or 2000,2010, or 2000-2030: those that answer are used"""
    start: str = ""
    """command that starts one, {port} in it stands for the port; a dead one is started again"""

    def __post_init__(self) -> None:
        _ports(self.ports)
        if self.start and "{port}" not in self.start:
            raise ValueError(
                f"the start command needs {{port}} where the server's port goes, got {self.start!r}"
            )

    @property
    def addresses(self) -> list[Address]:
        """All that are named, in order; a server takes three ports, so a range has steps of 10."""
        return [Address(self.host, port) for port in _ports(self.ports)]

    def count(self) -> int:
        """Returns how many answer, or would once they are started."""
        return sum(bool(self.start) or answers(one) for one in self.addresses)


def _ports(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"ports are 2000, or 2000,2010, or 2000-2030, got {text!r}")
        end = int(last) if dash else int(first)
        found += range(int(first), end + 1, 10)
    if not found or not all(1 <= port <= 65533 for port in found):
        raise ValueError(f"ports must be in [1, 65533], got {text!r}")
    return found


def answers(address: Address) -> bool:
    """Whether anybody listens there."""
    try:
        with socket.create_connection(address, _PROBE_TIMEOUT):
            return True
    except OSError:
        return False


class Claim:
    """Some servers that are ours alone, until `close`.

    Args:
        servers: among which.
        most: so many at most.
        patience: for so long one that others drive is waited for [s].

    Raises:
        Lost: none answers that nobody else drives.
    """

    def __init__(self, servers: Servers, most: int = 1, patience: float = 0.0) -> None:
        self.addresses: list[Address] = []
        self.start = servers.start
        self._locks: list[FileLock] = []
        until = time.monotonic() + patience
        while not self._take(servers, most):
            time.sleep(_POLL)
            if time.monotonic() > until:
                raise Lost(_nobody(servers.addresses))

    def _take(self, servers: Servers, most: int) -> bool:
        """Takes those that are free now; returns whether there are any."""
        for address in servers.addresses:
            if len(self.addresses) == most:
                break
            if not servers.start and not answers(address):
                continue
            lock = FileLock(cache_folder() / f"carla-{address.host}-{address.port}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            self.addresses.append(address)
            self._locks.append(lock)
        return bool(self.addresses)

    def close(self) -> None:
        """Lets others have them."""
        for lock in self._locks:
            lock.release()
        self._locks.clear()


def _nobody(addresses: Sequence[Address]) -> str:
    where = ", ".join(str(one) for one in addresses)
    if not any(answers(one) for one in addresses):
        return (
            f"no CARLA server answers at {where}; start CarlaUE4.sh, or `drive-il serve`, or give "
            "a --start command"
        )
    return f"the CARLA servers at {where} are driven by other programs; start more, or wait"


class ServerProcess:
    """A server that we start, and start again when it has died.

    Args:
        address: where it will listen.
        command: with `{port}` for its port.
    """

    def __init__(self, address: Address, command: str) -> None:
        self._address = address
        self._command = shlex.split(command.replace("{port}", str(address.port)))
        self._process: subprocess.Popen[bytes] | None = None

    def ensure(self) -> None:
        """Starts it unless somebody answers already; waits until it does.

        Raises:
            Lost: the command ends at once, or nobody answers for ten minutes.
        """
        if answers(self._address):
            return
        self.end()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + _START_TIMEOUT
        while not answers(self._address):
            if self._process.poll() is not None:
                raise Lost(
                    f"{' '.join(self._command)!r} ended with {self._process.returncode} and "
                    f"nobody answers at {self._address}"
                )
            if time.monotonic() > until:
                self.end()
                raise Lost(f"nobody answers at {self._address} after {_START_TIMEOUT:g} s")
            time.sleep(_POLL)

    def end(self) -> None:
        """Ends it, if it was we who started it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
