"""A server in a process of its own, for tests with the real client."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

STEP = 0.05
TIMEOUT = 20.0  # [s] of each call
_READY = 580.0  # [s] kernels may have to be compiled first


def free_port() -> int:
    """A port that is free, and so is the next."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


@dataclass
class Served:
    """A running server; `log` is what it has written."""

    port: int
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)

    def client(self) -> Any:
        """A new client."""
        import carla

        client = carla.Client("127.0.0.1", self.port)
        client.set_timeout(TIMEOUT)
        return client

    def wrote(self, words: str) -> list[str]:
        """Lines of the log with these words; waits for the first, since answers overtake the log.

        Raises:
            AssertionError: no such line within `TIMEOUT`.
        """
        deadline = time.monotonic() + TIMEOUT
        while not (found := [line for line in self.log if words in line]):
            assert time.monotonic() < deadline, f"nothing about {words!r} in {self.log[-20:]}"
            time.sleep(0.01)
        return found

    def memory(self) -> float:
        """Resident memory [MB]."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def serving(*words: str) -> Iterator[Served]:
    """Runs `drive-il serve` with these words on a free port until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "drive_il", "serve", "--port", str(port), *words]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    served, ready = Served(port, process), threading.Event()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            served.log.append(line.rstrip())
            if " serving " in line:
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert ready.wait(_READY), "the server did not start in time"
        assert process.poll() is None, "\n".join(served.log)
        yield served
    finally:
        process.terminate()
        process.wait(20)
        reader.join(5)


def synchronous(client: Any, town: str | None = None) -> Any:
    """A fresh world that this client ticks."""
    world = client.load_world(town) if town else client.reload_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, STEP
    world.apply_settings(settings)
    return world


def run(served: Served, code: str, timeout: float = 100.0) -> list[str]:
    """Runs a client's program; returns the lines that it prints."""
    start = f"""
import sys
sys.path.insert(0, {str(__file__).rsplit("/", 1)[0]!r})
import carla
from carla_server import synchronous
client = carla.Client("127.0.0.1", {served.port})
client.set_timeout(20.0)
"""
    # The client's own threads may abort a process that ends as usual.
    end = "\nimport os\nsys.stdout.flush()\nos._exit(0)\n"
    command = [sys.executable, "-c", start + code + end]
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.splitlines()
