"""The privileged state vector: what a planner would want to know, as numbers."""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import Array, Scene

AHEAD = (5.0, 10.0, 20.0, 40.0)
"""arc lengths ahead of the ego at which the route's curvature is given [m]"""
NAMES = (
    "speed",  # [m/s]
    "acceleration",  # [m/s^2]
    "yaw_rate",  # [rad/s]
    "steering_angle",  # [rad]
    "lateral_error",  # [m]
    "heading_error",  # [rad]
    "lane_width",  # [m]
    "speed_limit",  # [m/s]
    "curvature",  # [1/m] of the route here, then ahead
    *(f"curvature_{distance:g}m" for distance in AHEAD),
    "target_x",  # [m] target point in the ego's frame
    "target_y",
    "remaining",  # [m] to the end of the route
)
_FROM_EGO = ("speed", "acceleration", "yaw_rate", "steering_angle")
_FROM_PROGRESS = ("lateral_error", "heading_error", "lane_width", "speed_limit", "curvature")


def state_vector(scene: Scene) -> Array:
    """Returns the numbers called `NAMES`, (B, F) float32."""
    ego, progress = scene.ego, scene.progress
    dx, dy = progress["target_x"] - ego["x"], progress["target_y"] - ego["y"]
    cos, sin = np.cos(ego["heading"]), np.sin(ego["heading"])
    columns = [ego[name] for name in _FROM_EGO]
    columns += [progress[name] for name in _FROM_PROGRESS]
    columns += [_curvature_ahead(scene, distance) for distance in AHEAD]
    columns += [cos * dx + sin * dy, cos * dy - sin * dx]
    columns.append(progress["route_length"] - progress["s"])
    vector: Array = np.stack(columns, 1).astype(np.float32)
    return vector


def _curvature_ahead(scene: Scene, distance: float) -> Array:
    # Route points are about 1 m apart, so that counting points is near enough.
    routes, progress = scene.routes, scene.progress
    last = routes.count[progress["route"]] - 1
    index = np.minimum(progress["index"] + round(distance), last)
    curvature: Array = routes.points["curvature"][routes.first[progress["route"]] + index]
    return curvature
