"""Answers the runner's requests with the agent's methods, one call each."""

from __future__ import annotations

import json
import numbers
import random
import sys
from typing import Any

import carla
import numpy as np
from agents.navigation.local_planner import RoadOption
from drive_il_agent import wire
from drive_il_agent.channel import Channel
from drive_il_agent.context import context
from drive_il_agent.loading import dialect_of, load_class
from drive_il_agent.senses import Senses


class Answers:
    """The agent's side of one process: the class, the agent of the route, its senses."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._class: Any = None
        self._dialect = ""
        self._config = ""
        self._agent: Any = None
        self._senses: Senses | None = None
        self._seed = 0
        self._map_period = 0
        self._map_id = ""

    def answer(self, kind: int, body: bytes) -> None:
        """Does what a request says and sends the reply.

        Raises:
            Exception: whatever the agent raises.
        """
        if kind == wire.STEP:
            self._channel.send(wire.CONTROL, self._step(body))
            return
        request = json.loads(body.decode())
        method = {
            wire.LOAD: self._load,
            wire.CONSTRUCT: self._construct,
            wire.PLAN: self._plan,
            wire.SETUP: self._setup,
            wire.SENSORS: self._sensors,
            wire.MEMORY: self._memory,
            wire.DESTROY: self._destroy,
        }[kind]
        self._channel.send_json(wire.DONE, method(request))

    def _load(self, request: dict[str, Any]) -> Any:
        self._class = load_class(request["path"])
        self._dialect = dialect_of(self._class, request["dialect"])
        return {"dialect": self._dialect}

    def _construct(self, request: dict[str, Any]) -> Any:
        context.clear()
        context.plan_spacing = request["plan_spacing"]
        context.shows_ego = request["shows_ego"]
        context.opendrive = request["opendrive"]
        context.town = request["town"]
        self._config = request["config"]
        self._seed = request["seed"]
        _start_generators(self._seed)
        if self._dialect == "lb1":
            self._agent = self._class(self._config)
        else:
            self._agent = self._class("localhost", 2000, False)
        return None

    def _plan(self, request: dict[str, Any]) -> Any:
        places = zip(request["location"], request["rotation"])
        poses = [
            carla.Transform(
                carla.Location(x=x, y=y, z=z), carla.Rotation(pitch=pitch, yaw=yaw, roll=0.0)
            )
            for (x, y, z), (pitch, yaw) in places
        ]
        options = [RoadOption(number) for number in request["command"]]
        names = ("lat", "lon", "z")
        gps = [(dict(zip(names, at)), o) for at, o in zip(request["gps"], options)]
        context.plan = list(zip(poses, options))
        self._agent.set_global_plan(gps, context.plan)
        return None

    def _setup(self, request: dict[str, Any]) -> Any:
        self._agent.setup(self._config)
        return None

    def _sensors(self, request: dict[str, Any]) -> Any:
        track = getattr(self._agent, "track", None)
        sensors = self._agent.sensors()
        return {"track": str(getattr(track, "value", track)), "sensors": _plain(sensors)}

    def _memory(self, request: dict[str, Any]) -> Any:
        self._senses = Senses(self._channel.take_descriptor(), request)
        self._map_id, self._map_period = request["map_id"], request["map_period"]
        _start_generators(self._seed)  # also those of libraries that setup has loaded
        return None

    def _step(self, body: bytes) -> bytes:
        assert self._senses is not None, "memory comes before the first step"
        slot, context.frame, context.timestamp, *ego = wire.STEP_BODY.unpack(body)
        context.ego = ego if context.shows_ego else None
        seen = self._senses.look(slot, context.frame)
        if self._map_period and (context.frame - 1) % self._map_period == 0:
            seen[self._map_id] = (context.frame, {"opendrive": context.opendrive})
        control = self._agent.run_step(dict(seen), context.timestamp)
        if not isinstance(control, carla.VehicleControl):
            raise TypeError(f"run_step must return a carla.VehicleControl, got {type(control)}")
        seen.clear()  # what is still referred to is what the agent keeps
        free = sum(1 << slot for slot in self._senses.free())
        flags = int(bool(control.hand_brake)) + 2 * int(bool(control.reverse))
        numbers_ = (control.throttle, control.steer, control.brake)
        return wire.CONTROL_BODY.pack(*(float(n) for n in numbers_), flags, free)

    def _destroy(self, request: dict[str, Any]) -> Any:
        agent, self._agent, self._senses = self._agent, None, None
        agent.destroy()
        return None


def _start_generators(seed: int) -> None:
    """Starts the generators that an agent may draw from afresh."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the agent's legacy generator is what is meant
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed % 2**63)


def _plain(sensors: Any) -> list[dict[str, Any]]:
    """Returns the agent's sensors in JSON's types; anything else as text, for the message."""
    return [{str(key): _value(value) for key, value in dict(one).items()} for one in sensors]


def _value(value: Any) -> Any:
    if isinstance(value, (str, bool)) or value is None:
        return value
    return float(value) if isinstance(value, numbers.Real) else repr(value)
