"""CARLA's transforms on the border, and sensors on what carries them.

A pose is ours (`handedness` converts); a transform is CARLA's: x, y, z [m], pitch, yaw, roll
[deg] in one tuple, [[x, y, z], [pitch, yaw, roll]] on the wire.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from drive_il import handedness

Transform = tuple[float, float, float, float, float, float]
"""x, y, z [m], pitch, yaw, roll [deg] in CARLA's frame"""
ORIGIN: Transform = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Pose(NamedTuple):
    """Where something is, in our frame.

    Attributes:
        x: [m].
        y: [m].
        z: [m].
        heading: [rad].
        pitch: nose up [rad].
        roll: right side down [rad].
    """

    x: float
    y: float
    z: float
    heading: float
    pitch: float = 0.0
    roll: float = 0.0


def numbers(sent: Any, count: int, what: str) -> list[float]:
    """Checks that a client sent so many finite numbers.

    Raises:
        ValueError: it did not; names what.
    """
    if not isinstance(sent, (list, tuple)) or len(sent) != count:
        raise ValueError(f"{what} must be {count} numbers, got {str(sent)[:80]}")
    result = []
    for one in sent:
        if isinstance(one, bool) or not isinstance(one, (int, float)) or not math.isfinite(one):
            raise ValueError(f"{what} must be {count} finite numbers, got {str(sent)[:80]}")
        result.append(float(one))
    return result


def transform_from_wire(sent: Any) -> Transform:
    """Reads a carla.Transform.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(sent, (list, tuple)) or len(sent) != 2:
        raise ValueError(f"a transform must be a location and a rotation, got {str(sent)[:80]}")
    x, y, z = numbers(sent[0], 3, "a location")
    pitch, yaw, roll = numbers(sent[1], 3, "a rotation")
    return x, y, z, pitch, yaw, roll


def transform_to_wire(transform: Transform) -> list[list[float]]:
    """Writes a carla.Transform."""
    return [list(transform[:3]), list(transform[3:])]


def pose_of(transform: Transform) -> Pose:
    """Returns our pose for CARLA's transform."""
    x, y, z, pitch, yaw, roll = transform
    return Pose(
        x,
        handedness.y_from_carla(y),
        z,
        handedness.heading_from_carla(yaw),
        math.radians(pitch),
        math.radians(roll),
    )


def transform_of(pose: Pose) -> Transform:
    """Returns CARLA's transform for our pose."""
    return (
        pose.x,
        handedness.y_to_carla(pose.y),
        pose.z,
        math.degrees(pose.pitch),
        handedness.heading_to_carla(pose.heading),
        math.degrees(pose.roll),
    )


def _axes(transform: Transform) -> tuple[tuple[float, float, float], ...]:
    """Forward, right and up of a transform, as columns of a matrix in three rows.

    (Unreal Engine's rotator: yaw about z, then pitch nose up, then roll right side down.)
    """
    pitch, yaw, roll = (math.radians(angle) for angle in transform[3:])
    cp, sp = math.cos(pitch), math.sin(pitch)
    cy, sy = math.cos(yaw), math.sin(yaw)
    cr, sr = math.cos(roll), math.sin(roll)
    return (
        (cp * cy, sr * sp * cy - cr * sy, -(cr * sp * cy + sr * sy)),
        (cp * sy, sr * sp * sy + cr * cy, cy * sr - cr * sp * sy),
        (sp, -sr * cp, cr * cp),
    )


def placed(point: Sequence[float], at: Transform) -> tuple[float, float, float]:
    """Returns where a point given relative to a transform is in the world [m]."""
    along, right, up = point
    x, y, z = ((a * along + b * right + c * up) for a, b, c in _axes(at))
    return at[0] + x, at[1] + y, at[2] + z


def composed(parent: Transform, child: Transform) -> Transform:
    """Returns where a transform given relative to a parent is in the world."""
    x, y, z = placed(child[:3], parent)
    if parent[3] == 0.0 and parent[5] == 0.0:
        yaw = (parent[4] + child[4] + 180.0) % 360.0 - 180.0
        return x, y, z, child[3], yaw, child[5]
    a, b = _axes(parent), _axes(child)
    turned = [[sum(a[i][k] * b[k][j] for k in range(3)) for j in range(3)] for i in range(3)]
    pitch = math.degrees(math.asin(max(-1.0, min(1.0, turned[2][0]))))
    yaw = math.degrees(math.atan2(turned[1][0], turned[0][0]))
    roll = math.degrees(math.atan2(-turned[2][1], turned[2][2]))
    return x, y, z, pitch, yaw, roll
