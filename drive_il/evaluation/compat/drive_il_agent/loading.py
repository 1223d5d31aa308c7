"""Finds the class in an agent's file and the dialect it speaks."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import Any

_BENCH2DRIVE = ("get_metric_info", "_plan_gps_HACK", "hero_actor")


def load_class(path: str) -> Any:
    """Returns the class that the file's `get_entry_point()` names, as CARLA finds it.

    The file's folder goes to the front of the path and the file is imported by its name.

    Raises:
        AttributeError: no such function or class.
        TypeError: an agent for ROS.
    """
    folder, name = os.path.split(path)
    sys.path.insert(0, folder)
    module = importlib.import_module(os.path.splitext(name)[0])
    found = getattr(module, module.get_entry_point())
    version = getattr(found, "get_ros_version", None)
    if version is not None and version() != -1:
        raise TypeError(f"agents for ROS {version()} cannot be run here, only Python's")
    return found


def dialect_of(agent: Any, usual: str) -> str:
    """Returns lb1, lb2 or bench2drive: how a class wants to be made and what it uses.

    The constructor decides: one argument is leaderboard 1.0's (others may have defaults), more
    are leaderboard 2's.
    Where it takes anything (ours does, so that all can derive from it), the protocol's own
    dialect is spoken. An agent that mentions what only Bench2Drive has, speaks its dialect.

    Args:
        agent: the class.
        usual: dialect of the protocol.
    """
    required, most, anything = _arguments(agent)
    dialect = usual
    if not anything:
        is_old = required == 1 or (required, most) == (0, 1)
        dialect = "lb1" if is_old else "lb2" if usual == "lb1" else usual
    if dialect != "lb1" and _mentions(agent, _BENCH2DRIVE):
        dialect = "bench2drive"
    return dialect


def _arguments(agent: Any) -> tuple[int, int, bool]:
    """Returns how many positional arguments the constructor needs, takes, and if any number."""
    parameters = list(inspect.signature(agent.__init__).parameters.values())[1:]
    taken = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in taken if p.default is p.empty]
    anything = any(p.kind == p.VAR_POSITIONAL for p in parameters)
    return len(needed), len(taken), anything


def _mentions(agent: Any, names: tuple[str, ...]) -> bool:
    try:
        text = inspect.getsource(sys.modules[agent.__module__])
    except (OSError, TypeError):
        return False
    return any(name in text for name in names)
