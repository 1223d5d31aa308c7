"""Every call a client may make: who answers it, in which form, and what is refused.

An answer is shaped by the method's return annotation: a method that returns None answers
"done" or why not, any other answers its value or why not. The client raises the reason as
RuntimeError.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from drive_il.carla_sim.server.actor_calls import ActorCalls
from drive_il.carla_sim.server.batch import Batches
from drive_il.carla_sim.server.host import BAD, Host, log
from drive_il.carla_sim.server.session_calls import SessionCalls
from drive_il.carla_sim.server.vehicle_calls import VehicleCalls
from drive_il.carla_sim.server.wire import done, failure, undone, value

_SEE = "see docs/carla_server.md"
_WHEELS = f"wheels are not simulated one by one: {_SEE}"
_NO_RECORDER = f"there is no recorder here: write the snapshots down in the client; {_SEE}"
_NO_PARTS = f"actors have no sockets or components here, and only walkers have bones: {_SEE}"
_NO_SCENE = f"the scenery cannot be changed or repainted here: {_SEE}"
_VALUE_REFUSALS = {
    **dict.fromkeys(
        (
            "start_recorder",
            "show_recorder_file_info",
            "show_recorder_collisions",
            "show_recorder_actors_blocked",
            "replay_file",
        ),
        _NO_RECORDER,
    ),
    **dict.fromkeys(
        (
            "get_actor_bone_names",
            "get_actor_component_names",
            "get_actor_socket_names",
            "get_actor_bone_world_transforms",
            "get_actor_bone_relative_transforms",
            "get_actor_socket_world_transforms",
            "get_actor_socket_relative_transforms",
            "get_actor_component_relative_transform",
        ),
        _NO_PARTS,
    ),
}
_VOID_REFUSALS = {
    **dict.fromkeys(
        (
            "stop_recorder",
            "stop_replayer",
            "set_replayer_time_factor",
            "set_replayer_ignore_hero",
            "set_replayer_ignore_spectator",
        ),
        _NO_RECORDER,
    ),
    "set_bones_transform": f"walkers have one pose here: {_SEE}",
    **dict.fromkeys(
        (
            "load_map_layer",
            "unload_map_layer",
            "enable_environment_objects",
            "apply_color_texture_to_objects",
            "apply_float_color_texture_to_objects",
        ),
        _NO_SCENE,
    ),
    **dict.fromkeys(("add_actor_angular_impulse", "add_actor_torque"), _WHEELS),
    **dict.fromkeys(
        ("enable_carsim", "use_carsim_road", "enable_chrono_physics", "restore_phys_x_physics"),
        f"there is one law of motion here: {_SEE}",
    ),
    **dict.fromkeys(("open_vehicle_door", "close_vehicle_door"), f"no doors open here: {_SEE}"),
}
_LOUD = 3  # failures of one call that are logged one by one


class Call(NamedTuple):
    """One call.

    Attributes:
        do: what answers it.
        returns: whether it returns a value.
        least: arguments at least.
        most: arguments at most.
    """

    do: Callable[..., Any]
    returns: bool
    least: int
    most: int


class Calls:
    """Answers calls.

    Args:
        host: what they are about.
    """

    def __init__(self, host: Host) -> None:
        self._failures: Counter[str] = Counter()
        actors, vehicles = ActorCalls(host), VehicleCalls(host)
        self.batches = Batches(host, actors, vehicles)
        self._table: dict[str, Call] = {}
        for room in (SessionCalls(host), actors, vehicles):
            for name, method in inspect.getmembers(room, inspect.ismethod):
                if not name.startswith("_"):
                    self._table[name] = _call(method)

    @property
    def names(self) -> set[str]:
        """All calls that are answered otherwise than with a refusal."""
        return set(self._table)

    def answer(self, name: Any, arguments: list[Any]) -> tuple[Any, Any]:
        """Returns error and result of a call, as the client reads them; never raises."""
        call = self._table.get(name) if isinstance(name, str) else None
        if call is None:
            return self._refuse(str(name)[:60])
        try:
            if not call.least <= len(arguments) <= call.most:
                raise ValueError(f"{name} takes {call.most} arguments, got {len(arguments)}")
            result = call.do(*arguments)
        except BAD as error:
            reason = str(error) if isinstance(error, ValueError) else f"{name}: {error!r}"
            self._log(name, reason)
            return None, failure(reason) if call.returns else undone(reason)
        return None, value(result) if call.returns else done()

    def _refuse(self, name: str) -> tuple[Any, Any]:
        if name in _VALUE_REFUSALS:
            return None, failure(_VALUE_REFUSALS[name])
        if name in _VOID_REFUSALS:
            self._log(name, _VOID_REFUSALS[name])
            return None, undone(_VOID_REFUSALS[name])
        self._log(name, "there is no such call here")
        return f"this server has no call {name!r}: {_SEE}", None

    def _log(self, name: str, reason: str) -> None:
        """Says what went wrong, a few times per call: clients repeat themselves every tick."""
        self._failures[name] += 1
        if self._failures[name] <= _LOUD:
            log.warning("%s failed: %s", name, reason)
        if self._failures[name] == _LOUD:
            log.warning("further failures of %s are not logged", name)


def _call(method: Callable[..., Any]) -> Call:
    signature = inspect.signature(method)
    parameters = signature.parameters.values()
    least = sum(one.default is inspect.Parameter.empty for one in parameters)
    return Call(method, signature.return_annotation not in (None, "None"), least, len(parameters))
