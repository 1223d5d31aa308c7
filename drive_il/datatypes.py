"""The nouns: what the rooms hand to each other.

Conventions, everywhere: SI units, radians in [-pi, pi), x forward, y left, heading
counter-clockwise from x, right-handed. The world frame is the OpenDRIVE file's own.
Arrays lead with B rows; one world is B = 1. `steer` is LEFT positive.

Records are NumPy structured arrays, so that a kernel takes few arguments and a
snapshot is one copy per array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from drive_il.actors import EVENTS, ROUTE_STOP, WALKER, ScenarioSpec, Traffic
from drive_il.past import Past, no_past

Records = npt.NDArray[np.void]
"""A structured array; the docstring of each use names its dtype."""
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]
Array = npt.NDArray[Any]
Observation = dict[str, Array]
"""What a policy may see: named arrays, each with B leading rows."""
State = dict[str, Array]
"""A policy's memory between steps: named arrays, each with B leading rows."""


class Command(IntEnum):
    """Navigation order; names and numbers of CARLA's RoadOption."""

    VOID = -1
    LEFT = 1
    RIGHT = 2
    STRAIGHT = 3
    LANEFOLLOW = 4
    CHANGELANELEFT = 5
    CHANGELANERIGHT = 6


class Who(IntEnum):
    """Who drove a step."""

    POLICY = 0
    EXPERT = 1
    HUMAN = 2


class Outcome(IntEnum):
    """How an episode ended. RUNNING means it has not."""

    RUNNING = 0
    COMPLETED = 1  # reached the end of the route
    TRUNCATED = 2  # reached the step limit
    DEVIATED = 3  # left the route by more than the limit
    BLOCKED = 4  # stood still for too long
    ABORTED = 5  # stopped from outside; the data up to there is whole
    COLLIDED = 6  # ran into something, where that ends a drive


CONTROL = np.dtype([("throttle", "f8"), ("brake", "f8"), ("steer", "f8")])
"""One control: throttle in [-1, 1], below 0 in the reverse gear; brake in [0, 1]; steer in
[-1, 1], left positive."""

VEHICLE = np.dtype(
    [
        ("x", "f8"),  # [m] centre of the vehicle, world frame
        ("y", "f8"),  # [m]
        ("z", "f8"),  # [m] road height below the centre
        ("heading", "f8"),  # [rad]
        ("pitch", "f8"),  # [rad] of the road below, nose up positive
        ("speed", "f8"),  # [m/s] of the centre, >= 0
        ("slip", "f8"),  # [rad] direction of the velocity minus heading
        ("acceleration", "f8"),  # [m/s^2] along the velocity
        ("yaw_rate", "f8"),  # [rad/s]
        ("steering_angle", "f8"),  # [rad] of the front wheels, after the actuator
        ("throttle", "f8"),  # [0, 1] after the actuator
        ("brake", "f8"),  # [0, 1] after the actuator
        ("steer", "f8"),  # [-1, 1] as last commanded
        ("length", "f8"),  # [m]
        ("width", "f8"),  # [m]
        ("height", "f8"),  # [m]
        ("rear_wheelbase", "f8"),  # [m] from the centre back to the rear axle
        ("power", "f8"),  # its drive and brakes as a share of the default car's
        ("lane", "i4"),  # index of the driving lane below, -1 when there is none
        ("lane_s", "f8"),  # [m] along the lane below
        ("off_road", "f8"),  # [m] from the centre to the nearest drivable surface, 0 on it
        ("id", "i4"),  # 0: an empty slot
        ("kind", "i4"),  # ActorKind
        ("mover", "i4"),  # Mover
        ("lights", "i4"),  # VehicleLight flags
        ("r", "u1"),  # colour
        ("g", "u1"),
        ("b", "u1"),
    ]
)
"""State of one vehicle. Every field is restored by `World.restore`."""

