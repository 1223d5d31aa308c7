"""Trajectory perturbation (ChauffeurNet: Bansal, Krizhevsky, Ogale 2018, section 4.1).

    take the driven path from W seconds before a frame to W seconds after it
    displace its middle, the frame's pose, sideways by U[-a, a] and turn it by U[-b, b]
    fit a smooth path through both old ends and the new middle
    learn what is seen from the new middle -> the second half of the new path

The observation of the new pose comes from the observer, so that it works for whatever is
computed from a Scene: bird's-eye views, state vectors, lanes and actors, our own cameras. The
labels follow the new path: its waypoints, and the steer of the arc to its point at
look-ahead distance; the pedals stay. No expert is asked.

The fit is an offset d(s) from the old path, a cubic in each half: d and its slope vanish at
both ends and are the displacement and the tangent of the rotation in the middle. The paper
checks its fits for curvature; here a displacement is left out whose label the car could
not steer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drive_il import steering
from drive_il.datatypes import Array, Episode, Floats, Ints, Scene
from drive_il.fit import Batch
from drive_il.geometry import wrap_angle
from drive_il.maps import progress as route_progress
from drive_il.protocols import Observer
from drive_il.randomness import derive_seed, uniform
from drive_il.rollout import scene_of
from drive_il.waypoints import TIMES, along, curvature_to, in_ego_frame

_WINDOW = float(TIMES[-1])  # [s] W: the second half holds all waypoints
_LEAST_LENGTH = 4.0  # [m] a shorter half cannot take up a displacement


@dataclass(frozen=True)
class PerturbationConfig:
    """Poses beside the driven path, with a smooth way back."""

    share: float = 0.25
    """perturbed frames, as a share of those that could be"""
    shift: float = 0.5
    """largest displacement to either side [m]"""
    rotation: float = 15.0
    """largest rotation either way [deg]; the paper, on slow streets, goes up to 60"""
    weight: float = 0.1
    """how much a perturbed frame counts"""
    look_ahead: float = 3.0
    """distance of the point that the steer label aims at, at standstill [m]"""
    look_ahead_time: float = 0.6
    """how much further with speed [s]"""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share}")
        if not 0 <= self.rotation < 90:
            raise ValueError(f"rotation must be in [0, 90) degrees, got {self.rotation}")
        for name in ("weight", "look_ahead"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("shift", "look_ahead_time"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


def bent(path: Floats, direction: Floats, shift: float, slope: float) -> Floats:
    """Bends a path so that its middle is displaced and its ends are as they were.

    Args:
        path: (2 H + 1, 2) [m].
        direction: of travel at each point, (2 H + 1,) [rad].
        shift: of the middle, to the left [m].
        slope: tangent of the angle by which the middle turns left.

    Returns:
        (2 H + 1, 2) [m].
    """
    half = len(path) // 2
    s = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))))
    away = np.abs(s - s[half])
    length = np.where(np.arange(len(s)) < half, away[0], away[-1])
    u = away / np.maximum(length, 1e-9)
    side = np.sign(s - s[half])
    offset = shift * (2 * u**3 - 3 * u**2 + 1) + side * slope * length * (u**3 - 2 * u**2 + u)
    normal = np.stack((-np.sin(direction), np.cos(direction)), 1)
    return np.asarray(path + offset[:, None] * normal)


def perturbed_frames(
    episodes: Sequence[Episode], observer: Observer, config: PerturbationConfig, seed: int
) -> Batch | None:
    """Makes frames beside the path of labelled drives.

    Args:
        episodes: that an expert drove, with who else was there, if anybody was.
        observer: of their map; what it shows is learnt from.
        config: how many, how far.
        seed: decides which and how.

    Returns:
        The arrays of `fit.labelled_frames` and `weight` (N, 1) float32; None when no drive is
        long and fast enough.
    """
    parts: list[Batch] = []
    for k, episode in enumerate(episodes):
        made = _of_drive(episode, observer, config, derive_seed(seed, "perturbation", k))
        if made is not None:
            parts.append(made)
    if not parts:
        return None
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_drive(
    episode: Episode, observer: Observer, config: PerturbationConfig, seed: int
) -> Batch | None:
    ego, half = episode.ego, round(_WINDOW / episode.dt)
    direction = ego["heading"] + ego["slip"]
    path = np.stack((ego["x"], ego["y"]), 1)
    drawn = uniform(
        np.full(episode.n_steps, seed, np.uint64), np.arange(episode.n_steps), "beside", 3
    )
    chosen, places, steer, turns, shifts = [], [], [], [], []
    for t in range(half, episode.n_steps - half + 1):
        if not episode.asked[t] or drawn[t, 0] >= config.share:
            continue
        window = slice(t - half, t + half + 1)
        if np.linalg.norm(path[t + half] - path[t]) < _LEAST_LENGTH:
            continue
        shift = config.shift * (2.0 * drawn[t, 1] - 1.0)
        turn = np.deg2rad(config.rotation) * (2.0 * drawn[t, 2] - 1.0)
        way = bent(path[window], direction[window], shift, float(np.tan(turn)))
        ahead = half + np.round(TIMES / episode.dt).astype(np.int64)
        heading = np.array([ego["heading"][t] + turn])
        seen = in_ego_frame(
            way[None, ahead], way[half : half + 1, 0], way[half : half + 1, 1], heading
        )
        distance = config.look_ahead + config.look_ahead_time * ego["speed"][t : t + 1]
        curvature = curvature_to(along(seen, distance)[0])[0]
        if abs(curvature) >= steering.MAX_CURVATURE:
            continue
        chosen.append(t)
        places.append(seen[0])
        steer.append(curvature)
        turns.append(turn)
        shifts.append(way[half] - path[t])
    if not chosen:
        return None
    scene = _moved(episode, np.array(chosen), np.array(shifts), np.array(turns))
    rows = np.arange(len(chosen))
    control = episode.expert_control[chosen].copy()
    control["steer"] = steering.steer_of_curvature(np.array(steer))
    labels: dict[str, Array] = {
        "control": control,
        "waypoints": np.array(places, np.float32),
        "ego": scene.ego,
        "weather": scene.weather,
        "weight": np.full((len(chosen), 1), config.weight, np.float32),
    }
    return observer.observe(scene, rows) | labels


def _moved(episode: Episode, steps: Ints, shift: Floats, turn: Floats) -> Scene:
    """Returns the scenes of some steps with the ego elsewhere, (N,) rows."""
    scene = scene_of(episode, 0.0).take(steps)
    ego = scene.ego
    ego["x"] += shift[:, 0]
    ego["y"] += shift[:, 1]
    ego["heading"] = wrap_angle(ego["heading"] + turn)
    actors = scene.actors
    if actors.vehicles.shape[1]:
        actors.vehicles[actors.world, actors.slot] = ego
    progress = scene.progress.copy()
    route_progress.update(ego, progress, scene.routes, 0.0)
    return replace(scene, progress=progress)
