"""Agents in CARLA's interface: a file as the user has it, in a process of its own.

    with AgentHost(spec) as host:
        for route in routes:
            try:
                policy = host.begin(route, network, seed)
            except AgentFailure as failure:        # could not be set up, or bad sensors
                ...; continue
            drive(world, policy.observer, policy, [episode_spec], stop=policy.stop(stop))
            trouble = policy.finish()              # calls the agent's destroy()
            policy.failure                         # None, or the AgentFailure that ended it

A world of one row drives an agent. An agent keeps its memory to itself, so its drive can
be neither snapshot nor forked. Privileged agents are experts: see `load_privileged`.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np

from drive_il import handedness
from drive_il.datatypes import CONTROL, Ints, Observation, Outcome, Records, Route, Scene, State
from drive_il.evaluation.agent_memory import AgentMemory
from drive_il.evaluation.agent_process import AgentProcess, AgentTrouble
from drive_il.evaluation.agent_rules import DIALECTS, rules_of
from drive_il.evaluation.agent_sandbox import why_no_sandbox
from drive_il.evaluation.agent_sensors import ICONS, AgentSensor, observation_spec, read_sensors
from drive_il.evaluation.agent_spec import (
    COULD_NOT_SET_UP,
    CRASHED,
    AgentFailure,
    AgentSpec,
    is_privileged,
)
from drive_il.evaluation.agent_views import EGO, UNKNOWN_EGO, EgoShown, dense_plan, ego_in_carla
from drive_il.evaluation.compat.drive_il_agent import wire
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.protocols import Expert, Observer
from drive_il.rollout import Stop
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.observer import scene_observer

ObserverOf = Callable[[RoadNetwork, ObservationSpec], Observer]
OpenDriveOf = Callable[[str], str]
_HAND_BRAKE, _REVERSE = 1, 2
_FAREWELL = 2.0  # [s]


class AgentHost:
    """Keeps one agent's process, route after route; a context manager.

    The process is started when the first route begins and started afresh after a failure; an
    agent's file is imported once per process, and each route has a new object of its class,
    as in CARLA. Start and use it from one thread that outlives it.
    """

    def __init__(
        self,
        spec: AgentSpec,
        opendrive_of: OpenDriveOf = library.opendrive_text,
    ) -> None:
        """Starts nothing yet.

        Args:
            spec: the agent.
            opendrive_of: gives the OpenDRIVE text of a town, for agents of a MAP track.

        Raises:
            ValueError: the agent is privileged, or a sandbox is asked for that does not work.
        """
        if is_privileged(spec.path):
            raise ValueError(
                f"{spec.path} declares privileged = True: it drives as an expert, see "
                "load_privileged"
            )
        if spec.sandbox and why_no_sandbox():
            raise ValueError(f"no sandbox: {why_no_sandbox()}")
        self._spec, self._rules = spec, rules_of(spec.protocol)
        self._opendrive_of = opendrive_of
        self._process: AgentProcess | None = None
        self._dialect = ""

    def begin(
        self,
        route: Route,
        network: RoadNetwork,
        seed: int,
        *,
        name: str = "",
        dt: float = 0.05,
        observer_of: ObserverOf = scene_observer,
    ) -> AgentPolicy:
        """Makes a new agent object for a route: constructor, plan, setup, sensors.

        Args:
            route: what it will drive; its plan is downsampled as the protocol does.
            network: the route's map.
            seed: of the episode; Python's and NumPy's generators in the agent start from it.
            name: of the route in the results; Bench2Drive appends it to the config.
            dt: of the world [s].
            observer_of: what the world shows to these sensors.

        Raises:
            AgentFailure: it could not be set up, or its sensors are invalid.
        """
        try:
            told = self._set_up(route, network, seed, name)
        except AgentTrouble as trouble:
            raise AgentFailure(COULD_NOT_SET_UP, trouble.reason, trouble.detail) from None
        assert self._process is not None, "set up just now"
        sensors = read_sensors(
            told.get("sensors"), self._rules, self._spec.track, str(told.get("track"))
        )
        observer = observer_of(network, observation_spec(sensors))
        if self._rules.shows_ego:
            observer = EgoShown(observer)
        return AgentPolicy(
            self._process,
            observer,
            sensors,
            dialect=self._dialect,
            dt=dt,
            timeout=self._spec.limits.step_timeout or self._rules.timeout,
        )

    def _set_up(self, route: Route, network: RoadNetwork, seed: int, name: str) -> dict[str, Any]:
        """Makes the calls that come before the first step, in the dialect's order.

        Raises:
            AgentTrouble: one of them failed.
        """
        rules, spec = self._rules, self._spec
        timeout = spec.limits.setup_timeout or rules.timeout
        if self._process is None or not self._process.is_alive:
            self.close()
            self._process = AgentProcess(spec)
            request: dict[str, Any] = {"path": str(spec.path.absolute()), "dialect": rules.dialect}
            told = self._process.call(wire.LOAD, request, timeout)
            self._dialect = str(told.get("dialect")) if isinstance(told, dict) else ""
            if self._dialect not in DIALECTS:
                raise self._process.fail("it sent something that is no reply")
        process = self._process
        process.forget_output()
        config = spec.config + (f"+{name}" if self._dialect == "bench2drive" else "")
        request = {
            "config": config,
            "seed": seed,
            "town": route.town,
            "plan_spacing": rules.plan_spacing,
            "shows_ego": rules.shows_ego,
            "opendrive": self._opendrive_of(route.town) if "MAP" in spec.track else None,
        }
        process.call(wire.CONSTRUCT, request, timeout)
        plan = dense_plan(route, network)
        if self._dialect == "lb1":  # its constructor has called setup already
            told = process.call(wire.SENSORS, None, timeout)
            process.call(wire.PLAN, plan, timeout)
        else:
            process.call(wire.PLAN, plan, timeout)
            process.call(wire.SETUP, None, timeout)
            told = process.call(wire.SENSORS, None, timeout)
        return told if isinstance(told, dict) else {}

    def close(self) -> None:
        """Ends the process; it may take two seconds to end by itself."""
        if self._process is not None:
            self._process.close(patience=_FAREWELL)
            self._process = None

    def __enter__(self) -> AgentHost:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AgentPolicy:
    """An agent on one route, as a Policy of one row.

    Attributes:
        observer: what it sees with; hand it to `drive`.
        failure: what ended its route, None while all is well.
        dialect: in which it is spoken to: lb1, lb2 or bench2drive.
        sensors: its sensors as the results file lists them, e.g. carla_camera.
    """

    def __init__(
        self,
        process: AgentProcess,
        observer: Observer,
        sensors: tuple[AgentSensor, ...],
        *,
        dialect: str,
        dt: float,
        timeout: float,
    ) -> None:
        """Takes an agent that is set up; `AgentHost.begin` makes it."""
        self.observer = observer
        self.failure: AgentFailure | None = None
        self.dialect = dialect
        self.sensors = [ICONS[sensor.type] for sensor in sensors]
        self._process, self._sensors = process, sensors
        self._dt, self._timeout = dt, timeout
        self._memory: AgentMemory | None = None
        self._n_asked = 0
        self._free = (1 << wire.N_SLOTS) - 1

    def initial_state(self, n_rows: int) -> State:
        """Returns the step counter, `step` (1,) int64.

        Raises:
            ValueError: for more than one row.
        """
        if n_rows != 1:
            raise ValueError(
                f"an agent drives one row, got {n_rows}; it keeps its memory to itself, so run "
                "agents side by side in worlds of their own (--workers)"
            )
        return {"step": np.zeros(1, np.int64)}

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Asks the agent for one control; full brake once it has failed.

        Args:
            observation: of `self.observer`, one row.
            state: steps made so far.

        Raises:
            RuntimeError: the steps do not come one after the other.
        """
        step = int(state["step"][0])
        control = np.zeros(1, CONTROL)
        control["brake"] = 1.0
        if self.failure is None:
            if step != self._n_asked:
                raise RuntimeError(
                    f"an agent was asked for step {step} after {self._n_asked} steps; it keeps its "
                    "memory to itself, so it drives its route once and cannot be snapshot or "
                    "forked: AgentHost.begin makes a new one"
                )
            self._n_asked += 1
            try:
                control[0] = self._ask(observation, step)
            except AgentTrouble as trouble:
                self.failure = AgentFailure(CRASHED, trouble.reason, trouble.detail)
        return control, {"step": state["step"] + 1}, {}

    def _ask(self, observation: Observation, step: int) -> tuple[float, float, float]:
        memory = self._memory or self._share(observation)
        slot = next(k for k in range(wire.N_SLOTS) if self._free >> k & 1)
        memory.write(slot, observation)
        ego = ego_in_carla(observation[EGO][0]) if EGO in observation else UNKNOWN_EGO
        frame = step + 1
        body = wire.STEP_BODY.pack(slot, frame, frame * self._dt, *ego)
        reply = self._process.exchange(wire.message(wire.STEP, body), wire.CONTROL, self._timeout)
        if len(reply) != wire.CONTROL_BODY.size:
            raise self._process.fail("it sent something that is no reply")
        throttle, steer, brake, flags, free = wire.CONTROL_BODY.unpack(reply)
        self._free = free & (1 << wire.N_SLOTS) - 1
        if self._free == 0:
            raise self._process.fail("it sent something that is no reply")
        for name, value in (("throttle", throttle), ("steer", steer), ("brake", brake)):
            if math.isnan(value):
                raise self._process.fail(f"run_step returned a {name} that is not a number")
        return _as_ours(throttle, steer, brake, flags)

    def _share(self, observation: Observation) -> AgentMemory:
        memory = AgentMemory(self._sensors, observation)
        maps = [sensor for sensor in self._sensors if sensor.type == "sensor.opendrive_map"]
        period = 0
        if maps:
            period = max(round(1.0 / (maps[0].values["reading_frequency"] * self._dt)), 1)
        request = {
            **memory.layout,
            "map_id": maps[0].id if maps else "",
            "map_period": period,
        }
        try:
            self._process.call(wire.MEMORY, request, self._timeout, memory.descriptor)
        finally:
            os.close(memory.descriptor)
        self._memory = memory
        return memory

    def stop(self, stop: Stop) -> Stop:
        """Returns a stop function that also ends the row (ABORTED) when the agent has failed."""

        def stop_or_failed(scene: Scene) -> Ints:
            outcome = stop(scene)
            if self.failure is not None:
                outcome = np.where(outcome == Outcome.RUNNING, Outcome.ABORTED, outcome)
            return outcome

        return stop_or_failed

    def finish(self) -> str:
        """Calls the agent's destroy() and returns what went wrong there, "" if nothing.

        As in CARLA that costs the agent nothing.
        """
        if self.failure is not None:
            return ""
        try:
            self._process.call(wire.DESTROY, None, self._timeout)
        except AgentTrouble as trouble:
            return trouble.reason
        return ""