PROGRESS = np.dtype(
    [
        ("route", "i4"),  # index into the RouteTable
        ("index", "i4"),  # last route point passed
        ("s", "f8"),  # [m] arc length of the ego's projection on the route
        ("s_max", "f8"),  # [m] the furthest s so far
        ("route_length", "f8"),  # [m]
        ("lateral_error", "f8"),  # [m] left positive
        ("heading_error", "f8"),  # [rad] ego heading minus route heading
        ("curvature", "f8"),  # [1/m] of the route at s
        ("lane_width", "f8"),  # [m] of the route's lane at s
        ("speed_limit", "f8"),  # [m/s]
        ("command", "i4"),  # Command in force
        ("target_x", "f8"),  # [m] target point, world frame: the next far waypoint
        ("target_y", "f8"),
        ("next_command", "i4"),  # Command of the target point
        ("stop", "i4"),  # index of the next stop line among its route's stops; past them all: count
        ("stop_distance", "f8"),  # [m] from the front bumper to that line, 1000 when none
        ("stop_kind", "i4"),  # SignalKind of that line, 0 when none
        ("stop_signal", "i4"),  # its index into signals, -1 when none
        ("stop_light", "i4"),  # LightState of that line, OFF where it is no light
        ("stop_served", "?"),  # the ego has halted at it, as its stop sign demands
        ("standing", "f8"),  # [s] for which the ego has stood still (speed < 0.1 m/s)
        ("completed", "?"),  # the end of the route was reached
        ("oncoming", "?"),  # a scenario leaves the ego no way but the oncoming lane
        ("emergency", "i4"),  # id of an emergency vehicle that wants to pass the ego, 0 none
    ]
)
"""Where one ego is along its route, and the flags an expert or criterion needs."""

WEATHER = np.dtype(
    [
        ("cloudiness", "f4"),  # [%]
        ("precipitation", "f4"),  # [%]
        ("precipitation_deposits", "f4"),  # [%]
        ("wind_intensity", "f4"),  # [%]
        ("sun_azimuth_angle", "f4"),  # [deg]
        ("sun_altitude_angle", "f4"),  # [deg]
        ("fog_density", "f4"),  # [%]
        ("fog_distance", "f4"),  # [m]
        ("fog_falloff", "f4"),
        ("wetness", "f4"),  # [%]
    ]
)
"""Weather with the names, units and frame of carla.WeatherParameters."""

ROUTE_POINT = np.dtype(
    [
        ("x", "f8"),  # [m] lane centre
        ("y", "f8"),
        ("z", "f8"),
        ("heading", "f8"),  # [rad]
        ("s", "f8"),  # [m] arc length from the start of the route
        ("curvature", "f8"),  # [1/m] left positive
        ("lane_width", "f8"),  # [m]
        ("speed_limit", "f8"),  # [m/s]
        ("lane", "i4"),  # index into RoadNetwork.lanes
        ("command", "i4"),  # Command
        ("in_junction", "?"),
    ]
)
"""One dense route point, about 1 m from the next."""


def default_weather(n_rows: int) -> Records:
    """Returns CARLA's leaderboard default (clear, sun at 70 degrees), (n_rows,) WEATHER."""
    weather = np.zeros(n_rows, WEATHER)
    weather["cloudiness"] = 30.0
    weather["sun_altitude_angle"] = 70.0
    weather["fog_falloff"] = 0.2
    return weather


@dataclass(frozen=True)
class Route:
    """A planned route through one map.

    Attributes:
        id: its name in the route file.
        town: name of the map.
        points: dense points, (K,) ROUTE_POINT, K >= 2, world frame.
        keypoints: the sparse points it was planned through, (N, 3) [m].
        weathers: keyframes, (M,) WEATHER; empty means the default weather.
        weather_at: [%] of the route at which each keyframe holds, (M,).
        stops: stop lines along it, by s, (S,) ROUTE_STOP.
        scenarios: what is to happen along it.
    """

    id: str
    town: str
    points: Records
    keypoints: Floats
    weathers: Records = field(default_factory=lambda: np.zeros(0, WEATHER))
    weather_at: Floats = field(default_factory=lambda: np.zeros(0))
    stops: Records = field(default_factory=lambda: np.zeros(0, ROUTE_STOP))
    scenarios: tuple[ScenarioSpec, ...] = ()

    @property
    def length(self) -> float:
        """Arc length [m]."""
        return float(self.points["s"][-1])


