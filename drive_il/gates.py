"""Who drives this step, and who is asked for a label.

A gate decides on whole batches with masks. `query(rows)` looks at expert labels and costs
one label per row and step; rows it asks for in its answer, and rows the expert drives,
cost the same label, once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drive_il.actors import LightState
from drive_il.datatypes import Bools, Floats, Ints, Observation, Records, Scene, State, Who
from drive_il.maps.network import SignalKind
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


PEDAL_WEIGHT = 0.1
"""one unit of acceleration counts like so much steer where actions are compared"""


def action_error(control: Records, label: Records) -> Floats:
    """Returns how far two controls are apart, ||pi(s) - pi*(s)||^2, (N,) float64.

    The components are steer and PEDAL_WEIGHT times throttle minus brake: with it 0.0025,
    the threshold of Zhang and Cho (2017), is a steer of 0.05 or a half of full throttle.
    """
    steer = control["steer"] - label["steer"]
    pedals = (control["throttle"] - control["brake"]) - (label["throttle"] - label["brake"])
    return np.asarray(steer**2 + (PEDAL_WEIGHT * pedals) ** 2)


def held(expert_drove: Bools, takes: Bools, keeps: Bools) -> Bools:
    """Hysteresis: who does not drive takes over by one rule, who drives goes on by another."""
    return np.where(expert_drove, keeps, takes)


def drivers(expert: Bools) -> Ints:
    """Returns `Who` of each row, (B,) uint8."""
    return np.where(expert, Who.EXPERT, Who.POLICY).astype(np.uint8)


@dataclass(frozen=True)
class HumanConfig:
    """A scripted person at the wheel: what frightens, how fast the hands are, when to let go."""

    lateral_error: float = 0.8
    """takes over this far beside the lane centre [m]"""
    heading_error: float = 0.35
    """or when the car points so far away from the lane [rad]"""
    time_to_crossing: float = 0.5
    """or so long before the centre is half a lane beside [s]"""
    time_to_collision: float = 1.8
    """or so long before running into whoever is straight ahead [s]"""
    deceleration: float = 5.0
    """or when a red light or stop sign can only be obeyed by braking harder [m/s^2]"""
    speeding: float = 1.3
    """or above so many times the speed limit"""
    patience: float = 8.0
    """or after standing so long without anyone or a red light ahead [s]"""
    reaction_time: float = 0.4
    """between the fright and the hands on the wheel [s]"""
    calm: float = 0.5
    """lets go only inside these shares of the distances and outside of 1 / share of the times"""
    hold: float = 1.0
    """and after so long in there [s]"""

    def __post_init__(self) -> None:
        for name in ("lateral_error", "heading_error", "deceleration", "speeding", "patience"):
            if not getattr(self, name) > 0:
                raise ValueError(f"human.{name} must be positive, got {getattr(self, name)}")
        for name in ("time_to_crossing", "time_to_collision", "reaction_time", "hold"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"human.{name} must not be negative, got {getattr(self, name)}")
        if not 0 < self.calm <= 1:
            raise ValueError(f"human.calm must be in (0, 1], got {self.calm}")


def frightened(scene: Scene, config: HumanConfig, share: float = 1.0) -> Bools:
    """Returns in which rows a watching person wants the wheel, (B,).

    Args:
        scene: what the person sees through the windscreen.
        config: what frightens.
        share: of the distances, and 1 / share of the times and of the need to brake; below
            1 the person is frightened sooner.
    """
    ego, at = scene.ego, scene.progress
    error, turn, speed = at["lateral_error"], at["heading_error"], ego["speed"]
    drift = speed * np.sin(turn) * np.sign(error)  # > 0: away from the centre
    room = np.maximum(0.5 * at["lane_width"] - np.abs(error), 0.0)
    crossing = (drift > 0) & (room < drift * config.time_to_crossing / share)
    beside = (np.abs(error) > config.lateral_error * share) | (
        np.abs(turn) > config.heading_error * share
    )
    stop = at["stop_distance"]
    is_sign = (at["stop_kind"] == SignalKind.STOP) & ~at["stop_served"]
    binds = is_sign | (at["stop_light"] == LightState.RED)
    late = binds & (speed**2 > 2 * config.deceleration * share * np.maximum(stop, 0.1))
    late &= speed > 1.0
    gap, closing = ahead(scene)
    near = (closing > 0.5) & (gap < closing * config.time_to_collision / share)
    fast = speed > config.speeding * at["speed_limit"] + 1.0
    waits = (binds & (stop < 15.0)) | (gap < 10.0)
    stuck = (at["standing"] > config.patience) & ~waits
    return np.asarray(beside | crossing | late | near | fast | stuck)


def ahead(scene: Scene) -> tuple[Floats, Floats]:
    """Returns gap [m] and closing speed [m/s] to the nearest in the strip ahead, (B,) each.

    The strip is as wide as the ego and 0.3 m more on each side, straight ahead; nobody there
    is 1000 m.
    """
    ego, around = scene.ego, scene.actors
    cos, sin = np.cos(ego["heading"])[:, None], np.sin(ego["heading"])[:, None]
    gap, closing = np.full(scene.n_rows, 1000.0), np.zeros(scene.n_rows)
    for others in (around.vehicles[around.world], around.walkers[around.world]):
        if others.shape[1] == 0:
            continue
        dx, dy = others["x"] - ego["x"][:, None], others["y"] - ego["y"][:, None]
        along, across = cos * dx + sin * dy, cos * dy - sin * dx
        turn = others["heading"] - ego["heading"][:, None]
        c, s = np.abs(np.cos(turn)), np.abs(np.sin(turn))
        if "radius" in (others.dtype.names or ()):
            long = wide = others["radius"]
        else:
            long = 0.5 * (others["length"] * c + others["width"] * s)
            wide = 0.5 * (others["length"] * s + others["width"] * c)
        free = along - long - 0.5 * ego["length"][:, None]
        meets = (others["id"] != 0) & (along > 0.5 * ego["length"][:, None])
        meets &= np.abs(across) < 0.5 * ego["width"][:, None] + wide + 0.3
        free = np.where(meets, np.maximum(free, 0.0), 1000.0)
        nearest = free.argmin(1)
        rows = np.arange(scene.n_rows)
        is_nearer = free[rows, nearest] < gap
        theirs = (others["speed"] * np.cos(turn))[rows, nearest]
        closing = np.where(is_nearer, ego["speed"] - theirs, closing)
        gap = np.where(is_nearer, free[rows, nearest], gap)
    return gap, closing


@dataclass(frozen=True)
class ScriptedHuman:
    """A person takes the wheel when frightened, some time later, and lets go when calm again.

    HG-DAgger's human gate as a rule (Kelly et al. 2019): the person watches the road and not
    the policy, which costs no label; the steps driven by hand are labels.
    """

    human: HumanConfig

    def initial_memory(self, n_rows: int) -> State:
        """Returns how long each person has been frightened and calm [s], and who drives."""
        return {
            "frightened": np.zeros(n_rows),
            "calm": np.zeros(n_rows),
            "holds": np.zeros(n_rows, np.bool_),
        }

    def decide(
        self,
        memory: State,
        scene: Scene,
        observation: Observation,
        control: Records,
        query: Query,
    ) -> tuple[State, Ints, Bools]:
        """Returns (memory, who (B,), ask (B,)); asked is where the person drives."""
        human, dt = self.human, scene.dt
        is_afraid = frightened(scene, human)
        is_calm = ~frightened(scene, human, human.calm)
        afraid = np.where(is_afraid, memory["frightened"] + dt, 0.0)
        calm = np.where(is_calm, memory["calm"] + dt, 0.0)
        tiny = 1e-9  # sums of dt
        holds = held(
            memory["holds"],
            takes=afraid > human.reaction_time + tiny,
            keeps=calm < human.hold - tiny,
        )
        return {"frightened": afraid, "calm": calm, "holds": holds}, drivers(holds), holds
