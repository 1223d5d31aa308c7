"""The agent's end of the socket."""

from __future__ import annotations

import array
import json
import os
import socket
from typing import Any

from drive_il_agent import wire


class Channel:
    """Receives requests, sends replies."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        self._descriptors: list[int] = []

    def receive(self) -> tuple[int, bytes]:
        """Waits for a request; returns its kind and body.

        Raises:
            EOFError: the runner is gone.
        """
        header = self._read(wire.HEADER.size)
        _, kind, length = wire.HEADER.unpack(header)
        return kind, self._read(length)

    def take_descriptor(self) -> int:
        """Returns the file descriptor that came with the last request."""
        return self._descriptors.pop()

    def send(self, kind: int, body: bytes) -> None:
        """Sends a reply."""
        self._socket.sendall(wire.message(kind, body))

    def send_json(self, kind: int, value: Any) -> None:
        """Sends a reply whose body is JSON."""
        self.send(kind, json.dumps(value).encode())

    def _read(self, length: int) -> bytes:
        parts, missing = [], length
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        while missing:
            part, extra, _, _ = self._socket.recvmsg(min(missing, 1 << 20), room)
            if not part:
                raise EOFError
            for _, _, data in extra:
                found = array.array("i")
                found.frombytes(data)
                self._descriptors.extend(found)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)