@dataclass(frozen=True)
class RouteTable:
    """All routes of one world in one array, so that a kernel finds any of them.

    Attributes:
        points: (N,) ROUTE_POINT, route after route.
        first: index of each route's first point, (R,) int32.
        count: number of points of each route, (R,) int32.
        stops: (M,) ROUTE_STOP, route after route.
        stop_first: index of each route's first stop, (R,) int32.
        stop_count: number of stops of each route, (R,) int32.
    """

    points: Records
    first: Ints
    count: Ints
    stops: Records
    stop_first: Ints
    stop_count: Ints


@dataclass(frozen=True)
class Actors:
    """Who else is there, in W worlds, and which of their vehicles the B egos are.

    Attributes:
        vehicles: (W, V) VEHICLE, the egos among them; `id` 0 is an empty slot. V may be 0
            where nobody else was there.
        walkers: (W, P) WALKER; `id` 0 is an empty slot.
        lights: LightState of each of the map's signals, (W, S) uint8; S may be 0.
        world: which world each ego is in, (B,) int32.
        slot: which of its vehicles is the ego, (B,) int32.
    """

    vehicles: Records
    walkers: Records
    lights: Ints
    world: Ints
    slot: Ints

    def take(self, rows: Ints) -> Actors:
        """Returns a copy in which each of these egos has a world of its own."""
        world = self.world[rows]
        return Actors(
            self.vehicles[world],
            self.walkers[world],
            self.lights[world],
            np.arange(len(world), dtype=np.int32),
            self.slot[rows],
        )


def no_actors(n_rows: int) -> Actors:
    """Returns empty surroundings for B egos."""
    return Actors(
        np.zeros((n_rows, 0), VEHICLE),
        np.zeros((n_rows, 0), WALKER),
        np.zeros((n_rows, 0), np.uint8),
        np.arange(n_rows, dtype=np.int32),
        np.zeros(n_rows, np.int32),
    )


def no_events(n_rows: int) -> Records:
    """Returns what an uneventful step reports, (n_rows,) EVENTS."""
    events = np.zeros(n_rows, EVENTS)
    events["red_light"] = events["stop_sign"] = events["scenario_timeout"] = -1
    return events


@dataclass(frozen=True)
class Scene:
    """Everything true about B (world, ego) pairs at one step; privileged.

    The arrays of a world's own `scene` are views that the next step overwrites;
    `take` copies.

    Attributes:
        ego: (B,) VEHICLE.
        progress: (B,) PROGRESS.
        weather: (B,) WEATHER.
        step: steps since the reset, (B,) int64.
        seed: episode seeds, (B,) uint64; noise is keyed by (seed, step, purpose).
        routes: what `progress["route"]` and `progress["index"]` point into.
        dt: step length [s].
        actors: who else is there.
        events: what happened in the last step, (B,) EVENTS.
        past: where everyone was before, if the world was made to remember.
    """

    ego: Records
    progress: Records
    weather: Records
    step: Ints
    seed: Ints
    routes: RouteTable
    dt: float
    actors: Actors
    events: Records
    past: Past = field(default_factory=lambda: no_past(0))

    @property
    def n_rows(self) -> int:
        """B."""
        return len(self.ego)

    def take(self, rows: Ints) -> Scene:
        """Returns a copy of some rows (int indices)."""
        return Scene(
            self.ego[rows],
            self.progress[rows],
            self.weather[rows],
            self.step[rows],
            self.seed[rows],
            self.routes,
            self.dt,
            self.actors.take(rows),
            self.events[rows],
            self.past.take(rows, self.actors.world[rows]),
        )


@dataclass(frozen=True)
class Start:
    """Where and how an episode starts, relative to its route.

    Attributes:
        s: arc length along the route [m].
        lateral_error: offset from the lane centre, left positive [m].
        heading_error: ego heading minus lane heading [rad].
        speed: [m/s].
    """

    s: float = 0.0
    lateral_error: float = 0.0
    heading_error: float = 0.0
    speed: float = 0.0


