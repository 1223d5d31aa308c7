"""What is said when an agent reaches for what its process does not have."""

from __future__ import annotations

from typing import Any, Callable

_WAY_OUT = (
    "an agent on this leaderboard sees its sensors and its plan, not the world. To use CARLA's "
    "world, actors, maps and clients, run CARLA's own tools (with its wheel and PythonAPI on "
    "PYTHONPATH) against `drive-il serve`"
)


class NotHere(ImportError, RuntimeError):
    """A part of CARLA's API that an agent's process does not have."""


def way_out(module: str, name: str) -> Exception:
    """Returns the error for a name that a module of ours does not have.

    A dunder is what Python itself looks for: its absence is nothing to talk about.
    """
    if name.startswith("__"):
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    return NotHere(f"{module}.{name} is not here: {_WAY_OUT}")


def absent(module: str, name: str) -> Callable[..., Any]:
    """Returns a stand-in that can be imported; calling it says what to do instead."""

    def call(*args: Any, **keywords: Any) -> Any:
        raise way_out(module, name)

    call.__name__ = name
    return call
