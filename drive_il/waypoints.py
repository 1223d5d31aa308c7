"""Waypoints: where the ego will be, as labels of a policy, and how they are driven.

Waypoint k is the place of the ego's centre TIMES[k] from now, in the ego frame of now. Three
kinds of states need labels, and none may cost an expert query beyond the one action that the
state's label is:

    the expert drove on   Where he executed his own label in every step up to the last
                          waypoint, they are the path that was driven (as the published
                          learners on CARLA take them from their logs).
    somebody else did     At a state that a learner visited, in disturbed demonstrations and
                          in the last moments of a drive nobody knows his path. His action at
                          that state is held: the arc of his steer at the acceleration of
                          his pedals, the closed form `held`. Near the ego, where waypoints are
                          steered by, both agree to first order.
    a moved view          Augmentation that moves the ego moves the frame alone; the places
                          stay where they are: `moved`.

The tracker turns waypoints into a control. Steer: the arc through the point at look-ahead
distance on the polyline (pure pursuit, Coulter 1992); at a waypoint of a circle that is the
inverse of `held`. Pedals: a PID on the speed that the waypoints ask for, whose output is an
acceleration, through the inverse of the pedals' law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drive_il import steering
from drive_il.datatypes import CONTROL, Bools, Episode, Floats, Records
from drive_il.pedals import acceleration_of_pedals, pedals_of_acceleration

TIMES = 0.25 * np.arange(1, 9)
"""from now to each waypoint, K of them [s]"""
N_WAYPOINTS = len(TIMES)
_EARLY, _LATE = 1, 3  # the speed between these two is what is asked for
_LEAST_PATH = 0.5  # [m] a shorter path steers nowhere
_R = steering.REAR_WHEELBASE


def held(control: Records, speed: Floats) -> Floats:
    """Returns the waypoints of a control that is held.

    Args:
        control: (N,) CONTROL.
        speed: of the ego, (N,) [m/s].

    Returns:
        (N, K, 2) [m]: on a circle through the ego's centre, whose velocity deviates from the
        heading by the slip of `steering`, at an acceleration that stays until it stands.
    """
    curvature = steering.curvature_of_steer(control["steer"])[:, None]
    speed = np.asarray(speed, np.float64)
    rate = acceleration_of_pedals(control["throttle"] - control["brake"], speed)
    # The resistance of a car that stands only holds it.
    rate = np.where((speed <= 0.0) & (rate < 0.0), 0.0, rate)[:, None]
    braking = np.where(rate < 0.0, -rate, 1.0)
    time = np.where(rate < 0.0, np.minimum(TIMES, speed[:, None] / braking), TIMES)
    length = speed[:, None] * time + 0.5 * rate * time**2
    half = 0.5 * curvature * length
    chord = length * np.sinc(half / np.pi)
    angle = np.arcsin(curvature * _R) + half
    return np.stack((chord * np.cos(angle), chord * np.sin(angle)), 2)


def in_ego_frame(places: Floats, x: Floats, y: Floats, heading: Floats) -> Floats:
    """Returns places (N, K, 2) of the world in the frames of egos (N,) [m], [rad]."""
    dx, dy = places[..., 0] - x[:, None], places[..., 1] - y[:, None]
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
    return np.stack((cos * dx + sin * dy, cos * dy - sin * dx), 2)


def moved(waypoints: Floats, shift: Floats, rotation: Floats) -> Floats:
    """Returns the same places seen by an ego moved to its left and then turned left.

    Args:
        waypoints: (N, K, 2) [m].
        shift: (N,) [m].
        rotation: (N,) [rad].
    """
    return in_ego_frame(waypoints, np.zeros(len(shift)), np.asarray(shift), np.asarray(rotation))


def labels(ego: Records, control: Records, expert: Records, dt: float) -> Floats:
    """Returns the waypoint labels of a drive; see the head of the module.

    Args:
        ego: (T + 1,) VEHICLE.
        control: as executed, (T,) CONTROL.
        expert: labels, (T,) CONTROL, NaN where nobody asked.
        dt: step length [s].

    Returns:
        (T, K, 2) float32 [m]; NaN where there is no label.
    """
    n_steps = len(control)
    found = held(expert, ego["speed"][:n_steps])
    ahead = np.round(TIMES / dt).astype(np.int64)
    if n_steps < ahead[-1]:
        return found.astype(np.float32)
    obeyed = _obeyed(control, expert)
    # How many of the steps before each state were not the expert's own.
    strange = np.concatenate(([0], np.cumsum(~obeyed)))
    step = np.arange(n_steps - ahead[-1] + 1)
    step = step[strange[step + ahead[-1]] == strange[step]]
    at = step[:, None] + ahead
    places = np.stack((ego["x"][at], ego["y"][at]), 2)
    found[step] = in_ego_frame(places, ego["x"][step], ego["y"][step], ego["heading"][step])
    return found.astype(np.float32)


def labels_of(episode: Episode) -> Floats:
    """Returns the waypoint labels of an episode, (T, K, 2) float32 [m]."""
    return labels(episode.ego, episode.control, episode.expert_control, episode.dt)


def _obeyed(control: Records, expert: Records) -> Bools:
    """Returns in which steps the expert's label is what was executed."""
    same = [control[name] == expert[name] for name in CONTROL.names or ()]
    return np.asarray(np.logical_and.reduce(same))


