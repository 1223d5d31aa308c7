"""The sandbox: an agent's process under bubblewrap.

In it there is no network, files are read-only, /tmp and /dev/shm are its own (and small),
only its own processes are seen, and they end with it. Without it an agent has its user's
rights: it can fork, open sockets and read and write what the user can.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import lru_cache
from glob import glob
from pathlib import Path

_SCRATCH = 256 << 20  # [bytes] of /tmp, of /dev/shm, and of /run, where daemons have sockets
_HIDDEN = (Path("/tmp"), Path("/dev/shm"), Path("/run"))
_KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONHASHSEED",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "SAVE_PATH",
    "IS_BENCH2DRIVE",
    "PLANNER_TYPE",
    "ROUTES",
)
_NAMESPACES = ("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts")


@lru_cache(maxsize=1)
def why_no_sandbox() -> str:
    """Returns why the sandbox does not work on this machine, "" where it does."""
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed (on Debian and Ubuntu: apt install bubblewrap)"
    try:
        tried = subprocess.run(
            [*_walls(program), "--", "true"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} cannot be run: {error}"
    if tried.returncode != 0:
        return f"this machine does not let {program} make namespaces: {tried.stderr.strip()}"
    return ""


def sandboxed(
    command: list[str], readable: list[Path], environment: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Returns the command that runs another in the sandbox, and its environment.

    Args:
        command: interpreter and arguments.
        readable: what it needs, should it lie in a folder that the sandbox hides.
        environment: of the process; only what an agent needs is kept of it.
    """
    program = shutil.which("bwrap")
    assert program is not None, "why_no_sandbox() was asked before"
    needed = [*readable, *_import_path(command[0], environment)]
    binds: list[str] = []
    for path in dict.fromkeys(p.absolute() for p in needed if p.exists()):
        if any(hidden in path.parents for hidden in _HIDDEN):
            binds += ["--ro-bind", str(path), str(path)]
    for device in sorted(glob("/dev/nvidia*") + glob("/dev/dri")):
        binds += ["--dev-bind-try", device, device]
    kept = {name: environment[name] for name in _KEPT if name in environment}
    binds += ["--remount-ro", "/dev"]
    here = ["--chdir", os.getcwd()]  # so that a relative config names the same file
    return [*_walls(program), *binds, *here, "--", *command], kept | {"HOME": "/tmp"}


def _walls(program: str) -> list[str]:
    scratch = ["--size", str(_SCRATCH), "--tmpfs"]
    return [
        *(program, *_NAMESPACES, "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        *(*scratch, "/dev/shm", *scratch, "/tmp", *scratch, "/run"),
    ]


def _import_path(python: str, environment: dict[str, str]) -> list[Path]:
    """Returns where an interpreter finds itself and its packages."""
    code = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, *sys.path]))"
    try:
        told = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, timeout=60, env=environment
        )
        found = [Path(p) for p in json.loads(told.stdout) if os.path.isabs(p)]
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return []
    return [Path(python).parent, *found]