def _as_ours(throttle: float, steer: float, brake: float, flags: int) -> tuple[float, float, float]:
    """Returns (throttle, brake, steer) of a carla.VehicleControl, clipped as CARLA clips.

    CARLA's numbers are single precision. A hand brake is a full brake; in the reverse gear the
    throttle is below 0.
    """
    given = np.clip([throttle, brake, steer], [0.0, 0.0, -1.0], 1.0)
    single = given.astype(np.float32)
    pedal, held, turned = (float(value) for value in single)
    if flags & _REVERSE:
        pedal = -pedal
    if flags & _HAND_BRAKE:
        pedal, held = 0.0, 1.0
    return pedal, held, handedness.steer_from_carla(turned)


def check_privileged(spec: AgentSpec) -> None:
    """Checks that an agent may see the world's truth; nothing of it is run.

    Raises:
        ValueError: it is not privileged, or may not be.
    """
    if not is_privileged(spec.path):
        raise ValueError(f"{spec.path} does not declare privileged = True")
    if spec.sandbox:
        raise ValueError(f"{spec.path} is privileged, which no agent in a sandbox can be")
    if not spec.allow_privileged:
        raise ValueError(
            f"{spec.path} declares privileged = True: it sees the world's truth and runs in this "
            "process; allow that with --allow-privileged"
        )


def load_privileged(spec: AgentSpec, network: RoadNetwork) -> Expert:
    """Loads an agent that declares `privileged = True`, in our own interpreter.

    Its class is an Expert made from (network, config): drive it with `gates.ExpertDrives`.

    Raises:
        ValueError: it is not privileged, or may not be.
        AgentFailure: it could not be set up.
    """
    check_privileged(spec)
    try:
        module_spec = importlib.util.spec_from_file_location(spec.path.stem, spec.path)
        assert module_spec is not None, "a Python file"
        assert module_spec.loader is not None, "a Python file"
        module = importlib.util.module_from_spec(module_spec)
        module_spec.loader.exec_module(module)
        expert: Expert = getattr(module, module.get_entry_point())(network, spec.config)
    except Exception as error:
        raise AgentFailure(COULD_NOT_SET_UP, f"{type(error).__name__}: {error}") from error
    return expert
