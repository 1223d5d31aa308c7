"""Noise on what is executed, so that demonstrations show the way back; labels stay clean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import Array, Floats, Ints, Records, Scene, Who
from drive_il.randomness import uniform


@dataclass(frozen=True)
class GaussianNoise:
    """Adds N(0, covariance) to steer and acceleration of every step the expert drives.

    A `rollout.Disturbance`; the noise is keyed by episode seed and step.

    Attributes:
        covariance: of (steer, throttle minus brake), (2, 2), positive semidefinite.
    """

    covariance: Array

    def __post_init__(self) -> None:
        whole = np.asarray(self.covariance)
        if whole.shape != (2, 2) or not (np.linalg.eigvalsh(whole) > -1e-12).all():
            raise ValueError(
                f"covariance must be (2, 2) and positive semidefinite, got {whole.tolist()}"
            )

    def __call__(self, scene: Scene, control: Records, who: Ints) -> Records:
        """Returns what is executed, (B,) CONTROL."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        drawn = normal(scene.seed, scene.step, "gaussian-noise")
        # Row by row in the same order: a matrix product may depend on the number of rows.
        noise = drawn[:, :1] * root[:, 0] + drawn[:, 1:] * root[:, 1]
        noise[who != Who.EXPERT] = 0.0
        changed = control.copy()
        changed["steer"] = np.clip(control["steer"] + noise[:, 0], -1.0, 1.0)
        pedals = control["throttle"] - control["brake"] + noise[:, 1]
        is_noisy = noise[:, 1] != 0.0
        throttle = np.where(is_noisy, np.clip(pedals, 0.0, 1.0), control["throttle"])
        brake = np.where(is_noisy, np.clip(-pedals, 0.0, 1.0), control["brake"])
        changed["throttle"], changed["brake"] = throttle, brake
        return changed


def normal(seed: Ints, step: Ints, purpose: str) -> Floats:
    """Returns two independent normal numbers per row, (B, 2) (Box and Muller 1958)."""
    u = uniform(seed, step, purpose, 2)
    radius = np.sqrt(-2.0 * np.log1p(-u[:, 0]))
    angle = 2.0 * np.pi * u[:, 1]
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1)
