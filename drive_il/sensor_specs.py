"""Which sensors a policy has: typed, saved in every model folder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CameraSpec:
    """One camera on the ego.

    The picture is (height, width, 3) uint8 RGB, (height, width) float32 depth along the
    optical axis [m], (height, width) uint8 semantic class with CARLA's tag numbers, or
    (height, width, 3) uint8 instance: CARLA's tag, then the actor's id, low byte and high.
    """

    name: str = "rgb"
    """key in the observation"""
    kind: str = "rgb"
    """rgb, depth, semantic or instance"""
    width: int = 96
    """pixels"""
    height: int = 64
    """pixels"""
    fov: float = 90.0
    """horizontal field of view [deg]"""
    x: float = 1.3
    """forward of the ego's centre [m]"""
    y: float = 0.0
    """left of the ego's centre [m]"""
    z: float = 1.6
    """above the road [m]"""
    yaw: float = 0.0
    """left of the ego's heading [rad]"""
    pitch: float = 0.0
    """nose up [rad]"""
    roll: float = 0.0
    """right side down [rad]"""

    def __post_init__(self) -> None:
        if self.kind not in ("rgb", "depth", "semantic"):
            raise ValueError(f"camera kind must be rgb, depth or semantic, got {self.kind!r}")
        if not (1 <= self.width <= 8192 and 1 <= self.height <= 8192):
            raise ValueError(
                f"camera width and height must be in [1, 8192], got {self.width}x{self.height}"
            )
        if not 1.0 <= self.fov < 180.0:
            raise ValueError(f"camera fov must be in [1, 180) degrees, got {self.fov}")


@dataclass(frozen=True)
class ObservationSpec:
    """Which sensors a policy has; saved in every model folder.

    Every observation also holds `speed` (B,) float32 [m/s] and `command` (B,) int64.
    """

    cameras: tuple[CameraSpec, ...] = (CameraSpec(),)
    """cameras, by name"""
    range_finder: bool = False
    """ALVINN's laser range finder: `range_finder` (B, 8, 32) float32 in [0, 1]"""
    birdview: bool = False
    """bird's-eye raster: `birdview` (B, C, H, W) uint8"""
    state: bool = False
    """privileged state vector: `state` (B, F) float32"""
