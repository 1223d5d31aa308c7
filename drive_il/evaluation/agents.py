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

from collections.abc import Callable
from types import TracebackType

from drive_il.datatypes import Observation, Records, Route, State
from drive_il.evaluation.agent_spec import AgentFailure, AgentSpec
from drive_il.maps.network import RoadNetwork
from drive_il.protocols import Expert, Observer
from drive_il.rollout import Stop
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.observer import SceneObserver

ObserverOf = Callable[[RoadNetwork, ObservationSpec], Observer]


class AgentHost:
    """Keeps one agent's process, route after route; a context manager.

    The process is started when the first route begins and started afresh after a failure.
    Start and use it from one thread that outlives it.
    """

    def __init__(self, spec: AgentSpec, observer_of: ObserverOf = SceneObserver) -> None:
        """Starts nothing yet.

        Raises:
            ValueError: the agent is privileged, or a sandbox is asked for that does not work.
        """
        raise NotImplementedError

    def begin(
        self,
        route: Route,
        network: RoadNetwork,
        seed: int,
        *,
        name: str = "",
        dt: float = 0.05,
    ) -> AgentPolicy:
        """Makes a new agent object for a route: constructor, plan, setup, sensors.

        Args:
            route: what it will drive; its plan is downsampled as the protocol does.
            network: the route's map.
            seed: of the episode; Python's and NumPy's generators in the agent start from it.
            name: of the route in the results; Bench2Drive appends it to the config.
            dt: of the world [s].

        Raises:
            AgentFailure: it could not be set up, or its sensors are invalid.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Ends the process."""
        raise NotImplementedError

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

    observer: Observer
    failure: AgentFailure | None
    dialect: str
    sensors: list[str]

    def initial_state(self, n_rows: int) -> State:
        """Returns the step counter, `step` (1,) int64.

        Raises:
            ValueError: for more than one row.
        """
        raise NotImplementedError

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Asks the agent for one control; full brake once it has failed."""
        raise NotImplementedError

    def stop(self, stop: Stop) -> Stop:
        """Returns a stop function that also ends the row (ABORTED) when the agent has failed."""
        raise NotImplementedError

    def finish(self) -> str:
        """Calls the agent's destroy() and returns what went wrong there, "" if nothing.

        As in CARLA that costs the agent nothing.
        """
        raise NotImplementedError


def load_privileged(spec: AgentSpec, network: RoadNetwork) -> Expert:
    """Loads an agent that declares `privileged = True`, in our own interpreter.

    Its class is an Expert made from (network, config): drive it with `gates.ExpertDrives`.

    Raises:
        ValueError: it is not privileged, or `spec.allow_privileged` is False.
        AgentFailure: it could not be set up.
    """
    raise NotImplementedError
