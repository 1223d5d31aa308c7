"""The process of an agent: started by exec, spoken to over a socket, watched while it works.

What it sends is checked byte by byte: it is another's code. Times are wall clock, measured
here; memory is the resident set of all its processes together. Needs Linux.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from drive_il.evaluation.agent_sandbox import sandboxed
from drive_il.evaluation.agent_spec import AgentLimits, AgentSpec
from drive_il.evaluation.compat.drive_il_agent import wire

_MAIN = Path(__file__).parent / "compat" / "drive_il_agent" / "__main__.py"
_LOOK = 0.1  # [s] between two looks at memory and processes
_SHARE = 0.05  # of the time may go into looking, where very many processes run
_KEPT = 20_000  # [bytes] of output, for the message
_READ = 1 << 16
_GIB, _MIB = 1 << 30, 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class AgentTrouble(Exception):
    """A call of the agent's process failed; it has been ended.

    Attributes:
        reason: one line.
        detail: traceback and last output.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class AgentProcess:
    """One running process of an agent."""

    def __init__(self, spec: AgentSpec) -> None:
        """Starts it.

        Raises:
            ValueError: not on Linux, or the interpreter cannot be run.
        """
        if sys.platform != "linux":
            raise ValueError("agents in CARLA's interface need Linux (processes, shared memory)")
        self._limits: AgentLimits = spec.limits
        self._tail = b""
        self._written = 0
        self._next_look = 0.0
        ours, theirs = socket.socketpair()
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = self._start(spec, theirs.fileno(), write_end)
        except OSError as error:
            ours.close()
            os.close(read_end)
            raise ValueError(f"the agent's interpreter {spec.python}: {error}") from None
        finally:
            theirs.close()
            os.close(write_end)
        os.set_blocking(read_end, False)
        self._socket, self._output = ours, read_end
        self._selector = selectors.DefaultSelector()
        self._selector.register(ours, selectors.EVENT_READ)
        self._selector.register(read_end, selectors.EVENT_READ)

    def _start(self, spec: AgentSpec, channel: int, output: int) -> subprocess.Popen[bytes]:
        command = [str(spec.python), "-u", str(_MAIN), str(channel)]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        if spec.protocol == "bench2drive":
            environment["IS_BENCH2DRIVE"] = "True"
        if spec.sandbox:
            config = Path(spec.config.partition("+")[0] or ".")
            readable = [spec.path, spec.path.parent, _MAIN.parents[1], config, Path.cwd()]
            command, environment = sandboxed(command, readable, environment)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            pass_fds=(channel,),
            start_new_session=True,
        )

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def forget_output(self) -> None:
        """Counts its output from here on."""
        self._written, self._tail = 0, b""

    def call(self, kind: int, request: Any, timeout: float, descriptor: int | None = None) -> Any:
        """Sends a request of JSON and returns the reply's JSON.

        Args:
            kind: of `wire`.
            request: anything that JSON can hold.
            timeout: wall clock [s].
            descriptor: sent along, of shared memory.

        Raises:
            AgentTrouble: it failed, hung, died or broke a limit; it has been ended.
        """
        body = json.dumps(request).encode()
        reply = self.exchange(wire.message(kind, body), wire.DONE, timeout, descriptor)
        return self._parsed(reply)

    def exchange(
        self, request: bytes, expected: int, timeout: float, descriptor: int | None = None
    ) -> bytes:
        """Sends a request and returns the body of a reply of the expected kind.

        Raises:
            AgentTrouble: as `call`.
        """
        deadline = time.monotonic() + timeout
        self._send(request, deadline, timeout, descriptor)
        header = self._receive(wire.HEADER.size, deadline, timeout)
        magic, kind, length = wire.HEADER.unpack(header)
        if magic != wire.MAGIC or kind not in (expected, wire.FAILED) or length > wire.MAX_REPLY:
            self._fail("it sent something that is no reply")
        body = self._receive(length, deadline, timeout)
        if time.monotonic() > self._next_look:
            self._look()
        if kind == wire.FAILED:
            told = self._parsed(body)
            fields = told if isinstance(told, dict) else {}
            self._fail(str(fields.get("reason"))[:1000], str(fields.get("trace"))[:_KEPT])
        return body

    def fail(self, reason: str) -> AgentTrouble:
        """Ends the process and returns the error that says why."""
        self._drain()
        self.close()
        return AgentTrouble(reason, self._tail.decode(errors="replace"))

    def _fail(self, reason: str, trace: str = "") -> None:
        trouble = self.fail(reason)
        trouble.detail = "\n".join(part for part in (trace, trouble.detail) if part)
        raise trouble

    def _parsed(self, body: bytes) -> Any:
        try:
            return json.loads(body.decode())
        except (ValueError, RecursionError):
            self._fail("it sent something that is no reply")

    def _send(
        self, request: bytes, deadline: float, timeout: float, descriptor: int | None
    ) -> None:
        try:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            if descriptor is not None:
                socket.send_fds(self._socket, [request[:1]], [descriptor])
                request = request[1:]
            self._socket.sendall(request)
        except TimeoutError:
            self._fail(f"it did not answer within {timeout:g} s")
        except OSError:
            self._fail(self._how_it_ended())

    def _receive(self, length: int, deadline: float, timeout: float) -> bytes:
        parts: list[bytes] = []
        while length > 0:
            left = deadline - time.monotonic()
            if left <= 0:
                self._fail(f"it did not answer within {timeout:g} s")
            for key, _ in self._selector.select(min(left, _LOOK)):
                if key.fd == self._output:
                    self._drain()
                    continue
                try:
                    part = self._socket.recv(length)
                except OSError:
                    part = b""
                if not part:
                    self._fail(self._how_it_ended())
                parts.append(part)
                length -= len(part)
            if time.monotonic() > self._next_look:
                self._look()
        return b"".join(parts)

    def _drain(self) -> None:
        """Takes some of what it has written; its end is kept."""
        try:
            part = os.read(self._output, _READ)
        except (BlockingIOError, OSError):
            return
        if not part:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._output)
        self._written += len(part)
        self._tail = (self._tail + part)[-_KEPT:]

    def _look(self) -> None:
        """Ends it when it is dead or has taken more than it may."""
        began, limits = time.monotonic(), self._limits
        if self._written > limits.output * _MIB:
            self._fail(f"it wrote more than {limits.output:g} MiB to stdout and stderr")
        if not self.is_alive:
            self._fail(self._how_it_ended())
        processes = _family(self._process.pid)
        if len(processes) > limits.processes:
            self._fail(f"it ran more than {limits.processes} processes")
        if _memory(processes, limits.memory * _GIB) > limits.memory * _GIB:
            self._fail(f"its memory grew beyond {limits.memory:g} GiB")
        now = time.monotonic()
        self._next_look = now + max(_LOOK, (now - began) / _SHARE)

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(1.0)
            if code < 0:
                return f"its process was killed by {signal.Signals(-code).name}"
            return f"its process exited with code {code}"
        return "it closed its socket"

    def close(self, patience: float = 0.0) -> None:
        """Ends the process and those it has started, as far as they can be found.

        Args:
            patience: time in which it may end by itself, and write what it has to write [s].
        """
        if patience > 0.0 and self.is_alive:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                self._socket.shutdown(socket.SHUT_RDWR)
                self._process.wait(patience)
        if self._process.returncode is None:
            for pid in reversed(_family(self._process.pid)):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._selector.close()
        self._socket.close()
        if self._output >= 0:
            os.close(self._output)
            self._output = -1


def _family(pid: int) -> list[int]:
    """Returns a process and all that descend from it, ancestors first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _memory(processes: list[int], limit: float) -> int:
    """Returns the memory of some processes together [bytes].

    Pages that they share, as forked workers do, count once. That takes the kernel long to say, so
    it is asked only when the resident sets, each with all its pages, are above the limit.
    """
    resident = sum(_resident(pid) for pid in processes)
    if resident <= limit or len(processes) == 1:
        return resident
    return sum(_proportional(pid) for pid in processes)


def _proportional(pid: int) -> int:
    """Returns a process's part of its resident set [bytes]; all of it where the kernel is silent.

    A process that makes itself unreadable is counted in full.
    """
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            sizes = dict(line.split(b":", 1) for line in file if line.startswith(b"Pss:"))
        return int(sizes[b"Pss"].split()[0]) << 10
    except (OSError, KeyError):
        return _resident(pid)


def _resident(pid: int) -> int:
    """Returns the resident set of a process [bytes], 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0
