"""Augmentation: other light on the same picture, and the same place from another pose.

Photometric augmentation goes through torchvision's v2 transforms. Viewpoint augmentation
does not warp pictures: the simulator's own camera renders what the ego would see after a
lateral shift and a rotation, and the label is corrected by pure pursuit as ALVINN did
(Pomerleau 1991): the shifted car steers for the point that the original one was going to.
That costs no expert query.

What a frame becomes is decided by (seed, epoch, index of the frame) alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from drive_il import steering
from drive_il.datatypes import Actors, Array, Floats, Ints, Records
from drive_il.geometry import wrap_angle
from drive_il.randomness import derive_seed, uniform

Renderer = Callable[[Records, Records, Actors], Array]
"""(ego (N,) VEHICLE, weather (N,) WEATHER, who else was there) -> pictures (N, H, W, 3) uint8"""


@dataclass(frozen=True)
class Draw:
    """What the random numbers of a batch are keyed by.

    Attributes:
        seed: of the training run.
        epoch: pass over the data.
        index: which frame of the data each row is, (N,).
    """

    seed: int
    epoch: int
    index: Ints

    def uniform(self, purpose: str, n: int) -> Floats:
        """Returns n numbers in [0, 1) per row, (N, n)."""
        key = derive_seed(self.seed, purpose, self.epoch)
        return uniform(np.full(len(self.index), key, np.uint64), self.index, purpose, n)


@dataclass(frozen=True)
class PhotometricConfig:
    """Other lights; their factors are drawn from [1 - x, 1 + x]."""

    brightness: float = 0.3
    """range of the brightness factor"""
    contrast: float = 0.3
    """range of the contrast factor"""
    saturation: float = 0.3
    """range of the saturation factor"""
    probability: float = 0.8
    """share of the frames that change"""
    lights: int = 8
    """lights of one pass over the data; pictures in the same one are changed together"""

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation", "probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if self.lights < 1:
            raise ValueError(f"lights must be at least 1, got {self.lights}")


@dataclass(frozen=True)
class ViewpointConfig:
    """The ego somewhere else."""

    shift: float = 1.0
    """largest lateral shift, either way [m]"""
    rotation: float = 5.0
    """largest rotation, either way [deg]"""
    lookahead: float = 3.5
    """distance of the point steered for, at standstill [m]"""
    lookahead_time: float = 0.7
    """how much further with speed [s]"""
    probability: float = 0.5
    """share of the frames that change"""

    def __post_init__(self) -> None:
        if not self.lookahead > 0:
            raise ValueError(f"lookahead must be positive, got {self.lookahead}")
        for name in ("shift", "rotation", "lookahead_time"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability must be in [0, 1], got {self.probability}")


def photometric(pictures: Array, config: PhotometricConfig, draw: Draw) -> Array:
    """Changes brightness, contrast and saturation of each picture.

    Args:
        pictures: (N, H, W, 3) uint8.
        config: how much.
        draw: which frames these are.

    Returns:
        (N, H, W, 3) uint8, a new array.
    """
    # Here: it takes longer to load than torch, and most who clone never relight a picture.
    from torchvision.transforms.v2 import functional

    light = lights_of(config, draw)
    spread = np.array((config.brightness, config.contrast, config.saturation))
    of_pass = Draw(draw.seed, draw.epoch, np.arange(config.lights)).uniform("light", 3)
    factors = 1.0 + (2.0 * of_pass - 1.0) * spread
    changed = np.array(pictures)
    for k in np.unique(light[light >= 0]):
        rows = np.flatnonzero(light == k)
        lit = torch.from_numpy(changed[rows]).permute(0, 3, 1, 2)
        lit = functional.adjust_brightness(lit, factors[k, 0])
        lit = functional.adjust_contrast(lit, factors[k, 1])
        lit = functional.adjust_saturation(lit, factors[k, 2])
        changed[rows] = lit.permute(0, 2, 3, 1).numpy()
    return changed


def lights_of(config: PhotometricConfig, draw: Draw) -> Ints:
    """Returns in which light of the pass each picture is seen, (N,); -1: as it was taken."""
    draws = draw.uniform("photometric", 2)
    light = (config.lights * draws[:, 0]).astype(np.int64)
    return np.where(draws[:, 1] < config.probability, light, -1)


def viewpoint(
    pictures: Array,
    ego: Records,
    weather: Records,
    actors: Actors,
    steer: Floats,
    render: Renderer,
    config: ViewpointConfig,
    draw: Draw,
) -> tuple[Array, Floats]:
    """Moves the ego sideways, turns it, renders again and corrects the label.

    Args:
        pictures: what was seen, (N, H, W, 3) uint8.
        ego: where from, (N,) VEHICLE.
        weather: (N,) WEATHER.
        actors: who else was there, each ego in a world of its own.
        steer: the expert's labels, (N,).
        render: the camera that took the pictures.
        config: how far.
        draw: which frames these are.

    Returns:
        Pictures (N, H, W, 3) uint8 and steer labels (N,), new arrays.
    """
    shift, rotation = moves(config, draw)
    rows = np.flatnonzero((shift != 0.0) | (rotation != 0.0))
    pictures, steer = np.array(pictures), np.array(steer)
    if not len(rows):
        return pictures, steer
    pictures[rows], curvature = moved_view(
        ego[rows],
        weather[rows],
        actors.take(rows),
        steering.curvature_of_steer(steer[rows]),
        (shift[rows], rotation[rows]),
        (config.lookahead, config.lookahead_time),
        render,
    )
    steer[rows] = steering.steer_of_curvature(curvature)
    return pictures, steer


def moves(config: ViewpointConfig, draw: Draw) -> tuple[Floats, Floats]:
    """Returns the shift to the left [m] and the rotation to the left [rad] of each frame, (N,).

    Zeros where a frame stays as it is.
    """
    draws = draw.uniform("viewpoint", 3)
    chosen = draws[:, 2] < config.probability
    shift = config.shift * (2.0 * draws[:, 0] - 1.0)
    rotation = np.deg2rad(config.rotation) * (2.0 * draws[:, 1] - 1.0)
    return np.where(chosen, shift, 0.0), np.where(chosen, rotation, 0.0)


def moved_view(
    ego: Records,
    weather: Records,
    actors: Actors,
    curvature: Floats,
    move: tuple[Floats, Floats],
    lookahead: tuple[float, float],
    render: Renderer,
) -> tuple[Array, Floats]:
    """Draws what the ego would see elsewhere, and corrects the label by pure pursuit.

    Args:
        ego: where from, (N,) VEHICLE.
        weather: (N,) WEATHER.
        actors: who else was there, as the camera takes them.
        curvature: labels at the original poses, left positive, (N,) [1/m].
        move: shift to the left [m] and rotation to the left [rad], (N,) each.
        lookahead: distance of the point steered for, at standstill [m], and how much further
            with speed [s].
        render: the camera.

    Returns:
        Pictures (N, H, W, 3) uint8 and labels at the moved poses (N,) [1/m].
    """
    shift, rotation = move
    moved = shifted(ego, shift, rotation)
    pictures = render(moved, weather, actors)
    distance = lookahead[0] + lookahead[1] * moved["speed"]
    return pictures, corrected_curvature(curvature, shift, rotation, distance)


def shifted(ego: Records, shift: Floats, rotation: Floats) -> Records:
    """Returns the vehicles moved to their left [m] and turned left [rad], (N,) VEHICLE."""
    moved = ego.copy()
    moved["x"] -= shift * np.sin(ego["heading"])
    moved["y"] += shift * np.cos(ego["heading"])
    moved["heading"] = wrap_angle(ego["heading"] + rotation)
    return moved


def corrected_curvature(
    curvature: Floats, shift: Floats, rotation: Floats, lookahead: Floats
) -> Floats:
    """Corrects a label by pure pursuit (Pomerleau 1991), in curvatures instead of radii.

    The arc of radius r passes d = r - sqrt(r^2 - l^2) beside the point at lookahead l
    straight ahead. Seen from the moved car that target lies
    d' = cos(theta) (d + s + l tan(theta)) to the left, with s and theta the shift and the
    rotation to the RIGHT, and the arc through it has r' = (l^2 + d'^2) / (2 d').
    In turns so tight that their arc does not reach l, l is shortened to 0.7 r.

    Args:
        curvature: label at the original pose, left positive, (N,) [1/m].
        shift: of the ego to its left, (N,) [m].
        rotation: of the ego to its left, (N,) [rad].
        lookahead: l, (N,) or a number [m].

    Returns:
        Label at the moved pose, (N,) [1/m].
    """
    curvature = np.asarray(curvature, np.float64)
    bend = np.abs(curvature)
    distance = np.minimum(lookahead, 0.7 / np.maximum(bend, 1e-9))
    # (1 - sqrt(1 - k^2 l^2)) / k, in a form that holds for k = 0 too.
    beside = (
        curvature * distance**2 / (1.0 + np.sqrt(1.0 - np.minimum((bend * distance) ** 2, 1.0)))
    )
    seen = np.cos(rotation) * (beside - shift - distance * np.tan(rotation))
    return np.asarray(2.0 * seen / (distance**2 + seen**2))
