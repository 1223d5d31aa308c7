"""Runs one agent: `python .../drive_il_agent/__main__.py DESCRIPTOR` of a socket."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import traceback

_MAX_FILE = 1 << 30
_MAX_TEXT = 20_000


def _find_ours() -> None:
    """Puts our import names last: what the user has, CARLA's own included, goes before."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != here]
    sys.path.append(os.path.dirname(here))


def _limit() -> None:
    """Ends with the runner, is the first that a machine without memory ends, no core files."""
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE, _MAX_FILE))


def _told(error: BaseException) -> tuple[str, str]:
    """Returns an error in one line and in many."""
    text = traceback.format_exc()[-_MAX_TEXT:]
    return f"{type(error).__name__}: {error}"[:1000], text


def main() -> None:
    """Answers until the runner closes the socket."""
    _limit()
    _find_ours()
    from drive_il_agent import wire
    from drive_il_agent.answering import Answers
    from drive_il_agent.channel import Channel

    channel = Channel(int(sys.argv[1]))
    sys.argv[:] = sys.argv[:1]
    answers = Answers(channel)
    while True:
        try:
            kind, body = channel.receive()
        except EOFError:
            return
        try:
            answers.answer(kind, body)
        except BaseException as error:  # sys.exit and Ctrl-C of the agent's code too
            reason, trace = _told(error)
            channel.send_json(wire.FAILED, {"reason": reason, "trace": trace})


if __name__ == "__main__":
    main()