@dataclass(frozen=True)
class EpisodeSpec:
    """All that decides an episode, together with the map and the policy.

    Attributes:
        route: what to drive.
        seed: decides coins and noise.
        max_steps: horizon T; the episode is truncated there.
        start: where it starts.
        traffic: what else is on the road.
    """

    route: Route
    seed: int = 0
    max_steps: int = 2000
    start: Start = Start()
    traffic: Traffic = Traffic()

    def __post_init__(self) -> None:
        if self.max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, got {self.max_steps}")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed must be in [0, 2**64), got {self.seed}")


@dataclass(frozen=True)
class Episode:
    """One drive from reset to end: T steps, T + 1 states.

    State t is what was seen before control t; the last state is the one it ended in.

    Attributes:
        spec: what it came from.
        ego: (T + 1,) VEHICLE.
        progress: (T + 1,) PROGRESS; `route` counts within the recording world.
        weather: (T + 1,) WEATHER.
        observations: named arrays, (T + 1, ...); empty when not kept.
        control: as executed, (T,) CONTROL.
        policy_control: what the policy proposed, (T,) CONTROL, NaN where it was not run.
        expert_control: what the expert would do, (T,) CONTROL, NaN where nobody asked.
        who: who drove, (T,) uint8 of `Who`.
        asked: where an expert label was paid for, (T,) bool.
        info: per-step extras of the policy, (T, ...).
        outcome: how it ended.
        dt: step length [s].
        vehicles: (T + 1, V) VEHICLE of its world, V = 0 where the ego was alone.
        walkers: (T + 1, P) WALKER.
        lights: (T + 1, S) uint8 of LightState, S = 0 where none ran.
        events: (T + 1,) EVENTS, of the step that led to each state.
        slot: which of the vehicles is the ego.
    """

    spec: EpisodeSpec
    ego: Records
    progress: Records
    weather: Records
    observations: Mapping[str, Array]
    control: Records
    policy_control: Records
    expert_control: Records
    who: Ints
    asked: Bools
    info: Mapping[str, Array]
    outcome: Outcome
    dt: float
    vehicles: Records
    walkers: Records
    lights: Ints
    events: Records
    slot: int = 0

    def __post_init__(self) -> None:
        n_steps = len(self.control)
        if len(self.ego) != n_steps + 1:
            raise ValueError(
                f"an episode has one state more than controls, got {len(self.ego)} states "
                f"and {n_steps} controls"
            )

    @property
    def n_steps(self) -> int:
        """T."""
        return len(self.control)

    @property
    def labels(self) -> int:
        """Expert labels this episode cost."""
        return int(self.asked.sum())


def nan_control(n_rows: int) -> Records:
    """Returns (n_rows,) CONTROL, all NaN: "nobody said"."""
    control = np.empty(n_rows, CONTROL)
    for name in CONTROL.names or ():
        control[name] = np.nan
    return control


def check_control(control: Records, n_rows: int, step: Ints | None = None) -> None:
    """Refuses a control that no vehicle can execute.

    Args:
        control: (n_rows,) CONTROL.
        n_rows: rows the world has.
        step: step counter of each row, for the message, (n_rows,).

    Raises:
        ValueError: wrong dtype or shape, NaN, or out of range; names row, step and value.
    """
    if control.dtype != CONTROL or control.shape != (n_rows,):
        raise ValueError(
            f"control must be an array of dtype CONTROL and shape ({n_rows},), "
            f"got dtype {control.dtype} and shape {control.shape}"
        )
    for name, low in (("throttle", -1.0), ("brake", 0.0), ("steer", -1.0)):
        value = control[name]
        bad = ~((value >= low) & (value <= 1.0))  # also true for NaN
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            at = f" at step {int(step[row])}" if step is not None else ""
            raise ValueError(
                f"{name} of row {row}{at} must be in [{low:g}, 1], got {value[row]!r}; "
                "clip the policy's output"
            )
