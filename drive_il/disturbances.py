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


@dataclass(frozen=True)
class TriangularNoise:
    """Pushes on the steer while the expert drives (Codevilla et al. 2018, section IV.B).

    A push grows linearly to its peak and fades as it grew:

        s(t) = sign peak max(0, 1 - |2 (t - t0) / duration - 1|)

    In each `window` of an episode there is one with probability `share`, to a random side,
    at a random time. The labels are what the expert does about it. A `rollout.Disturbance`, keyed
    by episode seed and step alone.
    """

    peak: float = 0.15
    """largest change of the steer"""
    shortest: float = 0.5
    """duration of a push [s]"""
    longest: float = 2.0
    """[s]"""
    window: float = 4.0
    """[s] in which there is at most one"""
    share: float = 0.5
    """of the windows with a push"""

    def __post_init__(self) -> None:
        if not 0 < self.peak <= 1:
            raise ValueError(f"peak must be in (0, 1], got {self.peak}")
        if not 0 < self.shortest <= self.longest <= self.window:
            raise ValueError(
                "shortest, longest and window must be positive and in this order, got "
                f"{self.shortest}, {self.longest} and {self.window}"
            )
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must be in [0, 1], got {self.share}")

    def __call__(self, scene: Scene, control: Records, who: Ints) -> Records:
        """Returns what is executed, (B,) CONTROL."""
        changed = control.copy()
        push = np.where(who == Who.EXPERT, self.push(scene.seed, scene.step, scene.dt), 0.0)
        changed["steer"] = np.clip(control["steer"] + push, -1.0, 1.0)
        return changed

    def push(self, seed: Ints, step: Ints, dt: float) -> Floats:
        """Returns what is added to the steer, (B,)."""
        n_steps = round(self.window / dt)
        drawn = uniform(seed, step // n_steps, "triangular-noise", 4)
        duration = self.shortest + (self.longest - self.shortest) * drawn[:, 1]
        begin = (self.window - duration) * drawn[:, 2]
        at = (step % n_steps) * dt - begin
        height = np.maximum(0.0, 1.0 - np.abs(2.0 * at / duration - 1.0))
        side = np.where(drawn[:, 3] < 0.5, -1.0, 1.0)
        return np.where(drawn[:, 0] < self.share, self.peak * side * height, 0.0)


def normal(seed: Ints, step: Ints, purpose: str) -> Floats:
    """Returns two independent normal numbers per row, (B, 2) (Box and Muller 1958)."""
    u = uniform(seed, step, purpose, 2)
    radius = np.sqrt(-2.0 * np.log1p(-u[:, 0]))
    angle = 2.0 * np.pi * u[:, 1]
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1)
