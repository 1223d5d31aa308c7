"""Who drives this step, and who is asked for a label.

A gate decides on whole batches with masks. `query(rows)` looks at expert labels and costs
one label per row and step; rows it asks for in its answer, and rows the expert drives,
cost the same label, once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import Bools, Ints, Observation, Records, Scene, State, Who
from drive_il.protocols import Query
from drive_il.randomness import uniform


@dataclass(frozen=True)
class ExpertDrives:
    """The expert drives every step and every step is labelled: demonstrations."""

    def initial_memory(self, n_rows: int) -> State:
        """Returns nothing: no memory."""
        return {}

    def decide(
        self,
        memory: State,
        scene: Scene,
        observation: Observation,
        control: Records,
        query: Query,
    ) -> tuple[State, Ints, Bools]:
        """Returns (memory, who (B,), ask (B,))."""
        return memory, np.full(scene.n_rows, Who.EXPERT, np.uint8), np.ones(scene.n_rows, bool)


@dataclass(frozen=True)
class AskAlways:
    """The policy drives and every visited state is labelled."""

    def initial_memory(self, n_rows: int) -> State:
        """Returns nothing: no memory."""
        return {}

    def decide(
        self,
        memory: State,
        scene: Scene,
        observation: Observation,
        control: Records,
        query: Query,
    ) -> tuple[State, Ints, Bools]:
        """Returns (memory, who (B,), ask (B,))."""
        return memory, np.full(scene.n_rows, Who.POLICY, np.uint8), np.ones(scene.n_rows, bool)


@dataclass(frozen=True)
class Mixture:
    """DAgger's pi_i = beta pi* + (1 - beta) pi^: a coin per step says who drives.

    Every visited state is labelled (Ross, Gordon, Bagnell 2011, Algorithm 3.1).

    Attributes:
        beta: probability that the expert drives a step.
    """

    beta: float

    def __post_init__(self) -> None:
        if not 0 <= self.beta <= 1:
            raise ValueError(f"beta is a probability, got {self.beta}")

    def initial_memory(self, n_rows: int) -> State:
        """Returns nothing: the coin is keyed by (seed, step), not drawn in turn."""
        return {}

    def decide(
        self,
        memory: State,
        scene: Scene,
        observation: Observation,
        control: Records,
        query: Query,
    ) -> tuple[State, Ints, Bools]:
        """Returns (memory, who (B,), ask (B,))."""
        coin = uniform(scene.seed, scene.step, "dagger-coin")[:, 0]
        who = np.where(coin < self.beta, Who.EXPERT, Who.POLICY).astype(np.uint8)
        return memory, who, np.ones(scene.n_rows, bool)