@dataclass(frozen=True)
class TrackerConfig:
    """How waypoints are driven."""

    look_ahead: float = 3.0
    """distance of the point steered for, at standstill [m]"""
    look_ahead_time: float = 0.6
    """how much further with speed [s]"""
    proportional: float = 4.0 / 3.0
    """acceleration per speed error [1/s]; the default drives a held acceleration exactly"""
    integral: float = 0.1
    """acceleration per sum of speed errors [1/s^2]"""
    derivative: float = 0.0
    """acceleration per change of the speed error"""
    standing: float = 0.4
    """a wanted speed below it is a halt [m/s]"""

    def __post_init__(self) -> None:
        if not self.look_ahead > 0:
            raise ValueError(f"look_ahead must be positive, got {self.look_ahead}")
        for name in ("look_ahead_time", "proportional", "integral", "derivative", "standing"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


_INTEGRAL_LIMIT = 5.0  # [m] of the sum, so that a long wait does not become a jump
_DT = 0.05  # [s] between two looks of a policy
_HALT_BRAKE = 0.5


def curvature_to(point: Floats) -> Floats:
    """Returns the curvature of the centre's path through points in the ego frame, (N,) [1/m].

    The turning centre lies beside the rear axle, (-r, rho); it is as far from the ego's
    centre as from the point: rho = ((x + r)^2 + y^2 - r^2) / 2 y. The inverse of `held`.
    """
    x, y = point[:, 0], point[:, 1]
    reach = (x + _R) ** 2 + y**2 - _R**2
    return np.asarray(np.sin(np.arctan2(2.0 * y * _R, np.maximum(reach, 1e-9))) / _R)


def along(waypoints: Floats, distance: Floats) -> tuple[Floats, Floats]:
    """Returns the points at a distance along the polyline from the ego through the waypoints.

    Args:
        waypoints: (N, K, 2) [m].
        distance: (N,) [m]; beyond the end the last waypoint is it.

    Returns:
        Points (N, 2) and lengths of the polylines (N,) [m].
    """
    line = np.concatenate((np.zeros_like(waypoints[:, :1]), waypoints), 1)
    pieces = np.linalg.norm(np.diff(line, axis=1), axis=2)
    ends = np.cumsum(pieces, 1)
    length = ends[:, -1]
    goal = np.minimum(distance, length)
    k = np.minimum((ends < goal[:, None]).sum(1), N_WAYPOINTS - 1)
    row = np.arange(len(line))
    part = (goal - (ends[row, k] - pieces[row, k])) / np.maximum(pieces[row, k], 1e-9)
    part = np.clip(part, 0.0, 1.0)[:, None]
    return line[row, k] + part * (line[row, k + 1] - line[row, k]), length


def track(
    waypoints: Floats, speed: Floats, memory: Floats, config: TrackerConfig
) -> tuple[Records, Floats]:
    """Drives waypoints.

    Args:
        waypoints: (N, K, 2) [m].
        speed: of the ego, (N,) [m/s].
        memory: sum of the speed errors [m] and the last of them [m/s], (N, 2); zeros at first.
        config: gains.

    Returns:
        Control (N,) CONTROL, and the new memory (N, 2).
    """
    waypoints, speed = np.asarray(waypoints, np.float64), np.asarray(speed, np.float64)
    point, length = along(waypoints, config.look_ahead + config.look_ahead_time * speed)
    curvature = np.where(length > _LEAST_PATH, curvature_to(point), 0.0)
    gap = np.linalg.norm(waypoints[:, _LATE] - waypoints[:, _EARLY], axis=1)
    wanted = gap / (TIMES[_LATE] - TIMES[_EARLY])
    error = wanted - speed
    halts = wanted < config.standing
    total = np.clip(memory[:, 0] + _DT * error, -_INTEGRAL_LIMIT, _INTEGRAL_LIMIT)
    total = np.where(halts, 0.0, total)
    rate = config.proportional * error + config.integral * total
    rate += config.derivative * (error - memory[:, 1]) / _DT
    pedals = pedals_of_acceleration(rate, speed)
    pedals = np.where(halts, np.minimum(pedals, -_HALT_BRAKE), pedals)
    control = np.zeros(len(speed), CONTROL)
    control["steer"] = steering.steer_of_curvature(curvature)
    control["throttle"] = np.maximum(pedals, 0.0)
    control["brake"] = np.maximum(-pedals, 0.0)
    return control, np.stack((total, error), 1)
