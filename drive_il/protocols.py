"""What rooms ask of each other: worlds, observers, policies, experts, drivers, gates, judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from drive_il.datatypes import (
    Bools,
    EpisodeSpec,
    Ints,
    Observation,
    Outcome,
    Records,
    Scene,
    State,
)
from drive_il.sensor_specs import ObservationSpec


class World(Protocol):
    """B worlds on one map, stepped together."""

    @property
    def n_rows(self) -> int:
        """B."""
        ...

    @property
    def scene(self) -> Scene:
        """The present, as views that the next step overwrites."""
        ...

    def reset(self, rows: Ints, specs: list[EpisodeSpec]) -> None:
        """Starts one episode in each of these rows."""
        ...

    def step(self, control: Records) -> None:
        """Drives every row by one step of dt; `control` is (B,) CONTROL."""
        ...

    def snapshot(self, rows: Ints) -> Any:
        """Copies the full state of these rows."""
        ...

    def restore(self, snapshot: Any, rows: Ints) -> None:
        """Puts a snapshot into these rows, which may be others than it was taken from."""
        ...


class Observer(Protocol):
    """Turns Scene rows into what a policy may see."""

    @property
    def spec(self) -> ObservationSpec:
        """The sensors."""
        ...

    def observe(self, scene: Scene, rows: Ints) -> Observation:
        """Returns named arrays with len(rows) leading rows."""
        ...


class Policy(Protocol):
    """observation -> control. All memory lives in `state`, never on self."""

    def initial_state(self, n_rows: int) -> State:
        """Returns the memory before the first step, with n_rows leading rows."""
        ...

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Returns (control (B,) CONTROL, new state, info)."""
        ...


class Expert(Protocol):
    """Labels any Scene, in any order: no memory beyond what the Scene shows."""

    def control(self, scene: Scene) -> Records:
        """Returns what the expert would do in each row, (B,) CONTROL."""
        ...


class Driver(Protocol):
    """A person at the wheel: acts when he wants to, and cannot be asked."""

    def act(self, scene: Scene) -> tuple[Records, Bools]:
        """Returns (what he does (B,) CONTROL, whether the cars obey (B,)); once per step.

        NaN where his hands are off, and where he says something that cars do not obey it is
        a label of a state that another drives through.
        """
        ...


class Query(Protocol):
    """Meters expert labels: one per row and step, peeks included."""

    def __call__(self, rows: Ints) -> Records:
        """Returns expert controls of these rows, (len(rows),) CONTROL."""
        ...


class Gate(Protocol):
    """Decides who drives this step and who is asked for a label."""

    def initial_memory(self, n_rows: int) -> State:
        """Returns the memory before the first step."""
        ...

    def decide(
        self,
        memory: State,
        scene: Scene,
        observation: Observation,
        control: Records,
        query: Query,
    ) -> tuple[State, Ints, Bools]:
        """Returns (memory, who (B,) uint8 of `Who`, ask (B,) bool)."""
        ...


class Judge(Protocol):
    """Follows drives row by row and ends them; has a memory, unlike a stop function."""

    def begin(self, rows: Ints, specs: Sequence[EpisodeSpec]) -> None:
        """Is told that these rows begin these episodes."""
        ...

    def watch(self, scene: Scene, rows: Ints) -> Ints:
        """Returns the Outcome of these rows, whose states the scene holds; once per state."""
        ...

    def end(self, row: int, outcome: Outcome) -> None:
        """Is told that the episode of a row is over, before it is handed out."""
        ...
