"""What the agent's process knows about the route in progress; the import names read it."""

from __future__ import annotations

from typing import Any


class Context:
    """What the current route gives its agent.

    Attributes:
        plan_spacing: of the downsampled plan, CARLA's sample factor [m].
        shows_ego: the protocol lets agents know the ego's true pose.
        ego: x, y, z [m], roll, pitch, yaw [deg], velocity, acceleration [m/s, m/s^2] and
            angular velocity [deg/s] of the ego in CARLA's frame, 15 numbers.
        plan: the dense route, (carla.Transform, RoadOption) about 1 m apart.
        opendrive: the map's text; None unless the agent's track has the map.
        town: the map's name.
        frame: of the last observation.
        timestamp: game time of the last observation [s].
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets the route."""
        self.plan_spacing = 200.0
        self.shows_ego = False
        self.ego: list[float] | None = None
        self.plan: list[Any] = []
        self.opendrive: str | None = None
        self.town = ""
        self.frame = 0
        self.timestamp = 0.0


context = Context()
"""Of this process: CARLA's own interface is one per process too."""
