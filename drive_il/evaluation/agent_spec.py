"""What is asked of an agent in CARLA's interface, and what it can be told when it fails."""

from __future__ import annotations

import ast
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from drive_il.evaluation.agent_rules import check_track

COULD_NOT_SET_UP = "Failed - Agent couldn't be set up"
"""the constructor, `setup`, `set_global_plan` or `sensors` failed"""
SENSORS_INVALID = "Failed - Agent's sensors were invalid"
"""unknown or too many sensors, badly mounted, or of another track: rejects the entry"""
CRASHED = "Failed - Agent crashed"
"""`run_step` raised, hung, died or returned no usable control"""


_MAX_REASON = 1000


class AgentFailure(Exception):
    """An agent cost itself its route.

    Attributes:
        status: one of the three above, as the leaderboard's results file has it.
        reason: what happened, one line.
        detail: traceback and last output of the agent, for people; may be empty.
    """

    def __init__(self, status: str, reason: str, detail: str = "") -> None:
        self.status = status
        self.reason, self.detail = _printable(reason)[:_MAX_REASON], _printable(detail)
        super().__init__(f"{status}: {self.reason}")

    @property
    def rejects_entry(self) -> bool:
        """Whether the leaderboard stops here: no route of this agent can be driven."""
        return self.status == SENSORS_INVALID


@dataclass(frozen=True)
class AgentLimits:
    """What an agent may use; more of it costs the route."""

    setup_timeout: float | None = None
    """constructor, setup, sensors and plan, each, wall clock; None: the protocol's [s]"""
    step_timeout: float | None = None
    """one run_step or destroy, wall clock; None: the protocol's [s]"""
    memory: float = 8.0
    """resident set of the agent's processes together, what they share counted once [GiB]"""
    output: float = 64.0
    """written to stdout and stderr on one route [MiB]"""
    processes: int = 64
    """processes alive at one time"""

    def __post_init__(self) -> None:
        for name in ("setup_timeout", "step_timeout", "memory", "output", "processes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"the agent's {name} must be positive, got {value}")


@dataclass(frozen=True)
class AgentSpec:
    """One agent, as the command line names it."""

    path: Path
    """the agent's file; its `get_entry_point()` names the class"""
    config: str = ""
    """handed to the agent verbatim"""
    protocol: str = "lb2.1"
    """lb1, lb2.0, lb2.1, bench2drive or nocrash"""
    track: str = "SENSORS"
    """SENSORS or MAP, or SENSORS_QUALIFIER or MAP_QUALIFIER (leaderboard 2); must be the agent's"""
    python: Path = field(default_factory=lambda: Path(sys.executable))
    """interpreter of the agent: Python >= 3.7 with numpy"""
    sandbox: bool = False
    """run it under bubblewrap: no network, read-only files, private scratch"""
    untrusted: bool = False
    """refuse to run it without the sandbox"""
    allow_privileged: bool = False
    """it may declare `privileged = True`: it sees the Scene, in our own interpreter"""
    limits: AgentLimits = AgentLimits()
    """what it may use"""

    def __post_init__(self) -> None:
        check_track(self.protocol, self.track)
        check_file(self.path)
        if shutil.which(self.python) is None:
            raise ValueError(
                f"there is no interpreter {self.python}; --agent-python takes a Python >= 3.7 "
                "that has numpy"
            )
        if self.untrusted and not self.sandbox:
            raise ValueError(
                "an untrusted agent runs in the sandbox only: add --sandbox (needs bubblewrap)"
            )


def _printable(text: str) -> str:
    """Returns text of an agent without what would steer a terminal or spoil a file."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def check_file(path: Path) -> None:
    """Raises ValueError where there is no such agent."""
    if not path.is_file():
        raise ValueError(
            f"there is no agent file {path}; --agent takes a Python file, expert, or drive_il for "
            "a trained model folder"
        )


def is_privileged(path: Path) -> bool:
    """Whether an agent's file declares `privileged = True` in a class; nothing of it is run.

    A file that this Python cannot read is not: its own interpreter will say what is wrong.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        isinstance(statement, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "privileged" for t in statement.targets)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is True
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
    )
